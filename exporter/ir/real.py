"""What the real-valued operators compute, element by element, in float64.

The evaluator and the passes share these functions: a pass that turns a chain of layers into thresholds asks the very
expressions that the evaluator executes, so "same outputs before and after" holds by construction. Channels are the
last axis. Nothing is rounded between operators; a quantizer rounds its argument to float32 first, as Keras'
arithmetic has done by then."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.tensors import factor_of, quantize_s8

from . import ops
from .types import S1, S8, Format, assert_never

Array: TypeAlias = NDArray[Any]
F64: TypeAlias = NDArray[np.float64]

SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def to_float32(x: Array) -> NDArray[np.float32]:
    """Rounded to float32; what is too large becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return np.asarray(x).astype(np.float32)


def is_positive(x: Array) -> NDArray[np.bool_]:
    """Where sgn gives +1: zero of either sign and negative denormals included (TensorFlow flushes those), NaN too."""
    return ~(to_float32(x) <= np.float32(-SMALLEST_NORMAL))


def to_codes(x: Array, op: ops.Quantize | ops.Ternary) -> NDArray[np.int8]:
    """Stored values of the quantized `x`: +1/-1 for s1, int8 for s8."""
    if isinstance(op, ops.Ternary):
        value, t = to_float32(x), np.float32(op.threshold)
        return (value >= t).astype(np.int8) - (value <= -t).astype(np.int8)
    if isinstance(op.fmt, S1):
        return np.where(is_positive(x), np.int8(1), np.int8(-1))
    if not isinstance(op.fmt, S8):
        raise TypeError(f"Quantize to {op.fmt}")
    factor = factor_of(op.fmt.scale, op.rounding)
    return quantize_s8(to_float32(x), factor, op.fmt.zero_point, op.rounding, op.qmin, op.qmax)


def to_real(stored: Array, fmt: Format) -> F64:
    """Real values of stored ones."""
    if isinstance(fmt, S8):
        return (stored.astype(np.float64) - fmt.zero_point) * fmt.scale
    return stored.astype(np.float64)


def accumulator_scale(fmt: Format, weights: ops.Weights) -> F64:
    """Real value of one accumulator unit (SPEC.md 3.1), () or one per output channel."""
    step = fmt.scale if isinstance(fmt, S8) else 1.0
    return np.asarray(weights.scale, np.float64).reshape(-1) * step


def real_weights(weights: ops.Weights, depthwise: bool = False) -> F64:
    """Weights in accumulator units, as float64: code - zero point, or 2 * code + 1."""
    codes = weights.codes.astype(np.float64)
    return 2 * codes + 1 if weights.half else codes - per_output(weights.zero_point, weights, depthwise)


def per_output(values: Array, weights: ops.Weights, depthwise: bool = False) -> Array:
    """One value, or one per output channel, in a shape that broadcasts over the weights' codes."""
    if values.size == 1:
        return values.reshape(())
    return values.reshape(weights.codes.shape[2:] if depthwise else (-1, *(1,) * (weights.codes.ndim - 1)))


def elementwise(op: ops.Elementwise, x: F64) -> F64:
    """`op` on real values, channels last."""
    with np.errstate(all="ignore"):
        return np.asarray(_elementwise(op, x))


def _elementwise(op: ops.Elementwise, x: F64) -> F64:
    match op:
        case ops.BatchNorm():
            return np.asarray((x - op.mean) * op.gamma / np.sqrt(op.variance + op.epsilon) + op.beta)
        case ops.PRelu():
            return np.where(x < 0, x * op.alpha.astype(np.float64), x)
        case ops.Clip():
            return np.minimum(np.maximum(x, op.low), op.high)
        case ops.Scale():
            return x * op.factor + op.offset
        case ops.Round():
            levels = np.clip(np.rint(to_float32(x) * np.float32(1 / op.step)), op.low, op.high)
            return np.asarray(levels * op.step, np.float64)
        case ops.Unary():
            return UNARY[op.kind](x, op.alpha)
        case ops.Quantize():
            return to_real(to_codes(x, op), op.fmt)
        case ops.Ternary():
            return to_codes(x, op).astype(np.float64)
        case ops.Dequantize():
            return x
        case _:
            assert_never(op)


def _sigmoid(x: F64) -> F64:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1.0) / (1.0 + e))


def _softplus(x: F64) -> F64:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


_ERF = np.vectorize(math.erf, otypes=[np.float64])

UNARY: dict[str, Callable[[F64, float], F64]] = {
    "relu": lambda x, a: np.maximum(x, 0.0),
    "sigmoid": lambda x, a: _sigmoid(x),
    "hard_sigmoid": lambda x, a: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "tanh": lambda x, a: np.tanh(x),
    "elu": lambda x, a: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    "swish": lambda x, a: x * _sigmoid(x),
    "exp": lambda x, a: np.exp(x),
    "selu": lambda x, a: np.where(x < 0, 1.7580993408473766 * np.expm1(np.minimum(x, 0)), 1.0507009873554805 * x),
    "softplus": lambda x, a: _softplus(x),
    "softsign": lambda x, a: x / (1.0 + np.abs(x)),
    "gelu": lambda x, a: 0.5 * x * (1.0 + _ERF(x / math.sqrt(2.0))),
    "leaky_relu": lambda x, a: np.where(x < 0, a * x, x),
    "abs": lambda x, a: np.abs(x),
    "square": lambda x, a: x * x,
    "hard_swish": lambda x, a: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "mish": lambda x, a: x * np.tanh(_softplus(x)),
}
