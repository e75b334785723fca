"""Gives every operator the formats its kernel takes, with converters as nodes of their own.

* Softmax and LayerNorm read f32.
* Pad with a value that the format cannot store, and a convolution that pads such a value, work on f32: a named
  fallback.
* A kernel that the front end could not store in its quantizer's codes is a named fallback.
* A kernel that is all zeros is told: a quantizer may have done that to it.
* A convolution whose integer sums could leave int32 works on f32: a named fallback; one that is integer by definition
  is refused.
* Concat needs one format: that of an input into which all others convert exactly, else the finest grid of theirs if
  8 bits hold the levels that all of them use, else f32 (a named fallback if all were quantized).
* Concat of more than 16 inputs becomes a tree."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.infer import stored_value
from ..ir.types import F32, S1, S8, Format, TensorType
from ..limits import MOST_INPUTS
from .context import Context, PassError, describe
from .editor import Editor

INT32_MAX = 2**31 - 1


def run(graph: Graph, context: Context) -> Graph:
    """Insert converters."""
    editor = Editor(graph)
    for node in editor:
        if isinstance(node.op, ops.Softmax | ops.LayerNorm):
            _read_floats(editor, node)
        elif isinstance(node.op, ops.Pad):
            _legalize_pad(editor, node, context)
        elif isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D):
            _legalize_conv(editor, node, context)
        elif isinstance(node.op, ops.Concat):
            _legalize_concat(editor, node, context)
    return editor.finish()


def _read_floats(editor: Editor, node: Node) -> None:
    inputs = [_converted(editor, name, F32(), node) for name in node.inputs]
    editor.put(node.op, inputs, node.output, node.layers)


def _converted(editor: Editor, value: str, fmt: Format, node: Node) -> str:
    """The value in another format that holds it exactly."""
    if editor.types[value].fmt == fmt:
        return value
    name = editor.fresh(value)
    op: ops.Op = ops.Dequantize() if isinstance(fmt, F32) else ops.Quantize(fmt)
    editor.put(op, (value,), name, node.layers)
    return name


def _legalize_pad(editor: Editor, node: Node, context: Context) -> None:
    assert isinstance(node.op, ops.Pad)
    fmt = editor.types[node.inputs[0]].fmt
    if stored_value(node.op.value, fmt) is None:
        _read_floats(editor, node)
        context.fallback(
            node,
            f"padded as f32 instead of {fmt}",
            f"{fmt} has no value {node.op.value:g}",
            "pad with a value of the format, or let a convolution pad",
            code="padded-as-f32",
        )


def _legalize_conv(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, ops.Conv2D | ops.DepthwiseConv2D)
    fmt = editor.types[node.inputs[0]].fmt
    if op.integer:
        if largest_sum(op, fmt) >= INT32_MAX:
            raise PassError(f"{describe(node)}: its sums could leave 32 bits; split the layer")
        return
    if op.weights.note:
        remedy = op.weights.remedy or "use alpha=1, or a quantizer with one scale per output channel"
        context.fallback(node, "weights stored as f32", op.weights.note, remedy, code="weights-as-f32")
    if op.weights.kind == "s8" and not op.weights.half and not op.weights.codes.any():
        source = op.weights.source or "as they are in the file"
        context.note(node, "weights that are all zeros", source, code="zero-weights")
    if largest_sum(op, fmt) >= INT32_MAX:
        _read_floats(editor, node)
        context.fallback(
            node,
            f"input read as f32 instead of {fmt}",
            "its sums could leave 32 bits",
            "split the layer, or use s1 weights",
            code="sum-too-large",
        )
        return
    if (
        op.padding == ops.NO_PADDING
        or stored_value(op.pad_value, fmt) is not None
        or (isinstance(fmt, S1) and op.pad_value == 0)
    ):
        return
    _read_floats(editor, node)
    accepted = "-1, 0 or 1" if isinstance(fmt, S1) else _grid(fmt)
    context.fallback(
        node,
        f"input read as f32 instead of {fmt}",
        f"pad value {op.pad_value:g} has no code in {fmt}",
        f"set pad_values to {accepted}",
        code="pad-not-in-format",
    )


def _grid(fmt: Format) -> str:
    """The values of an s8 format in words."""
    assert isinstance(fmt, S8)
    low, high = ((end - fmt.zero_point) * fmt.scale for end in (-128, 127))
    return f"a multiple of {fmt.scale:g} from {low:g} to {high:g}"


def largest_sum(op: ops.Conv2D | ops.DepthwiseConv2D, fmt: Format) -> int:
    """The bound that kernels put on integer sums: taps * largest input * largest weight; 0 for float sums."""
    if isinstance(fmt, F32) or op.weights.kind == "f32":
        return 0
    shape = op.weights.codes.shape
    taps = shape[0] * shape[1] if isinstance(op, ops.DepthwiseConv2D) else shape[1] * shape[2] * shape[3]
    largest = max(128 + fmt.zero_point, 127 - fmt.zero_point) if isinstance(fmt, S8) else 1
    wide = op.weights.half or bool(op.weights.zero_point.any())
    weight = 1 if op.weights.kind == "s1" else 255 if wide else 128
    return int(taps * largest * weight)


def _legalize_concat(editor: Editor, node: Node, context: Context) -> None:
    assert isinstance(node.op, ops.Concat)
    kinds = [editor.types[name] for name in node.inputs]
    fmt = common_format(kinds)
    quantized = not any(isinstance(kind.fmt, F32) for kind in kinds)
    if isinstance(fmt, F32) and quantized:
        fmt = _common_grid([_levels(editor, name) for name in node.inputs]) or fmt
    if isinstance(fmt, F32) and quantized:
        formats = ", ".join(dict.fromkeys(str(kind.fmt) for kind in kinds))
        context.fallback(
            node,
            "joined as f32",
            f"its inputs have the formats {formats}",
            "quantize them alike, or the joined tensor",
            code="joined-as-f32",
        )
    inputs = [_regridded(editor, name, fmt, node) for name in node.inputs]
    while len(inputs) > MOST_INPUTS:
        head = editor.fresh(node.output)
        editor.put(node.op, inputs[:MOST_INPUTS], head, node.layers)
        inputs = [head, *inputs[MOST_INPUTS:]]
    editor.put(node.op, inputs, node.output, node.layers)


@dataclass(frozen=True)
class _Levels:
    """Multiples of `step` from low to high, both in steps."""

    step: float
    low: int
    high: int


def _levels(editor: Editor, value: str) -> _Levels:
    """What a quantized value can be; its quantizer may use only a part of its format."""
    fmt = editor.types[value].fmt
    if not isinstance(fmt, S8):
        return _Levels(1.0, -1, 1)
    quantizer = _quantizer(editor, value)
    low, high = (quantizer.qmin, quantizer.qmax) if quantizer is not None else (-128, 127)
    return _Levels(fmt.scale, low - fmt.zero_point, high - fmt.zero_point)


def _quantizer(editor: Editor, value: str) -> ops.Quantize | None:
    """The quantizer whose codes a value has, behind operators that only move them."""
    node = editor.nodes.get(value)
    while node is not None and isinstance(node.op, ops.MaxPool | ops.View | ops.Reshape):
        node = editor.nodes.get(node.inputs[0])
    return node.op if node is not None and isinstance(node.op, ops.Quantize) else None


def _common_grid(parts: list[_Levels]) -> S8 | None:
    """The finest step of all, and a zero point with which 8 bits hold every level."""
    step = min(part.step for part in parts)
    ratios = [part.step / step for part in parts]
    if any(ratio != round(ratio) for ratio in ratios):
        return None
    low = min(part.low * round(ratio) for part, ratio in zip(parts, ratios, strict=True))
    high = max(part.high * round(ratio) for part, ratio in zip(parts, ratios, strict=True))
    if high - low > 255 or low > 0 or high < 0:
        return None
    return S8(step, 0 if low >= -128 and high <= 127 else -128 - low)


def _regridded(editor: Editor, value: str, fmt: Format, node: Node) -> str:
    """The value in another format. A quantizer that nobody else reads gives it at once, if its steps are the same."""
    before = editor.nodes.get(value)
    old = editor.types[value].fmt
    if before is None or not isinstance(before.op, ops.Quantize) or editor.only_consumer(value) is None:
        return _converted(editor, value, fmt, node)
    if old == fmt or not isinstance(fmt, S8) or not isinstance(old, S8) or fmt.scale != old.scale:
        return _converted(editor, value, fmt, node)
    moved = fmt.zero_point - old.zero_point
    op = replace(before.op, fmt=fmt, qmin=before.op.qmin + moved, qmax=before.op.qmax + moved)
    editor.put(op, before.inputs, value, before.layers)
    return value


def common_format(kinds: list[TensorType]) -> Format:
    """A format among those given that holds the values of all of them exactly, else f32."""
    candidates = {kind.fmt for kind in kinds}
    for fmt in sorted((c for c in candidates if not isinstance(c, F32)), key=str):
        if all(_holds(fmt, other) for other in candidates):
            return fmt
    return F32()


def _holds(fmt: Format, other: Format) -> bool:
    if fmt == other:
        return True
    if isinstance(other, F32) or not isinstance(fmt, S8):
        return False
    if isinstance(other, S1):
        return all(stored_value(value, fmt) is not None for value in (-1.0, 1.0))
    if not isinstance(other, S8):
        return False
    ends = (np.array([-128, 127]) - other.zero_point) * other.scale
    ratio = other.scale / fmt.scale
    return ratio == round(ratio) and all(stored_value(float(value), fmt) is not None for value in ends)
