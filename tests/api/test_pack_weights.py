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
    x = QActivation(byte)(tf.keras.layers.BatchNormalization(name="norm")(x))
    x = QConv2D(12, 1, kernel_quantizer=kernel, bias_quantizer=byte, name="point")(x)
    x = tf.keras.layers.MaxPool2D(2)(QActivation("quantized_relu(8,2)")(x))
    x = QDense(10, kernel_quantizer=kernel, use_bias=False, name="dense")(tf.keras.layers.Flatten()(x))
    model = tf.keras.Model(source, x)
    rng = np.random.default_rng(3)
    for weights in model.trainable_weights:
        if "kernel" in weights.name:  # all levels
            weights.assign(rng.uniform(-1, 1, weights.shape))
    return model


def separable(kernel: str) -> Any:
    """Depthwise layers of 3x3 windows with both strides, and of 5x5, in a small network like DS-CNN."""
    import tensorflow as tf
    from qkeras import QActivation, QConv2D, QDense, QDepthwiseConv2D

    byte = "quantized_bits(8,0,alpha=1)"
    tf.random.set_seed(7)
    source = tf.keras.Input((11, 9, 8))
    x = QActivation(byte)(source)
    for number, (size, step) in enumerate(((3, 1), (3, 2), (5, 1))):
        x = QDepthwiseConv2D(
            size, step, padding="same", depthwise_quantizer=kernel, use_bias=False, name=f"depthwise_{number}"
        )(x)
        x = QActivation(byte)(tf.keras.layers.BatchNormalization()(x))
        x = QConv2D(8, 1, kernel_quantizer=kernel, use_bias=False, name=f"point_{number}")(x)
        x = QActivation("quantized_relu(8,2)")(x)
    x = QDense(10, kernel_quantizer=kernel, use_bias=False, name="dense")(tf.keras.layers.Flatten()(x))
    model = tf.keras.Model(source, x)
    rng = np.random.default_rng(3)
    for weights in model.trainable_weights:
        if "kernel" in weights.name:
            weights.assign(rng.uniform(-1, 1, weights.shape))
    return model


@pytest.mark.parametrize("kernel", ["quantized_bits(4,0,alpha=1)", "quantized_bits(2,0,alpha=1)", "ternary(alpha=1)"])
def test_depthwise_layers_are_packed(kernel: str) -> None:
    model = separable(kernel)
    plain, packed = (dqnn.export(model, pack_weights=pack) for pack in (False, True))
    nodes = [node for node in parse(packed.blob).nodes if isinstance(node.params, ConvParams)]
    assert [node.row.family for node in nodes] == ["depthwise", "conv"] * 3 + ["conv"]
    assert {node.params.weight_bits for node in nodes if isinstance(node.params, ConvParams)} == {KERNELS[kernel]}
    samples = np.random.default_rng(2).uniform(-1, 1, (20, 11, 9, 8)).astype(np.float32)
    few, eight = (dqnn.Interpreter(result.blob).predict(samples) for result in (packed, plain))
    np.testing.assert_array_equal(few, eight)
    np.testing.assert_allclose(few, model.predict(samples, verbose=0), rtol=1e-5, atol=1e-5)
    analysis = {node.name: node for node in dqnn.analyze(model, pack_weights=True).nodes}
    for number, size in enumerate((9, 9, 25)):
        node = analysis[f"depthwise_{number}"]
        assert node.weight_bits == KERNELS[kernel]
        assert node.unpacked_bytes - node.weight_bytes == size * 8 - size * KERNELS[kernel]


def test_depthwise_layers_of_three_channels_keep_8_bits() -> None:
    import tensorflow as tf
    from qkeras import QActivation, QDepthwiseConv2D

    byte, source = "quantized_bits(8,0,alpha=1)", tf.keras.Input((8, 8, 3))
    x = QDepthwiseConv2D(3, depthwise_quantizer="quantized_bits(4,0,alpha=1)", use_bias=False)(
        QActivation(byte)(source)
    )
    packed = dqnn.export(tf.keras.Model(source, QActivation(byte)(x)), pack_weights=True)
    assert [node.weight_bits for node in parse(packed.blob).nodes if node.row.multiplies] == [8]


