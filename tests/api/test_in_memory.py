"""Keras models in memory go the same way as files; several inputs and outputs reach the user under their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dqnn
from dqnn.exporter.blob import parse

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("tensorflow").keras


@pytest.mark.filterwarnings("ignore")
def test_memory_and_file_give_the_same_file(keras: Any, digits: Path) -> None:
    pytest.importorskip("larq")
    model = keras.models.load_model(digits / "digits_larq.h5")
    a, b = parse(dqnn.export(model).blob), parse(dqnn.export(digits / "digits_larq.h5").blob)
    assert (a.tensors, a.constants, a.nodes) == (b.tensors, b.constants, b.nodes)


@pytest.mark.filterwarnings("ignore")
def test_ports_keep_their_names(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    image, extra = layers.Input((6, 5, 3), name="image"), layers.Input((4,), name="extra")
    features = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    pooled = layers.GlobalAveragePooling2D(name="mean")(features)
    joined = layers.Concatenate(name="joined")([pooled, layers.Dense(3, name="side")(extra)])
    model = keras.Model([image, extra], [layers.Dense(2, name="first")(joined), features])
    model.save(tmp_path / "m.h5")
    interpreter = dqnn.Interpreter(dqnn.export(tmp_path / "m.h5").blob)
    assert [port.name for port in interpreter.inputs] == ["image", "extra"]
    assert len({port.name for port in interpreter.outputs}) == 2
    rng = np.random.default_rng(1)
    batch = {
        name: rng.normal(size=(5, *shape)).astype(np.float32) for name, shape in (("image", (6, 5, 3)), ("extra", (4,)))
    }
    ours = interpreter.predict(batch)
    assert isinstance(ours, dict)
    for got, want in zip(ours.values(), model(list(batch.values()), training=False), strict=True):
        np.testing.assert_allclose(got, np.asarray(want), rtol=1e-5, atol=1e-6)
