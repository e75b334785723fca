"""Other compilers and options than CMakeLists.txt's: users of make and of vendors' tools copy the sources alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from footprint.measure import PREFIX, flags

C = Path(__file__).resolve().parents[2] / "interpreter_c"
FOLDERS = ("src", "kernels", "kernels/ref", "kernels/opt", "link", "store")  # of a firmware, but for vectors
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wcast-align", "-Wcast-qual", "-Wno-overlength-strings", "-Werror")
# Cores with no, some and all of the assembly in isa/: clang's name of the architecture.
CORES = {
    "cortex-m0plus": "thumbv6m-none-eabi",
    "cortex-m3": "thumbv7m-none-eabi",
    "cortex-m4": "thumbv7em-none-eabi",
    "cortex-m7": "thumbv7em-none-eabi",
    "cortex-m33": "thumbv8m.main-none-eabi",
    "cortex-m55": "thumbv8.1m.main-none-eabi",
    "riscv32": "riscv32-unknown-none-elf",
}
VECTORS = {"cortex-m55": ("kernels/mve",)}
# As docs/c-api.md has them: what keeps a compiler from float vectors, which take denormals for zero on a Cortex-M55.
SCALAR_FLOATS = ("-fno-tree-vectorize", "-fno-tree-slp-vectorize")


def compiled(
    compiler: str, sources: Iterable[Path], *options: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    includes = [f"-I{C / folder}" for folder in ("include", ".", "src")]
    command = [compiler, "-std=c11", "-O2", "-DDQNN_HAVE_PORTABLE=1", *options, *includes, *map(str, sources)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def sources_for(core: str) -> list[Path]:
    folders = (*FOLDERS, *VECTORS.get(core, ()))
    return [path for folder in folders for path in sorted((C / folder).glob("*.c"))]


def compiler_for(family: str, core: str, require_tool: Callable[[str], str]) -> list[str]:
    """A compiler and its options for a core, those of the toolchain file. clang has the C library's headers of gcc."""
    words = flags(core)
    if core in VECTORS:
        words.append("-DDQNN_HAVE_MVE=1")
    gcc = require_tool(PREFIX.get(core, "arm-none-eabi-") + "gcc")
    if family == "gcc":
        return [gcc, *words]
    if core in PREFIX:
        return [require_tool("clang"), f"--target={CORES[core]}", *words]
    sysroot = subprocess.run([gcc, "-print-sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    headers = Path(sysroot or "/usr/lib/arm-none-eabi") / "include"
    return [require_tool("clang"), f"--target={CORES[core]}", *words, "-isystem", str(headers)]


# gcc builds for the others too, in tests of boards and footprint; their code is made of the same headers.
BUILDS = [("gcc", core) for core in ("cortex-m4", "cortex-m55", "riscv32")] + [("clang", core) for core in CORES]


@pytest.mark.parametrize(("family", "core"), BUILDS)
def test_every_core_builds_without_warnings(
    family: str, core: str, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    """Assembly too: clang's assembler is stricter than gcc's. armclang and the LLVM toolchain for Arm have the same."""
    compiler, *options = compiler_for(family, core, require_tool)
    sources = sources_for(core)
    assert len(sources) > 45
    result = compiled(compiler, sources, *options, *WARNINGS, "-O1", "-c", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(list(tmp_path.glob("*.o"))) == len(sources)


@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_no_float_vectors_with_the_options(family: str, tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """clang makes some at -O2, gcc where it thinks them cheap; without -fno-tree-slp-vectorize clang still does."""
    compiler, *options = compiler_for(family, "cortex-m55", require_tool)
    sources = [path for path in sources_for("cortex-m4") if path.parent.name in ("src", "ref", "opt")]
    result = compiled(compiler, sources, *options, *SCALAR_FLOATS, "-S", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for listing in tmp_path.glob("*.s"):
        assert not re.search(r"\bv(add|sub|mul|fma|fms)\.f32\s+q", listing.read_text()), listing.name
    page = (C.parent / "docs" / "c-api.md").read_text()
    assert f"`{' '.join(SCALAR_FLOATS)}`" in page


def test_clang_fuses_nothing_without_the_option(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """-ffp-contract=off is for gcc; clang reads a pragma."""
    compiler, *options = compiler_for("clang", "cortex-m55", require_tool)
    result = compiled(compiler, [C / "src" / "numerics.c"], *options, "-S", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    listing = (tmp_path / "numerics.s").read_text()
    assert re.search(r"\bvmul\.f32", listing)
    assert not re.search(r"\bvfn?m[as]\.f32", listing)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_fast_math_is_refused(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    sources = [C / "src" / "numerics.c"]
    assert compiled(compiler, sources, "-fsyntax-only").returncode == 0
    result = compiled(compiler, sources, "-fsyntax-only", "-ffast-math")
    assert result.returncode != 0 and "other bits than the host" in result.stderr
    assert compiled(compiler, sources, "-fsyntax-only", "-ffast-math", "-DDQNN_ALLOW_FAST_MATH").returncode == 0
