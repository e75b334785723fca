"""Weights of ONNX's int4 and uint4 (opset 21): read and computed as onnxruntime does, packed where that is asked for.
What else the format can do with 4 bits is refused by name, or falls back to floats by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from frontends.onnx.compare import check_layers, check_outputs
from frontends.onnx.onnx_models import MICROSOFT, Model, saved
from frontends.onnx.test_quantizer import QDQ, U8, network, quantized
from onnx import TensorProto, external_data_helper, helper
from onnxruntime.quantization import QuantType

from dqnn import Interpreter
from dqnn.exporter.api import export
from dqnn.exporter.errors import ExportError
from dqnn.exporter.frontends import load

MAP, SEQUENCE, VECTOR = (8, 9, 7), (8, 12), (24,)
Layer = Callable[[Model, str, "Weights"], str]


class Weights:
    """Codes of 4 bits as a model draws them: int4, or uint4 with a zero point."""

    def __init__(self, m: Model, signed: bool = True, zero: int | None = None, channels: bool = True, raw: bool = True):
        self.m, self.signed, self.zero, self.channels, self.raw = m, signed, zero, channels, raw

    def __call__(self, *shape: int, axis: int = 0) -> str:
        low = -8 if self.signed else 0
        codes = self.m.rng.integers(low, low + 16, shape)
        codes.reshape(-1)[:2] = low, low + 15
        return self.of(codes, axis)

    def of(self, codes: Any, axis: int) -> str:
        count = codes.shape[axis]
        steps = self.m.rng.uniform(0.02, 0.1, count if self.channels else None)
        inputs = [self.m.nibbles(codes, self.signed, self.raw), self.m.constant(np.asarray(steps, np.float32))]
        if self.zero is not None:
            inputs.append(self.m.nibbles(np.full(np.shape(steps), self.zero), self.signed, self.raw))
        return self.m.node("DequantizeLinear", inputs, axis=axis if self.channels else 1)


def conv(m: Model, x: str, w: Weights) -> str:
    return m.node("Conv", [x, w(6, 8, 3, 3), m.floats(6)], pads=[1, 1, 1, 1])


def grouped(m: Model, x: str, w: Weights) -> str:
    return m.node("Conv", [x, w(6, 4, 3, 3)], group=2, strides=[2, 1])


def depthwise(m: Model, x: str, w: Weights) -> str:
    return m.node("Conv", [x, w(16, 1, 3, 3), m.floats(16)], group=8)


def transposed(m: Model, x: str, w: Weights) -> str:
    return m.node("ConvTranspose", [x, w(8, 5, 3, 2, axis=1)], strides=[2, 2])


def sequence(m: Model, x: str, w: Weights) -> str:
    return m.node("Conv", [x, w(5, 8, 3)], pads=[1, 1])


def gemm(m: Model, x: str, w: Weights) -> str:
    return m.node("Gemm", [x, w(24, 5, axis=1), m.floats(5)], alpha=0.5)


def gemm_turned(m: Model, x: str, w: Weights) -> str:
    return m.node("Gemm", [x, w(5, 24), m.floats(5)], transB=1)


def matmul(m: Model, x: str, w: Weights) -> str:
    return m.node("MatMul", [x, w(24, 7, axis=1)])


def turned(m: Model, x: str, w: Weights) -> str:
    """The weights through a Transpose, as exporters of PyTorch's Linear write them."""
    return m.node("MatMul", [x, m.node("Transpose", [w(7, 24)], perm=[1, 0])])


LAYERS: dict[str, tuple[tuple[int, ...], Layer, int]] = {
    "conv": (MAP, conv, 4),
    "grouped": (MAP, grouped, 4),
    "depthwise": (MAP, depthwise, 4),
    "transposed": (MAP, transposed, 4),
    "sequence": (SEQUENCE, sequence, 4),
    "gemm": (VECTOR, gemm, 4),
    "gemm-turned": (VECTOR, gemm_turned, 4),
    "matmul": (VECTOR, matmul, 4),
    "matmul-turned": (VECTOR, turned, 4),
}
FORMS: dict[str, dict[str, Any]] = {
    "int4": {},
    "int4-tensor": {"channels": False},
    "int4-listed": {"raw": False, "zero": 0},
    "uint4-middle": {"signed": False, "zero": 8},
    "uint4-middle-tensor": {"signed": False, "zero": 8, "channels": False, "raw": False},
    "uint4-asymmetric": {"signed": False, "zero": 5},
    "uint4-no-zero-point": {"signed": False},
    "int4-asymmetric": {"zero": -3},
}


def built(name: str, form: dict[str, Any], *, float_input: bool = False) -> tuple[Model, str]:
    """A layer between quantizers."""
    shape, layer, _ = LAYERS[name]
    m = Model(shape, opset=21)
    x = m.x if float_input else m.quantized(m.x, 0.0517, np.uint8(119))
    return m, m.quantized(layer(m, x, Weights(m, **form)), 0.3713, np.int8(-7))


