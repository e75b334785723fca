"""Both example models on their whole test set: every s1 and s8 tensor inside equals Keras' own, element for element.

The pixels are exact in 8 bits, so all sums are exact and no tie is undecidable: no element may differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

import larq  # noqa: E402, F401  registers its layers
import qkeras  # noqa: E402
import tensorflow as tf  # noqa: E402

import dqnn  # noqa: E402
from dqnn.exporter.emit.writer import write  # noqa: E402
from dqnn.exporter.frontends import load  # noqa: E402
from dqnn.exporter.ir.evaluate import evaluate  # noqa: E402
from dqnn.exporter.ir.graph import Graph, Node, Port  # noqa: E402
from dqnn.exporter.ir.types import F32, S1  # noqa: E402
from dqnn.exporter.passes import run_pipeline  # noqa: E402

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


def quantized(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if not isinstance(graph.types[node.output].fmt, F32)]


def keras_tensor(model: Any, node: Node) -> Any:
    """The Keras tensor that a quantized value stores: the quantized input of the node's last layer, or its output."""
    layer = model.get_layer(node.layers[-1])
    quantizer = getattr(layer, "input_quantizer", None)
    return quantizer(layer.input) if quantizer is not None else layer.output


@pytest.mark.parametrize("name", ["larq", "qkeras"])
def test_every_quantized_tensor_equals_keras(name: str) -> None:
    data = np.load(DIGITS / "digits_test.npz")
    path = DIGITS / f"digits_{name}.h5"
    model = tf.keras.models.load_model(path, custom_objects=_qkeras_objects(), compile=False)
    graph = run_pipeline(load(path)).graph
    evaluation = evaluate(graph, [data["x"]])
    nodes = quantized(graph)
    assert len(nodes) >= 3
    tensors = tf.keras.Model(model.input, [keras_tensor(model, node) for node in nodes]).predict(data["x"], verbose=0)
    for node, keras in zip(nodes, tensors, strict=True):
        ours = evaluation.real(node.output)
        assert np.count_nonzero(ours != keras.reshape(ours.shape)) == 0, node.output
    relative = np.abs(evaluation.outputs[0] - data[f"keras_{name}"]).max() / np.abs(data[f"keras_{name}"]).max()
    assert relative <= 1e-5


def _qkeras_objects() -> dict[str, Any]:
    objects: dict[str, Any] = {}
    qkeras.utils._add_supported_quantized_objects(objects)
    return objects


@pytest.mark.parametrize("name", ["larq", "qkeras"])
def test_the_interpreter_stores_what_the_evaluator_stores(name: str) -> None:
    data = np.load(DIGITS / "digits_test.npz")["x"][:50]
    graph = run_pipeline(load(DIGITS / f"digits_{name}.h5")).graph
    inner = tuple(node.output for node in quantized(graph)) + graph.outputs
    ports = {**graph.ports, **{value: Port(value) for value in inner}}
    watched = replace(graph, outputs=inner, ports=ports)
    evaluation = evaluate(graph, [data])
    interpreter = dqnn.Interpreter(write(watched, producer="test").blob)
    for i, image in enumerate(data):
        interpreter.set_input(0, image)
        interpreter.invoke()
        for k, value in enumerate(inner):
            assert isinstance(graph.types[value].fmt, S1 | F32)
            np.testing.assert_array_equal(interpreter.get_output(k), evaluation.real(value)[i])
