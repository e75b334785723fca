"""Convolutions, matrix products, pools and reductions.

On int8: sums of integers, and a Rescale with the factor input scale * weight scale / output scale, rounded twice. The
scales of biases are not used by any kernel. On float32: the operators of the IR that compute on reals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.types import F32, S8
from ..graph import Unsupported, Value
from . import rules
from .context import Array, OpContext
from .model import Tensor
from .registry import refuse, register

DYNAMIC_RANGE = "Convert with a representative dataset, so that activations are int8 too, or without quantization"


# --- weights ----------------------------------------------------------------------------------------------------------


def weights(ctx: OpContext, i: int, x: str, rank: int, axis: int, nibbles: bool = True) -> tuple[Array, Tensor]:
    """The constant weights of an operator that reads `x`: int8 for codes, float32 for reals, of this rank, with scales
    for `axis` or one. `nibbles`: the reference kernel knows 4 bits as well, they are int8 here."""
    tensor = ctx.tensor(i)
    values = ctx.constant(i, "weights", nibbles)
    fmt = ctx.format(x)
    if isinstance(fmt, F32) and values.dtype in (np.int8, np.uint8, np.int16):
        raise Unsupported(f"{ctx.kind} of floats with {tensor.type} weights (dynamic range)", "", DYNAMIC_RANGE)
    wanted = np.dtype(np.int8 if isinstance(fmt, S8) else np.float32)
    if values.dtype != wanted or values.ndim != rank:
        found = f"{ctx.kind} of {fmt} with weights of type {tensor.type}, shape {values.shape}"
        raise Unsupported(found, f"{'INT8' if isinstance(fmt, S8) else 'FLOAT32'} of {rank} axes")
    if isinstance(fmt, F32):
        if not np.isfinite(values).all():
            raise Unsupported(f"{tensor} holds NaN or infinity", "finite weights")
        return values, tensor
    if tensor.scale.size not in (1, values.shape[axis]) or (tensor.scale.size > 1 and tensor.axis != axis):
        found = f"{tensor} has {tensor.scale.size} scales for axis {tensor.axis}, its shape is {values.shape}"
        raise Unsupported(found, f"one, or one for each entry of axis {axis}")
    if not (np.isfinite(tensor.scale) & (tensor.scale > 0)).all():
        raise Unsupported(f"{tensor} has scales that are no positive numbers")
    return values, tensor


def zero_points(tensor: Tensor) -> ops.I8:
    """Those of weights, () where they are 0 as the converter makes them."""
    if not tensor.zero_point.any():
        return np.zeros((), np.int8)
    if tensor.zero_point.min() < -128 or tensor.zero_point.max() > 127:
        raise Unsupported(f"{tensor} has zero point {tensor.zero_point.max()}", "codes of int8")
    return tensor.zero_point.astype(np.int8) if tensor.zero_point.size > 1 else tensor.zero_point[0].astype(np.int8)


def symmetric(tensor: Tensor) -> None:
    """Refuses zero points where the kernels do."""
    if tensor.zero_point.any():
        raise Unsupported(f"{tensor} has zero point {int(tensor.zero_point[np.argmax(tensor.zero_point != 0)])}", "0")


def bias(ctx: OpContext, i: int, count: int, integer: bool) -> Any:
    """int32 sums or float64 reals, None without a bias."""
    if not ctx.has(i):
        return None
    values = ctx.constant(i, "bias").reshape(-1)
    wanted = np.dtype(np.int32 if integer else np.float32)
    if values.dtype != wanted or values.size != count:
        found = f"{ctx.tensor(i)} is a bias of {values.size} {values.dtype}"
        raise Unsupported(found, f"{count} {wanted}")
    if not integer and not np.isfinite(values).all():
        raise Unsupported(f"{ctx.tensor(i)} holds NaN or infinity", "finite biases")
    return values if integer else values.astype(np.float64)


def factors(ctx: OpContext, x: str, tensor: Tensor) -> Any:
    """Input scale * weight scale / output scale, in doubles."""
    return ctx.s8(x).scale * tensor.scale.astype(np.float64) / ctx.out_s8().scale


def as_weights(values: Array, zero_point: ops.I8 | None = None) -> ops.Weights:
    nothing = np.zeros((), np.int8)
    arranged = np.ascontiguousarray(values)
    return ops.Weights(
        "s8" if values.dtype == np.int8 else "f32", arranged, zero_point=nothing if zero_point is None else zero_point
    )


# --- convolutions -----------------------------------------------------------------------------------------------------


def window(ctx: OpContext, shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[ops.Pair, ops.Pair, ops.Padding]:
    """Strides, dilations and padding of a map of this shape."""
    o = ctx.options
    stride = (o["stride_h"], o["stride_w"])
    dilation = (o.get("dilation_h_factor", 1), o.get("dilation_w_factor", 1))
    if min(*stride, *dilation, *size) < 1:
        raise Unsupported(f"{ctx.kind} with window {size}, strides {stride}, dilations {dilation}", "1 and more")
    cells = [rules.padding(o["padding"], shape[1 + k], size[k], stride[k], dilation[k]) for k in range(2)]
    return stride, dilation, (cells[0], cells[1])


@register(
    "CONV_2D",
    forms="int8 per channel or per tensor, INT4 weights, float32; grouped, dilated; fused ReLU, ReLU6, ReLU(-1..1)",
)
def conv_2d(ctx: OpContext) -> str:
    x = ctx.map()
    integer = ctx.codes(x)
    values, tensor = weights(ctx, 1, x, 4, 0)
    symmetric(tensor)
    channels = ctx.shape(x)[3]
    if values.shape[3] < 1 or channels % values.shape[3]:
        raise Unsupported(f"weights for {values.shape[3]} of {channels} channels", "a divisor")
    stride, dilation, cells = window(ctx, ctx.shape(x), values.shape[1:3])
    op = ops.Conv2D(
        as_weights(values), bias(ctx, 2, values.shape[0], integer), stride, dilation, cells,
        groups=channels // values.shape[3], integer=integer,
    )  # fmt: skip
    y = ctx.emit(op, x)
    return ctx.rescaled(y, factors(ctx, x, tensor)) if integer else ctx.finish(y)


@register(
    "DEPTHWISE_CONV_2D",
    forms="int8 per channel or per tensor, INT4 weights, float32; any multiplier, dilated; fused ReLUs",
)
def depthwise_conv_2d(ctx: OpContext) -> str:
    x = ctx.map()
    integer = ctx.codes(x)
    values, tensor = weights(ctx, 1, x, 4, 3)
    symmetric(tensor)
    channels, outputs = ctx.shape(x)[3], values.shape[3]
    if values.shape[0] != 1 or outputs % channels:
        raise Unsupported(f"depthwise weights of shape {values.shape} for {channels} channels", "(1, h, w, a multiple)")
    kernel = values.reshape((*values.shape[1:3], channels, outputs // channels))
    stride, dilation, cells = window(ctx, ctx.shape(x), values.shape[1:3])
    op = ops.DepthwiseConv2D(
        as_weights(kernel), bias(ctx, 2, outputs, integer), stride, dilation, cells, integer=integer
    )
    y = ctx.emit(op, x)
    return ctx.rescaled(y, factors(ctx, x, tensor)) if integer else ctx.finish(y)


@register("TRANSPOSE_CONV", forms="int8 per channel or per tensor, float32; strides, a bias")
def transpose_conv(ctx: OpContext) -> str:
    """A correlation over the input with stride - 1 zeros between its cells, with the kernel turned around. Output cell
    j sums x[i] * w[j - i * stride + before], `before` being the padding that the forward convolution of the output
    would put in front."""
    x = ctx.map(2)
    integer = ctx.codes(x)
    values, tensor = weights(ctx, 1, x, 4, 0, nibbles=False)
    symmetric(tensor)
    wanted = ctx.integers(0, "output shape")
    shape, stride = ctx.shape(x), (ctx.options["stride_h"], ctx.options["stride_w"])
    if len(wanted) != 4 or wanted[0] != 1 or wanted[3] != values.shape[0] or values.shape[3] != shape[3]:
        raise Unsupported(f"output shape {tuple(wanted)} of input {shape} and weights {values.shape}")
    if min(*stride, *wanted) < 1:
        raise Unsupported(f"strides {stride}, output {tuple(wanted)}", "1 and more")
    cells = [_around(ctx, shape[1 + k], wanted[1 + k], values.shape[1 + k], stride[k]) for k in range(2)]
    flipped = as_weights(values[:, ::-1, ::-1, :])
    op = ops.Conv2D(
        flipped, bias(ctx, 3, values.shape[0], integer), padding=(cells[0], cells[1]), up=stride, integer=integer
    )
    y = ctx.emit(op, x)
    return ctx.rescaled(y, factors(ctx, x, tensor)) if integer else ctx.finish(y)


def _around(ctx: OpContext, n: int, length: int, k: int, stride: int) -> ops.Pair:
    before = k - 1 - rules.padding(ctx.options["padding"], length, k, stride)[0]
    behind = length - ((n - 1) * stride + 1) - before + k - 1
    if before < 0 or behind < 0:
        raise Unsupported(f"an output of {length} cells for {n} with a kernel of {k} and strides of {stride}")
    return (before, behind)


# --- matrix products --------------------------------------------------------------------------------------------------


@register(
    "FULLY_CONNECTED", forms="int8 per tensor or per channel, INT4 weights, float32; any leading axes; fused ReLUs"
)
def fully_connected(ctx: OpContext) -> str:
    x = ctx.x()
    integer = ctx.codes(x)
    if ctx.options["weights_format"]:
        raise Unsupported("FULLY_CONNECTED with shuffled weights", "the default order")
    values, tensor = weights(ctx, 1, x, 2, 0)
    outputs, features = values.shape
    shape = ctx.shape(x)
    rows = math.prod(shape) // max(features, 1)
    if rows * features != math.prod(shape):
        raise Unsupported(f"an input of shape {shape} for {features} features")
    keeps = ctx.options["keep_num_dims"] and shape and shape[-1] == features
    flat = (
        x
        if len(shape) > 1 and shape[-1] == features and (keeps or len(shape) == 2)
        else ctx.reshape(x, (rows, features))
    )
    op = ops.Dense(as_weights(values, zero_points(tensor)), bias(ctx, 2, outputs, integer), integer)
    y = ctx.emit(op, flat)
    if not integer:
        return ctx.finish(y)
    return ctx.rescaled(y, factors(ctx, x, tensor) if tensor.scale.size > 1 else product(ctx, x, tensor))


def product(ctx: OpContext, x: str, tensor: Tensor) -> Any:
    """As `factors`, with the product of the two scales rounded to float32: where the kernels know one weight scale."""
    return rules.f32(ctx.s8(x).scale * float(tensor.scale[0])) / ctx.out_s8().scale


@register(
    "BATCH_MATMUL", forms="a constant second operand, as FULLY_CONNECTED", limits=("products of two activations",)
)
def batch_matmul(ctx: OpContext) -> str:
    x = ctx.x()
    integer = ctx.codes(x)
    values, tensor = ctx.constant(1, "second operand"), ctx.tensor(1)
    if ctx.options["adj_x"] or max(values.shape[:-2], default=1) > 1:
        raise Unsupported(f"BATCH_MATMUL of {ctx.shape(x)} and {values.shape}", "one constant matrix, adj_x=False")
    weights(ctx, 1, x, values.ndim, 0, nibbles=False)
    if integer and tensor.scale.size > 1:
        raise Unsupported(f"{tensor} has {tensor.scale.size} scales", "one")
    matrix = values.reshape(values.shape[-2:])
    op = ops.Dense(as_weights(matrix if ctx.options["adj_y"] else matrix.T, zero_points(tensor)), None, integer)
    y = ctx.emit(op, x)
    return ctx.rescaled(y, product(ctx, x, tensor)) if integer else y


# --- pools and reductions ---------------------------------------------------------------------------------------------


def _pool(ctx: OpContext, x: str) -> tuple[ops.Pair, ops.Pair, ops.Padding]:
    size = (ctx.options["filter_height"], ctx.options["filter_width"])
    stride, _, cells = window(ctx, ctx.shape(x), size)
    return size, stride, cells


@register("AVERAGE_POOL_2D", forms="int8 (the mean of codes), float32; fused ReLUs")
def average_pool_2d(ctx: OpContext) -> str:
    x = ctx.map()
    integer = ctx.codes(x)
    if integer:
        ctx.keeps_format(x)
    y = ctx.emit(ops.AvgPool(*_pool(ctx, x), raw=integer), x)
    return ctx.clip_codes(y) if integer else ctx.finish(y)


@register("MAX_POOL_2D", forms="int8, float32; fused ReLUs")
def max_pool_2d(ctx: OpContext) -> str:
    x = ctx.map()
    integer = ctx.codes(x)
    ctx.keeps_format(x)
    y = ctx.emit(ops.MaxPool(*_pool(ctx, x)), x)
    return ctx.clip_codes(y) if integer else ctx.finish(y)


def _reduced(ctx: OpContext, x: Value) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes to reduce, as the IR counts them, and the file's shape of the result."""
    shape = ctx.shape(x)
    axes = sorted({ctx.axis(axis, len(shape)) for axis in ctx.integers(1, "axes")})
    keeps = ctx.options["keep_dims"]
    result = tuple(1 if axis in axes else n for axis, n in enumerate(shape) if keeps or axis not in axes)
    batch = int(len(shape) > 1 and shape[0] == 1)
    inner = tuple(axis - batch for axis in axes if axis >= batch)  # over one value nothing is to do
    if not inner:
        raise Unsupported(f"{ctx.kind} over axes {axes} of {shape}", "one axis or more besides the batch")
    return inner, result


