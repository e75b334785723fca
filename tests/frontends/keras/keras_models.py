"""Small Keras models for the front-end tests: random weights, the three ways to read them, and the comparison with
Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dqnn.exporter.frontends import build_graph, read_model
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph


def randomize(model: Any, seed: int = 0) -> Any:
    """Random weights; variances stay positive, gammas take both signs."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        name = variable.name.rsplit("/", 1)[-1]
        if variable.dtype.is_integer:
            continue
        values = rng.normal(0, 0.5, variable.shape)
        if "variance" in name:
            values = np.abs(values) + 0.1
        variable.assign(values.astype(np.float32))
    return model


def single(layer: Any, shape: tuple[int, ...], seed: int = 0) -> Any:
    """A model of one layer."""
    import tensorflow as tf

    x = tf.keras.Input(shape)
    return randomize(tf.keras.Model(x, layer(x)), seed)


def inputs_of(model: Any, batch: int = 3, seed: int = 5) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 1, (batch, *x.shape[1:])).astype(np.float32) for x in model.inputs]


def outputs_of(model: Any, arrays: list[Any]) -> list[Any]:
    result = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    return [np.asarray(y) for y in (result if isinstance(result, list | tuple) else [result])]


def readings(model: Any, folder: Path, formats: tuple[str, ...] = ("h5", "keras", "memory")) -> dict[str, Graph]:
    """The graph of a model read from each kind of source."""
    graphs = {}
    for name in formats:
        source = model
        if name != "memory":
            source = folder / f"model.{name}"
            model.save(source)
        graphs[name] = build_graph(read_model(source))
    return graphs


def weights_of(source: Any) -> dict[str, list[Any]]:
    """The arrays of every layer, sorted so that sources with and without names compare."""
    saved = read_model(source)
    return {path: [weight.value for weight in weights] for path, weights in saved.weights.items() if weights}


def agrees(model: Any, graph: Graph, tolerance: float = 1e-5) -> None:
    """The evaluator's outputs are Keras', up to float32 rounding."""
    arrays = inputs_of(model)
    wanted = outputs_of(model, arrays)
    found = evaluate(graph, arrays).outputs
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        scale = max(float(np.abs(theirs).max(initial=0)), 1e-6)
        assert float(np.abs(ours - theirs).max(initial=0)) <= tolerance * scale


Build = Callable[[], Any]
