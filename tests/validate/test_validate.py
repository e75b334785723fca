"""A file against its original: figures, layers, limits, inputs, errors, targets, Keras."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from frontends.keras.handmade import input_layer, layer, sequential, write_h5
from passes.graph_builder import SIGN, Builder, binary_weights, rng_of

import dqnn
from dqnn.exporter.cli import main
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.types import S1
from dqnn.exporter.samples.arrays import SampleError
from dqnn.exporter.validate.command import validate_command
from dqnn.exporter.validate.originals import child, choice, keras
from dqnn.exporter.validate.originals.original import Kind, OriginalError

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def larq(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "larq.dqnn"
    dqnn.export(digits / "digits_larq.h5", target)
    return target


@pytest.fixture(scope="module")
def samples(digits: Path) -> dict[str, Any]:
    with np.load(digits / "digits_test.npz") as file:
        return {"x": file["x"][:40], "y": file["y"][:40], "keras": file["keras_larq"][:40]}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["validate", *(str(a) for a in arguments)])


def changed(source: Path, target: Path, layer: str) -> Path:
    """A copy of a .h5 model with the signs of one layer's kernel turned."""
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        names: list[str] = []
        file[f"model_weights/{layer}"].visit(names.append)
        kernel = file[f"model_weights/{layer}/{next(n for n in names if n.endswith('kernel:0'))}"]
        kernel[...] = -kernel[...]
    return target


def two_outputs() -> Any:
    """Two inputs, two outputs: a classifier and a single value."""
    rng = rng_of(3)
    graph = Builder((6,), (6,))
    both = graph.add(ops.Binary("add"), "x0", "x1")
    bits = graph.add(SIGN, both)
    scores = graph.add(ops.Dense(binary_weights(rng, 4, 6)), bits)
    single = graph.add(ops.Dense(ops.Weights("f32", rng.normal(size=(1, 6)).astype(np.float32))), both)
    return graph.graph(scores, single)


# --- the report -------------------------------------------------------------------------------------------------------


def test_rows_and_confusion(larq: Path, digits: Path, samples: dict[str, Any]) -> None:
    report = dqnn.validate(larq, digits / "digits_larq.h5", samples["x"], labels=samples["y"], original="evaluator")
    (output,) = report.outputs
    assert [name for name, _ in output.rows()] == [
        "C model against labels",
        "original against labels",
        "C model against original",
    ]
    predicted = dqnn.Interpreter(larq).predict(samples["x"])
    assert output.c_labels is not None and output.confusion is not None
    assert output.c_labels.acc == np.mean(predicted.argmax(axis=1) == samples["y"])
    assert output.cross.l2r < 1e-6 and output.cross.acc == 1 and output.differing_classes == 0
    assert output.confusion.sum() == 40 and np.trace(output.confusion) == round(40 * output.c_labels.acc)
    assert "evaluator" in report.original and report.samples == 40
    assert report._repr_html_().startswith("<pre>digits_larq")
    assert "100.00%" in str(report) and "labels \\ C model" in str(report)


def test_without_labels_there_is_one_row(larq: Path, digits: Path, samples: dict[str, Any]) -> None:
    report = dqnn.validate(larq.read_bytes(), digits / "digits_larq.h5", samples["x"], original="evaluator")
    assert [name for name, _ in report.outputs[0].rows()] == ["C model against original"]
    assert report.outputs[0].confusion_of == "original"


def test_several_inputs_and_outputs() -> None:
    graph = two_outputs()
    blob = dqnn.export(graph).blob
    rng = np.random.default_rng(1)
    inputs = {"x0": rng.normal(size=(9, 6)), "x1": rng.normal(size=(9, 6))}
    report = dqnn.validate(blob, graph, inputs, labels=[np.arange(9) % 4, rng.normal(size=9)], per_layer=True)
    classes, value = report.outputs
    assert classes.cross.l2r == 0 and classes.confusion is not None
    assert value.cross.acc is None and value.confusion is None and value.cross.l2r < 1e-6
    assert value.c_labels is not None
    assert [layer.inexact for layer in report.layers] == [0] * len(report.layers)
    assert "n.a." in str(report)
    again = dqnn.validate(blob, graph, [inputs["x0"], inputs["x1"]], labels=np.arange(9) % 4)
    assert again.outputs[0].rows()[0][1] == classes.rows()[0][1] and again.outputs[1].c_labels is None


