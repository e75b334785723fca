"""A validation on the terminal and in the HTML report, and the command `dqnn validate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import report
from ..cli import CONTEXT, OUTPUT, console, refusals
from ..report import layers_text, node_names, plain_table
from ..samples.arrays import labels_for, make_inputs
from ..samples.metrics import Metrics
from ..targets.run import HOST

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from .layers import LayerReport
    from .validation import OutputReport, Progress, Validation

COLUMNS = ("ACC", "RMSE", "MAE", "L2R", "MEAN", "STD", "NSE", "COS")
SHORT = {
    "C model against labels": "C / labels",
    "original against labels": "original / labels",
    "C model against original": "C / original",
}
WIDE = 115  # columns that the figures take as rows
MOST_CLASSES = 20  # of a printed confusion matrix
CHECK_FAILED = 1


# --- text -------------------------------------------------------------------------------------------------------------


def render(validation: Validation, out: Console) -> None:
    """What was compared, the rows of each output, confusion, layers."""
    from rich.text import Text

    title = f"{validation.model or 'model'}: {validation.samples} samples on {validation.target}"
    out.print(Text(title, style="bold"))
    out.print(Text(f"original: {validation.original}"))
    for output in validation.outputs:
        out.print(metrics_table(f"output {output.name}", output.rows(), out.width))
        if output.differing_classes is not None:
            out.print(Text(f"classified otherwise than by the original: {output.differing_classes}"))
        if output.confusion is not None and len(output.confusion) <= MOST_CLASSES:
            out.print(_confusion_table(output))
    if validation.layers:
        _print_layers(validation, out)


def as_text(validation: Validation) -> str:
    """The same as text of 120 columns."""
    return report.as_text(lambda out: render(validation, out))


def figures(metrics: Metrics) -> list[str]:
    """One row as text, in the order of COLUMNS."""
    acc = "n.a." if metrics.acc is None else f"{100 * metrics.acc:.2f}%"
    rest = (metrics.rmse, metrics.mae, metrics.l2r, metrics.mean, metrics.std, metrics.nse, metrics.cos)
    return [acc, *(f"{value:.4g}" for value in rest)]


def metrics_table(title: str, rows: Sequence[tuple[str, Metrics]], width: int) -> Table:
    """A row per comparison, or a column where rows would be too long."""
    if width >= WIDE:
        table = plain_table(title, *(f">{column}" for column in COLUMNS))
        for name, metrics in rows:
            table.add_row(name, *figures(metrics))
        return table
    table = plain_table(title, *(f">{SHORT.get(name, name)}" for name, _ in rows))
    for cells in zip(COLUMNS, *(figures(metrics) for _, metrics in rows), strict=True):
        table.add_row(*cells)
    return table


def _confusion_table(output: OutputReport) -> Table:
    assert output.confusion is not None
    classes = range(len(output.confusion))
    table = plain_table(f"{output.confusion_of} \\ C model", *(f">{c}" for c in classes))
    for c, row in zip(classes, output.confusion, strict=True):
        table.add_row(str(c), *(str(n) if n else "." for n in row))
    return table


def _print_layers(validation: Validation, out: Console) -> None:
    from rich.text import Text

    table = plain_table(">#", "layers", "type", ">inexact", ">unlike original", ">L2R", "")
    names = node_names((layer.kernel, layer.layers) for layer in validation.layers)
    for layer, name in zip(validation.layers, names, strict=True):
        cells = (str(layer.index), layers_text(name, layer.layers, out.width), str(layer.type), *layer_figures(layer))
        table.add_row(*cells, "DIFFERS" if layer.differs else "")
    out.print(table)
    first = validation.first_differing
    if validation.layers_note:
        out.print(Text(validation.layers_note))
    if first is None:
        out.print(Text("every tensor agrees within rounding"))
    else:
        out.print(Text(f"first layer that differs: {first.name} (node {first.index}, {first.kernel})"))


def layer_figures(layer: LayerReport) -> list[str]:
    """Elements that are not exact, elements unlike the original's, relative error; empty where unknown."""
    counts = ["" if n is None else f"{n:,} of {layer.elements:,}" if n else "0" for n in _counts(layer)]
    return [*counts, "" if layer.l2r is None else f"{layer.l2r:.3g}"]


def _counts(layer: LayerReport) -> tuple[int | None, int | None]:
    return layer.inexact, layer.differing


