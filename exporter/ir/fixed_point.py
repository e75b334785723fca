"""Fixed-point arithmetic as the kernels and TFLite have it, in numpy: int64 arrays that hold int32 numbers.

Every function is the definition of its counterpart in interpreter_c/src/numerics.h, or of a rule that front ends of
quantized files apply to their scales."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

I64: TypeAlias = NDArray[np.int64]
LEAST_SHIFT = -31  # below it a multiplier is 0


def wrap(x: Any) -> I64:
    """As int32: two's complement."""
    return np.asarray(x).astype(np.int64).astype(np.int32).astype(np.int64)


def quantize_multiplier(real: Any) -> tuple[I64, I64]:
    """(q, e) with real = q * 2**(e - 31), 2**30 <= q < 2**31: TFLite's QuantizeMultiplier for numbers that are not
    negative. What is below 2**-32 becomes 0."""
    mantissa, shift = np.frexp(np.asarray(real, np.float64))
    multiplier = np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64)
    shift = shift.astype(np.int64) + (multiplier == 1 << 31)
    multiplier = np.where(multiplier == 1 << 31, 1 << 30, multiplier)
    nothing = (shift < LEAST_SHIFT) | (multiplier == 0)
    return np.where(nothing, 0, multiplier), np.where(nothing, 0, shift)


def fixed_point(x: I64, multiplier: I64, shift: I64) -> I64:
    """TFLite's MultiplyByQuantizedMultiplier: x * multiplier * 2**(shift - 31), rounded twice."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    product = wrap(x << left) * multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    mask = (np.int64(1) << right) - 1
    return np.asarray((high >> right) + ((high & mask) > (mask >> 1) + (high < 0)))


def shift_half_even(x: I64, shift: I64) -> I64:
    """x / 2**shift, ties to even."""
    floor = x >> shift
    rest, one = (x - (floor << shift)) * 2, np.int64(1) << shift
    return np.asarray(floor + ((rest > one) | ((rest == one) & ((floor & 1) == 1))))