# --- layers -----------------------------------------------------------------------------------------------------------


def test_every_layer_agrees(larq: Path, digits: Path, samples: dict[str, Any]) -> None:
    report = dqnn.validate(larq, digits / "digits_larq.h5", samples["x"][:4], original="evaluator", per_layer=True)
    assert len(report.layers) == len(dqnn.Interpreter(larq).nodes)
    assert [layer.inexact for layer in report.layers] == [0] * len(report.layers)
    assert report.first_differing is None and report.layers_note == ""
    assert sum(layer.l2r is not None for layer in report.layers) >= len(report.layers) - 1
    assert "every tensor agrees" in str(report)


def test_a_sign_in_front_of_a_flatten_is_the_one_behind_it(tmp_path: Path) -> None:
    """The exporter moves it; the values are those of the original, so they have a row, not a blank."""
    rng = rng_of(5)
    graph = Builder((4, 4, 32))
    flat = graph.add(ops.Reshape((512,)), graph.add(ops.Unary("relu"), "x0"))
    scores = graph.add(ops.Dense(binary_weights(rng, 6, 512)), graph.add(SIGN, flat))
    whole = graph.graph(scores)
    blob = dqnn.export(whole).blob
    report = dqnn.validate(blob, whole, rng.normal(size=(4, 4, 4, 32)).astype(np.float32), per_layer=True)
    signs = [layer for layer in report.layers if isinstance(layer.type.fmt, S1)]
    assert signs and all(layer.l2r == 0 and layer.differing == 0 for layer in signs)


@pytest.mark.parametrize("options", [{"io_dtype": "f32"}, {"constant_time": True}, {"requant": "tflite"}])
def test_export_options_are_found_out(digits: Path, samples: dict[str, Any], options: dict[str, Any]) -> None:
    source = digits / "digits_qkeras.h5"
    blob = dqnn.export(source, **options).blob
    report = dqnn.validate(blob, source, samples["x"][:2], original="evaluator", per_layer=True)
    assert report.layers_note == "" and all(layer.inexact == 0 for layer in report.layers)


def test_inputs_of_sensor_samples(digits: Path, samples: dict[str, Any]) -> None:
    source, scale, offset = digits / "digits_larq.h5", 1 / 128, -1.0
    pixels = np.rint((samples["x"][:6] - offset) / scale).astype(np.uint8)
    blob = dqnn.export(source, input_u8=(scale, offset)).blob
    raw = dqnn.validate(blob, source, pixels, original="evaluator", per_layer=True)
    real = dqnn.validate(blob, source, pixels * np.float32(scale) + offset, original="evaluator", per_layer=True)
    assert raw.outputs[0].cross == real.outputs[0].cross and raw.outputs[0].cross.l2r < 1e-6
    assert raw.layers_note == "" and [layer.inexact for layer in raw.layers] == [0] * len(raw.layers)
    assert raw.first_differing is None


def test_the_first_layer_that_differs_is_named(
    larq: Path, digits: Path, samples: dict[str, Any], tmp_path: Path
) -> None:
    other = changed(digits / "digits_larq.h5", tmp_path / "other.h5", "quant_conv2d_2")
    report = dqnn.validate(larq, other, samples["x"][:4], original="evaluator", per_layer=True)
    first = report.first_differing
    assert first is not None and first.name.startswith("quant_conv2d_2, ")
    assert all(not layer.differs for layer in report.layers[:2])
    assert "matched by name" in report.layers_note and "first layer that differs" in str(report)
    assert report.to_json()["first_differing_layer"] == first.name


# --- limits -----------------------------------------------------------------------------------------------------------


def test_limits(larq: Path, digits: Path, samples: dict[str, Any]) -> None:
    report = dqnn.validate(larq, digits / "digits_larq.h5", samples["x"], original="evaluator")
    assert report.failures(max_l2r=1e-3, min_acc=1.0) == []
    assert len(report.failures(max_l2r=0.0)) == 1
    value = dqnn.validate(
        dqnn.export(two_outputs()).blob, two_outputs(), {"x0": np.ones((2, 6)), "x1": np.ones((2, 6))}
    )
    assert "not a classifier" in value.failures(min_acc=0.1)[0]


