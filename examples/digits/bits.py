"""Candidates for `dqnn sweep`: one network with weights of 8, 4, 2 and 1 bits, trained by QKeras in half a minute.

    dqnn sweep examples/digits/bits.py:make --pack-weights --inputs examples/digits/digits_test.npz --labels y

Inputs and activations have 8 bits in all of them; the last layer, which is small, keeps 8-bit weights, as is usual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from digits_data import load
from qkeras import QActivation, QConv2D, QDense

EPOCHS = 30
QUANTIZERS = {
    "8 bits": "quantized_bits(8, 0, alpha=1)",
    "4 bits": "quantized_bits(4, 0, alpha=1)",
    "ternary": "ternary(alpha=1)",
    "1 bit": "binary(alpha=1)",
}


def build(quantizer: str) -> Any:
    """Three convolutions and two dense layers."""
    layers = tf.keras.layers
    weights = {"kernel_quantizer": quantizer, "use_bias": False}
    last = {"kernel_quantizer": QUANTIZERS["8 bits"], "bias_quantizer": QUANTIZERS["8 bits"]}
    activation = "quantized_relu(7, 2)"  # 0 to 127 in 8 bits
    return tf.keras.Sequential(
        [
            layers.InputLayer((28, 28, 1)),
            QActivation("quantized_bits(8, 0, alpha=1)"),
            QConv2D(32, 3, **weights),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            QActivation(activation),
            QConv2D(64, 3, **weights),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            QActivation(activation),
            QConv2D(64, 3, **weights),
            layers.BatchNormalization(),
            QActivation(activation),
            layers.Flatten(),
            QDense(64, **weights),
            layers.BatchNormalization(),
            QActivation(activation),
            QDense(10, **last),
            layers.Softmax(),
        ]
    )


def trained(quantizer: str) -> Any:
    tf.keras.utils.set_random_seed(1)
    digits, model = load(), build(quantizer)
    model.compile("adam", "sparse_categorical_crossentropy")
    images = digits.train_pixels[..., None] / np.float32(128) - 1
    model.fit(images, digits.train_labels, epochs=EPOCHS, verbose=0)
    return model


def make() -> Iterator[tuple[str, Callable[[], Any]]]:
    for name, quantizer in QUANTIZERS.items():
        yield name, partial(trained, quantizer)
