"""Files of onnxruntime.quantization in all its options: every code of every layer is onnxruntime's without
optimizations. The networks are small, the quantizer is the real one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from frontends.onnx.compare import check_layers, check_outputs
from frontends.onnx.onnx_models import Model, saved
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from dqnn.exporter.api import export
from dqnn.exporter.errors import ExportError

SHAPE = (3, 16, 12)
Build = Callable[[Model], str]
QDQ, QOPERATOR = QuantFormat.QDQ, QuantFormat.QOperator
U8, S8 = QuantType.QUInt8, QuantType.QInt8


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Random samples to calibrate with."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        samples = np.random.default_rng(5).standard_normal((8, 1, *shape)).astype(np.float32)
        self.rest: Iterator[Any] = iter([{"x": x} for x in samples])

    def get_next(self) -> Any:
        return next(self.rest, None)


def positive(m: Model, count: int) -> str:
    return m.constant(np.abs(m.rng.standard_normal(count)).astype(np.float32) + np.float32(0.5))


def network(m: Model) -> str:
    """What the field's networks are made of."""
    x = m.node("Relu", [m.node("Conv", [m.x, m.floats(8, 3, 3, 3), m.floats(8)], pads=[1, 1, 1, 1])])
    deep = m.node("Conv", [x, m.floats(8, 1, 3, 3), m.floats(8)], group=8, pads=[1, 1, 1, 1], strides=[2, 2])
    deep = m.node("Clip", [deep, m.constant(np.float32(0)), m.constant(np.float32(6))])
    added = m.node("Add", [m.node("Conv", [deep, m.floats(8, 8, 1, 1)]), deep])
    pooled = m.node("MaxPool", [m.node("Concat", [added, deep], axis=1)], kernel_shape=[2, 2], strides=[2, 2])
    norm = m.node("BatchNormalization", [pooled, m.floats(16), m.floats(16), m.floats(16), positive(m, 16)])
    leaky = m.node("LeakyRelu", [norm], alpha=0.1)
    gated = m.node("Mul", [leaky, m.node("Sigmoid", [leaky])])
    flat = m.node("Flatten", [m.node("GlobalAveragePool", [gated])])
    y = m.node("Gemm", [flat, m.floats(16, 10), m.floats(10)])
    z = m.node("Add", [m.node("MatMul", [y, m.floats(10, 5)]), m.floats(5)])
    return m.node("Softmax", [z])


def quantized(
    build: Build, folder: Path, *, shape: tuple[int, ...] = SHAPE, opset: int = 13, prepared: bool = False,
    options: dict[str, Any] | None = None, **settings: Any,
) -> Path:  # fmt: skip
    """A model through the quantizer."""
    logging.disable(logging.WARNING)
    model = Model(shape, opset)
    source = saved(model.proto(build(model)), folder / "float.onnx")
    if prepared:
        quant_pre_process(str(source), str(folder / "prepared.onnx"), skip_symbolic_shape=True)
        source = folder / "prepared.onnx"
    path = folder / "model.onnx"
    quantize_static(str(source), str(path), Reader(shape), extra_options=options or {}, **settings)
    return path


def check(path: Path, shape: tuple[int, ...] = SHAPE, slack: float = 1e-5) -> int:
    """Every layer and every output; how many codes were compared."""
    x = np.random.default_rng(9).standard_normal((16, *shape)).astype(np.float32)
    found = check_layers(path, onnx.load(path), x)
    check_outputs(path, x, slack=slack)
    return found.codes


