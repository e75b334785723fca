"""Where a .dqnn file can run: this machine, or a board that QEMU emulates.

    result = find_target("qemu:mps2-an386").run(blob, [stored inputs])

A board's firmware (firmware.py) knows no model: the file is loaded into memory of its own beside it, as it would be
flashed. Inputs and outputs pass through files (semihosting)."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from .firmware import SOURCES, Board, TargetError, boards, build_firmware, require

if TYPE_CHECKING:
    from dqnn.interpreter import Batch

Array: TypeAlias = npt.NDArray[Any]

HOST = "host"
QEMU = "qemu:"
RUN_SECONDS = 600.0


class RefusedError(TargetError):
    """The target refused the file: the fields are those of dqnn_status and dqnn_fault, None where nothing applies."""

    def __init__(self, target: str, fields: Mapping[str, str]) -> None:
        self.status, self.code = fields["status"], int(fields["code"])
        self.node, self.tensor = _optional(fields["node"]), _optional(fields["tensor"])
        self.kernel = None if fields["kernel"] == "none" else fields["kernel"]
        self.check = fields["check"]
        super().__init__(f"{target} refused the file: {self._reason(fields)}")

    def _reason(self, fields: Mapping[str, str]) -> str:
        if self.status == "memory":
            return f"it needs {fields['memory']} bytes of RAM, the board has {fields['available']} for it"
        parts = [f"status {self.status}", f"check {self.check}" if self.check != "none" else ""]
        parts += [f"node {self.node}" if self.node is not None else "", f"kernel {self.kernel}" if self.kernel else ""]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class NodeStats:
    """Instructions that one node took."""

    layer: str
    kernel: str
    isa: str
    instructions: float


@dataclass(frozen=True)
class Stats:
    """What the target says about a run. Bytes; None where it cannot be measured there."""

    samples: int
    arena_bytes: int
    state_bytes: int
    memory_bytes: int
    arena_touched: int | None = None
    stack_init: int | None = None
    stack_invoke: int | None = None
    instructions: float | None = None  # of one invoke, mean over the samples
    nodes: tuple[NodeStats, ...] = ()


@dataclass(frozen=True)
class Result:
    """Stored arrays, one per output, batch first."""

    outputs: list[Array]
    stats: Stats


class Target(Protocol):
    """Something that runs files. `run` takes and gives stored arrays (see dqnn.tensors), batch first."""

    @property
    def name(self) -> str: ...

    def run(self, blob: bytes, inputs: Sequence[Array]) -> Result: ...


def find_target(name: str) -> Target:
    """`host`, or `qemu:` with the name of a board; TargetError lists them for anything else."""
    if name == HOST:
        return HostTarget()
    board = boards().get(name.removeprefix(QEMU)) if name.startswith(QEMU) else None
    if board is None:
        raise TargetError(f"no target is named {name!r}; there are {', '.join(target_names())}")
    return QemuTarget(board)


def target_names() -> list[str]:
    """All targets, whether or not their tools are installed."""
    return [HOST, *(QEMU + name for name in boards())]


def run_on_target(model: str | os.PathLike[str] | bytes, name: str, batch: Batch, *, raw: bool = False) -> Any:
    """As `Interpreter.predict`, on a target: real values in and out (raw=True: stored ones)."""
    from dqnn.interpreter import Interpreter

    blob = model if isinstance(model, bytes) else Path(model).read_bytes()
    interpreter = Interpreter(blob)
    result = find_target(name).run(blob, interpreter.to_stored(batch, raw=raw))
    return interpreter.from_stored(result.outputs, raw=raw)


# --- this machine -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostTarget:
    """The compiled extension."""

    name: str = HOST
    threads: int = 1

    def run(self, blob: bytes, inputs: Sequence[Array]) -> Result:
        from dqnn.interpreter import Interpreter

        interpreter = Interpreter(blob)
        results = interpreter.predict(list(inputs), threads=self.threads, raw=True)
        outputs = list(results.values()) if isinstance(results, dict) else [results]
        stats = Stats(
            len(inputs[0]),
            interpreter.arena_bytes,
            interpreter.state_bytes,
            interpreter.memory_bytes,
        )
        return Result(outputs, stats)


# --- boards -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QemuTarget:
    """A board in QEMU. `count_instructions` counts them (`profile`: for every node of every sample), which runs slower;
    `isas` restricts the instruction sets by name; `firmware` is an ELF to use instead of the one built here."""

    board: Board
    count_instructions: bool = False
    profile: bool = False
    isas: tuple[str, ...] = ()
    firmware: Path | None = None
    timeout: float = RUN_SECONDS

    @property
    def name(self) -> str:
        return QEMU + self.board.name

    def run(self, blob: bytes, inputs: Sequence[Array]) -> Result:
        if len(blob) > self.board.model_bytes:
            raise TargetError(
                f"the file has {len(blob)} bytes, {self.name} has room for {self.board.model_bytes} beside the firmware"
            )
        require(self.board.port.emulator)
        firmware = self.firmware or build_firmware(self.board)
        with tempfile.TemporaryDirectory(prefix="dqnn-") as directory:
            return self._run_in(Path(directory), firmware, blob, inputs)

    def _run_in(self, directory: Path, firmware: Path, blob: bytes, inputs: Sequence[Array]) -> Result:
        samples = len(inputs[0]) if inputs else 0
        (directory / "model.dqnn").write_bytes(blob)
        (directory / "in.bin").write_bytes(_interleaved(inputs))
        records = _records(self._emulate(directory, firmware, samples), self.name)
        return Result(_separated(directory / "out.bin", blob, samples), self._stats(records))

    def _emulate(self, directory: Path, firmware: Path, samples: int) -> str:
        command = [
            self.board.port.emulator,
            *self.board.machine,
            *("-display", "none", "-monitor", "none", "-serial", "null"),
            *("-kernel", str(firmware)),
            *("-device", f"loader,file=model.dqnn,addr={self.board.model_address:#x},force-raw=on"),
            *("-chardev", "stdio,id=console"),
            *("-semihosting-config", ",".join(["enable=on,target=native,chardev=console", *self._arguments(samples)])),
            *(("-icount", "shift=0,sleep=off") if self._counts else ()),
        ]
        try:
            done = subprocess.run(
                command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise TargetError(f"{self.name} did not finish {samples} samples in {self.timeout:g} s") from None
        output = done.stdout.decode(errors="replace")
        return output if "dqnn-" in output else output + done.stderr.decode(errors="replace")

    @property
    def _counts(self) -> bool:
        return self.count_instructions or self.profile

    def _arguments(self, samples: int) -> list[str]:
        words = ["dqnn", "in.bin", "out.bin", str(samples)]
        words += ["profile"] if self.profile else ["clock"] if self.count_instructions else []
        words += [f"isas={_isa_mask(self.isas)}"] if self.isas else []
        return [f"arg={word}" for word in words]

    def _stats(self, records: list[dict[str, str]]) -> Stats:
        result = {key: int(value) for key, value in records[-1].items() if value.isdigit()}
        ticks = self.board.nanoseconds_per_tick  # with -icount shift=0 an instruction takes a nanosecond
        return Stats(
            result["samples"],
            result["arena"],
            result["state"],
            result["memory"],
            result["arena_touched"],
            result["stack_init"],
            result["stack_invoke"],
            result["ticks"] * ticks / max(1, result["samples"]) if self._counts else None,
            tuple(NodeStats(r["layer"], r["kernel"], r["isa"], int(r["ticks"]) * ticks) for r in records[:-1]),
        )


def _isa_mask(names: Sequence[str]) -> int:
    header = (SOURCES / "include" / "dqnn" / "dqnn.h").read_text(encoding="utf-8")
    numbers = {name: int(number) for name, number in re.findall(r"X\((\w+), (\d+)\)", header)}
    unknown = [name for name in names if name not in numbers]
    if unknown:
        raise TargetError(f"no instruction set is named {', '.join(unknown)}; there are {', '.join(numbers)}")
    return sum(1 << numbers[name] for name in names)


# --- what the firmware reads and writes -------------------------------------------------------------------------------


def _interleaved(inputs: Sequence[Array]) -> bytes:
    """Sample after sample, the bytes of each input."""
    rows = [np.ascontiguousarray(a).reshape(len(a), -1).view(np.uint8).reshape(len(a), -1) for a in inputs if len(a)]
    return np.concatenate(rows, axis=1).tobytes() if rows else b""


def _separated(path: Path, blob: bytes, samples: int) -> list[Array]:
    """The same for the outputs, whose shapes the file tells."""
    from dqnn.interpreter import Interpreter

    infos = Interpreter(blob).outputs
    data = np.fromfile(path, np.uint8).reshape(samples, sum(info.bytes for info in infos))
    outputs: list[Array] = []
    start = 0
    for info in infos:
        part = np.ascontiguousarray(data[:, start : start + info.bytes])
        outputs.append(part.view(info.stored_dtype).reshape(samples, *info.stored_shape))
        start += info.bytes
    return outputs


def _records(output: str, target: str) -> list[dict[str, str]]:
    """The firmware's report (interpreter_c/ports/common/runner.c); raises what it says went wrong."""
    records = []
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        fields = dict(word.partition("=")[::2] for word in rest.split())
        if kind == "dqnn-refused":
            raise RefusedError(target, fields)
        if kind == "dqnn-error":
            raise TargetError(f"{target}: the firmware reports {fields['what']} ({fields['detail']})")
        if kind == "dqnn-crash":
            places = ", ".join(f"{key} {int(value):#x}" for key, value in fields.items())
            raise TargetError(f"{target}: the firmware crashed ({places})")
        if kind in ("dqnn-node", "dqnn-result"):
            records.append(fields)
    if not records or "status" not in records[-1]:
        raise TargetError(f"{target}: the emulator ended without a result: {output.strip()[-500:] or 'no output'}")
    return records


def _optional(text: str) -> int | None:
    return None if text == "none" else int(text)
