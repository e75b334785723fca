"""The networks that tools and tests measure: built in Keras with random weights, or the trained ones of the examples.

Needs TensorFlow, Larq and QKeras (pip install dqnn[keras]) when one is built."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits"
EIGHT = "quantized_bits(8,0,1,alpha=1)"


def small_cifar() -> Any:
    """CBin-NN's SmallCifar: 8-bit input and first layer, binary convolutions with pools, a binary dense layer."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((32, 32, 3))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    x = qkeras.QConv2D(32, 3, padding="same", kernel_quantizer=EIGHT, use_bias=False)(x)
    for filters in (32, 64):
        x = qkeras.QActivation("binary(alpha=1)")(layers.BatchNormalization()(layers.MaxPool2D(2)(x)))
        x = qkeras.QConv2D(filters, 3, padding="same", kernel_quantizer="binary(alpha=1)", use_bias=False)(x)
    x = qkeras.QActivation("binary(alpha=1)")(layers.BatchNormalization()(layers.MaxPool2D(2)(x)))
    x = qkeras.QDense(10, kernel_quantizer="binary(alpha=1)", use_bias=False)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Softmax()(layers.BatchNormalization()(x)), name="small_cifar")


def eight_bits() -> Any:
    """An image network with 8-bit weights and activations."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((32, 32, 3))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    for filters in (32, 64, 64):
        x = qkeras.QConv2D(filters, 3, padding="same", kernel_quantizer=EIGHT, use_bias=False)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
        x = layers.MaxPool2D(2)(x)
    x = qkeras.QDense(10, kernel_quantizer=EIGHT)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Softmax()(x), name="eight_bits")


def ds_cnn(weights: str = EIGHT) -> Any:
    """MLPerf Tiny's keyword network with 8-bit activations and weights of this quantizer; the first layer's and the
    last's have 8 bits."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((49, 10, 1))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    x = qkeras.QConv2D(64, (10, 4), strides=2, padding="same", kernel_quantizer=EIGHT, use_bias=False)(x)
    x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
    for _ in range(4):
        x = qkeras.QDepthwiseConv2D(3, padding="same", depthwise_quantizer=weights, use_bias=False)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
        x = qkeras.QConv2D(64, 1, kernel_quantizer=weights, use_bias=False)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = qkeras.QActivation("quantized_relu(8,2)")(x)
    x = qkeras.QDense(12, kernel_quantizer=EIGHT)(x)
    return tf.keras.Model(inputs, layers.Softmax()(x), name="ds_cnn")


def quicknet_like() -> Any:
    """A network in the style of QuickNet for 64x64 images, random weights."""
    import larq as lq
    import tensorflow as tf

    layers = tf.keras.layers
    binary = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
    x = inputs = layers.Input((64, 64, 3))
    x = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(16, 3, 2, "same", use_bias=False)(x)))
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, 2, "same", use_bias=False)(x))
    x = layers.BatchNormalization()(layers.Conv2D(64, 1, use_bias=False)(x))
    for filters in (64, 128, 256):
        if x.shape[-1] != filters:
            x = layers.MaxPool2D(3, 1, "same")(layers.Activation("relu")(x))
            x = layers.DepthwiseConv2D(3, 2, "same", use_bias=False)(x)
            x = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(x))
        for _ in range(2):
            y = lq.layers.QuantConv2D(filters, 3, padding="same", pad_values=1.0, activation="relu", **binary)(x)
            x = layers.Add()([x, layers.BatchNormalization()(y)])
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(x))
    return tf.keras.Model(inputs, layers.Softmax()(layers.Dense(10)(x)), name="quicknet_like_64")


def audio_cnn() -> Any:
    """A second of sound at 16 kHz straight into one-dimensional convolutions with pools, 8-bit weights and
    activations."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((16_000, 1))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    for filters, size, stride in ((32, 80, 4), (32, 3, 1), (64, 3, 1), (128, 3, 1)):
        x = qkeras.QConv1D(filters, size, stride, kernel_quantizer=EIGHT, use_bias=False)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
        x = layers.MaxPool1D(4)(x)
    x = qkeras.QActivation("quantized_relu(8,2)")(layers.GlobalAveragePooling1D()(x))
    x = qkeras.QDense(10, kernel_quantizer=EIGHT)(x)
    return tf.keras.Model(inputs, layers.Softmax()(x), name="audio_cnn")


def mobilenet_v2(size: int) -> Path:
    """Keras' MobileNetV2 of width 0.35 for two classes, in the 8 bits of TensorFlow Lite's converter. The file goes
    with the directory it is in when the process ends."""
    import numpy as np
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    model = tf.keras.applications.MobileNetV2((size, size, 3), alpha=0.35, weights=None, classes=2)
    rng = np.random.default_rng(1)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [rng.uniform(-1, 1, (1, size, size, 3)).astype(np.float32)] for _ in range(4)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    folder = tempfile.TemporaryDirectory(prefix="dqnn-networks-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / f"mobilenet_v2_{size}.tflite"
    path.write_bytes(converter.convert())
    return path


MODELS: dict[str, Callable[[], Any]] = {
    "Larq digits": lambda: DIGITS / "digits_larq.h5",
    "QKeras digits": lambda: DIGITS / "digits_qkeras.h5",
    "SmallCifar": small_cifar,
    "DS-CNN, 8 bits": ds_cnn,
    "CNN, 8 bits": eight_bits,
    "QuickNet-like, 64 px": quicknet_like,
    "1-D CNN, 16,000 samples": audio_cnn,
}

# What runs in strips besides, in docs/benchmarks.md.
LARGE: dict[str, Callable[[], Any]] = {
    "MobileNetV2 0.35, 96 px": lambda: mobilenet_v2(96),
    "MobileNetV2 0.35, 144 px": lambda: mobilenet_v2(144),
}
