"""Between real values and stored ones: what a tensor of a .dqnn file holds (schema/SPEC.md section 2), as numpy arrays.

* f32: float32, the value itself.
* s8: int8; the value is scale * (stored - zero_point).
  An input of sensor samples stores the uint8 sample u as u - 128; its value is sample scale * u + sample offset.
* s1: uint32 words, ceil(n/32) of them for a last axis of n; element i is bit i%32 of word i/32: +1 for 0, -1 for 1.

All functions take any number of leading (batch) dimensions. Reals are float32: a float64 is rounded first, as in
Keras."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
DTypeName: TypeAlias = Literal["s1", "s8", "f32"]

DTYPES: tuple[DTypeName, ...] = ("s1", "s8", "f32")  # by DType of schema/dqnn.fbs
WORD = 32
STORED: dict[DTypeName, np.dtype[Any]] = {"s1": np.dtype("<u4"), "s8": np.dtype("i1"), "f32": np.dtype("<f4")}


class Rounding(Enum):
    """How a real x becomes a code of s8: the steps x / scale, rounded, plus the zero point, clipped. All in float32."""

    KERAS = 0
    """x * inverse, the inverse of the scale as a float32; half to even."""
    DIVIDE_EVEN = 1
    """x / scale, half to even: ONNX's QuantizeLinear."""
    DIVIDE_AWAY = 2
    """x / scale, half away from zero: TFLite's QUANTIZE."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a model; shapes have no batch dimension.

    dtype: "s1", "s8" or "f32". scale, zero_point: of s8, real = scale * (stored - zero_point); else 1 and 0.
    sample: (scale, offset) of an input of raw uint8 samples, whose real value is scale * sample + offset; else None.
    rounding: of s8, how real values become codes; inverse: what Rounding.KERAS multiplies by, None: `reciprocal`.
    unsigned: users know the codes as uint8, 128 more than what is stored: raw values are uint8, and an input takes an
    array of that type as codes. The zero point is that of the stored codes."""

    name: str
    shape: tuple[int, ...]
    dtype: DTypeName
    scale: float
    zero_point: int
    sample: tuple[float, float] | None = None
    rounding: Rounding = Rounding.KERAS
    inverse: float | None = None
    unsigned: bool = False

    @property
    def factor(self) -> np.float32:
        """What `quantize_s8` takes."""
        if self.rounding is not Rounding.KERAS:
            return np.float32(self.scale)
        return reciprocal(self.scale) if self.inverse is None else np.float32(self.inverse)

    @property
    def byte_meaning(self) -> tuple[float, float] | None:
        """(scale, offset) of an array of dtype uint8, sensor samples or uint8 codes u, which stand for scale * u +
        offset; None where such an array holds real values."""
        return (self.scale, -self.scale * (self.zero_point + 128)) if self.unsigned else self.sample

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of the stored array: packed words for s1."""
        return (*self.shape[:-1], words(self.shape[-1])) if self.dtype == "s1" else self.shape

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Element type of the raw array."""
        return np.dtype(np.uint8) if self.unsigned else STORED[self.dtype]

    @property
    def bytes(self) -> int:
        """Size of the stored array."""
        return int(np.prod(self.stored_shape, dtype=np.int64)) * self.stored_dtype.itemsize

    def __str__(self) -> str:
        text = f"'{self.name}' {self.dtype} {self.shape}"
        if self.sample is not None:
            return f"{text} of uint8 samples, real = {self.sample[0]:g} * sample + {self.sample[1]:g}"
        if self.dtype != "s8":
            return text
        text = f"{text} scale {self.scale:g} zero point {self.zero_point}"
        return f"{text}, uint8 codes of 128 more" if self.unsigned else text


