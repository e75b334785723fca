"""Sliding windows over maps, shared by the real-valued and the kernel-exact evaluation.

Maps have a batch axis in front: (N, H, W, C). A `Geometry` is the part of a convolution or pool that does not depend
on values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .infer import as_map
from .ops import Padding, Pair

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Geometry:
    """Window of a convolution or pool; fields as in `ops`."""

    size: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    up: Pair = (1, 1)

    def output(self, height: int, width: int) -> Pair:
        """Output height and width for a map of this size."""
        sizes = []
        for axis, n in enumerate((height, width)):
            covered = (self.size[axis] - 1) * self.dilation[axis] + 1
            sizes.append(((n - 1) * self.up[axis] + 1 + sum(self.padding[axis]) - covered) // self.stride[axis] + 1)
        return sizes[0], sizes[1]


def with_map(x: Array) -> Array:
    """(N, ...) -> (N, H, W, C) as kernels read tensors of any rank."""
    return x.reshape((x.shape[0], *as_map(x.shape[1:])))


def padded(x: Array, geometry: Geometry, value: float) -> Array:
    """The map with holes put between its cells (zeros) and `value` around it."""
    up, pad = geometry.up, geometry.padding
    n, h, w, c = x.shape
    spread = np.zeros((n, (h - 1) * up[0] + 1, (w - 1) * up[1] + 1, c), x.dtype)
    spread[:, :: up[0], :: up[1]] = x
    return np.pad(spread, ((0, 0), *pad, (0, 0)), constant_values=np.asarray(value, x.dtype))


def taps(x: Array, geometry: Geometry, value: float) -> Iterator[Array]:
    """For each kernel position, row by row, the cells (N, Ho, Wo, C) that the outputs see there."""
    ho, wo = geometry.output(x.shape[1], x.shape[2])
    source = padded(x, geometry, value)
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    for ky in range(geometry.size[0]):
        for kx in range(geometry.size[1]):
            top, left = ky * dh, kx * dw
            yield source[:, top : top + (ho - 1) * sh + 1 : sh, left : left + (wo - 1) * sw + 1 : sw]


def inside_counts(height: int, width: int, geometry: Geometry) -> Array:
    """(Ho, Wo): how many cells of each window lie inside the map."""
    ones = np.ones((1, height, width, 1), np.int64)
    total = sum(taps(ones, geometry, 0))
    return np.asarray(total)[0, :, :, 0]
