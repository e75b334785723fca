"""An analysis on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..report import kernel_text, layers_text
from ..show import console
from ..show.console import NARROW, plain_table, size
from ..show.plots import RowsChart
from .charts import rows_charts
from .model import Analysis, NodeAnalysis
from .rows import floor_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

BAR = 24  # characters of a full bar
LANE, LEVELS = 48, " ▁▂▃▄▅▆▇█"  # characters of the rows over time, from no row to all


def render(analysis: Analysis, out: Console) -> None:
    """Summary, nodes, operation types, memory, advice."""
    from rich.padding import Padding
    from rich.text import Text

    rows = [_rows(chart) for chart in rows_charts(analysis)]
    for table in (_summary(analysis), _nodes(analysis, out.width), _types(analysis), _memory(analysis), *rows):
        out.print(table)
        out.print()
    if analysis.advice:
        out.print(Text("advice", style="bold"))
    for advice in analysis.advice:
        text = f"{advice.layer}: {advice.finding}; {advice.remedy}. Gain: {advice.gain}."
        out.print(Padding(Text(text), (0, 0, 0, 2)))


def as_text(analysis: Analysis) -> str:
    """The same as text of 120 columns."""
    return console.as_text(lambda out: render(analysis, out))


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


def delta(analysis: Analysis) -> str:
    """Weights against the same parameters as floats."""
    saved = analysis.weight_bytes - analysis.float_bytes
    reason = " (rows are filled up to whole words or blocks)" if saved > 0 else ""
    return f"{saved:+,} B ({100 * saved / (analysis.float_bytes or 1):+.1f}%) against float32{reason}"


def packed_text(packed: Sequence[NodeAnalysis]) -> str:
    """Layers with weights of 4 and 2 bits in the file."""
    now, before = (sum(sizes) for sizes in zip(*((n.weight_bytes, n.unpacked_bytes) for n in packed), strict=True))
    return f"{len(packed)} layers with 4 or 2 bits for a weight, {size(now)}; 8-bit would be {before:,} B"


def summary_rows(analysis: Analysis) -> list[tuple[str, str]]:
    """Label and text, after the vendor tool's summary."""
    arena = size(analysis.arena_bytes)
    bound = analysis.arena_lower_bound
    if bound is not None:
        arena += " (equal to its lower bound)" if bound == analysis.arena_bytes else f" (lower bound {bound:,} B)"
    saved = f"; {analysis.saved:,} more that fusion spares" if analysis.saved else ""
    graph = analysis.file_bytes - analysis.weight_bytes
    interpreter = f"{analysis.arena_bytes:,} + {analysis.state_bytes:,} of interpreter on a 32-bit core"
    packed = [node for node in analysis.nodes if node.packed]
    rows = [
        ("params", f"{analysis.parameters:,} items ({analysis.float_bytes / 1024:,.2f} KiB as float32)"),
        ("macc", f"{analysis.macc:,}{saved}"),
        ("weights (ro)", f"{size(analysis.weight_bytes)}, {delta(analysis)}"),
        *([("  packed", packed_text(packed))] if packed else []),
        ("file", f"{size(analysis.file_bytes)} ({graph:,} B graph)"),
        ("activations (rw)", f"{arena}, inputs and outputs included"),
        ("ram (total)", f"{size(analysis.ram_bytes)} = {interpreter}"),
    ]
    if analysis.segments:
        parts = sum(segment.count for segment in analysis.segments)
        calls = sum(len(segment.calls) for segment in analysis.segments)
        rows.append(("rows at a time", f"{parts} of {len(analysis.nodes)} nodes, in {calls:,} calls"))
        rows.append(("  arena's floor", floor_of(analysis.model).text(analysis.model)))
    if analysis.report is not None:  # a .dqnn file does not say
        rows.append(("fallbacks to f32", str(len(analysis.report.fallbacks))))
    if analysis.bench is not None:
        rows.append((analysis.bench.unit, f"{analysis.bench.total:,} on {analysis.bench.target}{_time(analysis)}"))
        if analysis.bench.data:
            rows.append(("  data", analysis.bench.data))
    if analysis.fit is not None:
        fit = analysis.fit
        rows += [("target", fit.title), ("  code (ro)", fit.code_text), ("  flash", fit.flash_text)]
        rows += [("  ram", fit.ram_text)]
    return rows