@pytest.mark.parametrize("prepared", [False, True], ids=["as-is", "prepared"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("types", [(U8, S8), (U8, U8), (S8, S8)], ids=["u8s8", "u8u8", "s8s8"])
@pytest.mark.parametrize("form", [QDQ, QOPERATOR], ids=["qdq", "qoperator"])
def test_formats(form: Any, types: Any, per_channel: bool, prepared: bool, tmp_path: Path) -> None:
    path = quantized(
        network, tmp_path, quant_format=form, activation_type=types[0], weight_type=types[1], per_channel=per_channel,
        prepared=prepared,
    )  # fmt: skip
    assert check(path) > 30_000


OPTIONS: dict[str, dict[str, Any]] = {
    "reduce-range": {"reduce_range": True},
    "activation-symmetric": {"options": {"ActivationSymmetric": True}},
    "weight-asymmetric": {"options": {"WeightSymmetric": False}},
    "weight-asymmetric-channels": {"options": {"WeightSymmetric": False}, "per_channel": True},
    "qdq-pair-to-weight": {"options": {"AddQDQPairToWeight": True}},
    "dedicated-pairs": {"options": {"DedicatedQDQPair": True}},
    "bias-float": {"options": {"QuantizeBias": False}},
    "forced": {"options": {"ForceQuantizeNoInputCheck": True}},
    "percentile": {"options": {"CalibMovingAverage": True}},
    "some-types": {"op_types_to_quantize": ["Conv", "Gemm"]},
    "some-nodes-left-out": {"nodes_to_exclude": ["Conv_2", "Add_5"]},
}


@pytest.mark.parametrize("form", [QDQ, QOPERATOR], ids=["qdq", "qoperator"])
@pytest.mark.parametrize("name", OPTIONS)
def test_options(name: str, form: Any, tmp_path: Path) -> None:
    settings = {"activation_type": S8, "weight_type": S8, **OPTIONS[name]}
    check(quantized(network, tmp_path, quant_format=form, **settings), slack=0.02)


@pytest.mark.parametrize("opset", [11, 12, 14, 15, 17, 18, 20, 21])
@pytest.mark.parametrize("form", [QDQ, QOPERATOR], ids=["qdq", "qoperator"])
def test_opsets(form: Any, opset: int, tmp_path: Path) -> None:
    def build(m: Model) -> str:
        return network(m) if opset != 12 else small(m)

    check(quantized(build, tmp_path, opset=opset, quant_format=form, activation_type=U8, weight_type=S8))


def small(m: Model) -> str:
    x = m.node("Relu", [m.node("Conv", [m.x, m.floats(4, 3, 3, 3), m.floats(4)], pads=[1, 1, 1, 1])])
    return m.node("Gemm", [m.node("Flatten", [x]), m.floats(768, 5), m.floats(5)])


def conv(m: Model, x: str = "", channels: int = 3) -> str:
    return m.node("Conv", [x or m.x, m.floats(4, channels, 3, 3), m.floats(4)], pads=[1, 1, 1, 1])


def behind_conv(op: str, *constants: Any, **attributes: Any) -> Build:
    return lambda m: m.node(op, [conv(m), *(m.constant(c) for c in constants)], **attributes)


def of_two(op: str, **attributes: Any) -> Build:
    return lambda m: m.node(op, [conv(m), conv(m)], **attributes)


def transposed(m: Model) -> str:
    return m.node("ConvTranspose", [conv(m), m.floats(4, 3, 2, 2), m.floats(3)], strides=[2, 2])


def per_channel_prelu(m: Model) -> str:
    return m.node("PRelu", [conv(m), m.floats(4, 1, 1)])


def splits(m: Model) -> str:
    x = m.node("Split", [conv(m)], results=2, axis=1)
    return m.node("Add", [x, f"{x}_1"])


def i(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


def f(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


OPERATORS: dict[str, tuple[Build, tuple[str, ...]]] = {
    "add": (of_two("Add"), ()),
    "sub": (of_two("Sub"), ("Sub",)),
    "mul": (of_two("Mul"), ()),
    "max": (of_two("Max"), ("Max",)),
    "min": (of_two("Min"), ("Min",)),
    "concat": (of_two("Concat", axis=1), ()),
    "concat-rows": (of_two("Concat", axis=2), ()),
    "split": (splits, ()),
    "add-constant": (behind_conv("Add", f(0.5, -1, 2, 0).reshape(4, 1, 1)), ()),
    "mul-constant": (behind_conv("Mul", f(0.7)), ()),
    "average-pool": (behind_conv("AveragePool", kernel_shape=[2, 2], strides=[2, 2]), ("AveragePool",)),
    "average-pool-odd": (behind_conv("AveragePool", kernel_shape=[3, 2], strides=[1, 2]), ("AveragePool",)),
    "average-pool-padded": (
        behind_conv("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), ("AveragePool",),
    ),
    "max-pool": (behind_conv("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), ()),
    "global-average": (behind_conv("GlobalAveragePool"), ()),
    "mean": (behind_conv("ReduceMean", axes=[2, 3]), ("ReduceMean",)),
    "mean-of-channels": (behind_conv("ReduceMean", axes=[1]), ("ReduceMean",)),
    "sigmoid": (behind_conv("Sigmoid"), ()),
    "tanh": (behind_conv("Tanh"), ("Tanh",)),
    "hard-sigmoid": (behind_conv("HardSigmoid"), ("HardSigmoid",)),
    "leaky-relu": (behind_conv("LeakyRelu", alpha=0.2), ()),
    "elu": (behind_conv("Elu"), ("Elu",)),
    "prelu": (per_channel_prelu, ("PRelu",)),
    "clip": (behind_conv("Clip", np.float32(-0.5), np.float32(1)), ()),
    "softmax": (behind_conv("Softmax", axis=1), ()),
    "resize": (behind_conv("Resize", f(), f(1, 1, 2, 2), mode="nearest"), ()),
    "pad": (behind_conv("Pad", i(0, 0, 1, 1, 0, 0, 1, 1)), ("Pad",)),
    "transpose": (behind_conv("Transpose", perm=[0, 2, 3, 1]), ()),
    "reshape": (behind_conv("Reshape", i(0, -1)), ()),
    "squeeze": (lambda m: m.node("Squeeze", [behind_conv("GlobalAveragePool")(m), m.constant(i(2, 3))]), ()),
    "conv-transpose": (transposed, ("ConvTranspose",)),
    "gemm": (small, ()),
}  # fmt: skip


@pytest.mark.parametrize("types", [(U8, S8), (S8, S8), (U8, U8)], ids=["u8s8", "s8s8", "u8u8"])
@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str, types: Any, tmp_path: Path) -> None:
    build, more = OPERATORS[name]
    kinds = ["Conv", "Gemm", "Add", "Mul", "Concat", "Split", "MaxPool", "GlobalAveragePool", "Sigmoid", "LeakyRelu"]
    kinds += ["Clip", "Softmax", "Resize", "Transpose", "Reshape", "Squeeze", "Relu", *more]
    path = quantized(
        build, tmp_path, quant_format=QDQ, activation_type=types[0], weight_type=types[1], op_types_to_quantize=kinds,
        per_channel=types[1] is S8,
    )  # fmt: skip
    x = np.random.default_rng(9).standard_normal((8, *SHAPE)).astype(np.float32)
    # The quantizer gives a pool its input's scale: a mean of four codes is a tie in one case of four, and the noise of
    # onnxruntime's float sums decides it.
    check_layers(path, onnx.load(path), x, most=0.1 if "average-pool" in name else 1e-4)
    check_outputs(path, x, slack=0.02)


def test_sixteen_bits_are_refused_by_name(tmp_path: Path) -> None:
    path = quantized(small, tmp_path, opset=21, quant_format=QDQ, activation_type=QuantType.QUInt16, weight_type=S8)
    with pytest.raises(ExportError, match="an activation quantized to uint16; accepted: uint8 and int8"):
        export(path)


def test_dynamic_quantization_is_refused_by_name(tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    logging.disable(logging.WARNING)
    model = Model((10,))
    source = saved(model.proto(model.node("MatMul", [model.x, model.floats(10, 4)])), tmp_path / "float.onnx")
    quantize_dynamic(str(source), str(tmp_path / "model.onnx"))
    with pytest.raises(ExportError, match=r"DynamicQuantizeLinear is not supported\. Quantize it statically"):
        export(tmp_path / "model.onnx")
