"""Small models in the style of the published binary networks, with random weights.

Each builder returns a Keras model of 32x32x3 input (sizes shrunk so that a test takes seconds). The structures follow
the papers: what is binary, where batch norm, pooling, shortcut and activation stand; widths and depths do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import larq as lq
import qkeras
import tensorflow as tf

layers = tf.keras.layers
BINARY: dict[str, Any] = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
IMAGE = (32, 32, 3)


def _bn(x: Any, **options: Any) -> Any:
    return layers.BatchNormalization(momentum=0.9, **options)(x)


def binary_net() -> Any:
    """BinaryNet: binary convolutions with batch norm after every pool, binary dense head."""
    x = inputs = layers.Input(IMAGE)
    x = lq.layers.QuantConv2D(32, 3, kernel_quantizer="ste_sign", padding="same", use_bias=False)(x)
    x = _bn(x, scale=False)
    for filters, pool in ((32, True), (48, False), (48, True)):
        x = lq.layers.QuantConv2D(filters, 3, padding="same", pad_values=1.0, **BINARY)(x)
        x = layers.MaxPool2D(2, 2)(x) if pool else x
        x = _bn(x, scale=False)
    x = layers.Flatten()(x)
    for units in (64, 10):
        x = _bn(lq.layers.QuantDense(units, **BINARY)(x), scale=False)
    return tf.keras.Model(inputs, layers.Softmax()(x), name="binary_net")


def binary_alexnet() -> Any:
    """BinaryAlexNet: overlapping 3x3 stride 2 pools, large first kernel."""
    x = inputs = layers.Input(IMAGE)
    x = lq.layers.QuantConv2D(32, 7, strides=2, kernel_quantizer="ste_sign", padding="same", use_bias=False)(x)
    x = _bn(layers.MaxPool2D(3, 2)(x), scale=False)
    x = lq.layers.QuantConv2D(40, 5, padding="same", pad_values=1.0, **BINARY)(x)
    x = _bn(layers.MaxPool2D(3, 2)(x), scale=False)
    x = _bn(lq.layers.QuantConv2D(40, 3, padding="same", pad_values=1.0, **BINARY)(x), scale=False)
    x = layers.Flatten()(x)
    x = _bn(lq.layers.QuantDense(64, **BINARY)(x), scale=False)
    x = _bn(lq.layers.QuantDense(10, **BINARY)(x), scale=False)
    return tf.keras.Model(inputs, layers.Activation("softmax")(x), name="binary_alexnet")


def xnor_net() -> Any:
    """XNOR-Net: batch norm, sign, convolution with magnitude-aware binary kernels, ReLU-free."""
    options = {"input_quantizer": "ste_sign", "kernel_quantizer": "magnitude_aware_sign", "use_bias": False}
    x = inputs = layers.Input(IMAGE)
    x = layers.Conv2D(32, 5, strides=2, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(_bn(x, epsilon=1e-4))
    for filters in (48, 48):
        x = _bn(x, epsilon=1e-4)
        x = lq.layers.QuantConv2D(filters, 3, padding="same", **options)(x)
        x = layers.MaxPool2D(3, 2)(x)
    x = _bn(x, scale=False)
    x = layers.Flatten()(x)
    x = _bn(lq.layers.QuantDense(64, **options)(x), scale=False)
    x = layers.Activation("relu")(x)
    return tf.keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="xnor_net")


def birealnet() -> Any:
    """Bi-Real Net: a float shortcut around every binary convolution, average pooled when it shrinks."""
    options = {"input_quantizer": "approx_sign", "kernel_quantizer": "magnitude_aware_sign", "use_bias": False}
    x = inputs = layers.Input(IMAGE)
    x = _bn(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(x))
    x = layers.MaxPool2D(3, 2, padding="same")(x)
    for filters, stride in ((32, 1), (48, 2), (48, 1)):
        shortcut = x
        if stride == 2:
            shortcut = layers.AvgPool2D(2, 2, padding="same")(shortcut)
            shortcut = _bn(layers.Conv2D(filters, 1, use_bias=False)(shortcut))
        x = lq.layers.QuantConv2D(filters, 3, strides=stride, padding="same", **options)(x)
        x = layers.Add()([_bn(x), shortcut])
    x = layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="birealnet")


def binary_densenet() -> Any:
    """BinaryDenseNet: concatenated features, dilation, float transitions; the growth is no multiple of 32."""
    x = inputs = layers.Input(IMAGE)
    x = layers.Conv2D(32, 7, strides=2, padding="same", use_bias=False)(x)
    x = layers.MaxPool2D(3, strides=2, padding="same")(layers.Activation("relu")(_bn(x)))
    for dilation in (1, 2):
        for _ in range(2):
            y = lq.layers.QuantConv2D(20, 3, padding="same", dilation_rate=dilation, **BINARY)(_bn(x))
            x = layers.Concatenate()([x, y])
        x = layers.MaxPool2D(2, 2)(_bn(x))
        x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False)(layers.Activation("relu")(x))
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(_bn(x)))
    return tf.keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="binary_densenet")


def real_to_binary() -> Any:
    """Real-to-Binary: batch norm, binary convolution scaled by a squeeze-and-excite gate, PReLU, shortcut."""
    x = inputs = layers.Input(IMAGE)
    x = layers.PReLU(shared_axes=[1, 2])(_bn(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(x)))
    for _ in range(2):
        shortcut = x
        normed = _bn(x)
        gate = layers.GlobalAveragePooling2D()(normed)
        gate = layers.Dense(4, activation="relu", use_bias=False)(gate)
        gate = layers.Dense(32, activation="sigmoid", use_bias=False)(gate)
        y = lq.layers.QuantConv2D(32, 3, padding="same", **BINARY)(normed)
        y = layers.Multiply()([y, layers.Reshape((1, 1, 32))(gate)])
        x = layers.Add()([layers.PReLU(shared_axes=[1, 2])(y), shortcut])
    x = layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="real_to_binary")


def meliusnet() -> Any:
    """MeliusNet: a dense block that concatenates new channels, an improvement block that adds to the newest ones."""
    x = inputs = layers.Input(IMAGE)
    x = layers.Activation("relu")(_bn(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(x)))
    x = layers.MaxPool2D(3, 2, padding="same")(x)
    for _ in range(2):
        grown = lq.layers.QuantConv2D(32, 3, padding="same", **BINARY)(_bn(x))
        x = layers.Concatenate()([x, grown])
        better = lq.layers.QuantConv2D(32, 3, padding="same", **BINARY)(_bn(x))
        channels = x.shape[-1]
        old = _slice_channels(x, 0, channels - 32)
        new = _slice_channels(x, channels - 32, channels)
        x = layers.Concatenate()([old, layers.Add()([new, better])])
    x = layers.Conv2D(48, 1, use_bias=False)(layers.Activation("relu")(_bn(layers.MaxPool2D(2, 2)(x))))
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(_bn(x)))
    return tf.keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="meliusnet")


def _slice_channels(x: Any, first: int, last: int) -> Any:
    """Channels [first, last) of a map, with layers alone: a permutation brings channels to the rows that Cropping2D
    cuts."""
    moved = layers.Permute((3, 1, 2))(x)
    cut = layers.Cropping2D(((first, int(x.shape[-1]) - last), (0, 0)))(moved)
    return layers.Permute((2, 3, 1))(cut)


def quicknet() -> Any:
    """QuickNet: stem with depthwise convolution, residual binary convolutions with ReLU before batch norm, pooled
    transitions."""
    options = {**BINARY, "padding": "same", "pad_values": 1.0, "activation": "relu"}
    x = inputs = layers.Input(IMAGE)
    x = layers.Activation("relu")(_bn(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)))
    x = _bn(layers.DepthwiseConv2D(3, padding="same", strides=2, use_bias=False)(x))
    x = _bn(layers.Conv2D(32, 1, use_bias=False)(x))
    for filters in (32, 64):
        if x.shape[-1] != filters:
            x = layers.MaxPool2D(3, strides=1, padding="same")(layers.Activation("relu")(x))
            x = layers.DepthwiseConv2D(3, padding="same", strides=2, use_bias=False)(x)
            x = _bn(layers.Conv2D(filters, 1, use_bias=False)(x))
        for _ in range(2):
            x = layers.Add()([x, _bn(lq.layers.QuantConv2D(filters, 3, **options)(x))])
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(x))
    return tf.keras.Model(inputs, layers.Softmax()(layers.Dense(10)(x)), name="quicknet")


def qkeras_cnn() -> Any:
    """A QKeras classifier as its tutorial builds them: 8-bit kernels and biases, quantized_relu activations, pooling,
    float softmax."""
    kernel = {"kernel_quantizer": "quantized_bits(8,0,1,alpha=1)", "bias_quantizer": "quantized_bits(8,2,1,alpha=1)"}
    x = inputs = layers.Input(IMAGE)
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    for filters in (16, 32):
        x = qkeras.QConv2D(filters, 3, strides=2, padding="same", **kernel)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(x)
    x = layers.MaxPool2D(2, 2)(x)
    x = qkeras.QConv2D(32, 3, **kernel)(x)
    x = qkeras.QActivation("quantized_relu(8,2)")(x)
    x = layers.Flatten()(x)
    x = qkeras.QDense(10, **kernel)(x)
    return tf.keras.Model(inputs, layers.Activation("softmax")(x), name="qkeras_cnn")


def few_bits() -> Any:
    """Quantizers of 2 to 6 bits, which are stored in 8: QKeras' mnist examples use 4, DoReFa-Net 1 to 6."""
    kernel = {"kernel_quantizer": "quantized_bits(4,0,1)", "bias_quantizer": "quantized_bits(4,1,alpha=1)"}
    x = inputs = layers.Input(IMAGE)
    x = qkeras.QActivation("quantized_bits(6,0,alpha=1)")(x)
    x = qkeras.QConv2D(16, 3, strides=2, **kernel)(x)
    x = qkeras.QActivation("quantized_relu(4,2)")(x)
    x = qkeras.QConv2D(24, 3, kernel_quantizer="quantized_bits(3,0,alpha=1)", use_bias=False)(x)
    x = _bn(layers.MaxPool2D(2, 2)(x))
    dorefa = lq.quantizers.DoReFa
    x = lq.layers.QuantConv2D(
        32, 3, input_quantizer=dorefa(3), kernel_quantizer=dorefa(2, mode="weights"), padding="same", use_bias=False
    )(x)
    x = qkeras.QActivation("quantized_tanh(5)")(_bn(x))
    x = qkeras.QDense(10, **kernel)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Activation("softmax")(x), name="few_bits")


def mixed() -> Any:
    """Larq and QKeras layers in one model: allowed, each with its own conventions."""
    x = inputs = layers.Input(IMAGE)
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    x = qkeras.QConv2D(32, 3, kernel_quantizer="binary(alpha=1)", use_bias=False)(x)
    x = _bn(layers.MaxPool2D(2, 2)(x))
    x = _bn(lq.layers.QuantConv2D(40, 3, padding="same", pad_values=-1.0, **BINARY)(x))
    x = qkeras.QActivation("quantized_relu(8,1)")(x)
    x = qkeras.QConv2D(16, 3, kernel_quantizer="binary(alpha=1)", bias_quantizer="binary(alpha=1)", use_bias=True)(x)
    x = _bn(x)
    x = lq.layers.QuantDense(10, **BINARY)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Activation("softmax")(_bn(x)), name="mixed")


ZOO: tuple[Callable[[], Any], ...] = (
    binary_net,
    binary_alexnet,
    xnor_net,
    birealnet,
    binary_densenet,
    real_to_binary,
    meliusnet,
    quicknet,
    qkeras_cnn,
    few_bits,
    mixed,
)
