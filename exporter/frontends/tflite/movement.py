"""Operators that move elements: shapes, slices, paddings, joins, resizing. Codes stay as they are, so scales must be
equal in front and behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ...ir.types import F32, S8
from ..graph import Unsupported, Value
from ..selection import Indices, selection
from . import rules
from .context import OpContext
from .model import MOST_ELEMENTS
from .registry import register
from .slices import strided

MOST_MATRIX = 1 << 22  # weights of a resizing along one axis


def moved(ctx: OpContext, i: int = 0) -> Value:
    """An operand whose format the output has."""
    value = ctx.x(i)
    ctx.keeps_format(value)
    return value


def permuted(ctx: OpContext, value: Value, order: Sequence[int]) -> Value:
    """Axes of the IR in another order."""
    shape = ctx.inner_shape(value)
    rank = len(shape)
    view = ops.View(tuple(shape[k] for k in order), tuple(order), (0,) * rank, (1,) * rank, (1,) * rank)
    return ctx.emit(view, value)


def taken(ctx: OpContext, value: Value, indices: Sequence[Indices]) -> Value:
    """Elements by their indices on every axis of the file's shape."""
    shape = ctx.shape(value)
    if any(len(index) == 0 for index in indices):
        raise Unsupported(f"{ctx.kind} takes nothing of shape {shape}")
    whole = [len(index) == n and bool((index == np.arange(n)).all()) for index, n in zip(indices, shape, strict=True)]
    if all(whole):
        return value
    result = tuple(len(index) for index in indices)
    value = value if len(shape) == 1 else ctx.batched(value)
    chosen = [None if w else index for w, index in zip(whole, indices, strict=True)]
    return ctx.reshape(ctx.emit(selection(shape, chosen), value), result)


def everything(shape: Sequence[int]) -> list[Indices]:
    return [np.arange(n) for n in shape]


# --- shapes -----------------------------------------------------------------------------------------------------------


