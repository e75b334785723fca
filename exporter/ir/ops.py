"""Operators of the IR.

Front ends build graphs of the operators in sections 1 to 4. Those of 1 to 3 have real-valued meaning: an operator
computes on real numbers and `Quantize` alone changes a format to s1 or s8; the passes choose the kernel that comes
closest. Those of section 4, and what a flag makes `integer` or `raw`, are the arithmetic of quantized files (TFLite,
ONNX), bit for bit: the passes hand their numbers to kernels as they are, never fit them, never compute them in floats.
The passes turn both into the kernel-ready operators of section 5, which state integers, thresholds and packed order
exactly as schema/SPEC.md does. `ir/evaluate.py` executes all; an operator means the same wherever it stands.

Arrays are numpy arrays, never written to after construction. Weights are OHWI (output, kernel height, kernel width,
input channels of the group), depthwise weights are (kernel height, kernel width, input channels, multiplier), both as
Keras means them (no flips). For an s8 tensor `code` is what is stored, `code - zero point` its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.tensors import Rounding

from .types import S8, S32, Format, assert_never

I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
F64 = NDArray[np.float64]
F32Array = NDArray[np.float32]
Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = tuple[Pair, Pair]  # ((top, bottom), (left, right)) in cells
PLACES = 1024  # of a cell, in a Bilinear
NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True, eq=False)
class Weights:
    """Quantized or float weights: real value = scale * (code - zero_point), or scale * (2 * code + 1) for s8 with
    `half`. Front ends give f32 weights scale 1; a pass may put a factor of the input there.

    `codes`: int8 +1/-1 for kind s1, int8 for s8, float32 for f32. `scale`: float64, () or (output channels,); for
    depthwise the output channel is c * multiplier + m. `zero_point`: of s8, int8, () or (output channels,); a file's
    uint8 weights enter as code - 128 with a zero point of 128 less. `bits`: how many of them an s8 code has in the file
    (8, 4 or 2). `source` names the quantizer for reports."""

    kind: Literal["s1", "s8", "f32"]
    codes: I8 | F32Array
    scale: F64 = field(default_factory=lambda: np.ones(()))
    half: bool = False
    source: str = ""
    note: str = ""  # why a quantized kernel had to stay f32, for the report
    remedy: str = ""  # what avoids that, where it is not the usual
    zero_point: I8 = field(default_factory=lambda: np.zeros((), np.int8))
    bits: int = 8


def bits_of(codes: NDArray[Any]) -> int:
    """The fewest bits, of 2, 4 and 8, that hold these codes."""
    least, most = int(codes.min()), int(codes.max())
    return next(bits for bits in (2, 4, 8) if -(1 << (bits - 1)) <= least and most < 1 << (bits - 1))


# --- 1. formats -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quantize:
    """Real to s1 (sgn(x), 0 gives +1) or to s8: stored = clip(round(x / scale) + zero_point, qmin, qmax), with x a
    float32 and the division and rounding of `rounding`. The only operator in which a real becomes a code."""

    fmt: Format
    qmin: int = -128
    qmax: int = 127
    source: str = ""  # the quantizer as the user wrote it
    rounding: Rounding = Rounding.KERAS


@dataclass(frozen=True)
class Ternary:
    """+1 where x >= threshold, -1 where x <= -threshold, else 0 (float32 comparison); the result is s8(1, 0)."""

    threshold: float
    source: str = ""


@dataclass(frozen=True)
class Dequantize:
    """Any format to f32, value unchanged."""


# --- 2. layers with parameters ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Conv2D:
    """Cross-correlation of an (H, W, C) map. `pad_value` is the real value of cells added around the (already
    quantized) input.

    `up` inserts up-1 zero cells between input cells first (transposed convolution; front ends give flipped weights
    and full padding).

    `integer`: s1 or s8 input and weights; the result is s32, the sum over all taps of number of the input times (code -
    zero point) of the weight, plus an int32 bias; it wraps. Scales do not matter: a Rescale follows."""

    weights: Weights  # (O, kh, kw, C / groups)
    bias: F64 | I32 | None = None  # (O,), real; int32 where `integer`
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = NO_PADDING
    pad_value: float = 0.0
    groups: int = 1
    up: Pair = (1, 1)
    integer: bool = False


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D:
    """Output channel c * multiplier + m = input channel c with weights[:, :, c, m]. `integer` as in Conv2D."""

    weights: Weights  # (kh, kw, C, multiplier)
    bias: F64 | I32 | None = None
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = NO_PADDING
    pad_value: float = 0.0
    integer: bool = False


@dataclass(frozen=True, eq=False)
class Dense:
    """On the last axis of any rank. `integer` as in Conv2D."""

    weights: Weights  # (O, I)
    bias: F64 | I32 | None = None
    integer: bool = False


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """(x - mean) * gamma / sqrt(variance + epsilon) + beta on the last axis; arrays (C,) float64 holding the file's
    float32 values."""

    gamma: F64
    beta: F64
    mean: F64
    variance: F64
    epsilon: float


@dataclass(frozen=True, eq=False)
class PRelu:
    """x where x >= 0, else alpha * x; alpha (C,) or the input's whole shape."""

    alpha: F32Array


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, mean and variance of each row of the last axis."""

    gamma: F32Array  # (C,)
    beta: F32Array
    epsilon: float


# --- 3. layers without parameters -------------------------------------------------------------------------------------

UnaryKind: TypeAlias = Literal[
    "relu",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "elu",
    "swish",
    "exp",
    "selu",
    "softplus",
    "softsign",
    "gelu",
    "leaky_relu",
    "abs",
    "square",
    "hard_swish",
    "mish",
]
BinaryKind: TypeAlias = Literal["add", "sub", "mul", "maximum", "minimum"]


@dataclass(frozen=True)
class Clip:
    """ReLU is Clip(0, inf), ReLU6 Clip(0, 6)."""

    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """x * factor + offset, the same for all elements (Rescaling, float alpha)."""

    factor: float
    offset: float = 0.0


@dataclass(frozen=True)
class Round:
    """f32 on a grid of more levels than 8 bits hold: step * clip(round_half_even(float32(x / step)), low, high); `step`
    is a power of two."""

    step: float
    low: int
    high: int
    source: str = ""  # the quantizer as the user wrote it


@dataclass(frozen=True)
class Unary:
    kind: UnaryKind
    alpha: float = 0.0


@dataclass(frozen=True)
class Softmax:
    """Over the last axis."""


@dataclass(frozen=True)
class MaxPool:
    """Cells outside the map never win. On stored values: codes rise with the reals they stand for."""

    size: Pair
    stride: Pair
    padding: Padding = NO_PADDING


@dataclass(frozen=True)
class AvgPool:
    """Mean over the cells inside the map. (To count cells around it, as ONNX's count_include_pad does, put a Pad in
    front.)

    `raw`: s8 to the same s8; the mean of the codes as they are, rounded half away from zero (of the code, not of the
    number it stands for). TFLite's AVERAGE_POOL_2D."""

    size: Pair
    stride: Pair
    padding: Padding = NO_PADDING
    raw: bool = False


