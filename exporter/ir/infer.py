"""The type of an operator's output from the types of its inputs.

The same rules serve the front ends, which learn from an `InferError` that a layer cannot be built, and the validator.
Operators that only move elements (pooling a maximum, views, reshapes, padding with a representable value) keep the
format; `Quantize` and `Ternary` set it; the arithmetic of quantized files and kernel-ready operators carry it;
everything else computes real numbers, that is f32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..limits import MOST_WIDE_SHIFT
from . import ops
from .types import F32, MOST_ELEMENTS, S1, S8, S32, Format, Shape, TensorType

MOST_CELLS = 0xFFFF  # of a window, a stride, a padding: the file has 16 bits for each
# What a step of a quantizer, or a weight's scale, can be: it and its inverse are normal float32 numbers, with room for
# the products of two.
SMALLEST_STEP, LARGEST_STEP = 2.0**-60, 2.0**60
MOST_SOFTMAX = 4095  # values of a fixed-point softmax: the sum of their exponentials has 12 integer bits
SOFTMAX_OUT = S8(1 / 256, -128)
FLOAT32 = np.finfo(np.float32)


class InferError(ValueError):
    """The operator cannot take these inputs; the text says what was found and what is accepted."""


def infer_type(op: ops.Op, inputs: Sequence[TensorType]) -> TensorType:
    """Type of `op`'s output. Raises `InferError` when the inputs do not fit."""
    rule = _RULES.get(type(op))
    if rule is None:
        raise InferError(f"{type(op).__name__} is not an operator of the IR")
    if not isinstance(op, _OTHER_INPUTS):
        _require(len(inputs) == 1, f"{type(op).__name__} takes one input, got {len(inputs)}")
    if not isinstance(op, _TAKES_S32):
        _require(all(kind.fmt != S32() for kind in inputs), f"{type(op).__name__} cannot read s32; a Rescale can")
    result = rule(op, tuple(inputs))
    _check_shape(result.shape, type(op).__name__)
    return result


def as_map(shape: Shape) -> tuple[int, int, int]:
    """(H, W, C) as convolutions and pools read a shape of rank 1 to 4: leading ones are put in front, rank 4 merges
    its first two."""
    if len(shape) == 4:
        return (shape[0] * shape[1], shape[2], shape[3])
    h, w, c = (1,) * (3 - len(shape)) + tuple(shape)
    return (h, w, c)


def stored_value(value: float, fmt: Format) -> float | None:
    """The code (s8), +1/-1 (s1) or number (f32) that stores the real `value` exactly, None if the format has none."""
    if isinstance(fmt, S1):
        return value if value in (-1.0, 1.0) else None
    if isinstance(fmt, S8):
        code = value / fmt.scale + fmt.zero_point
        nearest = round(code)
        exact = abs(code - nearest) <= 1e-9 * max(1.0, abs(code))
        return float(nearest) if exact and -128 <= nearest <= 127 else None
    return float(np.float32(value))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InferError(message)


def _check_shape(shape: Shape, what: str) -> None:
    _require(
        1 <= len(shape) <= 4, f"{what} would give a tensor of rank {len(shape)} {shape}; ranks 1 to 4 are supported"
    )
    _require(all(n > 0 for n in shape), f"{what} would give an empty tensor {shape}")
    elements = math.prod(shape)
    _require(elements <= MOST_ELEMENTS, f"{what} would give {elements:,} elements; at most {MOST_ELEMENTS:,}")


def _like(shape: Shape, map_shape: tuple[int, int, int], what: str) -> Shape:
    """`map_shape` with the rank of the input `shape`."""
    h, w, c = map_shape
    if len(shape) == 4:
        _require(h == shape[0] * shape[1], f"{what} on rank 4 must not change the first two axes")
        return (shape[0], shape[1], w, c)
    full = (h, w, c)
    _require(all(n == 1 for n in full[: 3 - len(shape)]), f"{what} on a tensor of rank {len(shape)} would give {full}")
    return full[3 - len(shape) :]


