"""A .dqnn file as an ONNX graph, to look at in Netron (https://netron.app) and to read with ONNX tools.

Nodes are kernel calls in the domain `dqnn`: no ONNX runtime executes them. Constants are shown as what they mean, not
as they are packed: weights as codes (OHWI; depthwise height, width, channel, multiplier) with s1 as +1 and -1,
thresholds of bit-sliced kernels as the integer t of `acc < t gives -1`. Types that ONNX lacks stand in doc strings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..blob import ModelView, NodeView
from ..emit.kernel_table import KernelRow
from ..emit.layouts import minus_counts, signs, unpack_planes, unpack_words
from ..emit.packing import DTYPE_CODES, unpack_weights
from ..errors import DqnnError
from ..format import (
    BINARY_KINDS,
    UNARY_KINDS,
    BinaryParams,
    ChannelParams,
    ConvParams,
    FixedBinaryParams,
    ReduceParams,
    UnaryParams,
)
from ..ir.types import F32, S8, TensorType, dtype_name

Array: TypeAlias = NDArray[Any]
Named: TypeAlias = tuple[str, Array]

DOMAIN = "dqnn"
DOMAIN_VERSION = 1
OPSET = 13
IR_VERSION = 8
BATCH = "N"
# Constants of an epilogue by ConvParams.requant, with their types.
REQUANT_NAMES: tuple[tuple[tuple[str, str], ...], ...] = (
    (("scale", "<f4"), ("offset", "<f4")),
    (("bias", "<i4"), ("multiplier", "<i4"), ("shift", "<i4")),
    (("bias", "<i4"), ("shift", "<i4")),
    (("offset", "<i8"), ("multiplier", "<i4"), ("shift", "<i4")),
    (("scale", "<f4"),),
    (("scale", "<f4"),),
)


class OnnxMissingError(DqnnError):
    """The onnx package is not installed."""


# --- constants as what they mean --------------------------------------------------------------------------------------


def constants_of(model: ModelView, node: NodeView) -> list[Named]:
    """The constants of a node by name, unpacked."""
    raw = [model.constants[c] for c in node.constants]
    inputs = [model.tensors[t].type for t in node.inputs]
    output = model.tensors[node.output].type
    reader = _READERS.get(node.row.family)
    return list(reader(node, raw, inputs, output)) if reader else []


def _conv(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    assert isinstance(node.params, ConvParams)
    params = node.params
    codes = unpack_weights(node.row, params, raw[0], inputs, output)
    yield "weights", codes
    if node.row.family == "conv_bitsliced":
        yield from _bitsliced(node, codes, raw[1:], output)
    elif _has_presets(node.row):
        outputs, taps = output.shape[-1], params.kernel_h * params.kernel_w
        yield "thresholds", (_planes(raw[1], 1, outputs) + taps + 1).astype(np.int32)
        yield from _flip(raw[2:], outputs)
    else:
        if node.row.zero_points:
            yield "weight_zero_points", np.frombuffer(raw.pop(1), np.int8)
        yield from _epilogue(raw[1:], output, params.requant, node.row.integer)


def _has_presets(row: KernelRow) -> bool:
    """Binary depthwise convolutions to s1 hold presets of counters in place of thresholds (SPEC.md 3.4)."""
    return row.depthwise and (row.input, row.weights, row.output) == ("s1", "s1", "s1")


def _planes(data: bytes, groups: int, outputs: int) -> NDArray[np.int64]:
    """Numbers stored as planes[groups][blocks][np], without those of missing outputs."""
    blocks = -(-(outputs // groups) // 32)
    words = np.frombuffer(data, "<u4").reshape((groups, blocks, -1))
    values = unpack_planes(words).reshape((groups, -1))[:, : outputs // groups]
    return values.reshape(-1).astype(np.int64)


def _bitsliced(node: NodeView, codes: Array, raw: list[bytes], output: TensorType) -> Iterator[Named]:
    """zeros = -(T + S) - 1 with T = floor((n - t) / 2), so t = n - 2T; sums follow from the weights."""
    assert isinstance(node.params, ConvParams)
    groups, outputs = node.params.groups, output.shape[-1]
    if dtype_name(output.fmt) != "s1":
        yield from _epilogue(raw[1:], output, node.params.requant, True)
        return
    full = minus_counts(codes, np.ones((1, *codes.shape[1:3]), np.bool_), groups)
    sums = full.reshape((groups, -1))[:, : outputs // groups].reshape(-1)
    limit = -_planes(raw[1], groups, outputs) - 1 - sums
    yield "thresholds", (int(np.prod(codes.shape[1:])) - 2 * limit).astype(np.int32)
    yield from _flip(raw[2:], outputs)


def _flip(raw: list[bytes], count: int) -> Iterator[Named]:
    if raw:
        yield "flip", unpack_words(np.frombuffer(raw[0], "<u4"), count).astype(np.bool_)


def _epilogue(raw: list[bytes], output: TensorType, requant: int, integer: bool) -> Iterator[Named]:
    """SPEC.md 3.2."""
    if dtype_name(output.fmt) == "s1":
        thresholds = np.frombuffer(raw[0], "<i4" if integer else "<f4")
        yield "thresholds", thresholds
        yield from _flip(raw[1:], len(thresholds))
        return
    for (name, dtype), data in zip(REQUANT_NAMES[requant], raw, strict=True):
        yield name, np.frombuffer(data, dtype)


def _affine(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    assert isinstance(node.params, ChannelParams)
    return _epilogue(raw, output, node.params.requant, not isinstance(inputs[0].fmt, F32))


def _floats(*names: str) -> Callable[..., Iterator[Named]]:
    """float32 constants; a kernel may leave out the last."""

    def read(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
        yield from ((name, np.frombuffer(data, "<f4")) for name, data in zip(names, raw, strict=False))

    return read


def _binary(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    if dtype_name(output.fmt) == "s1":
        return _epilogue(raw, output, 0, False)
    return _floats("inverse_scale")(node, raw, inputs, output)


def _lut(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    table = np.frombuffer(raw[0], DTYPE_CODES["s8"])
    yield "table", table if len(table) == 256 else table.reshape((-1, 256))


def _reduce(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    assert isinstance(node.params, ReduceParams)
    return _epilogue(raw, output, node.params.requant, True) if raw else iter(())


def _gather(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    yield from ((f"indices_{number}", np.frombuffer(data, "<u4")) for number, data in enumerate(raw))


def _bilinear(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    yield from ((name, np.frombuffer(data, "<u4")) for name, data in zip(("rows", "columns"), raw, strict=True))


def _constant(node: NodeView, raw: list[bytes], inputs: list[TensorType], output: TensorType) -> Iterator[Named]:
    kind = dtype_name(output.fmt)
    if kind == "s1":
        words = np.frombuffer(raw[0], "<u4").reshape((*output.shape[:-1], -1))
        yield "value", signs(unpack_words(words, output.shape[-1]))
        return
    yield "value", np.frombuffer(raw[0], DTYPE_CODES[kind]).reshape(output.shape)


_READERS: dict[str, Callable[[NodeView, list[bytes], list[TensorType], TensorType], Iterator[Named]]] = {
    "conv": _conv,
    "conv_bitsliced": _conv,
    "depthwise": _conv,
    "convz": _conv,
    "depthwisez": _conv,
    "affine": _affine,
    "lut": _lut,
    "lut_channels": _lut,
    "reduce": _reduce,
    "gather": _gather,
    "bilinear": _bilinear,
    "constant": _constant,
    "prelu": _floats("alpha"),
    "layernorm": _floats("gamma", "beta", "epsilon"),
    "binary": _binary,
    "avgpool": _floats("inverse_scale"),
}


# --- the ONNX model ---------------------------------------------------------------------------------------------------


def onnx_model(model: ModelView) -> Any:
    """A checked onnx.ModelProto."""
    onnx = _import()
    names = _tensor_names(model)
    nodes, initializers = [], []
    for index, node in enumerate(model.nodes):
        constants = [(f"{index}.{name}", array) for name, array in constants_of(model, node)]
        initializers += [onnx.numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in constants]
        nodes.append(
            onnx.helper.make_node(
                node.kernel,
                [*(names[t] for t in node.inputs), *(name for name, _ in constants)],
                [names[node.output]],
                name=f"{index} {', '.join(node.layers) or node.kernel}",
                doc_string=_describe(model, node),
                domain=DOMAIN,
                **_attributes(node),
            )
        )
    ports = {port.tensor for port in (*model.inputs, *model.outputs)}
    graph = onnx.helper.make_graph(
        nodes,
        model.name or "model",
        [_value(onnx, model, names, port.tensor) for port in model.inputs],
        [_value(onnx, model, names, port.tensor) for port in model.outputs],
        initializers,
        value_info=[_value(onnx, model, names, t) for t in range(len(model.tensors)) if t not in ports],
    )
    opsets = [onnx.helper.make_opsetid(DOMAIN, DOMAIN_VERSION), onnx.helper.make_opsetid("", OPSET)]
    proto = onnx.helper.make_model(
        graph, producer_name=model.producer or "dqnn", opset_imports=opsets, ir_version=IR_VERSION
    )
    proto.doc_string = f"{model.file_bytes} bytes of file, arena {model.prefix.arena_bytes} bytes"
    onnx.checker.check_model(proto)
    return proto


def onnx_bytes(model: ModelView) -> bytes:
    """The same, serialised."""
    content: bytes = onnx_model(model).SerializeToString()
    return content


def _import() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise OnnxMissingError("the onnx package is not installed: pip install 'dqnn[onnx]'") from error
    return onnx


def _tensor_names(model: ModelView) -> list[str]:
    """Unique names; ports have those that users know."""
    names = [f"tensor {index}" for index in range(len(model.tensors))]
    for port in (*model.inputs, *model.outputs):
        if port.name and port.name not in names:
            names[port.tensor] = port.name
    return names


def _value(onnx: Any, model: ModelView, names: list[str], index: int) -> Any:
    tensor = model.tensors[index]
    kind = onnx.TensorProto.FLOAT if isinstance(tensor.type.fmt, F32) else onnx.TensorProto.INT8
    text = f"{tensor.type}, {tensor.type.nbytes} bytes at {tensor.offset} of the arena"
    if isinstance(tensor.type.fmt, S8):
        text += f"; real = {tensor.type.fmt.scale:g} * (stored - {tensor.type.fmt.zero_point})"
    return onnx.helper.make_tensor_value_info(names[index], kind, [BATCH, *tensor.type.shape], doc_string=text)


def _describe(model: ModelView, node: NodeView) -> str:
    inputs = ", ".join(str(model.tensors[t].type) for t in node.inputs)
    return (
        f"{node.kernel}: {inputs} -> {model.tensors[node.output].type}; "
        f"{model.constant_bytes(node)} bytes of constants, {node.scratch_bytes} bytes of scratch"
    )


def _attributes(node: NodeView) -> dict[str, Any]:
    """Layers, and the parameters that are not reserved; kinds by name."""
    found: dict[str, Any] = {"layers": list(node.layers)} if node.layers else {}
    if node.params is None:
        return found
    for name, value in asdict(node.params).items():
        if name.startswith("reserved"):
            continue
        found[name] = list(value) if isinstance(value, tuple) else value
    if isinstance(node.params, UnaryParams):
        found["kind"] = UNARY_KINDS[node.params.kind]
    elif isinstance(node.params, BinaryParams | FixedBinaryParams | ReduceParams):
        found["kind"] = BINARY_KINDS[node.params.kind]
    return found
