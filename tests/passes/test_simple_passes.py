"""The passes that rewrite real-valued operators: the smallest graph that must fire, one that must not, same outputs."""

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
    compare,
    compile_and_compare,
    float_weights,
    formats_of,
    grid_input,
    kernels_of,
    rng_of,
)

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.checks import validate
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType
from dqnn.exporter.options import DEFAULTS, ExportOptions
from dqnn.exporter.passes import (
    Context,
    absorb_scale,
    canonicalize,
    choose_kernels,
    fold_padding,
    io_types,
    legalize,
    lower_dense,
    move_quantizers,
    run_pipeline,
)

SHAPE = (4, 5, 6)
RNG = rng_of(0)


def rewritten(function: object, graph: Graph, options: ExportOptions = DEFAULTS) -> tuple[Graph, Context]:
    """One pass alone; its result is valid and computes the same."""
    context = Context(options)
    after = function.run(graph, context)  # type: ignore[attr-defined]
    validate(after)
    inputs = [grid_input(rng_of(1), graph.types[name].shape) for name in graph.inputs]
    a, b = evaluate(graph, inputs), evaluate(after, inputs)
    for old, new in zip(graph.outputs, after.outputs, strict=True):
        compare(a, old, b, new, 1e-6)
    return after, context


# --- canonicalize -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op",
    [
        ops.Dequantize(),
        ops.Reshape(SHAPE),
        ops.Scale(1.0),
        ops.Clip(-np.inf, np.inf),
        ops.Pad((0, 0, 0), (0, 0, 0)),
        ops.MaxPool((1, 1), (1, 1)),
        ops.AvgPool((1, 1), (1, 1)),
        ops.View(SHAPE, (0, 1, 2), (0, 0, 0), (1, 1, 1), (1, 1, 1)),
    ],
)
def test_canonicalize_drops_what_does_nothing(op: ops.Op) -> None:
    after, _ = rewritten(canonicalize, chain_graph(SHAPE, op, ops.Scale(2.0)))
    assert kernels_of(after) == ["Scale"]


@pytest.mark.parametrize(
    "op",
    [
        ops.Reshape((20, 6)),
        ops.Scale(1.0, 0.5),
        ops.Clip(0, np.inf),
        ops.MaxPool((1, 1), (2, 2)),
        ops.View(SHAPE, (0, 1, 2), (0, 0, 0), (1, 1, 1), (1, 1, 2)),
    ],
)
def test_canonicalize_keeps_what_does_something(op: ops.Op) -> None:
    after, _ = rewritten(canonicalize, chain_graph(SHAPE, op, ops.Scale(2.0)))
    assert len(after.nodes) == 2


def test_canonicalize_drops_a_second_quantizer_of_the_same_kind_only() -> None:
    assert kernels_of(rewritten(canonicalize, chain_graph(SHAPE, SIGN, SIGN))[0]) == ["Quantize"]
    assert kernels_of(rewritten(canonicalize, chain_graph(SHAPE, BYTE, BYTE))[0]) == ["Quantize"]
    smaller = ops.Quantize(S8(1 / 16), -100, 100)
    assert kernels_of(rewritten(canonicalize, chain_graph(SHAPE, BYTE, smaller))[0]) == ["Quantize", "Quantize"]


def test_canonicalize_computes_equal_quantizers_once() -> None:
    builder = Builder(SHAPE)
    a = builder.add(ops.Quantize(S1(), source="ste_sign"), "x0")
    b = builder.add(ops.Quantize(S1(), source="approx_sign"), "x0")
    builder.add(ops.Binary("add"), a, b)
    after, _ = rewritten(canonicalize, builder.graph())
    assert kernels_of(after) == ["Quantize", "Binary"]
    assert after.nodes[0].layers == ("quantize_0", "quantize_1")


