"""Variants for 64-bit Arm, on any machine: the interpreter is cross-built by gcc, with AddressSanitizer, and by clang,
and run by qemu-aarch64 as processors with and without SDOT. Random calls of all kernels that have such variants, those
of test_grid.py and of test_variants.py, give the bytes of ref; so do the fuzzers' seeds, which touch every variant, and
released files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aarch64
import numpy as np
import pytest
from fuzz import make_seeds

from dqnn.exporter.emit import packing

from .cases import Case, Kernel, make
from .harness import KERNELS, Seeded
from .spec import Tensor
from .test_variants import random_call, random_data, tensor_def

CASES, CALLS = 10, 20  # of a kernel
GUARDS = {"gcc": "-fsanitize=address", "clang": None}  # clang has none for another processor here
PROCESSORS = {"max": {"neon", "dotprod"}, "cortex-a53": {"neon"}}
TYPES = ("s1", "s8", "f32")


@pytest.fixture(autouse=True)
def no_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for them takes system calls that QEMU has not."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")


def variants_of(repo: Path) -> dict[str, list[str]]:
    """By kernel, from kernels.def: the extension at hand has those of this processor's kind."""
    text = (repo / "interpreter_c" / "include" / "dqnn" / "kernels.def").read_text()
    return {name: words.split() for name, words in re.findall(r"^DQNN_KERNEL\(\d+, (\w+), .*, ([\w ]+)\)$", text, re.M)}


def recorded(blob: Path, way: str) -> list[bytes]:
    """The first sample of the inputs or outputs (`in`, `out`) that a released file came with."""
    with np.load(blob.with_suffix(".npz")) as arrays:
        count = sum(name.startswith(way) for name in arrays.files)
        return [arrays[f"{way}{i}"][0].tobytes() for i in range(count)]


def tensor(definition: tuple[Any, ...]) -> Tensor:
    dims, dtype, scale, zero_point = definition
    return Tensor(tuple(dims), TYPES[dtype], scale, zero_point)


def convolutions(kernel: Kernel) -> Iterator[Case]:
    """Random calls of test_variants.py: real layouts of weights, shapes of every kind."""
    for seed in range(CALLS):
        rng = np.random.default_rng(seed)
        call = random_call({**kernel.__dict__}, rng)
        if call is not None:
            op, x, y = call
            packed, source, target = packing.pack(op, (x,), y), tensor(tensor_def(x)), tensor(tensor_def(y))
            room = bytes(len(target.store(np.ones(target.dims))))
            yield Case(kernel, (source,), target, packed.constants, packed.params, (random_data(x, rng),), room)


def grid(kernel: Kernel) -> Iterator[Case]:
    yield from (make(kernel, Seeded(kernel.id, number)) for number in range(CASES))
    if kernel.family in ("conv", "conv_bitsliced", "depthwise"):
        yield from convolutions(kernel)


@pytest.fixture(scope="module")
def files(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """What is run: seeds, the grid, released files."""
    seeds, many = tmp_path_factory.mktemp("seeds"), tmp_path_factory.mktemp("grid")
    make_seeds.main(str(seeds))
    variants = variants_of(repo)
    for kernel in KERNELS:
        for number, case in enumerate(grid(kernel) if "neon" in variants[kernel.name] else ()):
            (many / f"{kernel.name}_{number}.dqnn").write_bytes(make_seeds.make_blobs.blob(make_seeds.single(case)))
    folders = {"seeds": seeds, "grid": many, "golden": repo / "schema" / "golden"}
    return {name: sorted(folder.rglob("*.dqnn")) for name, folder in folders.items()}


def starts(compiler: str, option: str, folder: Path) -> bool:
    """An empty program, compiled so, ends as it should."""
    source, program = folder / "empty.c", folder / "empty"
    source.write_text("int main(void) { return 0; }\n")
    aarch64.call(compiler, option, source, "-o", program)
    done = subprocess.run([aarch64.EMULATOR, "-L", aarch64.LIBRARIES, program], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., str]) -> dict[str, str | None]:
    """AddressSanitizer where it starts. Debian 13's does not: GCC 14.2's library for this processor has a pointer
    among its code (real_strcat), which it cannot set."""
    for tool in (aarch64.EMULATOR, *aarch64.COMPILERS.values(), "cmake", "ninja"):
        require_tool(tool)
    folder = tmp_path_factory.mktemp("guards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASAN_OPTIONS", "detect_leaks=0")
        return {
            name: option if option is not None and starts(aarch64.COMPILERS[name], option, folder) else None
            for name, option in GUARDS.items()
        }


