"""Channels that can never change anything are removed, bit for bit.

Networks that were trained with a penalty, or pruned, hold channels whose weights are all zero. Two facts are found for
each channel of each s8 tensor, on kernel calls, whose integers are final:

* *Constant*, from the inputs on: a convolution that reads nothing that varies for an output gives epilogue(acc) with
  an acc that is known, everywhere; and so on through all that treats channels alike. Where cells are padded, a constant
  channel is one for its readers only if the padding holds the same code.
* *Kept*, from the outputs back: the model's ports; what a convolution multiplies by a weight that is not zero, for an
  output that is kept; what anything else reads. A constant is not kept for a reader that can take it into its bias:
  epilogue(acc + sum of weights * number) has to be the same integers.

Operators that have the same channels on both sides (depthwise, pools, sums of two maps, tables, a Flatten, a Concat)
tie them: they go together, from all of these tensors, or stay. Every channel that is not kept goes from its producer
and its readers; a tensor keeps one at least. Tensors of 1 bit, whose channels fill words anyway, floats (0 times NaN)
and grouped convolutions keep all. A tensor that gets narrower gets a new name, since it means something else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..ir import ops, real, semantics
from ..ir.fixed_point import wrap
from ..ir.graph import Graph, Node
from ..ir.types import S1, S8, Shape, TensorType
from .context import Context, Part
from .editor import Editor

Mask: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]
Types: TypeAlias = Mapping[str, TensorType]

VARIES = 1000  # no code
MOST_OFFSET = 1 << 62  # of a Fixed64


def run(graph: Graph, context: Context) -> Graph:
    """Remove dead channels; the same graph if there are none."""
    if not any(_could_drop(node, graph.types) for node in graph.nodes):
        return graph
    constants = _constants(graph)
    kept = _Kept(graph, constants).find()
    if all(mask.all() for mask in kept.values()):
        return graph
    return _narrowed(graph, constants, kept, context)


def _could_drop(node: Node, types: Types) -> bool:
    """Whether a node can do with fewer channels of its own."""
    op = node.op
    if not isinstance(op, ops.ConvKernel) or op.groups != 1 or op.weights.kind == "s1":
        return False
    return isinstance(op.out, S8) and not isinstance(types[node.inputs[0]].fmt, S1)


# --- which channels belong together -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tie:
    """Channel j of input i, and of the output, belongs to class inputs[i][j], output[j]."""

    inputs: tuple[Ints, ...]
    output: Ints

    @property
    def count(self) -> int:
        return int(max(ids.max() for ids in (*self.inputs, self.output))) + 1


def _tie(node: Node, types: Types) -> Tie | None:
    """How an operator ties its channels, None if it does otherwise with them."""
    kinds = [types[name] for name in (*node.inputs, node.output)]
    if not all(isinstance(kind.fmt, S8) and kind.shape for kind in kinds):
        return None
    *inputs, out = (kind.shape for kind in kinds)
    last = len(out) - 1
    match node.op:
        case ops.ConvKernel(depthwise=True):
            return Tie((np.arange(inputs[0][-1]),), np.arange(out[-1]) // (out[-1] // inputs[0][-1]))
        case ops.Reshape():
            return _tie_of_reshape(inputs[0][-1], out[-1])
        case ops.Concat() if node.op.axis == last:
            starts = np.cumsum([0, *(shape[-1] for shape in inputs)])
            pieces = tuple(start + np.arange(shape[-1]) for start, shape in zip(starts[:-1], inputs, strict=True))
            return Tie(pieces, np.arange(out[-1]))
        case ops.ConvKernel():
            return None
    return _same(inputs, out) if _leaves_channels(node.op, inputs) else None


def _tie_of_reshape(before: int, after: int) -> Tie | None:
    """A Flatten, its inverse, and all that splits or joins axes in front of the last."""
    few = min(before, after)
    return Tie((np.arange(before) % few,), np.arange(after) % few) if max(before, after) % few == 0 else None


def _same(inputs: list[Shape], out: Shape) -> Tie | None:
    """One class per channel, of tensors that all have as many."""
    ids = np.arange(out[-1])
    return Tie((ids,) * len(inputs), ids) if all(shape[-1] == out[-1] for shape in inputs) else None


def _leaves_channels(op: ops.Op, inputs: list[Shape]) -> bool:
    match op:
        case ops.Table() | ops.ChannelKernel() | ops.BinaryKernel() | ops.FixedBinaryKernel():
            return True
        case ops.MaxPool() | ops.AvgPoolKernel() | ops.Constant() | ops.Concat():
            return True
        case ops.Pad():
            return op.before[-1] == op.after[-1] == 0
        case ops.View():
            where = (op.axis[-1], op.start[-1], op.step[-1], op.repeat[-1])
            return where == (len(op.shape) - 1, 0, 1, 1) and op.shape[-1] == inputs[0][-1]
        case ops.Gather():
            return op.indices[-1] is None
        case ops.ReduceKernel():
            return len(inputs[0]) - 1 not in op.reduce.axes
        case _:
            return False


# --- constants --------------------------------------------------------------------------------------------------------


def _constants(graph: Graph) -> dict[str, Ints]:
    """The code of every channel of every value, VARIES if it has several or is no s8."""
    found = {name: np.full(kind.shape[-1:] or (1,), VARIES) for name, kind in graph.types.items()}
    for node in graph.nodes:
        if isinstance(node.op, ops.ConvKernel):
            if isinstance(node.op.out, S8):
                found[node.output] = _of_conv(node, graph.types, found[node.inputs[0]])
            continue
        tie = _tie(node, graph.types)
        if tie is not None:
            found[node.output] = _of_tied(node, graph.types, [found[name] for name in node.inputs], tie)
    return found


def _of_tied(node: Node, types: Types, inputs: list[Ints], tie: Tie) -> Ints:
    """Computed once, with any code in the place of what varies."""
    varying = np.zeros(tie.count, np.bool_)
    for codes, ids in zip(inputs, tie.inputs, strict=True):
        varying[ids[codes == VARIES]] = True
    if varying[tie.output].all():
        return np.full(len(tie.output), VARIES)
    kinds = [types[name] for name in node.inputs]
    filled = [
        np.broadcast_to(np.where(codes == VARIES, 0, codes).astype(np.int8), (1, *kind.shape))
        for codes, kind in zip(inputs, kinds, strict=True)
    ]
    cells = semantics.run(node.op, filled, kinds).reshape((-1, len(tie.output))).astype(np.int64)
    return np.where((cells == cells[0]).all(axis=0) & ~varying[tie.output], cells[0], VARIES)


@dataclass(frozen=True, eq=False)
class Products:
    """Of a convolution of s8 by s8: which outputs (rows) read which inputs (columns) with a weight that is not zero,
    and what a constant input adds to the accumulator of each. A depthwise output has one column, its own input."""

    reads: Mask
    adds: Ints
    constant: Mask  # inputs that add the same everywhere


def _products(op: ops.ConvKernel, kind: TensorType, codes: Ints) -> Products | None:
    if not isinstance(kind.fmt, S8) or op.weights.kind != "s8" or op.groups != 1:
        return None
    weights = real.real_weights(op.weights, op.depthwise)
    zero = kind.fmt.zero_point
    same = codes != VARIES
    if op.padding != ops.NO_PADDING:
        same &= codes == int(op.pad_value)
    if op.up != (1, 1):
        same &= codes == zero
    numbers = np.where(same, codes - zero, 0)
    if op.depthwise:
        flat = weights.reshape((-1, *weights.shape[2:]))  # taps, inputs, multiplier
        reads, sums = flat.any(axis=0).reshape((-1, 1)), flat.sum(axis=0).reshape((-1, 1))
        multiplier = weights.shape[3]
        same, numbers = (np.repeat(array, multiplier).reshape((-1, 1)) for array in (same, numbers))
    else:
        reads, sums = weights.any(axis=(1, 2)), weights.sum(axis=(1, 2))
    return Products(reads, sums.astype(np.int64) * numbers, np.broadcast_to(same, reads.shape))


def _of_conv(node: Node, types: Types, codes: Ints) -> Ints:
    op, kind = node.op, types[node.inputs[0]]
    assert isinstance(op, ops.ConvKernel)
    products = _products(op, kind, codes)
    count = types[node.output].shape[-1]
    if products is None:
        return np.full(count, VARIES)
    constant = ~(products.reads & ~products.constant).any(axis=1) | _ignores_sums(op.epilogue)
    with np.errstate(all="ignore"):
        result = semantics.apply_epilogue(op.epilogue, products.adds.sum(axis=1), op.out)
    return np.where(constant, result.astype(np.int64), VARIES)


def _ignores_sums(epilogue: ops.Epilogue) -> Mask:
    """Channels whose factor is zero."""
    match epilogue:
        case ops.FixedPoint() | ops.Fixed64():
            return np.asarray(epilogue.multiplier == 0)
        case ops.Affine():
            return np.asarray(epilogue.scale == 0)
        case _:
            return np.zeros(1, np.bool_)


# --- which channels are kept ------------------------------------------------------------------------------------------


class _Kept:
    """Masks of the channels that have to stay; they grow until nothing asks for more."""

    def __init__(self, graph: Graph, constants: Mapping[str, Ints]) -> None:
        self.graph, self.constants = graph, constants
        self.masks = {name: np.zeros(codes.shape, np.bool_) for name, codes in constants.items()}
        self.touching: dict[str, list[Node]] = {name: [] for name in self.masks}
        for node in graph.nodes:
            for name in {*node.inputs, node.output}:
                self.touching[name].append(node)
        self.rules: dict[str, Callable[[], None]] = {node.output: self._rule(node) for node in graph.nodes}
        self.waiting: deque[str] = deque()

    def find(self) -> dict[str, Mask]:
        """The masks."""
        for name, kind in self.graph.types.items():
            if not isinstance(kind.fmt, S8) or name in (*self.graph.inputs, *self.graph.outputs):
                self._all(name)
        for node in reversed(self.graph.nodes):
            self.rules[node.output]()
        self._settle()
        for name, mask in self.masks.items():
            if not mask.any():
                self._add(name, np.arange(len(mask)) == 0)
                self._settle()
        return self.masks

    def _settle(self) -> None:
        while self.waiting:
            for node in self.touching[self.waiting.popleft()]:
                self.rules[node.output]()

    def _add(self, name: str, more: Mask) -> None:
        if (more & ~self.masks[name]).any():
            self.masks[name] = self.masks[name] | more
            self.waiting.append(name)

    def _all(self, name: str) -> None:
        self._add(name, np.ones(self.masks[name].shape, np.bool_))

    def _rule(self, node: Node) -> Callable[[], None]:
        tie = _tie(node, self.graph.types)
        if tie is not None and (not isinstance(node.op, ops.ConvKernel) or _could_drop(node, self.graph.types)):
            return lambda: self._together(node, tie)
        if isinstance(node.op, ops.ConvKernel) and not node.op.depthwise:
            needs = self._needs(node, node.op)
            if needs is not None:
                return lambda: self._through(node, needs)
            if _could_drop(node, self.graph.types):
                return lambda: self._all(node.inputs[0])
        return lambda: self._everything(node)

    def _everything(self, node: Node) -> None:
        for name in (*node.inputs, node.output):
            self._all(name)

    def _together(self, node: Node, tie: Tie) -> None:
        kept = np.zeros(tie.count, np.bool_)
        sides = list(zip((*node.inputs, node.output), (*tie.inputs, tie.output), strict=True))
        for name, ids in sides:
            kept[ids[self.masks[name]]] = True
        for name, ids in sides:
            self._add(name, kept[ids])

    def _through(self, node: Node, needs: Mask) -> None:
        """A convolution: of its input what its kept outputs need."""
        self._add(node.inputs[0], needs[self.masks[node.output]].any(axis=0))

    def _needs(self, node: Node, op: ops.ConvKernel) -> Mask | None:
        """Which outputs cannot do without which inputs."""
        kind = self.graph.types[node.inputs[0]]
        products = _products(op, kind, self.constants[node.inputs[0]])
        if products is None:
            return None
        foldable = products.constant & ((products.adds == 0) | _takes_sums(op.epilogue, products.adds)[:, None])
        return np.asarray(products.reads & ~foldable)


def _takes_sums(epilogue: ops.Epilogue, adds: Ints) -> Mask:
    """Outputs whose epilogue can hold an integer that was part of the accumulator."""
    match epilogue:
        case ops.FixedPoint() | ops.PowerOfTwo():
            return np.ones(len(adds), np.bool_)
        case ops.Fixed64():
            most = np.abs(adds).sum(axis=1) * np.abs(epilogue.multiplier.astype(np.int64))
            return np.asarray(np.abs(epilogue.offset) + most < MOST_OFFSET)
        case _:
            return np.zeros(len(adds), np.bool_)


# --- narrower kernels -------------------------------------------------------------------------------------------------


def _narrowed(graph: Graph, constants: Mapping[str, Ints], kept: Mapping[str, Mask], context: Context) -> Graph:
    editor = Editor(graph)
    names = {name: name for name in graph.types}
    for node in graph.nodes:
        sides = [kept[name] for name in (*node.inputs, node.output)]
        if all(mask.all() for mask in sides):
            continue
        if not kept[node.output].all():
            names[node.output] = editor.fresh(node.output)
            mask = kept[node.output]
            context.parts[names[node.output]] = Part(node.output, np.flatnonzero(mask), len(mask))
        op = _narrow(node, graph.types, constants, kept)
        made = editor.put(op, [names[name] for name in node.inputs], names[node.output], node.layers)
        if isinstance(op, ops.ConvKernel):
            _tell(node, made, graph.types, editor.types, context)
    return editor.finish()


def _narrow(node: Node, types: Types, constants: Mapping[str, Ints], kept: Mapping[str, Mask]) -> ops.Op:
    op, out = node.op, kept[node.output]
    match op:
        case ops.ConvKernel():
            source = node.inputs[0]
            return _narrow_conv(op, types[source], constants[source], kept[source], out)
        case ops.Table() if op.codes.ndim > 1:
            return replace(op, codes=op.codes[out])
        case ops.ChannelKernel() | ops.BinaryKernel():
            return replace(op, epilogue=_picked(op.epilogue, out))
        case ops.Constant():
            values: Any = np.ascontiguousarray(op.values[..., out])
            return replace(op, values=values)
        case ops.Reshape() | ops.View():
            return replace(op, shape=(*op.shape[:-1], int(out.sum())))
        case _:
            return op


def _narrow_conv(op: ops.ConvKernel, kind: TensorType, codes: Ints, source: Mask, out: Mask) -> ops.ConvKernel:
    weights, epilogue = op.weights, op.epilogue
    zeros = weights.zero_point if weights.zero_point.size == 1 else weights.zero_point[out]
    if op.depthwise:
        each = weights.codes[:, :, source]
    else:
        each = weights.codes[out][..., source]
        epilogue = _with_sums(epilogue, _folded(op, kind, codes, source, out))
    narrow: Any = np.ascontiguousarray(each)
    return replace(op, weights=replace(weights, codes=narrow, zero_point=zeros), epilogue=_picked(epilogue, out))


def _folded(op: ops.ConvKernel, kind: TensorType, codes: Ints, source: Mask, out: Mask) -> Ints:
    """What the inputs that go add to each accumulator that stays."""
    products = None if source.all() else _products(op, kind, codes)
    if products is None:
        return np.zeros(len(out), np.int64)
    return np.where(out, products.adds[:, ~source].sum(axis=1), 0)


def _with_sums(epilogue: ops.Epilogue, sums: Ints) -> ops.Epilogue:
    """The epilogue of an accumulator from which these are missing."""
    if not sums.any():
        return epilogue
    if isinstance(epilogue, ops.Fixed64):
        return replace(epilogue, offset=epilogue.offset + sums * epilogue.multiplier)
    assert isinstance(epilogue, ops.FixedPoint | ops.PowerOfTwo)
    return replace(epilogue, bias=wrap(epilogue.bias + sums).astype(np.int32))


def _picked(epilogue: ops.Epilogue, channels: Mask) -> ops.Epilogue:
    """The constants of these channels."""
    arrays = {field.name: getattr(epilogue, field.name) for field in fields(epilogue)}
    each: Any = {name: a[channels] for name, a in arrays.items() if isinstance(a, np.ndarray) and a.size > 1}
    return replace(epilogue, **each)


# --- the report -------------------------------------------------------------------------------------------------------


def _tell(node: Node, made: Node, before: Types, after: Types, context: Context) -> None:
    old, new = (_cost(n, types) for n, types in ((node, before), (made, after)))
    sides = zip(("outputs", "inputs"), (node.output, node.inputs[0]), (made.output, made.inputs[0]), strict=True)
    gone = [_gone(side, before[a], after[b]) for side, a, b in sides]
    macs, size = (a - b for a, b in zip(old, new, strict=True))
    saved = f"they can change nothing: {macs:,} MACs and {size:,} B of constants less"
    context.note(made, "without " + " and ".join(filter(None, gone)), saved, code="dead-channels")


def _gone(side: str, before: TensorType, after: TensorType) -> str:
    a, b = before.shape[-1], after.shape[-1]
    return f"{a - b} of {a} {side}" if a != b else ""


def _cost(node: Node, types: Types) -> tuple[int, int]:
    """Multiply-accumulates, and bytes of constants."""
    op = node.op
    assert isinstance(op, ops.ConvKernel)
    codes, out = op.weights.codes, types[node.output]
    taps = codes.shape[0] * codes.shape[1] if op.depthwise else codes[0].size
    arrays: Iterable[Any] = (codes, *vars(op.epilogue).values())
    size = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
    return out.elements * op.pool[0] * op.pool[1] * taps, size
