"""The analysis as one self-contained HTML page: no script, no file or network access, readable on a phone and on paper.

The page is templates/report.html.j2; bars are HTML, so that text keeps its size at any width; the arrows of the network
and the memory map are SVG made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..blob import ModelView
from ..ir.types import dtype_name
from ..report import kernel_text
from ..samples.text import SHORT, figures_of_json
from ..show.plots import Lane, MemoryMap, Step, outline
from .charts import bar_charts, memory_map, rows_charts
from .model import Analysis, NodeAnalysis
from .text import operations_lines, percent, summary_rows

TEMPLATES = Path(__file__).parent / "templates"
STEP, BOX = 64, 48  # of the network, in pixels: from box to box, height of a box
GUTTER = 46  # where the arrows of skipping tensors run, if there are any
TICKS = 16  # most numbers along the memory map


def report_html(analysis: Analysis) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    memory = memory_map(analysis)
    rows = _network_rows(analysis)
    edges = list(_edges(analysis.model))
    gutter = GUTTER if any(end > start + 1 for start, end in edges) else 0
    page: str = environment.get_template("report.html.j2").render(
        analysis=analysis,
        producer=analysis.model.producer,
        tiles=_tiles(analysis),
        fallbacks=() if analysis.report is None else analysis.report.fallbacks,
        rows=rows,
        gutter=gutter,
        arrows=_arrows_svg(edges, gutter, len(rows)),
        memory=memory,
        segments=[
            {"title": chart.title, "lanes": [(lane, _lane_svg(lane, chart.calls)) for lane in chart.lanes]}
            for chart in rows_charts(analysis)
        ],
        memory_svg=_memory_svg(memory),
        legend=memory.legend,
        ticks=range(0, memory.nodes, max(1, -(-memory.nodes // TICKS))),
        charts={chart.key: chart for chart in bar_charts(analysis)},
        validation=None if analysis.validation is None else _validation(analysis.validation),
        nodes=[_row(node, analysis) for node in analysis.nodes],
        summary=summary_rows(analysis),
        saved_products=sum(o.count for n in analysis.nodes for o in n.saved if not o.type.startswith("conv_")),
    )
    return page


def notebook_html(analysis: Analysis) -> str:
    """For notebooks: the summary and the advice, and the whole page folded away."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(k)}</th><td style='text-align:left'>{escape(v)}</td></tr>"
        for k, v in summary_rows(analysis)
    )
    advice = "".join(
        f"<li>{escape(a.layer)}: {escape(a.finding)}; {escape(a.remedy)}. {escape(f'Gain: {a.gain}.')}</li>"
        for a in analysis.advice
    )
    frame = f'<iframe srcdoc="{escape(report_html(analysis))}" style="width: 100%; height: 700px; border: 0"></iframe>'
    page = f"<details><summary>the whole report</summary>{frame}</details>"
    return f"<h4>{escape(analysis.name)}</h4><table>{rows}</table>{f'<ul>{advice}</ul>' if advice else ''}{page}"


def _tiles(analysis: Analysis) -> Iterator[dict[str, str]]:
    """The figures that everybody looks for first."""
    saved = percent(analysis.float_bytes - analysis.weight_bytes, analysis.float_bytes)
    yield {
        "label": "parameters",
        "value": f"{analysis.parameters:,}",
        "note": "batch norms as scale, offset",
    }
    yield {"label": "operations", "value": f"{analysis.macc:,}", "note": "mostly multiply-accumulates"}
    yield {"label": "weights", "value": f"{analysis.weight_bytes:,} B", "note": f"{saved} smaller than float32"}
    yield {"label": "file in flash", "value": f"{analysis.file_bytes:,} B", "note": "weights, graph, names"}
    yield {"label": "RAM", "value": f"{analysis.ram_bytes:,} B", "note": "arena, interpreter"}
    if analysis.bench is not None:
        bench = analysis.bench
        note = "estimate for " if bench.unit.startswith("estimated") else "executed on "
        yield {"label": bench.unit.split()[-1], "value": f"{bench.total:,}", "note": f"{note}{bench.target}"}
    fit = analysis.fit
    if fit is not None and fit.board is not None:
        flash, ram = percent(fit.flash_bytes, fit.board.flash_bytes), percent(fit.ram_bytes, fit.board.ram_bytes)
        note = f"{flash} of flash, {ram} of RAM with code and stack"
        yield {"label": fit.name, "value": fit.verdict, "note": note}
    if analysis.validation is not None:
        yield from _validation_tile(analysis.validation)


