"""dqnn.link.Device with a device in this process: bits equal to the interpreter's, uploads, refusals, small memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from link.wires import board

from dqnn import _core, link
from dqnn.interpreter import Interpreter


@pytest.fixture(scope="module")
def golden(repo: Path) -> dict[str, tuple[bytes, Any]]:
    """Golden files with their stored inputs and outputs."""
    files = sorted((repo / "schema" / "golden" / "0.1.0").glob("*.dqnn"))
    return {file.stem: (file.read_bytes(), np.load(file.with_suffix(".npz"))) for file in files}


def connected(device: _core.Device) -> link.Device:
    return link.Device(link.Direct(device.feed))


def samples(data: Any, kind: str) -> list[list[bytes]]:
    names = sorted((name for name in data.files if name.startswith(kind)), key=lambda name: int(name[len(kind) :]))
    return [[data[name][i].tobytes() for name in names] for i in range(len(data[names[0]]))]


@pytest.mark.parametrize("name", ["digits_larq", "digits_qkeras", "elementwise", "samples", "moves", "conv"])
@pytest.mark.parametrize("frame", [128, 1024])
def test_outputs_are_those_of_the_golden_files(golden: dict[str, Any], name: str, frame: int) -> None:
    blob, data = golden[name]
    with connected(board(blob, memory=1 << 20, frame=frame)) as device:
        assert device.holds(blob)
        for inputs, outputs in zip(samples(data, "in"), samples(data, "out"), strict=True):
            assert device.run(inputs, len(outputs)) == outputs
            assert device.run(inputs, len(outputs), runs=3) == outputs


def test_traces_are_those_of_the_interpreter(golden: dict[str, Any]) -> None:
    """Whole, and in parts where the device has little memory to spare."""
    blob, data = golden["digits_qkeras"]
    interpreter = Interpreter(blob)
    interpreter.set_input(0, data["in0"][0], raw=True)
    values = [node.value.tobytes() for node in interpreter.trace(raw=True)]
    need = interpreter.memory_bytes
    for memory in (1 << 16, need + 6 * 8 + 1000, need + 6 * 8 + 100):  # inputs kept; not kept
        with connected(board(blob, memory=memory)) as device:
            inputs = [data["in0"][0].tobytes()]
            assert device.model().keeps_inputs == (memory > need + 800)
            assert [device.trace(inputs, node) for node in range(len(values))] == values


def test_no_memory_to_trace(golden: dict[str, Any]) -> None:
    blob, data = golden["digits_qkeras"]
    with (
        connected(board(blob, memory=Interpreter(blob).memory_bytes)) as device,
        pytest.raises(link.LinkError, match=r"no memory left for the .* bytes of node 2"),
    ):
        device.trace([data["in0"][0].tobytes()], 2)


def test_times_of_nodes(golden: dict[str, Any]) -> None:
    blob, data = golden["digits_larq"]
    with connected(board(blob)) as device:
        device.write_input(0, data["in0"][0].tobytes())
        total = device.invoke(5)
        times = device.node_times()
        nodes = Interpreter(blob).nodes
        assert [next(r["name"] for r in _core.kernels() if r["id"] == t.kernel) for t in times] == [
            node.kernel for node in nodes
        ]
        assert [time.isa for time in times] == [node.isa for node in nodes]
        assert 0 < sum(time.ticks for time in times) <= total


def test_life_of_a_model(golden: dict[str, Any]) -> None:
    old, new = golden["digits_larq"][0], golden["digits_qkeras"][0]
    machine = board(old)
    progress: list[tuple[int, int]] = []
    with connected(machine) as device:
        loaded = device.load(new, lambda done, total: progress.append((done, total)))
        assert (loaded.name, progress[-1]) == ("digits_qkeras", (len(new), len(new)))
        assert [slot.state for slot in device.slots()] == ["on trial", "empty"]
        machine.restart()
        assert device.holds(old)  # never confirmed
        assert [slot.state for slot in device.slots()] == ["rejected", "empty"]
        device.load(new)
        device.confirm()
        machine.restart()
        assert device.holds(new)
        device.load(old)
        assert device.rollback().name == "digits_qkeras"
        before = device.hello().requests
        assert device.reset().requests < before
        assert device.holds(new)


def test_refusals(golden: dict[str, Any]) -> None:
    old, new = golden["digits_larq"][0], golden["digits_qkeras"][0]
    broken = bytearray(new)
    broken[5000] ^= 1
    with connected(board(old)) as device:
        with pytest.raises(link.DeviceRefused, match=r"verify was refused: file is corrupt \(checksum\)") as caught:
            device.load(bytes(broken))
        assert (caught.value.status, caught.value.code, caught.value.node) == ("checksum", 0x22, None)
        assert device.holds(old)
        with pytest.raises(link.LinkError, match="the file has 65,025 bytes, a slot of direct takes 65,024"):
            device.load(new.ljust(65025, b"\0"))
        with pytest.raises(link.DeviceRefused, match="slot_no_other"):
            device.rollback()
        with pytest.raises(link.DeviceRefused, match="slot_order"):
            device.confirm()
        for wrong in (b"short", bytes(100)):
            with pytest.raises(link.LinkError, match=r"not a \.dqnn file"):
                device.load(wrong)
        assert not device.holds(new)
        with pytest.raises(link.DeviceRefused, match="no_input"):
            device.invoke()
        with pytest.raises(link.DeviceRefused, match="range"):
            device.write_input(1, b"x")


def test_a_file_for_a_larger_device(golden: dict[str, Any]) -> None:
    """What is wrong is named as the C code found it."""
    small, large = golden["digits_qkeras"][0], golden["digits_larq"][0]
    with connected(board(small, memory=3000)) as device:
        with pytest.raises(link.DeviceRefused, match="memory is smaller than the file needs"):
            device.load(large)
        assert device.holds(small)


def test_no_model(golden: dict[str, Any]) -> None:
    with connected(board(None)) as device:
        model = device.model()
        assert (_core.status(model.status)[0], model.nodes, model.name) == ("no_model", 0, "")
        assert not device.holds(golden["digits_larq"][0])
        assert device.node_times() == []
        with pytest.raises(link.DeviceRefused, match="no model is loaded"):
            device.write_input(0, b"x")
        device.load(golden["digits_larq"][0])
        assert device.holds(golden["digits_larq"][0])


def test_flash_of_another_day(golden: dict[str, Any]) -> None:
    machine = board(None)
    with connected(machine) as device:
        device.load(golden["digits_larq"][0])
        device.confirm()
        image = machine.flash()
    other = board(None)
    other.set_flash(image)
    with connected(other) as device:
        assert device.holds(golden["digits_larq"][0])
    with pytest.raises(ValueError, match="another size"):
        other.set_flash(image[1:])
    with pytest.raises(ValueError, match="do not fit together"):
        board(None, frame=64)


def test_a_device_of_another_protocol(monkeypatch: pytest.MonkeyPatch, golden: dict[str, Any]) -> None:
    import dqnn.link.device

    monkeypatch.setattr(dqnn.link.device, "PROTOCOL", 2)
    with pytest.raises(link.LinkError, match="speaks version 1 of the protocol, this is 2"):
        connected(board(golden["digits_larq"][0]))
