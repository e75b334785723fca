"""A line that loses, changes or doubles one byte in fifty, both ways: results are exact, uploads whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from link.wires import Noise, board

from dqnn import link


@pytest.mark.parametrize("seed", range(4))
def test_results_are_exact_on_a_bad_line(repo: Path, seed: int) -> None:
    folder = repo / "schema" / "golden" / "0.1.0"
    blob, data = (folder / "digits_qkeras.dqnn").read_bytes(), np.load(folder / "digits_qkeras.npz")
    noise = Noise(seed)
    with link.Device(link.Direct(noise.around(board(blob).feed))) as device:
        for image, scores in zip(data["in0"], data["out0"], strict=True):
            assert device.run([image.tobytes()], 1, runs=2) == [scores.tobytes()]
            assert len(device.node_times()) == device.model().nodes
        assert device.holds(blob)
        assert device.repeated > 50
        assert device.hello().dropped > 50
    assert noise.damaged > 200


@pytest.mark.parametrize("seed", range(2))
def test_a_model_is_replaced_on_a_bad_line(repo: Path, seed: int) -> None:
    folder = repo / "schema" / "golden" / "0.1.0"
    old, new = ((folder / f"digits_{name}.dqnn").read_bytes() for name in ("qkeras", "larq"))
    data = np.load(folder / "digits_larq.npz")
    with link.Device(link.Direct(Noise(100 + seed).around(board(old).feed))) as device:
        device.load(new)
        device.confirm()
        assert [slot.state for slot in device.slots()] == ["confirmed", "empty"]
        assert [slot.wear for slot in device.slots()] == [1, 1]  # begun once, not once per repetition
        assert device.run([data["in0"][0].tobytes()], 1) == [data["out0"][0].tobytes()]


def test_parts_grow_again_when_the_line_is_good(repo: Path) -> None:
    blob = (repo / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn").read_bytes()
    noise = Noise(7)
    machine = board(blob)
    sizes: list[int] = []

    def feed(data: bytes) -> bytes:
        sizes.append(len(data))
        return noise.around(machine.feed)(data)

    with link.Device(link.Direct(feed)) as device:
        image = bytes(28 * 28 * 4)
        device.write_input(0, image)
        assert max(sizes[-20:]) < 100
        noise.rate = 0
        sizes.clear()
        for _ in range(3):
            device.write_input(0, image)
        assert max(sizes) > 1000
