"""Larq's layers: [input quantizer] -> [pad with pad_values] -> convolution with the quantized kernel -> + float bias ->
activation."""

from __future__ import annotations

from . import larq_quantizers as _larq_quantizers  # noqa: F401  (registers the quantizers)
from . import lowering
from .activations import activate
from .context import LayerContext
from .quantizers import Quantizer, parse
from .registry import refuse, register, with_bias

_QUANTIZERS = (
    "ste_sign, approx_sign, swish_sign, magnitude_aware_sign (kernels), ste_tern, ste_heaviside, DoReFa (1 to 8 bits), "
    "NoOp"
)
_PADS = "pad_values -1, 0 and 1; values that the input's format cannot hold give a layer on f32"


def _quantizers(ctx: LayerContext, *keys: str) -> list[Quantizer | None]:
    return [parse(ctx.get(key)) for key in keys]


def _quantized_input(ctx: LayerContext, quantizer: Quantizer | None) -> str:
    return ctx.x if quantizer is None else ctx.chain(ctx.x, quantizer.activation())


def _finish(ctx: LayerContext, y: str) -> str:
    return activate(ctx, y, ctx.get("activation"))


@register("QuantDense", library="larq", forms=_QUANTIZERS, weights=with_bias("kernel"))
def quant_dense(ctx: LayerContext) -> str:
    inputs, kernels = _quantizers(ctx, "input_quantizer", "kernel_quantizer")
    kernel = lowering.quantized(kernels, ctx.weight("kernel"))
    return _finish(ctx, lowering.dense(ctx, _quantized_input(ctx, inputs), kernel, lowering.bias(ctx)))


@register("QuantConv1D", "QuantConv2D", library="larq", forms=f"{_QUANTIZERS}; {_PADS}", weights=with_bias("kernel"))
def quant_conv(ctx: LayerContext) -> str:
    inputs, kernels = _quantizers(ctx, "input_quantizer", "kernel_quantizer")
    kernel = lowering.quantized(kernels, ctx.weight("kernel"))
    return _finish(ctx, lowering.conv(ctx, _quantized_input(ctx, inputs), kernel, lowering.bias(ctx)))


@register("QuantConv2DTranspose", library="larq", forms=_QUANTIZERS, weights=with_bias("kernel"))
def quant_conv_transpose(ctx: LayerContext) -> str:
    inputs, kernels = _quantizers(ctx, "input_quantizer", "kernel_quantizer")
    kernel = lowering.quantized(kernels, ctx.weight("kernel"))
    return _finish(ctx, lowering.transposed(ctx, _quantized_input(ctx, inputs), kernel, lowering.bias(ctx)))


@register(
    "QuantDepthwiseConv2D", library="larq", forms=f"{_QUANTIZERS}; {_PADS}", weights=with_bias("depthwise_kernel")
)
def quant_depthwise(ctx: LayerContext) -> str:
    inputs, kernels = _quantizers(ctx, "input_quantizer", "depthwise_quantizer")
    kernel = lowering.quantized(kernels, ctx.weight("depthwise_kernel"))
    return _finish(ctx, lowering.depthwise(ctx, _quantized_input(ctx, inputs), kernel, lowering.bias(ctx)))


@register(
    "QuantSeparableConv1D",
    "QuantSeparableConv2D",
    library="larq",
    forms=f"{_QUANTIZERS}; {_PADS}",
    limits=("the depthwise result is not quantized before the pointwise half, as in Larq",),
    weights=with_bias("depthwise_kernel", "pointwise_kernel"),
)
def quant_separable(ctx: LayerContext) -> str:
    inputs, depthwise, pointwise = _quantizers(ctx, "input_quantizer", "depthwise_quantizer", "pointwise_quantizer")
    first = lowering.quantized(depthwise, ctx.weight("depthwise_kernel"))
    second = lowering.quantized(pointwise, ctx.weight("pointwise_kernel"))
    return _finish(ctx, lowering.separable(ctx, _quantized_input(ctx, inputs), first, second, lowering.bias(ctx)))


@register(
    "SteSign",
    "ApproxSign",
    "SwishSign",
    "SteHeaviside",
    "MagnitudeAwareSign",
    "SteTern",
    "DoReFa",
    "NoOp",
    library="larq",
    forms="a quantizer used as a layer",
    limits=("MagnitudeAwareSign only on kernels", "DoReFa with k_bit of 1 to 8 and mode='activations'"),
)
def quantizer_layer(ctx: LayerContext) -> str:
    quantizer = parse({"class_name": ctx.layer.class_name, "config": dict(ctx.config)})
    assert quantizer is not None
    return ctx.chain(ctx.x, quantizer.activation())


refuse("QuantConv3D", "QuantConv3DTranspose", advice="Maps have at most two spatial dimensions: use QuantConv2D")
refuse("QuantLocallyConnected1D", "QuantLocallyConnected2D", advice="Use QuantConv1D, QuantConv2D or QuantDense")
