"""The files of examples/digits are what their page says, and the C example computes what the Python package
computes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

MODELS = ("larq", "qkeras")


def weight_shapes(path: Path) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    with h5py.File(path) as file:
        file["model_weights"].visititems(
            lambda _, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None
        )
    return shapes


def test_larq_model_has_the_published_parameter_count(digits: Path) -> None:
    """Batch normalization without scale stores three values a channel and counts as two, a scale and a bias."""
    shapes = weight_shapes(digits / "digits_larq.h5")
    weights = sum(int(np.prod(shape)) for shape in shapes if len(shape) > 1)
    normalizations = sum(shape[0] for shape in shapes if len(shape) == 1)
    assert weights == 93_088
    assert weights + normalizations * 2 // 3 == 93_556


def test_committed_files_stay_small(digits: Path) -> None:
    assert sum(path.stat().st_size for path in digits.iterdir() if path.is_file()) < 3_000_000


@pytest.mark.parametrize("name", MODELS)
def test_keras_reaches_98_percent(digits: Path, name: str) -> None:
    data = np.load(digits / "digits_test.npz")
    assert data["x"].shape == (500, 28, 28, 1)
    assert data["x"].dtype == np.float32
    assert np.mean(data[f"keras_{name}"].argmax(axis=1) == data["y"]) >= 0.98


def test_pixels_are_exact_in_int8(digits: Path) -> None:
    """The float sums of the first layer are then exact, in whatever order they are taken."""
    codes = np.load(digits / "digits_test.npz")["x"] * 128
    assert np.array_equal(codes, np.clip(np.rint(codes), -128, 127))


@pytest.mark.tf
def test_stored_outputs_are_what_keras_computes(digits: Path) -> None:
    import larq  # noqa: F401  (registers its layers)
    import tensorflow as tf

    data = np.load(digits / "digits_test.npz")
    model = tf.keras.models.load_model(digits / "digits_larq.h5", compile=False)
    np.testing.assert_allclose(model.predict(data["x"], verbose=0), data["keras_larq"], rtol=1e-5, atol=1e-7)


def test_c_example_equals_python(repo: Path, digits: Path, tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    from dqnn import Interpreter, export

    cmake = require_tool("cmake")
    subprocess.run([cmake, "-S", repo / "examples" / "c", "-B", tmp_path / "build"], check=True, capture_output=True)
    subprocess.run([cmake, "--build", tmp_path / "build"], check=True, capture_output=True)

    model = tmp_path / "model.dqnn"
    export(digits / "digits_larq.h5", model)
    x = np.load(digits / "digits_test.npz")["x"][0]
    program = tmp_path / "build" / "classify"
    printed = subprocess.run([program, model], input=x.tobytes(), check=True, capture_output=True).stdout.decode()
    values = np.array([np.float32(line.split()[1]) for line in printed.splitlines()])
    assert np.array_equal(values, Interpreter(model).predict(x[np.newaxis])[0])


def test_figures_in_readme_are_those_of_today(repo: Path, digits: Path) -> None:
    """File and arena of both models stand in README's table; `tools/demo.py --update-readme` writes it anew."""
    from dqnn import Interpreter, export

    page = (repo / "README.md").read_text(encoding="utf-8")
    models = [Interpreter(export(digits / f"digits_{name}.h5").blob) for name in MODELS]
    for label, values in (
        ("file", [model.file_bytes for model in models]),
        ("arena (activations, input, output)", [model.arena_bytes for model in models]),
    ):
        row = next(line for line in page.splitlines() if line.startswith(f"│ {label} "))
        assert figures(row) == values
    for label, value in (("model in flash", models[0].file_bytes), ("activations", models[0].arena_bytes)):
        row = next(line for line in page.splitlines() if line.startswith(f"| {label} |"))
        assert figures(row)[0] == value


def figures(row: str) -> list[int]:
    return [int(figure.replace(",", "")) for figure in re.findall(r"([\d,]+) B", row)]
