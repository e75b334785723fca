"""Random calls of every kernel, with the bytes that schema/SPEC.md asks for.

`make(kernel, draw)` builds one: shapes and parameters come from `draw` (a seeded generator, or hypothesis, which then
can shrink them), array contents from a generator that `draw` seeds. FAMILIES maps each family of kernels.def to its
builder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from dqnn.exporter.format import (
    BinaryParams,
    ChannelParams,
    ConcatParams,
    ConvParams,
    FixedBinaryParams,
    GatherParams,
    PadParams,
    Params,
    PoolParams,
    ReduceParams,
    SoftmaxParams,
    UnaryParams,
    ViewParams,
)
from dqnn.exporter.ir import fixed_point, numerics

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

ZEROS = (0, -128, 127, 3, -77)
DEPTHWISE, ZERO_POINTS = ("depthwise", "depthwisez"), ("convz", "depthwisez")  # families
CHANNELS = (1, 2, 3, 4, 7, 8, 9, 16, 31, 32, 33, 40, 64, 65)


def tensor(dims: Sequence[int], dtype: str, draw: Draw) -> Tensor:
    if dtype != "s8":
        return Tensor(tuple(dims), dtype)
    scale = float(F(draw.choice((1.0, 0.0078125, 0.1, 3.7))))
    return Tensor(tuple(dims), dtype, scale, draw.choice(ZEROS))


def contents(t: Tensor, rng: np.random.Generator) -> Array:
    if t.dtype == "s1":
        return np.where(rng.random(t.dims) < rng.choice([0.0, 0.1, 0.5, 0.9, 1.0]), -1, 1)
    if t.dtype == "s8":
        return rng.integers(-128, 128, t.dims)
    values = rng.choice([rng.normal(0, 1, t.dims), rng.normal(0, 100, t.dims), rng.integers(-3, 4, t.dims)])
    special = rng.choice([0.0, -0.0, 1e-40, 0.5, 1.5], t.dims)
    return np.asarray(np.where(rng.random(t.dims) < 0.1, special, values), F)


def codes(kind: str, shape: tuple[int, ...], rng: np.random.Generator, bits: int = 8) -> Array:
    if kind == "s1":
        return rng.choice([-1, 1], shape)
    if kind == "s8":
        half = 1 << (bits - 1)
        return rng.integers(-half, half, shape).astype(np.int8)
    return rng.normal(0, 1, shape).astype(F)


def epilogue(
    output: Tensor, acc: Array, channels: int, draw: Draw, rng: np.random.Generator, modes: Sequence[int] | None = None
) -> Epilogue:
    """Constants that make results of `acc` vary; `channels` values each. `modes`: requantizations to draw from."""
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
    requant = draw.choice(modes if modes is not None else (0, 1, 2, 3) if integer else (0,))
    limits: dict[str, Any] = {"act_min": float(low), "act_max": float(high), "requant": requant}
    if requant > 3:
        return Epilogue(output, scale=divisors(channels, spread, rng), **limits)
    if requant == 3:
        return fixed64(output, channels, spread, rng, limits)
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


def divisors(channels: int, spread: float, rng: np.random.Generator) -> Array:
    """Scales; some powers of two, so that ties happen."""
    size = 2.0 ** np.round(np.log2(spread / 100))
    return np.where(rng.random(channels) < 0.5, size, size * rng.uniform(0.5, 2, channels)).astype(F)


def fixed64(output: Tensor, channels: int, spread: float, rng: np.random.Generator, limits: dict[str, Any]) -> Epilogue:
    """Multipliers of all sizes; powers of two make ties, and so do offsets of half a step."""
    bits = max(0, int(spread).bit_length() - 7)
    shift = np.clip(31 + bits + rng.integers(-2, 3, channels), 1, 62)
    multiplier = np.where(rng.random(channels) < 0.5, 2**30, rng.integers(2**30, 2**31, channels))
    small = rng.random(channels) < 0.2
    shift, multiplier = np.where(small, np.clip(bits + 1, 1, 62), shift), np.where(small, 2, multiplier)
    bias = rng.integers(-9, 10, channels) * max(1, int(spread) // 16)
    offset = bias * multiplier + (np.int64(1) << (shift - 1))
    extreme = rng.random(channels) < 0.05
    offset = np.where(extreme, rng.choice([1 - 2**62, 2**62 - 1, 0], channels), offset)
    shift = np.where(rng.random(channels) < 0.05, rng.choice([1, 31, 32, 33, 62], channels), shift)
    return Epilogue(output, offset64=offset, multiplier=multiplier, shift=shift, **limits)


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
    depthwise, sliced = kernel.family in DEPTHWISE, kernel.family == "conv_bitsliced"
    if kernel.weights == kernel.output == "s1" != kernel.input and not depthwise and draw.choice((True, False, False)):
        return first_layer_case(kernel, draw, rng)
    y, height, pool_h = draw_axis(draw, up=not sliced and not depthwise, largest=6)
    x, width, pool_w = draw_axis(draw, up=not sliced and not depthwise, largest=7)
    groups = 1 if depthwise else draw.choice((1, 1, 1, 2, 3))
    multiplier = draw.choice((1, 1, 2, 3)) if depthwise else 1
    channels = draw.choice(CHANNELS) * groups
    outputs = channels * multiplier if depthwise else draw.choice(CHANNELS) * groups
    may_be_half = kernel.weights == "s8" and kernel.family not in ZERO_POINTS
    params = conv_params(
        y, x, (pool_h, pool_w), groups=groups, multiplier=multiplier, pad_value=pad_value(kernel.input, draw),
        half_weights=int(may_be_half and draw.choice((True, False, False))),
        weight_bits=draw.choice((0, 0, 4, 2)) if may_be_half else 0,
    )  # fmt: skip
    source = tensor(input_dims(y.size, x.size, channels, draw), kernel.input, draw)
    target = tensor(input_dims(height, width, outputs, draw), kernel.output, draw)
    if depthwise:
        weights = codes(kernel.weights, (y.kernel, x.kernel, channels, multiplier), rng, params.weight_bits or 8)
    else:
        shape = (outputs, y.kernel, x.kernel, channels // groups)
        weights = codes(kernel.weights, shape, rng, params.weight_bits or 8)
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
    zeros = rng.choice([0, -128, 127, 3, -77], outputs).astype(np.int8) if kernel.family in ZERO_POINTS else None
    acc = spec.accumulators(
        source, values, weights, kernel.weights, params, full, depthwise=kernel.family in DEPTHWISE, zero_points=zeros
    )
    acc = spec.pooled(acc, pool)
    end = epilogue(target, acc, outputs, draw, rng)
    params = replace(params, requant=end.requant, act_min=end.act_min, act_max=end.act_max)
    constants = conv_constants(kernel, source, weights, params, full, end)
    if zeros is not None:
        constants = (constants[0], zeros.tobytes(), *constants[1:])
    return Case(kernel, (source,), target, constants, params, (source.store(values),), target.store(end.apply(acc)))


def conv_constants(
    kernel: Kernel, source: Tensor, weights: Array, params: ConvParams, full: tuple[int, int], end: Epilogue
) -> tuple[bytes, ...]:
    packed = packed_weights(kernel, weights, params.groups, params.weight_bits)
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


def packed_weights(kernel: Kernel, weights: Array, groups: int, bits: int = 0) -> bytes:
    if bits:
        if kernel.family in DEPTHWISE:
            return spec.depthwise_of_bits(weights, bits)
        return (spec.quads_of_bits if kernel.input == "f32" else spec.pairs_of_bits)(weights, groups, bits)
    if kernel.family in DEPTHWISE:
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
    modes = (0, 4, 5) if kernel.input == "f32" and kernel.output == "s8" else None
    end = epilogue(target, acc, source.dims[-1] if per_channel else 1, draw, rng, modes)
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


def lut_channels_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor(any_dims(draw), "s8", draw)
    target = tensor(source.dims, "s8", draw)
    values, tables = contents(source, rng), rng.integers(-128, 128, (source.dims[-1], 256))
    result = tables[np.arange(source.dims[-1]), values + 128]
    return Case(
        kernel, (source,), target, (tables.astype(np.int8).tobytes(),), None, (source.store(values),),
        target.store(result),
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


def fixed_binary_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    target = tensor(any_dims(draw), "s8", draw)
    kind, single = draw.integer(0, len(BINARY) - 1), draw.choice((0, 1))
    sources = []
    for _ in range(2):
        dims = tuple(d if draw.choice((True, True, False)) else 1 for d in target.dims)
        sources.append(replace(target, dims=dims) if kind > 2 else tensor(dims, "s8", draw))
    values = [contents(s, rng) for s in sources]
    a, b = np.broadcast_arrays(*(s.integers(v) for s, v in zip(sources, values, strict=True)))
    low, high = draw.choice(((-128, 127), (-9, 100)))
    params = fixed_params(kind, 0 if kind > 2 else single, rng)
    params = replace(params, act_min=low, act_max=high)
    result = np.clip(np.broadcast_to(fixed_result(params, a, b), target.dims) + target.zero_point, low, high)
    data = tuple(s.store(v) for s, v in zip(sources, values, strict=True))
    return Case(kernel, tuple(sources), target, (), params, data, target.store(result.astype(np.int64)))


def fixed_params(kind: int, single: int, rng: np.random.Generator) -> FixedBinaryParams:
    """Rules as files have them: factors near 1 for add, small ones for mul; some that make ties."""

    def factor() -> int:
        return int(rng.choice([2**30, rng.integers(2**30, 2**31)]))

    if kind > 2:
        return FixedBinaryParams(kind)
    if single:
        if kind == 2:
            return FixedBinaryParams(2, 1, multiplier=factor(), shift=int(rng.integers(31, 46)))
        a, b = factor() >> int(rng.integers(0, 4)), factor() >> int(rng.integers(0, 4))
        return FixedBinaryParams(0, 1, 0, 0, a, 0, b * int(rng.choice([-1, 1])), 0, 0, int(rng.integers(30, 36)))
    if kind == 2:
        return FixedBinaryParams(2, multiplier=factor(), shift=-int(rng.integers(0, 16)))
    shifts = [-int(n) for n in rng.integers(0, 4, 2)]
    factors = [(factor(), shift) for shift in shifts]
    if rng.random() < 0.7:  # what TFLite writes: half of the larger scale is 1
        factors[int(rng.integers(2))] = (2**30, 0)
    (a, shift_a), (b, shift_b) = factors
    return FixedBinaryParams(kind, 0, 20, 0, a, shift_a, b, shift_b, factor(), -int(rng.integers(16, 23)))


def fixed_result(p: FixedBinaryParams, a: Array, b: Array) -> Array:
    """SPEC.md 3.7 without zero point and clamp."""
    if p.kind > 2:
        return np.maximum(a, b) if p.kind == 3 else np.minimum(a, b)
    one = np.int64(1)
    if p.single:
        total = a * b * p.multiplier if p.kind == 2 else a * p.multiplier_a + b * p.multiplier_b
        return spec.half_even(total, one * p.shift)
    if p.kind == 2:
        return spec.fixed_point(spec.wrap(a * b), one * p.multiplier, one * p.shift)
    left = spec.fixed_point(spec.wrap(a << p.left), one * p.multiplier_a, one * p.shift_a)
    right = spec.fixed_point(spec.wrap(b << p.left), one * p.multiplier_b, one * p.shift_b)
    total = spec.wrap(left + right if p.kind == 0 else left - right)
    return spec.fixed_point(total, one * p.multiplier, one * p.shift)


def reduce_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor(any_dims(draw), "s8", draw)
    rank = len(source.dims)
    axes = [k for k in range(rank) if draw.choice((True, False))] or [draw.integer(0, rank - 1)]
    keep = len(axes) == rank or draw.choice((True, False))
    kind = draw.choice((0, 3, 4))
    values = contents(source, rng)
    mask = sum(1 << k for k in axes)
    if kind:
        result = (np.max if kind == 3 else np.min)(values, axis=tuple(axes), keepdims=keep)
        target = replace(source, dims=result.shape)
        params = ReduceParams(mask, kind)
        return Case(kernel, (source,), target, (), params, (source.store(values),), target.store(result))
    total = source.integers(values).sum(axis=tuple(axes), keepdims=keep)
    target = tensor(total.shape, "s8", draw)
    end = epilogue(target, total, 1, draw, rng, (1, 3))
    end = replace(end, bias=np.zeros(1, np.int32)) if end.bias is not None else end
    params = ReduceParams(mask, 0, end.requant, act_min=end.act_min, act_max=end.act_max)
    result = end.apply(total)
    return Case(
        kernel, (source,), target, tuple(end.constants()), params, (source.store(values),), target.store(result)
    )


def softmax_fixed_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    """Against the exact function: within two codes (tests/oracles compares the bits with TFLite's)."""
    source = tensor(any_dims(draw), "s8", draw)
    values = contents(source, rng)
    multiplier, left_shift = (int(n) for n in fixed_point.quantize_multiplier(min(source.scale * 2.0**26, 2**31 - 1)))
    params = SoftmaxParams(multiplier, left_shift, -int(31 * 2.0**26 / 2.0**left_shift))
    target = Tensor(source.dims, "s8", 1 / 256, -128)
    result = fixed_point.softmax(values.astype(np.int64), *(getattr(params, n) for n in SOFTMAX_FIELDS))
    exact = np.exp(source.scale * (values - values.max(axis=-1, keepdims=True)))
    wanted = np.clip(256 * exact / exact.sum(axis=-1, keepdims=True), 0, 255) - 128
    assert np.abs(result - wanted).max() <= 1.5
    return Case(kernel, (source,), target, (), params, (source.store(values),), target.store(result))


SOFTMAX_FIELDS = ("multiplier", "left_shift", "diff_min")


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


def avgpool_raw_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source, values, win, params, dims = pool_setup(kernel, draw, rng)
    target = replace(source, dims=dims)
    inside = win.counted(outside=False)
    total = np.where(inside[..., None], win.x, 0).astype(np.int64).sum(axis=(2, 3))
    count = inside.sum(axis=(2, 3))[..., None]
    mean = np.sign(total) * ((2 * np.abs(total) + count) // (2 * count))
    return Case(kernel, (source,), target, (), params, (source.store(values),), target.store(mean))


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


def gather_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor(any_dims(draw, draw.choice((1, 3, 8, 33))), kernel.input, draw)
    rank = len(source.dims)
    axes = [k for k in range(rank) if draw.choice((True, False))] or [draw.integer(0, rank - 1)]
    values = contents(source, rng)
    result, constants = values, []
    for k in axes:
        index = rng.integers(0, source.dims[k], draw.choice((1, 2, 5, 40)))
        result = np.take(result, index, axis=k)
        constants.append(index.astype("<u4").tobytes())
    target = replace(source, dims=result.shape)
    params = GatherParams(sum(1 << k for k in axes))
    return Case(kernel, (source,), target, tuple(constants), params, (source.store(values),), target.store(result))


def bilinear_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    source = tensor((draw.integer(1, 5), draw.integer(1, 5), draw.choice((1, 3, 8, 33))), kernel.input, draw)
    values = contents(source, rng)
    places = [rng.integers(0, (n - 1) * 1024 + 1, draw.choice((1, 2, 5, 12))) for n in source.dims[:2]]
    for index in places:
        index[::3] -= index[::3] % draw.choice((1, 512, 1024))  # ties and whole cells among them
    target = replace(source, dims=(len(places[0]), len(places[1]), source.dims[2]))
    result = np.empty(target.dims, values.dtype)
    for y, x in np.ndindex(*target.dims[:2]):
        (top, down), (left, right) = (divmod(int(index[i]), 1024) for index, i in zip(places, (y, x), strict=True))
        parts = np.zeros(source.dims[2], np.int64)
        for dy, dx in np.ndindex(2, 2):
            share = (down if dy else 1024 - down) * (right if dx else 1024 - right)
            if share:
                parts += share * values[top + dy, left + dx].astype(np.int64)
        result[y, x] = [math.floor(abs(p) / 2**20 + 0.5) * (1 if p > 0 else -1) for p in parts]
    constants = tuple(index.astype("<u4").tobytes() for index in places)
    return Case(kernel, (source,), target, constants, None, (source.store(values),), target.store(result))


def constant_case(kernel: Kernel, draw: Draw, rng: np.random.Generator) -> Case:
    target = tensor(any_dims(draw), kernel.output, draw)
    stored = target.store(contents(target, rng))
    return Case(kernel, (), target, (stored,), None, (), stored)


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
    "convz": conv_case,
    "depthwisez": conv_case,
    "lut_channels": lut_channels_case,
    "binary_fixed": fixed_binary_case,
    "avgpool_raw": avgpool_raw_case,
    "reduce": reduce_case,
    "softmax_fixed": softmax_fixed_case,
    "gather": gather_case,
    "constant": constant_case,
    "bilinear": bilinear_case,
}
