"""The commands `dqnn device` (look at a device, replace its model) and `dqnn serve` (a stand-in for a board)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..command_line import CONTEXT, OUTPUT, command

ADDRESS = "Where the device is: serial:PORT[,BAUD] or tcp:HOST:PORT.  [env var: DQNN_DEVICE]"


@click.group("device", context_settings=CONTEXT)
def device_group() -> None:
    """Look at a device on a link, and replace its model.

    A board whose firmware has interpreter_c/link, at a serial port; `dqnn serve`, or an emulator, behind a TCP port."""


def subcommand(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Declares one that needs an address."""

    def declared(function: Callable[..., Any]) -> click.Command:
        option = click.option("--target", metavar="ADDRESS", required=True, envvar="DQNN_DEVICE", help=ADDRESS)
        made = command(name)(option(function))
        device_group.add_command(made)
        return made

    return declared


@subcommand("info")
def info_command(target: str) -> None:
    """What the device is, which model runs, what its slots hold."""
    from ..show.console import console
    from ..targets.linked import connected
    from .text import render_device

    with connected(target) as device:
        render_device(device, console())


@subcommand("load")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--confirm", is_flag=True, help="Confirm it at once, after its self-tests.")
def load_command(model: Path, confirm: bool, target: str) -> None:
    """Upload MODEL (a .dqnn file) into the free slot, have it checked, and run it.

    It runs on trial: unless it is confirmed, the next start of the device goes back to the model before."""
    from ..blob import read, read_bytes
    from ..show.console import progress_bar
    from ..targets.linked import connected
    from .text import model_text

    read(model)  # its message names the file
    with connected(target) as device, progress_bar(quiet=False, unit="B") as progress:
        loaded = device.load(
            read_bytes(model), None if progress is None else lambda done, total: progress("upload", done, total)
        )
        if confirm:
            device.confirm()
    click.echo(f"{target} runs {model_text(loaded)}")
    if not confirm:
        click.echo(f"on trial: dqnn device confirm --target {target}, else its next start goes back")


@subcommand("confirm")
def confirm_command(target: str) -> None:
    """The running model stays, if it passes its self-tests once more."""
    from ..targets.linked import connected
    from .text import model_text

    with connected(target) as device:
        device.confirm()
        click.echo(f"confirmed: {model_text(device.model())}")


@subcommand("rollback")
def rollback_command(target: str) -> None:
    """Back to the model before."""
    from ..targets.linked import connected
    from .text import model_text

    with connected(target) as device:
        click.echo(f"{target} runs {model_text(device.rollback())}")


@subcommand("reset")
def reset_command(target: str) -> None:
    """Start the device anew and wait until it answers."""
    from ..targets.linked import connected
    from .text import model_text

    with connected(target) as device:
        device.reset()
        click.echo(f"{target} runs {model_text(device.model())}")


@command("serve")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option(
    "--tcp", "place", metavar="[HOST]:PORT", required=True, help=":PORT for this machine alone; port 0: a free one."
)
@click.option(
    "--target", metavar="TARGET", help="qemu:BOARD: an emulated board with its UART, instead of this process."
)
@click.option("--flash", type=OUTPUT, help="File that keeps the slots; made if it is not there.")
@click.option("--memory", type=click.IntRange(1), help="Bytes for the interpreter.  [default: plenty]")
def serve_command(model: Path | None, place: str, target: str | None, flash: Path | None, memory: int | None) -> None:
    """Stand in for a board that holds MODEL: the same C code for link and slots, behind a TCP port.

    `dqnn run`, `validate`, `bench` and `device` take tcp:HOST:PORT as their target. Whoever can reach the port can
    replace the model."""
    import asyncio
    from contextlib import suppress

    from .serving import Place, ServedDevice, serve

    where = Place.of(place)
    if target is not None:
        if flash is not None or memory is not None:
            raise click.UsageError("--flash and --memory are for this process; an emulated board has its own")
        with suppress(KeyboardInterrupt):
            _serve_emulated(model, where.host, where.port, target)
        return
    served = ServedDevice(model, flash, memory)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(served, where, lambda line: click.echo(f"dqnn serve: {line}")))


def _serve_emulated(model: Path | None, host: str, port: int, target: str) -> None:
    from ..blob import read, read_bytes
    from ..targets.boards import TargetError
    from .emulated import find_board, free_port, running

    board = find_board(target)
    if model is not None:
        read(model)  # its message names the file
    port = port or free_port(host)
    with running(board, None if model is None else read_bytes(model), host, port) as emulator:
        click.echo(f"dqnn serve: tcp:{host}:{port} is {target} (Ctrl-C ends it)")
        code, said = emulator.wait(), b"" if emulator.stderr is None else emulator.stderr.read()
        raise TargetError(
            f"the emulator ended with {code}: {said.decode(errors='replace').strip() or 'no reason given'}"
        )
