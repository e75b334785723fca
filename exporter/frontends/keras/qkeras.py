"""QKeras' layers: convolution with the quantized kernel -> + quantized bias -> activation.

There is no input quantizer: a layer's input has the format that the activation before it gave. A kernel quantizer
without alpha is changed by its layer to alpha='auto_po2' (`Quantizer.trained`); saved files show the changed values,
strings do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ..graph import Unsupported
from . import layers, lowering
from . import qkeras_quantizers as _qkeras_quantizers  # noqa: F401  (registers the quantizers)
from .activations import activate
from .context import LayerContext
from .quantizers import Kernel, Quantizer, float_kernel, parse, ternary_kernel
from .registry import refuse, register, with_bias

_KERNELS = (
    "binary, stochastic_binary (alpha: number, auto, auto_po2), ternary; up to 8 bits: "
    "quantized_bits (all alphas), quantized_relu, quantized_tanh, quantized_sigmoid; po2 where 8 bits hold their levels"
)
_F32 = NDArray[np.float32]


def _kernel_quantizer(ctx: LayerContext, key: str) -> Quantizer | None:
    found = parse(ctx.get(key))
    return None if found is None else found.trained()


def _masked(ctx: LayerContext, kernel: Kernel) -> Kernel:
    """QKeras after 0.9 multiplies the quantized kernel by a mask over its window."""
    given = ctx.get("mask")
    if given is None:
        return kernel
    mask = np.asarray(given, dtype=np.float32)
    if mask.shape[:2] != kernel.codes.shape[:2] or mask.size != mask.shape[0] * mask.shape[1]:
        raise Unsupported(f"mask has shape {mask.shape}", f"one number for each of {kernel.codes.shape[:2]}")
    mask = mask.reshape((*mask.shape[:2], 1, 1))
    if not np.all((mask == 0) | (mask == 1)) or kernel.kind == "f32":
        note = kernel.note or ("its mask has other numbers than 0 and 1" if kernel.kind != "f32" else "")
        return float_kernel((kernel.real() * mask).astype(np.float32), kernel.source, note)
    return ternary_kernel(kernel.codes * mask, kernel.scale, kernel.source)


def _bias_quantizer(ctx: LayerContext) -> Quantizer | None:
    return parse(ctx.get("bias_quantizer")) if ctx.get("use_bias", True) else None


def _finish(ctx: LayerContext, y: str) -> str:
    return activate(ctx, y, ctx.get("activation"), qkeras=True)


@register("QDense", library="qkeras", forms=_KERNELS, weights=with_bias("kernel"))
def q_dense(ctx: LayerContext) -> str:
    kernels, biases = _kernel_quantizer(ctx, "kernel_quantizer"), _bias_quantizer(ctx)
    kernel = lowering.quantized(kernels, ctx.weight("kernel"))
    return _finish(ctx, lowering.dense(ctx, ctx.x, kernel, lowering.bias(ctx, biases)))


@register("QConv1D", "QConv2D", library="qkeras", forms=f"{_KERNELS}; mask", weights=with_bias("kernel"))
def q_conv(ctx: LayerContext) -> str:
    kernels, biases = _kernel_quantizer(ctx, "kernel_quantizer"), _bias_quantizer(ctx)
    kernel = _masked(ctx, lowering.quantized(kernels, ctx.weight("kernel")))
    return _finish(ctx, lowering.conv(ctx, ctx.x, kernel, lowering.bias(ctx, biases)))


@register(
    "QConv2DTranspose",
    library="qkeras",
    forms=_KERNELS,
    limits=(
        "output_padding is dropped, as QKeras does",
        "alpha='auto' scales run along the inputs: such kernels stay f32",
    ),
    weights=with_bias("kernel"),
)
def q_conv_transpose(ctx: LayerContext) -> str:
    kernels, biases = _kernel_quantizer(ctx, "kernel_quantizer"), _bias_quantizer(ctx)
    kernel = lowering.quantized(kernels, ctx.weight("kernel"))
    return _finish(ctx, lowering.transposed(ctx, ctx.x, kernel, lowering.bias(ctx, biases)))


@register("QDepthwiseConv2D", library="qkeras", forms=_KERNELS, weights=with_bias("depthwise_kernel"))
def q_depthwise(ctx: LayerContext) -> str:
    kernels, biases = _kernel_quantizer(ctx, "depthwise_quantizer"), _bias_quantizer(ctx)
    kernel = lowering.quantized(kernels, ctx.weight("depthwise_kernel"))
    return _finish(ctx, lowering.depthwise(ctx, ctx.x, kernel, lowering.bias(ctx, biases)))


@register(
    "QSeparableConv1D",
    "QSeparableConv2D",
    library="qkeras",
    forms=_KERNELS,
    weights=with_bias("depthwise_kernel", "pointwise_kernel"),
)
def q_separable(ctx: LayerContext) -> str:
    biases = _bias_quantizer(ctx)
    first = lowering.quantized(_kernel_quantizer(ctx, "depthwise_quantizer"), ctx.weight("depthwise_kernel"))
    second = lowering.quantized(_kernel_quantizer(ctx, "pointwise_quantizer"), ctx.weight("pointwise_kernel"))
    return _finish(ctx, lowering.separable(ctx, ctx.x, first, second, lowering.bias(ctx, biases)))


@register(
    "QActivation",
    library="qkeras",
    forms="quantizer objects, strings such as 'quantized_bits(8,0,1)', Keras activations",
)
def q_activation(ctx: LayerContext) -> str:
    return activate(ctx, ctx.x, ctx.get("activation"), qkeras=True)


# --- batch normalization ----------------------------------------------------------------------------------------------

_NORM_QUANTIZERS = {
    "gamma": "quantized_relu_po2(6, 2048)",
    "beta": "quantized_po2(5)",
    "mean": "quantized_po2(5)",
    "variance": "quantized_relu_po2(6, quadratic_approximation=True)",
}


def _norm_parameter(ctx: LayerContext, part: str, values: _F32) -> NDArray[np.float64]:
    """A parameter as QKeras quantizes it; gamma and variance quantizers are changed as kernel quantizers are."""
    key = f"{part}_quantizer"
    found = parse(ctx.config[key] if key in ctx.config else _NORM_QUANTIZERS[part])
    if found is None:
        return values.astype(np.float64)
    if part in ("gamma", "variance"):
        found = found.trained()
    return found.values(values).astype(np.float64)


@register(
    "QBatchNormalization",
    library="qkeras",
    forms="on the last axis, any quantizers (the defaults are powers of two)",
    weights=layers.norm_weights,
)
def q_batch_norm(ctx: LayerContext) -> str:
    mean, variance = ctx.weight("moving_mean"), ctx.weight("moving_variance")
    ones, zeros = np.ones(mean.shape), np.zeros(mean.shape)
    gamma = _norm_parameter(ctx, "gamma", ctx.weight("gamma")) if ctx.get("scale", True) else ones
    beta = _norm_parameter(ctx, "beta", ctx.weight("beta")) if ctx.get("center", True) else zeros
    q_mean, q_variance = _norm_parameter(ctx, "mean", mean), _norm_parameter(ctx, "variance", variance)
    layers.check_norm_axis(ctx, ctx.x)
    epsilon = float(ctx.get("epsilon", 1e-3))
    inverse = parse(ctx.get("inverse_quantizer"))
    if inverse is not None:
        # Newer than 0.9: gamma / sqrt(variance + epsilon) is quantized as a whole.
        quotient = _inverse_root(q_variance.astype(np.float32), epsilon) * gamma.astype(np.float32)
        gamma, epsilon = inverse.values(quotient.astype(np.float32)).astype(np.float64), 0.0
        q_variance = ones
    return ctx.emit(ops.BatchNorm(gamma, beta, q_mean, q_variance, epsilon), ctx.x)


def _inverse_root(variance: _F32, epsilon: float) -> _F32:
    """1 / sqrt, every step rounded to float32: TensorFlow's own reciprocal root may differ in the last bit."""
    return np.asarray(np.float32(1) / np.sqrt(variance + np.float32(epsilon)), dtype=np.float32)


