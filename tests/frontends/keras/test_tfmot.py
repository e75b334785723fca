"""Models of TensorFlow's optimization toolkit: pruned, and quantization-aware. data/make_tfmot.py wrote them, with the
outputs that Keras computed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from frontends.keras.handmade import input_layer, layer, sequential, write_h5

import dqnn
from dqnn.exporter.errors import ExportError
from dqnn.exporter.frontends import load
from dqnn.exporter.frontends.keras.fake_quant import nudged, quantized_kernel
from dqnn.exporter.ir.evaluate import evaluate

DATA = Path(__file__).parent / "data"
NAMES = ["chain", "branches", "pruned"]
MODULE = "tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper"


def outputs(name: str) -> tuple[Any, Any]:
    with np.load(DATA / "tfmot.npz") as file:
        return file["x"], file[name]


@pytest.mark.parametrize("form", ["h5", "keras"])
@pytest.mark.parametrize("name", NAMES)
def test_files(name: str, form: str) -> None:
    x, wanted = outputs(name)
    path = DATA / f"tfmot_{name}.{form}"
    np.testing.assert_allclose(evaluate(load(path), [x]).outputs[0], wanted, atol=1e-6)
    np.testing.assert_allclose(dqnn.Interpreter(dqnn.export(path).blob).predict(x), wanted, atol=1e-6)


@pytest.mark.parametrize("name", NAMES[:2])
def test_quantization_aware_networks_are_integer(name: str) -> None:
    """Every kernel but a softmax, and what feeds it, reads and writes 8 bits; the input is 8 bits too."""
    result = dqnn.export(DATA / f"tfmot_{name}.h5", strict=True)
    floats = [node.kernel for node in result.report.nodes if "f32" in node.kernel]
    assert floats == (["affine_s8_f32", "softmax_f32"] if name == "chain" else [])
    assert dqnn.Interpreter(result.blob).inputs[0].dtype == "s8"


@pytest.mark.parametrize("name", NAMES)
def test_older_files_name_no_module(name: str, tmp_path: Path) -> None:
    """As Keras before 2.13 wrote them."""
    import json

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(item) for key, item in value.items() if key not in ("module", "registered_name")}
        return [stripped(item) for item in value] if isinstance(value, list) else value

    path = Path(shutil.copy(DATA / f"tfmot_{name}.h5", tmp_path / "m.h5"))
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(stripped(json.loads(file.attrs["model_config"])))
    x, wanted = outputs(name)
    np.testing.assert_allclose(evaluate(load(path), [x]).outputs[0], wanted, atol=1e-6)


def wrapped(scheme: str, **config: Any) -> Any:
    inside = layer("Dense", "inside", units=2, use_bias=False)
    settings = {"weight_attrs": ["kernel"], "activation_attrs": ["activation"], "quantize_output": False, **config}
    return layer(
        "QuantizeWrapperV2", "q", MODULE, layer=inside, quantize_config={"class_name": scheme, "config": settings}
    )


@pytest.mark.parametrize(
    ("entry", "arrays", "text"),
    [
        (wrapped("MyScheme"), {}, "the quantization scheme MyScheme"),
        (wrapped("Default8BitQuantizeConfig"), {"kernel": np.eye(2)}, "holds no kernel_min, kernel_max"),
        (
            wrapped("Default8BitQuantizeConfig"),
            {"kernel": np.eye(2), "kernel_min": 0.0, "kernel_max": 0.0},
            "range is 0 to 0",
        ),
        (
            layer("QuantizeLayer", "q", MODULE, quantizer={"class_name": "X", "config": {"num_bits": 4}}),
            {"q_min": -1.0, "q_max": 1.0},
            "FakeQuant of 4 bits",
        ),
        (layer("QuantizeLayer", "q", MODULE, quantizer={}), {}, "holds no min and max"),
        (layer("PruneLowMagnitude", "q", MODULE, layer=layer("LSTM", "l")), {}, "LSTM inside PruneLowMagnitude"),
        (layer("PruneLowMagnitude", "q", MODULE, layer=3), {}, "without a layer inside"),
    ],
    ids=["scheme", "ranges", "empty", "bits", "no range", "unknown inside", "nothing inside"],
)
def test_refused(entry: Any, arrays: dict[str, Any], text: str, tmp_path: Path) -> None:
    weights = {"q": [(f"q/{name}:0", np.float32(value)) for name, value in arrays.items()]}
    with pytest.raises(ExportError) as caught:
        load(write_h5(tmp_path / "m.h5", sequential(input_layer(2), entry), weights))
    assert text in str(caught.value) and caught.value.problems[0].layer == "q"


def test_asymmetric_kernels_stay_float() -> None:
    kernel = quantized_kernel(np.float32([[1.0, -0.2]]), np.float32(-0.25), np.float32(1.0), -1)
    assert kernel.kind == "f32" and "symmetric" in kernel.note


@pytest.mark.tf
@pytest.mark.parametrize("channels", [None, -1, -2])
def test_kernels_are_those_of_fake_quant(channels: int | None) -> None:
    import tensorflow as tf

    draw = np.random.default_rng(0)
    for _ in range(20):
        w = draw.normal(0, 0.4, (3, 3, 5, 7)).astype(np.float32)
        ends = draw.uniform(0.1, 1.5, () if channels is None else w.shape[channels]).astype(np.float32)
        kernel = quantized_kernel(w, -ends, ends, channels or -1)
        turned = w.swapaxes(-1, channels or -1)
        if channels is None:
            wanted = tf.quantization.fake_quant_with_min_max_vars(w, -ends, ends, narrow_range=True)
        else:
            wanted = tf.quantization.fake_quant_with_min_max_vars_per_channel(turned, -ends, ends, narrow_range=True)
            wanted = np.asarray(wanted).swapaxes(-1, channels)
        assert kernel.kind == "s8"
        np.testing.assert_allclose(kernel.real(), np.asarray(wanted), rtol=1e-6, atol=1e-7)


@pytest.mark.tf
def test_ranges_are_nudged_as_fake_quant_does() -> None:
    import tensorflow as tf

    for low, high in ((-6.0, 6.0), (-0.3, 5.1), (0.0, 1.0), (-2.0, 0.0), (0.2, 3.0), (-3.0, -0.1)):
        found = nudged(np.float32(low), np.float32(high), narrow=False)
        ends = np.asarray(tf.quantization.fake_quant_with_min_max_vars(np.float32([-99, 99]), low, high))
        np.testing.assert_allclose([found.low, found.high], ends, rtol=1e-6, atol=1e-7)


@pytest.mark.tf
@pytest.mark.parametrize("name", NAMES)
def test_validate_asks_keras(name: str) -> None:
    x, _ = outputs(name)
    path = DATA / f"tfmot_{name}.h5"
    report = dqnn.validate(dqnn.export(path).blob, path, x[:8], original="keras")
    assert report.outputs[0].cross.l2r < 1e-6
