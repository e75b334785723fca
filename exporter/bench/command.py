"""`dqnn bench`: a model on an emulated core or on this machine, or the grid of single kernels."""

from __future__ import annotations

import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..cli import OUTPUT, console, refusals
from ..errors import DqnnError
from ..report import NARROW, layers_text, node_names, plain_table

if TYPE_CHECKING:
    from .kernel import KernelCost
    from .model import ModelCost, NodeCost

HOST = "host"
BOARDS = {
    "cortex-m3": "mps2-an385",
    "cortex-m7": "mps2-an500",
    "cortex-m33": "mps2-an505",
    "cortex-m55": "mps3-an547",
    "rv32imac": "riscv32",
}
EMULATED = ("cortex-m4", "cortex-m0plus")
HOST_REPEATS = 200
HOST_BATCH = 64
ESTIMATE = "Cycles are an estimate from the manuals' timing tables (zero wait states), never checked on silicon."


class BenchError(DqnnError):
    """A measurement that cannot be made."""


@click.command("bench")
@click.argument("model", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--target",
    metavar="CORE",
    help=f"One of {', '.join((HOST, *EMULATED, *BOARDS))}. Default: cortex-m4, for --kernels what the row names.",
)
@click.option(
    "--kernels", metavar="PATTERN", help="Measure the rows of the kernel grid whose name matches, instead of a model."
)
@click.option(
    "--optimize",
    type=click.Choice(["-O2", "-O3", "-Os"]),
    default="-O2",
    show_default=True,
    help="How the C code is compiled.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", is_flag=True, help="Print the kernel grid as a Markdown table.")
@click.option(
    "--chart",
    type=OUTPUT,
    help="Write a bar chart of the nodes (.png, .svg or .pdf).",
)
@refusals
def command(
    model: Path | None,
    target: str | None,
    kernels: str | None,
    optimize: str,
    as_json: bool,
    markdown: bool,
    chart: Path | None,
) -> None:
    """Count instructions, and estimate Cortex-M4 and M0+ cycles, of MODEL (a .dqnn file) or of single kernels.

    The C sources are compiled for the target (arm-none-eabi-gcc) and run under emulation on random inputs; results are
    compared with this machine's byte for byte. With --target host every variant that this machine can run is timed, on
    one thread."""
    if (model is None) == (kernels is None):
        raise click.UsageError("give a model, or --kernels PATTERN ('.' for all)")
    if chart is not None and (model is None or target == HOST):
        raise click.UsageError("--chart draws the nodes of a model on an emulated core")
    if chart is not None:
        from ..show.plots import check_place

        check_place(chart, directories=False)
    if kernels is not None:
        if target == HOST:
            _bench_host_kernels(kernels, as_json, markdown)
        elif target in (None, *EMULATED):
            _bench_kernels(kernels, target, optimize, as_json, markdown)
        else:
            raise click.UsageError(
                f"--kernels runs on {', '.join((HOST, *EMULATED))}, not on {target}; give a model to measure that core"
            )
        return
    assert model is not None
    target = target or EMULATED[0]
    from ..blob import read

    read(model)  # its message names the file
    blob = model.read_bytes()
    if target == HOST:
        _bench_host(blob, as_json)
        return
    cost = measure_model(blob, target, optimize)
    if optimize == "-O2":
        cost = replace(cost, code_bytes=code_by_kernel(target, (node.kernel for node in cost.nodes)))
    click.echo(json.dumps(model_json(cost), indent=2)) if as_json else _print_model(cost)
    if chart is not None:
        draw_chart(cost, blob, chart)
        click.echo(f"{chart}: bar chart", err=as_json)


def measure_by_node(blob: bytes, core: str) -> ModelCost:
    """The same for a core alone: the host's clock does not see nodes."""
    cores = (*EMULATED, *BOARDS)
    if core not in cores:
        raise BenchError(
            f"no core is named {core!r}; accepted: {', '.join(cores)}, or a .json that `dqnn bench` printed"
        )
    return measure_model(blob, core)


def measure_model(blob: bytes, target: str, optimize: str = "-O2") -> ModelCost:
    """On Unicorn where there is a timing model, else instructions from QEMU."""
    if target in BOARDS:
        return _measure_board(blob, target)
    _require_emulator()
    from .build import TARGETS, BuildError
    from .model import ModelError, bench_model

    if target not in EMULATED:
        raise BenchError(f"no bench target is named {target!r}; there are {', '.join((HOST, *EMULATED, *BOARDS))}")
    try:
        return bench_model(blob, TARGETS[target], optimize)
    except (BuildError, ModelError) as error:
        raise BenchError(str(error)) from error


def code_by_kernel(core: str, kernels: Iterable[str]) -> dict[str, int]:
    """Bytes of a firmware's code with these kernels alone ("total", loader and interpreter included), and what each of
    them adds to the others; empty without a compiler for the core."""
    from ..targets.code_size import code_bytes

    names = list(dict.fromkeys(kernels))
    total = code_bytes(core, names)
    if total is None:
        return {}
    found = {"total": total}
    for name in names:
        rest = code_bytes(core, [other for other in names if other != name]) if len(names) > 1 else 0
        found[name] = total - (rest or 0)
    return found


