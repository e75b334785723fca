"""Functions of each element, and of two elements.

On int8 a function of one code is a table of 256, computed by the rule of the reference kernel; sums and products are
Rescales to and from sums of integers. On float32: the operators of the IR that compute on reals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqnn.tensors import Rounding

from ...ir import ops
from ...ir.types import F32, S8, S32
from ..graph import Unsupported, Value
from . import rules
from .context import MOST_CHANNELS, OpContext, inside
from .registry import register

LEFT = 20  # bits that sums of two scales gain first

# --- formats ----------------------------------------------------------------------------------------------------------


@register("QUANTIZE", forms="float32 to int8 or uint8, int8 and uint8 to another scale or type")
def quantize(ctx: OpContext) -> str:
    x = ctx.x()
    fmt, out = ctx.format(x), ctx.out_format()
    if not isinstance(out, S8):
        raise Unsupported(f"QUANTIZE gives {out}", "int8, uint8")
    if isinstance(fmt, F32):
        return ctx.emit(ops.Quantize(out, source=str(out), rounding=Rounding.DIVIDE_AWAY), x)
    return ctx.emit(rules.rescale(ctx.s8(x).scale / out.scale, out), x)


@register("DEQUANTIZE", forms="int8 and uint8 to float32; constants of float16 and int8")
def dequantize(ctx: OpContext) -> str:
    return ctx.emit(ops.Dequantize(), ctx.x())


@register("CAST", forms="int8 or uint8 without a scale to float32", limits=("casts to integers",))
def cast(ctx: OpContext) -> str:
    x = ctx.x()
    tensor = ctx.tensor(0)
    if not isinstance(ctx.out_format(), F32) or (tensor.scale.size and float(tensor.scale[0]) != 1):
        raise Unsupported(f"CAST of {tensor.type} to {ctx.output().type}", "whole numbers of 8 bits to FLOAT32")
    if not isinstance(ctx.format(x), S8):
        return x
    zero_point = int(tensor.zero_point[0]) if tensor.zero_point.size else 0
    y = ctx.emit(ops.Dequantize(), x)
    return ctx.emit(ops.Scale(1.0, float(zero_point)), y) if zero_point else y


# --- functions of one element -----------------------------------------------------------------------------------------


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Any) -> Any:
    return 0.5 * x * np.vectorize(math.erfc, otypes=[np.float64])(-x * math.sqrt(0.5))


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _elu(x: Any) -> Any:
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


_FUNCTIONS: dict[str, tuple[ops.UnaryKind, Callable[[Any], Any]]] = {
    "LOGISTIC": ("sigmoid", _logistic),
    "TANH": ("tanh", np.tanh),
    "EXP": ("exp", np.exp),
    "ELU": ("elu", _elu),
}


def unary(ctx: OpContext, function: Callable[[Any], Any], *real: ops.Op) -> str:
    """A table of the function on codes, `real` operators on floats."""
    x = ctx.x()
    if ctx.codes(x):
        return ctx.emit(rules.float_table(function, ctx.s8(x), ctx.out_s8()), x)
    for op in real:
        x = ctx.emit(op, x)
    return x


@register("LOGISTIC", "TANH", "EXP", "ELU", forms="int8 (a table), float32")
def function(ctx: OpContext) -> str:
    kind, computed = _FUNCTIONS[ctx.kind]
    return unary(ctx, computed, ops.Unary(kind, 1.0 if kind == "elu" else 0.0))


@register("GELU", forms="int8 (a table), float32", limits=("approximate=True on float32",))
def gelu(ctx: OpContext) -> str:
    if not ctx.options["approximate"]:
        return unary(ctx, _gelu, ops.Unary("gelu"))
    if isinstance(ctx.format(ctx.x()), F32):
        raise Unsupported("GELU with approximate=True on float32", "approximate=False, or int8")
    return unary(ctx, _gelu_tanh)


@register("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", forms="int8 (rescaling where the scales differ), float32")
def relu(ctx: OpContext) -> str:
    x = ctx.x()
    if ctx.codes(x):
        return ctx.emit(rules.relu_table(ctx.kind, ctx.s8(x), ctx.out_s8()), x)
    return ctx.emit(ops.Clip(*rules.REAL_BOUNDS[ctx.kind]), x)


@register("LEAKY_RELU", forms="int8 (a table), float32")
def leaky_relu(ctx: OpContext) -> str:
    x, alpha = ctx.x(), float(ctx.options["alpha"])
    if not math.isfinite(alpha):
        raise Unsupported(f"LEAKY_RELU with alpha {alpha:g}", "a finite number")
    if ctx.codes(x):
        return ctx.emit(rules.leaky_table(alpha, ctx.s8(x), ctx.out_s8()), x)
    return ctx.emit(ops.Unary("leaky_relu", alpha), x)


@register("PRELU", forms="int8 with a slope for each channel, or one; float32 with any slopes")
def prelu(ctx: OpContext) -> str:
    x, alpha = ctx.x(), ctx.constant(1, "slope")
    shape = inside(ctx.shape(x))
    slopes: NDArray[Any] = alpha.reshape(alpha.shape[-len(shape) :])
    by_channel = slopes.size == slopes.shape[-1]
    if ctx.codes(x):
        if not by_channel or slopes.size not in (1, shape[-1]) or slopes.size > MOST_CHANNELS:
            raise Unsupported(
                f"PRELU on int8 with slopes of shape {alpha.shape}", "one for each channel", "Use shared_axes=[1, 2]"
            )
        fmt = ctx.s8(ctx.x(1))
        return ctx.emit(rules.prelu_table(slopes.reshape(-1), fmt, ctx.s8(x), ctx.out_s8()), x)
    full = np.broadcast_to(slopes, shape).astype(np.float32)
    return ctx.emit(ops.PRelu(np.ascontiguousarray(full.reshape(-1, shape[-1])[0] if by_channel else full)), x)


@register("HARD_SWISH", forms="int8 (a table), float32")
def hard_swish(ctx: OpContext) -> str:
    x = ctx.x()
    if ctx.codes(x):
        return ctx.emit(rules.hard_swish_table(ctx.s8(x), ctx.out_s8()), x)
    return ctx.emit(ops.Unary("hard_swish"), x)


@register("ABS", forms="int8 (a table), float32")
def absolute(ctx: OpContext) -> str:
    x = ctx.x()
    if ctx.codes(x):
        return ctx.emit(rules.abs_table(ctx.s8(x), ctx.out_s8()), x)
    return ctx.emit(ops.Unary("abs"), x)


@register("SQUARE", "NEG", forms="float32")
def float_function(ctx: OpContext) -> str:
    x = ctx.x()
    if ctx.codes(x):
        raise Unsupported(f"{ctx.kind} of int8", "float32")
    return ctx.emit(ops.Unary("square") if ctx.kind == "SQUARE" else ops.Scale(-1.0), x)


@register("SOFTMAX", forms="int8 over up to 4,095 classes, float32; any beta", limits=("another axis than the last",))
def softmax(ctx: OpContext) -> str:
    x, beta = ctx.x(), float(ctx.options["beta"])
    if not (math.isfinite(beta) and beta > 0):
        raise Unsupported(f"SOFTMAX with beta {beta:g}", "a positive number")
    if ctx.codes(x):
        return ctx.emit(rules.softmax(beta, ctx.s8(x)), x)
    return ctx.emit(ops.Softmax(), x if beta == 1 else ctx.emit(ops.Scale(beta), x))


# --- functions of two -------------------------------------------------------------------------------------------------


def aligned(ctx: OpContext, a: Value, b: Value) -> tuple[Value, Value]:
    """Two operands with as many axes in the IR, those that one lacks in front."""
    shapes = [ctx.shape(a), ctx.shape(b)]
    rank = max(map(len, shapes))
    full = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    if len(inside(full[0])) != len(inside(full[1])):
        full = [(1, *shape) for shape in full]
    first, second = (
        value if new == old else ctx.reshape(value, new) for value, old, new in zip((a, b), shapes, full, strict=True)
    )
    return first, second


def _pair(ctx: OpContext) -> tuple[Value, Value]:
    if ctx.count != 2:
        raise Unsupported(f"{ctx.kind} has {ctx.count} inputs", "2")
    return aligned(ctx, ctx.x(0), ctx.x(1))


def _result(ctx: OpContext, value: Value, a: Value, b: Value) -> Value:
    """In the file's form, where axes were put in front."""
    rank = max(len(ctx.shape(ctx.x(0))), len(ctx.shape(ctx.x(1))))
    shape = ctx.shape(value)
    return value if len(shape) == rank else ctx.reshape(value, shape[len(shape) - rank :])


