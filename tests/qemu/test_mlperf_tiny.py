"""examples/mlperf_tiny on emulated boards: the commands of mlcommons/tiny's runner, and what is no such command."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dqnn
from dqnn.exporter.device import emulated

pytestmark = pytest.mark.qemu
BOARDS = ("mps2-an386", "netduinoplus2")
PER_COMMAND = 31  # bytes, as the runner sends them
READY = "m-ready"


class Runner:
    """The computer's side, as far as a device can see it."""

    def __init__(self, port: int) -> None:
        for _ in range(100):
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
                break
            except OSError:
                time.sleep(0.1)
        self._lines = self._socket.makefile("r", newline="\r\n")

    def ask(self, command: str) -> list[str]:
        """What is answered before it is ready again."""
        self._socket.sendall(command.encode() + b"%")
        found = []
        while (line := self._lines.readline().strip("\r\n\0")) != READY:
            found.append(line)
        return found

    def load(self, data: bytes) -> list[str]:
        assert self.ask(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]"]
        for at in range(0, len(data), PER_COMMAND):
            answer = self.ask(f"db {data[at : at + PER_COMMAND].hex()}")
        return answer


@pytest.fixture(scope="module")
def firmware(repo: Path, tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., str]) -> Path:
    """Folder with the boards' ELFs."""
    require_tool("arm-none-eabi-gcc")
    folder = tmp_path_factory.mktemp("firmware")
    options = [f"-DDQNN_BOARDS={';'.join(BOARDS)}", f"-DDQNN_MAIN={repo / 'examples' / 'mlperf_tiny' / 'main.c'}"]
    source = emulated.SOURCES / emulated.PORT
    subprocess.run(["cmake", "-S", source, "-B", folder, *options], check=True, capture_output=True)
    done = subprocess.run(["cmake", "--build", folder, "-j", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture
def on(firmware: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`with on(board, blob) as runner`."""
    monkeypatch.setattr(emulated, "firmware_of", lambda board: firmware / f"{board.name}.elf")

    @contextmanager
    def switched_on(board: str, blob: bytes | None) -> Iterator[Runner]:
        port = emulated.free_port("127.0.0.1")
        with emulated.running(emulated.link_boards()[board], blob, "127.0.0.1", port):
            yield Runner(port)

    return switched_on


@pytest.fixture(scope="module")
def models(digits: Path) -> dict[str, bytes]:
    """By what their input is."""
    file, samples = digits / "digits_qkeras.h5", (1 / 128, -1.0)
    return {
        "samples": dqnn.export(file, name="samples", input_u8=samples).blob,
        "stored": dqnn.export(file, name="stored").blob,
        "floats": dqnn.export(file, name="floats", io_dtype="f32").blob,
    }


def bytes_of(kind: str, image: Any) -> bytes:
    """What the runner's files would hold."""
    pixels = ((image + 1) * 128).astype(np.uint8)
    return {
        "samples": pixels,
        "stored": (image * 128).astype(np.int8),
        "floats": image.astype("<f4"),
    }[kind].tobytes()


@pytest.mark.parametrize(("board", "kind"), [(BOARDS[0], "samples"), (BOARDS[0], "floats"), (BOARDS[1], "stored")])
def test_results_are_the_hosts(
    board: str, kind: str, on: Callable[..., Any], models: dict[str, bytes], digits: Path
) -> None:
    images = np.load(digits / "digits_test.npz")["x"][:2]
    expected = dqnn.Interpreter(models[kind]).predict(images)
    with on(board, models[kind]) as runner:
        assert f"m-name-dut-[{board}]" in runner.ask("name")
        assert f"m-model-[{kind}]" in runner.ask("profile")
        for image, scores in zip(images, expected, strict=True):
            assert runner.load(bytes_of(kind, image)) == ["m-load-done"]
            answer = runner.ask("infer 3 1")
            laps = [int(line.removeprefix("m-lap-us-")) for line in answer if line.startswith("m-lap-us-")]
            assert len(laps) == 2 and laps[0] < laps[1]
            assert [line for line in answer if "lap" not in line and "results" not in line] == [
                "m-warmup-start-1", "m-warmup-done", "m-infer-start-3", "m-infer-done",
            ]  # fmt: skip
            results = next(match[1] for line in answer if (match := re.fullmatch(r"m-results-\[(.*)\]", line)))
            assert np.abs(np.array(results.split(","), float) - scores).max() <= 0.00051
        first, second = (int(runner.ask("timestamp")[0].removeprefix("m-lap-us-")) for _ in range(2))
        assert laps[1] < first <= second


def test_what_is_refused_leaves_it_ready(on: Callable[..., Any], models: dict[str, bytes], digits: Path) -> None:
    image = np.load(digits / "digits_test.npz")["x"][0]
    data = bytes_of("samples", image)
    with on(BOARDS[0], models["samples"]) as runner:
        runner.ask("")
        for command, answer in (
            ("what is this", "unknown command"),
            ("db 00", "more bytes than were announced"),
            ("db load 0", "no room for so many bytes"),
            ("db load 99999999999", "no room for so many bytes"),
            ("db load 4294967300", "no room for so many bytes"),
            ("infer 1 0", "the bytes that were loaded are not those of an input"),
            ("names", "unknown command"),
            ("x" * 200, "unknown command"),
        ):
            assert runner.ask(command) == [f"e-[{answer}]"], command
        runner.ask("db load 784")
        assert runner.ask("db 0g") == ["e-[not pairs of hexadecimal digits]"]
        assert runner.ask("db 012") == ["e-[not pairs of hexadecimal digits]"]
        assert "e-[the bytes that were loaded" in runner.ask("infer 1 0")[0]  # not all of them yet
        assert runner.load(data[:100]) == ["m-load-done"]
        assert "e-[the bytes that were loaded" in runner.ask("infer 1 0")[0]  # another size
        assert runner.load(data) == ["m-load-done"]
        assert runner.ask("infer 0 0") == ["e-[no inference was asked for]"]
        assert runner.ask("infer 1 0")[-1].startswith("m-results-[")


def test_no_model(on: Callable[..., Any]) -> None:
    with on(BOARDS[0], None) as runner:
        assert "m-model-[none]" in runner.ask("profile")
        assert runner.ask("db load 4") == ["m-[Expecting 4 bytes]"]
        assert runner.ask("infer 1 0")[0].startswith("e-[")
