"""Samples for a model, and their labels: from .npz, .npy or .csv files, random, or as a program gives them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from dqnn.ranges import InputRange, check_meant, input_range, meaning_of_bytes
from dqnn.tensors import TensorInfo, shape_hint

from ..errors import DqnnError, debugging

if TYPE_CHECKING:
    from dqnn.interpreter import Interpreter

Array: TypeAlias = NDArray[Any]
ANY_INPUT = "x"  # the name that a lone input may have in a file, whatever the model calls it


class Shaped(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...


T = TypeVar("T", bound=Shaped)


class SampleError(DqnnError):
    """Samples or labels that do not fit the model."""


def make_inputs(
    interpreter: Interpreter, path: Path | None, count: int | None, low: float, high: float, seed: int
) -> dict[str, Array]:
    """Arrays by input name, of a file or random."""
    given = inputs_or_random(interpreter, path, count, low, high, seed)
    return read_inputs(interpreter, given) if isinstance(given, Path) else given


def inputs_or_random(
    interpreter: Interpreter, path: Path | None, count: int | None, low: float, high: float, seed: int
) -> Path | dict[str, Array]:
    """A file to read, or random arrays by input name."""
    if (path is None) == (count is None):
        raise SampleError("give either --inputs FILE or --random N")
    if path is not None:
        return path
    assert count is not None
    return random_inputs(interpreter, count, low, high, seed)


def read_inputs(interpreter: Interpreter, path: Path) -> dict[str, Array]:
    """Arrays of a file by input name."""
    if path.suffix == ".csv":
        return split_columns(read_csv(path), interpreter, path)
    return match(read_arrays(path), interpreter.inputs, path)


def random_inputs(interpreter: Interpreter, count: int, low: float, high: float, seed: int) -> dict[str, Array]:
    """Uniform in [low, high): the same for the same seed and input shapes. An input of raw sensor samples gets the
    values that samples stand for, so that all who run them see the same."""
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise SampleError(f"random values from {low:g} to {high:g}: the range is empty or infinite")
    source = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for info in interpreter.inputs:
        drawn = source.uniform(low, high, (count, *info.shape))
        if info.sample is not None:
            scale, offset = info.sample
            drawn = np.clip(np.rint((drawn - offset) / scale), 0, 255) * scale + offset
        arrays[info.name] = drawn.astype(np.float32)
    return arrays


# --- files ------------------------------------------------------------------------------------------------------------


def read_arrays(path: Path, only: str | None = None) -> dict[str, Array]:
    """Arrays of a .npz or of a Zarr group by name, or the one of a .npy or a Zarr array under the name `x`. `only`: no
    other than the one of this name."""
    if is_zarr(path):
        found = {name: array for name, array in open_zarr(path).items() if only in (None, name)}
        return {name: np.asarray(array[...]) for name, array in found.items()}
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {ANY_INPUT: loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files if only in (None, name)}
    except FileNotFoundError:
        raise SampleError(f"{path}: no such file") from None
    except OSError as error:
        raise SampleError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # numpy raises many kinds for damaged archives
        if debugging():
            raise
        raise SampleError(f"{path} is no .npz or .npy file of plain arrays: {error}") from error


def is_zarr(path: Path) -> bool:
    return path.suffix == ".zarr" or path.is_dir()


def open_zarr(path: Path) -> dict[str, Any]:
    """Zarr arrays, which read what is sliced: those of a group by name, a lone one under the name `x`."""
    try:
        import zarr
    except ImportError:
        raise SampleError(f"{path}: Zarr arrays need zarr: pip install 'dqnn[dask]'") from None
    if not path.exists():
        raise SampleError(f"{path}: no such file or folder")
    try:
        opened = zarr.open(str(path), mode="r")
    except Exception as error:  # it raises many kinds
        raise SampleError(f"{path} is no Zarr array or group: {str(error) or type(error).__name__}") from error
    found = {ANY_INPUT: opened} if hasattr(opened, "shape") else dict(opened.arrays())
    if not found:
        raise SampleError(f"{path} is a Zarr group without arrays")
    return found


def read_csv(path: Path) -> Array:
    """Rows of numbers, a first row of names left out."""
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SampleError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    start = 1 if rows and not _numbers(rows[0]) else 0
    widths = {len(row) for row in rows[start:]}
    if len(widths) != 1:
        raise SampleError(f"{path}: {'no rows' if not widths else f'rows of {min(widths)} to {max(widths)} columns'}")
    try:
        return np.array(rows[start:], np.float64)
    except ValueError as error:
        raise SampleError(f"{path}: {error}") from error


def _numbers(row: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False


def labels_for(name: str, source: Path | None, arrays: Mapping[str, Array] | None = None) -> Array:
    """An array of the inputs' file (or of what was read from it) by its name, or a .npy, .zarr or .csv file."""
    path = Path(name)
    file = source if source is not None and source.suffix not in (".csv", ".npy") else None
    if arrays is None:
        arrays = {} if file is None else read_arrays(file, name)
    if name in arrays:
        return arrays[name]
    if path.suffix == ".csv":
        return read_csv(path)
    if path.suffix in (".npy", ".zarr"):
        return read_arrays(path)[ANY_INPUT]
    where = source or Path("random samples")
    there = _listed(arrays if file is None else read_arrays(file))
    raise SampleError(f"{where} has no array {name!r} (it has {there}), and it names no .npy, .zarr or .csv file")


# --- to the inputs of a model -----------------------------------------------------------------------------------------


def match(arrays: Mapping[str, T], inputs: Sequence[TensorInfo], source: Path) -> dict[str, T]:
    """The array for each input: by name; a lone input also takes the array called x, or the only one there is."""
    found = _matched(arrays, inputs, source)
    for info in inputs:
        if not found[info.name].shape:
            shape = ", ".join(map(str, info.shape))
            raise SampleError(f"{source} has a lone number for {info.name}; expected an array of (samples, {shape})")
    return found


