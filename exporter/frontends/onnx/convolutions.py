"""Conv, ConvTranspose, Gemm, MatMul, and what onnxruntime makes of them. Weights come as (output, input, height, width)
and are turned to the IR's order here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ..graph import Unsupported
from .codes import result, triple, weights
from .context import OnnxContext, finite
from .model import MICROSOFT, Array
from .operands import Activation, Constant, Operand, channels_last
from .registry import refuse, register

IN_BLOCKS = (
    "Its weights have a scale for each block of a sum, which integers cannot leave. "
    "Quantize it statically with one per output channel: "
    "quantize_static(..., weight_type=QuantType.QInt4, per_channel=True)"
)
ON_FLOATS = "Quantize it statically (onnxruntime.quantization.quantize_static): its scales must be constants"


@dataclass(frozen=True)
class Window:
    """Sizes of a window as ONNX gives them, for one or two axes; a sequence is a map of one row."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def padding(self) -> ops.Padding:
        low, high = _two(self.before, 0), _two(self.after, 0)
        return (low[0], high[0]), (low[1], high[1])

    @property
    def sizes(self) -> ops.Pair:
        return _two(self.size, 1)

    @property
    def strides(self) -> ops.Pair:
        return _two(self.stride, 1)

    @property
    def dilations(self) -> ops.Pair:
        return _two(self.dilation, 1)


def _two(numbers: Sequence[int], alone: int) -> ops.Pair:
    """(height, width): a sequence has a height of its own."""
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (alone, numbers[0])


def window(ctx: OnnxContext, x: Activation, size: Sequence[int] | None) -> Window:
    """The window over the axes behind the channels, with automatic padding worked out."""
    spatial = x.shape[2:]
    axes = len(spatial)
    if axes not in (1, 2):
        raise Unsupported(f"a tensor of rank {len(x.shape)}", "sequences (batch, channels, length) and maps")
    stated = ctx.wholes("kernel_shape")
    if size is not None and stated is not None and list(size) != stated:
        raise Unsupported(f"kernel_shape is {stated} with weights of {list(size)}")
    sizes = _numbers("kernel_shape", stated if size is None else size, axes)
    strides = _numbers("strides", ctx.wholes("strides") or [1] * axes, axes)
    dilations = _numbers("dilations", ctx.wholes("dilations") or [1] * axes, axes)
    pads = _pads(ctx, spatial, sizes, strides, dilations)
    return Window(sizes, strides, dilations, tuple(pads[:axes]), tuple(pads[axes:]))


def _numbers(name: str, value: Sequence[int] | None, axes: int) -> tuple[int, ...]:
    if value is None or len(value) != axes or min(value) < 1:
        raise Unsupported(f"{name} is {value}", f"{axes} numbers of 1 and more")
    return tuple(value)


