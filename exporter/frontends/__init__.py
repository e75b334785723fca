"""Front ends: from a model as its framework saved it to the IR. graph.py has what they share.

`load` takes what any of them reads: a file is known by how it begins, not by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import UnreadableModel
from ..ir.graph import Graph
from . import keras, tflite
from .keras import SavedModel, build_graph, read_model, register, support_table

__all__ = ["SavedModel", "build_graph", "is_tflite", "load", "read_model", "register", "support_table"]


def load(source: Any, weights: str | os.PathLike[str] | None = None) -> Graph:
    """IR graph of `source`: a path to a `.h5`, `.keras` or `.tflite` file, a Keras model in memory, or the path to the
    text of model.to_json() with that to its `weights`.

    Raises `UnreadableModel` for what is no model, and `ExportError` with every unsupported layer."""
    if not is_tflite(source):
        return keras.load(source, weights)
    if weights is not None:
        raise UnreadableModel(f"{source} has weights of its own; only a .json takes a file of weights")
    return tflite.load(source)


def is_tflite(source: Any) -> bool:
    """Whether `source` is the path of a TensorFlow Lite model: by its content, or where that is damaged by its name."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return tflite.is_tflite(file.read(8)) or path.suffix.lower() == ".tflite"
