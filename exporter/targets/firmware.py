"""The firmware for emulated boards: which boards there are, and how their ELF comes to be (and, for code_size.py, other
things that CMake builds of the C sources).

A firmware is built once, from the C sources that come with the package, and kept in $XDG_CACHE_HOME/dqnn. Its place
there is named after a hash of these sources and of the compiler's version; it knows no model."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from .boards import TargetError

Notify: TypeAlias = Callable[[str], None]

SOURCES = Path(__file__).resolve().parents[2] / "interpreter_c"
FIRMWARE = "firmware.elf"
BUILD_SECONDS = 600.0

# Debian's packages for the programs that are needed.
PACKAGES = {
    "cmake": "cmake",
    "ninja": "ninja-build",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
}


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Port:
    """A directory of interpreter_c/ports and its programs. `machine`: QEMU's options, if the board's name is none."""

    directory: str
    compiler: str
    emulator: str
    machine: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmulatedBoard:
    """One line of a port's boards.cmake. Code and data have memories of their own, and so has the model."""

    name: str
    core: str
    port: Port
    nanoseconds_per_tick: float
    code_bytes: int
    data_bytes: int
    model_address: int
    model_bytes: int

    @property
    def machine(self) -> tuple[str, ...]:
        """QEMU's options for it."""
        return self.port.machine or ("-machine", self.name)


PORTS = (
    Port("qemu_mps2", "arm-none-eabi-gcc", "qemu-system-arm"),
    Port("qemu_riscv", "riscv64-unknown-elf-gcc", "qemu-system-riscv32", ("-machine", "virt", "-bios", "none")),
)
_BOARD = re.compile(
    r'^\s*"(?P<name>\S+) +(?P<core>\S+) +\S+ +(?P<tick>[\d.]+) +\S+ +(?P<code>\S+) +\S+ +(?P<data>\S+) +'
    r'(?P<model>\S+) +(?P<bytes>\S+)"',
    re.MULTILINE,
)
CORES = {"riscv32": "rv32imac"}  # the ports' name of a core, where it is not the one that everybody uses


@cache
def boards() -> dict[str, EmulatedBoard]:
    """The emulated boards, as the ports list them."""
    found = {}
    for port in PORTS:
        text = (SOURCES / "ports" / port.directory / "boards.cmake").read_text(encoding="utf-8")
        for line in _BOARD.finditer(text):
            code, data, address, size = (int(line[key], 16) for key in ("code", "data", "model", "bytes"))
            core, tick = CORES.get(line["core"], line["core"]), float(line["tick"])
            found[line["name"]] = EmulatedBoard(line["name"], core, port, tick, code, data, address, size)
    return found


# --- building the firmware --------------------------------------------------------------------------------------------


def build_firmware(board: EmulatedBoard, notify: Notify | None = None) -> Path:
    """The firmware of a board: from the cache, or built."""
    require(board.port.compiler, "cmake")
    port = f"ports/{board.port.directory}"
    final = cached_path(board.name, board.port.compiler, FIRMWARE, "ports/common", port)
    return build_once(final, SOURCES / port, [f"-DDQNN_BOARD={board.name}"], f"the firmware for {board.name}", notify)


def build_once(final: Path, source: Path, options: list[str], what: str, notify: Notify | None = None) -> Path:
    """`final`, built by CMake from the project in `source` unless it is there."""
    if final.exists():
        return final
    with _locked(final.parent.with_suffix(".lock")):
        if not final.exists():
            (notify or _to_stderr)(f"building {what} (only once) ...")
            _build(source, options, what, final)
    return final


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/dqnn, ~/.cache/dqnn without it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dqnn" / "firmware"


def cached_path(name: str, compiler: str, file: str, *more: str) -> Path:
    """Where `file`, made by `compiler` of the library's sources and `more`, is kept."""
    digest = hashlib.sha256(_compiler_version(compiler).encode())
    parts = ("CMakeLists.txt", "cmake", "include", "isa", "kernels", "src", *more)
    for path in sorted(file for part in parts for file in _files(SOURCES / part)):
        digest.update(f"\0{path.relative_to(SOURCES)}\0".encode())
        digest.update(path.read_bytes())
    return cache_directory() / f"{name}-{digest.hexdigest()[:16]}" / file


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


@cache
def _compiler_version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout


def _build(source: Path, options: list[str], what: str, final: Path) -> None:
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    with tempfile.TemporaryDirectory(prefix="dqnn-firmware-") as directory:
        _call(["cmake", "-S", str(source), "-B", directory, *generator, *options], what)
        _call(["cmake", "--build", directory, "--parallel", str(min(4, os.cpu_count() or 1))], what)
        # The directory appears with the file complete in it, whoever else looks.
        fresh = Path(tempfile.mkdtemp(dir=final.parent.parent, prefix="new-"))
        shutil.copyfile(Path(directory) / final.name, fresh / final.name)
        fresh.rename(final.parent)


def _call(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TargetError(f"building {what} took more than {BUILD_SECONDS:g} s") from None
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise TargetError(f"building {what} failed: {' '.join(command)}\n{tail}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One builder at a time; where files cannot be locked, two build the same thing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require(*programs: str) -> None:
    """TargetError, with what to install, unless all programs are there."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = " ".join(PACKAGES[program] for program in missing)
        raise TargetError(f"{' and '.join(missing)} not found; on Debian or Ubuntu: apt-get install {packages}")


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
