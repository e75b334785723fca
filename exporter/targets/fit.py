"""Does a model fit a target? Flash holds the file and the code of interpreter and kernels, RAM the arena, the
interpreter's state and its stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..blob import ModelView, liveness
from .boards import Board, TargetError
from .code_size import code_bytes
from .target import Target

FIRMWARE_BYTES = 24 * 1024  # flash for interpreter and kernels where the code cannot be measured: a typical network
STACK_BYTES = 1024  # budget of the interpreter's stack
HEAVIEST = 3  # layers named when a model does not fit


@dataclass(frozen=True)
class Fit:
    """What a model takes of a target: code of interpreter and kernels (the budget where it cannot be measured), file;
    arena, interpreter state, stack. A core alone has no `board`, so no limits. `problem` says what is too large, empty
    if nothing is."""

    name: str
    core: str
    board: Board | None
    code_bytes: int
    measured: bool
    flash_bytes: int
    ram_bytes: int
    problem: str

    def __str__(self) -> str:
        return f"{self.title}. Flash {self.flash_text}; RAM {self.ram_text}"

    @property
    def verdict(self) -> str:
        return "no limits known" if self.board is None else "does not fit" if self.problem else "fits"

    @property
    def title(self) -> str:
        about = "" if self.board is None else f" ({self.core}, {self.board.clock_hz / 1e6:g} MHz)"
        return f"{self.name}{about}: {self.verdict}"

    @property
    def code_text(self) -> str:
        if self.measured:
            return f"{self.code_bytes:,} B, interpreter and this model's kernels"
        return f"{self.code_bytes:,} B allowed; no compiler for {self.core} is here to measure it"

    @property
    def flash_text(self) -> str:
        file = self.flash_bytes - self.code_bytes
        there = "" if self.board is None else f" of {self.board.flash_bytes:,}"
        return f"{self.flash_bytes:,}{there} B = {file:,} file + {self.code_bytes:,} code"

    @property
    def ram_text(self) -> str:
        own = self.ram_bytes - STACK_BYTES
        there = "" if self.board is None else f" of {self.board.ram_bytes:,}"
        return f"{self.ram_bytes:,}{there} B = {own:,} + {STACK_BYTES:,} of stack at most"

    def to_json(self) -> dict[str, Any]:
        board = self.board
        return {
            "board": None if board is None else board.name, "core": self.core,
            "fits": None if board is None else not self.problem, "problem": self.problem,
            "code_bytes": self.code_bytes, "code_measured": self.measured,
            "flash_bytes": self.flash_bytes, "flash_available": None if board is None else board.flash_bytes,
            "ram_bytes": self.ram_bytes, "ram_available": None if board is None else board.ram_bytes,
            "stack_bytes": STACK_BYTES,
        }  # fmt: skip


def fit_of(target: Target, model: ModelView) -> Fit | None:
    """Measures the code where the core's compiler is installed. None for this machine: there is nothing to fit."""
    if target.core is None:
        return None
    measured = code_bytes(target.core, (node.kernel for node in model.nodes), model.segments)
    code = FIRMWARE_BYTES if measured is None else measured
    flash, ram = model.file_bytes + code, model.memory_bytes + STACK_BYTES
    problem = "" if target.board is None else _problem(target.board, model, flash, ram)
    return Fit(target.name, target.core, target.board, code, measured is not None, flash, ram, problem)


def check_fits(target: Target, model: ModelView) -> str:
    """One line that says what is left, empty for this machine. Raises TargetError: what is too large, by how much, and
    the heaviest layers."""
    fit = fit_of(target, model)
    if fit is not None and fit.problem:
        raise TargetError(fit.problem)
    return "" if fit is None else str(fit)


def check_budget(model: ModelView, ram: int | None, flash: int | None) -> None:
    """Raises TargetError where a model needs more RAM (arena, state and stack) or its file more flash than is given."""
    problems, needed = [], model.memory_bytes + STACK_BYTES
    if flash is not None and model.file_bytes > flash:
        problems.append(f"{_too_much('flash', model.file_bytes, flash)}; heaviest layers: {_heaviest(model)}")
    if ram is not None and needed > ram:
        problems.append(f"{_too_much('RAM', needed, ram)}; {_fullest(model)}")
    if problems:
        raise TargetError(f"{model.name} does not fit: {'. '.join(problems)}")


def _problem(board: Board, model: ModelView, flash: int, ram: int) -> str:
    problems = []
    if flash > board.flash_bytes:
        problems.append(f"{_too_much('flash', flash, board.flash_bytes)}; heaviest layers: {_heaviest(model)}")
    if ram > board.ram_bytes:
        problems.append(f"{_too_much('RAM', ram, board.ram_bytes)}; {_fullest(model)}")
    return f"{model.name} does not fit {board.name}: {'. '.join(problems)}" if problems else ""


def _heaviest(model: ModelView) -> str:
    weights = [(name, model.constant_bytes(node)) for name, node in zip(model.names, model.nodes, strict=True)]
    ranked = sorted(weights, key=lambda pair: -pair[1])[:HEAVIEST]
    return ", ".join(f"{name} ({size:,} B)" for name, size in ranked if size)


def _fullest(model: ModelView) -> str:
    """The nodes with the largest live sets: a model shrinks only when all of them do."""
    ranked = sorted(liveness(model), key=lambda live: -live.total)[:HEAVIEST]
    return "most is live at " + ", ".join(f"{model.names[n.index]} ({n.total:,} B)" for n in ranked)


def _too_much(what: str, needed: int, there: int) -> str:
    return f"{what}: {needed:,} B needed, {there:,} B there, {needed - there:,} B too much"
