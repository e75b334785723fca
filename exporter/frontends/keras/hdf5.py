"""HDF5 files that nobody vouches for: nothing is read but the file itself, and no more than it can hold.

An HDF5 file may name other files: by external links, by arrays whose bytes are elsewhere, by virtual arrays. `opened`
looks at every link and every array before anything is read, and refuses such a file by the name of what it found; links
within the file stay. Its sizes are claims: an array may be declared that was never written, and a compressed chunk may
inflate to anything. `Hdf5.array` reads what is stored in full and chunks that inflate to what they should, and in all
no more than `most_bytes` of the file's size. Code in compression plugins, which HDF5 would load, is never asked for."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import UnreadableModel

Array = NDArray[Any]

SMALL = 1 << 26  # bytes that any file may unpack to
GROWTH = 64  # else so many times its size: pruned and binary weights compress by 20 to 40
FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}
CHECKSUM = 4  # bytes that fletcher32 adds to a chunk


def most_bytes(stored: int) -> int:
    """What `stored` bytes of a file may become in memory."""
    return max(SMALL, GROWTH * stored)


class Hdf5:
    """An open file: `root` is its first group; attributes and arrays are read through this. `where` begins its errors,
    `size` is that of the file that the user named."""

    def __init__(self, root: h5py.File, where: str, size: int) -> None:
        self.root = root
        self._where = where
        self._size = size
        self._left = most_bytes(size)

    def array(self, dataset: Any) -> Array:
        """The numbers of a dataset."""
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or dataset.dtype.kind not in "biuf":
            raise self._refusal(dataset, "is no array of numbers", "arrays of numbers")
        self._left -= dataset.nbytes
        if self._left < 0:
            found = f"{dataset.nbytes:,} bytes, more than a file of {self._size:,} bytes holds"
            raise self._refusal(dataset, f"claims {found}", f"{most_bytes(self._size):,} bytes in all")
        if dataset.id.get_create_plist().get_nfilters():
            self._check_chunks(dataset)
        elif dataset.id.get_storage_size() < dataset.nbytes:
            found = f"{dataset.id.get_storage_size():,} of its {dataset.nbytes:,} bytes were ever written"
            raise self._refusal(dataset, found, "arrays that are stored in full")
        return np.asarray(dataset[()])

    def _check_chunks(self, dataset: h5py.Dataset) -> None:
        """Every compressed chunk inflates to the chunk's size; HDF5 would otherwise make room for whatever comes."""
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        accepted = f"{', '.join(FILTERS.values())}, or none"
        if not set(filters) <= set(FILTERS) or len(set(filters)) < len(filters):
            raise self._refusal(dataset, f"is stored with HDF5 filters {filters}", accepted)
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize + CHECKSUM
        if chunk > most_bytes(self._size):
            raise self._refusal(dataset, f"has chunks of {chunk:,} bytes", f"{most_bytes(self._size):,} bytes in all")
        if h5py.h5z.FILTER_DEFLATE not in filters:
            return
        masked = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)
        for number in range(dataset.id.get_num_chunks()):
            mask, packed = dataset.id.read_direct_chunk(dataset.id.get_chunk_info(number).chunk_offset)
            if not mask & masked and len(zlib.decompressobj().decompress(packed, chunk + 1)) > chunk:
                raise self._refusal(dataset, f"inflates to more than its chunks of {chunk:,} bytes", accepted)

    def strings(self, owner: h5py.HLObject, key: str) -> list[str]:
        """An attribute that is a text or a list of texts, of any of HDF5's kinds of string."""
        attribute = h5py.h5a.open(owner.id, key.encode())
        each = self._size if attribute.dtype.kind == "O" else attribute.dtype.itemsize
        count = math.prod(attribute.shape or ())
        if count > 1 and count * each > most_bytes(self._size):
            found = f"has {count:,} texts of up to {each:,} bytes in its attribute {key}"
            raise self._refusal(owner, found, f"{most_bytes(self._size):,} bytes in all")
        return [text(item) for item in np.atleast_1d(owner.attrs[key])]

    def text(self, owner: h5py.HLObject, key: str, default: str = "") -> str:
        """An attribute that is a single text."""
        return self.strings(owner, key)[0] if key in owner.attrs else default

    def _refusal(self, item: Any, found: str, accepted: str) -> UnreadableModel:
        name = str(getattr(item, "name", item)).lstrip("/")
        return UnreadableModel(f"{self._where}: {name} {found}; accepted: {accepted}")


def text(value: Any) -> str:
    """A str, bytes or numpy string."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


@contextmanager
def opened(source: str | BinaryIO, where: str, size: int) -> Iterator[Hdf5]:
    """An HDF5 file, by its path or as a stream; `size` is that of the file on disk that it stands in."""
    with h5py.File(source, "r") as file:
        _refuse_other_files(file, where)
        yield Hdf5(file, where, size)


def _refuse_other_files(file: h5py.File, where: str) -> None:
    """The whole tree is looked at through low-level calls, which open nothing; a link's name may be any bytes."""
    datasets: list[bytes] = []

    def foreign(name: bytes, link: Any) -> str | None:
        if link.type == h5py.h5l.TYPE_HARD:
            datasets.append(name)
        elif link.type != h5py.h5l.TYPE_SOFT:
            kind = "an external link" if link.type == h5py.h5l.TYPE_EXTERNAL else f"a link of type {link.type}"
            return f"{_shown(name)} is {kind}"
        return None

    found = file.id.links.visit(foreign, info=True)
    for name in () if found else datasets:
        item = h5py.h5o.open(file.id, name)
        if isinstance(item, h5py.h5d.DatasetID):
            found = found or _stored_elsewhere(item, name)
    if found:
        accepted = "arrays and links within the file"
        raise UnreadableModel(f"{where}: {found}, which reads another file; accepted: {accepted}. Save the model again")


def _stored_elsewhere(dataset: h5py.h5d.DatasetID, name: bytes) -> str | None:
    plist = dataset.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        return f"{_shown(name)} is a virtual dataset"
    if plist.get_layout() == h5py.h5d.CONTIGUOUS and plist.get_external_count():
        return f"{_shown(name)} is stored in {_shown(plist.get_external(0)[0])}"
    return None


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
