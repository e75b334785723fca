"""The commands `dqnn inspect` (what is in a file, and the forms a firmware takes it in) and `dqnn diff`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..command_line import CHECK_FAILED, OUTPUT, command, input_options, number

if TYPE_CHECKING:
    from ..blob import ModelView

RANDOM_SAMPLES = 16  # where no inputs are given


@dataclass(frozen=True)
class Wanted:
    """Files to write; None for each that was not asked for."""

    onnx: Path | None
    c_array: Path | None
    binary: Path | None
    intel_hex: tuple[int, Path] | None
    kernel_set: Path | None
    name: str | None
    labels: tuple[str, ...] = ()


@command("inspect")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Everything but the weights, as JSON.")
@click.option("--onnx", type=OUTPUT, help="Write the graph for Netron; needs dqnn[onnx].")
@click.option("--c-array", type=OUTPUT, help="Write the file as an aligned C array, and its header beside it.")
@click.option("--bin", "binary", type=OUTPUT, help="Write the file padded to whole 16-byte blocks.")
@click.option(
    "--hex",
    "intel_hex",
    type=(number, OUTPUT),
    metavar="ADDRESS FILE",
    help="Write Intel HEX for flashing at ADDRESS (a multiple of 16).",
)
@click.option("--kernel-set", type=OUTPUT, help="Write the C array of the kernels that the models need.")
@click.option("--name", help="C name of the arrays.  [default: from the name of the file; of several: model]")
@click.option(
    "--labels",
    multiple=True,
    metavar="FILE|A,B,...",
    help="Names of the classes for the header of --c-array: a text file with a name on each line, or names with commas "
    "between them; once per output, in order.",
)
def inspect_command(
    models: tuple[Path, ...],
    as_json: bool,
    onnx: Path | None,
    c_array: Path | None,
    binary: Path | None,
    intel_hex: tuple[int, Path] | None,
    kernel_set: Path | None,
    name: str | None,
    labels: tuple[str, ...],
) -> None:
    """Show what is in a .dqnn file. With an option that writes, write instead. --kernel-set takes several files."""
    from ..blob import NotAModelError, read, to_json, verdict
    from ..show.console import console
    from .text import render

    wanted = Wanted(onnx, c_array, binary, intel_hex, kernel_set, name, labels)
    if labels and c_array is None:
        raise click.UsageError("--labels are for the header that --c-array writes")
    if len(models) > 1:
        if as_json or kernel_set is None or wanted != Wanted(None, None, None, None, kernel_set, name):
            raise click.UsageError("several files are for --kernel-set alone; give one file")
        _write_union(models, kernel_set, name)
        return
    (model,) = models
    view, blob = read(model), model.read_bytes()
    refusal = verdict(blob)
    written = [] if refusal else write_all(model, blob, view, wanted)
    if as_json:
        click.echo(json.dumps({"schema": "dqnn.inspect/1", **to_json(view), "refused": refusal}, indent=2))
    elif not written:
        render(view, console())
    for path in written:
        click.echo(f"{path}: {path.stat().st_size:,} B", err=as_json)
    if refusal:
        raise NotAModelError(f"{model}: the interpreter refuses it: {refusal}")


def write_all(model: Path, blob: bytes, view: ModelView, wanted: Wanted) -> list[Path]:
    """Writes what was asked for once all of it could be made; gives the paths."""
    from ..files import write_atomically

    contents = list(_contents(model, blob, view, wanted))
    for path, content in contents:
        write_atomically(path, content)
    return [path for path, _ in contents]


def _contents(model: Path, blob: bytes, view: ModelView, wanted: Wanted) -> Iterator[tuple[Path, bytes]]:
    from . import artifacts

    name = artifacts.identifier(model.stem) if wanted.name is None else artifacts.checked(wanted.name)
    if wanted.onnx is not None:
        from .onnx import onnx_bytes

        yield wanted.onnx, onnx_bytes(view)
    if wanted.c_array is not None:
        yield wanted.c_array, artifacts.c_array(blob, view, name).encode()
        header = _header_beside(wanted.c_array, model, wanted)
        if header is not None:
            labels = [artifacts.read_labels(given) for given in wanted.labels]
            yield header, artifacts.c_header(blob, view, name, labels).encode()
    if wanted.binary is not None:
        yield wanted.binary, artifacts.padded(blob)
    if wanted.intel_hex is not None:
        address, path = wanted.intel_hex
        yield path, artifacts.intel_hex(blob, address).encode()
    if wanted.kernel_set is not None:
        yield wanted.kernel_set, _kernel_set([view], name)


def _kernel_set(views: list[ModelView], name: str) -> bytes:
    from .kernel_set import kernel_set, kernels_without_ref, special_kernels

    kernels = [node.kernel for view in views for node in view.nodes]
    without_ref, special = kernels_without_ref(views), special_kernels(views)
    segments = min((view.segments for view in views if view.segments), default="")  # fed ones run all
    text = kernel_set(kernels, f"{name}_kernels", without_ref, segments, special)
    return text.encode()


def _write_union(models: tuple[Path, ...], target: Path, name: str | None) -> None:
    """The kernels of several models; all that the interpreter refuses are named at once."""
    from ..blob import NotAModelError, read, verdict
    from ..files import write_atomically
    from .artifacts import checked

    name = "model" if name is None else checked(name)
    views = [read(model) for model in models]
    verdicts = {model: verdict(model.read_bytes()) for model in models}
    refused = [f"{model}: the interpreter refuses it: {text}" for model, text in verdicts.items() if text]
    if refused:
        raise NotAModelError("\n".join(refused))
    write_atomically(target, _kernel_set(views, name))
    click.echo(f"{target}: {target.stat().st_size:,} B")


def _header_beside(c_array: Path, model: Path, wanted: Wanted) -> Path | None:
    """Where the header of a C array goes; None beside what is no file, such as a pipe. A header that somebody wrote
    stays."""
    from ..files import OutputError, check_writable
    from .artifacts import MADE_BY

    if c_array.exists() and not c_array.is_file():
        return None
    header = c_array.with_suffix(".h")
    check_writable(header, model)
    others = [wanted.onnx, c_array, wanted.binary, wanted.kernel_set, wanted.intel_hex and wanted.intel_hex[1]]
    if header.resolve() in [path.resolve() for path in others if path]:
        raise OutputError(f"{header} is the header that --c-array writes; give the output another name")
    if header.exists() and MADE_BY.encode() not in header.read_bytes():
        raise OutputError(
            f"{header} is where the header of {c_array} goes, but it was not made by dqnn; give --c-array another name"
        )
    return header


@command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@input_options
@click.option("--no-run", is_flag=True, help="Compare the files alone, not what they compute.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the files are not identical.")
@click.option("--json", "as_json", is_flag=True, help="The difference as JSON.")
def diff_command(
    before: Path,
    after: Path,
    inputs: Path | None,
    count: int | None,
    low: float,
    high: float,
    seed: int,
    no_run: bool,
    exit_code: bool,
    as_json: bool,
) -> None:
    """What changed between two .dqnn files. Runs both on 16 random samples, or on --inputs or --random."""
    from ..samples.arrays import fit_inputs, make_inputs
    from ..show.console import console
    from ..targets.host import open_model
    from .diff import diff
    from .text import render_difference

    interpreter, _ = open_model(before), open_model(after)
    batch = None
    if not no_run:
        samples = RANDOM_SAMPLES if inputs is None and count is None else count
        batch = fit_inputs(make_inputs(interpreter, inputs, samples, low, high, seed), interpreter)
    difference = diff(before.read_bytes(), after.read_bytes(), batch)
    if as_json:
        click.echo(json.dumps(difference.to_json(), indent=2))
    else:
        render_difference(difference, console())
    if exit_code and not difference.identical:
        sys.exit(CHECK_FAILED)
