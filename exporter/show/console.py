"""Text on the terminal: the console of commands, plain tables, sizes, progress.

rich is imported where it is used, so that commands start fast."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROW = 100  # columns; below, tables name one layer of a node, and no more columns than fit
PIPE_WIDTH = 120  # columns where the output is no terminal

Progress: TypeAlias = Callable[[str, int, int], None]  # stage, samples done, samples in all


def console(stderr: bool = False) -> Console:
    """Where commands print. Piped, tables are wide (as COLUMNS says, else 120), and lines of text (paths, advice) stay
    whole. No markup: names in a file may look like it."""
    from rich.console import Console
    from rich.text import Text

    class Piped(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            if objects and all(isinstance(item, str | Text) for item in objects):
                options.setdefault("soft_wrap", True)
            super().print(*objects, **options)

    made = Console(stderr=stderr, highlight=False, markup=False)
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else PIPE_WIDTH
    return made if made.is_terminal else Piped(stderr=stderr, highlight=False, markup=False, width=width)


def as_text(show: Callable[[Console], None]) -> str:
    """What `show` prints where the output is no terminal."""
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    # In a notebook rich would show it at once and return nothing.
    show(Console(file=text, width=PIPE_WIDTH, markup=False, highlight=False, force_jupyter=False))
    return text.getvalue()


def size(number: int) -> str:
    return f"{number:,} B"


def plain_table(*columns: str) -> Table:
    """A table without frames; columns whose name begins with `>` are right-aligned and never folded, those with `=` are
    never folded."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in columns:
        right = column.startswith(">")
        whole = right or column.startswith("=")
        table.add_column(column.lstrip(">="), justify="right" if right else "left", no_wrap=whole, overflow="fold")
    return table


@contextmanager
def progress_bar(quiet: bool, unit: str = "samples") -> Iterator[Progress | None]:
    """A bar per stage with rate and remaining time, on stderr; none where nobody looks."""
    from rich import progress as bars
    from rich.text import Text

    out = console(stderr=True)
    if quiet or not out.is_terminal:
        yield None
        return

    class Rate(bars.ProgressColumn):
        def render(self, task: bars.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2g} {unit}/s")

    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn(), Rate())
    with bars.Progress(*columns, bars.TimeRemainingColumn(), console=out, transient=True) as shown:
        tasks: dict[str, bars.TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=total)
            shown.update(tasks[stage], completed=done)

        yield tell
