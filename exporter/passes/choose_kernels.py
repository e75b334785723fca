"""Bit-sliced or horizontal weights for binary convolutions.

Bit-sliced kernels count 32 outputs at a time; they need enough outputs per group to fill a word, K within their
counters, and no input dilation. Their time depends on the data; where that must not be, the horizontal form is
taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.types import S1, TensorType
from ..limits import MOST_BITSLICED_TAPS
from .context import Context

FEWEST_OUTPUTS = 20


def run(graph: Graph, context: Context) -> Graph:
    """Set `horizontal` where it applies."""
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(_chosen(node, graph, context) if isinstance(node.op, ops.ConvKernel) else node)
    return replace(graph, nodes=tuple(nodes))


def _chosen(node: Node, graph: Graph, context: Context) -> Node:
    assert isinstance(node.op, ops.ConvKernel)
    reason = _reason(node.op, graph.types[node.inputs[0]], context)
    if not reason:
        return node
    context.note(node, "horizontal weights", reason, code="horizontal-weights")
    return replace(node, op=replace(node.op, horizontal=True))


def _reason(op: ops.ConvKernel, kind: TensorType, context: Context) -> str:
    """Why the horizontal form is taken, empty if it is not."""
    if op.depthwise or op.weights.kind != "s1" or not isinstance(kind.fmt, S1):
        return ""
    outputs = op.weights.codes.shape[0] // op.groups
    taps = int(np.prod(op.weights.codes.shape[1:]))
    if context.options.constant_time:
        return "constant time was asked for"
    if op.up != (1, 1):
        return "transposed convolution"
    if outputs < FEWEST_OUTPUTS:
        return f"{outputs} outputs per group do not fill a word"
    return f"{taps} taps exceed the bit-sliced counters" if taps > MOST_BITSLICED_TAPS else ""
