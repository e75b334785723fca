"""Ports: how reals become codes, codes as uint8, and what stays as the model's file has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from passes.graph_builder import SIGN, batch_norm, binary_weights, chain_graph, compile_and_compare, grid_input, rng_of

import dqnn
from dqnn.exporter.blob import parse
from dqnn.exporter.emit.writer import write
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph, Port
from dqnn.exporter.ir.types import F32, S8, TensorType
from dqnn.exporter.passes import run_pipeline
from dqnn.tensors import Rounding

THIRD = float(np.float32(1 / 255))  # a float32 as .tflite files hold it: not 1 / 255


def ported(graph: Graph, **ports: Port) -> Graph:
    return replace(graph, ports={**graph.ports, **ports})


def around_ties(scale: float) -> Any:
    """Reals at and beside the ties between neighbouring codes."""
    ties = ((np.arange(-128, 127) + 0.5) * scale).astype(np.float32)
    beside = np.nextafter(ties, np.where(np.arange(255) % 2, np.float32(9), np.float32(-9)))
    return np.concatenate([ties, beside])[None]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scale", [THIRD, 1 / 255, 0.1, 0.0376])
def test_an_input_takes_the_rounding_of_its_quantizer(rounding: Rounding, scale: float) -> None:
    """Evaluator and interpreter, which knows the file alone, store the same codes."""
    graph = chain_graph((1, 510, 1), ops.Quantize(S8(scale, 0), rounding=rounding), ops.MaxPool((1, 2), (1, 1)))
    compiled = run_pipeline(graph).graph
    assert compiled.types["x0"].fmt == S8(scale, 0) and compiled.ports["x0"].rounding is rounding
    x = around_ties(scale).reshape((1, 1, 510, 1))
    blob = write(compiled, producer="test").blob
    interpreter = dqnn.Interpreter(blob)
    assert interpreter.inputs[0].rounding is rounding
    got = interpreter.predict(x, raw=False)
    stored = interpreter.to_stored({"x0": x})[0]
    np.testing.assert_array_equal(stored, evaluate(compiled, [x]).stored["x0"])
    np.testing.assert_allclose(got, evaluate(graph, [x]).outputs[0], rtol=1e-6)
    assert parse(blob).prefix.runtime_version == (1 if rounding is Rounding.KERAS else 2)


def test_the_inverse_is_stored_where_a_reader_would_guess_another() -> None:
    """A file holds f32(1/255) for both scales; only their inverses tell them apart."""
    inverses = []
    for scale in (1 / 255, THIRD):
        graph = run_pipeline(chain_graph((1, 4, 1), ops.Quantize(S8(scale)), ops.MaxPool((1, 2), (1, 1)))).graph
        view = parse(write(graph, producer="test").blob)
        inverses.append(view.inputs[0].inverse)
        assert view.tensors[0].type.fmt == S8(THIRD)
    assert inverses == [0.0, float(np.float32(1.0 / THIRD))] and inverses[1] != 255


def test_codes_of_uint8() -> None:
    kind = TensorType((1, 4, 1), S8(0.5, -128))
    graph = chain_graph(kind, ops.MaxPool((1, 2), (1, 1)))
    port = {name: replace(graph.ports[name], unsigned=True) for name in (*graph.inputs, *graph.outputs)}
    blob = write(run_pipeline(ported(graph, **port)).graph, producer="test").blob
    interpreter = dqnn.Interpreter(blob)
    assert interpreter.inputs[0].unsigned and interpreter.outputs[0].unsigned
    assert "uint8" in str(interpreter.inputs[0]) and parse(blob).prefix.runtime_version == 2
    codes = np.array([0, 3, 255, 7], np.uint8).reshape((1, 1, 4, 1))
    want = np.array([3, 255, 255], np.uint8).reshape((1, 1, 3, 1))
    np.testing.assert_array_equal(interpreter.predict(codes, raw=True), want)
    np.testing.assert_array_equal(interpreter.predict(codes), want * np.float32(0.5))
    np.testing.assert_array_equal(interpreter.predict(codes * np.float32(0.5)), want * np.float32(0.5))
    interpreter.set_input(0, codes[0], raw=True)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_output(0, raw=True), want[0])
    with pytest.raises(ValueError, match="takes uint8 stored values, got int8"):
        interpreter.set_input(0, codes[0].view(np.int8), raw=True)


def test_ports_that_are_not_free_stay_floats() -> None:
    rng = rng_of(0)
    conv = ops.Conv2D(binary_weights(rng, 4, 1, 1, 3))
    for first in (ops.Quantize(S8(0.1)), ops.Scale(1 / 255)):
        graph = chain_graph((3, 3, 3), first, conv, batch_norm(rng, 4), SIGN)
        x = [grid_input(rng, (3, 3, 3))]
        assert compile_and_compare(graph, x).graph.types["x0"].fmt != F32()
        fixed = compile_and_compare(ported(graph, x0=Port("x0", free=False)), x).graph
        assert fixed.types["x0"].fmt == F32() and fixed.ports["x0"].samples is None
