"""`make demo`'s script does what it shows: both models exported, host and board agree, no TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.qemu
def test_demo_agrees_on_host_and_board(repo: Path, tmp_path: Path) -> None:
    command = [sys.executable, repo / "tools" / "demo.py", "--out", tmp_path, "--images", "3"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differing bytes" in done.stdout
    for name in ("larq", "qkeras"):
        assert (tmp_path / f"digits_{name}.dqnn").is_file()


def test_demo_needs_no_tensorflow(repo: Path) -> None:
    code = "import sys; sys.argv = ['demo']; import demo; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo / "tools", check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
