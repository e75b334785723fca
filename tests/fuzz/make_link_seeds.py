"""Writes seeds for fuzz_link and fuzz_store: `make_link_seeds.py BLOBS DIRECTORY`. Conversations of a computer with a
device, whole uploads among them, and flash images as the store leaves them."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

HELLO, MODEL, NODES, WRITE, INVOKE, READ, RESET, SLOT, BEGIN, BLOCK, VERIFY, ACTIVATE, CONFIRM, ROLLBACK = range(1, 15)
BLOCK_BYTES = 240
SLOT_BYTES, CELLS, CELL_BYTES = 2048, 16, 32


class Conversation:
    """Parts as fuzz_link reads them."""

    def __init__(self) -> None:
        self.parts = b""
        self.sequence = 0

    def ask(self, command: int, index: int = 0, offset: int = 0, data: bytes = b"") -> None:
        self.sequence = (self.sequence + 1) % 256
        content = struct.pack("<BBHI", command, self.sequence, index, offset) + data
        self.parts += bytes([1, len(content)]) + content

    def look(self) -> None:
        for command in (HELLO, MODEL, NODES, SLOT):
            self.ask(command)
        self.ask(SLOT, index=1)

    def run(self) -> None:
        self.ask(WRITE, data=bytes(range(24)))
        self.ask(INVOKE, index=0, data=struct.pack("<I", 2))
        self.ask(READ, index=0xFFFF, data=struct.pack("<H", 64))
        self.ask(READ, data=struct.pack("<H", 64))

    def upload(self, blob: bytes) -> None:
        self.ask(BEGIN, offset=len(blob))
        for at in range(0, len(blob), BLOCK_BYTES):
            self.ask(BLOCK, offset=at, data=blob[at : at + BLOCK_BYTES])
        self.ask(VERIFY)
        self.ask(ACTIVATE)


def cell(kind: bytes, generation: int = 0, size: int = 0, prefix_crc: int = 0, wear: int = 0) -> bytes:
    record = struct.pack("<4sIIIIII", kind[::-1], generation, size, prefix_crc, wear, 1, 0)
    return record + struct.pack("<I", zlib.crc32(record))


def slot(blob: bytes, generation: int, *marks: bytes) -> bytes:
    prefix_crc = struct.unpack_from("<I", blob, 60)[0]
    cells = cell(b"ERAS", wear=generation) + cell(b"INST", generation, len(blob), prefix_crc)
    cells += b"".join(cell(mark, generation) for mark in marks)
    journal = CELLS * CELL_BYTES
    return blob.ljust(SLOT_BYTES - journal, b"\xff")[: SLOT_BYTES - journal] + cells.ljust(journal, b"\xff")


def main(blobs: str, directory: str) -> None:
    names = ("tested_old", "tested_lower", "tested_wrong", "tested_none", "floats", "signed")
    files = {name: Path(blobs, f"{name}.dqnn").read_bytes() for name in names}
    links, stores = Path(directory, "link"), Path(directory, "store")
    links.mkdir(parents=True, exist_ok=True)
    stores.mkdir(parents=True, exist_ok=True)
    for name, blob in files.items():
        for last in (CONFIRM, ROLLBACK, RESET):
            talk = Conversation()
            talk.look()
            talk.run()
            talk.upload(blob)
            talk.run()
            talk.ask(last)
            talk.look()
            Path(links, f"{name}_{last}").write_bytes(talk.parts)
    old, new = files["tested_old"], files["tested_none"]
    images = {
        "confirmed": slot(old, 1, b"STRT", b"CONF"),
        "both": slot(old, 1, b"STRT", b"CONF") + slot(new, 2, b"STRT", b"CONF"),
        "installed": slot(old, 1, b"STRT", b"CONF") + slot(new, 2),
        "trial": slot(old, 1, b"STRT", b"CONF") + slot(new, 2, b"STRT"),
        "wrong": slot(files["tested_wrong"], 1, b"STRT", b"CONF") + slot(new, 2),
    }
    for name, image in images.items():
        Path(stores, name).write_bytes(image)
    Path(directory, "list.txt").write_text("made")


if __name__ == "__main__":
    main(*sys.argv[1:])