def test_exit_codes(cli: Cli, larq: Path, digits: Path) -> None:
    common = (larq, "--against", digits / "digits_larq.h5", "--original", "evaluator")
    given = (*common, "--inputs", digits / "digits_test.npz", "--limit", 30, "--labels", "y")
    assert cli(*given, "--max-l2r", 1e-3, "--min-acc", 0.9).exit_code == 0
    failed = cli(*given, "--max-l2r", 0, "--min-acc", 1)
    assert failed.exit_code == 1 and "failed: activation: L2R" in failed.stderr
    assert cli(*given, "--min-acc", 2).exit_code == 2


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_json_html_and_random(cli: Cli, larq: Path, digits: Path) -> None:
    common = (larq, "--against", digits / "digits_larq.h5", "--original", "evaluator", "--per-layer")
    random = ("--random", 3, "--seed", 7, "--low", -1, "--high", 2)
    result = cli(*common, *random, "--json", "--html", "r.html")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["samples"] == 3 and report["outputs"][0]["rows"]["C model against original"]["acc"] == 1
    assert json.loads(cli(*common, *random, "--json").stdout) == report
    page = Path("r.html").read_text()
    assert "C / original" in page and "NSE" in page and "evaluator" in page
    assert "3 samples on host" in cli(*common, *random).stdout


def test_csv_and_npy(cli: Cli, larq: Path, digits: Path, samples: dict[str, Any], tmp_path: Path) -> None:
    x = samples["x"][:5]
    np.save(tmp_path / "x.npy", x)
    rows = "\n".join(",".join(f"{v:.9g}" for v in row) for row in x.reshape(5, -1))
    (tmp_path / "x.csv").write_text(rows + "\n")
    header = ",".join(f"p{i}" for i in range(784))
    (tmp_path / "named.csv").write_text(f"{header}\n{rows}\n")
    (tmp_path / "y.csv").write_text("label\n" + "\n".join(str(v) for v in samples["y"][:5]))
    common = (larq, "--against", digits / "digits_larq.h5", "--original", "evaluator", "--json")
    reports = [
        json.loads(cli(*common, "--inputs", name, "--labels", "y.csv").stdout)
        for name in ("x.npy", "x.csv", "named.csv")
    ]
    assert reports[0] == reports[1] == reports[2]
    assert "C model against labels" in reports[0]["outputs"][0]["rows"]


def test_flat_inputs_are_reshaped(larq: Path, digits: Path, samples: dict[str, Any]) -> None:
    flat = samples["x"][:3].reshape(3, 28, 28)
    report = dqnn.validate(larq, digits / "digits_larq.h5", flat, original="evaluator")
    assert report.samples == 3


def test_what_saturates_is_told(cli: Cli, digits: Path, samples: dict[str, Any], tmp_path: Path) -> None:
    original, x = digits / "digits_qkeras.h5", samples["x"]  # its input is s8: -1 to 0.992
    dqnn.export(original, tmp_path / "q.dqnn")
    np.savez(tmp_path / "x.npz", x=255 * x)
    text = " ".join(cli("q.dqnn", "--against", original, "--inputs", "x.npz", "--original", "evaluator").output.split())
    assert "input input_1: values -255 to" in text and "; it represents -1 to 0.9922: " in text and "% saturate" in text
    (found,) = dqnn.validate(tmp_path / "q.dqnn", original, x, original="evaluator").inputs
    assert found.saturated == 0 and not found.is_alarming
    with pytest.raises(SampleError, match=r"got uint8 values 0 to 254, but it represents -1 to 0\.9922"):
        dqnn.validate(tmp_path / "q.dqnn", original, (127.5 * (x + 1)).astype(np.uint8))


