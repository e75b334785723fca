"""Everything element by element that no convolution took -> ChannelKernel, LutKernel, or the f32 kernels of single
functions.

From each value the longest run of per-channel operators that one kernel computes becomes that kernel:

* any -> s1: thresholds on the stored value (`chain.py`);
* s8 -> s8 with the same function in every channel: a table of 256 entries, exact for any function;
* any -> s8 and any -> f32: scale and offset per channel.

What is left over starts the next run. Unary functions and PReLU that stand alone read f32, behind a converter if need
be. A ternary of floats that no scale states exactly is half the sum of two signs.

A grid of more than 256 levels stays f32, a named fallback unless f32 is what its reader takes anyway. With M = 1.5 *
2^23, x / step + M rounds to a whole number, half to even; clamped, less M and times step it is the grid's value, all of
it exact in float32. Levels beyond 2^22 leave no room for that: there the grid is as fine as float32 itself, and the
clip alone remains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..ir import ops, real
from ..ir.graph import Graph, Node
from ..ir.types import F32, S1, S8, Format, TensorType
from . import chain
from .context import Context, PassError, describe
from .editor import Editor
from .fuse_conv import fit


def run(graph: Graph, context: Context) -> Graph:
    """Lower every element-by-element operator."""
    editor = Editor(graph)
    lowered: set[str] = set()
    pending = True
    while pending:
        pending = False
        for node in editor.finish().nodes:
            if node.output in lowered or not (real.is_elementwise(node.op) or isinstance(node.op, ops.PRelu)):
                continue
            _lower(editor, node, lowered, context)
            pending = True
            break
    return editor.finish()


def _lower(editor: Editor, node: Node, lowered: set[str], context: Context) -> None:
    source = node.inputs[0]
    kind = editor.types[source]
    trail = run_of(editor, node, kind.shape[-1])
    for taken in range(len(trail), 0, -1):
        found = kernel_for(kind, [n.op for n in trail[:taken]], context)
        if found is not None:
            _replace(editor, trail[:taken], source, found, context)
            return
    if isinstance(node.op, ops.Ternary):
        _lower_ternary(editor, node, context)
    elif not isinstance(kind.fmt, F32):
        converted = editor.fresh(source)
        editor.put(ops.Dequantize(), (source,), converted, node.layers)
        editor.put(node.op, (converted,), node.output, node.layers)
    elif isinstance(node.op, ops.Round):
        _lower_round(editor, node, context)
    elif isinstance(node.op, ops.Unary | ops.PRelu):
        lowered.add(node.output)
        context.note(node, "computed in f32", "a function of floats", code="computed-in-f32")
    else:
        raise PassError(f"{describe(node)} has no kernel on {kind}")


def run_of(editor: Editor, node: Node, channels: int) -> list[Node]:
    """The node and the per-channel operators behind it, each the only reader of the one before."""
    trail = [node] if chain.is_chainable(node.op, channels) else []
    while trail:
        reader = editor.only_consumer(trail[-1].output)
        if reader is None or not chain.is_chainable(reader.op, channels):
            break
        trail.append(reader)
    return trail


def kernel_for(kind: TensorType, steps: Sequence[ops.Op], context: Context) -> tuple[ops.Op, str] | None:
    """One kernel for all steps and how exact it is."""
    out = _output_format(steps)
    if (
        isinstance(kind.fmt, S8)
        and isinstance(out, S8)
        and not any(isinstance(s, ops.BatchNorm | ops.PRelu) for s in steps)
    ):
        return ops.LutKernel(table_of(kind.fmt, steps), out), "exact table"
    if len(steps) == 1 and isinstance(steps[0], ops.Unary | ops.PRelu) and isinstance(kind.fmt, F32):
        return None
    start = chain.value_start(kind.fmt, kind.shape[-1])
    found = fit(start, steps, context)
    if found is None:
        return None
    epilogue, fmt, remark = found
    return ops.ChannelKernel(shared(epilogue), fmt), remark


def _output_format(steps: Sequence[ops.Op]) -> Format:
    last = steps[-1]
    return chain.quantizer_format(last) if isinstance(last, ops.Quantize | ops.Ternary) else F32()


def table_of(fmt: S8, steps: Sequence[ops.Op]) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """Codes of f for the 256 stored values; f ends in a quantizer."""
    value = real.to_real(np.arange(-128, 128), fmt)[:, None]
    for step in steps[:-1]:
        value = real.elementwise(step, value)
    quantizer = steps[-1]
    assert isinstance(quantizer, ops.Quantize | ops.Ternary)
    return real.to_codes(value, quantizer)[:, 0]


def shared(epilogue: ops.Epilogue) -> ops.Epilogue:
    """One value instead of C equal ones."""
    fields = {name: values for name, values in vars(epilogue).items() if isinstance(values, np.ndarray)}
    if all((values == values[0]).all() for values in fields.values()):
        return type(epilogue)(**{**vars(epilogue), **{name: values[:1] for name, values in fields.items()}})
    return epilogue


def _replace(editor: Editor, taken: list[Node], source: str, found: tuple[ops.Op, str], context: Context) -> None:
    kernel, remark = found
    layers = [name for node in taken for name in node.layers]
    editor.drop(taken)
    node = editor.put(kernel, (source,), taken[-1].output, layers)
    context.note(node, f"{editor.types[source].fmt} -> {editor.types[node.output].fmt}", remark, code="elementwise")


WHOLE = 1.5 * 2**23  # a float32 of this size has no fraction
FINEST = 2**22


def _lower_round(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, ops.Round)
    levels = f"{op.high - op.low + 1:,} levels do not fit 8 bits"
    readers = editor.consumers(node.output)
    if all(isinstance(reader.op, ops.Softmax) for reader in readers):
        context.note(node, "a grid in f32", f"{levels}, and f32 is what is wanted of it", code="grid-in-f32")
    else:
        remedy = "quantize to 8 bits or fewer"
        context.fallback(node, "computed in f32", f"{op.source}: {levels}", remedy, code="grid-as-f32")
    if max(-op.low, op.high) > FINEST:
        editor.put(ops.Clip(op.low * op.step, op.high * op.step), node.inputs, node.output, node.layers)
        reason = f"left out where it is finer than float32: at most {op.step / 2:g} off"
        context.note(node, "rounding of a grid", reason, code="rounding-left-out")
        return
    whole = editor.fresh(node.output)
    steps = _affine(1 / op.step, WHOLE, WHOLE + op.low, WHOLE + op.high)
    editor.put(ops.ChannelKernel(steps, F32()), node.inputs, whole, node.layers)
    editor.put(ops.ChannelKernel(_affine(op.step, -WHOLE * op.step), F32()), (whole,), node.output, node.layers)


def _affine(scale: float, offset: float, low: float = -np.inf, high: float = np.inf) -> ops.Affine:
    return ops.Affine(np.array([scale], np.float32), np.array([offset], np.float32), low, high)


def _lower_ternary(editor: Editor, node: Node, context: Context) -> None:
    """x >= t and x > -t as signs; (a + b) / 2 is the ternary value."""
    assert isinstance(node.op, ops.Ternary)
    t = np.float32(node.op.threshold)
    limits = {"upper": t, "lower": np.nextafter(-t, np.float32(np.inf))}
    parts = []
    for limit in limits.values():
        value = editor.fresh(node.output)
        threshold = ops.Threshold(np.array([limit], np.float32), np.zeros(1, np.bool_))
        editor.put(ops.ChannelKernel(threshold, S1()), node.inputs, value, node.layers)
        parts.append(value)
    half = ops.Affine(np.array([0.5], np.float32), np.zeros(1, np.float32), -128, 127)
    kernel = editor.put(ops.BinaryKernel("add", half, S8(1.0, 0)), parts, node.output, node.layers)
    context.note(kernel, "ternary as half the sum of two signs", "exact", code="ternary-as-signs")