@register("ADD", "SUB", forms="int8, float32; broadcast and constant operands; fused ReLUs")
def add(ctx: OpContext) -> str:
    kind = "add" if ctx.kind == "ADD" else "sub"
    if not _is_integer(ctx):
        return float_pair(ctx, kind)
    a, b = _pair(ctx)
    scales = [ctx.s8(a).scale, ctx.s8(b).scale]
    twice = 2 * max(scales)
    first, second = (
        ctx.emit(rules.rescale(scale / twice, S32(), left=LEFT), value)
        for value, scale in zip((a, b), scales, strict=True)
    )
    y = ctx.emit(ops.Binary("add" if kind == "add" else "sub", integer=True), first, second)
    return _result(ctx, ctx.rescaled(y, twice / (2.0**LEFT * ctx.out_s8().scale)), a, b)


@register("MUL", forms="int8, float32; broadcast and constant operands; fused ReLUs")
def mul(ctx: OpContext) -> str:
    if not _is_integer(ctx):
        return float_pair(ctx, "mul")
    a, b = _pair(ctx)
    y = ctx.emit(ops.Binary("mul", integer=True), a, b)
    real = rules.f32(rules.f32(ctx.s8(a).scale * ctx.s8(b).scale) / ctx.out_s8().scale)
    return _result(ctx, ctx.rescaled(y, real), a, b)


