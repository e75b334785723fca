"""A sweep on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..show import console
from ..show.console import plain_table
from .model import Entry, Sweep

if TYPE_CHECKING:
    from rich.console import Console


def render(sweep: Sweep, out: Console) -> None:
    """The candidates, best first, with * for those on the front; then what failed."""
    from rich.text import Text

    front = sweep.front
    cost = [f">{sweep.unit}"] if sweep.unit else []
    remarks = ["remark"] if any(entry.remark for entry in sweep.entries) else []
    table = plain_table("candidate", ">", f">{sweep.measure}", ">file", ">arena", *cost, *remarks)
    for entry in sweep.measured:
        table.add_row(
            entry.name,
            "*" if entry in front else "",
            quality(sweep, entry),
            f"{entry.file_bytes:,} B",
            f"{entry.arena_bytes:,} B",
            *(["-" if entry.cost is None else f"{entry.cost:,}"] if cost else []),
            *([entry.remark] if remarks else []),
        )
    where = f", {sweep.unit} on {sweep.target}" if sweep.unit else ""
    out.print(Text(f"{len(sweep.entries)} candidates on {sweep.samples:,} samples{where}", style="bold"))
    if sweep.measured:
        out.print(table)
        what = "figure" if sweep.unit else "figure but its cost"
        out.print(Text(f"*: on the Pareto front: no other is at least as good in every {what} and better in one"))
    if sweep.note:
        out.print(Text(sweep.note))
    for entry in sweep.failed:
        where = f" ({entry.source})" if entry.source not in ("", entry.name) else ""
        out.print(Text(f"failed: {entry.name}{where}: {entry.failure}", style="red"))


def quality(sweep: Sweep, entry: Entry) -> str:
    if entry.quality is None:
        return "n.a."
    return f"{100 * entry.quality:.2f}%" if sweep.measure == "ACC" else f"{entry.quality:.4g}"


def as_text(sweep: Sweep) -> str:
    """The same as text of 120 columns."""
    return console.as_text(lambda out: render(sweep, out))
