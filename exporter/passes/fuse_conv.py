"""Convolution + everything per channel behind it + one max pool -> ConvKernel.

    conv, [bias], {BatchNorm, Scale, Clip, activations}, [MaxPool], {...}, [Quantize], [MaxPool]

With acc the kernel's accumulator, the layers compute B(max over the window of A(acc)) with A before and B after the
pool. Where A rises in a channel, max A(acc) = A(max acc): the pool may run on accumulators. Where A falls, the
weights of the channel are negated (acc' = -acc turns A into a rising function); constant channels do not care. The
epilogue then states B o A by `chain.py`. A quantizer before the pool rises, so it is part of A. The longest run of
layers that one epilogue can state is taken; what is left is lowered on its own.

A pool is fused when its windows do not overlap and need no padding. Otherwise it follows the kernel, on bits or bytes
where a quantizer ends the run. Weights of s8 that hold -128 cannot be negated;
half-integer weights (2w + 1) always can, as -w - 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..ir import ops, real
from ..ir.graph import Graph, Node
from ..ir.infer import stored_value
from ..ir.types import F32, S1, S8, Format
from . import chain
from .context import Context, PassError, describe
from .editor import Editor

INT8_MAX = 127
Conv: TypeAlias = ops.Conv2D | ops.DepthwiseConv2D


@dataclass(frozen=True, eq=False)
class Product:
    """The inner product of a convolution: accumulators and the weights that give them."""

    start: chain.Start
    weights: ops.Weights
    depthwise: bool


@dataclass(frozen=True, eq=False)
class Fused:
    """An epilogue for the first `taken` nodes behind a convolution."""

    taken: int
    epilogue: ops.Epilogue
    out: Format
    weights: ops.Weights
    pool: ops.Pair
    remark: str
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
    trail = _trail(editor, node)
    start = conv_start(op, fmt)
    product = Product(start, op.weights, isinstance(op, ops.DepthwiseConv2D))
    best = _longest(product, [n.op for n in trail], context)
    taken = trail[: best.taken]
    last = taken[-1] if taken else node
    kernel = ops.ConvKernel(
        weights=replace(best.weights, scale=np.ones(())),
        epilogue=best.epilogue,
        out=best.out,
        depthwise=isinstance(op, ops.DepthwiseConv2D),
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
    context.note(fused, f"{fmt} x {op.weights.kind} -> {best.out}", best.remark, code="fused")
    _explain_rest(trail, best, fused, context)


def _explain_rest(trail: Sequence[Node], best: Fused, fused: Node, context: Context) -> None:
    """Say what stands between an f32 result and a quantizer that comes later."""
    rest = trail[best.taken :]
    quantizer = next((n for n in rest if isinstance(n.op, ops.Quantize | ops.Ternary)), None)
    if isinstance(best.out, F32) and quantizer is not None:
        layer = ", ".join(rest[0].layers)
        reason = f"no single epilogue computes {layer} and what follows up to {', '.join(quantizer.layers)}"
        context.note(fused, "stored as f32 before it is quantized", reason, code="stored-as-f32-first")


def _pads(op: Conv) -> bool:
    return op.padding != ops.NO_PADDING


def _default_pad(fmt: Format) -> float:
    return float(fmt.zero_point) if isinstance(fmt, S8) else 0.0


def _trail(editor: Editor, node: Node) -> list[Node]:
    """Per-channel nodes and pools behind a convolution, each the only reader of the one before."""
    channels = editor.types[node.output].shape[-1]
    trail: list[Node] = []
    value = node.output
    while (reader := editor.only_consumer(value)) is not None:
        if not (isinstance(reader.op, ops.MaxPool) or chain.is_chainable(reader.op, channels)):
            break
        trail.append(reader)
        value = reader.output
    return trail


def conv_start(op: Conv, fmt: Format) -> chain.Start:
    """Accumulators of a convolution: their real value and the range they can reach."""
    codes = real.real_weights(op.weights)
    rows = (
        codes.reshape((-1, codes.shape[2] * codes.shape[3])).T
        if isinstance(op, ops.DepthwiseConv2D)
        else codes.reshape((len(codes), -1))
    )
    scale = np.broadcast_to(real.accumulator_scale(fmt, op.weights), (len(rows),)).astype(np.float64)
    if isinstance(fmt, F32) or op.weights.kind == "f32":
        return chain.float_start(len(rows), scale, op.bias)
    low, high = (-1, 1) if isinstance(fmt, S1) else (-128 - fmt.zero_point, 127 - fmt.zero_point)
    ends = np.stack([rows * low, rows * high])
    # A tap outside the map may count nothing, so 0 is in reach of every tap that is.
    inside = 0.0 if _pads(op) else None
    lows, highs = ends.min(axis=0), ends.max(axis=0)
    if inside is not None:
        lows, highs = np.minimum(lows, 0), np.maximum(highs, 0)
    return chain.Start(scale, op.bias, lows.sum(axis=1).astype(np.int64), highs.sum(axis=1).astype(np.int64), True)


def _longest(product: Product, trail: Sequence[ops.Op], context: Context) -> Fused:
    for taken in range(len(trail), -1, -1):
        fused = _try(product, trail[:taken], context)
        if fused is not None:
            return fused
    raise AssertionError("a convolution without anything behind it always has an epilogue")


def _try(product: Product, trail: Sequence[ops.Op], context: Context) -> Fused | None:
    pools = [i for i, op in enumerate(trail) if isinstance(op, ops.MaxPool)]
    if len(pools) > 1:
        return None
    if pools:
        return _try_pooled(product, trail, pools[0], context)
    found = fit(product.start, trail, context)
    return None if found is None else Fused(len(trail), found[0], found[1], product.weights, (1, 1), found[2])


def _try_pooled(product: Product, trail: Sequence[ops.Op], at: int, context: Context) -> Fused | None:
    """The pool inside the kernel, or else behind it on quantized values."""
    window = trail[at]
    assert isinstance(window, ops.MaxPool)
    steps = [*trail[:at], *trail[at + 1 :]]
    turned = _rising(product, trail[:at]) if window.size == window.stride and window.padding == ops.NO_PADDING else None
    if turned is not None:
        found = fit(turned.start, steps, context)
        return None if found is None else Fused(len(trail), found[0], found[1], turned.weights, window.size, found[2])
    if not steps or not isinstance(steps[-1], ops.Quantize | ops.Ternary):
        return None
    found = fit(product.start, steps, context)
    late = None if found is None else _late_pool(found[0], window, trail[at + 1 :], product.start.channels)
    if found is None or late is None:
        return None
    return Fused(
        len(trail), late[0], found[1], product.weights, (1, 1), found[2] + ", pooled behind the kernel", late[1]
    )


def _late_pool(
    epilogue: ops.Epilogue, window: ops.MaxPool, after: Sequence[ops.Op], channels: int
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


def fit(start: chain.Start, steps: Sequence[ops.Op], context: Context) -> tuple[ops.Epilogue, Format, str] | None:
    """One epilogue for all steps, its output format and how exact it is."""
    if not steps or not isinstance(steps[-1], ops.Quantize | ops.Ternary):
        affine = chain.fit_float(start, steps)
        return None if affine is None else (affine, F32(), "scale and offset in float32")
    quantizer = steps[-1]
    out = chain.quantizer_format(quantizer)
    if isinstance(out, S1):
        threshold = chain.fit_threshold(start, steps[:-1])
        return None if threshold is None else (threshold, out, "exact thresholds")
    if context.options.requant == "tflite":
        fixed = chain.fit_fixed_point(start, steps[:-1], quantizer)
        if fixed is not None:
            return fixed, out, "TFLite's fixed point"
    requantized = chain.fit_s8(start, steps[:-1], quantizer)
    if requantized is None:
        return None
    if requantized.inexact:
        remark = f"float32 rounding differs by one code somewhere in {requantized.inexact} of {start.channels} channels"
    else:
        remark = "exact requantization" if start.integer else "requantized in float32"
    return requantized.epilogue, out, remark


def _rising(product: Product, steps: Sequence[ops.Op]) -> Product | None:
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
    return None if turned.max() > INT8_MAX else replace(weights, codes=turned.astype(np.int8))
