"""examples/camera: an image comes line by line, on this machine and on an emulated board, and is classified as a whole
image is; layers run before the last line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dqnn
from dqnn.exporter.targets import firmware

NUMBERS = (7, 12, 100)
SAMPLES = (1 / 128, -1.0)
PC_SECONDS = 60
BOARD = "mps2-an386"


@pytest.fixture(scope="module")
def workdir(repo: Path, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, fed by rows, and some images."""
    folder = tmp_path_factory.mktemp("camera")
    dqnn.export(digits / "digits_qkeras.h5", folder / "digits.dqnn", input_u8=SAMPLES, rows="least", feed_rows=True)
    for number in NUMBERS:
        command = [sys.executable, str(repo / "examples" / "camera" / "digit.py"), str(number), f"{number}.pgm"]
        subprocess.run(command, cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def expected(digits: Path) -> list[int]:
    x = np.load(digits / "digits_test.npz")["x"][list(NUMBERS)]
    whole = dqnn.export(digits / "digits_qkeras.h5")
    return [int(i) for i in np.asarray(dqnn.Interpreter(whole.blob).predict(x)).argmax(axis=-1)]


def build(source: Path, folder: Path, *options: str) -> None:
    subprocess.run(["cmake", "-S", source, "-B", folder, "-G", "Ninja", *options], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", folder], check=True, capture_output=True)


@pytest.fixture(scope="module")
def on_pc(repo: Path, workdir: Path, require_tool: Callable[[str], str]) -> Callable[[str], str]:
    for tool in ("cmake", "ninja", "cc"):
        require_tool(tool)
    build(repo / "examples" / "camera", workdir / "pc")

    def run(image: str, model: str = "digits.dqnn") -> str:
        command = [str(workdir / "pc" / "camera"), model, image]
        return subprocess.run(
            command, cwd=workdir, capture_output=True, text=True, timeout=PC_SECONDS, check=False
        ).stdout

    return run


def check(said: str, number: int) -> None:
    found = re.fullmatch(r"class (\d+); the first layer ran after line (\d+) of 28\n", said)
    assert found is not None, said
    assert int(found[1]) == number
    assert 3 <= int(found[2]) <= 14, "half of the image is enough to begin"


def test_on_this_machine(on_pc: Callable[[str], str], expected: list[int]) -> None:
    for number, wanted in zip(NUMBERS, expected, strict=True):
        check(on_pc(f"{number}.pgm"), wanted)


def test_what_goes_wrong_is_said(on_pc: Callable[..., str], workdir: Path, digits: Path) -> None:
    image = (workdir / "7.pgm").read_bytes()
    (workdir / "short.pgm").write_bytes(image[:-1])
    (workdir / "wide.pgm").write_bytes(image.replace(b"28 28", b"14 56"))
    dqnn.export(digits / "digits_qkeras.h5", workdir / "whole.dqnn", input_u8=SAMPLES)
    assert on_pc("none.pgm") == "the image cannot be opened\n"
    assert on_pc("short.pgm") == "the image ends before its last line\n"
    assert on_pc("wide.pgm").startswith("the image is no P5 or P6 file of the size")
    assert "is not fed by rows" in on_pc("7.pgm", "whole.dqnn")


@pytest.mark.qemu
def test_on_an_emulated_board(
    repo: Path, workdir: Path, expected: list[int], require_tool: Callable[[str], str]
) -> None:
    """The lines come over semihosting."""
    for tool in ("cmake", "ninja", "arm-none-eabi-gcc", "qemu-system-arm"):
        require_tool(tool)
    camera = repo / "examples" / "camera" / "camera.c"
    build(
        repo / "interpreter_c" / "ports" / "qemu_mps2",
        workdir / "m4",
        f"-DDQNN_BOARD={BOARD}",
        f"-DDQNN_RUNNER={camera}",
    )
    address = firmware.boards()[BOARD].model_address
    for number, wanted in zip(NUMBERS, expected, strict=True):
        command = [
            "qemu-system-arm", "-machine", BOARD, "-display", "none", "-monitor", "none", "-serial", "null",
            "-kernel", "m4/firmware.elf", "-device", f"loader,file=digits.dqnn,addr={address:#x},force-raw=on",
            "-chardev", "stdio,id=console",
            "-semihosting-config", f"enable=on,target=native,chardev=console,arg=camera,arg={number}.pgm",
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=workdir, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        check(done.stdout, wanted)
