"""Chains of per-channel functions between an accumulator and a stored value, and the epilogues that state them exactly.

A chain is f = step_n o ... o step_1 o start, where start turns an accumulator into a real number (scale, bias) and
each step is an element-by-element operator. f is only ever evaluated as a whole, by the functions the evaluator uses;
nothing is rounded between steps.

* Threshold: the sign of f is monotone in the accumulator when every step is monotone, rising or falling per channel.
  The smallest accumulator with f >= 0 (or the first with f < 0 when f falls; the comparison then flips) is found by
  bisection over the reachable range: integers, or the bit patterns of float32. Where no accumulator in reach changes
  the sign the channel is constant. gamma = 0 makes f constant. A ReLU before the sign makes f >= 0 everywhere:
  constant +1. Chains that are not monotone (a negative PReLU slope) are searched value by value over small integer
  ranges, piece by piece between the points where they turn otherwise; one that needs two thresholds is refused.
* Affine to s8: the chain's clipped affine form is stated in float32, then compared with f at every step of the
  staircase (both are monotone, so equality left and right of each step is equality everywhere); where it differs,
  scale and offset move by a few ulps until it does not.
* Affine to f32: the clipped affine form, rounded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.tensors import Rounding

from ..ir import ops, real
from ..ir.fixed_point import half_of, quantize_multiplier
from ..ir.semantics import apply_epilogue
from ..ir.types import F32, S1, S8, Format, assert_never
from ..limits import MOST_SHIFT, MOST_WIDE_SHIFT

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
Quantizer: TypeAlias = ops.Quantize | ops.Ternary
Steps: TypeAlias = Sequence[ops.Elementwise]

INT32 = np.iinfo(np.int32)
INT8 = (-128, 127)
FLOAT_LIMIT = 0x7F7FFFFF  # bits of the largest float32
SEARCHED = 1 << 14  # reachable accumulators that are tried one by one
MOST_LOST = 0.5  # codes that rounding a bias to whole accumulators may cost
SINGLE_LOST = 2.0**-12  # codes that the 31 bits of a factor may cost at the ends
MOST_STEPS = 32  # of one chain: longer ones are cut, as nobody writes them and each length is tried
NUDGES = 6  # ulps that scale and offset may move
ROUNDING = 2.0**-21  # of the float32 multiplication and addition of an epilogue, and of the scale and offset it holds
RISING = frozenset(
    {"relu", "sigmoid", "hard_sigmoid", "tanh", "exp", "selu", "softplus", "softsign"}
)  # Unary kinds that never fall; elu and leaky_relu for alpha >= 0


@dataclass(frozen=True, eq=False)
class Start:
    """real = acc * scale + bias, with the accumulators in reach: integers low..high, or all finite float32 when
    `integer` is False."""

    scale: F64  # (C,)
    bias: F64 | None
    low: I64  # (C,)
    high: I64
    integer: bool
    bit: bool = False  # the accumulators are exactly -1 and +1: a stored s1 value

    @property
    def channels(self) -> int:
        return len(self.scale)

    def negated(self, where: NDArray[np.bool_]) -> Start:
        """The start for accumulators whose sign was turned in some channels."""
        low, high = (-self.high, -self.low) if self.integer else (self.low, self.high)
        return replace(
            self,
            scale=np.where(where, -self.scale, self.scale),
            low=np.where(where, low, self.low),
            high=np.where(where, high, self.high),
        )


def float_start(channels: int, scale: F64 | None = None, bias: F64 | None = None) -> Start:
    """A start from float32 accumulators."""
    factors = np.ones(channels) if scale is None else np.broadcast_to(scale, (channels,)).astype(np.float64)
    limit = np.full(channels, FLOAT_LIMIT, np.int64)
    return Start(factors, bias, -1 - limit, limit, False)


def value_start(fmt: Format, channels: int) -> Start:
    """A start from stored values, as the affine kernels read them."""
    if isinstance(fmt, F32):
        return float_start(channels)
    ones = np.ones(channels, np.int64)
    if isinstance(fmt, S1):
        return Start(np.ones(channels), None, -ones, ones, True, bit=True)
    assert isinstance(fmt, S8)  # nothing real-valued reads s32
    return Start(
        np.full(channels, fmt.scale), None, ones * (-128 - fmt.zero_point), ones * (127 - fmt.zero_point), True
    )


def accumulators(start: Start, index: I64) -> F64:
    """Accumulators for indices in reach: the integers themselves, or float32 numbers in ascending order (0 is +0, -1
    is -0)."""
    if start.integer:
        return index.astype(np.float64)
    bits = np.where(index >= 0, index, (-1 - index) | 0x80000000).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)


def run(start: Start, steps: Steps, acc: F64) -> F64:
    """f on accumulators (..., C)."""
    value = acc * start.scale
    if start.bias is not None:
        value = value + start.bias
    for step in steps:
        value = real.elementwise(step, value)
    return value


# --- direction --------------------------------------------------------------------------------------------------------

MIXED = 2


def directions(start: Start, steps: Steps) -> NDArray[np.int8]:
    """Per channel: 1 f never falls, -1 never rises, 0 constant, MIXED neither."""
    result = np.sign(start.scale).astype(np.int8)
    for step in steps:
        turn = np.broadcast_to(_direction(step), result.shape)
        mixed = (result == MIXED) | (turn == MIXED)
        result = np.where((result == 0) | (turn == 0), 0, np.where(mixed, MIXED, result * turn)).astype(np.int8)
    return result


def _direction(step: ops.Elementwise) -> NDArray[np.int8]:
    match step:
        case ops.BatchNorm():
            return np.sign(step.gamma).astype(np.int8)
        case ops.Scale():
            return np.array(np.sign(step.factor), np.int8)
        case ops.PRelu():
            return np.where(step.alpha >= 0, 1, MIXED).astype(np.int8)
        case ops.Unary():
            rising = step.kind in RISING or (step.kind in ("elu", "leaky_relu") and step.alpha >= 0)
            return np.array(1 if rising else MIXED, np.int8)
        case ops.Clip() | ops.Round() | ops.Quantize() | ops.Ternary() | ops.Dequantize():
            return np.array(1, np.int8)
        case _:
            assert_never(step)


def chainable(op: ops.Op, channels: int) -> ops.Elementwise | None:
    """The operator, if it is a function of each channel alone."""
    if not isinstance(op, ops.Elementwise) or ops.has_places(op):
        return None
    return op if ops.channels(op) in (None, channels) else None


# --- thresholds -------------------------------------------------------------------------------------------------------


def first_true(predicate: Callable[[I64], NDArray[np.bool_]], low: I64, high: I64) -> I64:
    """Smallest index in low..high where a rising predicate holds, high + 1 if there is none; element by element."""
    left, right = low.copy(), high + 1
    while (active := left < right).any():
        middle = left + (right - left) // 2
        holds = predicate(np.minimum(middle, high))
        right = np.where(active & holds, middle, right)
        left = np.where(active & ~holds, middle + 1, left)
    return left


def fit_threshold(start: Start, steps: Steps) -> ops.Threshold | None:
    """The epilogue that gives sgn(f), None if it takes more than one threshold per channel."""

    def positive(index: I64) -> NDArray[np.bool_]:
        return real.is_positive(run(start, steps, accumulators(start, index)))

    way = directions(start, steps)
    falling = way == -1
    first = first_true(lambda index: positive(index) ^ falling, start.low, start.high)
    mixed = way == MIXED
    if mixed.any():
        found = _try_all(start, positive) or _search_pieces(start, steps, positive)
        if found is None or (found.changes[mixed] > 1).any():
            return None
        first, falling = np.where(mixed, found.first, first), np.where(mixed, found.falling, falling)
    return _as_threshold(start, first, falling)


@dataclass(frozen=True, eq=False)
class _Changes:
    """Per channel: where the sign first changes (beyond the range: never), whether it falls there, how often it
    changes."""

    first: I64
    falling: NDArray[np.bool_]
    changes: I64


def _changes(start: Start, index: I64, positive: Callable[[I64], NDArray[np.bool_]]) -> _Changes:
    """From accumulators (n, C), ascending, between which the sign changes nowhere else than right before one of
    them."""
    signs = positive(index)
    begins = positive(start.low)
    before = np.concatenate([begins[None], signs[:-1]])
    changed = before != signs
    first = np.where(
        changed.any(axis=0), np.take_along_axis(index, changed.argmax(axis=0)[None], axis=0)[0], start.high + 1
    )
    never = ~changed.any(axis=0)
    return _Changes(np.where(never & begins, start.low, first), begins & ~never, changed.sum(axis=0))


def _try_all(start: Start, positive: Callable[[I64], NDArray[np.bool_]]) -> _Changes | None:
    """By trying every accumulator in reach, if they are few."""
    span = int((start.high - start.low).max()) + 1
    if not start.integer or span > SEARCHED:
        return None
    return _changes(start, np.minimum(start.low + np.arange(span)[:, None], start.high), positive)


def _search_pieces(start: Start, steps: Steps, positive: Callable[[I64], NDArray[np.bool_]]) -> _Changes | None:
    """By cutting the range where a step turns (a negative slope begins at 0) and bisecting each monotone piece."""
    edges = np.stack([start.low, start.high + 1])
    for i, step in enumerate(steps):
        if (_direction(step) != MIXED).all():
            continue
        if not _turns_at_zero(step):
            return None
        edges = _cut(edges, _not_negative(start, steps[:i]))
    edges = _cut(edges, positive)
    return _changes(start, np.minimum(edges, start.high), positive)


def _not_negative(start: Start, steps: Steps) -> Callable[[I64], NDArray[np.bool_]]:
    def holds(index: I64) -> NDArray[np.bool_]:
        return np.asarray(run(start, steps, accumulators(start, index)) >= 0)

    return holds


def _turns_at_zero(step: ops.Elementwise) -> bool:
    return isinstance(step, ops.PRelu) or (isinstance(step, ops.Unary) and step.kind in ("leaky_relu", "abs", "square"))


def _cut(edges: I64, holds: Callable[[I64], NDArray[np.bool_]]) -> I64:
    """Ascending piece edges (n, C) with one more per piece: where a predicate monotone on the piece changes."""
    low, high = edges[:-1], np.maximum(edges[1:] - 1, edges[:-1])
    falls = holds(low)
    inside = first_true(lambda index: holds(index) ^ falls, low, high)
    return np.sort(np.concatenate([edges, np.minimum(inside, edges[1:])]), axis=0)


def _as_threshold(start: Start, first: I64, falling: NDArray[np.bool_]) -> ops.Threshold:
    """`first`: where f turns >= 0 (or < 0 when falling). Channels without a change in reach become constant."""
    always = np.where(falling, first > start.high, first <= start.low)
    never = np.where(falling, first <= start.low, first > start.high)
    flip = falling & ~always & ~never
    if start.integer:
        t = np.where(always, INT32.min, np.where(never, INT32.max, first))
        return ops.Threshold(t.astype(np.int64), flip)
    inside = accumulators(start, np.clip(first, start.low, start.high)) + 0.0  # -0.0 becomes +0.0
    return ops.Threshold(np.where(always, -np.inf, np.where(never, np.inf, inside)).astype(np.float32), flip)


# --- the clipped affine form ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Clipped:
    """y = clip(acc * scale + offset, low, high) per channel; constant channels (scale 0) carry their clip in the
    offset."""

    scale: F64
    offset: F64
    low: F64
    high: F64

    def bounds(self) -> tuple[float, float] | None:
        """The clip of the channels that are not constant, None if it differs between channels or would change a
        constant."""
        varying = self.scale != 0
        low, high = np.unique(self.low[varying]), np.unique(self.high[varying])
        if max(len(low), len(high)) > 1:
            return None
        if len(low) == 0:
            return -np.inf, np.inf
        inside = (self.offset[~varying] >= low[0]) & (self.offset[~varying] <= high[0])
        return (float(low[0]), float(high[0])) if inside.all() else None


def clipped_affine(start: Start, steps: Steps) -> Clipped | None:
    """The chain in clipped affine form, None if a step is neither affine nor a clip."""
    bias = np.zeros(start.channels) if start.bias is None else start.bias
    infinite = np.full(start.channels, np.inf)
    form: Clipped | None = Clipped(start.scale, bias, -infinite, infinite)
    for step in steps:
        form = _compose(form, step) if form is not None else None
    return form


def affine_steps(steps: Sequence[ops.Op]) -> int:
    """How many steps from the first on are in clipped affine form."""
    affine = (ops.Dequantize, ops.Clip, ops.BatchNorm, ops.Scale)
    for n, step in enumerate(steps):
        if not isinstance(step, affine) and not (isinstance(step, ops.Unary) and step.kind == "relu"):
            return n
    return len(steps)


def may_end(start: Start, steps: Sequence[ops.Op], affine: int) -> bool:
    """Whether one epilogue may state all steps, of which the first `affine` are in clipped affine form: a cheap test
    that spares long runs of functions a fit of every length."""
    last = steps[-1] if steps else None
    if start.bit or len(steps) <= affine:
        return True
    if not isinstance(last, ops.Quantize | ops.Ternary):
        return False
    return isinstance(quantizer_format(last), S1) or len(steps) - 1 <= affine


def _compose(form: Clipped, step: ops.Elementwise) -> Clipped | None:
    if isinstance(step, ops.Dequantize):
        return form
    if isinstance(step, ops.Clip) or (isinstance(step, ops.Unary) and step.kind == "relu"):
        low, high = (step.low, step.high) if isinstance(step, ops.Clip) else (0.0, np.inf)
        offset = np.where(form.scale == 0, np.clip(form.offset, low, high), form.offset)
        return replace(form, offset=offset, low=np.clip(form.low, low, high), high=np.clip(form.high, low, high))
    if isinstance(step, ops.BatchNorm):
        factor = step.gamma / np.sqrt(step.variance + step.epsilon)
        return _affine(form, factor, step.mean, step.beta)
    if isinstance(step, ops.Scale):
        return _affine(
            form,
            np.full_like(form.scale, step.factor),
            np.zeros_like(form.scale),
            np.full_like(form.scale, step.offset),
        )
    return None


def _affine(form: Clipped, factor: F64, mean: F64, beta: F64) -> Clipped:
    """(y - mean) * factor + beta on top of `form`; a negative factor swaps the bounds, zero leaves a constant."""
    with np.errstate(invalid="ignore"):
        low, high = (form.low - mean) * factor + beta, (form.high - mean) * factor + beta
    low, high = np.where(factor == 0, -np.inf, low), np.where(factor == 0, np.inf, high)
    return Clipped(
        form.scale * factor, (form.offset - mean) * factor + beta, np.minimum(low, high), np.maximum(low, high)
    )


def fit_float(start: Start, steps: Steps) -> ops.Affine | None:
    """The f32 epilogue of a chain, None unless it is affine with the same clip in every channel.

    A binary value takes only two values, so any function of it is affine."""
    if start.bit:
        return _through_two_points(start, steps)
    form = clipped_affine(start, steps)
    bounds = form.bounds() if form is not None else None
    if form is None or bounds is None:
        return None
    scale, offset = real.to_float32(form.scale), real.to_float32(form.offset)
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        return None
    return ops.Affine(scale, offset, float(np.float32(bounds[0])), float(np.float32(bounds[1])))


def _through_two_points(start: Start, steps: Steps) -> ops.Affine | None:
    ends = run(start, steps, np.array([[-1.0], [1.0]]) * np.ones(start.channels))
    if not np.isfinite(ends).all():
        return None
    scale, offset = (ends[1] - ends[0]) / 2, (ends[1] + ends[0]) / 2
    return ops.Affine(real.to_float32(scale), real.to_float32(offset), -np.inf, np.inf)


# --- s8 ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Requantized:
    """An s8 epilogue and the number of channels whose float32 arithmetic still rounds differently somewhere (0:
    exact)."""

    epilogue: ops.Affine | ops.PowerOfTwo
    inexact: int


def fit_s8(start: Start, steps: Steps, quantizer: Quantizer) -> Requantized | None:
    """The s8 epilogue of a chain that ends in `quantizer`, None if no clipped affine form comes close."""
    fmt = quantizer_format(quantizer)
    assert isinstance(fmt, S8)
    staircase = _Staircase(start, tuple(steps), quantizer, fmt)
    if not staircase.monotone:
        return None
    if start.bit:
        return _two_codes(staircase)
    form = clipped_affine(start, steps)
    if form is None:
        return None
    bounds = staircase.bounds(form)
    if bounds is None:
        return None
    low, high = bounds
    if start.integer:
        shifted = _fit_power_of_two(staircase, form, low, high)
        if shifted is not None:
            return Requantized(shifted, 0)
    unit = 2.0 * quantizer.threshold * (1 - 2.0**-20) if isinstance(quantizer, ops.Ternary) else fmt.scale
    constant = real.to_codes(form.offset, quantizer).astype(np.float64) - fmt.zero_point
    scale = real.to_float32(form.scale / unit)
    offset = real.to_float32(np.where(form.scale == 0, constant, form.offset / unit))
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        return None
    first = ops.Affine(scale, offset, low, high)
    if not start.integer:
        return _fit_float_source(staircase, first)
    found = _nudge(staircase, first)
    if found.inexact == 0:
        return found
    # What is no rounding comes from clips that differ between channels; ternary codes have nothing to round.
    rounding = not isinstance(quantizer, ops.Ternary) and _only_rounds(staircase, form, found.epilogue)
    return found if rounding else None


def fit_fixed_point(start: Start, steps: Steps, quantizer: ops.Quantize) -> ops.FixedPoint | None:
    """The s8 epilogue as TFLite states it: an int32 bias in accumulator units, real = multiplier * 2**(shift - 31),
    bounds rounded half away from zero. No channel may fall.

    None too where a bias in whole accumulators would be coarser than the codes.

    A constant channel is all bias: whole steps with a shift to the right that leaves nothing of the accumulators."""
    fmt = quantizer.fmt
    form = clipped_affine(start, steps) if start.integer and isinstance(fmt, S8) else None
    if form is None or not isinstance(fmt, S8) or (form.scale < 0).any():
        return None
    away = replace(quantizer, rounding=Rounding.DIVIDE_AWAY)
    bounds = _Staircase(start, tuple(steps), away, fmt).bounds(form, compared=False)
    constant = form.scale == 0
    multiplier, shift = quantize_multiplier(form.scale / fmt.scale)
    bias = np.rint(form.offset / np.where(constant, 1.0, form.scale))
    reach = np.maximum(np.abs(start.low), np.abs(start.high))
    room = np.frexp(reach.astype(np.float64))[1] + 2  # reach < 2**(room - 2): a quarter of a step, rounded twice
    steps_up = real.to_codes(form.offset, away).astype(np.float64) - fmt.zero_point
    lost = np.abs(form.offset - bias * form.scale) / fmt.scale  # codes, by rounding the bias
    multiplier = np.where(constant, 1 << 30, multiplier)
    shift = np.where(constant, 1 - room, shift)
    bias = np.where(constant, steps_up * 2.0**room, bias)
    coarse = (lost[~constant] > MOST_LOST).any()
    if bounds is None or coarse or (np.abs(bias) > INT32.max).any() or (shift > MOST_SHIFT).any():
        return None
    return ops.FixedPoint(bias.astype(np.int32), multiplier.astype(np.int32), shift.astype(np.int32), *bounds)


def fit_single(start: Start, steps: Steps, quantizer: ops.Quantize) -> ops.Fixed64 | None:
    """The s8 epilogue of a quantizer that divides and rounds half to even, ONNX's: the exact product of the integer
    sums and one factor, plus an offset, rounded once. None if the chain is no factor, offset and clip, or a channel
    falls.

    The factor has 31 bits; where a float32 between sums and quantizer rounds otherwise, codes differ by one."""
    fmt = quantizer.fmt
    form = clipped_affine(start, steps) if start.integer and not start.bit and isinstance(fmt, S8) else None
    if form is None or not isinstance(fmt, S8) or (form.scale < 0).any():
        return None
    bounds = _Staircase(start, tuple(steps), quantizer, fmt).bounds(form, compared=False)
    factor, offset = form.scale / fmt.scale, form.offset / fmt.scale
    _, exponent = np.frexp(np.maximum(factor, 2.0**-62))
    _, size = np.frexp(np.abs(offset))
    shift = np.minimum(np.clip(31 - exponent, 1, MOST_WIDE_SHIFT), 60 - size)  # the offset stays below 2**61
    multiplier = np.minimum(np.rint(factor * np.exp2(shift)), INT32.max)
    lost = np.abs(multiplier / np.exp2(shift) - factor) * np.maximum(np.abs(start.low), np.abs(start.high))
    if bounds is None or (shift < 1).any() or (lost > SINGLE_LOST).any() or (factor >= 2.0**30).any():
        return None
    whole = np.rint(offset * np.exp2(shift)).astype(np.int64) + half_of(shift.astype(np.int64))
    return ops.Fixed64(whole, multiplier.astype(np.int32), shift.astype(np.int32), *bounds)


def quantizer_format(op: Quantizer) -> Format:
    """Format of a quantizer's output."""
    return S8(1.0, 0) if isinstance(op, ops.Ternary) else op.fmt


