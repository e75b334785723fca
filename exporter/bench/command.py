"""The command `dqnn bench`: instructions and estimated cycles of a file, or of the rows of the kernel grid."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..command_line import OUTPUT, TARGET_HELP, command, samples_options
from ..options import MOST_SAMPLES

if TYPE_CHECKING:
    from ..targets.target import Target
    from .cost import ModelCost
    from .grid import Row


@command("bench")
@click.argument("model", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--target",
    metavar="TARGET",
    help=f"Default: cortex-m4, for --kernels what the row names. {TARGET_HELP} Cycles are estimated for cortex-m4 and "
    "cortex-m0plus; qemu:BOARD counts instructions.",
)
@click.option(
    "--kernels", metavar="PATTERN", help="Measure the rows of the kernel grid whose name matches, instead of a model."
)
@click.option(
    "--sweep",
    metavar="PATTERN",
    help="Measure the convolutions of a grid of shapes whose text matches, and list those that take most beside a "
    "neighbour of the same K. (Whole models beside each other: `dqnn sweep`.)",
)
@click.option(
    "--costs",
    type=OUTPUT,
    help="Measure what `dqnn-export --optimize` chooses by, and write it: exporter/emit/costs.json, in a checkout.",
)
@click.option(
    "--optimize",
    type=click.Choice(["-O2", "-O3", "-Os"]),
    default="-O2",
    show_default=True,
    help="How the C code is compiled.",
)
@samples_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", is_flag=True, help="Print the kernel grid as a Markdown table.")
@click.option("--chart", type=OUTPUT, help="Write a bar chart of the nodes (.png, .svg or .pdf).")
def bench_command(
    model: Path | None,
    target: str | None,
    kernels: str | None,
    sweep: str | None,
    costs: Path | None,
    optimize: str,
    inputs: Path | None,
    limit: int | None,
    as_json: bool,
    markdown: bool,
    chart: Path | None,
) -> None:
    """Count instructions, and estimate Cortex-M4 and M0+ cycles, of MODEL (a .dqnn file) or of single kernels.

    The C sources are compiled for the target (arm-none-eabi-gcc) and run under emulation; results are compared with
    this machine's byte for byte. The time of binary kernels depends on the data: give samples of yours (--inputs),
    else inputs are random. A device on a link (serial:PORT, tcp:HOST:PORT) measures the model that it holds by its own
    clock, beside the estimate for its core. With --target host every variant that this machine can run is timed, on
    one thread."""
    from ..targets.host import HOST
    from ..targets.target import find_target

    if [model, kernels, sweep, costs].count(None) != 3:
        raise click.UsageError("give a model, or --kernels PATTERN or --sweep PATTERN ('.' for all), or --costs FILE")
    if costs is not None:
        _bench_costs(costs)
        return
    if sweep is not None and as_json:
        raise click.UsageError("--sweep prints a table, or Markdown (--markdown)")
    if model is None and inputs is not None:
        raise click.UsageError("--inputs are those of a model; rows of the kernel grid have random ones")
    if limit is not None and inputs is None:
        raise click.UsageError("--limit says how many samples of --inputs are measured")
    if chart is not None and (model is None or target == HOST):
        raise click.UsageError("--chart draws the nodes of a model on an emulated core or a device")
    if chart is not None:
        from ..show.plots import check_place

        check_place(chart, directories=False)
    place = None if target is None else find_target(target)
    if model is not None:
        _bench_model(model, place or find_target("cortex-m4"), optimize, (inputs, limit), as_json, chart)
    elif kernels is not None and place is not None and place.name == HOST:
        _bench_host_kernels(kernels, as_json, markdown)
    elif kernels is not None:
        _bench_kernels(kernels, place, optimize, as_json, markdown)
    elif sweep is not None:
        _bench_sweep(sweep, place, optimize, markdown)


def _bench_model(
    model: Path,
    target: Target,
    optimize: str,
    inputs: tuple[Path | None, int | None],
    as_json: bool,
    chart: Path | None,
) -> None:
    from ..blob import read, read_bytes
    from ..show.console import console
    from ..targets.host import HOST
    from .measure import code_by_kernel, measure_host, measure_model, read_samples
    from .text import render_host, render_model

    read(model)  # its message names the file
    blob = read_bytes(model)
    samples = None if inputs[0] is None else read_samples(blob, inputs[0], inputs[1] or MOST_SAMPLES)
    if target.name == HOST:
        found = measure_host(blob, samples)
        click.echo(json.dumps(found, indent=2)) if as_json else render_host(found, console())
        return
    cost = measure_model(blob, target, optimize, samples)
    if optimize == "-O2" and target.core is not None:
        cost = replace(cost, code_bytes=code_by_kernel(target.core, (node.kernel for node in cost.nodes)))
    click.echo(json.dumps(cost.to_json(), indent=2)) if as_json else render_model(cost, console())
    if chart is not None:
        draw_chart(cost, blob, chart)
        click.echo(f"{chart}: bar chart", err=as_json)


def draw_chart(cost: ModelCost, blob: bytes, path: Path) -> None:
    """Cycles, or instructions where there is no estimate, of each node."""
    from ..blob import parse
    from ..show.plots import draw_one
    from .text import cost_chart

    draw_one(cost_chart(parse(blob), cost), path)


def _bench_costs(path: Path) -> None:
    from .measure import require_emulator

    require_emulator()
    from .costs import measure_costs

    path.write_text(json.dumps(measure_costs(), indent=2) + "\n", encoding="utf-8")
    click.echo(f"{path}: cycles of the ways that a convolution can go")


# --- kernels ----------------------------------------------------------------------------------------------------------


def _bench_kernels(pattern: str, place: Target | None, optimize: str, as_json: bool, markdown: bool) -> None:
    from ..show.console import console
    from ..targets.emulated import QemuRunner
    from ..targets.host import HOST
    from ..targets.target import cores
    from .measure import TIMED, BenchError, require_emulator
    from .text import kernel_markdown, render_kernels

    board = place is not None and place.core not in TIMED
    if board and not isinstance(place.runner if place else None, QemuRunner):
        accepted = ", ".join((HOST, *cores()))
        raise click.UsageError(f"--kernels runs on {accepted} and boards of such a core, not on {place and place.name}")
    if board and optimize != "-O2":
        raise click.UsageError("firmware of emulated boards is compiled with -O2")
    require_emulator()
    from .build import TARGETS, BuildError
    from .kernel import VariantError, bench_board_row, bench_row

    core = None if place is None or board else TARGETS[str(place.core)]
    costs, missing = [], []
    try:
        for row in _rows(pattern, board=board):
            try:
                found = bench_board_row(row, place) if board and place else bench_row(row, optimize, core)
                costs.append(found)
            except VariantError as error:
                missing.append(f"not measured: {row.name} ({error})")
    except BuildError as error:
        raise BenchError(str(error)) from error
    if not costs:
        raise BenchError("\n".join(missing))
    for line in missing:
        click.echo(line, err=True)
    if as_json:
        rows = [asdict(cost) for cost in costs]
        click.echo(json.dumps({"schema": "dqnn.bench-kernels/1", "rows": rows}, indent=2))
    elif markdown:
        click.echo(kernel_markdown(costs))
    else:
        render_kernels(costs, console())
    wrong = [cost.name for cost in costs if not cost.equal_to_reference]
    if wrong:
        raise BenchError(f"results differ from the reference kernel: {'; '.join(wrong)}")


WORST = 10  # shapes that a sweep lists, and all beyond the limit


def _bench_sweep(pattern: str, place: Target | None, optimize: str, markdown: bool) -> None:
    from ..show.console import console
    from .measure import TIMED, BenchError, require_emulator

    core = "cortex-m4" if place is None else place.core
    if core not in TIMED or (place is not None and place.name == "host"):
        raise click.UsageError(f"--sweep runs on {', '.join(TIMED)}, not on {place.name if place else core}")
    require_emulator()
    from .build import TARGETS, BuildError
    from .sweep import SweepError, cliffs, find_shapes, measure
    from .text import render_sweep, sweep_markdown

    shapes = find_shapes(pattern)
    if not shapes:
        raise BenchError(f"no shape of the sweep matches {pattern!r}")
    try:
        with click.progressbar(length=len(shapes), label=f"{len(shapes)} shapes", file=sys.stderr) as bar:
            costs = measure(shapes, TARGETS[str(core)], optimize, lambda _: bar.update(1))
    except (BuildError, SweepError) as error:
        raise BenchError(str(error)) from error
    found = cliffs(costs)
    click.echo(sweep_markdown(found, WORST)) if markdown else render_sweep(found, len(costs), WORST, console())


def _bench_host_kernels(pattern: str, as_json: bool, markdown: bool) -> None:
    from ..show.console import console
    from .host import bench_host_row
    from .text import host_markdown, render_host_kernels

    costs = [cost for row in _rows(pattern, host=True) for cost in bench_host_row(row)]
    if as_json:
        rows = [{**asdict(cost), "gmacs": cost.gmacs} for cost in costs]
        click.echo(json.dumps({"schema": "dqnn.bench-host-kernels/1", "rows": rows}, indent=2))
    elif markdown:
        click.echo(host_markdown(costs))
    else:
        render_host_kernels(costs, console())


def _rows(pattern: str, host: bool = False, board: bool = False) -> Sequence[Row]:
    from .grid import find_rows
    from .measure import BenchError

    rows = find_rows(pattern, host=host, board=board)
    if not rows:
        raise BenchError(f"no row of the kernel grid matches {pattern!r}")
    return rows
