"""A .tflite file as plain data: tensors, operators with their options, inputs and outputs. Whatever is inconsistent in
itself is refused here, as `UnreadableModel`; whether dqnn can express the model is for the builder to say."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UnreadableModel, debugging
from ..graph import Unsupported, from_nibbles
from ..kinds import is_tflite
from . import schema
from .flatbuffer import Damaged, Source, Table

Array = NDArray[Any]

MOST_BYTES = 1 << 26  # of a file, beyond every device
MOST_ELEMENTS = 1 << 24  # of a tensor, likewise
MOST_TENSORS = 1 << 15
MOST_OPERATORS = 1 << 12
MOST_OPERANDS = 1 << 10
MOST_AXES = 8
MOST_CHANNELS = 1 << 16  # scales of one tensor


@dataclass(frozen=True, eq=False)
class Tensor:
    """`type` is the schema's name; `free` are axes whose size the file leaves open (its shape has 1 there), the first
    aside. `content` is empty for values that are computed. `scale` is empty without quantization."""

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    free: tuple[int, ...]
    content: Array
    scale: Array
    zero_point: Array
    axis: int
    variable: bool = False
    sparse: bool = False

    def __str__(self) -> str:
        return f"tensor {self.index} '{self.name}'"

    @property
    def constant(self) -> bool:
        """Whether the file has its values."""
        return self.content.size > 0 or 0 in self.shape

    def values(self) -> Array:
        """A constant's array, not copied but for numbers of 4 bits, which become int8; Unsupported where it cannot be
        read."""
        nibbles = self.type == schema.NIBBLES
        dtype = np.dtype(np.uint8) if nibbles else schema.DTYPES.get(self.type)
        if dtype is None or self.sparse:
            how = "sparse " if self.sparse else ""
            raise Unsupported(f"{self} is a constant of type {how}{self.type}", f"dense {', '.join(schema.DTYPES)}")
        count = math.prod(self.shape)
        wanted = -(-count // 2) if nibbles else count * dtype.itemsize
        if self.content.size != wanted:
            raise Unsupported(f"{self} holds {self.content.size:,} bytes; its shape {self.shape} needs {wanted:,}")
        values = from_nibbles(self.content, count, signed=True) if nibbles else self.content.view(dtype)
        return values.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Operator:
    """`kind` is the schema's name, or that of a custom operator; inputs that are left out are -1. `options` has every
    field of its options in `schema.OPTIONS`; `content` are those of a custom operator."""

    index: int
    kind: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    content: bytes


@dataclass(frozen=True, eq=False)
class Model:
    """One subgraph; `subgraphs` is how many the file has."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int


def read_model(source: str | os.PathLike[str] | bytes) -> Model:
    """The model of a file, or of its bytes."""
    name = "the model" if isinstance(source, bytes) else os.fspath(source)
    data = source if isinstance(source, bytes) else _content(name)
    try:
        return _model(data, "model" if isinstance(source, bytes) else Path(name).stem)
    except Damaged as damage:
        if debugging():
            raise
        raise UnreadableModel(f"{name} is a damaged .tflite file: {damage}; convert or download it again") from damage


def _content(path: str) -> bytes:
    try:
        size = Path(path).stat().st_size
        if size > MOST_BYTES:
            raise UnreadableModel(f"{path} has {size:,} bytes; at most {MOST_BYTES:,}")
        return Path(path).read_bytes()
    except OSError as error:
        raise UnreadableModel(f"{path} cannot be opened: {error.strerror}") from error


def _model(data: bytes, name: str) -> Model:
    if not is_tflite(data):
        raise Damaged(f"it begins with {data[:8]!r}, without the mark TFL3")
    root = Source(data).root()
    version = root.number(0, "I")
    if version != schema.VERSION:
        raise Damaged(f"it has version {version} of the schema, not {schema.VERSION}")
    codes = [_code(table) for table in root.tables(1, "operator code", MOST_OPERATORS)]
    buffers = [_buffer(table, data) for table in root.tables(4, "buffer", MOST_TENSORS)]
    graphs = root.tables(2, "subgraph", MOST_OPERATORS)
    if not graphs:
        raise Damaged("it has no subgraph")
    graph = graphs[0]
    tensors = tuple(_tensor(i, table, buffers) for i, table in enumerate(graph.tables(0, "tensor", MOST_TENSORS)))
    operators = tuple(
        _operator(i, table, codes, len(tensors)) for i, table in enumerate(graph.tables(3, "operator", MOST_OPERATORS))
    )
    inputs, outputs = _indices(graph, 1, len(tensors), "its inputs"), _indices(graph, 2, len(tensors), "its outputs")
    if not inputs or not outputs or min(*inputs, *outputs) < 0:
        raise Damaged("it has no inputs or no outputs")
    _check_order(tensors, operators, inputs, outputs)
    return Model(name, tensors, operators, inputs, outputs, len(graphs))


