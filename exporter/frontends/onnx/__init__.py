"""From an .onnx file to the IR.

`reader` takes the file apart and trusts nothing in it, `builder` calls the handler registered for each operator
(`convolutions`, `pools`, `elementwise`, `shapes`, `codes`), `operands` keeps track of how maps lie, `folding` computes
what is constant. Needs the onnx package (the extra dqnn[onnx]) for its protobuf classes alone."""

from __future__ import annotations

from pathlib import Path

from ...ir.graph import Graph
from . import codes, convolutions, elementwise, pools, shapes  # noqa: F401  (register their handlers)
from .builder import build_graph
from .model import OnnxModel
from .reader import read_model
from .registry import support_table

__all__ = ["OnnxModel", "build_graph", "load", "read_model", "support_table"]


def load(path: Path) -> Graph:
    """IR graph of an .onnx file. Raises `UnreadableModel` for what is none, and `ExportError` with every unsupported
    operator."""
    return build_graph(read_model(path))
