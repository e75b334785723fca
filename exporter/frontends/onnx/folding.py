"""Operators on constants alone, and those that ask for the shape of a tensor. Exporters leave much of that in a graph:
the sizes of a Reshape, say, as Shape, Gather, Concat. Results are bounded; what is not listed here is for handlers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from ...ir.types import MOST_ELEMENTS
from ..graph import ShapeUnknown, Unsupported
from .model import Array, Nibbles, OnnxNode
from .operands import Activation, Constant, Operand, constant_of, reshaped, transposed

Rule: TypeAlias = Callable[[OnnxNode, "list[Array]"], Array]
MOST_RANK = 8


def fold(node: OnnxNode, inputs: Sequence[Operand | None], opset: int) -> list[Operand] | None:
    """The results of a node that needs no network to be known, None if it is not one."""
    if node.domain:
        return None
    if node.op in ("Shape", "Size") and inputs and inputs[0] is not None:
        return [Constant(_shape_of(node, inputs[0]))]
    if node.op == "Constant":
        return [_constant(node)]
    if node.op not in _RULES and node.op not in _KEEP_CODES:
        return None
    constants = [operand for operand in inputs if isinstance(operand, Constant)]
    if len(constants) + sum(operand is None for operand in inputs) != len(inputs):
        return None
    if node.op in _KEEP_CODES:
        return [_KEEP_CODES[node.op](node, constants)]
    if any(constant.nibbles for constant in constants) and node.op != "Cast":
        raise Unsupported("computes with numbers of 4 bits", "a DequantizeLinear in front of it")
    _check_size(node, constants)
    with np.errstate(all="ignore"):
        result = np.asarray(_RULES[node.op](node, [constant.array for constant in constants]))
    return [Constant(result)]


def _shape_of(node: OnnxNode, operand: Operand) -> Array:
    shape = operand.array.shape if isinstance(operand, Constant) else operand.shape
    if isinstance(operand, Activation) and not operand.value:
        raise ShapeUnknown
    if node.op == "Size":
        return np.array(math.prod(shape), np.int64)
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(shape))
    return np.array(shape[start:end], np.int64)


def _check_size(node: OnnxNode, constants: Sequence[Constant]) -> None:
    """What numpy is about to make has a bounded size."""
    shapes = [constant.array.shape for constant in constants]
    if node.op in ("ConstantOfShape", "Expand", "Tile", "Range"):
        numbers = [abs(float(n)) for n in constants[-1].array.reshape(-1)[:MOST_RANK]]
        asked = math.prod(max(n, 1.0) for n in numbers) if node.op != "Range" else _range_size(constants)
        asked *= 1 if node.op in ("ConstantOfShape", "Range") else max(math.prod(shapes[0]), 1)
        if not asked <= MOST_ELEMENTS:
            raise Unsupported("makes too large a constant", f"at most {MOST_ELEMENTS:,} numbers")
    elif node.op in _BINARY and math.prod(np.broadcast_shapes(*shapes)) > MOST_ELEMENTS:
        raise Unsupported("makes too large a constant", f"at most {MOST_ELEMENTS:,} numbers")


def _range_size(constants: Sequence[Constant]) -> float:
    start, limit, delta = (float(constant.array.reshape(-1)[0]) for constant in constants)
    return abs((limit - start) / delta) if delta else math.inf


# --- with codes -------------------------------------------------------------------------------------------------------


def _identity(node: OnnxNode, constants: list[Constant]) -> Constant:
    return constants[0]


def _transpose(node: OnnxNode, constants: list[Constant]) -> Constant:
    x = constants[0]
    perm = tuple(node.attributes.get("perm") or reversed(range(x.array.ndim)))
    return replace(x, array=x.array.transpose(perm), codes=transposed(x.codes, perm))


def _to_shape(x: Constant, shape: Sequence[int]) -> Constant:
    array = x.array.reshape(shape)
    codes = reshaped(x.codes, array.shape)
    lost = x.codes is not None and codes is None
    note = "its scales vary along an axis that a Reshape takes apart" if lost else x.note
    return replace(x, array=array, codes=codes, note=note)


def _reshape(node: OnnxNode, constants: list[Constant]) -> Constant:
    x, wanted = constants[0], [int(n) for n in constants[1].array.reshape(-1)]
    if not node.attributes.get("allowzero", 0):
        wanted = [x.array.shape[at] if n == 0 else n for at, n in enumerate(wanted)]
    return _to_shape(x, wanted)


def _flatten(node: OnnxNode, constants: list[Constant]) -> Constant:
    axis, shape = node.attributes.get("axis", 1), constants[0].array.shape
    axis += len(shape) if axis < 0 else 0
    return _to_shape(constants[0], (math.prod(shape[:axis]), math.prod(shape[axis:])))


def axes_of(node: OnnxNode, constants: Sequence[Constant]) -> list[int] | None:
    """The axes of an operator that has them as an attribute, or since opset 13 as an input."""
    if "axes" in node.attributes:
        return [int(axis) for axis in node.attributes["axes"]]
    return [int(axis) for axis in constants[1].array.reshape(-1)] if len(constants) > 1 else None


def _squeeze(node: OnnxNode, constants: list[Constant]) -> Constant:
    shape, axes = constants[0].array.shape, axes_of(node, constants)
    gone = {a % len(shape) for a in axes} if axes is not None else {a for a, n in enumerate(shape) if n == 1}
    return _to_shape(constants[0], [n for a, n in enumerate(shape) if a not in gone])


def _unsqueeze(node: OnnxNode, constants: list[Constant]) -> Constant:
    shape, axes = list(constants[0].array.shape), axes_of(node, constants) or []
    rank = len(shape) + len(axes)
    for axis in sorted(a % rank for a in axes):
        shape.insert(axis, 1)
    return _to_shape(constants[0], shape)


_KEEP_CODES: dict[str, Callable[[OnnxNode, list[Constant]], Constant]] = {
    "Identity": _identity,
    "Dropout": _identity,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}


# --- numbers ----------------------------------------------------------------------------------------------------------


def _constant(node: OnnxNode) -> Constant:
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    for name, kind in kinds.items():
        if name in node.attributes:
            return Constant(np.array(node.attributes[name], kind))
    value = node.attributes.get("value")
    if not isinstance(value, np.ndarray | Nibbles):
        raise Unsupported("a constant that is no tensor of numbers", "tensors")
    return constant_of(value)


def _constant_of_shape(node: OnnxNode, arrays: list[Array]) -> Array:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return np.full([int(n) for n in arrays[0].reshape(-1)], value.reshape(-1)[0])


NUMBERS: dict[Any, Any] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16,
    11: np.float64,
}  # fmt: skip


def _cast(node: OnnxNode, arrays: list[Array]) -> Array:
    to = node.attributes.get("to")
    if to not in NUMBERS:
        raise Unsupported(f"casts to type {to}", "floats and integers")
    return arrays[0].astype(NUMBERS[to])


def _concat(node: OnnxNode, arrays: list[Array]) -> Array:
    return np.concatenate(arrays, axis=node.attributes["axis"])


def _gather(node: OnnxNode, arrays: list[Array]) -> Array:
    return np.take(arrays[0], arrays[1].astype(np.int64), axis=node.attributes.get("axis", 0))


def span(start: int, end: int, step: int, size: int) -> slice:
    """ONNX's bounds on an axis as Python's: going down, an end in front of the first element takes that, too."""
    return slice(start, None if step < 0 and end < -size else end, step)


def _slice(node: OnnxNode, arrays: list[Array]) -> Array:
    x = arrays[0]
    if len(arrays) > 2:
        starts, ends = arrays[1].tolist(), arrays[2].tolist()
        axes = arrays[3].tolist() if len(arrays) > 3 else list(range(len(starts)))
        steps = arrays[4].tolist() if len(arrays) > 4 else [1] * len(starts)
    else:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes", list(range(len(starts)))), [1] * len(starts)
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = span(start, end, step, x.shape[axis])
    return x[tuple(cut)]


def _expand(node: OnnxNode, arrays: list[Array]) -> Array:
    return np.broadcast_to(arrays[0], np.broadcast_shapes(arrays[0].shape, tuple(arrays[1].tolist())))


def _divide(node: OnnxNode, arrays: list[Array]) -> Array:
    a, b = arrays
    return np.trunc(a / np.where(b == 0, 1, b)).astype(a.dtype) if a.dtype.kind in "iu" else a / b


def _reduce(function: Callable[..., Any]) -> Rule:
    def rule(node: OnnxNode, arrays: list[Array]) -> Array:
        axes = axes_of(node, [Constant(array) for array in arrays])
        keep = bool(node.attributes.get("keepdims", 1))
        return np.asarray(function(arrays[0], axis=None if axes is None else tuple(axes), keepdims=keep))

    return rule


_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Min": np.minimum,
    "Max": np.maximum,
    "Pow": np.power,
    "Equal": np.equal,
    "Greater": np.greater,
    "Less": np.less,
    "Mod": np.mod,
}
_UNARY: dict[str, Callable[[Array], Array]] = {
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Reciprocal": np.reciprocal,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Abs": np.abs,
    "Exp": np.exp,
    "Log": np.log,
    "Not": np.logical_not,
}


def _binary(function: Callable[[Array, Array], Array]) -> Rule:
    return lambda node, arrays: np.asarray(reduce(function, arrays))


def _unary(function: Callable[[Array], Array]) -> Rule:
    return lambda node, arrays: np.asarray(function(arrays[0]))


_RULES: dict[str, Rule] = {
    "ConstantOfShape": _constant_of_shape,
    "Cast": _cast,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Expand": _expand,
    "Div": _divide,
    "Range": lambda node, arrays: np.arange(*(array.reshape(-1)[0] for array in arrays)),
    "Tile": lambda node, arrays: np.tile(arrays[0], arrays[1].tolist()),
    "Where": lambda node, arrays: np.where(arrays[0], arrays[1], arrays[2]),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    **{name: _binary(function) for name, function in _BINARY.items()},
    **{name: _unary(function) for name, function in _UNARY.items()},
}
