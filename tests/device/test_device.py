"""`dqnn device` and `dqnn serve`, and serial: and tcp: as targets of run, validate, bench and analyze."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from link.wires import board, served

import dqnn
from dqnn import _core, link
from dqnn.exporter.cli import main
from dqnn.exporter.device.serving import Place, ServedDevice, serve
from dqnn.exporter.targets.boards import TargetError
from dqnn.exporter.targets.target import find_target, run_on_target

Cli = Callable[..., Result]
Serve = Callable[..., str]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("run", ...)` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def files(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two examples, exported."""
    folder = tmp_path_factory.mktemp("files")
    made = {}
    for name in ("larq", "qkeras"):
        made[name] = folder / f"{name}.dqnn"
        dqnn.export(digits / f"digits_{name}.h5", made[name], name=f"digits_{name}", model_version=3)
    return made


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`dqnn serve` as a process, and its address."""
    command = [sys.executable, "-m", "dqnn", "serve", *map(str, arguments), "--tcp", ":0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"tcp:127\.0\.0\.1:\d+", first)
            assert found is not None, first + process.stdout.read()
            yield found[0], process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=30)
            finally:
                process.kill()


# --- commands ---------------------------------------------------------------------------------------------------------


def test_life_of_a_board_on_the_command_line(cli: Cli, files: dict[str, Path]) -> None:
    with serving(files["larq"]) as (address, _):
        info = cli("device", "info", "--target", address)
        assert info.exit_code == 0, info.output
        for text in (
            "dqnn serve, host, 1000 MHz",
            "digits_larq, version 3",
            f"all {len(_core.kernels())} kernels",
            "empty",
        ):
            assert text in info.output
        load = cli("device", "load", files["qkeras"], "--target", address)
        assert load.exit_code == 0, load.output
        assert "runs digits_qkeras, version 3" in load.output
        assert f"on trial: dqnn device confirm --target {address}" in load.output
        assert "on trial" in cli("device", "info", "--target", address).output
        assert "runs digits_larq" in cli("device", "reset", "--target", address).output
        assert "confirm" not in cli("device", "load", files["qkeras"], "--confirm", "--target", address).output
        assert "runs digits_qkeras" in cli("device", "reset", "--target", address).output
        assert "confirmed: digits_qkeras" in cli("device", "confirm", "--target", address).output
        refused = cli("device", "rollback", "--target", address)
        assert (refused.exit_code, "slot_no_other" in refused.output) == (2, True)


def test_the_address_may_stand_in_the_environment(
    cli: Cli, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(board(files["larq"].read_bytes()).feed) as port:
        monkeypatch.setenv("DQNN_DEVICE", f"tcp:localhost:{port}")
        assert "digits_larq" in cli("device", "info").output


def test_a_damaged_file_is_refused_by_the_device(cli: Cli, files: dict[str, Path], tmp_path: Path) -> None:
    """The command would not send it; a device must not take it either."""
    blob = bytearray(files["qkeras"].read_bytes())
    blob[9000] ^= 1
    (tmp_path / "broken.dqnn").write_bytes(blob)
    with served(board(files["larq"].read_bytes()).feed) as port:
        address = f"tcp:localhost:{port}"
        refused = cli("device", "load", "broken.dqnn", "--target", address)
        assert (refused.exit_code, "damaged" in refused.output) == (2, True)
        with link.connect(address) as device, pytest.raises(link.DeviceRefused, match="checksum"):
            device.load(bytes(blob))
        assert "digits_larq" in cli("device", "info", "--target", address).output


@pytest.mark.parametrize("arguments", [("info",), ("load", "x.dqnn"), ("confirm",), ("rollback",), ("reset",)])
def test_no_device_is_an_error_of_one_line(cli: Cli, arguments: tuple[str, ...], files: dict[str, Path]) -> None:
    arguments = tuple(str(files["larq"]) if a == "x.dqnn" else a for a in arguments)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = cli("device", *arguments, "--target", f"tcp:127.0.0.1:{port}")
    assert result.exit_code == 2
    assert "does something listen there" in result.output and len(result.output.splitlines()) == 1
    assert "accepted: serial:PORT[,BAUD], tcp:HOST:PORT" in cli("device", *arguments, "--target", "usb:1").output


def test_every_subcommand_says_what_it_takes() -> None:
    group = main.get_command(click.Context(main), "device")
    assert isinstance(group, click.Group)
    assert sorted(group.commands) == ["confirm", "info", "load", "reset", "rollback"]
    for command in group.commands.values():
        assert command.help and "--target" in {option for p in command.params for option in p.opts}


# --- serve ------------------------------------------------------------------------------------------------------------


def test_slots_are_kept_in_a_file(cli: Cli, files: dict[str, Path], tmp_path: Path) -> None:
    flash = tmp_path / "flash.bin"
    with serving(files["larq"], "--flash", flash) as (address, _):
        assert cli("device", "load", files["qkeras"], "--confirm", "--target", address).exit_code == 0
    with serving(files["larq"], "--flash", flash) as (address, _):
        assert "digits_qkeras" in cli("device", "info", "--target", address).output
    with serving("--flash", flash) as (address, _):  # without a model of its own
        assert "digits_qkeras" in cli("device", "info", "--target", address).output
    flash.write_bytes(flash.read_bytes()[:-1])
    result = cli("serve", files["larq"], "--flash", flash, "--tcp", ":0")
    assert result.exit_code == 2 and "has 524,287 bytes, the slots beside this model 524,288" in result.output


def test_one_connection_at_a_time(files: dict[str, Path]) -> None:
    with serving(files["larq"]) as (address, process):
        with link.connect(address), pytest.raises(link.LinkError, match="is another program using the device"):
            link.connect(address)
        with link.connect(address) as device:
            assert device.model().name == "digits_larq"
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        lines = process.stdout.read()
        assert "sent away: another program is connected" in lines and "Traceback" not in lines
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.dqnn", "--tcp", ":0"), "missing.dqnn: No such file or directory"),
        (("--tcp", "5000"), "'5000' is no place to listen at; accepted: :PORT for this machine alone, HOST:PORT"),
        (("--tcp", ":99999"), "is no place to listen at"),
        (("--tcp", "256.1.1.1:0"), "cannot listen at 256.1.1.1:0"),
    ],
)
def test_what_serve_refuses(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    result = cli("serve", *arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_what_is_no_model_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.dqnn").write_bytes(b"x" * 1000)
    result = cli("serve", "x.dqnn", "--tcp", ":0")
    assert (result.exit_code, "not a .dqnn file" in result.output) == (2, True)


def test_a_port_that_is_taken(files: dict[str, Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place("127.0.0.1", server.getsockname()[1])
        with pytest.raises(TargetError, match="cannot listen at"):
            asyncio.run(serve(ServedDevice(files["larq"], None, None), place, lambda line: None))


def test_little_memory(files: dict[str, Path]) -> None:
    """As much as the model needs, and less."""
    need = dqnn.Interpreter(files["larq"]).memory_bytes
    for memory, runs in ((need, True), (need - 16, False)):
        device = link.Device(link.Direct(ServedDevice(files["larq"], None, memory).feed))
        assert (device.model().status == 0) == runs


# --- targets ----------------------------------------------------------------------------------------------------------


def test_a_device_is_a_target_like_any(cli: Cli, files: dict[str, Path], digits: Path) -> None:
    data = np.load(digits / "digits_test.npz")
    with served(board(files["larq"].read_bytes()).feed) as port:
        address = f"tcp:localhost:{port}"
        ours = run_on_target(files["larq"], address, data["x"][:20])
        assert ours.tobytes() == dqnn.Interpreter(files["larq"]).predict(data["x"][:20]).tobytes()
        run = cli(
            "run",
            files["larq"],
            "--inputs",
            digits / "digits_test.npz",
            "--limit",
            20,
            "--target",
            address,
            "-o",
            "y.npz",
        )
        assert run.exit_code == 0, run.output
        assert f"20 samples on {address}" in run.output
        assert np.load("y.npz")["activation"].tobytes() == ours.tobytes()
        other = cli("run", files["qkeras"], "--inputs", digits / "digits_test.npz", "--target", address)
        assert other.exit_code == 2
        assert f"the device runs digits_larq, not this file: dqnn device load FILE --target {address}" in other.output


def test_validate_gives_the_tables_of_the_host(cli: Cli, files: dict[str, Path], digits: Path) -> None:
    """Every figure, per layer too: they come from the same bits."""
    reports = []
    for name in ("larq", "qkeras"):
        with served(board(files[name].read_bytes()).feed) as port:
            for target in ("host", f"tcp:localhost:{port}"):
                result = cli(
                    "validate", files[name], "--against", digits / f"digits_{name}.h5",
                    "--inputs", digits / "digits_test.npz", "--labels", "y", "--limit", 20, "--original", "evaluator",
                    "--per-layer", "--json", "--target", target,
                )  # fmt: skip
                assert result.exit_code == 0, result.output
                reports.append(json.loads(result.output))
                assert reports[-1].pop("target") == target
    assert reports[0] == reports[1] and reports[2] == reports[3]
    assert len(reports[0]["layers"]) == 6


def test_bench_shows_measured_ticks(cli: Cli, files: dict[str, Path]) -> None:
    with served(board(files["larq"].read_bytes()).feed) as port:
        address = f"tcp:localhost:{port}"
        result = cli("bench", files["larq"], "--target", address)
        assert result.exit_code == 0, result.output
        for text in ("ticks", "ms", "same bytes as the host", "1000 MHz; mean of 10 runs", "(test board, host)"):
            assert text in result.output
        found = json.loads(cli("bench", files["larq"], "--target", address, "--json").output)
        assert found["cycles"] is None and found["instructions"] is None and found["clock_hz"] == 10**9
        assert sum(node["measured"] for node in found["nodes"]) <= found["measured"]
        analysis = cli("analyze", files["larq"], "--bench", address)
        assert analysis.exit_code == 0, analysis.output
        assert re.search(r"ticks +[\d,]+ on tcp:localhost:\d+ \(test board, host\)", analysis.output)


def test_bench_sets_the_estimate_of_the_core_beside(
    cli: Cli, files: dict[str, Path], require_tool: Callable[[str], str]
) -> None:
    """A board that says it is a Cortex-M4: its ticks are not cycles here, but are shown as such."""
    require_tool("arm-none-eabi-gcc")
    device = _core.Device(files["larq"].read_bytes(), 1 << 16, 4096, 8, 1 << 16, 1024, "cortex-m4", "test board")
    with served(device.feed) as port:
        result = cli("bench", files["larq"], "--target", f"tcp:localhost:{port}")
    assert result.exit_code == 0, result.output
    for text in ("cycles (est.)", "ticks", "of est.", "zero wait states"):
        assert text in result.output


def test_a_device_without_room_for_times(files: dict[str, Path]) -> None:
    blob = files["larq"].read_bytes()
    memory = dqnn.Interpreter(blob).memory_bytes
    with served(board(blob, memory=memory).feed) as port:
        runner = find_target(f"tcp:localhost:{port}").runner
        with pytest.raises(TargetError, match="no memory left to time the nodes of this model"):
            runner.ticks(blob, [bytes(28 * 28 * 4)], 2)  # type: ignore[union-attr]
    with served(board(blob, memory=memory + 64).feed) as port:  # times fit, copies of the inputs do not
        runner = find_target(f"tcp:localhost:{port}").runner
        times, total, outputs = runner.ticks(blob, [bytes(28 * 28 * 4)], 2)  # type: ignore[union-attr]
        assert len(times) == 6 and total > 0 and len(outputs) == 1


def test_a_connection_that_breaks_is_an_error_of_one_line(cli: Cli, files: dict[str, Path], digits: Path) -> None:
    machine = board(files["larq"].read_bytes())
    asked = 0

    def feed(data: bytes) -> bytes:
        nonlocal asked
        asked += 1
        if asked > 30:
            raise ConnectionResetError
        return machine.feed(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while data := connection.recv(65536):
                        connection.sendall(feed(data))
                except ConnectionResetError:
                    pass

        thread = threading.Thread(target=talk)
        thread.start()
        address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        result = cli("run", files["larq"], "--inputs", digits / "digits_test.npz", "--target", address)
        thread.join()
    assert result.exit_code == 2
    assert re.search(r"error: tcp:.*(closed the connection|reset by peer)", result.output)


def test_a_device_that_hangs_is_given_up(files: dict[str, Path]) -> None:
    begun = time.monotonic()
    with (
        served(lambda data: b"") as port,
        pytest.raises(TargetError, match=r"no answer to hello in 5 s \(not a byte came\): is the other side"),
    ):
        find_target(f"tcp:localhost:{port}").run(files["larq"].read_bytes(), [])
    assert time.monotonic() - begun < 20
