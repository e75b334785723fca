"""Layers that run for some rows at a time, as a user meets them: `--rows`, `--arena`, what the report and inspect say,
and that whatever looks at layers sees whole tensors."""

from __future__ import annotations

import json
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
from dqnn.exporter.bench.measure import measure_by_node
from dqnn.exporter.blob import lifetimes, liveness, parse
from dqnn.exporter.cli import main
from dqnn.exporter.errors import ExportError
from dqnn.exporter.inspect.text import memory_map, segment_lines
from dqnn.exporter.ir import ops
from dqnn.exporter.options import OptionError
from dqnn.exporter.targets.boards import TargetError


@pytest.fixture(scope="module")
def graph() -> Any:
    """Four 3x3 convolutions on 24x8x16, a sum over the middle two, a pool."""
    rng, builder = rng_of(3), Builder((24, 8, 16))
    builder.add(BYTE)

    def conv() -> str:
        weights = byte_weights(rng, 16, 3, 3, 16, scale=2.0**-9)
        builder.add(ops.Conv2D(weights, padding=((1, 1), (1, 1))))
        return builder.add(BYTE)

    before = conv()
    conv()
    builder.add(ops.Binary("add"), before, conv())
    builder.add(BYTE)
    conv()
    builder.add(ops.MaxPool((2, 2), (2, 2)))
    return builder.graph()


@pytest.fixture(scope="module")
def image() -> Any:
    return rng_of(4).integers(-32, 33, (1, 24, 8, 16)).astype(np.float32) / 16


def test_off_is_the_default_and_auto_takes_less(graph: Any, image: Any) -> None:
    off, auto, least = (dqnn.export(graph, rows=mode) for mode in ("off", "auto", "least"))
    assert dqnn.export(graph).blob == off.blob
    assert least.report.arena_bytes <= auto.report.arena_bytes <= off.report.arena_bytes
    assert least.report.arena_bytes < 0.7 * off.report.arena_bytes
    expected = dqnn.Interpreter(off.blob).predict(image)
    for result in (auto, least):
        assert dqnn.Interpreter(result.blob).predict(image).tobytes() == expected.tobytes()


def test_trace_sees_whole_tensors(graph: Any, image: Any) -> None:
    traces = []
    for mode in ("off", "least"):
        it = dqnn.Interpreter(dqnn.export(graph, rows=mode).blob)
        it.set_input(0, image[0])
        traces.append([value.value for value in it.trace()])
    for whole, by_rows in zip(*traces, strict=True):
        np.testing.assert_array_equal(whole, by_rows)


def test_a_device_traces_whole_tensors(graph: Any, image: Any) -> None:
    """Also where they come in several pieces."""
    blob = dqnn.export(graph, rows="least").blob
    it = dqnn.Interpreter(blob)
    it.set_input(0, image[0])
    expected = [value.value for value in it.trace(raw=True)]
    with link.Device(link.Direct(board(blob, slot=1 << 17, memory=1 << 16).feed)) as device:
        stored = it.to_stored(image)
        for node, whole in enumerate(expected):
            found = device.trace([array[0].tobytes() for array in stored], node)
            assert np.asarray(found).tobytes() == whole.tobytes(), node


def test_profile_has_a_time_for_each_node(graph: Any) -> None:
    it = dqnn.Interpreter(dqnn.export(graph, rows="least").blob)
    assert all(entry.seconds > 0 for entry in it.profile(2))


