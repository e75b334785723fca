"""Rows at a time in an analysis: what segments hold call by call, what other plans of rows would give, and that files
of any kind are looked at without harm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from emit.test_strips import byte_conv, random_network
from passes.graph_builder import BYTE, Builder, chain_graph, rng_of

import dqnn
from dqnn.exporter.analyze.analysis import analyze_view
from dqnn.exporter.analyze.charts import STEPS, drawn, memory_map, rows_charts
from dqnn.exporter.analyze.html import report_html
from dqnn.exporter.analyze.rows import alternatives, floor_of, program_of, segments_of
from dqnn.exporter.blob import ModelView, lifetimes, owners, parse
from dqnn.exporter.cli import main
from dqnn.exporter.emit.writer import problem_of, write
from dqnn.exporter.format import ConvParams
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.types import S8, TensorType
from dqnn.exporter.show.plots import MemoryMap, outline

from .test_html import measured

SEEDS = range(12)


@pytest.fixture(scope="module")
def graph() -> Any:
    """Three 3x3 convolutions on 48x16x4, the last with stride 2."""
    rng, builder = rng_of(1), Builder(TensorType((48, 16, 4), S8(1 / 16)))
    for channels, stride in ((4, 1), (16, 1), (16, 2)):
        builder.add(byte_conv(rng, 16, channels, 3, stride))
        builder.add(BYTE)
    return builder.graph()


@pytest.fixture(scope="module")
def off(graph: Any) -> ModelView:
    return parse(dqnn.export(graph, optimize="size").blob)


@pytest.fixture(scope="module")
def least(graph: Any) -> dqnn.ExportResult:
    return dqnn.export(graph, rows="least")


def random_views() -> list[ModelView]:
    options = ({"rows": "least"}, {"rows": "auto"}, {"rows": "least", "feed_rows": True})
    return [parse(write(random_network(seed), producer="test", **more).blob) for seed in SEEDS for more in options]  # type: ignore[arg-type]


def test_strips_hold_what_memory_has_room_for() -> None:
    """Rows come one behind the other, none is lost before its last reader, and in the end all were made."""
    models = [model for model in random_views() if model.longest_segment]
    assert len(models) > 20
    for model in models:
        segments = segments_of(model)
        assert [s.begin for s in segments] == [i for i, node in enumerate(model.nodes) if node.segment]
        for segment in segments:
            assert set(segment.calls) == set(range(segment.begin, segment.end))
            for held in segment.tensors:
                assert all(0 <= end - first <= (held.rows or held.height) for first, end in held.spans)
                assert [sorted(part) == list(part) for part in zip(*held.spans, strict=True)] == [True, True]
                assert held.spans[-1][1] == held.height
                assert len(held.spans) == len(segment.calls)


def test_what_leaves_stays_whole(graph: Any, least: dqnn.ExportResult) -> None:
    segment = segments_of(least.report.model)[-1]
    output = next(held for held in segment.tensors if held.tensor == least.report.model.outputs[0].tensor)
    assert {first for first, _ in output.spans} == {0} and output.spans[-1] == (0, 24)
    entering = segment.tensors[0]
    assert entering.node is None and entering.spans[0] == (0, 48) and entering.spans[-1][0] > 24


def test_a_file_as_the_planner_sees_it(graph: Any) -> None:
    """The problem of a file is that of the graph, aliases included."""
    for seed in SEEDS:
        written = write(random_network(seed), producer="test")
        program = program_of(parse(written.blob))
        assert program is not None
        assert problem_of(program).sizes == problem_of(written.program).sizes
        assert len(problem_of(program).steps) == len(written.program.calls)


def test_another_name_of_a_tensor_keeps_it_alive() -> None:
    """A map whose flattened form is read by two layers, one behind the other."""
    builder = Builder((8, 8, 16))
    builder.add(ops.MaxPool((2, 2), (2, 2)))
    flat = builder.add(ops.Reshape((256,)))
    builder.add(ops.Binary("add"), flat, builder.add(ops.Softmax()))
    model = parse(dqnn.export(builder.graph()).blob)
    pool, softmax, add = model.nodes
    (name,) = softmax.inputs
    assert name in add.inputs and name != pool.output == owners(model)[name]
    assert lifetimes(model)[pool.output] == (0, 2)
    assert set(owners(model).values()) == {model.inputs[0].tensor, *(node.output for node in model.nodes)}


def test_advice_names_the_floor_and_what_rows_would_give(graph: Any, off: ModelView) -> None:
    """With the figures that the export reaches."""
    auto, least, fed = (
        dqnn.export(graph, **how).report
        for how in ({"rows": "auto"}, {"rows": "least"}, {"rows": "least", "feed_rows": True})
    )
    found = {one.options: one for one in alternatives(off)}
    for options, report in (("--rows auto", auto), ("--rows least", least), ("--rows least --feed-rows", fed)):
        if options in found:
            assert found[options].model.prefix.arena_bytes == report.arena_bytes
            assert found[options].extra == report.extra_cycles
            assert found[options].model.memory_bytes == report.model.memory_bytes
    assert "--rows auto" in found and len(found) > 1, list(found)
    (advice,) = analyze_view(off).advice
    assert f"the arena takes {off.prefix.arena_bytes:,} B" in advice.finding
    assert "B are in use while 1 " in advice.finding or "B are in use while 0 " in advice.finding
    assert advice.remedy.startswith("export with --rows auto, for firmware with .segments = &dqnn_strips")
    assert f"an arena of {auto.arena_bytes:,} B for an estimated" in advice.gain


def test_no_advice_where_rows_do_not_help(least: dqnn.ExportResult) -> None:
    small = parse(dqnn.export(chain_graph(TensorType((16, 4, 16), S8(1 / 16)), ops.MaxPool((2, 2), (2, 2)))).blob)
    assert alternatives(small) == []
    assert all("least" not in one.options or "feed" in one.options for one in alternatives(least.report.model))


def test_the_floor(off: ModelView, least: dqnn.ExportResult) -> None:
    floor, rows = floor_of(off), floor_of(least.report.model)
    assert floor.first == floor.last and floor.bytes == off.prefix.arena_bytes
    assert rows.first < rows.last and "nodes" in rows.text(least.report.model)
    assert rows.bytes <= least.report.arena_bytes


def test_a_kernel_that_refuses_is_the_verifier_s_business(off: ModelView, least: dqnn.ExportResult) -> None:
    for model in (off, least.report.model):
        params = model.nodes[0].params
        assert isinstance(params, ConvParams)
        broken = replace(model, nodes=(replace(model.nodes[0], params=replace(params, stride_h=0)), *model.nodes[1:]))
        assert segments_of(broken) == () and alternatives(broken) == []


@pytest.mark.parametrize("change", [{"segment": 40}, {"segment": 2**16 - 1}, {"rows": 0}])
def test_segments_that_cannot_be(least: dqnn.ExportResult, change: dict[str, int]) -> None:
    model = least.report.model
    begin = next(i for i, node in enumerate(model.nodes) if node.segment)
    nodes = tuple(replace(node, **change) if i == begin else node for i, node in enumerate(model.nodes))  # type: ignore[arg-type]
    segments_of(replace(model, nodes=nodes))


# --- drawing ----------------------------------------------------------------------------------------------------------


def test_outlines() -> None:
    corners = outline(((0, 0, 4), (1, 2, 4), (2, 2, 6)), 3)
    assert corners == [(0, 0), (1, 0), (1, 2), (3, 2), (3, 6), (2, 6), (2, 4), (0, 4)]


def test_many_calls_are_thinned_out(least: dqnn.ExportResult) -> None:
    held = segments_of(least.report.model)[-1].tensors[0]
    long = replace(held, spans=tuple((i, i + 1) for i in range(65_535)))
    assert len(drawn(long)) <= STEPS + 1 and drawn(held)[-1][0] == len(held.spans) - 1


def test_the_memory_map_shows_living_rows(least: dqnn.ExportResult) -> None:
    """What lives at the same time lies apart: also a whole input and the output that grows into it."""
    chart = memory_map(analyze_view(least.report.model))
    assert isinstance(chart, MemoryMap)
    areas = [area for area in chart.areas if area.steps]
    assert len(areas) >= 3

    def at(area: Any, x: float) -> tuple[int, int]:
        return next(((a, b) for start, a, b in reversed(area.steps) if start <= x), (0, 0))

    last = max(area.last for area in areas) + 1
    for step in range(400):
        x = last * step / 400
        living = [at(area, x) for area in areas if area.first <= x < area.last + 1]
        living = sorted(span for span in living if span[0] < span[1])
        assert all(one[1] <= two[0] for one, two in pairwise(living)), x


def test_text_and_json(least: dqnn.ExportResult, tmp_path: Path) -> None:
    path = tmp_path / "m.dqnn"
    path.write_bytes(least.blob)
    shown = CliRunner().invoke(main, ["analyze", str(path)])
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "rows at a time 3 of 3 nodes, in" in text and "arena's floor" in text
    assert "in memory over time" in text and "of 48 rows" in text and "█" in text
    content = dqnn.analyze(path).to_json()
    (segment,) = content["segments"]
    assert (segment["node"], segment["nodes"]) == (0, 3) and segment["calls"] > 48
    assert {t["of"] for t in segment["tensors"]} == {48, 24}


@pytest.fixture(scope="module")
def browser(require_tool: Callable[..., str]) -> str:
    return require_tool("chromium", "chromium-browser")


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_draws_strips(least: dqnn.ExportResult, width: int, browser: str, tmp_path: Path) -> None:
    found = measured(report_html(analyze_view(least.report.model)), width, browser, tmp_path)
    assert found["scroll"] <= found["client"] == width and not found["outside"] and found["font"] >= 12
    assert len(found["svgs"]) == 2 + 4 and min(found["svgs"]) > 30


def test_plots(least: dqnn.ExportResult, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    analysis = analyze_view(least.report.model)
    (chart,) = rows_charts(analysis)
    written = analysis.plot(tmp_path / "charts")
    assert tmp_path / "charts" / f"{chart.key}.svg" in written
    drawing = (tmp_path / "charts" / "rows-0.svg").read_text()
    assert "Nodes 0 to 2" in drawing and "48 rows, 3,072 B" in drawing


def test_the_picture_in_the_documentation_is_what_the_tool_draws(repo: Path) -> None:
    done = subprocess.run([sys.executable, repo / "tools" / "strips_image.py", "--check"], check=False)
    assert done.returncode == 0, "run tools/strips_image.py"
