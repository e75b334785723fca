"""The arithmetic of quantized files: every pattern becomes the kernel that it should, with the same integers before and
after the passes and in C on every level of this machine; what has no kernel is refused by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from levels import LEVELS
from passes.graph_builder import Builder, kernels_of, rng_of

import dqnn
from dqnn.exporter.emit import writer
from dqnn.exporter.ir import fixed_point, ops
from dqnn.exporter.ir.checks import ValidationError
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph, Node
from dqnn.exporter.ir.types import F32, S8, S32, TensorType
from dqnn.exporter.passes import Compiled, PassError, run_pipeline

MAP = (6, 5, 8)
A, B, OUT = S8(0.05, 3), S8(0.031, -128), S8(0.07, -9)
DOUBLE, SINGLE = ops.FixedRounding.DOUBLE, ops.FixedRounding.SINGLE
SAMPLES = 4


def byte(fmt: S8 = A, shape: tuple[int, ...] = MAP) -> TensorType:
    return TensorType(shape, fmt)


def rescale(
    factor: Any, out: S8 | S32 = OUT, rounding: ops.FixedRounding = DOUBLE, left: int = 0, low: int = -128
) -> ops.Rescale:
    multiplier, shift = (np.atleast_1d(n).astype(np.int32) for n in fixed_point.quantize_multiplier(factor))
    return ops.Rescale(multiplier, shift, out, rounding, left, low)


def codes_of(graph: Graph, seed: int) -> list[Any]:
    rng = rng_of(seed)
    shapes = [(SAMPLES, *graph.types[name].shape) for name in graph.inputs]
    return [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]


def reals_of(graph: Graph, codes: list[Any]) -> list[Any]:
    formats = [graph.types[name].fmt for name in graph.inputs]
    assert all(isinstance(fmt, S8) for fmt in formats)
    return [(c - np.float64(f.zero_point)) * f.scale for c, f in zip(codes, formats, strict=True)]  # type: ignore[union-attr]


def check(graph: Graph, *kernels: str, seed: int = 1) -> Compiled:
    """The graph compiles to these kernels, and no integer changes: in the evaluator, and in C on every level."""
    compiled = run_pipeline(graph)
    assert kernels_of(compiled.graph) == list(kernels)
    codes = codes_of(graph, seed)
    reals = reals_of(graph, codes)
    before, after = evaluate(graph, reals), evaluate(compiled.graph, reals)
    for name, array in zip(graph.inputs, codes, strict=True):
        np.testing.assert_array_equal(before.stored[name], array)
    blob = writer.write(compiled.graph, producer="test").blob
    for isas in LEVELS:
        results = dqnn.Interpreter(blob, isas=isas).predict(codes if len(codes) > 1 else codes[0], raw=True)
        found = list(results.values()) if isinstance(results, dict) else [results]
        for old, new, got in zip(graph.outputs, compiled.graph.outputs, found, strict=True):
            np.testing.assert_array_equal(after.stored[new], before.stored[old])
            np.testing.assert_array_equal(got, before.stored[old], err_msg=isas[-1])
            assert len(np.unique(got)) > 1  # a constant proves nothing
    return compiled


def refused(graph: Graph, *words: str) -> None:
    with pytest.raises((PassError, ValidationError)) as caught:
        run_pipeline(graph)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# --- convolutions -----------------------------------------------------------------------------------------------------


def weights(seed: int, *shape: int, zero_point: Any = None, low: int = -127) -> ops.Weights:
    codes = rng_of(seed).integers(low, 128, shape).astype(np.int8)
    zeros = np.zeros((), np.int8) if zero_point is None else np.asarray(zero_point, np.int8)
    return ops.Weights("s8", codes, np.asarray(0.01), zero_point=zeros)


def bias(seed: int, count: int) -> Any:
    return rng_of(seed).integers(-4000, 4000, count).astype(np.int32)


def factors(seed: int, count: int) -> Any:
    """Of sums of some hundred products; one channel is zero, as TFLite's converter writes dead ones."""
    made = rng_of(seed).uniform(0.0002, 0.002, count)
    made[1] = 0
    return made