# --- convolutions that own a batch normalization ----------------------------------------------------------------------


def _folded(ctx: LayerContext, kernel: _F32, factor_shape: Sequence[int]) -> tuple[_F32, _F32]:
    """Kernel and bias with the batch normalization folded in, in float32 and in QKeras' order: the kernel is quantized
    afterwards."""
    mean, variance = _norm_weight(ctx, "moving_mean"), _norm_weight(ctx, "moving_variance")
    if mean is None or variance is None:
        raise ctx.missing("moving_mean and moving_variance")
    factor = _inverse_root(variance, float(ctx.get("epsilon", 1e-3)))
    if ctx.get("scale", True):
        gamma = _norm_weight(ctx, "gamma")
        factor = factor if gamma is None else (factor * gamma).astype(np.float32)
    beta = _norm_weight(ctx, "beta") if ctx.get("center", True) else None
    offset = ctx.weight("bias") if ctx.get("use_bias", True) else np.zeros_like(mean)
    folded_bias = factor * (offset - mean) + (np.zeros_like(mean) if beta is None else beta)
    return (kernel * factor.reshape(tuple(factor_shape))).astype(np.float32), folded_bias.astype(np.float32)


def _norm_weight(ctx: LayerContext, name: str) -> _F32 | None:
    """By name in `.h5`, by number inside the layer's `batchnorm` part in `.keras`."""
    found = ctx.optional_weight(name)
    if found is not None:
        return found
    order = list(layers.norm_weights(ctx.config))
    return ctx.optional_weight(f"batchnorm/{order.index(name)}") if name in order else None


