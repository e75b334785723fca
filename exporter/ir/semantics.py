"""The kernel-ready operators exactly as schema/SPEC.md section 3 defines them, in numpy.

Arrays hold stored values with a batch axis: s1 as int8 +1/-1, s8 as int8, f32 as float32 (operators that only move
values take float64 as well). Integer sums are exact
(BLAS in float64, or float32 where the bound allows); float sums run in the documented order, one float32 operation
per step, vectorised over outputs only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.tensors import Rounding, factor_of, quantize_s8

from . import fixed_point, numerics, ops, quantized, real
from .fixed_point import shift_half_even, wrap
from .infer import stored_value
from .types import F32, S8, Format, TensorType
from .windows import Geometry, inside_counts, taps, with_map

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]
F = np.float32

FLOAT32_EXACT = 1 << 24
CHUNK_BYTES = 32 << 20  # working memory of one batch chunk
BLOCK_CHANNELS, CHUNK_PRODUCTS = 8, 4  # order of the f32 x s1 sum, SPEC.md 3.1
ROWS = 512  # outputs summed together in the ordered float sums: stays in cache


def run(op: ops.Op, inputs: Sequence[Array], types: Sequence[TensorType]) -> Array:
    """Stored output of one kernel call."""
    with np.errstate(all="ignore"):
        return _KERNELS[type(op)](op, list(inputs), list(types))


# --- accumulators -----------------------------------------------------------------------------------------------------


def accumulate(op: ops.ConvKernel, x: Array, fmt: Format) -> Array:
    """Accumulators (N, Ho, Wo, Co) before the pool: int64, or float32 when the input or the weights are floats."""
    geometry = _geometry(op)
    integer = not isinstance(fmt, F32) and op.weights.kind != "f32"
    zero = fmt.zero_point if isinstance(fmt, S8) else 0
    kind: Any = np.float64 if integer else np.float32
    values: Array = with_map(x).astype(kind) - kind(zero)
    pad_value = op.pad_value - zero
    codes: Array = real.real_weights(op.weights, op.depthwise).astype(kind)
    if integer:
        acc = (
            exact_depthwise(values, codes, geometry, pad_value)
            if op.depthwise
            else exact_conv(values, codes, geometry, pad_value, op.groups)
        )
        return np.rint(acc).astype(np.int64)
    if op.depthwise:
        return _float_depthwise(values, codes, geometry, pad_value)
    chunked = isinstance(fmt, F32) and op.weights.kind == "s1"
    return _float_conv(values, codes, geometry, pad_value, op.groups, chunked)


def _geometry(op: ops.ConvKernel) -> Geometry:
    shape = op.weights.codes.shape
    size = (shape[0], shape[1]) if op.depthwise else (shape[1], shape[2])
    return Geometry(size, op.stride, op.dilation, op.padding, op.up)


def _batches(x: Array, cells: int) -> Iterator[Array]:
    """Pieces of the batch whose `cells` numbers per sample stay within the working memory."""
    step = max(1, CHUNK_BYTES // (8 * max(1, cells)))
    for start in range(0, len(x), step):
        yield x[start : start + step]


def exact_conv(x: Array, weights: Array, geometry: Geometry, pad_value: float, groups: int) -> NDArray[np.float64]:
    """Sums of products of float64 arrays; x (N, H, W, C), weights (O, kh, kw, C / groups). Exact for integers below
    2**53."""
    ho, wo = geometry.output(x.shape[1], x.shape[2])
    out, kh, kw, cg = weights.shape
    result = np.empty((len(x), ho, wo, out))
    bound = np.abs(weights).max(initial=0) * max(np.abs(x).max(initial=0), abs(pad_value)) * kh * kw * cg
    integral = bound < FLOAT32_EXACT and float(pad_value).is_integer() and _integral(x) and _integral(weights)
    kind = np.float32 if integral else np.float64
    og, start = out // groups, 0
    for piece in _batches(x, ho * wo * kh * kw * x.shape[3]):
        columns = np.stack(list(taps(piece.astype(kind), geometry, pad_value)), axis=3)  # (n, Ho, Wo, taps, C)
        for g in range(groups):
            rows = columns[..., g * cg : (g + 1) * cg].reshape((-1, kh * kw * cg))
            matrix = weights[g * og : (g + 1) * og].reshape((og, -1)).astype(kind)
            result[start : start + len(piece), :, :, g * og : (g + 1) * og] = (rows @ matrix.T).reshape(
                (len(piece), ho, wo, og)
            )
        start += len(piece)
    return result


def _integral(x: Array) -> bool:
    return bool((np.rint(x) == x).all())


def exact_depthwise(x: Array, weights: Array, geometry: Geometry, pad_value: float) -> NDArray[np.float64]:
    """The same for weights (kh, kw, C, multiplier)."""
    pieces = []
    for piece in _batches(x, x[0].size * weights.shape[3]):
        acc: Any = 0.0
        for cells, w in zip(taps(piece, geometry, pad_value), weights.reshape((-1, *weights.shape[2:])), strict=True):
            acc = acc + cells[..., None] * w
        pieces.append(acc.reshape((*acc.shape[:3], -1)))
    return np.concatenate(pieces)


def _float_depthwise(x: Floats, weights: Floats, geometry: Geometry, pad_value: float) -> Floats:
    pieces = []
    for piece in _batches(x, x[0].size * weights.shape[3]):
        acc: Any = F(0)
        for cells, w in zip(taps(piece, geometry, pad_value), weights.reshape((-1, *weights.shape[2:])), strict=True):
            acc = acc + w * cells[..., None]
        pieces.append(acc.reshape((*acc.shape[:3], -1)))
    return np.concatenate(pieces)


def _float_conv(x: Floats, weights: Floats, geometry: Geometry, pad_value: float, groups: int, chunked: bool) -> Floats:
    ho, wo = geometry.output(x.shape[1], x.shape[2])
    out, kh, kw, cg = weights.shape
    og = out // groups
    result = np.empty((len(x), ho * wo, out), F)
    start = 0
    for piece in _batches(x, ho * wo * kh * kw * x.shape[3]):
        columns = np.stack(list(taps(piece, geometry, pad_value)), axis=3).reshape((-1, kh, kw, x.shape[3]))
        flat = np.empty((len(columns), out), F)
        for g in range(groups):
            cells, w = columns[..., g * cg : (g + 1) * cg], weights[g * og : (g + 1) * og]
            for row in range(0, len(cells), ROWS):
                part = cells[row : row + ROWS]
                flat[row : row + ROWS, g * og : (g + 1) * og] = (
                    _chunked_sum(part, w) if chunked else _plain_sum(part, w)
                )
        result[start : start + len(piece)] = flat.reshape((len(piece), ho * wo, out))
        start += len(piece)
    return result.reshape((len(x), ho, wo, out))


def _plain_sum(cells: Floats, weights: Floats) -> Floats:
    """acc = +0; acc = acc + w * x for ky, kx, ci ascending."""
    columns = np.ascontiguousarray(cells.reshape((len(cells), -1)).T)
    acc = np.zeros((len(cells), len(weights)), F)
    for x, w in zip(columns, np.ascontiguousarray(weights.reshape((len(weights), -1)).T), strict=True):
        acc += w[None, :] * x[:, None]
    return acc


def _chunked_sum(cells: Floats, weights: Floats) -> Floats:
    """Blocks of 8 channels, rows of the kernel, chunks of 4 products."""
    _, kh, _, cg = cells.shape
    acc: Floats | None = None
    for first in range(0, cg, BLOCK_CHANNELS):
        block = slice(first, min(first + BLOCK_CHANNELS, cg))
        for ky in range(kh):
            x = np.ascontiguousarray(cells[:, ky, :, block].reshape((len(cells), -1)).T)
            w = np.ascontiguousarray(weights[:, ky, :, block].reshape((len(weights), -1)).T)
            for start in range(0, len(x), CHUNK_PRODUCTS):
                chunk: Any = None
                for i in range(start, min(start + CHUNK_PRODUCTS, len(x))):
                    product = w[i][None, :] * x[i][:, None]
                    chunk = product if chunk is None else chunk + product
                acc = chunk if acc is None else acc + chunk
    assert acc is not None
    return acc


def _maximum(a: Array, b: Array) -> Array:
    """The fused pool's and maxpool's comparison; keeps `a` on ties and when one is NaN."""
    return np.where(a < b, b, a)


def pool_max(acc: Array, pool: ops.Pair) -> Array:
    """Maximum over windows of `pool` cells, what does not fill a window is dropped."""
    ph, pw = pool
    if pool == (1, 1):
        return acc
    h, w = acc.shape[1] // ph * ph, acc.shape[2] // pw * pw
    result = None
    for y in range(ph):
        for x in range(pw):
            cells = acc[:, y:h:ph, x:w:pw]
            result = cells if result is None else _maximum(result, cells)
    assert result is not None
    return result


# --- epilogues --------------------------------------------------------------------------------------------------------


def apply_epilogue(epilogue: ops.Epilogue, acc: Array, out: Format) -> Array:
    """SPEC.md 3.2; `acc` int64 or float32 with channels last."""
    if isinstance(epilogue, ops.Threshold):
        return np.where((acc < epilogue.t) ^ epilogue.flip, np.int8(-1), np.int8(1))
    if isinstance(epilogue, ops.Affine):
        y = acc.astype(F) * epilogue.scale.astype(F) + epilogue.offset.astype(F)
        if isinstance(out, S8):
            return _round_to_s8(y, out, epilogue.act_min, epilogue.act_max)
        return _clamp(y, epilogue)
    assert isinstance(out, S8)
    if isinstance(epilogue, ops.Divide):
        low, high = epilogue.act_min, epilogue.act_max
        return quantize_s8(acc, epilogue.scale, out.zero_point, epilogue.rounding, low, high)
    return quantized.to_codes(_rescaled(epilogue, acc), out, epilogue.act_min, epilogue.act_max)


def _rescaled(epilogue: ops.FixedPoint | ops.PowerOfTwo | ops.Fixed64, acc: Array) -> NDArray[np.int64]:
    shift = epilogue.shift.astype(np.int64)
    if isinstance(epilogue, ops.PowerOfTwo):
        return shift_half_even(wrap(acc + epilogue.bias), shift)
    multiplier = epilogue.multiplier.astype(np.int64)
    if isinstance(epilogue, ops.Fixed64):
        return fixed_point.fixed64(acc, epilogue.offset, multiplier, shift)
    return fixed_point.fixed_point(wrap(acc + epilogue.bias), multiplier, shift)


def _clamp(y: Floats, epilogue: ops.Affine) -> Floats:
    low, high = F(epilogue.act_min), F(epilogue.act_max)
    return np.where(y < low, low, np.where(y > high, high, y))


def _round_to_s8(y: Floats, out: S8, act_min: float, act_max: float) -> Array:
    """Clamp (NaN gives the lower bound), round half to even, add the zero point."""
    low, high = F(act_min - out.zero_point), F(act_max - out.zero_point)
    clamped = np.where(y > low, np.where(y < high, y, high), low)
    return np.asarray(np.rint(clamped).astype(np.int64) + out.zero_point, np.int8)


# --- kernels ----------------------------------------------------------------------------------------------------------


def _conv(op: ops.ConvKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    return apply_epilogue(op.epilogue, pool_max(accumulate(op, inputs[0], types[0].fmt), op.pool), op.out)


def _channel(op: ops.ChannelKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    fmt, x = types[0].fmt, inputs[0]
    if isinstance(fmt, F32):
        return apply_epilogue(op.epilogue, x, op.out)
    zero = fmt.zero_point if isinstance(fmt, S8) else 0
    return apply_epilogue(op.epilogue, x.astype(np.int64) - zero, op.out)


def _table(op: ops.Table, inputs: list[Array], types: list[TensorType]) -> Array:
    at = inputs[0].astype(np.int64) + 128
    if op.codes.ndim == 1:
        return np.asarray(op.codes[at])
    return np.asarray(op.codes[np.arange(at.shape[-1]), at])


def _fixed_binary(op: ops.FixedBinaryKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    if op.kind in ("maximum", "minimum"):
        codes = np.maximum(*inputs) if op.kind == "maximum" else np.minimum(*inputs)
        return np.clip(codes, op.act_min, op.act_max).astype(np.int8)
    a, b = (quantized.numbers(x, kind) for x, kind in zip(inputs, types, strict=True))
    (ma, ea), (mb, eb), (m, e) = (tuple(np.asarray(n, np.int64) for n in pair) for pair in op.pairs)
    if op.rounding is ops.FixedRounding.SINGLE:
        total = a * b * m if op.kind == "mul" else a * ma + b * mb
        return quantized.to_codes(shift_half_even(total, e), op.out, op.act_min, op.act_max)
    if op.kind == "mul":
        total = a * b
    else:
        left = fixed_point.fixed_point(wrap(a << op.left), ma, ea)
        right = fixed_point.fixed_point(wrap(b << op.left), mb, eb)
        total = wrap(left + right if op.kind == "add" else left - right)
    return quantized.to_codes(fixed_point.fixed_point(total, m, e), op.out, op.act_min, op.act_max)


def _reduce(op: ops.ReduceKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    found = quantized.reduce(op.reduce, inputs[0], types[0])
    return found if op.epilogue is None else apply_epilogue(op.epilogue, found, op.out)


def _fixed_softmax(op: ops.FixedSoftmax, inputs: list[Array], types: list[TensorType]) -> Array:
    codes = fixed_point.softmax(inputs[0].astype(np.int64), op.multiplier, op.left_shift, op.diff_min)
    return codes.astype(np.int8)


def _bilinear(op: ops.Bilinear, inputs: list[Array], types: list[TensorType]) -> Array:
    return quantized.bilinear(op, inputs[0])


def _constant(op: ops.Constant, inputs: list[Array], types: list[TensorType]) -> Array:
    return op.values[None]


def _real_float(x: Array, fmt: Format) -> Floats:
    """Real value as binary and average pool kernels read it: (float)(stored - zero_point) * scale."""
    if isinstance(fmt, S8):
        return (x.astype(np.int64) - fmt.zero_point).astype(F) * F(fmt.scale)
    return x.astype(F)


_BINARY: dict[str, Callable[[Floats, Floats], Floats]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "maximum": lambda a, b: np.where(a < b, b, a),
    "minimum": lambda a, b: np.where(b < a, b, a),
}


def _binary(op: ops.BinaryKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    a, b = (_real_float(x, t.fmt) for x, t in zip(inputs, types, strict=True))
    r = _BINARY[op.kind](a, b)
    if isinstance(op.out, S8):
        assert isinstance(op.epilogue, ops.Affine)
        return _round_to_s8(r * op.epilogue.scale.astype(F), op.out, op.epilogue.act_min, op.epilogue.act_max)
    if isinstance(op.epilogue, ops.Affine):
        return _clamp(r, op.epilogue)
    return apply_epilogue(op.epilogue, r, op.out)


def _avg_pool(op: ops.AvgPoolKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    if op.pool.raw:
        return quantized.raw_mean(op.pool, inputs[0])
    fmt = types[0].fmt
    x = with_map(inputs[0])
    geometry = Geometry(op.pool.size, op.pool.stride, padding=op.pool.padding)
    counts = inside_counts(x.shape[1], x.shape[2], geometry)[:, :, None].astype(F)
    if isinstance(fmt, F32):
        total: Any = F(0)
        for cells in taps(x, geometry, 0.0):
            total = total + cells
    else:
        zero = fmt.zero_point if isinstance(fmt, S8) else 0
        total = sum(taps(x.astype(np.int64) - zero, geometry, 0)).astype(F)  # type: ignore[union-attr]
    scale = F(fmt.scale) if isinstance(fmt, S8) else F(1)
    mean = (total * scale) / counts
    if isinstance(op.out, S8):
        return _round_to_s8(mean * factor_of(op.out.scale, Rounding.KERAS), op.out, -128, 127)
    return np.asarray(mean, F)


def _max_pool(op: ops.MaxPool, inputs: list[Array], types: list[TensorType]) -> Array:
    x = with_map(inputs[0])
    geometry = Geometry(op.size, op.stride, padding=op.padding)
    inside = taps(np.ones((1, *x.shape[1:3], 1), np.bool_), geometry, 0)
    result, found = None, None
    for cells, mask in zip(taps(x, geometry, 0), inside, strict=True):
        if result is None or found is None:
            result, found = cells, mask
            continue
        result = np.where(mask & ~found, cells, np.where(mask & (result < cells), cells, result))
        found = found | mask
    return np.asarray(result)


def _unary(op: ops.UnaryKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    return numerics.unary(op.kind, op.alpha, inputs[0])


def _prelu(op: ops.PReluKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    return np.where(inputs[0] < 0, op.alpha.astype(F) * inputs[0], inputs[0])


def _layer_norm(op: ops.LayerNormKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    x, count = inputs[0], F(inputs[0].shape[-1])
    apart = x - (_ascending_sum(x) / count)[..., None]
    factor = F(1) / np.sqrt(_ascending_sum(apart * apart) / count + F(op.epsilon))
    return np.asarray(apart * factor[..., None] * op.gamma + op.beta)


def _ascending_sum(x: Array) -> Array:
    total = np.zeros(x.shape[:-1], F)
    for i in range(x.shape[-1]):
        total = total + x[..., i]
    return total


def _softmax(op: ops.SoftmaxKernel, inputs: list[Array], types: list[TensorType]) -> Array:
    x = inputs[0]
    top = x[..., 0]
    for i in range(1, x.shape[-1]):
        top = _maximum(top, x[..., i])
    e = numerics.exp(x - top[..., None])
    total = e[..., 0]
    for i in range(1, x.shape[-1]):
        total = total + e[..., i]
    return np.asarray(e / total[..., None])


def pad(op: ops.Pad, x: Array, value: float) -> Array:
    """`x` with cells of `value` (as stored) around it."""
    width = [(0, 0), *zip(op.before, op.after, strict=True)]
    return np.pad(x, width, constant_values=np.asarray(value, x.dtype))


def _pad(op: ops.Pad, inputs: list[Array], types: list[TensorType]) -> Array:
    value = stored_value(op.value, types[0].fmt)
    assert value is not None
    return pad(op, inputs[0], value)


def view(op: ops.View, x: Array) -> Array:
    """Crop, permute, repeat."""
    rank = len(op.shape)
    order = np.argsort(op.axis)  # output axis that walks input axis 0, 1, ...
    index: list[Any] = [slice(None)]
    for k in order:
        walk = op.start[k] + (np.arange(op.shape[k]) // op.repeat[k]) * op.step[k]
        shape = [1] * rank
        shape[k] = -1
        index.append(walk.reshape(shape))
    return np.asarray(x[tuple(index)])


def _view(op: ops.View, inputs: list[Array], types: list[TensorType]) -> Array:
    return view(op, inputs[0])


def _gather(op: ops.Gather, inputs: list[Array], types: list[TensorType]) -> Array:
    x = inputs[0]
    for axis, index in enumerate(op.indices):
        x = x if index is None else np.take(x, index, axis=axis + 1)
    return x


def _concat(op: ops.Concat, inputs: list[Array], types: list[TensorType]) -> Array:
    return np.concatenate(inputs, axis=op.axis + 1)


def _reshape(op: ops.Reshape, inputs: list[Array], types: list[TensorType]) -> Array:
    return inputs[0].reshape((-1, *op.shape))


_KERNELS: dict[type, Callable[[Any, list[Array], list[TensorType]], Array]] = {
    ops.ConvKernel: _conv,
    ops.ChannelKernel: _channel,
    ops.Table: _table,
    ops.FixedBinaryKernel: _fixed_binary,
    ops.ReduceKernel: _reduce,
    ops.FixedSoftmax: _fixed_softmax,
    ops.Bilinear: _bilinear,
    ops.Constant: _constant,
    ops.Gather: _gather,
    ops.BinaryKernel: _binary,
    ops.AvgPoolKernel: _avg_pool,
    ops.MaxPool: _max_pool,
    ops.UnaryKernel: _unary,
    ops.PReluKernel: _prelu,
    ops.SoftmaxKernel: _softmax,
    ops.LayerNormKernel: _layer_norm,
    ops.Pad: _pad,
    ops.View: _view,
    ops.Concat: _concat,
    ops.Reshape: _reshape,
}
