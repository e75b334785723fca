"""What quantizers are to the rest of the front end.

A `Quantizer` computes what the library computes (`values`, float32, element for element), and says how its three uses
are expressed: an activation as IR operators, a kernel as codes and scales, a bias as numbers (`values`). The Larq ones
are in `larq_quantizers`, the QKeras ones in `qkeras_quantizers`; `parse` finds the one that any spelling means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ...ir.types import S1, S8
from ..graph import Unsupported
from .quantizer_text import BadText, Spelled, spelled

F32Array = NDArray[np.float32]
F64Array = NDArray[np.float64]

ACCEPTED = "1-bit (+1/-1), ternary and quantizers of up to 8 bits"
# TensorFlow flushes denormals, so a number closer to 0 than this is 0.
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Kernel:
    """A quantized kernel in Keras' own layout: real value = scale * code, or scale * (2 * code + 1) with `half`.

    `scale` broadcasts against the codes. `note` says why a kernel had to stay f32."""

    kind: Literal["s1", "s8", "f32"]
    codes: NDArray[Any]
    scale: F64Array = field(default_factory=lambda: np.ones(()))
    half: bool = False
    source: str = ""
    note: str = ""

    def real(self) -> F64Array:
        codes = self.codes.astype(np.float64)
        return np.asarray((2 * codes + 1 if self.half else codes) * self.scale, dtype=np.float64)


class Quantizer(ABC):
    """A quantizer with its arguments; `text` is how the user wrote it, for reports."""

    text: str = ""

    @abstractmethod
    def values(self, x: F32Array) -> F32Array:
        """What the library computes at inference, in float32."""

    @abstractmethod
    def activation(self) -> tuple[ops.Op, ...]:
        """Operators that compute it on an activation. Raises `Unsupported`."""

    @abstractmethod
    def kernel(self, w: F32Array) -> Kernel:
        """Codes and scales of a kernel. Raises `Unsupported`."""

    def trained(self) -> Quantizer:
        """The quantizer QKeras really uses for a kernel: some change their arguments when a layer owns them."""
        return self


def sgn(x: F32Array) -> F32Array:
    """+1 for x >= 0 (and for denormals, which TensorFlow takes for 0), else -1."""
    return np.where(x <= np.float32(-TINY), np.float32(-1), np.float32(1)).astype(np.float32)


def sign_kernel(w: F32Array, scale: Any, source: str) -> Kernel:
    """An s1 kernel; a negative scale turns its codes."""
    factor = np.asarray(scale, dtype=np.float64)
    codes = np.where(factor < 0, -sgn(w), sgn(w)).astype(np.int8)
    return Kernel("s1", codes, np.abs(factor), source=source)


def ternary_kernel(codes: NDArray[Any], scale: Any, source: str) -> Kernel:
    """-1, 0, +1 times a scale; without any 0 it is an s1 kernel."""
    values = codes.astype(np.int8)
    factor = np.asarray(scale, dtype=np.float64)
    return Kernel("s1" if np.all(values != 0) else "s8", values, factor, source=source)


def integer_kernel(codes: NDArray[Any], scale: F64Array, source: str) -> Kernel:
    """Whole numbers of up to 8 bits times a scale."""
    if codes.size and (codes.min() < -128 or codes.max() > 127):
        values = (codes * scale).astype(np.float32)
        return float_kernel(values, source, "its levels 0..255 do not fit signed 8-bit weights")
    return Kernel("s8", codes.astype(np.int8), scale, source=source)


def float_kernel(w: F32Array, source: str = "", note: str = "") -> Kernel:
    return Kernel("f32", np.asarray(w, dtype=np.float32), source=source, note=note)


_TANH_ODD = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08, 1.48572235717979e-05,
    6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
_TANH_EVEN = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def tanh(x: F32Array) -> F32Array:
    """TensorFlow's tanh: Eigen's quotient of two polynomials, every step rounded to float32.

    It differs from the nearest float32 in two thirds of all arguments, and a weight near a tie is then rounded the
    other way."""
    bounded = np.clip(x, np.float32(-7.90531110763549805), np.float32(7.90531110763549805)).astype(np.float32)
    square = bounded * bounded
    odd, even = np.full_like(square, _TANH_ODD[0]), np.full_like(square, _TANH_EVEN[0])
    for c in _TANH_ODD[1:]:
        odd = square * odd + np.float32(c)
    for c in _TANH_EVEN[1:]:
        even = square * even + np.float32(c)
    return np.where(np.abs(x) < np.float32(0.0004), x, bounded * odd / even).astype(np.float32)


def rhe(x: Any) -> F32Array:
    """Round half to even."""
    return np.asarray(np.rint(x), dtype=np.float32)


@dataclass(frozen=True)
class Grid:
    """Equidistant levels step * k, low <= k <= high; stored as s8, with zero point -128 where k reaches beyond 127."""

    step: float
    low: int
    high: int

    def codes(self, x: F32Array) -> F32Array:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (x * np.float32(1.0 / self.step)).astype(np.float32)
        return np.clip(rhe(scaled), np.float32(self.low), np.float32(self.high)).astype(np.float32)

    def values(self, x: F32Array) -> F32Array:
        return (self.codes(x) * np.float32(self.step)).astype(np.float32)

    def quantize(self, source: str) -> ops.Quantize | ops.Round:
        """To s8, or with more than 256 levels to the same numbers in f32."""
        zero = 0 if self.high <= 127 else -128
        if self.low + zero < -128 or self.high + zero > 127:
            return ops.Round(self.step, self.low, self.high, source)
        return ops.Quantize(S8(self.step, zero), self.low + zero, self.high + zero, source)

    def kernel(self, w: F32Array, factor: Any, source: str) -> Kernel:
        return integer_kernel(self.codes(w), np.asarray(factor, dtype=np.float64) * self.step, source)


def sign_ops(source: str) -> tuple[ops.Op, ...]:
    return (ops.Quantize(S1(), source=source),)


# --- finding the quantizer that a spelling means ----------------------------------------------------------------------

Make = Callable[[Mapping[str, Any]], Quantizer]


@dataclass(frozen=True)
class _Entry:
    make: Make
    parameters: tuple[str, ...]
    ignored: frozenset[str]
    only: Mapping[str, tuple[Any, ...]]


_TABLE: dict[str, _Entry] = {}
_REFUSED: dict[str, tuple[str, str]] = {}


def quantizer(
    *names: str,
    parameters: Sequence[str],
    ignored: Iterable[str] = (),
    only: Mapping[str, tuple[Any, ...]] | None = None,
) -> Callable[[Callable[..., Quantizer]], Callable[..., Quantizer]]:
    """Decorator: register a quantizer class (or factory) under the names the library knows. `parameters` in the
    constructor's order; `ignored` ones do not matter at inference, `only` ones have one of these values."""

    def add(make: Callable[..., Quantizer]) -> Callable[..., Quantizer]:
        entry = _Entry(lambda arguments: make(**arguments), tuple(parameters), frozenset(ignored), only or {})
        for name in names:
            _TABLE[name] = entry
        return make

    return add


