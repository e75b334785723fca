"""Real operators in front of quantizers that divide and round half to even: the kernels hold the integers that come to
the same, in the evaluator and in C on every level. The reference rounds exact fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from levels import LEVELS
from passes.graph_builder import Builder, kernels_of, rng_of

import dqnn
from dqnn.exporter.emit import writer
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import F32, S8, TensorType
from dqnn.exporter.passes import Compiled, run_pipeline
from dqnn.tensors import Rounding

A, B, OUT = S8(0.0511, 3), S8(0.0313, -128), S8(0.0717, -9)
MAP = (6, 4, 3)
INFINITE = float("inf")


def quantize(fmt: S8 = OUT, low: int = -128, high: int = 127) -> ops.Quantize:
    return ops.Quantize(fmt, low, high, rounding=Rounding.DIVIDE_EVEN)


def compiled_codes(graph: Graph, *kernels: str) -> tuple[list[Any], Any]:
    """The kernels that a graph becomes; random codes and what C makes of them."""
    compiled = run_pipeline(graph)
    assert kernels_of(compiled.graph) == list(kernels)
    rng = rng_of(7)
    codes = [rng.integers(-128, 128, (5, *graph.types[name].shape)).astype(np.int8) for name in graph.inputs]
    blob = writer.write(compiled.graph, producer="test").blob
    found = [
        dqnn.Interpreter(blob, isas=isas).predict(codes if len(codes) > 1 else codes[0], raw=True) for isas in LEVELS
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    return codes, found[0]


def exact(value: Fraction, fmt: S8 = OUT, low: int = -128, high: int = 127) -> int:
    """Python rounds fractions half to even."""
    return min(max(round(value / Fraction(fmt.scale)) + fmt.zero_point, low), high)


def number(code: Any, fmt: S8) -> Fraction:
    return (int(code) - fmt.zero_point) * Fraction(fmt.scale)


@pytest.mark.parametrize("kind", ["add", "sub", "mul", "maximum", "minimum"])
@pytest.mark.parametrize("clip", [False, True])
def test_two_operands(kind: ops.BinaryKind, clip: bool) -> None:
    builder = Builder(TensorType(MAP, A), TensorType(MAP, B))
    builder.add(ops.Binary(kind), "x0", "x1")
    if clip:
        builder.add(ops.Clip(0.0, 6.0))
    builder.add(quantize())
    tables = ["Table", "Table"] if kind in ("maximum", "minimum") else []
    (a, b), found = compiled_codes(builder.graph(), *tables, "FixedBinaryKernel")
    combine: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
        "add": lambda x, y: x + y,
        "sub": lambda x, y: x - y,
        "mul": lambda x, y: x * y,
        "maximum": max,
        "minimum": min,
    }
    for x, y, got in zip(a.flat, b.flat, found.flat, strict=True):
        value = combine[kind](number(x, A), number(y, B))
        assert got == exact(min(max(value, Fraction(0)), Fraction(6)) if clip else value)


def test_ties_go_to_even() -> None:
    """Scales that are powers of two: a sum of odd numbers is a tie."""
    half = S8(0.5, 0)
    builder = Builder(TensorType(MAP, half), TensorType(MAP, half))
    builder.add(ops.Binary("add"), "x0", "x1")
    builder.add(quantize(S8(1.0, 1)))
    (a, b), found = compiled_codes(builder.graph(), "FixedBinaryKernel")
    ties = (a.astype(int) + b) % 2 == 1
    assert ties.any()
    np.testing.assert_array_equal(found, np.clip(np.rint((a.astype(int) + b) / 2) + 1, -128, 127))


@pytest.mark.parametrize(("size", "kernel"), [((6, 4), "ReduceKernel"), ((3, 2), "ConvKernel"), ((1, 4), "ConvKernel")])
def test_means(size: ops.Pair, kernel: str) -> None:
    builder = Builder(TensorType(MAP, A))
    builder.add(ops.AvgPool(size, size))
    builder.add(quantize())
    (x,), found = compiled_codes(builder.graph(), kernel)
    rows, columns = MAP[0] // size[0], MAP[1] // size[1]
    windows = x.reshape((5, rows, size[0], columns, size[1], MAP[2])).astype(int).sum(axis=(2, 4))
    count = size[0] * size[1]
    for total, got in zip(windows.flat, found.flat, strict=True):
        assert got == exact((int(total) - count * A.zero_point) * Fraction(A.scale) / count)


def test_a_padded_mean_stays_float() -> None:
    """Windows at the border count fewer cells."""
    builder = Builder(TensorType(MAP, A))
    builder.add(ops.AvgPool((3, 3), (1, 1), ((1, 1), (1, 1))))
    builder.add(quantize())
    compiled_codes(builder.graph(), "AvgPoolKernel", "ChannelKernel")


@pytest.mark.parametrize("rounding", [Rounding.KERAS, Rounding.DIVIDE_AWAY])
def test_other_roundings_do_not_become_integers(rounding: Rounding) -> None:
    builder = Builder(TensorType(MAP, A), TensorType(MAP, B))
    builder.add(ops.Binary("add"), "x0", "x1")
    builder.add(ops.Quantize(OUT, rounding=rounding))
    assert "FixedBinaryKernel" not in kernels_of(run_pipeline(builder.graph()).graph)


def test_floats_stay_floats() -> None:
    builder = Builder(TensorType(MAP, A), TensorType(MAP, F32()))
    builder.add(ops.Binary("add"), "x0", "x1")
    builder.add(quantize())
    assert kernels_of(run_pipeline(builder.graph()).graph) == ["BinaryKernel", "ChannelKernel"]


# --- convolutions, whose epilogue rounds once -------------------------------------------------------------------------


def weights(*shape: int, scale: Any = 0.0117, zero_point: int = 0) -> ops.Weights:
    codes = rng_of(3).integers(-100, 101, shape).astype(np.int8)
    return ops.Weights("s8", codes, np.asarray(scale), zero_point=np.asarray(zero_point, np.int8))


def norm(channels: int) -> ops.BatchNorm:
    rng = rng_of(5)
    gamma = rng.choice([-1.0, 1.0], channels) * rng.uniform(0.5, 1.5, channels)
    return ops.BatchNorm(
        gamma, rng.normal(size=channels), rng.normal(size=channels), rng.uniform(0.5, 2, channels), 1e-3
    )


def single(graph: Graph) -> Compiled:
    """Compiled to one convolution whose epilogue rounds once."""
    compiled = run_pipeline(graph)
    (node,) = compiled.graph.nodes
    assert isinstance(node.op, ops.ConvKernel) and isinstance(node.op.epilogue, ops.Fixed64)
    return compiled


@pytest.mark.parametrize("zero_point", [0, -101])
def test_convolution(zero_point: int) -> None:
    """Scales per channel, a bias that is no whole number of sums."""
    scale = rng_of(4).uniform(0.004, 0.02, 7)
    bias = rng_of(6).normal(size=7)
    kernel = weights(7, 1, 1, 3, scale=scale, zero_point=zero_point)
    builder = Builder(TensorType(MAP, A))
    builder.add(ops.Conv2D(kernel, bias))
    builder.add(ops.Clip(0.0, INFINITE))
    builder.add(quantize())
    single(builder.graph())
    (x,), found = compiled_codes(builder.graph(), "ConvKernel")
    sums = (x.astype(int) - A.zero_point) @ (kernel.codes.reshape((7, 3)).astype(int) - zero_point).T
    for at, total in np.ndenumerate(sums):
        c = at[-1]
        value = int(total) * Fraction(A.scale) * Fraction(scale[c]) + Fraction(bias[c])
        assert found[at] == exact(max(value, Fraction(0)))


def test_convolution_with_a_norm_and_a_pool() -> None:
    """Channels that fall are negated; the pool runs on sums."""
    builder = Builder(TensorType(MAP, A))
    builder.add(ops.Conv2D(weights(5, 3, 3, 3), padding=((1, 1), (1, 1))))
    builder.add(norm(5))
    builder.add(ops.MaxPool((2, 2), (2, 2)))
    builder.add(quantize(S8(0.21, 5)))
    (node,) = single(builder.graph()).graph.nodes
    assert isinstance(node.op, ops.ConvKernel) and node.op.pool == (2, 2)
    compiled_codes(builder.graph(), "ConvKernel")


def test_a_dense_layer_behind_a_turned_map() -> None:
    """Its columns are turned instead, and nothing is moved at run time."""
    builder = Builder(TensorType(MAP, A))
    builder.add(ops.View((3, 6, 4), (2, 0, 1), (0, 0, 0), (1, 1, 1), (1, 1, 1)))
    builder.add(ops.Reshape((72,)))
    kernel = weights(4, 72)
    builder.add(ops.Dense(kernel))
    builder.add(quantize(S8(0.9, 0)))
    (x,), found = compiled_codes(builder.graph(), "ConvKernel")
    flat = (x.astype(int) - A.zero_point).transpose((0, 3, 1, 2)).reshape((5, 72))
    for at, total in np.ndenumerate(flat @ kernel.codes.astype(int).T):
        assert found[at] == exact(int(total) * Fraction(A.scale) * Fraction(0.0117), S8(0.9, 0))


def test_a_cropped_map_is_not_taken_for_a_turned_one() -> None:
    builder = Builder(TensorType(MAP, A))
    builder.add(ops.View((3, 5, 4), (2, 0, 1), (0, 0, 0), (1, 1, 1), (1, 1, 1)))
    builder.add(ops.Reshape((60,)))
    builder.add(ops.Dense(weights(4, 60)))
    builder.add(quantize(S8(0.9, 0)))
    compiled_codes(builder.graph(), "View", "ConvKernel")


# --- functions of a code per channel ----------------------------------------------------------------------------------


@pytest.mark.parametrize("falls", [False, True])
def test_a_norm_of_codes(falls: bool) -> None:
    """An epilogue per channel, or where a channel falls a table per channel: exact both."""
    rng = rng_of(9)
    gamma = rng.uniform(0.5, 1.5, 3) * (np.array([1, -1, 1]) if falls else 1)
    op = ops.BatchNorm(gamma, rng.normal(size=3), rng.normal(size=3), np.ones(3), 0.0)
    builder = Builder(TensorType(MAP, A))
    builder.add(op)
    builder.add(quantize())
    (x,), found = compiled_codes(builder.graph(), "Table" if falls else "ChannelKernel")
    for at, code in np.ndenumerate(x):
        c = at[-1]
        value = (number(code, A) - Fraction(op.mean[c])) * Fraction(gamma[c]) + Fraction(op.beta[c])
        assert found[at] == exact(value)