def _code(table: Table) -> tuple[str, bool]:
    """The operator's name, and whether it is a custom one. Numbers that fit stand in the older field too."""
    number = max(table.number(0, "b"), table.number(3, "i"))
    if number == schema.CUSTOM:
        name = table.text(1) or "without a name"
        return f"CUSTOM {name}" if name in schema.OPERATORS or " " in name else name, True
    if number < 0:
        raise Damaged(f"{table.what} is {number}")
    known = number < len(schema.OPERATORS)
    return schema.OPERATORS[number] if known else f"operator {number} of a newer schema", False


def _buffer(table: Table, data: bytes) -> Array:
    """Its bytes; those of large models lie behind the FlatBuffer."""
    content = table.array(0, "B")
    offset, size = table.number(1, "Q"), table.number(2, "Q")
    if content.size or offset <= 1:
        return content
    if offset + size > len(data):
        raise Damaged(f"{table.what} lies outside the file")
    return np.frombuffer(data, np.uint8, size, offset)


def _tensor(index: int, table: Table, buffers: list[Array]) -> Tensor:
    shape = tuple(int(n) for n in table.array(0, "i", f"the shape of {table.what}", MOST_AXES))
    signature = table.array(7, "i", f"the shape of {table.what}", MOST_AXES)
    kind, buffer = table.number(1, "b"), table.number(2, "I")
    if kind < 0:
        raise Damaged(f"{table.what} has type {kind}")
    if not buffer < max(len(buffers), 1):
        raise Damaged(f"{table.what} is in buffer {buffer} of {len(buffers)}")
    if min(shape, default=1) < 0 or math.prod(shape) > MOST_ELEMENTS:
        raise Damaged(f"{table.what} has shape {shape}")
    scale, zero_point, axis = _quantization(table)
    return Tensor(
        index,
        table.text(3) or f"tensor {index}",
        schema.TYPES[kind] if kind < len(schema.TYPES) else f"{kind} of a newer schema",
        shape,
        tuple(axis for axis, n in enumerate(signature.tolist()) if n < 0 and axis > 0),
        buffers[buffer] if buffers else np.zeros(0, np.uint8),
        scale,
        zero_point,
        axis,
        table.number(5, "?"),
        table.table(6, table.what) is not None,
    )


def _quantization(table: Table) -> tuple[Array, Array, int]:
    inner = table.table(4, f"the quantization of {table.what}")
    if inner is None:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    scale, zero_point = inner.array(2, "f", most=MOST_CHANNELS), inner.array(3, "q", most=MOST_CHANNELS)
    if zero_point.size not in (0, 1, scale.size):
        raise Damaged(f"{inner.what} has {scale.size} scales and {zero_point.size} zero points")
    return scale, zero_point, inner.number(6, "i")


def _indices(table: Table, slot: int, count: int, what: str) -> tuple[int, ...]:
    found = table.array(slot, "i", what, MOST_OPERANDS)
    if found.size and (found.min() < -1 or found.max() >= count):
        raise Damaged(f"{what} name tensors that it does not have")
    return tuple(found.tolist())


def _operator(index: int, table: Table, codes: list[tuple[str, bool]], tensors: int) -> Operator:
    number = table.number(0, "I")
    if number >= len(codes):
        raise Damaged(f"{table.what} has code {number} of {len(codes)}")
    kind, custom = codes[number]
    inputs, outputs = (_indices(table, slot, tensors, table.what) for slot in (1, 2))
    options = {} if custom else _read_options(table, kind)
    return Operator(index, kind, custom, inputs, outputs, options, table.array(5, "B").tobytes() if custom else b"")


def _read_options(table: Table, kind: str) -> Mapping[str, Any]:
    wanted = schema.OPTIONS.get(kind)
    if wanted is None:
        return {}
    what = f"the options of {table.what} ({kind})"
    inner = table.table(4, what)
    if inner is not None and table.number(3, "B") != wanted.number:
        raise Damaged(f"{what} are those of another operator")
    return {name: _option(inner, field, f"{what}: {name}") for name, field in wanted.fields.items()}


def _option(table: Table | None, field: schema.Field, what: str) -> Any:
    if field.code == "v":
        return () if table is None else tuple(table.array(field.slot, "i", what, MOST_AXES).tolist())
    number = field.default if table is None else table.number(field.slot, field.code, field.default)
    if not field.names:
        return number
    if not 0 <= number < len(field.names):
        raise Damaged(f"{what} is {number}")
    return field.names[number]


def _check_order(
    tensors: tuple[Tensor, ...], operators: tuple[Operator, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    """Every value is computed once, before it is read."""
    known = {tensor.index for tensor in tensors if tensor.constant} | set(inputs)
    if len(set(inputs)) < len(inputs) or any(tensors[index].constant for index in inputs):
        raise Damaged("an input is a constant, or named twice")
    for operator in operators:
        what = f"operator {operator.index} ({operator.kind})"
        late = next((i for i in operator.inputs if i >= 0 and i not in known and not tensors[i].variable), None)
        if late is not None:
            raise Damaged(f"{what} reads {tensors[late]} before it is computed")
        if not operator.outputs or min(operator.outputs) < 0 or known & set(operator.outputs):
            raise Damaged(f"{what} writes a tensor that has a value already, or none")
        known.update(operator.outputs)
    if not known.issuperset(outputs):
        raise Damaged("an output is never computed")
