"""The command `dqnn validate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..command_line import CHECK_FAILED, DASK_HELP, OUTPUT, TARGET_HELP, command, input_options

if TYPE_CHECKING:
    from .validation import ValidationReport


@command("validate")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--against", required=True, type=click.Path(path_type=Path), help="The .h5, .keras, .tflite or .onnx it came from."
)
@input_options
@click.option(
    "--labels", multiple=True, help="Array in the inputs' .npz, or a .npy or .csv file; once per output, in order."
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N samples.")
@click.option("--target", metavar="TARGET", default="host", show_default=True, help=TARGET_HELP)
@click.option(
    "--original",
    type=click.Choice(["auto", "keras", "tflite", "onnx", "evaluator"]),
    default="auto",
    show_default=True,
    help="What runs the original: Keras, TensorFlow Lite or onnxruntime where it is there, else dqnn's evaluator.",
)
@click.option("--per-layer", is_flag=True, help="Compare every tensor, and name the first layer that differs.")
@click.option("--layer-samples", type=click.IntRange(1), help="Samples that --per-layer compares.  [default: 16]")
@click.option("--dask", "scheduler", metavar="ADDRESS", help=DASK_HELP)
@click.option("--max-l2r", type=click.FloatRange(0), help="Exit with 1 if L2R against the original is larger.")
@click.option("--min-acc", type=click.FloatRange(0, 1), help="Exit with 1 if ACC (0 to 1) is smaller.")
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON.")
@click.option("--html", type=OUTPUT, help="Write a self-contained HTML report.")
@click.option("--bench", metavar="TARGET|JSON", help="With --html: cycles per layer, as in `dqnn analyze`.")
def validate_command(
    model: Path,
    against: Path,
    inputs: Path | None,
    count: int | None,
    low: float,
    high: float,
    seed: int,
    labels: tuple[str, ...],
    limit: int | None,
    target: str,
    original: Any,
    per_layer: bool,
    layer_samples: int | None,
    scheduler: str | None,
    max_l2r: float | None,
    min_acc: float | None,
    as_json: bool,
    html: Path | None,
    bench: str | None,
) -> None:
    """Compare a .dqnn file with the model it came from, and with labels."""
    from ..samples.arrays import inputs_or_random
    from ..show.console import progress_bar
    from ..targets.host import open_model
    from .validation import validate

    if bench is not None and html is None:
        raise click.UsageError("--bench shows in the --html report alone")
    if layer_samples is not None and not per_layer:
        raise click.UsageError("--layer-samples says how many samples --per-layer compares")
    interpreter = open_model(model)
    with progress_bar(as_json) as progress:
        validation = validate(
            model,
            against,
            inputs_or_random(interpreter, inputs, count, low, high, seed),
            labels=list(labels) or None,
            limit=limit,
            target=target,
            original=original,
            per_layer=per_layer,
            layer_samples=layer_samples,
            scheduler=scheduler,
            progress=progress,
        )
    _show(model, validation, as_json, html, bench)
    failures = validation.failures(max_l2r=max_l2r, min_acc=min_acc)
    for failure in failures:
        click.echo(f"failed: {failure}", err=True)
    if failures:
        sys.exit(CHECK_FAILED)


def _show(model: Path, validation: ValidationReport, as_json: bool, html: Path | None, bench: str | None) -> None:
    from ..show.console import console
    from .text import render

    if as_json:
        click.echo(json.dumps(validation.to_json(), indent=2))
    else:
        render(validation, console())
    if html is not None:
        from ..analyze.analysis import analyze

        analyze(model, bench=bench, validation=validation).to_html(html)
        click.echo(f"{html}: HTML report", err=as_json)