def test_progress(larq: Path, digits: Path, samples: dict[str, Any]) -> None:
    told: list[tuple[str, int, int]] = []
    dqnn.validate(
        larq, digits / "digits_larq.h5", samples["x"][:4], original="evaluator", per_layer=True,
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert {step[0] for step in told} == {"C model on host", "original", "layers"}
    assert all(done <= total for _, done, total in told)
    assert ("original", 4, 4) in told and ("C model on host", 4, 4) in told


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "labels", "text"),
    [
        (np.zeros((2, 28, 27, 1)), None, "expected"),
        (np.zeros((0, 28, 28, 1)), None, "at least one"),
        (np.float32(1), None, "at least one"),
        (np.where(np.arange(2 * 784) == 800, np.nan, 0.0).reshape(2, 28, 28, 1), None, "NaN in 1 of 2 samples"),
        ({"z": np.zeros((2, 28, 28, 1))}, None, "no array for input"),
        (np.array([["a"] * 784]), None, "not numbers"),
        (np.zeros((2, 28, 28, 1)), [1, 2, 3], "3 labels for 2"),
        (np.zeros((2, 28, 28, 1)), [], "0 labels for 2"),
        (np.zeros((2, 28, 28, 1)), [1, 12], "expected classes 0 to 9"),
        (np.zeros((2, 28, 28, 1)), [np.zeros(2), np.zeros(2)], "2 arrays of labels for 1"),
    ],
)
def test_wrong_inputs(larq: Path, digits: Path, inputs: Any, labels: Any, text: str) -> None:
    with pytest.raises(SampleError, match=text):
        dqnn.validate(larq, digits / "digits_larq.h5", inputs, labels=labels, original="evaluator")


def test_another_model(larq: Path) -> None:
    graph = two_outputs()
    with pytest.raises(SampleError, match="is it the same model"):
        dqnn.validate(larq, graph, np.zeros((2, 28, 28, 1)))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("{larq}", "--against", "{h5}"), "give either --inputs FILE or --random N"),
        (("{larq}", "--against", "{h5}", "--random", "2", "--inputs", "{npz}"), "give either"),
        (("{larq}", "--against", "{h5}", "--random", "2", "--low", "2"), "range is empty"),
        (("{larq}", "--against", "none.h5", "--random", "2"), "no such file"),
        (("{larq}", "--against", "{npz}", "--random", "2", "--original", "evaluator"), "accepted"),
        (("none.dqnn", "--against", "{h5}", "--random", "2"), "no such file"),
        (("{h5}", "--against", "{h5}", "--random", "2"), "error"),
        (("{larq}", "--against", "{h5}", "--inputs", "none.npz"), "no such file"),
        (("{larq}", "--against", "{h5}", "--inputs", "none.csv"), "none.csv"),
        (("{larq}", "--against", "{h5}", "--inputs", "bad.csv"), "rows of 1 to 2 columns"),
        (("{larq}", "--against", "{h5}", "--inputs", "narrow.csv"), "784 of"),
        (("{larq}", "--against", "{h5}", "--inputs", "words.csv"), "could not convert"),
        (("{larq}", "--against", "{h5}", "--inputs", "number.npy"), "a lone number for quant_conv2d_input"),
        (("{larq}", "--against", "{h5}", "--random", "2", "--html", "no/report.html"), "make it first"),
        (("{larq}", "--against", "{h5}", "--random", "2", "--bench", "cortex-m4"), "--html report"),
        (("{larq}", "--against", "{h5}", "--random", "2", "--labels", "q"), "has no array 'q'"),
        (("{larq}", "--against", "{h5}", "--random", "2", "--target", "qemu:none"), "no target is named"),
    ],
)
def test_refusals(cli: Cli, larq: Path, digits: Path, tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    (tmp_path / "bad.csv").write_text("1\n1,2\n")
    (tmp_path / "narrow.csv").write_text("1,2\n1,2\n")
    (tmp_path / "words.csv").write_text("a,b\n1,x\n")
    np.save(tmp_path / "number.npy", np.float32(1))
    places = {"larq": larq, "h5": digits / "digits_larq.h5", "npz": digits / "digits_test.npz"}
    result = cli(*(argument.format(**places) for argument in arguments))
    assert result.exit_code == 2 and text in result.stderr, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_the_option_takes_every_original() -> None:
    [option] = [o for o in validate_command.params if o.name == "original"]
    assert isinstance(option.type, click.Choice) and tuple(option.type.choices) == get_args(Kind)


def test_keras_is_insisted_on(larq: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OriginalError, match=r"dqnn\[keras\]"):
        dqnn.validate(larq, digits / "digits_larq.h5", np.zeros((1, 28, 28, 1)), original="keras")
    report = dqnn.validate(larq, digits / "digits_larq.h5", np.zeros((1, 28, 28, 1)))
    assert "no TensorFlow here" in report.original


def test_what_keras_says_is_repeated(larq: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'ValueError: no such layer' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(fake))
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: object())
    report = dqnn.validate(larq, digits / "digits_larq.h5", np.zeros((1, 28, 28, 1)))
    assert "no such layer" in report.original and "evaluator" in report.original
    with pytest.raises(OriginalError, match="no such layer"):
        dqnn.validate(larq, digits / "digits_larq.h5", np.zeros((1, 28, 28, 1)), original="keras")


