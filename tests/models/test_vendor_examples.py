"""Examples 8.1 to 8.5 of the vendor's documentation (slips corrected): the formats they claim, the operations of their
tables, and Keras' results. 8.5, which falls back to float there, is native here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

import larq as lq  # noqa: E402
import qkeras  # noqa: E402
import tensorflow as tf  # noqa: E402
from compare import assert_close, assert_equal, compare, randomize  # noqa: E402

from dqnn.exporter.analyze.analysis import analyze  # noqa: E402
from dqnn.exporter.analyze.model import Analysis  # noqa: E402

layers = tf.keras.layers
BINARY: dict[str, Any] = {"kernel_quantizer": "binary(alpha=1)", "bias_quantizer": "binary(alpha=1)"}


def _signed() -> Any:
    return qkeras.QActivation("binary(alpha=1)")


def _eight_bit() -> Any:
    return qkeras.QActivation("quantized_bits(8,7,alpha=1)")


def _kernels(analysis: Analysis) -> list[str]:
    return [node.kernel for node in analysis.nodes]


def _run(model: Any, low: float, high: float, **options: Any) -> tuple[Any, Analysis]:
    x = np.random.default_rng(3).uniform(low, high, (5, *model.input_shape[1:])).astype(np.float32)
    randomize(model, seed=1)
    return compare(model, x, strict=True, **options), analyze(model)


def test_8_1_activation_layer_equals_input_quantizer() -> None:
    inputs = layers.Input((12, 12, 3))
    conv: dict[str, Any] = {"kernel_quantizer": "ste_sign", "use_bias": False}
    separate = tf.keras.Model(inputs, lq.layers.QuantConv2D(16, 3, **conv)(_signed()(inputs)))
    inside = tf.keras.Model(inputs, lq.layers.QuantConv2D(16, 3, input_quantizer="ste_sign", **conv)(inputs))
    inside.set_weights(separate.get_weights())
    x = np.random.default_rng(1).normal(size=(4, 12, 12, 3)).astype(np.float32)
    first, second = compare(separate, x), compare(inside, x)
    assert_equal(first)
    assert_equal(second)
    np.testing.assert_array_equal(first.ours[0], second.ours[0])
    assert _kernels(analyze(separate)) == _kernels(analyze(inside)) == ["convh_s1_s1_f32"]


def test_8_2_dense_with_8_bit_input_and_float_output() -> None:
    x = inputs = layers.Input((28, 28, 1))
    x = layers.Flatten()(_eight_bit()(x))
    x = layers.BatchNormalization()(qkeras.QDense(16, use_bias=True, name="dense_0", **BINARY)(x))
    comparison, analysis = _run(tf.keras.Model(inputs, layers.Activation("softmax")(x)), -128.0, 127.0)
    assert_close(comparison)
    assert _kernels(analysis) == ["conv_s8_s1_f32", "softmax_f32"]


def test_8_2_two_dense_layers() -> None:
    x = inputs = layers.Input((28, 28, 1))
    x = _eight_bit()(layers.Flatten()(x))
    x = layers.BatchNormalization()(qkeras.QDense(64, use_bias=True, name="dense_0", **BINARY)(x))
    x = qkeras.QDense(10, use_bias=True, name="dense_1", **BINARY)(_signed()(x))
    comparison, analysis = _run(tf.keras.Model(inputs, layers.Activation("softmax")(x)), -128.0, 127.0)
    assert_close(comparison)
    assert _kernels(analysis)[0] == "conv_s8_s1_s1"
    assert analysis.operation_types == {"smul_s8_s1": 50_176, "sxor_s1_s1": 650, "op_f32_f32": 150}


def test_8_2_table_convolution_and_pool() -> None:
    x = inputs = layers.Input((28, 28, 1))
    x = qkeras.QConv2D(16, 3, use_bias=False, name="conv2d_0", kernel_quantizer="binary(alpha=1)")(_signed()(x))
    x = layers.BatchNormalization()(layers.MaxPooling2D(2)(x))
    comparison, analysis = _run(tf.keras.Model(inputs, _signed()(x)), -1.0, 1.0)
    assert_equal(comparison)
    assert analysis.operation_types == {"sxor_s1_s1": 97_344, "op_s1_s1": 10_816}


@pytest.mark.parametrize("strided", [False, True])
def test_8_3_binary_convolution_same_padding(strided: bool) -> None:
    x = inputs = layers.Input((28, 28, 1))
    options = {"strides": (2, 2)} if strided else {}
    x = qkeras.QConv2D(16, (3, 3), use_bias=False, padding="same", kernel_quantizer="binary(alpha=1)", **options)(
        _signed()(x)
    )
    x = x if strided else layers.MaxPooling2D(2)(x)
    comparison, analysis = _run(tf.keras.Model(inputs, _signed()(layers.BatchNormalization()(x))), -1.0, 1.0)
    assert_equal(comparison)
    assert _kernels(analysis) == ["convh_s1_s1_s1"]  # 16 outputs: the horizontal layout


def test_8_4_residual_connection() -> None:
    x = inputs = layers.Input((20, 20, 64))
    conv: dict[str, Any] = {"input_quantizer": "ste_sign", "use_bias": False}
    x = lq.layers.QuantConv2D(32, 1, kernel_quantizer="ste_sign", **conv)(x)
    x = layers.BatchNormalization()(layers.MaxPooling2D(2)(x))
    y = lq.layers.QuantDepthwiseConv2D(3, padding="same", pad_values=1.0, depthwise_quantizer="ste_sign", **conv)(x)
    y = layers.BatchNormalization()(y)
    both = layers.Concatenate()([lq.quantizers.SteSign()(x), lq.quantizers.SteSign()(y)])
    comparison, analysis = _run(tf.keras.Model(inputs, both), -1.0, 1.0)
    assert_equal(comparison)
    assert analysis.operation_types == {"sxor_s1_s1": 848_000, "op_s1_s1": 12_800}
    assert _kernels(analysis) == ["conv_s1_s1_s1", "depthwise_s1_s1_s1", "concat_s1"]


def test_8_5_is_native() -> None:
    x = inputs = layers.Input((28, 28, 1))
    x = qkeras.QConv2D(16, (3, 3), strides=(2, 2), use_bias=True, padding="same", name="dense_0", **BINARY)(
        _eight_bit()(x)
    )
    x = _eight_bit()(layers.BatchNormalization()(x))
    comparison, analysis = _run(tf.keras.Model(inputs, x), -128.0, 127.0)
    assert_equal(comparison)
    assert _kernels(analysis) == ["conv_s8_s1_s8"]
    assert analysis.operation_types == {"smul_s8_s1": 14 * 14 * 16 * 9}
