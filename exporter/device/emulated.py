"""An emulated board with link and slots: its firmware (interpreter_c/ports/link) in QEMU, its UART behind a TCP port.

The model stands beside the firmware, as if it had been flashed with it."""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..inspect.artifacts import intel_hex
from ..targets.boards import TargetError
from ..targets.emulated import QEMU
from ..targets.firmware import SOURCES, build_once, cached_path, require

PORT = "ports/link"
COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
_LINE = re.compile(
    r'^ *"(?P<name>\S+) +\S+ +(?P<core>\S+) +\S+ +ram(?: +\S+){6} +(?P<factory>\S+) +(?P<bytes>\S+)"', re.M
)


@dataclass(frozen=True)
class LinkBoard:
    """An emulated board of interpreter_c/ports/link/boards.cmake. `factory_address`: where its model lies."""

    name: str
    core: str
    factory_address: int
    factory_bytes: int


@cache
def link_boards() -> dict[str, LinkBoard]:
    text = (SOURCES / PORT / "boards.cmake").read_text(encoding="utf-8")
    return {
        line["name"]: LinkBoard(line["name"], line["core"], int(line["factory"], 16), int(line["bytes"], 16))
        for line in _LINE.finditer(text)
    }


def find_board(target: str) -> LinkBoard:
    """`qemu:NAME`."""
    board = link_boards().get(target.removeprefix(QEMU)) if target.startswith(QEMU) else None
    if board is None:
        names = ", ".join(QEMU + name for name in link_boards())
        raise TargetError(f"no emulated board with a link is named {target!r}; accepted: {names}")
    return board


@cache
def machines() -> frozenset[str]:
    """What the emulator here has."""
    require(EMULATOR)
    text = subprocess.run([EMULATOR, "-machine", "help"], capture_output=True, text=True, check=True).stdout
    return frozenset(line.split()[0] for line in text.splitlines() if line.strip())


def firmware_of(board: LinkBoard) -> Path:
    """From the cache, or built."""
    require(COMPILER, "cmake")
    final = cached_path(f"link-{board.name}", COMPILER, f"{board.name}.elf", "link", "store", PORT, "ports/common")
    return build_once(final, SOURCES / PORT, [f"-DDQNN_BOARDS={board.name}"], f"the firmware for {board.name}")


def free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running(
    board: LinkBoard, blob: bytes | None, host: str, port: int, options: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """The board, for a while. It is on when the port is open; the emulator listens before it starts it. `options` are
    the emulator's."""
    if board.name not in machines():
        raise TargetError(f"{EMULATOR} here has no machine {board.name}; a newer one may")
    if blob is not None and len(blob) > board.factory_bytes:
        raise TargetError(f"the file has {len(blob):,} bytes, {board.name} has room for {board.factory_bytes:,}")
    elf = firmware_of(board)
    with tempfile.TemporaryDirectory(prefix="dqnn-") as directory:
        model = Path(directory) / "model.hex"
        command = [
            EMULATOR, "-machine", board.name, "-display", "none", "-monitor", "none", "-kernel", str(elf),
            "-serial", f"tcp:{host}:{port},server=on,wait=off,nodelay=on", *options,
        ]  # fmt: skip
        if blob is not None:  # Intel HEX knows its address: some versions load raw files into main memory alone
            model.write_text(intel_hex(blob, board.factory_address))
            command += ["-device", f"loader,file={model}"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.terminate()
