"""A constant factor on a quantized activation goes into the weights behind it.

    conv(a * x, w) + b = conv(x, a * w) + b

so `binary(alpha=0.5)` leaves its s1 (or s8) input to the convolution. The factor also passes max pools (a > 0),
reshapes and views on its way. The pad value is divided by the factor."""

from __future__ import annotations

from dataclasses import replace

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.types import F32
from .context import Context
from .editor import Editor


def run(graph: Graph, context: Context) -> Graph:
    """Absorb every factor that a convolution or dense layer can take."""
    editor = Editor(graph)
    while sum(_absorb(editor, node) | _sink(editor, node) for node in editor):
        pass
    return editor.finish()


def _scaled_source(editor: Editor, value: str) -> tuple[str, float] | None:
    """The quantized value and the factor, if `value` is such a product."""
    before = editor.nodes.get(value)
    if before is None or not isinstance(before.op, ops.Scale) or before.op.offset != 0 or before.op.factor == 0:
        return None
    source = before.inputs[0]
    return None if isinstance(editor.types[source].fmt, F32) else (source, before.op.factor)


def _absorb(editor: Editor, node: Node) -> bool:
    node = editor.nodes.get(node.output, node)
    if not isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense):
        return False
    found = _scaled_source(editor, node.inputs[0])
    if found is None:
        return False
    source, factor = found
    weights = replace(node.op.weights, scale=node.op.weights.scale * factor)
    if isinstance(node.op, ops.Dense):
        editor.put(replace(node.op, weights=weights), (source,), node.output, node.layers)
    else:
        op = replace(node.op, weights=weights, pad_value=node.op.pad_value / factor)
        editor.put(op, (source,), node.output, node.layers)
    return True


def _sink(editor: Editor, node: Node) -> bool:
    """mover(scale(x)) -> scale(mover(x)), so that the factor comes nearer to its convolution."""
    node = editor.nodes.get(node.output, node)
    if not isinstance(node.op, ops.MaxPool | ops.View | ops.Reshape):
        return False
    found = _scaled_source(editor, node.inputs[0])
    if found is None or editor.only_consumer(node.inputs[0]) is None:
        return False
    source, factor = found
    if isinstance(node.op, ops.MaxPool) and factor < 0:
        return False
    before = editor.nodes[node.inputs[0]]
    value = editor.fresh(node.output)
    editor.drop([before])
    editor.put(node.op, (source,), value, node.layers)
    editor.put(before.op, (value,), node.output, before.layers)
    return True
