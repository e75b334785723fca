"""Moves operators that work element by element before operators that only move elements.

    f(Reshape(x)) = Reshape(f(x)), f(View(x)) = View(f(x)), q(Pad(x, v)) = Pad(q(x), q(v)), f(Concat(x, y)) =
    Concat(f(x), f(y))

f may be any function of single elements; one with a value per channel (BatchNorm, PReLU) moves where the last axis
stays the last axis, and is cut along it for a Concat of channels. A quantizer that meets its convolution this way is
fused with it, and what is moved is smaller. Over Concat only chains that end in a quantizer move. A rising quantizer
also moves before a max pool that cannot be fused (max q(x) = q(max x)): the pool then works on bits or bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ..ir import ops, real
from ..ir.graph import Graph, Node
from .context import Context
from .editor import Editor

Mover: TypeAlias = Callable[[Editor, Node, Node], bool]


def run(graph: Graph, context: Context) -> Graph:
    """Move until nothing moves any more."""
    editor = Editor(graph)
    while sum(_move(editor, node) for node in editor):
        pass
    return editor.finish()


def _move(editor: Editor, node: Node) -> bool:
    if not real.is_elementwise(node.op):
        return False
    before = editor.nodes.get(node.inputs[0])
    if before is None or editor.only_consumer(before.output) is None:
        return False
    mover = _MOVERS.get(type(before.op))
    return mover is not None and mover(editor, before, node)


def _per_channel(op: ops.Op) -> bool:
    return isinstance(op, ops.BatchNorm | ops.PRelu)


def _swap(editor: Editor, before: Node, node: Node, mover: ops.Op) -> bool:
    """node(before(x)) -> mover(node(x)); the names of outputs stay."""
    value = editor.fresh(before.output)
    editor.drop([before])
    editor.put(node.op, before.inputs, value, node.layers)
    editor.put(mover, (value,), node.output, [*before.layers, *node.layers])
    return True


def _over_reshape(editor: Editor, before: Node, node: Node) -> bool:
    shapes = [editor.types[before.inputs[0]].shape, editor.types[before.output].shape]
    if _per_channel(node.op) and (shapes[0][-1] != shapes[1][-1] or _whole_shape(node.op)):
        return False
    return _swap(editor, before, node, before.op)


def _whole_shape(op: ops.Op) -> bool:
    return isinstance(op, ops.PRelu) and op.alpha.ndim > 1


def _over_view(editor: Editor, before: Node, node: Node) -> bool:
    assert isinstance(before.op, ops.View)
    channels = editor.types[before.inputs[0]].shape[-1]
    op = before.op
    same_channels = op.axis[-1] == len(op.axis) - 1 and (op.shape[-1], op.start[-1], op.step[-1], op.repeat[-1]) == (
        channels,
        0,
        1,
        1,
    )
    if _per_channel(node.op) and (not same_channels or _whole_shape(node.op)):
        return False
    return _swap(editor, before, node, op)


def _over_pad(editor: Editor, before: Node, node: Node) -> bool:
    """Only quantizers without a value per channel: elsewhere folding the Pad into a convolution is worth more."""
    assert isinstance(before.op, ops.Pad)
    if not isinstance(node.op, ops.Quantize):
        return False
    value = real.to_real(real.to_codes(np.array([before.op.value]), node.op), node.op.fmt)
    return _swap(editor, before, node, replace(before.op, value=float(value[0])))


def _over_concat(editor: Editor, before: Node, node: Node) -> bool:
    assert isinstance(before.op, ops.Concat)
    last = before.op.axis == len(editor.types[before.output].shape) - 1
    if not _ends_quantized(editor, node) or (_per_channel(node.op) and _whole_shape(node.op)):
        return False
    sizes = [editor.types[name].shape[-1] for name in before.inputs]
    parts = _split(node.op, sizes) if last else [node.op] * len(sizes)
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
        if reader is None or not real.is_elementwise(reader.op):
            return False
        node = reader
    return True


def _split(op: ops.Op, sizes: Sequence[int]) -> list[ops.Op]:
    edges = np.cumsum([0, *sizes])
    pieces = [slice(a, b) for a, b in pairwise(edges)]
    if isinstance(op, ops.BatchNorm):
        return [
            replace(op, gamma=op.gamma[p], beta=op.beta[p], mean=op.mean[p], variance=op.variance[p]) for p in pieces
        ]
    if isinstance(op, ops.PRelu):
        return [ops.PRelu(op.alpha[p]) for p in pieces]
    return [op] * len(sizes)


_MOVERS: dict[type, Mover] = {
    ops.Reshape: _over_reshape,
    ops.View: _over_view,
    ops.Pad: _over_pad,
    ops.Concat: _over_concat,
}
