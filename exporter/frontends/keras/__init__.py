"""From a saved or in-memory Keras model to the IR.

`load` is the whole way: `archive` reads the file (configuration and named arrays), `network` turns the configuration
into calls of layers, and `builder` calls the handler registered for each layer (`layers`, `larq`, `qkeras`,
`keras_ops`, `resizing`, `tfmot`), which emits IR operators. Nothing here imports TensorFlow, and nothing found in a
file is evaluated."""

from __future__ import annotations

import os
from typing import Any

from ...ir.graph import Graph
from . import keras_ops, larq, layers, qkeras, resizing, tfmot  # noqa: F401  (register their handlers)
from .archive import SavedModel, read_model
from .builder import build_graph
from .registry import register, support_table

__all__ = ["SavedModel", "build_graph", "load", "read_model", "register", "support_table"]


def load(source: Any, weights: str | os.PathLike[str] | None = None) -> Graph:
    """IR graph of `source`: a path to a `.h5` or `.keras` file, a Keras model in memory, or the path to the text of
    model.to_json() with that to its `weights`.

    Raises `UnreadableModel` for what is no Keras model, and `ExportError` with every unsupported layer."""
    return build_graph(read_model(source, weights))
