"""Property: a packed operator run by the C kernels stores what the evaluator stores, for random operators of every
kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from emit.kernel_calls import agree
from hypothesis import given, settings
from hypothesis import strategies as st

from dqnn.exporter.emit.kernel_table import Packed, rows
from dqnn.exporter.emit.packing import PackingError, pack, unpack_weights
from dqnn.exporter.format import UNARY_KINDS, ConvParams
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType

FORMATS: dict[str, Format] = {"s1": S1(), "s8": S8(0.05, 3), "f32": F32()}
INF = float("inf")
SEEDS = st.integers(0, 10**6)


@dataclass(frozen=True)
class Window:
    """Random geometry of one axis; `out` is before the pool."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    pool: int

    @property
    def out(self) -> int:
        return (self.size + self.before + self.after - (self.kernel - 1) * self.dilation - 1) // self.stride + 1


def window(rng: np.random.Generator) -> Window:
    while True:
        kernel, dilation = int(rng.integers(1, 5)), int(rng.integers(1, 3))
        span = (kernel - 1) * dilation
        w = Window(
            size=int(rng.integers(1, 9)),
            kernel=kernel,
            stride=int(rng.integers(1, 4)),
            dilation=dilation,
            before=int(rng.integers(0, span + 1)),
            after=int(rng.integers(0, span + 1)),
            pool=int(rng.choice([1, 1, 2, 3])),
        )
        if w.size + w.before + w.after > span and w.out >= w.pool:
            return w


