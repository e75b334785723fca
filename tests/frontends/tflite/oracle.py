"""A .tflite file run by TensorFlow Lite's reference kernels, by our evaluator and by the C interpreter, on stored
values: what has to be equal."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqnn import Interpreter
from dqnn.exporter.api import export
from dqnn.exporter.frontends import tflite
from dqnn.exporter.frontends.tflite.builder import name_of
from dqnn.exporter.frontends.tflite.model import read_model
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import Evaluation, run_node
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import F32

Array = NDArray[Any]


def reference_interpreter(content: bytes) -> Any:
    """TensorFlow Lite with its reference kernels; from ai-edge-litert where TensorFlow has given it up."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter as Lite
        from ai_edge_litert.interpreter import OpResolverType

        made = Lite(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    else:
        import tensorflow as tf

        resolver = tf.lite.experimental.OpResolverType.BUILTIN_REF
        made = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    made.allocate_tensors()
    return made


def rounds_dense_layers_once() -> bool:
    """LiteRT 2 (seen in 2.1 to 2.3) rounds results of FULLY_CONNECTED once, where TensorFlow Lite and TensorFlow Lite
    Micro round twice, as they all do in convolutions and BATCH_MATMUL."""
    try:
        return int(metadata.version("ai-edge-litert").split(".")[0]) >= 2
    except metadata.PackageNotFoundError:
        return False


def load(content: bytes) -> Graph:
    """The front end's graph, which has TensorFlow Lite Micro's roundings, with those of the library at hand."""
    graph = tflite.load(content)
    if not rounds_dense_layers_once():
        return graph
    model = read_model(content)
    connected = {name_of(model.tensors[op.outputs[0]]) for op in model.operators if op.kind == "FULLY_CONNECTED"}
    dense = (node.output for node in graph.nodes if isinstance(node.op, ops.Dense))
    sums = {name for name in dense if name.partition("#")[0] in connected}  # values of a layer are numbered
    once = {
        node.output: replace(node, op=replace(node.op, rounding=ops.FixedRounding.SINGLE))
        for node in graph.nodes
        if isinstance(node.op, ops.Rescale) and node.inputs[0] in sums
    }
    return replace(graph, nodes=tuple(once.get(node.output, node) for node in graph.nodes))


def codes(shape: tuple[int, ...], seed: int) -> Array:
    """Random int8."""
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def draw(content: bytes, count: int, seed: int, plausible: bool = False) -> list[Array]:
    """Stored inputs, an array with a batch for each: codes of all values, or those of smooth noise."""
    rng = np.random.default_rng(seed)
    arrays = []
    for detail in reference_interpreter(content).get_input_details():
        shape, dtype = (count, *detail["shape"]), np.dtype(detail["dtype"])
        real = rng.normal(size=shape)
        if plausible:
            for axis in range(2, len(shape)):
                real = (real + np.roll(real, 1, axis) + np.roll(real, -1, axis)) / 1.7
        if dtype == np.float32:
            arrays.append(real.astype(np.float32))
            continue
        low, high = (-128, 127) if dtype == np.int8 else (0, 255)
        codes = (
            np.clip(np.rint(real * 45 + (low + high) / 2), low, high)
            if plausible
            else rng.integers(low, high + 1, shape)
        )
        arrays.append(codes.astype(dtype))
    return arrays


def reference(content: bytes, inputs: list[Array]) -> list[Array]:
    """What the reference kernels give, one array with a batch for each output."""
    interpreter = reference_interpreter(content)
    details, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for sample in zip(*inputs, strict=True):
        for detail, value in zip(details, sample, strict=True):
            interpreter.set_tensor(detail["index"], value.reshape(detail["shape"]))
        interpreter.invoke()
        rows.append([interpreter.get_tensor(detail["index"]).copy() for detail in outputs])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def evaluated(graph: Graph, inputs: list[Array]) -> list[Array]:
    """What our evaluator stores."""
    run = Evaluation(graph)
    for name, array in zip(graph.inputs, inputs, strict=True):
        codes = (array ^ 0x80).view(np.int8) if array.dtype == np.uint8 else array
        run.stored[name] = codes.reshape((len(array), *graph.types[name].shape))
    for node in graph.nodes:
        run.stored[node.output] = run_node(node, [run.stored[name] for name in node.inputs], graph.types)
    found = [np.broadcast_to(run.stored[name], (len(inputs[0]), *graph.types[name].shape)) for name in graph.outputs]
    return [
        (np.ascontiguousarray(y).view(np.uint8) ^ 0x80) if graph.ports[name].unsigned else y
        for name, y in zip(graph.outputs, found, strict=True)
    ]


def interpreted(blob: bytes, inputs: list[Array]) -> list[Array]:
    """What the C interpreter stores."""
    interpreter = Interpreter(blob)
    rows = []
    for sample in zip(*inputs, strict=True):
        for i, (info, value) in enumerate(zip(interpreter.inputs, sample, strict=True)):
            interpreter.set_input(i, value.reshape(info.shape), raw=True)
        interpreter.invoke()
        rows.append([np.array(interpreter.get_output(i, raw=True)) for i in range(len(interpreter.outputs))])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def check(
    content: bytes, count: int = 4, seed: int = 0, *, tolerance: float = 1e-5, plausible: bool = False,
    pack_weights: bool = False,
) -> Graph:  # fmt: skip
    """Evaluator and C interpreter against the reference kernels: equal bytes, or floats within `tolerance` of the
    largest. Gives the front end's graph."""
    graph = load(content)
    inputs = draw(content, count, seed, plausible)
    wanted = reference(content, inputs)
    blob = export(graph, pack_weights=pack_weights).blob
    for what, found in (("evaluator", evaluated(graph, inputs)), ("C", interpreted(blob, inputs))):
        for name, y, z in zip(graph.outputs, found, wanted, strict=True):
            same(y.reshape(z.shape), z, tolerance if isinstance(graph.types[name].fmt, F32) else 0, f"{what}: {name}")
    return graph


def same(found: Array, wanted: Array, tolerance: float, what: str) -> None:
    if tolerance:
        scale = max(float(np.max(np.abs(wanted))), 1e-6)
        assert np.max(np.abs(found.astype(np.float64) - wanted)) <= tolerance * scale, what
        return
    assert found.dtype == wanted.dtype, what
    differ = found != wanted
    assert not differ.any(), f"{what}: {np.count_nonzero(differ)} of {differ.size} differ"
