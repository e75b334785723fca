"""Random calls of every kernel, with the bytes that schema/SPEC.md asks for.

`make(kernel, draw)` builds one: shapes and parameters come from `draw` (a seeded generator, or hypothesis, which then
can shrink them), array contents from a generator that `draw` seeds. FAMILIES maps each family of kernels.def to its
builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from dqnn.exporter.format import (
    BinaryParams,
    ChannelParams,
    ConcatParams,
    ConvParams,
    PadParams,
    Params,
    PoolParams,
    UnaryParams,
    ViewParams,
)
from dqnn.exporter.ir import numerics

from . import spec
from .spec import INT32_MAX, INT32_MIN, Array, Axis, Epilogue, F, Tensor

T = TypeVar("T")
INF = float("inf")
UNARY = (
    "relu", "sigmoid", "hard_sigmoid", "tanh", "elu", "swish", "exp", "selu", "softplus", "softsign", "gelu",
    "leaky_relu", "abs", "square", "hard_swish", "mish",
)  # fmt: skip


class Draw(Protocol):
    def integer(self, low: int, high: int) -> int:
        """low <= result <= high."""

    def choice(self, options: Sequence[T]) -> T: ...


@dataclass(frozen=True)
class Kernel:
    """A row of `_core.kernels()`."""

    id: int
    name: str
    family: str
    input: str
    weights: str
    output: str
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    kernel: Kernel
    inputs: tuple[Tensor, ...]
    output: Tensor
    constants: tuple[bytes, ...]
    params: Params | None
    data: tuple[bytes, ...]
    expected: bytes

    @property
    def params_bytes(self) -> bytes:
        return b"" if self.params is None else self.params.to_bytes()


def make(kernel: Kernel, draw: Draw) -> Case:
    rng = np.random.default_rng(draw.integer(0, 2**32 - 1))
    with np.errstate(all="ignore"):
        return FAMILIES[kernel.family](kernel, draw, rng)


# --- parts ------------------------------------------------------------------------------------------------------------

ZERO_POINTS = (0, -128, 127, 3, -77)
CHANNELS = (1, 2, 3, 4, 7, 8, 9, 16, 31, 32, 33, 40, 64, 65)


def tensor(dims: Sequence[int], dtype: str, draw: Draw) -> Tensor:
    if dtype != "s8":
        return Tensor(tuple(dims), dtype)
    scale = float(F(draw.choice((1.0, 0.0078125, 0.1, 3.7))))
    return Tensor(tuple(dims), dtype, scale, draw.choice(ZERO_POINTS))


def contents(t: Tensor, rng: np.random.Generator) -> Array:
    if t.dtype == "s1":
        return np.where(rng.random(t.dims) < rng.choice([0.0, 0.1, 0.5, 0.9, 1.0]), -1, 1)
    if t.dtype == "s8":
        return rng.integers(-128, 128, t.dims)
    values = rng.choice([rng.normal(0, 1, t.dims), rng.normal(0, 100, t.dims), rng.integers(-3, 4, t.dims)])
    special = rng.choice([0.0, -0.0, 1e-40, 0.5, 1.5], t.dims)
    return np.asarray(np.where(rng.random(t.dims) < 0.1, special, values), F)


def codes(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if kind == "s1":
        return rng.choice([-1, 1], shape)
    if kind == "s8":
        return rng.integers(-128, 128, shape).astype(np.int8)
    return rng.normal(0, 1, shape).astype(F)


def epilogue(output: Tensor, acc: Array, channels: int, draw: Draw, rng: np.random.Generator) -> Epilogue:
    """Constants that make results of `acc` vary; `channels` values each."""
    integer = acc.dtype != F
    finite = np.abs(acc[np.isfinite(acc)])
    spread = float(finite.max()) + 1 if finite.size else 1.0
    if output.dtype == "s1":
        return Epilogue(output, thresholds=thresholds(acc, channels, rng), flip=flips(channels, draw, rng))
    low, high = (-128, 127) if draw.choice((True, False)) else (-60, 44)
    if output.dtype == "f32":
        low_f, high_f = draw.choice(((-INF, INF), (0.0, INF), (0.0, 6.0), (-1.0, 1.0)))
        scale, offset = affine(channels, 3 / spread, rng)
        return Epilogue(output, scale=scale, offset=offset, act_min=low_f, act_max=high_f)
    requant = draw.choice((0, 1, 2)) if integer else 0
    limits: dict[str, Any] = {"act_min": float(low), "act_max": float(high), "requant": requant}
    if requant == 0:
        scale, offset = affine(channels, 150 / spread, rng)
        return Epilogue(output, scale=scale, offset=offset, **limits)
    bias = rng.integers(-9, 10, channels) * max(1, int(spread) // 16)
    bias = np.where(rng.random(channels) < 0.05, rng.choice([INT32_MIN, INT32_MAX]), bias).astype(np.int32)
    bits = max(0, int(spread).bit_length() - 7)
    if requant == 2:
        shift = np.clip(bits + rng.integers(-2, 3, channels), 0, 30)
        return Epilogue(output, bias=bias, shift=np.where(rng.random(channels) < 0.05, 30, shift), **limits)
    shift = np.clip(1 - bits + rng.integers(-2, 3, channels), -31, 30)
    shift = np.where(rng.random(channels) < 0.1, rng.choice([-31, 30, 0]), shift)
    multiplier = rng.integers(2**30, 2**31, channels)
    multiplier = np.where(rng.random(channels) < 0.1, rng.choice([0, 1, INT32_MAX]), multiplier)
    return Epilogue(output, bias=bias, multiplier=multiplier, shift=shift, **limits)


def affine(channels: int, size: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Some scales are powers of two, so that half-way cases happen."""
    scale = np.where(rng.random(channels) < 0.5, 2.0 ** np.round(np.log2(size)), size) * rng.choice([1, -1], channels)
    offset = np.where(rng.random(channels) < 0.5, rng.integers(-40, 40, channels) / 2, rng.normal(0, 10, channels))
    scale = np.where(rng.random(channels) < 0.05, 0.0, scale)
    return scale.astype(F), offset.astype(F)


