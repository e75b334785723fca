"""Every float operator against onnxruntime: the front end's graph in numpy, and the exported file in C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frontends.onnx.compare import check_outputs
from frontends.onnx.onnx_models import MICROSOFT, Model, saved

from dqnn.exporter.frontends.onnx import registry

MAP, SEQUENCE, VECTOR = (3, 8, 6), (5, 12), (10,)
Build = Callable[[Model], str]


def case(shape: tuple[int, ...], build: Build, opset: int = 13) -> Any:
    return shape, build, opset


def conv(m: Model, *weights: int, bias: bool = True, **attributes: Any) -> str:
    inputs = [m.x, m.floats(*weights)] + ([m.floats(weights[0])] if bias else [])
    return m.node("Conv", inputs, **attributes)


def of(op: str, opset: int = 13, shape: tuple[int, ...] = MAP, **attributes: Any) -> Any:
    """An operator on the input alone."""
    return case(shape, lambda m: m.node(op, [m.x], **attributes), opset)


def ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


def with_constants(op: str, *constants: Any, shape: tuple[int, ...] = MAP, opset: int = 13, **attributes: Any) -> Any:
    """An operator on the input and constants; None: an input that is left out."""

    def build(m: Model) -> str:
        return m.node(op, [m.x, *("" if c is None else m.constant(c) for c in constants)], **attributes)

    return case(shape, build, opset)


def f(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


def transposed_conv(opset: int = 13, **attributes: Any) -> Any:
    return case(MAP, lambda m: m.node("ConvTranspose", [m.x, m.floats(3, 4, 3, 2), m.floats(4)], **attributes), opset)


def resize(factors: Any = None, sizes: Any = None, **attributes: Any) -> Any:
    def build(m: Model) -> str:
        last = [""] if sizes is None else ["", m.constant(ints(*sizes))]
        scales = [m.constant(f(*factors))] if factors is not None else last
        return m.node("Resize", [m.x, "", *scales], **attributes)

    return case(MAP, build)


def norm(m: Model) -> str:
    parts = [m.floats(3), m.floats(3), m.floats(3), m.constant(f(0.5, 1.0, 2.0))]
    return m.node("BatchNormalization", [m.x, *parts], epsilon=1e-3)


def residual(m: Model) -> str:
    a = conv(m, 4, 3, 3, 3, pads=[1, 1, 1, 1])
    b = conv(m, 4, 3, 1, 1)
    return m.node("Relu", [m.node("Add", [a, b])])


def of_two(op: str) -> Build:
    def build(m: Model) -> str:
        return m.node(op, [conv(m, 3, 3, 3, 3, pads=[1, 1, 1, 1]), m.x])

    return build


def split(m: Model, **attributes: Any) -> str:
    m.node("Split", [m.x], results=2, **attributes)
    return m.node("Mul", ["t0", "t0_1"])


def gated(m: Model) -> str:
    """Squeeze and excite."""
    mean = m.node("GlobalAveragePool", [m.x])
    squeezed = m.node("Conv", [mean, m.floats(2, 3, 1, 1)])
    excited = m.node("Conv", [m.node("Relu", [squeezed]), m.floats(3, 2, 1, 1)])
    return m.node("Mul", [m.x, m.node("HardSigmoid", [excited], alpha=1 / 6, beta=0.5)])


def shape_arithmetic(m: Model) -> str:
    """Flatten as PyTorch writes view(x.size(0), -1)."""
    size = m.node("Gather", [m.node("Shape", [m.x]), m.constant(np.int64(0))])
    parts = [m.node("Unsqueeze", [size, m.constant(ints(0))]), m.constant(ints(-1))]
    flat = m.node("Reshape", [m.x, m.node("Concat", parts, axis=0)])
    return m.node("Gemm", [flat, m.floats(7, 144), m.floats(7)], transB=1)


def channels_last(m: Model) -> str:
    """As tf2onnx writes a convolution on channels last."""
    x = m.node("Transpose", [m.x], perm=[0, 3, 1, 2])
    y = m.node("Conv", [x, m.floats(4, 6, 3, 3)], auto_pad="SAME_UPPER", strides=[2, 1])
    return m.node("Transpose", [y], perm=[0, 2, 3, 1])


def shuffle(m: Model) -> str:
    """Channels of two groups in turns."""
    x = conv(m, 4, 3, 1, 1)
    groups = m.node("Reshape", [x, m.constant(ints(0, 2, 2, 8, 6))])
    turned = m.node("Transpose", [groups], perm=[0, 2, 1, 3, 4])
    y = m.node("Reshape", [turned, m.constant(ints(0, 4, 8, 6))])
    return m.node("Conv", [y, m.floats(4, 2, 1, 1)], group=2)


def flat_dense(m: Model) -> str:
    pooled = m.node("MaxPool", [conv(m, 4, 3, 3, 3)], kernel_shape=[2, 2], strides=[2, 2])
    return m.node("Gemm", [m.node("Flatten", [pooled]), m.floats(24, 5), m.floats(5)], alpha=0.5, beta=2.0)


def layer_norm(m: Model) -> str:
    return m.node("LayerNormalization", [m.x, m.floats(12), m.floats(12)], axis=-1, epsilon=1e-3)


def prelu(*shape: int) -> Any:
    return case(MAP, lambda m: m.node("PRelu", [m.x, m.floats(*shape)]))


def joined(m: Model) -> str:
    parts = [m.x, conv(m, 2, 3, 1, 1), m.constant(np.ones((1, 1, 8, 6), np.float32))]
    return m.node("Concat", parts, axis=1)


ASYMMETRIC = {"coordinate_transformation_mode": "asymmetric"}
CASES: dict[str, Any] = {
    "conv": case(MAP, lambda m: conv(m, 4, 3, 3, 3)),
    "conv-padded": case(MAP, lambda m: conv(m, 4, 3, 3, 3, pads=[0, 1, 2, 1], strides=[2, 1])),
    "conv-dilated": case(MAP, lambda m: conv(m, 4, 3, 2, 2, dilations=[2, 3], bias=False)),
    "conv-grouped": case(MAP, lambda m: conv(m, 6, 1, 3, 3, group=3, pads=[1, 1, 1, 1])),
    "conv-two-groups": case((4, 5, 5), lambda m: conv(m, 6, 2, 3, 3, group=2)),
    "conv-same-upper": case(MAP, lambda m: conv(m, 4, 3, 4, 3, auto_pad="SAME_UPPER", strides=[2, 2])),
    "conv-same-lower": case(MAP, lambda m: conv(m, 4, 3, 4, 3, auto_pad="SAME_LOWER", strides=[1, 2])),
    "conv-valid": case(MAP, lambda m: conv(m, 4, 3, 4, 3, auto_pad="VALID")),
    "conv-1d": case(SEQUENCE, lambda m: conv(m, 4, 5, 3, pads=[1, 1], strides=[2])),
    "conv-1d-depthwise": case(SEQUENCE, lambda m: conv(m, 5, 1, 3, group=5)),
    "conv-transpose": transposed_conv(strides=[2, 3]),
    "conv-transpose-pads": transposed_conv(strides=[2, 2], pads=[1, 0, 1, 1], output_padding=[1, 0]),
    "conv-transpose-shape": transposed_conv(strides=[2, 2], output_shape=[16, 12]),
    "conv-transpose-same": transposed_conv(strides=[2, 2], auto_pad="SAME_UPPER"),
    "conv-transpose-dilated": transposed_conv(dilations=[2, 2]),
    "gemm": case(VECTOR, lambda m: m.node("Gemm", [m.x, m.floats(10, 4), m.floats(4)])),
    "gemm-transposed": case(VECTOR, lambda m: m.node("Gemm", [m.x, m.floats(4, 10)], transB=1, alpha=0.3)),
    "gemm-scalar-bias": case(VECTOR, lambda m: m.node("Gemm", [m.x, m.floats(4, 10), m.floats(1)], transB=1, beta=3.0)),
    "matmul": case(SEQUENCE, lambda m: m.node("Add", [m.node("MatMul", [m.x, m.floats(12, 3)]), m.floats(3)])),
    "max-pool": of("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max-pool-padded": of("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "max-pool-ceil": of("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max-pool-same": of("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "max-pool-1d": of("MaxPool", shape=SEQUENCE, kernel_shape=[2], strides=[2]),
    "average-pool": of("AveragePool", kernel_shape=[2, 3], strides=[2, 1]),
    "average-pool-padded": of("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "average-pool-counts-pad": of("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "global-average": of("GlobalAveragePool"),
    "global-average-1d": of("GlobalAveragePool", shape=SEQUENCE),
    "global-max": of("GlobalMaxPool"),
    "mean-spatial": of("ReduceMean", axes=[2, 3], keepdims=0),
    "mean-channels": of("ReduceMean", axes=[1]),
    "mean-all": of("ReduceMean", axes=[1, 2, 3], keepdims=0),
    "mean-opset-18": with_constants("ReduceMean", ints(-1), opset=18, keepdims=0),
    "sum-rows": with_constants("ReduceSum", ints(2), keepdims=1),
    "max-columns": of("ReduceMax", axes=[3], keepdims=0),
    "relu": of("Relu"),
    "clip": with_constants("Clip", np.float32(-0.5), np.float32(0.7)),
    "clip-below": with_constants("Clip", np.float32(-0.5)),
    "clip-above": with_constants("Clip", None, np.float32(0.25)),
    "clip-attributes": of("Clip", opset=10, min=-1.0, max=0.5),
    "leaky-relu": of("LeakyRelu", alpha=0.2),
    "elu": of("Elu", alpha=0.7),
    "selu": of("Selu"),
    "sigmoid": of("Sigmoid"),
    "tanh": of("Tanh"),
    "exp": of("Exp"),
    "softplus": of("Softplus"),
    "softsign": of("Softsign"),
    "abs": of("Abs"),
    "neg": of("Neg"),
    "hard-sigmoid": of("HardSigmoid", alpha=0.3, beta=0.4),
    "hard-swish": of("HardSwish", opset=14),
    "mish": of("Mish", opset=18),
    "gelu": of("Gelu", opset=20),
    "gelu-onnxruntime": of("Gelu", domain=MICROSOFT),
    "identity": of("Identity"),
    "dropout": of("Dropout"),
    "cast": of("Cast", to=1),
    "prelu": prelu(3, 1, 1),
    "prelu-shared": prelu(1),
    "prelu-elements": prelu(3, 8, 6),
    "softmax": of("Softmax", shape=VECTOR),
    "softmax-channels": of("Softmax", axis=1),
    "softmax-opset-11": of("Softmax", opset=11),
    "softmax-opset-11-last": of("Softmax", opset=11, shape=SEQUENCE, axis=2),
    "batch-norm": case(MAP, norm),
    "layer-norm": case(SEQUENCE, layer_norm, 17),
    "add": case(MAP, of_two("Add")),
    "sub": case(MAP, of_two("Sub")),
    "mul": case(MAP, of_two("Mul")),
    "max": case(MAP, of_two("Max")),
    "min": case(MAP, of_two("Min")),
    "sum-of-three": case(MAP, lambda m: m.node("Sum", [m.x, of_two("Add")(m), m.x])),
    "mean-of-two": case(MAP, of_two("Mean")),
    "max-constant": with_constants("Max", f(0.3)),
    "add-scalar": with_constants("Add", f(0.3)),
    "sub-scalar": with_constants("Sub", np.float32(0.3)),
    "scalar-sub": case(MAP, lambda m: m.node("Sub", [m.constant(f(1.5)), m.x])),
    "div-scalar": with_constants("Div", f(0.3)),
    "mul-channels": with_constants("Mul", f(1, -2, 0.5).reshape(3, 1, 1)),
    "channels-sub": case(MAP, lambda m: m.node("Sub", [m.constant(f(1, -2, 0.5).reshape(1, 3, 1, 1)), m.x])),
    "add-columns": with_constants("Add", f(1, 2, 3, 4, 5, 6)),
    "add-elements": case(MAP, lambda m: m.node("Add", [m.x, m.floats(3, 8, 6)])),
    "mul-rows-and-columns": case(MAP, lambda m: m.node("Mul", [m.floats(1, 1, 8, 6), m.x])),
    "pow": with_constants("Pow", f(2)),
    "transpose": of("Transpose", perm=[0, 2, 3, 1]),
    "transpose-rows": of("Transpose", perm=[0, 1, 3, 2]),
    "reshape": with_constants("Reshape", ints(0, -1, 4)),
    "reshape-allowzero": with_constants("Reshape", ints(-1, 144), opset=14, allowzero=1),
    "flatten": of("Flatten"),
    "squeeze": case((3, 1, 6), lambda m: m.node("Squeeze", [m.x, m.constant(ints(2))])),
    "squeeze-opset-11": of("Squeeze", opset=11, shape=(3, 1, 6), axes=[2]),
    "unsqueeze": with_constants("Unsqueeze", ints(2), shape=SEQUENCE),
    "concat": case(MAP, joined),
    "concat-rows": case(MAP, lambda m: m.node("Concat", [m.x, of_two("Add")(m)], axis=2)),
    "split": case((4, 8, 6), lambda m: split(m, axis=1), 13),
    "split-opset-11": case((4, 8, 6), lambda m: split(m, axis=2, split=[4, 4]), 11),
    "slice": with_constants("Slice", ints(1, 0), ints(7, -1), ints(2, 3), ints(2, 1)),
    "slice-reversed": with_constants("Slice", ints(-1), ints(-100), ints(2), ints(-1)),
    "slice-opset-9": of("Slice", opset=9, starts=[1], ends=[3], axes=[2]),
    "gather": with_constants("Gather", ints(2, 0, 0), axis=1),
    "gather-one": with_constants("Gather", np.int64(-1), axis=3),
    "pad": with_constants("Pad", ints(0, 0, 1, 2, 0, 0, 0, 3), np.float32(0.5)),
    "pad-opset-10": of("Pad", opset=10, pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.0),
    "pad-reflect": with_constants("Pad", ints(0, 0, 2, 1, 0, 0, 1, 2), mode="reflect"),
    "pad-edge": with_constants("Pad", ints(0, 0, 2, 1, 0, 0, 1, 2), mode="edge"),
    "pad-axes": with_constants("Pad", ints(1, 2), None, ints(3), opset=18),
    "resize-nearest": resize([1, 1, 2, 3], mode="nearest", nearest_mode="floor", **ASYMMETRIC),
    "resize-half-pixel": resize([1, 1, 1.5, 0.5], mode="nearest"),
    "resize-sizes": resize(sizes=(1, 3, 5, 9), mode="nearest", nearest_mode="ceil"),
    "resize-align": resize(sizes=(1, 3, 15, 11), mode="nearest", coordinate_transformation_mode="align_corners"),
    "resize-linear": resize([1, 1, 2, 2], mode="linear"),
    "resize-linear-align": resize([1, 1, 2, 2], mode="linear", coordinate_transformation_mode="align_corners"),
    "resize-linear-pytorch": resize([1, 1, 1, 2], mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    "upsample": case(MAP, lambda m: m.node("Upsample", [m.x, m.constant(f(1, 1, 2, 2))], mode="nearest"), 9),
    "expand": with_constants("Expand", ints(1, 3, 8, 6)),
    # networks
    "residual": case(MAP, residual),
    "gated": case(MAP, gated),
    "shape-arithmetic": case(MAP, shape_arithmetic),
    "channels-last": case((8, 6, 6), channels_last),
    "shuffle": case(MAP, shuffle),
    "flat-dense": case(MAP, flat_dense),
}  # fmt: skip
ONE_SAMPLE = ("resize-sizes", "resize-align", "concat")  # their constants state the batch


@pytest.mark.parametrize("name", CASES)
def test_float_operator(name: str, tmp_path: Path) -> None:
    shape, build, opset = CASES[name]
    model = Model(shape, opset, batch=1 if name in ONE_SAMPLE else "N")
    path = saved(model.proto(build(model)), tmp_path / "model.onnx")
    x = np.random.default_rng(1).standard_normal((1 if name in ONE_SAMPLE else 3, *shape)).astype(np.float32)
    check_outputs(path, x)


FOLDED = ("Constant", "ConstantOfShape", "Shape", "Size", "Range", "Tile", "Where")


def test_every_float_operator_has_a_case() -> None:
    used = set()
    for shape, build, opset in CASES.values():
        model = Model(shape, opset)
        build(model)
        used |= {node.op_type for node in model.nodes}
    quantized = {
        name for row in registry.support_table() for name in row.operators if "Linear" in name or "Quant" in name
    }
    known = {name for row in registry.support_table() for name in row.operators}
    assert known - quantized - {"QGemm"} <= used