def _window(n: int, k: int, stride: int, dilation: int, pad: ops.Pair, up: int, what: str) -> int:
    covered = (k - 1) * dilation + 1
    room = (n - 1) * up + 1 + pad[0] + pad[1] - covered
    numbers = {"size": k, "stride": stride, "dilation": dilation, "upsampling": up}
    for name, number in numbers.items():
        _require(1 <= number <= MOST_CELLS, f"{what}: {name} {number}, accepted: 1 to {MOST_CELLS}")
    _require(min(pad) >= 0 and max(pad) <= MOST_CELLS, f"{what}: padding {pad}, accepted: 0 to {MOST_CELLS} cells")
    _require(room >= 0, f"{what}: a window of {covered} cells does not fit into {n} cells with padding {pad}")
    return room // stride + 1


def _spatial(
    shape: Shape, size: ops.Pair, stride: ops.Pair, dilation: ops.Pair, padding: ops.Padding, up: ops.Pair, what: str
) -> ops.Pair:
    h, w, _ = as_map(shape)
    if len(shape) == 4:
        _require(
            size[0] == 1 and stride[0] == 1 and up[0] == 1 and padding[0] == (0, 0),
            f"{what} on rank 4 must not reach across the second axis",
        )
    return (
        _window(h, size[0], stride[0], dilation[0], padding[0], up[0], what),
        _window(w, size[1], stride[1], dilation[1], padding[1], up[1], what),
    )


def _in_float32(values: Any, what: str) -> None:
    """Every number is one that a float32 can hold; infinities are not."""
    found = np.atleast_1d(np.asarray(values, np.float64))
    bad = found[~(np.abs(found) <= FLOAT32.max)]
    _require(bad.size == 0, f"{what} {bad[0] if bad.size else 0:g} is no float32 number")


def _per_channel(values: Any, channels: int, what: str) -> None:
    size = np.size(values)
    _require(size in (1, channels), f"{what} has {size} values for {channels} channels")


def _check_weights(weights: ops.Weights, rank: int, channels: int, what: str) -> None:
    _require(weights.codes.ndim == rank, f"{what}: weights of rank {weights.codes.ndim}, expected {rank}")
    _per_channel(weights.scale, channels, f"{what}: weight scale")
    largest = float(np.max(np.abs(weights.scale), initial=0))
    _require(largest <= LARGEST_STEP, f"{what}: {weights.source or 'weights'} with a scale of {largest:.3g}")
    _per_channel(weights.zero_point, channels, f"{what}: weight zero point")
    plain = weights.kind == "s8" and not weights.half
    _require(plain or not weights.zero_point.any(), f"{what}: only s8 weights (not half ones) have a zero point")


def _sums(op: ops.Conv2D | ops.DepthwiseConv2D | ops.Dense, fmt: Format, channels: int) -> Format:
    """Checks bias and scales as the epilogues hold them; the format of the sums."""
    what, weights, bias = type(op).__name__, op.weights, op.bias
    _require(bias is None or bias.shape == (channels,), f"{what}: bias must have shape ({channels},)")
    if op.integer:
        integers = isinstance(fmt, S1 | S8) and weights.kind != "f32"
        _require(integers, f"{what}: integer sums of {fmt} inputs and {weights.kind} weights")
        _require(bias is None or bias.dtype == np.int32, f"{what}: the bias of integer sums is int32")
        return S32()
    _in_float32(0.0 if bias is None else bias, f"{what}: bias")
    if isinstance(fmt, S8):
        _in_float32(weights.scale * fmt.scale, f"{what}: scale of input and weights together")
    return F32()


def _check_pad_value(op: ops.Conv2D | ops.DepthwiseConv2D, fmt: Format) -> None:
    what = type(op).__name__
    _require(not np.isnan(op.pad_value), f"{what}: the pad value is not a number")
    nothing = isinstance(fmt, S1) and op.pad_value == 0
    exact = not op.integer or nothing or stored_value(op.pad_value, fmt) is not None
    _require(exact, f"{what}: {fmt} has no code for the pad value {op.pad_value:g}")


