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


def rescale(x: I64, multiplier: I64, shift: I64, *, left: int, single: bool) -> I64:
    """`ops.Rescale` without zero point and clip."""
    shifted = wrap(x << left)
    if single:
        return shift_half_even(shifted * multiplier, 31 - shift)
    return fixed_point(shifted, multiplier, shift)


def fixed64(x: I64, offset: I64, multiplier: I64, shift: I64) -> I64:
    """`ops.Fixed64` without zero point and clip."""
    total = x * multiplier + offset
    floor = total >> shift
    tie = (total & ((np.int64(1) << shift) - 1)) == 0
    return np.asarray(floor - (tie & ((floor & 1) == 1)))


def half_of(shift: I64) -> I64:
    """Half a step of 2**shift: what an offset of `fixed64` holds besides the bias."""
    return np.asarray(np.int64(1) << (shift - 1))


# --- gemmlowp's exponential and reciprocal ----------------------------------------------------------------------------
# A Qm.n is a number times 2**n in an int32. Products round as high_mul does; shifts to the left saturate.

INT32 = np.iinfo(np.int32)
ONE = np.int64(INT32.max)  # 1 in Q0.31, as near as it comes
_EXP_OF_MINUS = {24: 1672461947, 25: 1302514674, 26: 790015084, 27: 290630308, 28: 39332535, 29: 720401, 30: 242}
"""exp(-1/4), exp(-1/2), exp(-1) ... exp(-16) in Q0.31, by the bit of a Q5.26 that stands for the exponent."""


def _high(a: I64, b: Any) -> I64:
    """a * b / 2**31 to the nearest, ties up: gemmlowp's SaturatingRoundingDoublingHighMul. Not for two INT32_MIN."""
    return np.asarray((a * b + (1 << 30)) >> 31)


def _half_away(x: I64, shift: Any) -> I64:
    """x / 2**shift, ties away from zero."""
    mask = (np.int64(1) << shift) - 1
    return np.asarray((x >> shift) + ((x & mask) > (mask >> 1) + (x < 0)))


def _shift_left(x: I64, shift: int) -> I64:
    return np.asarray(np.clip(x << shift, INT32.min, INT32.max), np.int64)


def exp_of_negative(x: I64) -> I64:
    """exp of a Q5.26 that is not positive, in Q0.31.

    x is a multiple of -1/4, whose exponential is a product of constants, and a rest in [-1/4, 0), where a polynomial
    about -1/8 comes close."""
    quarter = np.int64(1) << 24
    rest = (x & (quarter - 1)) - quarter
    t = _shift_left(rest, 5) + (1 << 28)  # Q0.31, from -1/8
    t2 = _high(t, t)
    t3, t4 = _high(t2, t), _high(t2, t2)
    tail = _half_away(_high(_half_away(t4, 2) + t3, 715827883) + t2, 1)  # t**2/2 + t**3/6 + t**4/24
    result = 1895147668 + _high(t + tail, 1895147668)  # times exp(-1/8)
    whole = rest - x
    for bit, factor in _EXP_OF_MINUS.items():
        result = np.where((whole >> bit) & 1 == 1, _high(result, factor), result)
    return np.where(x == 0, ONE, result)


def one_over_one_plus(x: I64) -> I64:
    """1 / (1 + x) for a Q0.31 in [0, 1), in Q0.31: three steps of Newton's method for 1 / d, d = (1 + x) / 2."""
    total = x + ONE
    half = (total + 1) // 2
    y = 1515870810 + _high(half, np.int64(-1010580540))  # 48/17 - 32/17 * d, in Q2.29
    for _ in range(3):
        error = (np.int64(1) << 29) - _high(half, y)
        y = y + _shift_left(_high(y, error), 2)
    return _shift_left(y, 1)


def softmax(code: I64, multiplier: int, left_shift: int, diff_min: int) -> I64:
    """`ops.FixedSoftmax` over the last axis: codes of s8(1/256, -128)."""
    difference = code - code.max(axis=-1, keepdims=True)
    counts = difference >= diff_min
    scaled = _high(np.where(counts, difference, 0) << left_shift, multiplier)
    e = np.where(counts, exp_of_negative(scaled), 0)
    total = _half_away(e, 12).sum(axis=-1, keepdims=True)  # Q12.19
    zeros = 31 - np.floor(np.log2(total.astype(np.float64))).astype(np.int64)
    inverse = one_over_one_plus((total << zeros) - (np.int64(1) << 31))
    codes = _half_away(_high(inverse, e), 12 - zeros + 23) - 128
    return np.where(counts, np.clip(codes, -128, 127), -128)
