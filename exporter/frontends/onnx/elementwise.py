"""Operators element by element: activations, arithmetic, normalization. They keep the order of their input, except
where they have a value per channel, which the IR wants last."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ..graph import Unsupported
from .codes import clipped, result, triple
from .context import OnnxContext, finite
from .model import MICROSOFT
from .operands import Activation, Constant, Operand, Order, as_in_file, channels_last
from .registry import refuse, register

INFINITE = float("inf")

# --- functions of one number ------------------------------------------------------------------------------------------

_PLAIN: dict[str, ops.UnaryKind] = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Exp": "exp",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Abs": "abs",
    "HardSwish": "hard_swish",
    "Mish": "mish",
}


@register(*_PLAIN, forms="")
def plain(ctx: OnnxContext) -> Operand:
    return ctx.apply(ctx.real(), ops.Unary(_PLAIN[ctx.node.op]))


@register("Relu", forms="")
def relu(ctx: OnnxContext) -> Operand:
    return ctx.apply(ctx.real(), ops.Clip(0.0, INFINITE))


@register("Clip", forms="constant bounds; of codes too (QCDQ)")
def clip(ctx: OnnxContext) -> Operand:
    low, high = ctx.scalar(1, "min"), ctx.scalar(2, "max")
    low = ctx.number("min", -INFINITE) if low is None else float(low)
    high = ctx.number("max", INFINITE) if high is None else float(high)
    x = ctx.operand(0)
    if isinstance(x, Constant) or x.coded:
        return clipped(ctx, x, low, high)
    bounds = [bound if np.isfinite(np.float32(bound)) else np.sign(bound) * INFINITE for bound in (low, high)]
    return ctx.apply(ctx.real(), ops.Clip(float(bounds[0]), float(bounds[1])))


@register("LeakyRelu", "Elu", forms="")
def with_alpha(ctx: OnnxContext) -> Operand:
    leaky = ctx.node.op == "LeakyRelu"
    alpha = ctx.number("alpha", 0.01 if leaky else 1.0)
    return ctx.apply(ctx.real(), ops.Unary("leaky_relu" if leaky else "elu", alpha))


@register("Selu", forms="", limits=("other alpha and gamma than the standard's",))
def selu(ctx: OnnxContext) -> Operand:
    alpha, gamma = ctx.number("alpha", 1.6732632), ctx.number("gamma", 1.0507010)
    if abs(alpha - 1.6732632) > 1e-5 or abs(gamma - 1.0507010) > 1e-5:
        raise Unsupported(f"alpha {alpha:g} and gamma {gamma:g}", "1.67326 and 1.05070")
    return ctx.apply(ctx.real(), ops.Unary("selu"))


@register("HardSigmoid", forms="any alpha and beta")
def hard_sigmoid(ctx: OnnxContext) -> Operand:
    line = ops.Scale(ctx.number("alpha", 0.2), ctx.number("beta", 0.5))
    return ctx.apply(ctx.real(), line, ops.Clip(0.0, 1.0))


@register("Gelu", forms="exact", limits=("approximate='tanh'",))
@register("Gelu", domain=MICROSOFT, forms="exact")
def gelu(ctx: OnnxContext) -> Operand:
    ctx.only("approximate", "none")
    return ctx.apply(ctx.real(), ops.Unary("gelu"))


@register("Neg", forms="")
def negative(ctx: OnnxContext) -> Operand:
    return ctx.apply(ctx.real(), ops.Scale(-1.0))


@register("Identity", "Dropout", forms="inference")
def identity(ctx: OnnxContext) -> Operand:
    return ctx.operand(0)


@register("Cast", forms="float to float, uint8 and int8 to float", limits=("to integers",))
def cast(ctx: OnnxContext) -> Operand:
    x, to = ctx.activation(), ctx.whole("to", 1)
    if to not in (1, 11):
        raise Unsupported(f"casts an activation to type {to}", "float")
    return Activation(x.value, x.shape, x.order)


@register("PRelu", forms="a slope for all, per channel or per element")
def prelu(ctx: OnnxContext) -> Operand:
    x, slope = ctx.real(), ctx.floats(1, "the slope")
    axes = _wide_axes(x, slope)
    if len(axes) > 1:
        laid = x
        alpha = _laid(slope, laid)
        if alpha.shape != ctx.graph.type(laid.value).shape:
            raise Unsupported(f"a slope of shape {slope.shape}", "one, one per channel or one per element")
        return ctx.apply(laid, ops.PRelu(alpha.astype(np.float32)))
    if not axes:
        return ctx.apply(x, ops.Unary("leaky_relu", float(slope.reshape(-1)[0])))
    return ctx.apply(ctx.ending_in(x, axes[0]), ops.PRelu(slope.reshape(-1).astype(np.float32)))


@register("Softmax", forms="over one axis; opset 12 and older: also over all from axis 1 on")
def softmax(ctx: OnnxContext) -> Operand:
    return _softmax(ctx, ctx.real(), ctx.whole("axis", -1 if ctx.opset >= 13 else 1), ctx.opset)


def _softmax(ctx: OnnxContext, x: Activation, axis: int, opset: int) -> Activation:
    rank = len(x.shape)
    axis = ctx.axis(axis, rank)
    if axis == 0:
        raise Unsupported("axis 0, the batch", "another axis")
    if opset >= 13 or all(n == 1 for n in x.shape[axis + 1 :]):
        return ctx.apply(ctx.ending_in(x, axis), ops.Softmax())
    flat = ctx.reshaped(ctx.arranged(x, as_in_file(rank)), (x.shape[0], _rest(x, axis)), (1,)) if axis == 1 else None
    if flat is None:
        raise Unsupported(f"axis {axis} of {list(x.shape)} in opset {opset}", "the last axis, or axis 1")
    return ctx.reshaped(ctx.apply(flat, ops.Softmax()), x.shape, as_in_file(rank))


def _rest(x: Activation, axis: int) -> int:
    return int(np.prod(x.shape[axis:]))


# --- normalization ----------------------------------------------------------------------------------------------------


@register("BatchNormalization", forms="inference")
def batch_normalization(ctx: OnnxContext) -> Operand:
    ctx.only("training_mode", 0)
    names = ("scale", "bias", "mean", "variance")
    gamma, beta, mean, variance = (ctx.floats(at, name).reshape(-1) for at, name in enumerate(names, 1))
    norm = ops.BatchNorm(gamma, beta, mean, variance, ctx.number("epsilon", 1e-5))
    return ctx.apply(ctx.ending_in(ctx.real(), 1), norm)


@register("LayerNormalization", forms="over the last axis", limits=("over several axes",))
def layer_normalization(ctx: OnnxContext) -> Operand:
    x = ctx.real()
    if ctx.axis(ctx.whole("axis", -1), len(x.shape)) != len(x.shape) - 1:
        raise Unsupported(f"axis {ctx.whole('axis', -1)}", "the last axis")
    gamma = ctx.floats(1, "the scale").reshape(-1).astype(np.float32)
    beta = ctx.floats(2, "the bias").reshape(-1).astype(np.float32) if ctx.optional(2) is not None else 0 * gamma
    norm = ops.LayerNorm(gamma, beta, ctx.number("epsilon", 1e-5))
    return ctx.apply(ctx.ending_in(x, len(x.shape) - 1), norm)


# --- two operands -----------------------------------------------------------------------------------------------------

Combine = Callable[[OnnxContext, Operand, Operand], Activation]


@register(
    "Add", "Sub", "Mul", "Div", forms="activations and constants, broadcasting", limits=("division by an activation",)
)
def arithmetic(ctx: OnnxContext) -> Operand:
    return combined(ctx, ctx.node.op, ctx.operand(0), ctx.operand(1))


@register("Min", "Max", "Sum", "Mean", forms="activations and constants")
def several(ctx: OnnxContext) -> Operand:
    operands = [ctx.operand(at) for at in range(len(ctx.inputs))]
    kind = {"Sum": "Add", "Mean": "Add"}.get(ctx.node.op, ctx.node.op)
    total = reduce(lambda a, b: combined(ctx, kind, a, b), operands)
    if isinstance(total, Constant):
        raise Unsupported("is always the same")
    return ctx.apply(total, ops.Scale(1 / len(operands))) if ctx.node.op == "Mean" else total


@register("Pow", forms="squares", limits=("other exponents",))
def power(ctx: OnnxContext) -> Operand:
    exponent = ctx.scalar(1, "the exponent")
    if exponent not in (1, 2):
        raise Unsupported(f"the exponent is {exponent}", "2")
    return ctx.real() if exponent == 1 else ctx.apply(ctx.real(), ops.Unary("square"))


_KINDS: dict[str, ops.BinaryKind] = {"Add": "add", "Sub": "sub", "Mul": "mul", "Min": "minimum", "Max": "maximum"}


def combined(ctx: OnnxContext, kind: str, a: Operand, b: Operand) -> Activation:
    """Two operands of which at least one is an activation."""
    for operand in (a, b):
        if isinstance(operand, Activation) and operand.coded:
            raise Unsupported("reads integers as numbers", "reals: a DequantizeLinear in front of it")
    if isinstance(a, Activation) and isinstance(b, Activation):
        if kind == "Div":
            raise Unsupported("a quotient of two activations", "a constant divisor")
        return _of_two(ctx, _KINDS[kind], a, b)
    x, constant, first = (a, b, True) if isinstance(a, Activation) else (b, a, False)
    assert isinstance(x, Activation) and isinstance(constant, Constant)
    return _with_constant(ctx, kind, x, constant, first)


def _of_two(ctx: OnnxContext, kind: ops.BinaryKind, a: Activation, b: Activation) -> Activation:
    if len(a.shape) != len(b.shape):
        raise Unsupported(f"tensors of rank {len(a.shape)} and {len(b.shape)}", "equal ranks", "Unsqueeze one of them")
    order = common_order(a, b)
    a, b = ctx.arranged(a, order), ctx.arranged(b, order)
    shape = tuple(np.broadcast_shapes(a.shape, b.shape))
    return Activation(ctx.emit(ops.Binary(kind), a.value, b.value), shape, order)


def common_order(*operands: Activation) -> Order:
    """The order that most of the elements have; of equals the one with channels last, which convolutions want."""
    wanted = channels_last(len(operands[0].shape))
    orders = sorted(operands, key=lambda x: (-int(np.prod(x.shape)), x.order != wanted))
    return orders[0].order


def _wide_axes(x: Activation, array: NDArray[Any]) -> list[int]:
    """The axes of x along which a broadcast constant varies."""
    if array.ndim > len(x.shape):
        raise Unsupported(f"a constant of shape {array.shape} with {list(x.shape)}", "one of at most that rank")
    offset = len(x.shape) - array.ndim
    axes = [axis + offset for axis, n in enumerate(array.shape) if n != 1]
    if 0 in axes:
        raise Unsupported(f"a constant of shape {array.shape} that differs between samples", "a batch axis of 1")
    return axes


def _laid(array: NDArray[Any], x: Activation) -> NDArray[Any]:
    """A constant with its axes in the order of the value of x."""
    full = array.reshape((1,) * (len(x.shape) - array.ndim) + array.shape)
    return np.ascontiguousarray(full[0].transpose([axis - 1 for axis in x.order]))


def _with_constant(ctx: OnnxContext, kind: str, x: Activation, constant: Constant, first: bool) -> Activation:
    """`first`: x is the first operand."""
    array = finite(constant.array, "a constant")
    axes = _wide_axes(x, array)
    grows = any(x.shape[axis] == 1 for axis in axes)
    if kind == "Div":
        if not first:
            raise Unsupported("a constant divided by an activation", "an activation divided by a constant")
        if (array == 0).any():
            raise Unsupported("divides by zero", "other numbers")
        kind, array, constant = "Mul", 1 / array, Constant((1 / array).astype(np.float32))
    if not axes and kind in ("Min", "Max"):
        bound = float(array.reshape(-1)[0])
        return ctx.apply(x, ops.Clip(-INFINITE, bound) if kind == "Min" else ops.Clip(bound, INFINITE))
    if not axes and kind in ("Add", "Sub", "Mul"):
        return ctx.apply(x, _line(kind, float(array.reshape(-1)[0]), first))
    if len(axes) == 1 and not grows and kind in ("Add", "Sub", "Mul"):
        return ctx.apply(ctx.ending_in(x, axes[0]), _lines(kind, array.reshape(-1), first))
    operand = ctx.emitted_constant(constant, x)
    return _of_two(ctx, _KINDS[kind], *((x, operand) if first else (operand, x)))


def _line(kind: str, number: float, first: bool) -> ops.Scale:
    if kind == "Mul":
        return ops.Scale(number)
    if kind == "Add":
        return ops.Scale(1.0, number)
    return ops.Scale(1.0, -number) if first else ops.Scale(-1.0, number)


def _lines(kind: str, numbers: NDArray[np.float64], first: bool) -> ops.BatchNorm:
    """A factor or an offset per channel."""
    zeros, ones = np.zeros_like(numbers), np.ones_like(numbers)
    factor = numbers if kind == "Mul" else ones if first or kind == "Add" else -ones
    offset = zeros if kind == "Mul" else -numbers if kind == "Sub" and first else numbers
    return ops.BatchNorm(factor, offset, zeros, ones, 0.0)


# --- onnxruntime's ----------------------------------------------------------------------------------------------------


@register("QLinearAdd", "QLinearMul", domain=MICROSOFT, forms="as Add, Mul")
def qlinear_arithmetic(ctx: OnnxContext) -> Operand:
    return result(ctx, combined(ctx, ctx.node.op.removeprefix("QLinear"), triple(ctx, 0), triple(ctx, 3)), 6)


def _reals(ctx: OnnxContext) -> Activation:
    x = triple(ctx, 0)
    if isinstance(x, Constant):
        raise Unsupported("a function of a constant", "an activation")
    return x


@register("QLinearSigmoid", "QLinearLeakyRelu", domain=MICROSOFT, forms="")
def qlinear_unary(ctx: OnnxContext) -> Operand:
    leaky = ctx.node.op == "QLinearLeakyRelu"
    op = ops.Unary("leaky_relu", ctx.number("alpha", 0.01)) if leaky else ops.Unary("sigmoid")
    return result(ctx, ctx.apply(_reals(ctx), op), 3)


@register("QLinearSoftmax", domain=MICROSOFT, forms="as Softmax, in f32")
def qlinear_softmax(ctx: OnnxContext) -> Operand:
    x = _reals(ctx)
    return result(ctx, _softmax(ctx, x, ctx.whole("axis", -1), ctx.whole("opset", ctx.opset)), 3)


refuse("Erf", advice="Export with opset 20, where Gelu is one operator")
refuse(
    "LSTM", "GRU", "RNN", "If", "Loop", "Scan", advice="dqnn runs feed-forward networks; unroll it, or use convolutions"
)
refuse("ArgMax", "TopK", "NonMaxSuppression", advice="Take the scores as the output; the firmware compares them")
refuse("Einsum", "Attention", advice="dqnn multiplies activations with constants only")
refuse("InstanceNormalization", "GroupNormalization", advice="Use BatchNormalization, which costs nothing at inference")