def thresholds(acc: Array, channels: int, rng: np.random.Generator) -> Array:
    """Mostly values that occur, so that ties do; some that mean always and never."""
    values = rng.choice(acc.reshape(-1), channels)
    if acc.dtype == F:
        values = np.where(np.isnan(values), F(0), values)
        special = rng.choice(np.array([-np.inf, np.inf, 0.0, -0.0], F), channels)
    else:
        values = values + rng.integers(-1, 2, channels)
        special = rng.choice([INT32_MIN, INT32_MAX, 0], channels)
    result = np.where(rng.random(channels) < 0.15, special, values)
    return result.astype(F) if acc.dtype == F else result.astype(np.int32)


def flips(channels: int, draw: Draw, rng: np.random.Generator) -> Array | None:
    return rng.random(channels) < 0.5 if draw.choice((True, False)) else None


# --- convolutions -----------------------------------------------------------------------------------------------------


def draw_axis(draw: Draw, *, up: bool, largest: int) -> tuple[Axis, int, int]:
    """(axis, pooled outputs, pool) that fit together; often the 3-cell windows that fast variants are made for."""
    plain = draw.choice((True, False))
    while True:
        axis = Axis(draw.integer(3, largest + 3), 3, draw.choice((1, 1, 2)), 1, draw.choice((0, 1)), 1)
        axis = (
            axis
            if plain
            else Axis(
                draw.integer(1, largest),
                draw.choice((1, 2, 3, 3, 4, 5)),
                draw.choice((1, 1, 2, 3)),
                draw.choice((1, 1, 2, 3)),
                draw.choice((0, 0, 1, 2, 5)),
                draw.choice((1, 1, 2, 3)) if up else 1,
            )
        )
        pool = draw.choice((1, 1, 2, 3))
        outputs = axis.outputs(draw.choice((0, 1, 2, 6))) // pool
        if outputs > 0:
            return axis, outputs, pool


def conv_params(y: Axis, x: Axis, pool: tuple[int, int], **others: Any) -> ConvParams:
    return ConvParams(
        y.kernel, x.kernel, y.stride, x.stride, y.dilation, x.dilation, y.pad, x.pad, y.up, x.up,
        pool_h=pool[0], pool_w=pool[1], **others,
    )  # fmt: skip


def input_dims(height: int, width: int, channels: int, draw: Draw) -> tuple[int, ...]:
    """The same map with fewer leading ones, sometimes."""
    if height == 1 and draw.choice((True, False)):
        return (channels,) if width == 1 else (width, channels)
    return (height, width, channels)


def pad_value(dtype: str, draw: Draw) -> float:
    return float(draw.choice({"s1": (-1, 0, 1), "s8": (0, -128, 127, 5), "f32": (0.0, 1.0, -1.0, 0.75)}[dtype]))