@dataclass(frozen=True)
class Binary:
    """Two inputs, numpy broadcasting of equal ranks.

    `integer`: add and sub take two s32 and give s32, which wraps; mul takes two s8 and gives the s32 product of their
    numbers; maximum and minimum take two s8 of equal scale and zero point and keep them."""

    kind: BinaryKind
    integer: bool = False


@dataclass(frozen=True)
class Concat:
    axis: int  # without batch: 0..rank-1


@dataclass(frozen=True)
class Pad:
    before: tuple[int, ...]  # cells per axis
    after: tuple[int, ...]
    value: float = 0.0


@dataclass(frozen=True)
class View:
    """Crop, permute, nearest upsampling: output index i reads, on input axis axis[k], start[k] + (i[k] // repeat[k])
    * step[k]."""

    shape: tuple[int, ...]  # of the output
    axis: tuple[int, ...]
    start: tuple[int, ...]
    step: tuple[int, ...]
    repeat: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Gather:
    """Output index i reads, on axis k, element indices[k][i]; None: the whole axis as it is. What a View cannot say:
    nearest resizing by any ratio, reversed axes."""

    indices: tuple[NDArray[np.int64] | None, ...]


@dataclass(frozen=True)
class Reshape:
    """Same elements in row-major order."""

    shape: tuple[int, ...]


