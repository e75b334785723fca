"""Boards that are described: those shipped, and a user's own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dqnn.exporter.targets import boards
from dqnn.exporter.targets.boards import TargetError


def test_every_shipped_board_is_described() -> None:
    names = [board.name for board in boards.shipped()]
    assert len(names) == 9
    assert all(boards.load_board(path.stem) for path in boards.SHIPPED.glob("*.toml"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = 1", "name is 1, not text"),
        ('name = "x"\ncore = "m"\nclock_hz = -1\nflash_bytes = 1\nram_bytes = 1', "clock_hz is -1"),
        ('name = "x"\nspeed = 3', "speed is unknown"),
        ("name =", "Invalid value"),
    ],
)
def test_a_bad_board_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(TargetError, match=problem):
        boards.load_board(str(path))


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(TargetError, match="STM32F746"):
        boards.load_board("z80")
