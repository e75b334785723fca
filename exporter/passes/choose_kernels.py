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

# Below so many outputs of a group, words that are filled in part take longer than sums one by one. Groups have their
# work for each pixel besides, which words do once: measured on Cortex-M0+, M4 and M55 (3x3, 64 channels in groups of 8
# and 16 to s1: 0.65 to 0.85 of the horizontal form's time).
FEWEST_OUTPUTS, FEWEST_IN_GROUPS, FEWEST_SIGNS_IN_GROUPS = 20, 16, 8
FEWEST_TAPS_OF_SIGNS = 64


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
    if outputs < _fewest(op, taps):
        return f"{outputs} outputs per group do not fill a word"
    return f"{taps} taps exceed the bit-sliced counters" if taps > MOST_BITSLICED_TAPS else ""


def _fewest(op: ops.ConvKernel, taps: int) -> int:
    """Outputs per group from which on the bit-sliced form is taken."""
    if op.groups == 1:
        return FEWEST_OUTPUTS
    return FEWEST_SIGNS_IN_GROUPS if isinstance(op.out, S1) and taps >= FEWEST_TAPS_OF_SIGNS else FEWEST_IN_GROUPS
