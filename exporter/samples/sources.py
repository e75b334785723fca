"""Samples that are read some rows at a time, wherever they lie: an array in memory, a .npy file or a Zarr array that
several machines see, an array of Dask.

    sources = find_sources("/data/x.zarr", interpreter.inputs)     # a source for each input
    sources["image"].rows(0, 32)

A source knows its shape without being read, and can be sent to another machine: a file goes as its path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .arrays import (
    ANY_INPUT,
    SampleError,
    by_input,
    is_zarr,
    match,
    open_zarr,
    read_arrays,
    read_inputs,
)

if TYPE_CHECKING:
    from dqnn.interpreter import Interpreter

Array: TypeAlias = NDArray[Any]


class Source(Protocol):
    """The samples of one input, batch first."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def path(self) -> Path | None:
        """The file or folder that whoever reads must see."""

    def rows(self, start: int, stop: int) -> Array: ...


@dataclass(frozen=True, eq=False)
class InMemory:
    """An array of this process, or what can be sliced like one (an array of Dask or Zarr)."""

    array: Any
    path: Path | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        kind: np.dtype[Any] = np.dtype(self.array.dtype)  # of any kind for numpy's newer types
        return kind

    @property
    def is_lazy(self) -> bool:
        """Whether it is an array of Dask, whose slices somebody has to compute."""
        return hasattr(self.array, "__dask_graph__")

    def rows(self, start: int, stop: int) -> Array:
        return np.asarray(self.array[start:stop])


@dataclass(frozen=True)
class NpyFile:
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def rows(self, start: int, stop: int) -> Array:
        return np.array(_mapped(self.path)[start:stop])


@dataclass(frozen=True)
class ZarrArray:
    """An array of a group by its name; a lone array is called as in `arrays.open_zarr`."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def rows(self, start: int, stop: int) -> Array:
        return np.asarray(open_zarr(self.path)[self.name][start:stop])


# --- finding them -----------------------------------------------------------------------------------------------------


def find_sources(inputs: Any, interpreter: Interpreter) -> dict[str, Source]:
    """A source for each input of a model, of what `validate` takes: arrays, a path, or paths by input."""
    return Inputs.of(inputs).of_model(interpreter)


@dataclass(frozen=True)
class Inputs:
    """What is given for one model, or for several: opened once, and by whatever names a model has for it."""

    given: Any
    path: Path | None
    opened: dict[Any, Source]  # by name in the file, or by the identity of what was given

    @classmethod
    def of(cls, inputs: Any) -> Inputs:
        path = Path(inputs) if isinstance(inputs, str | os.PathLike) else None
        # A .csv has columns, which each model divides by itself.
        opened = {} if path is None or path.suffix == ".csv" else read_sources(path)
        return cls(inputs, path, dict(opened))

    def of_model(self, interpreter: Interpreter) -> dict[str, Source]:
        """A source for each input."""
        if self.path is None:
            given = by_input(self.given, interpreter.inputs)
            return {name: self._source(thing) for name, thing in given.items()}
        if self.path.suffix == ".csv":
            return {name: InMemory(array) for name, array in read_inputs(interpreter, self.path).items()}
        return match(self.opened, interpreter.inputs, self.path)

    def _source(self, given: Any) -> Source:
        return self.opened.setdefault(id(given), _source(given))


def read_sources(path: Path) -> dict[str, Source]:
    """The arrays of a .npy, .npz or Zarr by name; nothing of the first and the last is read yet."""
    if path.suffix == ".npy":
        return {ANY_INPUT: _npy(path)}
    if is_zarr(path):
        return {
            name: ZarrArray(path.absolute(), name, tuple(array.shape), np.dtype(array.dtype))
            for name, array in open_zarr(path).items()
        }
    return {name: InMemory(array) for name, array in read_arrays(path).items()}


def _source(given: Any) -> Source:
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        found = read_sources(path)
        if len(found) > 1:
            raise SampleError(f"{path} has the arrays {', '.join(found)}; give it for all inputs, not for one")
        return next(iter(found.values()))
    return InMemory(given if hasattr(given, "__dask_graph__") else np.asarray(given))


def _npy(path: Path) -> NpyFile:
    array = _mapped(path)
    return NpyFile(path.absolute(), array.shape, array.dtype)


def _mapped(path: Path) -> Array:
    """The array of a .npy file, whose rows are read when they are used."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise SampleError(f"{path}: no such file") from None
    except OSError as error:
        raise SampleError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise SampleError(f"{path} is no .npy file of a plain array: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise SampleError(f"{path} is an .npz archive by another name; call it .npz")
    return array
