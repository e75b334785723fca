"""Options: each is declared once; the API and the command line spell it alike; a file keeps in short what was asked."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import dqnn
from dqnn.exporter.blob import parse
from dqnn.exporter.cli import main
from dqnn.exporter.options import DEFAULTS, ExportOptions, OptionError

# What only one side can have: files and forms of output of a command; what a program has in memory or asks of a result.
OF_COMMANDS = {
    "export": {"model", "explain", "as_json", "debug"},
    "analyze": {"as_json", "html", "plot", "debug"},
    "validate": {"count", "low", "high", "seed", "max_l2r", "min_acc", "as_json", "html", "bench", "debug"},
    "sweep": {"no_cycles", "as_json", "as_csv", "plot", "debug"},
}
OF_PROGRAMS = {
    "export": {"model_or_path"},
    "analyze": {"options"},
    "validate": {"progress"},
    "sweep": {"options", "progress"},
}
DEFAULTS_OF_COMMANDS = {("export", "output"), ("validate", "labels")}  # MODEL with .dqnn; none instead of None


def defaults(name: str) -> dict[str, Any]:
    """What a command gets when nothing is asked for."""
    assert isinstance(main, click.Group)
    command = main.get_command(click.Context(main), name)
    assert command is not None
    needed = {"validate": ["--against", "model.h5"], "sweep": ["--inputs", "x.npz", "--labels", "y"]}.get(name, [])
    return command.make_context(name, ["model", *needed]).params


@pytest.mark.parametrize("name", list(OF_COMMANDS))
def test_the_command_line_is_the_function(name: str) -> None:
    """Every parameter of the function is an option of the same name and default, and the other way round."""
    commands, function = defaults(name), inspect.signature(getattr(dqnn, name)).parameters
    own = {field.name for field in fields(ExportOptions)} if name in ("analyze", "sweep") else set()
    assert set(commands) - OF_COMMANDS[name] - own == set(function) - OF_PROGRAMS[name]
    for key in set(commands) & set(function):
        if (name, key) in DEFAULTS_OF_COMMANDS or function[key].default is inspect.Parameter.empty:
            continue
        assert commands[key] == function[key].default, key


@pytest.mark.parametrize("name", ["export", "analyze"])
def test_export_options_are_those_of_the_dataclass(name: str) -> None:
    commands, function = defaults(name), inspect.signature(dqnn.export).parameters
    for field in fields(ExportOptions):
        assert function[field.name].default == field.default == commands[field.name]


NUMBERS = st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-6)
PAIRS = st.tuples(NUMBERS, st.floats(-1e6, 1e6))
OPTIONS = st.builds(
    ExportOptions,
    io_dtype=st.sampled_from(["auto", "f32"]),
    requant=st.sampled_from(["auto", "tflite"]),
    constant_time=st.booleans(),
    pack_weights=st.booleans(),
    input_u8=st.none() | PAIRS | st.dictionaries(st.text(max_size=8), PAIRS, min_size=1, max_size=3),
)


@given(OPTIONS)
def test_short_forms_come_back(options: ExportOptions) -> None:
    assert ExportOptions.of_short(options.in_short()) == options


def test_defaults_are_not_stored(digits: Path) -> None:
    """So files that were exported by the defaults are what they were before there was this field."""
    assert DEFAULTS.in_short() == "" and ExportOptions.of_short("") == DEFAULTS
    assert parse(dqnn.export(digits / "digits_larq.h5").blob).options == ""


@pytest.mark.parametrize("text", ['{"speed":1}', '{"requant":"other"}', "[1]", "constant_time", '{"input_u8":[0,1]}'])
def test_what_this_version_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        ExportOptions.of_short(text)


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"constant_time": True}, ["--constant-time"]),
    ({"pack_weights": True}, ["--pack-weights"]),
    ({"io_dtype": "f32", "requant": "tflite"}, ["--io-dtype", "f32", "--requant", "tflite"]),
    ({"input_u8": (1 / 255, -0.5)}, ["--input-u8", "1/255", "-0.5"]),
    ({"input_u8": {"quant_conv2d_input": (0.5, 0.0)}}, ["--input-u8", "quant_conv2d_input=0.5", "0"]),
]  # fmt: skip


@pytest.mark.parametrize(("options", "arguments"), CASES, ids=str)
def test_both_ways_write_the_same_file(
    options: dict[str, Any], arguments: list[str], digits: Path, tmp_path: Path
) -> None:
    expected = dqnn.export(digits / "digits_larq.h5", **options)
    file = tmp_path / "m.dqnn"
    done = CliRunner().invoke(main, ["export", str(digits / "digits_larq.h5"), "-o", str(file), *arguments])
    assert done.exit_code == 0, done.output
    assert file.read_bytes() == expected.blob
    assert ExportOptions.of_short(parse(expected.blob).options) == ExportOptions(**options)
    dqnn.Interpreter(expected.blob)
    shown = CliRunner().invoke(main, ["inspect", str(file), "--json"])
    assert json.loads(shown.output)["options"] == parse(expected.blob).options


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["1", "0", "--input-u8", "2", "0"], "one pair for all inputs, or one for each name"),
        (["a=1", "0", "--input-u8", "a=2", "0"], "one pair for all inputs, or one for each name"),
        (["a=1", "0", "--input-u8", "2", "0"], "one pair for all inputs, or one for each name"),
        (["a=0", "0"], "SCALE is 0"),
        (["a=x", "0"], "'x' is no number"),
        (["nobody=1", "0"], "nobody"),
    ],
)
def test_wrong_samples(arguments: list[str], text: str, digits: Path, tmp_path: Path) -> None:
    command = ["export", str(digits / "digits_larq.h5"), "-o", str(tmp_path / "m.dqnn"), "--input-u8", *arguments]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and text in done.output and not (tmp_path / "m.dqnn").exists()


def test_analyze_takes_them(digits: Path) -> None:
    arguments = ["analyze", str(digits / "digits_larq.h5"), "--constant-time", "--json"]
    kernels = [node["kernel"] for node in json.loads(CliRunner().invoke(main, arguments).output)["nodes"]]
    assert any(kernel.startswith("convh") for kernel in kernels)


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "older file"])
@pytest.mark.parametrize(("options", "_"), CASES, ids=str)
def test_layers_are_compared_under_the_options_of_the_file(
    options: dict[str, Any], _: Any, stored: bool, digits: Path, rng_inputs: Any, count_exports: Callable[[], int]
) -> None:
    """A file that says how it was exported is compiled once; one of before is guessed."""
    result = dqnn.export(digits / "digits_larq.h5", **options)
    blob = result.blob if stored else without_options(digits / "digits_larq.h5", ExportOptions(**options))
    report = dqnn.validate(blob, digits / "digits_larq.h5", rng_inputs, original="evaluator", per_layer=True)
    assert not report.layers_note and all(layer.inexact == 0 for layer in report.layers)
    assert count_exports() == 1 or not stored


@pytest.fixture
def rng_inputs() -> Any:
    import numpy as np

    return np.random.default_rng(1).uniform(0, 1, (3, 28, 28, 1)).astype(np.float32)


@pytest.fixture
def count_exports(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the comparison of layers compiled the original."""
    from dqnn.exporter.validate import layers

    calls = []
    original = layers.run_pipeline
    monkeypatch.setattr(layers, "run_pipeline", lambda *arguments: calls.append(1) or original(*arguments))
    return lambda: len(calls)


def without_options(model: Path, options: ExportOptions) -> bytes:
    """What was exported before files said how."""
    from dqnn.exporter.api import load_graph
    from dqnn.exporter.emit.writer import write
    from dqnn.exporter.passes import run_pipeline

    return write(run_pipeline(load_graph(model), replace(options)).graph, producer="old").blob
