"""Real operators between quantized values -> the integers that come to the same, where the quantizer behind them
divides and rounds half to even (ONNX).

    q(a + b)      = WeightedSum(a, b)                q(a * b)  = Rescale(a * b)
    q(mean(a))    = Rescale(Sum(a))                  q(max(a, b)) = max(q(a), q(b)), and so for min
    q(avgpool(a)) = Rescale(depthwise convolution of a with ones)

a and b are reals that s8 codes stand for, so each result is an exact integer times a factor (a weighted sum of two
integers), rounded once. A clip between operator and quantizer becomes bounds of the codes. Convolutions are
fuse_conv's, functions of one code lower_elementwise's; what is left computes on floats.

Pools with cells outside the map count fewer cells at the borders and stay floats; a mean over a whole map is a sum of
its numbers, others are convolutions, whose kernels are fast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dqnn.tensors import Rounding

from ..ir import ops, real
from ..ir.fixed_point import quantize_multiplier
from ..ir.graph import Graph, Node
from ..ir.infer import as_map
from ..ir.types import S8
from ..limits import MOST_WIDE_SHIFT
from .context import Context
from .editor import Editor

FACTOR_BITS = 30  # of the larger factor of a sum: two products of them stay within 63 bits
SHIFT_RANGE = (-31, 30)


def run(graph: Graph, context: Context) -> Graph:
    """Rewrite every island that has such a form."""
    editor = Editor(graph)
    for node in editor:
        now = editor.nodes.get(node.output)
        if now is not None and isinstance(now.op, ops.Binary | ops.AvgPool):
            _rewrite(editor, now)
    return editor.finish()


def _rewrite(editor: Editor, node: Node) -> None:
    formats = [editor.types[name].fmt for name in node.inputs]
    found = _quantizer_behind(editor, node)
    if found is None or not all(isinstance(fmt, S8) for fmt in formats):
        return
    trail, quantizer = found
    layers = [name for n in (node, *trail) for name in n.layers]
    inputs = [fmt for fmt in formats if isinstance(fmt, S8)]
    assert isinstance(quantizer.fmt, S8)
    if isinstance(node.op, ops.AvgPool) and not node.op.raw:
        made = _mean(editor, node, node.op, inputs[0], quantizer, layers)
    elif isinstance(node.op, ops.Binary) and not node.op.integer:
        made = _combination(editor, node, node.op, inputs, quantizer, layers)
    else:
        return
    if made is None:
        return
    op, sources = made
    editor.drop([node, *trail])
    editor.put(op, sources, trail[-1].output, layers)


def _quantizer_behind(editor: Editor, node: Node) -> tuple[list[Node], ops.Quantize] | None:
    """Clips and a quantizer that round as ONNX does, each the only reader of the one before; the clips as bounds of its
    codes."""
    trail: list[Node] = []
    low, high = -np.inf, np.inf
    reader = editor.only_consumer(node.output)
    while reader is not None and isinstance(reader.op, ops.Clip):
        low, high = (float(np.clip(bound, reader.op.low, reader.op.high)) for bound in (low, high))
        trail.append(reader)
        reader = editor.only_consumer(reader.output)
    if reader is None or not isinstance(reader.op, ops.Quantize) or not isinstance(reader.op.fmt, S8):
        return None
    if reader.op.rounding is not Rounding.DIVIDE_EVEN:
        return None
    bottom, top = (int(code) for code in real.to_codes(np.array([low, high]), reader.op))
    return [*trail, reader], replace(reader.op, qmin=bottom, qmax=top)


def _combination(
    editor: Editor, node: Node, op: ops.Binary, formats: list[S8], quantizer: ops.Quantize, layers: list[str]
) -> tuple[ops.Op, tuple[str, ...]] | None:
    out = quantizer.fmt
    assert isinstance(out, S8)
    if op.kind in ("maximum", "minimum"):
        sources = []
        for name in node.inputs:
            sources.append(editor.fresh(node.output))
            editor.put(quantizer, (name,), sources[-1], layers)
        return ops.Binary(op.kind, integer=True), tuple(sources)
    if op.kind == "mul":
        rescale = _rescale(formats[0].scale * formats[1].scale / out.scale, quantizer)
        if rescale is None:
            return None
        product = editor.fresh(node.output)
        editor.put(ops.Binary("mul", integer=True), node.inputs, product, layers)
        return rescale, (product,)
    factors = [fmt.scale / out.scale for fmt in formats]
    weighted = _weighted(factors[0], factors[1] if op.kind == "add" else -factors[1], quantizer)
    return None if weighted is None else (weighted, node.inputs)


def _weighted(a: float, b: float, quantizer: ops.Quantize) -> ops.WeightedSum | None:
    """Both factors over one power of two."""
    out = quantizer.fmt
    assert isinstance(out, S8)
    _, exponent = np.frexp(max(abs(a), abs(b)))
    shift = min(FACTOR_BITS - int(exponent), MOST_WIDE_SHIFT)
    if shift < 1:
        return None
    factors = (round(a * 2.0**shift), round(b * 2.0**shift))
    return ops.WeightedSum(factors, shift, out, quantizer.qmin, quantizer.qmax)


def _rescale(factor: float, quantizer: ops.Quantize) -> ops.Rescale | None:
    """An s32 times a factor, as the quantizer rounds it; None for a factor that a Rescale does not hold."""
    out = quantizer.fmt
    assert isinstance(out, S8)
    multiplier, shift = (np.asarray(n).reshape(1).astype(np.int32) for n in quantize_multiplier(factor))
    if not SHIFT_RANGE[0] <= int(shift[0]) <= SHIFT_RANGE[1]:
        return None
    return ops.Rescale(multiplier, shift, out, ops.FixedRounding.SINGLE, qmin=quantizer.qmin, qmax=quantizer.qmax)


def _mean(
    editor: Editor, node: Node, op: ops.AvgPool, fmt: S8, quantizer: ops.Quantize, layers: list[str]
) -> tuple[ops.Op, tuple[str, ...]] | None:
    out = quantizer.fmt
    assert isinstance(out, S8)
    shape = editor.types[node.inputs[0]].shape
    h, w, channels = as_map(shape)
    count = op.size[0] * op.size[1]
    rescale = _rescale(fmt.scale / count / out.scale, quantizer)
    if rescale is None or op.padding != ops.NO_PADDING:
        return None
    total = editor.fresh(node.output)
    if op.size == (h, w) and len(shape) in (2, 3):
        editor.put(ops.Reduce("sum", tuple(range(len(shape) - 1)), keepdims=True), node.inputs, total, layers)
    else:
        ones = ops.Weights("s8", np.ones((*op.size, channels, 1), np.int8))
        editor.put(ops.DepthwiseConv2D(ones, None, op.stride, integer=True), node.inputs, total, layers)
    return rescale, (total,)
