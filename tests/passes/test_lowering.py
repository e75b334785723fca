"""Operators that no convolution takes: channel kernels, tables, binary and pool kernels."""

from __future__ import annotations

import numpy as np
import pytest
from passes.graph_builder import (
    BYTE,
    SIGN,
    Builder,
    batch_norm,
    chain_graph,
    compile_and_compare,
    formats_of,
    grid_input,
    kernels_of,
    rng_of,
)

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType

SHAPE = (6, 4, 7)
BIT, SMALL, FLOAT = TensorType(SHAPE, S1()), TensorType(SHAPE, S8(1 / 16, 3)), TensorType(SHAPE, F32())
FINE = ops.Quantize(S8(1 / 32, -5))


@pytest.mark.parametrize("kind", [BIT, SMALL, FLOAT])
@pytest.mark.parametrize("last", [[SIGN], [FINE], []])
@pytest.mark.parametrize("seed", range(3))
def test_norms_between_any_formats(kind: TensorType, last: list[ops.Op], seed: int) -> None:
    rng = rng_of(seed)
    compiled = compile_and_compare(chain_graph(kind, batch_norm(rng, 7, 1.0), *last), [grid_input(rng, SHAPE)])
    assert kernels_of(compiled.graph) == ["ChannelKernel"]


@pytest.mark.parametrize("source", [S1(), S8(1 / 16, 3), F32()])
@pytest.mark.parametrize("target", [SIGN, FINE, ops.Dequantize(), ops.Ternary(0.5)])
def test_converters(source: Format, target: ops.Op) -> None:
    compiled = compile_and_compare(chain_graph(TensorType(SHAPE, source), target), [grid_input(rng_of(0), SHAPE)])
    assert not compiled.fallbacks


@pytest.mark.parametrize(
    "steps",
    [
        [ops.Unary("sigmoid"), FINE],
        [ops.Unary("abs"), FINE],
        [ops.Unary("leaky_relu", -0.3), FINE],
        [ops.Clip(-0.3, 0.7), FINE],
        [ops.Unary("swish"), ops.Scale(2.0, 1.0), ops.Ternary(0.3)],
    ],
)
def test_functions_of_bytes_are_tables(steps: list[ops.Op]) -> None:
    compiled = compile_and_compare(chain_graph(SMALL, *steps), [grid_input(rng_of(0), SHAPE)])
    assert kernels_of(compiled.graph) == ["Table"]


def test_tables_are_exact_for_every_code() -> None:
    shape = (16, 16)
    kind = TensorType(shape, S8(1 / 16, 3))
    x = ((np.arange(256) - 128 - 3) / 16).reshape((1, *shape))
    compile_and_compare(chain_graph(kind, ops.Unary("gelu"), FINE), [x])


def test_functions_of_floats_keep_their_kernels() -> None:
    graph = chain_graph(FLOAT, ops.Unary("tanh"), ops.PRelu(np.full(SHAPE, -0.5, np.float32)), ops.Softmax())
    found = kernels_of(compile_and_compare(graph, [grid_input(rng_of(0), SHAPE)]).graph)
    assert found == ["UnaryKernel", "PReluKernel", "SoftmaxKernel"]


def test_functions_without_s8_form_read_floats() -> None:
    for op in (ops.Softmax(), ops.Unary("tanh"), ops.PRelu(np.full(SHAPE, -0.5, np.float32))):
        compiled = compile_and_compare(chain_graph(SMALL, op), [grid_input(rng_of(0), SHAPE)])
        assert kernels_of(compiled.graph) == ["ChannelKernel", type(op).__name__ + "Kernel"]


@pytest.mark.parametrize("threshold", [0.05, 0.33, 0.5, 1.0, 0.7])
def test_ternary_of_floats_is_exact(threshold: float) -> None:
    t = np.float32(threshold)
    near = [np.nextafter(t, np.float32(s)) for s in (0, 9)]
    x = np.array([[t, *near, -t, *(-v for v in near), 0.0, 2.0]], np.float32)
    compile_and_compare(chain_graph((8,), ops.Ternary(threshold)), [x])


