"""A kernel call as data, and its dqnn_call struct in the memory of an emulated board.

The offsets of dqnn_call come from the compiler of the target (build.LAYOUT), not from a second declaration."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from dqnn import _core

from ..emit.kernel_table import Packed, ids, tensor_def
from ..emit.packing import pack
from ..ir import ops
from ..ir.types import TensorType
from .machine import Cost, Machine

LAYOUT_FIELDS = (
    "size", "params", "in_def", "out_def", "in", "out", "constants", "constant_bytes", "scratch", "scratch_bytes",
    "kernel", "inputs", "constant_count",
)  # fmt: skip
GUARD = b"\xc3" * 64


@dataclass(frozen=True)
class Call:
    """One kernel call: packed constants, tensor types, input bytes and the scratch it may use; `others` are the inputs
    behind the first."""

    packed: Packed
    input: TensorType
    output: TensorType
    data: bytes
    scratch_bytes: int = 0
    others: tuple[tuple[TensorType, bytes], ...] = ()

    @property
    def inputs(self) -> tuple[tuple[TensorType, bytes], ...]:
        """None of a kernel that has no input, where `data` is empty."""
        return ((self.input, self.data), *self.others) if self.data else ()


def make_call(op: ops.ConvKernel, source: TensorType, output: TensorType, data: bytes, scratch_bytes: int = 0) -> Call:
    return Call(pack(op, [source], output), source, output, data, scratch_bytes)


def fill_call(
    call: Call, layout: dict[str, int], pointer: int, place: Callable[[bytes], int]
) -> tuple[bytes, int, int]:
    """The dqnn_call struct for a memory reached through `place`, with the addresses of output and scratch."""
    raw = bytearray(layout["size"])
    kind = "<Q" if pointer == 8 else "<I"

    def put(field: str, value: int, index: int = 0) -> None:
        struct.pack_into(kind, raw, layout[field] + pointer * index, value)

    out = place(GUARD + bytes(call.output.nbytes) + GUARD) + len(GUARD)
    scratch = place(GUARD + b"\x5a" * call.scratch_bytes + GUARD) + len(GUARD)
    put("params", place(call.packed.params_bytes))
    for i, (source, data) in enumerate(call.inputs):
        put("in_def", place(_core.tensor_def_bytes(tensor_def(source))), i)
        put("in", place(data), i)
    put("out_def", place(_core.tensor_def_bytes(tensor_def(call.output))))
    put("out", out)
    put("scratch", scratch)
    for i, constant in enumerate(call.packed.constants):
        put("constants", place(constant), i)
        struct.pack_into("<I", raw, layout["constant_bytes"] + 4 * i, len(constant))
    struct.pack_into("<I", raw, layout["scratch_bytes"], call.scratch_bytes)
    struct.pack_into("<H", raw, layout["kernel"], ids()[call.packed.kernel])
    raw[layout["inputs"]] = len(call.inputs)
    raw[layout["constant_count"]] = len(call.packed.constants)
    return bytes(raw), out, scratch


class GuardError(Exception):
    """A kernel wrote outside its output or scratch."""


def check_guards(name: str, read: Callable[[int, int], bytes], address: int, count: int) -> None:
    n = len(GUARD)
    if read(address - n, n) != GUARD or read(address + count, n) != GUARD:
        raise GuardError(f"{name} wrote outside a buffer of {count} bytes")


def run_on_machine(machine: Machine, function: str, call: Call) -> tuple[bytes, Cost]:
    address = machine.symbols["dqnn_bench_layout"]
    layout = dict(
        zip(
            LAYOUT_FIELDS,
            struct.unpack(f"<{len(LAYOUT_FIELDS)}I", machine.read(address, 4 * len(LAYOUT_FIELDS))),
            strict=True,
        )
    )
    raw, out, scratch = fill_call(call, layout, 4, machine.place)
    cost = machine.call(function, machine.place(raw))
    check_guards(function, machine.read, out, call.output.nbytes)
    check_guards(function, machine.read, scratch, call.scratch_bytes)
    return machine.read(out, call.output.nbytes), cost
