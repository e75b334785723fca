"""What people met with files of their own, each as it was found: saved, exported, run, compared with Keras."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from frontends.keras.keras_models import randomize

import dqnn
from dqnn.exporter.errors import ExportError

pytestmark = pytest.mark.tf


def samples(model: Any, count: int = 16) -> Any:
    """Multiples of 1/128, which quantizers of 8 bits keep."""
    codes = np.random.default_rng(1).integers(-128, 128, (count, *model.input_shape[1:]))
    return (codes / 128).astype(np.float32)


def agrees(source: Any, model: Any, tolerance: float = 1e-5) -> Any:
    """Exports `source` and compares the C code with Keras on `model`; gives the export's result."""
    x = samples(model)
    result = dqnn.export(source)
    found, wanted = dqnn.Interpreter(result.blob).predict(x), np.asarray(model(x, training=False))
    np.testing.assert_allclose(found, wanted, atol=tolerance * max(1.0, float(np.abs(wanted).max())))
    return result


def convolutional(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([layers.Conv2D(3, 2, activation="relu"), layers.Conv2D(4, 1)], name="inner")
    entries = [layers.Input((8, 8, 2)), layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(5, 1), inner]
    return randomize(keras.Sequential([*entries, layers.Flatten(), layers.Dense(6), layers.Dense(3)]))


def rewritten(source: Path, target: Path, change: Callable[[h5py.File], None]) -> Path:
    """A `.keras` archive with its HDF5 file changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "model.weights.h5":
                content = io.BytesIO(data)
                with h5py.File(content, "r+") as file:
                    change(file)
                data = content.getvalue()
            new.writestr(name, data)
    return target


def test_keras_213_214_archive(tmp_path: Path) -> None:
    """These versions keep the layers under another name, and count a layer with weights twice."""
    import tensorflow as tf

    def older(group: Any) -> None:
        for name in list(group):
            if f"{name}/layers" in group:
                older(group[f"{name}/layers"])
                group.move(f"{name}/layers", f"{name}/_layer_checkpoint_dependencies")
        for name in sorted(group, key=lambda name: -len(name)):
            kind, _, number = name.rpartition("_")
            if number.isdigit():
                group.move(name, f"{kind}_{2 * int(number)}")

    def change(file: h5py.File) -> None:
        older(file["layers"])
        file.move("layers", "_layer_checkpoint_dependencies")

    model = convolutional(tf.keras)
    model.save(tmp_path / "now.keras")
    agrees(rewritten(tmp_path / "now.keras", tmp_path / "then.keras", change), model)


def test_keras_windows_archive(tmp_path: Path) -> None:
    """Windows writes `layers\\name`, backslash included, as one group's name."""
    import tensorflow as tf

    def change(file: h5py.File) -> None:
        names: list[str] = []
        file.visit(lambda name: names.append(name) if name.endswith("/vars") else None)
        for name in names:
            file.move(name, name.removesuffix("/vars").replace("/", "\\") + "/vars")
        del file["layers"]

    model = convolutional(tf.keras)
    model.save(tmp_path / "unix.keras")
    agrees(rewritten(tmp_path / "unix.keras", tmp_path / "windows.keras", change), model)


def slashed(keras: Any, depth: int) -> Any:
    """Nested models (singly, doubly) of layers whose names hold slashes, some of them the ends of others."""
    layers = keras.layers
    x = image = layers.Input((8, 8, 2))
    for name in ("layer1/conv", "conv", "deep/layer1/conv"):
        x = layers.ReLU(name=f"{name}/relu")(
            layers.BatchNormalization(name=f"{name}/bn")(layers.Conv2D(4, 1, name=name)(x))
        )
    inner = keras.Model(image, x, name="backbone")
    if depth == 2:
        image = layers.Input((8, 8, 2))
        inner = keras.Model(image, layers.Conv2D(3, 2, name="layer2/conv")(inner(image)), name="outer/part")
    head = [layers.Conv2D(2, 1, name="head/layer1/conv"), layers.GlobalAveragePooling2D(), layers.Dense(3, name="a/b")]
    return randomize(keras.Sequential([inner, *head]))


@pytest.mark.parametrize("form", ["h5", "keras"])
@pytest.mark.parametrize("depth", [1, 2])
def test_nested_h5_slash_names(depth: int, form: str, tmp_path: Path) -> None:
    import tensorflow as tf

    model = slashed(tf.keras, depth)
    model.save(tmp_path / f"m.{form}")
    agrees(tmp_path / f"m.{form}", model)


def test_qkeras_git_post_training_scale(tmp_path: Path) -> None:
    """A null in every quantizer object is the only difference in many files of QKeras' repository."""
    import qkeras
    import tensorflow as tf

    x = image = tf.keras.Input((10,))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    x = qkeras.QDense(8, kernel_quantizer=qkeras.quantized_bits(4, 0, alpha=1))(x)
    model = randomize(tf.keras.Model(image, qkeras.QActivation(qkeras.quantized_hswish(8, 2, alpha=1))(x)))
    model.save(tmp_path / "m.h5")
    before = dqnn.export(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        config, count = re.subn(r'("alpha": 1[.0]*,)', r'\1 "post_training_scale": null,', file.attrs["model_config"])
        assert count
        file.attrs["model_config"] = config
    assert agrees(tmp_path / "m.h5", model, 2.0**-5).blob == before.blob


@pytest.mark.parametrize("text", ["quantized_bits(20, 5)", "quantized_relu(10, 2)", "quantized_relu(16, 6)"])
@pytest.mark.parametrize("softmax", [True, False])
def test_quantizer_over_8_bits(text: str, softmax: bool, tmp_path: Path) -> None:
    """Free in front of a softmax, which takes f32 anyway; in front of a layer a fallback with its name."""
    import qkeras
    import tensorflow as tf

    x = image = tf.keras.Input((16,))
    eight = qkeras.quantized_bits(8, 0, alpha=1)
    x = qkeras.QDense(8, kernel_quantizer=eight, bias_quantizer=eight)(qkeras.QActivation(eight)(x))
    x = qkeras.QActivation(text, name="wide")(x)
    x = tf.keras.layers.Activation("softmax")(x) if softmax else qkeras.QDense(3, kernel_quantizer=eight)(x)
    model = randomize(tf.keras.Model(image, x))
    model.save(tmp_path / "m.h5")
    result = agrees(tmp_path / "m.h5", model, 1e-6)
    if softmax:
        assert not result.report.fallbacks
        assert any("grid" in note.decision for note in result.report.decisions)
    else:
        (fallback,) = result.report.fallbacks
        assert fallback.layers == ("wide",) and "levels do not fit 8 bits" in fallback.reason


def test_the_wide_grid_is_exact(tmp_path: Path) -> None:
    """The values themselves, ties included: every one as Keras has it."""
    import qkeras
    import tensorflow as tf

    image = tf.keras.Input((4096,))
    model = tf.keras.Model(image, qkeras.QActivation("quantized_bits(12, 1, alpha=1)")(image))
    model.save(tmp_path / "m.h5")
    x = (np.random.default_rng(2).integers(-(2**15), 2**15, (4, 4096)) / 2.0**13).astype(np.float32)
    found = dqnn.Interpreter(dqnn.export(tmp_path / "m.h5").blob).predict(x)
    np.testing.assert_array_equal(found, np.asarray(model(x)))


def test_stochastic_rounding(tmp_path: Path) -> None:
    """It matters only while training; both models give the same file."""
    import qkeras
    import tensorflow as tf

    blobs = []
    for stochastic in (False, True):
        x = image = tf.keras.Input((16,), name="x")
        kernel = qkeras.quantized_bits(8, 1, alpha=1, use_stochastic_rounding=stochastic)
        x = qkeras.QDense(8, kernel_quantizer=kernel, name="d")(x)
        relu = qkeras.quantized_relu(8, 1, use_stochastic_rounding=stochastic)
        model = randomize(tf.keras.Model(image, qkeras.QActivation(relu, name="r")(x), name="m"))
        model.save(tmp_path / "m.h5")
        blobs.append(agrees(tmp_path / "m.h5", model).blob)
    assert blobs[0] == blobs[1]


def test_one_bit_kernel_with_the_default_alpha(tmp_path: Path) -> None:
    """QKeras' own answer is a kernel of zeros: the file computes the bias, and the report says so."""
    import qkeras
    import tensorflow as tf

    image = tf.keras.Input((16,))
    layer = qkeras.QDense(8, kernel_quantizer=qkeras.quantized_bits(1, 0, 1), name="zeros")
    model = randomize(tf.keras.Model(image, layer(qkeras.QActivation("binary(alpha=1)")(image))))
    model.save(tmp_path / "m.h5")
    result = agrees(tmp_path / "m.h5", model)
    assert any(note.layers == ("zeros",) and "all zeros" in note.decision for note in result.report.decisions)


def test_tf_reshape_message(tmp_path: Path) -> None:
    """A reshape to a size that tf.shape computes: one line about tf.shape, nothing of Python's."""
    import tensorflow as tf

    layers = tf.keras.layers
    image = layers.Input((8, 8, 2))
    x = layers.Conv2D(4, 3)(image)
    model = tf.keras.Model(image, layers.Dense(3)(tf.reshape(x, (tf.shape(x)[0], 144))))
    model.save(tmp_path / "m.h5")
    with pytest.raises(ExportError) as caught:
        dqnn.export(tmp_path / "m.h5")
    text = str(caught.value)
    assert (
        "tf.compat.v1.shape" in text
        and "int()" not in text
        and "Error" not in text
        and "Save the model again" not in text
    )
    assert len(text) < 900
