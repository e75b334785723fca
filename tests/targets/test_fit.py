"""Does a model fit a target? At export one that does not is refused with figures, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import dqnn
from dqnn.exporter.blob import ModelView, parse
from dqnn.exporter.cli import export_command, main
from dqnn.exporter.targets import boards, code_size, fit
from dqnn.exporter.targets.boards import TargetError
from dqnn.exporter.targets.fit import FIRMWARE_BYTES, STACK_BYTES, check_fits, fit_of
from dqnn.exporter.targets.target import find_target

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
    with pytest.raises(TargetError, match=r"flash: .* 1 B too much"):
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


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def larq(digits: Path) -> ModelView:
    return parse(dqnn.export(digits / "digits_larq.h5").blob)


@pytest.mark.parametrize("name", [path.stem for path in sorted(boards.SHIPPED.glob("*.toml"))])
def test_every_shipped_board_refuses_what_is_too_large(
    larq: ModelView, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By how much, and which layers weigh most; with the code at its budget, so that no compiler is needed."""
    monkeypatch.setattr(fit, "code_bytes", lambda *_: None)
    target = find_target(name)
    assert target.board is not None and "fits" in check_fits(target, larq)
    sizes = {"file_bytes": target.board.flash_bytes, "arena_bytes": target.board.ram_bytes}
    with pytest.raises(TargetError) as caught:
        check_fits(target, replace(larq, prefix=replace(larq.prefix, **sizes)))
    message = str(caught.value)
    assert f"does not fit {target.board.name}: flash: " in message
    assert f"{FIRMWARE_BYTES:,} B too much; heaviest layers: quant_conv2d_2 (4,808 B), quant_dense" in message
    ram = larq.state_bytes + STACK_BYTES
    assert f"{ram:,} B too much; most is live at quant_conv2d (3,904 B), quant_conv2d_1 (" in message


def test_code_is_measured_where_there_is_a_compiler(larq: ModelView, require_tool: Callable[[str], str]) -> None:
    require_tool("arm-none-eabi-gcc")
    found = fit_of(find_target("stm32f411"), larq)
    assert found is not None and found.measured and 16_384 < found.code_bytes < 40_960
    assert found.flash_bytes == larq.file_bytes + found.code_bytes
    fewer = code_size.code_bytes("cortex-m4", ["softmax_f32"])
    assert fewer is not None and fewer < found.code_bytes / 2
    assert code_size.code_bytes("no such core", ["softmax_f32"]) is None
    by_rows, fed = (code_size.code_bytes("cortex-m4", ["softmax_f32"], f"dqnn_{n}strips") for n in ("", "fed_"))
    assert fewer is not None and by_rows is not None and fed is not None
    assert 2000 < by_rows - fewer < 3000 and 100 < fed - by_rows < 800


def test_python_shows_a_board_without_refusing(tmp_path: Path, digits: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text('name = "Tiny"\ncore = "z80"\nclock_hz = 1\nflash_bytes = 30000\nram_bytes = 4000\n')
    analysis = dqnn.analyze(digits / "digits_larq.h5", target=str(path))
    assert analysis.fit is not None and "does not fit Tiny" in analysis.fit.problem
    assert "no compiler for z80 is here" in str(analysis) and "allowed" in analysis._repr_html_()
