"""Kernel calls by shape: random weights, thresholds and inputs for measuring and for comparing variants. grid.py names
the shapes that are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..emit.packing import pack
from ..ir import ops
from ..ir.types import F32, S1, S8, Format, TensorType
from .call import Call, make_call
from .cost import random_input

Kind: TypeAlias = Literal["s1", "s8", "f32"]
Pair: TypeAlias = tuple[int, int]
Requant: TypeAlias = Literal["affine", "fixed_point", "power_of_two"]
INF = float("inf")
INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Layer:
    """A convolution by its shape. `height`, `width` of the input; `padding` is (top, bottom), (left, right)."""

    input: Kind
    weights: Kind
    output: Kind
    height: int
    width: int
    channels: int
    outputs: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    pad_value: float = 0.0
    up: Pair = (1, 1)
    pool: Pair = (1, 1)
    groups: int = 1
    depthwise: bool = False
    horizontal: bool = False
    requant: Requant = "affine"
    half: bool = False
    weight_zero_points: bool = False
    weight_bits: int = 8  # of s8 weights in the file
    zero_point: int = 0  # of an s8 input
    out_zero_point: int = 0
    density: float = 0.5  # share of -1 of an s1 input

    def out_size(self) -> Pair:
        """Height and width before pooling."""
        height, width = (
            ((size - 1) * self.up[i] + 1 + sum(self.padding[i]) - (self.kernel[i] - 1) * self.dilation[i] - 1)
            // self.stride[i]
            + 1
            for i, size in enumerate((self.height, self.width))
        )
        return height, width

    @property
    def macs(self) -> int:
        """Multiply-accumulates: outputs before pooling times taps."""
        height, width = self.out_size()
        per_output = self.kernel[0] * self.kernel[1] * (1 if self.depthwise else self.channels // self.groups)
        return height * width * self.outputs * per_output

    def __str__(self) -> str:
        kind = "depthwise" if self.depthwise else "horizontal" if self.horizontal else "conv"
        text = f"{kind} {self.input}x{self.weights}->{self.output} {self.kernel[0]}x{self.kernel[1]}"
        text += f" {self.height}x{self.width}x{self.channels}->{self.outputs}"
        if self.pool != (1, 1):
            text += f" pool {self.pool[0]}x{self.pool[1]}"
        if self.padding != ((0, 0), (0, 0)):
            text += f" pad {self.pad_value:g}"
        return text


def _format(kind: Kind, zero_point: int) -> Format:
    return S1() if kind == "s1" else S8(1.0, zero_point) if kind == "s8" else F32()


def _weights(layer: Layer, rng: np.random.Generator) -> ops.Weights:
    shape: tuple[int, ...] = (layer.outputs, *layer.kernel, layer.channels // layer.groups)
    if layer.depthwise:
        shape = (*layer.kernel, layer.channels, layer.outputs // layer.channels)
    codes: NDArray[np.int8] | NDArray[np.float32]
    if layer.weights == "s1":
        codes = np.where(rng.random(shape) < 0.5, np.int8(-1), np.int8(1))
    elif layer.weights == "s8":
        half = 1 << (layer.weight_bits - 1)
        codes = rng.integers(-half, half, shape).astype(np.int8)
    else:
        codes = rng.standard_normal(shape).astype(np.float32)
    if layer.weight_zero_points:
        zero_point = rng.integers(-9, 10, layer.outputs).astype(np.int8)
        return ops.Weights(layer.weights, codes, half=layer.half, zero_point=zero_point)
    return ops.Weights(layer.weights, codes, half=layer.half, bits=layer.weight_bits)


def _spread(layer: Layer) -> float:
    """Standard deviation of the accumulators, roughly."""
    taps = layer.kernel[0] * layer.kernel[1] * (1 if layer.depthwise else layer.channels // layer.groups)
    size = {"s1": 1.0, "s8": 74.0, "f32": 1.0}
    weights = size[layer.weights] * 2.0 ** (layer.weight_bits - 8)
    return float(np.sqrt(taps)) * size[layer.input] * max(weights, 1.0)


def _epilogue(layer: Layer, rng: np.random.Generator) -> ops.Epilogue:
    count, spread = layer.outputs, _spread(layer)
    integer = "f32" not in (layer.input, layer.weights)
    if layer.output == "s1":
        t = rng.standard_normal(count) * spread
        t[rng.random(count) < 0.05] = -INF
        t[rng.random(count) < 0.05] = INF
        clipped = np.clip(np.rint(t), INT32.min, INT32.max).astype(np.int64) if integer else t.astype(np.float32)
        return ops.Threshold(clipped, rng.random(count) < 0.3)
    if layer.output == "f32":
        scale, offset = (rng.standard_normal((2, count)) / spread).astype(np.float32)
        return ops.Affine(scale, offset, *((-INF, INF) if rng.random() < 0.5 else (0.0, 1.5)))
    least, most = (-128, 127) if rng.random() < 0.5 else (-100, 90)
    bias = np.rint(rng.standard_normal(count) * spread / 2).astype(np.int32)
    if layer.requant == "fixed_point":
        multiplier = rng.integers(1 << 30, 1 << 31, count).astype(np.int32)
        shift = rng.integers(-3, 2, count) + round(np.log2(50 / spread))
        return ops.FixedPoint(bias, multiplier, shift.astype(np.int32), least, most)
    if layer.requant == "power_of_two":
        shift = np.clip(rng.integers(-2, 2, count) + round(np.log2(max(spread / 50, 1))), 0, 30)
        return ops.PowerOfTwo(bias, shift.astype(np.int32), least, most)
    scale = (rng.standard_normal(count) * 50 / spread).astype(np.float32)
    return ops.Affine(scale, (rng.standard_normal(count) * 20).astype(np.float32), least, most)


def make_op(layer: Layer, rng: np.random.Generator) -> ops.ConvKernel:
    return ops.ConvKernel(
        _weights(layer, rng),
        _epilogue(layer, rng),
        _format(layer.output, layer.out_zero_point),
        depthwise=layer.depthwise,
        stride=layer.stride,
        dilation=layer.dilation,
        padding=layer.padding,
        pad_value=layer.pad_value,
        groups=layer.groups,
        up=layer.up,
        pool=layer.pool,
        horizontal=layer.horizontal,
    )


def types_of(layer: Layer) -> tuple[TensorType, TensorType]:
    """Input and output."""
    height, width = layer.out_size()
    source = TensorType((layer.height, layer.width, layer.channels), _format(layer.input, layer.zero_point))
    shape = (height // layer.pool[0], width // layer.pool[1], layer.outputs)
    return source, TensorType(shape, _format(layer.output, layer.out_zero_point))


def make_layer_call(layer: Layer, seed: int = 1, scratch_bytes: int = 0) -> Call:
    rng = np.random.default_rng(seed)
    source, output = types_of(layer)
    op = make_op(layer, rng)
    return make_call(op, source, output, random_input(source, rng, layer.density), scratch_bytes)


# --- other kernels ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Elements:
    """A kernel that is no convolution: an operator over given types."""

    op: ops.KernelOp
    inputs: tuple[TensorType, ...]
    output: TensorType

    @property
    def macs(self) -> int:
        """Elements of the output, or of an input that has more: what stands in the place of multiply-accumulates."""
        return max(t.elements for t in (self.output, *self.inputs))


def make_row_call(layer: Layer | Elements, seed: int = 1) -> Call:
    if isinstance(layer, Layer):
        return make_layer_call(layer, seed)
    rng = np.random.default_rng(seed)
    inputs = [(source, random_input(source, rng)) for source in layer.inputs]
    packed = pack(layer.op, layer.inputs, layer.output)
    first, data = inputs[0] if inputs else (layer.output, b"")
    return Call(packed, first, layer.output, data, others=tuple(inputs[1:]))