# --- 4. the arithmetic of quantized files -----------------------------------------------------------------------------


class FixedRounding(Enum):
    """How x * multiplier * 2**(shift - 31) becomes an integer."""

    DOUBLE = "double"
    """TFLite's MultiplyByQuantizedMultiplier: a left shift that wraps, a high product rounded to nearest (ties up), a
    right shift rounded half away from zero."""
    SINGLE = "single"
    """The exact product, rounded once, half to even: what ONNX's float definition comes to."""


@dataclass(frozen=True, eq=False)
class Rescale:
    """x * 2**left (which wraps) times multiplier * 2**(shift - 31), rounded. x is an s32, or the number of an s8. To s8
    the zero point is added and the code clipped to qmin..qmax (a fused activation); to s32 the result wraps.

    `multiplier` and `shift` have 1 or C values, for the channels of the last axis; 0 <= multiplier < 2**31,
    -31 <= shift <= 30. `fixed_point.quantize_multiplier` makes them of a real factor."""

    multiplier: I32
    shift: I32
    out: S8 | S32
    rounding: FixedRounding = FixedRounding.DOUBLE
    left: int = 0
    qmin: int = -128
    qmax: int = 127


@dataclass(frozen=True)
class WeightedSum:
    """Two s8 of broadcasting shapes: (number of the first * factors[0] + number of the second * factors[1]) / 2**shift,
    rounded once, half to even; plus the zero point, clipped. ONNX's Add and Sub; factors are int32 of either sign,
    1 <= shift <= 62."""

    factors: tuple[int, int]
    shift: int
    out: S8
    qmin: int = -128
    qmax: int = 127


@dataclass(frozen=True)
class Reduce:
    """Over some axes. sum: s8 to s32, of the numbers (TFLite's MEAN is a Rescale of it); maximum, minimum: of the
    codes, the format stays."""

    kind: Literal["sum", "maximum", "minimum"]
    axes: tuple[int, ...]  # without batch, ascending
    keepdims: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """s8 to s8: codes[code + 128], one table for all or one per channel of the last axis. Any function of a code:
    activations, additions of a constant, an s8 in another scale. Also the kernel lut_s8, or lut_s8_channels."""

    codes: I8  # (256,) or (C, 256)
    out: S8


@dataclass(frozen=True)
class FixedSoftmax:
    """TFLite's int8 SOFTMAX over the last axis, to s8(1/256, -128): gemmlowp's exponential and reciprocal
    (`fixed_point.softmax`). multiplier, left_shift = quantize_multiplier(min(beta * scale * 2**26, 2**31 - 1));
    diff_min = -floor(31 * 2**26 / 2**left_shift). Also the kernel softmax_s8."""

    multiplier: int
    left_shift: int
    diff_min: int


@dataclass(frozen=True, eq=False)
class Bilinear:
    """TFLite's int8 RESIZE_BILINEAR of an (H, W, C) map; the format stays. Row i lies at places[0][i] / 1024 of the
    input's rows, column i at places[1][i] / 1024 of its columns; the four cells around are mixed by the shares, in
    2**20 parts, and rounded once, half away from zero. Also the kernel bilinear_s8."""

    places: tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Constant:
    """No input; `values` as stored: int8 +1/-1 for s1, int8 for s8, float32. Also a kernel, which copies them into the
    arena: an operand that the other side cannot hold as a Table or a bias."""

    values: I8 | F32Array
    fmt: Format


