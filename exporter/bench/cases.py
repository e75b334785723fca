"""Convolution layers by shape: random weights, thresholds and inputs for measuring and for comparing variants.

The grid names the shapes whose cost per multiply-accumulate docs/benchmarks.md records, with the figure to reach and
a peer's."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
        codes = rng.integers(-128, 128, shape).astype(np.int8)
    else:
        codes = rng.standard_normal(shape).astype(np.float32)
    return ops.Weights(layer.weights, codes, half=layer.half)


def _spread(layer: Layer) -> float:
    """Standard deviation of the accumulators, roughly."""
    taps = layer.kernel[0] * layer.kernel[1] * (1 if layer.depthwise else layer.channels // layer.groups)
    size = {"s1": 1.0, "s8": 74.0, "f32": 1.0}
    return float(np.sqrt(taps)) * size[layer.input] * size[layer.weights]


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


# --- the grid ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A measured shape: estimated Cortex-M4 cycles per MAC to reach, and what a peer takes."""

    name: str
    layer: Layer
    goal: float | None = None
    peer: str = ""
    target: str = "cortex-m4"


def _same(layer: Layer) -> Layer:
    before = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in layer.kernel)
    return replace(layer, padding=(before[0], before[1]))


def _binary(h: int, c: int, o: int, k: int = 1, output: Kind = "s1") -> Layer:
    return Layer("s1", "s1", output, h, h, c, o, (k, k))


def _bytes(h: int, c: int, o: int, k: int = 1) -> Layer:
    return Layer("s8", "s8", "s8", h, h, c, o, (k, k), zero_point=5, pad_value=5.0)


CMSIS = "1.87-1.89 instructions (CMSIS-NN)"
CBIN = "1.0-1.25 (CBin-NN, repaired)"
S1_3X3 = _same(_binary(16, 64, 64, 3))
FIRST = Layer("f32", "s1", "s1", 28, 28, 1, 32, (3, 3), pool=(2, 2))

