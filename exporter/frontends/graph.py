"""What every front end needs to make a graph: values with names of their own, types inferred as operators come,
problems gathered instead of raised.

A value is a name in the graph. After a refused layer its outputs are `UNKNOWN`; the layers behind it still check their
own configuration, so that one run reports them all, and stop where they would need the missing shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError, Problem
from ..ir import ops
from ..ir.graph import Graph, Node, Port
from ..ir.infer import InferError, infer_type
from ..ir.types import TensorType

# What values of kinds or sizes that a handler does not expect make Python and numpy raise.
CONFUSED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError)

PortOrName: TypeAlias = Port | str


def from_nibbles(content: NDArray[np.uint8], count: int, signed: bool) -> NDArray[Any]:
    """Numbers of 4 bits, two in each byte and the low one first, as files of ONNX and TensorFlow Lite have them."""
    nibbles = np.stack([content & 15, content >> 4], axis=-1).reshape(-1)[:count]
    return np.asarray((nibbles ^ 8).view(np.int8) - np.int8(8)) if signed else nibbles


class Unsupported(Exception):
    """What a handler, or a quantizer, cannot express; becomes a `Problem` of the layer being built."""

    def __init__(self, found: str, accepted: str = "", advice: str = "") -> None:
        super().__init__(found)
        self.found, self.accepted, self.advice = found, accepted, advice


class ShapeUnknown(Exception):
    """A handler asked for the type of an `UNKNOWN` value: there is nothing more to check in this layer."""


class Value(str):
    """Tells values from strings among the arguments of a layer."""


UNKNOWN = Value("")


class GraphBuilder:
    """The graph as it grows. `path` is the name of a layer as users see it."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = {}
        self.problems: list[Problem] = []

    def problem(
        self, path: str, found: str, accepted: str = "", advice: str = "", cause: Exception | None = None
    ) -> Value:
        """Note a problem and go on; the value that is not known for it."""
        self.problems.append(Problem(path, found, accepted, advice, cause))
        return UNKNOWN

    def attempt(self, path: str, build: Callable[[], str | Sequence[str]]) -> list[str]:
        """The values that `build` makes of a layer, or that they are unknown where it refuses."""
        try:
            result = build()
        except Unsupported as refusal:
            return [self.problem(path, refusal.found, refusal.accepted, refusal.advice)]
        except ShapeUnknown:
            return [UNKNOWN]
        return [result] if isinstance(result, str) else list(result)

    def value(self, wanted: str, value_type: TensorType) -> Value:
        """A new value, named so or, if that is taken, with a number behind it."""
        name, number = wanted, 1
        while name in self.types:
            number += 1
            name = f"{wanted}#{number}"
        self.types[name] = value_type
        return Value(name)

    def emit(self, op: ops.Op, inputs: Sequence[str], path: str, name: str = "") -> Value:
        """Append an operator and return its value, named so or as the layer; raises Unsupported where the operands do
        not suit it."""
        if UNKNOWN in inputs:
            return UNKNOWN
        try:
            result = infer_type(op, [self.types[value] for value in inputs])
        except InferError as error:
            raise Unsupported(str(error)) from error
        output = self.value(name or path, result)
        self.nodes.append(Node(op, tuple(map(str, inputs)), str(output), (path,)))
        return output

    def rename(self, value: Value, wanted: str) -> Value:
        """Give the value of the last node that computes one another name, if nothing has it."""
        if wanted in self.types or not self.nodes or self.nodes[-1].output != value:
            return value
        self.types[wanted] = self.types.pop(value)
        self.nodes[-1] = replace(self.nodes[-1], output=wanted)
        return Value(wanted)

    def type(self, value: str) -> TensorType:
        if value == UNKNOWN:
            raise ShapeUnknown
        return self.types[value]

    def check(self) -> None:
        """Raises ExportError with every problem found so far."""
        if self.problems:
            raise ExportError(list(dict.fromkeys(self.problems)))

    def finish(self, name: str, inputs: Mapping[str, PortOrName], outputs: Sequence[tuple[str, PortOrName]]) -> Graph:
        """The graph of what the outputs need. Inputs and outputs are values with their ports; a name alone is a port
        that passes may change."""
        self.check()
        values = self._distinct([value for value, _ in outputs], inputs)
        named = [*inputs.items(), *zip(values, (port for _, port in outputs), strict=True)]
        ports = {str(value): port if isinstance(port, Port) else Port(port) for value, port in named}
        used = self._reachable(values)
        types = {value: self.types[value] for value in (*inputs, *(node.output for node in used))}
        return Graph(name, tuple(map(str, inputs)), tuple(map(str, values)), tuple(used), types, ports)

    def _distinct(self, outputs: Sequence[str], inputs: Iterable[str]) -> list[str]:
        """Outputs that are inputs, or named twice, get a value of their own: ports and values correspond one to one."""
        result: list[str] = []
        for value in outputs:
            taken = value in inputs or value in result
            own = self.emit(ops.Reshape(self.types[value].shape), (value,), f"{value}/output") if taken else value
            result.append(own)
        return result

    def _reachable(self, outputs: Sequence[str]) -> list[Node]:
        wanted = set(outputs)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if node.output in wanted:
                kept.append(node)
                wanted.update(node.inputs)
        return kept[::-1]
