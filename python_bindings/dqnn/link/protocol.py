"""The bytes of schema/LINK.md: frames, requests, answers, and what the blocks in answers mean."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from dqnn import _core

PROTOCOL = 1
OVERHEAD = 12  # of a content: header and checksum
ANSWER = 0x80
CAPTURED = 0xFFFF  # as an index: no node to capture, the captured bytes
LONGEST_RUN = 254
HEADER = struct.Struct("<BBHI")
FAULT = struct.Struct("<4H")


class Command(IntEnum):
    HELLO = 1
    MODEL = 2
    NODES = 3
    WRITE = 4
    INVOKE = 5
    READ = 6
    RESET = 7
    SLOT = 8
    BEGIN = 9
    BLOCK = 10
    VERIFY = 11
    ACTIVATE = 12
    CONFIRM = 13
    ROLLBACK = 14


# --- frames -----------------------------------------------------------------------------------------------------------


def encode(content: bytes) -> bytes:
    """A frame, with a zero before and behind it."""
    sealed = content + struct.pack("<I", zlib.crc32(content))
    frame = bytearray(b"\0")
    for part in sealed.split(b"\0"):
        rest = part
        while len(rest) >= LONGEST_RUN:
            frame += bytes([LONGEST_RUN + 1]) + rest[:LONGEST_RUN]
            rest = rest[LONGEST_RUN:]
        frame += bytes([len(rest) + 1]) + rest
    return bytes(frame + b"\0")


def decode(frame: bytes) -> bytes | None:
    """The content of what stood between two zeros, without its checksum; None if it is damaged."""
    content, at = bytearray(), 0
    while at < len(frame):
        code = frame[at]
        content += frame[at + 1 : at + code]
        at += code
        if code <= LONGEST_RUN and at < len(frame):
            content.append(0)
    if at != len(frame) or len(content) < OVERHEAD:
        return None
    sealed = bytes(content)
    return sealed[:-4] if struct.pack("<I", zlib.crc32(sealed[:-4])) == sealed[-4:] else None


class Receiver:
    """Cuts a stream into contents. `noise` counts bytes that were none."""

    def __init__(self) -> None:
        self._begun = b""
        self.noise = 0

    def take(self, data: bytes) -> Iterator[bytes]:
        *frames, self._begun = (self._begun + data).split(b"\0")
        for frame in filter(None, frames):
            content = decode(frame)
            if content is not None:
                yield content
            else:
                self.noise += len(frame)


@dataclass(frozen=True)
class Answer:
    command: int
    sequence: int
    status: int
    value: int
    data: bytes

    @classmethod
    def of(cls, content: bytes) -> Answer:
        command, sequence, status, value = HEADER.unpack_from(content)
        return cls(command, sequence, status, value, content[HEADER.size :])

    @property
    def fault(self) -> tuple[int, int, int, int] | None:
        """What a refused `verify` says about the file: node, kernel, tensor, check."""
        if self.command != Command.VERIFY | ANSWER or len(self.data) != FAULT.size:
            return None
        node, kernel, tensor, check = FAULT.unpack(self.data)
        return node, kernel, tensor, check


# --- blocks -----------------------------------------------------------------------------------------------------------


def _texts(data: bytes) -> list[str]:
    return [text.decode(errors="replace") for text in data.split(b"\0")]


@dataclass(frozen=True)
class DeviceInfo:
    """What a device says of itself. Sizes in bytes; 0 where it lacks something."""

    protocol: int
    frame_bytes: int
    requests: int
    dropped: int
    clock_hz: int
    memory_bytes: int
    file_bytes: int
    block_bytes: int
    slots: int
    format_version: int
    runtime_version: int
    can_reset: bool
    isas: tuple[str, ...]
    kernels: frozenset[int]
    core: str
    board: str

    LAYOUT = struct.Struct("<HHIIIIIHHHHHHI6I")

    @classmethod
    def of(cls, data: bytes) -> DeviceInfo:
        *numbers, flags, _, isas, k0, k1, k2, k3, k4, k5 = cls.LAYOUT.unpack_from(data)
        core, board = _texts(data[cls.LAYOUT.size :])[:2]
        words = enumerate((k0, k1, k2, k3, k4, k5))
        kernels = frozenset(32 * at + bit for at, word in words for bit in range(32) if word >> bit & 1)
        values = [*numbers, bool(flags & 1), tuple(_core.isas(isas)), kernels, core, board]
        return cls(*values)


@dataclass(frozen=True)
class ModelInfo:
    """The model that runs, or why none does: `status` is then not 0."""

    status: int
    fault: tuple[int, int, int, int]
    model_version: int
    file_bytes: int
    prefix_crc: int
    model_id: int
    arena_bytes: int
    state_bytes: int
    spare_bytes: int
    nodes: int
    inputs: int
    outputs: int
    timed: bool
    keeps_inputs: bool
    name: str

    LAYOUT = struct.Struct("<HHHHHHIIIIIIHHHH")

    @classmethod
    def of(cls, data: bytes) -> ModelInfo:
        status, node, kernel, tensor, check, *numbers, flags = cls.LAYOUT.unpack_from(data)
        fault, name = (node, kernel, tensor, check), _texts(data[cls.LAYOUT.size :])[0]
        values = [status, fault, *numbers, bool(flags & 1), bool(flags & 2), name]
        return cls(*values)

    @property
    def memory_bytes(self) -> int:
        return self.arena_bytes + self.state_bytes


@dataclass(frozen=True)
class NodeTime:
    """Ticks of the device's clock that a node took in all runs of the last invoke."""

    ticks: int
    kernel: int
    isa: str

    LAYOUT = struct.Struct("<QHB5x")

    @classmethod
    def of(cls, data: bytes) -> NodeTime:
        ticks, kernel, isa = cls.LAYOUT.unpack(data)
        return cls(ticks, kernel, "".join(_core.isas(1 << isa)))


PARTIAL = "partly uploaded"
SLOT_STATES = ("empty", PARTIAL, "installed", "on trial", "confirmed", "rejected")


@dataclass(frozen=True)
class SlotInfo:
    """A place for a model. `generation` counts installations over all slots, `wear` erases of this one."""

    state: str
    running: bool
    model_version: int
    generation: int
    file_bytes: int
    prefix_crc: int
    model_id: int
    wear: int

    LAYOUT = struct.Struct("<BBHIIIII")

    @classmethod
    def of(cls, data: bytes) -> SlotInfo:
        state, running, *rest = cls.LAYOUT.unpack_from(data)
        return cls(SLOT_STATES[state] if state < len(SLOT_STATES) else f"state {state}", bool(running), *rest)
