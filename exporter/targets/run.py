"""`dqnn run`: a .dqnn file on arrays from a file, on this machine or an emulated board."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

from ..cli import CONTEXT, OUTPUT, refusals
from ..errors import DqnnError

if TYPE_CHECKING:
    from dqnn import Interpreter, TensorInfo

Array: TypeAlias = NDArray[Any]
HOST = "host"
ANY_INPUT = "x"  # the name that a lone input may have in a file, whatever the model calls it


class RunError(DqnnError):
    """Inputs that do not fit the model, or a target that cannot run."""


@click.command("run", context_settings=CONTEXT)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--inputs", required=True, type=click.Path(path_type=Path), help=".npz with an array per input, or .npy.")
@click.option("-o", "--output", type=OUTPUT, help=".npz to write the outputs to.")
@click.option(
    "--target",
    metavar="BOARD",
    default=HOST,
    show_default=True,
    help="host, or a board in QEMU such as qemu:mps2-an386.",
)
@click.option("--labels", help="Array of class numbers in the inputs' .npz, or a .npy file: prints the accuracy.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N samples.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads on the host.")
@click.option("--raw", is_flag=True, help="Stored values in and out (int8, packed bits) instead of real ones.")
@refusals
def run_command(
    model: Path,
    inputs: Path,
    output: Path | None,
    target: str,
    labels: str | None,
    limit: int | None,
    threads: int,
    raw: bool,
) -> None:
    """Run a .dqnn file on a batch of samples."""
    interpreter = open_model(model)
    arrays = read_arrays(inputs)
    truth = None if labels is None else read_labels(labels, arrays, inputs)
    batch = {name: array[:limit] for name, array in match(arrays, interpreter.inputs, inputs).items()}
    started = time.perf_counter()
    results = run_batch(model, interpreter, target, batch, threads, raw)
    _report(results, time.perf_counter() - started, target)
    if truth is not None:
        _print_accuracy(results, truth[:limit])
    if output is not None:
        save(output, results)
        click.echo(f"written to {output}")


def open_model(path: Path) -> Interpreter:
    """The interpreter of a file; raises RunError with what is wrong with it."""
    from dqnn import BlobError, Interpreter

    if path.is_dir() or not path.exists():
        raise RunError(f"{path}: {'a directory' if path.is_dir() else 'no such file'}; expected a .dqnn file")
    try:
        return Interpreter(path)
    except BlobError as error:
        raise RunError(str(error)) from error
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from error


# --- inputs -----------------------------------------------------------------------------------------------------------


def read_arrays(path: Path) -> dict[str, Array]:
    """Arrays of a .npz by name, or the one of a .npy under the name `x`."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {ANY_INPUT: loaded}
        with loaded:
            return dict(loaded)
    except FileNotFoundError:
        raise RunError(f"{path}: no such file") from None
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # numpy raises many kinds for damaged archives
        raise RunError(f"{path} is no .npz or .npy file of plain arrays: {error}") from error


def read_labels(labels: str, arrays: Mapping[str, Array], source: Path) -> Array:
    """`labels` names an array of the inputs' file, or a .npy file."""
    if labels in arrays:
        return arrays[labels]
    if Path(labels).suffix == ".npy":
        return read_arrays(Path(labels))[ANY_INPUT]
    raise RunError(f"{source} has no array {labels!r} (it has {_listed(arrays)}), and it names no .npy file")


def match(arrays: Mapping[str, Array], inputs: Sequence[TensorInfo], source: Path) -> dict[str, Array]:
    """The array for each input: by name; a lone input also takes the array called x, or the only one there is."""
    found = _matched(arrays, inputs, source)
    for info in inputs:
        if found[info.name].ndim == 0:
            shape = ", ".join(map(str, info.shape))
            raise RunError(f"{source} has a lone number for {info.name}; expected an array of (samples, {shape})")
    return found


def _matched(arrays: Mapping[str, Array], inputs: Sequence[TensorInfo], source: Path) -> dict[str, Array]:
    if len(inputs) == 1 and inputs[0].name not in arrays:
        only = next(iter(arrays)) if len(arrays) == 1 else ANY_INPUT
        if only in arrays:
            return {inputs[0].name: arrays[only]}
    missing = [info.name for info in inputs if info.name not in arrays]
    if missing:
        expected = ", ".join(f"{info.name} {tuple(info.shape)}" for info in inputs)
        raise RunError(
            f"{source} has no array {', '.join(missing)}: it has {_listed(arrays)}; the model needs {expected}"
        )
    return {info.name: arrays[info.name] for info in inputs}


def _listed(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"


# --- running ----------------------------------------------------------------------------------------------------------


def run_batch(
    model: Path, interpreter: Interpreter, target: str, batch: Mapping[str, Array], threads: int, raw: bool
) -> dict[str, Array]:
    """Outputs by name."""
    try:
        if target == HOST:
            results = interpreter.predict(dict(batch), threads=threads, raw=raw)
        else:
            from .emulated import run_on_target

            results = run_on_target(model, target, dict(batch), raw=raw)
    except ValueError as error:
        raise RunError(str(error)) from error
    if isinstance(results, dict):
        return results
    return {interpreter.outputs[0].name: results}


def _report(results: Mapping[str, Array], seconds: float, target: str) -> None:
    count = len(next(iter(results.values())))
    each = f" ({seconds / count * 1e3:.3g} ms each)" if count else ""
    click.echo(f"{count} samples on {target} in {seconds:.2f} s{each}")
    for name, array in results.items():
        click.echo(f"{name}: {array.dtype} {array.shape}")


def _print_accuracy(results: Mapping[str, Array], labels: Array) -> None:
    from ..samples.metrics import LabelError, classes_of
    from ..samples.metrics import read_labels as class_values

    name, scores = next(iter(results.items()))
    try:
        right = classes_of(class_values(labels, scores.shape).values) == classes_of(scores)
    except LabelError as error:
        raise RunError(f"output {name}: {error}") from error
    click.echo(f"accuracy of {name}: {right.mean():.4f} ({np.count_nonzero(right)} of {right.size})")


def save(path: Path, results: Mapping[str, Array]) -> None:
    """Writes an .npz in one step."""
    from io import BytesIO

    from ..api import write_atomically

    content = BytesIO()
    np.savez(content, **results)
    write_atomically(path, content.getvalue())
