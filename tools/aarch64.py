"""The C interpreter on 64-bit Arm, where none is at hand: cross-built and run by qemu-aarch64. `python tools/aarch64.py
FILE...` counts the instructions of one run of .dqnn files in every set of variants, as a table in Markdown.

QEMU logs each block of instructions that it translates, and the address of each that it enters; the sum over those is
what ran. It says nothing of time."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dqnn import Interpreter

ROOT = Path(__file__).resolve().parents[1]
EMULATOR, LIBRARIES = "qemu-aarch64", "/usr/aarch64-linux-gnu"
COMPILERS = {"gcc": "aarch64-linux-gnu-gcc", "clang": "clang"}
CLANG_TARGET = "aarch64-linux-gnu"
LEVELS = (("portable",), ("portable", "neon"), ("portable", "neon", "dotprod"))
BLOCK = re.compile(rb"\[[0-9a-f]+/([0-9a-f]+)/[0-9a-f]+/[0-9a-f]+\]")
INSTRUCTION = re.compile(rb"0x([0-9a-f]+):\s")


class Aarch64Error(Exception):
    """What stands in the way."""


def call(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise Aarch64Error(
            f"{' '.join(map(str, words))}\n{(done.stdout + done.stderr)[-4000:].decode(errors='replace')}"
        )
    return done


def isas() -> dict[str, int]:
    """Bit of each instruction set in masks, from dqnn.h."""
    text = (ROOT / "interpreter_c" / "include" / "dqnn" / "dqnn.h").read_text(encoding="utf-8")
    listed = text.partition("#define DQNN_ISAS(X)")[2].partition("#define")[0]
    return {name: int(number) for name, number in re.findall(r"X\((\w+), (\d+)\)", listed)}


def instruction_sets() -> list[str]:
    """What a build for this processor has, `ref` too, from sources.cmake."""
    text = (ROOT / "interpreter_c" / "kernels" / "sources.cmake").read_text(encoding="utf-8")
    found = re.search(r"set\(DQNN_ISAS_aarch64 ([^)]*)\)", text)
    assert found is not None
    return ["ref", *found[1].split()]


def configure(folder: Path, compiler: str, *options: str) -> None:
    """A build of interpreter_c in `folder`, by gcc or clang."""
    words = [f"-DCMAKE_C_COMPILER={COMPILERS[compiler]}"]
    if compiler == "clang":
        words += [f"-DCMAKE_{language}_COMPILER_TARGET={CLANG_TARGET}" for language in ("C", "CXX")]
        words.append("-DCMAKE_CXX_COMPILER=clang++")
    toolchain = ROOT / "interpreter_c" / "cmake" / "aarch64-linux.cmake"
    call(
        "cmake", "-S", ROOT / "interpreter_c", "-B", folder, "-G", "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
        f"-DDQNN_ISAS={';'.join(instruction_sets()[1:])}", *words, *options,
    )  # fmt: skip


def build(folder: Path, *targets: str) -> None:
    call("cmake", "--build", folder, "--parallel", "2", *(word for name in targets for word in ("--target", name)))


@dataclass(frozen=True)
class Run:
    """Bytes of all outputs; kernel and variant of each node."""

    output: bytes
    variants: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Program:
    """aarch64_run.c over a library that was built."""

    path: Path

    @classmethod
    def link(cls, library: Path, *options: str) -> Program:
        """By gcc, whichever compiler made the library; options: what that one's code needs of the linker."""
        path = library / "aarch64_run"
        defined = [f"-DDQNN_HAVE_{name.upper()}=1" for name in instruction_sets()[1:]]
        words: list[str | Path] = ["-std=c11", "-O2", *defined, f"-I{ROOT / 'interpreter_c' / 'include'}", "-o", path]
        call(COMPILERS["gcc"], ROOT / "tools" / "aarch64_run.c", library / "libdqnn.a", *words, *options)
        return cls(path)

    def run(self, blob: Path, stdin: bytes, levels: Iterable[str] = (), *, times: int = 1, cpu: str = "max") -> Run:
        """levels: names of the instruction sets that it may use; none: those that the processor `cpu` has."""
        done = call(
            EMULATOR, "-L", LIBRARIES, "-cpu", cpu, self.path, blob, str(mask_of(levels)), str(times), stdin=stdin
        )
        lines = [line.split() for line in done.stderr.decode().splitlines()]
        return Run(done.stdout, tuple((kernel, isa) for kernel, isa in lines))

    def instructions(self, blob: Path, stdin: bytes, levels: Iterable[str]) -> int:
        """Of one run of the model: those of two runs less those of one."""
        words = (str(self.path), str(blob), str(mask_of(levels)))
        return counted(*words, "2", stdin=stdin) - counted(*words, "1", stdin=stdin)


def mask_of(names: Iterable[str]) -> int:
    return sum(1 << isas()[name] for name in names)


def counted(*words: str, stdin: bytes) -> int:
    """Instructions of a whole program. Its own output goes nowhere."""
    entered: Counter[bytes] = Counter()
    size: dict[int, int] = {}
    begins, block = False, 0
    command = (EMULATOR, "-L", LIBRARIES, "-d", "in_asm,exec,nochain", *words)
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(b"Trace"):
                found = BLOCK.search(line)
                assert found is not None, line
                entered[found[1]] += 1
            elif line.startswith(b"IN:"):
                begins = True
            elif (instruction := INSTRUCTION.match(line)) is not None:
                if begins:
                    block, begins = int(instruction[1], 16), False
                    size[block] = 0
                size[block] += 1
    if process.returncode != 0:
        raise Aarch64Error(f"{' '.join(command)} failed")
    return sum(count * size[int(at, 16)] for at, count in entered.items())


def sample(blob: Path) -> bytes:
    """Inputs of a run: floats of a picture's range, bytes of any value."""
    rng = np.random.default_rng(0)
    parts = []
    for port in Interpreter(blob).inputs:
        real = port.stored_dtype == np.float32
        parts.append(rng.random(port.bytes // 4, np.float32).tobytes() if real else rng.bytes(port.bytes))
    return b"".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+")
    parser.add_argument("--compiler", choices=COMPILERS, default="gcc")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        configure(Path(folder), arguments.compiler, "-DCMAKE_BUILD_TYPE=Release")
        build(Path(folder), "dqnn")
        program = Program.link(Path(folder), "-static")
        print(f"| network | {' | '.join(level[-1] for level in LEVELS)} |")
        print(f"|{'---|' * (1 + len(LEVELS))}")
        for blob in arguments.files:
            stdin = sample(blob)
            counts = [f"{program.instructions(blob, stdin, level):,}" for level in LEVELS]
            print(f"| {blob.stem} | {' | '.join(counts)} |")


if __name__ == "__main__":
    try:
        main()
    except Aarch64Error as error:
        sys.exit(f"aarch64: {error}")