def _matched(arrays: Mapping[str, T], inputs: Sequence[TensorInfo], source: Path) -> dict[str, T]:
    if len(inputs) == 1 and inputs[0].name not in arrays:
        only = next(iter(arrays)) if len(arrays) == 1 else ANY_INPUT
        if only in arrays:
            return {inputs[0].name: arrays[only]}
    missing = [info.name for info in inputs if info.name not in arrays]
    if missing:
        expected = ", ".join(f"{info.name} {tuple(info.shape)}" for info in inputs)
        raise SampleError(
            f"{source} has no array {', '.join(missing)}: it has {_listed(arrays)}; the model needs {expected}"
        )
    return {info.name: arrays[info.name] for info in inputs}


def _listed(arrays: Mapping[str, Shaped]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"


def split_columns(table: Array, interpreter: Interpreter, source: Path) -> dict[str, Array]:
    """Columns are the elements of the first input, then those of the second, and so on."""
    sizes = [int(np.prod(info.shape)) for info in interpreter.inputs]
    if table.shape[1] != sum(sizes):
        expected = " + ".join(f"{size} of {info.name}" for size, info in zip(sizes, interpreter.inputs, strict=True))
        raise SampleError(f"{source} has {table.shape[1]} columns; the model takes {expected}")
    parts = np.split(table, np.cumsum(sizes)[:-1], axis=1)
    return {
        info.name: part.reshape((len(part), *info.shape)).astype(np.float32)
        for info, part in zip(interpreter.inputs, parts, strict=True)
    }


def fit_inputs(inputs: Any, interpreter: Interpreter) -> dict[str, Array]:
    """float32 arrays by input name in the model's order, of the model's shapes (see `adapted`); samples of sensors as
    the reals that they stand for."""
    infos = interpreter.inputs
    arrays = {name: np.asarray(array) for name, array in by_input(inputs, infos).items()}
    common_count(arrays.values())
    return {info.name: _meant(arrays[info.name], info) for info in infos}


def by_input(inputs: Any, infos: Sequence[TensorInfo]) -> dict[str, Any]:
    """What is given for each input: by name, in the model's order, or one for a lone input."""
    if isinstance(inputs, Mapping):
        missing = [info.name for info in infos if info.name not in inputs]
        if missing:
            raise SampleError(f"no array for input {', '.join(missing)}; there are {', '.join(inputs)}")
        return {info.name: inputs[info.name] for info in infos}
    listed = list(inputs) if len(infos) > 1 else [inputs]
    if len(listed) != len(infos):
        raise SampleError(f"{len(listed)} arrays for {len(infos)} inputs")
    return {info.name: array for info, array in zip(infos, listed, strict=True)}


def common_count(arrays: Iterable[Any]) -> int:
    """The number of samples, which all arrays have in common."""
    counts = {array.shape[0] if array.shape else 0 for array in arrays}
    if len(counts) != 1 or counts == {0}:
        raise SampleError(f"every input needs the same number of samples, at least one; got {sorted(counts)}")
    return int(counts.pop())


def _meant(array: Array, info: TensorInfo) -> Array:
    real = as_reals(array, info)
    try:
        check_meant(info, array)
    except ValueError as error:
        raise SampleError(str(error)) from error
    return real


def as_reals(array: Array, info: TensorInfo) -> Array:
    """float32 reals of the input's shape. Whether they can be meant is for `check_meant`, which needs all samples."""
    check_numbers(array.dtype, info)
    array = adapted(array, info)
    if array.dtype.kind == "f" and (bad := np.isnan(array.reshape(len(array), -1)).any(axis=1)).any():
        raise SampleError(f"input {info.name} has NaN in {bad.sum()} of {len(array)} samples")
    meaning = meaning_of_bytes(info, array)
    if meaning is not None:  # what they stand for, which the original is given, too
        scale, offset = meaning
        array = array * scale + offset
    return np.asarray(array, np.float32)


def check_numbers(dtype: np.dtype[Any], info: TensorInfo) -> None:
    if dtype.kind not in "biuf":
        raise SampleError(f"input {info.name} is {dtype}, not numbers")


def adapted(array: Array, info: TensorInfo) -> Array:
    """A batch in the input's shape, where only axes of size 1 come or go, or samples were flattened: what cannot put
    values in other places. Any other shape is refused."""
    return array.reshape(adapted_shape(array.shape, info))


def adapted_shape(whole: tuple[int, ...], info: TensorInfo) -> tuple[int, ...]:
    """What `adapted` makes of a batch of this shape."""
    shape, given = info.shape, whole[1:]
    expected = f"(samples, {', '.join(map(str, shape))})"
    if prod(given) == prod(shape):
        if given == shape or _long(given) == _long(shape) or len(_long(given)) <= 1:
            return (whole[0], *shape)
        hint = shape_hint(whole, shape, batch=True)
        if not hint and len(_long(shape)) <= 1:
            hint = "; flatten it as in training: x.reshape(len(x), -1) puts rows behind each other"
        hint = hint or "; bring its axes into the model's order: x.transpose(...)"
        raise SampleError(f"input {info.name} has shape {whole}; expected {expected}{hint}")
    raise SampleError(f"input {info.name} has shape {whole}; expected {expected}")


def _long(shape: tuple[int, ...]) -> list[int]:
    return [extent for extent in shape if extent != 1]


def ranges_of(batch: Mapping[str, Array], inputs: Sequence[TensorInfo]) -> tuple[InputRange, ...]:
    """What each array means to its input, and how much of it saturates."""
    return tuple(input_range(info, batch[info.name]) for info in inputs)
