"""Inputs that are fed by rows, as a user meets them: `--feed-rows`, `Interpreter.feed_rows`, what the report says, and
what such a model refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from link.wires import board
from passes.graph_builder import BYTE, Builder, byte_weights, rng_of

import dqnn
from dqnn import link
from dqnn.exporter.api import ExportResult
from dqnn.exporter.blob import parse
from dqnn.exporter.cli import main
from dqnn.exporter.errors import ExportError
from dqnn.exporter.inspect.text import memory_map, segment_lines
from dqnn.exporter.ir import ops
from dqnn.exporter.options import OptionError
from dqnn.exporter.targets.target import find_target

ROWS = 24


def conv(builder: Builder, rng: np.random.Generator, channels: int = 16) -> str:
    weights = byte_weights(rng, 16, 3, 3, channels, scale=2.0**-9)
    builder.add(ops.Conv2D(weights, padding=((1, 1), (1, 1))))
    return builder.add(BYTE)


@pytest.fixture(scope="module")
def graph() -> Any:
    """Four 3x3 convolutions on 24x8x3, a pool, whose first rows of 24 bytes lie at no multiple of 16."""
    rng, builder = rng_of(3), Builder((ROWS, 8, 3))
    builder.add(BYTE)
    conv(builder, rng, 3)
    for _ in range(3):
        conv(builder, rng)
    builder.add(ops.MaxPool((2, 2), (2, 2)))
    return builder.graph()


@pytest.fixture(scope="module")
def whole(graph: Any) -> ExportResult:
    return dqnn.export(graph)


@pytest.fixture(scope="module")
def fed(graph: Any) -> ExportResult:
    return dqnn.export(graph, rows="least", feed_rows=True)


@pytest.fixture(scope="module")
def images() -> Any:
    return rng_of(4).integers(-32, 33, (3, ROWS, 8, 3)).astype(np.float32) / 16


@pytest.mark.parametrize("at_a_time", [1, 2, 5, ROWS])
def test_the_same_bytes_for_any_number_of_rows(
    whole: ExportResult, fed: ExportResult, images: Any, at_a_time: int
) -> None:
    expected = dqnn.Interpreter(whole.blob).predict(images)
    it = dqnn.Interpreter(fed.blob)
    for image, output in zip(images, expected, strict=True):
        for y in range(0, ROWS, at_a_time):
            assert it.feed_rows(image[y : y + at_a_time]) == max(0, ROWS - y - at_a_time)
        it.invoke()
        np.testing.assert_array_equal(it.get_output(0), output)


def test_memory_holds_a_few_rows_of_the_input(whole: ExportResult, fed: ExportResult) -> None:
    model = fed.report.model
    tensor = model.tensors[model.inputs[0].tensor]
    assert 3 <= tensor.rows < 8 and tensor.nbytes == tensor.rows * 24
    assert fed.report.arena_bytes < 0.5 * whole.report.arena_bytes
    assert model.prefix.runtime_version == 2


def test_whole_inputs_do_as_well(whole: ExportResult, fed: ExportResult, images: Any) -> None:
    expected = dqnn.Interpreter(whole.blob).predict(images)
    it = dqnn.Interpreter(fed.blob)
    np.testing.assert_array_equal(it.predict(images, threads=2), expected)
    it.set_input(0, images[1])
    for _ in range(2):
        it.invoke()
        np.testing.assert_array_equal(it.get_output(0), expected[1])
    assert it.high_water() <= fed.report.arena_bytes
    assert all(entry.seconds > 0 for entry in it.profile(2))


def test_trace_sees_whole_tensors(whole: ExportResult, fed: ExportResult, images: Any) -> None:
    traces = []
    for result in (whole, fed):
        it = dqnn.Interpreter(result.blob)
        it.set_input(0, images[0])
        traces.append([value.value for value in it.trace()])
    for one, other in zip(*traces, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_row_and_raw_rows(whole: ExportResult, fed: ExportResult, images: Any) -> None:
    it = dqnn.Interpreter(fed.blob)
    stored = it.to_stored(images[:1])[0][0]
    for y in range(ROWS):
        it.feed_rows(stored[y], raw=True) if y % 2 else it.feed_rows(images[0][y])
    it.invoke()
    np.testing.assert_array_equal(it.get_output(0), dqnn.Interpreter(whole.blob).predict(images[:1])[0])


# --- misuse -----------------------------------------------------------------------------------------------------------


def test_invoke_before_the_last_row(fed: ExportResult, images: Any) -> None:
    it = dqnn.Interpreter(fed.blob)
    it.feed_rows(images[0][:20])
    with pytest.raises(RuntimeError, match="needs 4 more rows"):
        it.invoke()
    it.feed_rows(images[0][20:])
    it.invoke()


def test_too_many_rows_and_wrong_shapes(whole: ExportResult, fed: ExportResult, images: Any) -> None:
    it = dqnn.Interpreter(fed.blob)
    it.feed_rows(images[0][:20])
    with pytest.raises(ValueError, match="4 more until invoke"):
        it.feed_rows(images[0][:5])
    for wrong in (images[0][0, :7], images[0][:, :7], images, 0.0):
        with pytest.raises(ValueError, match=r"takes rows of shape \(8, 3\)"):
            it.feed_rows(wrong)
    it.feed_rows(images[0][20:])  # as if nothing had been
    with pytest.raises(ValueError, match="0 more until invoke"):
        it.feed_rows(images[0][0])
    it.invoke()
    np.testing.assert_array_equal(it.get_output(0), dqnn.Interpreter(whole.blob).predict(images[:1])[0])


def test_a_frame_that_is_lost(whole: ExportResult, fed: ExportResult, images: Any) -> None:
    it = dqnn.Interpreter(fed.blob)
    it.feed_rows(images[0][:11])
    it.feed_anew()
    assert it.feed_rows(images[1]) == 0
    it.invoke()
    np.testing.assert_array_equal(it.get_output(0), dqnn.Interpreter(whole.blob).predict(images[1:2])[0])


def test_models_that_are_not_fed(whole: ExportResult, images: Any) -> None:
    with pytest.raises(RuntimeError, match="not fed by rows"):
        dqnn.Interpreter(whole.blob).feed_rows(images[0])


def test_a_device_that_does_not_feed_says_so(fed: ExportResult) -> None:
    """The link writes inputs where it likes: it takes no such file."""
    with link.Device(link.Direct(board(None, slot=1 << 17, memory=1 << 16).feed)) as device:
        with pytest.raises(link.DeviceRefused, match=r"the model's input is fed by rows, which takes") as caught:
            device.load(fed.blob)
        assert caught.value.status == "segments"


# --- exports that are refused -----------------------------------------------------------------------------------------


def test_several_inputs() -> None:
    builder = Builder((8, 8, 16), (8, 8, 16))
    builder.add(ops.Binary("add"), *builder.inputs)
    with pytest.raises(ExportError, match="the model has 2 inputs"):
        dqnn.export(builder.graph(), feed_rows=True)


def test_a_layer_that_needs_the_whole_input(digits: Path) -> None:
    builder = Builder((64,))
    builder.add(BYTE)
    with pytest.raises(ExportError, match="has no rows: maps of rank 2 or 3"):
        dqnn.export(builder.graph(), feed_rows=True)


def test_self_tests(graph: Any, images: Any) -> None:
    with pytest.raises(OptionError, match="one of selftest and feed_rows"):
        dqnn.export(graph, selftest=images, feed_rows=True)


# --- commands ---------------------------------------------------------------------------------------------------------


def test_report_and_inspect_name_the_rows(fed: ExportResult, tmp_path: Path) -> None:
    path = tmp_path / "m.dqnn"
    path.write_bytes(fed.blob)
    model = parse(fed.blob)
    rows = model.tensors[model.inputs[0].tensor].rows
    assert f"fed by rows: {rows} in memory" in str(fed)
    assert f"{rows} of tensor {model.inputs[0].tensor}" in segment_lines(model)[0]
    assert len({len(line) for line in memory_map(model)}) == 1
    shown = CliRunner().invoke(main, ["inspect", str(path)])
    assert shown.exit_code == 0 and "fed by rows" in shown.output
    shown = CliRunner().invoke(main, ["inspect", str(path), "--kernel-set", str(tmp_path / "k.c")])
    assert ".segments = &dqnn_fed_strips" in (tmp_path / "k.c").read_text()


def test_command_line(digits: Path, tmp_path: Path) -> None:
    """An image whose rows have 8 bytes."""
    arguments = ["export", str(digits / "digits_qkeras.h5"), "-o", str(tmp_path / "m.dqnn"), "--feed-rows"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    it = dqnn.Interpreter(tmp_path / "m.dqnn")
    x = np.load(digits / "digits_test.npz")["x"][:1]
    for row in x[0]:
        it.feed_rows(row)
    it.invoke()
    whole = dqnn.export(digits / "digits_qkeras.h5").blob
    np.testing.assert_array_equal(it.get_output(0), dqnn.Interpreter(whole).predict(x)[0])


def test_an_emulated_board_reads_row_by_row(
    whole: ExportResult, fed: ExportResult, images: Any, require_tool: Callable[[str], str]
) -> None:
    """Over semihosting: layers run before the host has given the last row."""
    for tool in ("qemu-system-arm", "arm-none-eabi-gcc", "cmake", "ninja"):
        require_tool(tool)
    target = find_target("qemu:mps2-an386")
    assert target.runner is not None
    stored = dqnn.Interpreter(fed.blob).to_stored(images)
    runs = [target.runner.run(result.blob, stored) for result in (whole, fed)]
    assert runs[0].outputs[0].tobytes() == runs[1].outputs[0].tobytes()