def refuse_quantizer(*names: str, why: str, advice: str) -> None:
    for name in names:
        _REFUSED[name] = (why, advice)


def is_quantizer(identifier: Any) -> bool:
    """Whether an identifier names a quantizer (and not a plain Keras activation)."""
    try:
        name = spelled(identifier).name
    except BadText:
        return False
    return name in _TABLE or name in _REFUSED


def parse(identifier: Any) -> Quantizer | None:
    """The quantizer an identifier (None, string or serialized object) means. Raises `Unsupported`."""
    if identifier is None or identifier == "":
        return None
    try:
        spelling = spelled(identifier)
    except BadText as error:
        raise Unsupported(f"quantizer not understood: {error}", ACCEPTED) from error
    if spelling.name in _REFUSED:
        why, advice = _REFUSED[spelling.name]
        raise Unsupported(f"quantizer {spelling.name} {why}", ACCEPTED, advice)
    entry = _TABLE.get(spelling.name)
    if entry is None:
        known = ", ".join(sorted(name for name in _TABLE))
        raise Unsupported(
            f"quantizer {spelling.name} is unknown", known, "Use one of these, or quantize by supported layers"
        )
    arguments = _arguments(spelling, entry)
    result = entry.make(arguments)
    result.text = _text(spelling.name, arguments)
    return result


def _arguments(spelling: Spelled, entry: _Entry) -> dict[str, Any]:
    """Arguments that matter. One that we do not know and that is not set (`None`) is a newer version's and changes
    nothing."""
    if len(spelling.args) > len(entry.parameters):
        raise Unsupported(f"{spelling} has too many arguments", ", ".join(entry.parameters))
    arguments = dict(zip(entry.parameters, spelling.args, strict=False))
    for key, value in spelling.kwargs.items():
        if key in entry.ignored or (value is None and key not in entry.parameters):
            continue
        if key not in entry.parameters and key not in entry.only:
            raise Unsupported(f"{spelling.name} has no argument {key}", ", ".join(entry.parameters))
        arguments[key] = value
    for key, accepted in entry.only.items():
        value = arguments.pop(key, None)
        if value is not None and value not in accepted:
            listed = ", ".join(f"{key}={one}" for one in (*accepted, None))
            raise Unsupported(f"{spelling.name} has {key}={value!r}", listed)
    return {key: value for key, value in arguments.items() if key not in entry.ignored}


def _text(name: str, arguments: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items() if value is not None)
    return f"{name}({shown})"
