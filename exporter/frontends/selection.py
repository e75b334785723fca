"""Elements of a tensor by their numbers on each axis: what slices, repetitions, mirrored borders and nearest resizing
come to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..ir import ops

Indices = NDArray[np.int64]


def selection(shape: Sequence[int], indices: Sequence[Indices | None]) -> ops.View | ops.Gather:
    """The operator that takes them from a tensor of this shape; None: the whole axis. A View where they go up evenly,
    else a Gather."""
    walks = [_walk(index) for index in indices]
    known = [walk for walk in walks if walk is not None]
    if len(known) < len(walks):
        return ops.Gather(tuple(indices))
    result = tuple(n if index is None else len(index) for n, index in zip(shape, indices, strict=True))
    start, step, repeat = (tuple(part) for part in zip(*known, strict=True))
    return ops.View(result, tuple(range(len(result))), start, step, repeat)


def _walk(index: Indices | None) -> tuple[int, int, int] | None:
    """start, step and repeat with index[i] = start + i // repeat * step, None if there are none."""
    if index is None:
        return 0, 1, 1
    differ = np.flatnonzero(np.diff(index))
    if not differ.size:
        return int(index[0]), 1, len(index)
    repeat = int(differ[0]) + 1
    step = int(index[repeat] - index[0])
    even = step > 0 and bool((index == index[0] + np.arange(len(index)) // repeat * step).all())
    return (int(index[0]), step, repeat) if even else None