def figures_of_json(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of each figure of a row in JSON."""
    values = {key.upper(): value for key, value in row.items()}
    acc = "n.a." if values["ACC"] is None else f"{100 * values['ACC']:.2f} %"
    return [("ACC", acc), *((name, f"{float(values[name]):.4g}") for name in COLUMNS[1:])]


# --- progress ---------------------------------------------------------------------------------------------------------


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress | None]:
    """A bar per stage with rate and remaining time, on stderr; none where nobody looks."""
    from rich import progress as bars
    from rich.text import Text

    out = console(stderr=True)
    if quiet or not out.is_terminal:
        yield None
        return

    class Rate(bars.ProgressColumn):
        def render(self, task: bars.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} samples/s" if speed >= 10 else f"{speed:.2g} samples/s")

    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn(), Rate())
    with bars.Progress(*columns, bars.TimeRemainingColumn(), console=out, transient=True) as shown:
        tasks: dict[str, bars.TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=total)
            shown.update(tasks[stage], completed=done)

        yield tell


# --- the command ------------------------------------------------------------------------------------------------------


def input_options(command: Any) -> Any:
    """--inputs or --random with its range and seed, shared with `dqnn diff`."""
    for option in reversed(
        (
            click.option("--inputs", type=click.Path(path_type=Path), help=".npz (an array per input), .npy or .csv."),
            click.option("--random", "count", type=click.IntRange(1), help="N random samples instead of --inputs."),
            click.option("--low", type=float, default=0.0, show_default=True, help="Least random value."),
            click.option("--high", type=float, default=1.0, show_default=True, help="Largest random value."),
            click.option("--seed", type=int, default=0, show_default=True, help="Of the random samples."),
        )
    ):
        command = option(command)
    return command


@click.command("validate", context_settings=CONTEXT)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--against", required=True, type=click.Path(path_type=Path), help="The .h5 or .keras file it came from.")
@input_options
@click.option(
    "--labels", multiple=True, help="Array in the inputs' .npz, or a .npy or .csv file; once per output, in order."
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N samples.")
@click.option(
    "--target",
    metavar="BOARD",
    default=HOST,
    show_default=True,
    help="host, or a board in QEMU such as qemu:mps2-an386.",
)
@click.option(
    "--original",
    type=click.Choice(["auto", "keras", "evaluator"]),
    default="auto",
    show_default=True,
    help="What runs the original: Keras where it can be loaded, else dqnn's float evaluator.",
)
@click.option("--per-layer", is_flag=True, help="Compare every tensor, and name the first layer that differs.")
@click.option("--max-l2r", type=click.FloatRange(0), help="Exit with 1 if L2R against the original is larger.")
@click.option("--min-acc", type=click.FloatRange(0, 1), help="Exit with 1 if ACC (0 to 1) is smaller.")
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON.")
@click.option("--html", type=OUTPUT, help="Write a self-contained HTML report.")
@click.option("--bench", metavar="CORE|JSON", help="With --html: cycles per layer, as in `dqnn analyze`.")
@refusals
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
    max_l2r: float | None,
    min_acc: float | None,
    as_json: bool,
    html: Path | None,
    bench: str | None,
) -> None:
    """Compare a .dqnn file with the model it came from, and with labels."""
    from ..targets.run import open_model
    from .validation import validate

    if bench is not None and html is None:
        raise click.UsageError("--bench shows in the --html report alone")
    interpreter = open_model(model)
    batch, arrays = make_inputs(interpreter, inputs, count, low, high, seed)
    truths = [labels_for(name, arrays, inputs)[:limit] for name in labels]
    with progress_bar(as_json) as progress:
        validation = validate(
            model,
            against,
            {name: array[:limit] for name, array in batch.items()},
            labels=truths or None,
            target=target,
            original=original,
            per_layer=per_layer,
            progress=progress,
        )
    _show(model, validation, as_json, html, bench)
    failures = validation.failures(max_l2r=max_l2r, min_acc=min_acc)
    for failure in failures:
        click.echo(f"failed: {failure}", err=True)
    if failures:
        sys.exit(CHECK_FAILED)


def _show(model: Path, validation: Validation, as_json: bool, html: Path | None, bench: str | None) -> None:
    if as_json:
        click.echo(json.dumps(validation.to_json(), indent=2))
    else:
        render(validation, console())
    if html is not None:
        from ..analyze.analysis import analyze

        analyze(model, bench=bench, validation=validation).to_html(html)
        click.echo(f"{html}: HTML report", err=as_json)


__all__ = ["as_text", "figures_of_json", "input_options", "progress_bar", "render", "validate_command"]
