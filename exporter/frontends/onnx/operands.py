"""What the nodes of an ONNX graph read: constants, and activations with the order in which their axes lie.

ONNX maps are (batch, channel, height, width), the IR's (height, width, channel). Nothing is turned around until an
operator asks for an order: an activation knows which of its ONNX axes each axis of its value holds, Transpose only
renames, operators element by element keep any order, a convolution asks for channels last. So a network is turned
once, where its input is read, and Transposes that tf2onnx puts around every layer cancel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ...ir import ops
from ..graph import Value
from .model import Array, Codes, Nibbles

Order: TypeAlias = tuple[int, ...]
OnnxShape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Constant:
    """`array` as ONNX computes it, of 4-bit numbers (`nibbles`) in bytes; `codes` where a quantizer made it; `note` why
    such codes are no use to a layer."""

    array: Array
    codes: Codes | None = None
    note: str = ""
    nibbles: bool = False

    @property
    def type_name(self) -> str:
        """Of its numbers, as ONNX calls it."""
        return str(self.array.dtype).replace("int8", "int4") if self.nibbles else str(self.array.dtype)


@dataclass(frozen=True)
class Activation:
    """`shape` is ONNX's, with the batch axis 0; axis k of the value holds axis order[k]. A vector of the batch alone
    has an empty order, and a value of one element.

    `coded`: its ONNX tensor holds integers, uint8 ones if `unsigned`; the value has their format."""

    value: Value
    shape: OnnxShape
    order: Order
    coded: bool = False
    unsigned: bool = False


Operand: TypeAlias = Constant | Activation


def constant_of(tensor: Array | Nibbles) -> Constant:
    """A tensor of the file."""
    return Constant(tensor.array, nibbles=True) if isinstance(tensor, Nibbles) else Constant(tensor)


def value_shape(shape: OnnxShape, order: Order) -> tuple[int, ...]:
    """Shape of the value of an activation."""
    return tuple(shape[axis] for axis in order) or (1,)


def as_in_file(rank: int) -> Order:
    """The order of a value that lies as its ONNX tensor does."""
    return tuple(range(1, rank))


def channels_last(rank: int) -> Order:
    """ONNX's axis 1 behind the others."""
    return (*range(2, rank), 1) if rank > 1 else ()


def permutation(shape: tuple[int, ...], axes: Order) -> ops.View:
    """Axis k of the result is axis axes[k] of a value of this shape."""
    zeros, ones = (0,) * len(axes), (1,) * len(axes)
    return ops.View(tuple(shape[axis] for axis in axes), axes, zeros, ones, ones)


def moves_nothing(shape: tuple[int, ...], axes: Order) -> bool:
    """Whether a permutation keeps every element in its place: axes of one cell do not count."""
    wide = [axis for axis in axes if shape[axis] != 1]
    return wide == sorted(wide)


def transposed(codes: Codes | None, perm: Order) -> Codes | None:
    """Codes of a transposed constant."""
    if codes is None:
        return None

    def turned(values: Array) -> Array:
        return values.transpose(perm) if values.ndim == len(perm) else values

    values, scale, zero_point = turned(codes.values), turned(codes.scale), turned(codes.zero_point)
    return Codes(values, scale, zero_point, codes.bits, codes.bipolar, codes.source)


def reshaped(codes: Codes | None, shape: tuple[int, ...]) -> Codes | None:
    """Codes of a reshaped constant; None where a scale varies along axes that are not kept."""
    if codes is None:
        return None
    old = codes.values.shape
    alike = codes.scale.size == 1 and codes.zero_point.size == 1
    if alike:
        scale, zero_point = codes.scale.reshape(()), codes.zero_point.reshape(())
        return Codes(codes.values.reshape(shape), scale, zero_point, codes.bits, codes.bipolar, codes.source)
    wide = [tuple(n for n in sizes if n != 1) for sizes in (old, shape)]
    if wide[0] != wide[1]:
        return None
    pieces = (np.broadcast_to(a, old).reshape(shape) for a in (codes.scale, codes.zero_point))
    scale, zero_point = (narrowed(piece) for piece in pieces)
    return Codes(codes.values.reshape(shape), scale, zero_point, codes.bits, codes.bipolar, codes.source)


def narrowed(values: Array) -> Array:
    """One cell along axes on which the values do not vary."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        if values.size and (values == first).all():
            values = first
    return values
