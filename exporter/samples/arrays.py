"""Samples for a model, and their labels: from .npz, .npy or .csv files, random, or as a program gives them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.ranges import InputRange, check_meant, input_range, meaning_of_bytes
from dqnn.tensors import TensorInfo, shape_hint

from ..errors import DqnnError, debugging

if TYPE_CHECKING:
    from dqnn.interpreter import Interpreter

Array: TypeAlias = NDArray[Any]
ANY_INPUT = "x"  # the name that a lone input may have in a file, whatever the model calls it


class SampleError(DqnnError):
    """Samples or labels that do not fit the model."""


def make_inputs(
    interpreter: Interpreter, path: Path | None, count: int | None, low: float, high: float, seed: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Arrays by input name, and every array of the file (labels may be among them)."""
    if (path is None) == (count is None):
        raise SampleError("give either --inputs FILE or --random N")
    if path is None:
        assert count is not None
        return random_inputs(interpreter, count, low, high, seed), {}
    if path.suffix == ".csv":
        return split_columns(read_csv(path), interpreter, path), {}
    arrays = read_arrays(path)
    return match(arrays, interpreter.inputs, path), arrays


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


def read_arrays(path: Path) -> dict[str, Array]:
    """Arrays of a .npz by name, or the one of a .npy under the name `x`."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {ANY_INPUT: loaded}
        with loaded:
            return dict(loaded)
    except FileNotFoundError:
        raise SampleError(f"{path}: no such file") from None
    except OSError as error:
        raise SampleError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # numpy raises many kinds for damaged archives
        if debugging():
            raise
        raise SampleError(f"{path} is no .npz or .npy file of plain arrays: {error}") from error


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


def labels_for(name: str, arrays: Mapping[str, Array], source: Path | None) -> Array:
    """An array of the inputs' file by its name, or a .npy or .csv file."""
    if name in arrays:
        return arrays[name]
    if Path(name).suffix == ".csv":
        return read_csv(Path(name))
    if Path(name).suffix == ".npy":
        return read_arrays(Path(name))[ANY_INPUT]
    where = source or Path("random samples")
    raise SampleError(f"{where} has no array {name!r} (it has {_listed(arrays)}), and it names no .npy or .csv file")


# --- to the inputs of a model -----------------------------------------------------------------------------------------


def match(arrays: Mapping[str, Array], inputs: Sequence[TensorInfo], source: Path) -> dict[str, Array]:
    """The array for each input: by name; a lone input also takes the array called x, or the only one there is."""
    found = _matched(arrays, inputs, source)
    for info in inputs:
        if found[info.name].ndim == 0:
            shape = ", ".join(map(str, info.shape))
            raise SampleError(f"{source} has a lone number for {info.name}; expected an array of (samples, {shape})")
    return found


def _matched(arrays: Mapping[str, Array], inputs: Sequence[TensorInfo], source: Path) -> dict[str, Array]:
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


def _listed(arrays: Mapping[str, Array]) -> str:
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
    if isinstance(inputs, Mapping):
        missing = [info.name for info in infos if info.name not in inputs]
        if missing:
            raise SampleError(f"no array for input {', '.join(missing)}; there are {', '.join(inputs)}")
        arrays = [np.asarray(inputs[info.name]) for info in infos]
    else:
        listed = list(inputs) if len(infos) > 1 else [inputs]
        if len(listed) != len(infos):
            raise SampleError(f"{len(listed)} arrays for {len(infos)} inputs")
        arrays = [np.asarray(array) for array in listed]
    counts = {len(array) if array.ndim else 0 for array in arrays}
    if len(counts) != 1 or counts == {0}:
        raise SampleError(f"every input needs the same number of samples, at least one; got {sorted(counts)}")
    return {info.name: _shaped(array, info) for info, array in zip(infos, arrays, strict=True)}


def _shaped(array: Array, info: TensorInfo) -> Array:
    if array.dtype.kind not in "biuf":
        raise SampleError(f"input {info.name} is {array.dtype}, not numbers")
    array = adapted(array, info)
    if array.dtype.kind == "f" and (bad := np.isnan(array.reshape(len(array), -1)).any(axis=1)).any():
        raise SampleError(f"input {info.name} has NaN in {bad.sum()} of {len(array)} samples")
    try:
        check_meant(info, array)
    except ValueError as error:
        raise SampleError(str(error)) from error
    meaning = meaning_of_bytes(info, array)
    if meaning is not None:  # what they stand for, which the original is given, too
        scale, offset = meaning
        array = array * scale + offset
    return np.asarray(array, np.float32)


def adapted(array: Array, info: TensorInfo) -> Array:
    """A batch in the input's shape, where only axes of size 1 come or go, or samples were flattened: what cannot put
    values in other places. Any other shape is refused."""
    shape, given = info.shape, array.shape[1:]
    expected = f"(samples, {', '.join(map(str, shape))})"
    if given == shape:
        return array
    size = int(np.prod(shape))
    if array.size == len(array) * size:
        if _long(given) == _long(shape) or len(_long(given)) <= 1:
            return array.reshape((len(array), *shape))
        hint = shape_hint(array.shape, shape, batch=True)
        if not hint and len(_long(shape)) <= 1:
            hint = "; flatten it as in training: x.reshape(len(x), -1) puts rows behind each other"
        hint = hint or "; bring its axes into the model's order: x.transpose(...)"
        raise SampleError(f"input {info.name} has shape {array.shape}; expected {expected}{hint}")
    raise SampleError(f"input {info.name} has shape {array.shape}; expected {expected}")


def _long(shape: tuple[int, ...]) -> list[int]:
    return [extent for extent in shape if extent != 1]


def ranges_of(batch: Mapping[str, Array], inputs: Sequence[TensorInfo]) -> tuple[InputRange, ...]:
    """What each array means to its input, and how much of it saturates."""
    return tuple(input_range(info, batch[info.name]) for info in inputs)
