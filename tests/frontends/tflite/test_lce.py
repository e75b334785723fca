"""Larq Compute Engine's files: 1-bit weights stay 1-bit, results are those of its own interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("larq_compute_engine")
pytestmark = pytest.mark.tf

import larq as lq  # noqa: E402
import larq_compute_engine as lce  # noqa: E402
import tensorflow as tf  # noqa: E402
from larq_compute_engine.tflite.python.interpreter import Interpreter as LceInterpreter  # noqa: E402

from dqnn import Interpreter  # noqa: E402
from dqnn.exporter.api import export  # noqa: E402
from dqnn.exporter.errors import ExportError, UnreadableModel  # noqa: E402
from dqnn.exporter.frontends import tflite  # noqa: E402

layers = tf.keras.layers


def binary(filters: int, size: int = 3, **options: Any) -> Any:
    return lq.layers.QuantConv2D(
        filters, size, input_quantizer="ste_sign", kernel_quantizer="ste_sign", kernel_constraint="weight_clip",
        use_bias=False, **options,
    )  # fmt: skip


def plain() -> list[Any]:
    return [
        layers.Input((8, 8, 32)), binary(64, padding="same", pad_values=1), layers.BatchNormalization(),
        binary(32, strides=2, padding="valid"), layers.BatchNormalization(), layers.Flatten(), layers.Dense(4),
    ]  # fmt: skip


def zero_padded() -> list[Any]:
    return [
        layers.Input((7, 6, 3)), layers.Conv2D(40, 3, padding="same"), binary(40, padding="same", strides=2),
        layers.BatchNormalization(), binary(12, padding="same", dilation_rate=2), layers.BatchNormalization(),
    ]  # fmt: skip


def relu_and_pool() -> list[Any]:
    return [
        layers.Input((8, 8, 32)), binary(32, padding="same", pad_values=1, activation="relu"),
        layers.BatchNormalization(), binary(64, padding="same", pad_values=1), layers.MaxPool2D(2),
        layers.BatchNormalization(), binary(8, 1), layers.BatchNormalization(), layers.GlobalAveragePooling2D(),
        layers.Softmax(),
    ]  # fmt: skip


def grouped() -> list[Any]:
    return [layers.Input((5, 5, 64)), binary(64, groups=2), layers.BatchNormalization(), binary(10, 1)]


def residual() -> Any:
    x = inputs = layers.Input((6, 6, 32))
    y = layers.BatchNormalization()(binary(32, padding="same", pad_values=1)(x))
    x = layers.Add()([x, y])
    y = layers.BatchNormalization()(binary(32, padding="same", pad_values=1, activation="relu")(x))
    return tf.keras.Model(inputs, layers.Add()([x, y]))


def converted(make: Callable[[], Any], **options: Any) -> bytes:
    """With weights and statistics of either sign."""
    made = make()
    model = made if isinstance(made, tf.keras.Model) else tf.keras.Sequential(made)
    rng = np.random.default_rng(3)
    for layer in model.layers:
        values = [rng.normal(0.0, 0.8, w.shape).astype(np.float32) for w in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            values = [values[0], values[1], values[2] * 8, np.abs(values[3]) * 60 + 1]
        layer.set_weights(values)
    return bytes(lce.convert_keras_model(model, **options))


@pytest.mark.parametrize("make", [plain, zero_padded, relu_and_pool, grouped, residual])
def test_equals_its_interpreter(make: Callable[[], Any]) -> None:
    content = converted(make)
    kinds = {operator.kind for operator in tflite.read_model(content).operators}
    assert "LceBconv2d" in kinds
    result = export(tflite.load(content))
    names = [node.row.name for node in result.report.model.nodes]
    binary_convolutions = sum(op.kind == "LceBconv2d" for op in tflite.read_model(content).operators)
    assert sum(name.startswith(("conv_s1_s1", "convh_s1_s1")) for name in names) == binary_convolutions, names
    interpreter = Interpreter(result.blob)
    x = np.random.default_rng(4).normal(size=(40, *interpreter.inputs[0].shape)).astype(np.float32)
    wanted = LceInterpreter(content, use_reference_bconv=True).predict(x)
    found = interpreter.predict(x).reshape(wanted.shape)
    # A sum of floats that is a tie of a sign falls otherwise in few samples, if in any.
    off = np.abs(found - wanted).reshape(len(x), -1).max(axis=1) > 1e-5 * np.abs(wanted).max()
    assert np.count_nonzero(off) <= 1, f"{np.count_nonzero(off)} samples differ"


@pytest.mark.parametrize("activation", [None, "relu"])
def test_int8_between_bits(activation: str | None) -> None:
    """int8 in, bits, int8 out: every code. (Its builtin int8 operators round otherwise than the reference kernels, so
    the network has none.)"""
    inputs = layers.Input((8, 8, 32))
    x = tf.quantization.fake_quant_with_min_max_args(inputs, -3, 3)
    x = binary(32, padding="same", pad_values=1, activation=activation)(x)
    x = tf.quantization.fake_quant_with_min_max_args(layers.BatchNormalization()(x), -20, 20)
    content = converted(lambda: tf.keras.Model(inputs, x), inference_input_type=tf.int8, inference_output_type=tf.int8)
    assert [operator.kind for operator in tflite.read_model(content).operators] == ["LceQuantize", "LceBconv2d"]
    codes = np.random.default_rng(5).integers(-128, 128, (40, 8, 8, 32)).astype(np.int8)
    wanted = LceInterpreter(content, use_reference_bconv=True).predict(codes)
    found = Interpreter(export(tflite.load(content)).blob).predict(codes, raw=True)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.damaged
def test_damaged_options_are_refused() -> None:
    content = bytearray(converted(grouped))
    at = content.index(b"channels_in\0")
    for change in (b"\xff" * 4, b"\0" * 4):
        for offset in range(120, 180, 4):
            damaged = bytearray(content)
            damaged[at + offset : at + offset + 4] = change
            try:
                tflite.load(bytes(damaged))
            except (ExportError, UnreadableModel) as error:
                assert str(error)