def conv_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    depthwise, sliced = kernel.family == "depthwise", kernel.family == "conv_bitsliced"
    if kernel.weights == kernel.output == "s1" != kernel.input and not depthwise and draw.choice((True, False, False)):
        return first_layer_case(kernel, draw, rng)
    y, height, pool_h = draw_axis(draw, up=not sliced and not depthwise, largest=6)
    x, width, pool_w = draw_axis(draw, up=not sliced and not depthwise, largest=7)
    groups = 1 if depthwise else draw.choice((1, 1, 1, 2, 3))
    multiplier = draw.choice((1, 1, 2, 3)) if depthwise else 1
    channels = draw.choice(CHANNELS) * groups
    outputs = channels * multiplier if depthwise else draw.choice(CHANNELS) * groups
    params = conv_params(
        y, x, (pool_h, pool_w), groups=groups, multiplier=multiplier, pad_value=pad_value(kernel.input, draw),
        half_weights=int(kernel.weights == "s8" and draw.choice((True, False, False))),
    )  # fmt: skip
    source = tensor(input_dims(y.size, x.size, channels, draw), kernel.input, draw)
    target = tensor(input_dims(height, width, outputs, draw), kernel.output, draw)
    if depthwise:
        weights = codes(kernel.weights, (y.kernel, x.kernel, channels, multiplier), rng)
    else:
        weights = codes(kernel.weights, (outputs, y.kernel, x.kernel, channels // groups), rng)
    return finish_conv(kernel, source, target, weights, params, draw, rng)


def first_layer_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    """3x3 on one channel with a 2x2 pool: variants may put the output on the input."""
    pad_y, pad_x = draw.choice((0, 0, 1)), draw.choice((0, 0, 1))
    height, width = draw.integer(1, 9), draw.integer(1, 30)
    outputs = draw.choice((1, 16, 32, 32, 33, 64))
    params = ConvParams(
        3, 3, pad_top=pad_y, pad_left=pad_x, pool_h=2, pool_w=2, pad_value=pad_value(kernel.input, draw)
    )
    cells = draw.choice((0, 1))  # that the pool drops
    source = tensor((2 * height + 2 - 2 * pad_y, 2 * width + 2 - 2 * pad_x + cells, 1), kernel.input, draw)
    if min(source.dims) < 1:
        source = replace(source, dims=(2 * height + 2, 2 * width + 2 + cells, 1))
        params = replace(params, pad_top=0, pad_left=0)
    target = tensor((height, width, outputs), kernel.output, draw)
    weights = codes(kernel.weights, (outputs, 3, 3, 1), rng)
    return finish_conv(kernel, source, target, weights, params, draw, rng)


def finish_conv(
    kernel: Kernel,
    source: Tensor,
    target: Tensor,
    weights: Array,
    params: ConvParams,
    draw: Draw,
    rng: np.random.Generator,
) -> Case:
    height, width, outputs = target.map
    pool = (params.pool_h, params.pool_w)
    full = (height * pool[0], width * pool[1])
    values = contents(source, rng)
    acc = spec.accumulators(
        source, values, weights, kernel.weights, params, full, depthwise=kernel.family == "depthwise"
    )
    acc = spec.pooled(acc, pool)
    end = epilogue(target, acc, outputs, draw, rng)
    params = replace(params, requant=end.requant, act_min=end.act_min, act_max=end.act_max)
    constants = conv_constants(kernel, source, weights, params, full, end)
    return Case(kernel, (source,), target, constants, params, (source.store(values),), target.store(end.apply(acc)))


def conv_constants(
    kernel: Kernel, source: Tensor, weights: Array, params: ConvParams, full: tuple[int, int], end: Epilogue
) -> tuple[bytes, ...]:
    packed = packed_weights(kernel, weights, params.groups)
    flip = end.constants()[1:] if end.thresholds is not None else []
    if kernel.family == "conv_bitsliced":
        presets = spec.Presets(weights, params, source, full, end.thresholds)
        if kernel.output == "s1":
            return (packed, presets.ones(), presets.zeros(), *flip)
        return (packed, presets.sums(), *end.constants())
    if kernel.name == "depthwise_s1_s1_s1":
        assert end.thresholds is not None
        return (packed, spec.depthwise_presets(end.thresholds, params.kernel_h * params.kernel_w), *flip)
    return (packed, *end.constants())


def packed_weights(kernel: Kernel, weights: Array, groups: int) -> bytes:
    if kernel.family == "depthwise":
        if kernel.weights == "s1":
            return spec.depthwise_bits(weights)
        return np.ascontiguousarray(weights, "<f4" if kernel.weights == "f32" else np.int8).tobytes()
    if kernel.weights == "s1":
        if kernel.input == "s1":
            return spec.bitsliced(weights, groups) if kernel.family == "conv_bitsliced" else spec.horizontal(weights)
        return spec.channel_blocks(weights, groups)
    if kernel.weights == "s8" and kernel.input != "f32":
        return spec.pairs(weights, groups)
    return spec.quads(weights, groups)


# --- element by element -----------------------------------------------------------------------------------------------


def any_dims(draw: Draw, channels: int | None = None) -> tuple[int, ...]:
    rank = draw.integer(1, 4)
    last = draw.choice(CHANNELS) if channels is None else channels
    return (*(draw.integer(1, 4) for _ in range(rank - 1)), last)


def affine_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor(any_dims(draw), kernel.input, draw)
    target = tensor(source.dims, kernel.output, draw)
    values = contents(source, rng)
    acc = values.astype(F) if kernel.input == "f32" else source.integers(values)
    per_channel = draw.choice((True, False))
    end = epilogue(target, acc, source.dims[-1] if per_channel else 1, draw, rng)
    params = ChannelParams(end.requant, int(per_channel), act_min=end.act_min, act_max=end.act_max)
    result = end.apply(acc)
    return Case(
        kernel, (source,), target, tuple(end.constants()), params, (source.store(values),), target.store(result)
    )


def lut_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor(any_dims(draw), "s8", draw)
    target = tensor(source.dims, "s8", draw)
    values, table = contents(source, rng), rng.integers(-128, 128, 256)
    return Case(
        kernel, (source,), target, (table.astype(np.int8).tobytes(),), None, (source.store(values),),
        target.store(table[values + 128]),
    )  # fmt: skip


def plain_f32(
    kernel: Kernel, values: Array, result: Array, constants: tuple[bytes, ...], params: Params | None
) -> Case:
    t = Tensor(values.shape, "f32")
    return Case(kernel, (t,), t, constants, params, (t.store(values),), t.store(result))


def unary_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    kind = draw.integer(0, len(UNARY) - 1)
    values = contents(Tensor(any_dims(draw), "f32"), rng)
    special = np.array([np.inf, -np.inf, 88.7, 89.1, -103.9, -104.1, 0.34, -0.34, 10.0, -10.1, 4.1], F)
    values = np.where(rng.random(values.shape) < 0.2, rng.choice(special, values.shape), values)
    alpha = float(F(draw.choice((0.3, 1.0, -0.5)))) if UNARY[kind] in ("elu", "leaky_relu") else 0.0
    result = numerics.unary(UNARY[kind], alpha, values)
    values = np.where(np.isnan(result), F(0.25), values)  # the bits of a NaN are not specified
    result = numerics.unary(UNARY[kind], alpha, values)
    return plain_f32(kernel, values, result, (), UnaryParams(kind, alpha=alpha))


def prelu_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    values = contents(Tensor(any_dims(draw), "f32"), rng)
    alpha = rng.normal(0, 1, values.shape if draw.choice((True, False)) else values.shape[-1:]).astype(F)
    return plain_f32(kernel, values, np.where(values < 0, alpha * values, values), (alpha.tobytes(),), None)


def layernorm_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    values = contents(Tensor(any_dims(draw), "f32"), rng)
    gamma, beta = (rng.normal(0, 1, values.shape[-1:]).astype(F) for _ in range(2))
    epsilon = F(draw.choice((1e-3, 1e-5, 1.0)))
    count = F(values.shape[-1])
    total, squares = np.zeros(values.shape[:-1], F), np.zeros(values.shape[:-1], F)
    for i in range(values.shape[-1]):
        total = total + values[..., i]
    apart = values - (total / count)[..., None]
    for i in range(values.shape[-1]):
        squares = squares + apart[..., i] * apart[..., i]
    factor = F(1) / np.sqrt(squares / count + epsilon)
    constants = (gamma.tobytes(), beta.tobytes(), epsilon.tobytes())
    return plain_f32(kernel, values, apart * factor[..., None] * gamma + beta, constants, None)


def softmax_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    values = contents(Tensor(any_dims(draw), "f32"), rng)
    e = numerics.exp(values - values.max(axis=-1, keepdims=True))
    total = np.zeros(values.shape[:-1], F)
    for i in range(values.shape[-1]):
        total = total + e[..., i]
    return plain_f32(kernel, values, e / total[..., None], (), None)


BINARY: tuple[Callable[[Array, Array], Array], ...] = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: np.where(a < b, b, a),
    lambda a, b: np.where(b < a, b, a),
)


def binary_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    target = tensor(any_dims(draw), kernel.output, draw)
    sources = []
    for _ in range(2):
        dims = tuple(d if draw.choice((True, True, False)) else 1 for d in target.dims)
        sources.append(tensor(dims, draw.choice(("s1", "s8", "f32")), draw))
    values = [contents(s, rng) for s in sources]
    kind = draw.integer(0, len(BINARY) - 1)
    r = BINARY[kind](*np.broadcast_arrays(*(s.reals(v) for s, v in zip(sources, values, strict=True))))
    r = np.broadcast_to(r, target.dims).astype(F)
    end, per_channel = binary_epilogue(target, r, draw, rng)
    if target.dtype == "f32":
        constants: tuple[bytes, ...] = ()
        result = np.where(r < F(end.act_min), F(end.act_min), np.where(r > F(end.act_max), F(end.act_max), r))
    elif target.dtype == "s8":
        inverse = F(1 / target.scale)
        constants = (inverse.tobytes(),)
        result = spec.quantized(r * inverse, target.zero_point, end.act_min, end.act_max)
    else:
        constants, result = tuple(end.constants()), end.apply(r)
    params = BinaryParams(kind, int(per_channel), act_min=end.act_min, act_max=end.act_max)
    data = tuple(s.store(v) for s, v in zip(sources, values, strict=True))
    return Case(kernel, tuple(sources), target, constants, params, data, target.store(result))


def binary_epilogue(target: Tensor, r: Array, draw: Draw, rng: np.random.Generator) -> tuple[Epilogue, bool]:
    if target.dtype == "s1":
        per_channel = draw.choice((True, False))
        return epilogue(target, r, target.dims[-1] if per_channel else 1, draw, rng), per_channel
    limits = ((-128.0, 127.0), (-9.0, 100.0)) if target.dtype == "s8" else ((-INF, INF), (0.0, INF), (-2.0, 3.0))
    low, high = draw.choice(limits)
    return Epilogue(target, act_min=low, act_max=high), False


# --- pooling ----------------------------------------------------------------------------------------------------------


def pool_axis(draw: Draw) -> tuple[Axis, int]:
    """An axis whose windows all touch the map, and its outputs."""
    while True:
        kernel = draw.integer(1, 4)
        axis = Axis(draw.integer(1, 7), kernel, draw.integer(1, 4), 1, draw.integer(0, kernel - 1))
        outputs = axis.outputs(draw.integer(0, kernel - 1))
        if outputs > 0 and (outputs - 1) * axis.stride - axis.pad < axis.size:
            return axis, outputs


Pool: TypeAlias = tuple[Tensor, Array, spec.Windows, PoolParams, tuple[int, ...]]


def pool_setup(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Pool:
    (y, height), (x, width) = pool_axis(draw), pool_axis(draw)
    channels = draw.choice(CHANNELS)
    source = tensor(input_dims(y.size, x.size, channels, draw), kernel.input, draw)
    values = contents(source, rng)
    win = spec.windows(values.reshape(source.map), 0, y, x, (height, width))
    params = PoolParams(y.kernel, x.kernel, y.stride, x.stride, y.pad, x.pad)
    return source, values, win, params, input_dims(height, width, channels, draw)


def maxpool_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source, values, win, params, dims = pool_setup(kernel, draw, rng)
    target = replace(source, dims=dims)
    best: Array | None = None
    inside = win.counted(outside=False)
    seen = np.zeros(inside.shape[:2], np.bool_)[..., None]
    for ky, kx in np.ndindex(*inside.shape[2:]):
        here, x = inside[:, :, ky, kx, None], win.x[:, :, ky, kx]
        best = x if best is None else np.where(here & (~seen | (best < x)), x, best)
        seen = seen | here
    assert best is not None and seen.all()
    return Case(kernel, (source,), target, (), params, (source.store(values),), target.store(best))


def avgpool_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source, values, win, params, dims = pool_setup(kernel, draw, rng)
    target = tensor(dims, kernel.output, draw)
    inside = win.counted(outside=False)
    x = win.x if kernel.input == "f32" else source.integers(win.x)
    total = np.zeros((*x.shape[:2], x.shape[-1]), x.dtype)
    for ky, kx in np.ndindex(*inside.shape[2:]):
        total = np.where(inside[:, :, ky, kx, None], total + x[:, :, ky, kx], total)
    mean = (total.astype(F) * F(source.scale)) / inside.sum(axis=(2, 3))[..., None].astype(F)
    constants: tuple[bytes, ...] = ()
    if kernel.output == "s8":
        inverse = F(1 / target.scale)
        constants = (inverse.tobytes(),)
        mean = spec.quantized(mean * inverse, target.zero_point, -128, 127)
    return Case(kernel, (source,), target, constants, params, (source.store(values),), target.store(mean))


# --- movement ---------------------------------------------------------------------------------------------------------


def concat_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    dims = any_dims(draw)
    axis = draw.integer(0, len(dims) - 1)
    first = tensor(dims, kernel.input, draw)
    sizes = [draw.integer(1, 40 if axis == len(dims) - 1 else 3) for _ in range(draw.choice((2, 3, 5, 16)))]
    sources = [replace(first, dims=(*dims[:axis], size, *dims[axis + 1 :])) for size in sizes]
    values = [contents(s, rng) for s in sources]
    joined = np.concatenate(values, axis=axis)
    target = replace(first, dims=joined.shape)
    data = tuple(s.store(v) for s, v in zip(sources, values, strict=True))
    return Case(kernel, tuple(sources), target, (), ConcatParams(axis), data, target.store(joined))


def quad(values: Sequence[int], fill: int) -> tuple[int, int, int, int]:
    a, b, c, d = (*values, *(fill,) * (4 - len(values)))
    return a, b, c, d


def pad_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor(any_dims(draw), kernel.input, draw)
    cells = [(draw.integer(0, 3), draw.integer(0, 3)) for _ in source.dims]
    value = float(draw.choice({"s1": (-1, 1), "s8": (-128, 127, 3), "f32": (0.0, -0.0, 1.5)}[kernel.input]))
    values = contents(source, rng)
    padded = np.pad(values, cells, constant_values=value)
    target = replace(source, dims=padded.shape)
    params = PadParams(quad([before for before, _ in cells], 0), value)
    return Case(kernel, (source,), target, (), params, (source.store(values),), target.store(padded))


def view_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor(any_dims(draw, draw.choice((1, 3, 8, 33))), kernel.input, draw)
    left, axis = list(range(len(source.dims))), []
    while left:
        axis.append(left.pop(draw.integer(0, len(left) - 1)))
    start, step, repeat, dims = [], [], [], []
    for a in axis:
        start.append(draw.integer(0, source.dims[a] - 1))
        step.append(draw.integer(0, 3))
        repeat.append(draw.integer(1, 3))
        reach = (source.dims[a] - 1 - start[-1]) // step[-1] if step[-1] else 3
        dims.append(draw.integer(1, (reach + 1) * repeat[-1]))
    values = contents(source, rng)
    target = replace(source, dims=tuple(dims))
    result = np.empty(dims, values.dtype)
    for index in np.ndindex(*dims):
        at = [0] * len(dims)
        for k, i in enumerate(index):
            at[axis[k]] = start[k] + (i // repeat[k]) * step[k]
        result[index] = values[tuple(at)]
    params = ViewParams(quad(axis, 0), quad(start, 0), quad(step, 1), quad(repeat, 1))
    return Case(kernel, (source,), target, (), params, (source.store(values),), target.store(result))


def reshape_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    factors = [draw.choice((1, 2, 3, 5, 11)) for _ in range(4)]
    source = Tensor((factors[0] * factors[1], factors[2] * factors[3]), "s1")
    a, b, c, d = factors
    target = Tensor(draw.choice(((a, b, c, d), (a * b * c * d,), (a, b * c * d))), "s1")
    if draw.choice((True, False)):
        source, target = target, source
    values = contents(source, rng)
    return Case(kernel, (source,), target, (), None, (source.store(values),), target.store(values))


FAMILIES: dict[str, Callable[[Kernel, Draw, np.random.Generator], Case]] = {
    "conv_bitsliced": conv_case,
    "conv": conv_case,
    "depthwise": conv_case,
    "affine": affine_case,
    "lut": lut_case,
    "unary": unary_case,
    "prelu": prelu_case,
    "softmax": softmax_case,
    "layernorm": layernorm_case,
    "binary": binary_case,
    "maxpool": maxpool_case,
    "avgpool": avgpool_case,
    "concat": concat_case,
    "pad": pad_case,
    "view": view_case,
    "reshape": reshape_case,
}
