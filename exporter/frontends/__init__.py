"""Front ends: from a model as its framework saved it to the IR. graph.py, handlers.py and selection.py
have what they share.

`load` takes what any of them reads: a file is known by how it begins, not by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..errors import UnreadableModel
from ..ir.graph import Graph
from . import keras, onnx, tflite
from .keras import SavedModel, build_graph, read_model, register, support_table

__all__ = ["SavedModel", "build_graph", "kind_of", "load", "read_model", "register", "support_table"]

Kind: TypeAlias = Literal["keras", "tflite", "onnx"]
BEGINS = 8  # bytes by which a file is known


def load(source: Any, weights: str | os.PathLike[str] | None = None) -> Graph:
    """IR graph of `source`: a path to a `.h5`, `.keras`, `.tflite` or `.onnx` file, a Keras model in memory, or the
    path to the text of model.to_json() with that to its `weights`.

    Raises `UnreadableModel` for what is no model, and `ExportError` with every unsupported layer."""
    kind = kind_of(source)
    if kind == "keras":
        return keras.load(source, weights)
    if weights is not None:
        raise UnreadableModel(f"{source} has weights of its own; only a .json takes a file of weights")
    return tflite.load(source) if kind == "tflite" else onnx.load(Path(source))


def kind_of(source: Any) -> Kind:
    """Whose model `source` is: of a file by its content, or where that is damaged by its name; all else is Keras'."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is None or not path.is_file():
        return "keras"
    start, suffix = _beginning(path), path.suffix.lower()
    if tflite.is_tflite(start) or suffix == ".tflite":
        return "tflite"
    return "onnx" if onnx.is_onnx(start) or (start and suffix == ".onnx") else "keras"


def _beginning(path: Path) -> bytes:
    """The first bytes of a file, none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(BEGINS)
    except OSError:
        return b""
