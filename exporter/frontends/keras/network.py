"""From a model's configuration to calls of its layers in execution order.

A Functional configuration lists, for each layer, the nodes at which it is called; each node names its inputs as (layer,
node, tensor). Keras 2 and Keras 3 write nodes differently and number the nodes of nested models from 1 in some places;
`calls` hides both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import UnreadableModel, debugging
from .archive import SavedLayer


@dataclass(frozen=True)
class Ref:
    """Output `tensor` of the `node`-th call (from 0) of `layer`."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer: positional and keyword arguments, in which `Ref` stands for a tensor."""

    layer: SavedLayer
    number: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def refs(self) -> Iterator[Ref]:
        yield from _refs_in((self.args, dict(self.kwargs)))


def _refs_in(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _refs_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _refs_in(item)


@dataclass(frozen=True, eq=False)
class Network:
    """Calls in execution order, with the model's inputs and outputs as references."""

    inputs: tuple[SavedLayer, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Ref, ...]


def network(model: SavedLayer) -> Network:
    """The calls of a Sequential or Functional model."""
    if model.class_name == "Sequential" or "input_layers" not in model.config:
        return _sequential(model)
    try:
        return _Functional(model).network()
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        if debugging():
            raise
        found = "its connections are not written as Keras writes them"
        raise UnreadableModel(f"model {model.name}: {found}; save it again") from error


def _sequential(model: SavedLayer) -> Network:
    layers = model.layers
    inputs: tuple[SavedLayer, ...] = ()
    if layers and layers[0].class_name == "InputLayer":
        inputs, layers = layers[:1], layers[1:]
    before = Ref(inputs[0].name if inputs else "", 0, 0)
    calls = []
    for layer in layers:
        calls.append(Call(layer, 0, (before,)))
        before = Ref(layer.name, 0, 0)
    return Network(inputs, tuple(calls), (before,))


class _Functional:
    def __init__(self, model: SavedLayer) -> None:
        self.model = model
        self.by_name = {layer.name: layer for layer in model.layers}

    def network(self) -> Network:
        config = self.model.config
        input_refs = self._refs(config["input_layers"])
        outputs = tuple(self._at(ref, outermost=True) for ref in self._refs(config["output_layers"]))
        inputs = tuple(self._layer(ref.layer) for ref in input_refs)
        return Network(inputs, self._ordered(), outputs)

    def _layer(self, name: str) -> SavedLayer:
        if name not in self.by_name:
            raise UnreadableModel(
                f"model {self.model.name}: the configuration refers to layer {name!r}, which does not exist"
            )
        return self.by_name[name]

    def _refs(self, entries: Any) -> list[Ref]:
        """References of `input_layers` and `output_layers`: a list, a dict, or (Keras 3) a single bare reference."""
        if _is_ref(entries):
            entries = [entries]
        if isinstance(entries, dict):
            entries = list(entries.values())
        return [Ref(str(entry[0]), int(entry[1]), int(entry[2])) for entry in entries]

    def _at(self, ref: Ref, outermost: bool = False) -> Ref:
        """`ref` with its node counted from 0.

        The node at which a nested model was built itself counts as its node 0: everywhere in Keras 2, for Functional
        models in the outputs of Keras 3."""
        layer = self._layer(ref.layer)
        calls = len(layer.inbound)
        if calls <= 1:
            return Ref(ref.layer, 0, ref.tensor)
        keras3 = isinstance(layer.inbound[0], dict)
        shifted = layer.is_model and ((outermost and layer.class_name != "Sequential") if keras3 else True)
        node = ref.node - 1 if shifted else ref.node
        if not 0 <= node < calls:
            node = ref.node - 1 if node == ref.node else ref.node
        if not 0 <= node < calls:
            raise UnreadableModel(
                f"model {self.model.name}: layer {ref.layer!r} is called {calls} times, node {ref.node} is asked for"
            )
        return Ref(ref.layer, node, ref.tensor)

    def _ordered(self) -> tuple[Call, ...]:
        pending = [call for layer in self.model.layers for call in self._calls_of(layer)]
        done = {(layer.name, 0) for layer in self.model.layers if not layer.inbound}
        ordered: list[Call] = []
        while pending:
            # One at a time keeps the order of the file, which is the order the user wrote.
            first = next((call for call in pending if all((ref.layer, ref.node) in done for ref in call.refs())), None)
            if first is None:
                waiting = ", ".join(call.layer.name for call in pending)
                raise UnreadableModel(f"model {self.model.name}: the layers {waiting} wait for each other")
            ordered.append(first)
            done.add((first.layer.name, first.number))
            pending.remove(first)
        return tuple(ordered)

    def _calls_of(self, layer: SavedLayer) -> Iterator[Call]:
        for number, node in enumerate(layer.inbound):
            args, kwargs = self._keras3(node) if isinstance(node, dict) else self._keras2(node)
            yield Call(layer, number, args, kwargs)

    def _keras3(self, node: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        kwargs = {key: self._tensors3(value) for key, value in (node.get("kwargs") or {}).items()}
        return tuple(self._tensors3(list(node.get("args", ())))), kwargs

    def _tensors3(self, value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                name, number, tensor = value["config"]["keras_history"]
                return self._at(Ref(str(name), int(number), int(tensor)))
            return {key: self._tensors3(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._tensors3(item) for item in value]
        return value

    def _keras2(self, node: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A node is one entry [layer, node, tensor, kwargs], or a (nested) list of them; the keyword arguments stand in
        the first."""
        if _is_entry(node):
            return (self._entry(node),), self._tensors2(_kwargs_of(node))
        if isinstance(node, dict):
            return (self._nested(node),), {}
        entries = list(node)
        first = next((entry for entry in entries if _is_entry(entry)), None)
        kwargs = self._tensors2(_kwargs_of(first)) if first is not None else {}
        if len(entries) == 1:
            return (self._nested(entries[0]),), kwargs
        return ([self._nested(entry) for entry in entries],), kwargs

    def _nested(self, value: Any) -> Any:
        if _is_entry(value):
            return self._entry(value)
        if isinstance(value, dict):
            return {key: self._nested(item) for key, item in value.items()}
        return [self._nested(item) for item in value] if isinstance(value, list) else value

    def _entry(self, entry: Any) -> Any:
        if entry[0] == "_CONSTANT_VALUE":
            return entry[2]
        return self._at(Ref(str(entry[0]), int(entry[1]), int(entry[2])))

    def _tensors2(self, value: Any) -> Any:
        if _is_ref(value) and value[0] in self.by_name:
            return self._at(Ref(value[0], value[1], value[2]))
        if isinstance(value, dict):
            return {key: self._tensors2(item) for key, item in value.items()}
        return [self._tensors2(item) for item in value] if isinstance(value, list) else value


def _is_ref(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and isinstance(value[2], int)
    )


def _is_entry(value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) not in (3, 4) or not isinstance(value[0], str):
        return False
    return value[0] == "_CONSTANT_VALUE" or _is_ref(list(value[:3]))


def _kwargs_of(entry: Any) -> dict[str, Any]:
    return dict(entry[3]) if entry is not None and len(entry) == 4 and isinstance(entry[3], dict) else {}
