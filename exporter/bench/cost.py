"""What a model costs on a core, node by node, and the random inputs that it is measured on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob import ModelView, NodeView, taps_of
from ..format import ConvParams
from ..ir.types import S1, S8, TensorType

RANDOM = "random inputs"
ESTIMATE = "Cycles are an estimate from the manuals' timing tables (zero wait states), never checked on silicon."


@dataclass(frozen=True)
class NodeCost:
    layers: str
    kernel: str
    isa: str
    macs: int
    instructions: int | None
    cycles: int | None
    measured: int | None = None


@dataclass(frozen=True)
class ModelCost:
    """`cycles` are estimated. On a device on a link `measured` are ticks of its clock, `clock_hz` a second; what it
    does not say is None, and estimates are those of its core.

    All are means over `samples` inferences on `inputs`; `least` and `most` are the extremes of the whole, `balanced` is
    the whole if every 1-bit input of every node is random with as many +1 as -1, in the unit of `best_figures`. Binary
    kernels skip what does not change their counters, so that real maps, which are less even, usually take less."""

    target: str
    timing: str | None
    nodes: tuple[NodeCost, ...]
    instructions: int | None  # of dqnn_invoke in all
    cycles: int | None
    init_instructions: int
    arena_bytes: int
    state_bytes: int
    file_bytes: int
    stack_bytes: int | None
    equal_to_host: bool
    code_bytes: dict[str, int] = field(default_factory=dict)  # measure.code_by_kernel
    measured: int | None = None
    clock_hz: int | None = None
    inputs: str = RANDOM
    samples: int = 1
    least: int | None = None
    most: int | None = None
    balanced: int | None = None

    @property
    def macs(self) -> int:
        return sum(node.macs for node in self.nodes)

    def to_json(self) -> dict[str, Any]:
        """What was measured in JSON types."""
        note = ESTIMATE if self.cycles is not None else ""
        return {"schema": "dqnn.bench/1", **asdict(self), "macs": self.macs, "data": data_text(self), "note": note}


def best_figures(cost: ModelCost) -> tuple[str, list[int], int]:
    """Unit, a figure per node and the whole: measured before estimated before counted."""
    for unit, name in (("ticks", "measured"), ("estimated cycles", "cycles"), ("instructions", "instructions")):
        total = getattr(cost, name)
        if total is not None:
            return unit, [int(getattr(node, name)) for node in cost.nodes], int(total)
    raise ValueError("nothing was measured")


def data_text(cost: ModelCost) -> str:
    """What the figures depend on: whose inputs, how far they differ, and the whole on balanced bits."""
    unit, _, total = best_figures(cost)
    text = cost.inputs
    if cost.samples > 1 and cost.least is not None and cost.most is not None:
        text = f"mean of {cost.samples} samples of {text}, {cost.least:,} to {cost.most:,} {unit}"
    if cost.balanced is not None:
        more = 100 * (cost.balanced / total - 1)
        text += f"; {cost.balanced:,} with as many +1 as -1 in all 1-bit maps ({more:+.0f} %)"
    return text


def macs_of(view: ModelView, node: NodeView) -> int:
    """Multiply-accumulates of a convolution, outputs before a fused pool counted; 0 for other kernels."""
    p = node.params
    if not isinstance(p, ConvParams):
        return 0
    source, output = (view.tensors[i].type for i in (node.inputs[0], node.output))
    return output.elements * p.pool_h * p.pool_w * taps_of(node, source)


def random_input(tensor: TensorType, rng: np.random.Generator, density: float = 0.5) -> bytes:
    """Random stored values; for s1 `density` is the share of -1 (bit 1)."""
    if isinstance(tensor.fmt, S1):
        bits = rng.random(tensor.shape) < density
        words: NDArray[Any] = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, -bits.shape[-1] % 32)])
        return np.packbits(words, axis=-1, bitorder="little").tobytes()
    if isinstance(tensor.fmt, S8):
        return rng.integers(-128, 128, tensor.shape, dtype=np.int8).tobytes()
    return rng.standard_normal(tensor.shape).astype("<f4").tobytes()


@dataclass(frozen=True)
class Samples:
    """What a model is measured on: for every sample the stored bytes of each input; `source` says whose they are."""

    stored: tuple[tuple[bytes, ...], ...]
    source: str = RANDOM


def random_samples(view: ModelView) -> Samples:
    return Samples((tuple(random_inputs(view)),))


def random_inputs(view: ModelView, seed: int = 1) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [random_input(view.tensors[port.tensor].type, rng) for port in view.inputs]