def sample(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(6).standard_normal((9, *shape)).astype(np.float32) * 2


def bits(result: Any) -> list[int]:
    """Of the weights of each kernel that has some."""
    nodes = [node for node in result.report.model.nodes if hasattr(node.params, "weight_bits")]
    return [node.params.weight_bits or 8 for node in nodes]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str, form: str, tmp_path: Path) -> None:
    """onnxruntime's codes, by the interpreter, packed or not."""
    m, out = built(name, FORMS[form])
    proto = m.proto(out)
    path = saved(proto, tmp_path / "model.onnx")
    x = sample(LAYERS[name][0])
    assert check_layers(path, proto, x).codes > 100 or name == "transposed"
    plain = check_outputs(path, x)
    packed = export(path, pack_weights=True)
    assert not packed.report.fallbacks
    np.testing.assert_array_equal(Interpreter(packed.blob).predict(x), Interpreter(plain.blob).predict(x))
    fits = "asymmetric" not in form and "no-zero" not in form
    assert bits(plain) == [8]
    assert bits(packed) == [LAYERS[name][2] if fits else 8]


@pytest.mark.parametrize("name", ["conv", "depthwise", "gemm"])
def test_middle_of_uint4_is_int4(name: str, tmp_path: Path) -> None:
    """uint4 with the zero point 8 is the same numbers: the same file comes out."""
    files = []
    for signed in (True, False):
        m, out = built(name, {"signed": signed, "zero": 0 if signed else 8})
        files.append(export(saved(m.proto(out), tmp_path / "model.onnx"), pack_weights=True).blob)
    assert files[0] == files[1]


@pytest.mark.parametrize("name", ["conv", "gemm"])
def test_float_activations(name: str, tmp_path: Path) -> None:
    m, out = built(name, {}, float_input=True)
    check_outputs(saved(m.proto(out), tmp_path / "model.onnx"), sample(LAYERS[name][0]), slack=0.02)


@pytest.mark.parametrize("kind", ["int4", "uint4", "named"])
def test_quantized_in_the_graph(kind: str, tmp_path: Path) -> None:
    """Float weights through a QuantizeLinear: the range is that of 4 bits."""
    m = Model(MAP, opset=21)
    scale = m.constant(np.float32(0.0913))
    zero = [] if kind == "named" else [m.nibbles(1 if kind == "int4" else 8, kind == "int4")]
    extra = {"output_dtype": TensorProto.INT4} if kind == "named" else {}
    codes = m.node("QuantizeLinear", [m.floats(6, 8, 3, 3), scale, *zero], **extra)
    w = m.node("DequantizeLinear", [codes, scale, *zero])
    path = saved(m.proto(m.node("Conv", [m.quantized(m.x, 0.0517, np.uint8(119)), w])), tmp_path / "model.onnx")
    check_outputs(path, sample(MAP))
    assert bits(export(path, pack_weights=True)) == [8 if kind == "int4" else 4]


def test_other_integers_in_the_graph(tmp_path: Path) -> None:
    m = Model(MAP, opset=21)
    scale = m.constant(np.float32(0.0013))
    codes = m.node("QuantizeLinear", [m.floats(6, 8, 3, 3), scale], output_dtype=TensorProto.INT16)
    out = m.node("Conv", [m.x, m.node("DequantizeLinear", [codes, scale])])
    check_outputs(saved(m.proto(out), tmp_path / "model.onnx"), sample(MAP))


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("kind", [QuantType.QInt4, QuantType.QUInt4], ids=["int4", "uint4"])
def test_files_of_the_quantizer(kind: Any, per_channel: bool, tmp_path: Path) -> None:
    path = quantized(
        network, tmp_path, opset=21, quant_format=QDQ, activation_type=U8, weight_type=kind, per_channel=per_channel
    )
    x = sample((3, 16, 12))
    assert check_layers(path, onnx.load(path), x).codes > 10_000
    plain, packed = check_outputs(path, x), export(path, pack_weights=True)
    assert len(packed.blob) < len(plain.blob) or (kind == QuantType.QUInt4 and not per_channel)
    np.testing.assert_array_equal(Interpreter(packed.blob).predict(x), Interpreter(plain.blob).predict(x))


def test_constant_node_and_data_beside_the_model(tmp_path: Path) -> None:
    """An odd count of weights, in a node and in another file."""
    m = Model((3, 5), opset=21, batch=1)
    m.inputs[0].type.tensor_type.shape.dim[0].dim_param = "N"
    codes = m.rng.integers(-8, 8, (5, 3, 3))
    tensor = helper.make_tensor("", TensorProto.INT4, codes.shape, codes.reshape(-1).tolist())
    scale = m.constant(np.float32(0.0913))
    w = m.node("DequantizeLinear", [m.node("Constant", [], value=tensor), scale])
    y = m.node("Conv", [m.quantized(m.x, 0.05, np.uint8(119)), w])
    second = m.node("DequantizeLinear", [m.nibbles(m.rng.integers(-8, 8, (7, 5, 3)), True), scale])
    out = m.node("Conv", [m.quantized(y, 0.0731, np.uint8(119)), second])
    path = tmp_path / "model.onnx"
    proto = m.proto(out)
    external_data_helper.convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)
    onnx.save(proto, path)
    assert (tmp_path / "weights.bin").stat().st_size >= 7 * 5 * 3 // 2
    check_outputs(path, sample((3, 5)))