@dataclass(frozen=True, eq=False)
class _Staircase:
    """The stored code as a function of the accumulator."""

    start: Start
    steps: tuple[ops.Elementwise, ...]
    quantizer: Quantizer
    fmt: S8

    @property
    def monotone(self) -> bool:
        return MIXED not in directions(self.start, self.steps) or self.start.bit

    def codes(self, index: I64) -> NDArray[np.int8]:
        return real.to_codes(run(self.start, self.steps, accumulators(self.start, index)), self.quantizer)

    def bounds(self, form: Clipped, compared: bool = True) -> tuple[int, int] | None:
        """Smallest and largest code that the clips and the quantizer's range allow, None if they differ between
        channels.

        Channels of integers may differ where the clip is out of their reach, if all codes are `compared` later."""
        varying = form.scale != 0
        if not varying.any():
            return INT8
        low, high = real.to_codes(form.low[varying], self.quantizer), real.to_codes(form.high[varying], self.quantizer)
        constant = real.to_codes(form.offset[~varying], self.quantizer)
        same = low.min() == low.max() and high.min() == high.max()
        inside = (constant >= low.min()).all() and (constant <= high.max()).all()
        return (int(low.min()), int(high.max())) if (self.start.integer and compared) or (same and inside) else None

    def samples(self) -> I64:
        """(n, C) accumulators: all in reach, or both sides of every step and the ends."""
        low, high = self.start.low, self.start.high
        span = int((high - low).max()) + 1
        if self.start.integer and span * self.start.channels <= 1 << 20 and span <= SEARCHED:
            return np.asarray(np.minimum(low + np.arange(span)[:, None], high), np.int64)
        falling = directions(self.start, self.steps) == -1
        levels = np.arange(-127, 128)[:, None]
        shape = (len(levels), self.start.channels)

        def reached(index: I64) -> NDArray[np.bool_]:
            codes = self.codes(index).astype(np.int64)
            return np.where(falling, codes < levels, codes >= levels)

        steps = first_true(reached, np.broadcast_to(low, shape), np.broadcast_to(high, shape))
        steps = np.concatenate([steps, steps - 1, low[None], high[None]])
        return np.clip(steps, low, high)


