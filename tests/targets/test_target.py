"""What `--target` means: the same texts for every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import dqnn
from dqnn.exporter.cli import main
from dqnn.exporter.targets.boards import TargetError, shipped
from dqnn.exporter.targets.emulated import QemuRunner
from dqnn.exporter.targets.firmware import boards
from dqnn.exporter.targets.host import HostRunner
from dqnn.exporter.targets.target import find_target, target_names

Cli = Callable[..., Result]
OWN = 'name = "own"\ncore = "cortex-m7"\nclock_hz = 1000\nflash_bytes = 1000000\nram_bytes = 100000\n'


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("text", "name", "board", "core", "runner"),
    [
        ("host", "host", None, None, "host"),
        ("qemu:mps2-an386", "qemu:mps2-an386", "qemu:mps2-an386", "cortex-m4", "qemu:mps2-an386"),
        ("qemu:riscv32", "qemu:riscv32", "qemu:riscv32", "rv32imac", "qemu:riscv32"),
        ("cortex-m55", "cortex-m55", None, "cortex-m55", "qemu:mps3-an547"),
        ("Cortex-M4", "Cortex-M4", None, "cortex-m4", "qemu:mps2-an386"),
        ("stm32f746", "STM32F746", "STM32F746", "cortex-m7", "qemu:mps2-an500"),
        ("esp32-c3", "ESP32-C3", "ESP32-C3", "rv32imac", "qemu:riscv32"),
        ("own.toml", "own", "own", "cortex-m7", "qemu:mps2-an500"),
    ],
)
def test_sides(text: str, name: str, board: str | None, core: str | None, runner: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    target = find_target(str(tmp_path / text) if text.endswith(".toml") else text)
    assert (target.name, target.core) == (name, core)
    assert (target.board.name if target.board else None) == board
    assert target.runner is not None and target.runner.name == runner
    assert str(target) == (name if runner == name else f"{name} ({runner})")


def test_all_of_them_are_listed(cli: Cli) -> None:
    names = target_names()
    assert (
        len(names) == len(set(names)) == 1 + len(boards()) + len(shipped()) + len({b.core for b in boards().values()})
    )
    listed = cli("targets").output
    assert all(name in listed and find_target(name).name == name for name in names)


def test_emulated_boards_have_the_memories_of_their_line() -> None:
    board = find_target("qemu:mps2-an386").board
    assert board is not None
    assert (board.clock_hz, board.flash_bytes, board.ram_bytes) == (25_000_000, (4 << 20) + (16 << 20), 4 << 20)


@pytest.mark.parametrize("name", ["avr", "qemu:avr", "", "stm32", "serial"])
def test_what_is_none_lists_what_there_is(name: str) -> None:
    with pytest.raises(
        TargetError, match=r"no target is named .*; accepted: host, qemu:microbit, .*STM32F411.*cortex-m4"
    ):
        find_target(name)


def test_a_core_that_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.replace("cortex-m7", "z80"))
    target = find_target(str(tmp_path / "own.toml"))
    assert target.runner is None
    with pytest.raises(TargetError, match="nothing here runs the core z80 of own; files run on host, qemu:microbit"):
        target.run(b"", [])


def test_this_machine_and_cores_have_no_limits(cli: Cli, digits: Path) -> None:
    model = digits / "digits_larq.h5"
    assert cli("export", model, "-o", "m.dqnn", "--target", "host").exit_code == 0
    assert "cortex-m4: no limits known" in cli("export", model, "-o", "m.dqnn", "--target", "cortex-m4").output
    found = json.loads(cli("analyze", model, "--target", "cortex-m4", "--json").output)["target"]
    assert (found["board"], found["fits"], found["core"]) == (None, None, "cortex-m4")
    assert json.loads(cli("analyze", model, "--target", "host", "--json").output)["target"] is None


def test_an_emulated_board_can_be_too_small(cli: Cli, digits: Path) -> None:
    dqnn.export(digits / "digits_larq.h5", "m.dqnn")
    result = cli("analyze", "m.dqnn", "--target", "qemu:microbit", "--json")
    assert json.loads(result.stdout)["target"]["ram_available"] == 16 << 10
    assert result.exit_code == (2 if json.loads(result.stdout)["target"]["problem"] else 0)


@pytest.mark.qemu
@pytest.mark.parametrize("name", ["cortex-m4", "stm32f411"])
def test_cores_and_boards_run_where_they_are_emulated(cli: Cli, digits: Path, name: str) -> None:
    blob = dqnn.export(digits / "digits_larq.h5", "m.dqnn").blob
    with np.load(digits / "digits_test.npz") as data:
        images = data["x"][:3]
    np.savez("x.npz", x=images)
    result = cli("run", "m.dqnn", "--inputs", "x.npz", "-o", "y.npz", "--target", name, "--raw")
    assert result.exit_code == 0, result.output
    assert f"3 samples on {find_target(name).name} (qemu:mps2-an386)" in result.output
    ours = dqnn.Interpreter(blob).predict(images, raw=True)
    with np.load("y.npz") as outputs:
        assert next(iter(outputs.values())).tobytes() == ours.tobytes()


def test_runners() -> None:
    assert isinstance(find_target("host").runner, HostRunner)
    assert isinstance(find_target("cortex-m3").runner, QemuRunner)