# --- 5. kernel-ready: one node is one kernel call ---------------------------------------------------------------------
# The operators of section 3 that only move or compare stored values (MaxPool, Concat, Pad, View, Gather, Reshape) and
# Table, FixedSoftmax, Bilinear and Constant are kernels as they are.


@dataclass(frozen=True, eq=False)
class Threshold:
    """s1: -1 where (acc < t[c]) xor flip[c]. t is int64 clipped to int32 for integer accumulators, float32 for float
    ones."""

    t: NDArray[np.int64] | F32Array
    flip: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Affine:
    """f32 or s8: acc * scale[c] + offset[c] in float32 (two roundings), clamp, for s8 round half to even and add the
    zero point."""

    scale: F32Array
    offset: F32Array
    act_min: float
    act_max: float


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """s8 by TFLite's MultiplyByQuantizedMultiplier."""

    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class PowerOfTwo:
    """s8: round_half_even((acc + bias) / 2**shift)."""

    bias: NDArray[np.int32]
    shift: NDArray[np.int32]
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class Fixed64:
    """s8: t = acc * multiplier + offset in int64; floor(t / 2**shift), one less where t is a multiple of 2**shift and
    the result odd. With an offset that holds half a step, and the bias times the multiplier, that is the exact product
    rounded half to even. 1 <= shift <= 62, abs(offset) < 2**62."""

    offset: NDArray[np.int64]
    multiplier: I32
    shift: I32
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class Divide:
    """s8 of floats: acc / scale[c] in float32, rounded as `rounding` says (not KERAS, which multiplies), clamp."""

    scale: F32Array
    rounding: Rounding
    act_min: int
    act_max: int


Epilogue: TypeAlias = Threshold | Affine | FixedPoint | PowerOfTwo | Fixed64 | Divide


@dataclass(frozen=True, eq=False)
class ConvKernel:
    """conv_*, convh_*, convz_*, depthwise_*, depthwisez_*: accumulator of SPEC.md 3.1 (weights are codes, scale 1),
    fused max pool, epilogue. Weights with a zero point have kernels of their own (z).

    `pad_value` is as stored (SPEC.md ConvParams)."""

    weights: Weights
    epilogue: Epilogue
    out: Format
    depthwise: bool = False
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = NO_PADDING
    pad_value: float = 0.0
    groups: int = 1
    up: Pair = (1, 1)
    pool: Pair = (1, 1)
    horizontal: bool = False


@dataclass(frozen=True, eq=False)
class ChannelKernel:
    """affine_<in>_<out>: the epilogue on each element; its arrays have 1 or C values."""

    epilogue: Epilogue
    out: Format


@dataclass(frozen=True, eq=False)
class BinaryKernel:
    """binary_<out>. For s8 the epilogue is Affine with scale = 1 / out.scale and offset 0, for s1 a float Threshold
    with 1 or C values."""

    kind: BinaryKind
    epilogue: Epilogue
    out: Format


@dataclass(frozen=True)
class FixedBinaryKernel:
    """binary_s8_fixed: two s8 to s8, integers only. `pairs` are (multiplier, shift) of a, of b and of the result.

    DOUBLE add, sub: fixed(fixed(a << left, pairs[0]) +- fixed(b << left, pairs[1]), pairs[2]); mul: fixed(a * b,
    pairs[2]); fixed is TFLite's MultiplyByQuantizedMultiplier. SINGLE add: (a * multiplier 0 + b * multiplier 1) /
    2**shift 2; mul: a * b * multiplier 2 / 2**shift 2; both rounded once, half to even. maximum, minimum: of codes.
    Then zero point and clamp."""

    kind: BinaryKind
    rounding: FixedRounding
    pairs: tuple[Pair, Pair, Pair]
    left: int
    out: S8
    act_min: int = -128
    act_max: int = 127


@dataclass(frozen=True, eq=False)
class ReduceKernel:
    """reduce_s8: sum, then an integer epilogue of one value (FixedPoint without bias, Fixed64); maximum and minimum
    have none."""

    reduce: Reduce
    epilogue: FixedPoint | Fixed64 | None
    out: S8