def _time(analysis: Analysis) -> str:
    """At the board's clock, if the cycles are those of its core."""
    board = None if analysis.fit is None else analysis.fit.board
    if board is None or analysis.bench is None or analysis.bench.unit != "estimated cycles":
        return ""
    same = board.core == analysis.bench.target
    return f", {1000 * analysis.bench.total / board.clock_hz:.2f} ms at {board.clock_hz / 1e6:g} MHz" if same else ""


def _summary(analysis: Analysis) -> Table:
    table = plain_table(analysis.name, "")
    for row in summary_rows(analysis):
        table.add_row(*row)
    return table


def operations_lines(node: NodeAnalysis) -> list[str]:
    return [f"{o.count:,} {o.type}" for o in node.operations]


def _weights(node: NodeAnalysis, wide: bool) -> str:
    """Their bytes, and of packed ones what 8 bits would take; on a narrow terminal also how many bits they have."""
    if not node.packed:
        return size(node.weight_bytes)
    bits = "" if wide else f"\n{node.weight_bits} bits"
    return f"{size(node.weight_bytes)}{bits}\n8-bit: {node.unpacked_bytes:,} B"


def _nodes(analysis: Analysis, width: int) -> Table:
    bench, wide = analysis.bench, width >= NARROW
    columns = [">id", "layers", "kernel, output", ">operations", *([">params", ">bits"] if wide else []), ">weights"]
    table = plain_table(*columns, *([] if bench is None else [f">{bench.unit.removeprefix('estimated ')}"]))
    for node, view in zip(analysis.nodes, analysis.model.nodes, strict=True):
        cells = [str(node.index), layers_text(node.name, node.layers, width), f"{kernel_text(view)}\n{node.output}"]
        cells += [
            "\n".join(operations_lines(node)),
            *([f"{node.parameters:,}", str(node.weight_bits or "")] if wide else []),
            _weights(node, wide),
        ]
        cells += [] if bench is None else [f"{bench.values[node.index]:,}\n{100 * bench.share(node.index):.1f}%"]
        table.add_row(*cells)
    if bench is not None and bench.between > 0:
        blank = [""] * (5 if wide else 3)
        table.add_row("", "between layers", *blank, f"{bench.between:,}\n{100 * bench.between / bench.total:.1f}%")
    return table


def _types(analysis: Analysis) -> Table:
    table = plain_table("operation type", ">count", ">share", "")
    for kind, count in analysis.operation_types.items():
        bar = "█" * round(BAR * count / (analysis.macc or 1))
        table.add_row(kind, f"{count:,}", percent(count, analysis.macc), bar)
    return table


def _rows(chart: RowsChart) -> Table:
    """How many of a tensor's rows are in memory, over time."""
    table = plain_table(chart.title.lower(), "in memory at most", "in memory over time")
    for lane in chart.lanes:
        counts = [0] * LANE
        for x, first, end in lane.steps:
            begin = int(LANE * x / chart.calls)
            counts[begin:] = [end - first] * (LANE - begin)
        levels = [-(-(len(LEVELS) - 1) * count // lane.height) for count in counts]
        table.add_row(lane.label, lane.note, "".join(LEVELS[level] for level in levels))
    return table


def _memory(analysis: Analysis) -> Table:
    table = plain_table(">node", ">tensors", ">scratch", ">live", "of the arena")
    peak = max((live.total for live in analysis.live), default=0)
    for live in analysis.live:
        bar = "█" * round(BAR * live.total / (analysis.arena_bytes or 1))
        mark = " peak" if live.total == peak else ""
        table.add_row(
            str(live.index), f"{live.tensor_bytes:,}", f"{live.scratch_bytes:,}", f"{live.total:,}", bar + mark
        )
    return table
