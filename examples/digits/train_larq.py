"""Train Larq's introduction network (https://docs.larq.dev/larq/tutorials/mnist/) on the digits of digits_data.py.

    python examples/digits/train_larq.py        # a few minutes on two cores; needs dqnn[keras] and scikit-learn

The first convolution sees float pixels and has binary weights; every other layer is binary on both sides."""

from __future__ import annotations

from typing import Any

import larq as lq
import tensorflow as tf
from training import arguments, train_and_save


def build() -> Any:
    """28x28x1 to 10 classes: 93,088 binary weights and five batch normalizations (93,556 parameters when each counts as
    a scale and a bias)."""
    layers = tf.keras.layers
    first = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "use_bias": False}
    binary = first | {"input_quantizer": "ste_sign"}
    return tf.keras.Sequential(
        [
            lq.layers.QuantConv2D(32, 3, input_shape=(28, 28, 1), **first),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(scale=False),
            lq.layers.QuantConv2D(64, 3, **binary),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(scale=False),
            lq.layers.QuantConv2D(64, 3, **binary),
            layers.BatchNormalization(scale=False),
            layers.Flatten(),
            lq.layers.QuantDense(64, **binary),
            layers.BatchNormalization(scale=False),
            lq.layers.QuantDense(10, **binary),
            layers.BatchNormalization(scale=False),
            layers.Activation("softmax"),
        ],
        name="digits_larq",
    )


def main() -> None:
    args = arguments(epochs=150)
    train_and_save(build, "larq", args, learning_rate=0.01)


if __name__ == "__main__":
    main()
