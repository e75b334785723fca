"""The float functions of interpreter_c/src/numerics.c, step by step in numpy float32: the same bits.

Every operation rounds to float32 on its own. `x * a + b` is written out as C evaluates it; numpy never fuses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
F = np.float32

_EXPM1 = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG1P = (0.11764706, 0.13333333, 0.15384616, 0.18181819, 0.22222222, 0.2857143, 0.4, 0.6666667)
_ERF = (
    -1.0139773e-07, 2.5587651e-06, -2.8743581e-05, 0.00018809218, -0.00077187974, 0.0018230308,
    -0.0002581504, -0.019121386, 0.10277336, -0.36338043, 1.1283792,
)  # fmt: skip


def unary(kind: str, alpha: float, x: Floats) -> Floats:
    """One call of `unary_f32`."""
    with np.errstate(all="ignore"):
        return _UNARY[kind](x.astype(F), F(alpha)).astype(F)


def _horner(coefficients: Sequence[float], x: Floats) -> Floats:
    y = np.full_like(x, F(coefficients[0]))
    for c in coefficients[1:]:
        y = y * x + F(c)
    return y


def _small_expm1(r: Floats) -> Floats:
    return _horner(_EXPM1, r) * (r * r) + r


def _power_of_two(n: NDArray[np.int32]) -> Floats:
    return ((n + np.int32(127)).astype(np.uint32) << np.uint32(23)).view(F)


def exp(x: Floats) -> Floats:
    """dqnn_exp."""
    safe = np.where((x >= F(-104)) & (x <= F(89)), x, F(0))
    n = np.rint(safe * F(1.44269504)).astype(np.int32)
    whole = n.astype(F)
    r = (safe - whole * F(0.693359375)) - whole * F(-2.12194440e-4)
    y = _small_expm1(r) + F(1)
    half = n >> 1
    result = (y * _power_of_two(half)) * _power_of_two(n - half)
    result = np.where(x > F(89), F(np.inf), np.where(x < F(-104), F(0), result))
    return np.where(np.isnan(x), x, result)


def expm1(x: Floats) -> Floats:
    """dqnn_expm1."""
    return np.where(np.abs(x) < F(0.34), _small_expm1(x), exp(x) - F(1))


def tanh(x: Floats) -> Floats:
    """dqnn_tanh."""
    a = np.abs(x)
    t = expm1(a + a)
    y = np.where(a <= F(10), t / (t + F(2)), F(1))
    return np.where(np.isnan(x), x, np.where(x < 0, -y, y))


def sigmoid(x: Floats) -> Floats:
    """dqnn_sigmoid."""
    e = exp(-np.abs(x))
    d = F(1) + e
    return np.where(x < 0, e / d, F(1) / d)


def softplus(x: Floats) -> Floats:
    """dqnn_softplus."""
    e = exp(-np.abs(x))
    s: Floats = np.asarray(e / (F(2) + e))
    z: Floats = s * s
    positive: Floats = np.where(x < 0, F(0), x)
    return np.asarray(positive + (_horner(_LOG1P, z) * (s * z) + (s + s)))


def erf(x: Floats) -> Floats:
    """dqnn_erf."""
    a = np.abs(x)
    a = np.where(a > F(4), F(4), a)
    y = -expm1(-(a * (a + _horner(_ERF, a))))
    return np.where(x < 0, -y, y)


def _clip(x: Floats, low: float, high: float) -> Floats:
    return np.where(x < F(low), F(low), np.where(x > F(high), F(high), x))


_UNARY: dict[str, Callable[[Floats, np.float32], Floats]] = {
    "relu": lambda x, a: np.where(x < 0, F(0), x),
    "sigmoid": lambda x, a: sigmoid(x),
    "hard_sigmoid": lambda x, a: _clip(F(0.2) * x + F(0.5), 0.0, 1.0),
    "tanh": lambda x, a: tanh(x),
    "elu": lambda x, a: np.where(x < 0, a * expm1(x), x),
    "swish": lambda x, a: x * sigmoid(x),
    "exp": lambda x, a: exp(x),
    "selu": lambda x, a: np.where(x < 0, F(1.7580993) * expm1(x), F(1.0507010) * x),
    "softplus": lambda x, a: softplus(x),
    "softsign": lambda x, a: np.asarray(x / (F(1) + np.abs(x)), F),
    "gelu": lambda x, a: F(0.5) * x * (F(1) + erf(x / F(1.4142135))),
    "leaky_relu": lambda x, a: np.where(x < 0, a * x, x),
    "abs": lambda x, a: np.abs(x),
    "square": lambda x, a: x * x,
    "hard_swish": lambda x, a: x * _clip(x + F(3), 0.0, 6.0) * F(0.16666667),
    "mish": lambda x, a: x * tanh(softplus(x)),
}
