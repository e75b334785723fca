"""The rules by which TensorFlow Lite's reference kernels make integers of scales, and tables of functions.

`rha` is C's round: to the nearest, half away from zero. Scales are float32 in the file; where the kernels multiply or
divide two of them as floats the product is rounded to float32, and so is it here: at exact ties that decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...ir import fixed_point, ops
from ...ir.types import S8, S32
from ..graph import Unsupported

Array: TypeAlias = NDArray[Any]
Activation: TypeAlias = str

CODES = np.arange(-128, 128, dtype=np.int64)
REAL_BOUNDS = {
    "NONE": (-np.inf, np.inf),
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


def f32(x: Any) -> Any:
    """Rounded to float32, as a double."""
    with np.errstate(over="ignore"):
        return np.asarray(x, np.float64).astype(np.float32).astype(np.float64)


def rha(x: Any) -> Array:
    """Half away from zero; the fraction is exact, x + 0.5 is not."""
    whole = np.trunc(x)
    return np.asarray(np.where(np.abs(x - whole) >= 0.5, whole + np.sign(x), whole))


def clamp(activation: Activation, fmt: S8) -> tuple[int, int]:
    """The codes that a fused activation leaves."""
    low, high = (fmt.zero_point + rha(np.clip(f32(bound / fmt.scale), -1e9, 1e9)) for bound in REAL_BOUNDS[activation])
    return int(np.clip(low, -128, 127)), int(np.clip(high, -128, 127))


def rescale(real: Any, out: S8 | S32, bounds: tuple[int, int] = (-128, 127), left: int = 0) -> ops.Rescale:
    """The Rescale of a real factor, or of one for each channel."""
    multiplier, shift = fixed_point.quantize_multiplier(np.atleast_1d(np.asarray(real, np.float64)))
    return ops.Rescale(
        multiplier.astype(np.int32), shift.astype(np.int32), out, left=left, qmin=bounds[0], qmax=bounds[1]
    )


def scaled(x: Array, real: Any) -> Array:
    """Integers times a real factor of either sign, by its fixed-point multiplier."""
    multiplier, shift = fixed_point.quantize_multiplier(np.abs(real))
    return fixed_point.fixed_point(
        np.asarray(x, np.int64), np.where(np.asarray(real) < 0, -multiplier, multiplier), shift
    )


def mean(scale: float, out: S8, count: int) -> ops.Rescale:
    """The Rescale of a sum of `count` numbers that gives their mean: the division is in the multiplier."""
    multiplier, shift = (int(n) for n in fixed_point.quantize_multiplier(scale / out.scale))
    room = min(count.bit_length() - 1, 32, 31 + shift)
    multiplier = (multiplier << room) // count
    return ops.Rescale(np.array([multiplier], np.int32), np.array([shift - room], np.int32), out)


# --- tables -----------------------------------------------------------------------------------------------------------


def table(codes: Array, out: S8, bounds: tuple[int, int] = (-128, 127)) -> ops.Table:
    """The table of numbers (without zero point) for the 256 codes of an input."""
    return ops.Table(np.clip(codes + out.zero_point, *bounds).astype(np.int8), out)


def numbers(fmt: S8) -> Array:
    """What the 256 codes stand for, in steps."""
    return CODES - fmt.zero_point


def float_table(function: Callable[[Array], Array], fmt: S8, out: S8) -> ops.Table:
    """A function of reals, computed in float32 and multiplied by the inverse of the scale."""
    with np.errstate(all="ignore"):
        real = f32(fmt.scale * numbers(fmt))
        steps = rha(f32(f32(function(real)) * f32(1 / out.scale)))
    return table(np.clip(np.nan_to_num(steps, nan=0.0), -1e9, 1e9).astype(np.int64), out)


def relu_table(kind: Activation, fmt: S8, out: S8) -> ops.Table:
    return table(scaled(numbers(fmt), f32(fmt.scale / out.scale)), out, clamp(kind, out))


def leaky_table(alpha: float, fmt: S8, out: S8) -> ops.Table:
    v = numbers(fmt)
    falls = scaled(v, f32(f32(fmt.scale * alpha) / out.scale))
    return table(np.where(v >= 0, scaled(v, f32(fmt.scale / out.scale)), falls), out)


def prelu_table(alpha: Array, alpha_fmt: S8, fmt: S8, out: S8) -> ops.Table:
    """One row for each slope."""
    v, slopes = numbers(fmt), alpha.astype(np.int64).reshape(-1, 1) - alpha_fmt.zero_point
    falls = scaled(v * slopes, f32(f32(fmt.scale * alpha_fmt.scale) / out.scale))
    rows = table(np.where(v >= 0, scaled(v, f32(fmt.scale / out.scale)), falls), out)
    return rows if len(slopes) > 1 else ops.Table(rows.codes[0], out)


def abs_table(fmt: S8, out: S8) -> ops.Table:
    return table(scaled(np.abs(numbers(fmt)), f32(fmt.scale / out.scale)), out)


def hard_swish_table(fmt: S8, out: S8) -> ops.Table:
    """TensorFlow Lite's int16 algorithm: 7 more bits, the factor relu6(x + 3) / 6 in Q0.15, halved."""
    fine = f32(fmt.scale / 128)
    om, oe = _int16_multiplier(f32(fine / out.scale))
    rm, re = _int16_multiplier(f32(fine / f32(3 / 32768)))
    if oe > 0:
        raise Unsupported(
            f"scales of {fmt.scale:g} and {out.scale:g}", "an output scale of more than 1/128 of the input's"
        )
    v = numbers(fmt) << 7
    factor = _saturated(v << (re - 1)) if re > 0 else v
    factor = _high16(factor, rm)
    if re > 0:
        factor = _saturated(factor << 1)
    elif re < 0:
        factor = _half_away(factor, -re)
    product = ((factor + 32768) >> 1) * _high16(v, om)
    product = np.where(product >= 0, product >> 15, -(-product >> 15))
    return table(_half_away(product, -oe), out)