@register("MAXIMUM", "MINIMUM", forms="int8 of equal scales, float32; broadcast and constant operands")
def extreme(ctx: OpContext) -> str:
    kind: Any = "maximum" if ctx.kind == "MAXIMUM" else "minimum"
    if not _is_integer(ctx):
        return float_pair(ctx, kind)
    a, b = _pair(ctx)
    ctx.keeps_format(a, b)
    return _result(ctx, ctx.emit(ops.Binary(kind, integer=True), a, b), a, b)


@register("DIV", forms="float32 by a constant", limits=("int8", "division by an activation"))
def div(ctx: OpContext) -> str:
    if _is_integer(ctx):
        raise Unsupported("DIV of int8", "float32", "Multiply by the inverse")
    divisor = ctx.constant(1, "divisor")
    if not (np.isfinite(divisor).all() and (divisor != 0).all()):
        raise Unsupported(f"{ctx.tensor(1)} divides by 0, or by what is no number", "finite divisors that are not 0")
    return float_pair(ctx, "div")


def _is_integer(ctx: OpContext) -> bool:
    """Whether codes meet codes; asked of the operands that are computed first, so that constants become values only
    where they must."""
    return ctx.codes(*(ctx.x(i) for i in range(min(ctx.count, 2)) if not ctx.is_constant(i)))


def float_pair(ctx: OpContext, kind: Any) -> str:
    """On reals; a constant that is the same everywhere, or for each channel, becomes parameters."""
    for i in (0, 1):
        if ctx.is_constant(i) and not ctx.is_constant(1 - i):
            made = _with_constant(ctx, kind, ctx.x(1 - i), ctx.constant(i, "operand"), i)
            if made is not None:
                return ctx.finish(made)
    if kind == "div":
        raise Unsupported("DIV by a constant that varies along more than the channels", "one for each channel")
    a, b = _pair(ctx)
    return ctx.finish(_result(ctx, ctx.emit(ops.Binary(kind), a, b), a, b))


def _with_constant(ctx: OpContext, kind: str, x: Value, constant: Any, at: int) -> Value | None:
    shape = ctx.shape(x)
    by_channel = constant.size == (constant.shape[-1] if constant.ndim else 1)
    if constant.ndim > len(shape) or not by_channel or constant.size not in (1, shape[-1] if shape else 1):
        return None
    if not np.isfinite(constant).all():
        raise Unsupported(f"{ctx.tensor(at)} holds NaN or infinity", "finite numbers")
    if kind in ("maximum", "minimum"):
        if constant.size != 1:
            return None
        bound = float(constant.reshape(()))
        return ctx.emit(ops.Clip(bound, math.inf) if kind == "maximum" else ops.Clip(-math.inf, bound), x)
    values = constant.reshape(-1).astype(np.float64)
    one, zero = np.ones_like(values), np.zeros_like(values)
    factor, offset = {
        "add": (one, values),
        "sub": (one, -values) if at == 1 else (-one, values),
        "mul": (values, zero),
        "div": (1 / np.where(values == 0, 1, values), zero),
    }[kind]
    if values.size == 1:
        return ctx.emit(ops.Scale(float(factor[0]), float(offset[0])), x)
    return ctx.emit(ops.BatchNorm(factor, offset, zero, one, 0.0), x)
