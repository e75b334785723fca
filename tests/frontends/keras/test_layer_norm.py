"""LayerNormalization: the last axes, in f32, behind whatever comes, against Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frontends.keras.keras_models import randomize

import dqnn

pytestmark = pytest.mark.tf


@pytest.mark.parametrize("form", ["h5", "keras"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((24,), {}),
        ((5, 7, 9), {"epsilon": 1e-5}),
        ((6, 10), {"center": False}),
        ((6, 10), {"scale": False, "axis": [-1]}),
        ((4, 3, 5), {"axis": [1, 2, 3]}),
        ((4, 3, 5), {"axis": [-2, -1]}),
    ],
    ids=str,
)
def test_layer_normalization(shape: tuple[int, ...], options: dict[str, Any], form: str, tmp_path: Path) -> None:
    import tensorflow as tf

    model = randomize(tf.keras.Sequential([tf.keras.Input(shape), tf.keras.layers.LayerNormalization(**options)]))
    model.save(tmp_path / f"m.{form}")
    x = np.random.default_rng(0).normal(2, 3, (6, *shape)).astype(np.float32)
    found = dqnn.Interpreter(dqnn.export(tmp_path / f"m.{form}").blob).predict(x)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=2e-5, atol=2e-5)


def test_between_quantized_layers(tmp_path: Path) -> None:
    """It reads floats of a quantized map, and what follows is quantized again."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    before = [layers.Input((6, 6, 8)), qkeras.QActivation("quantized_relu(8,1)"), layers.LayerNormalization()]
    conv = qkeras.QConv2D(4, 3, kernel_quantizer="quantized_bits(4,0,alpha=1)")
    model = randomize(tf.keras.Sequential([*before, qkeras.QActivation("binary(alpha=1)"), conv]))
    model.save(tmp_path / "m.h5")
    result = dqnn.export(tmp_path / "m.h5")
    assert "layernorm_f32" in result.report.kernels
    x = np.random.default_rng(1).integers(-256, 256, (8, 6, 6, 8)).astype(np.float32) / 128
    found, wanted = dqnn.Interpreter(result.blob).predict(x), model.predict(x, verbose=0)
    assert (
        np.mean(np.abs(found - wanted) > 1e-5) < 0.005
    )  # a sign may turn where the float before it is a rounding away
