"""A validation on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..blob import node_names
from ..report import layers_text
from ..samples.text import metrics_table
from ..show import console
from ..show.console import plain_table
from .model import LayerReport, OutputReport, Validation

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MOST_CLASSES = 20  # of a printed confusion matrix


def render(validation: Validation, out: Console) -> None:
    """What was compared, the rows of each output, confusion, layers."""
    from rich.text import Text

    title = f"{validation.model or 'model'}: {validation.samples} samples on {validation.target}"
    out.print(Text(title, style="bold"))
    out.print(Text(f"original: {validation.original}"))
    if validation.layers_note:
        out.print(Text(validation.layers_note, style="bold"))
    for found in validation.inputs:
        out.print(Text(str(found), style="bold red" if found.is_alarming else ""))
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
    return console.as_text(lambda out: render(validation, out))


def _confusion_table(output: OutputReport) -> Table:
    assert output.confusion is not None
    classes = range(len(output.confusion))
    table = plain_table(f"{output.confusion_of} \\ C model", *(f">{c}" for c in classes))
    for c, row in zip(classes, output.confusion, strict=True):
        table.add_row(str(c), *(str(n) if n else "." for n in row))
    return table


def _print_layers(validation: Validation, out: Console) -> None:
    from rich.text import Text

    table = plain_table(">#", "layers", "=type", ">inexact", ">unlike original", ">L2R", "")
    names = node_names((layer.row, layer.layers) for layer in validation.layers)
    for layer, name in zip(validation.layers, names, strict=True):
        cells = (str(layer.index), layers_text(name, layer.layers, out.width), str(layer.type), *layer_figures(layer))
        table.add_row(*cells, "DIFFERS" if layer.differs else "")
    out.print(table)
    first = validation.first_differing
    if any(layer.l2r is None for layer in validation.layers):
        out.print(Text("-: only the exporter makes this value, the original has none to compare with"))
    if first is None:
        out.print(Text("every tensor agrees within rounding"))
    else:
        out.print(Text(f"first layer that differs: {first.name} (node {first.index}, {first.kernel})"))


def layer_figures(layer: LayerReport) -> list[str]:
    """Elements that are not exact, elements unlike the original's, relative error; "-" where it has none."""
    counts = ["-" if n is None else f"{n:,} of {layer.elements:,}" if n else "0" for n in _counts(layer)]
    return [*counts, "-" if layer.l2r is None else f"{layer.l2r:.3g}"]


def _counts(layer: LayerReport) -> tuple[int | None, int | None]:
    return layer.inexact, layer.differing
