"""Activations by name, as layer argument or as a layer: IR operators for Keras' functions, QKeras' functions and
quantizers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir import ops
from ..graph import Unsupported
from .context import LayerContext
from .fake_quant import quantize_op
from .quantizer_text import BadText, spelled
from .quantizers import is_quantizer, parse

Ops = tuple[ops.Op, ...]
_RELU = ops.Clip(0.0, math.inf)
_FUNCTIONS: dict[str, Callable[[int], Ops]] = {
    "linear": lambda keras: (),
    "relu": lambda keras: (_RELU,),
    "relu6": lambda keras: (ops.Clip(0.0, 6.0),),
    "sigmoid": lambda keras: (ops.Unary("sigmoid"),),
    # Keras 3 changed the slope of the hard sigmoid from 0.2 to 1/6.
    "hard_sigmoid": lambda keras: (
        (ops.Scale(1 / 6, 0.5), ops.Clip(0.0, 1.0)) if keras >= 3 else (ops.Unary("hard_sigmoid"),)
    ),
    "tanh": lambda keras: (ops.Unary("tanh"),),
    "elu": lambda keras: (ops.Unary("elu", 1.0),),
    "celu": lambda keras: (ops.Unary("elu", 1.0),),
    "selu": lambda keras: (ops.Unary("selu"),),
    "softplus": lambda keras: (ops.Unary("softplus"),),
    "log_sigmoid": lambda keras: (ops.Scale(-1.0), ops.Unary("softplus"), ops.Scale(-1.0)),
    "softsign": lambda keras: (ops.Unary("softsign"),),
    "exponential": lambda keras: (ops.Unary("exp"),),
    "gelu": lambda keras: (ops.Unary("gelu"),),
    "swish": lambda keras: (ops.Unary("swish"),),
    "silu": lambda keras: (ops.Unary("swish"),),
    "hard_silu": lambda keras: (ops.Unary("hard_swish"),),
    "hard_swish": lambda keras: (ops.Unary("hard_swish"),),
    "leaky_relu": lambda keras: (ops.Unary("leaky_relu", float(np.float32(0.2))),),
    "mish": lambda keras: (ops.Unary("mish"),),
    "hard_tanh": lambda keras: (ops.Clip(-1.0, 1.0),),
    "softmax": lambda keras: (ops.Softmax(),),
    "NoOpActivation": lambda keras: (),
}
# Functions of qkeras.quantizers that share a name with Keras, or exist there only. A file does not tell a Keras layer's
# `hard_sigmoid` of QKeras from Keras' own; it means Keras' then, as it does to Keras when it loads the file.
_QKERAS_FUNCTIONS: dict[str, Ops] = {
    "hard_sigmoid": (ops.Scale(0.5, 0.5), ops.Clip(0.0, 1.0)),
    "smooth_sigmoid": (ops.Scale(0.1875, 0.5), ops.Clip(0.0, 1.0)),
    "hard_tanh": (ops.Clip(-1.0, 1.0),),
    "smooth_tanh": (ops.Scale(0.1875, 0.5), ops.Clip(0.0, 1.0), ops.Scale(2.0, -1.0)),
}


def activate(ctx: LayerContext, x: str, identifier: Any, qkeras: bool = False) -> str:
    """Append the activation `identifier` (None, a name, a quantizer, a serialized layer)."""
    return ctx.chain(x, activation_ops(ctx, identifier, qkeras))


def activation_ops(ctx: LayerContext, identifier: Any, qkeras: bool = False) -> Ops:
    """Operators of an activation. With `qkeras`, names mean QKeras' functions first."""
    if identifier is None:
        return ()
    if is_quantizer(identifier):
        quantizer = parse(identifier)
        return () if quantizer is None else quantizer.activation()
    try:
        spelling = spelled(identifier)
    except BadText as error:
        raise Unsupported(f"activation not understood: {error}", _accepted()) from error
    if spelling.name == "QuantizeAwareActivation":
        return _quantization_aware(ctx, spelling.kwargs.get("activation"))
    qkeras = qkeras or (isinstance(identifier, dict) and "qkeras" in str(identifier.get("module")))
    if spelling.name in _QKERAS_FUNCTIONS and (qkeras or spelling.name not in _FUNCTIONS):
        return _QKERAS_FUNCTIONS[spelling.name]
    if spelling.name in _LAYERS:
        return _LAYERS[spelling.name](dict(spelling.kwargs))
    if spelling.name not in _FUNCTIONS:
        raise Unsupported(
            f"activation {spelling.name} is unknown", _accepted(), "Use one of these, or a layer such as ReLU or PReLU"
        )
    return _FUNCTIONS[spelling.name](ctx.keras)


def _quantization_aware(ctx: LayerContext, identifier: Any) -> Ops:
    """An activation between the FakeQuants that have a range in the file."""
    ends = []
    for place in ("pre", "post"):
        low, high = (ctx.optional_weight(f"{place}_activation_{end}") for end in ("min", "max"))
        ends.append(() if low is None or high is None else (quantize_op(low, high, "FakeQuant"),))
    return (*ends[0], *activation_ops(ctx, identifier), *ends[1])


def _accepted() -> str:
    return ", ".join(_FUNCTIONS) + ", and quantizers"


# --- activation layers without weights, also when they stand as `activation=` of another layer ------------------------


def relu_ops(config: dict[str, Any]) -> Ops:
    """ReLU(max_value, negative_slope) without a threshold."""
    slope = float(config.get("negative_slope") or 0.0)
    most = config.get("max_value")
    high = math.inf if most is None else float(most)
    if float(config.get("threshold") or 0.0) != 0.0:
        raise Unsupported(
            "ReLU with a threshold stands as activation of another layer", advice="Write it as a layer of its own"
        )
    if slope == 0.0:
        return (ops.Clip(0.0, high),)
    leaky = ops.Unary("leaky_relu", float(np.float32(slope)))
    return (leaky,) if most is None else (leaky, ops.Clip(-math.inf, high))


def leaky_relu_ops(config: dict[str, Any]) -> Ops:
    slope = config.get("negative_slope", config.get("alpha"))
    return (ops.Unary("leaky_relu", float(np.float32(0.3 if slope is None else slope))),)


def elu_ops(config: dict[str, Any]) -> Ops:
    alpha = config.get("alpha")
    return (ops.Unary("elu", float(np.float32(1.0 if alpha is None else alpha))),)


def _softmax_ops(config: dict[str, Any]) -> Ops:
    if config.get("axis", -1) != -1:
        raise Unsupported(
            "Softmax over another axis than the last stands as activation of another layer",
            advice="Write it as a layer",
        )
    return (ops.Softmax(),)


_LAYERS: dict[str, Callable[[dict[str, Any]], Ops]] = {
    "ReLU": relu_ops,
    "LeakyReLU": leaky_relu_ops,
    "ELU": elu_ops,
    "Softmax": _softmax_ops,
}
