"""An analysis on the terminal, and the command `dqnn analyze`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cli import CONTEXT, console, refusals
from .report import plain_table, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from .analyze import Analysis, NodeAnalysis

BAR = 24  # characters of a full bar


def render(analysis: Analysis, out: Console) -> None:
    """Summary, nodes, operation types, memory, advice."""
    for table in (_summary(analysis), _nodes(analysis), _types(analysis), _memory(analysis)):
        out.print(table)
        out.print()
    for advice in analysis.advice:
        gain = f" Gain: {advice.gain}." if advice.gain else ""
        out.print(f"advice  {', '.join(advice.layers)}: {advice.finding}; {advice.remedy}.{gain}")


def as_text(analysis: Analysis) -> str:
    """The same as text of 120 columns."""
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    render(analysis, Console(file=text, width=120))
    return text.getvalue()


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


def delta(analysis: Analysis) -> str:
    """Weights against the same parameters as floats."""
    saved = analysis.weight_bytes - analysis.float_bytes
    return f"{saved:+,} B ({100 * saved / (analysis.float_bytes or 1):+.1f}%) against float32"


def summary_rows(analysis: Analysis) -> list[tuple[str, str]]:
    """What a reader wants first, in the words of the field."""
    bound = analysis.arena_lower_bound
    arena = size(analysis.arena_bytes)
    if bound is not None:
        arena += " (equal to its lower bound)" if bound == analysis.arena_bytes else f" (lower bound {bound:,} B)"
    fallbacks = 0 if analysis.report is None else len(analysis.report.fallbacks)
    return [
        ("params", f"{analysis.parameters:,} items ({analysis.float_bytes / 1024:,.2f} KiB as float32)"),
        ("macc", f"{analysis.macc:,}"),
        ("weights (ro)", f"{size(analysis.weight_bytes)}, {delta(analysis)}"),
        ("file", f"{size(analysis.file_bytes)} ({analysis.file_bytes - analysis.weight_bytes:,} B graph)"),
        ("activations (rw)", f"{arena}, inputs and outputs included"),
        (
            "ram (total)",
            f"{size(analysis.ram_bytes)} = {analysis.arena_bytes:,} + {analysis.state_bytes:,} interpreter",
        ),
        ("fallbacks to f32", str(fallbacks) if analysis.report is not None else "unknown (from a .dqnn file)"),
    ]


def _summary(analysis: Analysis) -> Table:
    table = plain_table(analysis.name, "")
    for row in summary_rows(analysis):
        table.add_row(*row)
    return table


def operations_text(node: NodeAnalysis) -> str:
    return ", ".join(f"{o.count:,} {o.type}" for o in node.operations)


def _nodes(analysis: Analysis) -> Table:
    table = plain_table(">id", "layers", "kernel", "output", "operations", ">params", ">weights")
    for node in analysis.nodes:
        table.add_row(
            str(node.index), ", ".join(node.layers), node.kernel, str(node.output), operations_text(node),
            f"{node.parameters:,}",
            size(node.weight_bytes),
        )  # fmt: skip
    return table


def _types(analysis: Analysis) -> Table:
    table = plain_table("operation type", ">count", ">share", "")
    for kind, count in analysis.operation_types.items():
        bar = "█" * round(BAR * count / (analysis.macc or 1))
        table.add_row(kind, f"{count:,}", percent(count, analysis.macc), bar)
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


@click.command("analyze", context_settings=CONTEXT)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The whole analysis as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a self-contained HTML report.")
@click.option("--target", help="A described board (see `dqnn targets`): does the model fit?")
@refusals
def analyze_command(model: Path, as_json: bool, html: Path | None, target: str | None) -> None:
    """Operations, parameters, weights, memory and advice for a .h5, .keras or .dqnn file."""
    from .analyze import analyze

    analysis = analyze(model)
    if as_json:
        click.echo(json.dumps(analysis.to_json(), indent=2))
    else:
        render(analysis, console())
    if target is not None:
        from .boards import check_fits, load_board

        click.echo(check_fits(load_board(target), analysis))
    if html is not None:
        from .api import write_atomically
        from .html_report import report_html

        write_atomically(html, report_html(analysis).encode())
        click.echo(f"{html}: HTML report", err=as_json)
