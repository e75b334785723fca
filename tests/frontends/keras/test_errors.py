"""What cannot be read or expressed: one clear sentence for each thing, all at once, never a traceback. No TensorFlow
needed."""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from frontends.keras.handmade import input_layer, layer, sequential, write_h5, write_keras

import dqnn
from dqnn.exporter.errors import ExportError, Problem, UnreadableModel
from dqnn.exporter.frontends import load, read_model, register
from dqnn.exporter.frontends.keras import registry
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate


def problems(*layers: Any, tmp_path: Path, shape: tuple[int | None, ...] = (8, 8, 3)) -> dict[str, Problem]:
    """The problems of a Sequential model without weights, by layer."""
    path = write_h5(tmp_path / "model.h5", sequential(input_layer(*shape), *layers))
    with pytest.raises(ExportError) as caught:
        load(path)
    return {problem.layer: problem for problem in caught.value.problems}


SIGN = {
    "class_name": "SteSign",
    "config": {"clip_value": 1.0},
    "module": "larq.quantizers",
    "registered_name": "SteSign",
}
DOREFA = {"class_name": "DoReFa", "config": {"k_bit": 8, "mode": "activations"}}


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        layer("QActivation", "act", None, activation="quantized_ulaw(8)"),
        layer("LSTM", "lstm", units=4),
        layer("MyOwnLayer", "own", "mypackage.layers"),
        layer("QActivation", "bin", None, activation="binary(use_01=True, alpha=1)"),
        layer("Dense", "noise", units=4, activation="unheard_of", use_bias=False),
        layer("MaxPooling2D", "pool", pool_size=[2, 2], data_format="channels_first"),
        layer("UpSampling2D", "up", size=[2, 2], interpolation="bicubic"),
        tmp_path=tmp_path,
    )
    assert set(found) == {"act", "lstm", "own", "bin", "noise", "pool", "up"}
    assert "equidistant" in found["act"].found
    assert "8 bits" in found["act"].accepted
    assert "LSTM" in found["lstm"].found
    assert "recurrent" in found["lstm"].advice.lower()
    assert "mypackage" in found["own"].found
    assert "register" in found["own"].advice
    assert "use_01" in found["bin"].found
    assert "channels_first" in found["pool"].found
    assert "bicubic" in found["up"].found
    text = str(ExportError(list(found.values())))
    assert len(text.splitlines()) == len(found)


