"""Layers of QKeras quantizers of few bits, exported with `pack_weights`: Keras' values, the bytes that 8 bits give,
and a smaller file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dqnn
from dqnn.exporter.blob import parse
from dqnn.exporter.format import ConvParams

pytestmark = pytest.mark.tf
KERNELS = {
    "quantized_bits(4,0,alpha=1)": 4,
    "quantized_bits(3,0,alpha=1)": 4,
    "quantized_bits(2,0,alpha=1)": 2,
    "ternary(alpha=1)": 2,
    "stochastic_ternary(alpha=1)": 2,
    "quantized_bits(5,0,alpha=1)": 0,
    "quantized_bits(4,0,alpha='auto')": 4,
}


def network(kernel: str) -> Any:
    """8-bit maps through a 3x3, a pointwise and a dense layer."""
    import tensorflow as tf
    from qkeras import QActivation, QConv2D, QDense

    byte = "quantized_bits(8,0,alpha=1)"
    tf.random.set_seed(5)
    source = tf.keras.Input((9, 8, 4))
    x = QActivation(byte)(source)
    x = QConv2D(16, 3, padding="same", kernel_quantizer=kernel, use_bias=False, name="wide")(x)
    x = QActivation(byte)(tf.keras.layers.BatchNormalization()(x))
    x = QConv2D(12, 1, kernel_quantizer=kernel, bias_quantizer=byte, name="point")(x)
    x = tf.keras.layers.MaxPool2D(2)(QActivation("quantized_relu(8,2)")(x))
    x = QDense(10, kernel_quantizer=kernel, use_bias=False, name="dense")(tf.keras.layers.Flatten()(x))
    model = tf.keras.Model(source, x)
    rng = np.random.default_rng(3)
    for weights in model.trainable_weights:
        if "kernel" in weights.name:  # all levels
            weights.assign(rng.uniform(-1, 1, weights.shape))
    return model


@pytest.mark.parametrize("kernel", KERNELS)
def test_few_bits_give_what_keras_and_8_bits_give(kernel: str) -> None:
    model = network(kernel)
    plain, packed = (dqnn.export(model, pack_weights=pack) for pack in (False, True))
    params = [node.params for node in parse(packed.blob).nodes if isinstance(node.params, ConvParams)]
    assert [p.weight_bits for p in params] == [KERNELS[kernel]] * 3
    samples = np.random.default_rng(2).uniform(-1, 1, (20, 9, 8, 4)).astype(np.float32)
    few, eight = (dqnn.Interpreter(result.blob).predict(samples) for result in (packed, plain))
    np.testing.assert_array_equal(few, eight)
    if "auto" not in kernel:  # whose float scales leave ties of the next quantizer to the order of Keras' sums
        np.testing.assert_allclose(few, model.predict(samples, verbose=0), rtol=1e-5, atol=1e-5)
    assert (len(packed.blob) < len(plain.blob)) == bool(KERNELS[kernel])


def test_analyze_says_what_packing_would_save() -> None:
    def found(kernel: str) -> dict[str, str]:
        return {
            a.layer: f"{a.finding}: {a.remedy}"
            for a in dqnn.analyze(network(kernel)).advice
            if "stored in 8" in a.finding
        }

    assert (
        found("quantized_bits(4,0,alpha=1)")["dense"] == "weights of 4 bits are stored in 8: export with --pack-weights"
    )
    assert found("quantized_bits(5,0,alpha=1)")["dense"].startswith(
        "weights of 5 bits are stored in 8: quantize them to 4"
    )
    assert not found("quantized_bits(8,0,alpha=1)")
