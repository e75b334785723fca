"""From a saved model to an IR graph: calls every layer's handler and collects every problem before giving up.

A value is a name in the graph. After a refused layer its outputs are `UNKNOWN`; the layers behind it still check their
own configuration, so that one run reports them all, and stop where they would need the missing shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExportError, Problem, UnreadableModel
from ...ir import ops
from ...ir.graph import Graph, Node
from ...ir.infer import InferError, infer_type
from ...ir.types import F32, MOST_ELEMENTS, Format, Shape, TensorType
from . import registry
from .archive import SavedLayer, SavedModel
from .network import Call, Ref, network

UNKNOWN = ""


class Unsupported(Exception):
    """What a handler, or a quantizer, cannot express; becomes a `Problem` of the layer being built."""

    def __init__(self, found: str, accepted: str = "", advice: str = "") -> None:
        super().__init__(found)
        self.found, self.accepted, self.advice = found, accepted, advice


class _ShapeUnknown(Exception):
    """A handler asked for the type of an `UNKNOWN` value: there is nothing more to check in this layer."""


class LayerContext:
    """What a handler sees of its layer: configuration, weights, inputs, and the means to emit operators or refuse."""

    def __init__(self, builder: _Builder, layer: SavedLayer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._builder = builder
        self.layer = layer
        self.config = layer.config
        self.keras = builder.model.keras
        self.args = tuple(args)
        self.kwargs = kwargs
        first = self.args[0] if self.args else []
        self.inputs: list[str] = [value for value in _flat(first) if isinstance(value, _Value)]
        support = registry.find(layer)
        self._names = tuple(support.weights(layer.config)) if support else ()

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
        return self._builder.emit(op, inputs, self.layer.path)

    def chain(self, value: str, operators: Sequence[ops.Op]) -> str:
        """Append one-input operators one after the other."""
        for op in operators:
            value = self.emit(op, value)
        return value

    def type(self, value: str) -> TensorType:
        return self._builder.type(value)

    def shape(self, value: str) -> Shape:
        return self.type(value).shape

    def format(self, value: str) -> Format:
        return self.type(value).fmt

    def problem(self, found: str, accepted: str = "", advice: str = "") -> None:
        """Note a problem and go on, so that others of the same layer are found too."""
        self._builder.problems.append(Problem(self.layer.path, found, accepted, advice))

    def weight(self, name: str) -> NDArray[np.float32]:
        """The variable `name` as float32."""
        value = self.optional_weight(name)
        if value is None:
            have = ", ".join(weight.name or "unnamed" for weight in self._weights()) or "none"
            raise Unsupported(
                f"the file holds no {name} for this layer (it holds: {have})",
                advice="Save the whole model after it has been built",
            )
        return value

    def optional_weight(self, name: str) -> NDArray[np.float32] | None:
        weights = self._weights()
        for weight in weights:
            if weight.name == name:
                return _real(weight.value, name)
        unnamed = [weight for weight in weights if not weight.name]
        if name in self._names and self._names.index(name) < len(unnamed):
            return _real(unnamed[self._names.index(name)].value, name)
        return None

    def _weights(self) -> Sequence[Any]:
        return self._builder.model.weights.get(self.layer.path, ())


# What a configuration with wrong types or numbers in it makes Python and numpy raise.
_CONFUSED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)


class _Value(str):
    """Tells values from strings among a call's arguments."""


def is_value(argument: Any) -> bool:
    """Whether an argument of a call is a tensor (not a constant)."""
    return isinstance(argument, _Value)


def _real(value: NDArray[Any], name: str) -> NDArray[np.float32]:
    result = np.asarray(value)
    if result.dtype.kind not in "fiu":
        raise Unsupported(f"{name} has dtype {result.dtype}", "numbers")
    result = result.astype(np.float32)
    if not np.all(np.isfinite(result)):
        raise Unsupported(f"{name} holds NaN or infinity", "finite weights", "The training has diverged; train again")
    return result


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _flat(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _flat(item)]
    return [value]


def build_graph(model: SavedModel) -> Graph:
    """The IR graph of a saved model. Raises `ExportError` with every problem found."""
    return _Builder(model).graph()


