"""Candidates for `dqnn sweep`: networks of several widths with 1-bit and float weights, trained for some seconds each.

    dqnn sweep examples/digits/widths.py:make --inputs examples/digits/digits_test.npz --labels y --plot widths.png

A name stands for a function that makes the model: it is called when its turn comes, and a model that fails is listed
with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf
from digits_data import load

EPOCHS = 15


def trained(filters: int, binary: bool) -> Any:
    """Two convolutions and a dense layer."""
    layers = tf.keras.layers
    signs = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "use_bias": False}
    first = lq.layers.QuantConv2D(filters, 3, **signs)
    binary_second = lq.layers.QuantConv2D(2 * filters, 3, input_quantizer="ste_sign", **signs)
    model = tf.keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            first if binary else layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            binary_second if binary else layers.Conv2D(2 * filters, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(10),
            layers.Softmax(),
        ]
    )
    digits = load()
    model.compile("adam", "sparse_categorical_crossentropy")
    images = digits.train_pixels[..., None] / np.float32(128) - 1
    model.fit(images, digits.train_labels, epochs=EPOCHS, verbose=0)
    return model


def make() -> Iterator[tuple[str, Callable[[], Any]]]:
    for filters in (4, 8, 16, 32):
        for binary in (True, False):
            yield f"{'1-bit' if binary else 'float'} {filters}", partial(trained, filters, binary)
