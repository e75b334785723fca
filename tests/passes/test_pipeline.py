"""The whole pipeline on random graphs: the evaluator before and after, and the C interpreter on the written file."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from levels import LEVELS
from passes.graph_builder import (
    SIGN,
    Builder,
    batch_norm,
    binary_weights,
    chain_graph,
    compile_and_compare,
    grid_input,
    kernels_of,
    rng_of,
)
from passes.layerwise import run_and_compare
from passes.random_graphs import draw

import dqnn
from dqnn.exporter.emit import writer
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.checks import ValidationError
from dqnn.exporter.ir.evaluate import Evaluation, evaluate
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import S1, S8
from dqnn.exporter.passes import PIPELINE, PassError, run_pipeline

STALE_TYPES = 7008144  # a Concat of mixed formats behind which a type was not inferred anew
FLIPPED_CODE = 7004334  # one code that rounds otherwise, announced; a float behind it is then another


@example(STALE_TYPES)
@example(FLIPPED_CODE)
@given(st.integers(0, 2**32 - 1))
def test_every_pass_keeps_what_every_layer_computes(seed: int) -> None:
    drawn = draw(seed)
    run_and_compare(drawn.graph, [drawn.x])


def stored(interpreter: Any, index: int, evaluation: Evaluation, name: str, sample: int) -> tuple[Any, Any]:
    """(the interpreter's, the evaluator's) output, codes where there are codes."""
    if isinstance(evaluation.graph.types[name].fmt, S8):
        return interpreter.get_output(index, raw=True), evaluation.stored[name][sample]
    return interpreter.get_output(index), evaluation.real(name)[sample]


@example(STALE_TYPES)
@given(st.integers(0, 2**32 - 1))
def test_the_interpreter_gives_the_evaluators_bits(seed: int) -> None:
    drawn = draw(seed)
    graph = run_pipeline(drawn.graph).graph
    evaluation = evaluate(graph, [drawn.x])
    blob = writer.write(graph, producer="test").blob
    for interpreter, sample in product((dqnn.Interpreter(blob, isas=isas) for isas in LEVELS), range(len(drawn.x))):
        for i, name in enumerate(graph.inputs):
            raw = isinstance(graph.types[name].fmt, S8)
            interpreter.set_input(i, evaluation.stored[name][sample] if raw else drawn.x[sample], raw=raw)
        interpreter.invoke()
        for i, name in enumerate(graph.outputs):
            got, wanted = stored(interpreter, i, evaluation, name, sample)
            np.testing.assert_array_equal(got, wanted)


def introduction_network() -> Builder:
    """Larq's introduction network with random weights: 93,556 parameters as the vendor counts."""
    rng = rng_of(0)
    builder = Builder((28, 28, 1))
    pool = ops.MaxPool((2, 2), (2, 2))
    for outputs, inputs, pools in ((32, 1, True), (64, 32, True), (64, 64, False)):
        builder.add(ops.Conv2D(binary_weights(rng, outputs, 3, 3, inputs)))
        if pools:
            builder.add(pool)
        builder.add(batch_norm(rng, outputs))
        if inputs < 64:
            builder.add(SIGN)
    builder.add(ops.Reshape((576,)))
    for outputs, inputs in ((64, 576), (10, 64)):
        builder.add(SIGN)
        builder.add(ops.Dense(binary_weights(rng, outputs, inputs)))
        builder.add(batch_norm(rng, outputs))
    builder.add(ops.Softmax())
    return builder


def test_the_introduction_network_is_five_kernels_and_a_softmax() -> None:
    graph = introduction_network().graph()
    compiled = compile_and_compare(graph, [grid_input(rng_of(1), (28, 28, 1), 20)])
    assert kernels_of(compiled.graph) == ["ConvKernel"] * 5 + ["SoftmaxKernel"]
    assert [str(compiled.graph.types[n.output]) for n in compiled.graph.nodes] == [
        "s1[13x13x32]", "s1[5x5x64]", "s1[3x3x64]", "s1[64]", "f32[10]", "f32[10]",
    ]  # fmt: skip
    assert not compiled.fallbacks
    layers = {layer for node in compiled.graph.nodes for layer in node.layers}
    assert {node.layers[0] for node in graph.nodes} == layers


def test_a_failure_names_pass_and_layer() -> None:
    good = chain_graph((4, 4, 2), ops.Conv2D(binary_weights(rng_of(0), 3, 3, 3, 2)))
    bad = chain_graph((4, 4, 2), ops.Conv2D(ops.Weights("s1", np.zeros((3, 3, 3, 2), np.int8))))
    run_pipeline(good)
    with pytest.raises(ValidationError, match=r"after the front end: Conv2D 'v0' \(layers: conv2d_0\)"):
        run_pipeline(bad)


def test_every_pass_has_a_name_and_its_errors_are_values() -> None:
    assert all(name and callable(function) for name, function in PIPELINE)
    assert issubclass(PassError, ValueError)


def test_several_inputs_and_outputs_keep_order_and_names() -> None:
    builder = Builder((5,), (5,))
    a = builder.add(SIGN, "x1")
    b = builder.add(ops.Binary("add"), "x0", a)
    graph = builder.graph(b, a)
    compiled = run_pipeline(graph).graph
    assert compiled.inputs == ("x0", "x1")
    assert [compiled.ports[name].name for name in compiled.outputs] == [b, a]
    assert compiled.types[compiled.outputs[1]].fmt == S1()


def calls_of(graph: Graph) -> int:
    """Python functions called to compile it."""
    profile = cProfile.Profile()
    profile.runcall(run_pipeline, graph)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def functions(count: int) -> Graph:
    return chain_graph((4,), *[ops.Unary("tanh"), ops.Scale(0.9, 0.1)] * (count // 2))


def residual(count: int) -> Graph:
    builder = Builder((8,))
    value = "x0"
    for _ in range(count // 2):
        value = builder.add(ops.Binary("add"), builder.add(ops.Unary("tanh"), value), value)
    return builder.graph(value)


def convolutions(count: int) -> Graph:
    rng = rng_of(0)
    layer = [ops.Conv2D(binary_weights(rng, 4, 1, 1, 4)), batch_norm(rng, 4), SIGN]
    return chain_graph((2, 2, 4), SIGN, *layer * (count // 3))


def movers(count: int) -> Graph:
    turn = ops.View((4, 4), (1, 0), (0, 0), (1, 1), (1, 1))
    return chain_graph((4, 4), *[turn, ops.Reshape((16,)), ops.Reshape((4, 4))] * (count // 3), SIGN)


@pytest.mark.parametrize("make", [functions, residual, convolutions, movers])
def test_work_grows_with_the_number_of_layers(make: Callable[[int], Graph]) -> None:
    assert calls_of(make(1200)) < 4.6 * calls_of(make(300))
