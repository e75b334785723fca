"""Firmware with link and slots (interpreter_c/ports/link) on emulated boards, through their UARTs: the host's bytes,
every table of validate, and a model's whole life. Boards that are not emulated must build."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import dqnn
from dqnn import link
from dqnn.exporter.cli import main
from dqnn.exporter.device import emulated
from dqnn.exporter.targets.boards import TargetError
from dqnn.exporter.targets.target import run_on_target
from dqnn.link.protocol import Answer, Command
from dqnn.link.session import Session

pytestmark = pytest.mark.qemu
BOARDS = tuple(emulated.link_boards())
SAMPLES = 12  # a byte of the UART takes the emulator longer than an inference
NETDUINO = "netduinoplus2"  # STM32F405 with the chip's own USART
CUTS = 3  # during each request that changes a slot


@pytest.fixture(scope="module")
def files(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    made = {name: folder / f"{name}.dqnn" for name in ("larq", "qkeras")}
    tests = np.load(digits / "digits_test.npz")["x"][-2:]
    for name, path in made.items():
        dqnn.export(digits / f"digits_{name}.h5", path, name=f"digits_{name}", selftest=tests)
    return made


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., str]) -> Callable[[str], Path]:
    """ELF of a board; the boards of a core are built together."""
    require_tool("arm-none-eabi-gcc")
    built: dict[str, Path] = {}

    def build(board: str) -> Path:
        core = emulated.link_boards()[board].core
        if core not in built:
            built[core] = build_core(core, tmp_path_factory.mktemp(core))
        return built[core] / f"{board}.elf"

    return build


def build_core(core: str, folder: Path, *options: str) -> Path:
    """`core`, or a board."""
    command = ["cmake", "-S", emulated.SOURCES / emulated.PORT, "-B", folder, f"-DDQNN_BOARDS={core}", *options]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(["cmake", "--build", folder, "-j", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture
def on(
    firmware: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]
) -> Iterator[Callable[[str], str]]:
    """`on(board)`: switches one on with a model, gives its address."""
    monkeypatch.setattr(emulated, "firmware_of", lambda board: firmware(board.name))
    running = []

    def switch_on(board: str, model: str = "larq", options: Sequence[str] = ()) -> str:
        if board not in emulated.machines():
            pytest.skip(f"qemu-system-arm here has no machine {board}")
        port = emulated.free_port("127.0.0.1")
        blob = files[model].read_bytes()
        process = emulated.running(emulated.link_boards()[board], blob, "127.0.0.1", port, options)
        process.__enter__()
        running.append(process)
        address = f"tcp:127.0.0.1:{port}"
        wait_for(address)
        return address

    yield switch_on
    for process in running:
        process.__exit__(None, None, None)


def wait_for(address: str) -> None:
    """Until its port is open and it answers."""
    for _ in range(100):
        try:
            with link.connect(address):
                return
        except link.LinkTimeout:
            raise
        except link.LinkError:
            time.sleep(0.1)
    raise AssertionError(f"nobody answers at {address}")


def command(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_gives_the_hosts_bytes(
    board: str, on: Callable[..., str], files: dict[str, Path], digits: Path
) -> None:
    images = np.load(digits / "digits_test.npz")["x"][:SAMPLES]
    address = on(board, "qkeras")
    expected = dqnn.Interpreter(files["qkeras"]).predict(images)
    found = run_on_target(files["qkeras"], address, images)
    assert np.count_nonzero(found.view(np.uint8) != expected.view(np.uint8)) == 0
    with link.connect(address) as device:
        info = device.info
        assert (info.board, info.core) == (board, emulated.link_boards()[board].core)
        assert info.can_reset and info.clock_hz >= 25_000_000 and info.slots == 2
        assert info.dropped <= 2  # what a first connection may leave


def test_every_table_of_validate_through_the_usart(
    on: Callable[..., str], files: dict[str, Path], digits: Path
) -> None:
    """The figures of the host, to the last digit."""
    address = on(NETDUINO)
    arguments = (
        "validate", files["larq"], "--against", digits / "digits_larq.h5", "--inputs", digits / "digits_test.npz",
        "--labels", "y", "--limit", 3, "--per-layer", "--original", "evaluator", "--target",
    )  # fmt: skip
    there, here = command(*arguments, address), command(*arguments, "host")
    assert there.replace(address, "host") == here
    assert "every tensor agrees within rounding" in here and "ACC" in here


def test_life_of_a_model_through_the_usart(on: Callable[..., str], files: dict[str, Path], digits: Path) -> None:
    """Upload, trial, reset, confirmation, a corrupt file, rollback."""
    address = on(NETDUINO)
    image = np.load(digits / "digits_test.npz")["x"][:2]
    assert "runs digits_qkeras" in command("device", "load", files["qkeras"], "--target", address)
    assert "runs digits_larq" in command("device", "reset", "--target", address)  # it was on trial
    command("device", "load", files["qkeras"], "--confirm", "--target", address)
    assert "runs digits_qkeras" in command("device", "reset", "--target", address)
    found = run_on_target(files["qkeras"], address, image)
    assert found.tobytes() == dqnn.Interpreter(files["qkeras"]).predict(image).tobytes()
    corrupt = bytearray(files["larq"].read_bytes())
    corrupt[7000] ^= 1
    with link.connect(address) as device:
        with pytest.raises(link.DeviceRefused, match="checksum"):
            device.load(bytes(corrupt))
        assert device.model().name == "digits_qkeras"
        device.load(files["larq"].read_bytes())
        assert device.rollback().name == "digits_qkeras"
        assert [slot.state for slot in device.slots()] == ["rejected", "confirmed"]


class Monitor:
    """The emulator's control socket (QMP)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rw")
        self.do("qmp_capabilities")

    def do(self, command: str) -> None:
        self._stream.write(json.dumps({"execute": command}) + "\n")
        self._stream.flush()
        while "return" not in (answer := json.loads(self._stream.readline())):
            assert "error" not in answer, answer