def _folded_bias(ctx: LayerContext, bias: _F32) -> NDArray[np.float64]:
    quantizer = parse(ctx.get("bias_quantizer"))
    return (bias if quantizer is None else quantizer.values(bias)).astype(np.float64)


_FOLD_LIMITS = ("the folded kernel is computed with a correctly rounded 1/sqrt; TensorFlow's differs in the last bit",)


@register("QDenseBatchnorm", library="qkeras", forms=_KERNELS, limits=_FOLD_LIMITS, weights=with_bias("kernel"))
def q_dense_batch_norm(ctx: LayerContext) -> str:
    kernels = _kernel_quantizer(ctx, "kernel_quantizer")
    kernel, bias = _folded(ctx, ctx.weight("kernel"), (1, -1))
    return _finish(ctx, lowering.dense(ctx, ctx.x, lowering.quantized(kernels, kernel), _folded_bias(ctx, bias)))


@register("QConv2DBatchnorm", library="qkeras", forms=_KERNELS, limits=_FOLD_LIMITS, weights=with_bias("kernel"))
def q_conv_batch_norm(ctx: LayerContext) -> str:
    kernels = _kernel_quantizer(ctx, "kernel_quantizer")
    kernel, bias = _folded(ctx, ctx.weight("kernel"), (1, 1, 1, -1))
    return _finish(ctx, lowering.conv(ctx, ctx.x, lowering.quantized(kernels, kernel), _folded_bias(ctx, bias)))


@register(
    "QDepthwiseConv2DBatchnorm",
    library="qkeras",
    forms=_KERNELS,
    limits=_FOLD_LIMITS,
    weights=with_bias("depthwise_kernel"),
)
def q_depthwise_batch_norm(ctx: LayerContext) -> str:
    kernels = _kernel_quantizer(ctx, "depthwise_quantizer")
    latent = ctx.weight("depthwise_kernel")
    kernel, bias = _folded(ctx, latent, latent.shape[2:])
    return _finish(ctx, lowering.depthwise(ctx, ctx.x, lowering.quantized(kernels, kernel), _folded_bias(ctx, bias)))


# --- pooling ----------------------------------------------------------------------------------------------------------


def _finish_average(ctx: LayerContext, y: str, area: int) -> str:
    """QKeras turns the mean back into a sum and multiplies it by the quantized 1 / area."""
    quantizer = parse(ctx.get("average_quantizer"))
    if quantizer is not None:
        factor = float(quantizer.values(np.asarray([1.0 / area], dtype=np.float32))[0])
        y = ctx.emit(ops.Scale(area * factor), y)
    return _finish(ctx, y)


@register("QAveragePooling2D", library="qkeras", forms="average_quantizer, activation")
def q_average_pool(ctx: LayerContext) -> str:
    height, width = lowering.pair(ctx.get("pool_size", 2), "pool_size")
    return _finish_average(ctx, layers.pool(ctx, ops.AvgPool), height * width)


@register("QGlobalAveragePooling2D", library="qkeras", forms="average_quantizer, activation")
def q_global_average_pool(ctx: LayerContext) -> str:
    height, width = ctx.shape(ctx.x)[:2]
    return _finish_average(ctx, layers.global_pool(ctx, ops.AvgPool), height * width)


refuse(
    "QAdaptiveActivation",
    advice="Its range is learned inside the layer: replace it by QActivation with the quantizer it has found",
)
refuse(
    "QMobileNetSeparableConv2D",
    "QOctaveConv2D",
    "QOctaveConvOnly",
    advice="Use QSeparableConv2D, or QDepthwiseConv2D and QConv2D",
)