def weights(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> ops.Weights:
    if kind == "s1":
        return ops.Weights("s1", rng.choice(np.array([-1, 1], np.int8), shape))
    if kind == "s8":
        bits, half = int(rng.choice([8, 8, 4, 2])), bool(rng.integers(2))
        most = 1 << (bits - 1)
        return ops.Weights("s8", rng.integers(-most, most, shape).astype(np.int8), half=half, bits=bits)
    return ops.Weights("f32", rng.normal(size=shape).astype(np.float32))


def epilogue(rng: np.random.Generator, out: Format, channels: int, reach: float, integer: bool) -> ops.Epilogue:
    """Any epilogue of the output format; `reach` is the size of typical accumulators."""
    if isinstance(out, S1):
        flip = rng.random(channels) < rng.choice([0, 0.5])
        if not integer:
            return ops.Threshold((rng.normal(size=channels) * reach).astype(np.float32), flip)
        t = rng.integers(-int(reach) - 2, int(reach) + 3, channels)
        special = rng.choice(np.array([-(2**31), 2**31 - 1]), channels)
        return ops.Threshold(np.where(rng.random(channels) < 0.1, special, t), flip)
    if isinstance(out, F32):
        scale, offset = (rng.normal(size=(2, channels)) / reach).astype(np.float32)
        return ops.Affine(scale, offset, *((-INF, INF) if rng.integers(2) else (-0.5, 0.75)))
    mode = rng.integers(3) if integer else 0
    low, high = (-128, 127) if rng.integers(2) else (-100, 90)
    if mode == 0:
        scale, offset = (rng.normal(size=(2, channels)) * 100 / np.array([[reach], [1]])).astype(np.float32)
        return ops.Affine(scale, offset, low, high)
    bias = rng.integers(-int(reach) - 1, int(reach) + 2, channels).astype(np.int32)
    if mode == 1:
        multiplier = rng.integers(2**30, 2**31, channels).astype(np.int32)
        return ops.FixedPoint(bias, multiplier, rng.integers(-12, 1, channels).astype(np.int32), low, high)
    return ops.PowerOfTwo(bias, rng.integers(0, 12, channels).astype(np.int32), low, high)


def reach_of(kinds: tuple[str, str], taps: int) -> float:
    unit = {"s1": 1.0, "s8": 70.0, "f32": 1.0}
    return float(unit[kinds[0]] * unit[kinds[1]] * np.sqrt(taps))


def pad_value(rng: np.random.Generator, fmt: Format) -> float:
    if isinstance(fmt, S1):
        return float(rng.choice([-1, 0, 1]))
    return float(rng.integers(-128, 128)) if isinstance(fmt, S8) else float(np.float32(rng.normal()))


def unpacks(op: ops.ConvKernel, source: TensorType, output: TensorType) -> None:
    """Asserts that the weights read back from the constant are those that went in."""
    packed = pack(op, [source], output)
    assert isinstance(packed.params, ConvParams)
    codes = unpack_weights(rows()[packed.kernel], packed.params, packed.constants[0], [source], output)
    assert np.array_equal(codes, op.weights.codes)


KINDS = [(a, w, o) for a in FORMATS for w in FORMATS for o in FORMATS]


@pytest.mark.parametrize("kinds", KINDS, ids="_".join)
@settings(max_examples=15)
@given(seed=SEEDS)
def test_conv(kinds: tuple[str, str, str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = window(rng), window(rng)
    groups = int(rng.choice([1, 1, 2, 3]))
    cg, og = int(rng.integers(1, 40)), int(rng.integers(1, 40))
    codes = weights(rng, kinds[1], (groups * og, y.kernel, x.kernel, cg))
    fmt, out = FORMATS[kinds[0]], FORMATS[kinds[2]]
    integer = "f32" not in kinds[:2]
    op = ops.ConvKernel(
        codes,
        epilogue(rng, out, groups * og, reach_of(kinds[:2], y.kernel * x.kernel * cg), integer),
        out,
        stride=(y.stride, x.stride),
        dilation=(y.dilation, x.dilation),
        padding=((y.before, y.after), (x.before, x.after)),
        pad_value=pad_value(rng, fmt),
        groups=groups,
        pool=(y.pool, x.pool),
        horizontal=kinds[:2] == ("s1", "s1") and bool(rng.integers(2)),
    )
    output = TensorType((y.out // y.pool, x.out // x.pool, groups * og), out)
    source = TensorType((y.size, x.size, groups * cg), fmt)
    agree(op, [source], output, rng)
    unpacks(op, source, output)


@pytest.mark.parametrize("kinds", KINDS, ids="_".join)
@settings(max_examples=10)
@given(seed=SEEDS)
def test_depthwise(kinds: tuple[str, str, str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = window(rng), window(rng)
    channels, multiplier = int(rng.integers(1, 70)), int(rng.choice([1, 1, 2, 3]))
    codes = weights(rng, kinds[1], (y.kernel, x.kernel, channels, multiplier))
    fmt, out = FORMATS[kinds[0]], FORMATS[kinds[2]]
    op = ops.ConvKernel(
        codes,
        epilogue(rng, out, channels * multiplier, reach_of(kinds[:2], y.kernel * x.kernel), "f32" not in kinds[:2]),
        out,
        depthwise=True,
        stride=(y.stride, x.stride),
        dilation=(y.dilation, x.dilation),
        padding=((y.before, y.after), (x.before, x.after)),
        pad_value=pad_value(rng, fmt),
        pool=(y.pool, x.pool),
    )
    output = TensorType((y.out // y.pool, x.out // x.pool, channels * multiplier), out)
    source = TensorType((y.size, x.size, channels), fmt)
    agree(op, [source], output, rng)
    unpacks(op, source, output)


@pytest.mark.parametrize(
    "kinds", [k for k in KINDS if k[:2] != ("s1", "s1")] + [("s1", "s1", o) for o in FORMATS], ids="_".join
)
@settings(max_examples=8)
@given(seed=SEEDS)
def test_transposed_conv(kinds: tuple[str, str, str], seed: int) -> None:
    """Input dilation: holes contribute nothing, whatever the pad value."""
    rng = np.random.default_rng(seed)
    size, kernel, up = rng.integers(1, 6, 2), rng.integers(1, 4, 2), rng.integers(1, 4, 2)
    cg, og = int(rng.integers(1, 20)), int(rng.integers(1, 20))
    fmt, out = FORMATS[kinds[0]], FORMATS[kinds[2]]
    op = ops.ConvKernel(
        weights(rng, kinds[1], (og, int(kernel[0]), int(kernel[1]), cg)),
        epilogue(rng, out, og, reach_of(kinds[:2], int(kernel.prod()) * cg), "f32" not in kinds[:2]),
        out,
        padding=((int(kernel[0]) - 1,) * 2, (int(kernel[1]) - 1,) * 2),
        pad_value=pad_value(rng, fmt),
        up=(int(up[0]), int(up[1])),
        horizontal=kinds[:2] == ("s1", "s1"),
    )
    shape = tuple(int(s) for s in (size - 1) * up + kernel)
    agree(op, [TensorType((int(size[0]), int(size[1]), cg), fmt)], TensorType((*shape, og), out), rng)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("out", FORMATS)
@settings(max_examples=10)
@given(seed=SEEDS)
def test_channel(fmt: str, out: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 40, rng.integers(1, 5)) // np.array([1]))
    shape = (*(min(n, 5) for n in shape[:-1]), shape[-1])
    channels = int(rng.choice([1, shape[-1]]))
    reach = reach_of((fmt, "s1"), 1)
    op = ops.ChannelKernel(epilogue(rng, FORMATS[out], channels, reach, fmt != "f32"), FORMATS[out])
    agree(op, [TensorType(shape, FORMATS[fmt])], TensorType(shape, FORMATS[out]), rng)


@pytest.mark.parametrize("kind", ["add", "sub", "mul", "maximum", "minimum"])
@pytest.mark.parametrize("out", FORMATS)
@settings(max_examples=10)
@given(seed=SEEDS)
def test_binary(kind: Any, out: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 9, 3))
    other = tuple(int(n) if rng.integers(3) else 1 for n in shape)
    inputs = [TensorType(s, FORMATS[str(rng.choice(list(FORMATS)))]) for s in (shape, other)]
    fmt = FORMATS[out]
    channels = int(rng.choice([1, shape[-1]]))
    form: ops.Epilogue = ops.Affine(np.ones(1, np.float32), np.zeros(1, np.float32), -INF, INF)
    if isinstance(fmt, S1):
        form = epilogue(rng, fmt, channels, 1.0, False)
    elif isinstance(fmt, S8):
        form = ops.Affine(np.array([1 / fmt.scale], np.float32), np.zeros(1, np.float32), -128, 127)
    agree(ops.BinaryKernel(kind, form, fmt), inputs, TensorType(shape, fmt), rng)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("out", [None, *FORMATS])
@settings(max_examples=10)
@given(seed=SEEDS)
def test_pools(fmt: str, out: str | None, seed: int) -> None:
    """Max pool (out None) and average pool."""
    if out == "s1":
        return
    rng = np.random.default_rng(seed)
    h, w, c = (int(n) for n in rng.integers(1, 10, 3))
    kernel = [int(min(n, k)) for n, k in zip((h, w), rng.integers(1, 4, 2), strict=True)]
    pads = [(int(rng.integers(0, k)), int(rng.integers(0, k))) for k in kernel]
    stride = [int(s) for s in rng.integers(1, 4, 2)]
    sizes = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip((h, w), pads, kernel, stride, strict=True)]
    arguments: Any = ((kernel[0], kernel[1]), (stride[0], stride[1]), (pads[0], pads[1]))
    source = TensorType((h, w, c), FORMATS[fmt])
    if out is None:
        agree(ops.MaxPool(*arguments), [source], TensorType((*sizes, c), FORMATS[fmt]), rng)
    else:
        op = ops.AvgPoolKernel(ops.AvgPool(*arguments), FORMATS[out])
        agree(op, [source], TensorType((*sizes, c), FORMATS[out]), rng)


@pytest.mark.parametrize("kind", UNARY_KINDS)
def test_unary(kind: Any) -> None:
    alpha = 0.25 if kind in ("elu", "leaky_relu") else 0.0
    kind_of = TensorType((5, 7, 9), F32())
    agree(ops.UnaryKernel(kind, alpha), [kind_of], kind_of, np.random.default_rng(1))


def test_others_without_geometry() -> None:
    rng = np.random.default_rng(2)
    f32, s8 = TensorType((4, 6, 5), F32()), TensorType((4, 6, 5), S8(0.1, -3))
    agree(ops.SoftmaxKernel(), [f32], f32, rng)
    agree(ops.PReluKernel(rng.normal(size=5).astype(np.float32)), [f32], f32, rng)
    agree(ops.PReluKernel(rng.normal(size=(4, 6, 5)).astype(np.float32)), [f32], f32, rng)
    agree(ops.Table(rng.integers(-128, 128, 256).astype(np.int8), S8(0.1, -3)), [s8], s8, rng)


@pytest.mark.parametrize("fmt", FORMATS)
@settings(max_examples=10)
@given(seed=SEEDS)
def test_moves(fmt: str, seed: int) -> None:
    """Concat, pad, view and reshape."""
    rng = np.random.default_rng(seed)
    kind = FORMATS[fmt]
    shape = tuple(int(n) for n in rng.integers(1, 8, rng.integers(1, 5)))
    source = TensorType(shape, kind)
    axis = int(rng.integers(len(shape)))
    parts = [tuple(int(rng.integers(1, 50)) if a == axis else n for a, n in enumerate(shape)) for _ in range(3)]
    joined = tuple(sum(p[axis] for p in parts) if a == axis else n for a, n in enumerate(shape))
    agree(ops.Concat(axis), [TensorType(p, kind) for p in parts], TensorType(joined, kind), rng)

    before, after = (tuple(int(n) for n in rng.integers(0, 4, len(shape))) for _ in range(2))
    value = float(rng.choice([-1, 1])) if isinstance(kind, S1) else 0.0
    padded = tuple(b + n + a for b, n, a in zip(before, shape, after, strict=True))
    agree(ops.Pad(before, after, value), [source], TensorType(padded, kind), rng)

    order = tuple(int(a) for a in rng.permutation(len(shape)))
    start = tuple(int(rng.integers(0, shape[a])) for a in order)
    repeat = tuple(int(n) for n in rng.integers(1, 4, len(shape)))
    step = tuple(int(n) for n in rng.integers(1, 3, len(shape)))
    viewed = tuple(((shape[a] - s - 1) // t + 1) * r for a, s, t, r in zip(order, start, step, repeat, strict=True))
    agree(ops.View(viewed, order, start, step, repeat), [source], TensorType(viewed, kind), rng)
    if isinstance(kind, S1):
        flat = (int(np.prod(shape)),)
        agree(ops.Reshape(flat), [source], TensorType(flat, kind), rng)


def test_flip_is_left_out_when_nothing_flips() -> None:
    still = ops.ChannelKernel(ops.Threshold(np.zeros(40, np.float32), np.zeros(40, bool)), S1())
    turned = ops.ChannelKernel(ops.Threshold(np.zeros(40, np.float32), np.arange(40) == 39), S1())
    kind, out = TensorType((40,), F32()), TensorType((40,), S1())
    assert len(pack(still, [kind], out).constants) == 1
    assert pack(turned, [kind], out).constants[1] == bytes([0, 0, 0, 0, 128, 0, 0, 0])


def test_not_kernel_ready() -> None:
    kind = TensorType((4,), F32())
    with pytest.raises(PackingError, match="Clip is not kernel-ready"):
        pack(ops.Clip(0, 1), [kind], kind)
    with pytest.raises(PackingError, match="shares memory"):
        pack(ops.Reshape((2, 2)), [kind], TensorType((2, 2), F32()))
    with pytest.raises(PackingError, match="cannot hold a pad value"):
        pack(ops.Pad((1,), (0,), 0.0), [TensorType((4,), S1())], TensorType((5,), S1()))
    assert pack(ops.SoftmaxKernel(), [kind], kind) == Packed("softmax_f32")


def test_a_number_that_the_file_cannot_hold() -> None:
    kind = TensorType((1, 1, 1), F32())
    with pytest.raises(PackingError, match="70000"):
        pack(ops.MaxPool((70000, 1), (1, 1)), [kind], kind)