def fake_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Keras that leaves a file behind when it is asked."""
    asked, fake = tmp_path / "asked", tmp_path / "python"
    fake.write_text(f"#!/bin/sh\ntouch {asked}\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(fake))
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: object())
    return asked


LAMBDA = layer("Lambda", "l", function={"class_name": "__lambda__", "config": {"code": "4wAA", "defaults": None}})
STRAY = layer("Lambda", "stray") | {"name": "stray", "inbound_nodes": []}
MODULE = layer("Dense", "d", units=2, kernel_initializer={"module": "os.path", "class_name": "X", "config": {}})


def code_h5(path: Path, *layers: Any, functional: bool = False) -> Path:
    """x -> Dense d, and what else is given."""
    dense = layers[0] if len(layers) == 1 and layers[0]["class_name"] == "Dense" else layer("Dense", "d", units=2)
    entries = [input_layer(2), dense, *(entry for entry in layers if entry is not dense)]
    model = sequential(*entries)
    if functional:
        entries[0] |= {"name": "x", "inbound_nodes": []}
        entries[1] |= {"name": "d", "inbound_nodes": [[["x", 0, 0, {}]]]}
        ends = {"input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]}
        model = {"class_name": "Functional", "config": {"name": "m", "layers": entries, **ends}}
    return write_h5(path, model, {"d": [("d/kernel:0", np.eye(2)), ("d/bias:0", np.zeros(2))]})


def test_keras_is_not_asked_for_refused_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_keras(tmp_path, monkeypatch)
    blob = dqnn.export(code_h5(tmp_path / "clean.h5")).blob
    source = code_h5(tmp_path / "m.h5", LAMBDA)
    with pytest.raises(dqnn.ExportError, match="Code in a file is never run") as caught:
        dqnn.validate(blob, source, np.zeros((1, 2)))
    assert "--original keras" in str(caught.value) and not asked.exists()
    with pytest.raises(OriginalError):
        dqnn.validate(blob, source, np.zeros((1, 2)), original="keras")
    assert asked.exists()


@pytest.mark.parametrize(
    ("entry", "functional", "text"),
    [(STRAY, True, "code of a Lambda"), (MODULE, False, "code of the module os.path")],
    ids=["a layer that is not called", "an initializer"],
)
def test_keras_is_not_asked_for_code_that_we_skip(
    entry: Any, functional: bool, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras makes every object of a configuration, also those that export does not need."""
    asked = fake_keras(tmp_path, monkeypatch)
    source = code_h5(tmp_path / "m.h5", entry, functional=functional)
    report = dqnn.validate(dqnn.export(source).blob, source, np.ones((1, 2)))
    assert text in report.original and "evaluator" in report.original and not asked.exists()