class _Builder:
    def __init__(self, model: SavedModel) -> None:
        self.model = model
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = {}
        self.problems: list[Problem] = []

    def graph(self) -> Graph:
        root = self.model.root
        inner = network(root)
        inputs = [self._input(layer.path, layer.config, layer.build_shape) for layer in inner.inputs]
        names = [layer.name for layer in inner.inputs]
        if not inputs:
            first = root.layers[0] if root.layers else root
            shape = root.config.get("build_input_shape") or root.build_shape or first.build_shape
            inputs, names = [self._input(f"{first.name}_input", first.config, shape)], [f"{first.name}_input"]
        outputs = self._model(root, inputs)
        if self.problems:
            raise ExportError(list(dict.fromkeys(self.problems)))
        if UNKNOWN in outputs:
            raise UnreadableModel(f"model {root.name}: an output of the configuration does not exist")
        outputs = self._distinct(outputs, inputs)
        ports = dict(zip(inputs, names, strict=True))
        ports |= dict(zip(outputs, (ref.layer for ref in inner.outputs), strict=True))
        used = _reachable(self.nodes, outputs)
        types = {name: self.types[name] for name in (*inputs, *(node.output for node in used))}
        return Graph(
            root.name,
            tuple(map(str, inputs)),
            tuple(map(str, outputs)),
            tuple(used),
            types,
            {str(k): v for k, v in ports.items()},
        )

    def _input(self, path: str, config: Mapping[str, Any], fallback: Any) -> str:
        batched = config.get("batch_input_shape") or config.get("batch_shape") or fallback
        if not isinstance(batched, list) or any(isinstance(n, list) for n in batched):
            self.problems.append(
                Problem(path, "the input shape is unknown", "fixed shapes", "Begin the model with Input(shape=...)")
            )
            return _Value(UNKNOWN)
        shape = tuple(batched[1:])
        if not shape or len(shape) > 4 or any(not isinstance(n, int) or n < 1 for n in shape):
            found = f"the input has shape {tuple(batched)}"
            self.problems.append(
                Problem(path, found, "1 to 4 known dimensions behind the batch", "Give Input(shape=...) fixed sizes")
            )
            return _Value(UNKNOWN)
        if math.prod(shape) > MOST_ELEMENTS:
            self.problems.append(Problem(path, f"the input has shape {shape}", f"at most {MOST_ELEMENTS:,} elements"))
            return _Value(UNKNOWN)
        return self._new_value(path, TensorType(shape, F32()))

    def _new_value(self, wanted: str, value_type: TensorType) -> str:
        name, number = wanted, 1
        while name in self.types:
            number += 1
            name = f"{wanted}#{number}"
        self.types[name] = value_type
        return _Value(name)

    def emit(self, op: ops.Op, inputs: Sequence[str], path: str) -> str:
        if UNKNOWN in inputs:
            return _Value(UNKNOWN)
        try:
            result = infer_type(op, [self.types[value] for value in inputs])
        except InferError as error:
            raise Unsupported(str(error)) from error
        output = self._new_value(path, result)
        self.nodes.append(Node(op, tuple(map(str, inputs)), str(output), (path,)))
        return output

    def type(self, value: str) -> TensorType:
        if value == UNKNOWN:
            raise _ShapeUnknown
        return self.types[value]

    def _model(self, model: SavedLayer, inputs: Sequence[str]) -> list[str]:
        """The outputs of a model called on `inputs`."""
        inner = network(model)
        values: dict[tuple[str, int], list[str]] = {}
        if len(inner.inputs) not in (0, len(inputs)):
            self.problems.append(
                Problem(model.path, f"{len(inputs)} inputs are connected", f"{len(inner.inputs)} inputs")
            )
            return [_Value(UNKNOWN)] * len(inner.outputs)
        for layer, value in zip(inner.inputs, inputs, strict=False):
            values[layer.name, 0] = [value]
        if not inner.inputs:
            values["", 0] = list(inputs)
        for call in inner.calls:
            values[call.layer.name, call.number] = self._call(call, values)
        return [_pick(values, ref) for ref in inner.outputs]

    def _call(self, call: Call, values: Mapping[tuple[str, int], list[str]]) -> list[str]:
        args = [_resolve(argument, values) for argument in call.args]
        kwargs = {key: _resolve(argument, values) for key, argument in call.kwargs.items()}
        if call.layer.is_model:
            return self._model(call.layer, [value for value in _flat(args) if is_value(value)])
        return self._layer(call.layer, args, kwargs)

    def _layer(self, layer: SavedLayer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
        support = registry.find(layer)
        if support is None:
            _, class_name = registry.identify(layer)
            where = f" of {layer.module}" if layer.module else ""
            found = f"{class_name}{where} is not supported"
            self.problems.append(Problem(layer.path, found, advice=registry.advice_for(layer)))
            return [_Value(UNKNOWN)]
        try:
            context = LayerContext(self, layer, args, kwargs)
            _check_common(context)
            result = support.handler(context)
        except Unsupported as refusal:
            self.problems.append(Problem(layer.path, refusal.found, refusal.accepted, refusal.advice))
            return [_Value(UNKNOWN)]
        except _ShapeUnknown:
            return [_Value(UNKNOWN)]
        except (
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            ArithmeticError,
            RecursionError,
            MemoryError,
        ) as error:
            # A configuration no Keras writes (damaged or edited by hand), not a mistake the user could see in a
            # traceback.
            found = f"the configuration cannot be understood ({type(error).__name__}: {error})"
            self.problems.append(Problem(layer.path, found, advice="Save the model again with Keras"))
            return [_Value(UNKNOWN)]
        return [result] if isinstance(result, str) else list(result)

    def _distinct(self, outputs: Sequence[str], inputs: Sequence[str]) -> list[str]:
        """Outputs that are inputs, or named twice, get a value of their own: ports and values correspond one to one."""
        result: list[str] = []
        for value in outputs:
            taken = value in inputs or value in result
            own = self.emit(ops.Reshape(self.types[value].shape), (value,), f"{value}/output") if taken else value
            result.append(own)
        return result


_FLOATS = ("float32", "")


def _check_common(context: LayerContext) -> None:
    """What no layer supports: channels_first, other precisions than float32, training mode inside the model."""
    policy = context.get("dtype", "float32")
    if isinstance(policy, dict):
        inside = policy.get("config") or {}
        policy = inside.get("name") or f"{policy.get('class_name')}({inside.get('mode', '')})"
    if str(policy) not in _FLOATS and not str(policy).startswith(("int", "uint", "bool")):
        copied = "Build the model under the float32 policy and copy the weights with set_weights"
        quantized = "Export the model as it was before quantize(), or train it with Larq or QKeras"
        context.problem(f"dtype is {policy}", "float32", quantized if "Quantized" in str(policy) else copied)
    if any(weight.name.startswith("lora_") for weight in context._weights()):
        advice = "Save the model as .keras, which adds the adapters to the kernels"
        context.problem("the file holds LoRA adapters beside the kernel", "merged kernels", advice)
    if context.kwargs.get("training") is True or context.kwargs.get("training") == 1:
        context.problem("the layer is called with training=True", "inference", "Call it without training=True")
    if context.get("data_format") == "channels_first":
        # The layer's shapes would all be misread, so nothing else is looked at.
        found = "data_format is channels_first"
        raise Unsupported(found, "channels_last", "Build the model with data_format='channels_last'")


def _resolve(argument: Any, values: Mapping[tuple[str, int], list[str]]) -> Any:
    if isinstance(argument, Ref):
        return _pick(values, argument)
    if isinstance(argument, list | tuple):
        return [_resolve(item, values) for item in argument]
    if isinstance(argument, dict):
        return {key: _resolve(item, values) for key, item in argument.items()}
    return argument


def _pick(values: Mapping[tuple[str, int], list[str]], ref: Ref) -> str:
    produced = values.get((ref.layer, ref.node), [])
    # A refused layer stands for all its outputs with one unknown value.
    return produced[ref.tensor] if 0 <= ref.tensor < len(produced) else _Value(UNKNOWN)


def _reachable(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    wanted = set(outputs)
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.output in wanted:
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]
