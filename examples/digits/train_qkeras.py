"""Train a QKeras network on the digits of digits_data.py: 8-bit input, binary convolutions, a float head.

    python examples/digits/train_qkeras.py      # a few minutes on two cores; needs dqnn[keras] and scikit-learn

`alpha=1` is written out everywhere: with `binary()` alone, QKeras silently turns a kernel quantizer into
`alpha="auto_po2"`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from qkeras import QActivation, QConv2D, QDense, binary
from training import arguments, train_and_save


def build() -> Any:
    """28x28x1 pixels, quantized to int8 with scale 1/128, to 10 classes."""
    layers = tf.keras.layers
    quantized = {"kernel_quantizer": binary(alpha=1), "use_bias": False}
    return tf.keras.Sequential(
        [
            layers.InputLayer((28, 28, 1)),
            QActivation("quantized_bits(8, 0, alpha=1)"),
            QConv2D(32, 3, **quantized),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            QActivation("binary(alpha=1)"),
            QConv2D(64, 3, **quantized),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            QActivation("binary(alpha=1)"),
            QConv2D(64, 3, **quantized),
            layers.BatchNormalization(),
            QActivation("binary(alpha=1)"),
            layers.Flatten(),
            QDense(64, **quantized),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits_qkeras",
    )


def main() -> None:
    args = arguments(epochs=150)
    train_and_save(build, "qkeras", args, learning_rate=0.003)


if __name__ == "__main__":
    main()