def _require_emulator() -> None:
    missing = [name for name in ("unicorn", "capstone", "elftools") if importlib.util.find_spec(name) is None]
    if missing:
        raise BenchError(f"bench needs {', '.join(missing)}: pip install 'dqnn[bench]'")


def _measure_board(blob: bytes, target: str) -> ModelCost:
    """Instructions per node as the board's own counter sees them."""
    import numpy as np

    from ..blob import parse
    from ..targets.emulated import QemuTarget, find_target
    from ..targets.firmware import boards
    from .model import ModelCost, NodeCost, macs_of, random_inputs

    board = boards().get(BOARDS[target])
    if board is None:
        raise BenchError(f"there is no firmware for {target} ({BOARDS[target]})")
    view = parse(blob)
    arrays = [_as_stored(view, i, data) for i, data in enumerate(random_inputs(view))]
    found = QemuTarget(board, count_instructions=True, profile=True).run(blob, arrays)
    stats, host = found.stats, find_target(HOST).run(blob, arrays)
    nodes = []
    for node, measured in zip(view.nodes, stats.nodes, strict=True):
        source, output = (view.tensors[i].type for i in (node.inputs[0], node.output))
        macs = macs_of(node, source, output)
        nodes.append(
            NodeCost(", ".join(node.layers), node.kernel, measured.isa, macs, int(measured.instructions), None)
        )
    return ModelCost(
        target=target, timing=None, nodes=tuple(nodes), instructions=int(stats.instructions or 0), cycles=None,
        init_instructions=0, arena_bytes=stats.arena_bytes, state_bytes=stats.state_bytes, file_bytes=len(blob),
        stack_bytes=stats.stack_invoke or 0,
        equal_to_host=all(map(np.array_equal, found.outputs, host.outputs)),
    )  # fmt: skip


def _as_stored(view: Any, index: int, data: bytes) -> Any:
    """Random stored bytes as the array a target takes: batch of one, s1 as words."""
    import numpy as np

    from ..ir.types import F32, S1

    tensor = view.tensors[view.inputs[index].tensor].type
    if isinstance(tensor.fmt, S1):
        return np.frombuffer(data, "<u4").reshape((1, *tensor.shape[:-1], -1))
    return np.frombuffer(data, "<f4" if isinstance(tensor.fmt, F32) else np.int8).reshape((1, *tensor.shape))


# --- output -----------------------------------------------------------------------------------------------------------


def _ratio(value: float | None, macs: int) -> str:
    return "" if value is None or not macs else f"{value / macs:.3f}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def model_json(cost: ModelCost) -> dict[str, Any]:
    return {**asdict(cost), "macs": cost.macs, "note": ESTIMATE if cost.cycles is not None else ""}


def _print_model(cost: ModelCost) -> None:
    out = console()
    estimated, wide = cost.cycles is not None, out.width >= NARROW
    columns = ["layers", "kernel", *(["isa"] if wide else []), ">MACs", ">instructions"]
    table = plain_table(*columns, *([">cycles (est.)"] if estimated else []), ">per MAC")
    layers = [node.layers.split(", ") for node in cost.nodes]
    names = node_names((node.kernel, parts) for node, parts in zip(cost.nodes, layers, strict=True))
    for n, parts, name in zip(cost.nodes, layers, names, strict=True):
        kernel = [n.kernel, n.isa] if wide else [f"{n.kernel}\n{n.isa}"]
        table.add_row(layers_text(name, parts, out.width), *kernel, *_figures(n, estimated))
    table.add_row("total", *([""] * (1 + wide)), *_figures(cost, estimated), style="bold")
    out.print(table)
    equal = "same bytes as the host" if cost.equal_to_host else "BYTES DIFFER FROM THE HOST"
    out.print(
        f"{cost.target}: arena {cost.arena_bytes:,} B, interpreter {cost.state_bytes:,} B, "
        f"stack {cost.stack_bytes:,} B, file {cost.file_bytes:,} B; {equal}"
    )
    if cost.code_bytes:
        own = ", ".join(f"{name} {size:,} B" for name, size in cost.code_bytes.items() if name != "total")
        out.print(f"code: {cost.code_bytes['total']:,} B with loader and interpreter; each kernel's own part: {own}")
    if cost.cycles is not None:
        out.print(ESTIMATE)


def _figures(measured: NodeCost | ModelCost, estimated: bool) -> list[str]:
    cost = measured.cycles if estimated else measured.instructions
    counts = [
        _number(measured.macs),
        _number(measured.instructions),
        *([_number(measured.cycles)] if estimated else []),
    ]
    return [*counts, _ratio(cost, measured.macs)]


def draw_chart(cost: ModelCost, blob: bytes, path: Path) -> None:
    """Horizontal bars of cycles (instructions where there is no estimate), one per node."""
    from ..analyze.analysis import analyze
    from ..analyze.charts import bar_charts
    from ..show.plots import plot_bars

    charts = {chart.key: chart for chart in bar_charts(analyze(blob, bench=model_json(cost)))}
    plot_bars(charts["cycles"], path)


