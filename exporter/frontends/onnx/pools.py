"""Pools, and reductions over any axes. A reduction is a pool over the reduced axes laid side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from ...ir import ops
from ..graph import Unsupported
from .codes import result, triple
from .context import OnnxContext
from .convolutions import Window, window
from .model import MICROSOFT
from .operands import Activation, Constant, Operand, Order, channels_last, value_shape
from .registry import register


@register("MaxPool", forms="1-D and 2-D, any padding, ceil_mode; on floats and codes", limits=("dilations", "Indices"))
def max_pool(ctx: OnnxContext) -> Operand:
    x = ctx.activation()
    place = _place(ctx, x)
    if len([name for name in ctx.node.outputs if name]) > 1:
        raise Unsupported("its second result, Indices, is used", "the maxima")
    return _pooled(ctx, x, place, ops.MaxPool(place.sizes, place.strides, place.padding))


def _place(ctx: OnnxContext, x: Activation) -> Window:
    place = window(ctx, x, None)
    if set(place.dilation) != {1}:
        raise Unsupported(f"dilations are {list(place.dilation)}", "1")
    ctx.only("storage_order", 0)
    return _rounded_up(ctx, x, place) if ctx.whole("ceil_mode", 0) else place


def _rounded_up(ctx: OnnxContext, x: Activation, place: Window) -> Window:
    """ceil_mode as padding behind: a window that begins inside the map counts."""
    after = []
    for n, k, s, b, a in zip(x.shape[2:], place.size, place.stride, place.before, place.after, strict=True):
        count = -(-(n + b + a - k) // s) + 1
        if (count - 1) * s >= n + b:
            count -= 1
        after.append(max((count - 1) * s + k - n - b, a))
    return replace(place, after=tuple(after))


def _pooled(ctx: OnnxContext, x: Activation, place: Window, op: ops.Op) -> Activation:
    laid = ctx.arranged(x, channels_last(len(x.shape)))
    value = ctx.emit(op, laid.value)
    *spatial, channels = ctx.graph.type(value).shape
    return Activation(value, (x.shape[0], channels, *spatial), laid.order, x.coded, x.unsigned)


@register(
    "AveragePool",
    forms="1-D and 2-D, any padding, ceil_mode, count_include_pad",
    limits=("dilations", "ceil_mode with count_include_pad"),
)
def average_pool(ctx: OnnxContext) -> Operand:
    return _average(ctx, ctx.real())


def _average(ctx: OnnxContext, x: Activation) -> Activation:
    place = _place(ctx, x)
    if ctx.whole("count_include_pad", 0) and any((*place.before, *place.after)):
        if ctx.whole("ceil_mode", 0):
            raise Unsupported("ceil_mode with count_include_pad", "one of the two")
        x, place = _with_cells(ctx, x, place)
    return _pooled(ctx, x, place, ops.AvgPool(place.sizes, place.strides, place.padding))


def _with_cells(ctx: OnnxContext, x: Activation, place: Window) -> tuple[Activation, Window]:
    """The padding as cells of the map, which count."""
    laid = ctx.arranged(x, channels_last(len(x.shape)))
    value = ctx.emit(ops.Pad((*place.before, 0), (*place.after, 0)), laid.value)
    spatial = ctx.graph.type(value).shape[:-1]
    none = (0,) * len(place.before)
    return Activation(value, (*x.shape[:2], *spatial), laid.order), replace(place, before=none, after=none)


@register("GlobalAveragePool", "GlobalMaxPool", forms="1-D and 2-D")
def global_pool(ctx: OnnxContext) -> Operand:
    return _over(ctx, ctx.real(), range(2, len(ctx.activation().shape)), ctx.node.op == "GlobalMaxPool", True)


@register(
    "ReduceMean", "ReduceSum", "ReduceMax", forms="any axes but the batch's, keepdims", limits=("Min, Prod, norms",)
)
def reduce(ctx: OnnxContext) -> Operand:
    x = ctx.real()
    axes = ctx.wholes("axes") if len(ctx.inputs) < 2 else ctx.integers(1, "the axes")
    if not axes:
        if ctx.whole("noop_with_empty_axes", 0):
            return x
        axes = list(range(len(x.shape)))
    reduced = _over(ctx, x, axes, ctx.node.op == "ReduceMax", bool(ctx.whole("keepdims", 1)))
    if ctx.node.op == "ReduceSum":
        count = math.prod(x.shape[ctx.axis(axis, len(x.shape))] for axis in axes)
        reduced = ctx.apply(reduced, ops.Scale(float(count)))
    return reduced


def _over(ctx: OnnxContext, x: Activation, axes: Iterable[int], largest: bool, keep: bool) -> Activation:
    """The mean or maximum over some axes."""
    rank = len(x.shape)
    gone = sorted({ctx.axis(axis, rank) for axis in axes})
    if 0 in gone and x.shape[0] == 1:
        gone = gone[1:]
    if 0 in gone or not gone:
        raise Unsupported(f"reduces the axes {gone}", "axes behind the batch")
    kept: Order = tuple(axis for axis in x.order if axis not in gone)
    first = tuple(axis for axis in x.order if axis in gone)
    laid = ctx.arranged(x, (*first, *kept))
    count, rest = math.prod(x.shape[a] for a in gone), math.prod(x.shape[a] for a in kept)
    if _is_window(x, first, kept):
        size = (x.shape[first[0]], x.shape[first[1]])
        value = laid.value
    else:
        size = (1, count)
        value = ctx.emit(ops.Reshape((count, rest)), laid.value)
    pool: ops.Op = ops.MaxPool(size, size) if largest else ops.AvgPool(size, size)
    value = ctx.emit(pool, value)
    if keep:
        shape, order = tuple(1 if a in gone else n for a, n in enumerate(x.shape)), (*first, *kept)
    else:
        shape = tuple(n for a, n in enumerate(x.shape) if a not in gone)
        names = [a for a in range(rank) if a not in gone]
        order = tuple(names.index(axis) for axis in kept)
    wanted = value_shape(shape, order)
    if ctx.graph.type(value).shape != wanted:
        value = ctx.emit(ops.Reshape(wanted), value)
    return Activation(value, shape, order, x.coded, x.unsigned)


def _is_window(x: Activation, first: Order, kept: Order) -> bool:
    """Whether the reduced axes are height and width of a map as it lies."""
    return len(first) == 2 and len(kept) == 1 and len(x.shape) == 4


# --- onnxruntime's ----------------------------------------------------------------------------------------------------


@register("QLinearGlobalAveragePool", domain=MICROSOFT, forms="as GlobalAveragePool", limits=("channels_last",))
def qlinear_global_average_pool(ctx: OnnxContext) -> Operand:
    ctx.only("channels_last", 0)
    x = _reals(triple(ctx, 0))
    return result(ctx, _over(ctx, x, range(2, len(x.shape)), False, True), 3)


@register("QLinearAveragePool", domain=MICROSOFT, forms="as AveragePool", limits=("channels_last",))
def qlinear_average_pool(ctx: OnnxContext) -> Operand:
    ctx.only("channels_last", 0)
    return result(ctx, _average(ctx, _reals(triple(ctx, 0))), 3)


def _reals(x: Operand) -> Activation:
    if isinstance(x, Constant):
        raise Unsupported("pools a constant", "an activation")
    return x
