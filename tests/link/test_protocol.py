"""Frames and numbers of schema/LINK.md as Python has them, against the page, the C headers and a device."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link.wires import board

from dqnn import _core
from dqnn.link import protocol
from dqnn.link.protocol import (
    HEADER,
    Answer,
    Command,
    DeviceInfo,
    ModelInfo,
    NodeTime,
    Receiver,
    SlotInfo,
    decode,
    encode,
)

FIXED = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}


def slow_cobs(data: bytes) -> bytes:
    """Byte by byte, as the paper has it."""
    blocks, block = [], bytearray()
    for at, byte in enumerate(data):
        if byte:
            block.append(byte)
        if not byte or (len(block) == 254 and at + 1 < len(data)):
            blocks.append(bytes([len(block) + 1]) + block)
            block = bytearray()
    return b"".join(blocks) + bytes([len(block) + 1]) + block


def texts(low: int, high: int) -> st.SearchStrategy[bytes]:
    """Much like what is sent: long stretches with and without zeros."""
    part = st.one_of(
        st.binary(max_size=9), st.integers(0, 600).map(bytes), st.integers(200, 600).map(lambda n: b"x" * n)
    )
    return st.lists(part, max_size=6).map(b"".join).filter(lambda data: low <= len(data) <= high)


@settings(max_examples=300)
@given(texts(8, 3000))
def test_frames_come_back(content: bytes) -> None:
    frame = encode(content)
    assert frame[0] == frame[-1] == 0 and 0 not in frame[1:-1]
    assert decode(frame[1:-1]) == content
    sealed = content + zlib.crc32(content).to_bytes(4, "little")
    assert decode(slow_cobs(sealed)) == content


@settings(max_examples=200)
@given(texts(8, 300), st.data())
def test_damaged_frames_are_dropped(content: bytes, data: st.DataObject) -> None:
    frame = bytearray(encode(content)[1:-1])
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    assert b"\0" in frame or decode(bytes(frame)) is None


def test_a_stream_is_cut_anywhere() -> None:
    contents = [bytes(range(8, 20)), bytes(20), b"\xff" * 300]
    stream = b"garbage\0" + b"".join(encode(content) for content in contents)
    for step in (1, 2, 7, 1000):
        receiver = Receiver()
        found = [c for at in range(0, len(stream), step) for c in receiver.take(stream[at : at + step])]
        assert found == contents
        assert receiver.noise == 7


@pytest.mark.parametrize("frame", [b"", b"\x01", b"\x05abc", b"\x0d" + b"a" * 12])
def test_what_is_no_frame(frame: bytes) -> None:
    assert decode(frame) is None


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_commands_are_those_of_the_page(repo: Path) -> None:
    page = (repo / "schema" / "LINK.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", page, re.MULTILINE)
    assert {name.upper(): int(number) for number, name in rows if not name.startswith("u")} == {
        command.name: command.value for command in Command
    }
    assert f"Protocol version {protocol.PROTOCOL}." in page
    assert _core.LINK_PROTOCOL == protocol.PROTOCOL


def page_offsets(page: str, block: str) -> dict[int, int]:
    """Offset -> bytes of the fields of a block's table."""
    table = page.split(f"**{block}**")[1].split("\n\n")[1]
    found = {}
    for offset, kind, count in re.findall(r"^\| (\d+) \| (u\d+)(?:\[(\d)\])? \|", table, re.MULTILINE):
        found[int(offset)] = FIXED[kind] * int(count or 1)
    return found


@pytest.mark.parametrize(("block", "layout"), [("hello", DeviceInfo), ("model", ModelInfo), ("slot", SlotInfo)])
def test_blocks_are_those_of_the_page(repo: Path, block: str, layout: type[DeviceInfo]) -> None:
    offsets = page_offsets((repo / "schema" / "LINK.md").read_text(), block)
    end = 0
    for offset, size in offsets.items():
        assert offset == end
        end += size
    assert end == layout.LAYOUT.size
    assert (NodeTime.LAYOUT.size, HEADER.size) == (16, 8)


def test_statuses_have_names() -> None:
    assert _core.status(0)[0] == "ok"
    assert _core.status(0x51)[0] == "slot_order"
    assert _core.status(0x7FFF)[0] == "unknown"
    assert _core.check(0)[0] == "none"


def test_slot_states_are_those_of_c(repo: Path) -> None:
    header = (repo / "interpreter_c" / "include" / "dqnn" / "dqnn_slots.h").read_text()
    states = re.findall(r"DQNN_SLOT_(\w+) = (\d)", header)
    words = ["empty", "partial", "installed", "trial", "confirmed", "rejected"]
    assert [name.lower() for name, _ in states] == words
    assert [int(number) for _, number in states] == list(range(len(protocol.SLOT_STATES)))


def test_a_device_says_what_it_is() -> None:
    device = board(None, frame=512)
    (content,) = Receiver().take(device.feed(encode(HEADER.pack(Command.HELLO, 7, 0, 0))))
    answer = Answer.of(content)
    assert (answer.command, answer.sequence, answer.status) == (Command.HELLO | 0x80, 7, 0)
    info = DeviceInfo.of(answer.data)
    assert (info.frame_bytes, info.core, info.board, info.slots) == (512, "host", "test board", 2)
    assert info.kernels == {row["id"] for row in _core.kernels()}
    assert "ref" in info.isas and info.can_reset and info.clock_hz == 10**9
