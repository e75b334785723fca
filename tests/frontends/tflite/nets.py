"""TFLite networks made operator by operator, with weights, scales and zero points drawn from a seed: what the
converter would never choose, but files hold. `Net` knows shapes and formats; each method adds one operator and gives
its output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oracles.tflite_model import Builtin, TfliteModel, options, schema

Array = NDArray[Any]
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU1, RELU6 = (
    getattr(schema.ActivationFunctionType, n) for n in ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
)
SOFTMAX_OUT = (1 / 256, -128)
FIRST_VERSION = (
    "HARD_SWISH RELU_N1_TO_1 RELU_0_TO_1 ELU SQUARE NEG RESHAPE SQUEEZE EXPAND_DIMS DEPTH_TO_SPACE".split()
)  # operators that know int8 from their first version on


@dataclass(frozen=True)
class Value:
    """One tensor of a net; scale 0 is float32."""

    index: int
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def quantized(self) -> bool:
        return self.scale > 0


def f32(x: float) -> float:
    return float(np.float32(x))


class Net:
    """A model of one subgraph; `content(outputs)` is the file."""

    def __init__(self, seed: int, quantized: bool = True, few: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.few = few  # weights of 4 bits, where the reference kernels know them
        self.model = TfliteModel()
        self.quantized = quantized
        self.inputs: list[Value] = []

    # --- tensors ------------------------------------------------------------------------------------------------------

    def tensor(self, shape: tuple[int, ...], scale: float | None = None, zero_point: int | None = None) -> Value:
        """An activation, with a scale and a zero point of its own unless they are given."""
        if not self.quantized:
            return Value(self.model.tensor(shape, np.float32), shape)
        scale = f32(10 ** self.rng.uniform(-2.5, -0.5)) if scale is None else f32(scale)
        zero_point = int(self.rng.integers(-100, 101)) if zero_point is None else zero_point
        return Value(self.model.tensor(shape, np.int8, scale, zero_point), shape, scale, zero_point)

    def like(self, x: Value, shape: tuple[int, ...] | None = None) -> Value:
        """An activation in the format of `x`."""
        return self.tensor(x.shape if shape is None else shape, x.scale or None, x.zero_point)

    def input(self, *shape: int) -> Value:
        self.inputs.append(self.tensor(shape))
        return self.inputs[-1]

    def constant(self, values: Any, dtype: Any = np.int32) -> int:
        array = np.asarray(values, dtype)
        return int(self.model.tensor(array.shape, dtype, data=array))

    def activation_constant(self, shape: tuple[int, ...], like: Value | None = None) -> Value:
        """A constant operand."""
        if not self.quantized:
            data = self.rng.normal(size=shape).astype(np.float32)
            return Value(self.model.tensor(shape, np.float32, data=data), shape)
        scale = f32(10 ** self.rng.uniform(-2.5, -0.5)) if like is None else like.scale
        zero_point = int(self.rng.integers(-20, 21)) if like is None else like.zero_point
        codes = self.rng.integers(-128, 128, shape).astype(np.int8)
        return Value(self.model.tensor(shape, np.int8, scale, zero_point, codes), shape, scale, zero_point)

    def add(self, name: str, inputs: list[int], out: Value | list[Value], made: Any = None, version: int = 1) -> Any:
        """Append an operator."""
        outputs = out if isinstance(out, list) else [out]
        version = 1 if name in FIRST_VERSION else version
        self.model.operator(getattr(Builtin, name), inputs, [y.index for y in outputs], made, version)
        return out

    def content(self, *outputs: Value) -> bytes:
        return bytes(self.model.content([x.index for x in self.inputs], [y.index for y in outputs]))

    # --- layers with weights ------------------------------------------------------------------------------------------

    def _sum(self, x: Value, shape: tuple[int, ...], taps: int, weight_scale: float) -> Value:
        """An output whose scale suits a sum of so many products."""
        if not self.quantized:
            return self.tensor(shape)
        return self.tensor(
            shape, x.scale * weight_scale * math.sqrt(taps) * 74 * 74 / 50 * 2 ** self.rng.uniform(-1, 1)
        )

    def _weights(
        self, shape: tuple[int, ...], axis: int, per_channel: bool, zero: bool = True, few: bool = False
    ) -> tuple[int, float]:
        if not self.quantized:
            data = (self.rng.normal(size=shape) / math.sqrt(np.prod(shape[1:]))).astype(np.float32)
            return int(self.model.tensor(shape, np.float32, data=data)), 1.0
        count = shape[axis] if per_channel else 1
        scale = 10 ** self.rng.uniform(-2.6, -2.2, count)
        codes = self.rng.integers(-127, 128, shape).astype(np.int8)
        if few:
            codes >>= 4
            scale *= 16
        if per_channel and zero and count > 2:
            np.moveaxis(codes, axis, 0)[1] = 0
            scale[2] *= 1e-7  # a multiplier of nearly nothing
        index = int(self.model.tensor(shape, np.int8, scale, 0, codes, axis))
        if few:
            self.model.halve(index)
        return index, float(np.median(scale))

    def _bias(self, count: int, weight_scale: float) -> int:
        if not self.quantized:
            return int(self.model.tensor((count,), np.float32, data=self.rng.normal(size=count).astype(np.float32)))
        return int(self.model.tensor((count,), np.int32, weight_scale, 0, self.rng.integers(-3000, 3000, count)))

    def conv(
        self, x: Value, outputs: int, size: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1),
        padding: int = SAME, activation: int = NONE, dilation: tuple[int, int] = (1, 1), groups: int = 1,
        per_channel: bool = True, bias: bool = True,
    ) -> Value:  # fmt: skip
        channels = x.shape[3] // groups
        w, scale = self._weights((outputs, *size, channels), 0, per_channel, few=self.few)
        inputs = [x.index, w, *([self._bias(outputs, scale)] if bias else [])]
        out = self._sum(
            x, _window(x.shape, size, stride, dilation, padding, outputs), math.prod(size) * channels, scale
        )
        made = options(
            "Conv2DOptions", padding=padding, strideH=stride[0], strideW=stride[1], fusedActivationFunction=activation,
            dilationHFactor=dilation[0], dilationWFactor=dilation[1],
        )  # fmt: skip
        return self.add("CONV_2D", inputs, out, made, 3)

    def depthwise(
        self, x: Value, multiplier: int = 1, size: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1),
        padding: int = SAME, activation: int = NONE, dilation: tuple[int, int] = (1, 1), per_channel: bool = True,
    ) -> Value:  # fmt: skip
        outputs = x.shape[3] * multiplier
        w, scale = self._weights((1, *size, outputs), 3, per_channel, few=self.few)
        out = self._sum(x, _window(x.shape, size, stride, dilation, padding, outputs), math.prod(size), scale)
        made = options(
            "DepthwiseConv2DOptions", padding=padding, strideH=stride[0], strideW=stride[1], depthMultiplier=multiplier,
            fusedActivationFunction=activation, dilationHFactor=dilation[0], dilationWFactor=dilation[1],
        )  # fmt: skip
        return self.add("DEPTHWISE_CONV_2D", [x.index, w, self._bias(outputs, scale)], out, made, 3)

    def transposed(
        self, x: Value, outputs: int, size: tuple[int, int] = (3, 3), stride: tuple[int, int] = (2, 2),
        padding: int = SAME, bias: bool = True, more: int = 0, per_channel: bool = True,
    ) -> Value:  # fmt: skip
        w, scale = self._weights((outputs, *size, x.shape[3]), 0, per_channel)
        grown = [
            n * s if padding == SAME else n * s + max(k - s, 0) + more
            for n, s, k in zip(x.shape[1:3], stride, size, strict=True)
        ]
        shape = (1, *grown, outputs)
        out = self._sum(x, shape, math.prod(size) * x.shape[3], scale)
        inputs = [self.constant(shape), w, x.index, *([self._bias(outputs, scale)] if bias else [])]
        made = options("TransposeConvOptions", padding=padding, strideH=stride[0], strideW=stride[1])
        return self.add("TRANSPOSE_CONV", inputs, out, made, 3 if bias else 2)

    def dense(
        self, x: Value, outputs: int, activation: int = NONE, bias: bool = True, keep: bool = False,
        per_channel: bool = False, zero_point: int = 0, rows: int = 1,
    ) -> Value:  # fmt: skip
        features = x.shape[-1] if keep else math.prod(x.shape) // rows
        w, scale = self._weights((outputs, features), 0, per_channel, few=self.few)
        if zero_point:
            self.model.graph.tensors[w].quantization.zeroPoint = np.array([zero_point])
        out = self._sum(x, (*x.shape[:-1], outputs) if keep else (rows, outputs), features, scale)
        made = options("FullyConnectedOptions", fusedActivationFunction=activation, keepNumDims=keep)
        return self.add(
            "FULLY_CONNECTED", [x.index, w, self._bias(outputs, scale * x.scale) if bias else -1], out, made, 5
        )

    def matmul(self, x: Value, outputs: int, adj_y: bool = False) -> Value:
        features = x.shape[-1]
        w, scale = self._weights((outputs, features) if adj_y else (features, outputs), 0, False)
        out = self._sum(x, (*x.shape[:-1], outputs), features, scale)
        return self.add("BATCH_MATMUL", [x.index, w], out, options("BatchMatMulOptions", adjY=adj_y), 2)

    # --- pools, reductions --------------------------------------------------------------------------------------------

    def pool(
        self, x: Value, kind: str = "AVERAGE_POOL_2D", size: tuple[int, int] = (2, 2),
        stride: tuple[int, int] | None = None, padding: int = VALID, activation: int = NONE,
    ) -> Value:  # fmt: skip
        stride = stride or size
        out = self.like(x, _window(x.shape, size, stride, (1, 1), padding, x.shape[3]))
        made = options(
            "Pool2DOptions", padding=padding, strideH=stride[0], strideW=stride[1], filterHeight=size[0],
            filterWidth=size[1], fusedActivationFunction=activation,
        )  # fmt: skip
        return self.add(kind, [x.index], out, made, 2)

    def reduce(self, x: Value, axes: tuple[int, ...], kind: str = "MEAN", keep: bool = False) -> Value:
        positive = {axis % len(x.shape) for axis in axes}
        shape = tuple(1 if k in positive else n for k, n in enumerate(x.shape) if keep or k not in positive)
        if kind in ("MEAN", "SUM"):
            out = self.tensor(shape, x.scale * 2 ** self.rng.uniform(-2, 1) if x.quantized else None)
        else:
            out = self.like(x, shape)
        return self.add(kind, [x.index, self.constant(axes)], out, options("ReducerOptions", keepDims=keep), 2)

    # --- elements -----------------------------------------------------------------------------------------------------

    def binary(self, kind: str, a: Value, b: Value, activation: int = NONE) -> Value:
        shape = np.broadcast_shapes(a.shape, b.shape)
        if not self.quantized:
            out = self.tensor(shape)
        elif kind in ("MAXIMUM", "MINIMUM"):
            out = self.like(a, shape)
        elif kind == "MUL":
            out = self.tensor(shape, a.scale * b.scale * 74 * 2 ** self.rng.uniform(-1, 1))
        else:
            out = self.tensor(shape, max(a.scale, b.scale) * 2 ** self.rng.uniform(-1, 1.5))
        name = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}.get(kind)
        made = options(name, fusedActivationFunction=activation) if name else options("MaximumMinimumOptions")
        if kind in ("ADD", "SUB"):
            made.potScaleInt16 = False
        return self.add(kind, [a.index, b.index], out, made, 2)

    def unary(self, kind: str, x: Value, **fields: Any) -> Value:
        """LOGISTIC, TANH and SOFTMAX have an output format of their own."""
        fixed = {"LOGISTIC": SOFTMAX_OUT, "SOFTMAX": SOFTMAX_OUT, "TANH": (1 / 128, 0)}.get(kind)
        out = self.tensor(x.shape, *(fixed or (x.scale * 2 ** self.rng.uniform(-0.5, 0.5) or None,)))
        name = {"LEAKY_RELU": "LeakyReluOptions", "SOFTMAX": "SoftmaxOptions", "GELU": "GeluOptions"}.get(kind)
        return self.add(kind, [x.index], out, options(name, **fields) if name else None, 2)

    def prelu(self, x: Value, shape: tuple[int, ...]) -> Value:
        alpha = self.activation_constant(shape)
        out = self.tensor(x.shape, x.scale * 2 if x.quantized else None)
        return self.add("PRELU", [x.index, alpha.index], out)

    def requantize(self, x: Value) -> Value:
        return self.add("QUANTIZE", [x.index], self.tensor(x.shape, x.scale * 2 ** self.rng.uniform(-1, 1)), None, 2)

    # --- movement -----------------------------------------------------------------------------------------------------

    def moved(self, kind: str, x: Value, shape: tuple[int, ...], constants: list[Any] = [], made: Any = None) -> Value:  # noqa: B006
        return self.add(kind, [x.index, *map(self.constant, constants)], self.like(x, shape), made, 2)

    def concat(self, values: list[Value], axis: int, kind: str = "CONCATENATION") -> Value:
        if kind == "PACK":
            shape = (*values[0].shape[:axis], len(values), *values[0].shape[axis:])
            made = options("PackOptions", axis=axis, valuesCount=len(values))
        else:
            total = sum(value.shape[axis] for value in values)
            shape = (*values[0].shape[:axis], total, *values[0].shape[axis % len(values[0].shape) + 1 :])
            made = options("ConcatenationOptions", axis=axis)
        return self.add(kind, [value.index for value in values], self.like(values[0], shape), made, 2)


def _window(
    shape: tuple[int, ...], size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: int,
    channels: int,
) -> tuple[int, ...]:  # fmt: skip
    cells = []
    for n, k, s, d in zip(shape[1:3], size, stride, dilation, strict=True):
        cells.append(-(-n // s) if padding == SAME else (n - (k - 1) * d - 1) // s + 1)
    return (1, *cells, channels)
