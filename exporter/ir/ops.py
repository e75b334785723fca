"""Operators of the IR.

Front ends build graphs of the operators in sections 1 to 3 with real-valued meaning: an operator computes on real
numbers and `Quantize` alone changes a format to s1 or s8. The passes turn them into the kernel-ready operators of
section 4, which state integers, thresholds and packed order exactly as schema/SPEC.md does. `ir/evaluate.py` executes
both; an operator means the same wherever it stands.

Arrays are numpy arrays, never written to after construction. Weights are OHWI (output, kernel height, kernel width,
input channels of the group), depthwise weights are (kernel height, kernel width, input channels, multiplier), both as
Keras means them (no flips)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.tensors import Rounding

from .types import Format, assert_never

F64 = NDArray[np.float64]
F32Array = NDArray[np.float32]
Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = tuple[Pair, Pair]  # ((top, bottom), (left, right)) in cells
NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True, eq=False)
class Weights:
    """Quantized or float weights: real value = scale * code, or scale * (2 * code + 1) for s8 with `half`. Front ends
    give f32 weights scale 1; a pass may put a factor of the input there.

    `codes`: int8 +1/-1 for kind s1, int8 for s8, float32 for f32. `scale`: float64, () or (output channels,); for
    depthwise the output channel is c * multiplier + m. `source` names the quantizer for reports."""

    kind: Literal["s1", "s8", "f32"]
    codes: NDArray[np.int8] | F32Array
    scale: F64 = field(default_factory=lambda: np.ones(()))
    half: bool = False
    source: str = ""
    note: str = ""  # why a quantized kernel had to stay f32, for the report
    remedy: str = ""  # what avoids that, where it is not the usual


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
    and full padding)."""

    weights: Weights  # (O, kh, kw, C / groups)
    bias: F64 | None = None  # (O,), real
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = NO_PADDING
    pad_value: float = 0.0
    groups: int = 1
    up: Pair = (1, 1)


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D:
    """Output channel c * multiplier + m = input channel c with weights[:, :, c, m]."""

    weights: Weights  # (kh, kw, C, multiplier)
    bias: F64 | None = None
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = NO_PADDING
    pad_value: float = 0.0


@dataclass(frozen=True, eq=False)
class Dense:
    """On the last axis of any rank."""

    weights: Weights  # (O, I)
    bias: F64 | None = None


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
    """Mean over the cells inside the map."""

    size: Pair
    stride: Pair
    padding: Padding = NO_PADDING


@dataclass(frozen=True)
class Binary:
    """Two inputs, numpy broadcasting of equal ranks."""

    kind: BinaryKind


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


@dataclass(frozen=True)
class Reshape:
    """Same elements in row-major order."""

    shape: tuple[int, ...]


# --- 4. kernel-ready: one node is one kernel call ---------------------------------------------------------------------
# The operators of section 3 that only move or compare stored values (MaxPool, Concat, Pad, View, Reshape) are kernels
# as they are.


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


Epilogue: TypeAlias = Threshold | Affine | FixedPoint | PowerOfTwo


@dataclass(frozen=True, eq=False)
class ConvKernel:
    """conv_*, convh_*, depthwise_*: accumulator of SPEC.md 3.1 (weights are codes, scale 1), fused max pool, epilogue.

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
class LutKernel:
    """lut_s8."""

    table: NDArray[np.int8]  # 256 values for stored -128..127
    out: Format


@dataclass(frozen=True, eq=False)
class BinaryKernel:
    """binary_<out>. For s8 the epilogue is Affine with scale = 1 / out.scale and offset 0, for s1 a float Threshold
    with 1 or C values."""

    kind: BinaryKind
    epilogue: Epilogue
    out: Format


@dataclass(frozen=True)
class AvgPoolKernel:
    """avgpool_<in>_<out>; out is s8 or f32."""

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
Mover: TypeAlias = MaxPool | Concat | Pad | View | Reshape
"""Operators that move or compare stored values, real-valued and kernel-ready at once."""
KernelOp: TypeAlias = (
    ConvKernel
    | ChannelKernel
    | LutKernel
    | BinaryKernel
    | AvgPoolKernel
    | UnaryKernel
    | PReluKernel
    | SoftmaxKernel
    | LayerNormKernel
    | Mover
)
"""One kernel call each, or (Reshape) memory that is shared."""
Op: TypeAlias = Elementwise | Conv2D | DepthwiseConv2D | Dense | Softmax | LayerNorm | AvgPool | Binary | KernelOp

MAP_KERNELS = (ConvKernel, MaxPool, AvgPoolKernel)
"""Kernels that read and write maps, whatever the rank of their tensors."""


# --- channels ---------------------------------------------------------------------------------------------------------


def channels(op: Elementwise) -> int | None:
    """How many channels an operator has a value for; None: it treats all elements alike, wherever they stand."""
    match op:
        case BatchNorm():
            return len(op.gamma)
        case PRelu():
            return int(op.alpha.shape[-1])
        case Quantize() | Ternary() | Dequantize() | Clip() | Scale() | Round() | Unary():
            return None
        case _:
            assert_never(op)


def has_places(op: Elementwise) -> bool:
    """Whether the operator tells apart elements of one channel: such a one moves over nothing."""
    return isinstance(op, PRelu) and op.alpha.ndim > 1


def split_channels(op: Elementwise, sizes: Sequence[int]) -> list[Elementwise]:
    """The operator on each run of so many channels."""
    pieces = [slice(a, b) for a, b in pairwise([0, *np.cumsum(sizes).tolist()])]
    match op:
        case BatchNorm():
            return [
                replace(op, gamma=op.gamma[p], beta=op.beta[p], mean=op.mean[p], variance=op.variance[p])
                for p in pieces
            ]
        case PRelu():
            return [PRelu(op.alpha[..., p]) for p in pieces]
        case Quantize() | Ternary() | Dequantize() | Clip() | Scale() | Round() | Unary():
            return [op] * len(sizes)
        case _:
            assert_never(op)
