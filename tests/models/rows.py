"""Keras models that have exactly the formats of a published row."""

from __future__ import annotations

from typing import Any

import larq as lq
import qkeras
import tensorflow as tf
from published import Row

layers = tf.keras.layers


_ACTIVATION = {"s1": "binary(alpha=1)", "s8": "quantized_bits(8,2,alpha=1)"}
_INPUT = {"s1": "binary(alpha=1)", "s8": "quantized_bits(8,0,alpha=1)"}
_KERNEL = {"s1": "binary(alpha=1)", "s8": "quantized_bits(8,0,alpha=1)", "f32": None}
_BIAS = {"s1": "binary(alpha=1)", "s8": "quantized_bits(8,1,alpha=1)", "f32": None}


def build(
    row: Row,
    kind: str,
    *,
    bias: bool,
    batch_norm: bool,
    pool: bool = False,
    shape: tuple[int, ...] = (7, 6, 35),
    units: int = 37,
    **options: Any,
) -> Any:
    """A Keras model of one layer of `kind` (dense, conv, pointwise, depthwise, transposed) with the row's formats
    around it."""
    x = inputs = layers.Input(shape)
    if row.dorefa:
        x = _dorefa_layer(kind, units, options)(x)
    else:
        if row.input in _INPUT:
            x = qkeras.QActivation(_INPUT[row.input], name="in")(x)
        x = _qkeras_layer(row, kind, units, bias, options)(x)
    if pool:
        x = layers.MaxPool2D(2, 2)(x)
    if batch_norm:
        x = layers.BatchNormalization()(x)
    if row.output in _ACTIVATION:
        x = qkeras.QActivation(_ACTIVATION[row.output], name="out")(x)
    return tf.keras.Model(inputs, x, name=f"{row.name}_{kind}")


def _qkeras_layer(row: Row, kind: str, units: int, bias: bool, options: dict[str, Any]) -> Any:
    kernel, bias_quantizer = _KERNEL[row.weights], _BIAS.get(row.bias)
    common: dict[str, Any] = {"use_bias": bias, "bias_quantizer": bias_quantizer if bias else None, "name": "layer"}
    common |= {"bias_initializer": tf.keras.initializers.RandomUniform(-2.0, 2.0, seed=5), **options}
    if kind == "dense":
        return qkeras.QDense(units, kernel_quantizer=kernel, **common)
    if kind == "conv":
        return qkeras.QConv2D(units, 3, kernel_quantizer=kernel, **common)
    if kind == "pointwise":
        return qkeras.QConv2D(units, 1, kernel_quantizer=kernel, **common)
    if kind == "depthwise":
        return qkeras.QDepthwiseConv2D(3, depthwise_quantizer=kernel, **common)
    if kind == "transposed":
        return qkeras.QConv2DTranspose(units, 3, kernel_quantizer=kernel, **common)
    raise ValueError(kind)


def _dorefa_layer(kind: str, units: int, options: dict[str, Any]) -> Any:
    quantizers = {
        "input_quantizer": lq.quantizers.DoReFa(k_bit=8, mode="activations"),
        "kernel_quantizer": lq.quantizers.DoReFa(k_bit=8, mode="weights"),
    }
    size = 1 if kind == "pointwise" else 3
    return lq.layers.QuantConv2D(units, size, use_bias=False, name="layer", **quantizers, **options)
