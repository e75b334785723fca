"""The command line: `dqnn-export`, and `dqnn` with its subcommands.

Commands are imported when they are called, and what they need is imported inside them, so that every start is fast."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, get_args

import click

from .command_line import CONTEXT, OUTPUT, TARGET_HELP, command, export_options, number, weights_option
from .options import Optimize, RowsMode

VERSION_HELP = "Versions of dqnn and of the file format."

# Subcommand -> (module, attribute, one line of help): listed here so that `dqnn --help` imports none of them.
COMMANDS = {
    "export": (".cli", "export_command", "Turn a Keras, TensorFlow Lite or ONNX model into a .dqnn file."),
    "run": (".targets.command", "run_command", "Run a .dqnn file on this machine or an emulated board."),
    "validate": (".validate.command", "validate_command", "Compare a .dqnn file with the original model."),
    "analyze": (".analyze.command", "analyze_command", "What a model will cost on a device, and advice."),
    "targets": (".targets.command", "targets_command", "What --target takes: boards, cores, this machine."),
    "inspect": (".inspect.command", "inspect_command", "Show a .dqnn file, or convert it for a firmware."),
    "bench": (".bench.command", "bench_command", "Instructions and estimated cycles of a file or of kernels."),
    "sweep": (".sweep.command", "sweep_command", "Candidate models on the same samples: accuracy, size, cycles."),
    "device": (".device.command", "device_group", "Look at a device on a link, replace its model."),
    "serve": (".device.command", "serve_command", "Stand in for a board, behind a TCP port."),
    "sign": (".signing.command", "sign_command", "Sign a .dqnn file, or check its signature."),
    "keygen": (".signing.command", "keygen_command", "Make a key to sign with."),
    "diff": (".inspect.command", "diff_command", "What changed between two .dqnn files."),
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


@command("export")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OUTPUT, help="File to write.  [default: MODEL with .dqnn]")
@weights_option
@export_options
@click.option("--strict", is_flag=True, help="Refuse a model of which a part would fall back to f32.")
@click.option("--explain", is_flag=True, help="Print for each layer what was decided, and why.")
@click.option("--target", metavar="TARGET", help=f"Refuse a model that does not fit: {TARGET_HELP}")
@click.option(
    "--optimize",
    type=click.Choice(get_args(Optimize)),
    default="balanced",
    show_default=True,
    help="balanced: what is faster in the memory that the model needs anyway; speed: more scratch for 8-bit 3x3 "
    "convolutions, as much as --ram or --target has; size: the least memory.",
)
@click.option(
    "--ram", type=click.IntRange(1), metavar="BYTES", help="Refuse a model that needs more RAM, stack included."
)
@click.option("--flash", type=click.IntRange(1), metavar="BYTES", help="Refuse a file that is larger.")
@click.option("--name", help="Name stored in the file.  [default: the model's own]")
@click.option("--model-id", type=number, help="Id stored in the file.  [default: its checksum]")
@click.option("--model-version", type=click.IntRange(0, 2**16 - 1), default=0, help="Version stored in the file.")
@click.option(
    "--selftest",
    type=click.Path(path_type=Path),
    help="A few samples (.npz, .npy, .csv) that the file keeps with their outputs: a device tests itself with them.",
)
@click.option(
    "--rows",
    type=click.Choice(get_args(RowsMode)),
    default="off",
    show_default=True,
    help="Layers that run for some rows at a time, for a smaller arena: where that costs at most 3 % of the cycles "
    "(auto), or whatever it costs (least).",
)
@click.option("--arena", type=click.IntRange(1), metavar="BYTES", help="Fewest cycles for such an arena.")
@click.option(
    "--feed-rows",
    is_flag=True,
    help="The input is fed row by row, as a camera delivers: memory holds a strip of it (firmware: dqnn_fed_strips).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def export_command(
    model: Path,
    output: Path | None,
    weights: Path | None,
    strict: bool,
    explain: bool,
    target: str | None,
    optimize: Optimize,
    ram: int | None,
    flash: int | None,
    name: str | None,
    model_id: int | None,
    model_version: int,
    selftest: Path | None,
    rows: RowsMode,
    arena: int | None,
    feed_rows: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn a model into one .dqnn file: of Keras (.h5, .keras, or .json with --weights; Larq, QKeras, plain layers), of
    TensorFlow Lite (.tflite; int8, float, mixed) or ONNX (.onnx; QDQ, QOperator, QONNX, float)."""
    from .api import export

    result = export(
        model,
        model.with_suffix(".dqnn") if output is None else output,
        strict=strict,
        name=name,
        model_id=model_id,
        model_version=model_version,
        target=target,
        optimize=optimize,
        ram=ram,
        flash=flash,
        weights=weights,
        selftest=selftest,
        rows=rows,
        arena=arena,
        feed_rows=feed_rows,
        **options,
    )
    if as_json:
        click.echo(json.dumps(result.report.to_json(), indent=2))
        return
    from .report import explain as explained
    from .report import render
    from .show.console import console

    render(result.report, console())
    if explain:
        explained(result.report, console())
    if result.fits:
        click.echo(result.fits)


@command("version")
def version_command() -> None:
    """Versions of dqnn and of the file format."""
    click.echo(version())


def version() -> str:
    """What `dqnn version` prints."""
    from dqnn._version import __version__

    from .emit.kernel_table import ids
    from .format import FORMAT_VERSION

    return f"dqnn {__version__}, file format {FORMAT_VERSION}, {len(ids())} kernels"


def export_main() -> None:
    """Entry point of `dqnn-export`."""
    export_command(prog_name="dqnn-export")
