"""Firmware that clang compiled (armclang and Arm's LLVM toolchain are the same compiler) gives the bytes that gcc's
gives: the example models and a number of calls of every kernel, with the assembly of a Cortex-M4 and the vectors of a
Cortex-M55."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dqnn
from dqnn import Interpreter
from dqnn.exporter.targets import firmware
from dqnn.exporter.targets.emulated import QEMU, QemuRunner

from .kernel_files import blob, bundles, inputs, random_cases
from .test_boards import LARGE, MODELS, board

pytestmark = pytest.mark.qemu
HERE = Path(__file__).resolve().parent
BOARDS = {"mps2-an386": "portable", "mps3-an547": "mve"}


@pytest.fixture(scope="module", params=BOARDS)
def machines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], str]
) -> tuple[QemuRunner, QemuRunner]:
    """The same board with clang's firmware and with gcc's."""
    require_tool("clang")
    theirs = board(QEMU + request.param)
    folder = tmp_path_factory.mktemp(request.param)
    port = firmware.SOURCES / "ports" / theirs.board.port.directory
    options = [
        f"-DDQNN_BOARD={theirs.board.name}",
        f"-DCMAKE_TOOLCHAIN_FILE={HERE / 'clang.cmake'}",
        f"-DCORE={theirs.board.core}",
        "-DDQNN_WERROR=ON",
    ]
    for command in (["-G", "Ninja", "-S", str(port), "-B", str(folder), *options], ["--build", str(folder)]):
        done = subprocess.run(["cmake", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return dataclasses.replace(theirs, firmware=folder / firmware.FIRMWARE), theirs


@pytest.mark.parametrize("model", MODELS)
def test_example_models(machines: tuple[QemuRunner, QemuRunner], model: str, digits: Path) -> None:
    file = dqnn.export(digits / f"digits_{model}.h5").blob
    stored = Interpreter(file).to_stored(np.load(digits / "digits_test.npz")["x"][:5])
    ours, theirs = (machine.run(file, stored) for machine in machines)
    assert ours.outputs[0].tobytes() == theirs.outputs[0].tobytes()
    assert ours.outputs[0].tobytes() == Interpreter(file).predict(stored[0], raw=True).tobytes()


def test_kernels(machines: tuple[QemuRunner, QemuRunner]) -> None:
    """Best variants, then those over the core's own instructions."""
    ours, _ = machines
    isa = BOARDS[ours.board.name]
    seen = set()
    for bundle in bundles(random_cases(11, 2), *LARGE):
        for machine in (ours, dataclasses.replace(ours, isas=("portable",))):
            outputs = machine.run(blob(bundle, isa), inputs(bundle)).outputs
            for case, output in zip(bundle.cases, outputs, strict=True):
                assert output.tobytes() == case.expected, f"{machine.isas}: {case.kernel.name} {case.params}"
        seen |= {case.kernel.name for case in bundle.cases}
    assert len(seen) >= 92