def test_keras_is_not_asked_for_models_of_other_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outermost class may be of another module, too."""
    asked = fake_keras(tmp_path, monkeypatch)
    model = sequential(input_layer(2), layer("ReLU", "r")) | {"module": "elsewhere"}
    source = write_h5(tmp_path / "m.h5", model)
    report = dqnn.validate(dqnn.export(source).blob, source, np.ones((1, 2)))
    assert "module elsewhere" in report.original and not asked.exists()


@pytest.mark.tf
def test_a_lambda_of_a_file_is_not_run(tmp_path: Path) -> None:
    """In earnest: the Lambda leaves a file behind when it is called."""
    import tensorflow as tf

    touched = str(tmp_path / "touched")
    code = tf.keras.layers.Lambda(lambda x, path=touched: (open(path, "w").close(), x)[1])  # noqa: PTH123
    tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(2), code]).save(tmp_path / "m.h5")
    Path(touched).unlink()  # Keras called it to find the output's shape
    blob = dqnn.export(code_h5(tmp_path / "clean.h5")).blob
    with pytest.raises(dqnn.ExportError):
        dqnn.validate(blob, tmp_path / "m.h5", np.zeros((1, 2)))
    assert not Path(touched).exists()
    dqnn.validate(blob, tmp_path / "m.h5", np.zeros((1, 2)), original="keras")
    assert Path(touched).exists()


def test_a_load_that_hangs_is_given_up(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(fake))
    original = keras.keras_file(digits / "digits_larq.h5", load_seconds=0.3)
    with pytest.raises(OriginalError, match="did not finish loading"):
        original.run([np.zeros((1, 28, 28, 1))], lambda done: None)


def test_help_names_every_option(cli: Cli) -> None:
    text = cli("--help").stdout
    for option in ("--against", "--random", "--per-layer", "--max-l2r", "--min-acc", "--html", "--target", "--labels"):
        assert option in text
    assert isinstance(main, click.Group)


# --- elsewhere --------------------------------------------------------------------------------------------------------


@pytest.mark.qemu
def test_on_an_emulated_board(larq: Path, digits: Path, samples: dict[str, Any]) -> None:
    host = dqnn.validate(larq, digits / "digits_larq.h5", samples["x"][:6], original="evaluator")
    board = dqnn.validate(
        larq, digits / "digits_larq.h5", samples["x"][:6], original="evaluator", target="qemu:mps2-an386"
    )
    assert board.outputs[0].cross == host.outputs[0].cross and board.target == "qemu:mps2-an386"


@pytest.mark.tf
# Not digits_qkeras.keras: Keras 2.15 cannot load a Sequential .keras file beside tf_keras, which qkeras brings along.
@pytest.mark.parametrize("file", ["digits_larq.h5", "digits_qkeras.h5"])
def test_against_keras_itself(digits: Path, samples: dict[str, Any], file: str) -> None:
    blob = dqnn.export(digits / file).blob
    report = dqnn.validate(blob, digits / file, samples["x"][:8], original="keras", labels=samples["y"][:8])
    assert report.original.startswith("Keras 2.") or "tf_keras" in report.original
    assert report.outputs[0].cross.l2r < 1e-5


@pytest.mark.tf
def test_keras_runs_transposed_convolutions_and_several_ports(tmp_path: Path) -> None:
    """QKeras' own layer needs a repair to load; outputs and inputs keep their order."""
    import tensorflow as tf
    from qkeras import QActivation, QConv2DTranspose, binary
    from tensorflow.python.ops import array_ops

    if not hasattr(array_ops, "stack"):
        array_ops.stack = tf.stack
    first, second = tf.keras.Input((4, 4, 2), name="first"), tf.keras.Input((4, 4, 2), name="second")
    bits = QActivation("binary(alpha=1)")(tf.keras.layers.Subtract()([first, second]))
    up = QConv2DTranspose(3, 2, strides=2, kernel_quantizer=binary(alpha=1), use_bias=False, name="up")(bits)
    flat = tf.keras.layers.GlobalAveragePooling2D(name="flat")(up)
    tf.keras.Model([first, second], [flat, up]).save(tmp_path / "m.h5")
    blob = dqnn.export(tmp_path / "m.h5").blob
    rng = np.random.default_rng(2)
    inputs = {name: rng.normal(size=(5, 4, 4, 2)) for name in ("first", "second")}
    report = dqnn.validate(blob, tmp_path / "m.h5", inputs, original="keras", per_layer=True)
    assert report.original.startswith("Keras ")
    assert all(output.cross.l2r < 1e-6 for output in report.outputs) and len(report.outputs) == 2
    assert all(not layer.differs for layer in report.layers)
    memory = dqnn.validate(blob, tf.keras.models.Model([first, second], [flat, up]), inputs)
    assert memory.original == "Keras (the model in memory)" and memory.outputs[0].cross.l2r < 1e-6
