"""Moves operators that work element by element before operators that only move elements.

    f(Reshape(x)) = Reshape(f(x)), f(View(x)) = View(f(x)), q(Pad(x, v)) = Pad(q(x), q(v)), f(Concat(x, y)) =
    Concat(f(x), f(y))

f may be any real function of single elements, or the Rescale of integer sums; one with a value per channel (BatchNorm,
PReLU) moves where the last axis stays the last axis, and is cut along it for a Concat of channels. A quantizer that
meets its convolution this way is fused with it, and what is moved is smaller. Over Concat only chains that end in a
quantizer move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from ..ir import ops, real
from ..ir.graph import Graph, Node
from ..ir.types import S32
from .context import Context
from .editor import Editor

Mover: TypeAlias = Callable[[Editor, Node, Node, ops.PerElement], bool]


def run(graph: Graph, context: Context) -> Graph:
    """Move until nothing moves any more."""
    editor = Editor(graph)
    while sum(_move(editor, node) for node in editor):
        pass
    return editor.finish()


def _move(editor: Editor, node: Node) -> bool:
    before = editor.producer(node)
    if before is None or editor.only_consumer(before.output) is None:
        return False
    mover = _MOVERS.get(type(before.op))
    if mover is None:
        return False
    if isinstance(node.op, ops.Elementwise) or (isinstance(node.op, ops.Rescale) and _of_sums(editor, before)):
        return mover(editor, before, node, node.op)
    return False


def _of_sums(editor: Editor, node: Node) -> bool:
    return editor.types[node.output].fmt == S32()


def _swap(editor: Editor, before: Node, node: Node, mover: ops.Op) -> bool:
    """node(before(x)) -> mover(node(x)); the names of outputs stay."""
    value = editor.fresh(before.output)
    editor.drop([before])
    editor.put(node.op, before.inputs, value, node.layers)
    editor.put(mover, (value,), node.output, [*before.layers, *node.layers])
    return True


def _over_reshape(editor: Editor, before: Node, node: Node, op: ops.PerElement) -> bool:
    shapes = [editor.types[before.inputs[0]].shape, editor.types[before.output].shape]
    if ops.channels(op) is not None and (shapes[0][-1] != shapes[1][-1] or ops.has_places(op)):
        return False
    return _swap(editor, before, node, before.op)


def _over_view(editor: Editor, before: Node, node: Node, op: ops.PerElement) -> bool:
    view = before.op
    assert isinstance(view, ops.View)
    stays = (view.axis[-1], view.start[-1], view.step[-1], view.repeat[-1]) == (len(view.axis) - 1, 0, 1, 1)
    same_channels = stays and view.shape[-1] == editor.types[before.inputs[0]].shape[-1]
    if ops.channels(op) is not None and (not same_channels or ops.has_places(op)):
        return False
    return _swap(editor, before, node, view)


def _over_pad(editor: Editor, before: Node, node: Node, op: ops.PerElement) -> bool:
    """Only quantizers without a value per channel: elsewhere folding the Pad into a convolution is worth more."""
    assert isinstance(before.op, ops.Pad)
    if not isinstance(op, ops.Quantize):
        return False
    value = real.to_real(real.to_codes(np.array([before.op.value]), op), op.fmt)
    return _swap(editor, before, node, replace(before.op, value=float(value[0])))


def _over_concat(editor: Editor, before: Node, node: Node, op: ops.PerElement) -> bool:
    assert isinstance(before.op, ops.Concat)
    last = before.op.axis == len(editor.types[before.output].shape) - 1
    if not _ends_quantized(editor, node) or ops.has_places(op):
        return False
    sizes = [editor.types[name].shape[-1] for name in before.inputs]
    parts = ops.split_channels(op, sizes) if last else [op] * len(sizes)
    values = []
    editor.drop([before])
    for name, part in zip(before.inputs, parts, strict=True):
        values.append(editor.fresh(before.output))
        editor.put(part, (name,), values[-1], node.layers)
    editor.put(before.op, values, node.output, [*before.layers, *node.layers])
    return True


def _ends_quantized(editor: Editor, node: Node) -> bool:
    """Whether the per-channel chain from this node runs into a quantizer to bits or bytes."""
    while not isinstance(node.op, ops.Quantize | ops.Ternary):
        reader = editor.only_consumer(node.output)
        if reader is None or not isinstance(reader.op, ops.Elementwise):
            return False
        node = reader
    return True


_MOVERS: dict[type, Mover] = {
    ops.Reshape: _over_reshape,
    ops.View: _over_view,
    ops.Pad: _over_pad,
    ops.Concat: _over_concat,
}