@register("MEAN", "SUM", forms="int8 over any axes, float32")
def mean(ctx: OpContext) -> str:
    x = ctx.x()
    axes, result = _reduced(ctx, x)
    shape = ctx.inner_shape(x)
    count = math.prod(shape[axis] for axis in axes)
    if not ctx.codes(x):
        y = _float_mean(ctx, x, axes)
        return ctx.reshape(y if ctx.kind == "MEAN" else ctx.emit(ops.Scale(float(count)), y), result)
    out = ctx.out_s8()
    y = ctx.emit(ops.Reduce("sum", axes, keepdims=True), x)
    if ctx.kind == "MEAN":
        y = ctx.emit(rules.mean(ctx.s8(x).scale, out, count), y)
    else:
        y = ctx.emit(rules.rescale(ctx.s8(x).scale / out.scale, out), y)
    return ctx.reshape(y, result)


def _as_one(ctx: OpContext, x: Value, axes: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape with the axes to reduce as its middle one."""
    shape = ctx.inner_shape(x)
    if axes != tuple(range(axes[0], axes[-1] + 1)):
        raise Unsupported(f"{ctx.kind} of floats over axes {axes} of {shape}", "axes next to each other")
    before, over, behind = shape[: axes[0]], shape[axes[0] : axes[-1] + 1], shape[axes[-1] + 1 :]
    return math.prod(before), math.prod(over), math.prod(behind)


def _float_mean(ctx: OpContext, x: Value, axes: tuple[int, ...]) -> Value:
    """A pool of a map in which the axes are one. The last axis is a product with a matrix of one row."""
    before, over, behind = _as_one(ctx, x, axes)
    if behind == 1:
        row = ops.Weights("f32", np.full((1, over), 1 / over, np.float32))
        return ctx.emit(ops.Dense(row), ctx.reshape(x, (1, before, over)))
    return ctx.emit(ops.AvgPool((1, over), (1, over)), ctx.reshape(x, (1, before, over, behind)))


@register("REDUCE_MAX", "REDUCE_MIN", forms="int8 over any axes; float32 over axes next to each other")
def reduce_extreme(ctx: OpContext) -> str:
    x = ctx.x()
    axes, result = _reduced(ctx, x)
    rises = ctx.kind == "REDUCE_MAX"
    ctx.keeps_format(x)
    if ctx.codes(x):
        return ctx.reshape(ctx.emit(ops.Reduce("maximum" if rises else "minimum", axes, keepdims=True), x), result)
    over = _as_one(ctx, x, axes)
    sign = ops.Scale(1.0 if rises else -1.0)  # the least is the largest of what is turned around
    y = ctx.reshape(ctx.emit(sign, x), (1, *over))
    return ctx.reshape(ctx.emit(sign, ctx.emit(ops.MaxPool((1, over[1]), (1, over[1])), y)), result)


refuse("ARG_MAX", "ARG_MIN", "TOPK_V2", advice="End the model at what it compares, and compare outside")
refuse(
    "LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE",
    advice="It keeps a state: use layers without memory",
)  # fmt: skip
refuse("IF", "WHILE", "CALL", "CALL_ONCE", advice="Convert without control flow")
refuse(
    "SPACE_TO_BATCH_ND",
    "BATCH_TO_SPACE_ND",
    advice="Convert again: newer converters write dilated convolutions as such",
)
refuse("CONV_3D", "CONV_3D_TRANSPOSE", advice="Use two-dimensional convolutions")
refuse("EMBEDDING_LOOKUP", "HASHTABLE_LOOKUP", advice="Look up outside the model")