def words(elements: int) -> int:
    """32-bit words that hold a row of s1 elements."""
    return -(-elements // WORD)


def pack_s1(real: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Signs of the last axis, 32 to a word: (..., n) reals in, (..., ceil(n/32)) uint32 out. Negative is bit 1,
    everything else bit 0: 0, -0.0 and, as TensorFlow flushes them to 0, negative denormals too."""
    array = np.asarray(real)
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise ValueError(f"pack_s1 takes an array of numbers, got {array.dtype} of shape {array.shape}")
    negative = array <= -np.finfo(np.float32).tiny
    count = negative.shape[-1]
    padded = np.zeros((*negative.shape[:-1], words(count) * WORD), dtype=np.bool_)
    padded[..., :count] = negative
    return np.packbits(padded, axis=-1, bitorder="little").view("<u4")


def unpack_s1(packed: npt.ArrayLike, count: int) -> npt.NDArray[np.float32]:
    """(..., ceil(count/32)) uint32 words in, the (..., count) elements out: float32 +1 and -1."""
    array = np.asarray(packed)
    if array.dtype != np.uint32 or array.ndim == 0 or array.shape[-1] != words(count):
        raise ValueError(
            f"unpack_s1 takes uint32, {words(count)} for {count} elements, got {array.dtype} of shape {array.shape}"
        )
    octets = np.ascontiguousarray(array, dtype="<u4").view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, count=count, bitorder="little")
    return np.float32(1) - np.float32(2) * bits.astype(np.float32)


def reciprocal(scale: float) -> np.float32:
    """1 / scale in float32. A scale that is the float32 of 1/n stands for 1/n: its reciprocal is n.

    8-bit quantizers multiply by 255, and 1 / float32(1/255) is not 255: codes at ties would differ from theirs."""
    exact = 1.0 / float(np.float32(scale))
    whole = round(exact) if exact < 2**24 else 0
    if whole and np.float32(1.0 / whole) == np.float32(scale):
        return np.float32(whole)
    with np.errstate(over="ignore"):  # of a denormal: infinity
        return np.float32(exact)


def factor_of(scale: float, rounding: Rounding) -> np.float32:
    """The factor of `quantize_s8` for a scale that is known to more bits than a file holds."""
    return np.float32(1.0 / scale if rounding is Rounding.KERAS else scale)


def quantize_s8(
    real: npt.NDArray[np.float32],
    factor: np.float32 | npt.NDArray[np.float32],
    zero_point: int,
    rounding: Rounding = Rounding.KERAS,
    low: int = -128,
    high: int = 127,
) -> npt.NDArray[np.int8]:
    """The codes of real values, clipped to low..high; NaN gives the lowest. `factor` multiplies or divides, as the
    rounding says. The only place where reals become codes: interpreter, evaluator and exporter share it."""
    with np.errstate(all="ignore"):
        steps = real * factor if rounding is Rounding.KERAS else real / factor
        whole = _half_away(steps) if rounding is Rounding.DIVIDE_AWAY else np.rint(steps)
    whole = np.where(np.isnan(whole), np.float32(-np.inf), whole)
    clipped: npt.NDArray[np.float32] = np.clip(whole, low - zero_point, high - zero_point)
    return (clipped + zero_point).astype(np.int8)


def _half_away(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """To the nearest whole number, ties away from zero; the fraction of a float is exact, x + 0.5 is not."""
    below = np.trunc(x)
    return np.asarray(np.where(np.abs(x - below) >= 0.5, below + np.sign(x), below))


def dequantize_s8(stored: npt.NDArray[np.int8], scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """scale * (stored - zero_point), rounded once to float32."""
    return np.float32(scale) * (stored.astype(np.int32) - zero_point).astype(np.float32)


def sample_of(dtype: DTypeName, scale: float, offset: float) -> tuple[float, float] | None:
    """The sample form of a port as a file states it, None if it has none that makes sense."""
    return (scale, offset) if dtype == "s8" and scale != 0 and np.isfinite([scale, offset]).all() else None


def sample_codes(samples: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """uint8 samples as they are stored: u - 128."""
    codes: npt.NDArray[np.int8] = np.bitwise_xor(samples, np.uint8(0x80), order="C").view(np.int8)
    return codes


BETWEEN = 0.02  # of a step: what float32 reals may be off


def samples_of(name: str, real: npt.NDArray[np.float32], scale: float, offset: float) -> npt.NDArray[np.uint8]:
    """The samples nearest to real values, with a warning (once for each input, as Python's are) if they are none. No
    NaNs."""
    exact = _exact_samples(real, scale, offset)
    if _between(exact):
        warn_between(name, scale, offset)
    return np.clip(np.rint(exact), 0, 255).astype(np.uint8)


def are_between(real: npt.NDArray[np.float32], scale: float, offset: float) -> bool:
    """Whether values are no samples, but lie between them."""
    return _between(_exact_samples(real, scale, offset))


def _exact_samples(real: npt.NDArray[np.float32], scale: float, offset: float) -> npt.NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((real.astype(np.float64) - offset) / scale)


def _between(exact: npt.NDArray[np.float64]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((np.abs(exact - np.rint(exact)) > BETWEEN).any())


def warn_between(name: str, scale: float, offset: float) -> None:
    """A warning that values of an input are no samples."""
    form = f"{scale:g} * u {'-' if offset < 0 else '+'} {abs(offset):g}" if (scale, offset) != (1, 0) else "u"
    warn_caller(
        f"input '{name}' takes raw samples u of 0 to 255, which stand for {form}; other values are rounded to the "
        "nearest. Give values as the model was trained on, or samples as dtype uint8"
    )


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning at the line of the first caller that is not this package."""
    level, frame = 1, sys._getframe()
    package = __name__.partition(".")[0]
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def to_stored(info: TensorInfo, values: npt.ArrayLike) -> Array:
    """Real values as the tensor stores them; ValueError for what is no number. For an input of sensor samples or uint8
    codes an array of dtype uint8 holds those, not real values."""
    if info.byte_meaning is not None and isinstance(values, np.ndarray) and values.dtype == np.uint8:
        return sample_codes(values)
    real = _as_float32(info, values)
    if np.isnan(real).any():
        raise ValueError(f"input {info} cannot take NaN (found at {_first_nan(real)})")
    if info.dtype == "s1":
        return pack_s1(real)
    if info.sample is not None:
        return sample_codes(samples_of(info.name, real, *info.sample))
    if info.dtype == "s8":
        return quantize_s8(real, info.factor, info.zero_point, info.rounding)
    return np.ascontiguousarray(real)


def to_real(info: TensorInfo, stored: Array) -> npt.NDArray[np.float32]:
    """Real values of a stored array."""
    if info.dtype == "s1":
        return unpack_s1(stored, info.shape[-1])
    if info.dtype == "s8":
        return dequantize_s8(stored, info.scale, info.zero_point)
    return stored.astype(np.float32, copy=False)


def check_stored(info: TensorInfo, values: npt.ArrayLike) -> Array:
    """A raw array from the user as it is stored, contiguous; ValueError if its type is wrong or unused bits are set."""
    array = np.asarray(values)
    if array.dtype != info.stored_dtype:
        raise ValueError(
            f"input {info} with raw=True takes {info.stored_dtype.name} stored values, got {array.dtype.name}"
        )
    tail = info.shape[-1] % WORD
    if info.dtype == "s1" and tail and array.size and int(array[..., -1].max()) >> tail:
        raise ValueError(f"input {info}: bits {tail} to 31 of a row's last word must be 0")
    return sample_codes(array) if info.unsigned else np.ascontiguousarray(array)


def as_raw(info: TensorInfo, stored: Array) -> Array:
    """A stored array as the user gets it with raw=True."""
    return np.bitwise_xor(stored.view(np.uint8), np.uint8(0x80)) if info.unsigned else stored


def as_array(info: TensorInfo, value: npt.ArrayLike) -> Array:
    """Whatever numpy makes an array of; ValueError for lists of unequal lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"input {info} takes an array; its rows have different lengths") from error


def check_shape(info: TensorInfo, array: Array, expected: tuple[int, ...], batch: bool) -> None:
    """ValueError unless the shape is the expected one, after a batch dimension where there is one."""
    if array.shape[batch:] == expected and array.ndim == len(expected) + batch:
        return
    wanted = f"({', '.join(['batch', *map(str, expected)])})" if batch else str(expected)
    raise ValueError(
        f"input {info} expects shape {wanted}, got {array.shape}{shape_hint(array.shape, expected, batch)}"
    )


def shape_hint(shape: tuple[int, ...], expected: tuple[int, ...], batch: bool) -> str:
    """What a wrong shape probably is, and what to write; empty if it looks like nothing known."""
    if not batch and shape[1:] == expected:
        return "; one sample has no batch dimension, predict() takes batches"
    if batch and shape == expected:
        return "; for one sample add a batch dimension: x[None]"
    given = shape[batch:]
    if len(given) == len(expected) > 1 and (*given[1:], given[0]) == expected:
        axes = [*range(batch), *range(1 + batch, len(shape)), int(batch)]
        return f"; it looks channel-first: x.transpose({', '.join(map(str, axes))})"
    return ""


def _as_float32(info: TensorInfo, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"input {info} takes numbers, got an array of {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def _first_nan(array: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
