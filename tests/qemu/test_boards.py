"""The emulated boards give the host's bytes: the example models, and every kernel in every variant the board has."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from c import make_blobs
from passes.graph_builder import BYTE, Builder, byte_weights

import dqnn
from dqnn import Interpreter
from dqnn.exporter.bench.measure import measure_model
from dqnn.exporter.emit.writer import write
from dqnn.exporter.ir import ops
from dqnn.exporter.options import DEFAULTS
from dqnn.exporter.passes import run_pipeline
from dqnn.exporter.targets import firmware
from dqnn.exporter.targets.boards import TargetError
from dqnn.exporter.targets.emulated import QEMU, QemuRunner
from dqnn.exporter.targets.fit import STACK_BYTES
from dqnn.exporter.targets.host import HostRunner
from dqnn.exporter.targets.runner import RefusedError
from dqnn.exporter.targets.target import find_target, run_on_target

from .kernel_files import Bundle, blob, bundles, inputs, random_cases

pytestmark = pytest.mark.qemu
M4, M55 = "qemu:mps2-an386", "qemu:mps3-an547"
BOARDS = [QEMU + name for name in firmware.boards()]
MODELS = ("larq", "qkeras")
RUNNER_FRAME = 128
# The smallest board leaves 11 KB to the interpreter and 136 KB to the file.
SMALL = {"qemu:microbit": (8000, 80_000)}
LARGE = (1_000_000, 4_000_000)


def board(name: str) -> QemuRunner:
    """A board whose tools are there (those of the Cortex-M boards always are, see conftest.py)."""
    found = find_target(name).runner
    assert isinstance(found, QemuRunner)
    if shutil.which(found.board.port.compiler) is None or shutil.which(found.board.port.emulator) is None:
        pytest.skip(f"{found.board.port.compiler} or {found.board.port.emulator} is not installed")
    return dataclasses.replace(found, timeout=240)


@pytest.fixture(scope="module")
def blobs(digits: Path) -> dict[str, bytes]:
    return {name: dqnn.export(digits / f"digits_{name}.h5").blob for name in MODELS}


@pytest.fixture(scope="module")
def images(digits: Path) -> np.ndarray:
    return np.asarray(np.load(digits / "digits_test.npz")["x"])


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("model", MODELS)
def test_digits(name: str, model: str, blobs: dict[str, bytes], images: np.ndarray) -> None:
    samples = images[:20] if name == M4 else images[:3]
    interpreter = Interpreter(blobs[model])
    stored = interpreter.to_stored(samples)
    result = board(name).run(blobs[model], stored)
    assert result.outputs[0].tobytes() == interpreter.predict(stored[0], raw=True).tobytes()
    stats = result.stats
    assert stats.samples == len(samples)
    assert 0 < (stats.arena_touched or 0) <= stats.arena_bytes == interpreter.arena_bytes
    assert stats.memory_bytes == stats.arena_bytes + stats.state_bytes
    assert stats.state_bytes < 32 * len(interpreter.nodes)
    assert 0 < (stats.stack_invoke or 0) < 2048 and 0 < (stats.stack_init or 0) < 2048


@pytest.mark.parametrize("model", MODELS)
def test_the_report_says_what_the_board_uses(model: str, blobs: dict[str, bytes], images: np.ndarray) -> None:
    """The firmware paints arena and stack before each inference. What it finds touched is the peak of the analysis,
    the interpreter's state is the one that the analysis states for 32-bit cores, the stack within its budget and the
    frame of the runner, which is measured with it (tests/footprint has the interpreter's alone)."""
    analysis = dqnn.analyze(blobs[model])
    stats = board(M4).run(blobs[model], Interpreter(blobs[model]).to_stored(images[:2])).stats
    assert stats.arena_touched == max(live.total for live in analysis.live)
    assert stats.arena_bytes == analysis.arena_bytes == -(-(stats.arena_touched or 0) // 16) * 16
    assert stats.state_bytes == analysis.state_bytes and stats.memory_bytes == analysis.ram_bytes
    assert max(stats.stack_init or 0, stats.stack_invoke or 0) <= STACK_BYTES + RUNNER_FRAME


def test_one_firmware_runs_all_models(blobs: dict[str, bytes], images: np.ndarray) -> None:
    m4 = board(M4)
    elf = firmware.build_firmware(m4.board)
    before = (elf.stat().st_mtime_ns, elf.stat().st_ino, hashlib.sha256(elf.read_bytes()).hexdigest())
    for model in MODELS:
        real = run_on_target(blobs[model], M4, images[:2])
        np.testing.assert_array_equal(real, Interpreter(blobs[model]).predict(images[:2]))
    assert firmware.build_firmware(m4.board) == elf
    assert before == (elf.stat().st_mtime_ns, elf.stat().st_ino, hashlib.sha256(elf.read_bytes()).hexdigest())


def test_several_inputs_and_outputs() -> None:
    file = make_blobs.floats()
    interpreter = Interpreter(make_blobs.blob(file))
    x = np.random.default_rng(0).normal(0, 1, (7, 8))
    got = run_on_target(make_blobs.blob(file), M4, x)
    expected = interpreter.predict(x)
    assert isinstance(expected, dict) and got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name])