def _validation_tile(validation: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for output in validation["outputs"][:1]:
        who, figures = next(iter(output["rows"].items()))
        if figures["acc"] is not None:
            note = f"{who}, {validation['samples']:,} samples"
            yield {"label": "accuracy", "value": f"{100 * figures['acc']:.1f} %", "note": note}


def _row(node: NodeAnalysis, analysis: Analysis) -> dict[str, object]:
    return {
        "index": node.index,
        "layers": ", ".join(node.layers),
        "kernel": kernel_text(analysis.model.nodes[node.index]),
        "inputs": " ".join(str(t) for t in node.inputs),
        "output": str(node.output),
        "operations": operations_lines(node),
        "parameters": f"{node.parameters:,}",
        "weight_bits": str(node.weight_bits or ""),
        "weight_bytes": f"{node.weight_bytes:,}",
        "unpacked_bytes": f"{node.unpacked_bytes:,}" if node.packed else "",
        "scratch_bytes": f"{node.scratch_bytes:,}",
        "cycles": "" if analysis.bench is None else f"{analysis.bench.values[node.index]:,}",
    }


# --- validation -------------------------------------------------------------------------------------------------------


def _validation(validation: Mapping[str, Any]) -> dict[str, Any]:
    """Tables from the JSON of a validation."""
    outputs = []
    for output in validation["outputs"]:
        names = [SHORT.get(name, name) for name in output["rows"]]
        columns = [figures_of_json(row) for row in output["rows"].values()]
        outputs.append({"name": output["name"], "names": names, "rows": list(zip(*columns, strict=True))})
    return {
        "title": f"{validation['samples']:,} samples on {validation['target']}",
        "original": validation["original"],
        "outputs": outputs,
        "first": validation["first_differing_layer"],
        "compared": bool(validation["layers"]),
    }


# --- network ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """A box of the network: an input, a node or an output."""

    title: str
    detail: str
    color: str
    port: bool = False


def _network_rows(analysis: Analysis) -> list[_Row]:
    """Inputs, nodes in execution order, outputs."""
    model = analysis.model
    rows = [_port(model, port.name, port.tensor) for port in model.inputs]
    for node, view in zip(analysis.nodes, model.nodes, strict=True):
        color = dtype_name((*node.inputs, node.output)[0].fmt)
        rows.append(_Row(f"{node.index} {node.name}", f"{kernel_text(view)} \u2192 {node.output}", color))
    return rows + [_port(model, port.name, port.tensor) for port in model.outputs]


def _port(model: ModelView, name: str, tensor: int) -> _Row:
    kind = model.tensors[tensor].type
    return _Row(name, str(kind), dtype_name(kind.fmt), port=True)


def _edges(model: ModelView) -> Iterator[tuple[int, int]]:
    """From row to row, for every tensor that is read."""
    maker = {port.tensor: row for row, port in enumerate(model.inputs)}
    for index, node in enumerate(model.nodes, start=len(model.inputs)):
        for tensor in dict.fromkeys(node.inputs):
            if tensor in maker:
                yield maker[tensor], index
        maker[node.output] = index
    for row, port in enumerate(model.outputs, start=len(model.inputs) + len(model.nodes)):
        yield maker[port.tensor], row


def _arrows_svg(edges: list[tuple[int, int]], gutter: int, rows: int) -> str:
    """To the next row a straight arrow, past rows a bow on the left."""
    body = []
    for start, end in edges:
        if end == start + 1:
            x, y = gutter + 28, start * STEP + BOX
            body.append(f'<path d="M{x} {y + 1} V{y + STEP - BOX - 2} m-4 -5 l4 5 l4 -5"/>')
            continue
        below, to = start * STEP + BOX * 0.7, end * STEP + BOX * 0.4
        out = gutter - min(gutter - 4, 12 + 5 * (end - start))
        bow = f"M{gutter} {below:g} C{out} {below:g} {out} {below + 14:g} {out} {below + 20:g} V{to - 20:g}"
        body.append(f'<path d="{bow} C{out} {to - 14:g} {out} {to:g} {gutter - 1} {to:g} m-5 -4 l5 4 l-5 4"/>')
    height = (rows - 1) * STEP + BOX
    size = f'width="{gutter + 40}" height="{height}" viewBox="0 0 {gutter + 40} {height}"'
    return f'<svg {size} class="arrows" aria-hidden="true">{"".join(body)}</svg>'


# --- memory -----------------------------------------------------------------------------------------------------------


def _memory_svg(chart: MemoryMap) -> str:
    """Tensors as boxes of address by node, stretched to the page: what is smaller than a pixel is made visible."""
    least = chart.arena / 130
    body = []
    for area in chart.areas:
        kind = f"{area.color} room" if area.steps else area.color
        box = _box(area.first, area.last - area.first + 1, area.offset, max(area.size, least), kind)
        body.append(f"{box}<title>{escape(area.title)}</title></rect>")
        if area.steps:
            body.append(f"{_path(area.steps, area.last + 1, area.color)}<title>{escape(area.title)}</title></path>")
    body.append(f"{_box(chart.peak, 1, 0, chart.arena, 'peak')}</rect>")
    view = f'viewBox="0 0 {chart.nodes} {chart.arena}" preserveAspectRatio="none"'
    return f'<svg {view} class="memory" role="img" aria-label="arena over time">{"".join(body)}</svg>'


def _lane_svg(lane: Lane, calls: int) -> str:
    """Rows downwards, calls to the right."""
    view = f'viewBox="0 0 {calls} {lane.height}" preserveAspectRatio="none"'
    label = escape(f"{lane.label}: rows in memory over time")
    return (
        f'<svg {view} class="lane" role="img" aria-label="{label}">{_path(lane.steps, calls, lane.color)}</path></svg>'
    )


def _path(steps: Sequence[Step], end: float, kind: str) -> str:
    corners = " ".join(f"{x:.5g} {y:g}" for x, y in outline(steps, end))
    return f'<path d="M{corners}Z" class="{kind}">'


def _box(first: int, width: int, offset: float, size: float, kind: str) -> str:
    return f'<rect x="{first}" y="{offset:g}" width="{width}" height="{size:g}" class="{kind}">'
