"""The arithmetic of quantized files -> its kernels, number by number: nothing is fitted, nothing falls back to floats.

* An integer convolution with its Rescale, and a max pool behind that (rescaling rises, so the pool may run on the sums)
  -> ConvKernel; its epilogue holds the Rescale's numbers. Weights whose zero points leave int8 codes lose them.
* Rescale, Rescale, add or sub, Rescale (TFLite's ADD and SUB); mul, Rescale; WeightedSum; maximum, minimum ->
  FixedBinaryKernel. With a constant operand that is the same everywhere or for each channel -> Table.
* Sum, Rescale and the other reductions -> ReduceKernel; a raw AvgPool -> its kernel; a Rescale of s8 to s8 per channel
  -> ChannelKernel (one for all channels became a Table in canonicalize).

An s32 that nothing of this reads has no kernel: its layer is refused, since in floats its numbers would change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..ir import fixed_point, ops, semantics
from ..ir.evaluate import is_quantized
from ..ir.graph import Graph, Node
from ..ir.infer import stored_value
from ..ir.real import per_output
from ..ir.types import S1, S8, S32, TensorType
from .context import Context, PassError, describe
from .editor import Editor

Pair = tuple[int, int]
NOTHING: Pair = (0, 0)
CODES = np.arange(-128, 128).astype(np.int8)


def run(graph: Graph, context: Context) -> Graph:
    """Lower every operator of quantized files."""
    editor = Editor(graph)
    for node in editor:
        now = editor.nodes.get(node.output)
        if now is not None and is_quantized(now.op):
            _LOWER.get(type(now.op), _keep)(editor, now, context)
    lowered = editor.finish()
    for node in lowered.nodes:
        if lowered.types[node.output].fmt == S32():
            raise PassError(f"{describe(node)} gives integer sums that no kernel stores; a Rescale to s8 must follow")
    return lowered


def _keep(editor: Editor, node: Node, context: Context) -> None:
    """A kernel as it is."""


def _rescale_behind(editor: Editor, node: Node) -> tuple[Node, ops.Rescale]:
    """The Rescale to s8 that alone reads a node."""
    reader = editor.only_consumer(node.output)
    if reader is None or not isinstance(reader.op, ops.Rescale) or not isinstance(reader.op.out, S8):
        raise PassError(f"{describe(node)}: one Rescale to s8 must follow, and nothing else read its integer sums")
    return reader, reader.op


def _put(editor: Editor, op: ops.Op, inputs: tuple[str, ...], taken: list[Node], context: Context) -> Node:
    """`op` in the place of the taken nodes. The last of them has the value that stays; others may be read elsewhere."""
    layers = [name for node in taken for name in node.layers]
    editor.drop(node for node in taken if editor.only_consumer(node.output) is not None)
    fused = editor.put(op, inputs, taken[-1].output, layers)
    formats = ", ".join(str(editor.types[name].fmt) for name in inputs)
    context.note(
        fused, f"{formats} -> {editor.types[fused.output].fmt}", "the file's integers, bit for bit", code="integer"
    )
    return fused


# --- convolutions -----------------------------------------------------------------------------------------------------


def _lower_conv(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, ops.Conv2D | ops.DepthwiseConv2D)
    last, rescale = _rescale_behind(editor, node)
    depthwise = isinstance(op, ops.DepthwiseConv2D)
    fmt = editor.types[node.inputs[0]].fmt
    taken, pool = [node, last], (1, 1)
    reader = editor.only_consumer(last.output)
    if reader is not None and isinstance(reader.op, ops.MaxPool) and _is_plain(reader.op):
        taken, pool = [*taken, reader], reader.op.size
    assert isinstance(rescale.out, S8)
    kernel = ops.ConvKernel(
        weights=without_zero_points(replace(op.weights, scale=np.ones(())), depthwise),
        epilogue=epilogue_of(node, rescale, op.bias, editor.types[node.output].shape[-1]),
        out=rescale.out,
        depthwise=depthwise,
        stride=op.stride,
        dilation=op.dilation,
        padding=op.padding,
        pad_value=_pad_code(op.pad_value, fmt),
        groups=1 if isinstance(op, ops.DepthwiseConv2D) else op.groups,
        up=(1, 1) if isinstance(op, ops.DepthwiseConv2D) else op.up,
        pool=pool,
    )
    _put(editor, kernel, node.inputs, taken, context)


def _is_plain(op: ops.MaxPool) -> bool:
    return op.size == op.stride and op.padding == ops.NO_PADDING


def _pad_code(value: float, fmt: Any) -> float:
    if isinstance(fmt, S1):
        return value
    code = stored_value(value, fmt)
    assert code is not None  # inference asks for it
    return code


def without_zero_points(weights: ops.Weights, depthwise: bool) -> ops.Weights:
    """The weights with their zero points taken off, where the codes stay int8; else as they are."""
    if not weights.zero_point.any():
        return weights
    codes = weights.codes.astype(np.int16) - per_output(weights.zero_point.astype(np.int16), weights, depthwise)
    if codes.min() < -128 or codes.max() > 127:
        return weights
    return replace(weights, codes=codes.astype(np.int8), zero_point=np.zeros((), np.int8))


def epilogue_of(node: Node, rescale: ops.Rescale, bias: Any, count: int) -> ops.FixedPoint | ops.Fixed64:
    """The Rescale of sums, as constants of `count` channels."""
    if rescale.left != 0:
        raise PassError(f"{describe(node)}: a Rescale of sums cannot shift them to the left first")
    multiplier, shift = (
        np.broadcast_to(values, (count,)).astype(np.int32) for values in (rescale.multiplier, rescale.shift)
    )
    whole = np.zeros(count, np.int32) if bias is None else np.broadcast_to(bias, (count,)).astype(np.int32)
    if rescale.rounding is ops.FixedRounding.DOUBLE:
        return ops.FixedPoint(whole, multiplier, shift, rescale.qmin, rescale.qmax)
    right = 31 - shift.astype(np.int64)
    offset = whole.astype(np.int64) * multiplier + fixed_point.half_of(right)
    return ops.Fixed64(offset, multiplier, right.astype(np.int32), rescale.qmin, rescale.qmax)


# --- two inputs -------------------------------------------------------------------------------------------------------


def _lower_binary(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, ops.Binary)
    if op.kind in ("maximum", "minimum"):
        fmt = editor.types[node.output].fmt
        assert isinstance(fmt, S8)
        kernel = ops.FixedBinaryKernel(op.kind, ops.FixedRounding.DOUBLE, (NOTHING, NOTHING, NOTHING), 0, fmt)
        _put_binary(editor, kernel, node.inputs, [node], context)
        return
    last, rescale = _rescale_behind(editor, node)
    assert isinstance(rescale.out, S8)
    clamp = (rescale.qmin, rescale.qmax)
    if op.kind == "mul":
        pairs = (NOTHING, NOTHING, _result_pair(node, rescale))
        kernel = ops.FixedBinaryKernel("mul", rescale.rounding, pairs, 0, rescale.out, *clamp)
        _put_binary(editor, kernel, node.inputs, [node, last], context)
        return
    (a, ra), (b, rb) = (_rescaled_input(editor, node, name) for name in node.inputs)
    if ra.left != rb.left or rescale.left != 0 or rescale.rounding is not ops.FixedRounding.DOUBLE:
        raise PassError(f"{describe(node)}: its inputs and result are rescaled in other ways than TFLite's ADD does")
    pairs = (_pair(node, ra), _pair(node, rb), _pair(node, rescale))
    kernel = ops.FixedBinaryKernel(op.kind, ops.FixedRounding.DOUBLE, pairs, ra.left, rescale.out, *clamp)
    sources = (a.inputs[0], b.inputs[0])
    _put_binary(editor, kernel, sources, [a, b, node, last], context)


def _rescaled_input(editor: Editor, node: Node, name: str) -> tuple[Node, ops.Rescale]:
    """The Rescale of an s8 that an addition reads."""
    before = editor.nodes.get(name)
    if before is not None and isinstance(before.op, ops.Rescale):
        double = before.op.rounding is ops.FixedRounding.DOUBLE
        if double and isinstance(editor.types[before.inputs[0]].fmt, S8):
            return before, before.op
    raise PassError(f"{describe(node)}: its input {name} is no Rescale of an s8 with TFLite's rounding")


def _pair(node: Node, rescale: ops.Rescale) -> Pair:
    if len(rescale.multiplier) > 1:
        raise PassError(f"{describe(node)}: rescaling with a multiplier per channel has no kernel here")
    return int(rescale.multiplier[0]), int(rescale.shift[0])


def _result_pair(node: Node, rescale: ops.Rescale) -> Pair:
    multiplier, shift = _pair(node, rescale)
    if rescale.left != 0:
        raise PassError(f"{describe(node)}: a Rescale of a product cannot shift it to the left first")
    return (multiplier, shift) if rescale.rounding is ops.FixedRounding.DOUBLE else (multiplier, 31 - shift)


def _lower_weighted_sum(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, ops.WeightedSum)
    pairs = ((op.factors[0], 0), (op.factors[1], 0), (0, op.shift))
    kernel = ops.FixedBinaryKernel("add", ops.FixedRounding.SINGLE, pairs, 0, op.out, op.qmin, op.qmax)
    _put_binary(editor, kernel, node.inputs, [node], context)


def _put_binary(
    editor: Editor, kernel: ops.FixedBinaryKernel, inputs: tuple[str, ...], taken: list[Node], context: Context
) -> None:
    for at in (0, 1):
        constant = editor.nodes.get(inputs[at])
        if constant is not None and isinstance(constant.op, ops.Constant) and inputs[0] != inputs[1]:
            table = _as_table(kernel, constant.op, at, editor.types[inputs[1 - at]])
            if table is not None:
                _put(editor, table, (inputs[1 - at],), taken, context)
                return
    _put(editor, kernel, inputs, taken, context)


def _as_table(kernel: ops.FixedBinaryKernel, constant: ops.Constant, at: int, other: TensorType) -> ops.Table | None:
    """The kernel with one operand constant, as a table of the other; None if the constant varies along more than the
    channels, or makes the other's shape grow."""
    values = constant.values
    if values.size not in (1, values.shape[-1]) or values.shape[-1] not in (1, other.shape[-1]):
        return None
    row = values.reshape((-1, 1))
    codes = np.broadcast_to(CODES, (len(row), 256))
    operands = [row, codes] if at == 0 else [codes, row]
    kinds = [TensorType((1,), constant.fmt), TensorType((1,), other.fmt)]
    result = semantics.run(kernel, operands, kinds if at == 0 else kinds[::-1])
    return ops.Table(result[0] if len(row) == 1 else result, kernel.out)


