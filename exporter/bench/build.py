"""Compiles the C sources of a checkout for one target: an ELF for the emulated cores, a shared library for the host."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..targets.firmware import SOURCES
from .timing import M0PLUS, M4, Core

COMMON = (
    "-std=c11",
    "-ffp-contract=off",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wextra",
)
BARE_METAL = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,-Ttext=0x1000", "-Wl,-Tdata=0x20000000", "-Wl,-e,0")
LAYOUT = """
#include <stddef.h>
#include "src/kernel.h"
const uint32_t dqnn_bench_layout[] = {
    sizeof(dqnn_call), offsetof(dqnn_call, params), offsetof(dqnn_call, in_def), offsetof(dqnn_call, out_def),
    offsetof(dqnn_call, in), offsetof(dqnn_call, out), offsetof(dqnn_call, constants),
    offsetof(dqnn_call, constant_bytes), offsetof(dqnn_call, scratch), offsetof(dqnn_call, scratch_bytes),
    offsetof(dqnn_call, kernel), offsetof(dqnn_call, inputs), offsetof(dqnn_call, constant_count)};
"""


class BuildError(Exception):
    """A compiler that is missing or refuses the sources."""


@dataclass(frozen=True)
class Target:
    """A core: compiler, code generation flags, timing model if there is one."""

    name: str
    compiler: str
    flags: tuple[str, ...] = ()
    core: Core | None = None


def _arm(name: str, *flags: str, core: Core | None = None) -> Target:
    return Target(name, "arm-none-eabi-gcc", ("-mthumb", f"-mcpu={name}", *flags), core)


HOST = Target("host", "gcc", ("-march=native", "-fPIC", "-shared"))
TARGETS = {
    t.name: t
    for t in (
        HOST,
        _arm("cortex-m0plus", "-mfloat-abi=soft", core=M0PLUS),
        _arm("cortex-m3", "-mfloat-abi=soft"),
        _arm("cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", core=M4),
    )
}


def compile_sources(
    target: Target,
    sources: Sequence[Path],
    output: Path,
    optimize: str = "-O3",
    keep: Sequence[str] = (),
    extra: Sequence[str] = (),
) -> Path:
    """Builds sources (relative to interpreter_c) and the layout table. The linker must not drop the symbols `keep`."""
    _require(target)
    layout = output.with_suffix(".layout.c")
    layout.write_text(LAYOUT)
    files = [str(SOURCES / s) for s in sources]  # an absolute path stays as it is
    _run(target, [optimize, *extra, *files, str(layout), *_linking(target, keep), "-o", str(output), "-lm"])
    return output


class Objects:
    """Compiled files that several programs are linked from; they go with it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dqnn-objects-")
        self.place = Path(self._folder.name)
        self.files: list[str] = []


def compile_objects(target: Target, sources: Sequence[Path], optimize: str = "-O2") -> Objects:
    """As compile_sources, for `link`."""
    _require(target)
    made = Objects()
    layout = made.place / "layout.c"
    layout.write_text(LAYOUT)
    for source in (*sources, layout):
        made.files.append(str(made.place / (str(source).strip("/").replace("/", "_") + ".o")))
        _run(target, [optimize, "-c", str(SOURCES / source), "-o", made.files[-1]])
    return made


def link(target: Target, objects: Objects, output: Path, keep: Sequence[str] = ()) -> Path:
    _run(target, [*objects.files, *_linking(target, keep), "-o", str(output), "-lm"])
    return output


def _require(target: Target) -> None:
    if shutil.which(target.compiler) is None:
        raise BuildError(f"{target.compiler} is not installed (Debian: gcc-arm-none-eabi)")


def _linking(target: Target, keep: Sequence[str]) -> list[str]:
    roots = [f"-Wl,-u,{symbol}" for symbol in (*keep, "dqnn_bench_layout")]
    return [] if target is HOST else [*BARE_METAL, *roots]


def _run(target: Target, arguments: Sequence[str]) -> None:
    includes = [f"-I{SOURCES / part}" for part in (".", "include")]
    command = [target.compiler, *COMMON, *target.flags, *includes, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\n{done.stderr}")


def runtime_sources() -> list[Path]:
    """Loader, interpreter and what kernels share."""
    return sorted(path.relative_to(SOURCES) for path in (SOURCES / "src").glob("*.c"))


def kernel_sources() -> list[Path]:
    """Plans, reference and portable kernels: what every target compiles."""
    found = [
        *(SOURCES / "kernels").glob("*.c"),
        *(SOURCES / "kernels" / "ref").glob("*.c"),
        *(SOURCES / "kernels" / "opt").glob("*.c"),
    ]
    return sorted(path.relative_to(SOURCES) for path in found)
