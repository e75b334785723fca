"""A difference on the terminal, and the command `dqnn diff`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..cli import CONTEXT, console, refusals
from ..report import plain_table
from ..validate.text import input_options, metrics_table

if TYPE_CHECKING:
    from rich.console import Console

    from .diff import Difference

RANDOM_SAMPLES = 16  # where no inputs are given
SIGNS = {"added": "+", "removed": "-", "changed": "~"}
DIFFERENT = 1


def render(difference: Difference, out: Console) -> None:
    """Sizes, kernels, ports, nodes, numerics."""
    from rich.text import Text

    if difference.identical:
        out.print(Text("the files are identical"))
        return
    table = plain_table(" -> ".join(dict.fromkeys(difference.names)), ">before", ">after", ">change")
    for n in difference.numbers:
        share = f" ({100 * n.delta / n.before:+.1f}%)" if n.before and n.delta else ""
        table.add_row(n.name, f"{n.before:,}", f"{n.after:,}", f"{n.delta:+,}{share}" if n.delta else "")
    for name, (before, after) in difference.kernels.items():
        table.add_row(name, str(before), str(after), f"{after - before:+}")
    out.print(table)
    for port in difference.ports:
        out.print(Text(port))
    for change in difference.nodes:
        out.print(Text(f"{SIGNS[change.kind]} {', '.join(change.layers)}: {'; '.join(change.details)}"))
    _print_numerics(difference, out)


def _print_numerics(difference: Difference, out: Console) -> None:
    from rich.text import Text

    if difference.numerics_note:
        out.print(Text(f"outputs are not compared: {difference.numerics_note}"))
        return
    out.print(Text(f"outputs of the second against the first on {difference.samples} samples"))
    for output in difference.outputs:
        out.print(metrics_table(f"output {output.name}", [("second / first", output.metrics)], out.width))
        other = "" if output.differing_classes is None else f"; another class: {output.differing_classes} samples"
        out.print(Text(f"equal values: {output.equal:,} of {output.elements:,}{other}"))


@click.command("diff", context_settings=CONTEXT)
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@input_options
@click.option("--no-run", is_flag=True, help="Compare the files alone, not what they compute.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the files are not identical.")
@click.option("--json", "as_json", is_flag=True, help="The difference as JSON.")
@refusals
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
    from ..samples.arrays import make_inputs
    from ..targets.run import open_model
    from ..validate.validation import fit_inputs
    from .diff import diff

    interpreter, _ = open_model(before), open_model(after)
    batch = None
    if not no_run:
        samples = RANDOM_SAMPLES if inputs is None and count is None else count
        batch = fit_inputs(make_inputs(interpreter, inputs, samples, low, high, seed)[0], interpreter)
    difference = diff(before.read_bytes(), after.read_bytes(), batch)
    if as_json:
        click.echo(json.dumps(difference.to_json(), indent=2))
    else:
        render(difference, console())
    if exit_code and not difference.identical:
        sys.exit(DIFFERENT)
