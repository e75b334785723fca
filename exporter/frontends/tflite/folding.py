"""Operators on constants alone, computed at export: sizes that the converter left to be computed at run time (SHAPE,
and what is made of it), and float weights stored as float16, int8 or in 4 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Unsupported
from . import schema
from .context import OpContext
from .model import Tensor
from .slices import strided

Array = NDArray[Any]
MOST = 1 << 12  # elements of all operands of sizes, so that no result is large
_Rule = Callable[[OpContext, list[Array]], Array]


def fold(ctx: OpContext) -> Array | None:
    """The operator's result, None if it has to be computed on the device."""
    if ctx.kind == "SHAPE":
        return np.array(_shape(ctx), np.int32)
    rule = _RULES.get(ctx.kind)
    if (
        (rule is None and ctx.kind != "DEQUANTIZE")
        or not ctx.count
        or not all(ctx.is_constant(i) for i in range(ctx.count))
    ):
        return None
    arguments = [ctx.constant(i, "operand", nibbles=ctx.kind == "DEQUANTIZE") for i in range(ctx.count)]
    if ctx.kind == "DEQUANTIZE":
        return dequantized(ctx.tensor(0), arguments[0])
    if any(a.dtype.kind != "i" or a.dtype.itemsize == 1 for a in arguments) or sum(a.size for a in arguments) > MOST:
        return None
    assert rule is not None
    try:
        return np.asarray(rule(ctx, arguments))
    except (ValueError, IndexError, TypeError) as error:
        raise Unsupported(f"{ctx.kind} of constants that do not suit it: {error}") from error


def _shape(ctx: OpContext) -> tuple[int, ...]:
    return ctx.tensor(0).shape if ctx.is_constant(0) else ctx.shape(ctx.x())


def dequantized(tensor: Tensor, codes: Array) -> Array:
    """Real values of a constant: float16, or codes with scales along one axis."""
    if codes.dtype.kind == "f":
        return codes.astype(np.float32)
    if codes.dtype.itemsize > 2 or not tensor.scale.size:
        raise Unsupported(f"{tensor} has no scale", "float16, or quantized constants")
    shape = [1] * codes.ndim
    if tensor.scale.size > 1:
        if not (0 <= tensor.axis < codes.ndim and codes.shape[tensor.axis] == tensor.scale.size):
            raise Unsupported(f"{tensor} has {tensor.scale.size} scales for axis {tensor.axis} of {codes.shape}")
        shape[tensor.axis] = tensor.scale.size
    zero_point = tensor.zero_point if tensor.zero_point.size else np.zeros(1, np.int64)
    zero_point = np.broadcast_to(zero_point, tensor.scale.shape).reshape(shape)
    real: Array = (codes.astype(np.float32) - zero_point.astype(np.float32)) * tensor.scale.reshape(shape)
    return real


def _strided(ctx: OpContext, arguments: list[Array]) -> Array:
    x, *bounds = arguments
    begin, end, steps = (values.reshape(-1).tolist() for values in bounds)
    taken, shape = strided(ctx.options, x.shape, begin, end, steps)
    return np.asarray(x[np.ix_(*taken)]).reshape(shape)


def _cast(ctx: OpContext, arguments: list[Array]) -> Array:
    return arguments[0].astype(schema.DTYPES[ctx.output().type])


def _reduce_prod(ctx: OpContext, arguments: list[Array]) -> Array:
    axes = tuple(int(axis) for axis in arguments[1].reshape(-1))
    return np.asarray(np.prod(arguments[0], axis=axes, keepdims=ctx.options["keep_dims"], dtype=arguments[0].dtype))


_RULES: dict[str, _Rule] = {
    "STRIDED_SLICE": _strided,
    "PACK": lambda ctx, a: np.stack(a, axis=ctx.options["axis"]),
    "CONCATENATION": lambda ctx, a: np.concatenate(a, axis=ctx.options["axis"]),
    "CAST": _cast,
    "RESHAPE": lambda ctx, a: a[0].reshape(ctx.output().shape),
    "SQUEEZE": lambda ctx, a: a[0].reshape(ctx.output().shape),
    "EXPAND_DIMS": lambda ctx, a: np.expand_dims(a[0], int(a[1].reshape(()))),
    "GATHER": lambda ctx, a: np.take(a[0], a[1], axis=ctx.options["axis"]),
    "REDUCE_PROD": _reduce_prod,
    "ADD": lambda ctx, a: a[0] + a[1],
    "SUB": lambda ctx, a: a[0] - a[1],
    "MUL": lambda ctx, a: a[0] * a[1],
    "MAXIMUM": lambda ctx, a: np.maximum(a[0], a[1]),
    "MINIMUM": lambda ctx, a: np.minimum(a[0], a[1]),
}