def _pads(ctx: OnnxContext, spatial: Sequence[int], size: Any, stride: Any, dilation: Any) -> list[int]:
    auto, axes = ctx.text("auto_pad", "NOTSET"), len(spatial)
    if auto in ("NOTSET", ""):
        pads = ctx.wholes("pads") or [0] * (2 * axes)
        if len(pads) != 2 * axes or min(pads) < 0:
            raise Unsupported(f"pads are {pads}", f"{2 * axes} numbers of 0 and more")
        return pads
    if auto == "VALID":
        return [0] * (2 * axes)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"auto_pad is {auto}", "NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    total = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(spatial, size, stride, dilation, strict=True)
    ]
    less = [n // 2 for n in total]
    more = [n - half for n, half in zip(total, less, strict=True)]
    return [*less, *more] if auto == "SAME_UPPER" else [*more, *less]


# --- Conv -------------------------------------------------------------------------------------------------------------


@register(
    "Conv",
    forms="1-D and 2-D, groups, dilation, any padding; weights of 1 to 8 bits or floats",
    limits=("3-D", "weights that the network computes"),
)
def conv(ctx: OnnxContext) -> Operand:
    bias = None if ctx.optional(2) is None else bias_of(ctx.constant(2, "the bias"))
    return convolution(ctx, ctx.real(), ctx.constant(1, "the weights"), bias)


@register("QLinearConv", forms="as Conv", limits=("3-D",))
def qlinear_conv(ctx: OnnxContext) -> Operand:
    x, w = triple(ctx, 0), triple(ctx, 3)
    if not isinstance(x, Activation) or not isinstance(w, Constant):
        raise Unsupported("weights that the network computes", "constants")
    bias = None
    if ctx.optional(8) is not None:
        scale = finite(ctx.constant(1, "the scale").array, "the scale") * ctx.floats(
            4, "the scale of the weights"
        ).reshape(-1)
        bias = ctx.floats(8, "the bias").reshape(-1) * scale
    return result(ctx, convolution(ctx, x, w, bias), 6)


def bias_of(x: Constant) -> NDArray[np.float64]:
    """Real biases; those of codes are exact."""
    if x.codes is not None:
        exact = (x.codes.values - x.codes.zero_point) * x.codes.scale
        return finite(np.asarray(exact, np.float64), "the bias").reshape(-1)
    return finite(x.array, "the bias").reshape(-1)


def convolution(ctx: OnnxContext, x: Activation, w: Constant, bias: Any) -> Activation:
    """Channels last, as IR."""
    rank = len(x.shape)
    if w.array.ndim != rank or rank not in (3, 4):
        raise Unsupported(f"an input of rank {rank} with weights of rank {w.array.ndim}", "both 3 or both 4")
    place = window(ctx, x, w.array.shape[2:])
    groups, channels, outputs = ctx.whole("group", 1), x.shape[1], w.array.shape[0]
    laid = ctx.arranged(x, channels_last(rank))
    if groups == channels and groups > 1 and w.array.shape[1] == 1 and outputs % channels == 0:
        kernel = weights(w, (0,), lambda a: _depthwise(a, channels))
        op: ops.Op = ops.DepthwiseConv2D(kernel, bias, place.strides, place.dilations, place.padding)
    else:
        kernel = weights(w, (0,), _ohwi)
        op = ops.Conv2D(kernel, bias, place.strides, place.dilations, place.padding, groups=groups)
    return _as_activation(ctx, ctx.emit(op, laid.value), x.shape[0])


def _as_activation(ctx: OnnxContext, value: Any, batch: int) -> Activation:
    """A value with channels last as ONNX sees it."""
    *spatial, channels = ctx.graph.type(value).shape
    return Activation(value, (batch, channels, *spatial), channels_last(len(spatial) + 2))


def _rows(a: Array) -> Array:
    """Weights of sequences as those of maps of one row."""
    return a[:, :, None] if a.ndim == 3 else a


def _ohwi(a: Array) -> Array:
    return np.ascontiguousarray(_rows(a).transpose((0, 2, 3, 1)))


def _depthwise(a: Array, channels: int) -> Array:
    """(channels * multiplier, 1, h, w) to (h, w, channels, multiplier)."""
    h, w = _rows(a).shape[2:]
    return np.ascontiguousarray(_rows(a).reshape((channels, -1, h, w)).transpose((2, 3, 0, 1)))


# --- ConvTranspose ----------------------------------------------------------------------------------------------------


@register("ConvTranspose", forms="as Conv, with output_padding or output_shape", limits=("3-D", "groups"))
def conv_transpose(ctx: OnnxContext) -> Operand:
    """Cells with zeros between them, convolved with the turned kernel."""
    x, w = ctx.real(), ctx.constant(1, "the weights")
    bias = None if ctx.optional(2) is None else bias_of(ctx.constant(2, "the bias"))
    rank = len(x.shape)
    if w.array.ndim != rank or rank not in (3, 4):
        raise Unsupported(f"an input of rank {rank} with weights of rank {w.array.ndim}", "both 3 or both 4")
    groups = ctx.whole("group", 1)
    if groups != 1:
        raise Unsupported(f"group is {groups}", "1", "Use Resize and a grouped Conv")
    place = _transposed_window(ctx, x, w)
    kernel = weights(w, (1,), _turned)
    op = ops.Conv2D(kernel, bias, (1, 1), place.dilations, place.padding, up=place.strides)
    laid = ctx.arranged(x, channels_last(rank))
    return _as_activation(ctx, ctx.emit(op, laid.value), x.shape[0])


def _turned(a: Array) -> Array:
    """(input, output, h, w) to (output, h, w, input), the window turned around."""
    return np.ascontiguousarray(_rows(a).transpose((1, 2, 3, 0))[:, ::-1, ::-1])


def _transposed_window(ctx: OnnxContext, x: Activation, w: Constant) -> Window:
    """The window of the convolution over the spread map."""
    spatial, size = x.shape[2:], w.array.shape[2:]
    axes = len(spatial)
    stride = ctx.wholes("strides") or [1] * axes
    dilation = ctx.wholes("dilations") or [1] * axes
    extra = ctx.wholes("output_padding") or [0] * axes
    covered = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
    full = [(n - 1) * s + c + 1 + e for n, s, c, e in zip(spatial, stride, covered, extra, strict=True)]
    wanted, auto = ctx.wholes("output_shape"), ctx.text("auto_pad", "NOTSET")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(spatial, stride, strict=True)]
    if wanted is not None:
        total = [f - o for f, o in zip(full, wanted[-axes:], strict=True)]
        half = [t // 2 for t in total]
        rest = [t - h for t, h in zip(total, half, strict=True)]
        cut = [*half, *rest] if auto == "SAME_UPPER" else [*rest, *half]
    else:
        cut = ctx.wholes("pads") or [0] * (2 * axes)
    before = [c - p for c, p in zip(covered, cut[:axes], strict=True)]
    after = [c - p + e for c, p, e in zip(covered, cut[axes:], extra, strict=True)]
    if min(before + after) < 0:
        raise Unsupported(f"pads {cut} larger than the window", "pads within the window", "Slice the result instead")
    return Window(tuple(size), tuple(stride), tuple(dilation), tuple(before), tuple(after))


# --- Gemm, MatMul -----------------------------------------------------------------------------------------------------


@register("Gemm", forms="alpha, beta, transB; constant weights", limits=("transA", "two activations"))
def gemm(ctx: OnnxContext) -> Operand:
    x = ctx.real()
    product = _gemm(ctx, x, ctx.constant(1, "the weights"), _gemm_bias(ctx))
    return product


def _gemm_bias(ctx: OnnxContext) -> Any:
    if ctx.optional(2) is None:
        return None
    c = ctx.constant(2, "the bias")
    if c.array.ndim > 1 and c.array.size != c.array.shape[-1]:
        raise Unsupported(f"a bias of shape {c.array.shape}", "one number for each output")
    return bias_of(c) * ctx.number("beta", 1.0)


def _gemm(ctx: OnnxContext, x: Activation, w: Constant, bias: Any) -> Activation:
    ctx.only("transA", 0)
    if len(x.shape) != 2 or w.array.ndim != 2:
        raise Unsupported(f"matrices of rank {len(x.shape)} and {w.array.ndim}", "rank 2")
    outputs = 0 if ctx.whole("transB", 0) else 1
    return _dense(ctx, x, w, outputs, bias, ctx.number("alpha", 1.0))


def _dense(ctx: OnnxContext, x: Activation, w: Constant, outputs: int, bias: Any, alpha: float = 1.0) -> Activation:
    """The product along the last axis of x; `outputs` is the weights' axis of output channels."""
    kernel = weights(w, (outputs,), lambda a: np.ascontiguousarray(a if outputs == 0 else a.T))
    if alpha != 1.0:
        kernel = ops.Weights(
            kernel.kind, kernel.codes, kernel.scale * alpha, source=kernel.source, note=kernel.note,
            remedy=kernel.remedy, zero_point=kernel.zero_point,
        )  # fmt: skip
    count = w.array.shape[outputs]
    whole = None if bias is None else np.broadcast_to(bias, (count,)).astype(np.float64)
    last = ctx.ending_in(x, len(x.shape) - 1)
    return Activation(ctx.emit(ops.Dense(kernel, whole), last.value), (*x.shape[:-1], count), last.order)


@register("MatMul", forms="an activation of any rank times a constant matrix", limits=("two activations",))
def matmul(ctx: OnnxContext) -> Operand:
    return _matmul(ctx, ctx.operand(0), ctx.operand(1))


def _matmul(ctx: OnnxContext, x: Operand, w: Operand) -> Activation:
    if not isinstance(x, Activation) or not isinstance(w, Constant):
        found = "a product of two activations" if isinstance(w, Activation) else "a constant on the left"
        raise Unsupported(found, "an activation times a constant", "dqnn has no attention; use convolutions")
    if x.coded:
        raise Unsupported("reads integers as numbers", "reals: a DequantizeLinear in front of it")
    if w.array.ndim != 2 or len(x.shape) < 2:
        raise Unsupported(f"tensors of rank {len(x.shape)} and {w.array.ndim}", "a constant matrix on the right")
    return _dense(ctx, x, w, 1, None)


@register("QLinearMatMul", forms="as MatMul")
def qlinear_matmul(ctx: OnnxContext) -> Operand:
    return result(ctx, _matmul(ctx, triple(ctx, 0), triple(ctx, 3, -1)), 6)


@register("QGemm", domain=MICROSOFT, forms="as Gemm", limits=("transA",))
def qgemm(ctx: OnnxContext) -> Operand:
    outputs = 0 if ctx.whole("transB", 0) else 1
    x, w = triple(ctx, 0), triple(ctx, 3, outputs)
    if not isinstance(x, Activation) or not isinstance(w, Constant):
        raise Unsupported("weights that the network computes", "constants")
    bias = None
    if ctx.optional(6) is not None:
        scale = ctx.floats(1, "the scale").reshape(-1) * ctx.floats(4, "the scale of the weights").reshape(-1)
        bias = ctx.floats(6, "the bias").reshape(-1) * scale * ctx.number("alpha", 1.0)
    product = _gemm(ctx, x, w, bias)
    return product if ctx.optional(7) is None else result(ctx, product, 7)


refuse("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", advice=ON_FLOATS)
refuse("DynamicQuantizeMatMul", "MatMulIntegerToFloat", domain=MICROSOFT, advice=ON_FLOATS)
refuse("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized", domain=MICROSOFT, advice=IN_BLOCKS)
