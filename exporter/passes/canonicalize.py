"""Removes what computes nothing and gives every construct one spelling.

* Dequantize of f32, Reshape to the same shape, View that copies, Scale by 1, Clip to (-inf, inf), Pad by nothing, a
  1x1 pool: dropped.
* A second quantizer whose result is always its input (sign of s1, an s8 quantizer on its own format) is dropped.
* relu becomes Clip(0, inf); PReLU with a slope per element that only varies by channel gets one per channel; a
  Reshape of a Reshape is one Reshape, a max pool of a max pool one pool where windows neither overlap nor reach out
  (floor(floor(n / a) / b) = floor(n / ab)), a View of a View one View unless both repeat; LeakyReLU and ELU keep
  their name.
* A Rescale of s8 to s8 that is the same for all channels becomes a Table; a Table of a Table is one; one that maps each
  code to itself is dropped; one that only clips joins the Rescale in front of it.
* Two equal operators on the same value are computed once, so a value quantized twice in the same way stays fusable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import ops, quantized
from ..ir.graph import Graph, Node
from ..ir.types import F32, S1, S8, TensorType
from .context import Context
from .editor import Editor

CODES = np.arange(-128, 128).astype(np.int8)
WITH_ALPHA = ("elu", "leaky_relu")


def run(graph: Graph, context: Context) -> Graph:
    """One spelling for every construct."""
    editor = Editor(graph)
    while sum(_simplify(editor, node) for node in editor) + _share_equal(editor):
        pass
    return editor.finish()


def _simplify(editor: Editor, node: Node) -> bool:
    if node.output not in editor.nodes:
        return False
    node = editor.nodes[node.output]
    if (
        len(node.inputs) == 1
        and _does_nothing(node.op, editor.types[node.inputs[0]])
        and editor.redirect(node.output, node.inputs[0])
    ):
        editor.drop([node])
        return True
    if isinstance(node.op, ops.Unary) and node.op.kind == "relu":
        editor.put(ops.Clip(0.0, np.inf), node.inputs, node.output, node.layers)
        return True
    if isinstance(node.op, ops.Unary) and node.op.alpha != 0 and node.op.kind not in WITH_ALPHA:
        editor.put(ops.Unary(node.op.kind), node.inputs, node.output, node.layers)
        return True
    if isinstance(node.op, ops.PRelu) and _varies_by_channel_only(node.op):
        slopes = np.ascontiguousarray(node.op.alpha.reshape((-1, node.op.alpha.shape[-1]))[0])
        editor.put(ops.PRelu(slopes), node.inputs, node.output, node.layers)
        return True
    if isinstance(node.op, ops.Reshape):
        return _merge_reshape(editor, node)
    if isinstance(node.op, ops.View):
        return _merge_view(editor, node)
    if isinstance(node.op, ops.Rescale):
        return _tabulate(editor, node, node.op)
    if isinstance(node.op, ops.Table):
        return _merge_table(editor, node, node.op)
    return isinstance(node.op, ops.MaxPool) and _merge_pool(editor, node)


def _varies_by_channel_only(op: ops.PRelu) -> bool:
    rows = op.alpha.reshape((-1, op.alpha.shape[-1]))
    return op.alpha.ndim > 1 and bool((rows == rows[0]).all())


def _does_nothing(op: ops.Op, kind: TensorType) -> bool:
    if isinstance(op, ops.Dequantize):
        return isinstance(kind.fmt, F32)
    if isinstance(op, ops.Reshape):
        return op.shape == kind.shape
    if isinstance(op, ops.Scale):
        return op.factor == 1 and op.offset == 0 and isinstance(kind.fmt, F32)
    if isinstance(op, ops.Clip):
        return op.low == -np.inf and op.high == np.inf and isinstance(kind.fmt, F32)
    if isinstance(op, ops.Quantize):
        return op.fmt == kind.fmt and (isinstance(op.fmt, S1) or (op.qmin, op.qmax) == (-128, 127))
    if isinstance(op, ops.Table):
        return op.out == kind.fmt and op.codes.ndim == 1 and bool((op.codes == CODES).all())
    if isinstance(op, ops.Pad):
        return not any(op.before + op.after)
    if isinstance(op, ops.MaxPool | ops.AvgPool):
        same = op.size == (1, 1) and op.stride == (1, 1)
        return same and (isinstance(op, ops.MaxPool) or isinstance(kind.fmt, F32))
    return isinstance(op, ops.View) and _copies(op, kind)


def _copies(op: ops.View, kind: TensorType) -> bool:
    rank = len(kind.shape)
    straight = op.axis == tuple(range(rank)) and op.shape == kind.shape
    return straight and not any(op.start) and all(s == 1 for s in op.step) and all(r == 1 for r in op.repeat)


def _merge_reshape(editor: Editor, node: Node) -> bool:
    before = editor.producer(node)
    if before is None or not isinstance(before.op, ops.Reshape):
        return False
    editor.put(node.op, before.inputs, node.output, [*before.layers, *node.layers])
    return True


def _tabulate(editor: Editor, node: Node, op: ops.Rescale) -> bool:
    kind = editor.types[node.inputs[0]]
    if not isinstance(kind.fmt, S8) or not isinstance(op.out, S8) or ops.channels(op) is not None:
        return False
    codes = quantized.run(op, [CODES[None]], [TensorType((256,), kind.fmt)])[0]
    editor.put(ops.Table(codes, op.out), node.inputs, node.output, node.layers)
    return True


def _merge_table(editor: Editor, node: Node, op: ops.Table) -> bool:
    """Into the Table or Rescale in front of it."""
    before = editor.producer(node)
    if before is None or editor.only_consumer(before.output) is None:
        return False
    merged: ops.Op | None = None
    if isinstance(before.op, ops.Table):
        at = before.op.codes.astype(np.int64) + 128
        rows = at if op.codes.ndim == 1 else np.broadcast_to(at, (len(op.codes), 256))
        codes = op.codes[rows] if op.codes.ndim == 1 else np.take_along_axis(op.codes, rows, axis=1)
        merged = ops.Table(codes, op.out)
    elif isinstance(before.op, ops.Rescale) and before.op.out == op.out:
        merged = _clipped(before.op, op)
    if merged is None:
        return False
    editor.drop([before])
    editor.put(merged, before.inputs, node.output, [*before.layers, *node.layers])
    return True


def _clipped(rescale: ops.Rescale, table: ops.Table) -> ops.Rescale | None:
    """The Rescale with the bounds of a table that only clips, None if it does more."""
    low, high = int(table.codes.min()), int(table.codes.max())
    if table.codes.ndim > 1 or not (table.codes == np.clip(CODES, low, high)).all():
        return None
    qmin, qmax = np.clip([rescale.qmin, rescale.qmax], low, high)
    return replace(rescale, qmin=int(qmin), qmax=int(qmax))


def _merge_pool(editor: Editor, node: Node) -> bool:
    before = editor.producer(node)
    if before is None or editor.only_consumer(before.output) is None or not isinstance(before.op, ops.MaxPool):
        return False
    assert isinstance(node.op, ops.MaxPool)
    if not (_is_plain(before.op) and _is_plain(node.op)):
        return False
    size = (before.op.size[0] * node.op.size[0], before.op.size[1] * node.op.size[1])
    editor.drop([before])
    editor.put(ops.MaxPool(size, size), before.inputs, node.output, [*before.layers, *node.layers])
    return True


def _merge_view(editor: Editor, node: Node) -> bool:
    before = editor.producer(node)
    if before is None or not isinstance(before.op, ops.View) or not isinstance(node.op, ops.View):
        return False
    walks = [_walk(before.op, node.op, k) for k in range(len(node.op.axis))]
    known = [walk for walk in walks if walk is not None]
    if len(known) < len(walks):
        return False
    axis, start, step, repeat = zip(*known, strict=True)
    merged = ops.View(node.op.shape, axis, start, step, repeat)
    editor.put(merged, before.inputs, node.output, [*before.layers, *node.layers])
    return True


def _walk(inner: ops.View, outer: ops.View, k: int) -> tuple[int, int, int, int] | None:
    """axis, start, step, repeat of output axis k through both: s_i + ((s_o + (i / r_o) * d_o) / r_i) * d_i."""
    a = outer.axis[k]
    axis, start, step, repeat = inner.axis[a], inner.start[a], inner.step[a], inner.repeat[a]
    if repeat == 1:
        return axis, start + outer.start[k] * step, outer.step[k] * step, outer.repeat[k]
    straight = (outer.start[k], outer.step[k], outer.repeat[k]) == (0, 1, 1)
    return (axis, start, step, repeat) if straight else None


def _is_plain(op: ops.MaxPool) -> bool:
    return op.size == op.stride and op.padding == ops.NO_PADDING


def _share_equal(editor: Editor) -> bool:
    seen: dict[tuple[ops.Op, tuple[str, ...]], Node] = {}
    changed = False
    for node in editor:
        node = editor.nodes[node.output]  # noqa: PLW2901
        if not isinstance(node.op, ops.Quantize | ops.Ternary | ops.Dequantize | ops.Reshape | ops.Clip):
            continue
        key = (_without_source(node.op), node.inputs)
        twin = seen.setdefault(key, node)
        if twin is not node and editor.redirect(node.output, twin.output):
            editor.drop([node])
            merged = (*twin.layers, *node.layers)
            seen[key] = editor.put(twin.op, twin.inputs, twin.output, merged)
            changed = True
    return changed


def _without_source(op: ops.Op) -> ops.Op:
    """What decides whether two quantizers do the same: all but the user's words. An s1 has no range and no rounding."""
    if isinstance(op, ops.Quantize) and isinstance(op.fmt, S1):
        return ops.Quantize(op.fmt)
    return replace(op, source="") if isinstance(op, ops.Quantize | ops.Ternary) else op
