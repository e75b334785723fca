"""Pad in front of a convolution -> the convolution's own padding.

Exact when only height and width are padded and the convolution either pads nothing itself or pads with the same
value: the cells are then the same. A binary input padded with 0 stays s1 this way (taps outside the map count
nothing); as a tensor of its own it would be ternary."""

from __future__ import annotations

from dataclasses import replace

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.infer import stored_value
from ..ir.types import S1, Format
from .context import Context
from .editor import Editor

MAP_RANK = 3


def run(graph: Graph, context: Context) -> Graph:
    """Fold every Pad that a convolution can do."""
    editor = Editor(graph)
    for node in editor:
        if isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D):
            _fold(editor, node)
    return editor.finish()


def _fold(editor: Editor, node: Node) -> None:
    op, before = node.op, editor.producer(node)
    assert isinstance(op, ops.Conv2D | ops.DepthwiseConv2D)
    if before is None or not isinstance(before.op, ops.Pad):
        return
    pad, kind = before.op, editor.types[before.inputs[0]]
    own = op.padding != ops.NO_PADDING
    up = op.up if isinstance(op, ops.Conv2D) else (1, 1)
    if len(kind.shape) != MAP_RANK or pad.before[2] or pad.after[2] or up != (1, 1):
        return
    if (own and op.pad_value != pad.value) or not _can_pad(kind.fmt, pad.value):
        return
    (top, bottom), (left, right) = op.padding
    padding = ((top + pad.before[0], bottom + pad.after[0]), (left + pad.before[1], right + pad.after[1]))
    folded = replace(op, padding=padding, pad_value=pad.value)
    editor.put(folded, before.inputs, node.output, [*before.layers, *node.layers])


def _can_pad(fmt: Format, value: float) -> bool:
    """Whether a convolution's padding can stand for the value."""
    return stored_value(value, fmt) is not None or (isinstance(fmt, S1) and value == 0)
