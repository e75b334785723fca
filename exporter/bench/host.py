"""The kernel grid on this machine: every variant that it can run, timed as the only node of a file."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ..emit import writer
from ..ir import ops
from ..ir.graph import Graph, Node, Port
from ..ir.types import TensorType
from .cases import Elements, Layer, make_op, types_of
from .cost import random_input
from .grid import Row

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


def blob_of(layer: Layer | Elements, seed: int = 1) -> tuple[bytes, list[bytes]]:
    """A file with this layer alone, and random inputs for it."""
    rng = np.random.default_rng(seed)
    op: ops.Op
    sources: tuple[TensorType, ...]
    if isinstance(layer, Layer):
        source, output = types_of(layer)
        op, sources = make_op(layer, rng), (source,)
        data = [random_input(source, rng, layer.density)]
    else:
        op, sources, output = layer.op, layer.inputs, layer.output
        data = [random_input(source, rng) for source in sources]
    names = tuple(f"in{i}" for i in range(len(sources)))
    types = {**dict(zip(names, sources, strict=True)), "out": output}
    node = Node(op, names, "out", ("layer",))
    graph = Graph("layer", names, ("out",), (node,), types, {name: Port(name) for name in types})
    return writer.write(graph, producer="dqnn bench").blob, data


def bench_host_row(row: Row) -> list[HostCost]:
    """Best variant first, ref last."""
    from dqnn import _core

    blob, data = blob_of(row.layer)
    kernel = _core.Interpreter(blob).nodes()[0]["kernel"]
    variants = next(entry["variants"] for entry in _core.kernels() if entry["name"] == kernel)
    usable = [isa for isa in variants if isa in _core.host_isas() and isa != "winograd"]  # which takes a file's scratch
    return [HostCost(row.name, kernel, isa, row.layer.macs, _seconds(blob, data, isa)) for isa in usable]


def _seconds(blob: bytes, data: list[bytes], isa: str) -> float:
    """Of the fastest among many short rounds, which other work on the machine leaves alone."""
    from dqnn import _core

    interpreter = _core.Interpreter(blob, [isa])
    for i, stored in enumerate(data):
        interpreter.set_input(i, stored)
    best = interpreter.profile(1)[0]
    repeats, end = max(1, int(ROUND / max(best, 1e-7))), time.monotonic() + SECONDS
    while time.monotonic() < end:
        best = min(best, interpreter.profile(repeats)[0])
    return best