# --- kernels ----------------------------------------------------------------------------------------------------------


def _bench_kernels(pattern: str, target: str | None, optimize: str, as_json: bool, markdown: bool) -> None:
    _require_emulator()
    from .build import TARGETS, BuildError
    from .cases import find_rows
    from .kernel import bench_row

    rows = find_rows(pattern)
    if not rows:
        raise BenchError(f"no row of the kernel grid matches {pattern!r}")
    try:
        costs = [bench_row(row, optimize, TARGETS[target] if target else None) for row in rows]
    except BuildError as error:
        raise BenchError(str(error)) from error
    if as_json:
        click.echo(json.dumps([asdict(cost) for cost in costs], indent=2))
    elif markdown:
        click.echo(kernel_markdown(costs))
    else:
        _print_kernels(costs)
    wrong = [cost.name for cost in costs if not cost.equal_to_reference]
    if wrong:
        raise BenchError(f"results differ from the reference kernel: {'; '.join(wrong)}")


def _kernel_cells(cost: KernelCost) -> tuple[str, ...]:
    cycles = cost.cycles_per_mac
    return (
        cost.name, cost.target, f"{cost.instructions_per_mac:.3f}", "" if cycles is None else f"{cycles:.3f}",
        "" if cost.goal is None else f"{cost.goal:g}", cost.peer, f"{cost.scratch_bytes:,}", f"{cost.stack_bytes:,}",
    )  # fmt: skip


KERNEL_COLUMNS = ("kernel", "target", "instructions/MAC", "cycles/MAC (est.)", "goal", "peer", "scratch B", "stack B")


def kernel_markdown(costs: Sequence[KernelCost]) -> str:
    lines = [f"| {' | '.join(KERNEL_COLUMNS)} |", "|" + "---|" * len(KERNEL_COLUMNS)]
    lines += [f"| {' | '.join(_kernel_cells(cost))} |" for cost in costs]
    return "\n".join(lines)


def _print_kernels(costs: Sequence[KernelCost]) -> None:
    out = console()
    columns = ("kernel", "target", ">instr./MAC", ">cycles/MAC", ">goal", "peer", ">scratch", ">stack")
    kept = [i for i, column in enumerate(columns) if out.width >= NARROW or column != "peer"]
    table = plain_table(*(columns[i] for i in kept))
    for cost in costs:
        missed, cells = cost.goal is not None and (cost.cycles_per_mac or 0) > cost.goal, _kernel_cells(cost)
        table.add_row(*(cells[i] for i in kept), style="yellow" if missed else "")
    out.print(table)
    out.print(ESTIMATE)


# --- this machine -----------------------------------------------------------------------------------------------------


def _bench_host(blob: bytes, as_json: bool) -> None:
    import os

    from dqnn import _core

    from ..blob import parse
    from .model import random_inputs

    view = parse(blob)
    interpreter, inputs = _core.Interpreter(blob), random_inputs(view)
    for i, data in enumerate(inputs):
        interpreter.set_input(i, data)
    single = _median_seconds(interpreter.invoke, HOST_REPEATS)
    threads = os.cpu_count() or 1
    batch = [data * HOST_BATCH for data in inputs]
    batched = _median_seconds(lambda: interpreter.invoke_batch(batch, HOST_BATCH, threads), 5) / HOST_BATCH
    macs = _macs(view)
    if as_json:
        found = {"target": HOST, "seconds": single, "seconds_batched": batched, "threads": threads, "macs": macs}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"host, one thread: {single * 1e6:.1f} us per inference (median), {macs / single / 1e9:.2f} GMAC/s")
    click.echo(f"host, batches of {HOST_BATCH} on {threads} threads: {batched * 1e6:.1f} us per inference")


def _bench_host_kernels(pattern: str, as_json: bool, markdown: bool) -> None:
    from .cases import find_rows
    from .host import bench_host_row

    rows = find_rows(pattern, host=True)
    if not rows:
        raise BenchError(f"no row of the kernel grid matches {pattern!r}")
    costs = [cost for row in rows for cost in bench_host_row(row)]
    if as_json:
        click.echo(json.dumps([{**asdict(cost), "gmacs": cost.gmacs} for cost in costs], indent=2))
        return
    columns = ("kernel", "variant", "us", "GMAC/s")
    cells = [(cost.name, cost.isa, f"{cost.seconds * 1e6:.1f}", f"{cost.gmacs:.2f}") for cost in costs]
    if markdown:
        click.echo("\n".join(f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *cells)))
        return
    table = plain_table("kernel", "variant", ">us", ">GMAC/s")
    for row in cells:
        table.add_row(*row)
    console().print(table)


def _median_seconds(call: Callable[[], Any], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _macs(view: Any) -> int:
    from .model import macs_of

    total = 0
    for node in view.nodes:
        source, output = (view.tensors[i].type for i in (node.inputs[0], node.output))
        total += macs_of(node, source, output)
    return total
