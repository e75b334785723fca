"""The kernel grid on this machine: every variant that it can run, timed as the only node of a file."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ..emit import writer
from ..ir.graph import Graph, Node, Port
from .cases import Layer, Row, make_op, types_of
from .cost import random_input

SECONDS, ROUND = 0.25, 0.0005  # spent on a variant and on a round


@dataclass(frozen=True)
class HostCost:
    name: str
    kernel: str
    isa: str
    macs: int
    seconds: float

    @property
    def gmacs(self) -> float:
        """Thousand million multiply-accumulates per second, one thread."""
        return self.macs / self.seconds / 1e9


def blob_of(layer: Layer, seed: int = 1) -> tuple[bytes, bytes]:
    """A file with this layer alone, and random input for it."""
    rng = np.random.default_rng(seed)
    source, output = types_of(layer)
    node = Node(make_op(layer, rng), ("in",), "out", (str(layer),))
    graph = Graph(
        str(layer), ("in",), ("out",), (node,), {"in": source, "out": output}, {n: Port(n) for n in ("in", "out")}
    )
    return writer.write(graph, producer="dqnn bench").blob, random_input(source, rng, layer.density)


def bench_host_row(row: Row) -> list[HostCost]:
    """Best variant first, ref last."""
    from dqnn import _core

    blob, data = blob_of(row.layer)
    kernel = _core.Interpreter(blob).nodes()[0]["kernel"]
    variants = next(entry["variants"] for entry in _core.kernels() if entry["name"] == kernel)
    usable = [isa for isa in variants if isa in _core.host_isas()]
    return [HostCost(row.name, kernel, isa, row.layer.macs, _seconds(blob, data, isa)) for isa in usable]


def _seconds(blob: bytes, data: bytes, isa: str) -> float:
    """Of the fastest among many short rounds, which other work on the machine leaves alone."""
    from dqnn import _core

    interpreter = _core.Interpreter(blob, [isa])
    interpreter.set_input(0, data)
    best = interpreter.profile(1)[0]
    repeats, end = max(1, int(ROUND / max(best, 1e-7))), time.monotonic() + SECONDS
    while time.monotonic() < end:
        best = min(best, interpreter.profile(repeats)[0])
    return best
