"""STRIDED_SLICE: which elements of each axis it takes, and the shape that is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..graph import Unsupported
from ..selection import Indices


def strided(
    options: Mapping[str, Any], shape: tuple[int, ...], begin: Sequence[int], end: Sequence[int], step: Sequence[int]
) -> tuple[list[Indices], tuple[int, ...]]:
    """Indices into every axis of `shape`, and the result's shape. The entries are those of an index expression, in
    order: a slice, one element (shrink), a new axis, or an ellipsis for all axes that have no entry."""
    if not len(begin) == len(end) == len(step) <= len(shape) + 8:
        raise Unsupported(f"STRIDED_SLICE with {len(begin)}, {len(end)} and {len(step)} bounds of shape {shape}")
    masks = {name: int(options[f"{name}_mask"]) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    rows = range(len(begin))
    new = [i for i in rows if masks["new_axis"] >> i & 1]
    dots = [i for i in rows if masks["ellipsis"] >> i & 1 and i not in new]
    rest = len(shape) - (len(begin) - len(new) - len(dots))
    if len(dots) > 1 or rest < 0 or options.get("offset"):
        raise Unsupported(f"STRIDED_SLICE with {len(begin)} bounds of shape {shape}", "one entry for each axis")
    taken: list[Indices] = []
    result: list[int] = []
    for i in rows:
        if i in new:
            result.append(1)
        elif i in dots:
            _whole(shape, rest, taken, result)
        else:
            indices, stays = _entry(masks, i, shape[len(taken)], begin[i], end[i], step[i])
            taken.append(indices)
            result += [len(indices)] * stays
    _whole(shape, len(shape) - len(taken), taken, result)
    return taken, tuple(result)


def _whole(shape: tuple[int, ...], count: int, taken: list[Indices], result: list[int]) -> None:
    """So many axes as they are."""
    for _ in range(count):
        n = shape[len(taken)]
        taken.append(np.arange(n))
        result.append(n)


def _entry(masks: Mapping[str, int], i: int, n: int, begin: int, end: int, step: int) -> tuple[Indices, bool]:
    """Elements of an axis of n, and whether the axis stays."""
    if masks["shrink_axis"] >> i & 1:
        at = begin + n if begin < 0 else begin
        if not 0 <= at < n:
            raise Unsupported(f"element {begin} of an axis of {n}")
        return np.array([at]), False
    if step == 0:
        raise Unsupported("a slice with steps of 0")
    first = None if masks["begin"] >> i & 1 else begin
    last = None if masks["end"] >> i & 1 else end
    return np.arange(n)[first:last:step], True
