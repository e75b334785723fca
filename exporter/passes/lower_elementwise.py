"""Everything element by element that no convolution took -> ChannelKernel, Table, or the f32 kernels of single
functions.

From each value the longest run of per-channel operators that one kernel computes becomes that kernel:

* any -> s1: thresholds on the stored value (`chain.py`);
* s8 -> s8 with the same function in every channel: a table of 256 entries, exact for any function;
* any -> s8 and any -> f32: scale and offset per channel; f32 -> s8 by a file's own division, alone.

What is left over starts the next run. Unary functions and PReLU that stand alone read f32, behind a converter if need
be. A ternary of floats that no scale states exactly is half the sum of two signs.

A grid of more than 256 levels stays f32, a named fallback unless f32 is what its reader takes anyway. With M = 1.5 *
2^23, x / step + M rounds to a whole number, half to even; clamped, less M and times step it is the grid's value, all of
it exact in float32. Levels beyond 2^22 leave no room for that: there the grid is as fine as float32 itself, and the
clip alone remains."""

from __future__ import annotations

import numpy as np

from dqnn.tensors import Rounding

from ..ir import ops, real
from ..ir.graph import Graph, Node
from ..ir.types import F32, S1, S8, Format, TensorType
from . import chain
from .context import Context, PassError, describe
from .editor import Editor
from .fuse_conv import fit


def run(graph: Graph, context: Context) -> Graph:
    """Lower every element-by-element operator, producers first."""
    editor = Editor(graph)
    for node in editor.finish().nodes:
        now = editor.nodes.get(node.output)
        if now is not None and isinstance(now.op, ops.Elementwise):
            _lower(editor, now, now.op, context)
    return editor.finish()


def _lower(editor: Editor, node: Node, op: ops.Elementwise, context: Context) -> None:
    source = node.inputs[0]
    kind = editor.types[source]
    trail, steps = run_of(editor, node, kind.shape[-1])
    start, affine = chain.value_start(kind.fmt, kind.shape[-1]), chain.affine_steps(steps)
    for taken in range(len(trail), 0, -1):
        found = kernel_for(kind, start, steps[:taken], affine)
        if found is not None:
            _replace(editor, trail[:taken], source, found, context)
            return
    if isinstance(op, ops.Ternary):
        _lower_ternary(editor, node, op, context)
    elif not isinstance(kind.fmt, F32):
        _lower_on_floats(editor, node, op, context)
    elif isinstance(op, ops.Round):
        _lower_round(editor, node, op, context)
    elif isinstance(op, ops.Unary | ops.PRelu):
        kernel = ops.UnaryKernel(op.kind, op.alpha) if isinstance(op, ops.Unary) else ops.PReluKernel(op.alpha)
        kept = editor.put(kernel, node.inputs, node.output, node.layers)
        context.note(kept, "computed in f32", "a function of floats", code="computed-in-f32")
    else:
        raise PassError(f"{describe(node)} has no kernel on {kind}")


def _lower_on_floats(editor: Editor, node: Node, op: ops.Elementwise, context: Context) -> None:
    """Behind a converter to f32, which is a kernel itself."""
    source = node.inputs[0]
    converted = editor.fresh(source)
    converter = ops.Dequantize()
    before = editor.put(converter, (source,), converted, node.layers)
    kind = editor.types[source]
    found = kernel_for(kind, chain.value_start(kind.fmt, kind.shape[-1]), [converter], 1)
    assert found is not None  # f32 holds every format
    _replace(editor, [before], source, found, context)
    _lower(editor, editor.put(op, (converted,), node.output, node.layers), op, context)


def run_of(editor: Editor, node: Node, channels: int) -> tuple[list[Node], list[ops.Elementwise]]:
    """The node and the per-channel operators behind it, each the only reader of the one before; and what they do."""
    trail: list[Node] = []
    steps: list[ops.Elementwise] = []
    reader: Node | None = node
    while reader is not None and len(steps) < chain.MOST_STEPS:
        step = chain.chainable(reader.op, channels)
        if step is None:
            break
        trail.append(reader)
        steps.append(step)
        reader = editor.only_consumer(reader.output)
    return trail, steps


