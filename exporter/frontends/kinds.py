"""Whose model a file is, told by how it begins: known without the front end that reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["keras", "tflite", "onnx"]
BEGINS = 8  # bytes by which a file is known


def kind_of(source: Any) -> Kind:
    """Whose model `source` is: of a file by its content, or where that is damaged by its name; all else is Keras'."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is None or not path.is_file():
        return "keras"
    start, suffix = _beginning(path), path.suffix.lower()
    if is_tflite(start) or suffix == ".tflite":
        return "tflite"
    return "onnx" if is_onnx(start) or (start and suffix == ".onnx") else "keras"


def is_tflite(start: bytes) -> bool:
    """Whether a file that begins so (8 bytes at least) says that it is a .tflite file."""
    return start[4:8] == b"TFL3"


def is_onnx(start: bytes) -> bool:
    """Whether a file that begins so is an ONNX model as all exporters write it: the IR's version, then the producer,
    the opsets or the graph."""
    return len(start) > 2 and start[0] == 0x08 and 1 <= start[1] <= 32 and start[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42)


def _beginning(path: Path) -> bytes:
    """The first bytes of a file, none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(BEGINS)
    except OSError:
        return b""
