"""DeployReport: in a training with Keras, and on its own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dqnn
from dqnn.exporter.errors import DqnnError, ExportError
from dqnn.exporter.targets.boards import TargetError

TINY = 'name = "tiny"\ncore = "cortex-m0"\nclock_hz = 1000\nflash_bytes = 1024\nram_bytes = 512\n'


def binary_model() -> Any:
    larq = pytest.importorskip("larq")
    import tensorflow as tf

    return tf.keras.Sequential(
        [
            tf.keras.layers.Input((8,)),
            larq.layers.QuantDense(16, kernel_quantizer="ste_sign", use_bias=False),
            tf.keras.layers.BatchNormalization(),
            larq.layers.QuantDense(3, input_quantizer="ste_sign", kernel_quantizer="ste_sign", use_bias=False),
            tf.keras.layers.BatchNormalization(),
            tf.keras.layers.Softmax(),
        ]
    )


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 8)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1)


@pytest.mark.tf
def test_history_has_what_the_device_would_do() -> None:
    x, y = data()
    model = binary_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stream = io.StringIO()
    report = dqnn.callbacks.DeployReport((x, y), stream=stream)
    history = model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[report]).history
    blob = dqnn.export(model).blob
    assert history["dqnn_file_bytes"][-1] == len(blob) and len(history["dqnn_file_bytes"]) == 2
    assert history["dqnn_accuracy"][-1] == pytest.approx(history["val_accuracy"][-1])
    assert history["dqnn_fallbacks"] == [0, 0] and history["dqnn_ram_bytes"][0] > 0
    assert [r["epoch"] for r in report.reports] == [0, 1]
    assert stream.getvalue().count("dqnn: ") == 2 and report.analysis is not None
    assert "<table>" in report.analysis._repr_html_()


@pytest.mark.tf
def test_tf_keras_takes_it_too() -> None:
    tf_keras = pytest.importorskip("tf_keras")
    x, y = data()
    model = tf_keras.Sequential([tf_keras.layers.Input((8,)), tf_keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    report = dqnn.callbacks.DeployReport((x, y), stream=None)
    history = model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[report]).history
    assert history["dqnn_accuracy"] == pytest.approx(history["val_accuracy"])


@pytest.mark.tf
def test_every_and_the_last_epoch() -> None:
    x, y = data()
    model = binary_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    report = dqnn.callbacks.DeployReport(every=3, stream=None)
    model.fit(x, y, epochs=4, verbose=0, callbacks=[report])
    assert [r["epoch"] for r in report.reports] == [2, 3] and "accuracy" not in report.reports[0]


@pytest.mark.tf
def test_a_model_that_cannot_be_exported_is_known_before_the_first_epoch() -> None:
    import tensorflow as tf

    x, y = data()
    model = tf.keras.Sequential(
        [tf.keras.layers.Input((8,)), tf.keras.layers.Reshape((8, 1)), tf.keras.layers.LSTM(3, name="memory")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ExportError, match="memory"):
        model.fit(x, y, verbose=0, callbacks=[dqnn.callbacks.DeployReport()])
    assert not model.history.history
    with pytest.warns(UserWarning, match="memory"):
        model.fit(x, y, verbose=0, callbacks=[dqnn.callbacks.DeployReport(on_error="warn")])


# --- without TensorFlow -----------------------------------------------------------------------------------------------


def trained(digits: Path, **options: Any) -> Any:
    """The callback as Keras drives it, on a graph that stands for the model in memory."""
    from dqnn.exporter.api import load_graph

    report = dqnn.callbacks.DeployReport(**options)
    report.set_params({"epochs": 1})
    report.set_model(load_graph(digits / "digits_larq.h5"))
    report.on_train_begin()
    report.on_train_batch_end(0, {})
    logs: dict[str, Any] = {}
    report.on_epoch_end(0, logs)
    report.on_train_end()
    return report, logs


def test_figures(digits: Path) -> None:
    with np.load(digits / "digits_test.npz") as file:
        x, y, keras = file["x"][:50], file["y"][:50], file["keras_larq"][:50]
    stream = io.StringIO()
    report, logs = trained(digits, validation_data=(x, y), stream=stream)
    assert logs["dqnn_accuracy"] == np.mean(keras.argmax(axis=1) == y)
    assert logs["dqnn_file_bytes"] == len(dqnn.export(digits / "digits_larq.h5").blob)
    assert set(logs) == {f"dqnn_{name}" for name in report.reports[0] if name != "epoch"}
    assert f"accuracy {logs['dqnn_accuracy']:.4f}" in stream.getvalue()


def test_a_board_that_is_too_small_warns(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    with pytest.warns(UserWarning, match="does not fit tiny"):
        trained(digits, target=str(tmp_path / "tiny.toml"), stream=None)
    trained(digits, target="stm32f746", stream=None)


class Batches:
    """What a tf.data.Dataset is to the callback."""

    def __init__(self, *batches: object) -> None:
        self.batches = batches

    def as_numpy_iterator(self) -> Iterator[object]:
        return iter(self.batches)


def test_validation_data_as_fit_takes_it(digits: Path) -> None:
    with np.load(digits / "digits_test.npz") as file:
        x, y = file["x"][:50], file["y"][:50]
    _, pair = trained(digits, validation_data=(x, y), stream=None)
    for data in (
        [x, y],
        (x, y, np.ones(50)),
        Batches((x[:32], y[:32]), (x[32:], y[32:])),
        Batches(({"quant_conv2d_input": x}, y, np.ones(50))),
    ):
        _, logs = trained(digits, validation_data=data, stream=None)
        assert logs["dqnn_accuracy"] == pair["dqnn_accuracy"]


@pytest.mark.parametrize("data", [np.zeros(400), (1,), (1, 2, 3, 4), Batches(), Batches(np.zeros(3))])
def test_validation_data_of_another_kind(data: object) -> None:
    with pytest.raises(ValueError, match=r"validation_data is a .*; accepted: .*\(x, y\)"):
        dqnn.callbacks.DeployReport(data)


@pytest.mark.tf
def test_a_dataset() -> None:
    import tensorflow as tf

    x, y = data()
    model = binary_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(7)
    report = dqnn.callbacks.DeployReport(batches, stream=None)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[report])
    assert "accuracy" in report.reports[0]


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="every is 0"):
        dqnn.callbacks.DeployReport(every=0)
    with pytest.raises(ValueError, match="on_error"):
        dqnn.callbacks.DeployReport(on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(TargetError, match="no target is named 'arduino-of-dreams'"):
        dqnn.callbacks.DeployReport(target="arduino-of-dreams")
    assert issubclass(TargetError, DqnnError)