def kernel_for(kind: TensorType, start: chain.Start, steps: chain.Steps, affine: int) -> tuple[ops.Op, str] | None:
    """One kernel for all steps and how exact it is; the first `affine` steps are in clipped affine form."""
    out = _output_format(steps)
    if isinstance(kind.fmt, S8) and isinstance(out, S8) and all(ops.channels(step) is None for step in steps):
        return ops.Table(table_of(kind.fmt, steps), out), "exact table"
    if len(steps) == 1 and isinstance(steps[0], ops.Unary | ops.PRelu) and isinstance(kind.fmt, F32):
        return None
    if len(steps) == 1 and isinstance(steps[0], ops.Quantize) and isinstance(kind.fmt, F32):
        divided = _divided(steps[0])
        if divided is not None:
            return divided, "the file's division, bit for bit"
    found = fit(start, steps) if chain.may_end(start, steps, affine) else None
    if found is None:
        last = steps[-1]
        divides = isinstance(last, ops.Quantize) and last.rounding is not Rounding.KERAS
        if divides and isinstance(kind.fmt, S8) and isinstance(out, S8) and not any(map(ops.has_places, steps)):
            return ops.Table(tables_of(kind, steps), out), "exact tables"
        return None
    epilogue, fmt, remark = found
    return ops.ChannelKernel(shared(epilogue), fmt), remark


def _divided(op: ops.Quantize) -> ops.ChannelKernel | None:
    """The kernel of a quantizer that divides, as those of TFLite and ONNX do."""
    if op.rounding is Rounding.KERAS or not isinstance(op.fmt, S8):
        return None
    scale = np.array([op.fmt.scale], np.float32)
    return ops.ChannelKernel(ops.Divide(scale, op.rounding, op.qmin, op.qmax), op.fmt)


def _output_format(steps: chain.Steps) -> Format:
    last = steps[-1]
    return chain.quantizer_format(last) if isinstance(last, ops.Quantize | ops.Ternary) else F32()


def table_of(fmt: S8, steps: chain.Steps) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """Codes of f for the 256 stored values; f ends in a quantizer."""
    return _codes_of(fmt, steps, 1)[:, 0]


def tables_of(kind: TensorType, steps: chain.Steps) -> ops.I8:
    """The same for each channel."""
    assert isinstance(kind.fmt, S8)
    return np.ascontiguousarray(_codes_of(kind.fmt, steps, kind.shape[-1]).T)


def _codes_of(fmt: S8, steps: chain.Steps, channels: int) -> ops.I8:
    value = np.repeat(real.to_real(np.arange(-128, 128), fmt)[:, None], channels, axis=1)
    for step in steps[:-1]:
        value = real.elementwise(step, value)
    quantizer = steps[-1]
    assert isinstance(quantizer, ops.Quantize | ops.Ternary)
    return real.to_codes(value, quantizer)


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


def _lower_round(editor: Editor, node: Node, op: ops.Round, context: Context) -> None:
    levels = f"{op.high - op.low + 1:,} levels do not fit 8 bits"
    if all(isinstance(reader.op, ops.Softmax | ops.SoftmaxKernel) for reader in editor.consumers(node.output)):
        context.note(node, "a grid in f32", f"{levels}, and f32 is what is wanted of it", code="grid-in-f32")
    else:
        remedy = "quantize to 8 bits or fewer"
        context.fallback(node, "computed in f32", f"{op.source}: {levels}", remedy, code="grid-as-f32")
    if max(-op.low, op.high) > FINEST:
        clip = ops.Clip(op.low * op.step, op.high * op.step)
        reason = f"left out where it is finer than float32: at most {op.step / 2:g} off"
        context.note(node, "rounding of a grid", reason, code="rounding-left-out")
        _lower(editor, editor.put(clip, node.inputs, node.output, node.layers), clip, context)
        return
    whole = editor.fresh(node.output)
    steps = _affine(1 / op.step, WHOLE, WHOLE + op.low, WHOLE + op.high)
    editor.put(ops.ChannelKernel(steps, F32()), node.inputs, whole, node.layers)
    editor.put(ops.ChannelKernel(_affine(op.step, -WHOLE * op.step), F32()), (whole,), node.output, node.layers)


def _affine(scale: float, offset: float, low: float = -np.inf, high: float = np.inf) -> ops.Affine:
    return ops.Affine(np.array([scale], np.float32), np.array([offset], np.float32), low, high)


def _lower_ternary(editor: Editor, node: Node, op: ops.Ternary, context: Context) -> None:
    """x >= t and x > -t as signs; (a + b) / 2 is the ternary value."""
    t = np.float32(op.threshold)
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
