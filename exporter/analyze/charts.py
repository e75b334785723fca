"""What the charts of an analysis show, as data: html.py and show/plots.py draw them."""

from __future__ import annotations

from math import isfinite

from ..bench.text import cycles_chart
from ..blob import lifetimes, together
from ..ir.types import dtype_name
from ..report import node_bars
from ..samples.metrics import FLOAT_TOLERANCE
from ..show.plots import Area, Bar, BarChart, Lane, MemoryMap, RowsChart, color_of
from .model import Analysis, Held

STEPS = 240  # most that are drawn of a segment


def all_charts(analysis: Analysis) -> list[BarChart | MemoryMap | RowsChart]:
    return [memory_map(analysis), *rows_charts(analysis), *bar_charts(analysis)]


def bar_charts(analysis: Analysis) -> list[BarChart]:
    """All that have something to show."""
    charts = [_operations(analysis), _weights(analysis), _cycles(analysis), _errors(analysis)]
    return [chart for chart in charts if chart.bars]


def _operations(analysis: Analysis) -> BarChart:
    whole = analysis.macc or 1
    bars = [
        Bar(kind, float(count), f"{count:,} ({100 * count / whole:.1f}%)", color_of(kind.split("_")[1]))
        for kind, count in analysis.operation_types.items()
        if count
    ]
    return BarChart("operations", "Operations by type", tuple(bars))


def _weights(analysis: Analysis) -> BarChart:
    sizes = [(float(n.weight_bytes), f"{n.weight_bytes:,} B" if n.weight_bytes else "") for n in analysis.nodes]
    return BarChart("weights", "Weights by layer", node_bars(analysis.model, sizes))


def _cycles(analysis: Analysis) -> BarChart:
    bench = analysis.bench
    if bench is None:
        return BarChart("cycles", "", ())
    return cycles_chart(analysis.model, bench.target, bench.unit, bench.values, bench.total)


def _errors(analysis: Analysis) -> BarChart:
    """L2R of each tensor against the original's, where a validation compared them. A full bar is an error that rounding
    does not explain, or the largest."""
    values = [(0.0, "")] * len(analysis.nodes)
    for layer in (analysis.validation or {}).get("layers", ()):
        if not 0 <= layer["node"] < len(values):
            continue
        values[layer["node"]] = (0.0, "n/a")
        if layer["l2r"] is not None:
            error = float(layer["l2r"])
            values[layer["node"]] = (error if isfinite(error) else 0.0, f"{error:.3g}")
    title = f"Relative error by layer (L2R; rounding explains {FLOAT_TOLERANCE:g} of a float tensor)"
    return BarChart("errors", title, node_bars(analysis.model, values), FLOAT_TOLERANCE)


def drawn(held: Held) -> list[tuple[int, int, int]]:
    """Call, first row in memory, the one behind the last: of so many calls as can be told apart."""
    calls = len(held.spans)
    return [(call, *held.spans[call]) for call in range(0, calls, -(-calls // STEPS))]


def rows_charts(analysis: Analysis) -> list[RowsChart]:
    """One for each segment."""
    model = analysis.model
    ports = {port.tensor: port.name for port in model.inputs}
    makers = {node.output: index for index, node in enumerate(model.nodes)}
    charts = []
    for segment in analysis.segments:
        lanes = []
        for held in segment.tensors:
            maker = makers.get(held.tensor)
            label = ports.get(held.tensor, "") if maker is None else f"{maker} {model.names[maker]}"
            rows = f"{held.rows} of {held.height} rows" if held.rows else f"{held.height} rows"
            color = dtype_name(model.tensors[held.tensor].type.fmt)
            note = f"{rows}, {held.bytes:,} B"
            lanes.append(Lane(label, note, held.height, color, tuple((float(x), a, b) for x, a, b in drawn(held))))
        nodes = f"Nodes {segment.begin} to {segment.end - 1}" if segment.count > 1 else f"Node {segment.begin}"
        title = f"{nodes}, {len(segment.calls):,} calls"
        charts.append(RowsChart(f"rows-{segment.begin}", title, len(segment.calls), tuple(lanes)))
    return charts


def _held(analysis: Analysis) -> dict[int, list[tuple[float, int, int]]]:
    """Tensor -> addresses in use from x on (in nodes), for what segments read and write."""
    model, found = analysis.model, dict[int, list[tuple[float, int, int]]]()
    lives = lifetimes(model)
    for segment in analysis.segments:
        width = segment.count / len(segment.calls)
        for held in segment.tensors:
            tensor = model.tensors[held.tensor]
            first, last = lives.get(held.tensor, (0, 0))
            row = tensor.nbytes // (held.rows or held.height)
            steps = found.setdefault(held.tensor, [])
            if first < segment.begin and not steps:
                steps.append((first, tensor.offset, tensor.end))
            for call, begin, end in drawn(held):
                start = 0 if held.rows else begin  # of a strip, what is left lies at its beginning
                at = segment.begin + call * width
                steps.append((at, tensor.offset + start * row, tensor.offset + (start + end - begin) * row))
            if last >= segment.end:
                steps.append((segment.end, tensor.offset, tensor.end))
    return found


def memory_map(analysis: Analysis) -> MemoryMap:
    model = analysis.model
    areas, steps = [], _held(analysis)
    for index, (first, last) in lifetimes(model).items():
        tensor = model.tensors[index]
        size = tensor.nbytes
        rows = f", {tensor.rows} rows at a time" if tensor.rows else ""
        title = f"tensor {index}: {tensor.type}{rows}, {size:,} B at {tensor.offset:,}, nodes {first} to {last}"
        areas.append(
            Area(first, last, tensor.offset, size, dtype_name(tensor.type.fmt), title, tuple(steps.get(index, ())))
        )
    for index, (node, (first, last)) in enumerate(zip(model.nodes, together(model), strict=True)):
        if node.scratch_bytes:
            title = f"scratch of node {index}: {node.scratch_bytes:,} B at {node.scratch_offset:,}"
            areas.append(Area(first, last, node.scratch_offset, node.scratch_bytes, "other", title))
    peak = max(analysis.live, key=lambda live: live.total)
    return MemoryMap(len(model.nodes), max(model.prefix.arena_bytes, 1), tuple(areas), peak.index, peak.total)