def _two_codes(staircase: _Staircase) -> Requantized:
    ends = np.repeat(np.array([[-1], [1]], np.int64), staircase.start.channels, axis=1)
    codes = staircase.codes(ends).astype(np.int64) - staircase.fmt.zero_point
    scale, offset = (codes[1] - codes[0]) / 2, (codes[1] + codes[0]) / 2
    return Requantized(ops.Affine(real.to_float32(scale), real.to_float32(offset), -128, 127), 0)


def _differs(
    staircase: _Staircase, epilogue: ops.Epilogue, samples: I64, wanted: NDArray[np.int8]
) -> NDArray[np.bool_]:
    """Channels where the epilogue stores another code than f for some sample."""
    acc = accumulators(staircase.start, samples)
    values = samples if staircase.start.integer else acc.astype(np.float32)
    with np.errstate(all="ignore"):
        differs: NDArray[np.bool_] = (apply_epilogue(epilogue, values, staircase.fmt) != wanted).any(axis=0)
    return differs


def _fit_power_of_two(staircase: _Staircase, form: Clipped, low: int, high: int) -> ops.Affine | ops.PowerOfTwo | None:
    """(acc + bias) / 2**shift when every channel's scale is a negative power of two and its offset a whole number of
    units: as an affine rule while float32 holds acc + bias, which cores with a float unit are made for, else in
    integers."""
    if isinstance(staircase.quantizer, ops.Ternary) or not (form.scale > 0).all():
        return None
    mantissa, exponent = np.frexp(form.scale / staircase.fmt.scale)
    shift = 1 - exponent
    if (mantissa != 0.5).any() or shift.min() < 0 or shift.max() > 30:
        return None
    bias = form.offset / form.scale
    reach = np.abs(bias) + np.maximum(np.abs(staircase.start.low), np.abs(staircase.start.high))
    if (bias != np.rint(bias)).any() or (reach > INT32.max).any():
        return None
    epilogue: ops.Affine | ops.PowerOfTwo
    if (reach < 1 << 24).all():
        scale = np.exp2(-shift.astype(np.float64))
        epilogue = ops.Affine(real.to_float32(scale), real.to_float32(bias * scale), low, high)
    else:
        epilogue = ops.PowerOfTwo(bias.astype(np.int32), shift.astype(np.int32), low, high)
    samples = staircase.samples()
    return None if _differs(staircase, epilogue, samples, staircase.codes(samples)).any() else epilogue


