"""From a saved model to an IR graph: calls every layer's handler; every problem is found before giving up."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import UnreadableModel, debugging
from ...ir.graph import Graph
from ...ir.types import F32, MOST_ELEMENTS, TensorType
from ..graph import CONFUSED, UNKNOWN, GraphBuilder, Unsupported
from . import registry
from .archive import SavedLayer, SavedModel
from .context import LayerContext, flat, is_value
from .network import Call, Ref, network


def build_graph(model: SavedModel) -> Graph:
    """The IR graph of a saved model. Raises `ExportError` with every problem found."""
    return _Builder(model).graph()


class _Builder:
    def __init__(self, model: SavedModel) -> None:
        self.model = model
        self.made = GraphBuilder()

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
        self.made.check()
        if UNKNOWN in outputs:
            raise UnreadableModel(f"model {root.name}: an output of the configuration does not exist")
        ports = [(value, ref.layer) for value, ref in zip(outputs, inner.outputs, strict=True)]
        return self.made.finish(root.name, dict(zip(inputs, names, strict=True)), ports)

    def _input(self, path: str, config: Mapping[str, Any], fallback: Any) -> str:
        batched = config.get("batch_input_shape") or config.get("batch_shape") or fallback
        if not isinstance(batched, list) or any(isinstance(n, list) for n in batched):
            advice = "Begin the model with Input(shape=...)"
            return self.made.problem(path, "the input shape is unknown", "fixed shapes", advice)
        shape = tuple(batched[1:])
        if not shape or len(shape) > 4 or any(not isinstance(n, int) or n < 1 for n in shape):
            found, accepted = f"the input has shape {tuple(batched)}", "1 to 4 known dimensions behind the batch"
            return self.made.problem(path, found, accepted, "Give Input(shape=...) fixed sizes")
        if math.prod(shape) > MOST_ELEMENTS:
            return self.made.problem(path, f"the input has shape {shape}", f"at most {MOST_ELEMENTS:,} elements")
        return self.made.value(path, TensorType(shape, F32()))

    def _model(self, model: SavedLayer, inputs: Sequence[str]) -> list[str]:
        """The outputs of a model called on `inputs`."""
        inner = network(model)
        values: dict[tuple[str, int], list[str]] = {}
        if len(inner.inputs) not in (0, len(inputs)):
            found, accepted = f"{len(inputs)} inputs are connected", f"{len(inner.inputs)} inputs"
            return [self.made.problem(model.path, found, accepted)] * len(inner.outputs)
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
            return self._model(call.layer, [value for value in flat(args) if is_value(value)])
        return self._layer(call.layer, args, kwargs)

    def _layer(self, layer: SavedLayer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
        support = registry.find(layer)
        if support is None:
            _, class_name = registry.identify(layer)
            where = f" of {layer.module}" if layer.module else ""
            found = f"{class_name}{where} is not supported"
            return [self.made.problem(layer.path, found, advice=registry.advice_for(layer))]

        def build() -> str | Sequence[str]:
            context = LayerContext(self.made, self.model, layer, args, kwargs, support.weights(layer.config))
            _check_common(context)
            return support.handler(context)

        try:
            return self.made.attempt(layer.path, build)
        except (*CONFUSED, RecursionError) as error:
            if debugging():
                raise
            return [self._confused(layer, support.handler, error)]

    def _confused(self, layer: SavedLayer, handler: registry.Handler, error: Exception) -> str:
        """A configuration no Keras writes (damaged or edited by hand), or a handler that cannot read one that it does.
        What Python says of it is for who wrote the handler: the user, where it was registered."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        handled_by = f"{getattr(handler, '__name__', handler)} ({Path(last.filename).name}:{last.lineno})"
        found = "the configuration holds values of kinds or sizes that this layer does not have"
        if not handler.__module__.startswith(__name__.rpartition(".")[0]):
            found = f"its handler in {handler.__module__} failed: {type(error).__name__}: {error}"
        advice = (
            "Save the model again with Keras; if Keras wrote it so, this is a bug in the handler "
            f"{handled_by}, and DQNN_DEBUG=1 shows where"
        )
        return self.made.problem(layer.path, found, advice=advice, cause=error)


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
    if any(weight.name.startswith("lora_") for weight in context.weights):
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
    return produced[ref.tensor] if 0 <= ref.tensor < len(produced) else UNKNOWN