@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
@pytest.mark.parametrize("pool", [False, True])
def test_convolution(rounding: ops.FixedRounding, pool: bool) -> None:
    builder = Builder(byte())
    builder.add(ops.Conv2D(weights(2, 7, 3, 3, 8), bias(3, 7), padding=((1, 1), (1, 1)), integer=True))
    builder.add(rescale(factors(4, 7), rounding=rounding, low=-9))
    if pool:
        builder.add(ops.MaxPool((2, 2), (2, 2)))
    compiled = check(builder.graph(), "ConvKernel")
    epilogue = compiled.graph.nodes[0].op.epilogue  # type: ignore[union-attr]
    assert isinstance(epilogue, ops.FixedPoint if rounding is DOUBLE else ops.Fixed64)
    assert not compiled.fallbacks


def test_strides_dilation_groups() -> None:
    builder = Builder(byte())
    builder.add(
        ops.Conv2D(weights(2, 6, 2, 3, 4), None, (2, 1), (1, 2), ((0, 1), (2, 2)), groups=2, integer=True),
    )
    builder.add(rescale(factors(4, 6)))
    check(builder.graph(), "ConvKernel")


def test_transposed_convolution() -> None:
    builder = Builder(byte())
    builder.add(ops.Conv2D(weights(2, 5, 3, 3, 8), bias(3, 5), padding=((2, 1), (2, 1)), up=(2, 2), integer=True))
    builder.add(rescale(factors(4, 5)))
    check(builder.graph(), "ConvKernel")


@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise(rounding: ops.FixedRounding, multiplier: int) -> None:
    builder = Builder(byte())
    op = ops.DepthwiseConv2D(
        weights(2, 3, 3, 8, multiplier), bias(3, 8 * multiplier), padding=((1, 1), (1, 1)), integer=True
    )
    builder.add(op)
    builder.add(rescale(factors(4, 8 * multiplier) * 10, rounding=rounding))
    check(builder.graph(), "ConvKernel")


@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
def test_dense(rounding: ops.FixedRounding) -> None:
    builder = Builder(byte())
    builder.add(ops.Reshape((240,)))
    builder.add(ops.Dense(weights(2, 10, 240), bias(3, 10), integer=True))
    builder.add(rescale(0.0005, rounding=rounding))
    check(builder.graph(), "ConvKernel")


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
def test_weights_with_zero_points(depthwise: bool, rounding: ops.FixedRounding) -> None:
    builder = Builder(byte())
    zeros = np.arange(8) * 30 - 100
    if depthwise:
        builder.add(ops.DepthwiseConv2D(weights(2, 3, 3, 8, 1, zero_point=zeros), bias(3, 8), integer=True))
    else:
        builder.add(ops.Conv2D(weights(2, 8, 3, 3, 8, zero_point=zeros), bias(3, 8), integer=True))
    builder.add(rescale(factors(4, 8) * (10 if depthwise else 1), rounding=rounding))
    compiled = check(builder.graph(), "ConvKernel")
    assert compiled.graph.nodes[0].op.weights.zero_point.any()  # type: ignore[union-attr]


def test_zero_points_that_codes_can_take_in_go() -> None:
    builder = Builder(byte())
    codes = rng_of(2).integers(-60, 60, (8, 1, 1, 8)).astype(np.int8)
    op = ops.Weights("s8", codes, np.asarray(0.01), zero_point=np.asarray(-60, np.int8))
    builder.add(ops.Conv2D(op, bias(3, 8), integer=True))
    builder.add(rescale(0.01))
    compiled = check(builder.graph(), "ConvKernel")
    assert not compiled.graph.nodes[0].op.weights.zero_point.any()  # type: ignore[union-attr]


# --- two inputs -------------------------------------------------------------------------------------------------------


def tflite_add(builder: Builder, a: str, b: str, kind: ops.BinaryKind = "add") -> str:
    """As the reader of .tflite files builds ADD and SUB."""
    scales = [builder.types[name].fmt.scale for name in (a, b)]  # type: ignore[union-attr]
    most = 2 * max(scales)
    left = [builder.add(rescale(s / most, S32(), left=20), n) for s, n in zip(scales, (a, b), strict=True)]
    builder.add(ops.Binary(kind, integer=True), *left)
    return builder.add(rescale(most / (2**20 * OUT.scale)))


