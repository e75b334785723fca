"""What all commands share: `command` declares one, with the way it refuses and its exit codes; types of options.

Exit codes: 0 done, 2 the model, a file or an option was refused (the reasons are on stderr, all at once), 1 a check
asked for by the user did not hold, 70 (EX_SOFTWARE) anything else went wrong, which is a fault of ours."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Any, get_args

import click

from .errors import DEBUG, DqnnError, ExportError, debugging
from .files import OutputError, check_writable
from .options import DEFAULTS, MOST_SAMPLES, IoDtype, Pair, Requant

CHECK_FAILED, REFUSED, BUG = 1, 2, 70
CONTEXT = {"help_option_names": ["-h", "--help"]}
TARGET_HELP = (
    "host, a board or a core (`dqnn targets` lists them), a .toml file that describes a board, or a device on a link: "
    "serial:PORT[,BAUD], tcp:HOST:PORT."
)
DASK_HELP = (
    "The workers of a Dask cluster share the samples: tcp://HOST:PORT of its scheduler, or its file (.json). They need "
    "dqnn, and read --inputs FILE.npy or .zarr themselves, which all must see under the same path."
)


# --- types of options -------------------------------------------------------------------------------------------------


def number(value: str) -> int:
    """An unsigned 32-bit number, decimal or 0x..., as `dqnn inspect` prints ids."""
    try:
        parsed = int(value, 0)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no number") from None
    if not 0 <= parsed < 2**32:
        raise click.BadParameter(f"{value} is not between 0 and 0xffffffff")
    return parsed


def factor(value: str) -> float:
    """A number, or a quotient of two as in 1/255."""
    try:
        above, *below = value.split("/", maxsplit=1)
        quotient = float(above) / float(below[0] if below else 1)
        if isfinite(quotient):
            return quotient
        raise ValueError
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{value!r} is no number; write 0.5, 1/255 or -1") from None


def named_factor(value: str) -> tuple[str, float]:
    """A factor, or NAME=FACTOR; without a name that is empty."""
    name, _, text = value.rpartition("=")
    return name, factor(text)


class OutputFile(click.Path):
    """Names a file to write. `refusals` looks at it before the command begins."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)


OUTPUT = OutputFile()


# --- commands ---------------------------------------------------------------------------------------------------------


def check_outputs() -> None:
    """Refuses files to write that are files to read, or twice the same, or in no directory."""
    written: list[Path] = []
    read: list[Path] = []
    context = click.get_current_context()
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        values = value if isinstance(value, tuple) else (value,)
        kinds = parameter.type.types if isinstance(parameter.type, click.Tuple) else [parameter.type] * len(values)
        for item, kind in zip(values, kinds, strict=False):  # a pair that was not given is one None
            if isinstance(item, str | Path):
                (written if isinstance(kind, OutputFile) else read).append(Path(item))
    if not written:
        return
    for index, path in enumerate(written):
        check_writable(path, *read)
        if path in written[:index]:
            raise OutputError(f"{path} is named as two outputs; give each a name of its own")


def check_isas() -> None:
    """Refuses a DQNN_ISAS that is wrong, whatever the command."""
    if "DQNN_ISAS" in os.environ:
        from dqnn import _core

        try:
            _core.host_isas()
        except ValueError as error:
            raise DqnnError(str(error)) from None


