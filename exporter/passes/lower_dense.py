"""Dense -> convolution.

A dense layer on the last axis is a 1x1 convolution on a tensor of any rank. A dense layer behind the Flatten of a map
is a convolution whose kernel is the whole map: it reads the map as it lies, so nothing is packed anew when the
channels do not fill their last 32-bit word. Both take the inputs in the same order (row, column, channel), so float
sums do not change either.

Where the map is turned around before the Flatten (ONNX flattens channel, row, column) the columns of the weights are
turned instead, and the map stays as it lies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

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
    if before is not None and isinstance(before.op, ops.Reshape):
        source, op, layers = before.inputs[0], node.op, [*before.layers, *node.layers]
        turning = editor.nodes.get(source)
        if turning is not None and isinstance(turning.op, ops.View) and _only_turns(editor, turning):
            op = _turned(op, turning.op)
            source, layers = turning.inputs[0], [*turning.layers, *layers]
        shape = editor.types[source].shape
        if _is_flatten(shape, before.op.shape):
            _put_flat(editor, _convolution(op, as_map(shape)), source, node, layers)
            return
    editor.put(_convolution(node.op, (1, 1, node.op.weights.codes.shape[1])), node.inputs, node.output, node.layers)


def _is_flatten(before: Shape, after: Shape) -> bool:
    """A map or sequence to a vector; rank 4 has no kernel that covers it."""
    return len(after) == 1 and len(before) in (2, 3) and max(before[:-1]) <= MOST_KERNEL_SIZE


def _only_turns(editor: Editor, node: Node) -> bool:
    """Whether a view is a permutation of axes and nothing else."""
    view = node.op
    assert isinstance(view, ops.View)
    whole = editor.types[node.inputs[0]].elements == editor.types[node.output].elements
    return whole and not any(view.start) and set(view.step) == {1} and set(view.repeat) == {1}


def _turned(op: ops.Dense, view: ops.View) -> ops.Dense:
    """The layer on the map before a permutation: its columns are those of the map behind it, put back."""
    codes = op.weights.codes.reshape((-1, *view.shape))
    back = [view.axis.index(axis) + 1 for axis in range(len(view.axis))]
    moved: Any = np.ascontiguousarray(codes.transpose((0, *back)).reshape((len(codes), -1)))
    return replace(op, weights=replace(op.weights, codes=moved))


def _convolution(op: ops.Dense, kernel: tuple[int, int, int]) -> ops.Conv2D:
    out = op.weights.codes.shape[0]
    codes: Any = op.weights.codes.reshape((out, *kernel))
    return ops.Conv2D(replace(op.weights, codes=codes), op.bias, integer=op.integer)


def _put_flat(editor: Editor, conv: ops.Conv2D, source: str, node: Node, layers: list[str]) -> None:
    """conv gives (1, 1, O) or (1, O); the node gave (O)."""
    value = editor.fresh(node.output)
    editor.put(conv, (source,), value, layers)
    editor.put(ops.Reshape(editor.types[node.output].shape), (value,), node.output, layers)
