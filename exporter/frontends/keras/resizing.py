"""Resizing maps: UpSampling and Resizing.

TensorFlow puts the middle of cell i at i + 1/2. The nearest cell, for whole ratios up and down, is a view. Everything
else is a product with a matrix along each axis, (new, old): one 1 in each row for the nearest cell, which keeps the
format of the map; two neighbours' weights for bilinear, which are floats. The product is a dense layer on that axis,
turned to be the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ...ir.types import F32
from ..graph import Unsupported
from . import layers
from .context import LayerContext
from .registry import register

NOTE = "each bilinear value is a mean of floats"
REMEDY = "use interpolation='nearest' with a whole ratio, or Conv2DTranspose"
METHODS = ("nearest", "bilinear")


@register(
    "UpSampling1D", "UpSampling2D", forms="nearest, bilinear (in f32)", limits=("bicubic and other interpolations",)
)
def up_sampling(ctx: LayerContext) -> str:
    how = _method(ctx, "nearest")
    axes = layers.spatial_axes(ctx)
    size = ctx.get("size", 2)
    factors = [int(size)] * axes if isinstance(size, int) else [int(n) for n in size]
    if len(factors) != axes:
        raise Unsupported(f"size is {size}", f"{axes} numbers")
    shape = ctx.shape(ctx.x)
    return resize(ctx, how, [n * factor for n, factor in zip(shape, factors, strict=False)])


@register(
    "Resizing",
    forms="nearest (whole ratios: a view), bilinear (in f32)",
    limits=("bicubic and other interpolations, antialias, aspect ratios",),
)
def resizing(ctx: LayerContext) -> str:
    how = _method(ctx, "bilinear")
    for key in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        if ctx.get(key):
            raise Unsupported(f"{key} is set", f"{key}=False", "Crop or pad with layers of their own")
    layers.spatial_axes(ctx)
    return resize(ctx, how, [int(ctx.get("height")), int(ctx.get("width"))])


def _method(ctx: LayerContext, default: str) -> str:
    how = str(ctx.get("interpolation", default)).lower()
    if how not in METHODS:
        raise Unsupported(f"interpolation is {how!r}", ", ".join(METHODS), "Use one of these, or Conv2DTranspose")
    return how


def resize(ctx: LayerContext, how: str, sizes: Sequence[int]) -> str:
    """The map with its first axes of these sizes."""
    shape = ctx.shape(ctx.x)
    if any(n < 1 for n in sizes):
        raise Unsupported(f"the size is {tuple(sizes)}", "sizes of 1 and more")
    if how == "nearest" and all(_whole(old, new) for old, new in zip(shape, sizes, strict=False)):
        return _nearest_view(ctx, sizes)
    y = ctx.x
    for axis, new in enumerate(sizes):
        if new != shape[axis]:
            y = _along(ctx, y, axis, nearest(shape[axis], new) if how == "nearest" else bilinear(shape[axis], new), how)
    return y


def _whole(old: int, new: int) -> bool:
    return old % new == 0 or new % old == 0


def _nearest_view(ctx: LayerContext, sizes: Sequence[int]) -> str:
    """Cell i of a map s times as small is the one in the middle of the cells i * s to i * s + s - 1."""
    shape = ctx.shape(ctx.x)
    steps = [max(old // new, 1) for old, new in zip(shape, sizes, strict=False)]
    repeats = [max(new // old, 1) for old, new in zip(shape, sizes, strict=False)]
    start = (*(step // 2 for step in steps), 0)
    return ctx.emit(layers.view((*sizes, shape[-1]), start, (*steps, 1), (*repeats, 1)), ctx.x)


def nearest(old: int, new: int) -> NDArray[np.float32]:
    """Row i has its 1 at floor((i + 1/2) * old / new), in TensorFlow's float32."""
    middle = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old / new)
    cells = np.minimum(np.floor(middle).astype(int), old - 1)
    return np.asarray(np.eye(old)[cells], dtype=np.float32)


def bilinear(old: int, new: int) -> NDArray[np.float32]:
    """Row i mixes the cells around (i + 1/2) * old / new - 1/2; beyond the first and last cell there is only that."""
    where = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old / new) - np.float32(0.5)
    below = np.floor(where)
    share = (where - below).astype(np.float32)
    low, high = np.maximum(below, 0).astype(int), np.minimum(np.ceil(where), old - 1).astype(int)
    cells = np.eye(old, dtype=np.float32)
    mixed = cells[low] * (1 - share)[:, None] + cells[high] * share[:, None]
    return np.asarray(mixed, dtype=np.float32)


def _along(ctx: LayerContext, x: str, axis: int, matrix: NDArray[np.float32], how: str) -> str:
    """The product of `matrix` with one axis of x."""
    rank = len(ctx.shape(x))
    order = [*(i for i in range(rank) if i != axis), axis]
    turned = layers.permute(ctx, x, order)
    y = ctx.emit(ops.Dense(_weights(ctx, x, matrix, how)), turned)
    fmt = ctx.format(x)
    if how == "nearest" and not isinstance(fmt, F32):
        y = ctx.emit(ops.Quantize(fmt), y)  # a single 1 in each row: the very code
    return layers.permute(ctx, y, [order.index(i) for i in range(rank)])


def _weights(ctx: LayerContext, x: str, matrix: NDArray[np.float32], how: str) -> ops.Weights:
    if how == "nearest" and not isinstance(ctx.format(x), F32):
        return ops.Weights("s8", matrix.astype(np.int8))
    quantized: Any = not isinstance(ctx.format(x), F32)
    return ops.Weights("f32", matrix, note=NOTE if quantized else "", remedy=REMEDY if quantized else "")
