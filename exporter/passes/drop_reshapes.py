"""A Reshape that only adds or removes leading ones behind a convolution or pool disappears: the kernel gives the
other shape itself.

Kernels read and write maps, and a tensor of lower rank is a map with leading ones (SPEC.md 3), so the bytes and the
call stay the same. Runs last: afterwards types are no longer what inference gives, but equal to it as maps."""

from __future__ import annotations

from dataclasses import replace

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.infer import as_map
from ..ir.types import TensorType
from .context import Context

HIGHEST = 3


def run(graph: Graph, context: Context) -> Graph:
    """Retype producers and drop the Reshape nodes behind them."""
    nodes: dict[str, Node] = {node.output: node for node in graph.nodes}
    types = dict(graph.types)
    for node in graph.nodes:
        source = nodes.get(node.inputs[0])
        if source is None or not _disappears(graph, nodes, node, source, types):
            continue
        types[node.output] = TensorType(types[node.output].shape, types[source.output].fmt)
        layers = tuple(dict.fromkeys((*source.layers, *node.layers)))
        nodes[node.output] = Node(source.op, source.inputs, node.output, layers)
        del nodes[source.output], types[source.output]
    order = [nodes[node.output] for node in graph.nodes if node.output in nodes]
    return replace(graph, nodes=tuple(order), types=types)


def _disappears(graph: Graph, nodes: dict[str, Node], node: Node, source: Node, types: dict[str, TensorType]) -> bool:
    if (
        not isinstance(node.op, ops.Reshape)
        or not isinstance(source.op, ops.MAP_KERNELS)
        or source.output in graph.outputs
    ):
        return False
    before, after = types[source.output].shape, types[node.output].shape
    low_rank = max(len(before), len(after)) <= HIGHEST
    readers = [n for n in nodes.values() if source.output in n.inputs]
    return low_rank and as_map(before) == as_map(after) and len(readers) == 1
