"""Binary, AvgPool, Softmax and LayerNorm -> their kernels, with the quantizer behind them.

* Binary computes float32 real values; a rising or falling chain to a sign behind it becomes thresholds on them, a
  clip and an s8 quantizer become the kernel's clamp and its factor 1 / scale (the quantizer's own product, so the
  result is the same). A sum or product whose second input the output may overlay (docs/memory.md), but not the first,
  is turned around.
* AvgPool followed by an s8 quantizer stores s8; a quantizer with a smaller range is followed by a clamping table."""

from __future__ import annotations

from dqnn.tensors import Rounding

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.types import F32, S1, S8, Format
from . import chain
from .context import Context
from .editor import Editor
from .lower_elementwise import run_of, shared, table_of


def run(graph: Graph, context: Context) -> Graph:
    """Lower every Binary, AvgPool, Softmax and LayerNorm."""
    editor = Editor(graph)
    for node in editor:
        if isinstance(node.op, ops.Binary):
            _lower_binary(editor, node, context)
        elif isinstance(node.op, ops.AvgPool):
            _lower_avg_pool(editor, node, context)
        elif isinstance(node.op, ops.Softmax):
            editor.put(ops.SoftmaxKernel(), node.inputs, node.output, node.layers)
        elif isinstance(node.op, ops.LayerNorm):
            kernel = ops.LayerNormKernel(node.op.gamma, node.op.beta, node.op.epsilon)
            editor.put(kernel, node.inputs, node.output, node.layers)
    return editor.finish()


def _lower_binary(editor: Editor, node: Node, context: Context) -> None:
    assert isinstance(node.op, ops.Binary)
    channels = editor.types[node.output].shape[-1]
    reader = editor.only_consumer(node.output)
    trail, steps = run_of(editor, reader, channels) if reader is not None else ([], [])
    for taken in range(len(trail), -1, -1):
        found = _binary_epilogue(steps[:taken], channels)
        if found is not None:
            break
    assert found is not None
    epilogue, out = found
    merged = [node, *trail[:taken]]
    inputs = _hosts_first(editor, node, out)
    editor.drop(merged)
    layers = [name for n in merged for name in n.layers]
    formats = ", ".join(str(editor.types[name].fmt) for name in node.inputs)
    fused = editor.put(ops.BinaryKernel(node.op.kind, epilogue, out), inputs, merged[-1].output, layers)
    context.note(fused, f"{node.op.kind} of {formats} -> {out}", "computed on float32 values", code="binary")


def _hosts_first(editor: Editor, node: Node, out: Format) -> tuple[str, ...]:
    assert isinstance(node.op, ops.Binary)
    first, second = node.inputs
    turn = node.op.kind in ("add", "mul") and _can_host(editor, second, node, out)
    return (second, first) if turn and not _can_host(editor, first, node, out) else (first, second)


def _can_host(editor: Editor, value: str, node: Node, out: Format) -> bool:
    """Whether an input dies here and holds the output's elements, none of them smaller."""
    kind, widths = editor.types[value], {S1: 0, S8: 1, F32: 2}
    wide = widths[type(kind.fmt)] >= widths[type(out)]
    return wide and kind.shape == editor.types[node.output].shape and editor.only_consumer(value) == node


def _binary_epilogue(steps: chain.Steps, channels: int) -> tuple[ops.Epilogue, Format] | None:
    start = chain.float_start(channels)
    last = steps[-1] if steps else None
    if isinstance(last, ops.Quantize) and isinstance(last.fmt, S1):
        threshold = chain.fit_threshold(start, steps[:-1])
        return None if threshold is None else (shared(threshold), S1())
    if isinstance(last, ops.Quantize):
        return _binary_s8(start, steps[:-1], last)
    if isinstance(last, ops.Ternary):
        return None
    affine = shared_affine(chain.fit_float(start, steps))
    if affine is None or affine.scale[0] != 1 or affine.offset[0] != 0:
        return None
    return affine, F32()


def _binary_s8(start: chain.Start, steps: chain.Steps, quantizer: ops.Quantize) -> tuple[ops.Epilogue, Format] | None:
    """None too for a quantizer that divides: the kernel multiplies with the inverse."""
    found = chain.fit_s8(start, steps, quantizer) if quantizer.rounding is Rounding.KERAS else None
    affine = shared_affine(found.epilogue if found is not None else None)
    if affine is None or affine.offset[0] != 0:
        return None
    return affine, quantizer.fmt


def shared_affine(epilogue: ops.Epilogue | None) -> ops.Affine | None:
    """An affine epilogue that is the same in every channel, as one value."""
    if not isinstance(epilogue, ops.Affine):
        return None
    one = shared(epilogue)
    return one if isinstance(one, ops.Affine) and len(one.scale) == 1 else None


def _lower_avg_pool(editor: Editor, node: Node, context: Context) -> None:
    assert isinstance(node.op, ops.AvgPool)
    reader = editor.only_consumer(node.output)
    quantizer = reader.op if reader is not None else None
    fits = isinstance(quantizer, ops.Quantize) and quantizer.rounding is Rounding.KERAS
    if reader is None or not isinstance(quantizer, ops.Quantize) or not fits or not isinstance(quantizer.fmt, S8):
        editor.put(ops.AvgPoolKernel(node.op, F32()), node.inputs, node.output, node.layers)
        return
    layers = [*node.layers, *reader.layers]
    editor.drop([node, reader])
    kernel = ops.AvgPoolKernel(node.op, quantizer.fmt)
    context.note(reader, f"average pool -> {quantizer.fmt}", "quantized in the pool", code="average-pool")
    if (quantizer.qmin, quantizer.qmax) == (-128, 127):
        editor.put(kernel, node.inputs, reader.output, layers)
        return
    value = editor.fresh(reader.output)
    editor.put(kernel, node.inputs, value, layers)
    clamp = ops.Table(table_of(quantizer.fmt, [quantizer]), quantizer.fmt)
    editor.put(clamp, (value,), reader.output, layers)
