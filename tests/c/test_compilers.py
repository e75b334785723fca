"""Other compilers and options than CMakeLists.txt's: users of make and of vendors' tools copy the sources alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDERS = ("src", "kernels", "kernels/ref", "kernels/opt")  # of a firmware, but for vectors
# Cores with no, some and all of the assembly in isa/: triple, -mcpu, floating point.
CORES = {
    "cortex-m0plus": ("thumbv6m-none-eabi", "-mfloat-abi=soft"),
    "cortex-m3": ("thumbv7m-none-eabi", "-mfloat-abi=soft"),
    "cortex-m4": ("thumbv7em-none-eabi", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "cortex-m55": ("thumbv8.1m.main-none-eabi", "-mfloat-abi=hard"),
}


def compiled(compiler: str, source: Path, repo: Path, *options: str) -> subprocess.CompletedProcess[str]:
    c = repo / "interpreter_c"
    includes = [f"-I{c / folder}" for folder in ("include", ".", "src")]
    command = [compiler, "-std=c11", "-O2", "-DDQNN_HAVE_PORTABLE=1", *options, *includes, str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def clang_for(core: str, require_tool: Callable[[str], str]) -> list[str]:
    """Options of clang for a core, with the C library's headers of the other compiler."""
    gcc = require_tool("arm-none-eabi-gcc")
    sysroot = subprocess.run([gcc, "-print-sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    headers = Path(sysroot or "/usr/lib/arm-none-eabi") / "include"
    triple, *fpu = CORES[core]
    return [f"--target={triple}", f"-mcpu={core}", *fpu, "-isystem", str(headers)]


@pytest.mark.parametrize("core", CORES)
def test_clang_builds_for_every_core(core: str, repo: Path, tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """Assembly too: its assembler is stricter than gcc's. armclang and the LLVM toolchain for Arm are the same."""
    options = clang_for(core, require_tool)
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wno-overlength-strings", "-Werror"]
    sources = [path for folder in FOLDERS for path in sorted((repo / "interpreter_c" / folder).glob("*.c"))]
    assert len(sources) > 40
    for source in sources:
        target = str(tmp_path / "object.o")
        result = compiled(require_tool("clang"), source, repo, *options, *warnings, "-c", "-o", target)
        assert result.returncode == 0, result.stderr


def test_clang_fuses_nothing_without_the_option(repo: Path, tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """-ffp-contract=off is for gcc; clang reads a pragma."""
    target = tmp_path / "numerics.s"
    options = clang_for("cortex-m55", require_tool)
    source = repo / "interpreter_c" / "src" / "numerics.c"
    result = compiled(require_tool("clang"), source, repo, *options, "-S", "-o", str(target))
    assert result.returncode == 0, result.stderr
    assert re.search(r"\bvmul\.f32", target.read_text())
    assert not re.search(r"\bvfn?m[as]\.f32", target.read_text())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_fast_math_is_refused(compiler: str, repo: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = repo / "interpreter_c" / "src" / "numerics.c"
    assert compiled(compiler, source, repo, "-fsyntax-only").returncode == 0
    result = compiled(compiler, source, repo, "-fsyntax-only", "-ffast-math")
    assert result.returncode != 0 and "other bits than the host" in result.stderr
    assert compiled(compiler, source, repo, "-fsyntax-only", "-ffast-math", "-DDQNN_ALLOW_FAST_MATH").returncode == 0
