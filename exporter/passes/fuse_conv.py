"""Convolution + everything per channel behind it + one max pool -> ConvKernel.

    conv, [bias], {BatchNorm, Scale, Clip, activations}, [MaxPool], {...}, [Quantize], [MaxPool]

With acc the kernel's accumulator, the layers compute B(max over the window of A(acc)) with A before and B after the
pool. Where A rises in a channel, max A(acc) = A(max acc): the pool may run on accumulators. Where A falls, the
weights of the channel are negated (acc' = -acc turns A into a rising function); constant channels do not care. The
epilogue then states B o A by `chain.py`. A quantizer before the pool rises, so it is part of A. The longest run of
layers that one epilogue can state is taken; what is left is lowered on its own.

A pool is fused when its windows do not overlap and need no padding. Otherwise it follows the kernel, on bits or bytes
where a quantizer ends the run. Weights of s8 that hold -128 cannot be negated;
half-integer weights (2w + 1) always can, as -w - 1. Integer convolutions of quantized files are lower_quantized's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.tensors import Rounding

from ..ir import ops, real
from ..ir.graph import Graph, Node
from ..ir.infer import stored_value
from ..ir.real import per_output
from ..ir.types import F32, S1, S8, Format
from . import chain
from .context import Context, PassError, describe
from .editor import Editor
from .lower_quantized import without_zero_points

INT8_MAX = 127
SINGLE = "rounded once, half to even; where a float32 in between rounds otherwise it differs by one code"
Conv: TypeAlias = ops.Conv2D | ops.DepthwiseConv2D
Step: TypeAlias = ops.Elementwise | ops.MaxPool


@dataclass(frozen=True, eq=False)
class Product:
    """The inner product of a convolution: accumulators and the weights that give them."""

    start: chain.Start
    weights: ops.Weights
    depthwise: bool


@dataclass(frozen=True, eq=False)
class Fitted:
    """An epilogue that states some steps, the weights it was made for, and how exact it is. `refused`: why TFLite's
    rounding, which was asked for, is not what it does."""

    epilogue: ops.Epilogue
    out: Format
    weights: ops.Weights
    remark: str
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Fused:
    """An epilogue for the first `taken` nodes behind a convolution."""

    taken: int
    fitted: Fitted
    pool: ops.Pair
    late: tuple[ops.Op, ...] = ()  # what still follows the kernel: a pool that is not fused


def run(graph: Graph, context: Context) -> Graph:
    """Turn every convolution into a kernel call."""
    editor = Editor(graph)
    for node in editor:
        if isinstance(node.op, Conv):
            _fuse(editor, node, context)
    return editor.finish()


def _fuse(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, Conv)
    fmt = editor.types[node.inputs[0]].fmt
    pad_value = stored_value(op.pad_value, fmt)
    if isinstance(fmt, S1) and op.pad_value == 0:
        pad_value = 0.0
    if pad_value is None and _pads(op):
        raise PassError(f"{describe(node)}: pad value {op.pad_value} cannot be stored as {fmt}")
    trail, steps = _trail(editor, node)
    depthwise = isinstance(op, ops.DepthwiseConv2D)
    product = Product(conv_start(op, fmt), without_zero_points(op.weights, depthwise), depthwise)
    best = _longest(product, steps, context)
    fitted = best.fitted
    taken = trail[: best.taken]
    last = taken[-1] if taken else node
    kernel = ops.ConvKernel(
        weights=replace(fitted.weights, scale=np.ones(())),
        epilogue=fitted.epilogue,
        out=fitted.out,
        depthwise=depthwise,
        stride=op.stride,
        dilation=op.dilation,
        padding=op.padding,
        pad_value=_default_pad(fmt) if pad_value is None else pad_value,
        groups=1 if isinstance(op, ops.DepthwiseConv2D) else op.groups,
        up=(1, 1) if isinstance(op, ops.DepthwiseConv2D) else op.up,
        pool=best.pool,
    )
    editor.drop([node, *taken])
    layers = [name for n in [node, *taken] for name in n.layers]
    values = [editor.fresh(node.output) for _ in best.late]
    fused = editor.put(kernel, node.inputs, [*values, last.output][0], layers)
    for i, late in enumerate(best.late):
        editor.put(late, (values[i],), [*values, last.output][i + 1], layers)
    context.note(fused, f"{fmt} x {op.weights.kind} -> {fitted.out}", fitted.remark, code="fused")
    if fitted.refused:
        remedy = "export without TFLite's rounding, or change the layer"
        what = "rounded by our own rule instead of TFLite's"
        context.fallback(fused, what, fitted.refused, remedy, code="not-in-fixed-point")
    _explain_rest(trail, best, fused, context)


def _explain_rest(trail: Sequence[Node], best: Fused, fused: Node, context: Context) -> None:
    """Say what stands between an f32 result and a quantizer that comes later."""
    rest = trail[best.taken :]
    quantizer = next((n for n in rest if isinstance(n.op, ops.Quantize | ops.Ternary)), None)
    if isinstance(best.fitted.out, F32) and quantizer is not None:
        layer = ", ".join(rest[0].layers)
        reason = f"no single epilogue computes {layer} and what follows up to {', '.join(quantizer.layers)}"
        context.note(fused, "stored as f32 before it is quantized", reason, code="stored-as-f32-first")


def _pads(op: Conv) -> bool:
    return op.padding != ops.NO_PADDING


def _default_pad(fmt: Format) -> float:
    return float(fmt.zero_point) if isinstance(fmt, S8) else 0.0


def _trail(editor: Editor, node: Node) -> tuple[list[Node], list[Step]]:
    """Per-channel nodes and pools behind a convolution, each the only reader of the one before; and what they do."""
    channels = editor.types[node.output].shape[-1]
    trail: list[Node] = []
    steps: list[Step] = []
    value = node.output
    while len(steps) < chain.MOST_STEPS and (reader := editor.only_consumer(value)) is not None:
        step = reader.op if isinstance(reader.op, ops.MaxPool) else chain.chainable(reader.op, channels)
        if step is None:
            break
        trail.append(reader)
        steps.append(step)
        value = reader.output
    return trail, steps


def conv_start(op: Conv, fmt: Format) -> chain.Start:
    """Accumulators of a convolution: their real value and the range they can reach."""
    depthwise = isinstance(op, ops.DepthwiseConv2D)
    codes = real.real_weights(op.weights, depthwise)
    rows = codes.reshape((-1, codes.shape[2] * codes.shape[3])).T if depthwise else codes.reshape((len(codes), -1))
    scale = np.broadcast_to(real.accumulator_scale(fmt, op.weights), (len(rows),)).astype(np.float64)
    bias = None if op.bias is None else op.bias.astype(np.float64)
    if isinstance(fmt, F32) or op.weights.kind == "f32":
        return chain.float_start(len(rows), scale, bias)
    low, high = (-128 - fmt.zero_point, 127 - fmt.zero_point) if isinstance(fmt, S8) else (-1, 1)
    # low <= 0 <= high: a tap outside the map that counts nothing lies between them.
    ends = np.stack([rows * low, rows * high])
    lows, highs = (end.sum(axis=1).astype(np.int64) for end in (ends.min(axis=0), ends.max(axis=0)))
    return chain.Start(scale, bias, lows, highs, True)


def _longest(product: Product, trail: Sequence[Step], context: Context) -> Fused:
    affine = chain.affine_steps([step for step in trail if not isinstance(step, ops.MaxPool)])
    for taken in range(len(trail), -1, -1):
        fused = _try(product, trail[:taken], affine, context)
        if fused is not None:
            return fused
    raise AssertionError("a convolution without anything behind it always has an epilogue")


def _try(product: Product, trail: Sequence[Step], affine: int, context: Context) -> Fused | None:
    """Steps with at most one pool: inside the kernel, or else behind it on quantized values."""
    steps = [step for step in trail if not isinstance(step, ops.MaxPool)]
    pools = [i for i, step in enumerate(trail) if isinstance(step, ops.MaxPool)]
    if len(pools) > 1 or not chain.may_end(product.start, steps, affine):
        return None
    if pools:
        return _try_pooled(product, trail, steps, pools[0], context)
    fitted = _fit(product, steps, context)
    return None if fitted is None else Fused(len(trail), fitted, (1, 1))


def _try_pooled(
    product: Product, trail: Sequence[Step], steps: list[ops.Elementwise], at: int, context: Context
) -> Fused | None:
    window = trail[at]
    assert isinstance(window, ops.MaxPool)
    plain = window.size == window.stride and window.padding == ops.NO_PADDING
    turned = _rising(product, steps[:at]) if plain else None
    if turned is not None:
        fitted = _fit(turned, steps, context)
        return None if fitted is None else Fused(len(trail), fitted, window.size)
    if not steps or not isinstance(steps[-1], ops.Quantize | ops.Ternary):
        return None
    fitted = _fit(product, steps, context)
    late = None if fitted is None else _late_pool(fitted.epilogue, window, steps[at:], product.start.channels)
    if fitted is None or late is None:
        return None
    remark = fitted.remark + ", pooled behind the kernel"
    return Fused(len(trail), replace(fitted, epilogue=late[0], remark=remark), (1, 1), late[1])


def _late_pool(
    epilogue: ops.Epilogue, window: ops.MaxPool, after: chain.Steps, channels: int
) -> tuple[ops.Epilogue, tuple[ops.Op, ...]] | None:
    """Epilogue and operators behind it that give q(B(max x)) from q(B(x)): max q(B(x)) where B rises.

    Where B falls, not(max(not q(B(x)))): the bits are turned before and behind the pool. Bytes cannot be turned."""
    way = chain.directions(chain.float_start(channels), after)
    if (way == chain.MIXED).any():
        return None
    falling = way == -1
    if not falling.any():
        return epilogue, (window,)
    if not isinstance(epilogue, ops.Threshold):
        return None
    turn = ops.Threshold(np.zeros(channels, np.int64), falling)
    return ops.Threshold(epilogue.t, epilogue.flip ^ falling), (window, ops.ChannelKernel(turn, S1()))


def _fit(product: Product, steps: chain.Steps, context: Context) -> Fitted | None:
    """One epilogue for all steps."""
    refused = ""
    last = steps[-1] if steps else None
    if isinstance(last, ops.Quantize) and product.start.integer and last.rounding is Rounding.DIVIDE_EVEN:
        product = _rising(product, steps[:-1]) or product
    wants_tflite = context.options.requant == "tflite" and isinstance(last, ops.Quantize) and isinstance(last.fmt, S8)
    if wants_tflite and product.start.integer:
        fixed = _fit_tflite(product, steps)
        if isinstance(fixed, Fitted):
            return fixed
        refused = fixed
    found = fit(product.start, steps)
    if found is not None and isinstance(found[1], S1) and product.weights.zero_point.any():
        return None  # no kernel
    return None if found is None else Fitted(found[0], found[1], product.weights, found[2], refused)


def _fit_tflite(product: Product, steps: chain.Steps) -> Fitted | str:
    """TFLite's fixed point, or why it does not apply. It knows no negative factors: falling channels are negated. A
    channel that is constant has weights of 0 where the format has them, so that its bias is all there is."""
    quantizer = steps[-1]
    assert isinstance(quantizer, ops.Quantize)
    form = chain.clipped_affine(product.start, steps[:-1])
    if form is None:
        return "what stands between the sums and the quantizer is no factor, offset and clip"
    turned = _rising(product, steps[:-1])
    if turned is None:
        return "a channel with a negative factor has a weight of -128, which cannot be negated"
    turned = _without_weights(turned, form.scale == 0)
    found = chain.fit_fixed_point(turned.start, steps[:-1], quantizer)
    if found is None:
        return "a bias is no whole number of sums, or a factor or a clip is out of its range"
    return Fitted(
        found, quantizer.fmt, turned.weights, "TFLite's fixed point, whose rounding differs by one code at most"
    )


def _without_weights(product: Product, channels: NDArray[np.bool_]) -> Product:
    weights = product.weights
    if weights.kind != "s8" or weights.half or not channels.any():
        return product
    where = channels.reshape(weights.codes.shape[2:]) if product.depthwise else channels.reshape((-1, 1, 1, 1))
    start = product.start
    start = replace(start, low=np.where(channels, 0, start.low), high=np.where(channels, 0, start.high))
    codes = np.where(where, per_output(weights.zero_point, weights, product.depthwise), weights.codes).astype(np.int8)
    return Product(start, replace(weights, codes=codes), product.depthwise)


def fit(start: chain.Start, steps: chain.Steps) -> tuple[ops.Epilogue, Format, str] | None:
    """One epilogue for all steps, its output format and how exact it is."""
    if not steps or not isinstance(steps[-1], ops.Quantize | ops.Ternary):
        affine = chain.fit_float(start, steps)
        return None if affine is None else (affine, F32(), "scale and offset in float32")
    quantizer = steps[-1]
    out = chain.quantizer_format(quantizer)
    if isinstance(quantizer, ops.Quantize) and isinstance(out, S8) and not start.bit:
        if quantizer.rounding is Rounding.DIVIDE_EVEN and start.integer:
            single = chain.fit_single(start, steps[:-1], quantizer)
            return None if single is None else (single, out, SINGLE)
        if quantizer.rounding is not Rounding.KERAS and not start.integer:
            return None  # a kernel of its own divides floats
    if isinstance(out, S1):
        threshold = chain.fit_threshold(start, steps[:-1])
        return None if threshold is None else (threshold, out, "exact thresholds")
    requantized = chain.fit_s8(start, steps[:-1], quantizer)
    if requantized is None:
        return None
    if requantized.inexact:
        remark = f"float32 rounding differs by one code somewhere in {requantized.inexact} of {start.channels} channels"
    else:
        remark = "exact requantization" if start.integer else "requantized in float32"
    return requantized.epilogue, out, remark


def _rising(product: Product, steps: chain.Steps) -> Product | None:
    """The product with which the steps rise (or are constant) in every channel."""
    way = chain.directions(product.start, steps)
    if (way == chain.MIXED).any():
        return None
    falling = way == -1
    if not falling.any():
        return product
    negated = _negated(product.weights, falling, product.depthwise)
    return None if negated is None else Product(product.start.negated(falling), negated, product.depthwise)


def _negated(weights: ops.Weights, channels: NDArray[np.bool_], depthwise: bool) -> ops.Weights | None:
    """Weights with some output channels negated, None if an int8 cannot hold one of them."""
    codes = weights.codes
    where = channels.reshape(codes.shape[2:]) if depthwise else channels.reshape((-1, 1, 1, 1))
    if weights.kind == "f32":
        return replace(weights, codes=np.where(where, -codes, codes))
    turned = np.where(where, -codes.astype(np.int16) - int(weights.half), codes)
    zeros = np.where(channels, -weights.zero_point.astype(np.int16), weights.zero_point)
    if max(turned.max(), zeros.max()) > INT8_MAX:
        return None
    zero_point = zeros.astype(np.int8) if zeros.any() else weights.zero_point
    return replace(weights, codes=turned.astype(np.int8), zero_point=zero_point)
