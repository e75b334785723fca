"""Keras layers called one after the other, eagerly, with a record from which the exporter reads a model.

A functional model costs a trace per layer, most of the time of a small comparison; a tape costs the layers' arithmetic.
It looks to the exporter like a model in memory: `name`, `layers`, `to_json()`.

Each value carries a bound of the error of Keras' float32 numbers against real arithmetic (0: exact), and the elements
behind a quantizer whose decision lies within that error, which a comparison must leave out."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from compare import Array, KerasRefuses

KERAS = tf.keras.Model.__module__.partition(".")[0]  # keras, or tf_keras where that is Keras 2
serialization_lib: Any = importlib.import_module(f"{KERAS}.src.saving.serialization_lib")
json_utils: Any = importlib.import_module(f"{KERAS}.src.saving.legacy.saved_model.json_utils")


@dataclass(frozen=True, eq=False)
class Value:
    """What a layer gave: for the next layers, and for the comparison."""

    name: str
    tensor: Any
    error: float = 0.0
    unsure: Array | None = None  # elements that rounding may have decided
    node: int = 0  # which call of the layer

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape[1:])

    @property
    def array(self) -> Array:
        return np.asarray(self.tensor)

    @property
    def largest(self) -> float:
        return float(np.abs(self.array).max(initial=0.0))

    @property
    def spoilt(self) -> bool:
        """Whether anything computed from it could be anything."""
        return self.unsure is not None and bool(self.unsure.any())


@dataclass
class Tape:
    """`layers` are what the exporter reads weights from; `outputs` are named at the end."""

    name: str = "tape"
    layers: list[Any] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    shared: list[tuple[Any, Any, tuple[int, ...]]] = field(default_factory=list)  # layers that may be called again
    _entries: list[dict[str, Any]] = field(default_factory=list)

    def input(self, data: Array) -> Value:
        layer = tf.keras.layers.InputLayer(data.shape[1:], name=f"input_{len(self.inputs)}")
        self._record(layer, ())
        value = Value(layer.name, tf.constant(data))
        self.inputs.append(value)
        return value

    def build(self, layer: Any, *values: Value) -> Any:
        """Creates the layer's weights for these inputs."""
        shapes = [tf.TensorShape((None, *value.shape)) for value in values]
        asking_keras(lambda: layer.build(shapes[0] if len(shapes) == 1 else shapes))
        layer.built = True
        return layer

    def call(self, layer: Any, *values: Value, error: float = 0.0, unsure: Array | None = None) -> Value:
        """The layer on these values; what is unsure before it spoils everything behind it."""
        tensors = [value.tensor for value in values]
        result = asking_keras(lambda: layer(tensors[0] if len(tensors) == 1 else tensors, training=False))
        if 0 in result.shape:
            raise KerasRefuses("an empty map")
        if not np.isfinite(np.asarray(result)).all():
            raise KerasRefuses("a value that is not finite")
        if any(value.spoilt for value in values):
            unsure = np.ones(result.shape, bool)
        return Value(layer.name, result, error, unsure, self._record(layer, values))

    def _record(self, layer: Any, values: tuple[Value, ...]) -> int:
        """Notes a call of a new layer, or one more of a known layer; returns its number."""
        call = [[value.name, value.node, 0, {}] for value in values]
        for known, entry in zip(self.layers, self._entries, strict=True):
            if known is layer:
                entry["inbound_nodes"].append(call)
                return len(entry["inbound_nodes"]) - 1
        entry = serialization_lib.serialize_keras_object(layer)
        entry["name"] = layer.name
        entry["inbound_nodes"] = [call] if call else []
        self._entries.append(entry)
        self.layers.append(layer)
        return 0

    def to_json(self) -> str:
        config = {
            "name": self.name,
            "layers": self._entries,
            "input_layers": [[value.name, 0, 0] for value in self.inputs],
            "output_layers": [[value.name, value.node, 0] for value in self.outputs],
        }
        model = {
            "class_name": "Functional",
            "config": config,
            "keras_version": importlib.import_module(KERAS).__version__,
        }
        return json.dumps(model, default=json_utils.get_json_type)


def asking_keras(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        raise KerasRefuses(f"{type(error).__name__}: {str(error).splitlines()[0][:80]}") from error


def unit(*arrays: Array) -> float:
    """The largest power of two of which every number is a multiple; infinity if all are 0."""
    smallest = np.inf
    for array in arrays:
        mantissa, exponent = np.frexp(array[array != 0].astype(np.float64))
        if mantissa.size:
            bits = np.abs(mantissa * 2.0**53).astype(np.int64)
            lowest = (bits & -bits).astype(np.float64)
            smallest = min(smallest, float((lowest * 2.0 ** (exponent - 53.0)).min()))
    return smallest
