"""Files that nobody vouches for. Nothing verifies a .tflite file but our reader: cut off anywhere, changed anywhere, it
is read as a model or refused by name, in a moment and in little memory."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqnn.exporter.api import export
from dqnn.exporter.errors import ExportError, UnreadableModel
from dqnn.exporter.frontends import load, tflite
from dqnn.exporter.frontends.tflite.flatbuffer import Damaged, Source

DATA = Path(__file__).parent / "data"
SAMPLES = ("int8.tflite", "float.tflite", "mixed.tflite")
pytestmark = pytest.mark.damaged


def sample(name: str = "int8.tflite") -> bytes:
    return (DATA / name).read_bytes()


def accepted(data: bytes) -> bool:
    """Whether the model is read; False where it is refused as it should be."""
    try:
        tflite.load(data)
    except (UnreadableModel, ExportError) as error:
        assert str(error)
        return False
    return True


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_models(name: str) -> None:
    assert accepted(sample(name))
    assert load(DATA / name).name == name.removesuffix(".tflite")


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_off_at_any_length(name: str) -> None:
    data = sample(name)
    kept = [length for length in range(len(data)) if accepted(data[:length])]
    # What lies at the end may be padding, or the name of something that needs none.
    assert all(length > len(data) - 64 for length in kept), kept[:5]


@pytest.mark.parametrize(("name", "apart"), [("int8.tflite", 1), ("float.tflite", 3), ("mixed.tflite", 3)])
def test_any_byte_changed(name: str, apart: int) -> None:
    data = sample(name)
    rng = np.random.default_rng(11)
    for at in range(0, len(data), apart):
        changed = bytearray(data)
        changed[at] ^= int(rng.choice([1, 0x80, 0xFF, rng.integers(1, 256)]))
        accepted(bytes(changed))


@pytest.mark.parametrize("name", SAMPLES)
def test_numbers_changed(name: str) -> None:
    """Offsets, counts and sizes: four bytes at once, to what is large, negative, or points elsewhere."""
    data = sample(name)
    rng = np.random.default_rng(12)
    for _ in range(800):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 3))):
            number = int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**31, len(data), rng.integers(0, len(data))]))
            struct.pack_into("<I", changed, 4 * int(rng.integers(0, len(data) // 4)), number)
        accepted(bytes(changed))


def test_what_is_read_can_be_exported_or_is_refused() -> None:
    """Of changed weights, scales, options: behind the reader no pass and no verifier fails in another way."""
    data = sample()
    rng = np.random.default_rng(13)
    for _ in range(250):
        changed = bytearray(data)
        changed[int(rng.integers(8, len(data)))] ^= int(rng.integers(1, 256))
        try:
            graph = tflite.load(bytes(changed))
        except (UnreadableModel, ExportError):
            continue
        try:
            export(graph)
        except ExportError as error:
            assert str(error)


def test_random_bytes_behind_the_mark() -> None:
    rng = np.random.default_rng(14)
    for _ in range(300):
        data = rng.integers(0, 256, int(rng.integers(8, 400))).astype(np.uint8).tobytes()
        assert not accepted(data[:4] + b"TFL3" + data[8:])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "without the mark TFL3"),
        (b"TFL3", "without the mark TFL3"),
        (b"\x08\0\0\0TFL3", "the root lies outside the file"),
        (sample()[:4] + b"TFL2" + sample()[8:], "without the mark TFL3"),
    ],
)
def test_says_what_is_damaged(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(UnreadableModel, match=text) as caught:
        load(path)
    assert str(path) in str(caught.value) and "convert or download it again" in str(caught.value)


def test_export_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(sample()[:-900])
    with pytest.raises(UnreadableModel):
        export(path, tmp_path / "model.dqnn")
    assert list(tmp_path.iterdir()) == [path]


# --- bombs ------------------------------------------------------------------------------------------------------------


def table(fields: list[bytes]) -> tuple[bytes, bytes]:
    """vtable and body of a table whose fields are four bytes each."""
    vtable = struct.pack(
        f"<HH{len(fields)}H", 4 + 2 * len(fields), 4 + 4 * len(fields), *range(4, 4 + 4 * len(fields), 4)
    )
    return vtable, b"".join(fields)


def shared_vector(count: int, length: int) -> bytes:
    """A root with a vector of `count` tables that is one table, whose vector of int32 has `length` entries."""
    inner_vtable, _ = table([bytes(4)])
    root_vtable, _ = table([bytes(4)])
    out = bytearray(struct.pack("<I", 0) + root_vtable)
    root = len(out)
    out += struct.pack("<iI", root - 4, 4) + struct.pack("<I", count)
    entries = len(out)
    out += bytes(4 * count) + inner_vtable
    place = len(out)
    out += struct.pack("<iI", len(inner_vtable), 4) + struct.pack("<I", length) + bytes(4 * length)
    for i in range(count):
        struct.pack_into("<I", out, entries + 4 * i, place - (entries + 4 * i))
    struct.pack_into("<I", out, 0, root)
    return bytes(out)


def test_parts_that_lie_over_each_other() -> None:
    """A thousand tables that share one long vector are no bomb: what is read is bounded by the size of the file."""
    source = Source(shared_vector(1000, 20000))
    tables = source.root().tables(0, "part", 1 << 20)
    assert len(tables) == 1000
    with pytest.raises(Damaged, match="lie over each other"):
        for part in tables:
            part.array(0, "i")


def test_a_count_beyond_the_file() -> None:
    data = bytearray(shared_vector(4, 4))
    source = Source(bytes(data))
    assert source.root().tables(0, "part", 4)[0].array(0, "i").size == 4
    with pytest.raises(Damaged, match="it has 4 parts; at most 3"):
        source.root().tables(0, "part", 3)


def test_memory_of_refusals() -> None:
    """Changed counts make nobody allocate what they promise."""
    data = sample()
    rng = np.random.default_rng(15)
    tracemalloc.start()
    for _ in range(200):
        changed = bytearray(data)
        struct.pack_into("<I", changed, 4 * int(rng.integers(2, len(data) // 4)), int(rng.integers(1 << 20, 1 << 31)))
        accepted(bytes(changed))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20, f"{peak:,} bytes"


def with_shape(change: Callable[[bytearray, int], None]) -> bytes:
    """The int8 sample, its first input's shape (1, 6, 6, 2) changed in place."""
    data = bytearray(sample())
    change(data, data.index(struct.pack("<5i", 4, 1, 6, 6, 2)) + 4)
    return bytes(data)


@pytest.mark.parametrize(
    ("sizes", "error", "text"),
    [
        ((1, 60000, 60000, 2), UnreadableModel, "shape"),
        ((1, -6, 6, 2), UnreadableModel, "shape"),
        ((1, 0, 6, 2), UnreadableModel, "constant"),
        ((2, 6, 6, 2), ExportError, "one map"),
        ((1, 6, 6, 3), ExportError, "weights"),
        ((1, 2000, 2000, 2), ExportError, "the file says"),
    ],
)
def test_shapes(sizes: tuple[int, ...], error: type[Exception], text: str) -> None:
    data = with_shape(lambda data, at: struct.pack_into("<4i", data, at, *sizes))
    with pytest.raises(error, match=text):
        tflite.load(data)
