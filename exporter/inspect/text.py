"""A file as text: ports, nodes, tensors, and the arena over time; and a difference between two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..blob import ModelView, lifetimes
from ..report import node_table, port_lines
from ..samples.text import metrics_table
from ..show.console import plain_table, size
from .diff import Difference

if TYPE_CHECKING:
    from rich.console import Console

MAP_ROWS = 16  # rows of the memory map
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def render(model: ModelView, console: Console) -> None:
    """The whole file on a few screens."""
    from rich.text import Text

    prefix = model.prefix
    console.print(Text(f"{model.name or 'unnamed'}", style="bold"))
    console.print(Text(f"made by {model.producer or 'unknown'}, file format {prefix.format_version}"))
    console.print(Text(f"model id {prefix.model_id:#010x}, version {prefix.model_version}"))
    if model.self_tests:
        console.print(Text(f"self-tests: {model.self_tests}"))
    if prefix.signature_offset:
        console.print(Text(f"signed: {prefix.file_bytes - prefix.signature_offset} bytes (`dqnn sign --check KEY`)"))
    for line in port_lines(model):
        console.print(Text(line))
    console.print(
        Text(
            f"file    {size(model.file_bytes)}: {size(model.data_bytes)} constants, {size(model.overhead_bytes)} graph"
        )
    )
    console.print(Text(f"arena   {size(prefix.arena_bytes)}"))
    for line in segment_lines(model):
        console.print(Text(line))
    console.print(Text("\nNodes", style="bold"))
    console.print(node_table(model, console.width))
    console.print(Text("\nTensors", style="bold"))
    _print_tensors(model, console)
    console.print(
        Text("\nMemory map: address downwards, node to the right, tensor number or s for scratch", style="bold")
    )
    for line in memory_map(model):
        console.print(Text(line), no_wrap=True, overflow="crop")


def segment_lines(model: ModelView) -> list[str]:
    """Nodes that run for some rows at a time, and the rows of each call and strip."""
    lines = []
    for begin, node in enumerate(model.nodes):
        nodes = model.nodes[begin : begin + node.segment]
        if nodes:
            calls = ", ".join(str(part.rows) for part in nodes)
            fed = [port.tensor for port in model.inputs if begin == 0]
            strips = [(t, model.tensors[t].rows) for t in (*fed, *(part.output for part in nodes))]
            kept = ", ".join(f"{rows} of tensor {tensor}" for tensor, rows in strips if rows)
            text = f"rows    nodes {begin} to {begin + len(nodes) - 1} make up to {calls} rows at a time"
            lines.append(text + (f"; in memory are {kept}" if kept else ""))
    return lines


def _print_tensors(model: ModelView, console: Console) -> None:
    table = plain_table(">#", "=type", ">bytes", ">from", ">to", "role")
    roles = {port.tensor: f"input {port.name}" for port in model.inputs}
    roles |= {port.tensor: f"output {port.name}" for port in model.outputs}
    for number, tensor in enumerate(model.tensors):
        table.add_row(
            str(number),
            str(tensor.type),
            f"{tensor.nbytes:,}",
            str(tensor.offset),
            str(tensor.end),
            roles.get(number, ""),
        )
    console.print(table)


@dataclass(frozen=True)
class Life:
    """Bytes from..to of the arena in use from node `first` to node `last`."""

    label: str
    start: int
    end: int
    first: int
    last: int


def lives(model: ModelView) -> list[Life]:
    """When each tensor and each scratch area is in use, by node number; model inputs begin at node 0, outputs last to
    the end.

    Tensors that share their storage (a reshape) are one life, under the number of the first."""
    found = [
        Life(str(tensor), model.tensors[tensor].offset, model.tensors[tensor].end, first, last)
        for tensor, (first, last) in lifetimes(model).items()
    ]
    found += [
        Life("s", node.scratch_offset, node.scratch_offset + node.scratch_bytes, number, number)
        for number, node in enumerate(model.nodes)
        if node.scratch_bytes
    ]
    return found


def memory_map(model: ModelView) -> list[str]:
    """One line per slice of the arena, one column per node; `.` is unused, and where a slice holds several, the largest
    is shown."""
    arena = model.prefix.arena_bytes
    step = max(16, -(-arena // MAP_ROWS // 16) * 16)
    everything = lives(model)
    width = max([len(str(len(model.nodes) - 1)), *(len(life.label) for life in everything)], default=1) + 1
    digits = len(str(arena))
    lines = [" " * (digits + 1) + "".join(f"{n:>{width}}" for n in range(len(model.nodes)))]
    for top in range(0, arena, step):
        row = [_owner(everything, node, top, top + step) for node in range(len(model.nodes))]
        lines.append(f"{top:>{digits}} " + "".join(f"{label:>{width}}" for label in row))
    return lines


def _owner(everything: list[Life], node: int, top: int, bottom: int) -> str:
    best, label = 0, "."
    for life in everything:
        shared = min(life.end, bottom) - max(life.start, top)
        if life.first <= node <= life.last and shared > best:
            best, label = shared, life.label
    return label


# --- differences ------------------------------------------------------------------------------------------------------


def render_difference(difference: Difference, out: Console) -> None:
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
