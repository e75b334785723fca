"""Reads flatc's binary schema (.bfbs) as far as the tests need: structs with field offsets, tables with slots, enums.

Slot numbers are those of FlatBuffers' own reflection.fbs, which is frozen."""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """A struct (`fields`: name -> byte offset) or a table (`fields`: name -> slot)."""

    name: str
    is_struct: bool
    size: int
    fields: dict[str, int]


@dataclass(frozen=True)
class Schema:
    records: dict[str, Record]
    enums: dict[str, dict[str, int]]
    identifier: str


class _Table:
    def __init__(self, buffer: bytes, position: int) -> None:
        self.buffer, self.position = buffer, position
        self.vtable = position - self._at("<i", position)

    def _at(self, form: str, position: int) -> int:
        return int(struct.unpack_from(form, self.buffer, position)[0])

    def _field(self, slot: int) -> int:
        entry = 4 + 2 * slot
        offset = self._at("<H", self.vtable + entry) if entry < self._at("<H", self.vtable) else 0
        return self.position + offset if offset else 0

    def scalar(self, slot: int, form: str, default: int = 0) -> int:
        at = self._field(slot)
        return self._at(form, at) if at else default

    def text(self, slot: int) -> str:
        at = self._field(slot)
        start = at + self._at("<I", at)
        return self.buffer[start + 4 : start + 4 + self._at("<I", start)].decode()

    def tables(self, slot: int) -> list[_Table]:
        at = self._field(slot)
        start = at + self._at("<I", at)
        places = range(start + 4, start + 4 + 4 * self._at("<I", start), 4)
        return [_Table(self.buffer, place + self._at("<I", place)) for place in places]


def read(buffer: bytes) -> Schema:
    root = _Table(buffer, struct.unpack_from("<I", buffer, 0)[0])
    records = [_record(table) for table in root.tables(0)]
    enums = {_short(e.text(0)): {v.text(0): v.scalar(1, "<q") for v in e.tables(1)} for e in root.tables(1)}
    return Schema({record.name: record for record in records}, enums, root.text(2))


def _record(table: _Table) -> Record:
    """Object: 0 name, 1 fields, 2 is_struct, 4 bytesize. Field: 0 name, 2 id, 3 offset."""
    is_struct = bool(table.scalar(2, "<B"))
    number = 3 if is_struct else 2
    fields = {field.text(0): field.scalar(number, "<H") for field in table.tables(1)}
    return Record(_short(table.text(0)), is_struct, table.scalar(4, "<i"), fields)


def _short(name: str) -> str:
    return name.rpartition(".")[2]
