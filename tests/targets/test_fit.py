"""`--target` at export: a model that does not fit a board is refused with figures, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import dqnn
from dqnn.exporter.cli import export_command, main
from dqnn.exporter.targets.boards import FIRMWARE_BYTES, STACK_BYTES, BoardError

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["export", *(str(a) for a in arguments)])


def board(path: Path, flash: int, ram: int) -> Path:
    """Of a core without compiler: its code is taken at the budget, not measured."""
    path.write_text(
        f'name = "tiny"\ncore = "unknown"\nclock_hz = 8_000_000\nflash_bytes = {flash}\nram_bytes = {ram}\n'
    )
    return path


def test_a_model_that_fits_says_what_is_left(cli: Cli, digits: Path) -> None:
    result = cli(digits / "digits_larq.h5", "-o", "m.dqnn", "--target", "stm32f411")
    assert result.exit_code == 0 and "STM32F411 (cortex-m4, 100 MHz): fits" in result.output
    assert Path("m.dqnn").exists()


def test_too_little_flash_and_ram(cli: Cli, digits: Path, tmp_path: Path) -> None:
    exported = dqnn.export(digits / "digits_larq.h5")
    tiny = board(tmp_path / "tiny.toml", 32 * 1024, 2048)
    result = cli(digits / "digits_larq.h5", "-o", "m.dqnn", "--target", tiny)
    assert result.exit_code == 2 and not (tmp_path / "m.dqnn").exists()
    flash = len(exported.blob) + FIRMWARE_BYTES - 32 * 1024
    assert f"{flash:,} B too much" in result.stderr
    for text in ("does not fit tiny", "heaviest layers: ", "quant_dense", "most is live at", "RAM"):
        assert text in result.stderr
    analysis = dqnn.analyze(exported.blob)
    assert f"{analysis.ram_bytes + STACK_BYTES - 2048:,} B too much" in result.stderr


def test_exactly_enough(digits: Path, tmp_path: Path) -> None:
    blob = dqnn.export(digits / "digits_larq.h5").blob
    ram = dqnn.analyze(blob).ram_bytes + STACK_BYTES
    enough = board(tmp_path / "enough.toml", len(blob) + FIRMWARE_BYTES, ram)
    result = dqnn.export(digits / "digits_larq.h5", target=str(enough))
    assert result.blob == blob and "tiny" in result.fits
    less = board(tmp_path / "less.toml", len(blob) + FIRMWARE_BYTES - 1, ram)
    with pytest.raises(BoardError, match=r"flash: .* 1 B too much"):
        dqnn.export(digits / "digits_larq.h5", tmp_path / "m.dqnn", target=str(less))
    assert not (tmp_path / "m.dqnn").exists()


@pytest.mark.parametrize("name", ["nothing", "missing.toml"])
def test_unknown_boards_are_refused_before_the_work(cli: Cli, digits: Path, name: str) -> None:
    result = cli(digits / "digits_larq.h5", "-o", "m.dqnn", "--target", name)
    assert result.exit_code == 2 and name in result.stderr and not Path("m.dqnn").exists()


def test_dqnn_export_takes_it_too(digits: Path, tmp_path: Path) -> None:
    tiny = board(tmp_path / "tiny.toml", 1024, 1024)
    arguments = [str(digits / "digits_larq.h5"), "-o", str(tmp_path / "m.dqnn"), "--target", str(tiny)]
    result = CliRunner().invoke(export_command, arguments)
    assert result.exit_code == 2 and "does not fit tiny" in result.stderr
