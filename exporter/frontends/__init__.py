"""Front ends: from a model as its framework saved it to the IR. graph.py has what they share.

`load` takes what any of them reads: a file is known by how it begins, not by its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UnreadableModel
from ..ir.graph import Graph
from . import keras, onnx, tflite
from .keras import SavedModel, build_graph, read_model, register, support_table

__all__ = ["SavedModel", "build_graph", "is_onnx", "is_tflite", "load", "read_model", "register", "support_table"]

BEGINS = 8  # bytes by which a file is known


def load(source: Any, weights: str | os.PathLike[str] | None = None) -> Graph:
    """IR graph of `source`: a path to a `.h5`, `.keras`, `.tflite` or `.onnx` file, a Keras model in memory, or the
    path to the text of model.to_json() with that to its `weights`.

    Raises `UnreadableModel` for what is no model, and `ExportError` with every unsupported layer."""
    own: Callable[[Path], Graph] | None = None
    own = tflite.load if is_tflite(source) else onnx.load if is_onnx(source) else None
    if own is None:
        return keras.load(source, weights)
    if weights is not None:
        raise UnreadableModel(f"{source} has weights of its own; only a .json takes a file of weights")
    return own(Path(source))


def is_tflite(source: Any) -> bool:
    """Whether `source` is the path of a TensorFlow Lite model: by its content, or where that is damaged by its name."""
    if not isinstance(source, str | os.PathLike) or not Path(source).is_file():
        return False
    return tflite.is_tflite(_beginning(source)) or Path(source).suffix.lower() == ".tflite"


def is_onnx(source: Any) -> bool:
    """Whether `source` is the path of an ONNX model: by its content, or where that is damaged by its name."""
    start = _beginning(source)
    return onnx.is_onnx(start) or (start != b"" and str(source).lower().endswith(".onnx"))


def _beginning(source: Any) -> bytes:
    """The first bytes of a file, none where there is no such file."""
    if not isinstance(source, str | os.PathLike) or not Path(source).is_file():
        return b""
    try:
        with Path(source).open("rb") as file:
            return file.read(BEGINS)
    except OSError:
        return b""