def test_a_long_list_of_what_is_accepted_is_said_once(tmp_path: Path) -> None:
    path = write_h5(
        tmp_path / "m.h5",
        sequential(
            input_layer(4),
            *(layer("TFOpLambda", f"op{i}", "keras.src.layers", function=f"linalg.f{i}") for i in range(3)),
        ),
    )
    with pytest.raises(ExportError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and "tf.linalg.f2" in lines[2]
    assert [line.count("accepted: __operators__") for line in lines] == [1, 0, 0]
    assert all("accepted: see above" in line for line in lines[1:])
    assert all("reduce_mean" in problem.accepted for problem in caught.value.problems)


def padded_layer(tmp_path: Path, quantizer: object, pad: float) -> Path:
    return write_h5(
        tmp_path / "model.h5",
        sequential(
            input_layer(8, 8, 3),
            layer(
                "QuantConv2D",
                "conv",
                "larq.layers",
                filters=2,
                kernel_size=[3, 3],
                padding="same",
                pad_values=pad,
                use_bias=False,
                input_quantizer=quantizer,
                kernel_quantizer=SIGN,
            ),
        ),
        {"conv": [("conv/kernel:0", np.random.default_rng(7).normal(size=(3, 3, 3, 2)).astype(np.float32))]},
    )


@pytest.mark.parametrize(
    ("quantizer", "pad", "reason", "remedy"),
    [
        (SIGN, 0.5, "0.5 has no code in s1", "set pad_values to -1, 0 or 1"),
        (DOREFA, -1.0, "-1 has no code in s8", "set pad_values to a multiple of 0.00392157 from 0 to 1"),
        (DOREFA, 0.5, "0.5 has no code in s8", "set pad_values to a multiple of 0.00392157 from 0 to 1"),
    ],
    ids=["half around bits", "-1 around DoReFa", "half around DoReFa"],
)
def test_pad_values_without_a_code_are_a_named_fallback(
    tmp_path: Path, quantizer: object, pad: float, reason: str, remedy: str
) -> None:
    path = padded_layer(tmp_path, quantizer, pad)
    result = dqnn.export(path)
    (fallback,) = result.report.fallbacks
    assert fallback.layers == ("conv",)
    assert reason in fallback.reason
    assert fallback.remedy == remedy
    assert "falls back: conv" in str(result.report)
    with pytest.raises(ExportError) as caught:
        dqnn.export(path, strict=True)
    (problem,) = caught.value.problems
    assert (problem.layer, problem.advice) == ("conv", remedy)
    x = np.random.default_rng(8).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    expected = evaluate(load(path), [x]).outputs[0]
    np.testing.assert_allclose(dqnn.Interpreter(result.blob).predict(x), expected, rtol=1e-6, atol=1e-6)


def test_pad_values_that_8_bits_hold(tmp_path: Path) -> None:
    path = padded_layer(tmp_path, DOREFA, 51 / 255)
    assert load(path).nodes[-1].op.pad_value == pytest.approx(0.2)
    assert not dqnn.export(path, strict=True).report.fallbacks


@pytest.mark.parametrize("variance", [-0.001, -5.0, float("nan")])
def test_a_variance_that_has_no_root(variance: float, tmp_path: Path) -> None:
    model = sequential(input_layer(4), layer("BatchNormalization", "bn", axis=[1], epsilon=0.001))
    weights = [1.0, 0.0, 0.0, variance]
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    arrays = [(f"bn/{name}:0", np.full(4, value, np.float32)) for name, value in zip(names, weights, strict=True)]
    with pytest.raises(ExportError) as caught:
        load(write_h5(tmp_path / "model.h5", model, {"bn": arrays}))
    (problem,) = caught.value.problems
    assert problem.layer == "bn" and (
        "more than 0" in str(problem) or "not a number" in str(problem) or "finite" in str(problem)
    )


def test_pad_values_that_are_no_number(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="finite"):
        load(padded_layer(tmp_path, SIGN, float("inf")))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (layer("Embedding", "e", input_dim=3, output_dim=4), "Embedding"),
        (layer("Lambda", "l", function="something"), "Lambda"),
        (layer("Conv3D", "c", filters=3), "Conv3D"),
        (layer("QuantConv3D", "c", "larq.layers", filters=3), "QuantConv3D"),
        (layer("QuantLocallyConnected2D", "c", "larq.layers", filters=3), "QuantLocallyConnected2D"),
        (layer("QAdaptiveActivation", "q", "qkeras.qlayers", total_bits=8), "QAdaptiveActivation"),
        (layer("MultiHeadAttention", "m"), "MultiHeadAttention"),
        (layer("MagnitudeAwareSign", "m", "larq.quantizers"), "mean over the batch"),
        (layer("Activation", "a", activation={"class_name": "MyFunction", "config": {}}), "MyFunction"),
        (layer("Activation", "a", activation="import os"), "not understood"),
        (layer("QActivation", "a", "qkeras.qlayers", activation="binary(alpha=__import__('os'))"), "no number"),
        (layer("Softmax", "s", axis=0), "axis=0"),
        (layer("Softmax", "s", axis=[1, 2]), "one axis"),
        (layer("MaxPooling2D", "p", pool_size=[9, 9], padding="valid"), "does not fit"),
        (layer("Reshape", "r", target_shape=[5, 5]), "elements"),
        (layer("Reshape", "r", target_shape=[2, 2, 2, 3, 8]), "rank 5"),
        (layer("BatchNormalization", "b", axis=[1]), "axis"),
        (layer("Normalization", "n", axis=1, mean=[1.0] * 4, variance=[1.0] * 4), "axis=1"),
        (layer("ReLU", "r", dtype="mixed_float16"), "float16"),
        (
            layer(
                "ReLU",
                "r",
                dtype={"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}},
            ),
            "before quantize()",
        ),
        (layer("Dense", "d", units="many"), "no kernel"),
        (layer("TFOpLambda", "t", "keras.src.layers.core.tf_op_layer", function="linalg.svd"), "tf.linalg.svd"),
        (layer("ZeroPadding2D", "z", padding="everywhere"), "padding"),
        (layer("MaxPooling2D", "p", pool_size=[1, 1], strides=[70000, 1]), "stride 70000, accepted: 1 to 65535"),
        (layer("AveragePooling2D", "p", pool_size=[70001, 1], padding="same"), "70001"),
        (layer("QActivation", "q", "qkeras.qlayers", activation="quantized_bits(8,200)"), "steps of 1.26e+58"),
        (layer("QActivation", "q", "qkeras.qlayers", activation="quantized_bits(8,200,alpha=1)"), "steps of"),
        (layer("QActivation", "q", "qkeras.qlayers", activation="quantized_relu(16,-90)"), "steps of"),
        (layer("ReLU", "r", max_value=float("nan")), "nothing lies"),
        (layer("ReLU", "r", max_value=-1.0), "nothing lies"),
        (layer("Rescaling", "r", scale=float("inf")), "finite numbers"),
        (layer("LayerNormalization", "n", axis=[1, 2]), "the last axes"),
        (layer("LayerNormalization", "n", axis=-1, rms_scaling=True), "rms_scaling"),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else value,
)
def test_refused(entry: Any, text: str, tmp_path: Path) -> None:
    (problem,) = problems(entry, tmp_path=tmp_path).values()
    assert problem.layer == entry["config"]["name"]
    assert text in str(problem)
    assert "\n" not in str(problem)


@pytest.mark.parametrize("shape", [(None, None, 3), (2, 3, 4, 5, 6), ()])
def test_input_shapes(shape: tuple[int | None, ...], tmp_path: Path) -> None:
    (problem,) = problems(layer("ReLU", "r"), tmp_path=tmp_path, shape=shape).values()
    assert problem.layer == "x"
    assert "shape" in problem.found


@pytest.mark.parametrize("epsilon", [-2.0, -1.0, float("nan")])
def test_a_variance_without_a_root(epsilon: float, tmp_path: Path) -> None:
    arrays = [(f"b/{name}:0", np.ones(3)) for name in ("gamma", "beta", "moving_mean", "moving_variance")]
    model = sequential(input_layer(3), layer("BatchNormalization", "b", axis=[1], epsilon=epsilon))
    with pytest.raises(ExportError, match=r"b: .*accepted: more than 0"):
        load(write_h5(tmp_path / "m.h5", model, {"b": arrays}))


@pytest.mark.parametrize("quantizer", ["quantized_bits(8,200,alpha=1)", "binary(alpha=1e30)"])
def test_kernels_of_absurd_scales(quantizer: str, tmp_path: Path) -> None:
    model = sequential(input_layer(3), layer("QDense", "d", None, units=2, use_bias=False, kernel_quantizer=quantizer))
    with pytest.raises(ExportError, match=r"d: .*with a scale of"):
        load(write_h5(tmp_path / "m.h5", model, {"d": [("d/kernel:0", np.ones((3, 2)))]}))


def test_weights_missing_and_not_finite(tmp_path: Path) -> None:
    model = sequential(input_layer(2), layer("Dense", "d", units=2), layer("Dense", "e", units=2, use_bias=False))
    kernel = np.full((2, 2), np.nan, np.float32)
    with pytest.raises(ExportError) as caught:
        load(write_h5(tmp_path / "model.h5", model, {"e": [("e/kernel:0", kernel)]}))
    missing, broken = caught.value.problems
    assert "holds no kernel" in missing.found
    assert "belong to e" in missing.found
    assert "NaN" in broken.found


# --- files ------------------------------------------------------------------------------------------------------------


def unreadable(path: Any, *texts: str) -> None:
    with pytest.raises(UnreadableModel) as caught:
        load(path)
    for text in texts:
        assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    unreadable(tmp_path / "absent.h5", "absent.h5", "No such file")
    unreadable(tmp_path, "directory")
    (tmp_path / "empty.h5").write_bytes(b"")
    unreadable(tmp_path / "empty.h5", "empty")
    (tmp_path / "text.keras").write_text("hello there")
    unreadable(tmp_path / "text.keras", "neither")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.zeros(3)
    unreadable(tmp_path / "data.h5", "no Keras model")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    unreadable(tmp_path / "data.zip", "config.json")
    unreadable(17, "int is no model")


def test_weights_only(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file.create_group("layers/dense/vars")
    unreadable(tmp_path / "model.weights.h5", "weights only")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
    unreadable(tmp_path / "weights.h5", "weights only")


def test_saved_model_directory(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    unreadable(tmp_path, "SavedModel")


def test_archive_without_weights_or_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(sequential(input_layer(2))))
    unreadable(path, "model.weights.h5")
    write_keras(path, sequential(input_layer(2)))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(signature, at + 4)
    path.write_bytes(content)
    unreadable(path, "encrypted")


@pytest.mark.damaged
@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "3",
        "null",
        '"text"',
        '{"class_name": "Sequential"}',
        '{"class_name": "Dense", "config": {"units": 3}}',
        '{"class_name": "Functional", "config": {"name": "m", "layers": [3]}}',
        '{"class_name": "Functional", "config": {"name": "m", "layers": [], "input_layers": 3, "output_layers": 4}}',
        '{"class_name": "Functional", "config": {"layers": [], "input_layers": [["x", 0, 0]], "output_layers": []}}',
        '{"class_name": "Functional", "config": {"name": "m", "layers": [], "input_layers": []}}',
        "[" * 100_000,
        b"\xff\xfe",
    ],
    ids=range(13),
)
@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_wrong_configurations(config: Any, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{kind}"
    try:
        (write_h5 if kind == "h5" else write_keras)(path, config)
    except OSError:
        pytest.skip("too long for an attribute")
    unreadable(path)


def test_layers_in_a_circle(tmp_path: Path) -> None:
    def dense(name: str, before: str) -> Any:
        return layer("ReLU", name) | {"name": name, "inbound_nodes": [[[before, 0, 0, {}]]]}

    config = {
        "name": "m",
        "layers": [dense("a", "b"), dense("b", "a")],
        "input_layers": [],
        "output_layers": [["a", 0, 0]],
    }
    unreadable(write_h5(tmp_path / "m.h5", {"class_name": "Functional", "config": config}), "wait for each other")


@pytest.mark.damaged
@pytest.mark.parametrize("name", ["digits_larq.h5", "digits_larq.keras"])
def test_truncated_files(name: str, digits: Path, tmp_path: Path) -> None:
    """Any prefix of a model is refused with a sentence (or, where HDF5 leaves room at its end, still read)."""
    content = (digits / name).read_bytes()
    draw = random.Random(1)
    for length in [*range(0, 64, 7), *(draw.randrange(len(content)) for _ in range(40)), len(content) - 1]:
        path = tmp_path / name
        path.write_bytes(content[:length])
        with pytest.raises((UnreadableModel, ExportError)) as caught:
            load(path)
        assert "Traceback" not in str(caught.value)


@pytest.mark.damaged
@pytest.mark.parametrize("name", ["digits_qkeras.h5", "digits_qkeras.keras"])
def test_damaged_files(name: str, digits: Path, tmp_path: Path) -> None:
    """Changed bytes give a model with other weights, or a sentence; never another exception.

    Run in a process of its own: a damaged file must not end the interpreter either."""
    shutil.copy(digits / name, tmp_path / name)
    script = tmp_path / "damage.py"
    script.write_text(_DAMAGE)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


_DAMAGE = """
import random, sys
from collections.abc import Iterator
from pathlib import Path
import dqnn
from dqnn.exporter.errors import DqnnError
from dqnn.exporter.frontends import load

path = Path(sys.argv[1])
content = path.read_bytes()
draw = random.Random(2)
other = path.with_name("damaged" + path.suffix)
for _ in range(120):
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 4, 30))):
        where = draw.randrange(len(damaged)) if draw.random() < 0.5 else draw.randrange(min(9000, len(damaged)))
        damaged[where] = draw.randrange(256)
    other.write_bytes(damaged)
    try:
        load(other)
    except DqnnError:
        pass
"""


def test_nothing_imports_tensorflow(digits: Path) -> None:
    code = (
        "import sys; from dqnn.exporter.frontends import load; load(sys.argv[1]);"
        "bad = {'tensorflow', 'keras', 'tf_keras', 'larq', 'qkeras'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code, str(digits / "digits_larq.keras")], check=True)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    """Strings that Python or Keras could run are read as text and refused."""
    target = tmp_path / "touched"
    evil = f"__import__('pathlib').Path({str(target)!r}).touch()"
    entries = [
        layer("QActivation", "a", "qkeras.qlayers", activation=evil),
        layer("Lambda", "b", function={"class_name": "__lambda__", "config": {"code": "4wAA", "defaults": None}}),
        layer("QDense", "c", "qkeras.qlayers", units=2, kernel_quantizer=f"quantized_bits(8, {evil})"),
        layer("Activation", "d", activation={"class_name": "function", "config": evil, "registered_name": evil}),
    ]
    assert set(problems(*entries, tmp_path=tmp_path)) == {"a", "b", "c", "d"}
    assert not target.exists()


# --- structures that need no TensorFlow to be written -----------------------------------------------------------------


def test_keras_3_archive(tmp_path: Path) -> None:
    """The documented structure: typed policies, node dicts, class-derived groups, single references."""
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}

    def tensor(name: str) -> Any:
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 2], "dtype": "float32", "keras_history": [name, 0, 0]},
        }

    def node(*names: str) -> Any:
        args = [tensor(names[0])] if len(names) == 1 else [[tensor(name) for name in names]]
        return [{"args": args, "kwargs": {}}]

    dense = [
        layer("Dense", name, units=2, dtype=policy, use_bias=True, activation="hard_sigmoid")
        for name in ("first", "second")
    ]
    config = {
        "name": "m",
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {"batch_shape": [None, 2], "name": "x"},
                "name": "x",
                "inbound_nodes": [],
            },
            dense[0] | {"name": "first", "inbound_nodes": node("x")},
            dense[1] | {"name": "second", "inbound_nodes": node("x")},
            layer("Add", "add", dtype=policy) | {"name": "add", "inbound_nodes": node("first", "second")},
        ],
        "input_layers": ["x", 0, 0],
        "output_layers": ["add", 0, 0],
    }
    kernels = [np.float32([[1, 2], [3, 4]]), np.float32([[5, 6], [7, 8]])]
    path = write_keras(
        tmp_path / "m.keras",
        {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": config,
            "registered_name": "Functional",
        },
        {"layers/dense": [kernels[0], [0, 0]], "layers/dense_1": [kernels[1], [1, 1]]},
    )
    graph = load(path)
    dense_ops = [node.op for node in graph.nodes if type(node.op).__name__ == "Dense"]
    np.testing.assert_array_equal(dense_ops[0].weights.codes, kernels[0].T)
    np.testing.assert_array_equal(dense_ops[1].weights.codes, kernels[1].T)
    # Keras 3's hard sigmoid is clip(x / 6 + 0.5, 0, 1).
    assert [type(node.op).__name__ for node in graph.nodes].count("Scale") == 2


def test_lora_adapters_are_not_dropped(tmp_path: Path) -> None:
    """Keras 3 keeps them apart in .h5 files and merges them in archives."""
    arrays = [("d/kernel", np.eye(2)), ("d/lora_kernel_a", np.ones((2, 1))), ("d/lora_kernel_b", np.ones((1, 2)))]
    model = sequential(input_layer(2), layer("Dense", "d", units=2, use_bias=False, lora_rank=1))
    with pytest.raises(ExportError, match="LoRA"):
        load(write_h5(tmp_path / "m.h5", model, {"d": arrays}))


def test_keras_3_archive_by_layer_names(tmp_path: Path) -> None:
    """Groups named after the layers themselves are found too."""
    model = sequential(input_layer(2), layer("Dense", "mine", units=2, use_bias=False, activation="linear"))
    path = write_keras(tmp_path / "m.keras", model, {"layers/mine": [np.eye(2)]})
    assert len(load(path).nodes) == 1


@pytest.mark.parametrize("class_name", ["QuantDense", "Custom>QuantDense", "Larq>QuantDense", "larq>QuantDense"])
@pytest.mark.parametrize("module", [None, "larq.layers"])
def test_qualified_names(class_name: str, module: str | None, tmp_path: Path) -> None:
    model = sequential(
        input_layer(2), layer(class_name, "d", module, units=2, use_bias=False, kernel_quantizer="ste_sign")
    )
    path = write_h5(tmp_path / "m.h5", model, {"d": [("d/kernel:0", np.eye(2))]})
    assert load(path).nodes[0].op.weights.kind == "s1"


def test_a_class_of_another_package_is_not_keras(tmp_path: Path) -> None:
    (problem,) = problems(layer("Dense", "d", "elsewhere.layers", units=2), tmp_path=tmp_path).values()
    assert "elsewhere" in problem.found


@pytest.mark.parametrize(
    "quantizer",
    [
        "binary(alpha=1)",
        {"class_name": "binary", "config": {"use_01": False, "alpha": 1, "use_stochastic_rounding": False}},
        {"class_name": "binary", "config": {"alpha": 1.0}, "__passive_serialization__": True},
        {"module": "qkeras.quantizers", "class_name": "binary", "config": {"alpha": 1}, "registered_name": "binary"},
        {
            "class_name": "Custom>binary",
            "config": {"alpha": {"class_name": "__numpy__", "config": {"value": 1.0, "dtype": "float64"}}},
        },
        {"class_name": "quantized_bits", "config": {"bits": 1, "integer": 0, "alpha": 1.0, "qnoise_factor": 1.0}},
    ],
    ids=range(6),
)
def test_spellings_of_a_quantizer(quantizer: Any, tmp_path: Path) -> None:
    model = sequential(input_layer(2), layer("QDense", "d", None, units=2, use_bias=False, kernel_quantizer=quantizer))
    weights = load(write_h5(tmp_path / "m.h5", model, {"d": [("d/kernel:0", np.eye(2))]})).nodes[0].op.weights
    assert weights.kind == "s1"
    np.testing.assert_array_equal(weights.codes, np.ones((2, 2)))


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """The registered handlers; what a test adds goes with it."""
    monkeypatch.setattr(registry._HANDLERS, "rows", dict(registry._HANDLERS.rows))
    return registry._HANDLERS.rows


def test_users_can_register_layers(tmp_path: Path, handlers: dict[Any, Any]) -> None:
    @register("Doubler", library="mypackage", weights=lambda config: ("factor",))
    def doubler(ctx: Any) -> str:
        return str(ctx.emit(ops.Scale(float(ctx.weight("factor"))), ctx.x))

    model = sequential(input_layer(2), layer("Doubler", "d", "mypackage.layers"))
    graph = load(write_h5(tmp_path / "m.h5", model, {"d": [("d/factor:0", np.float32(2))]}))
    assert graph.nodes[0].op == ops.Scale(2.0)


def test_a_class_has_one_handler(handlers: dict[Any, Any]) -> None:
    """Registering the same function anew, as a cell of a notebook does, replaces it."""

    def dense(ctx: Any) -> str:
        return str(ctx.x)

    with pytest.raises(ValueError, match=r"Dense of keras has a handler already: .*layers\.dense"):
        register("Mine", "Dense")(dense)
    assert ("keras", "Mine") not in handlers
    for _ in range(2):
        register("Mine")(dense)


BROKEN = layer("Broken", "b", "mypackage.layers")


@pytest.fixture
def broken(handlers: dict[Any, Any]) -> None:
    @register("Broken", library="mypackage")
    def broken(ctx: Any) -> str:
        return str(ctx.x.shape)


@pytest.mark.damaged
@pytest.mark.usefixtures("broken")
def test_a_fault_of_a_handler_is_named(tmp_path: Path) -> None:
    problem = problems(BROKEN, tmp_path=tmp_path)["b"]
    assert problem.found.endswith("failed: AttributeError: 'Value' object has no attribute 'shape'")
    assert "a bug in the handler broken (test_errors.py:" in problem.advice
    assert isinstance(problem.cause, AttributeError)


@pytest.mark.usefixtures("broken")
def test_a_fault_of_a_handler_is_raised_for_who_looks_for_it(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="shape"):
        load(write_h5(tmp_path / "m.h5", sequential(input_layer(2), BROKEN)))


def test_missing_weights_name_the_groups_of_the_file(tmp_path: Path) -> None:
    model = sequential(input_layer(2), layer("Dense", "d", units=2, use_bias=False))
    groups = {f"other{i}": [("kernel:0", np.eye(2))] for i in range(14)}
    with pytest.raises(ExportError, match=r"other0, other1, .*, 2 more"):
        load(write_h5(tmp_path / "m.h5", model, groups))
    with pytest.raises(ExportError, match="layers/dense_5"):
        load(write_keras(tmp_path / "m.keras", model, {"layers/dense_5": [np.eye(2)]}))
    with pytest.raises(ExportError, match="nor for any other"):
        load(write_keras(tmp_path / "m.keras", model))


def test_read_model_keeps_configuration_and_names(tmp_path: Path) -> None:
    model = sequential(input_layer(2), layer("Dense", "d", units=2))
    saved = read_model(
        str(write_h5(tmp_path / "m.h5", model, {"d": [("d/kernel:0", np.eye(2)), ("d/bias:0", [1, 2])]}))
    )
    assert [weight.name for weight in saved.weights["d"]] == ["kernel", "bias"]
    assert saved.keras == 2


# --- configurations with anything in them -----------------------------------------------------------------------------

WEIRD: list[Any] = [
    *(None, 0, -1, 1, 2, 10**9, 10**400, 1.5, float("inf"), float("nan"), "", "x", "same", "valid", True, False),
    *([], {}, [1, 2], [0, 0], [-1, -1], [[1]], [None], {"class_name": "x"}, {"class_name": "SteSign", "config": {}}),
    *("quantized_bits(8,0,1)", "channels_first"),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside a configuration."""
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


# What Python, numpy and h5py say when something is wrong: of no use to who made the model.
PYTHONS_WORDS = re.compile(
    r"\w+Error\b|\bint\(\)|\bfloat\(\)|NoneType|object is not|unhashable|invalid literal|argument must"
)


@pytest.mark.damaged
@pytest.mark.parametrize("name", ["digits_larq.h5", "digits_qkeras.h5", "keras3.h5"])
def test_changed_configurations(name: str, digits: Path, tmp_path: Path) -> None:
    """Whatever stands in a configuration, the model is exported or refused with a sentence."""
    folder = Path(__file__).parent / "data" if name == "keras3.h5" else digits
    path = Path(shutil.copy(folder / name, tmp_path / name))
    with h5py.File(path) as file:
        text = file.attrs["model_config"]
    draw = random.Random(3)
    outcomes = set()
    for _ in range(150):
        config = json.loads(text)
        for _ in range(draw.choice((1, 1, 3))):
            *outer, last = draw.choice(list(places(config)))
            holder = config
            for key in outer:
                holder = holder[key]
            if draw.random() < 0.2:
                del holder[last]
            else:
                holder[last] = copy.deepcopy(draw.choice(WEIRD))
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = json.dumps(config)
        try:
            load(path)
            outcomes.add("loaded")
        except (UnreadableModel, ExportError) as error:
            outcomes.add(type(error).__name__)
            assert not PYTHONS_WORDS.search(str(error)), error
    assert outcomes == {"loaded", "ExportError", "UnreadableModel"}
