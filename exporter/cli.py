"""The command line: `dqnn-export`, and `dqnn` with its subcommands.

Commands are imported when they are called, and what they need is imported inside them, so that every start is fast.
Exit codes: 0 done, 2 the model, a file or an option was refused (the reasons are on stderr, all at once), 1 a check
asked for by the user did not hold."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import DqnnError, ExportError

if TYPE_CHECKING:
    from rich.console import Console

REFUSED = 2
PIPE_WIDTH = 120  # columns where the output is no terminal
VERSION_HELP = "Versions of dqnn and of the file format."
CONTEXT = {"help_option_names": ["-h", "--help"]}

# Subcommand -> (module, attribute, one line of help): listed here so that `dqnn --help` imports none of them.
COMMANDS = {
    "export": (".cli", "export_command", "Turn a Keras model into a .dqnn file."),
    "run": (".targets.run", "run_command", "Run a .dqnn file on this machine or an emulated board."),
    "validate": (".validate.text", "validate_command", "Compare a .dqnn file with the original model."),
    "analyze": (".analyze.text", "analyze_command", "What a model will cost on a device, and advice."),
    "targets": (".targets.boards", "targets_command", "Boards that analyze and export can check a model against."),
    "inspect": (".inspect.command", "command", "Show a .dqnn file, or convert it for a firmware."),
    "bench": (".bench.command", "command", "Instructions and estimated cycles of a file or of kernels."),
    "diff": (".inspect.diff_text", "diff_command", "What changed between two .dqnn files."),
    "version": (".cli", "version_command", VERSION_HELP),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module, __package__), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


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


class OutputFile(click.Path):
    """Names a file to write. `refusals` looks at it before the command begins."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)


OUTPUT = OutputFile()


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
    from .api import OutputError, check_writable

    for index, path in enumerate(written):
        check_writable(path, *read)
        if path in written[:index]:
            raise OutputError(f"{path} is named as two outputs; give each a name of its own")


def console(stderr: bool = False) -> Console:
    """Where commands print. Piped, tables are wide, and lines of text (paths, advice) stay whole. No markup: names in a
    file may look like it."""
    from rich.console import Console
    from rich.text import Text

    class Piped(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            if objects and all(isinstance(item, str | Text) for item in objects):
                options.setdefault("soft_wrap", True)
            super().print(*objects, **options)

    made = Console(stderr=stderr, highlight=False, markup=False)
    return made if made.is_terminal else Piped(stderr=stderr, highlight=False, markup=False, width=PIPE_WIDTH)


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


def refusals(command: Callable[..., Any]) -> Callable[..., Any]:
    """Prints errors that a user can repair, without a traceback, and exits with REFUSED."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            check_isas()
            check_outputs()
            return flushed(command, *args, **kwargs)
        except ExportError as error:
            count = len(error.problems)
            click.echo(f"cannot be exported: {count} problem{'s' if count != 1 else ''}", err=True)
            for problem in error.problems:
                click.echo(f"  * {problem}", err=True)
        except DqnnError as error:
            click.echo(f"error: {error}", err=True)
        except OSError as error:
            if error.errno == errno.EPIPE:  # `| head` has seen enough: click knows what to do
                raise
            click.echo(f"error: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", err=True)
        sys.exit(REFUSED)

    return guarded


def print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """--version."""
    if wanted and not context.resilient_parsing:
        click.echo(version())
        context.exit()


@click.group(
    cls=LazyGroup,
    context_settings=CONTEXT,
    epilog="Exit codes: 0 done, 1 a check that you asked for does not hold, 2 refused: the reasons are on stderr.\n\n"
    "\b\nCompletion in bash (or zsh, fish):\n"
    '  eval "$(_DQNN_COMPLETE=bash_source dqnn)"',
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help=VERSION_HELP)
def main() -> None:
    """Quantized neural networks on microcontrollers: export, run and inspect .dqnn files."""


@click.command("export", context_settings=CONTEXT)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OUTPUT, help="File to write.  [default: MODEL with .dqnn]")
@click.option(
    "--io-dtype",
    type=click.Choice(["auto", "f32"]),
    default="auto",
    show_default=True,
    help="auto: inputs take the type to which the model quantizes them first; f32: inputs stay floats.",
)
@click.option(
    "--input-u8",
    nargs=2,
    type=factor,
    metavar="SCALE OFFSET",
    help="Inputs take raw uint8 samples u for the real SCALE * u + OFFSET that the model was trained on, e.g. 1/255 0. "
    "A Rescaling at the model's beginning is recognized by itself.",
)
@click.option("--strict", is_flag=True, help="Refuse a model of which a part would fall back to f32.")
@click.option("--explain", is_flag=True, help="Print for each layer what was decided, and why.")
@click.option("--constant-time", is_flag=True, help="Binary kernels whose time does not depend on the data.")
@click.option("--tflite-rounding", is_flag=True, help="Requantize s8 convolutions exactly as TFLite does.")
@click.option(
    "--target", metavar="BOARD", help="A described board (see `dqnn targets`): refuse a model that does not fit it."
)
@click.option("--name", help="Name stored in the file.  [default: the model's own]")
@click.option("--model-id", type=number, help="Id stored in the file.  [default: its checksum]")
@click.option("--model-version", type=click.IntRange(0, 2**16 - 1), default=0, help="Version stored in the file.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@refusals
def export_command(
    model: Path,
    output: Path | None,
    io_dtype: Any,
    input_u8: tuple[float, float] | None,
    strict: bool,
    explain: bool,
    constant_time: bool,
    tflite_rounding: bool,
    target: str | None,
    name: str | None,
    model_id: int | None,
    model_version: int,
    as_json: bool,
) -> None:
    """Turn a Keras model (.h5 or .keras; Larq, QKeras and plain layers) into one .dqnn file."""
    from .api import export

    if input_u8 is not None and input_u8[0] == 0:
        raise click.BadParameter("SCALE is 0: every sample would mean the same", param_hint="--input-u8")
    result = export(
        model,
        model.with_suffix(".dqnn") if output is None else output,
        io_dtype=io_dtype,
        input_u8=input_u8,
        strict=strict,
        name=name,
        model_id=model_id,
        model_version=model_version,
        constant_time=constant_time,
        requant="tflite" if tflite_rounding else "auto",
        target=target,
    )
    if as_json:
        click.echo(json.dumps(result.report.to_json(), indent=2))
        return
    from . import report

    report.render(result.report, console())
    if explain:
        report.explain(result.report, console())
    if result.fits:
        click.echo(result.fits)


@click.command("version", context_settings=CONTEXT)
@refusals
def version_command() -> None:
    """Versions of dqnn and of the file format."""
    click.echo(version())


def version() -> str:
    """What `dqnn version` prints."""
    import dqnn

    from .emit.kernel_table import ids
    from .emit.writer import FORMAT_VERSION

    return f"dqnn {dqnn.__version__}, file format {FORMAT_VERSION}, {len(ids())} kernels"


def export_main() -> None:
    """Entry point of `dqnn-export`."""
    export_command(prog_name="dqnn-export")
