"""A graph under change. Passes edit nodes in any order; every value has its true type at any time; `finish` sorts the
nodes and drops what nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..ir.graph import Graph, Node, Port
from ..ir.infer import InferError, infer_type
from ..ir.ops import Op
from ..ir.types import TensorType
from .context import PassError, describe


class Editor:
    """Mutable view of a graph, keyed by the value each node computes. Nodes change through the methods alone: an index
    of readers goes with them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: dict[str, Node] = {}
        self.outputs: list[str] = list(graph.outputs)
        self.types: dict[str, TensorType] = dict(graph.types)
        self.ports: dict[str, Port] = dict(graph.ports)
        self._readers: dict[str, dict[str, None]] = {}  # value -> outputs of the nodes that read it
        self._place: dict[str, int] = {}  # of a node among all, by when its value was first computed
        self._doubtful: set[str] = set()  # values whose node takes its inputs no longer
        self._counter = 0
        for node in graph.nodes:
            self._set(node)

    def __iter__(self) -> Iterator[Node]:
        """The nodes as they stood when the loop began, without those that went away meanwhile."""
        for output in list(self.nodes):
            node = self.nodes.get(output)
            if node is not None:
                yield node

    def consumers(self, value: str) -> list[Node]:
        """Nodes that read a value, in the order they came."""
        return [self.nodes[output] for output in sorted(self._readers.get(value, ()), key=self._place.__getitem__)]

    def only_consumer(self, value: str) -> Node | None:
        """The node that alone reads a value, once; None if there are more, or the value is an output."""
        readers = self._readers.get(value, {})
        if len(readers) != 1 or value in self.outputs:
            return None
        node = self.nodes[next(iter(readers))]
        return node if node.inputs.count(value) == 1 else None

    def producer(self, node: Node) -> Node | None:
        """The node that computes the only input of a node; None if it has several or none, or that is a port."""
        return self.nodes.get(node.inputs[0]) if len(node.inputs) == 1 else None

    def fresh(self, base: str) -> str:
        """A value name that is not in use."""
        while True:
            self._counter += 1
            name = f"{base}.{self._counter}"
            if name not in self.nodes and name not in self.types:
                return name

    def put(self, op: Op, inputs: Iterable[str], output: str, layers: Iterable[str]) -> Node:
        """Add the node that computes `output`, or replace it; what reads it gets its new type."""
        node = Node(op, tuple(inputs), output, tuple(dict.fromkeys(layers)))
        kind = self._infer(node)
        self._doubtful.discard(output)
        self._set(node)
        self._retype(output, kind)
        return node

    def put_layers(self, node: Node, layers: Iterable[str]) -> None:
        """Change which layers a node computes."""
        self.nodes[node.output] = replace(node, layers=tuple(dict.fromkeys(layers)))

    def retype_input(self, name: str, kind: TensorType) -> None:
        """Change the type of one of the graph's inputs."""
        self._retype(name, kind)

    def drop(self, nodes: Iterable[Node]) -> None:
        """Remove nodes whose values nothing will read."""
        for node in nodes:
            if node.output in self.nodes:
                self._forget_reads(self.nodes.pop(node.output))

    def redirect(self, old: str, new: str) -> bool:
        """Let every reader of `old` read `new`; False (and no change) if `old` is an output whose name would be
        lost."""
        if old in self.outputs and (new in self.outputs or new in self.graph.inputs):
            return False
        for node in self.consumers(old):
            moved = replace(node, inputs=tuple(new if name == old else name for name in node.inputs))
            self._set(moved)
            if new in self.types:
                self._retype(moved.output, self._inferred(moved))
        if old in self.outputs:
            self.outputs = [new if name == old else name for name in self.outputs]
            self.ports[new] = self.ports.pop(old)
        return True

    def finish(self) -> Graph:
        """The changed graph."""
        order = self._live_in_order()
        for node in order:
            if node.output in self._doubtful:
                self._infer(node)
        types = {name: self.types[name] for name in (*self.graph.inputs, *(node.output for node in order))}
        return replace(self.graph, nodes=tuple(order), types=types, outputs=tuple(self.outputs), ports=dict(self.ports))

    # --- the index of readers, and types ------------------------------------------------------------------------------

    def _set(self, node: Node) -> None:
        old = self.nodes.get(node.output)
        if old is not None:
            self._forget_reads(old)
        self._place.setdefault(node.output, len(self._place))
        self.nodes[node.output] = node
        for name in node.inputs:
            self._readers.setdefault(name, {})[node.output] = None

    def _forget_reads(self, node: Node) -> None:
        for name in node.inputs:
            self._readers[name].pop(node.output, None)

    def _infer(self, node: Node) -> TensorType:
        try:
            return infer_type(node.op, [self.types[name] for name in node.inputs])
        except InferError as error:
            raise PassError(f"{describe(node)}: {error}") from error

    def _inferred(self, node: Node) -> TensorType:
        """The type that follows from a node's inputs. One that takes them no longer keeps its type: it is about to be
        replaced, or `finish` will complain of it."""
        try:
            return infer_type(node.op, [self.types[name] for name in node.inputs])
        except InferError:
            self._doubtful.add(node.output)
            return self.types[node.output]

    def _retype(self, value: str, kind: TensorType) -> None:
        """Set a value's type, and those that follow from it."""
        changed = [(value, kind)]
        while changed:
            value, kind = changed.pop()
            if self.types.get(value) != kind:
                self.types[value] = kind
                changed += [(reader.output, self._inferred(reader)) for reader in self.consumers(value)]

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
