"""A graph as text, one line per node: for `--explain`, debugging and error reports."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import numpy as np

from . import ops
from .graph import Graph, Node


def print_graph(graph: Graph) -> str:
    """Readable form of a graph."""
    return "\n".join(_lines(graph))


def _lines(graph: Graph) -> Iterator[str]:
    yield f"graph {graph.name}"
    for name in graph.inputs:
        yield f"  input  %{name}: {graph.types[name]}"
    for node in graph.nodes:
        yield f"  {_node(graph, node)}"
    for name in graph.outputs:
        yield f"  output %{name}: {graph.types[name]}"


def _node(graph: Graph, node: Node) -> str:
    inputs = ", ".join(f"%{name}" for name in node.inputs)
    layers = f"  # {', '.join(node.layers)}" if node.layers else ""
    return f"%{node.output}: {graph.types[node.output]} = {print_op(node.op)} {inputs}{layers}"


def print_op(op: ops.Op) -> str:
    """Name of an operator and its fields, arrays by shape and range; fields at their default are left out."""
    fields = ", ".join(
        f"{name}={_value(value)}" for name, value in vars(op).items() if not _is_default(op, name, value)
    )
    return f"{type(op).__name__}({fields})"


def _is_default(op: ops.Op, name: str, value: object) -> bool:
    if isinstance(value, np.ndarray) or not hasattr(type(op), name):
        return False
    return bool(getattr(type(op), name) == value)


def _value(value: object) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, ops.Weights):
        scale = "" if value.scale.size == 1 and value.scale.reshape(-1)[0] == 1 else f", scale {_array(value.scale)}"
        half = (", half" if value.half else "") + (f", {value.bits} bits" if value.bits < 8 else "")
        zero_point = f", zero point {_array(value.zero_point)}" if value.zero_point.any() else ""
        return f"{value.kind}[{'x'.join(map(str, value.codes.shape))}{scale}{half}{zero_point}]"
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, ops.Epilogue | ops.Reduce | ops.AvgPool):
        return f"{type(value).__name__}({', '.join(f'{k}={_value(v)}' for k, v in vars(value).items())})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _array(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    if array.size == 1:
        return f"{array.reshape(-1)[0]}"
    return f"[{'x'.join(map(str, array.shape))}: {array.min()}..{array.max()}]"
