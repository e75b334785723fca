"""A file against the .tflite it came from: TensorFlow Lite's reference kernels where they are installed, else our
evaluator; and the commands on such files."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import dqnn
from dqnn.exporter.cli import main
from dqnn.exporter.validate.originals import tflite
from dqnn.exporter.validate.originals.original import OriginalError

DATA = Path(__file__).parents[1] / "frontends" / "tflite" / "data"


@pytest.fixture
def exported(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """A sample and the file that is made of it."""

    def make(name: str) -> tuple[Path, Path]:
        source, blob = DATA / f"{name}.tflite", tmp_path / f"{name}.dqnn"
        dqnn.export(source, blob)
        return source, blob

    return make


def samples(blob: Path, count: int) -> Any:
    [info] = dqnn.Interpreter(blob).inputs
    return np.random.default_rng(0).normal(size=(count, *info.shape)).astype(np.float32)


@pytest.mark.tf
@pytest.mark.parametrize("name", ["int8", "float"])
def test_against_the_reference_kernels(name: str, exported: Callable[[str], tuple[Path, Path]]) -> None:
    source, blob = exported(name)
    report = dqnn.validate(blob, source, samples(blob, 20), original="tflite", per_layer=True)
    assert "reference kernels" in report.original and (
        "TensorFlow Lite" in report.original or "LiteRT" in report.original
    )
    assert report.outputs[0].cross.l2r <= (0 if name == "int8" else 1e-6)
    assert report.first_differing is None


def test_against_the_evaluator(exported: Callable[[str], tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no TensorFlow Lite is installed: the same codes."""
    source, blob = exported("int8")
    x = samples(blob, 6)
    assert dqnn.validate(blob, source, x, original="evaluator").outputs[0].cross.l2r == 0
    monkeypatch.setattr(tflite, "is_installed", lambda: False)
    report = dqnn.validate(blob, source, x)
    assert "pip install ai-edge-litert" in report.original and report.outputs[0].cross.l2r == 0
    with pytest.raises(OriginalError, match="pip install ai-edge-litert"):
        dqnn.validate(blob, source, x, original="tflite")


def test_who_cannot_run_what(exported: Callable[[str], tuple[Path, Path]], digits: Path) -> None:
    source, blob = exported("int8")
    with pytest.raises(OriginalError, match="Keras cannot run"):
        dqnn.validate(blob, source, samples(blob, 1), original="keras")
    with pytest.raises(OriginalError, match=r"no \.tflite file"):
        dqnn.validate(blob, digits / "digits_larq.h5", samples(blob, 1), original="tflite")


@pytest.mark.tf
def test_what_the_reference_kernels_refuse_goes_to_the_evaluator(exported: Callable[[str], tuple[Path, Path]]) -> None:
    """ELU: the report says why."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        pytest.skip("LiteRT's kernels may have ELU")
    source, blob = exported("mixed")
    report = dqnn.validate(blob, source, samples(blob, 4))
    assert "evaluator" in report.original and "ELU" in report.original


def test_commands(tmp_path: Path) -> None:
    """export with --explain, inspect, analyze, validate, diff: all take what a .tflite became."""
    run = CliRunner().invoke
    blob, source = tmp_path / "m.dqnn", DATA / "int8.tflite"
    result = run(main, ["export", str(source), "-o", str(blob), "--explain"])
    assert result.exit_code == 0 and "the file's integers, bit for bit" in " ".join(result.output.split())
    analysis = json.loads(run(main, ["analyze", str(source), "--json"]).output)
    assert analysis["schema"] == "dqnn.analyze/1" and analysis["name"] == "int8"
    for arguments in (["inspect", str(blob)], ["diff", str(blob), str(blob)], ["analyze", str(blob)]):
        assert run(main, arguments).exit_code == 0, arguments
    checked = run(
        main,
        ["validate", str(blob), "--against", str(source), "--random", "5", "--original", "evaluator", "--max-l2r", "0"],
    )
    assert checked.exit_code == 0, checked.output
    refused = run(main, ["export", str(source), "-o", str(blob), "--weights", str(source)])
    assert refused.exit_code == 2 and "has weights of its own" in refused.output
