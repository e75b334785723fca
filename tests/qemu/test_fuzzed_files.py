"""Files of any shape on emulated boards: the fuzzers' seeds, and what becomes of them when parameters, shapes, kernels
and the graph change (tests/fuzz/walk.c). The kernels for Cortex-M, assembly and vectors among them, give the bytes of
the reference kernels on the same board."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.qemu
BOARDS = ("mps2-an385", "mps2-an386", "mps3-an547")  # Cortex-M3, M4, M55
CHANGES = int(os.environ.get("DQNN_BOARD_CHANGES", "2000"))


@pytest.fixture(scope="module")
def seeds(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the C tests, if they are of today."""
    folder, source = repo / "build" / "seeds", repo / "tests" / "fuzz" / "make_seeds.py"
    sources = [
        source,
        repo / "interpreter_c" / "include" / "dqnn" / "kernels.def",
        *(repo / "tests" / "kernels").glob("*.py"),
    ]
    made = folder / "list.txt"
    if not made.exists() or made.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        folder = tmp_path_factory.mktemp("seeds")
        subprocess.run([sys.executable, source, folder], check=True)
    return folder


@pytest.fixture(scope="module", params=BOARDS)
def board(request: pytest.FixtureRequest, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Its name, and where its programs are."""
    build = tmp_path_factory.mktemp(request.param)
    source = repo / "tests" / "fuzz" / "board"
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    for command in (
        ["cmake", "-S", source, "-B", build, f"-DDQNN_BOARD={request.param}", *generator],
        ["cmake", "--build", build],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    return request.param, build


def run(board: tuple[str, Path], seeds: Path, program: str, *arguments: str) -> tuple[str, int]:
    """What the program says of all seeds, and how many they are."""
    machine, build = board
    names = sorted(path.name for path in seeds.glob("*.dqnn"))
    words = ",".join(f"arg={word}" for word in (program, *arguments, *names))
    quiet = ("-display", "none", "-monitor", "none", "-serial", "null")
    host = ("-semihosting-config", f"enable=on,target=native,{words}")
    command = ["qemu-system-arm", "-machine", machine, *quiet, "-kernel", str(build / f"{program}.elf"), *host]
    result = subprocess.run(command, cwd=seeds, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout, len(names)


def test_every_variant_of_the_board_runs_the_seeds(board: tuple[str, Path], seeds: Path) -> None:
    said, count = run(board, seeds, "replay", "--every-variant")
    assert count > 500 and said == f"{count} files\n"


def test_changed_files_reach_their_kernels(board: tuple[str, Path], seeds: Path) -> None:
    said, _ = run(board, seeds, "walk", str(CHANGES), "1")
    figures = re.fullmatch(r"(\d+) changed files, (\d+) accepted, (\d+) of them run\n", said)
    assert figures is not None
    changed, accepted, invoked = map(int, figures.groups())
    assert changed > 0.9 * CHANGES and accepted > 0.9 * changed and invoked > 0.7 * changed
