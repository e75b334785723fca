"""The package as a whole: quick to import, nothing heavy behind it, its C sources with it."""

from __future__ import annotations

import subprocess
import sys

import dqnn
from dqnn.exporter.firmware import SOURCES

IMPORT = "import sys, time; t = time.perf_counter(); import {}; print(time.perf_counter() - t, *sys.modules)"


def imported(what: str) -> tuple[float, set[str]]:
    """Seconds, the best of three, and the modules that are loaded afterwards."""
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", IMPORT.format(what)]
        runs.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    return min(float(run[0]) for run in runs), set(runs[0][1:])


def test_import_is_quick() -> None:
    seconds, modules = imported("dqnn")
    assert seconds < 0.3
    assert not modules & {"numpy", "h5py", "tensorflow", "keras", "flatbuffers"}


def test_interpreter_needs_only_numpy() -> None:
    _, modules = imported("dqnn.interpreter")
    assert not modules & {"h5py", "tensorflow", "keras", "flatbuffers", "click"}


def test_public_names() -> None:
    assert set(dqnn.__all__) <= set(dir(dqnn))
    for name in dqnn.__all__:
        assert getattr(dqnn, name) is not None


def test_sources_are_there() -> None:
    assert (SOURCES / "src" / "kernels.def").is_file()
    assert (SOURCES / "ports" / "common" / "runner.c").is_file()