@pytest.mark.parametrize("shape", [(4, 8, 2), (5, 11, 2), (7, 9, 2)])
def test_canonicalize_merges_pools(shape: tuple[int, ...]) -> None:
    plain, overlapping = ops.MaxPool((2, 2), (2, 2)), ops.MaxPool((2, 2), (1, 1))
    after, _ = rewritten(canonicalize, chain_graph(shape, plain, ops.MaxPool((1, 3), (1, 3))))
    assert [node.op for node in after.nodes] == [ops.MaxPool((2, 6), (2, 6))]
    assert len(rewritten(canonicalize, chain_graph(shape, plain, overlapping))[0].nodes) == 2


def test_canonicalize_finds_slopes_per_channel() -> None:
    alpha = np.broadcast_to(np.linspace(-1, 1, 6).astype(np.float32), SHAPE).copy()
    after, _ = rewritten(canonicalize, chain_graph(SHAPE, ops.PRelu(alpha)))
    assert after.nodes[0].op.alpha.shape == (6,)  # type: ignore[union-attr]
    alpha[1, 1, 1] = 3
    after, _ = rewritten(canonicalize, chain_graph(SHAPE, ops.PRelu(alpha)))
    assert after.nodes[0].op.alpha.shape == SHAPE  # type: ignore[union-attr]


def test_canonicalize_merges_views() -> None:
    """Permute, crop, permute back: how models slice channels."""
    front = ops.View((6, 4, 5), (2, 0, 1), (0, 0, 0), (1, 1, 1), (1, 1, 1))
    crop = ops.View((3, 4, 5), (0, 1, 2), (2, 0, 0), (1, 1, 1), (1, 1, 1))
    back = ops.View((4, 5, 3), (1, 2, 0), (0, 0, 0), (1, 1, 1), (1, 1, 1))
    after, _ = rewritten(canonicalize, chain_graph(SHAPE, front, crop, back))
    assert [node.op for node in after.nodes] == [ops.View((4, 5, 3), (0, 1, 2), (0, 0, 2), (1, 1, 1), (1, 1, 1))]


def test_canonicalize_merges_an_upsampling_with_a_crop_one_way_only() -> None:
    up = ops.View((8, 10, 6), (0, 1, 2), (0, 0, 0), (1, 1, 1), (2, 2, 1))
    crop = ops.View((8, 8, 6), (0, 1, 2), (0, 1, 0), (1, 1, 1), (1, 1, 1))
    assert len(rewritten(canonicalize, chain_graph(SHAPE, up, crop))[0].nodes) == 2
    crop = ops.View((2, 3, 6), (0, 1, 2), (1, 2, 0), (2, 1, 1), (1, 1, 1))
    up = ops.View((4, 6, 6), (0, 1, 2), (0, 0, 0), (1, 1, 1), (2, 2, 1))
    assert len(rewritten(canonicalize, chain_graph(SHAPE, crop, up))[0].nodes) == 1


def test_a_model_that_does_nothing_keeps_its_output() -> None:
    compile_and_compare(chain_graph(SHAPE, ops.Reshape(SHAPE)), [grid_input(RNG, SHAPE)])


# --- lower_dense ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6,), (5, 6), (4, 5, 6), (2, 3, 5, 6)])
def test_dense_of_any_rank_is_a_1x1_convolution(shape: tuple[int, ...]) -> None:
    graph = chain_graph(shape, ops.Dense(float_weights(RNG, 7, 6), np.ones(7)))
    assert kernels_of(rewritten(lower_dense, graph)[0]) == ["Conv2D"]
    compiled = compile_and_compare(graph, [grid_input(RNG, shape)])
    assert kernels_of(compiled.graph) == ["ConvKernel"]


