"""What the handler of an operator sees of its node, and how it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ...ir.types import F32, S8, Format
from ..graph import GraphBuilder, ShapeUnknown, Unsupported, Value
from .model import Array, OnnxNode
from .operands import Activation, Constant, OnnxShape, Operand, Order, moves_nothing, permutation, value_shape

MOST_AXES = 8


@dataclass
class Network:
    """What all nodes share: the graph as it grows, the version of the standard operators, how many samples the file's
    tensors hold, what each value was quantized from, and values in other orders of axes."""

    graph: GraphBuilder
    opset: int
    batch: int = 1
    quantizers: dict[str, tuple[Value, ops.Quantize]] = field(default_factory=dict)
    arranged: dict[tuple[Value, OnnxShape, Order], Value] = field(default_factory=dict)


class OnnxContext:
    """A node with its operands; attributes and constants by what they must be; operators to emit or reasons to
    refuse."""

    def __init__(self, network: Network, node: OnnxNode, inputs: Sequence[Operand | None]) -> None:
        self.network = network
        self.graph = network.graph
        self.node = node
        self.inputs = list(inputs)
        self.opset = network.opset

    # --- attributes ---------------------------------------------------------------------------------------------------

    def whole(self, name: str, default: int) -> int:
        return int(self._attribute(name, int, default, "a whole number"))

    def number(self, name: str, default: float) -> float:
        return float(self._attribute(name, (int, float), default, "a number"))

    def text(self, name: str, default: str) -> str:
        return str(self._attribute(name, str, default, "text"))

    def wholes(self, name: str) -> list[int] | None:
        """None where the attribute is absent."""
        found = self._attribute(name, list, None, "whole numbers")
        if found is None:
            return None
        if any(not isinstance(n, int) for n in found):
            raise Unsupported(f"{name} is {found}", "whole numbers")
        return list(found)

    def _attribute(self, name: str, kind: Any, default: Any, accepted: str) -> Any:
        value = self.node.attributes.get(name, default)
        if value is not default and not isinstance(value, kind):
            raise Unsupported(f"{name} is {str(value)[:40]!r}", accepted)
        return value

    def only(self, name: str, accepted: Any) -> None:
        """Refuses an attribute that is there with another value."""
        value = self.node.attributes.get(name, accepted)
        if value != accepted:
            raise Unsupported(f"{name} is {value}", f"{name}={accepted}")

    # --- operands -----------------------------------------------------------------------------------------------------

    def operand(self, at: int) -> Operand:
        """An input that must be there."""
        found = self.optional(at)
        if found is None:
            raise Unsupported(f"{len(self.inputs)} inputs are connected", f"an input {at + 1}")
        return found

    def optional(self, at: int) -> Operand | None:
        found = self.inputs[at] if at < len(self.inputs) else None
        if isinstance(found, Activation) and not found.value:
            raise ShapeUnknown
        return found

    def constant(self, at: int, what: str) -> Constant:
        found = self.operand(at)
        if not isinstance(found, Constant):
            raise Unsupported(f"{what} is computed by the network", "a constant")
        return found

    def activation(self, at: int = 0) -> Activation:
        """An input with reals, or integers that the operator only moves."""
        found = self.operand(at)
        return found if isinstance(found, Activation) else self.emitted_constant(found, None)

    def real(self, at: int = 0) -> Activation:
        """An input with reals."""
        found = self.activation(at)
        if found.coded:
            raise Unsupported("reads integers as numbers", "reals: a DequantizeLinear in front of it")
        return found

    def floats(self, at: int, what: str) -> NDArray[np.float64]:
        """A constant of finite numbers."""
        return finite(self.constant(at, what).array, what)

    def scalar(self, at: int, what: str, default: Any = None) -> Any:
        """A constant of one number, or the default where the input is absent."""
        if self.optional(at) is None:
            return default
        array = self.constant(at, what).array
        if array.size != 1:
            raise Unsupported(f"{what} has {array.size} values", "one")
        return array.reshape(-1)[0].item()

    def integers(self, at: int, what: str) -> list[int] | None:
        """A constant list of whole numbers, None where the input is absent."""
        if self.optional(at) is None:
            return None
        array = self.constant(at, what).array
        if array.ndim > 1 or array.dtype.kind not in "iu" or array.size > MOST_AXES:
            raise Unsupported(f"{what} is an array of {array.dtype} of shape {array.shape}", "a few whole numbers")
        return [int(n) for n in array.reshape(-1)]

    def axis(self, value: int, rank: int) -> int:
        """An ONNX axis that may be negative."""
        if not -rank <= value < rank:
            raise Unsupported(f"axis {value} of a tensor of rank {rank}")
        return value % rank

    # --- the graph ----------------------------------------------------------------------------------------------------

    def emit(self, op: ops.Op, *inputs: str) -> Value:
        """Append `op` to the graph and return its value. What ends up as the node's result gets that name."""
        name = next((name for name in self.node.outputs if name), self.node.path)
        return self.graph.emit(op, inputs, self.node.path, f"{name}/{type(op).__name__.lower()}")

    def format(self, x: Activation) -> Format:
        return self.graph.type(x.value).fmt

    def apply(self, x: Activation, *operators: ops.Op) -> Activation:
        """Operators element by element, one after the other."""
        value = x.value
        for op in operators:
            value = self.emit(op, value)
        return Activation(value, x.shape, x.order)

    def arranged(self, x: Activation, order: Order) -> Activation:
        """The activation with the axes of its value in this order."""
        if x.order == order:
            return x
        done = self.network.arranged.get((x.value, x.shape, order))
        if done is not None:
            return replace(x, value=done, order=order)
        axes = tuple(x.order.index(axis) for axis in order)
        shape = value_shape(x.shape, x.order)
        result = value_shape(x.shape, order)
        if moves_nothing(shape, axes):
            value = x.value if shape == result else self.emit(ops.Reshape(result), x.value)
        else:
            value = self.emit(permutation(shape, axes), x.value)
        self.network.arranged[x.value, x.shape, order] = value
        return replace(x, value=value, order=order)

    def ending_in(self, x: Activation, axis: int) -> Activation:
        """The activation with an ONNX axis as the last of its value."""
        if x.order and x.order[-1] == axis:
            return x
        rank = len(x.shape)
        order = (*range(2, rank), 1) if axis == 1 else (*(a for a in range(1, rank) if a != axis), axis)
        return self.arranged(x, order)

    def reshaped(self, x: Activation, shape: OnnxShape, order: Order) -> Activation:
        """The same elements in the same places of the value, under another ONNX shape."""
        wanted = value_shape(shape, order)
        value = x.value if value_shape(x.shape, x.order) == wanted else self.emit(ops.Reshape(wanted), x.value)
        return Activation(value, shape, order, x.coded, x.unsigned)

    def emitted_constant(self, constant: Constant, like: Activation | None) -> Activation:
        """A constant as an activation, in the order of another one."""
        array = constant.array
        rank = array.ndim if like is None else len(like.shape)
        shape = (1,) * (rank - array.ndim) + array.shape
        if rank < 2 or shape[0] != 1:
            raise Unsupported(
                f"a constant of shape {array.shape} stands for an activation", "one with a batch axis of 1"
            )
        order = tuple(range(1, rank)) if like is None else like.order
        value = self.emit(_constant(constant, shape, order))
        return Activation(value, shape, order)


