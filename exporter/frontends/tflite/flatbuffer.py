"""Reads FlatBuffers that nobody has verified.

Every offset, size and count is checked where it is followed, and nowhere else: a table's vtable when the table is
entered, a field when it is asked for. What is read of a file may not be more than a small multiple of its size, so
that one vector that a thousand tables point to is no bomb. All faults are `Damaged`, with what was being read."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLACK = 4096  # bytes that any file may ask for
OVERLAP = 8  # times its size: writers share equal strings and vectors
LONGEST_TEXT = 4096
WIDTHS = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8}


class Damaged(Exception):
    """The bytes are no FlatBuffer of this shape."""


class Source:
    """The bytes of a file, and how much of them may still be read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = OVERLAP * len(data) + SLACK

    def take(self, position: int, size: int, what: str) -> int:
        """`position`, if so many bytes lie there."""
        if position < 0 or size < 0 or position + size > len(self.data):
            raise Damaged(f"{what} lies outside the file")
        self._left -= size
        if self._left < 0:
            raise Damaged(f"{what}: the parts of the file lie over each other")
        return position

    def number(self, position: int, code: str, what: str) -> Any:
        """A little-endian number of struct's `code`."""
        return struct.unpack_from("<" + code, self.data, self.take(position, WIDTHS[code], what))[0]

    def root(self) -> Table:
        return Table(self, self.number(0, "I", "the root"), "the root")


class Table:
    """A table; `what` names it in messages. A field that is not there has its default."""

    def __init__(self, source: Source, position: int, what: str) -> None:
        self._source, self._position, self.what = source, position, what
        self._vtable = position - source.number(position, "i", what)
        self._slots = (source.number(self._vtable, "H", what) - 4) // 2
        self._size = source.number(self._vtable + 2, "H", what)
        if self._slots < 0 or self._size < 4:
            raise Damaged(f"{what} has no valid list of fields")
        source.take(self._vtable, 4 + 2 * self._slots, what)
        source.take(position, self._size, what)

    def number(self, slot: int, code: str, default: Any = 0) -> Any:
        """A number, or a boolean."""
        at = self._field(slot, WIDTHS[code])
        return default if at is None else self._source.number(at, code, self.what)

    def text(self, slot: int) -> str:
        """A string, cut at LONGEST_TEXT bytes; empty without one."""
        at = self._pointed(slot)
        if at is None:
            return ""
        length = min(self._source.number(at, "I", self.what), LONGEST_TEXT)
        start = self._source.take(at + 4, length, f"a name of {self.what}")
        return self._source.data[start : start + length].decode(errors="replace")

    def table(self, slot: int, what: str) -> Table | None:
        at = self._pointed(slot)
        return None if at is None else Table(self._source, at, what)

    def tables(self, slot: int, what: str, most: int) -> list[Table]:
        """A vector of tables, named by `what` and their number."""
        start, count = self._vector(slot, 4, what)
        if count > most:
            raise Damaged(f"it has {count} {what}s; at most {most}")
        places = range(start, start + 4 * count, 4)
        entries = [at + self._source.number(at, "I", what) for at in places]
        return [Table(self._source, at, f"{what} {index}") for index, at in enumerate(entries)]

    def array(self, slot: int, code: str, what: str = "", most: int | None = None) -> NDArray[Any]:
        """A vector of numbers, not copied."""
        what = what or self.what
        start, count = self._vector(slot, WIDTHS[code], what)
        if most is not None and count > most:
            raise Damaged(f"{what} has {count} entries; at most {most}")
        return np.frombuffer(self._source.data, "<" + code, count, start if count else 0)

    def _vector(self, slot: int, width: int, what: str) -> tuple[int, int]:
        """Where its first element lies, and how many there are."""
        at = self._pointed(slot)
        if at is None:
            return 0, 0
        count = self._source.number(at, "I", what)
        return self._source.take(at + 4, count * width, what), count

    def _pointed(self, slot: int) -> int | None:
        at = self._field(slot, 4)
        return None if at is None else at + int(self._source.number(at, "I", self.what))

    def _field(self, slot: int, width: int) -> int | None:
        if slot >= self._slots:
            return None
        offset = self._source.number(self._vtable + 4 + 2 * slot, "H", self.what)
        if offset == 0:
            return None
        if offset < 4 or offset + width > self._size:
            raise Damaged(f"{self.what} has a field outside itself")
        return self._position + int(offset)
