"""Described boards: flash, RAM, core and clock, and whether a model fits.

A description is a TOML file with the keys of `Board`; those shipped stand in boards_data/, a user's own is given by
its path."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..cli import CONTEXT, console, refusals
from ..errors import DqnnError

if TYPE_CHECKING:
    from ..analyze.analysis import Analysis, NodeAnalysis

SHIPPED = Path(__file__).parent / "boards_data"
FIRMWARE_BYTES = 24 * 1024  # flash for interpreter and kernels where the code cannot be measured: a typical network
STACK_BYTES = 1024  # budget of the interpreter's stack
HEAVIEST = 3  # layers named when a model does not fit


class BoardError(DqnnError):
    """A board that is not described, or a model that does not fit."""


@dataclass(frozen=True)
class Board:
    """`flash_bytes` and `ram_bytes` are what the chip has; an application needs some of both for itself."""

    name: str
    core: str
    clock_hz: int
    flash_bytes: int
    ram_bytes: int


def shipped() -> list[Board]:
    """Every board that comes with dqnn, by name."""
    return [_read(path) for path in sorted(SHIPPED.glob("*.toml"))]


def load_board(name: str) -> Board:
    """A shipped board by its name (any case) or a TOML file by its path."""
    path = Path(name)
    if path.suffix == ".toml":
        return _read(path)
    found = SHIPPED / f"{name.lower()}.toml"
    if not found.exists():
        known = ", ".join(board.name for board in shipped())
        raise BoardError(f"no board {name!r} is described; accepted: {known}, or a .toml file of your own")
    return _read(found)


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text())
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{path}: {error}") from error
    return content


def _read(path: Path) -> Board:
    content = _toml(path)
    wanted = {field.name: str if field.name in ("name", "core") else int for field in fields(Board)}
    problems = [f"{key} is missing" for key in wanted if key not in content]
    problems += [f"{key} is unknown" for key in content if key not in wanted]
    problems += [
        f"{key} is {content[key]!r}, not {'text' if kind is str else 'a positive whole number'}"
        for key, kind in wanted.items()
        if key in content and not (type(content[key]) is kind and (kind is str or content[key] > 0))
    ]
    if problems:
        raise BoardError(f"{path}: {'; '.join(problems)}")
    return Board(**content)


# --- does a model fit? ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """What a model takes of a board: code of interpreter and kernels (the budget where it cannot be measured), file;
    arena, interpreter state, stack. `problem` says what is too large, empty if the model fits."""

    board: Board
    code_bytes: int
    measured: bool
    flash_bytes: int
    ram_bytes: int
    problem: str

    def __str__(self) -> str:
        return f"{self.title}. Flash {self.flash_text}; RAM {self.ram_text}"

    @property
    def title(self) -> str:
        board = self.board
        return (
            f"{board.name} ({board.core}, {board.clock_hz / 1e6:g} MHz): {'does not fit' if self.problem else 'fits'}"
        )

    @property
    def code_text(self) -> str:
        if self.measured:
            return f"{self.code_bytes:,} B, interpreter and this model's kernels"
        return f"{self.code_bytes:,} B allowed; no compiler for {self.board.core} is here to measure it"

    @property
    def flash_text(self) -> str:
        file = self.flash_bytes - self.code_bytes
        return f"{self.flash_bytes:,} of {self.board.flash_bytes:,} B = {file:,} file + {self.code_bytes:,} code"

    @property
    def ram_text(self) -> str:
        own = self.ram_bytes - STACK_BYTES
        return f"{self.ram_bytes:,} of {self.board.ram_bytes:,} B = {own:,} + {STACK_BYTES:,} of stack at most"

    def to_json(self) -> dict[str, Any]:
        return {
            "board": self.board.name, "core": self.board.core, "fits": not self.problem, "problem": self.problem,
            "code_bytes": self.code_bytes, "code_measured": self.measured,
            "flash_bytes": self.flash_bytes, "flash_available": self.board.flash_bytes,
            "ram_bytes": self.ram_bytes, "ram_available": self.board.ram_bytes, "stack_bytes": STACK_BYTES,
        }  # fmt: skip


def fit_of(board: Board, analysis: Analysis) -> Fit:
    """Measures the code where the board's compiler is installed."""
    from .code_size import code_bytes

    measured = code_bytes(board.core, (node.kernel for node in analysis.nodes))
    code = FIRMWARE_BYTES if measured is None else measured
    flash, ram = analysis.file_bytes + code, analysis.ram_bytes + STACK_BYTES
    problems = []
    if flash > board.flash_bytes:
        heavy = _heaviest(analysis.nodes)
        problems.append(f"{_too_much('flash', flash, board.flash_bytes)}; heaviest layers: {heavy}")
    if ram > board.ram_bytes:
        problems.append(f"{_too_much('RAM', ram, board.ram_bytes)}; {_fullest(analysis)}")
    problem = f"{analysis.name} does not fit {board.name}: {'. '.join(problems)}" if problems else ""
    return Fit(board, code, measured is not None, flash, ram, problem)


def check_fits(board: Board, analysis: Analysis) -> str:
    """One line that says what is left. Raises BoardError: what is too large, by how much, and the heaviest layers."""
    fit = fit_of(board, analysis)
    if fit.problem:
        raise BoardError(fit.problem)
    return str(fit)


def _heaviest(nodes: tuple[NodeAnalysis, ...]) -> str:
    ranked = sorted(nodes, key=lambda node: -node.weight_bytes)[:HEAVIEST]
    return ", ".join(f"{node.name} ({node.weight_bytes:,} B)" for node in ranked if node.weight_bytes)


def _fullest(analysis: Analysis) -> str:
    """The nodes with the largest live sets: a model shrinks only when all of them do."""
    ranked = sorted(analysis.live, key=lambda live: -live.total)[:HEAVIEST]
    return "most is live at " + ", ".join(f"{analysis.nodes[n.index].name} ({n.total:,} B)" for n in ranked)


def _too_much(what: str, needed: int, there: int) -> str:
    return f"{what}: {needed:,} B needed, {there:,} B there, {needed - there:,} B too much"


@click.command("targets", context_settings=CONTEXT)
@refusals
def targets_command() -> None:
    """List the described boards."""
    from ..report import plain_table

    table = plain_table("board", "core", ">clock", ">flash", ">RAM")
    for board in shipped():
        table.add_row(
            board.name,
            board.core,
            f"{board.clock_hz / 1e6:g} MHz",
            f"{board.flash_bytes // 1024:,} KiB",
            f"{board.ram_bytes // 1024:,} KiB",
        )
    console().print(table)
