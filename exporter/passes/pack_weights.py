"""Weights of 4 and 2 bits where a layer's codes fit (`ExportOptions.pack_weights`).

A code w of b bits lies in -2^(b-1)..2^(b-1) - 1; half weights 2w + 1 (DoReFa of b bits) have such codes too. Values and
sums stay what they are, so nothing else changes.

Taken where the C kernels unpack in registers and are no slower than with 8 bits: convolutions and dense layers of s8
inputs whose channels come in fours (SPEC.md 3.3 orders the taps of such so that a gathered window needs no sorting);
depthwise layers of s8 inputs, whose kernels unpack four channels at a time. Binary inputs are gathered bit by bit
either way, and layers of floats have no such kernel: they keep 8 bits, as do weights with zero points."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.types import S8, TensorType
from .context import Context


def run(graph: Graph, context: Context) -> Graph:
    """Set `bits` of the weights where asked for."""
    if not context.options.pack_weights:
        return graph
    nodes = tuple(_packed(node, graph.types[node.inputs[0]], context) if node.inputs else node for node in graph.nodes)
    return replace(graph, nodes=nodes)


def _packed(node: Node, kind: TensorType, context: Context) -> Node:
    op = node.op
    if not isinstance(op, ops.ConvKernel) or not _takes_packed(op, kind):
        return node
    bits, shape = ops.bits_of(op.weights.codes), op.weights.codes.shape
    outputs, taps = (prod(shape[2:]), prod(shape[:2])) if op.depthwise else (shape[0], prod(shape[1:]))
    now, then = (stored_bytes(outputs, op.groups, taps, width, op.depthwise) for width in (8, bits))
    if bits == 8 or then >= now:
        return node
    context.note(node, f"weights of {bits} bits", f"{then:,} B; 8-bit ones would be {now:,} B", code="packed-weights")
    return replace(node, op=replace(op, weights=replace(op.weights, bits=bits)))


def _takes_packed(op: ops.ConvKernel, kind: TensorType) -> bool:
    if op.weights.zero_point.any():
        return False
    family, source = "depthwise" if op.depthwise else "conv", "s8" if isinstance(kind.fmt, S8) else ""
    shape = op.weights.codes.shape
    return takes_packed(family, source, op.weights.kind, prod(shape[2:]) if op.depthwise else shape[3])


def takes_packed(family: str, source: str, weights: str, channels: int) -> bool:
    """Kernels of this family and these formats unpack weights about as fast as they read bytes, if there are so many
    channels: of a group, or outputs of a depthwise layer."""
    return family in ("conv", "depthwise") and (source, weights) == ("s8", "s8") and channels % 4 == 0


def stored_bytes(outputs: int, groups: int, taps: int, bits: int, depthwise: bool = False) -> int:
    """Of a convolution's weights in the file (SPEC.md 3.3)."""
    if depthwise:
        return taps * _ceil(outputs * bits, 8)
    together = 2 if bits == 8 else 4
    quads = groups * _ceil(outputs // groups, together)
    pairs = _ceil(taps, 2)
    return 4 * quads * (pairs if bits == 8 else _ceil(pairs * bits, 4))


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
