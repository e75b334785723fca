"""A constant factor and offset on a quantized activation go into the weights and the bias behind it.

    conv(a * x + o, w) + b = conv(x, a * w) + (b + o * sum(w))

so `binary(alpha=0.5)` leaves its s1 (or s8) input to the convolution, and the normalization of sensor samples costs
nothing. A cell that is padded with p becomes one padded with (p - o) / a, which the input's format must be able to
store if o is not 0. Holes of a transposed convolution are real zeros, so with an offset they stop it. The pair also
passes max pools (a > 0), reshapes and views on its way, and two pairs in a row are one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..ir import ops, real
from ..ir.graph import Graph, Node
from ..ir.infer import stored_value
from ..ir.types import F32, S1, Format
from .context import Context
from .editor import Editor


def run(graph: Graph, context: Context) -> Graph:
    """Absorb every factor and offset that a convolution or dense layer can take."""
    editor = Editor(graph)
    while sum(_merge(editor, node) | _absorb(editor, node) | _sink(editor, node) for node in editor):
        pass
    return editor.finish()


def _scaled_source(editor: Editor, node: Node) -> tuple[str, ops.Scale] | None:
    """The quantized value and what it is scaled by, if the node's input is such a product."""
    before = editor.producer(node)
    if before is None or not isinstance(before.op, ops.Scale) or before.op.factor == 0:
        return None
    source = before.inputs[0]
    return None if isinstance(editor.types[source].fmt, F32) else (source, before.op)


def _merge(editor: Editor, node: Node) -> bool:
    """scale(scale(x)) -> scale(x)"""
    node = editor.nodes.get(node.output, node)
    found = _scaled_source(editor, node) if isinstance(node.op, ops.Scale) else None
    if found is None or editor.only_consumer(node.inputs[0]) is None:
        return False
    source, inner = found
    assert isinstance(node.op, ops.Scale)
    both = ops.Scale(inner.factor * node.op.factor, inner.offset * node.op.factor + node.op.offset)
    layers = [*editor.nodes[node.inputs[0]].layers, *node.layers]
    editor.drop([editor.nodes[node.inputs[0]]])
    editor.put(both, (source,), node.output, layers)
    return True


def _absorb(editor: Editor, node: Node) -> bool:
    node = editor.nodes.get(node.output, node)
    if not isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense):
        return False
    found = _scaled_source(editor, node)
    if found is None:
        return False
    source, pair = found
    absorbed = _with_input(node.op, pair, editor.types[source].fmt)
    if absorbed is None:
        return False
    before = editor.nodes[node.inputs[0]]
    editor.put(absorbed, (source,), node.output, [*before.layers, *node.layers] if pair.offset else node.layers)
    return True


def _with_input(
    op: ops.Conv2D | ops.DepthwiseConv2D | ops.Dense, pair: ops.Scale, fmt: Format
) -> ops.Conv2D | ops.DepthwiseConv2D | ops.Dense | None:
    """The operator on x that gives what `op` gives on pair(x), None if the cells around x cannot be stored."""
    weights = replace(op.weights, scale=op.weights.scale * pair.factor)
    bias = op.bias if pair.offset == 0 else _sums(op) * pair.offset + (0.0 if op.bias is None else op.bias)
    if isinstance(op, ops.Dense):
        return replace(op, weights=weights, bias=bias)
    pad_value = (op.pad_value - pair.offset) / pair.factor
    if pair.offset != 0 and not _can_surround(op, pad_value, fmt):
        return None
    return replace(op, weights=weights, bias=bias, pad_value=pad_value)


def _can_surround(op: ops.Conv2D | ops.DepthwiseConv2D, pad_value: float, fmt: Format) -> bool:
    if isinstance(op, ops.Conv2D) and op.up != (1, 1):
        return False
    nothing = isinstance(fmt, S1) and pad_value == 0  # cells that count nothing
    return op.padding == ops.NO_PADDING or nothing or stored_value(pad_value, fmt) is not None


def _sums(op: ops.Conv2D | ops.DepthwiseConv2D | ops.Dense) -> NDArray[np.float64]:
    """Sum of the real weights of each output channel."""
    codes = real.real_weights(op.weights)
    sums = codes.sum(axis=(0, 1)) if isinstance(op, ops.DepthwiseConv2D) else codes.reshape((len(codes), -1)).sum(1)
    return np.asarray(sums.reshape(-1) * op.weights.scale)


def _sink(editor: Editor, node: Node) -> bool:
    """mover(scale(x)) -> scale(mover(x)), so that the pair comes nearer to its convolution."""
    node = editor.nodes.get(node.output, node)
    if not isinstance(node.op, ops.MaxPool | ops.View | ops.Reshape):
        return False
    found = _scaled_source(editor, node)
    if found is None or editor.only_consumer(node.inputs[0]) is None:
        return False
    source, pair = found
    if isinstance(node.op, ops.MaxPool) and pair.factor < 0:
        return False
    before = editor.nodes[node.inputs[0]]
    value = editor.fresh(node.output)
    editor.drop([before])
    editor.put(node.op, (source,), value, node.layers)
    editor.put(before.op, (value,), node.output, before.layers)
    return True
