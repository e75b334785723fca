"""The options of custom operators: a FlexBuffer that is a map of whole numbers, read from its end. Anything else in it,
or a place outside it, is `Damaged`."""

from __future__ import annotations

from .flatbuffer import Damaged

MOST_ENTRIES = 64
INT, UINT, BOOL, MAP = 1, 2, 26, 9
LONGEST_KEY = 64


def numbers(data: bytes) -> dict[str, int]:
    """Key -> number. The last byte is the width of the root, the one before its type; a map is a vector of values with
    its length, and the place and width of its keys, in front and the values' types behind."""
    if len(data) < 3:
        raise Damaged("its options are no FlexBuffer")
    width = data[-1]
    kind, bits = data[-2] >> 2, data[-2] & 3
    if width not in (1, 2, 4, 8) or kind != MAP:
        raise Damaged("its options are no map")
    root = len(data) - 2 - width
    values, step = root - _number(data, root, width), 1 << bits
    count = _number(data, values - step, step)
    if count > MOST_ENTRIES:
        raise Damaged(f"its options have {count} entries")
    place = values - 3 * step
    keys, key_step = place - _number(data, place, step), _number(data, values - 2 * step, step)
    if key_step not in (1, 2, 4, 8):
        raise Damaged("its options have no keys")
    found = {}
    for i in range(count):
        at = keys + i * key_step
        name = _key(data, at - _number(data, at, key_step))
        entry = _number(data, values + count * step + i, 1)
        if entry >> 2 not in (INT, UINT, BOOL):
            raise Damaged(f"its option {name} is no whole number")
        found[name] = _number(data, values + i * step, step, signed=entry >> 2 == INT)
    return found


def _number(data: bytes, at: int, width: int, signed: bool = False) -> int:
    if at < 0 or at + width > len(data):
        raise Damaged("its options point outside themselves")
    return int.from_bytes(data[at : at + width], "little", signed=signed)


def _key(data: bytes, at: int) -> str:
    end = data.find(b"\0", max(at, 0), max(at, 0) + LONGEST_KEY)
    if at < 0 or end < 0:
        raise Damaged("its options have a key without an end")
    return data[at:end].decode("ascii", errors="replace")
