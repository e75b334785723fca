"""Front ends: from a model as its framework saved it to the IR. graph.py, handlers.py, selection.py and kinds.py
have what they share.

`load` takes what any of them reads: a file is known by how it begins, not by its name. Only the front end that reads it
is imported."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnreadableModel
from ..ir.graph import Graph
from .kinds import Kind, kind_of

if TYPE_CHECKING:
    from .keras import SavedModel, build_graph, read_model, register, support_table

_OF_KERAS = ("SavedModel", "build_graph", "read_model", "register", "support_table")
__all__ = ["Kind", "SavedModel", "build_graph", "kind_of", "load", "read_model", "register", "support_table"]


def load(source: Any, weights: str | os.PathLike[str] | None = None) -> Graph:
    """IR graph of `source`: a path to a `.h5`, `.keras`, `.tflite` or `.onnx` file, a Keras model in memory, or the
    path to the text of model.to_json() with that to its `weights`.

    Raises `UnreadableModel` for what is no model, and `ExportError` with every unsupported layer."""
    kind = kind_of(source)
    if kind == "keras":
        from . import keras

        return keras.load(source, weights)
    if weights is not None:
        raise UnreadableModel(f"{source} has weights of its own; only a .json takes a file of weights")
    if kind == "tflite":
        from . import tflite

        return tflite.load(source)
    from . import onnx

    return onnx.load(Path(source))


if not TYPE_CHECKING:  # a type checker shall complain about other names

    def __getattr__(name: str) -> Any:
        if name not in _OF_KERAS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(".keras", __name__), name)
