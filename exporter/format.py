"""What reading and writing a .dqnn file share: the prefix (schema/SPEC.md section 1), numbers of types and kinds, and
the parameter structs.

The structs of schema/dqnn.fbs, one per kernel family, are frozen dataclasses. Field names and order are those of the
schema (a test compares them), so a struct is written by handing the fields to flatc's own `Create` function: no offset
is typed here. `SLOT` names the field of the Node table that holds the struct."""

from __future__ import annotations

import importlib
import struct
from dataclasses import astuple, dataclass, fields
from typing import Any, ClassVar, TypeAlias, get_args

import flatbuffers

from .ir import ops

Quad: TypeAlias = tuple[int, int, int, int]
INF = float("inf")

MAGIC = b"DQNN"
IDENTIFIER = b"DQN1"
FORMAT_VERSION = 1
RUNTIME_VERSION = 2  # the newest; a file asks for the lowest that knows what it uses
PREFIX = struct.Struct("<4sHHIIII6IIHHI")  # SPEC.md section 1 without its own CRC
PREFIX_BYTES = 64
BITMAP_WORDS = 6
BLOCK = 16

# By their numbers in the schema, as dqnn.tensors.DTYPES is.
REQUANTS = ("affine", "fixed_point", "power_of_two", "fixed64", "divide_even", "divide_away")
UNARY_KINDS: tuple[str, ...] = get_args(ops.UnaryKind)
BINARY_KINDS: tuple[str, ...] = get_args(ops.BinaryKind)


def schema_module(name: str) -> Any:
    """A module of flatc's output; it has no types of its own."""
    return importlib.import_module(f"dqnn.schema.{name}")


class _Struct:
    """Serialisation shared by all parameter structs."""

    SLOT: ClassVar[str]

    def create(self, builder: Any) -> int:
        """Writes the struct at the builder's head; must be called while its Node is being built."""
        name = type(self).__name__
        return int(getattr(schema_module(name), f"Create{name}")(builder, *astuple(self)))  # type: ignore[call-overload]

    def to_bytes(self) -> bytes:
        """The struct as it lies in the file and as `plan` reads it."""
        builder = flatbuffers.Builder(128)
        self.create(builder)
        return bytes(builder.Bytes[builder.Head() :])


@dataclass(frozen=True)
class ConvParams(_Struct):
    SLOT = "conv"
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    up_h: int = 1
    up_w: int = 1
    groups: int = 1
    multiplier: int = 1
    pool_h: int = 1
    pool_w: int = 1
    requant: int = 0
    half_weights: int = 0
    weight_bits: int = 0
    reserved: int = 0
    pad_value: float = 0.0
    act_min: float = -INF
    act_max: float = INF


@dataclass(frozen=True)
class ChannelParams(_Struct):
    SLOT = "channel"
    requant: int = 0
    per_channel: int = 0
    reserved: int = 0
    act_min: float = -INF
    act_max: float = INF


@dataclass(frozen=True)
class PoolParams(_Struct):
    SLOT = "pool"
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int = 0
    pad_left: int = 0


@dataclass(frozen=True)
class UnaryParams(_Struct):
    SLOT = "unary"
    kind: int
    reserved0: int = 0
    reserved1: int = 0
    alpha: float = 0.0


@dataclass(frozen=True)
class BinaryParams(_Struct):
    SLOT = "binary"
    kind: int
    per_channel: int = 0
    reserved: int = 0
    act_min: float = -INF
    act_max: float = INF


@dataclass(frozen=True)
class ConcatParams(_Struct):
    SLOT = "concat"
    axis: int


@dataclass(frozen=True)
class PadParams(_Struct):
    SLOT = "pad"
    before: Quad
    value: float = 0.0


@dataclass(frozen=True)
class ViewParams(_Struct):
    SLOT = "view"
    axis: Quad
    start: Quad
    step: Quad
    repeat: Quad


@dataclass(frozen=True)
class FixedBinaryParams(_Struct):
    SLOT = "fixed_binary"
    kind: int
    single: int = 0
    left: int = 0
    reserved: int = 0
    multiplier_a: int = 0
    shift_a: int = 0
    multiplier_b: int = 0
    shift_b: int = 0
    multiplier: int = 0
    shift: int = 0
    act_min: int = -128
    act_max: int = 127


@dataclass(frozen=True)
class ReduceParams(_Struct):
    SLOT = "reduce"
    axes: int
    kind: int
    requant: int = 0
    reserved: int = 0
    act_min: float = -128.0
    act_max: float = 127.0


@dataclass(frozen=True)
class SoftmaxParams(_Struct):
    SLOT = "softmax"
    multiplier: int
    left_shift: int
    diff_min: int


@dataclass(frozen=True)
class GatherParams(_Struct):
    SLOT = "gather"
    axes: int


Params: TypeAlias = (
    ConvParams
    | ChannelParams
    | PoolParams
    | UnaryParams
    | BinaryParams
    | ConcatParams
    | PadParams
    | ViewParams
    | FixedBinaryParams
    | ReduceParams
    | SoftmaxParams
    | GatherParams
)
ALL: tuple[type[Params], ...] = get_args(Params)


def camel(name: str) -> str:
    """`pad_top` -> `PadTop`, as flatc names accessors."""
    return "".join(part.capitalize() for part in name.split("_"))


def from_node(node: Any) -> Params | None:
    """The parameter struct of a generated Node object, None if it has none."""
    for cls in ALL:
        struct = getattr(node, camel(cls.SLOT))()
        if struct is not None:
            values = [getattr(struct, camel(f.name))() for f in fields(cls)]
            arguments: list[Any] = [tuple(v) if isinstance(v, list) else v for v in values]
            return cls(*arguments)
    return None
