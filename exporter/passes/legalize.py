"""Gives every operator the formats its kernel takes, with converters as nodes of their own.

* Softmax reads f32.
* Pad with a value that the format cannot store, and a convolution that pads such a value, work on f32: a named
  fallback.
* A kernel that the front end could not store in its quantizer's codes is a named fallback.
* A kernel that is all zeros is told: a quantizer may have done that to it.
* A convolution whose integer sums could leave int32 works on f32: a named fallback.
* Concat needs one format: that of an input into which all others convert exactly, else f32 (a named fallback if all
  were quantized).
* Concat of more than 16 inputs becomes a tree."""

from __future__ import annotations

import numpy as np

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.infer import stored_value
from ..ir.types import F32, S1, S8, Format, TensorType
from .context import Context
from .editor import Editor

INT32_MAX = 2**31 - 1


def run(graph: Graph, context: Context) -> Graph:
    """Insert converters."""
    editor = Editor(graph)
    for node in editor:
        if isinstance(node.op, ops.Softmax):
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
        )


def _legalize_conv(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, ops.Conv2D | ops.DepthwiseConv2D)
    if op.weights.note:
        remedy = "use alpha=1, or a quantizer with one scale per output channel"
        context.fallback(node, "weights stored as f32", op.weights.note, remedy)
    if op.weights.kind == "s8" and not op.weights.half and not op.weights.codes.any():
        context.note(node, "weights that are all zeros", op.weights.source or "as they are in the file")
    fmt = editor.types[node.inputs[0]].fmt
    if largest_sum(op, fmt) >= INT32_MAX:
        _read_floats(editor, node)
        reason = "its sums could leave 32 bits"
        context.fallback(node, f"input read as f32 instead of {fmt}", reason, "split the layer, or use s1 weights")
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
    weight = 1 if op.weights.kind == "s1" else 255 if op.weights.half else 128
    return int(taps * largest * weight)


def _legalize_concat(editor: Editor, node: Node, context: Context) -> None:
    assert isinstance(node.op, ops.Concat)
    kinds = [editor.types[name] for name in node.inputs]
    fmt = common_format(kinds)
    if isinstance(fmt, F32) and not any(isinstance(kind.fmt, F32) for kind in kinds):
        formats = ", ".join(dict.fromkeys(str(kind.fmt) for kind in kinds))
        context.fallback(
            node, "joined as f32", f"its inputs have the formats {formats}", "quantize them alike, or the joined tensor"
        )
    inputs = [_converted(editor, name, fmt, node) for name in node.inputs]
    while len(inputs) > ops.MAX_CONCAT:
        head = editor.fresh(node.output)
        editor.put(node.op, inputs[: ops.MAX_CONCAT], head, node.layers)
        inputs = [head, *inputs[ops.MAX_CONCAT :]]
    editor.put(node.op, inputs, node.output, node.layers)


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
    ends = (np.array([-128, 127]) - other.zero_point) * other.scale
    ratio = other.scale / fmt.scale
    return ratio == round(ratio) and all(stored_value(float(value), fmt) is not None for value in ends)
