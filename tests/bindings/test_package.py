"""The package as a whole: quick to import, nothing heavy behind it, its C sources with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dqnn
from dqnn.exporter.targets.firmware import SOURCES


def imported(what: str) -> set[str]:
    """The modules that are loaded afterwards."""
    command = [sys.executable, "-c", f"import sys; import {what}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_import_loads_nothing_heavy() -> None:
    """So it is quick: told by modules, which are the same on every machine, as seconds are not."""
    modules = imported("dqnn")
    assert not modules & {"numpy", "h5py", "tensorflow", "keras", "flatbuffers"}


def test_validating_loads_no_cluster() -> None:
    modules = imported("dqnn.exporter.validate.validation")
    assert not modules & {"dask", "distributed", "zarr", "tensorflow", "onnxruntime"}


def test_interpreter_needs_only_numpy() -> None:
    modules = imported("dqnn.interpreter")
    assert not modules & {"h5py", "tensorflow", "keras", "flatbuffers", "click"}


def test_public_names() -> None:
    assert set(dqnn.__all__) <= set(dir(dqnn))
    for name in dqnn.__all__:
        assert getattr(dqnn, name) is not None


def test_nothing_else_is_listed() -> None:
    assert {name for name in dir(dqnn) if not name.startswith("__")} == set(dqnn.__all__) - {"__version__"}


def test_sources_are_there() -> None:
    assert (SOURCES / "include" / "dqnn" / "kernels.def").is_file()
    assert (SOURCES / "ports" / "common" / "runner.c").is_file()


USER = """
import numpy as np
import dqnn
from dqnn import DqnnError, ExportError, ExportResult, Interpreter, TensorInfo, callbacks, pack_s1, unpack_s1

result: ExportResult = dqnn.export("model.h5", "model.dqnn", input_u8=(1 / 255, 0))
arena: int = result.report.arena_bytes
it = Interpreter(result.blob)
info: TensorInfo = it.inputs[0]
it.set_input(0, np.zeros(info.shape))
it.invoke()
total: float = it.get_output(0).sum() + sum(time.seconds for time in it.profile())
words: np.ndarray[tuple[int, ...], np.dtype[np.uint32]] = pack_s1(unpack_s1(np.zeros(1, np.uint32), 3))
report = dqnn.validate("model.dqnn", "model.h5", np.zeros((3, *info.shape)))
error: float = report.outputs[0].cross.l2r
callback = callbacks.DeployReport(every=2)
"""


def test_a_typed_program_passes_mypy(tmp_path: Path, repo: Path) -> None:
    """Strictly, and a name that is not there is an error."""
    pytest.importorskip("mypy")
    package = Path(dqnn.__file__).parents[1]
    for text, code in ((USER, 0), (USER + "dqnn.exportt\n", 1)):
        (tmp_path / "user.py").write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", repo / "build" / "mypy-user", "user.py"]
        environment = {**os.environ, "MYPYPATH": str(package)}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == code, done.stdout
    assert 'Module has no attribute "exportt"' in done.stdout


def test_python_m_dqnn() -> None:
    done = subprocess.run([sys.executable, "-m", "dqnn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"dqnn {dqnn.__version__}, file format 1")