@pytest.mark.parametrize("kernel", KERNELS)
def test_few_bits_give_what_keras_and_8_bits_give(kernel: str) -> None:
    model = network(kernel)
    plain, packed = (dqnn.export(model, pack_weights=pack) for pack in (False, True))
    params = [node.params for node in parse(packed.blob).nodes if isinstance(node.params, ConvParams)]
    assert [p.weight_bits for p in params] == [KERNELS[kernel]] * 3
    samples = np.random.default_rng(2).uniform(-1, 1, (20, 9, 8, 4)).astype(np.float32)
    few, eight = (dqnn.Interpreter(result.blob).predict(samples) for result in (packed, plain))
    np.testing.assert_array_equal(few, eight)
    if "auto" not in kernel:  # see test_scales_of_auto
        np.testing.assert_allclose(few, model.predict(samples, verbose=0), rtol=1e-5, atol=1e-5)
    assert (len(packed.blob) < len(plain.blob)) == bool(KERNELS[kernel])


def test_scales_of_auto() -> None:
    """alpha='auto' gives scales that no float32 product holds exactly, so where a sum lies within Keras' rounding of a
    tie Keras' own decision is left to the order of its sums (eagerly and in predict it decides otherwise). Ours is that
    of float64; Keras' differs nowhere else."""
    model = network("quantized_bits(4,0,alpha='auto')")
    samples = np.random.default_rng(2).uniform(-1, 1, (300, 9, 8, 4)).astype(np.float32)
    ours = dqnn.Interpreter(dqnn.export(model, pack_weights=True).blob).predict(samples)
    exact, near = in_doubles(model, samples)
    np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=1e-5)
    keras = model.predict(samples, verbose=0)
    differ = ~np.isclose(ours, keras, rtol=1e-5, atol=1e-4).all(axis=1)
    assert differ.mean() < 0.05
    assert near[differ].max(initial=0.0) < 5e-5


def in_doubles(model: Any, x: Any) -> tuple[Any, Any]:
    """The network in float64 with Keras' own quantized weights; of each sample, how near a sum comes to a tie of a
    quantizer, in its steps."""
    import tensorflow as tf

    wide, point, dense, norm = (model.get_layer(name) for name in ("wide", "point", "dense", "norm"))

    def kernel(layer: Any) -> Any:
        return np.asarray(layer.kernel_quantizer_internal(layer.kernel), np.float64)

    def quantized(real: Any, low: int, high: int, step: float) -> Any:
        steps = real / step
        apart = np.abs(np.abs(steps - np.floor(steps)) - 0.5)
        apart[(steps < low - 1) | (steps > high + 1)] = 1.0
        near.append(apart.reshape(len(x), -1).min(axis=1))
        return np.clip(np.rint(steps), low, high) * step

    near: list[Any] = []
    maps = np.clip(np.rint(x.astype(np.float64) * 128), -128, 127) / 128
    sums = tf.nn.conv2d(maps, kernel(wide), 1, "SAME").numpy()
    gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in norm.get_weights())
    maps = quantized((sums - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta, -128, 127, 1 / 128)
    bias = np.asarray(point.bias_quantizer_internal(point.bias), np.float64)
    maps = quantized(tf.nn.conv2d(maps, kernel(point), 1, "VALID").numpy() + bias, 0, 255, 1 / 64)
    maps = tf.nn.max_pool2d(maps, 2, 2, "VALID").numpy()
    return maps.reshape(len(x), -1) @ kernel(dense), np.min(near, axis=0)


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


def test_bits_and_bytes_of_each_layer() -> None:
    """What analyze and inspect show of packed layers; 8 bits would take what the unpacked file has."""
    model = network("quantized_bits(4,0,alpha=1)")
    plain, packed = (dqnn.analyze(model, pack_weights=pack) for pack in (False, True))
    layers = [node for node in packed.nodes if node.row.multiplies]
    assert [node.weight_bits for node in layers] == [4, 4, 4]
    assert [node.unpacked_bytes for node in packed.nodes] == [node.weight_bytes for node in plain.nodes]
    assert [node.weight_bits for node in plain.nodes if node.row.multiplies] == [8, 8, 8]
    whole, few = (sum(n.weight_bytes for n in report.nodes if n.row.multiplies) for report in (plain, packed))
    text = str(packed)
    assert f"3 layers with 4 or 2 bits for a weight, {few:,} B; 8-bit would be {whole:,} B" in " ".join(text.split())
    for node in layers:
        assert f"8-bit: {node.unpacked_bytes:,} B" in text
        assert f"8-bit: {node.unpacked_bytes:,}" in packed._repr_html_()
    assert "8-bit" not in str(plain)
    result = dqnn.export(model, pack_weights=True)
    assert str(result.report).count("4 bits") == 3
    saved = {a.layer: a.gain for a in plain.advice if "stored in 8" in a.finding}
    assert saved["dense"] == "768 of 1,920 B of weights"  # outputs are packed in fours
    assert not [a for a in packed.advice if "stored in 8" in a.finding]
