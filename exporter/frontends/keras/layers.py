"""Keras' own layers, as Keras 2 and Keras 3 write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.infer import as_map
from ..graph import Unsupported
from . import lowering
from .activations import activate, elu_ops, leaky_relu_ops, relu_ops
from .context import LayerContext
from .quantizers import sign_ops
from .registry import refuse, register, with_bias


def _finish(ctx: LayerContext, y: str) -> str:
    return activate(ctx, y, ctx.get("activation"))


# --- layers with weights ----------------------------------------------------------------------------------------------


@register("Dense", forms="any rank, on the last axis", weights=with_bias("kernel"))
def dense(ctx: LayerContext) -> str:
    return _finish(ctx, lowering.dense(ctx, ctx.x, lowering.kernel(ctx, "kernel"), lowering.bias(ctx)))


@register(
    "Conv1D",
    "Conv2D",
    "Convolution1D",
    "Convolution2D",
    forms="strides, dilation, groups, valid, same, causal (1D)",
    weights=with_bias("kernel"),
)
def conv(ctx: LayerContext) -> str:
    return _finish(ctx, lowering.conv(ctx, ctx.x, lowering.kernel(ctx, "kernel"), lowering.bias(ctx)))


def _depthwise_names(config: Mapping[str, Any]) -> Sequence[str]:
    return ("depthwise_kernel", "bias") if config.get("use_bias", True) else ("depthwise_kernel",)


@register(
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    forms="strides, dilation, any depth multiplier, valid, same",
    weights=_depthwise_names,
)
def depthwise(ctx: LayerContext) -> str:
    # Keras 3 names the variable `kernel`.
    name = "depthwise_kernel" if ctx.optional_weight("kernel") is None else "kernel"
    return _finish(ctx, lowering.depthwise(ctx, ctx.x, lowering.kernel(ctx, name), lowering.bias(ctx)))


@register(
    "SeparableConv1D",
    "SeparableConv2D",
    forms="strides, dilation, valid, same",
    weights=with_bias("depthwise_kernel", "pointwise_kernel"),
)
def separable(ctx: LayerContext) -> str:
    first, second = lowering.kernel(ctx, "depthwise_kernel"), lowering.kernel(ctx, "pointwise_kernel")
    return _finish(ctx, lowering.separable(ctx, ctx.x, first, second, lowering.bias(ctx)))


@register(
    "Conv2DTranspose",
    "Convolution2DTranspose",
    forms="strides, dilation, output_padding, valid, same",
    weights=with_bias("kernel"),
)
def conv_transpose(ctx: LayerContext) -> str:
    return _finish(ctx, lowering.transposed(ctx, ctx.x, lowering.kernel(ctx, "kernel"), lowering.bias(ctx)))


def norm_weights(config: Mapping[str, Any]) -> Sequence[str]:
    names = [name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)]
    return (*names, "moving_mean", "moving_variance")


def check_norm_axis(ctx: LayerContext, x: str) -> None:
    axis = ctx.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    last = len(ctx.shape(x))
    if len(axes) != 1 or axes[0] not in (-1, last):
        raise Unsupported(f"axis={axis} on an input of rank {last + 1}", "the last axis (-1)")


@register("BatchNormalization", forms="on the last axis", limits=("renorm",), weights=norm_weights)
def batch_norm(ctx: LayerContext) -> str:
    if ctx.get("renorm"):
        raise Unsupported("renorm=True", "renorm=False")
    check_norm_axis(ctx, ctx.x)
    mean, variance = ctx.weight("moving_mean"), ctx.weight("moving_variance")
    gamma = ctx.weight("gamma") if ctx.get("scale", True) else np.ones_like(mean)
    beta = ctx.weight("beta") if ctx.get("center", True) else np.zeros_like(mean)
    doubles = [array.astype(np.float64) for array in (gamma, beta, mean, variance)]
    return ctx.emit(
        ops.BatchNorm(doubles[0], doubles[1], doubles[2], doubles[3], float(ctx.get("epsilon", 1e-3))), ctx.x
    )


def _layer_norm_weights(config: Mapping[str, Any]) -> Sequence[str]:
    return [name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)]


@register(
    "LayerNormalization",
    forms="on the last axes, in f32",
    limits=("rms_scaling, other axes",),
    weights=_layer_norm_weights,
)
def layer_norm(ctx: LayerContext) -> str:
    if ctx.get("rms_scaling"):
        raise Unsupported("rms_scaling=True", "rms_scaling=False")
    shape = ctx.shape(ctx.x)
    given = ctx.get("axis", -1)
    axes = sorted(without_batch(int(axis), len(shape)) for axis in (given if isinstance(given, list) else [given]))
    if axes != list(range(len(shape)))[-len(axes) :]:
        raise Unsupported(f"axis={given} on an input of rank {len(shape) + 1}", "the last axes, such as -1")
    count = math.prod(shape[axes[0] :])
    gamma = ctx.weight("gamma") if ctx.get("scale", True) else np.ones(count, np.float32)
    beta = ctx.weight("beta") if ctx.get("center", True) else np.zeros(count, np.float32)
    norm = ops.LayerNorm(gamma.reshape(-1), beta.reshape(-1), float(ctx.get("epsilon", 1e-3)))
    if len(axes) == 1:
        return ctx.emit(norm, ctx.x)
    rows = ctx.emit(ops.Reshape((*shape[: axes[0]], count)), ctx.x)
    return ctx.emit(ops.Reshape(shape), ctx.emit(norm, rows))


@register("PReLU", forms="any shared_axes", weights=lambda config: ("alpha",))
def prelu(ctx: LayerContext) -> str:
    shape = ctx.shape(ctx.x)
    alpha = ctx.weight("alpha")
    if all(n == 1 for n in alpha.shape[:-1]):
        alpha = np.broadcast_to(alpha.reshape(-1), shape[-1:])
    else:
        alpha = np.broadcast_to(alpha, shape)
    return ctx.emit(ops.PRelu(np.ascontiguousarray(alpha, dtype=np.float32)), ctx.x)


@register("Normalization", forms="mean and variance on the last axis", weights=lambda config: ("mean", "variance"))
def normalization(ctx: LayerContext) -> str:
    if ctx.get("invert"):
        raise Unsupported("invert=True", "invert=False")
    if ctx.config.get("axis", -1) not in (None, []):
        check_norm_axis(ctx, ctx.x)
    channels = ctx.shape(ctx.x)[-1]
    arrays = []
    for name in ("mean", "variance"):
        given = ctx.config.get(f"input_{name}", ctx.config.get(name))
        array = np.asarray(ctx.weight(name) if given is None else given, dtype=np.float32).reshape(-1)
        if array.size not in (1, channels):
            raise Unsupported(f"{name} has {array.size} values for {channels} channels", "the last axis, or axis=None")
        arrays.append(np.broadcast_to(array, (channels,)).astype(np.float64))
    # Keras divides by max(sqrt(variance), 1e-7).
    variance = np.maximum(arrays[1], 1e-14)
    return ctx.emit(ops.BatchNorm(np.ones(channels), np.zeros(channels), arrays[0], variance, 0.0), ctx.x)


# --- activations ------------------------------------------------------------------------------------------------------


@register(
    "Activation",
    forms="every activation of Keras 2 but log_softmax, and celu, log_sigmoid, hard_tanh of Keras 3; Larq and QKeras "
    "quantizer objects",
    limits=("glu, sparsemax, squareplus, sparse_plus, sparse_sigmoid, threshold and the shrinking ones of Keras 3",),
)
def activation(ctx: LayerContext) -> str:
    return activate(ctx, ctx.x, ctx.get("activation"))


@register("ReLU", forms="max_value, negative_slope, threshold")
def relu(ctx: LayerContext) -> str:
    if float(ctx.get("threshold", 0.0)) != 0.0:
        return thresholded(
            ctx, ctx.x, float(ctx.get("threshold")), float(ctx.get("negative_slope", 0.0)), ctx.get("max_value")
        )
    return ctx.chain(ctx.x, relu_ops(dict(ctx.config)))


@register("ThresholdedReLU", forms="theta")
def thresholded_relu(ctx: LayerContext) -> str:
    return thresholded(ctx, ctx.x, float(ctx.get("theta", 1.0)), 0.0, None)


def thresholded(ctx: LayerContext, x: str, threshold: float, slope: float, most: float | None) -> str:
    """x where x > threshold, else slope * (x - threshold); then at most `most`.

    sgn(threshold - x) is +1 exactly where x <= threshold, which makes the mask."""
    below = ctx.chain(x, (ops.Scale(-1.0, threshold), *sign_ops("threshold")))
    mask = ctx.emit(ops.Scale(-0.5, 0.5), below)
    y = ctx.emit(ops.Binary("mul"), x, mask)
    if most is not None:
        y = ctx.emit(ops.Clip(0.0, float(most)), y)
    if slope == 0.0:
        return y
    negative = ctx.chain(x, (ops.Scale(-1.0, threshold), ops.Clip(0.0, float("inf")), ops.Scale(slope)))
    return ctx.emit(ops.Binary("sub"), y, negative)


@register("LeakyReLU", forms="any slope")
def leaky_relu(ctx: LayerContext) -> str:
    return ctx.chain(ctx.x, leaky_relu_ops(dict(ctx.config)))


@register("ELU", forms="any alpha")
def elu(ctx: LayerContext) -> str:
    return ctx.chain(ctx.x, elu_ops(dict(ctx.config)))


@register("Softmax", forms="any one axis")
def softmax(ctx: LayerContext) -> str:
    axis = ctx.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if isinstance(axis, list):
        raise Unsupported(f"axis={axis}", "one axis")
    return softmax_over(ctx, ctx.x, int(axis))


def softmax_over(ctx: LayerContext, x: str, axis: int) -> str:
    """Softmax over an axis counted with the batch dimension."""
    rank = len(ctx.shape(x))
    axis = without_batch(axis, rank)
    if axis == rank - 1:
        return ctx.emit(ops.Softmax(), x)
    order = [i for i in range(rank) if i != axis] + [axis]
    back = [order.index(i) for i in range(rank)]
    return permute(ctx, ctx.emit(ops.Softmax(), permute(ctx, x, order)), back)


def without_batch(axis: int, rank: int) -> int:
    """An axis of Keras (batch is 0) as an axis of a value of `rank` dimensions."""
    found = axis + rank if axis < 0 else axis - 1
    if not 0 <= found < rank:
        raise Unsupported(f"axis={axis} on an input of rank {rank + 1}", "an axis behind the batch")
    return found


# --- pooling ----------------------------------------------------------------------------------------------------------


def pool(ctx: LayerContext, kind: type[ops.MaxPool] | type[ops.AvgPool]) -> str:
    flat = ctx.layer.class_name.rstrip(">").endswith("1D")
    size = lowering.pair(ctx.get("pool_size", 2), "pool_size", flat)
    strides = ctx.get("strides")
    stride = size if strides is None else lowering.pair(strides, "strides", flat)
    return ctx.emit(kind(size, stride, lowering.padding(ctx, ctx.x, size, stride)), ctx.x)


@register("MaxPooling1D", "MaxPooling2D", "MaxPool1D", "MaxPool2D", forms="any window, strides, valid, same")
def max_pool(ctx: LayerContext) -> str:
    return pool(ctx, ops.MaxPool)


@register("AveragePooling1D", "AveragePooling2D", "AvgPool1D", "AvgPool2D", forms="any window, strides, valid, same")
def average_pool(ctx: LayerContext) -> str:
    return pool(ctx, ops.AvgPool)


def global_pool(ctx: LayerContext, kind: type[ops.MaxPool] | type[ops.AvgPool]) -> str:
    h, w, c = as_map(ctx.shape(ctx.x))
    y = ctx.emit(kind((h, w), (h, w)), ctx.x)
    return y if ctx.get("keepdims", False) else ctx.emit(ops.Reshape((c,)), y)


@register("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPool1D", "GlobalMaxPool2D", forms="keepdims")
def global_max_pool(ctx: LayerContext) -> str:
    return global_pool(ctx, ops.MaxPool)


@register("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAvgPool1D", "GlobalAvgPool2D", forms="keepdims")
def global_average_pool(ctx: LayerContext) -> str:
    return global_pool(ctx, ops.AvgPool)


# --- several inputs ---------------------------------------------------------------------------------------------------


def _merge(ctx: LayerContext, kind: ops.BinaryKind) -> str:
    if len(ctx.inputs) < 2:
        raise Unsupported(f"{len(ctx.inputs)} inputs are connected", "at least two inputs")
    rank = max(len(ctx.shape(value)) for value in ctx.inputs)
    values = [_expand(ctx, value, rank) for value in ctx.inputs]
    result = values[0]
    for value in values[1:]:
        result = ctx.emit(ops.Binary(kind), result, value)
    return result


def _expand(ctx: LayerContext, value: str, rank: int) -> str:
    """Keras gives inputs of lower rank leading ones behind the batch."""
    shape = ctx.shape(value)
    return value if len(shape) == rank else ctx.emit(ops.Reshape((1,) * (rank - len(shape)) + shape), value)


@register("Add", forms="any number of inputs, broadcasting")
def add(ctx: LayerContext) -> str:
    return _merge(ctx, "add")


@register("Subtract", forms="two inputs, broadcasting")
def subtract(ctx: LayerContext) -> str:
    return _merge(ctx, "sub")


@register("Multiply", forms="any number of inputs, broadcasting")
def multiply(ctx: LayerContext) -> str:
    return _merge(ctx, "mul")


@register("Maximum", forms="any number of inputs, broadcasting")
def maximum(ctx: LayerContext) -> str:
    return _merge(ctx, "maximum")


@register("Minimum", forms="any number of inputs, broadcasting")
def minimum(ctx: LayerContext) -> str:
    return _merge(ctx, "minimum")


@register("Average", forms="any number of inputs, broadcasting")
def average(ctx: LayerContext) -> str:
    return ctx.emit(ops.Scale(1.0 / len(ctx.inputs)), _merge(ctx, "add"))


@register("Concatenate", forms="any axis behind the batch")
def concatenate(ctx: LayerContext) -> str:
    return concat(ctx, ctx.inputs, int(ctx.get("axis", -1)))


def concat(ctx: LayerContext, values: Sequence[str], axis: int) -> str:
    rank = len(ctx.shape(values[0]))
    return values[0] if len(values) == 1 else ctx.emit(ops.Concat(without_batch(axis, rank)), *values)


# --- shapes -----------------------------------------------------------------------------------------------------------


def _borders(value: Any, axes: int, what: str) -> list[tuple[int, int]]:
    """((before, behind), ...) of a number, (a, b) or ((a, b), (c, d))."""
    if isinstance(value, int):
        return [(value, value)] * axes
    items = list(value)
    if axes == 1 and len(items) == 2 and all(isinstance(item, int) for item in items):
        return [(items[0], items[1])]
    if len(items) != axes:
        raise Unsupported(f"{what} is {value}", f"{axes} entries")
    return [(item, item) if isinstance(item, int) else (int(item[0]), int(item[1])) for item in items]


def spatial_axes(ctx: LayerContext) -> int:
    """1 or 2, as the layer's class says; the input's rank has to agree."""
    axes = 1 if ctx.layer.class_name.endswith("1D") else 2
    if len(ctx.shape(ctx.x)) != axes + 1:
        raise Unsupported(f"an input of rank {len(ctx.shape(ctx.x)) + 1}", f"rank {axes + 2}")
    return axes


@register("ZeroPadding1D", "ZeroPadding2D", forms="any")
def zero_padding(ctx: LayerContext) -> str:
    borders = _borders(ctx.get("padding", 1), spatial_axes(ctx), "padding")
    before, after = zip(*borders, strict=True)
    return ctx.emit(ops.Pad((*before, 0), (*after, 0)), ctx.x)


@register("Cropping1D", "Cropping2D", forms="any")
def cropping(ctx: LayerContext) -> str:
    borders = [*_borders(ctx.get("cropping", 1), spatial_axes(ctx), "cropping"), (0, 0)]
    shape = ctx.shape(ctx.x)
    kept = tuple(n - before - after for n, (before, after) in zip(shape, borders, strict=True))
    return ctx.emit(view(kept, start=tuple(before for before, _ in borders)), ctx.x)


def view(
    shape: tuple[int, ...],
    start: tuple[int, ...] | None = None,
    step: tuple[int, ...] | None = None,
    repeat: tuple[int, ...] | None = None,
) -> ops.View:
    """A view that keeps the order of the axes."""
    rank = len(shape)
    zeros, ones = (0,) * rank, (1,) * rank
    return ops.View(shape, tuple(range(rank)), start or zeros, step or ones, repeat or ones)


def permute(ctx: LayerContext, x: str, order: Sequence[int]) -> str:
    """Output axis k is input axis order[k]."""
    shape = ctx.shape(x)
    rank = len(shape)
    return ctx.emit(
        ops.View(tuple(shape[axis] for axis in order), tuple(order), (0,) * rank, (1,) * rank, (1,) * rank), x
    )


@register("Flatten", forms="any rank")
def flatten(ctx: LayerContext) -> str:
    return ctx.emit(ops.Reshape((ctx.type(ctx.x).elements,)), ctx.x)


@register("Reshape", forms="target_shape with at most one -1, rank 1 to 4")
def reshape(ctx: LayerContext) -> str:
    return reshape_to(ctx, ctx.x, [int(n) for n in ctx.get("target_shape", ())])


def reshape_to(ctx: LayerContext, x: str, target: Sequence[int]) -> str:
    known = int(np.prod([n for n in target if n != -1]))
    free = ctx.type(x).elements // max(known, 1)
    return ctx.emit(ops.Reshape(tuple(free if n == -1 else n for n in target)), x)


@register("Permute", forms="any order")
def permute_layer(ctx: LayerContext) -> str:
    return permute(ctx, ctx.x, [int(n) - 1 for n in ctx.get("dims", ())])


@register("RepeatVector", forms="any count")
def repeat_vector(ctx: LayerContext) -> str:
    (channels,) = ctx.shape(ctx.x)
    count = int(ctx.get("n", 1))
    return ctx.emit(view((count, channels), repeat=(count, 1)), ctx.emit(ops.Reshape((1, channels)), ctx.x))


@register("Rescaling", forms="scale and offset, one number or one per channel")
def rescaling(ctx: LayerContext) -> str:
    scale, offset = (
        np.asarray(ctx.get("scale", 1.0), dtype=np.float64),
        np.asarray(ctx.get("offset", 0.0), dtype=np.float64),
    )
    if scale.size == 1 and offset.size == 1:
        return ctx.emit(ops.Scale(float(scale.reshape(())), float(offset.reshape(()))), ctx.x)
    channels = ctx.shape(ctx.x)[-1]
    factors = [np.broadcast_to(array.reshape(-1), (channels,)).astype(np.float64) for array in (scale, offset)]
    return ctx.emit(ops.BatchNorm(factors[0], factors[1], np.zeros(channels), np.ones(channels), 0.0), ctx.x)


@register(
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Identity",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "RandomContrast",
    "RandomBrightness",
    forms="nothing to do at inference",
)
def nothing(ctx: LayerContext) -> str:
    return ctx.x


refuse(
    "LSTM",
    "GRU",
    "SimpleRNN",
    "RNN",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "QLSTM",
    "QGRU",
    "QSimpleRNN",
    "QBidirectional",
    advice="Recurrent layers are not supported: use Conv1D over a window of time steps",
)
refuse(
    "Conv3D",
    "Conv3DTranspose",
    "MaxPooling3D",
    "AveragePooling3D",
    advice="Maps have at most two spatial dimensions: use the 2D layer",
)
refuse("LocallyConnected1D", "LocallyConnected2D", advice="Use Conv1D, Conv2D or Dense")
refuse("Embedding", advice="Look the vectors up before the network and feed them as input")
refuse("GroupNormalization", "UnitNormalization", "RMSNormalization", advice="Use BatchNormalization")
refuse(
    "MultiHeadAttention",
    "Attention",
    "AdditiveAttention",
    "Dot",
    advice="Products of two activations are not supported",
)
refuse("Lambda", advice="Code in a file is never run: write it with layers")
refuse("Conv1DTranspose", advice="Reshape to (1, time, channels) and use Conv2DTranspose")
refuse("TimeDistributed", advice="Dense, activations and BatchNormalization work on the last axis without the wrapper")
