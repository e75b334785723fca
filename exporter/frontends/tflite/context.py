"""What the handler of an operator sees, and how it answers.

Shapes in a .tflite file have a batch axis; values of the IR have none. A value of shape (1, ...) is one without its
first axis, everything else (a batch that a Reshape has made rows of) keeps all its axes. `shape` gives the file's
form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import ops
from ...ir.infer import InferError, check_s8
from ...ir.types import F32, S8, Format
from ..graph import UNKNOWN, GraphBuilder, Unsupported, Value
from . import rules, schema
from .model import Model, Operator, Tensor

Array = NDArray[Any]
Shape = tuple[int, ...]

NIBBLES_OF = "INT4 as weights of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED"
AS_BYTES = "Convert with int8 for this layer"
MOST_CONSTANT_BYTES = 1 << 26  # that operators read, all together
MOST_CHANNELS = 1 << 13  # of a constant operand: a table has 256 codes for each


def inside(shape: Shape) -> Shape:
    """The IR's form of a file's shape."""
    if not shape:
        return (1,)
    return shape[1:] if shape[0] == 1 and len(shape) > 1 else shape


def format_of(tensor: Tensor) -> Format:
    """How an activation is stored; codes of uint8 are shifted by 128. Bytes without a scale count in ones."""
    if tensor.type == "FLOAT32":
        return F32()
    if tensor.type not in ("INT8", "UINT8"):
        raise Unsupported(
            f"{tensor} is of type {tensor.type}", "INT8, UINT8, FLOAT32", _TYPE_ADVICE.get(tensor.type, "")
        )
    if tensor.scale.size > 1:
        raise Unsupported(f"{tensor} has {tensor.scale.size} scales", "one for an activation")
    scale = float(tensor.scale[0]) if tensor.scale.size else 1.0
    zero_point = int(tensor.zero_point[0]) if tensor.zero_point.size else 0
    shift = 128 if tensor.type == "UINT8" else 0
    fmt = S8(scale, zero_point - shift)
    try:
        check_s8(fmt)
    except InferError as error:
        raise Unsupported(
            f"{tensor} of type {tensor.type} has scale {scale:g}, zero point {zero_point}: {error}"
        ) from error
    return fmt


_TYPE_ADVICE = {
    "INT16": "Convert with int8 activations (TFLITE_BUILTINS_INT8) instead of 16x8",
    "INT4": "Convert with int8 activations; weights may have 4 bits",
    "FLOAT16": "Convert with float32 activations",
    "FLOAT64": "Convert with float32 activations",
    "INT32": "Keep integers (indices, classes) outside the model",
    "INT64": "Keep integers (indices, classes) outside the model",
    "BOOL": "Keep conditions outside the model",
}


class State:
    """What is known of a model while its graph grows. `values` are those of tensors; `shapes` the file's forms of
    values; `constants` are tensors whose values are known (None: they stand in the file)."""

    def __init__(self, model: Model) -> None:
        self.tensors = model.tensors
        self.made = GraphBuilder()
        self.values: dict[int, Value] = {}
        self.shapes: dict[str, Shape] = {}
        self.constants: dict[int, Array | None] = {t.index: None for t in model.tensors if t.constant}
        self._room = MOST_CONSTANT_BYTES

    def constant(self, index: int) -> Array:
        """Values of a constant; so many may be read in all."""
        known = self.constants[index]
        values = self.tensors[index].values() if known is None else known
        self._room -= values.nbytes
        if self._room < 0:
            raise Unsupported(f"the constants that operators read have more than {MOST_CONSTANT_BYTES:,} bytes")
        return values

    def emit(self, op: ops.Op, values: Sequence[str], path: str, shape: Shape | None = None) -> Value:
        """Append an operator. `shape` is the result's in the file's form; by default it has a batch axis where the
        first operand has one."""
        value = self.made.emit(op, values, path)
        if value == UNKNOWN:
            return value
        made = self.made.type(value).shape
        if shape is None:
            before = self.shapes[values[0]]
            shape = (1, *made) if inside(before) != before else made
        self.shapes[value] = shape
        return value


class OpContext:
    """What a handler sees of its operator: options, operands, and the means to emit IR operators or refuse."""

    def __init__(self, state: State, operator: Operator, path: str) -> None:
        self._state, self.operator, self.path = state, operator, path
        self.kind = operator.kind
        self.options = operator.options

    # --- operands -----------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Inputs, those that are left out aside."""
        return sum(index >= 0 for index in self.operator.inputs)

    def has(self, i: int) -> bool:
        return i < len(self.operator.inputs) and self.operator.inputs[i] >= 0

    def tensor(self, i: int) -> Tensor:
        if not self.has(i):
            raise Unsupported(f"{self.kind} has {self.count} inputs", f"{i + 1} or more")
        return self._state.tensors[self.operator.inputs[i]]

    def output(self, i: int = 0) -> Tensor:
        return self._state.tensors[self.operator.outputs[i]]

    def out_format(self, i: int = 0) -> Format:
        return format_of(self.output(i))

    def is_constant(self, i: int) -> bool:
        return self.has(i) and self.operator.inputs[i] in self._state.constants

    def constant(self, i: int, what: str, nibbles: bool = False) -> Array:
        """The values of a constant operand. `nibbles`: numbers of 4 bits are taken too."""
        tensor = self.tensor(i)
        if tensor.index not in self._state.constants:
            raise Unsupported(f"its {what} ({tensor}) is computed by the model", "a constant")
        if tensor.type == schema.NIBBLES and not nibbles:
            raise Unsupported(f"{self.kind} with {what} of type {tensor.type} ({tensor})", NIBBLES_OF, AS_BYTES)
        return self._state.constant(tensor.index)

    def integers(self, i: int, what: str) -> list[int]:
        """A constant vector of integers: axes, sizes."""
        values = self.constant(i, what)
        if values.dtype.kind not in "iu" or values.size > 64:
            raise Unsupported(f"its {what} is {values.dtype} of shape {values.shape}", "a few integers")
        return [int(n) for n in values.reshape(-1)]

    def x(self, i: int = 0) -> Value:
        """An operand as a value; a constant becomes one."""
        tensor = self.tensor(i)
        if tensor.index in self._state.constants and tensor.index not in self._state.values:
            self._state.values[tensor.index] = self.literal(self._state.constant(tensor.index), format_of(tensor))
        value = self._state.values[tensor.index]
        self._state.made.type(value)  # raises where it is not known
        return value

    def literal(self, values: Array, fmt: Format) -> Value:
        """A constant as a value."""
        if values.dtype == np.uint8:
            values = (values ^ np.uint8(0x80)).view(np.int8)
        if values.dtype not in (np.int8, np.float32):
            raise Unsupported(f"a constant of {values.dtype} among its operands", "int8, uint8, float32")
        if values.size == 0 or (values.ndim and values.size == values.shape[-1] > MOST_CHANNELS):
            raise Unsupported(
                f"a constant of shape {values.shape} among its operands", f"1 to {MOST_CHANNELS:,} channels"
            )
        shaped = np.ascontiguousarray(values.reshape(inside(values.shape)))
        return self._state.emit(ops.Constant(shaped, fmt), (), self.path, values.shape)

    def shape(self, value: str) -> Shape:
        """The file's form of a value's shape."""
        self._state.made.type(value)
        return self._state.shapes[value]

    def inner_shape(self, value: str) -> Shape:
        """The IR's form of it."""
        return self._state.made.type(value).shape

    def format(self, value: str) -> Format:
        return self._state.made.type(value).fmt

    # --- what all handlers ask ----------------------------------------------------------------------------------------

    def codes(self, *values: str) -> bool:
        """Whether the operator computes on codes: True where all operands and the output are s8, False where all are
        f32."""
        formats = [*(self.format(value) for value in values), self.out_format()]
        if all(isinstance(fmt, S8) for fmt in formats):
            if any(self._is_unsigned(i) for i in range(len(self.operator.inputs))) or self.output().type == "UINT8":
                raise Unsupported(f"{self.kind} of uint8", "int8", "Convert again, with TFLITE_BUILTINS_INT8")
            return True
        if all(isinstance(fmt, F32) for fmt in formats):
            return False
        raise Unsupported(
            f"{self.kind} reads {', '.join(map(str, formats[:-1]))} and gives {formats[-1]}", "int8, or float32"
        )

    def _is_unsigned(self, i: int) -> bool:
        return self.has(i) and self.tensor(i).type == "UINT8"

    def out_s8(self) -> S8:
        fmt = self.out_format()
        assert isinstance(fmt, S8)
        return fmt

    def s8(self, value: str) -> S8:
        fmt = self.format(value)
        assert isinstance(fmt, S8)
        return fmt

    def keeps_format(self, *values: str) -> None:
        """Refuses operands of other scales than the output: the operator moves or compares codes."""
        out = self.out_format()
        other = next((fmt for fmt in map(self.format, values) if fmt != out), None)
        if other is not None:
            raise Unsupported(f"{self.kind} reads {other} and gives {out}", "equal scales and zero points")

    def map(self, i: int = 0) -> Value:
        """An operand that is one (1, H, W, C) map."""
        value = self.x(i)
        shape = self.shape(value)
        if len(shape) != 4 or shape[0] != 1:
            raise Unsupported(f"{self.kind} of shape {shape}", "one map: (1, height, width, channels)")
        return value

    @property
    def activation(self) -> str:
        """The fused activation."""
        name: str = self.options.get("fused_activation_function", "NONE")
        if name not in rules.REAL_BOUNDS:
            raise Unsupported(f"{self.kind} with {name} fused", ", ".join(list(rules.REAL_BOUNDS)[:4]))
        return name

    def axis(self, axis: int, rank: int) -> int:
        """An axis that may count from behind."""
        if not -rank <= axis < rank:
            raise Unsupported(f"axis {axis} of {rank}", f"{-rank} to {rank - 1}")
        return axis % rank

    # --- answers ------------------------------------------------------------------------------------------------------

    def emit(self, op: ops.Op, *values: str) -> Value:
        """Append `op`; the result keeps the form of its first operand, with a batch axis of 1 or without."""
        return self._state.emit(op, values, self.path)

    def reshape(self, value: str, shape: Sequence[int]) -> Value:
        """The same elements in the file's form `shape`."""
        shape = tuple(int(n) for n in shape)
        if len(inside(shape)) > 4:
            raise Unsupported(f"{self.kind} gives shape {shape}", "a batch of 1 and up to 4 axes")
        return self._state.emit(ops.Reshape(inside(shape)), (value,), self.path, shape)

    def batched(self, value: str) -> Value:
        """The value with an axis of 1 more in front, so that all others are axes of the IR; axis k is IR axis k."""
        return self.reshape(value, (1, *self.shape(value)))

    def finish(self, value: str) -> Value:
        """The fused activation behind float results."""
        low, high = rules.REAL_BOUNDS[self.activation]
        return Value(value) if low == -np.inf else self.emit(ops.Clip(low, high), value)

    def clip_codes(self, value: str) -> Value:
        """The fused activation behind an operator that keeps codes."""
        fmt = self.s8(value)
        low, high = rules.clamp(self.activation, fmt)
        return (
            Value(value)
            if (low, high) == (-128, 127)
            else self.emit(rules.table(rules.numbers(fmt), fmt, (low, high)), value)
        )

    def rescaled(self, value: str, real: Any) -> Value:
        """Integer sums times a real factor, with the fused activation, to the output's format."""
        out = self.out_s8()
        return self.emit(rules.rescale(real, out, rules.clamp(self.activation, out)), value)