def test_no_samples() -> None:
    result = board(M4).run(make_blobs.blob(make_blobs.floats()), [np.empty((0, 8), np.float32)])
    assert [output.shape for output in result.outputs] == [(0, 2, 4), (0, 2, 4)]


# --- kernels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_every_kernel(name: str) -> None:
    """Best variants, then the reference alone: all give the bytes of the specification."""
    machine = board(name)
    seen: set[str] = set()
    for bundle, file in kernel_files(SMALL.get(name, LARGE)):
        for isas in ((), ("ref",)):
            compare(dataclasses.replace(machine, isas=isas), bundle, file)
        seen |= {case.kernel.name for case in bundle.cases}
    assert len(seen) >= (80 if name in SMALL else 92)


@cache
def kernel_files(limits: tuple[int, int]) -> list[tuple[Bundle, bytes]]:
    """The same for all boards of a size: the numpy oracle takes longer than the boards."""
    cases = random_cases(7, 2 if limits in SMALL.values() else 5)
    return [(bundle, blob(bundle)) for bundle in bundles(cases, *limits)]


def compare(machine: QemuRunner, bundle: Bundle, file: bytes) -> None:
    outputs = machine.run(file, inputs(bundle)).outputs
    for case, output in zip(bundle.cases, outputs, strict=True):
        assert output.tobytes() == case.expected, f"{machine.name} {machine.isas}: {case.kernel.name} {case.params}"


# --- figures ----------------------------------------------------------------------------------------------------------


def test_profile(blobs: dict[str, bytes], images: np.ndarray) -> None:
    interpreter = Interpreter(blobs["larq"])
    stored = interpreter.to_stored(images[:1])
    stats = dataclasses.replace(board(M4), profile=True).run(blobs["larq"], stored).stats
    assert [node.kernel for node in stats.nodes] == [node.kernel for node in interpreter.nodes]
    assert stats.nodes[0].layer == interpreter.nodes[0].layer
    counted = dataclasses.replace(board(M4), count_instructions=True).run(blobs["larq"], stored).stats
    assert counted.instructions is not None and stats.instructions is not None
    assert 0.9 < sum(node.instructions for node in stats.nodes) / counted.instructions < 1.1


def test_profile_sums_up_calls_of_some_rows() -> None:
    """Nodes of strips run several times in each sample."""
    builder, rng = Builder((32, 8, 16)), np.random.default_rng(0)
    value = builder.add(BYTE)
    for _ in range(3):
        op = ops.DepthwiseConv2D(byte_weights(rng, 3, 3, 16, 1), padding=((1, 1), (1, 1)))
        value = builder.add(BYTE, builder.add(op, value))
    written = write(run_pipeline(builder.graph(), DEFAULTS).graph, producer="", rows="least")
    interpreter = Interpreter(written.blob)
    kernels = [node.kernel for node in interpreter.nodes]
    assert written.memory.segments and len(kernels) > 2
    machine = dataclasses.replace(board(M55), profile=True, count_instructions=True)
    stored = [np.zeros((2, *info.stored_shape), info.stored_dtype) for info in interpreter.inputs]
    assert [node.kernel for node in machine.run(written.blob, stored).stats.nodes] == kernels
    cost = measure_model(written.blob, find_target("cortex-m55"))
    assert [node.kernel for node in cost.nodes] == kernels
    assert cost.equal_to_host and all(node.instructions > 100 for node in cost.nodes)


def test_counting_is_repeatable(blobs: dict[str, bytes], images: np.ndarray) -> None:
    machine = dataclasses.replace(board(M4), count_instructions=True)
    stored = Interpreter(blobs["larq"]).to_stored(images[:1])
    counts = {machine.run(blobs["larq"], stored).stats.instructions for _ in range(2)}
    assert max(counts) - min(counts) <= 100  # type: ignore[type-var, operator]


# --- refusals ---------------------------------------------------------------------------------------------------------


def sealed(file: bytes | bytearray) -> bytes:
    """With both checksums right again, so that the damage is found by the checks behind them."""
    payload = file[64:]
    prefix = bytes(file[:16]) + struct.pack("<I", zlib.crc32(payload)) + bytes(file[20:60])
    return prefix + struct.pack("<I", zlib.crc32(prefix)) + bytes(payload)


def damaged(good: bytes, seed: int) -> bytes:
    """One to three bytes of the payload changed."""
    rng = np.random.default_rng(seed)
    bad = bytearray(good)
    for _ in range(rng.integers(1, 4)):
        bad[rng.integers(64, len(bad))] = rng.choice([0, 1, 2, 127, 128, 255, int(rng.integers(256))])
    return sealed(bad)


def test_truncated_files() -> None:
    """A board does not know how long the file is: behind its end lies something else, which the checksum shows."""
    good = make_blobs.blob(make_blobs.bits())
    for size, status in ((0, "magic"), (60, "checksum"), (64, "checksum"), (len(good) - 40, "checksum")):
        with pytest.raises(RefusedError) as caught:
            board(M4).run(good[:size], [np.zeros((1, 5, 5, 35), np.int8)])
        assert caught.value.status == status


