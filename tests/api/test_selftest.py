"""Samples that a file keeps with their outputs (`--selftest`), and what a device makes of them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from link.wires import board

import dqnn
from dqnn import link
from dqnn.exporter.blob import parse
from dqnn.exporter.cli import main
from dqnn.exporter.samples.arrays import SampleError


@pytest.fixture(scope="module")
def images(digits: Path) -> Any:
    return np.load(digits / "digits_test.npz")["x"]


def device_with(blob: bytes) -> link.Device:
    return link.Device(link.Direct(board(blob, slot=1 << 17, memory=1 << 17).feed))


def sealed(blob: bytes) -> bytes:
    """With right checksums."""
    head = bytearray(blob[:60])
    struct.pack_into("<I", head, 16, zlib.crc32(blob[64:]))
    return bytes(head) + struct.pack("<I", zlib.crc32(head)) + blob[64:]


@pytest.mark.parametrize("name", ["larq", "qkeras"])
def test_a_device_passes_them(name: str, digits: Path, images: Any) -> None:
    plain = dqnn.export(digits / f"digits_{name}.h5").blob
    tested = dqnn.export(digits / f"digits_{name}.h5", selftest=images[:3]).blob
    stored = dqnn.Interpreter(plain).to_stored(images[:3])[0].nbytes + 3 * 10 * 4
    assert parse(tested).self_tests == 3 and parse(plain).self_tests == 0
    assert stored <= len(tested) - len(plain) <= stored + 400
    assert parse(tested).prefix.arena_bytes == parse(plain).prefix.arena_bytes
    expected = dqnn.Interpreter(plain).predict(images[:20])
    assert dqnn.Interpreter(tested).predict(images[:20]).tobytes() == expected.tobytes()
    with device_with(plain) as device:
        assert device.load(tested).status == 0
        device.confirm()


def test_a_device_that_computes_otherwise_refuses_the_file(digits: Path, images: Any) -> None:
    """Stood for by a file that expects something else, in each byte of an output."""
    plain, blob = (dqnn.export(digits / "digits_larq.h5", selftest=s).blob for s in (None, images[:1]))
    expected = dqnn.Interpreter(blob).predict(images[:1]).tobytes()
    assert blob.count(expected) == 1
    with device_with(plain) as device:
        for byte in (0, 17, len(expected) - 1):
            changed = bytearray(blob)
            changed[blob.find(expected) + byte] ^= 1
            with pytest.raises(link.DeviceRefused, match="self_test"):
                device.load(sealed(bytes(changed)))
        assert device.holds(plain)


def test_both_ways_write_the_same_file(digits: Path, images: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", x=images[:2])
    arguments = ["export", digits / "digits_larq.h5", "-o", tmp_path / "m.dqnn", "--selftest", tmp_path / "samples.npz"]
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    expected = dqnn.export(digits / "digits_larq.h5", selftest=images[:2]).blob
    assert (tmp_path / "m.dqnn").read_bytes() == expected
    assert dqnn.export(digits / "digits_larq.h5", selftest=tmp_path / "samples.npz").blob == expected
    assert "self-tests: 2" in CliRunner().invoke(main, ["inspect", str(tmp_path / "m.dqnn")]).output


@pytest.mark.damaged
def test_refusals(digits: Path, images: Any, tmp_path: Path) -> None:
    model, output = digits / "digits_larq.h5", tmp_path / "m.dqnn"
    for samples, message in (
        (np.repeat(images[:1], 65, 0), "65 samples for self-tests, which a device stores: give 64 at most"),
        (images[:2, :5], "has shape"),
        (images[:0], "at least one"),
        (tmp_path / "none.npz", "no such file"),
    ):
        with pytest.raises(SampleError, match=message):
            dqnn.export(model, output, selftest=samples)
    assert not output.exists()
    (tmp_path / "samples.npz").write_bytes(b"precious")
    arguments = ["export", model, "-o", tmp_path / "samples.npz", "--selftest", tmp_path / "samples.npz"]
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 2 and "give the output another name" in done.output
    assert (tmp_path / "samples.npz").read_bytes() == b"precious"
