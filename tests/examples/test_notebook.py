"""The notebook of examples/notebooks runs from top to bottom, on this machine and on the emulated board."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def text_of(cell: Any) -> str:
    """What a cell's outputs say in plain text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


@pytest.mark.tf
def test_the_digits_notebook(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require_tool: Callable[..., str]
) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for tool in ("qemu-system-arm", "arm-none-eabi-gcc"):
        require_tool(tool)
    shutil.copytree(repo / "examples" / "digits", tmp_path / "digits", ignore=shutil.ignore_patterns("*.h5", "*.keras"))
    place = tmp_path / "notebooks"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    notebook = nbformat.read(repo / "examples" / "notebooks" / "digits.ipynb", 4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(place)}}).execute()

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = {cell.source.splitlines()[0]: text_of(cell) for cell in cells}
    (trained,) = [text for source, text in found.items() if source.startswith("report = ")]
    assert "dqnn_accuracy" in trained and "0 fallbacks" in trained
    (validated,) = [cell for cell in cells if cell.source.startswith("dqnn.validate")]
    assert "every tensor agrees within rounding" in validated.outputs[0]["data"]["text/html"]
    commands = "".join(found.values())
    assert "100 samples on qemu:mps2-an386" in commands and "same" in commands and "as many +1 as -1" in commands
    assert "#include <stdint.h>" in commands and (place / "build" / "kernels.c").is_file()