def _int16_multiplier(real: float) -> tuple[int, int]:
    multiplier, shift = (int(n) for n in fixed_point.quantize_multiplier(real))
    return (32767 if multiplier >= 2**31 - 1 - 2**15 else (multiplier + 2**15) >> 16), shift


def _saturated(x: Array) -> Array:
    return np.clip(x, -32768, 32767)


def _high16(a: Array, b: int) -> Array:
    """a * b / 2**15, to the nearest; int16 in and out."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return _saturated(np.where(nudged >= 0, nudged >> 15, -(-nudged >> 15)))


def _half_away(x: Array, shift: int) -> Array:
    mask = (1 << shift) - 1
    return np.asarray((x >> shift) + ((x & mask) > (mask >> 1) + (x < 0)))


# --- softmax ----------------------------------------------------------------------------------------------------------


def softmax(beta: float, fmt: S8) -> ops.FixedSoftmax:
    """Scale and beta as a multiplier of differences in Q5.26. Of a scale so large that it shifts by 31 bits nothing but
    a difference of 0 counts, whatever it is shifted by."""
    multiplier, shift = fixed_point.quantize_multiplier(min(float(beta) * fmt.scale * 2.0**26, 2.0**31 - 1))
    left = int(shift)
    return ops.FixedSoftmax(int(multiplier), min(left, 30), -int(31 * 2.0**26 / 2.0**left))


# --- windows ----------------------------------------------------------------------------------------------------------


def padding(mode: Literal["SAME", "VALID"] | str, n: int, k: int, stride: int, dilation: int = 1) -> ops.Pair:
    """Cells around an axis: what is missing, the odd one behind."""
    if mode == "VALID":
        return (0, 0)
    total = max((-(-n // stride) - 1) * stride + (k - 1) * dilation + 1 - n, 0)
    return (total // 2, total - total // 2)


def places(old: int, new: int, corners: bool, middle: bool) -> NDArray[np.int64]:
    """int8 RESIZE_BILINEAR: where each new cell lies among the old ones, in parts of a cell (`ops.PLACES`). The step is
    rounded to such a part, too."""
    steps, cells = (new - 1, old - 1) if corners and new > 1 else (new, old)
    step = (cells * ops.PLACES + steps // 2) // steps
    where = np.arange(new, dtype=np.int64) * step
    if middle:
        where += step // 2 - ops.PLACES // 2
    return np.clip(where, 0, (old - 1) * ops.PLACES)