@pytest.mark.parametrize("shape", [(3, 3, 40), (3, 3, 64), (7, 5)])
def test_dense_behind_flatten_reads_the_map(shape: tuple[int, ...]) -> None:
    features = int(np.prod(shape))
    graph = chain_graph(
        TensorType(shape, S1()), ops.Reshape((features,)), ops.Dense(binary_weights(RNG, 33, features)), SIGN
    )
    compiled = compile_and_compare(graph, [grid_input(RNG, shape)])
    assert kernels_of(compiled.graph) == ["ConvKernel"]
    assert compiled.graph.types[compiled.graph.outputs[0]].shape == (33,)


def test_dense_behind_flatten_of_rank_4_reshapes() -> None:
    graph = chain_graph((2, 2, 3, 5), ops.Reshape((60,)), ops.Dense(float_weights(RNG, 3, 60)))
    assert kernels_of(compile_and_compare(graph, [grid_input(RNG, (2, 2, 3, 5))]).graph) == ["Reshape", "ConvKernel"]


# --- fold_padding -----------------------------------------------------------------------------------------------------


def padded_conv(value: float, **conv: object) -> Graph:
    pad = ops.Pad((1, 2, 0), (0, 1, 0), value)
    kernel = ops.Conv2D(binary_weights(RNG, 4, 2, 2, 6), **conv)  # type: ignore[arg-type]
    return chain_graph(TensorType(SHAPE, S1()), pad, kernel)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_padding_folds_into_the_convolution(value: float) -> None:
    after, _ = rewritten(fold_padding, padded_conv(value))
    assert kernels_of(after) == ["Conv2D"]
    assert after.types[after.nodes[0].inputs[0]].fmt == S1()


def test_padding_with_two_values_does_not_fold() -> None:
    other = padded_conv(0.0, padding=((1, 1), (1, 1)), pad_value=1.0)
    assert kernels_of(rewritten(fold_padding, other)[0]) == ["Pad", "Conv2D"]
    same = padded_conv(1.0, padding=((1, 1), (1, 1)), pad_value=1.0)
    assert kernels_of(rewritten(fold_padding, same)[0]) == ["Conv2D"]


def test_padding_of_channels_or_before_input_dilation_does_not_fold() -> None:
    channels = chain_graph(SHAPE, ops.Pad((0, 0, 1), (0, 0, 1)), ops.Conv2D(binary_weights(RNG, 4, 1, 1, 8)))
    assert kernels_of(rewritten(fold_padding, channels)[0]) == ["Pad", "Conv2D"]
    assert kernels_of(rewritten(fold_padding, padded_conv(1.0, up=(2, 2)))[0]) == ["Pad", "Conv2D"]


def test_a_pad_value_the_format_lacks_is_a_named_fallback() -> None:
    compiled = compile_and_compare(padded_conv(0.5), [grid_input(RNG, SHAPE)])
    assert [d.layers for d in compiled.fallbacks] == [("pad_0",)]
    kernel = ops.Conv2D(binary_weights(RNG, 4, 2, 2, 6), padding=((1, 1), (1, 1)), pad_value=0.5)
    compiled = compile_and_compare(chain_graph(TensorType(SHAPE, S1()), kernel), [grid_input(RNG, SHAPE)])
    assert "pad_values" in compiled.fallbacks[0].remedy


# --- move_quantizers --------------------------------------------------------------------------------------------------

MOVERS = [
    ops.Reshape((20, 6)),
    ops.View((5, 4, 6), (1, 0, 2), (0, 0, 0), (1, 1, 1), (1, 1, 1)),
    ops.Pad((1, 0, 0), (0, 1, 0), 0.0),
]


@pytest.mark.parametrize("mover", MOVERS)
@pytest.mark.parametrize("quantizer", [SIGN, BYTE])
def test_quantizers_move_before_movers(mover: ops.Op, quantizer: ops.Op) -> None:
    after, _ = rewritten(move_quantizers, chain_graph(SHAPE, ops.Scale(0.5), mover, quantizer))
    assert kernels_of(after)[-1] == type(mover).__name__


