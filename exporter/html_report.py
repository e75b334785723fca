"""The analysis as one self-contained HTML page: no script, no file or network access, readable on a phone and on paper.

Charts are SVG made here; the page itself is templates/report.html.j2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from .analyze import Analysis, NodeAnalysis, lifetimes
from .analyze_view import operations_text, percent, summary_rows
from .ir.types import dtype_name

if TYPE_CHECKING:
    from .inspect import ModelView

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 520  # of every chart, in SVG units
LABEL = 26  # characters of a label before it is cut


@dataclass(frozen=True)
class Extras:
    """What other commands found out: cycles per node (`dqnn bench`), a table and errors per node (`dqnn validate`)."""

    cycles: Sequence[float] = ()
    cycles_title: str = "Estimated cycles by layer"
    validation_header: Sequence[str] = ()
    validation_rows: Sequence[Sequence[str]] = ()
    errors: Sequence[tuple[str, float]] = field(default_factory=tuple)


def report_html(analysis: Analysis, extras: Extras | None = None) -> str:
    """The page as text."""
    import jinja2

    extras = extras or Extras()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    peak = max(analysis.live, key=lambda live: live.total)
    validation = (
        {"header": extras.validation_header, "rows": extras.validation_rows} if extras.validation_rows else None
    )
    page: str = environment.get_template("report.html.j2").render(
        name=analysis.name,
        producer=analysis.model.producer,
        subtitle=f"{len(analysis.nodes)} nodes, {analysis.macc:,} operations",
        tiles=_tiles(analysis),
        advice=analysis.advice,
        fallbacks=() if analysis.report is None else analysis.report.fallbacks,
        network=network_svg(analysis),
        memory=memory_svg(analysis.model, peak.index),
        peak=f"{peak.total:,} B at node {peak.index}",
        operations=operations_svg(analysis),
        weights=weights_svg(analysis),
        cycles=bars_svg(_node_bars(analysis, list(extras.cycles), "")),
        cycles_title=extras.cycles_title,
        validation=validation,
        validation_chart=bars_svg([(name, error, f"{error:.3g}", "s8") for name, error in extras.errors]),
        nodes=[_row(node) for node in analysis.nodes],
        summary=summary_rows(analysis),
    )
    return page


def notebook_html(analysis: Analysis) -> str:
    """A compact form for notebooks: the summary and the operations."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in summary_rows(analysis)
    )
    advice = "".join(
        f"<li>{escape(', '.join(a.layers))}: {escape(a.finding)}; {escape(a.remedy)}</li>" for a in analysis.advice
    )
    return f"<h4>{escape(analysis.name)}</h4><table>{rows}</table>" + (f"<ul>{advice}</ul>" if advice else "")


def _tiles(analysis: Analysis) -> list[dict[str, str]]:
    saved = percent(analysis.float_bytes - analysis.weight_bytes, analysis.float_bytes)
    return [
        {"label": "parameters", "value": f"{analysis.parameters:,}", "note": "scale and offset per batch norm channel"},
        {"label": "operations", "value": f"{analysis.macc:,}", "note": "multiply-accumulates and others"},
        {"label": "weights", "value": f"{analysis.weight_bytes:,} B", "note": f"{saved} smaller than float32"},
        {"label": "file in flash", "value": f"{analysis.file_bytes:,} B", "note": "weights, graph, names"},
        {"label": "RAM", "value": f"{analysis.ram_bytes:,} B", "note": "arena with inputs and outputs, interpreter"},
    ]


def _row(node: NodeAnalysis) -> dict[str, object]:
    return {
        "index": node.index,
        "layers": node.layers,
        "kernel": node.kernel,
        "inputs": [str(t) for t in node.inputs],
        "output": str(node.output),
        "operations": operations_text(node),
        "parameters": f"{node.parameters:,}",
        "weight_bytes": f"{node.weight_bytes:,}",
        "scratch_bytes": f"{node.scratch_bytes:,}",
    }


# --- charts -----------------------------------------------------------------------------------------------------------


def _svg(width: float, height: float, body: str, title: str) -> str:
    return f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">{body}</svg>'


def _cut(text: str, limit: int = LABEL) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def _labels(analysis: Analysis) -> list[str]:
    """Id and the layer that gives a node its name: one whose quantizer stands in an earlier node, or the first."""
    labels, seen = [], set[str]()
    for node in analysis.nodes:
        named = next((layer for layer in node.layers if layer in seen), None) or next(iter(node.layers), node.kernel)
        labels.append(f"{node.index} {named}")
        seen.update(node.layers)
    return labels


def _color(node: NodeAnalysis) -> str:
    return dtype_name(node.inputs[0].fmt)


def bars_svg(rows: Sequence[tuple[str, float, str, str]]) -> str:
    """Horizontal bars: (label, value, text of the value, color class). Empty if there is nothing to show."""
    if not rows:
        return ""
    most = max(value for _, value, _, _ in rows) or 1.0
    left, bar, step = 175, WIDTH - 175 - 130, 24
    body = []
    for i, (label, value, text, color) in enumerate(rows):
        y = i * step
        body.append(f'<text x="0" y="{y + 15}">{escape(_cut(label))}</text>')
        body.append(
            f'<rect x="{left}" y="{y + 4}" width="{max(bar * value / most, 1):.1f}" height="14" class="{color}"/>'
        )
        body.append(f'<text x="{left + bar * value / most + 6:.1f}" y="{y + 15}" class="dim">{escape(text)}</text>')
    return _svg(WIDTH, len(rows) * step, "".join(body), "bar chart")


