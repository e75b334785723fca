"""The float functions of interpreter_c/src/numerics.c, step by step in numpy float32.

Every operation rounds to binary32, so the results must equal those of the C code bit for bit. Only the shape of the loops differs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
f = np.float32


def _horner(coefficients: tuple[str, ...], x: Array) -> Array:
    """Highest power first."""
    y = np.full_like(x, f(coefficients[0]))
    for c in coefficients[1:]:
        y = y * x + f(c)
    return y


EXP = ("1.9875691500e-4", "1.3981999507e-3", "8.3334519073e-3", "4.1665795894e-2", "1.6666665459e-1", "5.0000001201e-1")
LOG1P = ("0.11764706", "0.13333333", "0.15384616", "0.18181819", "0.22222222", "0.2857143", "0.4", "0.6666667")
ERF = (
    "-1.0139773e-07", "2.5587651e-06", "-2.8743581e-05", "0.00018809218", "-0.00077187974", "0.0018230308", "-0.0002581504",
    "-0.019121386", "0.10277336", "-0.36338043", "1.1283792",
)  # fmt: skip


def _reduce(x: Array) -> tuple[NDArray[np.int32], Array]:
    """x = n ln 2 + r with |r| <= ln 2 / 2; gives n and exp(r) - 1."""
    n = np.rint(x * f("1.44269504"))
    r = (x - n * f("0.693359375")) - n * f("-2.12194440e-4")
    return n.astype(np.int32), _horner(EXP, r) * (r * r) + r


def _power_of_two(n: NDArray[np.int32]) -> Array:
    return ((n + 127) << 23).astype(np.int32).view(np.float32)


def exp(x: Array) -> Array:
    with np.errstate(all="ignore"):
        inside = np.where((x >= f(-104)) & (x <= f(89)), x, f(0))
        n, y = _reduce(inside)
        half = n >> 1
        result = ((y + f(1)) * _power_of_two(half)) * _power_of_two(n - half)
        result = np.where(x > f(89), f(np.inf), result)
        result = np.where(x < f(-104), f(0), result)
        return np.where(np.isnan(x), x, result).astype(np.float32)


def expm1(x: Array) -> Array:
    with np.errstate(all="ignore"):
        small = np.abs(x) < f("0.34")
        _, y = _reduce(np.where(small, x, f(0)))
        return np.where(small, y, exp(x) - f(1)).astype(np.float32)


def log1p_unit(x: Array) -> Array:
    """For 0 <= x <= 1."""
    s = x / (f(2) + x)
    z = s * s
    return _horner(LOG1P, z) * (s * z) + (s + s)


def tanh(x: Array) -> Array:
    with np.errstate(all="ignore"):
        a = np.abs(x)
        t = expm1(a + a)
        y = np.where(a > f(10), f(1), t / (t + f(2)))
        y = np.where(np.isnan(x), x, y).astype(np.float32)
        return np.where(x < 0, -y, y)


def sigmoid(x: Array) -> Array:
    with np.errstate(all="ignore"):
        e = exp(-np.abs(x))
        d = f(1) + e
        return np.where(x < 0, e / d, f(1) / d).astype(np.float32)


def softplus(x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.where(x < 0, f(0), x) + log1p_unit(exp(-np.abs(x)))


def erf(x: Array) -> Array:
    with np.errstate(all="ignore"):
        a = np.abs(x)
        a = np.where(a > f(4), f(4), a)
        y = -expm1(-(a * (a + _horner(ERF, a))))
        return np.where(x < 0, -y, y)
