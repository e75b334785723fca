"""A Reshape that only adds or removes leading ones behind a convolution or pool disappears: the kernel gives the
other shape itself.

Kernels read and write maps, and a tensor of lower rank is a map with leading ones (SPEC.md 3), so the bytes and the
call stay the same. Runs last: afterwards types are no longer what inference gives, but equal to it as maps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.infer import as_map
from ..ir.types import Shape, TensorType
from .context import Context

HIGHEST = 3


def run(graph: Graph, context: Context) -> Graph:
    """Retype producers and drop the Reshape nodes behind them."""
    nodes: dict[str, Node] = {node.output: node for node in graph.nodes}
    types = dict(graph.types)
    reads = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)
    for node in graph.nodes:
        source = nodes.get(node.inputs[0]) if isinstance(node.op, ops.Reshape) else None
        if source is None or reads[source.output] > 1 or not _disappears(source, types[node.output].shape, types):
            continue
        types[node.output] = TensorType(types[node.output].shape, types[source.output].fmt)
        layers = tuple(dict.fromkeys((*source.layers, *node.layers)))
        nodes[node.output] = Node(source.op, source.inputs, node.output, layers)
        del nodes[source.output], types[source.output]
    order = [nodes[node.output] for node in graph.nodes if node.output in nodes]
    return replace(graph, nodes=tuple(order), types=types)


def _disappears(source: Node, after: Shape, types: dict[str, TensorType]) -> bool:
    """Whether the kernel that the Reshape alone reads can give its shape."""
    before = types[source.output].shape
    low_rank = max(len(before), len(after)) <= HIGHEST
    return isinstance(source.op, ops.MAP_KERNELS) and low_rank and as_map(before) == as_map(after)
