"""`dqnn diff`: sizes, kernels, nodes, numerics, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from passes.graph_builder import SIGN, batch_norm, binary_weights, chain_graph, rng_of

import dqnn
from dqnn.exporter.cli import main
from dqnn.exporter.inspect.diff import diff
from dqnn.exporter.ir import ops

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["diff", *(str(a) for a in arguments)])


def model(outputs: int = 10, seed: int = 1, relu: bool = False) -> bytes:
    rng = rng_of(seed)
    layers: list[Any] = [ops.Dense(binary_weights(rng, 40, 20)), batch_norm(rng, 40), SIGN]
    layers += [ops.Dense(binary_weights(rng, outputs, 40)), *([ops.Unary("sigmoid")] if relu else [])]
    return dqnn.export(chain_graph((20,), *layers)).blob


def test_identical_files() -> None:
    found = diff(model(), model(), {"x0": np.ones((2, 20), np.float32)})
    assert found.identical and not found.nodes and not found.kernels and not found.ports
    assert found.outputs[0].metrics.l2r == 0 and found.outputs[0].equal == found.outputs[0].elements


def test_other_weights() -> None:
    x = np.random.default_rng(0).normal(size=(8, 20)).astype(np.float32)
    found = diff(model(), model(seed=2), {"x0": x})
    assert not found.identical and all(change.kind == "changed" for change in found.nodes)
    assert any("constant bytes differ" in detail for change in found.nodes for detail in change.details)
    first, second = (dqnn.Interpreter(blob).predict(x) for blob in (model(), model(seed=2)))
    assert isinstance(first, np.ndarray) and isinstance(second, np.ndarray)
    (output,) = found.outputs
    assert output.equal == np.count_nonzero(first == second)
    assert output.differing_classes == np.count_nonzero(first.argmax(axis=1) != second.argmax(axis=1))


def test_a_layer_more() -> None:
    found = diff(model(), model(relu=True), {"x0": np.ones((2, 20), np.float32)})
    assert [change.kind for change in found.nodes] == ["added"]
    assert found.kernels == {"unary_f32": (0, 1)}
    sizes = {n.name: n.delta for n in found.numbers}
    assert sizes["nodes"] == 1 and sizes["file"] > 0


def test_other_shapes_are_not_run() -> None:
    found = diff(model(), model(outputs=9), {"x0": np.ones((2, 20), np.float32)})
    assert not found.outputs and "outputs have other shapes" in found.numerics_note
    assert any("->" in port for port in found.ports)


def test_command(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.dqnn").write_bytes(model())
    (tmp_path / "b.dqnn").write_bytes(model(seed=2, relu=True))
    assert "identical" in cli("a.dqnn", "a.dqnn", "--exit-code").output
    result = cli("a.dqnn", "b.dqnn", "--exit-code")
    assert result.exit_code == 1
    for text in ("file", "arena", "unary_f32", "16 samples", "+ "):
        assert text in result.output
    assert cli("a.dqnn", "b.dqnn").exit_code == 0
    report = json.loads(cli("a.dqnn", "b.dqnn", "--json", "--random", 3).stdout)
    assert report["samples"] == 3 and report["sizes"]["nodes"]["delta"] == 1
    assert "not compared" in cli("a.dqnn", "b.dqnn", "--no-run").output
    np.save(tmp_path / "x.npy", np.zeros((4, 20)))
    assert "4 samples" in cli("a.dqnn", "b.dqnn", "--inputs", "x.npy").output


def test_refusals(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.dqnn").write_bytes(model())
    (tmp_path / "bad.dqnn").write_bytes(model()[:-5])
    assert cli("a.dqnn", "none.dqnn").exit_code == 2
    assert cli("bad.dqnn", "a.dqnn").exit_code == 2
    both = cli("a.dqnn", "a.dqnn", "--random", 2, "--inputs", "x.npy")
    assert both.exit_code == 2 and "give either" in both.stderr
