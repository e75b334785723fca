"""Model files that nobody vouches for: whatever a file names outside itself, or claims to be, is refused by name before
anything of it is read, and nothing in it is run. One test for each trick."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from frontends.keras.handmade import input_layer, layer, sequential, write_h5, write_keras

from dqnn.exporter.errors import ExportError, UnreadableModel
from dqnn.exporter.frontends import load, read_model
from dqnn.exporter.frontends.keras.hdf5 import SMALL

DENSE = sequential(input_layer(4), layer("Dense", "d", units=3, use_bias=False))
KERNEL = np.arange(12, dtype=np.float32).reshape(4, 3)
ARRAY = "model_weights/d/d/kernel:0"
Change = Callable[[h5py.File, str], None]


def model_h5(path: Path, change: Change | None = None) -> Path:
    """A Dense layer's `.h5`, its kernel changed by `change(file, name of the kernel)`."""
    write_h5(path, DENSE, {"d": [("d/kernel:0", KERNEL)]})
    with h5py.File(path, "r+") as file:
        if change is not None:
            change(file, ARRAY)
    return path


def model_keras(path: Path, change: Change | None = None, method: int = zipfile.ZIP_STORED) -> Path:
    """The same as an archive; `change` works on the HDF5 file inside."""
    write_keras(path, DENSE, {"layers/dense": [KERNEL]})
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if change is not None:
        content = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(content, "r+") as file:
            change(file, "layers/dense/vars/0")
        parts["model.weights.h5"] = content.getvalue()
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def refused(path: Path, *texts: str) -> None:
    with pytest.raises(UnreadableModel) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path))
    for text in (*texts, "accepted"):
        assert text in message, message


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file of the machine that a model must not be able to read."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.full((4, 3), 42, np.float32)
    (tmp_path / "secret.bin").write_bytes(np.full((4, 3), 42, np.float32).tobytes())
    return tmp_path / "other.h5"


# --- other files ------------------------------------------------------------------------------------------------------


