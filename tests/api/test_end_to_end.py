"""Whole models: from the Keras file to the interpreter, every stored tensor equal to the evaluator's."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emit.kernel_calls import bits, stored_bytes
from levels import LEVELS, top

import dqnn
from dqnn import _core
from dqnn.exporter.blob import parse
from dqnn.exporter.emit.writer import Written, write
from dqnn.exporter.frontends import load
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.options import ExportOptions
from dqnn.exporter.passes import run_pipeline

MODELS = ("digits_larq", "digits_qkeras")
TRACED = 6  # samples compared tensor by tensor


@pytest.fixture(scope="module")
def test_set(digits: Path) -> dict[str, Any]:
    with np.load(digits / "digits_test.npz") as data:
        return dict(data)


def traced(written: Written, x: Any, isas: list[str]) -> dict[str, bytes]:
    """Stored bytes of every node's output, by IR value."""
    interpreter = dqnn.Interpreter(written.blob, isas=isas)
    interpreter.set_input(0, x)
    program = written.program
    names = [program.names[program.calls[n].output] for n in written.memory.order]
    return dict(zip(names, interpreter._native.trace(), strict=True))


@pytest.mark.parametrize(
    "options", [ExportOptions(), ExportOptions(io_dtype="f32"), ExportOptions(constant_time=True)], ids=repr
)
@pytest.mark.parametrize("name", MODELS)
def test_every_tensor(name: str, options: ExportOptions, digits: Path, test_set: dict[str, Any]) -> None:
    graph = run_pipeline(load(digits / f"{name}.h5"), options).graph
    written = write(graph, producer="test")
    x = test_set["x"][:TRACED]
    evaluated = evaluate(graph, [x])
    for isas, sample in product(LEVELS, range(TRACED)):
        for value, data in traced(written, x[sample], isas).items():
            want = stored_bytes(evaluated.stored[value][sample], graph.types[value])
            assert bytes(data) == want, f"{top(isas)}, sample {sample}, {value}"


@pytest.mark.parametrize("name", MODELS)
def test_whole_set(name: str, digits: Path, test_set: dict[str, Any]) -> None:
    """Outputs on the whole test set: the evaluator's bits, Keras' values, the same accuracy."""
    graph = run_pipeline(load(digits / f"{name}.h5")).graph
    result = dqnn.export(digits / f"{name}.h5")
    outputs = dqnn.Interpreter(result.blob).predict(test_set["x"])
    assert np.array_equal(bits(outputs), bits(evaluate(graph, [test_set["x"]]).outputs[0]))
    keras = test_set[f"keras_{name.removeprefix('digits_')}"]
    np.testing.assert_allclose(outputs, keras, rtol=1e-5, atol=1e-6)
    assert np.array_equal(outputs.argmax(axis=1), keras.argmax(axis=1))


@pytest.mark.parametrize("name", MODELS)
def test_both_file_formats_give_the_same_file(name: str, digits: Path) -> None:
    first, second = dqnn.export(digits / f"{name}.h5"), dqnn.export(digits / f"{name}.keras")
    assert first.blob == dqnn.export(digits / f"{name}.h5").blob, "the same input gives the same bytes"
    a, b = parse(first.blob), parse(second.blob)
    assert (a.tensors, a.constants, a.nodes) == (b.tensors, b.constants, b.nodes)


def test_larq_digits_meets_its_sizes(digits: Path) -> None:
    result = dqnn.export(digits / "digits_larq.h5")
    assert len(result.blob) <= 13_904  # 14,000 is the promise; names and versions may still grow
    assert result.report.arena_bytes <= 4_096
    assert _core.requirements(result.blob)["memory_bytes"] <= 5_120
    assert result.report.arena_bytes == result.report.lower_bound
    interpreter = dqnn.Interpreter(result.blob)
    interpreter.set_input(0, np.zeros((28, 28, 1), np.float32))
    assert interpreter.high_water() <= result.report.arena_bytes
    assert result.report.fallbacks == ()


def test_io_dtype(digits: Path, test_set: dict[str, Any]) -> None:
    quantized = dqnn.export(digits / "digits_qkeras.h5")
    floats = dqnn.export(digits / "digits_qkeras.h5", io_dtype="f32")
    assert [dqnn.Interpreter(r.blob).inputs[0].dtype for r in (quantized, floats)] == ["s8", "f32"]
    x = test_set["x"][:20]
    first, second = (dqnn.Interpreter(r.blob).predict(x) for r in (quantized, floats))
    assert np.array_equal(first, second)


def test_constant_time(digits: Path) -> None:
    kernels = dqnn.export(digits / "digits_larq.h5", constant_time=True).report.kernels
    assert not [name for name in kernels if name.startswith("conv_s1_s1")]
    assert [name for name in kernels if name.startswith("convh_s1_s1")]


def test_names_and_numbers(digits: Path) -> None:
    blob = dqnn.export(digits / "digits_larq.h5", name="digits", model_id=0xCAFE, model_version=7).blob
    view = parse(blob)
    assert (view.name, view.prefix.model_id, view.prefix.model_version) == ("digits", 0xCAFE, 7)
    assert view.producer == f"dqnn {dqnn.__version__}"
    default = parse(dqnn.export(digits / "digits_larq.h5").blob)
    assert default.prefix.model_id == default.prefix.payload_crc
    for wrong in ({"model_id": -1}, {"model_id": 2**32}, {"model_version": 2**16}):
        with pytest.raises(ValueError, match="accepted: 0 to"):
            dqnn.export(digits / "digits_larq.h5", **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"io_dtype": "s8"},
        {"requant": "x"},
        {"name": 3},
        {"name": "a\0b"},
        {"model_id": "a"},
        {"input_u8": 3},
        {"input_u8": (1, "x")},
        {"input_u8": {"x": (1, float("nan"))}},
    ],
)
def test_options_that_mean_nothing(digits: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(wrong))} is .*; accepted: "):
        dqnn.export(digits / "digits_larq.h5", **wrong)
