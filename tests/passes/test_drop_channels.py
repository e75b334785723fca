"""Channels that can change nothing: they go, nothing else does, and no bit changes, in the evaluator before and after
the pass and in C on every level of this machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from levels import LEVELS
from passes.dead_graphs import Net, draw
from passes.graph_builder import Builder, binary_weights, chain_graph, kernels_of, rng_of

import dqnn
from dqnn.exporter.api import export
from dqnn.exporter.bench.cost import macs_of
from dqnn.exporter.emit import writer
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import S8, TensorType
from dqnn.exporter.passes import PIPELINE, Context, drop_channels, run_pipeline

ZERO = S8(1 / 16, -20)
PADDED: ops.Padding = ((1, 1), (1, 1))
SEEDS = 300


def in_front_of_the_pass(graph: Graph) -> Graph:
    """What the pass is given."""
    context = Context()
    for name, function in PIPELINE:
        if name == "drop_channels":
            return graph
        graph = function(graph, context)
    raise AssertionError("the pipeline has no such pass")


def reals(graph: Graph, seed: int, samples: int = 3) -> list[Any]:
    """Numbers of random codes."""
    made = []
    for name in graph.inputs:
        fmt, shape = graph.types[name].fmt, (samples, *graph.types[name].shape)
        assert isinstance(fmt, S8)
        made.append((rng_of(seed).integers(-128, 128, shape) - np.float64(fmt.zero_point)) * fmt.scale)
    return made


def check(graph: Graph, seed: int = 1) -> tuple[Graph, Graph]:
    """The graph before and after the pass: the same bits, and the same from C."""
    before = in_front_of_the_pass(graph)
    after = drop_channels.run(before, Context())
    final = run_pipeline(graph).graph
    inputs = reals(graph, seed)
    evaluations = [evaluate(g, inputs) for g in (before, after, final)]
    wanted = [evaluations[0].stored[name] for name in before.outputs]
    for evaluation in evaluations[1:]:
        for name, array in zip(evaluation.graph.outputs, wanted, strict=True):
            found = evaluation.stored[name]
            np.testing.assert_array_equal(found.reshape(array.shape), array)
    blob = writer.write(final, producer="test").blob
    codes = [evaluations[2].stored[name] for name in final.inputs]
    for isas in LEVELS:
        results = dqnn.Interpreter(blob, isas=isas).predict(codes[0], raw=True)
        outputs = list(results.values()) if isinstance(results, dict) else [results]
        for array, got in zip(wanted, outputs, strict=True):
            np.testing.assert_array_equal(got.reshape(array.shape), array, err_msg=isas[-1])
    return before, after


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_bit_changes_on_random_graphs(seed: int) -> None:
    check(draw(seed), seed)


def test_the_random_graphs_have_what_they_are_for() -> None:
    narrowed = [after for after, context in map(passed, range(SEEDS)) if context.parts]
    kinds = {name for graph in narrowed for name in kernels_of(graph)}
    assert len(narrowed) > SEEDS / 3
    assert kinds >= {
        "ConvKernel", "Table", "MaxPool", "AvgPoolKernel", "FixedBinaryKernel", "BinaryKernel", "Concat", "Pad", "View",
        "Gather", "Reshape", "ReduceKernel",
    }  # fmt: skip


def passed(seed: int) -> tuple[Graph, Context]:
    context = Context()
    return drop_channels.run(in_front_of_the_pass(draw(seed)), context), context


# --- one thing at a time ----------------------------------------------------------------------------------------------


def weights(*shape: int, dead: Any = (), unread: Any = ()) -> ops.Weights:
    """OHWI without a zero, but for whole outputs and inputs."""
    codes = rng_of(sum(shape)).integers(1, 60, shape) * rng_of(7).choice([-1, 1], shape)
    codes[list(dead)] = 0
    codes[..., list(unread)] = 0
    return ops.Weights("s8", codes.astype(np.int8), np.asarray(0.01))


def conv(made: ops.Weights, bias: Any = None, **window: Any) -> ops.Conv2D:
    whole = np.zeros(len(made.codes)) if bias is None else np.asarray(bias)
    return ops.Conv2D(made, whole.astype(np.int32), integer=True, **window)


def depthwise(channels: int, multiplier: int = 1, **window: Any) -> ops.DepthwiseConv2D:
    codes = rng_of(channels).integers(1, 60, (3, 3, channels, multiplier)).astype(np.int8)
    return ops.DepthwiseConv2D(
        ops.Weights("s8", codes), np.zeros(channels * multiplier, np.int32), integer=True, **window
    )


def requantize(low: int = -128, rounding: ops.FixedRounding = ops.FixedRounding.DOUBLE, factor: float = 0.004) -> Any:
    return Net.rescale(factor, ZERO, rounding, low=low)


def small(*operators: ops.Op, channels: int = 4) -> Graph:
    return chain_graph(TensorType((5, 4, channels), ZERO), *operators)


def shapes(graph: Graph) -> list[int]:
    """Channels of every value but the input."""
    return [graph.types[node.output].shape[-1] for node in graph.nodes]


def test_an_output_without_weights_goes_and_so_does_what_reads_it() -> None:
    first, last = weights(6, 3, 3, 4, dead=(1, 4)), weights(3, 1, 1, 6)
    _, after = check(small(conv(first, padding=PADDED), requantize(), conv(last), requantize()))
    assert shapes(after) == [4, 3]
    np.testing.assert_array_equal(after.nodes[1].op.weights.codes, last.codes[..., [0, 2, 3, 5]])  # type: ignore[union-attr]


def test_padding_with_another_code_keeps_a_constant() -> None:
    """Channel 1 is a constant that is not zero: at the borders the readers see it go."""
    biased = conv(weights(3, 1, 1, 4, dead=(1,)), (0, 500, 0))
    for reader in (conv(weights(2, 3, 3, 3), padding=PADDED), depthwise(3, padding=PADDED)):
        _, after = check(small(biased, requantize(), reader, requantize()))
        assert shapes(after)[0] == 3
    same = conv(weights(2, 3, 3, 3), padding=PADDED, pad_value=500 * 0.004 * ZERO.scale)
    assert shapes(check(small(biased, requantize(), same, requantize()))[1]) == [2, 2]


def test_zeros_between_cells_keep_a_constant() -> None:
    """Of a transposed convolution: unless the constant is zero, too."""
    for bias, left in ((500, 3), (0, 2)):
        first = conv(weights(3, 1, 1, 4, dead=(1,)), (0, bias, 0))
        _, after = check(small(first, requantize(), conv(weights(2, 2, 2, 3), up=(2, 2)), requantize()))
        assert shapes(after) == [left, 2]


@pytest.mark.parametrize("rounding", ops.FixedRounding)
def test_a_constant_becomes_part_of_the_bias(rounding: ops.FixedRounding) -> None:
    biased = conv(weights(3, 1, 1, 4, dead=(1,)), (0, 4000, 0))
    before, after = check(small(biased, requantize(), conv(weights(2, 3, 3, 3)), requantize(rounding=rounding)))
    assert shapes(after) == [2, 2]
    old, new = (graph.nodes[-1].op.epilogue for graph in (before, after))  # type: ignore[union-attr]
    held = "bias" if rounding is ops.FixedRounding.DOUBLE else "offset"
    assert (getattr(old, held) != getattr(new, held)).all()


def test_a_float_epilogue_takes_no_constant_but_zero() -> None:
    """acc * scale + offset rounds twice: the sum has to stay in acc."""
    quantize = ops.Quantize(ZERO)
    reader = ops.Conv2D(weights(2, 1, 1, 3), np.array([0.1, 0.2]))
    for bias, left in ((4000, 3), (0, 2)):
        first = conv(weights(3, 1, 1, 4, dead=(1,)), (0, bias, 0))
        _, after = check(small(first, requantize(), reader, quantize))
        assert shapes(after) == [left, 2]


def test_a_channel_whose_factor_is_zero_is_a_constant() -> None:
    factors = np.array([0.004, 0.0, 0.004])
    first = [conv(weights(3, 1, 1, 4)), Net.rescale(factors, ZERO)]
    assert shapes(check(small(*first, conv(weights(2, 1, 1, 3)), requantize()))[1]) == [2, 2]


def test_channels_that_nobody_reads_go_back_to_their_producer() -> None:
    layers = [conv(weights(6, 1, 1, 4)), requantize(), depthwise(6), requantize(), ops.MaxPool((1, 1), (1, 1))]
    _, after = check(small(*layers, conv(weights(2, 1, 1, 6, unread=(0, 5))), requantize()))
    assert shapes(after) == [4, 4, 2]


def test_of_a_depthwise_multiplier_all_outputs_have_to_be_dead() -> None:
    layers = [conv(weights(3, 1, 1, 4)), requantize(), depthwise(3, 2), requantize()]
    _, after = check(small(*layers, conv(weights(2, 1, 1, 6, unread=(0, 2, 3))), requantize()))
    assert shapes(after) == [2, 4, 2]


@pytest.mark.parametrize(("dead", "left"), [((1, 2), 3), ((), 5)])
def test_a_sum_of_two_maps_agrees(dead: tuple[int, ...], left: int) -> None:
    """Constants on one side alone leave a sum that varies."""
    builder = Builder(TensorType((5, 4, 4), ZERO))
    one = builder.add(requantize(), builder.add(conv(weights(5, 1, 1, 4, dead=(1, 2))), "x0"))
    other = builder.add(requantize(), builder.add(conv(weights(5, 3, 3, 4, dead=dead), padding=PADDED), "x0"))
    builder.add(ops.WeightedSum((300, 400), 10, ZERO), one, other)
    builder.add(conv(weights(2, 1, 1, 5)))
    builder.add(requantize())
    _, after = check(builder.graph())
    assert shapes(after) == [left, left, left, 2]


def test_through_a_flatten() -> None:
    first = [conv(weights(3, 1, 1, 4, dead=(2,))), requantize(), ops.Reshape((60,)), ops.Table(TURN, ZERO)]
    last = ops.Dense(weights(2, 60), np.zeros(2, np.int32), integer=True)
    _, after = check(small(*first, last, requantize(factor=0.0004)))
    assert [after.types[node.output].shape for node in after.nodes[:3]] == [(5, 4, 2), (40,), (40,)]


TURN = np.arange(-128, 128).astype(np.int8)[::-1].copy()


def test_what_a_user_sees_stays() -> None:
    """Inputs and outputs, whatever is dead in them."""
    layers = [conv(weights(3, 1, 1, 4, dead=(0, 1), unread=(2,))), requantize()]
    graph = in_front_of_the_pass(small(*layers))
    assert drop_channels.run(graph, Context()) is graph


def test_one_channel_stays() -> None:
    layers = [conv(weights(3, 1, 1, 4, dead=(0, 1, 2))), requantize(), conv(weights(2, 1, 1, 3)), requantize()]
    assert shapes(check(small(*layers))[1]) == [1, 2]


def test_groups_and_bits_are_left_alone() -> None:
    grouped = [conv(weights(4, 1, 1, 2, dead=(0,)), groups=2), requantize()]
    binary = ops.Conv2D(binary_weights(rng_of(1), 4, 1, 1, 4), None)
    for first in (grouped, [binary, ops.Quantize(ZERO)]):
        graph = in_front_of_the_pass(small(*first, conv(weights(2, 1, 1, 4, unread=(3,))), requantize()))
        assert drop_channels.run(graph, Context()) is graph


def test_a_graph_without_dead_channels_is_the_same_graph() -> None:
    layers = [conv(weights(5, 3, 3, 4)), requantize(), depthwise(5), requantize()]
    graph = in_front_of_the_pass(small(*layers[:2], conv(weights(2, 1, 1, 5)), requantize()))
    assert drop_channels.run(graph, Context()) is graph


def dead_network() -> Graph:
    layers = [conv(weights(6, 3, 3, 4, dead=(1, 4)), padding=PADDED), requantize(), depthwise(6, padding=PADDED)]
    return small(*layers, requantize(), conv(weights(3, 1, 1, 6)), requantize())


def test_the_report_says_what_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = dead_network()
    new = export(graph)
    monkeypatch.setattr("dqnn.exporter.passes.PIPELINE", [p for p in PIPELINE if p[0] != "drop_channels"])
    old = export(graph)
    said = [d for d in new.report.decisions if d.code == "dead-channels"]
    assert [d.decision for d in said] == [
        "without 2 of 6 outputs", "without 2 of 6 outputs and 2 of 6 inputs", "without 2 of 6 inputs",
    ]  # fmt: skip
    assert said[0].layers == ("conv2d_0", "rescale_1") and not new.report.fallbacks
    numbers = [[int(w) for w in d.reason.replace(",", "").split() if w.isdigit()] for d in said]
    macs, size = map(sum, zip(*numbers, strict=True))
    views = [result.report.model for result in (old, new)]
    costs = [sum(macs_of(view, node) for node in view.nodes) for view in views]
    constants = [sum(view.constant_bytes(node) for node in view.nodes) for view in views]
    assert macs == costs[0] - costs[1] > 0
    assert 0 < size <= constants[0] - constants[1]  # which are padded


def test_layers_are_compared_by_the_channels_that_are_left() -> None:
    graph = dead_network()
    inputs = reals(graph, 3)[0].astype(np.float32)
    report = dqnn.validate(export(graph).blob, graph, inputs, original="evaluator", per_layer=True)
    assert [layer.inexact for layer in report.layers] == [0, 0, 0]
    assert [layer.differing for layer in report.layers] == [0, 0, 0]
