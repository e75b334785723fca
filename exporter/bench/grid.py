"""The shapes whose cost docs/benchmarks.md records, with the figure to reach and a peer's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..ir import ops
from ..ir.fixed_point import quantize_multiplier
from ..ir.types import F32, S1, S8, Format, TensorType
from .cases import INF, Elements, Kind, Layer, Pair


@dataclass(frozen=True)
class Row:
    """A measured shape: estimated Cortex-M4 cycles per MAC (or element) to reach, and what a peer takes."""

    name: str
    layer: Layer | Elements
    goal: float | None = None
    peer: str = ""
    target: str = "cortex-m4"
    isa: str = "portable"  # or winograd, packed; a kernel without it runs ref


def _same(layer: Layer) -> Layer:
    before = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in layer.kernel)
    return replace(layer, padding=(before[0], before[1]))


def _binary(h: int, c: int, o: int, k: int = 1, output: Kind = "s1") -> Layer:
    return Layer("s1", "s1", output, h, h, c, o, (k, k))


def _bytes(h: int, c: int, o: int, k: int = 1) -> Layer:
    return Layer("s8", "s8", "s8", h, h, c, o, (k, k), zero_point=5, pad_value=5.0)


def _strided(layer: Layer, step: int = 2) -> Layer:
    """Padded as TensorFlow's "same" pads a stride."""

    def around(size: int, kernel: int) -> Pair:
        total = max((-(-size // step) - 1) * step + kernel - size, 0)
        return total // 2, total - total // 2

    kernel = layer.kernel
    return replace(
        layer,
        stride=(step, step),
        padding=(around(layer.height, kernel[0]), around(layer.width, kernel[1])),
    )


def _depthwise(h: int, c: int, k: int = 3, input: Kind = "s8", weights: Kind = "s8", output: Kind = "s8") -> Layer:
    value = 5.0 if input == "s8" else 1.0 if input == "s1" else 0.0
    zero_point = 5 if input == "s8" else 0
    layer = Layer(input, weights, output, h, h, c, c, (k, k), depthwise=True, zero_point=zero_point, pad_value=value)
    return _same(layer)


def _tflite(layer: Layer) -> Layer:
    return replace(layer, requant="fixed_point")


CMSIS = "1.87-1.89 instructions (CMSIS-NN)"
CBIN = "1.0-1.25 (CBin-NN, repaired)"
S1_3X3 = _same(_binary(16, 64, 64, 3))
FIRST = Layer("f32", "s1", "s1", 28, 28, 1, 32, (3, 3), pool=(2, 2))

# Shapes of MLPerf Tiny's networks and their like; TFLite's rule where a name says so.
EIGHT_BITS: tuple[Row, ...] = (
    Row("s8 conv 3x3 32x32x16->16 same", _same(_bytes(32, 16, 16, 3)), 1.22),
    Row("s8 conv 3x3 8x8x64->64 same", _same(_bytes(8, 64, 64, 3)), 1.12),
    Row("s8 conv 3x3 32x32x16->16 same, winograd", _same(_bytes(32, 16, 16, 3)), 0.66, isa="winograd"),
    Row("s8 conv 3x3 16x16x32->32 same, winograd", _same(_bytes(16, 32, 32, 3)), 0.55, isa="winograd"),
    Row("s8 conv 3x3 8x8x64->64 same, winograd", _same(_bytes(8, 64, 64, 3)), 0.60, isa="winograd"),
    Row("s8 conv 3x3 32x32x16->32 same, stride 2", _strided(_bytes(32, 16, 32, 3))),
    Row("s8 conv 5x5 16x16x16->16 same", _same(_bytes(16, 16, 16, 5))),
    Row("s8 conv 3x3 16x16x64->64 same, 4 groups", replace(_same(_bytes(16, 64, 64, 3)), groups=4)),
    Row("s8 depthwise 3x3 48x48x8 same", _depthwise(48, 8), 2.5),
    Row("s8 depthwise 3x3 12x12x64 same", _depthwise(12, 64), 3.1),
    Row("s8 depthwise 3x3 6x6x128 same", _depthwise(6, 128), 4.3),
    Row("s8 depthwise 3x3 48x48x8 same, TFLite", _tflite(_depthwise(48, 8))),
    Row("s8 depthwise 3x3 25x5x64 same, TFLite", _tflite(_same(replace(_depthwise(25, 64), width=5)))),
    Row(
        "s8 depthwise 3x3 48x48x8, strip of 1 row", replace(_depthwise(48, 8), height=3, padding=((0, 0), (1, 1))), 3.4
    ),
    Row(
        "s8 depthwise 3x3 48x48x8, strip of 2 rows", replace(_depthwise(48, 8), height=4, padding=((0, 0), (1, 1))), 3.1
    ),
    Row("s8 depthwise 3x3 48x48x16 same, stride 2", _strided(_depthwise(48, 16)), 3.6),
    Row("s8 depthwise 5x5 14x14x72 same", _depthwise(14, 72, 5), 2.5),
    Row("s8 depthwise 5x5 14x14x72 same, stride 2", _strided(_depthwise(14, 72, 5))),
    Row("s8 pointwise 48x48x8->16", _bytes(48, 8, 16), 2.5),
    Row("s8 pointwise 24x24x16->32", _bytes(24, 16, 32), 2.0),
    Row("s8 pointwise 12x12x64->64", _bytes(12, 64, 64), 1.36),
    Row("s8 pointwise 48x48x8->16, TFLite", _tflite(_bytes(48, 8, 16))),
    Row("s8 pointwise 24x24x16->32, TFLite", _tflite(_bytes(24, 16, 32))),
    Row("s8 pointwise 24x24x16->32, power of two", replace(_bytes(24, 16, 32), requant="power_of_two")),
    Row("s8 pointwise 32x32x16->32, stride 2", replace(_bytes(32, 16, 32), stride=(2, 2)), 2.0),
    Row("s8 pointwise 16x16x32->64, stride 2", replace(_bytes(16, 32, 64), stride=(2, 2)), 1.6),
    Row("s8 first layer 3x3 96x96x3->8 same, stride 2", _strided(_bytes(96, 3, 8, 3)), 2.15),
    Row(
        "s8 first layer 10x4 49x10x1->64 same, stride 2",
        _strided(replace(_bytes(49, 1, 64), width=10, kernel=(10, 4))),
        1.65,
    ),
    Row("s8 dense 900->333", _bytes(1, 900, 333), 1.35),
    Row("s8 dense 640->128", _bytes(1, 640, 128)),
    Row("s8 dense 128->128", _bytes(1, 128, 128), 1.5),
    Row("s8 dense 64->10", _bytes(1, 64, 10)),
    Row("s8 dense 128->128, TFLite", _tflite(_bytes(1, 128, 128))),
    Row("s8 dense 640->128, weights with zero points", replace(_bytes(1, 640, 128), weight_zero_points=True)),
    Row("s8 pointwise 12x12x64->64, weights with zero points", replace(_bytes(12, 64, 64), weight_zero_points=True)),
    Row("s8 depthwise 3x3 12x12x64, weights with zero points", replace(_depthwise(12, 64), weight_zero_points=True)),
    Row("s8 x s1 dense 640->128", Layer("s8", "s1", "s8", 1, 1, 640, 128, zero_point=5), 0.9),
    Row("s8 x s1 dense 256->10, f32 out", Layer("s8", "s1", "f32", 1, 1, 256, 10, zero_point=5)),
    Row("s8 x s1 pointwise 8x8x64->64", Layer("s8", "s1", "s8", 8, 8, 64, 64, zero_point=5), 1.0),
    Row("s1 depthwise 5x5 14x14x72 same, pad +1", _depthwise(14, 72, 5, "s1", "s1", "s1"), 0.8),
    Row("s1 conv 3x3 16x16x64->64 same, groups of 16", replace(S1_3X3, groups=4, pad_value=1.0), 0.5),
    Row(
        "s1 conv 3x3 16x16x32->32 same, groups of 8",
        _same(replace(_binary(16, 32, 32, 3), groups=4, pad_value=1.0)),
        0.55,
    ),
    Row("f32 dense 500->100", Layer("f32", "f32", "f32", 1, 1, 500, 100), 3.2),
)


def _few_bits() -> Iterator[Row]:
    """Shapes with weights of 8, 4 and 2 bits."""
    shapes = {
        "conv 3x3 16x16x32->32 same": _same(_bytes(16, 32, 32, 3)),
        "conv 3x3 8x8x64->64 same": _same(_bytes(8, 64, 64, 3)),
        "pointwise 8x8x64->64": _bytes(8, 64, 64),
        "pointwise 8x8x64->64, TFLite": _tflite(_bytes(8, 64, 64)),
        "pointwise 24x24x16->32": _bytes(24, 16, 32),
        "dense 640->128": _bytes(1, 640, 128),
        "depthwise 3x3 12x12x64 same": _depthwise(12, 64),
        "depthwise 3x3 6x6x128 same": _depthwise(6, 128),
        "depthwise 3x3 25x5x64 same, TFLite": _tflite(_same(replace(_depthwise(25, 64), width=5))),
        "depthwise 5x5 14x14x72 same": _depthwise(14, 72, 5),
        "depthwise 5x5 14x14x72 same, stride 2": _strided(_depthwise(14, 72, 5)),
    }
    for name, layer in shapes.items():
        for bits in (8, 4, 2):
            isa = "portable" if bits == 8 else "packed"
            yield Row(f"s8 {name}, weights of {bits} bits", replace(layer, weight_bits=bits), isa=isa)
    for name in ("conv 3x3 16x16x32->32 same", "conv 3x3 8x8x64->64 same"):
        for bits in (8, 4, 2):
            layer = replace(shapes[name], weight_bits=bits)
            yield Row(f"s8 {name}, winograd, weights of {bits} bits", layer, isa="winograd")
    layer = Layer("s1", "s8", "s8", 16, 16, 32, 32, (3, 3))
    for bits in (4, 2):
        yield Row(
            f"s1 conv 3x3 16x16x32->32 same, weights of {bits} bits",
            _same(replace(layer, weight_bits=bits)),
            isa="packed",
        )


FEW_BITS = tuple(_few_bits())


def _s8(*shape: int, scale: float = 0.05, zero_point: int = 3) -> TensorType:
    return TensorType(shape, S8(scale, zero_point))


def _plain(fmt: Format, *shape: int) -> TensorType:
    return TensorType(shape, fmt)


MAP, OUT = _s8(32, 32, 16), _s8(32, 32, 16, scale=0.07, zero_point=-5)
ONE = np.ones(1, np.float32)
CODES = np.arange(256)[::-1].astype(np.uint8).view(np.int8)
HALF: Pair = (1 << 30, 0)


def _clamped(scale: float) -> ops.Affine:
    return ops.Affine(scale * ONE, 0 * ONE, -128.0, 100.0)


def _sum(kind: Literal["add", "sub"]) -> ops.FixedBinaryKernel:
    """TFLite's, for scales of 0.05 and 0.03 to 0.07."""
    pairs = (HALF, _multiplier(0.3), _multiplier(0.1 / (2**20 * 0.07)))
    return ops.FixedBinaryKernel(kind, ops.FixedRounding.DOUBLE, pairs, 20, S8(0.07, -5), -128, 100)


def _product() -> ops.FixedBinaryKernel:
    nothing: Pair = (0, 0)
    pairs = (nothing, nothing, _multiplier(0.05 * 0.05 / 0.07))
    return ops.FixedBinaryKernel("mul", ops.FixedRounding.DOUBLE, pairs, 0, S8(0.07, -5))


def _single() -> ops.FixedBinaryKernel:
    """ONNX's: the exact sum, rounded once."""
    pairs = ((round(5 / 7 * 2**30), 0), (round(3 / 7 * 2**30), 0), (0, 30))
    return ops.FixedBinaryKernel("add", ops.FixedRounding.SINGLE, pairs, 0, S8(0.07, -5))


def _average(size: Pair, raw: bool = False) -> ops.AvgPoolKernel:
    return ops.AvgPoolKernel(ops.AvgPool(size, size, raw=raw), S8(0.05, 3))


def _mean(axes: tuple[int, ...]) -> ops.ReduceKernel:
    multiplier, shift = _multiplier(1 / 64)
    bias, multipliers, shifts = (np.array([n], np.int32) for n in (0, multiplier, shift))
    rule = ops.FixedPoint(bias, multipliers, shifts, -128, 127)
    return ops.ReduceKernel(ops.Reduce("sum", axes), rule, S8(0.05, 3))


def _doubled(size: int) -> ops.Bilinear:
    places = np.minimum(np.arange(2 * size) * ops.PLACES // 2, (size - 1) * ops.PLACES)
    return ops.Bilinear((places, places))


def _softmax() -> ops.FixedSoftmax:
    multiplier, left = _multiplier(0.05 * 2**26)
    return ops.FixedSoftmax(multiplier, left, -(31 * 2**26 >> left))


def _convert(scale: float, fmt: Format) -> ops.ChannelKernel:
    bounds = (-128.0, 127.0) if isinstance(fmt, S8) else (-INF, INF)
    return ops.ChannelKernel(ops.Affine(scale * ONE, 0 * ONE, *bounds), fmt)


def _reversed(rows: int) -> ops.Gather:
    return ops.Gather((np.arange(rows)[::-1].copy(), None, None))


def _multiplier(factor: float) -> Pair:
    mantissa, shift = quantize_multiplier(np.array([factor]))
    return int(mantissa[0]), int(shift[0])


# Cycles per element of the larger side.
OTHERS: tuple[Row, ...] = (
    Row("s8 add 32x32x16", Elements(ops.BinaryKernel("add", _clamped(1 / 0.07), OUT.fmt), (MAP, MAP), OUT), 16.5),
    Row("s8 subtract 32x32x16", Elements(ops.BinaryKernel("sub", _clamped(1 / 0.07), OUT.fmt), (MAP, MAP), OUT), 16.5),
    Row("s8 multiply 32x32x16", Elements(ops.BinaryKernel("mul", _clamped(1 / 0.07), OUT.fmt), (MAP, MAP), OUT)),
    Row("s8 add 32x32x16, TFLite", Elements(_sum("add"), (MAP, MAP), OUT), 15.0),
    Row("s8 subtract 32x32x16, TFLite", Elements(_sum("sub"), (MAP, MAP), OUT), 15.0),
    Row("s8 multiply 32x32x16, TFLite", Elements(_product(), (MAP, MAP), OUT)),
    Row("s8 add 32x32x16, ONNX", Elements(_single(), (MAP, MAP), OUT)),
    Row("s8 max pool 2x2 32x32x16", Elements(ops.MaxPool((2, 2), (2, 2)), (MAP,), _s8(16, 16, 16))),
    Row("s8 max pool 3x3 32x32x16, stride 1", Elements(ops.MaxPool((3, 3), (1, 1)), (MAP,), _s8(30, 30, 16))),
    Row("s8 average pool 2x2 32x32x16", Elements(_average((2, 2)), (MAP,), _s8(16, 16, 16))),
    Row("s8 average pool 8x8x64->1", Elements(_average((8, 8)), (_s8(8, 8, 64),), _s8(1, 1, 64))),
    Row("s8 average pool 8x8x64->1, TFLite", Elements(_average((8, 8), True), (_s8(8, 8, 64),), _s8(1, 1, 64))),
    Row("s8 mean 8x8x64, TFLite", Elements(_mean((0, 1)), (_s8(8, 8, 64),), _s8(64))),
    Row("s8 mean over channels 8x8x64, TFLite", Elements(_mean((2,)), (_s8(8, 8, 64),), _s8(8, 8))),
    Row("s8 bilinear 16x16x8 to 32x32, TFLite", Elements(_doubled(16), (_s8(16, 16, 8),), _s8(32, 32, 8))),
    Row("s8 softmax 10, TFLite", Elements(_softmax(), (_s8(10),), _s8(10, scale=1 / 256, zero_point=-128))),
    Row("s8 table 32x32x16", Elements(ops.Table(CODES, S8(0.05, 3)), (MAP,), MAP)),
    Row("s8 table per channel 32x32x16", Elements(ops.Table(np.tile(CODES, (16, 1)), S8(0.05, 3)), (MAP,), MAP)),
    Row("s8 to f32 32x32x16", Elements(_convert(0.05, F32()), (MAP,), _plain(F32(), 32, 32, 16))),
    Row("f32 to s8 32x32x16", Elements(_convert(20.0, MAP.fmt), (_plain(F32(), 32, 32, 16),), MAP)),
    Row("s8 to s8 32x32x16", Elements(_convert(0.7, OUT.fmt), (MAP,), OUT)),
    Row("s1 to f32 32x32x32", Elements(_convert(1.0, F32()), (_plain(S1(), 32, 32, 32),), _plain(F32(), 32, 32, 32))),
    Row("s8 concat 16x16x(16, 16)", Elements(ops.Concat(2), (_s8(16, 16, 16),) * 2, _s8(16, 16, 32))),
    Row(
        "s1 gather, rows reversed 16x16x64",
        Elements(_reversed(16), (_plain(S1(), 16, 16, 64),), _plain(S1(), 16, 16, 64)),
    ),
    Row("s8 gather, rows reversed 16x16x16", Elements(_reversed(16), (_s8(16, 16, 16),), _s8(16, 16, 16))),
    Row(
        "f32 gather, rows reversed 16x16x4",
        Elements(_reversed(16), (_plain(F32(), 16, 16, 4),), _plain(F32(), 16, 16, 4)),
    ),
    Row("s1 constant 8x8x32", Elements(ops.Constant(np.ones((8, 8, 32), np.int8), S1()), (), _plain(S1(), 8, 8, 32))),
    Row("s8 constant 8x8x16", Elements(ops.Constant(np.ones((8, 8, 16), np.int8), MAP.fmt), (), _s8(8, 8, 16))),
    Row(
        "f32 constant 8x8x4", Elements(ops.Constant(np.ones((8, 8, 4), np.float32), F32()), (), _plain(F32(), 8, 8, 4))
    ),
)


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
    Row(
        "s8 conv 3x3 16x16x32->32 same, M0+, TFLite", _tflite(_same(_bytes(16, 32, 32, 3))), 3.8, target="cortex-m0plus"
    ),
    Row("s8 depthwise 3x3 24x24x32 same, M0+, TFLite", _tflite(_depthwise(24, 32)), 9.3, target="cortex-m0plus"),
    Row("s8 depthwise 3x3 24x24x32 same, M0+", _depthwise(24, 32), 9.3, target="cortex-m0plus"),
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
    Row("f32 depthwise 3x3 16x16x64 same", _depthwise(16, 64, 3, "f32", "f32", "f32"), 6.0),
    *EIGHT_BITS,
    *FEW_BITS,
    *OTHERS,
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


def find_rows(pattern: str, host: bool = False, board: bool = False) -> list[Row]:
    """Rows of the grid whose name matches a regular expression; host: with those for hosts; board: without constants,
    as a run on a board has a sample of inputs."""
    rows = (*GRID, *(HOST_GRID if host else ()))
    return [row for row in rows if re.search(pattern, row.name) and not (board and is_constant(row))]


def is_constant(row: Row) -> bool:
    return isinstance(row.layer, Elements) and not row.layer.inputs