@pytest.mark.parametrize("mover", MOVERS[:2])
def test_per_channel_functions_move_where_the_channels_stay(mover: ops.Op) -> None:
    after, _ = rewritten(move_quantizers, chain_graph(SHAPE, mover, batch_norm(RNG, 6)))
    assert kernels_of(after) == ["BatchNorm", type(mover).__name__]


def test_per_channel_functions_stay_behind_a_flatten() -> None:
    after, _ = rewritten(move_quantizers, chain_graph(SHAPE, ops.Reshape((120,)), batch_norm(RNG, 120)))
    assert kernels_of(after) == ["Reshape", "BatchNorm"]


def test_what_is_read_twice_does_not_move() -> None:
    builder = Builder(SHAPE)
    flat = builder.add(ops.Reshape((120,)))
    bits = builder.add(SIGN, flat)
    after, _ = rewritten(move_quantizers, builder.graph(flat, bits))
    assert kernels_of(after) == ["Reshape", "Quantize"]


def test_a_concat_is_quantized_in_parts() -> None:
    builder = Builder(SHAPE, (4, 5, 3))
    joined = builder.add(ops.Concat(2), "x0", "x1")
    builder.add(SIGN, builder.add(batch_norm(RNG, 9), joined))
    after, _ = rewritten(move_quantizers, builder.graph())
    assert kernels_of(after)[-1] == "Concat" and formats_of(after)[-1] == S1()


def test_a_concat_that_stays_float_is_left_alone() -> None:
    builder = Builder(SHAPE, (4, 5, 3))
    builder.add(batch_norm(RNG, 9), builder.add(ops.Concat(2), "x0", "x1"))
    assert kernels_of(rewritten(move_quantizers, builder.graph())[0]) == ["Concat", "BatchNorm"]


# --- absorb_scale -----------------------------------------------------------------------------------------------------


def test_a_factor_on_bits_goes_into_the_weights() -> None:
    conv = ops.Conv2D(
        binary_weights(RNG, 4, 2, 2, 6, scale=np.arange(1.0, 5.0)), padding=((1, 1), (1, 1)), pad_value=0.5
    )
    graph = chain_graph(SHAPE, SIGN, ops.Scale(0.5), ops.MaxPool((2, 2), (1, 1)), conv)
    after, _ = rewritten(absorb_scale, graph)
    assert kernels_of(after) == ["Quantize", "MaxPool", "Conv2D"]
    assert after.nodes[-1].op.pad_value == 1.0  # type: ignore[union-attr]


def test_a_factor_on_bits_before_float_weights_keeps_the_bits() -> None:
    graph = chain_graph(SHAPE, SIGN, ops.Scale(0.3), ops.Conv2D(float_weights(RNG, 4, 2, 2, 6)), batch_norm(RNG, 4))
    compiled = compile_and_compare(graph, [grid_input(RNG, SHAPE)])
    assert kernels_of(compiled.graph) == ["ConvKernel"] and compiled.graph.types["x0"].fmt == S1()


@pytest.mark.parametrize("weights", [binary_weights(RNG, 4, 2, 2, 6), byte_weights(RNG, 4, 2, 2, 6, half=True)])
def test_an_offset_goes_into_the_bias(weights: ops.Weights) -> None:
    conv = ops.Conv2D(weights, np.arange(4.0))
    after, _ = rewritten(absorb_scale, chain_graph(SHAPE, SIGN, ops.Scale(0.5, 1.0), ops.Scale(2.0, 0.25), conv))
    assert kernels_of(after) == ["Quantize", "Conv2D"]


@pytest.mark.parametrize(
    ("scale", "padding"),
    [(ops.Scale(0.0), ops.NO_PADDING), (ops.Scale(0.5, 0.3), ((1, 0), (0, 0)))],
    ids=["no factor", "padded zeros are no bits"],
)
def test_other_scales_stay(scale: ops.Op, padding: ops.Padding) -> None:
    graph = chain_graph(SHAPE, SIGN, scale, ops.Conv2D(binary_weights(RNG, 4, 2, 2, 6), padding=padding))
    assert kernels_of(rewritten(absorb_scale, graph)[0]) == ["Quantize", "Scale", "Conv2D"]