def operations_svg(analysis: Analysis) -> str:
    rows = [
        (kind, float(count), f"{count:,} ({percent(count, analysis.macc)})", kind.split("_")[1])
        for kind, count in analysis.operation_types.items()
    ]
    return bars_svg(rows)


def weights_svg(analysis: Analysis) -> str:
    return bars_svg(_node_bars(analysis, [float(node.weight_bytes) for node in analysis.nodes], " B"))


def _node_bars(analysis: Analysis, values: Sequence[float], unit: str) -> list[tuple[str, float, str, str]]:
    """A bar per node that has a value."""
    rows = zip(_labels(analysis), analysis.nodes, values, strict=False)
    return [(label, value, f"{value:,.0f}{unit}", _color(node)) for label, node, value in rows if value]


def network_svg(analysis: Analysis) -> str:
    """Nodes from top to bottom in execution order, with an arrow for every tensor."""
    box, gap, width, left = 44, 22, 330, 20
    producer = {node.output: i for i, node in enumerate(analysis.model.nodes)}
    body, labels = [], _labels(analysis)
    for i, (node, view) in enumerate(zip(analysis.nodes, analysis.model.nodes, strict=True)):
        y = i * (box + gap) + gap
        body.append(f'<rect x="{left}" y="{y}" width="{width}" height="{box}" rx="6" class="box"/>')
        body.append(f'<rect x="{left}" y="{y}" width="6" height="{box}" rx="2" class="{_color(node)}"/>')
        body.append(f'<text x="{left + 16}" y="{y + 18}">{escape(_cut(labels[i], 44))}</text>')
        body.append(f'<text x="{left + 16}" y="{y + 35}" class="dim">{escape(_cut(node.kernel, 44))}</text>')
        body.append(f'<text x="{left + width + 10}" y="{y + 27}" class="dim">{escape(str(node.output))}</text>')
        for source in view.inputs:
            body.append(_arrow(producer.get(source), i, y, box, gap, left))
    return _svg(WIDTH, len(analysis.nodes) * (box + gap) + gap, "".join(body), "network graph")


def _arrow(source: int | None, target: int, y: float, box: float, gap: float, left: float) -> str:
    """From the node before: a straight arrow; from further up: a bow on the left."""
    x = left + 60
    if source is None or source == target - 1:
        return f'<path d="M{x} {y - gap + 2} V{y - 3} m-4 -5 l4 5 l4 -5" class="arrow"/>'
    start = source * (box + gap) + gap + box / 2
    return (
        f'<path d="M{left} {start} C{left - 22} {start} {left - 22} {y + box / 2} {left} {y + box / 2}" class="arrow"/>'
    )


@dataclass(frozen=True)
class _MemoryMap:
    """Scales of the memory map: address downwards, node to the right."""

    nodes: int
    arena: int
    left: float = 60.0
    height: float = 300.0

    @property
    def step(self) -> float:
        return (WIDTH - self.left) / max(self.nodes, 1)

    def area(self, first: int, last: int, offset: int, size: int, color: str, title: str) -> str:
        """Bytes in use from node `first` to node `last`; the title shows when the pointer rests on it."""
        x, width = self.left + first * self.step + 1, max((last - first + 1) * self.step - 2, 1)
        y, height = self.height * offset / self.arena, max(self.height * size / self.arena, 1.0)
        box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        return f'<rect {box} class="{color}" opacity="0.85"><title>{escape(title)}</title></rect>'

    def frame(self, first: float, width: float, kind: str) -> str:
        return f'<rect x="{first:.1f}" y="0" width="{width:.1f}" height="{self.height}" class="{kind}"/>'

    def address(self, share: float) -> str:
        x, y = self.left - 8, 12 + share * (self.height - 12)
        return f'<text x="{x}" y="{y:.0f}" text-anchor="end" class="dim">{share * self.arena:,.0f}</text>'

    def number(self, node: int) -> str:
        x, y = self.left + (node + 0.5) * self.step, self.height + 16
        return f'<text x="{x:.1f}" y="{y}" text-anchor="middle" class="dim">{node}</text>'


def memory_svg(model: ModelView, peak: int) -> str:
    """Tensors as boxes of address by time, scratch beside them, the peak framed."""
    count = len(model.nodes)
    chart = _MemoryMap(count, max(model.prefix.arena_bytes, 1))
    body = [chart.frame(chart.left, WIDTH - chart.left, "frame")]
    for index, (first, last) in lifetimes(model).items():
        tensor = model.tensors[index]
        place = f"{tensor.type.nbytes:,} B at {tensor.offset:,}, nodes {first} to {last}"
        title = f"tensor {index}: {tensor.type}, {place}"
        body.append(chart.area(first, last, tensor.offset, tensor.type.nbytes, dtype_name(tensor.type.fmt), title))
    for index, node in enumerate(model.nodes):
        if node.scratch_bytes:
            title = f"scratch of node {index}: {node.scratch_bytes:,} B at {node.scratch_offset:,}"
            body.append(chart.area(index, index, node.scratch_offset, node.scratch_bytes, "other", title))
    body.append(chart.frame(chart.left + peak * chart.step, chart.step, "peak"))
    body += [chart.address(share) for share in (0.0, 0.5, 1.0)]
    body += [chart.number(index) for index in range(0, count, max(1, -(-count // 20)))]
    return _svg(WIDTH, chart.height + 22, "".join(body), "arena over time")
