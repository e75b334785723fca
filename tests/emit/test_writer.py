"""Random graphs of kernel calls through writer, verifier and interpreter; what the writer shares and leaves out."""

from __future__ import annotations

import json
import struct
import zlib
from io import StringIO
from typing import Any

import numpy as np
import pytest
from emit.kernel_calls import random_stored, stored_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import dqnn
from dqnn import _core
from dqnn.exporter.blob import NotAModelError, parse, to_json
from dqnn.exporter.emit.writer import WriteError, write
from dqnn.exporter.inspect.text import lives, memory_map, render
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph, Node, Port
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType

INF = float("inf")


class Builder:
    """Grows a kernel-ready graph node by node."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.types: dict[str, TensorType] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []

    def input(self, shape: tuple[int, ...], fmt: Format) -> str:
        name = f"in{len(self.inputs)}"
        self.inputs.append(name)
        self.types[name] = TensorType(shape, fmt)
        return name

    def add(self, op: ops.Op, inputs: tuple[str, ...], shape: tuple[int, ...], fmt: Format) -> str:
        name = f"v{len(self.nodes)}"
        self.types[name] = TensorType(shape, fmt)
        self.nodes.append(Node(op, inputs, name, (f"layer_{name}",)))
        return name

    def epilogue(self, fmt: Format, channels: int, integer: bool) -> ops.Epilogue:
        if isinstance(fmt, S1):
            t = self.rng.integers(-20, 20, channels) if integer else self.rng.normal(size=channels).astype(np.float32)
            return ops.Threshold(t, self.rng.random(channels) < 0.3)
        scale, offset = self.rng.normal(size=(2, channels)).astype(np.float32)
        return ops.Affine(scale, offset, *((-128, 127) if isinstance(fmt, S8) else (-INF, INF)))

    def conv(self, source: str, outputs: int, fmt: Format, pool: int = 1) -> str:
        kind = self.types[source]
        h, w, c = kind.shape
        codes = self.rng.choice(np.array([-1, 1], np.int8), (outputs, 3, 3, c))
        op = ops.ConvKernel(
            ops.Weights("s1", codes),
            self.epilogue(fmt, outputs, not isinstance(kind.fmt, F32)),
            fmt,
            padding=((1, 1), (1, 1)),
            pad_value=1.0 if isinstance(kind.fmt, S1) else 0.0,
            pool=(pool, pool),
        )
        return self.add(op, (source,), (h // pool, w // pool, outputs), fmt)

    def convert(self, source: str, fmt: Format) -> str:
        kind = self.types[source]
        channels = kind.shape[-1]
        op = ops.ChannelKernel(self.epilogue(fmt, channels, not isinstance(kind.fmt, F32)), fmt)
        return self.add(op, (source,), kind.shape, fmt)

    def binary(self, a: str, b: str, fmt: Format) -> str:
        kind = self.types[a]
        form: ops.Epilogue = ops.Affine(np.ones(1, np.float32), np.zeros(1, np.float32), -INF, INF)
        if isinstance(fmt, S1):
            form = self.epilogue(fmt, kind.shape[-1], False)
        elif isinstance(fmt, S8):
            form = ops.Affine(np.array([1 / fmt.scale], np.float32), np.zeros(1, np.float32), -128, 127)
        return self.add(ops.BinaryKernel("add", form, fmt), (a, b), kind.shape, fmt)

    def reshape(self, source: str, shape: tuple[int, ...]) -> str:
        return self.add(ops.Reshape(shape), (source,), shape, self.types[source].fmt)

    def graph(self, *outputs: str) -> Graph:
        ports = {name: Port(f"port {name}") for name in (*self.inputs, *outputs)}
        return Graph("random", tuple(self.inputs), outputs, tuple(self.nodes), self.types, ports)


def random_graph(seed: int) -> Graph:
    """Branches, joins, reshapes that share memory and such that do not, several inputs and outputs."""
    build = Builder(seed)
    rng = build.rng
    formats: list[Format] = [S1(), S8(0.1, 4), F32()]
    h, w, c = (int(n) for n in rng.integers(2, 7, 3))
    channels = int(rng.choice([c, 32, 33]))
    maps = [build.input((h, w, channels), formats[int(rng.integers(3))]) for _ in range(int(rng.integers(1, 3)))]
    for _ in range(int(rng.integers(2, 9))):
        source = maps[int(rng.integers(len(maps)))]
        fmt = formats[int(rng.integers(3))]
        kind = int(rng.integers(4))
        if kind == 0:
            maps.append(build.conv(source, channels, fmt))
        elif kind == 1:
            maps.append(build.convert(source, fmt))
        elif kind == 2:
            maps.append(build.binary(source, maps[int(rng.integers(len(maps)))], fmt))
        else:
            flat = build.reshape(source, (h * w * channels,))
            maps.append(build.reshape(build.convert(flat, fmt), (h, w, channels)))
    used = {name for node in build.nodes for name in node.inputs}
    outputs = [name for name in build.types if name not in used]
    if rng.integers(2) and build.nodes[0].output not in outputs:
        outputs.append(build.nodes[0].output)
    return build.graph(*outputs)


def run(blob: bytes, graph: Graph, arrays: list[Any]) -> list[bytes]:
    native = _core.Interpreter(blob, None)
    for number, (array, name) in enumerate(zip(arrays, graph.inputs, strict=True)):
        native.set_input(number, stored_bytes(array, graph.types[name]))
    native.invoke()
    return [bytes(native.get_output(number)) for number in range(len(graph.outputs))]


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_random_graphs(seed: int) -> None:
    graph = random_graph(seed)
    written = write(graph, producer="test")
    _core.verify(written.blob)
    assert written.memory.arena <= written.memory.greedy_by_size
    arrays = [random_stored(np.random.default_rng(seed), graph.types[name]) for name in graph.inputs]
    stored = dict(zip(graph.inputs, arrays, strict=True))
    evaluated = run_stored(graph, stored)
    want = [stored_bytes(evaluated[name], graph.types[name]) for name in graph.outputs]
    assert run(written.blob, graph, arrays) == want
    view = parse(written.blob)
    assert memory_map(view)
    assert max((life.end for life in lives(view)), default=0) <= view.prefix.arena_bytes


def run_stored(graph: Graph, stored: dict[str, Any]) -> dict[str, Any]:
    """Evaluates from stored inputs."""
    from dqnn.exporter.ir.evaluate import run_node

    values = {name: array[None] for name, array in stored.items()}
    for node in graph.nodes:
        values[node.output] = run_node(node, [values[i] for i in node.inputs], graph.types)
    return {name: array[0] for name, array in values.items()}


def test_reshapes_share_memory() -> None:
    build = Builder(1)
    source = build.input((2, 3, 5), F32())
    wide = build.convert(build.reshape(source, (30,)), F32())
    blob = write(build.graph(build.reshape(wide, (5, 6))), producer="test").blob
    view = parse(blob)
    assert [node.kernel for node in view.nodes] == ["affine_f32_f32"]
    assert view.tensors[view.inputs[0].tensor].offset == view.tensors[view.nodes[0].inputs[0]].offset
    assert view.tensors[view.outputs[0].tensor].type.shape == (5, 6)


@pytest.mark.parametrize(
    "before,after,kernels",
    [((2, 2, 32), (128,), 0), ((4, 5), (2, 2, 5), 0), ((2, 2, 31), (124,), 1), ((2, 32), (4, 16), 1)],
)
def test_reshape_of_bits(before: tuple[int, ...], after: tuple[int, ...], kernels: int) -> None:
    build = Builder(2)
    out = build.reshape(build.convert(build.input(before, F32()), S1()), after)
    graph = build.graph(out)
    view = parse(write(graph, producer="test").blob)
    assert [node.kernel for node in view.nodes].count("reshape_s1") == kernels
    x = np.random.default_rng(3).normal(size=(1, *before)).astype(np.float32)
    got = dqnn.Interpreter(write(graph, producer="test").blob).predict(x)
    assert np.array_equal(got, evaluate(graph, [x]).outputs[0])


def test_a_model_without_nodes() -> None:
    build = Builder(3)
    name = build.input((4, 2), F32())
    build.reshape(name, (8,))
    blob = write(build.graph("v0"), producer="test").blob
    x = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    assert np.array_equal(dqnn.Interpreter(blob).predict(x), x.reshape(1, 8))


def test_equal_constants_are_stored_once() -> None:
    build = Builder(4)
    source = build.input((4, 4, 3), F32())
    first = build.conv(source, 8, F32())
    build.nodes.append(Node(build.nodes[0].op, (source,), "again", ("again",)))
    build.types["again"] = build.types[first]
    view = parse(write(build.graph(first, "again"), producer="test").blob)
    assert len(view.constants) == 3
    assert view.nodes[0].constants == view.nodes[1].constants


def test_prefix_and_damage() -> None:
    build = Builder(5)
    blob = write(build.graph(build.conv(build.input((5, 5, 3), F32()), 8, S1())), producer="test").blob
    view = parse(blob)
    assert view.file_bytes == len(blob) and len(blob) % 16 == 0
    assert view.prefix.kernels == (21,)
    for position in (0, 20, 63, 64, len(blob) // 2, len(blob) - 1):
        damaged = bytearray(blob)
        damaged[position] ^= 1
        with pytest.raises(NotAModelError):
            parse(bytes(damaged))
    for length in (0, 3, 63, 64, len(blob) - 1):
        with pytest.raises(NotAModelError):
            parse(blob[:length])


def test_a_call_that_no_kernel_takes_names_its_layer() -> None:
    build = Builder(6)
    source = build.input((4, 4, 3), F32())
    name = build.conv(source, 8, S1())
    build.types[name] = TensorType((4, 4, 9), S1())
    with pytest.raises(WriteError, match=r"layer layer_v0: .*conv_f32_s1_s1"):
        write(build.graph(name), producer="test")


@pytest.mark.damaged
@settings(max_examples=150)
@given(seed=st.integers(0, 10**6))
def test_reading_hostile_files_ends_in_a_sentence(seed: int) -> None:
    """Changed bytes under valid checksums: shown or refused, never another exception."""
    rng = np.random.default_rng(seed)
    build = Builder(7)
    blob = bytearray(write(build.graph(build.conv(build.input((5, 5, 3), F32()), 8, S1())), producer="t").blob)
    for _ in range(int(rng.integers(1, 4))):
        blob[int(rng.integers(64, 64 + 700)) % len(blob)] = int(rng.integers(256))
    struct.pack_into("<I", blob, 16, zlib.crc32(blob[64:]))
    struct.pack_into("<I", blob, 60, zlib.crc32(blob[:60]))
    try:
        view = parse(bytes(blob))
    except NotAModelError:
        return
    render(view, Console(file=StringIO()))
    json.dumps(to_json(view))