def test_holes_of_a_transposed_convolution_stop_an_offset() -> None:
    conv = ops.Conv2D(binary_weights(RNG, 4, 2, 2, 6), up=(2, 2))
    assert "Scale" in kernels_of(rewritten(absorb_scale, chain_graph(SHAPE, SIGN, ops.Scale(0.5, 1.0), conv))[0])


def test_a_negative_factor_stays_before_a_max_pool() -> None:
    graph = chain_graph(SHAPE, SIGN, ops.Scale(-1.0), ops.MaxPool((2, 2), (1, 1)), ops.Dense(binary_weights(RNG, 4, 6)))
    assert kernels_of(rewritten(absorb_scale, graph)[0]) == ["Quantize", "Scale", "MaxPool", "Dense"]


# --- io_types ---------------------------------------------------------------------------------------------------------


def test_an_input_takes_the_type_it_is_quantized_to() -> None:
    dense = ops.Dense(byte_weights(RNG, 4, 6))
    compiled = compile_and_compare(chain_graph(SHAPE, BYTE, dense), [grid_input(RNG, SHAPE)])
    assert compiled.graph.types["x0"].fmt == S8(1 / 16)
    assert kernels_of(compiled.graph) == ["ConvKernel"]
    kept = run_pipeline(chain_graph(SHAPE, BYTE, dense), ExportOptions(io_dtype="f32"))
    assert kept.graph.types["x0"].fmt == F32()


def test_a_smaller_range_is_clamped_behind_the_input() -> None:
    graph = chain_graph(SHAPE, ops.Quantize(S8(1 / 64), -100, 90), ops.Dense(byte_weights(RNG, 4, 6)))
    compiled = compile_and_compare(graph, [grid_input(RNG, SHAPE) * 4])
    assert kernels_of(compiled.graph) == ["Table", "ConvKernel"]


def test_an_input_read_in_two_ways_stays_float() -> None:
    builder = Builder(SHAPE)
    a = builder.add(SIGN, "x0")
    b = builder.add(BYTE, "x0")
    builder.add(ops.Binary("add"), a, b)
    assert rewritten(io_types, builder.graph())[0].types["x0"].fmt == F32()


# --- legalize ---------------------------------------------------------------------------------------------------------


def test_concat_takes_a_format_that_holds_all_inputs() -> None:
    builder = Builder(TensorType(SHAPE, S1()), TensorType(SHAPE, S8(0.5)))
    builder.add(ops.Concat(2), "x0", "x1")
    compiled = compile_and_compare(builder.graph(), [grid_input(RNG, SHAPE)] * 2)
    assert formats_of(compiled.graph)[-1] == S8(0.5) and not compiled.fallbacks


def test_concat_of_foreign_formats_is_a_named_fallback() -> None:
    builder = Builder(TensorType(SHAPE, S1()), TensorType(SHAPE, S8(0.3)))
    builder.add(ops.Concat(2), "x0", "x1")
    compiled = compile_and_compare(builder.graph(), [grid_input(RNG, SHAPE)] * 2)
    assert formats_of(compiled.graph)[-1] == F32()
    assert compiled.fallbacks[0].layers == ("concat_0",)


