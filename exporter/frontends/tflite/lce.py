"""Larq Compute Engine's operators: 1-bit activations, packed 32 channels to an int32 (a set bit is -1), and
convolutions of them with 1-bit weights.

A convolution counts the bits p in which input and weights differ; the sum of products is K - 2 p, K being the number of
products. It gives 1-bit values (-1 where p is above a threshold), or act(sum) * multiplier + bias as floats or int8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dqnn.tensors import Rounding

from ...ir import ops
from ...ir.types import F32, S1, S8
from ..graph import Unsupported, Value
from . import flexbuffer, rules
from .context import Array, OpContext
from .flatbuffer import Damaged
from .registry import register
from .schema import ACTIVATIONS, PADDINGS

WORD = 32


def _options(ctx: OpContext, **enums: tuple[str, ...]) -> Mapping[str, Any]:
    """The custom options; those of an enumeration by name."""
    try:
        found: dict[str, Any] = dict(flexbuffer.numbers(ctx.operator.content))
    except Damaged as damage:
        raise Unsupported(f"{ctx.kind} cannot be read: {damage}") from damage
    for key, names in enums.items():
        number = found.get(key, 0)
        if not 0 <= number < len(names):
            raise Unsupported(f"{ctx.kind} with {key} {number}", f"0 to {len(names) - 1}")
        found[key] = names[number]
    return found


def _signs(ctx: OpContext, i: int = 0) -> Value:
    value = ctx.map(i)
    if ctx.format(value) != S1():
        raise Unsupported(f"{ctx.kind} reads {ctx.format(value)}", "1-bit values")
    return value


@register("LceQuantize", forms="float32 and int8 to 1 bit")
def quantize(ctx: OpContext) -> str:
    return ctx.emit(ops.Quantize(S1(), source="LceQuantize"), ctx.x())


@register("LceDequantize", forms="1 bit to float32 and int8")
def dequantize(ctx: OpContext) -> str:
    real = ctx.emit(ops.Dequantize(), ctx.x())
    out = ctx.out_format()
    return ctx.emit(ops.Quantize(out, rounding=Rounding.DIVIDE_AWAY), real) if isinstance(out, S8) else real


@register("LceBMaxPool2d", forms="1-bit values")
def max_pool(ctx: OpContext) -> str:
    x = _signs(ctx)
    o = _options(ctx, padding=PADDINGS)
    size, stride = _pair(ctx, o, "filter"), _pair(ctx, o, "stride")
    return ctx.emit(ops.MaxPool(size, stride, _cells(ctx, x, o, size, stride, (1, 1))), x)


def _pair(ctx: OpContext, o: Mapping[str, Any], what: str) -> ops.Pair:
    keys = (
        [f"{what}_height", f"{what}_width"]
        if what != "dilation"
        else [f"{what}_{s}_factor" for s in ("height", "width")]
    )
    pair = (int(o.get(keys[0], 1)), int(o.get(keys[1], 1)))
    if min(pair) < 1:
        raise Unsupported(f"{ctx.kind} with a {what} of {pair}", "1 and more")
    return pair


def _cells(
    ctx: OpContext, x: str, o: Mapping[str, Any], size: ops.Pair, stride: ops.Pair, dilation: ops.Pair
) -> ops.Padding:
    shape = ctx.shape(x)[1:3]
    cells = [rules.padding(o["padding"], n, k, s, d) for n, k, s, d in zip(shape, size, stride, dilation, strict=True)]
    return (cells[0], cells[1])


@register(
    "LceBconv2d",
    forms="1-bit weights; thresholds, float32 or int8 out; padding with 0 or +1; grouped, dilated",
)
def convolution(ctx: OpContext) -> str:
    x = _signs(ctx)
    o = _options(ctx, padding=PADDINGS, fused_activation_function=ACTIVATIONS)
    channels = ctx.shape(x)[3]
    if o.get("channels_in") != channels:
        raise Unsupported(f"{ctx.kind} for {o.get('channels_in')} channels of {channels}")
    codes = _weights(ctx, channels)
    outputs, kh, kw, inner = codes.shape
    stride, dilation = _pair(ctx, o, "stride"), _pair(ctx, o, "dilation")
    cells = _cells(ctx, x, o, (kh, kw), stride, dilation)
    weights, pad_value = ops.Weights("s1", codes, source="LceBconv2d"), float(o.get("pad_values", 0) == 1)
    sums = ctx.emit(ops.Conv2D(weights, None, stride, dilation, cells, pad_value, channels // inner), x)
    if ctx.output().type == "INT32":
        return _thresholds(ctx, sums, kh * kw * inner)
    low, high = rules.REAL_BOUNDS.get(o["fused_activation_function"], (1.0, 0.0))
    if low > high:
        raise Unsupported(f"{ctx.kind} with {o['fused_activation_function']} fused", "NONE, RELU, RELU_N1_TO_1, RELU6")
    y = sums if low == -np.inf else ctx.emit(ops.Clip(low, high), sums)
    y = _scaled(ctx, y, _vector(ctx, 2, outputs, np.float32), _vector(ctx, 3, outputs, np.float32))
    out = ctx.out_format()
    return y if isinstance(out, F32) else ctx.emit(ops.Quantize(out, rounding=Rounding.DIVIDE_AWAY), y)


def _weights(ctx: OpContext, channels: int) -> Array:
    """+1 and -1 of packed weights (outputs, height, width, words). The channels of a group fill whole words, or all
    there are."""
    packed = ctx.constant(1, "weights")
    if packed.dtype != np.int32 or packed.ndim != 4:
        raise Unsupported(
            f"{ctx.tensor(1)} holds {packed.dtype} of shape {packed.shape}", "packed weights: int32 of 4 axes"
        )
    inner = channels if -(-channels // WORD) == packed.shape[3] else packed.shape[3] * WORD
    if inner < 1 or channels % inner or packed.size == 0:
        raise Unsupported(f"{ctx.tensor(1)} of shape {packed.shape} for {channels} channels")
    octets = np.ascontiguousarray(packed, "<i4").view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, count=inner, bitorder="little")
    return (1 - 2 * bits.astype(np.int8)).astype(np.int8)


def _vector(ctx: OpContext, i: int, count: int, dtype: Any) -> Array:
    values = ctx.constant(i, "post-processing").reshape(-1)
    if values.dtype != dtype or values.size != count:
        raise Unsupported(f"{ctx.tensor(i)} holds {values.size} {values.dtype}", f"{count} {np.dtype(dtype)}")
    if not np.isfinite(values).all():
        raise Unsupported(f"{ctx.tensor(i)} holds NaN or infinity", "finite numbers")
    return values.astype(np.float64)


def _scaled(ctx: OpContext, x: Value, factor: Array, offset: Array) -> Value:
    zero, one = np.zeros_like(factor), np.ones_like(factor)
    return ctx.emit(ops.BatchNorm(factor, offset, zero, one, 0.0), x)


def _thresholds(ctx: OpContext, sums: Value, products: int) -> Value:
    """-1 where p = (K - sum) / 2 is above t, that is where sum - (K - 2 t) is negative."""
    t = _vector(ctx, 4, ctx.shape(sums)[3], np.int32)
    y = _scaled(ctx, sums, np.ones_like(t), 2 * t - products)
    return ctx.emit(ops.Quantize(S1(), source="LceBconv2d"), y)
