"""QONNX and QCDQ as Brevitas writes them, 1 to 8 bits. The oracle is onnxruntime on the same file with each Quant
spelled out in standard operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from frontends.onnx import onnx_models
from frontends.onnx.onnx_models import QONNX, Model, saved
from onnx import helper, numpy_helper

from dqnn import Interpreter
from dqnn.exporter.api import export
from dqnn.exporter.errors import ExportError
from dqnn.exporter.format import ConvParams
from dqnn.exporter.frontends import load
from dqnn.exporter.ir import ops

SHAPE = (3, 12, 10)
ROUNDINGS = {"ROUND": "Round", "FLOOR": "Floor", "CEIL": "Ceil"}


def spelled_out(proto: Any) -> Any:
    """A copy in which Quant and BipolarQuant are standard operators."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    nodes = []
    for node in proto.graph.node:
        steps = {"Quant": _quant, "BipolarQuant": _bipolar}.get(node.op_type)
        nodes += [node] if steps is None else steps(copy.graph, node, constants)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _chain(node: Any, steps: list[tuple[str, list[str]]]) -> list[Any]:
    value, made = node.input[0], []
    for at, (op, rest) in enumerate(steps):
        out = node.output[0] if at == len(steps) - 1 else f"{node.output[0]}.{at}"
        made.append(helper.make_node(op, [value, *rest], [out]))
        value = out
    return made


def _added(graph: Any, name: str, value: float) -> str:
    graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    return name


def _quant(graph: Any, node: Any, constants: dict[str, Any]) -> list[Any]:
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    bits = int(constants[node.input[3]])
    signed, narrow = settings["signed"], settings["narrow"]
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    name = node.output[0]
    ends = [_added(graph, f"{name}.low", low), _added(graph, f"{name}.high", high)]
    scale, zero = node.input[1], node.input[2]
    rounding = ROUNDINGS[settings["rounding_mode"].decode()]
    return _chain(
        node, [("Div", [scale]), ("Add", [zero]), (rounding, []), ("Clip", ends), ("Sub", [zero]), ("Mul", [scale])]
    )


def _bipolar(graph: Any, node: Any, constants: dict[str, Any]) -> list[Any]:
    x, scale, name = node.input[0], node.input[1], node.output[0]
    zero = _added(graph, f"{name}.zero", 0)
    return [
        helper.make_node("Neg", [scale], [f"{name}.minus"]),
        helper.make_node("GreaterOrEqual", [x, zero], [f"{name}.sign"]),
        helper.make_node("Where", [f"{name}.sign", scale, f"{name}.minus"], [name]),
    ]


def quant(
    m: Model,
    x: str,
    scale: Any,
    bits: int,
    *,
    signed: int = 1,
    narrow: int = 0,
    zero: float = 0,
    rounding: str = "ROUND",
) -> str:
    inputs = [x, m.constant(np.asarray(scale, np.float32)), m.constant(np.float32(zero)), m.constant(np.float32(bits))]
    return m.node("Quant", inputs, QONNX, signed=signed, narrow=narrow, rounding_mode=rounding)


def bipolar(m: Model, x: str, scale: Any = 1.0) -> str:
    return m.node("BipolarQuant", [x, m.constant(np.asarray(scale, np.float32))], QONNX)


def norm(m: Model, x: str, channels: int) -> str:
    spread = m.constant(np.abs(m.rng.standard_normal(channels)).astype(np.float32) + np.float32(0.3))
    return m.node("BatchNormalization", [x, m.floats(channels), m.floats(channels), m.floats(channels), spread])


def check(m: Model, out: str, tmp_path: Path, slack: float = 1e-4) -> Any:
    """The export of a network, which gives what onnxruntime gives on the spelled-out one."""
    proto = m.proto(out)
    path = saved(proto, tmp_path / "model.onnx")
    x = np.random.default_rng(4).standard_normal((12, *SHAPE)).astype(np.float32)
    wanted = onnx_models.run(spelled_out(proto), x)[0]
    result = export(path)
    found = Interpreter(result.blob).predict(x)
    wrong = np.abs(found - wanted).max(axis=tuple(range(1, wanted.ndim))) > slack * np.abs(wanted).max()
    assert wrong.sum() <= 1, f"{wrong.sum()} of {len(x)} samples differ"  # a tie, or a zero in front of a sign
    return result