@pytest.mark.parametrize(
    ("quantizers", "joined"),
    [
        # Fewer bits leave room for a grid of all levels: -8..7 and 0..31 eighths.
        ([ops.Quantize(S8(1 / 8), -8, 7), ops.Quantize(S8(1 / 8, -128), -128, -97)], S8(1 / 8)),
        # 4 bits of whole steps, 4 bits of quarters: -32..28 quarters.
        ([ops.Quantize(S8(1.0), -8, 7), ops.Quantize(S8(0.25), -8, 7)], S8(0.25)),
        # Signs among sixteenths, which end below +1 in their own format.
        ([SIGN, ops.Quantize(S8(1 / 16), -16, 15)], S8(1 / 16)),
        # 0..255 and -8..7 of the same step: 264 levels are too many.
        ([ops.Quantize(S8(1 / 8, -128)), ops.Quantize(S8(1 / 8), -8, 7)], F32()),
        # 0..200 and -50..7: room behind a zero point.
        ([ops.Quantize(S8(1 / 8, -128), -128, 72), ops.Quantize(S8(1 / 8), -50, 7)], S8(1 / 8, -78)),
        # A third and a half have no common step.
        ([ops.Quantize(S8(1 / 3), -3, 3), ops.Quantize(S8(1 / 2), -2, 2)], F32()),
    ],
    ids=["room", "finer", "signs", "full", "zero point", "foreign"],
)
def test_concat_takes_the_grid_of_all_levels(quantizers: list[ops.Op], joined: Format) -> None:
    """Quantized maps of different formats stay bytes where a byte holds every level that they use."""
    builder = Builder(SHAPE, SHAPE)
    parts = [builder.add(op, f"x{i}") for i, op in enumerate(quantizers)]
    builder.add(ops.View((2, 5, 12), (0, 1, 2), (0, 0, 0), (2, 1, 1), (1, 1, 1)), builder.add(ops.Concat(2), *parts))
    builder.add(ops.Softmax())
    inputs = [RNG.normal(0, 9, (4, *SHAPE)).astype(np.float32) for _ in range(2)]
    compiled = run_pipeline(builder.graph())
    node = next(node for node in compiled.graph.nodes if isinstance(node.op, ops.Concat))
    assert compiled.graph.types[node.output].fmt == joined
    assert bool(compiled.fallbacks) == isinstance(joined, F32)
    before, after = evaluate(builder.graph(), inputs).outputs[0], evaluate(compiled.graph, inputs).outputs[0]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-7)


def test_concat_of_many_becomes_a_tree() -> None:
    builder = Builder(*[TensorType((3, 2), S1())] * 20)
    builder.add(ops.Concat(1), *builder.inputs)
    graph = builder.graph()
    compiled = compile_and_compare(graph, [grid_input(rng_of(i), (3, 2)) for i in range(20)])
    assert kernels_of(compiled.graph) == ["Concat", "Concat"]


def test_sums_beyond_32_bits_are_a_named_fallback() -> None:
    dense = ops.Dense(byte_weights(RNG, 1, 140_000))
    graph = chain_graph(TensorType((140_000,), S8(1.0)), dense)
    context = Context()
    after = legalize.run(graph, context)
    assert kernels_of(after) == ["Dense"]
    after = legalize.run(lower_dense.run(graph, context), context)
    assert kernels_of(after) == ["Dequantize", "Conv2D"]
    assert context.decisions[0].fallback


# --- choose_kernels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "options", "horizontal"),
    [
        (32, DEFAULTS, False),
        (19, DEFAULTS, True),
        (20, DEFAULTS, False),
        (32, ExportOptions(constant_time=True), True),
    ],
)
def test_few_outputs_or_constant_time_take_horizontal_weights(
    outputs: int, options: ExportOptions, horizontal: bool
) -> None:
    graph = chain_graph(TensorType(SHAPE, S1()), ops.Dense(binary_weights(RNG, outputs, 6)))
    op = run_pipeline(graph, options).graph.nodes[0].op
    assert isinstance(op, ops.ConvKernel) and op.horizontal == horizontal