def external_link(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.ExternalLink("other.h5", "secret")


def external_group(file: h5py.File, name: str) -> None:
    """The link stands for a group above the array."""
    group, _, _ = name.rpartition("/")
    del file[group]
    file[group] = h5py.ExternalLink("other.h5", "/")


def soft_to_external(file: h5py.File, name: str) -> None:
    """A soft link whose way leads over an external one."""
    del file[name]
    file["elsewhere"] = h5py.ExternalLink("other.h5", "/")
    file[name] = h5py.SoftLink("/elsewhere/secret")


def external_storage(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_dataset(name, (4, 3), np.float32, external=[("secret.bin", 0, 48)])


def virtual(file: h5py.File, name: str) -> None:
    del file[name]
    layout = h5py.VirtualLayout((4, 3), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "secret", (4, 3))
    file.create_virtual_dataset(name, layout)


OTHER_FILES = [
    (external_link, "external link"),
    (external_group, "external link"),
    (soft_to_external, "elsewhere is an external link"),
    (external_storage, "is stored in secret.bin"),
    (virtual, "virtual dataset"),
]


@pytest.mark.parametrize(("change", "text"), OTHER_FILES, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("write", [model_h5, model_keras])
def test_other_files_are_not_read(
    write: Any, change: Change, text: str, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names in an archive's inner file are relative to it
    path = write(tmp_path / f"model.{'h5' if write is model_h5 else 'keras'}", change)
    refused(path, text, "reads another file", "within the file")


def test_other_files_are_not_even_opened(tmp_path: Path) -> None:
    """A link to a pipe would wait for ever."""
    os.mkfifo(tmp_path / "other.h5")
    code = f"from dqnn.exporter.frontends import load; load({str(model_h5(tmp_path / 'm.h5', external_link))!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "external link" in done.stderr


def test_links_of_an_unknown_kind(tmp_path: Path) -> None:
    """HDF5 lets programs define link types of their own: their number stands in the file."""
    path = model_h5(tmp_path / "m.h5", external_link)
    content = path.read_bytes()
    message = content.index(b"\x00other.h5\x00secret\x00")
    # The link's type (64, external) stands in front of its name and the length of the target.
    at = content.rindex(b"\x40", 0, message)
    path.write_bytes(content[:at] + b"\x50" + content[at + 1 :])
    refused(path, "a link of type 80")


def test_links_within_the_file(tmp_path: Path) -> None:
    def soft(file: h5py.File, name: str) -> None:
        file["arrays/kernel"] = file[name][()]
        del file[name]
        file["here"] = h5py.SoftLink("/arrays")
        file[name] = h5py.SoftLink("/here/kernel")

    def hard(file: h5py.File, name: str) -> None:
        file["model_weights/again"] = file["model_weights"]  # a circle
        file["copy"] = file[name]

    for change in (soft, hard):
        graph = load(model_h5(tmp_path / "m.h5", change))
        np.testing.assert_array_equal(graph.nodes[0].op.weights.codes, KERNEL.T)


@pytest.mark.damaged
def test_links_in_a_circle(tmp_path: Path) -> None:
    def circle(file: h5py.File, name: str) -> None:
        del file[name]
        file[name] = h5py.SoftLink(f"/{name}")

    with pytest.raises(UnreadableModel, match="damaged"):
        load(model_h5(tmp_path / "m.h5", circle))


# --- sizes ------------------------------------------------------------------------------------------------------------

HUGE = (50_000, 60_000)  # 12 GB of float32


def unwritten_chunks(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_dataset(name, HUGE, np.float32, chunks=(1000, 1000))


def unwritten(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_dataset(name, HUGE, np.float32)


def small_unwritten(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_dataset(name, (4, 3), np.float32)


def zeros_in_gzip(file: h5py.File, name: str) -> None:
    """Honest gzip, a thousand times smaller than what it holds."""
    del file[name]
    data = file.create_dataset(name, (40, 1 << 20), np.float32, chunks=(1, 1 << 20), compression="gzip")
    for row in range(40):
        data[row] = 0


def inflating_chunk(file: h5py.File, name: str) -> None:
    """A chunk of 48 bytes that inflates to 64 MB."""
    import zlib

    del file[name]
    data = file.create_dataset(name, (4, 3), np.float32, chunks=(4, 3), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(64 << 20)))


def huge_chunk(file: h5py.File, name: str) -> None:
    """A small array, cut out of a chunk of 400 MB."""
    del file[name]
    file.create_dataset(
        name, (4, 3), np.float32, maxshape=(None, None), chunks=(10_000, 10_000), compression="gzip", fillvalue=1
    )


def other_filter(file: h5py.File, name: str) -> None:
    """HDF5 would load a plugin for an unknown filter; lzf comes with h5py."""
    del file[name]
    file.create_dataset(name, data=KERNEL, compression="lzf", chunks=(4, 3))


def texts(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = np.full((4, 3), "text", object)


SIZES = [
    (unwritten_chunks, "claims 12,000,000,000 bytes"),
    (unwritten, "claims 12,000,000,000 bytes"),
    (small_unwritten, "0 of its 48 bytes"),
    (zeros_in_gzip, "claims 167,772,160 bytes"),
    (inflating_chunk, "inflates to more"),
    (huge_chunk, "chunks of 400,000,004 bytes"),
    (other_filter, "HDF5 filters"),
    (texts, "no array of numbers"),
]


@pytest.mark.parametrize(("change", "text"), SIZES, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("write", [model_h5, model_keras])
def test_arrays_that_claim_more_than_there_is(write: Any, change: Change, text: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"model.{'h5' if write is model_h5 else 'keras'}", change)
    assert path.stat().st_size < 1 << 20
    refused(path, text)


def test_the_same_array_many_times(tmp_path: Path) -> None:
    """Every layer's array is the same one by links: in all, too much."""
    names = [f"d{i}" for i in range(200)]
    model = sequential(input_layer(4), *(layer("Dense", name, units=1, use_bias=False) for name in names))
    path = write_h5(tmp_path / "m.h5", model)
    with h5py.File(path, "r+") as file:
        shared = file.create_dataset("shared", data=np.zeros(1 << 17, np.float32))
        for name in names:
            group = file["model_weights"].create_group(name)
            group.attrs["weight_names"] = [b"kernel:0"]
            group["kernel:0"] = shared
    refused(path, "claims 524,288 bytes")


def test_many_long_texts(tmp_path: Path) -> None:
    """Texts without a fixed length may all be the same one, so many names could be many times the file."""
    path = model_h5(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights/d"].attrs["weight_names"]
        file["model_weights/d"].attrs["weight_names"] = ["d/kernel:0"] * 4000
        file["padding"] = np.zeros(1 << 20, np.uint8)
    refused(path, "4,000 texts")


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"compression": "gzip", "shuffle": True}])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("chunks", [(4, 3), (3, 2)])
def test_compressed_arrays(options: dict[str, Any], checksum: bool, chunks: tuple[int, int], tmp_path: Path) -> None:
    """What h5repack makes of a model is read."""

    def change(file: h5py.File, name: str) -> None:
        del file[name]
        file.create_dataset(name, data=KERNEL, chunks=chunks, fletcher32=checksum, **options)

    for path in (model_h5(tmp_path / "m.h5", change), model_keras(tmp_path / "m.keras", change)):
        np.testing.assert_array_equal(load(path).nodes[0].op.weights.codes, KERNEL.T)


def test_zeros_that_are_there(tmp_path: Path) -> None:
    """A file that really is that large may hold nothing but zeros, and a small one may unpack to SMALL bytes."""

    def change(file: h5py.File, name: str) -> None:
        del file[name]
        file.create_dataset(name, data=np.zeros((4, 1 << 20), np.float32), compression="gzip")

    assert SMALL >= 4 << 22
    model = sequential(input_layer(4), layer("Dense", "d", units=1 << 20, use_bias=False))
    path = write_h5(tmp_path / "m.h5", model, {"d": [("d/kernel:0", KERNEL)]})
    with h5py.File(path, "r+") as file:
        change(file, ARRAY)
    assert load(path).types[load(path).outputs[0]].elements == 1 << 20


# --- archives ---------------------------------------------------------------------------------------------------------


def archive(path: Path, method: int = zipfile.ZIP_DEFLATED, **parts: bytes) -> Path:
    """Parts of a .keras archive: config, weights, metadata."""
    names = {"config": "config.json", "weights": "model.weights.h5", "metadata": "metadata.json"}
    with zipfile.ZipFile(path, "w", method) as file:
        for part, data in parts.items():
            file.writestr(names[part], data)
    return path


def test_parts_that_unpack_to_gigabytes(tmp_path: Path) -> None:
    plain = json.dumps(DENSE).encode()
    spaces = plain + b" " * (1 << 25)
    refused(archive(tmp_path / "a.keras", config=spaces), f"config.json unpacks to {len(spaces):,}")
    refused(archive(tmp_path / "b.keras", config=plain, metadata=spaces, weights=b""), "metadata.json unpacks to")
    weights = bytes(SMALL + 1)
    refused(archive(tmp_path / "c.keras", config=plain, weights=weights), "model.weights.h5 unpacks to 67,108,865")


@pytest.mark.damaged
def test_parts_that_lie_about_their_size(tmp_path: Path) -> None:
    """A part that says 100 bytes and unpacks to many more: no more than 100 are unpacked, and its checksum is wrong."""
    path = archive(tmp_path / "m.keras", config=json.dumps(DENSE).encode(), weights=bytes(1 << 26))
    content = bytearray(path.read_bytes())
    size = (1 << 26).to_bytes(4, "little")
    while size in content:
        at = content.index(size)
        content[at : at + 4] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableModel, match="damaged"):
        read_model(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KB


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings(method: int, tmp_path: Path) -> None:
    """Python unpacks these as a whole, whatever was asked for."""
    refused(archive(tmp_path / "m.keras", method, config=json.dumps(DENSE).encode()), "packed by method")


def test_deflated_archives_are_read(tmp_path: Path) -> None:
    path = model_keras(tmp_path / "m.keras", method=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(load(path).nodes[0].op.weights.codes, KERNEL.T)


def test_long_configuration_of_an_h5_file(tmp_path: Path) -> None:
    path = model_h5(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(DENSE) + " " * (1 << 25)
    refused(path, "the configuration has")


# --- configurations that ask for too much -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entries",
    [
        [input_layer(100_000, 1000, 10)],
        [input_layer(8), layer("RepeatVector", "r", n=10**9)],
        [input_layer(8, 8, 3), layer("UpSampling2D", "u", size=[10_000, 10_000])],
        [input_layer(8, 8, 3), layer("ZeroPadding2D", "z", padding=10**5)],
    ],
    ids=["input", "repeat", "upsampling", "padding"],
)
def test_tensors_beyond_every_device(entries: list[Any], tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", sequential(*entries, layer("ReLU", "end")))
    with pytest.raises(ExportError, match="at most 67,108,864") as caught:
        load(path)
    assert len(caught.value.problems) == 1
