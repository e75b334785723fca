"""A graph under change. Passes edit nodes in any order; `finish` sorts them, drops what nothing reads and infers all
types anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..ir.graph import Graph, Node
from ..ir.infer import InferError, infer_type
from ..ir.ops import Op
from ..ir.types import TensorType
from .context import PassError, describe


class Editor:
    """Mutable view of a graph, keyed by the value each node computes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: dict[str, Node] = {node.output: node for node in graph.nodes}
        self.outputs: list[str] = list(graph.outputs)
        self.types: dict[str, TensorType] = dict(graph.types)
        self.port_names: dict[str, str] = dict(graph.port_names)
        self._counter = 0

    def __iter__(self) -> Iterator[Node]:
        """The nodes as they stood when the loop began, without those that went away meanwhile."""
        for output in list(self.nodes):
            node = self.nodes.get(output)
            if node is not None:
                yield node

    def consumers(self, value: str) -> list[Node]:
        """Nodes that read a value."""
        return [node for node in self.nodes.values() if value in node.inputs]

    def only_consumer(self, value: str) -> Node | None:
        """The node that alone reads a value, once; None if there are more, or the value is an output."""
        if value in self.outputs:
            return None
        readers = self.consumers(value)
        return readers[0] if len(readers) == 1 and readers[0].inputs.count(value) == 1 else None

    def fresh(self, base: str) -> str:
        """A value name that is not in use."""
        while True:
            self._counter += 1
            name = f"{base}.{self._counter}"
            if name not in self.nodes and name not in self.types:
                return name

    def put(self, op: Op, inputs: Iterable[str], output: str, layers: Iterable[str]) -> Node:
        """Add the node that computes `output`, or replace it."""
        node = Node(op, tuple(inputs), output, tuple(dict.fromkeys(layers)))
        before = self.types.get(output)
        try:
            self.types[output] = infer_type(op, [self.types[name] for name in node.inputs])
        except InferError as error:
            raise PassError(f"{describe(node)}: {error}") from error
        self.nodes[output] = node
        if before is not None and before != self.types[output]:
            self._retype_behind(output)
        return node

    def _retype_behind(self, value: str) -> None:
        """What reads a value of a new type may give a new type itself. What does not take it is left to the pass, which
        may be about to mend it; `finish` looks again."""
        pending = [value]
        while pending:
            for node in self.consumers(pending.pop()):
                try:
                    found = infer_type(node.op, [self.types[name] for name in node.inputs])
                except (InferError, KeyError):
                    continue
                if found != self.types.get(node.output):
                    self.types[node.output] = found
                    pending.append(node.output)

    def drop(self, nodes: Iterable[Node]) -> None:
        """Remove nodes whose values nothing will read."""
        for node in nodes:
            self.nodes.pop(node.output, None)

    def redirect(self, old: str, new: str) -> bool:
        """Let every reader of `old` read `new`; False (and no change) if `old` is an output whose name would be
        lost."""
        if old in self.outputs and (new in self.outputs or new in self.graph.inputs):
            return False
        for node in self.consumers(old):
            self.nodes[node.output] = replace(node, inputs=tuple(new if name == old else name for name in node.inputs))
        if old in self.outputs:
            self.outputs = [new if name == old else name for name in self.outputs]
            self.port_names[new] = self.port_names.pop(old, old)
        return True

    def finish(self) -> Graph:
        """The changed graph."""
        order = self._live_in_order()
        types = {name: self.types[name] for name in self.graph.inputs}
        for node in order:
            try:
                types[node.output] = infer_type(node.op, [types[name] for name in node.inputs])
            except InferError as error:
                raise PassError(f"{describe(node)}: {error}") from error
        return replace(
            self.graph, nodes=tuple(order), types=types, outputs=tuple(self.outputs), port_names=dict(self.port_names)
        )

    def _live_in_order(self) -> list[Node]:
        """Nodes that an output needs, producers first, otherwise in the order they came."""
        done: set[str] = set(self.graph.inputs)
        order: list[Node] = []
        for wanted in self.outputs:
            stack = [wanted]
            while stack:
                value = stack[-1]
                if value in done:
                    stack.pop()
                    continue
                missing = [name for name in self.nodes[value].inputs if name not in done]
                if missing:
                    stack.extend(reversed(missing))
                    continue
                done.add(value)
                order.append(self.nodes[value])
                stack.pop()
        return order
