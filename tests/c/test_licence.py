"""What a copy of interpreter_c says of itself: terms and version, in every file and in one place each."""

from __future__ import annotations

import re
from pathlib import Path

import licence_lines


def test_every_file_says_its_licence_and_version() -> None:
    sources = licence_lines.sources()
    assert len(sources) > 150
    wrong = [str(path) for path in sources if licence_lines.with_line(path, path.read_text()) != path.read_text()]
    assert not wrong, "run python tools/licence_lines.py"


def test_a_copy_brings_its_licence(repo: Path) -> None:
    assert (repo / "interpreter_c" / "LICENSE").read_bytes() == (repo / "LICENSE").read_bytes()


def test_there_is_one_version(repo: Path) -> None:
    version = licence_lines.version()
    header = (repo / "interpreter_c" / "include" / "dqnn" / "dqnn.h").read_text()
    parts = re.findall(r"#define DQNN_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
    assert ".".join(parts) == version
    assert f'__version__ = "{version}"' in (repo / "python_bindings" / "dqnn" / "_version.py").read_text()
    assert f"project(dqnn VERSION {version} " in (repo / "interpreter_c" / "CMakeLists.txt").read_text()
