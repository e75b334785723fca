"""The support page is what the tables say today, and every test it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_support_page_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "tools/support_tables.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_named_tests_exist() -> None:
    page = (ROOT / "docs" / "support.md").read_text()
    functions = (ROOT / "tests" / "models" / "test_rows.py").read_text()
    named = set(re.findall(r"::(test_\w+)\[", page))
    assert named == {"test_dense_row", "test_conv_row"}
    assert all(f"def {name}(" in functions for name in named)
    assert (ROOT / "tests" / "models" / "test_tflite_rows.py").exists()
