"""Measurements on the terminal, as Markdown and as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..blob import ModelView, node_names
from ..emit.kernel_table import rows
from ..report import layers_text, node_bars
from ..show.console import NARROW, plain_table
from ..show.plots import BarChart
from .cost import ESTIMATE, ModelCost, NodeCost, best_figures, data_text
from .measure import DEVICE_RUNS, HOST_BATCH

CLIFF = 2.0  # times the best neighbour of the same K

if TYPE_CHECKING:
    from rich.console import Console

    from .host import HostCost
    from .kernel import KernelCost
    from .sweep import Cliff


MEASURED_ESTIMATE = "Estimates are from the manuals' timing tables for zero wait states."

# --- models -----------------------------------------------------------------------------------------------------------


def render_model(cost: ModelCost, out: Console) -> None:
    estimated, measured, wide = cost.cycles is not None, cost.measured is not None, out.width >= NARROW
    columns = ["layers", "=kernel", *(["=isa"] if wide else []), ">MACs"]
    columns += [] if measured else [">instructions"]
    columns += [">cycles (est.)"] if estimated else []
    columns += [">ticks", ">ms"] if measured else []
    columns += [">of est."] if estimated and measured else []
    table = plain_table(*columns, ">per MAC")
    layers = [node.layers.split(", ") for node in cost.nodes]
    names = node_names((rows()[node.kernel], parts) for node, parts in zip(cost.nodes, layers, strict=True))
    for n, parts, name in zip(cost.nodes, layers, names, strict=True):
        kernel = [n.kernel, n.isa] if wide else [f"{n.kernel}\n{n.isa}"]
        table.add_row(layers_text(name, parts, out.width), *kernel, *_figures(n, cost))
    table.add_row("total", *([""] * (1 + wide)), *_figures(cost, cost), style="bold")
    out.print(table)
    equal = "same bytes as the host" if cost.equal_to_host else "BYTES DIFFER FROM THE HOST"
    stack = "" if cost.stack_bytes is None else f"stack {cost.stack_bytes:,} B, "
    out.print(
        f"{cost.target}: arena {cost.arena_bytes:,} B, interpreter {cost.state_bytes:,} B, "
        f"{stack}file {cost.file_bytes:,} B; {equal}"
    )
    out.print(f"data: {data_text(cost)}")
    if cost.init_instructions:
        load = cost.init_instructions
        out.print(f"load: dqnn_init takes {load:,} instructions, {load / cost.file_bytes:.1f} per byte of the file")
    if cost.code_bytes:
        own = ", ".join(f"{name} {size:,} B" for name, size in cost.code_bytes.items() if name != "total")
        out.print(f"code: {cost.code_bytes['total']:,} B with loader and interpreter; each kernel's own part: {own}")
    if cost.measured is not None and cost.clock_hz:
        out.print(f"Ticks are of the device's clock, {cost.clock_hz / 1e6:g} MHz; mean of {DEVICE_RUNS} runs.")
    if estimated:
        out.print(MEASURED_ESTIMATE if measured else ESTIMATE)


def _figures(row: NodeCost | ModelCost, cost: ModelCost) -> list[str]:
    figures = [_number(row.macs)]
    if cost.measured is None:
        figures.append(_number(row.instructions))
    if cost.cycles is not None:
        figures.append(_number(row.cycles))
    if cost.measured is not None:
        milliseconds = "" if row.measured is None or not cost.clock_hz else f"{1e3 * row.measured / cost.clock_hz:.3f}"
        figures += [_number(row.measured), milliseconds]
        if cost.cycles is not None:
            figures.append(f"{row.measured / row.cycles:.2f}" if row.measured and row.cycles else "")
    last = next(value for value in (row.measured, row.cycles, row.instructions, 0) if value is not None)
    return [*figures, _ratio(last, row.macs)]


def _ratio(value: float | None, macs: int) -> str:
    return "" if value is None or not macs else f"{value / macs:.3f}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def cycles_chart(model: ModelView, target: str, unit: str, values: Sequence[int], total: int) -> BarChart:
    """Horizontal bars of cycles (instructions where there is no estimate), one per node."""
    bars = [(float(value), f"{value:,} ({100 * value / (total or 1):.1f}%)") for value in values]
    return BarChart("cycles", f"{unit[:1].upper()}{unit[1:]} by layer, {target}", node_bars(model, bars))


def cost_chart(model: ModelView, cost: ModelCost) -> BarChart:
    unit, values, total = best_figures(cost)
    return cycles_chart(model, cost.target, unit, values, total)


def render_host(found: dict[str, Any], out: Console) -> None:
    single, batched, macs = found["seconds"], found["seconds_batched"], found["macs"]
    out.print(f"host, one thread: {single * 1e6:.1f} us per inference (median), {macs / single / 1e9:.2f} GMAC/s")
    out.print(f"host, data: {found['inputs']}, {found['samples']} samples")
    out.print(f"host, batches of {HOST_BATCH} on {found['threads']} threads: {batched * 1e6:.1f} us per inference")


# --- kernels ----------------------------------------------------------------------------------------------------------


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


def render_kernels(costs: Sequence[KernelCost], out: Console) -> None:
    columns = ("kernel", "target", ">instr./MAC", ">cycles/MAC", ">goal", "peer", ">scratch", ">stack")
    kept = [i for i, column in enumerate(columns) if out.width >= NARROW or column != "peer"]
    table = plain_table(*(columns[i] for i in kept))
    for cost in costs:
        missed, cells = cost.goal is not None and (cost.cycles_per_mac or 0) > cost.goal, _kernel_cells(cost)
        table.add_row(*(cells[i] for i in kept), style="yellow" if missed else "")
    out.print(table)
    if any(cost.cycles is not None for cost in costs):
        out.print(ESTIMATE)


def _cliff_cells(cliff: Cliff) -> tuple[str, ...]:
    return (
        str(cliff.cost.shape), f"{cliff.cost.per_mac:.2f}", str(cliff.best.shape), f"{cliff.best.per_mac:.2f}",
        f"{cliff.ratio:.2f}",
    )  # fmt: skip


def _listed(found: Sequence[Cliff], worst: int) -> Sequence[Cliff]:
    """The worst, and every one beyond the limit."""
    return found[: max(worst, sum(cliff.ratio > CLIFF for cliff in found))]


def sweep_markdown(found: Sequence[Cliff], worst: int) -> str:
    head: list[tuple[str, ...]] = [("shape", "cycles/MAC", "best neighbour", "cycles/MAC", "times"), ("---",) * 5]
    lines = [*head, *(_cliff_cells(cliff) for cliff in found[:worst])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def render_sweep(found: Sequence[Cliff], measured: int, worst: int, out: Console) -> None:
    table = plain_table("shape", ">cycles/MAC", "best neighbour", ">cycles/MAC", ">times")
    for cliff in _listed(found, worst):
        table.add_row(*_cliff_cells(cliff), style="yellow" if cliff.ratio > CLIFF else "")
    out.print(table)
    beyond = sum(cliff.ratio > CLIFF for cliff in found)
    out.print(f"{measured} shapes; {beyond} take more than {CLIFF:g} times their best neighbour of the same K")
    out.print(ESTIMATE)


def host_cells(costs: Sequence[HostCost]) -> list[tuple[str, ...]]:
    return [(cost.name, cost.isa, f"{cost.seconds * 1e6:.1f}", f"{cost.gmacs:.2f}") for cost in costs]


def host_markdown(costs: Sequence[HostCost]) -> str:
    lines = [("kernel", "variant", "us", "GMAC/s"), ("---",) * 4, *host_cells(costs)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def render_host_kernels(costs: Sequence[HostCost], out: Console) -> None:
    table = plain_table("kernel", "variant", ">us", ">GMAC/s")
    for cells in host_cells(costs):
        table.add_row(*cells)
    out.print(table)
