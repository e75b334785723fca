"""Tensor formats and types.

A tensor holds real numbers; its format says how they are stored: s1 (+1/-1, one bit), s8 (affine int8) or f32. Between
integer operators stand int32 numbers, s32, that no kernel stores. Shapes have no batch dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn, TypeAlias


@dataclass(frozen=True)
class S1:
    """+1 or -1, one bit each, packed along the last axis."""

    def __str__(self) -> str:
        return "s1"


@dataclass(frozen=True)
class S8:
    """real = scale * (stored - zero_point), stored an int8."""

    scale: float
    zero_point: int = 0

    def __str__(self) -> str:
        return f"s8({self.scale:g},{self.zero_point})"


@dataclass(frozen=True)
class S32:
    """int32 numbers between the integer operators of a quantized file. What real number one stands for is known to
    those operators alone; arithmetic wraps."""

    def __str__(self) -> str:
        return "s32"


@dataclass(frozen=True)
class F32:
    """IEEE binary32."""

    def __str__(self) -> str:
        return "f32"


Format: TypeAlias = S1 | S8 | F32 | S32
Shape: TypeAlias = tuple[int, ...]

# Of a tensor: 256 MiB as f32, beyond every device. A configuration of a few bytes could ask for any number.
MOST_ELEMENTS = 1 << 26


def dtype_name(fmt: Format) -> str:
    """`s1`, `s8` or `f32`: the dtype part of a format, as it stands in kernel names."""
    return {S1: "s1", S8: "s8", F32: "f32", S32: "s32"}[type(fmt)]


@dataclass(frozen=True)
class TensorType:
    """Shape without batch (rank 1 to 4) and storage format."""

    shape: Shape
    fmt: Format

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes as stored: s1 rows of the last axis start on a 32-bit word."""
        if isinstance(self.fmt, S1):
            return math.prod(self.shape[:-1]) * ((self.shape[-1] + 31) // 32) * 4
        return self.elements * (1 if isinstance(self.fmt, S8) else 4)

    def __str__(self) -> str:
        return f"{self.fmt}[{'x'.join(map(str, self.shape))}]"


def assert_never(value: NoReturn) -> NoReturn:
    """The end of a match that must name every case (typing.assert_never, which Python 3.10 lacks)."""
    raise TypeError(f"{type(value).__name__} is not handled here")
