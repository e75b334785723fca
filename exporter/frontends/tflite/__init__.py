"""From a .tflite file to the IR, without TensorFlow.

`flatbuffer` reads bytes that nobody has verified, `model` makes plain data of them, `builder` calls the handler
registered for each operator (`layers`, `elementwise`, `movement`, `lce`), which emits IR operators. Whatever a
quantized operator computes is integers, bit for bit those of TensorFlow Lite's reference kernels (`rules`)."""

from __future__ import annotations

import os

from ...ir.graph import Graph
from . import elementwise, layers, lce, movement  # noqa: F401  (register their handlers)
from .builder import build_graph
from .model import Model, read_model
from .registry import register, support_table

__all__ = ["Model", "build_graph", "load", "read_model", "register", "support_table"]


def load(source: str | os.PathLike[str] | bytes) -> Graph:
    """IR graph of a .tflite file, or of its bytes.

    Raises `UnreadableModel` for what is no such file, and `ExportError` with every unsupported operator."""
    return build_graph(read_model(source))
