"""Resizing and UpSampling against Keras: views where the ratio is whole, products with matrices elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frontends.keras.handmade import input_layer, layer, sequential, write_h5

import dqnn
from dqnn.exporter.errors import ExportError
from dqnn.exporter.frontends import load
from dqnn.exporter.frontends.keras.resizing import bilinear, nearest

SIZES = [(16, 16), (4, 4), (2, 24), (5, 7), (11, 3), (8, 13), (1, 1), (8, 8)]


@pytest.mark.tf
@pytest.mark.parametrize("how", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resizing(size: tuple[int, int], how: str, tmp_path: Path) -> None:
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((8, 8, 3)), tf.keras.layers.Resizing(*size, interpolation=how)])
    model.save(tmp_path / "m.h5")
    result = dqnn.export(tmp_path / "m.h5")
    assert not result.report.fallbacks  # of floats nothing falls back
    whole = how == "nearest" and all(max(n, 8) % min(n, 8) == 0 for n in size)
    assert (set(result.report.kernels) <= {"view_f32", "reshape_s1"}) == (whole or size == (8, 8))
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    found, wanted = dqnn.Interpreter(result.blob).predict(x), model.predict(x, verbose=0)
    if how == "nearest":
        np.testing.assert_array_equal(found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.tf
@pytest.mark.parametrize("size", [2, (3, 2), (1, 4)], ids=str)
def test_bilinear_up_sampling(size: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    steps = [
        layers.Conv2D(4, 3, padding="same"),
        layers.UpSampling2D(size, interpolation="bilinear"),
        layers.Conv2D(2, 1),
    ]
    model = tf.keras.Sequential([layers.Input((5, 6, 3)), *steps])
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(3, 5, 6, 3)).astype(np.float32)
    found = dqnn.Interpreter(dqnn.export(tmp_path / "m.keras").blob).predict(x)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.tf
@pytest.mark.parametrize("quantizer", ["quantized_relu(8,1)", "binary(alpha=1)", "quantized_bits(4,0,alpha=1)"])
@pytest.mark.parametrize("how", ["nearest", "bilinear"])
def test_quantized_maps(quantizer: str, how: str, tmp_path: Path) -> None:
    """The nearest cell keeps the format, whatever the ratio; means of cells are floats, by name."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    steps = [qkeras.QActivation(quantizer), layers.Resizing(5, 13, interpolation=how, name="resize")]
    last = qkeras.QConv2D(4, 2, kernel_quantizer="quantized_bits(4,0,alpha=1)")
    model = tf.keras.Sequential([layers.Input((8, 8, 3)), *steps, last])
    model.save(tmp_path / "m.h5")
    result = dqnn.export(tmp_path / "m.h5")
    x = np.random.default_rng(1).integers(-256, 256, (4, 8, 8, 3)).astype(np.float32) / 128
    found, wanted = dqnn.Interpreter(result.blob).predict(x), model.predict(x, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=0 if how == "nearest" else 1e-6)
    if how == "nearest":
        assert not result.report.fallbacks
        assert all("f32" not in node.kernel.rsplit("_", 1)[0] for node in result.report.nodes)
    else:
        (fallback,) = result.report.fallbacks
        assert fallback.layers == ("resize",) and "bilinear" in fallback.reason and "nearest" in fallback.remedy


@pytest.mark.tf
@pytest.mark.parametrize(("old", "new"), [(8, 5), (5, 8), (7, 3), (3, 100), (224, 96), (96, 224)])
def test_matrices_are_tensorflows(old: int, new: int) -> None:
    import tensorflow as tf

    cells = tf.eye(old)[None, :, :, None]
    for how, matrix in (("nearest", nearest(old, new)), ("bilinear", bilinear(old, new))):
        wanted = np.asarray(tf.image.resize(cells, (new, old), method=how))[0, :, :, 0]
        np.testing.assert_allclose(matrix, wanted, atol=1e-7, err_msg=how)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (layer("UpSampling2D", "u", size=[2, 2], interpolation="bicubic"), "'bicubic'"),
        (layer("Resizing", "u", height=4, width=4, interpolation="area"), "'area'"),
        (layer("Resizing", "u", height=4, width=4, crop_to_aspect_ratio=True), "crop_to_aspect_ratio"),
        (layer("Resizing", "u", height=4, width=4, antialias=True), "antialias"),
        (layer("Resizing", "u", height=0, width=4), "sizes of 1"),
        (layer("Resizing", "u", height=10**6, width=10**6), "at most"),
    ],
    ids=["bicubic", "area", "aspect", "antialias", "empty", "huge"],
)
def test_refused(entry: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        load(write_h5(tmp_path / "m.h5", sequential(input_layer(8, 8, 3), entry)))
    (problem,) = caught.value.problems
    assert text in str(problem)
