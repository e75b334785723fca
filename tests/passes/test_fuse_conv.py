"""Convolutions with what stands behind them: one kernel where one can do it, and the same outputs always."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from passes.graph_builder import (
    BYTE,
    SIGN,
    Builder,
    batch_norm,
    binary_weights,
    byte_weights,
    chain_graph,
    compile_and_compare,
    float_weights,
    formats_of,
    grid_input,
    kernels_of,
    rng_of,
)
from passes.layerwise import run_and_compare

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType
from dqnn.exporter.options import ExportOptions
from dqnn.exporter.passes import Compiled, run_pipeline

POOL = ops.MaxPool((2, 2), (2, 2))
OVERLAPPING = ops.MaxPool((3, 3), (2, 2))
OVERLAPPING_2 = ops.MaxPool((2, 2), (1, 1))
SHAPE = (9, 8, 5)
FORMATS: dict[str, Format] = {"s1": S1(), "s8": S8(1 / 16, 3), "f32": F32()}
OUTPUTS: dict[str, list[ops.Op]] = {"s1": [SIGN], "s8": [ops.Quantize(S8(0.5, -3))], "f32": []}


def weights_of(kind: str, rng: Any, *shape: int) -> ops.Weights:
    return {"s1": binary_weights, "s8": byte_weights, "f32": float_weights}[kind](rng, *shape)


def only_kernel(graph: Graph) -> ops.ConvKernel:
    assert kernels_of(graph) == ["ConvKernel"]
    op = graph.nodes[0].op
    assert isinstance(op, ops.ConvKernel)
    return op


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("weights", ["s1", "s8", "f32"])
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("depthwise", [False, True])
def test_all_27_combinations_are_one_kernel(fmt: str, weights: str, output: str, depthwise: bool) -> None:
    rng = rng_of(1)
    shape = (3, 3, 5, 2) if depthwise else (10, 3, 3, 5)
    kernel = weights_of(weights, rng, *shape)
    bias = np.rint(rng.normal(size=10) * 4) / 8
    conv: ops.Op = ops.DepthwiseConv2D(kernel, bias) if depthwise else ops.Conv2D(kernel, bias)
    norm = ops.BatchNorm(*(np.full(10, v) for v in (-0.5, 0.25, 1.0, 4.0)), 0.0)
    graph = chain_graph(TensorType(SHAPE, FORMATS[fmt]), conv, norm, POOL, *OUTPUTS[output])
    compiled = compile_and_compare(graph, [grid_input(rng, SHAPE)])
    if weights == "s8" and (kernel.codes == -128).any():
        return  # cannot be negated for the pool behind a falling norm
    op = only_kernel(compiled.graph)
    assert (op.weights.kind, op.pool) == (weights, (2, 2))
    assert not compiled.fallbacks


@pytest.mark.parametrize("fmt", ["s1", "s8"])
@pytest.mark.parametrize("where", ["before", "after", "after sign"])
def test_pool_on_either_side_of_the_norm_with_every_sign_of_gamma(where: str, fmt: str) -> None:
    for seed in range(8):
        rng = rng_of(seed)
        norm = batch_norm(rng, 24, spread=6.0)
        order: dict[str, list[ops.Op]] = {
            "before": [POOL, norm, SIGN],
            "after": [norm, POOL, SIGN],
            "after sign": [norm, SIGN, POOL],
        }
        conv = ops.Conv2D(binary_weights(rng, 24, 3, 3, 5), padding=((1, 1), (1, 1)))
        graph = chain_graph(TensorType(SHAPE, FORMATS[fmt]), conv, *order[where])
        assert only_kernel(compile_and_compare(graph, [grid_input(rng, SHAPE)]).graph).pool == (2, 2)


def test_half_weights_are_negated_for_a_pool() -> None:
    rng = rng_of(3)
    weights = byte_weights(rng, 8, 3, 3, 5, scale=1 / 255, half=True)
    graph = chain_graph(TensorType(SHAPE, S1()), ops.Conv2D(weights), batch_norm(rng, 8, 1.0), POOL, SIGN)
    assert (
        only_kernel(compile_and_compare(graph, [grid_input(rng, SHAPE)]).graph).weights.codes != weights.codes
    ).any()


def test_bytes_that_cannot_be_negated_pool_behind_the_kernel() -> None:
    rng = rng_of(3)
    weights = byte_weights(rng, 8, 3, 3, 5)
    weights.codes[:, 0, 0, 0] = -128
    falling = ops.BatchNorm(-np.ones(8), np.zeros(8), np.rint(rng.normal(size=8) * 100), np.ones(8), 1e-3)
    graph = chain_graph(TensorType(SHAPE, S1()), ops.Conv2D(weights), falling, POOL, SIGN)
    compiled = compile_and_compare(graph, [grid_input(rng, SHAPE)])
    assert kernels_of(compiled.graph) == ["ConvKernel", "MaxPool"]
    assert formats_of(compiled.graph) == [S1(), S1()]


@pytest.mark.parametrize("rising", [True, False])
def test_overlapping_pools_work_on_bits(rising: bool) -> None:
    rng = rng_of(5)
    norm = batch_norm(rng, 24)
    if rising:
        norm = ops.BatchNorm(np.abs(norm.gamma), norm.beta, norm.mean, norm.variance, 1e-3)
    conv = ops.Conv2D(binary_weights(rng, 24, 3, 3, 5))
    compiled = compile_and_compare(
        chain_graph(TensorType(SHAPE, S1()), conv, OVERLAPPING, norm, SIGN), [grid_input(rng, SHAPE)]
    )
    assert kernels_of(compiled.graph) == ["ConvKernel", "MaxPool", *([] if rising else ["ChannelKernel"])]
    assert set(formats_of(compiled.graph)) == {S1()}


def test_overlapping_pools_of_bytes_stay_floats_where_the_norm_falls() -> None:
    rng = rng_of(5)
    conv = ops.Conv2D(binary_weights(rng, 24, 3, 3, 5))
    for norm, first in ((batch_norm(rng, 24), F32()), (ops.Scale(0.5), S8(0.5, -3))):
        graph = chain_graph(TensorType(SHAPE, S1()), conv, OVERLAPPING, norm, ops.Quantize(S8(0.5, -3)))
        assert formats_of(compile_and_compare(graph, [grid_input(rng, SHAPE)]).graph)[0] == first


@pytest.mark.parametrize(
    "steps",
    [
        [ops.Clip(0, np.inf), SIGN],
        [ops.PRelu(np.linspace(0, 1, 10).astype(np.float32)), SIGN],
        [ops.PRelu(np.linspace(-1, 1, 10).astype(np.float32)), SIGN],
        [ops.Unary("leaky_relu", 0.3), SIGN],
        [ops.Unary("tanh"), SIGN],
        [ops.Clip(-1, 1), ops.Quantize(S8(1 / 128))],
        [ops.Clip(0, 6), ops.Quantize(S8(6 / 255, -128))],
        [BYTE, SIGN],
        [ops.Scale(0.2, 0.5), ops.Clip(0, 1), ops.Quantize(S8(1 / 256, -128))],
        [ops.Clip(0, 6)],
        [ops.Ternary(2.5)],
    ],
)
def test_what_one_kernel_takes(steps: list[ops.Op]) -> None:
    rng = rng_of(7)
    conv = ops.Conv2D(binary_weights(rng, 10, 3, 3, 5, scale=0.25), np.rint(rng.normal(size=10)))
    compiled = compile_and_compare(chain_graph(TensorType(SHAPE, S1()), conv, *steps), [grid_input(rng, SHAPE)])
    only_kernel(compiled.graph)


@pytest.mark.parametrize(
    ("steps", "kernels"),
    [
        ([ops.Unary("sigmoid"), BYTE], ["ConvKernel", "UnaryKernel", "ChannelKernel"]),
        ([ops.Unary("abs"), ops.Scale(1.0, -2.0), SIGN], ["ConvKernel", "UnaryKernel", "ChannelKernel"]),
        ([ops.Clip(0, 6), ops.PRelu(np.full(10, -1.0, np.float32))], ["ConvKernel", "PReluKernel"]),
        ([POOL, OVERLAPPING_2, SIGN], ["ConvKernel", "MaxPool"]),
    ],
)
def test_what_stays_outside(steps: list[ops.Op], kernels: list[str]) -> None:
    rng = rng_of(7)
    conv = ops.Conv2D(binary_weights(rng, 10, 3, 3, 5, scale=0.25))
    compiled = compile_and_compare(chain_graph(TensorType(SHAPE, S1()), conv, *steps), [grid_input(rng, SHAPE)])
    assert [name for name in kernels_of(compiled.graph) if name != "ChannelKernel"] == [
        k for k in kernels if k != "ChannelKernel"
    ]


def test_a_value_used_twice_is_kept() -> None:
    rng = rng_of(9)
    builder = Builder(TensorType(SHAPE, S1()))
    x = builder.add(ops.Conv2D(binary_weights(rng, 5, 1, 1, 5)))
    normed = builder.add(batch_norm(rng, 5), x)
    bits = builder.add(SIGN, normed)
    y = builder.add(ops.Conv2D(binary_weights(rng, 5, 1, 1, 5)), bits)
    builder.add(ops.Binary("add"), y, normed)
    compiled = compile_and_compare(builder.graph(), [grid_input(rng, SHAPE)])
    assert kernels_of(compiled.graph) == ["ConvKernel", "ChannelKernel", "ConvKernel", "BinaryKernel"]
    assert formats_of(compiled.graph) == [F32(), S1(), F32(), F32()]


def test_an_output_in_the_middle_is_kept() -> None:
    rng = rng_of(9)
    builder = Builder(TensorType(SHAPE, S1()))
    x = builder.add(ops.Conv2D(binary_weights(rng, 5, 1, 1, 5)))
    y = builder.add(SIGN, x)
    compiled = compile_and_compare(builder.graph(x, y), [grid_input(rng, SHAPE)])
    assert formats_of(compiled.graph) == [F32(), S1()]


def test_transposed_convolutions_fuse_too() -> None:
    rng = rng_of(11)
    conv = ops.Conv2D(binary_weights(rng, 24, 3, 3, 5), padding=((2, 2), (2, 2)), up=(2, 2))
    graph = chain_graph(TensorType(SHAPE, S1()), conv, batch_norm(rng, 24), POOL, SIGN)
    op = only_kernel(compile_and_compare(graph, [grid_input(rng, SHAPE)]).graph)
    assert op.up == (2, 2) and op.horizontal


def test_requantization_as_tflite_does_it() -> None:
    rng = rng_of(13)
    conv = ops.Conv2D(byte_weights(rng, 8, 3, 3, 5, scale=rng.uniform(0.001, 0.01, 8)), rng.normal(size=8))
    graph = chain_graph(TensorType(SHAPE, S8(0.1, 4)), conv, ops.Clip(0, np.inf), ops.Quantize(S8(0.07, -128)))
    op = only_kernel(run_pipeline(graph, ExportOptions(requant="tflite")).graph)
    assert isinstance(op.epilogue, ops.FixedPoint)
    op = only_kernel(run_pipeline(graph).graph)
    assert isinstance(op.epilogue, ops.Affine)


def tflite(graph: Graph, seed: int = 0) -> Compiled:
    return run_and_compare(graph, [grid_input(rng_of(seed), SHAPE)], ExportOptions(requant="tflite"))


@pytest.mark.parametrize("kind", ["s1", "s8"])
@pytest.mark.parametrize("gamma", [[1.0, -1.0, 0.0, -0.3, 0.7], [0.0] * 5, [-1.0] * 5])
def test_tflites_rounding_takes_factors_of_any_sign(kind: str, gamma: list[float]) -> None:
    """Falling channels are negated, constant ones are their bias."""
    rng = rng_of(17)
    weights = binary_weights(rng, 5, 3, 3, 5, scale=0.01)
    if kind == "s8":
        weights = byte_weights(rng, 5, 3, 3, 5, scale=rng.uniform(0.0001, 0.001, 5), low=-127)
    norm = ops.BatchNorm(np.array(gamma), rng.normal(size=5), rng.normal(size=5), np.ones(5), 1e-3)
    source = TensorType(SHAPE, S8(0.1, 4))
    compiled = tflite(chain_graph(source, ops.Conv2D(weights), norm, ops.Clip(0, 6), ops.Quantize(S8(0.05, -128))))
    assert isinstance(only_kernel(compiled.graph).epilogue, ops.FixedPoint)
    assert not compiled.fallbacks


def test_tflites_clamp_rounds_half_away() -> None:
    """6 / 0.16 = 37.5 in float32: half to even gives 38, too; 6 / 0.48 = 12.5: 13 in TFLite, 12 in Keras."""
    weights = byte_weights(rng_of(0), 2, 1, 1, 5, scale=0.01)
    for scale, most in ((0.48, 13), (0.16, 38)):
        graph = chain_graph(TensorType(SHAPE, S8(0.1)), ops.Conv2D(weights), ops.Clip(0, 6), ops.Quantize(S8(scale)))
        epilogue = only_kernel(run_pipeline(graph, ExportOptions(requant="tflite")).graph).epilogue
        assert isinstance(epilogue, ops.FixedPoint)
        assert (epilogue.act_min, epilogue.act_max) == (0, most)


@pytest.mark.parametrize(
    ("conv", "steps", "reason"),
    [
        (ops.Conv2D(ops.Weights("s8", np.full((5, 1, 1, 5), -128, np.int8))), [ops.Scale(-0.001)], "a weight of -128"),
        (ops.Conv2D(ops.Weights("s1", np.ones((5, 1, 1, 5), np.int8)), np.full(5, 0.4)), [], "no whole number of sums"),
    ],
)
def test_where_tflites_rounding_does_not_apply_the_report_says_so(
    conv: ops.Conv2D, steps: list[ops.Op], reason: str
) -> None:
    source = TensorType(SHAPE, S8(1.0))
    compiled = tflite(chain_graph(source, conv, *steps, ops.Quantize(S8(0.3))))
    assert reason in compiled.fallbacks[0].reason
    assert not run_pipeline(chain_graph(source, conv, *steps, ops.Quantize(S8(0.3)))).fallbacks


def test_a_convolution_of_one_tap_still_reaches_zero_at_its_borders() -> None:
    rng = rng_of(15)
    conv = ops.DepthwiseConv2D(binary_weights(rng, 1, 1, 5, 1), padding=((1, 1), (1, 1)))
    for last in (ops.Quantize(S8(0.05, 3)), ops.Unary("exp"), ops.Clip(0, 6)):
        graph = chain_graph(TensorType(SHAPE, S1()), conv, batch_norm(rng, 5), last)
        compile_and_compare(graph, [grid_input(rng, SHAPE)])


def test_the_report_says_why_a_quantizer_was_not_reached() -> None:
    rng = rng_of(17)
    conv = ops.Conv2D(binary_weights(rng, 10, 3, 3, 5))
    graph = chain_graph(TensorType(SHAPE, S1()), conv, ops.Unary("sigmoid"), BYTE)
    decisions = compile_and_compare(graph, [grid_input(rng, SHAPE)]).decisions
    assert any("no single epilogue computes unary_1" in decision.reason for decision in decisions)
