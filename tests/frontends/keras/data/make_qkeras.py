"""Writes models of a QKeras that the test environment does not hold, with the outputs that it computes.

    python make_qkeras.py qkeras_v3    # qkeras-v3 1.2.1, Keras 3.15.1, TensorFlow 2.21
    python make_qkeras.py qkeras_git   # the GitHub repository at 78ea90f, TensorFlow 2.15

gives NAME.keras, NAME.h5 and NAME.npz beside this file: inputs, outputs, and what quantizers make of arrays."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

if "v3" not in sys.argv[1]:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
V3 = "v3" in sys.argv[1]
if V3:
    import keras
else:
    from tensorflow import keras
import qkeras as q  # noqa: E402

QUANTIZERS = [
    *(
        "quantized_linear(8,1)",
        "quantized_linear(4,0,alpha=0.5)",
        "quantized_linear(1,1)",
        "quantized_linear(4,1,0,False)",
    ),
    *(
        "quantized_linear(8,0,alpha='auto')",
        "quantized_linear(4,1,alpha='auto_po2')",
        "quantized_linear(1,0,alpha='auto')",
    ),
    *(
        "quantized_linear(1,0,alpha='auto_po2')",
        "quantized_linear(3,0,alpha=0.3)",
        "quantized_linear(12,2,alpha='auto')",
    ),
    *("quantized_bits(4,1,1,alpha='auto')", "quantized_bits(8,0,1,alpha='auto_po2')", "quantized_bits(1,0,1)"),
    *("quantized_relu(4,1)", "quantized_relu(8,2,0,0.25)", "quantized_po2(5)", "binary(alpha='auto')"),
    *("ternary(alpha='auto_po2')", "quantized_tanh(8)", "quantized_sigmoid(8)"),
]


def bits(*arguments: Any, **named: Any) -> Any:
    return q.quantized_bits(*arguments, **named)


def model() -> Any:
    """One layer of every kind whose file or numbers changed after QKeras 0.9.0."""
    x = image = keras.Input((8, 8, 3), name="image")
    x = q.QActivation("quantized_bits(8,0,alpha=1)", name="pixels")(x)
    mask = np.ones((3, 3), np.float32)
    mask[0, 0] = mask[2, 1] = 0
    masked = {} if V3 else {"mask": mask}
    x = q.QConv2D(
        6, 3, kernel_quantizer=bits(4, 0), bias_quantizer=bits(8, 2, alpha=1), name="default_alpha", **masked
    )(x)
    x = q.QBatchNormalization(
        gamma_quantizer=None, variance_quantizer=None, beta_quantizer=bits(8, 2, alpha=1),
        mean_quantizer=bits(8, 2, alpha=1), inverse_quantizer=bits(8, 2, alpha=1), name="inverse",
    )(x)  # fmt: skip
    x = q.QActivation(q.quantized_relu(6, 2), name="relu")(x)
    x = q.QConv2DBatchnorm(
        5, 2, kernel_quantizer=bits(6, 1, alpha=1), bias_quantizer=bits(8, 3, alpha=1), name="folded"
    )(x)
    x = q.QActivation(q.quantized_relu(8, 3, use_stochastic_rounding=True), name="stochastic")(x)
    x = q.QDepthwiseConv2DBatchnorm((2, 2), depthwise_quantizer=bits(6, 2, alpha=1), name="depthwise_folded")(x)
    x = q.QActivation("quantized_relu(8,4)", name="relu_2")(x)
    x = q.QAveragePooling2D(2, average_quantizer=bits(8, 0, alpha=1), name="mean")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = q.QActivation("quantized_bits(8,4,alpha=1)", name="features")(x)
    scale = np.array([[0.25, 0.5, 0.125, 1.0, 0.25, 0.5, 2.0]])
    fixed = bits(4, 0, 1, alpha="auto_po2", post_training_scale=scale)
    x = q.QDense(7, kernel_quantizer=fixed, bias_quantizer=bits(8, 3, alpha=1), name="fixed_scale")(x)
    x = q.QActivation("quantized_bits(8,3,alpha=1)", name="hidden")(x)
    linear = q.quantized_linear(4, 0, alpha="auto_po2")
    x = q.QDense(6, kernel_quantizer=linear, activation="quantized_relu(8,3)", name="linear")(x)
    if V3:
        x = q.QDenseBatchnorm(
            5, kernel_quantizer=bits(6, 1, alpha=1), bias_quantizer=bits(8, 3, alpha=1), name="dense_folded"
        )(x)
        x = q.QActivation("quantized_bits(16,6,alpha=1)", name="wide")(x)
    return keras.Model(image, keras.layers.Activation("softmax", name="softmax")(q.QDense(4, name="plain")(x)))


def randomize(net: Any) -> None:
    draw = np.random.default_rng(4)
    for layer in net.layers:
        values = []
        for variable, value in zip(layer.weights, layer.get_weights(), strict=True):
            name = str(getattr(variable, "path", variable.name))
            if np.issubdtype(np.asarray(value).dtype, np.integer):
                values.append(value)
            elif "variance" in name:
                values.append(draw.uniform(0.3, 2, value.shape).astype(np.float32))
            else:
                values.append(draw.normal(0, 0.5, value.shape).astype(np.float32))
        layer.set_weights(values)


def quantizers() -> dict[str, Any]:
    draw = np.random.default_rng(5)
    arrays = {
        "vector": np.concatenate(
            [np.float32([0, -0.0, -1e-9, 0.5, -0.5, 3]), draw.normal(0, 1, 40).astype(np.float32)]
        ),
        "matrix": draw.normal(0, 0.6, (24, 5)).astype(np.float32),
        "kernel": draw.normal(0, 0.4, (3, 3, 4, 6)).astype(np.float32),
    }
    found: dict[str, Any] = dict(arrays)
    for text in QUANTIZERS:
        for name, array in arrays.items():
            found[f"{text} of {name}"] = np.asarray(q.get_quantizer(text)(tf.constant(array)))
    return found


def main(name: str) -> None:
    net = model()
    randomize(net)
    x = np.random.default_rng(1).integers(-128, 128, (16, 8, 8, 3)).astype(np.float32) / 128
    hidden = keras.Model(net.input, net.get_layer("linear").output)
    for form in ("keras", "h5"):
        net.save(HERE / f"{name}.{form}")
    arrays = {"x": x, "y": np.asarray(net(x)), "linear": np.asarray(hidden(x))}
    np.savez_compressed(HERE / f"{name}.npz", **arrays, **quantizers())


main(sys.argv[1])
