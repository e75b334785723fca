"""Dense -> convolution.

A dense layer on the last axis is a 1x1 convolution on a tensor of any rank. A dense layer behind the Flatten of a map
is a convolution whose kernel is the whole map: it reads the map as it lies, so nothing is packed anew when the
channels do not fill their last 32-bit word. Both take the inputs in the same order (row, column, channel), so float
sums do not change either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.infer import as_map
from ..ir.types import Shape
from ..limits import MOST_KERNEL_SIZE
from .context import Context
from .editor import Editor


def run(graph: Graph, context: Context) -> Graph:
    """Replace every Dense."""
    editor = Editor(graph)
    for node in editor:
        if isinstance(node.op, ops.Dense):
            _lower(editor, node)
    return editor.finish()


def _lower(editor: Editor, node: Node) -> None:
    assert isinstance(node.op, ops.Dense)
    before = editor.producer(node)
    if (
        before is not None
        and isinstance(before.op, ops.Reshape)
        and _is_flatten(editor.types[before.inputs[0]].shape, before.op.shape)
    ):
        shape = as_map(editor.types[before.inputs[0]].shape)
        layers = [*before.layers, *node.layers]
        conv = _convolution(node.op, shape)
        _put_flat(editor, conv, before.inputs[0], node, layers)
        return
    editor.put(_convolution(node.op, (1, 1, node.op.weights.codes.shape[1])), node.inputs, node.output, node.layers)


def _is_flatten(before: Shape, after: Shape) -> bool:
    """A map or sequence to a vector; rank 4 has no kernel that covers it."""
    return len(after) == 1 and len(before) in (2, 3) and max(before[:-1]) <= MOST_KERNEL_SIZE


def _convolution(op: ops.Dense, kernel: tuple[int, int, int]) -> ops.Conv2D:
    out = op.weights.codes.shape[0]
    codes: Any = op.weights.codes.reshape((out, *kernel))
    return ops.Conv2D(replace(op.weights, codes=codes), op.bias, integer=op.integer)


def _put_flat(editor: Editor, conv: ops.Conv2D, source: str, node: Node, layers: list[str]) -> None:
    """conv gives (1, 1, O) or (1, O); the node gave (O)."""
    value = editor.fresh(node.output)
    editor.put(conv, (source,), value, layers)
    editor.put(ops.Reshape(editor.types[node.output].shape), (value,), node.output, layers)
