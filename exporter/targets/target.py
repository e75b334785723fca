"""What `--target` means, to every command alike: a place that a model is for.

    find_target("host"), find_target("cortex-m4"), find_target("stm32f411"), find_target("qemu:mps2-an386")

A target has up to three sides: a board (flash, RAM and clock: does the model fit?), a core (what does it cost there?)
and a runner (what does it compute?). A described board runs where its core is emulated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .boards import Board, TargetError, load_board, shipped
from .emulated import QEMU, QemuRunner
from .firmware import EmulatedBoard, boards
from .host import HOST, HostRunner
from .linked import FORMS, SCHEMES, LinkRunner
from .runner import Array, Result, Runner

if TYPE_CHECKING:
    from dqnn.interpreter import Batch


@dataclass(frozen=True)
class Target:
    """`name` as it was asked for. None: no limits of memory, this machine's core, nothing that runs files."""

    name: str
    board: Board | None = None
    core: str | None = None
    runner: Runner | None = None

    def run(self, blob: bytes, inputs: Sequence[Array]) -> Result:
        """Stored arrays in and out, batch first (see dqnn.tensors)."""
        if self.runner is None:
            running = ", ".join((HOST, *(QEMU + name for name in boards())))
            raise TargetError(f"nothing here runs the core {self.core} of {self.name}; files run on {running}")
        return self.runner.run(blob, inputs)

    def __str__(self) -> str:
        """The name, and where files run if that is another place."""
        elsewhere = self.runner is not None and self.runner.name != self.name
        return f"{self.name} ({self.runner.name})" if elsewhere and self.runner is not None else self.name


def find_target(name: str) -> Target:
    """`host`, a board that is emulated (`qemu:NAME`) or described (a name or a .toml file), a core, a device on a link
    (`serial:PORT[,BAUD]`, `tcp:HOST:PORT`). TargetError lists them for anything else."""
    if name == HOST:
        return Target(HOST, runner=HostRunner())
    if name.startswith(QEMU):
        return _emulated(name)
    if name.startswith(SCHEMES):
        return Target(name, runner=LinkRunner(name))
    if name.lower() in cores():
        return _with_core(Target(name, core=name.lower()))
    if Path(name).suffix == ".toml" or name.lower() in {board.name.lower() for board in shipped()}:
        board = load_board(name)
        return _with_core(Target(board.name, board, board.core))
    raise _unknown(name)


def _unknown(name: str) -> TargetError:
    return TargetError(
        f"no target is named {name!r}; accepted: {', '.join(target_names())}, {', '.join(FORMS)}, or a .toml file"
    )


def _emulated(name: str) -> Target:
    found = boards().get(name.removeprefix(QEMU))
    if found is None:
        raise _unknown(name)
    return Target(name, _described(found), found.core, QemuRunner(found))


def _described(emulated: EmulatedBoard) -> Board:
    """Code and model lie in memories of their own, which together are its flash."""
    clock, flash = round(1e9 / emulated.nanoseconds_per_tick), emulated.code_bytes + emulated.model_bytes
    return Board(QEMU + emulated.name, emulated.core, clock, flash, emulated.data_bytes)


def _with_core(target: Target) -> Target:
    emulated = cores().get(target.core or "")
    return target if emulated is None else replace(target, runner=QemuRunner(emulated))


def cores() -> dict[str, EmulatedBoard]:
    """Core -> the board that has it, of those that are emulated with room for models of every size."""
    found: dict[str, EmulatedBoard] = {}
    for board in boards().values():
        if board.core not in found or board.model_bytes > found[board.core].model_bytes:
            found[board.core] = board
    return found


def target_names() -> list[str]:
    """All targets, whether or not their tools are installed."""
    return [HOST, *(QEMU + name for name in boards()), *(board.name for board in shipped()), *cores()]


def run_on_target(model: str | os.PathLike[str] | bytes, name: str, batch: Batch, *, raw: bool = False) -> Any:
    """As `Interpreter.predict`, on a target: real values in and out (raw=True: stored ones)."""
    from dqnn.interpreter import Interpreter

    blob = model if isinstance(model, bytes) else Path(model).read_bytes()
    interpreter = Interpreter(blob)
    result = find_target(name).run(blob, interpreter.to_stored(batch, raw=raw))
    return interpreter.from_stored(result.outputs, raw=raw)