def _nudge(staircase: _Staircase, first: ops.Affine) -> Requantized:
    """Move scale and offset of channels that round differently by a few ulps until they do not."""
    samples = staircase.samples()
    wanted = staircase.codes(samples)
    best = first
    wrong = _differs(staircase, best, samples, wanted)
    ordered = sorted(
        ((s, o) for s in range(-NUDGES, NUDGES + 1) for o in range(-NUDGES, NUDGES + 1)),
        key=lambda p: abs(p[0]) + abs(p[1]),
    )
    for scale_ulps, offset_ulps in ordered:
        if not wrong.any():
            break
        trial = replace(first, scale=_move(first.scale, scale_ulps), offset=_move(first.offset, offset_ulps))
        better = wrong & ~_differs(staircase, trial, samples, wanted)
        best = replace(
            best, scale=np.where(better, trial.scale, best.scale), offset=np.where(better, trial.offset, best.offset)
        )
        wrong = wrong & ~better
    return Requantized(best, int(wrong.sum()))


def _only_rounds(staircase: _Staircase, form: Clipped, epilogue: ops.Epilogue) -> bool:
    """Whether the epilogue stores f's code everywhere, or that of a value within float32 rounding of f."""
    samples = staircase.samples()
    acc = accumulators(staircase.start, samples)
    real_values = run(staircase.start, staircase.steps, acc)
    slack = ROUNDING * (np.abs(form.scale * acc) + np.abs(form.offset))
    ends = [real.to_codes(real_values + sign * slack, staircase.quantizer) for sign in (-1, 1)]
    with np.errstate(all="ignore"):
        stored = apply_epilogue(epilogue, samples, staircase.fmt)
    return bool(((stored >= ends[0]) & (stored <= ends[1])).all())


def _move(x: ops.F32Array, ulps: int) -> ops.F32Array:
    return np.asarray(x + np.float32(ulps) * np.spacing(np.abs(x)), np.float32)


def _fit_float_source(staircase: _Staircase, first: ops.Affine) -> Requantized | None:
    """Float accumulators: for Keras' quantizers the float32 form is the definition. Ternary's two steps must be met
    exactly, and so must the steps of a quantizer that divides."""
    quantizer = staircase.quantizer
    if isinstance(quantizer, ops.Quantize) and quantizer.rounding is Rounding.KERAS:
        return Requantized(first, 0)
    found = _nudge(staircase, first)
    return found if found.inexact == 0 else None
