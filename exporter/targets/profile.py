"""What each node of a file takes where it runs, on samples of the user: seconds on this machine, instructions on an
emulated board, ticks of a device's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..options import MOST_SAMPLES
from ..show.console import plain_table
from .boards import TargetError
from .emulated import QemuRunner
from .linked import LinkRunner
from .runner import Array
from .target import Target

if TYPE_CHECKING:
    from rich.table import Table

HOST_REPEATS = 10  # of each sample


@dataclass(frozen=True)
class NodeProfile:
    """Mean of the samples, in the unit of the whole profile."""

    layer: str
    kernel: str
    isa: str
    value: float


def profile(blob: bytes, place: Target, stored: Sequence[Array]) -> tuple[str, list[NodeProfile]]:
    """Unit and nodes of the first samples (stored arrays, one per input)."""
    some = [array[:MOST_SAMPLES] for array in stored]
    if isinstance(place.runner, QemuRunner):
        return "instructions", _emulated(blob, place.runner, some)
    if isinstance(place.runner, LinkRunner):
        return "ticks", _linked(blob, place.runner, some)
    if place.runner is None:
        raise TargetError(f"nothing here runs files for {place.name}; accepted: host, an emulated board, a device")
    return "us", _host(blob, some)


def profile_table(unit: str, nodes: Sequence[NodeProfile]) -> Table:
    """A row per node with its share of their sum."""
    whole = sum(node.value for node in nodes) or 1.0
    table = plain_table("layers", "=kernel", "=variant", f">{unit}", ">share")
    for node in nodes:
        value = f"{node.value:,.1f}" if unit == "us" else f"{node.value:,.0f}"
        table.add_row(node.layer.replace(",", ", "), node.kernel, node.isa, value, f"{100 * node.value / whole:.1f}%")
    return table


def _host(blob: bytes, stored: Sequence[Array]) -> list[NodeProfile]:
    from dqnn.interpreter import Interpreter
    from dqnn.tensors import as_raw

    interpreter = Interpreter(blob)
    nodes, samples = interpreter.nodes, len(stored[0])
    seconds = [0.0] * len(nodes)
    for sample in range(samples):
        for info, array in zip(interpreter.inputs, stored, strict=True):
            interpreter.set_input(info.name, as_raw(info, array[sample]), raw=True)
        seconds = [a + b.seconds for a, b in zip(seconds, interpreter.profile(HOST_REPEATS), strict=True)]
    return [NodeProfile(n.layer, n.kernel, n.isa, 1e6 * s / samples) for n, s in zip(nodes, seconds, strict=True)]


def _emulated(blob: bytes, runner: QemuRunner, stored: Sequence[Array]) -> list[NodeProfile]:
    nodes = replace(runner, count_instructions=True, profile=True).run(blob, stored).stats.nodes
    return [NodeProfile(node.layer, node.kernel, node.isa, node.instructions) for node in nodes]


def _linked(blob: bytes, runner: LinkRunner, stored: Sequence[Array]) -> list[NodeProfile]:
    from dqnn.interpreter import Interpreter

    runs = [runner.ticks(blob, [array[sample].tobytes() for array in stored], 1)[0] for sample in range(len(stored[0]))]
    means = [sum(ticks) / len(runs) for ticks in zip(*runs, strict=True)]
    there = runner.device.node_times()
    nodes = Interpreter(blob).nodes
    return [NodeProfile(n.layer, n.kernel, t.isa, mean) for n, t, mean in zip(nodes, there, means, strict=True)]
