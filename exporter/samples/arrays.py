"""Samples for `dqnn validate` and `dqnn diff`: from .npz, .npy or .csv files, or random ones."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..targets.run import ANY_INPUT, RunError, match, read_arrays, read_labels

if TYPE_CHECKING:
    from dqnn import Interpreter

Array: TypeAlias = NDArray[Any]


def make_inputs(
    interpreter: Interpreter, path: Path | None, count: int | None, low: float, high: float, seed: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Arrays by input name, and every array of the file (labels may be among them)."""
    if (path is None) == (count is None):
        raise RunError("give either --inputs FILE or --random N")
    if path is None:
        assert count is not None
        return random_inputs(interpreter, count, low, high, seed), {}
    if path.suffix == ".csv":
        return split_columns(read_csv(path), interpreter, path), {}
    arrays = read_arrays(path)
    return match(arrays, interpreter.inputs, path), arrays


def random_inputs(interpreter: Interpreter, count: int, low: float, high: float, seed: int) -> dict[str, Array]:
    """Uniform in [low, high): the same for the same seed and input shapes."""
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise RunError(f"random values from {low:g} to {high:g}: the range is empty or infinite")
    source = np.random.default_rng(seed)
    return {
        info.name: source.uniform(low, high, (count, *info.shape)).astype(np.float32) for info in interpreter.inputs
    }


def read_csv(path: Path) -> Array:
    """Rows of numbers, a first row of names left out."""
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    start = 1 if rows and not _numbers(rows[0]) else 0
    widths = {len(row) for row in rows[start:]}
    if len(widths) != 1:
        raise RunError(f"{path}: {'no rows' if not widths else f'rows of {min(widths)} to {max(widths)} columns'}")
    try:
        return np.array(rows[start:], np.float64)
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error


def _numbers(row: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False


def split_columns(table: Array, interpreter: Interpreter, source: Path) -> dict[str, Array]:
    """Columns are the elements of the first input, then those of the second, and so on."""
    sizes = [int(np.prod(info.shape)) for info in interpreter.inputs]
    if table.shape[1] != sum(sizes):
        expected = " + ".join(f"{size} of {info.name}" for size, info in zip(sizes, interpreter.inputs, strict=True))
        raise RunError(f"{source} has {table.shape[1]} columns; the model takes {expected}")
    parts = np.split(table, np.cumsum(sizes)[:-1], axis=1)
    return {
        info.name: part.reshape((len(part), *info.shape)).astype(np.float32)
        for info, part in zip(interpreter.inputs, parts, strict=True)
    }


def labels_for(name: str, arrays: Mapping[str, Array], source: Path | None) -> Array:
    """An array of the inputs' file by its name, or a .npy or .csv file."""
    if name not in arrays and Path(name).suffix == ".csv":
        return read_csv(Path(name))
    if name not in arrays and Path(name).suffix == ".npy":
        return read_arrays(Path(name))[ANY_INPUT]
    return read_labels(name, arrays, source or Path("random samples"))
