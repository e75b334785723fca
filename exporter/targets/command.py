"""The commands `dqnn run` (a .dqnn file on arrays from a file) and `dqnn targets`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from ..command_line import OUTPUT, TARGET_HELP, command

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dqnn.interpreter import Interpreter

    from .target import Target

    Array: TypeAlias = NDArray[Any]


@command("run")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--inputs", required=True, type=click.Path(path_type=Path), help=".npz with an array per input, or .npy.")
@click.option("-o", "--output", type=OUTPUT, help=".npz to write the outputs to, or .npy for a lone one.")
@click.option("--target", metavar="TARGET", default="host", show_default=True, help=TARGET_HELP)
@click.option(
    "--labels", help="Array of class numbers in the inputs' .npz, or a .npy or .csv file: prints the accuracy."
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N samples.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads on the host.")
@click.option("--profile", "with_profile", is_flag=True, help="What each node takes, mean of 20 samples.")
@click.option("--raw", is_flag=True, help="Stored values in and out (int8, packed bits) instead of real ones.")
def run_command(
    model: Path,
    inputs: Path,
    output: Path | None,
    target: str,
    labels: str | None,
    limit: int | None,
    threads: int,
    with_profile: bool,
    raw: bool,
) -> None:
    """Run a .dqnn file on a batch of samples."""
    from dqnn.ranges import SaturationWarning

    from ..samples.arrays import labels_for, match, ranges_of, read_arrays
    from .host import open_model
    from .target import find_target

    interpreter, place = open_model(model), find_target(target)
    _check_output(output, interpreter)
    arrays = read_arrays(inputs)
    truth = None if labels is None else labels_for(labels, inputs, arrays)
    batch = {name: array[:limit] for name, array in match(arrays, interpreter.inputs, inputs).items()}
    if not raw:
        batch = _adapted(batch, interpreter)
        for found in ranges_of(batch, interpreter.inputs):
            click.secho(str(found), fg="red" if found.is_alarming else None)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SaturationWarning)  # said above
        results = _run_with_progress(model, interpreter, place, batch, threads, raw)
    _report(results, time.perf_counter() - started, place)
    if truth is not None:
        _print_accuracy(results, truth[:limit])
    if with_profile:
        _print_profile(model, interpreter, place, batch, raw)
    if output is not None:
        save(output, results)
        click.echo(f"written to {output}")


def _check_output(output: Path | None, interpreter: Interpreter) -> None:
    from ..samples.arrays import SampleError

    if output is not None and output.suffix == ".npy" and len(interpreter.outputs) > 1:
        names = ", ".join(info.name for info in interpreter.outputs)
        raise SampleError(f"{output}: an .npy file holds one array, the model has outputs {names}; write an .npz file")


def _adapted(batch: Mapping[str, Array], interpreter: Interpreter) -> dict[str, Array]:
    """The model's shapes; what is no batch of numbers is told by the interpreter."""
    from ..samples.arrays import adapted

    arrays = dict(batch)
    for info in interpreter.inputs:
        array = arrays[info.name]
        if array.ndim and array.dtype.kind in "biuf":
            arrays[info.name] = adapted(array, info)
    return arrays


def _run_with_progress(
    model: Path, interpreter: Interpreter, place: Target, batch: Mapping[str, Array], threads: int, raw: bool
) -> dict[str, Array]:
    from ..show.console import progress_bar
    from .linked import LinkRunner

    if not isinstance(place.runner, LinkRunner):
        return run_batch(model, interpreter, place, batch, threads, raw)
    count = len(next(iter(batch.values())))
    with progress_bar(quiet=False) as progress:
        tell = None if progress is None else (lambda done: progress(str(place), done, count))
        return run_batch(model, interpreter, place, batch, threads, raw, tell)


def run_batch(
    model: Path,
    interpreter: Interpreter,
    place: Target,
    batch: Mapping[str, Array],
    threads: int,
    raw: bool,
    tick: Callable[[int], None] | None = None,
) -> dict[str, Array]:
    """Outputs by name. `tick` is told how many samples a device on a link has done."""
    from ..samples.arrays import SampleError
    from .host import HOST
    from .linked import LinkRunner

    try:
        if place.name == HOST:
            results = interpreter.predict(dict(batch), threads=threads, raw=raw)
        else:
            stored, blob, runner = interpreter.to_stored(dict(batch), raw=raw), model.read_bytes(), place.runner
            result = runner.run(blob, stored, tick) if isinstance(runner, LinkRunner) else place.run(blob, stored)
            results = interpreter.from_stored(result.outputs, raw=raw)
    except ValueError as error:
        raise SampleError(str(error)) from error
    return results if isinstance(results, dict) else {interpreter.outputs[0].name: results}


def _report(results: Mapping[str, Array], seconds: float, place: Target) -> None:
    from .host import HOST

    count = len(next(iter(results.values())))
    each = f" ({seconds / count * 1e3:.3g} ms each)" if count else ""
    whose = "" if place.name == HOST else " of this machine's time"
    click.echo(f"{count} samples on {place} in {seconds:.2f} s{whose}{each}")
    for name, array in results.items():
        click.echo(f"{name}: {array.dtype} {array.shape}")


def _print_accuracy(results: Mapping[str, Array], labels: Array) -> None:
    from ..samples.arrays import SampleError
    from ..samples.metrics import LabelError, classes_of, read_labels

    name, scores = next(iter(results.items()))
    try:
        right = classes_of(read_labels(labels, scores.shape).values) == classes_of(scores)
    except LabelError as error:
        raise SampleError(f"output {name}: {error}") from error
    click.echo(f"accuracy of {name}: {right.mean():.4f} ({right.sum()} of {right.size})")


def _print_profile(model: Path, interpreter: Interpreter, place: Target, batch: Mapping[str, Array], raw: bool) -> None:
    from ..show.console import console
    from .profile import profile, profile_table

    stored = interpreter.to_stored(dict(batch), raw=raw)
    console().print(profile_table(*profile(model.read_bytes(), place, stored)))


def save(path: Path, results: Mapping[str, Array]) -> None:
    """Writes an .npz of the outputs by name, or the lone one as .npy, in one step."""
    from io import BytesIO

    import numpy as np

    from ..files import write_atomically

    content, arrays = BytesIO(), dict[str, Any](results)
    if path.suffix == ".npy":
        np.save(content, *arrays.values())
    else:
        np.savez(content, **arrays)
    write_atomically(path, content.getvalue())


@command("targets")
def targets_command() -> None:
    """List what a model can be for: boards that are described, boards and cores that are emulated, this machine."""
    from ..show.console import console, plain_table
    from .target import find_target, target_names

    table = plain_table("target", "core", ">clock", ">flash", ">RAM", "runs files on")
    for name in target_names():
        target = find_target(name)
        board = target.board
        sizes = ["", "", ""]
        if board is not None:
            kibibytes = [f"{size // 1024:,} KiB" for size in (board.flash_bytes, board.ram_bytes)]
            sizes = [f"{board.clock_hz / 1e6:g} MHz", *kibibytes]
        table.add_row(name, target.core or "", *sizes, target.runner.name if target.runner is not None else "")
    console().print(table)
