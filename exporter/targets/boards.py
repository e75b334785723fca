"""Described boards: flash, RAM, core and clock.

A description is a TOML file with the keys of `Board`; those shipped stand in boards_data/, a user's own is given by
its path."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import DqnnError

SHIPPED = Path(__file__).parent / "boards_data"


class TargetError(DqnnError):
    """The target does not exist, is too small, lacks a tool, or failed."""


@dataclass(frozen=True)
class Board:
    """`flash_bytes` and `ram_bytes` are what the chip has; an application needs some of both for itself."""

    name: str
    core: str
    clock_hz: int
    flash_bytes: int
    ram_bytes: int


def shipped() -> list[Board]:
    """Every board that comes with dqnn, by name."""
    return [_read(path) for path in sorted(SHIPPED.glob("*.toml"))]


def load_board(name: str) -> Board:
    """A shipped board by its name (any case) or a TOML file by its path."""
    path = Path(name)
    if path.suffix == ".toml":
        return _read(path)
    found = SHIPPED / f"{name.lower()}.toml"
    if not found.exists():
        known = ", ".join(board.name for board in shipped())
        raise TargetError(f"no board {name!r} is described; accepted: {known}, or a .toml file of your own")
    return _read(found)


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text())
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{path}: {error}") from error
    return content


def _read(path: Path) -> Board:
    content = _toml(path)
    wanted = {field.name: str if field.name in ("name", "core") else int for field in fields(Board)}
    problems = [f"{key} is missing" for key in wanted if key not in content]
    problems += [f"{key} is unknown" for key in content if key not in wanted]
    problems += [
        f"{key} is {content[key]!r}, not {'text' if kind is str else 'a positive whole number'}"
        for key, kind in wanted.items()
        if key in content and not (type(content[key]) is kind and (kind is str or content[key] > 0))
    ]
    if problems:
        raise TargetError(f"{path}: {'; '.join(problems)}")
    return Board(**content)
