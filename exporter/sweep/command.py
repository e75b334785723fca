"""The command `dqnn sweep`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..command_line import DASK_HELP, OUTPUT, TARGET_HELP, command, export_options
from ..options import DEFAULTS


@command("sweep")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...")
@click.option(
    "--inputs", required=True, type=click.Path(path_type=Path), help=".npz (an array per input), .npy, .zarr or .csv."
)
@click.option("--labels", required=True, help="Array in the inputs' file, or a .npy, .zarr or .csv file.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N samples.")
@click.option(
    "--target",
    metavar="TARGET",
    default="cortex-m4",
    show_default=True,
    help=f"Where an inference is counted: a core or a board. {TARGET_HELP}",
)
@click.option("--no-cycles", is_flag=True, help="Leave that out: accuracy and sizes alone.")
@click.option("--dask", "scheduler", metavar="ADDRESS", help=DASK_HELP)
@export_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", type=OUTPUT, help="Write a row for each candidate.")
@click.option("--plot", type=OUTPUT, help="Draw accuracy against file, arena and cycles (.png, .svg or .pdf).")
def sweep_command(
    candidates: tuple[str, ...],
    inputs: Path,
    labels: str,
    limit: int | None,
    target: str,
    no_cycles: bool,
    scheduler: str | None,
    as_json: bool,
    as_csv: Path | None,
    plot: Path | None,
    **options: Any,
) -> None:
    """Compare candidate models on the same samples: accuracy against size and cycles, with the Pareto front marked.

    A CANDIDATE is a .dqnn file, a model to export (.h5, .keras, .tflite, .onnx), or FILE.py:FUNCTION, a function that
    gives or yields models, a dict or pairs of name and model. One that fails is listed with its reason. (The shapes of
    single layers: `dqnn bench --sweep`.)"""
    from ..files import write_atomically
    from ..show.console import console, progress_bar
    from ..show.plots import check_place
    from .candidates import SweepError
    from .sweep import sweep
    from .text import render

    if plot is not None:
        check_place(plot, directories=False)
    chosen = {name: value for name, value in options.items() if value != getattr(DEFAULTS, name)}
    with progress_bar(as_json) as progress:
        found = sweep(
            candidates,
            inputs,
            labels,
            limit=limit,
            target=None if no_cycles else target,
            scheduler=scheduler,
            progress=progress,
            **chosen,
        )
    click.echo(json.dumps(found.to_json(), indent=2)) if as_json else render(found, console())
    if as_csv is not None:
        write_atomically(as_csv, found.to_csv().encode())
        click.echo(f"{as_csv}: a row for each candidate", err=as_json)
    if not found.measured:
        raise SweepError(f"none of {len(found.entries)} candidates could be run")
    if plot is not None:
        found.plot(plot)
        click.echo(f"{plot}: charts", err=as_json)