# --- blocks -----------------------------------------------------------------------------------------------------------


def in_blocks(block: int, scales: tuple[int, int]) -> tuple[Model, str]:
    m = Model(VECTOR, opset=21)
    steps = m.constant(m.rng.uniform(0.02, 0.1, scales).astype(np.float32))
    codes = m.nibbles(m.rng.integers(-8, 8, (24, 8)), True)
    w = m.node("DequantizeLinear", [codes, steps], axis=0, block_size=block)
    return m, m.quantized(m.node("MatMul", [m.quantized(m.x, 0.0517, np.uint8(119)), w]), 0.3713, np.int8(-7))


def test_blocks_of_a_sum_are_floats_by_name(tmp_path: Path) -> None:
    m, out = in_blocks(16, (2, 8))
    path = saved(m.proto(out), tmp_path / "model.onnx")
    (fallback,) = check_outputs(path, sample(VECTOR)).report.fallbacks
    assert "int4 codes in blocks of 16 varies along the inputs of a sum" in fallback.reason
    with pytest.raises(ExportError, match="blocks of 16"):
        export(path, strict=True)


def test_a_block_as_long_as_the_sum(tmp_path: Path) -> None:
    m, out = in_blocks(24, (1, 8))
    path = saved(m.proto(out), tmp_path / "model.onnx")
    check_outputs(path, sample(VECTOR))
    assert bits(export(path, pack_weights=True, strict=True)) == [4]


# --- refused by name --------------------------------------------------------------------------------------------------


def activations(kind: str) -> Callable[[], tuple[Model, str]]:
    def build() -> tuple[Model, str]:
        m = Model(VECTOR, opset=21)
        s = m.constant(np.float32(0.3))
        zero = [] if kind == "named" else [m.nibbles(0, kind == "int4")]
        extra = {"output_dtype": TensorProto.INT4} if kind == "named" else {}
        return m, m.node("DequantizeLinear", [m.node("QuantizeLinear", [m.x, s, *zero], **extra), s, *zero])

    return build


def four_bit_input() -> tuple[Model, str]:
    m = Model(VECTOR, opset=21)
    m.inputs[0].type.tensor_type.elem_type = TensorProto.INT4
    return m, m.node("DequantizeLinear", [m.x, m.constant(np.float32(0.1))])


def matmul_nbits() -> tuple[Model, str]:
    m = Model(VECTOR, opset=21)
    parts = [m.constant(np.zeros((8, 2, 8), np.uint8)), m.floats(16)]
    return m, m.node("MatMulNBits", [m.x, *parts], MICROSOFT, K=24, N=8, bits=4, block_size=16)


def computed() -> tuple[Model, str]:
    m = Model(VECTOR, opset=21)
    a = m.nibbles(np.ones((1, 24)), True)
    return m, m.node("Add", [m.x, m.node("Add", [a, a])])


def short() -> tuple[Model, str]:
    m, out = built("gemm", {})
    tensor = next(t for t in m.initializers if t.data_type == TensorProto.INT4)
    tensor.raw_data = tensor.raw_data[:-1]
    return m, out


EIGHT = "accepted: uint8 and int8. Quantize activations to 8 bits; weights may have 4"
REFUSED = {
    "int4 activations": (activations("int4"), f"QuantizeLinear_0: an activation quantized to int4; {EIGHT}"),
    "uint4 activations": (activations("uint4"), f"QuantizeLinear_0: an activation quantized to uint4; {EIGHT}"),
    "named activations": (activations("named"), f"QuantizeLinear_0: an activation quantized to int4; {EIGHT}"),
    "input": (four_bit_input, "x: is int4; accepted: float, uint8 and int8"),
    "MatMulNBits": (matmul_nbits, "MatMulNBits_0: com.microsoft.MatMulNBits is not supported. Its weights have"),
    "computed": (computed, "Add_0: computes with numbers of 4 bits"),
    "short": (short, "59 bytes of data for shape (24, 5), which takes 60"),
    "scales of blocks": (lambda: in_blocks(16, (5, 8)), "(5, 8) for blocks of 16 along axis 0; accepted: shape"),
    "blocks of nothing": (lambda: in_blocks(-4, (2, 8)), "for blocks of -4 along axis 0; accepted: blocks of 1"),
    "one giant block": (lambda: in_blocks(2**40, (2, 8)), "blocks of 1099511627776 along axis 0; accepted: shape (1"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what: str, tmp_path: Path) -> None:
    build, said = REFUSED[what]
    m, out = build()
    with pytest.raises(ExportError) as caught:
        load(saved(m.proto(out), tmp_path / "model.onnx"))
    assert said in str(caught.value)
