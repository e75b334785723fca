"""Kernels and geometry that the layers of all three libraries share: IR weights from quantized kernels, Keras'
paddings, convolutions.

Rank 2 inputs (time, channels) are one-row maps, so every one-dimensional layer is the two-dimensional one with a
leading 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ...ir.infer import as_map
from ..graph import Unsupported
from .context import LayerContext
from .quantizers import Kernel, Quantizer, float_kernel

Pair = ops.Pair


def quantized(quantizer: Quantizer | None, kernel: NDArray[np.float32]) -> Kernel:
    return float_kernel(kernel) if quantizer is None else quantizer.kernel(kernel)


def kernel(ctx: LayerContext, name: str) -> Kernel:
    """A kernel of a layer that does not quantize it itself: floats, unless a wrapper quantized them."""
    found = ctx.kernels.get(name)
    return found if isinstance(found, Kernel) else float_kernel(ctx.weight(name))


def weights(kernel: Kernel, order: Sequence[int], outputs: Sequence[int]) -> ops.Weights:
    """IR weights: codes with axes in `order`, and one scale per output. `outputs` are the kernel's axes that number
    output channels.

    A scale that varies along another axis cannot leave the sum over it, so such a kernel stays f32."""
    shape = kernel.codes.shape
    scale = kernel.scale.reshape((1,) * (len(shape) - kernel.scale.ndim) + kernel.scale.shape)
    inner = [axis for axis in range(len(shape)) if axis not in outputs and scale.shape[axis] != 1]
    if inner:
        note = "its scale varies along the inputs of a sum"
        kernel = float_kernel(kernel.real().astype(np.float32), kernel.source, note)
        scale = np.ones((1,) * len(shape))
    per_output = np.broadcast_to(scale, [shape[axis] if axis in outputs else 1 for axis in range(len(shape))]).reshape(
        -1
    )
    flat = np.array(
        per_output[0] if per_output.size and np.all(per_output == per_output[0]) else per_output, dtype=np.float64
    )
    codes = np.ascontiguousarray(kernel.codes.transpose(order))
    return ops.Weights(kernel.kind, codes, flat, kernel.half, kernel.source, kernel.note)


def conv_weights(kernel: Kernel) -> ops.Weights:
    """(kh, kw, in, out) to OHWI; a kernel of rank 3 (k, in, out) is one row high."""
    if kernel.codes.ndim == 3:
        kernel = _one_row(kernel)
    return weights(kernel, (3, 0, 1, 2), (3,))


def depthwise_weights(kernel: Kernel) -> ops.Weights:
    """(kh, kw, channels, multiplier), or (k, channels, multiplier)."""
    if kernel.codes.ndim == 3:
        kernel = _one_row(kernel)
    return weights(kernel, (0, 1, 2, 3), (2, 3))


def _one_row(kernel: Kernel) -> Kernel:
    scale = kernel.scale[None] if kernel.scale.ndim == 3 else kernel.scale
    return Kernel(kernel.kind, kernel.codes[None], scale, kernel.half, kernel.source, kernel.note)


def pair(value: Any, what: str, one_dimensional: bool = False) -> Pair:
    """A Keras size: a number or a tuple; one-dimensional layers give (1, n)."""
    numbers = [value] if isinstance(value, int | float) else list(value)
    if one_dimensional:
        if len(numbers) != 1:
            raise Unsupported(f"{what} is {value}", "one number")
        return (1, int(numbers[0]))
    if len(numbers) == 1:
        numbers *= 2
    if len(numbers) != 2:
        raise Unsupported(f"{what} is {value}", "two numbers")
    return (int(numbers[0]), int(numbers[1]))


def same(n: int, k: int, stride: int, dilation: int = 1) -> Pair:
    """TensorFlow's SAME padding: what is missing, the odd cell behind."""
    out = -(-n // stride)
    total = max((out - 1) * stride + (k - 1) * dilation + 1 - n, 0)
    return (total // 2, total - total // 2)


def padding(ctx: LayerContext, x: str, size: Pair, stride: Pair, dilation: Pair = (1, 1)) -> ops.Padding:
    """The cells a layer with `padding` valid, same or causal adds around its input."""
    mode = str(ctx.get("padding", "valid")).lower()
    if mode == "valid":
        return ((0, 0), (0, 0))
    if mode == "causal":
        return ((0, 0), ((size[1] - 1) * dilation[1], 0))
    if mode != "same":
        raise Unsupported(f"padding is {mode!r}", "valid, same, causal")
    h, w, _ = as_map(ctx.shape(x))
    return (same(h, size[0], stride[0], dilation[0]), same(w, size[1], stride[1], dilation[1]))


def pad_value(ctx: LayerContext, cells: ops.Padding) -> float:
    """Larq's `pad_values`: real numbers put around the already quantized input. `legalize` deals with those that the
    input's format lacks."""
    value = ctx.get("pad_values", 0.0)
    if isinstance(value, list):
        raise Unsupported(f"pad_values is {value}", "one number")
    if not np.isfinite(float(value)):
        raise Unsupported(f"pad_values={value}", "a finite number")
    return 0.0 if cells == ops.NO_PADDING else float(value)


def bias(ctx: LayerContext, quantizer: Quantizer | None = None) -> NDArray[np.float64] | None:
    """The bias as real numbers, None without one."""
    if not ctx.get("use_bias", True):
        return None
    values = ctx.weight("bias")
    return (values if quantizer is None else quantizer.values(values)).astype(np.float64)


def conv(ctx: LayerContext, x: str, kernel: Kernel, offset: NDArray[np.float64] | None) -> str:
    """Conv1D and Conv2D."""
    op_weights = conv_weights(kernel)
    stride, dilation = _strides(ctx, kernel.codes.ndim == 3)
    _, kh, kw, _ = op_weights.codes.shape
    cells = padding(ctx, x, (kh, kw), stride, dilation)
    value = pad_value(ctx, cells)
    return ctx.emit(ops.Conv2D(op_weights, offset, stride, dilation, cells, value, int(ctx.get("groups", 1))), x)


def depthwise(ctx: LayerContext, x: str, kernel: Kernel, offset: NDArray[np.float64] | None) -> str:
    """DepthwiseConv1D and DepthwiseConv2D, and the first half of separable convolutions."""
    op_weights = depthwise_weights(kernel)
    stride, dilation = _strides(ctx, kernel.codes.ndim == 3)
    kh, kw = op_weights.codes.shape[:2]
    cells = padding(ctx, x, (kh, kw), stride, dilation)
    value = pad_value(ctx, cells)
    return ctx.emit(ops.DepthwiseConv2D(op_weights, offset, stride, dilation, cells, value), x)


def _strides(ctx: LayerContext, one_dimensional: bool) -> tuple[Pair, Pair]:
    return pair(ctx.get("strides", 1), "strides", one_dimensional), pair(
        ctx.get("dilation_rate", 1), "dilation_rate", one_dimensional
    )


def separable(ctx: LayerContext, x: str, first: Kernel, second: Kernel, offset: NDArray[np.float64] | None) -> str:
    """A depthwise convolution and a pointwise one; nothing is quantized between them."""
    between = depthwise(ctx, x, first, None)
    return ctx.emit(ops.Conv2D(conv_weights(second), offset), between)


def dense(ctx: LayerContext, x: str, kernel: Kernel, offset: NDArray[np.float64] | None) -> str:
    return ctx.emit(ops.Dense(weights(kernel, (1, 0), (1,)), offset), x)


def transposed(ctx: LayerContext, x: str, kernel: Kernel, offset: NDArray[np.float64] | None) -> str:
    """Conv2DTranspose as a correlation over the input dilated by the stride, with the kernel flipped.

    Keras' kernel is (kh, kw, out, in). Output cell j sums x[i] * w[j - i * stride + before], where `before` is the
    padding that the forward convolution of the same mode would put in front; so the dilated input is padded by k - 1 -
    before in front, and behind by what the output size asks for."""
    if int(ctx.get("groups", 1)) != 1:
        raise Unsupported(f"groups={ctx.get('groups')} in a transposed convolution", "groups=1")
    flipped = Kernel(kernel.kind, kernel.codes[::-1, ::-1], kernel.scale, kernel.half, kernel.source, kernel.note)
    op_weights = weights(flipped, (2, 0, 1, 3), (2,))
    stride, dilation = _strides(ctx, False)
    h, w, _ = as_map(ctx.shape(x))
    extra = ctx.get("output_padding")
    wanted = [None, None] if extra is None else list(pair(extra, "output_padding"))
    size = op_weights.codes.shape[1:3]
    axes = [_transposed_axis(ctx, (h, w)[i], size[i], stride[i], dilation[i], wanted[i]) for i in range(2)]
    op = ops.Conv2D(op_weights, offset, (1, 1), dilation, (axes[0], axes[1]), 0.0, 1, stride)
    return ctx.emit(op, x)


def _transposed_axis(ctx: LayerContext, n: int, size: int, stride: int, dilation: int, extra: int | None) -> Pair:
    k = (size - 1) * dilation + 1
    mode = str(ctx.get("padding", "valid")).lower()
    if mode not in ("valid", "same"):
        raise Unsupported(f"padding is {mode!r}", "valid, same")
    if extra is None:
        length = n * stride if mode == "same" else n * stride + max(k - stride, 0)
    else:
        length = (n - 1) * stride + k - 2 * (k // 2 if mode == "same" else 0) + extra
    missing = max((n - 1) * stride + k - length, 0) if mode == "same" else 0
    before = k - 1 - missing // 2
    behind = length - ((n - 1) * stride + 1) - before + k - 1
    if before < 0 or behind < 0:
        raise Unsupported(
            f"output_padding={extra} with kernel {size}, strides {stride}, padding {mode}", "a larger output"
        )
    return (before, behind)
