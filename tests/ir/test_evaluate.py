"""The evaluator against independent statements of the same arithmetic: plain loops and Fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqnn.exporter.ir import fixed_point, ops, real, semantics
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph, Node, Port
from dqnn.exporter.ir.infer import infer_type
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType

F = np.float32


def one_node(op: ops.Op, *kinds: TensorType) -> Graph:
    names = tuple(f"x{i}" for i in range(len(kinds)))
    types = dict(zip(names, kinds, strict=True)) | {"y": infer_type(op, list(kinds))}
    return Graph("one", names, ("y",), (Node(op, names, "y", ("layer",)),), types, {n: Port(n) for n in types})


def run(op: ops.Op, kinds: list[TensorType], *inputs: Any) -> Any:
    return evaluate(one_node(op, *kinds), list(inputs)).stored["y"]


# --- quantizers -------------------------------------------------------------------------------------------------------


def test_sign_of_edge_values() -> None:
    x = np.array([0.0, -0.0, 1e-45, -1e-45, -1.1754942e-38, -1.1754944e-38, -1.2e-38, np.inf, -np.inf], F)
    assert real.to_codes(x, ops.Quantize(S1())).tolist() == [1, 1, 1, 1, 1, -1, -1, 1, -1]


def test_s8_quantizer_ties_and_saturation() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5, 1e9, -1e9, np.inf, -np.inf], F)
    assert real.to_codes(x, ops.Quantize(S8(1.0))).tolist() == [0, 2, 2, 0, -2, 126, 127, 127, -128, 127, -128]
    assert real.to_codes(x, ops.Quantize(S8(1.0), -127, 100)).tolist() == [
        0,
        2,
        2,
        0,
        -2,
        100,
        100,
        100,
        -127,
        100,
        -127,
    ]


def test_dorefa_levels_decide_in_float32() -> None:
    k = np.arange(255)
    ties = ((k + 0.5) / 255).astype(F)
    expected = np.rint(ties * F(255)) - 128
    assert (real.to_codes(ties, ops.Quantize(S8(1 / 255, -128))) == expected).all()


def test_ternary_meets_its_threshold() -> None:
    x = np.array([0.05, -0.05, 0.049999, -0.049999, 0.0, 1.0, -3.0], F)
    assert real.to_codes(x, ops.Ternary(0.05)).tolist() == [1, -1, 0, 0, 0, 1, -1]


# --- convolutions -----------------------------------------------------------------------------------------------------


def slow_conv(x: Any, op: ops.Conv2D) -> Any:
    """Definition of SPEC.md 3.1 in plain loops, real pad value, one image."""
    weights = op.weights.codes.astype(np.int64) * (2 if op.weights.half else 1) + int(op.weights.half)
    outputs, kh, kw, cg = weights.shape
    (top, bottom), (left, right) = op.padding
    h, w, _ = x.shape
    height, width = (h - 1) * op.up[0] + 1, (w - 1) * op.up[1] + 1
    ho = (height + top + bottom - (kh - 1) * op.dilation[0] - 1) // op.stride[0] + 1
    wo = (width + left + right - (kw - 1) * op.dilation[1] - 1) // op.stride[1] + 1
    y = np.zeros((ho, wo, outputs))
    for oy, ox, o, ky, kx, c in np.ndindex(ho, wo, outputs, kh, kw, cg):
        iy = oy * op.stride[0] + ky * op.dilation[0] - top
        ix = ox * op.stride[1] + kx * op.dilation[1] - left
        channel = o // (outputs // op.groups) * cg + c
        if not (0 <= iy < height and 0 <= ix < width):
            y[oy, ox, o] += weights[o, ky, kx, c] * op.pad_value
        elif iy % op.up[0] == 0 and ix % op.up[1] == 0:
            y[oy, ox, o] += weights[o, ky, kx, c] * x[iy // op.up[0], ix // op.up[1], channel]
    return y


@given(seed=st.integers(0, 2**31), half=st.booleans(), groups=st.sampled_from([1, 2]), up=st.sampled_from([1, 2, 3]))
def test_convolution_by_definition(seed: int, half: bool, groups: int, up: int) -> None:
    rng = np.random.default_rng(seed)
    kh, kw, cg = (int(n) for n in rng.integers(1, 4, 3))
    weights = ops.Weights("s8", rng.integers(-128, 128, (2 * groups, kh, kw, cg)).astype(np.int8), half=half)
    pads = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
    op = ops.Conv2D(
        weights,
        stride=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        padding=(pads[0], pads[1]),
        pad_value=float(rng.integers(-1, 2)),
        groups=groups,
        up=(up, 1),
    )
    kind = TensorType((int(rng.integers(kh, 6)), int(rng.integers(kw, 6)), cg * groups), S8(1.0))
    x = rng.integers(-128, 128, (1, *kind.shape)).astype(np.float64)
    assert (run(op, [kind], x)[0] == slow_conv(x[0], op)).all()
    threshold = ops.Affine(np.ones(2 * groups, F), np.zeros(2 * groups, F), -np.inf, np.inf)
    kernel = ops.ConvKernel(
        weights, threshold, F32(), stride=op.stride, padding=op.padding, pad_value=op.pad_value, groups=groups, up=op.up
    )
    assert (run(kernel, [kind], x)[0] == slow_conv(x[0], op)).all()


def test_same_padding_of_bits_counts_nothing() -> None:
    weights = ops.Weights("s1", np.ones((1, 3, 3, 1), np.int8))
    op = ops.Conv2D(weights, padding=((1, 1), (1, 1)))
    assert run(op, [TensorType((2, 2, 1), S1())], np.ones((1, 2, 2, 1)))[0, :, :, 0].tolist() == [[4, 4], [4, 4]]


def ordered_sum(x: Any, w: Any) -> Any:
    """f32 x s1 as SPEC.md 3.1 states it, in plain loops: x (kh, kw, C) floats, w +1/-1."""
    acc: Any = None
    kh, kw, channels = x.shape
    for block in range(0, channels, 8):
        b = min(8, channels - block)
        for ky in range(kh):
            products = [w[ky, kx, block + c] * x[ky, kx, block + c] for kx in range(kw) for c in range(b)]
            for i in range(0, len(products), 4):
                chunk = products[i]
                for product in products[i + 1 : i + 4]:
                    chunk = F(chunk + product)
                acc = chunk if acc is None else F(acc + chunk)
    return acc


@pytest.mark.parametrize("shape", [(3, 3, 1), (1, 1, 20), (2, 3, 9), (5, 2, 3)])
def test_float_sums_run_in_the_documented_order(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, *shape)).astype(F)
    identity = ops.Affine(np.ones(3, F), np.zeros(3, F), -np.inf, np.inf)
    signs = rng.choice([-1, 1], (3, *shape)).astype(np.int8)
    kernel = ops.ConvKernel(ops.Weights("s1", signs), identity, F32())
    got = run(kernel, [TensorType(shape, F32())], x)[:, 0, 0]
    expected = [[ordered_sum(image, w.astype(F)) for w in signs] for image in x]
    assert (got == np.array(expected, F)).all()
    floats = rng.normal(size=(3, *shape)).astype(F)
    kernel = ops.ConvKernel(ops.Weights("f32", floats), identity, F32())
    got = run(kernel, [TensorType(shape, F32())], x)[:, 0, 0]
    for i, j in np.ndindex(4, 3):
        acc = F(0)
        for a, b in zip(x[i].ravel(), floats[j].ravel(), strict=True):
            acc = F(acc + F(a * b))
        assert got[i, j] == acc


# --- epilogues --------------------------------------------------------------------------------------------------------


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 30))
def test_power_of_two_rounds_half_to_even(acc: int, shift: int) -> None:
    got = fixed_point.shift_half_even(np.array([acc], np.int64), np.array([shift], np.int64))[0]
    assert got == round(Fraction(acc, 2**shift))


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(-31, 30))
def test_fixed_point_is_gemmlowps(acc: int, multiplier: int, shift: int) -> None:
    """SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT, in Python integers."""
    left, right = max(shift, 0), max(-shift, 0)
    x = (acc << left) & 0xFFFFFFFF
    x -= (x >> 31) << 32
    product = x * multiplier
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    high = abs(nudged) // (1 << 31) * (1 if nudged >= 0 else -1)
    mask = (1 << right) - 1
    expected = (high >> right) + int((high & mask) > (mask >> 1) + (high < 0))
    got = fixed_point.fixed_point(*(np.array([value], np.int64) for value in (acc, multiplier, shift)))[0]
    assert got == expected


def test_threshold_limits_are_always_and_never() -> None:
    t = np.array([np.iinfo(np.int32).min, np.iinfo(np.int32).max, 3, 3], np.int64)
    epilogue = ops.Threshold(t, np.array([False, False, False, True]))
    acc = np.array([[-(10**6)] * 4, [3] * 4, [2] * 4, [10**6] * 4], np.int64)
    bits = semantics.apply_epilogue(epilogue, acc, S1())
    assert bits.tolist() == [[1, -1, -1, 1], [1, -1, 1, -1], [1, -1, -1, 1], [1, -1, 1, -1]]


def test_affine_clamps_before_it_rounds_and_nan_takes_the_lower_bound() -> None:
    epilogue = ops.Affine(np.array([1], F), np.array([0], F), -128, 100)
    acc = np.array([[np.nan], [0.5], [1.5], [1e30], [-np.inf]], F)
    assert semantics.apply_epilogue(epilogue, acc, S8(1.0, -28))[:, 0].tolist() == [-128, -28, -26, 100, -128]


# --- pools, movers ----------------------------------------------------------------------------------------------------


def test_average_counts_cells_inside_only() -> None:
    pool = ops.AvgPool((2, 2), (2, 2), ((0, 1), (0, 1)))
    x = np.arange(9, dtype=F).reshape((1, 3, 3, 1))
    expected = [[2.0, 3.5], [6.5, 8.0]]
    kind = TensorType((3, 3, 1), F32())
    assert run(pool, [kind], x)[0, :, :, 0].tolist() == expected
    assert run(ops.AvgPoolKernel(pool, F32()), [kind], x)[0, :, :, 0].tolist() == expected


@pytest.mark.parametrize("fmt", [S1(), S8(0.5, -3), F32()])
def test_max_pool_ignores_padding(fmt: Format) -> None:
    pool = ops.MaxPool((3, 3), (2, 2), ((1, 1), (1, 1)))
    x = -np.ones((1, 4, 4, 2), F)
    assert (real.to_real(run(pool, [TensorType((4, 4, 2), fmt)], x), fmt) == -1).all()


def test_view_crops_permutes_and_repeats() -> None:
    view = ops.View((4, 3, 2), (1, 0, 2), (1, 0, 0), (1, 1, 1), (2, 1, 1))
    x = np.arange(24, dtype=F).reshape((1, 3, 4, 2))
    got = run(view, [TensorType((3, 4, 2), F32())], x)[0]
    for i, j, k in np.ndindex(4, 3, 2):
        assert got[i, j, k] == x[0, j, 1 + i // 2, k]


def test_inputs_by_name_and_wrong_shapes() -> None:
    graph = one_node(ops.Clip(0, 1), TensorType((2,), F32()))
    assert evaluate(graph, {"x0": np.array([[-1, 2]])}).outputs[0].tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="expected a batch of"):
        evaluate(graph, [np.zeros((1, 3))])