def flushed(command: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs a command and writes what it printed: at the interpreter's end a full disk would be an exit code 120. What
    cannot be written is dropped, else that end would try again."""
    try:
        return command(*args, **kwargs)
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            if error.errno != errno.EPIPE:  # click drops that one
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


@contextmanager
def debug_mode(wanted: bool) -> Iterator[None]:
    """DQNN_DEBUG=1 for the duration, if it is wanted."""
    before = os.environ.get(DEBUG)
    if wanted:
        os.environ[DEBUG] = "1"
    try:
        yield
    finally:
        if wanted:
            os.environ.pop(DEBUG)
            os.environ.update({} if before is None else {DEBUG: before})


def refusals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Prints errors that a user can repair, without a traceback, and exits with REFUSED; of all others it says that
    they are ours, and exits with BUG."""

    @wraps(function)
    def guarded(*args: Any, debug: bool, **kwargs: Any) -> Any:
        with debug_mode(debug):
            try:
                check_isas()
                check_outputs()
                return flushed(function, *args, **kwargs)
            except Exception as error:
                sys.exit(_told(error))

    return guarded


def _told(error: Exception) -> int:
    """Says what went wrong; gives the exit code. What click handles by itself (a wrong option, a pipe that has seen
    enough), and with --debug what is unexpected, is raised again."""
    if isinstance(error, click.ClickException | click.Abort | click.exceptions.Exit):
        raise error
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        raise error
    if isinstance(error, ExportError):
        count = len(error.problems)
        lines = [f"cannot be exported: {count} problem{'s' if count != 1 else ''}"]
        lines += [f"  * {problem}" for problem in error.problems]
    elif isinstance(error, DqnnError):
        lines = [f"error: {error}"]
    elif isinstance(error, OSError):
        lines = [f"error: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}"]
    elif isinstance(error, MemoryError):
        lines = ["error: not enough memory"]
    elif debugging():
        raise error
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        click.echo(f"a bug in dqnn, please report it: {type(error).__name__}: {error} ({where})", err=True)
        click.echo("What you gave is not at fault, or should have been refused. --debug shows the traceback.", err=True)
        return BUG
    for line in lines:
        click.echo(line, err=True)
    return REFUSED


def command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Declares a subcommand."""

    def declared(function: Callable[..., Any]) -> click.Command:
        made: click.Command = click.command(name, context_settings=CONTEXT)(refusals(function))
        made.params.append(click.Option(["--debug"], is_flag=True, help="Show where an error comes from."))
        return made

    return declared


# --- options that several have ----------------------------------------------------------------------------------------


weights_option = click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="File of model.save_weights(), where MODEL is the text of model.to_json().",
)


def export_options(function: Any) -> Any:
    """Those of ExportOptions, by the same names."""
    for option in reversed(
        (
            click.option(
                "--io-dtype",
                type=click.Choice(get_args(IoDtype)),
                default=DEFAULTS.io_dtype,
                show_default=True,
                help="auto: inputs take the type to which the model quantizes them first; f32: inputs stay floats.",
            ),
            click.option(
                "--input-u8",
                type=(named_factor, factor),
                multiple=True,
                callback=_samples,
                metavar="[NAME=]SCALE OFFSET",
                help="Inputs (or the one of that name) take raw uint8 samples u for the real SCALE * u + OFFSET that "
                "the model was trained on, e.g. 1/255 0. A Rescaling at the model's beginning is recognized by itself.",
            ),
            click.option(
                "--constant-time", is_flag=True, help="Binary kernels whose time does not depend on the data."
            ),
            click.option(
                "--pack-weights",
                is_flag=True,
                help="8-bit weights whose codes fit 4 or 2 bits have as many in the file; kernels unpack them.",
            ),
            click.option(
                "--requant",
                type=click.Choice(get_args(Requant)),
                default=DEFAULTS.requant,
                show_default=True,
                help="tflite: s8 convolutions requantize in TFLite's fixed point; the report names those that cannot.",
            ),
        )
    ):
        function = option(function)
    return function


def _samples(_: click.Context, parameter: click.Parameter, values: Any) -> Pair | dict[str, Pair] | None:
    """What `export` takes: a pair for all inputs, or pairs by name."""
    pairs = {name: (scale, offset) for (name, scale), offset in values}
    if len(pairs) < len(values) or ("" in pairs and len(pairs) > 1):
        raise click.BadParameter("give one pair for all inputs, or one for each name", param=parameter)
    if any(scale == 0 for scale, _ in pairs.values()):
        raise click.BadParameter("SCALE is 0: every sample would mean the same", param=parameter)
    return pairs.get("", pairs) if pairs else None


def samples_options(function: Any) -> Any:
    """--inputs and --limit of commands that measure."""
    limit = click.option(
        "--limit", type=click.IntRange(1), help=f"Only the first N of them.  [default: {MOST_SAMPLES}]"
    )
    text = "Measure on samples of a .npz, .npy or .csv file instead of random inputs."
    return click.option("--inputs", type=click.Path(path_type=Path), help=text)(limit(function))


def input_options(function: Any) -> Any:
    """--inputs or --random with its range and seed."""
    for option in reversed(
        (
            click.option("--inputs", type=click.Path(path_type=Path), help=".npz (an array per input), .npy or .csv."),
            click.option("--random", "count", type=click.IntRange(1), help="N random samples instead of --inputs."),
            click.option("--low", type=float, default=0.0, show_default=True, help="Least random value."),
            click.option("--high", type=float, default=1.0, show_default=True, help="Largest random value."),
            click.option("--seed", type=int, default=0, show_default=True, help="Of the random samples."),
        )
    ):
        function = option(function)
    return function