@pytest.fixture(scope="module", params=GUARDS)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, guards: dict[str, str | None]
) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    words = ("-DDQNN_TESTS=ON", "-DDQNN_FLATC=", f"-DDQNN_PYTHON={sys.executable}")
    flags = f"-DCMAKE_C_FLAGS={guards[request.param] or ''}"
    aarch64.configure(folder, request.param, "-DCMAKE_BUILD_TYPE=Release", flags, *words)
    compiler = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", (folder / "CMakeCache.txt").read_text(), re.MULTILINE)
    assert compiler is not None
    assert Path(compiler[1]).name == aarch64.COMPILERS[request.param], "a toolchain file may choose for itself"
    aarch64.build(folder, "replay")
    return folder


@pytest.fixture(scope="module")
def program(built: Path, guards: dict[str, str | None]) -> aarch64.Program:
    """Without a guard it is linked statically: what a dynamic loader executes changes from run to run."""
    guard = next(option for name, option in guards.items() if built.name.startswith(name))
    return aarch64.Program.link(built, guard or "-static")


def replay(built: Path, cpu: str, files: list[Path], *options: str) -> str:
    command = [aarch64.EMULATOR, "-L", aarch64.LIBRARIES, "-cpu", cpu, str(built / "tests" / "replay"), *options]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def test_address_sanitizer_watches(guards: dict[str, str | None]) -> None:
    """So that a machine on which it does not says so."""
    missing = [f"{aarch64.COMPILERS[name]} {GUARDS[name]}" for name in GUARDS if guards[name] != GUARDS[name]]
    if missing:
        pytest.skip(f"programs of {', '.join(missing)} do not start in {aarch64.EMULATOR}: run without")


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_seeds_run_every_variant(built: Path, files: dict[str, list[Path]], cpu: str) -> None:
    said = replay(built, cpu, files["seeds"], "--every-variant")
    lacking = set(re.findall(r"this processor lacks it: (\w+)", said))
    assert lacking == PROCESSORS["max"] - PROCESSORS[cpu]
    assert f"{len(files['seeds'])} files" in said


@pytest.mark.parametrize("which", ["grid", "golden"])
def test_variants_give_the_bytes_of_the_reference(built: Path, files: dict[str, list[Path]], which: str) -> None:
    assert len(files[which]) > (1000 if which == "grid" else 8)
    replay(built, "max", files[which])


def test_released_files_run_on_them(program: aarch64.Program, repo: Path) -> None:
    """With the outputs that they were released with, in these variants wherever kernels have them: none wants more
    scratch than the files give. Weights of few bits leave them aside where kernels have no variant `packed`."""
    listed, names = variants_of(repo), aarch64.instruction_sets()
    for blob in sorted((repo / "schema" / "golden").rglob("*.dqnn")):
        ran = program.run(blob, b"".join(recorded(blob, "in")))
        assert ran.output == b"".join(recorded(blob, "out")), blob
        few_bits = blob.stem in ("fours", "packed")
        able = [row for row in ran.variants if not few_bits or "packed" in listed[row[0]]]
        best = [(kernel, next(v for v in listed[kernel] if v in names), isa) for kernel, isa in able]
        assert not [row for row in best if row[1] in ("neon", "dotprod") and row[1] != row[2]], blob


@pytest.mark.parametrize("built", ["clang"], indirect=True)
def test_instructions_are_counted(program: aarch64.Program, repo: Path) -> None:
    """What tools/aarch64.py says of a network: the same each time, other code is another number, and a file without
    products of bytes runs no code of `dotprod`."""
    blob = repo / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn"
    (stdin,) = recorded(blob, "in")
    portable, again, neon, dotprod = (
        program.instructions(blob, stdin, level) for level in (aarch64.LEVELS[0], *aarch64.LEVELS)
    )
    assert 50_000 < portable == again != neon == dotprod > 50_000