GRID: tuple[Row, ...] = (
    Row("s1 conv 3x3 16x16x64->64 same, pad 0", S1_3X3, 0.22, CBIN),
    Row("s1 conv 3x3 16x16x64->64 same, pad +1", replace(S1_3X3, pad_value=1.0), 0.22, CBIN),
    Row("s1 conv 3x3 16x16x64->64 same, pad -1", replace(S1_3X3, pad_value=-1.0), 0.22, CBIN),
    Row("s1 conv 3x3 13x13x32->64 valid", _binary(13, 32, 64, 3), 0.28, CBIN),
    Row("s1 conv 1x1 8x8x256->256", _binary(8, 256, 256), 0.22, CBIN),
    Row("s1 dense 1024->1024", _binary(1, 1024, 1024), 0.17, "1.1"),
    Row("s1 dense 576->64", _binary(1, 576, 64), 0.28, "1.1"),
    Row("s1 conv 3x3 16x16x64->64 same, s8 out", replace(S1_3X3, output="s8"), 0.28),
    Row("s1 conv 3x3 16x16x64->64 same, s8 fixed point", replace(S1_3X3, output="s8", requant="fixed_point"), 0.28),
    Row("s1 conv 3x3 16x16x64->64 same, s8 power of two", replace(S1_3X3, output="s8", requant="power_of_two"), 0.28),
    Row("s1 conv 3x3 16x16x64->64 same, f32 out", replace(S1_3X3, output="f32"), 0.28),
    Row("s1 conv 3x3 16x16x64->64 same, density 0", replace(S1_3X3, density=0.0)),
    Row("s1 conv 3x3 16x16x64->64 same, density .25", replace(S1_3X3, density=0.25)),
    Row("s1 conv 3x3 16x16x64->64 same, density .75", replace(S1_3X3, density=0.75)),
    Row("s1 conv 3x3 16x16x64->64 same, density 1", replace(S1_3X3, density=1.0)),
    Row("s1 horizontal 3x3 16x16x64->10 same", _same(replace(_binary(16, 64, 10, 3), horizontal=True)), 0.45),
    Row("s1 horizontal 3x3 16x16x64->10 valid", replace(_binary(16, 64, 10, 3), horizontal=True), 0.45),
    Row("s1 depthwise 3x3 16x16x64 same", _same(replace(_binary(16, 64, 64, 3), depthwise=True)), 0.65),
    Row("s1 conv 3x3 16x16x64->64 same, M0+", S1_3X3, 0.50, "1.25 (libgcc popcount)", "cortex-m0plus"),
    Row("f32 x s1 first layer 3x3 28x28x1->32, pool 2x2", FIRST, 1.4, "49 instructions (TFLM f32)"),
    Row(
        "s8 x s1 first layer 3x3 28x28x1->32, pool 2x2",
        replace(FIRST, input="s8"),
        0.8,
        "8.6 instructions (CMSIS-NN s8 x s8)",
    ),
    Row(
        "s8 x s1 conv 3x3 16x16x32->32 same",
        _same(Layer("s8", "s1", "s8", 16, 16, 32, 32, (3, 3))),
        0.70,
        "1.2 (as s8 x s8)",
    ),
    Row("s8 conv 3x3 16x16x32->32 same", _same(_bytes(16, 32, 32, 3)), 1.35, CMSIS),
    Row("s8 conv 1x1 8x8x64->64", _bytes(8, 64, 64), 1.45, CMSIS),
    Row("s8 conv 1x1 8x8x64->64, fixed point", replace(_bytes(8, 64, 64), requant="fixed_point"), 1.45, CMSIS),
    Row("s8 conv 3x3 32x32x3->32 same", _same(_bytes(32, 3, 32, 3)), 1.7, "7 (CBin-NN)"),
    Row("s8 dense 256->64", _bytes(1, 256, 64)),
    Row("s8 depthwise 3x3 16x16x64 same", _same(replace(_bytes(16, 64, 64, 3), depthwise=True)), 3.0),
    Row(
        "f32 conv 3x3 16x16x16->16 same",
        _same(Layer("f32", "f32", "f32", 16, 16, 16, 16, (3, 3))),
        3.2,
        "5.7-6.4 instructions (TFLM)",
    ),
    Row("f32 depthwise 3x3 16x16x64 same", _same(Layer("f32", "f32", "f32", 16, 16, 64, 64, (3, 3), depthwise=True))),
)


# Layers of a size that hosts run, beside the grid.
HOST_GRID: tuple[Row, ...] = (
    Row("s1 GEMM 1024x1024->1024", _binary(32, 1024, 1024)),
    Row("s8 conv 3x3 16x16x64->64 same", _same(_bytes(16, 64, 64, 3))),
    Row("s8 conv 1x1 16x16x256->256", _bytes(16, 256, 256)),
    Row("s8 dense 1024->1024", _bytes(1, 1024, 1024)),
    Row("s1 x s8 conv 3x3 16x16x64->64 same", _same(Layer("s1", "s8", "s8", 16, 16, 64, 64, (3, 3), pad_value=1.0))),
    Row("s8 x s1 conv 3x3 16x16x64->64 same", _same(Layer("s8", "s1", "s8", 16, 16, 64, 64, (3, 3)))),
    Row("f32 x s1 conv 3x3 16x16x64->64 same", _same(Layer("f32", "s1", "f32", 16, 16, 64, 64, (3, 3)))),
    Row("f32 conv 3x3 16x16x64->64 same", _same(Layer("f32", "f32", "f32", 16, 16, 64, 64, (3, 3)))),
    Row("f32 conv 1x1 16x16x256->256", Layer("f32", "f32", "f32", 16, 16, 256, 256)),
)


def find_rows(pattern: str, host: bool = False) -> list[Row]:
    """Rows of the grid whose name matches a regular expression; host: with those for hosts."""
    return [row for row in (*GRID, *(HOST_GRID if host else ())) if re.search(pattern, row.name)]
