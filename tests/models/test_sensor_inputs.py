"""Models on raw uint8 pixels against Keras on normalized floats: every class score, on 360 images.

Scores behind binary layers move by whole steps when a single bit differs, so close scores mean that every sign inside
is the one Keras decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

import larq as lq  # noqa: E402
import tensorflow as tf  # noqa: E402

import dqnn  # noqa: E402

IMAGES = 360
FRONTS = [(1 / 255, 0.0), (1 / 127.5, -1.0), (1 / 128, -1.0), (-1 / 255, 1.0)]
layers = tf.keras.layers


@pytest.fixture(scope="module")
def pixels(digits: Path) -> Any:
    with np.load(digits / "digits_test.npz") as data:
        return np.rint((data["x"][:IMAGES] + 1) * 128).astype(np.uint8)


def trained_network(digits: Path, front: tuple[float, float] | None) -> Any:
    """Larq's introduction network, behind a Rescaling."""
    network = tf.keras.models.load_model(digits / "digits_larq.h5", compile=False)
    steps = [] if front is None else [layers.Rescaling(*front)]
    return tf.keras.Sequential([layers.InputLayer((28, 28, 1)), *steps, *network.layers])


def padded_network(front: tuple[float, float] | None, kernel_quantizer: str | None, seed: int = 3) -> Any:
    """Two layers with "same" padding; batch norms spread over the sums, so that signs are decided everywhere."""
    tf.keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    steps = [] if front is None else [layers.Rescaling(*front)]
    binary: dict[str, Any] = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "padding": "same"}
    first = lq.layers.QuantConv2D(16, 3, padding="same", kernel_quantizer=kernel_quantizer)
    model = tf.keras.Sequential(
        [
            layers.InputLayer((28, 28, 1)),
            *steps,
            first,
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            lq.layers.QuantConv2D(8, 3, input_quantizer="ste_sign", **binary),
            layers.Flatten(),
        ]
    )
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([rng.normal(size=gamma.shape), rng.normal(size=beta.shape), mean, variance])
    return model


def scores(model: Any, x: Any) -> Any:
    return model.predict(x.astype(np.float32), verbose=0)


def first_kernel(blob: bytes) -> str:
    return dqnn.Interpreter(blob).nodes[0].kernel


@pytest.mark.parametrize("front", FRONTS)
def test_rescaling_in_front_of_the_digits_network(digits: Path, pixels: Any, front: tuple[float, float]) -> None:
    model = trained_network(digits, front)
    keras = scores(model, pixels)
    blob = dqnn.export(model, strict=True).blob
    assert first_kernel(blob) == "conv_s8_s1_s1"
    np.testing.assert_allclose(dqnn.Interpreter(blob).predict(pixels), keras, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("front", FRONTS)
def test_input_u8_of_the_digits_network(digits: Path, pixels: Any, front: tuple[float, float]) -> None:
    model = trained_network(digits, None)
    scale, offset = np.float32(front[0]), np.float32(front[1])
    keras = scores(model, pixels.astype(np.float32) * scale + offset)
    result = dqnn.export(digits / "digits_larq.h5", input_u8=front, strict=True)
    assert first_kernel(result.blob) == "conv_s8_s1_s1"
    np.testing.assert_allclose(dqnn.Interpreter(result.blob).predict(pixels), keras, rtol=1e-5, atol=1e-6)


def test_the_digits_network_shrinks(digits: Path) -> None:
    floats = dqnn.export(digits / "digits_larq.h5").report
    samples = dqnn.export(digits / "digits_larq.h5", input_u8=(1 / 128, -1)).report
    assert samples.arena_bytes <= floats.arena_bytes - 1_024
    assert samples.arena_bytes == samples.lower_bound


@pytest.mark.parametrize("weights", ["ste_sign", None])
@pytest.mark.parametrize("front", FRONTS)
def test_same_padding(pixels: Any, front: tuple[float, float], weights: str | None) -> None:
    """Real zeros around the map: folded where they are a sample, else the first layer reads floats and says why."""
    model = padded_network(front, weights)
    result = dqnn.export(model)
    folds = front != (1 / 127.5, -1.0)
    assert (dqnn.Interpreter(result.blob).inputs[0].dtype == "s8") == folds
    assert folds or any("between two samples" in d.reason for d in result.report.decisions)
    keras = scores(model, pixels)
    np.testing.assert_allclose(dqnn.Interpreter(result.blob).predict(pixels), keras, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("front", FRONTS)
def test_same_padding_with_input_u8(pixels: Any, front: tuple[float, float]) -> None:
    """The same, with floats made on the device where nothing can be folded."""
    model = padded_network(None, "ste_sign")
    keras = scores(model, pixels.astype(np.float32) * np.float32(front[0]) + np.float32(front[1]))
    blob = dqnn.export(model, input_u8=front).blob
    assert (first_kernel(blob) == "affine_s8_f32") == (front == (1 / 127.5, -1.0))
    np.testing.assert_allclose(dqnn.Interpreter(blob).predict(pixels), keras, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_float_model(pixels: Any, padding: str) -> None:
    tf.keras.utils.set_random_seed(5)
    model = tf.keras.Sequential(
        [
            layers.InputLayer((28, 28, 1)),
            layers.Rescaling(1 / 127.5, -1),
            layers.Conv2D(8, 3, padding=padding, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    keras = scores(model, pixels)
    result = dqnn.export(model, strict=True)
    assert dqnn.Interpreter(result.blob).inputs[0].dtype == ("s8" if padding == "valid" else "f32")
    np.testing.assert_allclose(dqnn.Interpreter(result.blob).predict(pixels), keras, rtol=1e-4, atol=1e-5)


def test_samples_straight_into_a_quantizer(pixels: Any) -> None:
    tf.keras.utils.set_random_seed(6)
    binary: dict[str, Any] = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
    model = tf.keras.Sequential(
        [layers.InputLayer((28, 28, 1)), layers.Rescaling(1 / 127.5, -1), lq.layers.QuantConv2D(8, 3, **binary)]
    )
    blob = dqnn.export(model, strict=True).blob
    assert first_kernel(blob) == "affine_s8_s1"
    assert np.array_equal(dqnn.Interpreter(blob).predict(pixels), scores(model, pixels))
