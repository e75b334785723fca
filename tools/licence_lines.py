"""Writes the licence and the version on top of every source of interpreter_c: `python tools/licence_lines.py`. The C
sources are copied into other projects file by file; each says what it is and under which terms. The version is
pyproject.toml's, which dqnn.h and CMake repeat (tests/c/test_licence.py)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
C_LIKE, HASH = (".c", ".h", ".def", ".ld.in"), (".cmake", ".txt", ".cmake.in", ".csv", ".defaults", ".clang-tidy")
MARK = "SPDX-License-Identifier: Apache-2.0"


def version() -> str:
    found = re.search(r'^version = "([^"]+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def sources() -> list[Path]:
    """Every file that can hold a comment; presets (JSON) and pages cannot or need not."""
    listed = subprocess.run(["git", "ls-files", "interpreter_c"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if name.endswith((*C_LIKE, *HASH))]


def line_for(path: Path) -> str:
    text = f"{MARK}, dqnn {version()}"
    return f"/* {text} */" if path.name.endswith(C_LIKE) else f"# {text}"


def with_line(path: Path, text: str) -> str:
    """The text with the right first line, whatever line of that kind it had."""
    lines = text.splitlines(keepends=True)
    rest = lines[1:] if lines and MARK in lines[0] else lines
    return "".join([line_for(path), "\n", *rest])


def main() -> None:
    for path in sources():
        text = path.read_text(encoding="utf-8")
        if with_line(path, text) != text:
            path.write_text(with_line(path, text), encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