def _quantize(op: ops.Quantize, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(isinstance(op.fmt, S1 | S8), f"Quantize gives s1 or s8, not {op.fmt}")
    if isinstance(op.fmt, S8):
        _check_step(op.fmt.scale, op.source or "Quantize")
        _check_zero_point(op.fmt)
        _require(-128 <= op.qmin <= op.qmax <= 127, f"s8 range must lie in -128..127, got {op.qmin}..{op.qmax}")
    return TensorType(inputs[0].shape, op.fmt)


def _check_step(step: float, what: str) -> None:
    accepted = f"{SMALLEST_STEP:.3g} to {LARGEST_STEP:.3g}"
    _require(SMALLEST_STEP <= step <= LARGEST_STEP, f"{what} has steps of {step:.3g}; accepted: {accepted}")


def _check_zero_point(fmt: S8) -> None:
    _require(-128 <= fmt.zero_point <= 127, f"s8 zero point must be in -128..127, got {fmt.zero_point}")


def check_s8(fmt: S8) -> None:
    """Scale and its inverse are normal float32 numbers, the zero point is a code."""
    _check_step(fmt.scale, str(fmt))
    _check_zero_point(fmt)


def _round(op: ops.Round, inputs: tuple[TensorType, ...]) -> TensorType:
    _check_step(op.step, op.source or "Round")
    _require(op.low <= 0 <= op.high, f"Round: levels from {op.low} to {op.high} without 0")
    return _real(op, inputs)


def _clip(op: ops.Clip, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(op.low <= op.high, f"a clip to {op.low}..{op.high}, in which nothing lies")
    return _real(op, inputs)


def _scale(op: ops.Scale, inputs: tuple[TensorType, ...]) -> TensorType:
    numbers = (op.factor, op.offset)
    _require(all(math.isfinite(n) for n in numbers), f"a factor and an offset of {numbers}; accepted: finite numbers")
    _in_float32(numbers, "Scale: factor or offset")
    return _real(op, inputs)


def _ternary(op: ops.Ternary, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(0 < op.threshold <= float(FLOAT32.max), f"Ternary needs a positive threshold, got {op.threshold}")
    return TensorType(inputs[0].shape, S8(1.0, 0))


def _unary(op: ops.Unary | ops.UnaryKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    _in_float32(op.alpha, f"{op.kind}: alpha")
    return _real(op, inputs)


def _real(op: ops.Op, inputs: tuple[TensorType, ...]) -> TensorType:
    return TensorType(inputs[0].shape, F32())


def _conv2d(op: ops.Conv2D, inputs: tuple[TensorType, ...]) -> TensorType:
    out, kh, kw, _ = _conv_weights(op.weights, op.groups, inputs[0].shape, "Conv2D")
    fmt = _sums(op, inputs[0].fmt, out)
    _check_pad_value(op, inputs[0].fmt)
    h, w = _spatial(inputs[0].shape, (kh, kw), op.stride, op.dilation, op.padding, op.up, "Conv2D")
    return TensorType(_like(inputs[0].shape, (h, w, out), "Conv2D"), fmt)


def _conv_weights(weights: ops.Weights, groups: int, shape: Shape, what: str) -> tuple[int, int, int, int]:
    _require(
        weights.codes.ndim == 4,
        f"{what}: weights of rank {weights.codes.ndim}, expected 4 (output, height, width, input)",
    )
    out, kh, kw, cg = weights.codes.shape
    _check_weights(weights, 4, out, what)
    _require(1 <= groups <= MOST_CELLS, f"{what}: {groups} groups, accepted: 1 to {MOST_CELLS}")
    _require(out % groups == 0, f"{what}: {out} outputs do not divide into {groups} groups")
    _require(cg * groups == shape[-1], f"{what}: weights take {cg * groups} channels, the input has {shape[-1]}")
    return out, kh, kw, cg


def _depthwise(op: ops.DepthwiseConv2D, inputs: tuple[TensorType, ...]) -> TensorType:
    kh, kw, out = _depthwise_weights(op.weights, inputs[0].shape)
    fmt = _sums(op, inputs[0].fmt, out)
    _check_pad_value(op, inputs[0].fmt)
    h, w = _spatial(inputs[0].shape, (kh, kw), op.stride, op.dilation, op.padding, (1, 1), "DepthwiseConv2D")
    return TensorType(_like(inputs[0].shape, (h, w, out), "DepthwiseConv2D"), fmt)


def _depthwise_weights(weights: ops.Weights, shape: Shape) -> tuple[int, int, int]:
    what = "DepthwiseConv2D"
    _require(weights.codes.ndim == 4, f"{what}: weights of rank {weights.codes.ndim}, expected 4")
    kh, kw, channels, multiplier = weights.codes.shape
    _check_weights(weights, 4, channels * multiplier, what)
    _require(channels == shape[-1], f"{what}: weights take {channels} channels, the input has {shape[-1]}")
    _require(multiplier <= MOST_CELLS, f"{what}: depth multiplier {multiplier}, accepted: 1 to {MOST_CELLS}")
    return kh, kw, channels * multiplier


def _dense(op: ops.Dense, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(op.weights.codes.ndim == 2, f"Dense: weights of rank {op.weights.codes.ndim}, expected 2 (output, input)")
    out, features = op.weights.codes.shape
    _check_weights(op.weights, 2, out, "Dense")
    shape = inputs[0].shape
    _require(features == shape[-1], f"Dense: weights take {features} features, the input has {shape[-1]}")
    return TensorType((*shape[:-1], out), _sums(op, inputs[0].fmt, out))


def _batch_norm(op: ops.BatchNorm, inputs: tuple[TensorType, ...]) -> TensorType:
    channels = inputs[0].shape[-1]
    for name in ("gamma", "beta", "mean", "variance"):
        values = getattr(op, name)
        _require(values.shape == (channels,), f"BatchNorm: {name} has shape {values.shape}, expected ({channels},)")
    spread = op.variance + op.epsilon
    bad = np.flatnonzero(~(spread > 0))
    _require(bad.size == 0, _not_positive(spread, bad))
    factor = op.gamma / np.sqrt(spread)
    _in_float32(factor, "BatchNorm: gamma / sqrt(variance + epsilon) of")
    _in_float32(op.beta - op.mean * factor, "BatchNorm: offset")
    return _real(op, inputs)


def _not_positive(spread: ops.F64, bad: Any) -> str:
    found = f"{spread[bad[0]]:g} in channel {bad[0]}" if bad.size else ""
    return f"BatchNorm: variance + epsilon is {found}; accepted: more than 0"


def _prelu(op: ops.PRelu | ops.PReluKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = inputs[0].shape
    accepted = ((shape[-1],), shape)
    _require(
        op.alpha.shape in accepted, f"PRelu: alpha has shape {op.alpha.shape}, expected {accepted[0]} or {accepted[1]}"
    )
    _in_float32(op.alpha, "PRelu: alpha")
    return _real(op, inputs)


def _layer_norm(op: ops.LayerNorm | ops.LayerNormKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    channels = inputs[0].shape[-1]
    for name, values in (("gamma", op.gamma), ("beta", op.beta)):
        _require(values.shape == (channels,), f"LayerNorm: {name} has shape {values.shape}, expected ({channels},)")
    _require(0 <= op.epsilon < math.inf, f"LayerNorm: epsilon is {op.epsilon}; accepted: 0 and more")
    return _real(op, inputs)


def _max_pool(op: ops.MaxPool, inputs: tuple[TensorType, ...]) -> TensorType:
    return TensorType(_pooled(op, inputs[0].shape), inputs[0].fmt)


def _avg_pool(op: ops.AvgPool, inputs: tuple[TensorType, ...]) -> TensorType:
    fmt = inputs[0].fmt
    _require(not op.raw or isinstance(fmt, S8), f"a raw AvgPool takes s8, got {fmt}")
    return TensorType(_pooled(op, inputs[0].shape), fmt if op.raw else F32())


def _pooled(op: ops.MaxPool | ops.AvgPool, shape: Shape) -> Shape:
    what = type(op).__name__
    for (before, after), size in zip(op.padding, op.size, strict=True):
        _require(
            0 <= before < size and 0 <= after < size,
            f"{what}: padding {op.padding} must be smaller than the window {op.size}",
        )
    h, w = _spatial(shape, op.size, op.stride, (1, 1), op.padding, (1, 1), what)
    return _like(shape, (h, w, shape[-1]), what)


def broadcast(inputs: Sequence[TensorType]) -> Shape:
    """Shape of a two-input operator: equal ranks, each dimension equal or 1."""
    _require(len(inputs) == 2, f"Binary takes two inputs, got {len(inputs)}")
    a, b = inputs[0].shape, inputs[1].shape
    fits = len(a) == len(b) and all(x == y or 1 in (x, y) for x, y in zip(a, b, strict=True))
    _require(fits, f"Binary: shapes {a} and {b} do not broadcast (equal ranks, each dimension equal or 1)")
    return tuple(max(x, y) for x, y in zip(a, b, strict=True))


def _binary(op: ops.Binary, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = broadcast(inputs)
    a, b = inputs[0].fmt, inputs[1].fmt
    if not op.integer:
        _require(S32() not in (a, b), "Binary cannot read s32; a Rescale can")
        return TensorType(shape, F32())
    found = f"an integer {op.kind} of {a} and {b}"
    if op.kind in ("add", "sub"):
        _require(a == b == S32(), f"{found}; accepted: two s32")
        return TensorType(shape, S32())
    _require(isinstance(a, S8) and isinstance(b, S8), f"{found}; accepted: two s8")
    if op.kind == "mul":
        return TensorType(shape, S32())
    _require(a == b, f"{found}; accepted: equal scales and zero points")
    return TensorType(shape, a)


# --- the arithmetic of quantized files --------------------------------------------------------------------------------


def _rescale(op: ops.Rescale, inputs: tuple[TensorType, ...]) -> TensorType:
    shape, fmt = inputs[0].shape, inputs[0].fmt
    _require(isinstance(fmt, S8 | S32), f"Rescale takes s8 or s32, got {fmt}")
    _require(op.multiplier.ndim == op.shift.ndim == 1, "Rescale: multiplier and shift are vectors")
    _per_channel(op.multiplier, shape[-1], "Rescale: multiplier")
    _require(op.shift.shape == op.multiplier.shape, "Rescale: multiplier and shift have different lengths")
    check_multipliers(op.multiplier, op.shift, "Rescale")
    _require(0 <= op.left <= 30, f"Rescale: a left shift of {op.left}, accepted: 0 to 30")
    if isinstance(op.out, S8):
        _check_codes(op.out, op.qmin, op.qmax)
    return TensorType(shape, op.out)


def check_multipliers(multiplier: Any, shift: Any, what: str) -> None:
    """Numbers that a fixed-point multiplication takes."""
    least, most = int(np.min(shift)), int(np.max(shift))
    _require(int(np.min(multiplier)) >= 0, f"{what}: a multiplier is negative")
    _require(least >= -31 and most <= 30, f"{what}: shifts must lie in -31..30, got {least}..{most}")


def _check_codes(fmt: S8, qmin: int, qmax: int) -> None:
    check_s8(fmt)
    _require(-128 <= qmin <= qmax <= 127, f"s8 range must lie in -128..127, got {qmin}..{qmax}")


def _two_s8(what: str, inputs: tuple[TensorType, ...]) -> Shape:
    shape = broadcast(inputs)
    a, b = inputs[0].fmt, inputs[1].fmt
    _require(isinstance(a, S8) and isinstance(b, S8), f"{what} takes two s8, got {a} and {b}")
    return shape


def _weighted_sum(op: ops.WeightedSum, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = _two_s8("WeightedSum", inputs)
    _require(all(abs(f) < 2**31 for f in op.factors), f"WeightedSum: factors {op.factors} are no int32")
    _require(1 <= op.shift <= MOST_WIDE_SHIFT, f"WeightedSum: a shift of {op.shift}, accepted: 1 to {MOST_WIDE_SHIFT}")
    _check_codes(op.out, op.qmin, op.qmax)
    return TensorType(shape, op.out)


def reduced(shape: Shape, op: ops.Reduce) -> Shape:
    """Shape behind a Reduce."""
    ascending = len(op.axes) > 0 and list(op.axes) == sorted(set(op.axes))
    _require(ascending, f"Reduce: axes {op.axes} are not ascending")
    _require(all(0 <= axis < len(shape) for axis in op.axes), f"Reduce: axes {op.axes} of rank {len(shape)}")
    if op.keepdims:
        return tuple(1 if axis in op.axes else n for axis, n in enumerate(shape))
    return tuple(n for axis, n in enumerate(shape) if axis not in op.axes)


def _reduce(op: ops.Reduce, inputs: tuple[TensorType, ...]) -> TensorType:
    kind = inputs[0]
    _require(isinstance(kind.fmt, S8), f"Reduce takes s8, got {kind.fmt}")
    return TensorType(reduced(kind.shape, op), S32() if op.kind == "sum" else kind.fmt)


def _table(op: ops.Table, inputs: tuple[TensorType, ...]) -> TensorType:
    shape, fmt = inputs[0].shape, inputs[0].fmt
    _require(isinstance(fmt, S8), f"Table maps s8 to s8, got {fmt}")
    accepted = ((256,), (shape[-1], 256))
    _require(op.codes.shape in accepted, f"Table: codes {op.codes.shape}, expected {accepted[0]} or {accepted[1]}")
    check_s8(op.out)
    return TensorType(shape, op.out)


def _fixed_softmax(op: ops.FixedSoftmax, inputs: tuple[TensorType, ...]) -> TensorType:
    shape, fmt = inputs[0].shape, inputs[0].fmt
    _require(isinstance(fmt, S8), f"FixedSoftmax takes s8, got {fmt}")
    _require(0 <= op.multiplier < 2**31 and 0 <= op.left_shift <= 30, "FixedSoftmax: multiplier or shift out of range")
    _require(-(2**31) <= op.diff_min <= 0, f"FixedSoftmax: diff_min {op.diff_min}, accepted: 0 or less")
    _require(shape[-1] <= MOST_SOFTMAX, f"FixedSoftmax of {shape[-1]} values; at most {MOST_SOFTMAX}")
    return TensorType(shape, SOFTMAX_OUT)


def _bilinear(op: ops.Bilinear, inputs: tuple[TensorType, ...]) -> TensorType:
    shape, fmt = inputs[0].shape, inputs[0].fmt
    _require(isinstance(fmt, S8), f"Bilinear takes s8, got {fmt}")
    _require(len(shape) == 3, f"Bilinear takes (H, W, C), got {shape}")
    for places, n, what in zip(op.places, shape, ("rows", "columns"), strict=False):
        good = places.ndim == 1 and places.size > 0 and places.min() >= 0 and places.max() <= (n - 1) * ops.PLACES
        _require(bool(good), f"Bilinear: {what} must be a vector within 0..{(n - 1) * ops.PLACES}")
    return TensorType((len(op.places[0]), len(op.places[1]), shape[2]), fmt)


def _constant(op: ops.Constant, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(not inputs, "Constant takes no input")
    dtype = np.dtype(np.float32 if isinstance(op.fmt, F32) else np.int8)
    _require(op.values.dtype == dtype and op.fmt != S32(), f"Constant: {op.fmt} is stored as {dtype}")
    if isinstance(op.fmt, S8):
        check_s8(op.fmt)
    if isinstance(op.fmt, S1):
        _require(bool((np.abs(op.values) == 1).all()), "Constant: s1 holds +1 and -1")
    return TensorType(tuple(op.values.shape), op.fmt)


def _gather(op: ops.Gather, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = inputs[0].shape
    _require(len(op.indices) == len(shape), f"Gather: indices for {len(op.indices)} axes, the input has {len(shape)}")
    for axis, (index, n) in enumerate(zip(op.indices, shape, strict=True)):
        good = index is None or (index.ndim == 1 and index.size > 0 and index.min() >= 0 and index.max() < n)
        _require(bool(good), f"Gather: indices of axis {axis} must be a vector within 0..{n - 1}")
    sizes = [n if index is None else len(index) for index, n in zip(op.indices, shape, strict=True)]
    return TensorType(tuple(sizes), inputs[0].fmt)


def _concat(op: ops.Concat, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(len(inputs) >= 2, f"Concat takes at least two inputs, got {len(inputs)}")
    first = inputs[0].shape
    _require(0 <= op.axis < len(first), f"Concat: axis {op.axis} of rank {len(first)}")
    for other in inputs[1:]:
        rest = [i for i in range(len(first)) if i != op.axis]
        fits = len(other.shape) == len(first) and all(other.shape[i] == first[i] for i in rest)
        _require(fits, f"Concat on axis {op.axis}: shapes {first} and {other.shape} do not fit")
    total = sum(t.shape[op.axis] for t in inputs)
    same = all(t.fmt == inputs[0].fmt for t in inputs)
    return TensorType((*first[: op.axis], total, *first[op.axis + 1 :]), inputs[0].fmt if same else F32())


def _pad(op: ops.Pad, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = inputs[0].shape
    _require(len(op.before) == len(op.after) == len(shape), f"Pad: {len(op.before)} axes given for rank {len(shape)}")
    _require(not np.isnan(op.value), "Pad: the value is not a number")
    _require(min(op.before + op.after) >= 0, "Pad: cells to add cannot be negative (use a View to crop)")
    fmt = inputs[0].fmt if stored_value(op.value, inputs[0].fmt) is not None else F32()
    return TensorType(tuple(b + n + a for b, n, a in zip(op.before, shape, op.after, strict=True)), fmt)


def _view(op: ops.View, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = inputs[0].shape
    rank = len(shape)
    lengths = {len(op.shape), len(op.axis), len(op.start), len(op.step), len(op.repeat)}
    _require(lengths == {rank}, f"View: every field needs {rank} entries")
    _require(sorted(op.axis) == list(range(rank)), f"View: axes {op.axis} are no permutation")
    for n, axis, start, step, repeat in zip(op.shape, op.axis, op.start, op.step, op.repeat, strict=True):
        _require(n >= 1 and repeat >= 1 and start >= 0 and step >= 0, f"View: bad entry for input axis {axis}")
        last = start + ((n - 1) // repeat) * step
        _require(last < shape[axis], f"View: reads element {last} of input axis {axis}, which has {shape[axis]}")
    return TensorType(op.shape, inputs[0].fmt)


def _reshape(op: ops.Reshape, inputs: tuple[TensorType, ...]) -> TensorType:
    result = TensorType(op.shape, inputs[0].fmt)
    _require(
        result.elements == inputs[0].elements,
        f"Reshape: {inputs[0].shape} has {inputs[0].elements} elements, {op.shape} has {result.elements}",
    )
    return result


def _epilogue(epilogue: ops.Epilogue, out: Format, channels: int, what: str) -> None:
    allowed: tuple[type, ...] = {
        S1: (ops.Threshold,),
        S8: (ops.Affine, ops.FixedPoint, ops.PowerOfTwo, ops.Fixed64, ops.Divide),
        F32: (ops.Affine,),
    }.get(type(out), ())
    _require(isinstance(epilogue, allowed), f"{what}: a {type(epilogue).__name__} epilogue cannot give {out}")
    for name in ("t", "flip", "scale", "offset", "bias", "multiplier", "shift"):
        if hasattr(epilogue, name):
            _per_channel(getattr(epilogue, name), channels, f"{what}: {name}")


def _conv_kernel(op: ops.ConvKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = inputs[0].shape
    if op.depthwise:
        kh, kw, out = _depthwise_weights(op.weights, shape)
    else:
        out, kh, kw, _ = _conv_weights(op.weights, op.groups, shape, "ConvKernel")
    _epilogue(op.epilogue, op.out, out, "ConvKernel")
    h, w = _spatial(shape, (kh, kw), op.stride, op.dilation, op.padding, op.up, "ConvKernel")
    pooled = (h // op.pool[0], w // op.pool[1], out)
    _require(pooled[0] >= 1 and pooled[1] >= 1, f"ConvKernel: a pool of {op.pool} does not fit into {h}x{w}")
    return TensorType(_like(shape, pooled, "ConvKernel"), op.out)


def _channel_kernel(op: ops.ChannelKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    _epilogue(op.epilogue, op.out, inputs[0].shape[-1], "ChannelKernel")
    return TensorType(inputs[0].shape, op.out)


def _binary_kernel(op: ops.BinaryKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = broadcast(inputs)
    _epilogue(op.epilogue, op.out, shape[-1], "BinaryKernel")
    return TensorType(shape, op.out)


def _fixed_binary(op: ops.FixedBinaryKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = _two_s8("FixedBinaryKernel", inputs)
    _check_codes(op.out, op.act_min, op.act_max)
    return TensorType(shape, op.out)


def _reduce_kernel(op: ops.ReduceKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(isinstance(inputs[0].fmt, S8), f"ReduceKernel takes s8, got {inputs[0].fmt}")
    _require(
        (op.epilogue is None) == (op.reduce.kind != "sum"), "ReduceKernel: a sum has an epilogue, others have none"
    )
    _require(op.epilogue is not None or op.out == inputs[0].fmt, "ReduceKernel: a maximum keeps its format")
    return TensorType(reduced(inputs[0].shape, op.reduce), op.out)


def _avg_pool_kernel(op: ops.AvgPoolKernel, inputs: tuple[TensorType, ...]) -> TensorType:
    _require(isinstance(op.out, S8 | F32), "AvgPoolKernel gives s8 or f32")
    _require(not op.pool.raw or op.out == inputs[0].fmt, "AvgPoolKernel: a raw pool keeps its format")
    return TensorType(_pooled(op.pool, inputs[0].shape), op.out)


_OTHER_INPUTS = (ops.Binary, ops.WeightedSum, ops.Concat, ops.BinaryKernel, ops.FixedBinaryKernel, ops.Constant)
_TAKES_S32 = (ops.Rescale, ops.Binary, ops.Reshape, ops.View, ops.Gather, ops.MaxPool)

_RULES: dict[type, Callable[[Any, tuple[TensorType, ...]], TensorType]] = {
    ops.Quantize: _quantize,
    ops.Ternary: _ternary,
    ops.Dequantize: _real,
    ops.Conv2D: _conv2d,
    ops.DepthwiseConv2D: _depthwise,
    ops.Dense: _dense,
    ops.BatchNorm: _batch_norm,
    ops.PRelu: _prelu,
    ops.LayerNorm: _layer_norm,
    ops.Clip: _clip,
    ops.Scale: _scale,
    ops.Round: _round,
    ops.Unary: _unary,
    ops.Softmax: _real,
    ops.MaxPool: _max_pool,
    ops.AvgPool: _avg_pool,
    ops.Binary: _binary,
    ops.Concat: _concat,
    ops.Pad: _pad,
    ops.View: _view,
    ops.Reshape: _reshape,
    ops.ConvKernel: _conv_kernel,
    ops.ChannelKernel: _channel_kernel,
    ops.Rescale: _rescale,
    ops.WeightedSum: _weighted_sum,
    ops.Reduce: _reduce,
    ops.Table: _table,
    ops.FixedSoftmax: _fixed_softmax,
    ops.Bilinear: _bilinear,
    ops.Constant: _constant,
    ops.Gather: _gather,
    ops.FixedBinaryKernel: _fixed_binary,
    ops.ReduceKernel: _reduce_kernel,
    ops.BinaryKernel: _binary_kernel,
    ops.AvgPoolKernel: _avg_pool_kernel,
    ops.UnaryKernel: _unary,
    ops.PReluKernel: _prelu,
    ops.SoftmaxKernel: _real,
    ops.LayerNormKernel: _layer_norm,
}
