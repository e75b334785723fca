"""Values that an input cannot represent: what is refused, what is warned of, what `dqnn run` and `dqnn validate` print.

Pixels from 0 to 255 given to an input that represents -1 to 1 saturate and cost accuracy without a trace in the
outputs, so: whole numbers (an integer dtype) beyond the range are refused, as they are pixels that were not divided or
stored values without raw=True; reals are clipped as on the device, with a warning if there are many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .tensors import Array, TensorInfo, warn_caller

MOST_SATURATED = 0.01  # share of the elements that may lie outside without a warning


class SaturationWarning(UserWarning):
    """More of an input's values than outliers explain lie outside what it represents."""


@dataclass(frozen=True)
class InputRange:
    """Real values given to one input. `accepted` is what the input represents, None for f32 and s1, which represent or
    compare anything; `saturated` of `elements` lie outside of it by more than a step."""

    name: str
    low: float
    high: float
    accepted: tuple[float, float] | None
    saturated: int
    elements: int

    @property
    def share(self) -> float:
        """Of elements that saturate, 0 to 1."""
        return self.saturated / self.elements if self.elements else 0.0

    @property
    def is_alarming(self) -> bool:
        """Whether more elements saturate than outliers explain."""
        return self.share > MOST_SATURATED

    def __str__(self) -> str:
        text = f"input {self.name}: values {_span(self.low, self.high)}"
        if self.accepted is None:
            return text
        saturate = f"{100 * self.share:.3g} % saturate" if self.saturated else "none saturates"
        return f"{text}; it represents {_span(*self.accepted)}: {saturate}"


def accepted_range(info: TensorInfo) -> tuple[float, float] | None:
    """Smallest and largest real value of an s8 input, None for the other types."""
    if info.sample is not None:
        scale, offset = info.sample
        ends = offset, 255 * scale + offset
        return min(ends), max(ends)
    if info.dtype == "s8":
        return (-128 - info.zero_point) * info.scale, (127 - info.zero_point) * info.scale
    return None


def meaning_of_bytes(info: TensorInfo, values: Array) -> tuple[float, float] | None:
    """What an array of samples or codes stands for; None for real values."""
    return info.byte_meaning if values.dtype == np.uint8 else None


def input_range(info: TensorInfo, values: Array) -> InputRange:
    """What an array of reals, samples or codes means to an input. NaNs count as nothing."""
    accepted = accepted_range(info)
    if not values.size:
        return InputRange(info.name, 0.0, 0.0, accepted, 0, 0)
    # Plus zero: of -0.0 and 0.0 either may be found first.
    low, high = (float(end.reduce(values, axis=None)) + 0.0 for end in (np.fmin, np.fmax))
    meaning = meaning_of_bytes(info, values)
    if meaning is not None:
        scale, offset = meaning
        low, high = sorted((scale * low + offset, scale * high + offset))
    saturated = 0
    if accepted is not None:
        step = abs(info.sample[0] if info.sample is not None else info.scale)
        bottom, top = accepted[0] - step, accepted[1] + step
        if meaning is None and (low < bottom or high > top):
            saturated = int(np.count_nonzero((values < bottom) | (values > top)))
    return InputRange(info.name, low, high, accepted, saturated, values.size)


def check_meant(info: TensorInfo, values: Array) -> InputRange | None:
    """What `input_range` says of values that were given as reals, None where any value can be meant; ValueError for
    whole numbers that cannot be."""
    if not can_be_unmeant(info, values.dtype):
        return None
    found = input_range(info, values)
    refuse_unmeant(info, found, values.dtype)
    return found


def can_be_unmeant(info: TensorInfo, dtype: np.dtype[Any]) -> bool:
    """Whether values of this type may be something else than reals for the input."""
    whole = dtype.kind in "iu"
    meant = info.dtype == "f32" or (info.dtype == "s1" and not whole)
    return not meant and not (dtype == np.uint8 and info.byte_meaning is not None)


def refuse_unmeant(info: TensorInfo, found: InputRange, dtype: np.dtype[Any]) -> None:
    """ValueError for the range of values of this type that cannot be meant as reals. The range is that of all values:
    a part of them may lie on one side of zero."""
    if dtype.kind in "iu" and found.saturated:
        raise ValueError(f"input {info} got {_pixels(found, dtype)}; {_remedy(info, dtype)}")
    if info.dtype == "s1" and found.low >= 0 and found.high > found.low:
        raise ValueError(
            f"input {info} got {_pixels(found, dtype)}: none is negative, so all of them are +1. "
            "Give reals whose sign is meant, as in training: 2 * x - 1 for bits; raw=True for packed words"
        )


def merged(ranges: Sequence[InputRange]) -> InputRange:
    """The range of all values from the ranges of their parts."""
    return replace(
        ranges[0],
        low=min(part.low for part in ranges),
        high=max(part.high for part in ranges),
        saturated=sum(part.saturated for part in ranges),
        elements=sum(part.elements for part in ranges),
    )


def warn_saturated(found: InputRange) -> None:
    """A warning with both ranges."""
    if found.accepted is None:
        return
    warn_caller(
        f"input '{found.name}' got values {_span(found.low, found.high)}, but it represents {_span(*found.accepted)}: "
        f"{100 * found.share:.3g} % of them saturate. Scale them as in training, or export again for their range",
        SaturationWarning,
    )


def _pixels(found: InputRange, dtype: np.dtype[Any]) -> str:
    accepted = "" if found.accepted is None else f", but it represents {_span(*found.accepted)}"
    return f"{dtype.name} values {_span(found.low, found.high)}{accepted}"


def _remedy(info: TensorInfo, dtype: np.dtype[Any]) -> str:
    stored = f"; raw=True for stored values ({info.stored_dtype.name})"
    if info.sample is not None:
        return f"give samples as dtype uint8, or reals as in training{stored}"
    if dtype == np.int8:
        return f"give reals as in training{stored}"
    return f"divide as in training, x / 255 perhaps, or export with --input-u8 1/255 0 and give uint8{stored}"


def _span(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"