@pytest.mark.parametrize("kind", ["add", "sub"])
@pytest.mark.parametrize("shape", [MAP, (1, 1, 8), (1, 1, 1), (6, 1, 8)])
def test_tflites_sums(kind: ops.BinaryKind, shape: tuple[int, ...]) -> None:
    builder = Builder(byte(), byte(B, shape))
    tflite_add(builder, "x0", "x1", kind)
    check(builder.graph(), "FixedBinaryKernel")
    builder = Builder(byte(B, shape), byte())
    tflite_add(builder, "x0", "x1", kind)
    check(builder.graph(), "FixedBinaryKernel")


def test_a_value_added_to_itself_and_to_another() -> None:
    """Rescaled inputs that two sums read."""
    builder = Builder(byte(), byte(B))
    twice = tflite_add(builder, "x0", "x0")
    both = tflite_add(builder, "x0", "x1")
    check(builder.graph(twice, both), "FixedBinaryKernel", "FixedBinaryKernel")


@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
@pytest.mark.parametrize("shape", [MAP, (1, 1, 8)])
def test_products(rounding: ops.FixedRounding, shape: tuple[int, ...]) -> None:
    builder = Builder(byte(), byte(B, shape))
    builder.add(ops.Binary("mul", integer=True), "x0", "x1")
    builder.add(rescale(A.scale * B.scale / OUT.scale, rounding=rounding))
    check(builder.graph(), "FixedBinaryKernel")


@pytest.mark.parametrize("sign", [1, -1])
def test_onnx_sums(sign: int) -> None:
    builder = Builder(byte(), byte(B))
    shift = 30
    factors = (round(A.scale / OUT.scale * 2**shift), sign * round(B.scale / OUT.scale * 2**shift))
    builder.add(ops.WeightedSum(factors, shift, OUT), "x0", "x1")
    check(builder.graph(), "FixedBinaryKernel")


@pytest.mark.parametrize("kind", ["maximum", "minimum"])
def test_maximum_and_minimum(kind: ops.BinaryKind) -> None:
    builder = Builder(byte(), byte(shape=(1, 1, 8)))
    builder.add(ops.Binary(kind, integer=True), "x0", "x1")
    check(builder.graph(), "FixedBinaryKernel")


def constant(builder: Builder, shape: tuple[int, ...], fmt: S8 = B) -> str:
    name = f"v{len(builder.nodes)}"
    values = rng_of(9).integers(-128, 128, shape).astype(np.int8)
    builder.types[name] = TensorType(shape, fmt)
    builder.nodes.append(Node(ops.Constant(values, fmt), (), name, ("constant",)))
    return name


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 8)])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_a_constant_operand_makes_a_table(shape: tuple[int, ...], swap: bool, kind: ops.BinaryKind) -> None:
    builder = Builder(byte())
    operands = ["x0", constant(builder, shape)][:: -1 if swap else 1]
    if kind == "mul":
        builder.add(ops.Binary("mul", integer=True), *operands)
        builder.add(rescale(A.scale * B.scale / OUT.scale))
    else:
        tflite_add(builder, operands[0], operands[1], kind)
    check(builder.graph(), "Table")


def test_a_constant_map_stays_a_map() -> None:
    builder = Builder(byte())
    tflite_add(builder, "x0", constant(builder, MAP))
    check(builder.graph(), "Constant", "FixedBinaryKernel")


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(0, 1), (2,), (0, 1, 2), (1,)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
def test_mean(axes: tuple[int, ...], keepdims: bool, rounding: ops.FixedRounding) -> None:
    builder = Builder(byte())
    builder.add(ops.Reduce("sum", axes, keepdims or len(axes) == 3))
    builder.add(rescale(2 / np.prod([MAP[k] for k in axes]), rounding=rounding))
    check(builder.graph(), "ReduceKernel")


@pytest.mark.parametrize("kind", ["maximum", "minimum"])
def test_extremes(kind: Any) -> None:
    builder = Builder(byte())
    builder.add(ops.Reduce(kind, (2,)))
    check(builder.graph(), "ReduceKernel")


def test_raw_mean_of_windows() -> None:
    builder = Builder(byte())
    builder.add(ops.AvgPool((3, 2), (2, 2), ((1, 1), (0, 1)), raw=True))
    check(builder.graph(), "AvgPoolKernel")