@register("RESHAPE", forms="any shape that is known", limits=("shapes that depend on the data",))
def reshape(ctx: OpContext) -> str:
    x = moved(ctx)
    wanted = ctx.integers(1, "shape") if ctx.has(1) else list(ctx.options["new_shape"] or ctx.output().shape)
    count = math.prod(ctx.shape(x))
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) > 1 or known < 1 or (count % known if -1 in wanted else count != known):
        raise Unsupported(f"RESHAPE of {ctx.shape(x)} to {tuple(wanted)}", "as many elements")
    return ctx.reshape(x, [count // known if n == -1 else n for n in wanted])


@register("SQUEEZE", "EXPAND_DIMS")
def squeeze(ctx: OpContext) -> str:
    x = moved(ctx)
    shape = list(ctx.shape(x))
    if ctx.kind == "EXPAND_DIMS":
        axis = ctx.integers(1, "axis")
        shape.insert(ctx.axis(axis[0], len(shape) + 1), 1)
        return ctx.reshape(x, shape)
    axes = [ctx.axis(axis, len(shape)) for axis in ctx.options["squeeze_dims"]]
    if any(shape[axis] != 1 for axis in axes):
        raise Unsupported(f"SQUEEZE of axes {axes} of {tuple(shape)}", "axes of 1")
    kept = [n for axis, n in enumerate(shape) if (axis not in axes if axes else n != 1)]
    return ctx.reshape(x, kept)


@register("TRANSPOSE")
def transpose(ctx: OpContext) -> str:
    x = moved(ctx)
    shape, order = ctx.shape(x), ctx.integers(1, "order")
    if sorted(order) != list(range(len(shape))):
        raise Unsupported(f"TRANSPOSE of {shape} by {order}", "a permutation")
    if shape and shape[0] == 1 and order[0] == 0 and len(shape) > 1:
        return permuted(ctx, x, [axis - 1 for axis in order[1:]])
    y = permuted(ctx, ctx.batched(x) if len(shape) > 1 else x, order)
    return ctx.reshape(y, [shape[axis] for axis in order])


@register("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def depth(ctx: OpContext) -> str:
    moved(ctx)
    x = ctx.map()
    _, h, w, c = ctx.shape(x)
    b = ctx.options["block_size"]
    to_space = ctx.kind == "DEPTH_TO_SPACE"
    if b < 1 or (c % (b * b) if to_space else h % b or w % b):
        raise Unsupported(f"{ctx.kind} of {ctx.shape(x)} with blocks of {b}", "blocks that fit")
    if to_space:
        y = permuted(ctx, ctx.reshape(x, (1, h, w, b, c // b)), (0, 2, 1, 3))
        return ctx.reshape(y, (1, h * b, w * b, c // (b * b)))
    y = permuted(ctx, ctx.reshape(x, (1, h // b, b, w // b, b * c)), (0, 2, 1, 3))
    return ctx.reshape(y, (1, h // b, w // b, b * b * c))


# --- parts ------------------------------------------------------------------------------------------------------------


@register("STRIDED_SLICE", forms="constant bounds, steps of either sign, all masks")
def strided_slice(ctx: OpContext) -> str:
    x = moved(ctx)
    bounds = [ctx.integers(i, what) for i, what in ((1, "begin"), (2, "end"), (3, "strides"))]
    indices, shape = strided(ctx.options, ctx.shape(x), *bounds)
    return ctx.reshape(taken(ctx, x, indices), shape)


@register("SLICE", forms="constant bounds")
def slice_(ctx: OpContext) -> str:
    x = moved(ctx)
    shape, begin, size = ctx.shape(x), ctx.integers(1, "begin"), ctx.integers(2, "size")
    if not len(begin) == len(size) == len(shape):
        raise Unsupported(f"SLICE of {shape} from {begin}, {size} long")
    ends = [n if count == -1 else first + count for first, count, n in zip(begin, size, shape, strict=True)]
    if any(not 0 <= first < end <= n for first, end, n in zip(begin, ends, shape, strict=True)):
        raise Unsupported(f"SLICE of {shape} from {begin}, {size} long", "bounds inside")
    return taken(ctx, x, [np.arange(first, end) for first, end in zip(begin, ends, strict=True)])


@register("SPLIT", "SPLIT_V", "UNPACK", forms="along any axis")
def split(ctx: OpContext) -> Sequence[str]:
    """Parts of one axis; UNPACK's lose it."""
    x = moved(ctx, 1 if ctx.kind == "SPLIT" else 0)
    shape, count = ctx.shape(x), len(ctx.operator.outputs)
    where = {"SPLIT": 0, "SPLIT_V": 2}.get(ctx.kind)
    axis = ctx.axis(ctx.options["axis"] if where is None else ctx.integers(where, "axis")[0], len(shape))
    sizes = ctx.integers(1, "sizes") if ctx.kind == "SPLIT_V" else [shape[axis] // count] * count
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if len(sizes) != count or sum(sizes) != shape[axis] or min(sizes) < 1:
        raise Unsupported(f"{ctx.kind} of axis {axis} of {shape} into {sizes}")
    parts, start = [], 0
    for size in sizes:
        indices = everything(shape)
        indices[axis] = np.arange(start, start + size)
        part = taken(ctx, x, indices)
        parts.append(ctx.reshape(part, [n for k, n in enumerate(shape) if k != axis]) if ctx.kind == "UNPACK" else part)
        start += size
    return parts


@register("GATHER", forms="constant indices", limits=("indices that are computed", "batch_dims"))
def gather(ctx: OpContext) -> str:
    x = moved(ctx)
    shape, index = ctx.shape(x), ctx.constant(1, "indices")
    axis = ctx.axis(ctx.options["axis"], len(shape))
    if index.dtype.kind != "i" or ctx.options["batch_dims"] or not ((index >= 0) & (index < shape[axis])).all():
        raise Unsupported(f"GATHER of axis {axis} of {shape}", "constant indices inside, batch_dims=0")
    indices = everything(shape)
    indices[axis] = index.reshape(-1).astype(np.int64)
    return ctx.reshape(taken(ctx, x, indices), (*shape[:axis], *index.shape, *shape[axis + 1 :]))


@register("REVERSE_V2", "TILE")
def repeated(ctx: OpContext) -> str:
    x = moved(ctx)
    shape, numbers = ctx.shape(x), ctx.integers(1, "axes" if ctx.kind == "REVERSE_V2" else "multiples")
    indices = everything(shape)
    if ctx.kind == "REVERSE_V2":
        for axis in {ctx.axis(n, len(shape)) for n in numbers}:
            indices[axis] = indices[axis][::-1]
    else:
        if len(numbers) != len(shape) or min(numbers, default=1) < 1:
            raise Unsupported(f"TILE of {shape} by {numbers}", "a count for each axis")
        if math.prod(shape) * math.prod(numbers) > MOST_ELEMENTS:
            raise Unsupported(f"TILE of {shape} by {numbers}", f"at most {MOST_ELEMENTS:,} elements")
        indices = [np.tile(index, count) for index, count in zip(indices, numbers, strict=True)]
    return taken(ctx, x, indices)


# --- paddings and joins -----------------------------------------------------------------------------------------------


def _cells(ctx: OpContext, x: str) -> list[tuple[int, int]]:
    shape, cells = ctx.shape(x), ctx.constant(1, "paddings")
    if cells.shape != (len(shape), 2) or cells.dtype.kind != "i" or cells.min() < 0 or cells.max() > 1 << 16:
        raise Unsupported(
            f"{ctx.kind} of {shape} by {cells.tolist() if cells.size < 16 else cells.shape}", "two counts for each axis"
        )
    return [(int(before), int(after)) for before, after in cells]


@register("PAD", "PADV2", forms="zero, or a constant value")
def pad(ctx: OpContext) -> str:
    x = moved(ctx)
    cells, shape = _cells(ctx, x), ctx.shape(x)
    value = _pad_value(ctx, x)
    wide = len(shape) == 1 or any(cells[0]) or shape[0] != 1
    y = x if not wide or len(shape) == 1 else ctx.batched(x)
    inner = cells if wide else cells[1:]
    y = ctx.emit(ops.Pad(tuple(b for b, _ in inner), tuple(a for _, a in inner), value), y)
    return ctx.reshape(y, [b + n + a for (b, a), n in zip(cells, shape, strict=True)]) if wide else y


def _pad_value(ctx: OpContext, x: str) -> float:
    """The real value that is put around."""
    if not ctx.has(2):
        return 0.0
    value, fmt = ctx.constant(2, "value"), ctx.format(x)
    if value.size != 1 or value.dtype != (np.int8 if isinstance(fmt, S8) else np.float32):
        raise Unsupported(f"{ctx.kind} of {fmt} with {value.size} values of {value.dtype}", "one of its type")
    number = float(value.reshape(()))
    return (number - fmt.zero_point) * fmt.scale if isinstance(fmt, S8) else number


@register("MIRROR_PAD", forms="REFLECT, SYMMETRIC")
def mirror_pad(ctx: OpContext) -> str:
    x = moved(ctx)
    mode: Literal["reflect", "symmetric"] = "reflect" if ctx.options["mode"] == "REFLECT" else "symmetric"
    spare = int(mode == "reflect")
    indices = []
    for (before, after), n in zip(_cells(ctx, x), ctx.shape(x), strict=True):
        if max(before, after) > n - spare:
            raise Unsupported(f"MIRROR_PAD by {before} and {after} of {n} cells", f"at most {n - spare}")
        indices.append(np.pad(np.arange(n), (before, after), mode) if before or after else np.arange(n))
    return taken(ctx, x, indices)


@register("CONCATENATION", "PACK", forms="along any axis, operands of equal scales; constants")
def concatenation(ctx: OpContext) -> str:
    values = [moved(ctx, i) for i in range(len(ctx.operator.inputs))]
    if not values:
        raise Unsupported(f"{ctx.kind} of nothing", "one operand or more")
    shapes = [ctx.shape(value) for value in values]
    rank = len(shapes[0])
    pack = ctx.kind == "PACK"
    axis = ctx.axis(ctx.options["axis"], rank + pack)
    if any(len(shape) != rank for shape in shapes) or rank + pack == 0:
        raise Unsupported(f"{ctx.kind} of shapes {', '.join(map(str, shapes[:8]))}", "equal numbers of axes")
    if pack:
        shapes = [(*shape[:axis], 1, *shape[axis:]) for shape in shapes]
    result = (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
    parts = [ctx.reshape(value, (1, *shape)) for value, shape in zip(values, shapes, strict=True)]
    y = parts[0] if len(parts) == 1 else ctx.emit(ops.Concat(axis), *parts)
    y = ctx.reshape(y, result)
    return ctx.clip_codes(y) if isinstance(ctx.format(y), S8) else ctx.finish(y)


# --- resizing ---------------------------------------------------------------------------------------------------------


@register("RESIZE_NEAREST_NEIGHBOR", forms="any ratio; align_corners, half_pixel_centers")
def resize_nearest(ctx: OpContext) -> str:
    moved(ctx)
    x = ctx.map()
    shape = ctx.shape(x)
    sizes = _sizes(ctx)
    corners, middle = ctx.options["align_corners"], ctx.options["half_pixel_centers"]
    indices = everything(shape)
    for axis, new in zip((1, 2), sizes, strict=True):
        old = shape[axis]
        scale = np.float32((old - 1) / (new - 1) if corners and new > 1 else old / new)
        where = (np.arange(new, dtype=np.float32) + np.float32(0.5 if middle else 0)) * scale
        cells = rules.rha(where) if corners else np.floor(where)
        indices[axis] = np.clip(cells.astype(np.int64), 0, old - 1)
    return taken(ctx, x, indices)


def _sizes(ctx: OpContext) -> list[int]:
    sizes = ctx.integers(1, "size")
    if len(sizes) != 2 or min(sizes) < 1 or max(sizes) > 1 << 16:
        raise Unsupported(f"{ctx.kind} to {sizes}", "height and width")
    return sizes


@register("RESIZE_BILINEAR", forms="int8, float32; align_corners, half_pixel_centers")
def resize_bilinear(ctx: OpContext) -> str:
    """Of floats a product with a matrix along each axis, turned to be the last."""
    moved(ctx)
    x = ctx.map()
    if not isinstance(ctx.format(x), F32):
        corners, middle = ctx.options["align_corners"], ctx.options["half_pixel_centers"]
        height, width = _sizes(ctx)
        rows, columns, _ = ctx.inner_shape(x)
        places = rules.places(rows, height, corners, middle), rules.places(columns, width, corners, middle)
        return ctx.emit(ops.Bilinear(places), x)
    for axis, new in zip((0, 1), _sizes(ctx), strict=True):
        order = [k for k in range(3) if k != axis] + [axis]
        matrix = _bilinear(
            ctx.inner_shape(x)[axis], new, ctx.options["align_corners"], ctx.options["half_pixel_centers"]
        )
        y = ctx.emit(ops.Dense(ops.Weights("f32", matrix)), permuted(ctx, x, order))
        x = permuted(ctx, y, [order.index(k) for k in range(3)])
    return x


def _bilinear(old: int, new: int, corners: bool, middle: bool) -> NDArray[np.float32]:
    """Row i mixes the two cells around its place."""
    if old * new > MOST_MATRIX:
        raise Unsupported(f"RESIZE_BILINEAR of {old} cells to {new}", f"a product of up to {MOST_MATRIX:,}")
    scale = np.float32((old - 1) / (new - 1) if corners and new > 1 else old / new)
    offset = np.float32(0.5 if middle else 0)
    where = (np.arange(new, dtype=np.float32) + offset) * scale - offset
    below = np.floor(where)
    low = np.clip(below, 0, old - 1).astype(int)
    high = np.clip(below + 1, 0, old - 1).astype(int)
    share, rows = (where - below).astype(np.float32), np.arange(new)
    matrix = np.zeros((new, old), np.float32)
    matrix[rows, low] = 1 - share
    matrix[rows, high] += share
    return matrix