def test_every_call_of_a_layer_counts(graph: Any, require_tool: Callable[..., str]) -> None:
    """On the emulated core a layer takes by rows no fewer instructions than at once."""
    require_tool("arm-none-eabi-gcc")
    for module in ("unicorn", "elftools"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    once, by_rows = (
        measure_by_node(dqnn.export(graph, rows=mode, optimize="size").blob, "cortex-m4") for mode in ("off", "least")
    )
    assert len(once.nodes) == len(by_rows.nodes)
    for whole, parts in zip(once.nodes, by_rows.nodes, strict=True):
        assert whole.instructions <= parts.instructions < 2 * whole.instructions


def test_validation_compares_whole_layers(graph: Any) -> None:
    """Each tensor of a segment with that of the original's layer, every element of it."""
    inputs = rng_of(5).integers(-32, 33, (3, 24, 8, 16)).astype(np.float32) / 16
    least = dqnn.export(graph, rows="least")
    assert any(tensor.rows for tensor in least.report.model.tensors)
    found = dqnn.validate(least.blob, graph, inputs, original="evaluator", per_layer=True)
    assert len(found.layers) == len(least.report.nodes)
    assert [layer.l2r for layer in found.layers] == [0.0] * len(found.layers)


def test_arena_that_can_be_reached(graph: Any) -> None:
    off, least = (dqnn.export(graph, rows=mode).report.arena_bytes for mode in ("off", "least"))
    wanted = (off + least) // 2
    assert dqnn.export(graph, arena=wanted).report.arena_bytes <= wanted
    assert dqnn.export(graph, arena=off).report.model.longest_segment == 0, "no rows where none are needed"
    with pytest.raises(
        ExportError, match=rf"the arena takes {least:,} B, {least - 100:,} B more than the 100 B"
    ) as info:
        dqnn.export(graph, arena=100)
    assert "in use while conv_s8_s8_s8 runs" in str(info.value)


def test_too_little_ram_names_the_rows_with_which_it_fits(graph: Any) -> None:
    """And says nothing of rows where they do not help."""
    models = [dqnn.export(graph, rows=mode).report.model for mode in ("off", "least")]
    off, least = (model.memory_bytes + 1024 for model in models)
    with pytest.raises(TargetError, match=r"It fits with --rows (auto|least): an arena of") as caught:
        dqnn.export(graph, ram=(off + least) // 2)
    assert "dqnn_strips" in str(caught.value)
    with pytest.raises(TargetError, match="does not fit") as caught:
        dqnn.export(graph, ram=least - 100)
    assert "rows" not in str(caught.value)


def test_options_that_cannot_be(graph: Any) -> None:
    for wrong in ({"rows": "some"}, {"arena": 0}, {"arena": "1k"}):
        with pytest.raises(OptionError, match="accepted"):
            dqnn.export(graph, **wrong)


def test_report_and_inspect_name_the_rows(graph: Any, tmp_path: Path) -> None:
    result = dqnn.export(graph, tmp_path / "m.dqnn", rows="least")
    model = result.report.model
    assert "nodes run for some rows at a time, which adds an estimated" in str(result)
    assert result.report.to_json()["extra_cycles"] > 0
    lines = segment_lines(model)
    assert lines and all(" rows at a time" in line for line in lines)
    shown = CliRunner().invoke(main, ["inspect", str(tmp_path / "m.dqnn")])
    assert shown.exit_code == 0 and lines[0][:40] in shown.output
    shown = CliRunner().invoke(main, ["inspect", str(tmp_path / "m.dqnn"), "--json"])
    nodes = json.loads(shown.output)["nodes"]
    assert [node.get("segment", 0) for node in nodes] == [node.segment for node in model.nodes]


def test_what_is_alive_is_inside_the_arena(graph: Any) -> None:
    """Tensors of a segment live as long as it runs, and strips take what memory holds of them."""
    model = parse(dqnn.export(graph, rows="least").blob)
    begin, node = next((i, n) for i, n in enumerate(model.nodes) if n.segment > 1)
    inside = range(begin, begin + node.segment)
    strips = [model.nodes[i].output for i in inside if model.tensors[model.nodes[i].output].rows]
    assert strips
    assert all(lifetimes(model)[tensor] == (inside[0], inside[-1]) for tensor in strips)
    assert max(live.total for live in liveness(model)) <= model.prefix.arena_bytes
    assert len({len(line) for line in memory_map(model)}) == 1
    assert all(model.tensors[t].nbytes < model.tensors[t].type.nbytes for t in strips)


def test_state_counts_the_table(graph: Any) -> None:
    off, least = (parse(dqnn.export(graph, rows=mode).blob) for mode in ("off", "least"))
    assert least.state_bytes - off.state_bytes == 308 + 52 * least.longest_segment


def test_command_line(digits: Path, tmp_path: Path) -> None:
    arguments = ["export", str(digits / "digits_qkeras.h5"), "-o", str(tmp_path / "m.dqnn"), "--rows", "auto"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    refused = CliRunner().invoke(main, [*arguments, "--arena", "64"])
    assert refused.exit_code == 2 and "B more than the 64 B that it may" in refused.output