def test_softmax() -> None:
    builder = Builder(byte())
    multiplier, left = (int(n) for n in fixed_point.quantize_multiplier(A.scale * 2**26))
    builder.add(ops.FixedSoftmax(multiplier, left, -int(31 * 2**26 / 2**left)))
    check(builder.graph(), "FixedSoftmax")


@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
def test_requantization_is_a_table(rounding: ops.FixedRounding) -> None:
    builder = Builder(byte())
    builder.add(rescale(0.7, rounding=rounding))
    check(builder.graph(), "Table")


@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
def test_requantization_per_channel(rounding: ops.FixedRounding) -> None:
    builder = Builder(byte())
    builder.add(rescale(np.linspace(0.1, 3, 8), rounding=rounding))
    check(builder.graph(), "ChannelKernel")


def test_tables_per_channel() -> None:
    builder = Builder(byte())
    builder.add(ops.Table(rng_of(5).integers(-128, 128, (8, 256)).astype(np.int8), OUT))
    check(builder.graph(), "Table")


def test_indices() -> None:
    builder = Builder(byte())
    builder.add(ops.Gather((np.array([5, 0, 0, 2]), np.array([4, 3, 2, 1, 0]), None)))
    check(builder.graph(), "Gather")


def test_bilinear_resizing() -> None:
    builder = Builder(byte())
    builder.add(ops.Bilinear((np.array([0, 300, 1024, 1536]), np.array([0, 512, 1100]))))
    check(builder.graph(), "Bilinear")


def test_a_block_of_a_residual_network() -> None:
    builder = Builder(byte())
    builder.add(ops.Conv2D(weights(2, 8, 3, 3, 8), bias(3, 8), padding=((1, 1), (1, 1)), integer=True))
    inner = builder.add(rescale(factors(4, 8), B))
    builder.add(ops.DepthwiseConv2D(weights(5, 3, 3, 8, 1), bias(6, 8), padding=((1, 1), (1, 1)), integer=True), inner)
    builder.add(rescale(factors(7, 8) * 10, B))
    tflite_add(builder, "x0", list(builder.types)[-1])
    builder.add(ops.Reduce("sum", (0, 1)))
    builder.add(rescale(1 / 30))
    builder.add(ops.Dense(weights(8, 4, 8), bias(9, 4), integer=True))
    builder.add(rescale(0.01))
    check(builder.graph(), "ConvKernel", "ConvKernel", "FixedBinaryKernel", "ReduceKernel", "ConvKernel")


# --- what has no kernel -----------------------------------------------------------------------------------------------


def test_sums_that_leave_the_network_are_refused() -> None:
    builder = Builder(byte())
    builder.add(ops.Conv2D(weights(2, 7, 3, 3, 8), integer=True))
    refused(builder.graph(), "conv2d_0", "Rescale")


def test_sums_that_two_read_are_refused() -> None:
    builder = Builder(byte())
    sums = builder.add(ops.Conv2D(weights(2, 7, 3, 3, 8), integer=True))
    outputs = [builder.add(rescale(factor), sums) for factor in (0.001, 0.002)]
    refused(builder.graph(*outputs), "conv2d_0", "nothing else")


def test_integers_never_become_floats() -> None:
    """Sums that could leave int32 are refused by name: in f32 the file's integers would be others."""
    builder = Builder(byte(shape=(140000,)))
    builder.add(ops.Dense(weights(2, 1, 140000), integer=True))
    builder.add(rescale(0.00001))
    refused(builder.graph(), "dense_0")


def test_real_and_integer_islands_stand_side_by_side() -> None:
    builder = Builder(byte())
    builder.add(ops.Conv2D(weights(2, 8, 1, 1, 8), bias(3, 8), integer=True))
    builder.add(rescale(factors(4, 8)))
    builder.add(ops.Dequantize())
    builder.add(ops.Unary("tanh"))
    graph = builder.graph()
    compiled = run_pipeline(graph)
    assert kernels_of(compiled.graph)[0] == "ConvKernel"
    assert compiled.graph.types[compiled.graph.outputs[0]].fmt == F32()
    reals = reals_of(graph, codes_of(graph, 1))
    before, after = evaluate(graph, reals), evaluate(compiled.graph, reals)
    np.testing.assert_allclose(after.outputs[0], before.outputs[0], atol=1e-6)
