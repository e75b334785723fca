"""Operators written directly on tensors: `x * 2`, `tf.nn.relu(x)`, `x[:, 1:]`, `keras.ops.mean(x, axis=1)`.

Keras 2 stores them as `TFOpLambda` and `SlicingOpLambda` layers with the TensorFlow function's name, Keras 3 as
operation classes. Both come down to the same table of functions here; arguments stand in the call, by position or name,
or (Keras 3) in the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir import ops
from ..graph import UNKNOWN, Unsupported
from . import layers
from .activations import activation_ops
from .context import LayerContext, is_value
from .quantizers import TINY
from .registry import register

_MISSING = object()
Operation = Callable[[LayerContext], str]


def _argument(ctx: LayerContext, position: int, *names: str, default: Any = _MISSING) -> Any:
    """An argument of the call, by position, by name, or from the configuration."""
    if position < len(ctx.args):
        return ctx.args[position]
    for source in (ctx.kwargs, ctx.config):
        for name in names:
            if source.get(name) is not None:
                return source[name]
    if default is _MISSING:
        raise Unsupported(f"argument {names[0]} is missing", advice="Write the operation as a layer")
    return default


def _tensor(ctx: LayerContext) -> str:
    value = _argument(ctx, 0, "x", "input", "features", "inputs")
    if not is_value(value):
        raise Unsupported("the first argument is a constant", "a tensor")
    return str(value) if value == UNKNOWN else value


# --- arithmetic -------------------------------------------------------------------------------------------------------


def _operands(ctx: LayerContext) -> tuple[Any, Any]:
    return _argument(ctx, 0, "x", "x1"), _argument(ctx, 1, "y", "x2")


def _two_tensors(ctx: LayerContext, kind: ops.BinaryKind, a: str, b: str) -> str:
    if len(ctx.shape(a)) != len(ctx.shape(b)):
        raise Unsupported(
            f"tensors of shapes {ctx.shape(a)} and {ctx.shape(b)} without the batch",
            "equal ranks",
            "Reshape one of them first",
        )
    return ctx.emit(ops.Binary(kind), a, b)


def _affine(ctx: LayerContext, x: str, factor: Any, offset: Any) -> str:
    """x * factor + offset with numbers, or one number per channel."""
    a, b = np.asarray(factor, dtype=np.float64), np.asarray(offset, dtype=np.float64)
    if a.size == 1 and b.size == 1:
        return ctx.emit(ops.Scale(float(a.reshape(())), float(b.reshape(()))), x)
    channels = ctx.shape(x)[-1]
    for array in (a, b):
        if array.size not in (1, channels) or (array.size > 1 and array.shape[-1] != channels):
            raise Unsupported(
                f"a constant of shape {array.shape} with a tensor of shape {ctx.shape(x)}",
                "one number, or one per channel",
            )
    scale, shift = (np.broadcast_to(array.reshape(-1), (channels,)).astype(np.float64) for array in (a, b))
    return ctx.emit(ops.BatchNorm(scale, shift, np.zeros(channels), np.ones(channels), 0.0), x)


def _add(ctx: LayerContext) -> str:
    a, b = _operands(ctx)
    if is_value(a) and is_value(b):
        return _two_tensors(ctx, "add", a, b)
    return _affine(ctx, a, 1.0, b) if is_value(a) else _affine(ctx, b, 1.0, a)


def _subtract(ctx: LayerContext) -> str:
    a, b = _operands(ctx)
    if is_value(a) and is_value(b):
        return _two_tensors(ctx, "sub", a, b)
    return _affine(ctx, a, 1.0, -np.asarray(b, dtype=np.float64)) if is_value(a) else _affine(ctx, b, -1.0, a)


def _multiply(ctx: LayerContext) -> str:
    a, b = _operands(ctx)
    if is_value(a) and is_value(b):
        return _two_tensors(ctx, "mul", a, b)
    return _affine(ctx, a, b, 0.0) if is_value(a) else _affine(ctx, b, a, 0.0)


def _divide(ctx: LayerContext) -> str:
    a, b = _operands(ctx)
    if is_value(b):
        raise Unsupported("a division by a tensor", "a division by a constant")
    divisor = np.asarray(b, dtype=np.float64)
    if np.any(divisor == 0):
        raise Unsupported("a division by 0", "another divisor")
    return _affine(ctx, a, 1 / divisor, 0.0)


def _extremum(kind: ops.BinaryKind) -> Operation:
    def build(ctx: LayerContext) -> str:
        a, b = _operands(ctx)
        if is_value(a) and is_value(b):
            return _two_tensors(ctx, kind, a, b)
        x, bound = (a, float(b)) if is_value(a) else (b, float(a))
        return ctx.emit(ops.Clip(bound, math.inf) if kind == "maximum" else ops.Clip(-math.inf, bound), x)

    return build


def _power(ctx: LayerContext) -> str:
    x, exponent = _operands(ctx)
    if not is_value(x) or is_value(exponent) or float(exponent) not in (1.0, 2.0):
        raise Unsupported(f"a power with exponent {exponent if not is_value(exponent) else 'tensor'}", "1 and 2")
    return x if float(exponent) == 1.0 else ctx.emit(ops.Unary("square"), x)


def _clip(ctx: LayerContext) -> str:
    low, high = _argument(ctx, 1, "clip_value_min", "x_min"), _argument(ctx, 2, "clip_value_max", "x_max")
    return ctx.emit(ops.Clip(float(low), float(high)), _tensor(ctx))


def _chain(*operators: ops.Op) -> Operation:
    return lambda ctx: ctx.chain(_tensor(ctx), operators)


def _named(name: str) -> Operation:
    return lambda ctx: ctx.chain(_tensor(ctx), activation_ops(ctx, name))


def _leaky_relu(ctx: LayerContext) -> str:
    slope = _argument(ctx, 1, "alpha", "negative_slope", default=0.2)
    return ctx.emit(ops.Unary("leaky_relu", float(np.float32(slope))), _tensor(ctx))


def _softmax(ctx: LayerContext) -> str:
    return layers.softmax_over(ctx, _tensor(ctx), int(_argument(ctx, 1, "axis", default=-1)))


def _same(ctx: LayerContext) -> str:
    return _tensor(ctx)


def _cast(ctx: LayerContext) -> str:
    wanted = str(_argument(ctx, 1, "dtype", default="float32"))
    if "float" not in wanted:
        raise Unsupported(f"a cast to {wanted}", "float32")
    return _tensor(ctx)


# --- shapes -----------------------------------------------------------------------------------------------------------


def _axes(ctx: LayerContext, rank: int, position: int = 1) -> list[int]:
    axis = _argument(ctx, position, "axis", "axes")
    return [layers.without_batch(int(n), rank) for n in (axis if isinstance(axis, list) else [axis])]


def _reduce(kind: type[ops.MaxPool] | type[ops.AvgPool]) -> Operation:
    """The mean or maximum over all axes but the batch and the channels."""

    def build(ctx: LayerContext) -> str:
        x = _tensor(ctx)
        shape = ctx.shape(x)
        axes = sorted(_axes(ctx, len(shape)))
        if axes != list(range(len(shape) - 1)) or not 2 <= len(shape) <= 3:
            raise Unsupported(
                f"a mean or maximum over axes {[n + 1 for n in axes]} of rank {len(shape) + 1}", "all spatial axes"
            )
        h, w = (1, shape[0]) if len(shape) == 2 else shape[:2]
        y = ctx.emit(kind((h, w), (h, w)), x)
        return y if _argument(ctx, 2, "keepdims", default=False) else ctx.emit(ops.Reshape(shape[-1:]), y)

    return build


def _reshape(ctx: LayerContext) -> str:
    sizes = _argument(ctx, 1, "shape", "newshape")
    for size in sizes if isinstance(sizes, list) else [sizes]:
        if is_value(size):
            ctx.type(size)  # behind a refused layer there is nothing more to say
            raise Unsupported("a reshape to a size that is computed", "numbers, -1 for the batch", _SIZES)
    target = [int(n) for n in sizes]
    if not target or target[0] != -1:
        raise Unsupported(f"a reshape to {target}", "-1 for the batch, first")
    return layers.reshape_to(ctx, _tensor(ctx), target[1:])


def _transpose(ctx: LayerContext) -> str:
    order = [int(n) for n in _argument(ctx, 1, "perm", "axes")]
    if not order or order[0] != 0:
        raise Unsupported(f"a transpose by {order}", "the batch stays first")
    return layers.permute(ctx, _tensor(ctx), [n - 1 for n in order[1:]])


def _concat(ctx: LayerContext) -> str:
    values = [value for value in ctx.args[0] if is_value(value)]
    if len(values) != len(ctx.args[0]):
        raise Unsupported("a concatenation with a constant", "tensors")
    return layers.concat(ctx, values, int(_argument(ctx, 1, "axis", default=-1)))


def _pad(ctx: LayerContext) -> str:
    if str(_argument(ctx, 9, "mode", default="constant")).lower() != "constant":
        raise Unsupported(f"padding mode {_argument(ctx, 9, 'mode')}", "constant")
    borders = [(int(a), int(b)) for a, b in _argument(ctx, 1, "paddings", "pad_width")]
    if not borders or borders[0] != (0, 0):
        raise Unsupported(f"padding by {borders}", "no padding of the batch")
    before, after = zip(*borders[1:], strict=True)
    return ctx.emit(ops.Pad(before, after, float(_argument(ctx, 9, "constant_values", default=0.0))), _tensor(ctx))


def _expand_dims(ctx: LayerContext) -> str:
    x = _tensor(ctx)
    shape = list(ctx.shape(x))
    (axis,) = _axes(ctx, len(shape) + 1)
    return ctx.emit(ops.Reshape((*shape[:axis], 1, *shape[axis:])), x)


def _squeeze(ctx: LayerContext) -> str:
    x = _tensor(ctx)
    shape = ctx.shape(x)
    axes = _axes(ctx, len(shape))
    if any(shape[axis] != 1 for axis in axes):
        raise Unsupported(f"a squeeze of axes {axes} of shape {shape}", "axes of size 1")
    return ctx.emit(ops.Reshape(tuple(n for axis, n in enumerate(shape) if axis not in axes)), x)


# --- slices -----------------------------------------------------------------------------------------------------------


def slicing(ctx: LayerContext) -> str:
    """x[...] with slices of positive step, numbers and an ellipsis; the batch stays whole."""
    x = _tensor(ctx)
    shape = ctx.shape(x)
    spec = _argument(ctx, 1, "slice_spec")
    items = [_slice_item(item) for item in (spec if isinstance(spec, list) else [spec])]
    items = _without_ellipsis(items, len(shape) + 1)
    if items[0] != slice(None):
        raise Unsupported("a slice of the batch", "x[:, ...]")
    start, step, size, kept = [], [], [], []
    for item, n in zip(items[1:], shape, strict=True):
        chosen = range(n)[item] if isinstance(item, slice) else range(n)[slice(item, item + 1 or None)]
        if not len(chosen) or chosen.step < 1:
            raise Unsupported(f"slice {item} of an axis of size {n}", "at least one element, positive steps")
        start.append(chosen.start)
        step.append(chosen.step)
        size.append(len(chosen))
        if isinstance(item, slice):
            kept.append(len(chosen))
    y = ctx.emit(layers.view(tuple(size), tuple(start), tuple(step)), x)
    return y if len(kept) == len(size) else ctx.emit(ops.Reshape(tuple(kept)), y)


def _slice_item(item: Any) -> Any:
    """A slice, a number or Ellipsis, from the spellings of Keras 2 and 3."""
    if isinstance(item, dict):
        if item.get("class_name") == "__ellipsis__":
            return ...
        bounds = item["config"] if item.get("class_name") == "__slice__" else item
        if any(is_value(bounds.get(key)) for key in ("start", "stop", "step")):
            raise Unsupported("a slice whose bounds are tensors", "constant bounds")
        return slice(bounds.get("start"), bounds.get("stop"), bounds.get("step"))
    if isinstance(item, int) and not isinstance(item, bool):
        return item
    raise Unsupported(f"index {item!r}", "slices, numbers, ...")


def _without_ellipsis(items: Sequence[Any], rank: int) -> list[Any]:
    result = list(items)
    if ... in result:
        at = result.index(...)
        result[at : at + 1] = [slice(None)] * (rank - len(result) + 1)
    result += [slice(None)] * (rank - len(result))
    if len(result) != rank:
        raise Unsupported(f"{len(items)} indices on rank {rank}", "at most one per axis")
    return result


# --- the table --------------------------------------------------------------------------------------------------------

# Our name: what it does, TensorFlow's names of it, Keras 3's class.
_OPERATIONS: tuple[tuple[Operation, tuple[str, ...], str], ...] = (
    (_add, ("math.add", "add", "__operators__.add", "nn.bias_add"), "Add"),
    (_subtract, ("math.subtract", "subtract"), "Subtract"),
    (_multiply, ("math.multiply", "multiply"), "Multiply"),
    (_divide, ("math.truediv", "math.divide", "math.divide_no_nan", "realdiv", "div"), "TrueDivide"),
    (_divide, (), "Divide"),
    (_extremum("maximum"), ("math.maximum", "maximum"), "Maximum"),
    (_extremum("minimum"), ("math.minimum", "minimum"), "Minimum"),
    (_power, ("math.pow", "pow"), "Power"),
    (_clip, ("clip_by_value",), "Clip"),
    (_chain(ops.Scale(-1.0)), ("math.negative", "negative"), "Negative"),
    (_chain(ops.Unary("abs")), ("math.abs", "abs"), "Absolute"),
    (_chain(ops.Unary("abs")), (), "Abs"),
    (_chain(ops.Unary("square")), ("math.square", "square"), "Square"),
    (_chain(ops.Unary("exp")), ("math.exp", "exp"), "Exp"),
    (_chain(ops.Ternary(TINY, "sign")), ("math.sign", "sign"), "Sign"),
    (_named("relu"), ("nn.relu", "keras.backend.relu"), "Relu"),
    (_named("relu6"), ("nn.relu6",), "Relu6"),
    (_named("sigmoid"), ("math.sigmoid", "sigmoid", "nn.sigmoid"), "Sigmoid"),
    (_named("hard_sigmoid"), ("keras.activations.hard_sigmoid",), "HardSigmoid"),
    (_named("tanh"), ("math.tanh", "tanh", "nn.tanh"), "Tanh"),
    (_named("elu"), ("nn.elu",), "Elu"),
    (_named("selu"), ("nn.selu",), "Selu"),
    (_named("softplus"), ("math.softplus", "nn.softplus"), "Softplus"),
    (_named("softsign"), ("nn.softsign",), "Softsign"),
    (_named("silu"), ("nn.silu", "nn.swish"), "Silu"),
    (_named("hard_silu"), (), "HardSilu"),
    (_leaky_relu, ("nn.leaky_relu",), "LeakyRelu"),
    (_softmax, ("nn.softmax",), "Softmax"),
    (_same, ("identity", "stop_gradient", "grad_pass_through"), "StopGradient"),
    (_cast, ("cast",), "Cast"),
    (_reduce(ops.AvgPool), ("math.reduce_mean", "reduce_mean"), "Mean"),
    (_reduce(ops.MaxPool), ("math.reduce_max", "reduce_max"), "Max"),
    (_reshape, ("reshape",), "Reshape"),
    (_transpose, ("transpose", "compat.v1.transpose"), "Transpose"),
    (_concat, ("concat",), "Concatenate"),
    (_pad, ("pad", "compat.v1.pad"), "Pad"),
    (_expand_dims, ("expand_dims",), "ExpandDims"),
    (_squeeze, ("squeeze", "compat.v1.squeeze"), "Squeeze"),
    (slicing, (), "GetItem"),
)
_BY_FUNCTION = {name: operation for operation, names, _ in _OPERATIONS for name in names}


_SIZES = "Write the sizes as numbers: a Reshape layer, or tf.reshape(x, [-1, 144])"
_ADVICE = dict.fromkeys(("shape", "compat.v1.shape", "rank", "size"), _SIZES)


@register("TFOpLambda", forms=", ".join(sorted(_BY_FUNCTION)))
def tf_function(ctx: LayerContext) -> str:
    name = str(ctx.get("function"))
    if name in _ADVICE:
        raise Unsupported(f"the TensorFlow function tf.{name}", advice=_ADVICE[name])
    if name not in _BY_FUNCTION:
        raise Unsupported(f"the TensorFlow function tf.{name}", ", ".join(sorted(_BY_FUNCTION)), "Write it with layers")
    return _BY_FUNCTION[name](ctx)


register("SlicingOpLambda", forms="slices with positive steps, numbers, ...")(slicing)

for _operation, _, _class_name in _OPERATIONS:
    register(_class_name, library="keras.ops", forms="as the layer or TensorFlow function of that name")(_operation)