@pytest.mark.parametrize("pair", [(BIT, BIT), (SMALL, SMALL), (FLOAT, FLOAT), (BIT, FLOAT), (SMALL, BIT)])
@pytest.mark.parametrize("kind", ["add", "sub", "mul", "maximum", "minimum"])
@pytest.mark.parametrize("last", [[], [SIGN], [FINE], [ops.Clip(0, 1.5)], [ops.Clip(0, 1.5), BYTE]])
def test_binary_operators_take_what_follows(
    pair: tuple[TensorType, TensorType], kind: ops.BinaryKind, last: list[ops.Op]
) -> None:
    rng = rng_of(3)
    builder = Builder(*pair)
    builder.add(ops.Binary(kind), "x0", "x1")
    for op in last:
        builder.add(op)
    compiled = compile_and_compare(builder.graph(), [grid_input(rng, SHAPE), grid_input(rng, SHAPE)])
    assert kernels_of(compiled.graph) == ["BinaryKernel"]


def test_a_residual_sum_and_norm_before_a_sign_are_thresholds() -> None:
    rng = rng_of(5)
    builder = Builder(BIT, BIT)
    builder.add(ops.Binary("add"), "x0", "x1")
    builder.add(batch_norm(rng, 7, 1.0))
    builder.add(SIGN)
    compiled = compile_and_compare(builder.graph(), [grid_input(rng, SHAPE), grid_input(rng, SHAPE)])
    assert kernels_of(compiled.graph) == ["BinaryKernel"] and formats_of(compiled.graph) == [S1()]


def test_a_sum_of_three_levels_to_ternary() -> None:
    builder = Builder(BIT, BIT)
    builder.add(ops.Binary("add"), "x0", "x1")
    builder.add(ops.Ternary(1.0))
    compile_and_compare(builder.graph(), [grid_input(rng_of(1), SHAPE), grid_input(rng_of(2), SHAPE)])


def test_broadcast_and_reading_one_value_twice() -> None:
    builder = Builder(FLOAT, TensorType((1, 1, 7), S8(0.5)))
    builder.add(ops.Binary("mul"), "x0", "x1")
    builder.add(ops.Binary("add"), "v0", "v0")
    compile_and_compare(builder.graph(), [grid_input(rng_of(1), SHAPE), grid_input(rng_of(2), (1, 1, 7))])


@pytest.mark.parametrize("kind", [BIT, SMALL, FLOAT])
@pytest.mark.parametrize("last", [[], [FINE], [ops.Quantize(S8(1 / 32), -20, 20)], [SIGN]])
@pytest.mark.parametrize(
    "pool", [ops.AvgPool((2, 2), (2, 2)), ops.AvgPool((6, 4), (6, 4)), ops.AvgPool((3, 3), (2, 2), ((1, 0), (1, 1)))]
)
def test_average_pools(kind: TensorType, last: list[ops.Op], pool: ops.AvgPool) -> None:
    compiled = compile_and_compare(chain_graph(kind, pool, *last), [grid_input(rng_of(3), SHAPE)])
    assert kernels_of(compiled.graph)[0] == "AvgPoolKernel"
    if last == [FINE]:
        assert kernels_of(compiled.graph) == ["AvgPoolKernel"]


@pytest.mark.parametrize("kind", [BIT, SMALL, FLOAT])
def test_movers_and_max_pools_keep_formats(kind: TensorType) -> None:
    value = -1.0
    steps: list[ops.Op] = [
        ops.MaxPool((3, 3), (2, 2), ((1, 1), (1, 1))),
        ops.Pad((1, 0, 2), (0, 1, 1), value),
        ops.View((4, 3, 9), (0, 1, 2), (0, 0, 1), (1, 1, 1), (1, 1, 1)),
        ops.Reshape((108,)),
    ]
    compiled = compile_and_compare(chain_graph(kind, *steps), [grid_input(rng_of(3), SHAPE)])
    assert set(formats_of(compiled.graph)) == {kind.fmt}
