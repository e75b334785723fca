"""The arithmetic of quantized files (`ops` section 4) in numpy, bit for bit as TFLite's reference kernels and ONNX's
definition have it. Arrays hold stored values with a batch axis: s8 codes as int8, s32 as int64 within int32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import fixed_point, ops
from .fixed_point import I64, wrap
from .types import S8, TensorType
from .windows import Geometry, inside_counts, taps, with_map

Array: TypeAlias = NDArray[Any]


def run(op: ops.Op, inputs: list[Array], types: list[TensorType]) -> Array:
    """Stored output of an integer operator other than a convolution."""
    return _RULES[type(op)](op, inputs, types)


def numbers(x: Array, kind: TensorType) -> I64:
    """code - zero point of an s8; an s32 as it is."""
    return x.astype(np.int64) - (kind.fmt.zero_point if isinstance(kind.fmt, S8) else 0)


def to_codes(x: I64, out: S8, low: int, high: int) -> NDArray[np.int8]:
    """Zero point added, clipped."""
    return np.clip(x + out.zero_point, low, high).astype(np.int8)


def _rescale(op: ops.Rescale, inputs: list[Array], types: list[TensorType]) -> Array:
    multiplier, shift = op.multiplier.astype(np.int64), op.shift.astype(np.int64)
    single = op.rounding is ops.FixedRounding.SINGLE
    x = fixed_point.rescale(numbers(inputs[0], types[0]), multiplier, shift, left=op.left, single=single)
    return to_codes(x, op.out, op.qmin, op.qmax) if isinstance(op.out, S8) else wrap(x)


def _weighted_sum(op: ops.WeightedSum, inputs: list[Array], types: list[TensorType]) -> Array:
    a, b = (numbers(x, kind) * factor for x, kind, factor in zip(inputs, types, op.factors, strict=True))
    return to_codes(fixed_point.shift_half_even(a + b, np.asarray(op.shift, np.int64)), op.out, op.qmin, op.qmax)


def _binary(op: ops.Binary, inputs: list[Array], types: list[TensorType]) -> Array:
    if op.kind in ("maximum", "minimum"):
        return np.maximum(*inputs) if op.kind == "maximum" else np.minimum(*inputs)
    a, b = (numbers(x, kind) for x, kind in zip(inputs, types, strict=True))
    return wrap(a * b if op.kind == "mul" else a + b if op.kind == "add" else a - b)


_OVER: dict[str, np.ufunc] = {"sum": np.add, "maximum": np.maximum, "minimum": np.minimum}


def reduce(op: ops.Reduce, x: Array, kind: TensorType) -> Array:
    """A Reduce of stored values."""
    axes = tuple(axis + 1 for axis in op.axes)
    keepdims: Any = op.keepdims  # numpy's types want to know which
    x = numbers(x, kind) if op.kind == "sum" else x
    reduced = np.asarray(_OVER[op.kind].reduce(x, axis=axes, keepdims=keepdims))
    return wrap(reduced) if op.kind == "sum" else reduced


def raw_mean(op: ops.AvgPool, x: Array) -> Array:
    """Mean of the codes inside each window, half away from zero."""
    cells = with_map(x).astype(np.int64)
    geometry = Geometry(op.size, op.stride, padding=op.padding)
    total = np.asarray(sum(taps(cells, geometry, 0)))
    count = inside_counts(cells.shape[1], cells.shape[2], geometry)[:, :, None]
    return np.asarray(np.sign(total) * ((np.abs(total) + count // 2) // count), np.int8)


def bilinear(op: ops.Bilinear, x: Array) -> Array:
    """A Bilinear of stored codes, (N, H, W, C)."""
    mixed: I64 = x.astype(np.int64)
    for axis, places in enumerate(op.places, 1):
        share = (places % ops.PLACES).reshape([-1 if k == axis else 1 for k in range(4)])
        below = np.take(mixed, places // ops.PLACES, axis)
        above = np.take(mixed, -(-places // ops.PLACES), axis)
        mixed = np.asarray(below * (ops.PLACES - share) + above * share, np.int64)
    parts = ops.PLACES**2
    return np.asarray(np.sign(mixed) * ((np.abs(mixed) + parts // 2) // parts), np.int8)


_RULES: dict[type, Callable[[Any, list[Array], list[TensorType]], Array]] = {
    ops.Rescale: _rescale,
    ops.WeightedSum: _weighted_sum,
    ops.Binary: _binary,
    ops.Bilinear: lambda op, inputs, types: bilinear(op, inputs[0]),
    ops.Reduce: lambda op, inputs, types: reduce(op, inputs[0], types[0]),
    ops.AvgPool: lambda op, inputs, types: raw_mean(op, inputs[0]),
}
