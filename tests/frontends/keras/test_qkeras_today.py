"""Files of the QKerases that cannot stand beside the test environment's 0.9.0: qkeras-v3 (Keras 3) and the GitHub
repository's head. data/make_qkeras.py wrote them with the outputs that the libraries computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dqnn
from dqnn.exporter.frontends import load
from dqnn.exporter.frontends.keras.quantizers import parse
from dqnn.exporter.ir.evaluate import evaluate

DATA = Path(__file__).parent / "data"
NAMES = ["qkeras_v3", "qkeras_git"]


def arrays_of(name: str) -> dict[str, Any]:
    with np.load(DATA / f"{name}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("name", NAMES)
def test_files(name: str, form: str) -> None:
    """post_training_scale, masks, inverse quantizers, layers that own a batch norm, stochastic rounding, wide grids."""
    arrays = arrays_of(name)
    graph = load(DATA / f"{name}.{form}")
    run = evaluate(graph, [arrays["x"]])
    linear = next(run.real(node.output) for node in reversed(graph.nodes) if node.layers == ("linear",))
    # Folded kernels and inverse roots are float32 sums and quotients: a level of 8 bits may differ where it was a tie.
    assert np.mean(linear != arrays["linear"]) < 0.005
    np.testing.assert_allclose(run.outputs[0], arrays["y"], atol=2e-3)
    assert np.mean(np.abs(run.outputs[0] - arrays["y"]) > 1e-6) < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_files_run_as_exported(name: str) -> None:
    arrays = arrays_of(name)
    result = dqnn.export(DATA / f"{name}.keras")
    wanted = evaluate(load(DATA / f"{name}.keras"), [arrays["x"]]).outputs[0]
    np.testing.assert_allclose(dqnn.Interpreter(result.blob).predict(arrays["x"]), wanted, atol=1e-6)


QUANTIZED = sorted({key.rpartition(" of ")[0] for key in arrays_of("qkeras_v3") if " of " in key})


@pytest.mark.parametrize("text", QUANTIZED)
@pytest.mark.parametrize("name", NAMES)
def test_quantizers(name: str, text: str) -> None:
    arrays = arrays_of(name)
    quantizer = parse(text)
    assert quantizer is not None
    for source in ("vector", "matrix", "kernel"):
        found, wanted = quantizer.values(arrays[source]), arrays[f"{text} of {source}"]
        np.testing.assert_allclose(found, wanted, rtol=3e-7, atol=1e-7, err_msg=source)
        if source != "vector" and not text.startswith(("quantized_sigmoid", "quantized_relu")):
            np.testing.assert_allclose(quantizer.kernel(arrays[source]).real(), wanted, rtol=3e-7, atol=1e-7)
