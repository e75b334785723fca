"""What the handler of a layer sees, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ...ir.types import Format, Shape, TensorType
from ..graph import GraphBuilder, Unsupported, Value
from .archive import SavedLayer, SavedModel, Weight

MOST_GROUPS = 12  # named in a message


class LayerContext:
    """What a handler sees of its layer: configuration, weights, inputs, and the means to emit operators or refuse."""

    def __init__(
        self, graph: GraphBuilder, model: SavedModel, layer: SavedLayer, args: Sequence[Any], kwargs: Mapping[str, Any],
        names: Sequence[str],
    ) -> None:  # fmt: skip
        """`names` are those of the layer's variables, in the order in which it creates them."""
        self._graph = graph
        self._model = model
        self.layer = layer
        self.config = layer.config
        self.keras = model.keras
        self.weights: Sequence[Weight] = model.weights.get(layer.path, ())
        self.kernels: Mapping[str, Any] = {}  # quantized ones, where a wrapper quantizes the layer's
        self.args = tuple(args)
        self.kwargs = kwargs
        first = self.args[0] if self.args else []
        self.inputs: list[str] = [value for value in flat(first) if is_value(value)]
        self._names = tuple(names)

    def inside(
        self, layer: SavedLayer, names: Sequence[str], weights: Sequence[Weight], kernels: Mapping[str, Any]
    ) -> LayerContext:
        """The context of a wrapped layer: its own configuration and weights, the wrapper's place and inputs."""
        context = LayerContext(self._graph, self._model, layer, self.args, self.kwargs, names)
        context.weights, context.kernels = weights, kernels
        return context

    @property
    def x(self) -> str:
        """The only input."""
        if len(self.inputs) != 1:
            raise Unsupported(f"{len(self.inputs)} inputs are connected", "one input")
        return self.inputs[0]

    def get(self, key: str, default: Any = None) -> Any:
        """A configuration entry; `None` in the file counts as absent."""
        value = self.config.get(key)
        return default if value is None else value

    def emit(self, op: ops.Op, *inputs: str) -> str:
        """Append `op` to the graph and return its value."""
        return self._graph.emit(op, inputs, self.layer.path)

    def chain(self, value: str, operators: Sequence[ops.Op]) -> str:
        """Append one-input operators one after the other."""
        for op in operators:
            value = self.emit(op, value)
        return value

    def type(self, value: str) -> TensorType:
        return self._graph.type(value)

    def shape(self, value: str) -> Shape:
        return self.type(value).shape

    def format(self, value: str) -> Format:
        return self.type(value).fmt

    def problem(self, found: str, accepted: str = "", advice: str = "") -> None:
        """Note a problem and go on, so that others of the same layer are found too."""
        self._graph.problem(self.layer.path, found, accepted, advice)

    def weight(self, name: str) -> NDArray[np.float32]:
        """The variable `name` as float32."""
        value = self.optional_weight(name)
        if value is None:
            raise self.missing(name)
        return value

    def missing(self, name: str) -> Unsupported:
        """The refusal of a layer without a variable that it needs: what the file has instead."""
        have = ", ".join(weight.name or "unnamed" for weight in self.weights)
        found = f"the file holds no {name} for this layer"
        if have:
            return Unsupported(f"{found} (it holds: {have})", advice="Save the model again after it has been built")
        if not self._model.groups:
            return Unsupported(f"{found}, nor for any other", advice="Save the whole model after it has been built")
        more = len(self._model.groups) - MOST_GROUPS
        shown = ", ".join(self._model.groups[:MOST_GROUPS]) + (f", {more} more" if more > 0 else "")
        return Unsupported(f"{found}; its arrays belong to {shown}", advice="Is a layer renamed? Save the model again")

    def optional_weight(self, name: str) -> NDArray[np.float32] | None:
        for weight in self.weights:
            if weight.name == name:
                return _real(weight.value, name)
        unnamed = [weight for weight in self.weights if not weight.name]
        if name in self._names and self._names.index(name) < len(unnamed):
            return _real(unnamed[self._names.index(name)].value, name)
        return None


def is_value(argument: Any) -> bool:
    """Whether an argument of a call is a tensor (not a constant)."""
    return isinstance(argument, Value)


def flat(value: Any) -> list[Any]:
    """The leaves of nested lists and dicts."""
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in flat(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flat(item)]
    return [value]


def _real(value: NDArray[Any], name: str) -> NDArray[np.float32]:
    result = np.asarray(value)
    if result.dtype.kind not in "fiu":
        raise Unsupported(f"{name} has dtype {result.dtype}", "numbers")
    result = result.astype(np.float32)
    if not np.all(np.isfinite(result)):
        raise Unsupported(f"{name} holds NaN or infinity", "finite weights", "The training has diverged; train again")
    return result
