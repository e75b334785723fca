"""A board that QEMU emulates.

Its firmware (firmware.py) knows no model: the file is loaded into memory of its own beside it, as it would be flashed.
Inputs and outputs pass through files (semihosting)."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .boards import TargetError
from .firmware import SOURCES, EmulatedBoard, build_firmware, require
from .runner import Array, NodeStats, RefusedError, Result, Stats

QEMU = "qemu:"
RUN_SECONDS = 600.0


@dataclass(frozen=True)
class QemuRunner:
    """A board in QEMU. `count_instructions` counts them (`profile`: for every node of every sample), which runs slower;
    `isas` restricts the instruction sets by name; `firmware` is an ELF to use instead of the one built here."""

    board: EmulatedBoard
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
        samples = len(inputs[0]) if inputs else 1  # constants alone: one result
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
            _nodes(records[:-1], ticks / max(1, result["samples"])),
        )


def _nodes(records: Sequence[Mapping[str, str]], ticks: float) -> tuple[NodeStats, ...]:
    """Of all calls of each node, with this many nanoseconds a tick: nodes that run for some rows at a time have several
    in each sample."""
    calls: dict[int, list[Mapping[str, str]]] = {}
    for record in records:
        calls.setdefault(int(record["index"]), []).append(record)
    return tuple(
        NodeStats(c[0]["layer"], c[0]["kernel"], c[0]["isa"], ticks * sum(int(record["ticks"]) for record in c))
        for _, c in sorted(calls.items())
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