def packed_bits(tmp_path: Path) -> list[int]:
    """Of each layer's weights in a packed file (0: 8), which gives what the other one gives."""
    plain, packed = (export(tmp_path / "model.onnx", pack_weights=pack) for pack in (False, True))
    x = np.random.default_rng(5).standard_normal((12, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(*(Interpreter(result.blob).predict(x) for result in (plain, packed)))
    return [node.params.weight_bits for node in packed.report.model.nodes if isinstance(node.params, ConvParams)]


def kernels(result: Any) -> list[str]:
    return [node.row.name for node in result.report.model.nodes]


def layer(m: Model, x: str, weights: str, **attributes: Any) -> str:
    return m.node("Conv", [x, weights], pads=[1, 1, 1, 1], **attributes)


@pytest.mark.parametrize("scales", ["one", "channels"])
def test_binary(scales: str, tmp_path: Path) -> None:
    m = Model(SHAPE, batch=1)
    m.inputs[0].type.tensor_type.shape.dim[0].dim_param = "N"

    def scale(n: int) -> Any:
        return 0.3 if scales == "one" else np.abs(m.rng.standard_normal((n, 1, 1, 1))) + 0.1

    x = bipolar(m, norm(m, layer(m, m.x, bipolar(m, m.floats(8, 3, 3, 3), scale(8))), 8), 0.5)
    x = m.node(
        "MaxPool",
        [norm(m, layer(m, x, bipolar(m, m.floats(32, 8, 3, 3), scale(32))), 32)],
        kernel_shape=[2, 2],
        strides=[2, 2],
    )
    flat = m.node("Flatten", [bipolar(m, x)])
    w = bipolar(m, m.floats(10, 960), 0.2)
    result = check(m, norm(m, m.node("MatMul", [flat, m.node("Transpose", [w], perm=[1, 0])]), 10), tmp_path)
    assert [name for name in kernels(result) if "conv" in name] == [
        "conv_f32_s1_s1",
        "conv_s1_s1_s1",
        "convh_s1_s1_f32",
    ]
    assert not result.report.fallbacks


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_few_bits(bits: int, tmp_path: Path) -> None:
    """Weights per channel, activations behind a ReLU, an input quantizer."""
    m = Model(SHAPE)
    x = quant(m, m.x, 2.0 ** -(bits - 2), bits)
    w = quant(m, m.floats(8, 3, 3, 3), np.abs(m.rng.standard_normal((8, 1, 1, 1))) * 0.1 + 0.02, bits, narrow=1)
    y = m.node("Relu", [norm(m, layer(m, x, w), 8)])
    y = quant(m, y, 0.1137, bits, signed=0)
    w = quant(m, m.floats(8, 1, 3, 3), 0.0719, bits, narrow=1)
    y = quant(m, layer(m, y, w, group=8), 0.2113, bits)
    flat = m.node("Reshape", [m.node("GlobalAveragePool", [y]), m.constant(np.array([0, -1], np.int64))])
    out = m.node("Gemm", [flat, quant(m, m.floats(5, 8), 0.05, bits, narrow=1), m.floats(5)], transB=1)
    result = check(m, out, tmp_path)
    names = [name for name in kernels(result) if "conv" in name or "depthwise" in name]
    assert names[:2] == ["conv_s8_s8_s8", "depthwise_s8_s8_s8"]
    assert not result.report.fallbacks


@pytest.mark.parametrize("scales", ["one", "channels"])
@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_few_bits_packed(bits: int, scales: str, tmp_path: Path) -> None:
    """A layer of 3 channels keeps 8 bits; those of 8 channels have as many as they need."""
    m = Model(SHAPE)
    step = 0.1317 if scales == "one" else np.abs(m.rng.standard_normal((8, 1, 1, 1))) * 0.1 + 0.0213
    y = quant(m, layer(m, quant(m, m.x, 0.0311, 8), quant(m, m.floats(8, 3, 3, 3), 0.0719, 8)), 0.1137, 8)
    y = m.node("Relu", [norm(m, layer(m, y, quant(m, m.floats(8, 8, 3, 3), step, bits, narrow=1)), 8)])
    y = quant(m, y, 0.2113, 8, signed=0)
    w = quant(m, m.floats(5, 8, 1, 1), 0.0719, bits, narrow=1)
    result = check(m, quant(m, m.node("Conv", [y, w]), 0.1713, 8), tmp_path)
    assert not result.report.fallbacks
    few = {2: 2, 3: 4, 4: 4}.get(bits, 0)
    assert packed_bits(tmp_path) == [0, few, few]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_weights_of_any_rounding(rounding: str, tmp_path: Path) -> None:
    m = Model(SHAPE)
    x = quant(m, m.x, 0.05, 8)
    check(m, layer(m, x, quant(m, m.floats(4, 3, 3, 3), 0.1, 4, rounding=rounding)), tmp_path)


@pytest.mark.parametrize("zero", [0, 3, 8])
def test_zero_points(zero: int, tmp_path: Path) -> None:
    """Added before rounding, unlike ONNX's own."""
    m = Model(SHAPE)
    x = quant(m, m.x, 0.25, 4, signed=0, zero=zero)
    check(m, layer(m, x, quant(m, m.floats(4, 3, 3, 3), 0.1, 4, signed=0, zero=zero)), tmp_path)


def test_more_than_eight_bits_are_floats_by_name(tmp_path: Path) -> None:
    m = Model(SHAPE)
    x = quant(m, m.x, 0.001, 16)
    result = check(m, layer(m, x, quant(m, m.floats(4, 3, 3, 3), 0.001, 12)), tmp_path)
    said = " ".join(f"{d.decision} {d.reason}" for d in result.report.fallbacks)
    assert "Quant of 12 bits" in said and "Quant of 16 bits" in said


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 7, 8])
def test_qcdq(bits: int, unsigned: bool, tmp_path: Path) -> None:
    """QuantizeLinear, Clip, DequantizeLinear."""
    m = Model(SHAPE)
    kind = np.uint8 if unsigned else np.int8
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1)

    def fake(x: str, scale: Any, kind: Any, low: int, high: int) -> str:
        parts = [m.constant(np.asarray(scale, np.float32)), m.constant(np.zeros(np.shape(scale), kind))]
        code = m.node("QuantizeLinear", [x, *parts], axis=0)
        code = m.node("Clip", [code, m.constant(kind(low)), m.constant(kind(high))])
        return m.node("DequantizeLinear", [code, *parts], axis=0)

    x = fake(m.x, 0.11, kind, low, high)
    narrow = -(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1
    w = fake(m.floats(4, 3, 3, 3), np.abs(m.rng.standard_normal(4)) * 0.2 + 0.05, np.int8, *narrow)
    y = m.node("Relu", [m.node("Conv", [x, w, m.floats(4)], pads=[1, 1, 1, 1])])
    y = fake(y, 0.2, np.uint8, 0, 2**bits - 1)
    w = fake(m.floats(5, 4, 1, 1), 0.1317, np.int8, *narrow)
    out = fake(m.node("Conv", [y, w]), 0.3119, np.int8, *narrow)
    result = check(m, out, tmp_path)
    assert "conv_s8_s8_s8" in kernels(result)
    assert packed_bits(tmp_path) == [0, {2: 2, 4: 4}.get(bits, 0)]
    quantizers = [node.op for node in load(tmp_path / "model.onnx").nodes if isinstance(node.op, ops.Quantize)]
    assert quantizers[0].qmax - quantizers[0].qmin == high - low


REFUSED = {
    "one bit": (lambda m: quant(m, m.x, 0.1, 1, narrow=1), "1 bits; accepted: whole bits"),
    "fractions of bits": (lambda m: quant(m, m.x, 0.1, 2.5), "2.5 bits"),  # type: ignore[arg-type]
    "rounding": (lambda m: quant(m, m.x, 0.1, 4, rounding="FLOOR"), "an activation with rounding_mode FLOOR"),
    "unknown rounding": (lambda m: quant(m, m.x, 0.1, 4, rounding="OTHER"), "rounding_mode is OTHER"),
    "scales": (lambda m: quant(m, m.x, np.ones((1, 3, 1, 1)), 4), "an activation with 3 scales; accepted: one scale"),
    "no scale": (lambda m: quant(m, m.x, 0.0, 4), "the scale is 0; accepted: scales above 0"),
    "bipolar scales": (lambda m: bipolar(m, m.x, np.ones((1, 3, 1, 1))), "an activation with 3 scales"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what: str, tmp_path: Path) -> None:
    build, said = REFUSED[what]
    m = Model(SHAPE)
    path = saved(m.proto(m.node("Relu", [build(m)])), tmp_path / "model.onnx")
    with pytest.raises(ExportError, match=said):
        export(path)
