"""`model.json` with a file of weights: both of Keras' forms of weights, nested models, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from frontends.keras.handmade import input_layer, layer, sequential, write_h5, write_keras
from frontends.keras.keras_models import agrees, randomize

import dqnn
from dqnn.exporter.cli import main
from dqnn.exporter.errors import UnreadableModel
from dqnn.exporter.frontends import load

MODEL = sequential(input_layer(2), layer("Dense", "d", units=2, use_bias=False))
KERNEL = np.float32([[1, 2], [3, 4]])


@pytest.fixture
def description(tmp_path: Path) -> Path:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(MODEL | {"keras_version": "2.15.0"}))
    return path


def weights_only(path: Path) -> Path:
    """What save_weights wrote to a .h5 file before Keras 3: the layers at the root."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"d"]
        group = file.create_group("d")
        group.attrs["weight_names"] = [b"d/kernel:0"]
        group["d/kernel:0"] = KERNEL
    return path


def kernel_of(*sources: Any) -> Any:
    return load(*sources).nodes[0].op.weights.codes.T


def test_every_form_of_weights(description: Path, tmp_path: Path) -> None:
    files = [
        weights_only(tmp_path / "weights.h5"),
        write_h5(tmp_path / "whole.h5", MODEL, {"d": [("d/kernel:0", KERNEL)]}),
        write_keras(tmp_path / "whole.keras", MODEL, {"layers/dense": [KERNEL]}),
    ]
    for path in files:
        np.testing.assert_array_equal(kernel_of(description, path), KERNEL)


def test_text_in_text(tmp_path: Path) -> None:
    """json.dump(model.to_json(), file) wraps the text once more."""
    (tmp_path / "model.json").write_text(json.dumps(json.dumps(MODEL)))
    np.testing.assert_array_equal(kernel_of(tmp_path / "model.json", weights_only(tmp_path / "w.h5")), KERNEL)


def test_versions(tmp_path: Path) -> None:
    """Keras 3 does not write its own into the text; its hard sigmoid is another."""
    model = sequential(input_layer(2), layer("Activation", "a", activation="hard_sigmoid"))
    weights = weights_only(tmp_path / "w.h5")
    kinds = {}
    for name, extra in (("2", {"keras_version": "2.15.0", "module": "keras"}), ("3", {"module": "keras"}), ("old", {})):
        (tmp_path / f"{name}.json").write_text(json.dumps(model | extra))
        kinds[name] = len(load(tmp_path / f"{name}.json", weights).nodes)
    assert kinds == {"2": 1, "3": 2, "old": 1}


@pytest.mark.damaged
def test_refused(description: Path, tmp_path: Path) -> None:
    weights = weights_only(tmp_path / "weights.h5")
    whole = write_h5(tmp_path / "whole.h5", MODEL, {"d": [("d/kernel:0", KERNEL)]})
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text('"[1, 2]"')
    (tmp_path / "empty").write_bytes(b"")
    cases: list[tuple[tuple[Any, ...], str]] = [
        ((description,), "--weights FILE"),
        ((weights,), f"dqnn-export model.json --weights {weights}"),
        ((whole, weights), "only a .json takes a file of weights"),
        ((description, description), "no file of weights"),
        ((description, tmp_path / "absent.h5"), "No such file"),
        ((description, tmp_path / "empty"), "is empty"),
        ((description, tmp_path), "is a directory"),
        ((tmp_path / "broken.json", weights), "no JSON at line 1, column 2"),
        ((tmp_path / "list.json", weights), "no class_name"),
    ]
    for sources, text in cases:
        with pytest.raises(UnreadableModel) as caught:
            load(*sources)
        assert text in str(caught.value), str(caught.value)
        assert "\n" not in str(caught.value)


def test_on_the_command_line(description: Path, tmp_path: Path) -> None:
    weights = weights_only(tmp_path / "weights.h5")
    run = CliRunner().invoke(main, ["export", str(description), "--weights", str(weights)])
    assert run.exit_code == 0, run.output
    found = dqnn.Interpreter(tmp_path / "model.dqnn").predict(np.float32([[1, 1]]))
    np.testing.assert_array_equal(found, [[4, 6]])
    over = CliRunner().invoke(main, ["export", str(description), "--weights", str(weights), "-o", str(weights)])
    assert over.exit_code == 2 and "to be read" in over.stderr
    assert CliRunner().invoke(main, ["export", str(weights)]).exit_code == 2


@pytest.mark.tf
@pytest.mark.parametrize("file", ["w.h5", "m.weights.h5"])
def test_keras_own_files(file: str, tmp_path: Path) -> None:
    """Both forms that save_weights writes, of a nested model with a batch norm."""
    import tensorflow as tf

    layers = tf.keras.layers
    inner = tf.keras.Sequential([layers.Conv2D(3, 2, name="c"), layers.BatchNormalization()], name="inner")
    before = [layers.Input((6, 6, 2)), layers.Conv2D(4, 2, activation="relu")]
    model = randomize(tf.keras.Sequential([*before, inner, layers.Flatten(), layers.Dense(3)]))
    (tmp_path / "model.json").write_text(model.to_json())
    model.save_weights(tmp_path / file)
    agrees(model, load(tmp_path / "model.json", tmp_path / file))
