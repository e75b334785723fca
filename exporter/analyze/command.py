"""The command `dqnn analyze`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..command_line import OUTPUT, TARGET_HELP, command, export_options, samples_options, weights_option
from ..options import DEFAULTS


@command("analyze")
@click.argument("model", type=click.Path(path_type=Path))
@weights_option
@click.option("--target", metavar="TARGET", help=f"Code and memory there; exit with 2 if too small: {TARGET_HELP}")
@click.option("--bench", metavar="TARGET|JSON", help="Cycles per layer: a core to measure on, or `dqnn bench --json`.")
@samples_options
@click.option("--validation", type=click.Path(path_type=Path), help="Errors per layer: `dqnn validate --json`.")
@export_options
@click.option("--json", "as_json", is_flag=True, help="The whole analysis as JSON.")
@click.option("--html", type=OUTPUT, help="Write a self-contained HTML report.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw the charts: one .png, .svg or .pdf, or a directory of each."
)
def analyze_command(
    model: Path,
    weights: Path | None,
    target: str | None,
    bench: str | None,
    inputs: Path | None,
    limit: int | None,
    validation: Path | None,
    as_json: bool,
    html: Path | None,
    plot: Path | None,
    **options: Any,
) -> None:
    """Operations, parameters, weights, memory and advice for a .h5, .keras, .tflite or .dqnn file."""
    from ..show.console import console
    from ..show.plots import check_place
    from ..targets.boards import TargetError
    from .analysis import analyze
    from .text import render

    if plot is not None:
        check_place(plot)
    chosen = {name: value for name, value in options.items() if value != getattr(DEFAULTS, name)}
    analysis = analyze(
        model, target=target, bench=bench, inputs=inputs, limit=limit, validation=validation, weights=weights, **chosen
    )
    if as_json:
        click.echo(json.dumps(analysis.to_json(), indent=2))
    else:
        render(analysis, console())
    if html is not None:
        analysis.to_html(html)
        click.echo(f"{html}: HTML report", err=as_json)
    for path in () if plot is None else analysis.plot(plot):
        click.echo(f"{path}: charts" if path == plot else str(path), err=as_json)
    if analysis.fit is not None and analysis.fit.problem:
        raise TargetError(analysis.fit.problem)
