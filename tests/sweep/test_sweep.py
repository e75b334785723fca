"""Candidates beside each other: figures, the front, what fails, files, charts."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from passes.graph_builder import SIGN, Builder, binary_weights, rng_of

import dqnn
from dqnn.exporter.bench import measure
from dqnn.exporter.cli import main
from dqnn.exporter.ir import ops
from dqnn.exporter.sweep.candidates import SweepError
from dqnn.exporter.sweep.model import Entry, Sweep, pareto
from dqnn.exporter.sweep.sweep import SweepReport

Cli = Callable[..., Any]
FUNCTION = """
from helper import SIZE

def make():
    from dqnn.exporter.api import export
    yield "first", "larq.dqnn"
    yield "again", lambda: export("larq.h5", io_dtype="f32")
    yield "wrong", lambda: 1 / 0
    raise RuntimeError("out of " + SIZE)
"""


def dense(width: int, outputs: int = 10) -> Any:
    """A network of random weights."""
    rng = rng_of(width)
    graph = Builder((28, 28, 1))
    flat = graph.add(ops.Reshape((784,)), "x0")
    first = graph.add(ops.Dense(ops.Weights("f32", rng.normal(size=(width, 784)).astype(np.float32))), flat)
    return graph.graph(graph.add(ops.Dense(binary_weights(rng, outputs, width)), graph.add(SIGN, first)))


@pytest.fixture(scope="module")
def data(digits: Path) -> dict[str, Any]:
    with np.load(digits / "digits_test.npz") as file:
        return {"x": file["x"][:50], "y": file["y"][:50]}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Path, data: dict[str, Any]) -> Cli:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", **data)
    (tmp_path / "larq.h5").symlink_to(digits / "digits_larq.h5")
    (tmp_path / "qkeras.h5").symlink_to(digits / "digits_qkeras.h5")
    dqnn.export("larq.h5", "larq.dqnn")
    return lambda *arguments: CliRunner().invoke(
        main, ["sweep", *(str(a) for a in arguments), "--inputs", "x.npz", "--labels", "y"]
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_other_commands(digits: Path, data: dict[str, Any]) -> None:
    pytest.importorskip("unicorn")
    source = digits / "digits_larq.h5"
    found = dqnn.sweep([source, digits / "digits_qkeras.h5"], data["x"], data["y"])
    result = dqnn.export(source)
    report = dqnn.validate(result.blob, source, data["x"], labels=data["y"], original="evaluator")
    entry = next(entry for entry in found.entries if entry.name == "digits_larq")
    assert report.outputs[0].c_labels is not None and entry.quality == report.outputs[0].c_labels.acc
    assert (entry.file_bytes, entry.arena_bytes) == (len(result.blob), result.report.arena_bytes)
    assert found.measure == "ACC" and found.samples == 50 and not found.failed
    if not measure.missing_emulator():
        assert found.unit == "estimated cycles" and 700_000 < (entry.cost or 0) < 1_000_000
    assert "digits_qkeras" in str(found) and found._repr_html_().startswith("<pre>2 candidates on 50 samples")
    assert repr(found).startswith("<dqnn.SweepReport 2 candidates")


def test_values_are_compared_by_rmse(data: dict[str, Any]) -> None:
    values = np.random.default_rng(1).normal(size=(50, 10)).astype(np.float32)
    found = dqnn.sweep({"a": dense(32), "b": dense(64)}, data["x"], values, target=None)
    assert found.measure == "RMSE" and found.unit == "" and found.measured[0].quality == min(
        entry.quality or 0.0 for entry in found.entries
    )  # fmt: skip
    model = dqnn.Interpreter(dqnn.export(dense(32)).blob)
    assert found.entries[0].quality == pytest.approx(np.sqrt(np.mean((model.predict(data["x"]) - values) ** 2)))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), max_size=9))
def test_the_front(points: list[tuple[float, ...]]) -> None:
    on = pareto(points)
    front = [point for point, is_on in zip(points, on, strict=True) if is_on]
    assert bool(front) == bool(points)
    for point, is_on in zip(points, on, strict=True):
        beaten = any(all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in front)
        assert beaten != is_on  # whatever is beaten is beaten by one of the front


def test_the_front_of_a_sweep() -> None:
    entries = (
        Entry("best", "", 0.9, 100, 100, 100),
        Entry("small", "", 0.5, 10, 100, 100),
        Entry("worse", "", 0.8, 100, 101, 100),
        Entry("fast", "", 0.8, 100, 101, 9),
        Entry("nan", "", float("nan"), 100, 200, 300),
        Entry("failed", "", failure="no"),
    )
    found = Sweep("ACC", 7, "cortex-m4", "estimated cycles", "", entries)
    assert [entry.name for entry in found.front] == ["best", "fast", "small"]
    assert [entry.name for entry in found.measured] == ["best", "worse", "fast", "small", "nan"]
    without = Sweep("ACC", 7, "", "", "", entries)
    assert [entry.name for entry in without.front] == ["best", "small"]
    assert json.loads(json.dumps(found.to_json()))["candidates"][4]["quality"] == "nan"


def test_charts(tmp_path: Path) -> None:
    """One for each figure; of many candidates, those on a front are named."""
    pytest.importorskip("matplotlib")
    entries = [Entry(f"model {n}", "", 0.5 + n / 100, 1000 * 2**n, 500, 10 + n) for n in range(6)]
    beaten = [Entry(f"worse {n}", "", 0.4, 1000 * 2**n, 900, 100) for n in range(8)]
    found = SweepReport(
        "ACC", 7, "cortex-m4", "estimated cycles", "", (*entries, *beaten, Entry("no", "", failure="x"))
    )
    written = found.plot(tmp_path)
    assert {path.name for path in written} == {
        f"{key}.{kind}" for key in ("file", "arena", "cost") for kind in ("png", "svg")
    }
    for key in ("file", "cost"):
        text = (tmp_path / f"{key}.svg").read_text()
        assert all(entry.name in text for entry in entries) and "worse" not in text and "Pareto front" in text
    assert "on the front of all figures" in (tmp_path / "arena.svg").read_text()
    few = SweepReport("RMSE", 7, "", "", "", (*entries[:3], *beaten[:3]))
    assert {path.stem for path in few.plot(tmp_path / "few")} == {"file", "arena"}
    assert "worse 2" in (tmp_path / "few" / "file.svg").read_text()


# --- candidates -------------------------------------------------------------------------------------------------------


def test_every_form_of_candidate(digits: Path, data: dict[str, Any]) -> None:
    result = dqnn.export(dense(32))

    def given() -> Iterator[Any]:
        yield result
        yield result.blob
        yield "named", partial(dense, 64)
        yield digits / "digits_larq.h5"
        yield {"in a dict": dense(16)}

    found = dqnn.sweep(given, data["x"], data["y"], target=None)
    names = ["candidate 1", "candidate 2", "named", "digits_larq", "in a dict"]
    assert [entry.name for entry in found.entries] == names and not found.failed
    assert found.entries[0].quality == found.entries[1].quality


def test_same_names_are_told_apart(digits: Path, data: dict[str, Any]) -> None:
    paths = [digits / "digits_larq.h5", digits / "digits_larq.keras"]
    found = dqnn.sweep([*paths, paths[0]], data["x"], data["y"], target=None)
    assert [entry.name for entry in found.entries] == ["digits_larq", str(paths[1]), str(paths[0])]


def test_failures_end_nothing(digits: Path, data: dict[str, Any]) -> None:
    def five() -> Any:
        graph = Builder((5,))
        return graph.graph(graph.add(SIGN, "x0"))

    candidates = {
        "good": dense(32),
        "missing": "no.h5",
        "damaged": b"DQNN" * 30,
        "another shape": five(),
        "three classes": dense(32, outputs=3),
        "exported": (dqnn.export(dense(16)).blob),
        "raises": partial(int, "x"),
    }
    found = dqnn.sweep(candidates, data["x"], data["y"], target=None, io_dtype="f32")
    failures = {entry.name: entry.failure for entry in found.failed}
    assert [entry.name for entry in found.measured] == ["good"]
    assert failures["missing"] == "no.h5: no such file"
    assert "options of the export" in failures["damaged"] and "options of the export" in failures["exported"]
    assert "has shape (50, 28, 28, 1); expected (samples, 5)" in failures["another shape"]
    assert "expected classes 0 to 2" in failures["three classes"]
    assert failures["raises"].startswith("ValueError: invalid literal")
    again = dqnn.sweep({"damaged": b"DQNN" * 30, "good": dense(32)}, data["x"], data["y"], target=None)
    assert "the interpreter refuses the file" in again.entries[0].failure and not again.entries[1].failure


def test_what_is_refused(data: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="there are no candidates"):
        dqnn.sweep([], data["x"], data["y"])
    with pytest.raises(SweepError, match="not of host"):
        dqnn.sweep([dense(16)], data["x"], data["y"], target="host")
    with pytest.raises(dqnn.DqnnError, match="no target is named"):
        dqnn.sweep([dense(16)], data["x"], data["y"], target="cortex-m99")
    few = dqnn.sweep([dense(16)], data["x"][:9], data["y"], target=None)
    assert few.entries[0].failure == "50 labels for 9 samples"


def test_without_an_emulator(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    monkeypatch.setattr("dqnn.exporter.sweep.sweep.missing_emulator", lambda: ["unicorn", "arm-none-eabi-gcc"])
    found = dqnn.sweep([dense(16)], data["x"], data["y"])
    assert found.unit == "" and found.entries[0].cost is None and found.entries[0].quality is not None
    assert "no cycles: needs unicorn, arm-none-eabi-gcc" in str(found)


def test_what_does_not_fit_is_told(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqnn.exporter.sweep.sweep.missing_emulator", lambda: ["unicorn"])
    found = dqnn.sweep([dense(200)], data["x"], data["y"], target="stm32f411")
    assert "flash" in found.entries[0].remark.lower() and "remark" in str(found)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command(cli: Cli) -> None:
    Path("models.py").write_text(FUNCTION)
    Path("helper.py").write_text('SIZE = "ideas"')
    pytest.importorskip("matplotlib")
    done = cli("qkeras.h5", "models.py:make", "--no-cycles", "--csv", "s.csv", "--plot", "s.png", "--limit", 40)
    assert done.exit_code == 0, done.output
    assert "5 candidates on 40 samples" in done.stdout and "*: on the Pareto front" in done.stdout
    assert "failed: wrong (models.py:make): ZeroDivisionError: division by zero" in done.stdout
    assert "failed: models.py:make: RuntimeError: out of ideas" in done.stdout
    rows = list(csv.DictReader(Path("s.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["qkeras", "first", "again", "wrong", "models.py:make"]
    assert float(rows[1]["acc"]) == float(rows[2]["acc"]) and rows[3]["failure"] and rows[0]["file_bytes"]
    assert Path("s.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_as_json(cli: Cli) -> None:
    done = cli("larq.dqnn", "no.h5", "--no-cycles", "--json")
    found = json.loads(done.stdout)
    assert found["schema"] == "dqnn.sweep/1" and [c["front"] for c in found["candidates"]] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("no.h5", "--no-cycles"), 2, "none of 1 candidates could be run"),
        (("models.py:make", "--no-cycles"), 2, "models.py: no such file"),
        (("larq.dqnn", "--plot", "s.gif"), 2, "accepted: .png, .svg, .pdf"),
        (("larq.dqnn", "--csv", "x.npz"), 2, "the model or data to be read"),
        (("larq.dqnn", "--target", "host"), 2, "not of host"),
        ((), 2, "Missing argument"),
    ],
)
def test_the_command_refuses(cli: Cli, arguments: tuple[str, ...], code: int, text: str) -> None:
    done = cli(*arguments)
    assert done.exit_code == code and text in done.output


def test_both_sweeps_tell_of_the_other() -> None:
    sweep, bench = (" ".join(CliRunner().invoke(main, [name, "--help"]).output.split()) for name in ("sweep", "bench"))
    assert "`dqnn bench --sweep`" in sweep and "`dqnn sweep`" in bench
