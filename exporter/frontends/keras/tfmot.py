"""Wrappers of TensorFlow's model optimization toolkit: pruned layers and quantization-aware training.

A pruned layer is the layer inside: its kernel was multiplied by the mask before the file was written. A
quantization-aware model simulates an 8-bit network with FakeQuant nodes, whose ranges are variables of the wrappers:
here it becomes that network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..graph import Unsupported
from . import registry
from .archive import SavedLayer, Weight, inner_layer
from .context import LayerContext
from .fake_quant import BITS, quantize_op, quantized_kernel
from .quantizer_text import BadText, spelled
from .quantizers import F32Array, Kernel
from .registry import register

LIBRARY = "tensorflow_model_optimization"
# Where QuantizeAwareActivation quantizes; its other activations are not supported by the toolkit either.
BEFORE = ("softmax", "sigmoid", "tanh", "gelu")
BEHIND = ("linear", "relu", "swish", "gelu")
CONFIGS = (
    "Default8BitQuantizeConfig",
    "Default8BitConvQuantizeConfig",
    "Default8BitConvTransposeQuantizeConfig",
    "Default8BitActivationQuantizeConfig",
    "Default8BitOutputQuantizeConfig",
    "NoOpQuantizeConfig",
)


# --- layers -----------------------------------------------------------------------------------------------------------


def _wrapped(ctx: LayerContext) -> SavedLayer:
    if not isinstance(ctx.get("layer"), dict) or "class_name" not in ctx.get("layer"):
        raise Unsupported(f"a {ctx.layer.class_name} without a layer inside")
    return inner_layer(ctx.layer)


def _inside(ctx: LayerContext, weights: Sequence[Weight], kernels: Mapping[str, Kernel] | None = None) -> Any:
    """What the wrapped layer's own handler makes of it."""
    layer = _wrapped(ctx)
    support = registry.find(layer)
    if support is None:
        raise Unsupported(f"{layer.class_name} inside {ctx.layer.class_name} is not supported")
    return support.handler(ctx.inside(layer, support.weights(layer.config), weights, kernels or {}))


@register("PruneLowMagnitude", library=LIBRARY, forms="the layer inside, with its pruned kernel")
def pruned(ctx: LayerContext) -> Any:
    """Named weights stand among those of the wrapper; numbered ones in a part of their own."""
    return _inside(ctx, [Weight("" if w.name.startswith("layer/") else w.name, w.value) for w in ctx.weights if w.name])


@register("QuantizeLayer", library=LIBRARY, forms="the input's 8-bit FakeQuant range")
def quantize_layer(ctx: LayerContext) -> str:
    _check_bits(ctx.get("quantizer", {}))
    named = {weight.name.rpartition("_")[2]: weight.value for weight in ctx.weights if weight.name}
    numbered = [weight.value for weight in ctx.weights if not weight.name]
    if {"min", "max"} <= named.keys():
        low, high = named["min"], named["max"]
    elif len(numbered) >= 2:
        low, high = numbered[:2]
    else:
        raise ctx.missing("min and max")
    return ctx.emit(quantize_op(low, high, "FakeQuant"), ctx.x)


def _check_bits(quantizer: Mapping[str, Any]) -> None:
    bits = (quantizer.get("config") or {}).get("num_bits", BITS)
    if bits != BITS:
        raise Unsupported(f"a FakeQuant of {bits} bits", f"{BITS} bits")


@register(
    "QuantizeWrapperV2",
    "QuantizeWrapper",
    library=LIBRARY,
    forms="supported layers in the toolkit's default scheme: 8-bit FakeQuant of kernels (per channel, narrow range), "
    "activations and outputs; biases and batch norms are real numbers",
    limits=("other schemes and numbers of bits",),
)
def quantize_wrapper(ctx: LayerContext) -> Any:
    scheme = ctx.get("quantize_config", {})
    name = str(scheme.get("class_name")).rpartition(">")[2]
    if name not in CONFIGS:
        raise Unsupported(f"the quantization scheme {name}", ", ".join(CONFIGS), "Use quantize_model(...) as it is")
    settings = scheme.get("config") or {}
    arrays = _named_arrays(ctx, settings)
    kernels = {
        attribute: quantized_kernel(
            arrays[attribute], arrays[f"{attribute}_min"], arrays[f"{attribute}_max"], -2 if "Transpose" in name else -1
        )
        for attribute in settings.get("weight_attrs") or ()
    }
    y = _inside(ctx, [Weight(name, value) for name, value in arrays.items()], kernels)
    if "output_min" not in arrays:
        return y
    return ctx.emit(quantize_op(arrays["output_min"], arrays["output_max"], "FakeQuant"), y)


def _named_arrays(ctx: LayerContext, settings: Mapping[str, Any]) -> dict[str, F32Array]:
    """Every array by name. `.keras` archives number the wrapper's: the layer's trainable ones, again those that are
    quantized, a step counter, and then a minimum and a maximum of each quantizer; the rest is in the part `layer`."""
    attributes = [str(attribute) for attribute in settings.get("weight_attrs") or ()]
    arrays = {weight.name: weight.value for weight in ctx.weights if weight.name and "/" not in weight.name}
    numbered = [weight.value for weight in ctx.weights if not weight.name]
    if numbered:
        step = next((i for i, array in enumerate(numbered) if array.ndim == 0 and array.dtype.kind in "iu"), None)
        if step is None:
            raise ctx.missing("optimizer_step")
        arrays = dict(zip(attributes, numbered[step - len(attributes) : step], strict=True))
        arrays |= dict(zip(_rest(ctx, attributes), _part(ctx), strict=False))
        ends = [f"{name}_{end}" for name in (*attributes, *_ranges(ctx, settings)) for end in ("min", "max")]
        if len(ends) != len(numbered) - step - 1:
            raise Unsupported(f"{len(numbered) - step - 1} arrays for the ranges of {len(ends) // 2} quantizers")
        arrays |= dict(zip(ends, numbered[step + 1 :], strict=True))
    missing = [key for name in attributes for key in (name, f"{name}_min", f"{name}_max") if key not in arrays]
    if missing:
        raise ctx.missing(", ".join(missing))
    return {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items()}


def _rest(ctx: LayerContext, attributes: Sequence[str]) -> list[str]:
    """Names of the variables that the wrapped layer keeps to itself."""
    layer = _wrapped(ctx)
    support = registry.find(layer)
    return [] if support is None else [name for name in support.weights(layer.config) if name not in attributes]


def _part(ctx: LayerContext) -> list[Any]:
    return [weight.value for weight in ctx.weights if weight.name.startswith("layer/")]


def _ranges(ctx: LayerContext, settings: Mapping[str, Any]) -> list[str]:
    """Names of the quantizers of activations and output, in the order in which their variables are made."""
    names = []
    for attribute in settings.get("activation_attrs") or ():
        activation = aware_activation(_wrapped(ctx).config.get(attribute))
        names += ["pre_activation"] * (activation in BEFORE) + ["post_activation"] * (activation in BEHIND)
    return [*names, "output"] if settings.get("quantize_output") else names


def aware_activation(identifier: Any) -> str:
    """The name of the activation inside a QuantizeAwareActivation."""
    try:
        inside = spelled(identifier).kwargs.get("activation")
        return "" if inside is None else spelled(inside).name
    except BadText:
        return ""