def finite(array: Array, what: str) -> NDArray[np.float64]:
    """As float64; refused if a value is no finite float32."""
    if array.dtype.kind not in "fiu":
        raise Unsupported(f"{what} has type {array.dtype}", "numbers")
    with np.errstate(all="ignore"):
        whole = bool(np.isfinite(array.astype(np.float32)).all())
    if not whole:
        raise Unsupported(f"{what} holds NaN or infinity", "finite numbers")
    return array.astype(np.float64)


def _constant(constant: Constant, shape: OnnxShape, order: Order) -> ops.Constant:
    """With its codes, where they are bytes of one scale."""

    def laid(values: Array) -> Array:
        wanted = value_shape(shape, order)
        return np.ascontiguousarray(values.reshape(shape)[0].transpose([axis - 1 for axis in order]).reshape(wanted))

    codes = constant.codes
    if codes is not None and codes.scale.size == codes.zero_point.size == 1 and not codes.bipolar:
        low, high = (int(f((*codes.values.flat, codes.zero_point.item()))) for f in (min, max))
        shift = 128 if high > 127 else 0
        if low - shift >= -128 and high - shift <= 127:
            fmt = S8(codes.scale.item(), codes.zero_point.item() - shift)
            return ops.Constant(laid((codes.values - shift).astype(np.int8)), fmt)
    return ops.Constant(laid(finite(constant.array, "a constant").astype(np.float32)), F32())