@pytest.mark.parametrize("file", [make_blobs.bits, make_blobs.floats], ids=["bits", "floats"])
def test_hostile_files(file: Callable[[], make_blobs.File]) -> None:
    """Damage gives the status and place that the host gives; what both accept gives the same bytes. Never a crash."""
    machine, good = board(M4), make_blobs.blob(file())
    verdicts = set()
    for seed in range(40):
        bad = damaged(good, seed)
        try:
            interpreter = Interpreter(bad)
        except dqnn.BlobError as error:
            with pytest.raises(RefusedError) as caught:
                machine.run(bad, [np.zeros((1, 1), np.uint8)])
            refusal = caught.value
            assert (refusal.status, refusal.node, refusal.check) == (error.status, error.node, error.check)
            verdicts.add(error.status)
        else:
            stored = interpreter.to_stored([np.ones((1, *info.shape)) for info in interpreter.inputs])
            expected = HostRunner().run(bad, stored).outputs
            for ours, theirs in zip(machine.run(bad, stored).outputs, expected, strict=True):
                assert ours.tobytes() == theirs.tobytes()
            verdicts.add("ok")
    assert len(verdicts) >= 4, verdicts


def test_refusal_names_the_node() -> None:
    file = make_blobs.floats()
    file.constants = [b"123"]
    with pytest.raises(
        RefusedError, match="status kernel_constant, check constant_bytes, node 3, kernel prelu_f32"
    ) as caught:
        board(M4).run(make_blobs.blob(file), [np.zeros((1, 8), np.float32)])
    assert (caught.value.status, caught.value.code, caught.value.node) == ("kernel_constant", 0x28, 3)


def test_too_large_for_the_board() -> None:
    file = make_blobs.floats()
    file.arena = 1 << 24
    with pytest.raises(RefusedError, match=r"needs 167[0-9]+ bytes of RAM, the board has [0-9]+ for it"):
        board(M4).run(make_blobs.blob(file), [np.zeros((1, 8), np.float32)])
    with pytest.raises(TargetError, match="has room for 16777216 beside the firmware"):
        board(M4).run(bytes(1 << 25), [])


def test_wrong_amount_of_input() -> None:
    with pytest.raises(TargetError, match="the firmware reports input_length"):
        board(M4).run(make_blobs.blob(make_blobs.floats()), [np.zeros((2, 3), np.float32)])


def test_timeout(blobs: dict[str, bytes], images: np.ndarray) -> None:
    machine = dataclasses.replace(board(M4), timeout=0.3)
    firmware.build_firmware(machine.board)
    with pytest.raises(TargetError, match=r"did not finish 100000 samples in 0\.3 s"):
        machine.run(blobs["larq"], [np.zeros((100_000, 28, 28, 1), np.float32)])


def test_unknown_targets() -> None:
    with pytest.raises(TargetError, match="no target is named 'qemu:avr'; accepted: host, qemu:microbit, "):
        find_target("qemu:avr")
    with pytest.raises(TargetError, match="no instruction set is named sse"):
        dataclasses.replace(board(M4), isas=("sse",)).run(
            make_blobs.blob(make_blobs.floats()), [np.zeros((1, 8), "f4")]
        )


def test_no_firmware(tmp_path: Path) -> None:
    elf = tmp_path / "firmware.elf"
    elf.write_bytes(b"nothing that runs")
    machine = dataclasses.replace(board(M4), firmware=elf, timeout=2)
    with pytest.raises(TargetError, match="qemu:mps2-an386"):
        machine.run(make_blobs.blob(make_blobs.floats()), [np.zeros((1, 8), np.float32)])


def test_build_failure_shows_the_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And another source means another firmware, in the cache directory that the environment names."""
    machine = board(M4)
    before = firmware.build_firmware(machine.board)
    sources = shutil.copytree(firmware.SOURCES, tmp_path / "interpreter_c")
    runner = sources / "ports" / "common" / "runner.c"
    runner.write_text("#error broken on purpose\n" + runner.read_text())
    monkeypatch.setattr(firmware, "SOURCES", sources)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said: list[str] = []
    with pytest.raises(TargetError, match=r"building the firmware for mps2-an386 failed(?s:.*)broken on purpose"):
        firmware.build_firmware(machine.board, said.append)
    assert said == ["building the firmware for mps2-an386 (only once) ..."]
    assert list((tmp_path / "cache").rglob("*.elf")) == [] and before.exists()


def test_missing_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        TargetError, match="qemu-system-arm not found; on Debian or Ubuntu: apt-get install qemu-system-arm"
    ):
        find_target(M4).run(b"", [])
    machine = find_target(M4).runner
    assert isinstance(machine, QemuRunner)
    with pytest.raises(
        TargetError, match=r"arm-none-eabi-gcc and cmake not found; .* gcc-arm-none-eabi libnewlib-arm-none-eabi cmake"
    ):
        firmware.build_firmware(machine.board)