@pytest.mark.parametrize(
    ("outputs", "size", "fmt", "horizontal"),
    [
        (16, 1, BYTE.fmt, False),
        (15, 1, BYTE.fmt, True),
        (8, 3, S1(), False),
        (7, 3, S1(), True),
        (8, 3, BYTE.fmt, True),
        (8, 1, S1(), True),
    ],
)
def test_groups_take_bit_sliced_weights_sooner(outputs: int, size: int, fmt: Format, horizontal: bool) -> None:
    """Two groups of 8 inputs."""
    weights = binary_weights(RNG, 2 * outputs, size, size, 8)
    graph = chain_graph(TensorType((6, 6, 16), S1()), ops.Conv2D(weights, groups=2), ops.Quantize(fmt))
    op = run_pipeline(graph).graph.nodes[0].op
    assert isinstance(op, ops.ConvKernel) and op.groups == 2 and op.horizontal == horizontal


# --- pack_weights -----------------------------------------------------------------------------------------------------


def few_bits(least: int, most: int, shape: tuple[int, ...] = (8, 12), **others: Any) -> ops.Weights:
    codes = RNG.integers(least, most + 1, shape).astype(np.int8)
    codes.flat[:2] = least, most
    return ops.Weights("s8", codes, np.asarray(0.25), **others)


@pytest.mark.parametrize(
    ("least", "most", "bits"), [(-8, 7, 4), (-2, 1, 2), (-1, 1, 2), (-9, 7, 8), (-8, 8, 8), (-1, 2, 4)]
)
@pytest.mark.parametrize("half", [False, True])
def test_weights_that_fit_have_as_many_bits_as_they_need(least: int, most: int, bits: int, half: bool) -> None:
    graph = chain_graph(
        TensorType((12,), S8(1.0, 3)), ops.Dense(few_bits(least, most, half=half)), ops.Quantize(S8(0.5))
    )
    assert run_pipeline(graph).graph.nodes[0].op.weights.bits == 8  # type: ignore[union-attr]
    compiled = run_pipeline(graph, ExportOptions(pack_weights=True))
    assert compiled.graph.nodes[0].op.weights.bits == bits  # type: ignore[union-attr]
    told = [d for d in compiled.decisions if d.code == "packed-weights"]
    assert [d.decision for d in told] == ([f"weights of {bits} bits"] if bits < 8 else [])
    assert bits == 8 or told[0].reason == f"{12 * 8 * bits // 8} B; 8-bit ones would be 96 B"


@pytest.mark.parametrize(("fmt", "channels"), [(F32(), 12), (S1(), 12), (S8(1.0), 10)])
def test_weights_keep_8_bits_where_no_kernel_unpacks_them(fmt: Format, channels: int) -> None:
    graph = chain_graph(TensorType((channels,), fmt), ops.Dense(few_bits(-2, 1, (8, channels))))
    nodes = run_pipeline(graph, ExportOptions(pack_weights=True)).graph.nodes
    assert {node.op.weights.bits for node in nodes if isinstance(node.op, ops.ConvKernel)} == {8}


def test_a_file_that_would_not_be_smaller_keeps_8_bits() -> None:
    graph = chain_graph(TensorType((12,), S8(1.0)), ops.Dense(few_bits(-8, 7, (1, 12))))
    assert run_pipeline(graph, ExportOptions(pack_weights=True)).graph.nodes[0].op.weights.bits == 8  # type: ignore[union-attr]


def test_many_taps_take_horizontal_weights() -> None:
    graph = chain_graph(TensorType((33000,), S1()), ops.Dense(binary_weights(RNG, 32, 33000)))
    op = run_pipeline(graph).graph.nodes[0].op
    assert isinstance(op, ops.ConvKernel) and op.horizontal


def test_only_binary_convolutions_have_the_choice() -> None:
    graph = chain_graph(TensorType(SHAPE, S8(1.0)), ops.Dense(binary_weights(RNG, 3, 6)))
    assert not choose_kernels.run(run_pipeline(graph).graph, Context()).nodes[0].op.horizontal  # type: ignore[union-attr]