class Power:
    """Cuts it during one request: the nth of a command, after a part of the time that it usually takes."""

    def __init__(self, monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.usual: dict[Command, list[float]] = {}
        self._monitor, self._ask = monitor, Session.ask
        self._command: Command | None = None
        power = self

        def asked(session: Session, command: Command, **what: Any) -> Answer:
            return power._asked(session, command, **what)

        monkeypatch.setattr(Session, "ask", asked)

    def plan(self, command: Command, nth: int, part: float) -> None:
        self._command, self._before, self._nth = command, nth, nth
        self._cut = threading.Timer(part * self.usual[command][nth], self._monitor.do, ["system_reset"])

    def done(self, felt: bool) -> None:
        """A cut that came too late: the machine is quicker than when the requests were timed. None came if the device
        held the file already, so that there were fewer requests."""
        begun = self._cut.ident is not None
        if begun and not felt and self._command is not None:
            self.usual[self._command][self._nth] /= 2
        self._command = None
        if begun:
            self._cut.join()

    def _asked(self, session: Session, command: Command, **what: Any) -> Answer:
        if command is self._command:
            self._before -= 1
            if self._before == -1:
                self._cut.start()
        begun = time.monotonic()
        answer = self._ask(session, command, **what)
        if self._command is None:
            self.usual.setdefault(command, []).append(time.monotonic() - begun)
        return answer


CHANGES = (Command.BEGIN, Command.BLOCK, Command.VERIFY, Command.ACTIVATE, Command.CONFIRM, Command.ROLLBACK)


def test_power_cuts_through_the_usart(
    on: Callable[..., str], files: dict[str, Path], digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chip is reset somewhere in the requests that change slots, which stay as they were then. The next start runs
    a complete model, and gives the host's bytes."""
    address = on(NETDUINO, "larq", ["-qmp", f"unix:{tmp_path / 'qmp'},server=on,wait=off"])
    power, chance = Power(Monitor(tmp_path / "qmp"), monkeypatch), random.Random(3)
    blobs = [files[name].read_bytes() for name in ("qkeras", "larq")]
    hosts = [dqnn.Interpreter(blob) for blob in blobs]
    image = np.load(digits / "digits_test.npz")["x"][:1]

    def use(device: link.Device, stays: int) -> None:
        device.load(blobs[stays])
        device.confirm()
        device.load(blobs[1 - stays])
        device.rollback()

    with link.connect(address) as device:
        use(device, 0)
    broken, names = 0, set()
    for count, command_cut in enumerate(CHANGES * CUTS):
        power.plan(command_cut, chance.randrange(len(power.usual[command_cut])), chance.random())
        felt = False
        with link.connect(address) as device:
            try:
                use(device, count % 2)
            except link.LinkError:  # the upload was broken off, nothing is on trial, no answer
                felt = True
        broken += felt
        power.done(felt)
        with link.connect(address) as device:
            running = [i for i, blob in enumerate(blobs) if device.holds(blob)]
            assert len(running) == 1, (command_cut, device.model())
            names.add(device.model().name)
            host = hosts[running[0]]
            assert device.run([host.to_stored(image)[0].tobytes()], 1) == [host.predict(image).tobytes()]
    assert broken > len(CHANGES) * CUTS / 2, "most cuts were felt"
    assert len(names) == 2


def test_a_device_that_knows_a_key(
    on: Callable[..., str], files: dict[str, Path], monocypher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs what the key's owner signed, takes no upload of anybody else, and keeps running."""
    key, keys = tmp_path / "key.pem", tmp_path / "keys.h"
    command("keygen", key, "--header", keys)
    command("keygen", tmp_path / "stranger.pem")
    for name in ("larq", "qkeras"):
        monkeypatch.setitem(files, f"signed {name}", tmp_path / f"{name}.dqnn")
        command("sign", files[name], "--key", key, "-o", tmp_path / f"{name}.dqnn")
    folder = build_core(NETDUINO, tmp_path / "build", f"-DDQNN_KEYS={keys}", f"-DDQNN_MONOCYPHER={monocypher}")
    monkeypatch.setattr(emulated, "firmware_of", lambda _: folder / f"{NETDUINO}.elf")
    address = on(NETDUINO, "signed larq")
    command("sign", files["qkeras"], "--key", tmp_path / "stranger.pem", "-o", tmp_path / "foreign.dqnn")
    torn = bytearray(files["signed qkeras"].read_bytes())
    torn[-40] ^= 1  # no checksum covers the signature
    with link.connect(address) as device:
        assert device.model().name == "digits_larq"
        for refused in (files["qkeras"].read_bytes(), (tmp_path / "foreign.dqnn").read_bytes(), bytes(torn)):
            with pytest.raises(link.DeviceRefused, match="signature"):
                device.load(refused)
            assert device.model().name == "digits_larq"
        assert device.load(files["signed qkeras"].read_bytes()).name == "digits_qkeras"
        device.confirm()
        device.reset()
        assert device.model().name == "digits_qkeras"
    monkeypatch.setitem(files, "unsigned", files["larq"])
    with link.connect(on(NETDUINO, "unsigned")) as device:
        assert device.model().status == 0x29 and device.model().name == ""  # as if it had none


def test_ticks_beside_the_estimate(on: Callable[..., str], files: dict[str, Path]) -> None:
    printed = command("bench", files["larq"], "--target", on("mps2-an386"))
    for text in ("cycles (est.)", "ticks", "of est.", "(mps2-an386, cortex-m4)", "25 MHz", "same bytes as the host"):
        assert text in printed


# --- building ---------------------------------------------------------------------------------------------------------


def test_boards_that_were_not_run_build(firmware: Callable[[str], Path], repo: Path) -> None:
    """STM32F405, L475, L4R5: with the flash controller's driver, and their code fits before the model."""
    folder = firmware(NETDUINO).parent
    lines = re.findall(
        r'"(\S+) +\S+ +cortex-m4 +\S+ flash', (repo / "interpreter_c/ports/link/boards.cmake").read_text()
    )
    assert len(lines) >= 3
    for board in lines:
        symbols = subprocess.run(
            ["arm-none-eabi-nm", folder / f"{board}.elf"], capture_output=True, text=True, check=True
        ).stdout
        assert re.search(r" t on_erase$", symbols, re.MULTILINE), board
        assert "undefined" not in symbols


def test_the_discovery_board_with_a_cortex_m7_builds(firmware: Callable[[str], Path]) -> None:
    assert (firmware("mps2-an500").parent / "stm32f746-disco.elf").exists()


@pytest.mark.parametrize(
    ("target", "message"), [("qemu:an386", "accepted: qemu:mps2-an385, "), ("stm32f411", "accepted: qemu:")]
)
def test_boards_that_are_not_there(target: str, message: str) -> None:
    with pytest.raises(TargetError, match=re.escape(message)):
        emulated.find_board(target)


def test_a_machine_that_the_emulator_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated, "machines", lambda: frozenset({"none"}))
    with (
        pytest.raises(TargetError, match="has no machine mps2-an386; a newer one may"),
        emulated.running(emulated.find_board("qemu:mps2-an386"), None, "127.0.0.1", 1),
    ):
        pass


def test_a_model_that_is_too_large_for_the_board() -> None:
    with (
        pytest.raises(TargetError, match="the file has 600,000 bytes, netduinoplus2 has room for 524,288"),
        emulated.running(emulated.find_board(f"qemu:{NETDUINO}"), bytes(600_000), "127.0.0.1", 1),
    ):
        pass