@dataclass(frozen=True)
class AvgPoolKernel:
    """avgpool_<in>_<out>; out is s8 or f32. avgpool_s8_raw for a raw pool."""

    pool: AvgPool
    out: Format


@dataclass(frozen=True)
class UnaryKernel:
    """unary_f32: the float32 steps of SPEC.md 3.6."""

    kind: UnaryKind
    alpha: float = 0.0


@dataclass(frozen=True, eq=False)
class PReluKernel:
    """prelu_f32."""

    alpha: F32Array


@dataclass(frozen=True)
class SoftmaxKernel:
    """softmax_f32: the float32 steps of SPEC.md 3.5."""


@dataclass(frozen=True, eq=False)
class LayerNormKernel:
    """layernorm_f32: the float32 steps of SPEC.md 3.5."""

    gamma: F32Array  # (C,)
    beta: F32Array
    epsilon: float


Elementwise: TypeAlias = Quantize | Ternary | Dequantize | BatchNorm | PRelu | Clip | Scale | Round | Unary
"""Functions of each real number alone, for some by its channel: `real.elementwise` computes them."""
PerElement: TypeAlias = Elementwise | Rescale | Table
"""Functions of each element alone, of reals or codes."""
Mover: TypeAlias = MaxPool | Concat | Pad | View | Gather | Reshape
"""Operators that move or compare stored values, real-valued and kernel-ready at once."""
KernelOp: TypeAlias = (
    ConvKernel
    | ChannelKernel
    | Table
    | BinaryKernel
    | FixedBinaryKernel
    | ReduceKernel
    | AvgPoolKernel
    | UnaryKernel
    | PReluKernel
    | SoftmaxKernel
    | LayerNormKernel
    | FixedSoftmax
    | Bilinear
    | Constant
    | Mover
)
"""One kernel call each, or (Reshape) memory that is shared."""
Op: TypeAlias = (
    PerElement
    | Conv2D
    | DepthwiseConv2D
    | Dense
    | Softmax
    | LayerNorm
    | AvgPool
    | Binary
    | WeightedSum
    | Reduce
    | KernelOp
)

MAP_KERNELS = (ConvKernel, MaxPool, AvgPoolKernel)
"""Kernels that read and write maps, whatever the rank of their tensors."""


# --- channels ---------------------------------------------------------------------------------------------------------


def channels(op: PerElement) -> int | None:
    """How many channels an operator has a value for; None: it treats all elements alike, wherever they stand."""
    match op:
        case BatchNorm():
            return len(op.gamma)
        case PRelu():
            return int(op.alpha.shape[-1])
        case Rescale():
            return len(op.multiplier) if len(op.multiplier) > 1 else None
        case Table():
            return len(op.codes) if op.codes.ndim > 1 else None
        case Quantize() | Ternary() | Dequantize() | Clip() | Scale() | Round() | Unary():
            return None
        case _:
            assert_never(op)


def has_places(op: PerElement) -> bool:
    """Whether the operator tells apart elements of one channel: such a one moves over nothing."""
    return isinstance(op, PRelu) and op.alpha.ndim > 1


def split_channels(op: PerElement, sizes: Sequence[int]) -> list[PerElement]:
    """The operator on each run of so many channels."""
    if channels(op) is None:
        return [op] * len(sizes)
    pieces = [slice(a, b) for a, b in pairwise([0, *np.cumsum(sizes).tolist()])]
    return [_piece(op, p) for p in pieces]


def _piece(op: PerElement, p: slice) -> PerElement:
    match op:
        case BatchNorm():
            return replace(op, gamma=op.gamma[p], beta=op.beta[p], mean=op.mean[p], variance=op.variance[p])
        case PRelu():
            return PRelu(op.alpha[..., p])
        case Rescale():
            return replace(op, multiplier=op.multiplier[p], shift=op.shift[p])
        case Table():
            return replace(op, codes=op.codes[p])
        case Quantize() | Ternary() | Dequantize() | Clip() | Scale() | Round() | Unary():
            return op
        case _:
            assert_never(op)