# --- the rest ---------------------------------------------------------------------------------------------------------


def _lower_reduce(editor: Editor, node: Node, context: Context) -> None:
    op = node.op
    assert isinstance(op, ops.Reduce)
    if op.kind != "sum":
        fmt = editor.types[node.output].fmt
        assert isinstance(fmt, S8)
        _put(editor, ops.ReduceKernel(op, None, fmt), node.inputs, [node], context)
        return
    last, rescale = _rescale_behind(editor, node)
    _pair(node, rescale)
    assert isinstance(rescale.out, S8)
    kernel = ops.ReduceKernel(op, epilogue_of(node, rescale, None, 1), rescale.out)
    _put(editor, kernel, node.inputs, [node, last], context)


def _lower_rescale(editor: Editor, node: Node, context: Context) -> None:
    """Of an s8 to an s8; others belong to what stands before or behind them."""
    op = node.op
    assert isinstance(op, ops.Rescale)
    if isinstance(op.out, S8) and isinstance(editor.types[node.inputs[0]].fmt, S8):
        epilogue = epilogue_of(node, op, None, len(op.multiplier))
        _put(editor, ops.ChannelKernel(epilogue, op.out), node.inputs, [node], context)


def _lower_avg_pool(editor: Editor, node: Node, context: Context) -> None:
    assert isinstance(node.op, ops.AvgPool)
    _put(editor, ops.AvgPoolKernel(node.op, editor.types[node.output].fmt), node.inputs, [node], context)


_LOWER: dict[type, Callable[[Editor, Node, Context], None]] = {
    ops.Conv2D: _lower_conv,
    ops.DepthwiseConv2D: _lower_conv,
    ops.Binary: _lower_binary,
    ops.WeightedSum: _lower_weighted_sum,
    ops.Reduce: _lower_reduce,
    ops.Rescale: _lower_rescale,
    ops.AvgPool: _lower_avg_pool,
}
