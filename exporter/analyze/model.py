"""What an analysis holds, as data and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blob import Live, ModelView
from ..emit.kernel_table import KernelRow
from ..ir.types import TensorType
from ..report import Report
from ..targets.fit import Fit


@dataclass(frozen=True)
class Operations:
    """`count` operations of one type in one node. `part` says which: the node's own work, a fused pool, ..."""

    type: str
    count: int
    part: str


@dataclass(frozen=True)
class NodeAnalysis:
    """One kernel call. `name` is the layer that it is about, `layers` all that take part; `parameters` are weights and
    per-channel pairs, `weight_bytes` what they take in the file; a weight has `weight_bits` there, and all would take
    `unpacked_bytes` if those of fewer than 8 that are packed had 8."""

    index: int
    name: str
    layers: tuple[str, ...]
    row: KernelRow
    inputs: tuple[TensorType, ...]
    output: TensorType
    operations: tuple[Operations, ...]
    saved: tuple[Operations, ...]  # what fusion spares
    parameters: int
    weight_bytes: int
    scratch_bytes: int
    weight_bits: int
    unpacked_bytes: int

    @property
    def kernel(self) -> str:
        """The kernel's name, to print."""
        return self.row.name

    @property
    def packed(self) -> bool:
        """Its weights have 4 or 2 bits in the file."""
        return 1 < self.weight_bits < 8

    @property
    def macc(self) -> int:
        return sum(operation.count for operation in self.operations)


@dataclass(frozen=True)
class Held:
    """A tensor while a segment works: `node` makes it (None: it enters), memory has room for `rows` rows of its height
    (0: all). `spans` says for each call which rows, first to the one behind the last, are in memory and still read."""

    tensor: int
    node: int | None
    height: int
    rows: int
    bytes: int
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SegmentView:
    """Nodes that make some rows at a time: which of them makes each call, and the tensors that they read and write."""

    begin: int
    count: int
    calls: tuple[int, ...]
    tensors: tuple[Held, ...]

    @property
    def end(self) -> int:
        """The node behind the last."""
        return self.begin + self.count


@dataclass(frozen=True)
class Advice:
    """Something the model could do better: `gain` is an estimate in words."""

    layer: str
    finding: str
    remedy: str
    gain: str


@dataclass(frozen=True)
class Bench:
    """What `dqnn bench` found: `unit` (estimated cycles, or instructions where there is no timing model) by node."""

    target: str
    unit: str
    values: tuple[int, ...]
    total: int
    data: str = ""  # what they were measured on

    def share(self, node: int) -> float:
        return self.values[node] / (self.total or 1)

    @property
    def between(self) -> int:
        """What the interpreter takes between its calls of kernels."""
        return self.total - sum(self.values)

    def to_json(self) -> dict[str, Any]:
        return {"target": self.target, "unit": self.unit, "nodes": list(self.values), "total": self.total}


@dataclass(frozen=True)
class Analysis:
    """The whole report. `ram_bytes` is what an application on a 32-bit core sets aside: arena (inputs and outputs
    included) and interpreter state. `fit`, `bench` and `validation` (a Validation as JSON) are there if asked for."""

    name: str
    nodes: tuple[NodeAnalysis, ...]
    parameters: int
    weight_bytes: int
    file_bytes: int
    arena_bytes: int
    arena_lower_bound: int | None
    state_bytes: int
    live: tuple[Live, ...]
    advice: tuple[Advice, ...]
    report: Report | None
    model: ModelView
    segments: tuple[SegmentView, ...] = ()
    fit: Fit | None = None
    bench: Bench | None = None
    validation: Mapping[str, Any] | None = None

    @property
    def macc(self) -> int:
        return sum(node.macc for node in self.nodes)

    @property
    def saved(self) -> int:
        """Operations that a tool without fusion would count besides."""
        return sum(operation.count for node in self.nodes for operation in node.saved)

    @property
    def ram_bytes(self) -> int:
        return self.arena_bytes + self.state_bytes

    @property
    def float_bytes(self) -> int:
        """The parameters as 32-bit floats."""
        return 4 * self.parameters

    @property
    def operation_types(self) -> dict[str, int]:
        """Operation type -> count over the whole model, largest first."""
        totals: Counter[str] = Counter()
        for node in self.nodes:
            for operation in node.operations:
                totals[operation.type] += operation.count
        return dict(totals.most_common())

    def to_json(self) -> dict[str, Any]:
        """The report in JSON types."""
        return {
            "schema": "dqnn.analyze/1",
            "name": self.name,
            "parameters": self.parameters,
            "macc": self.macc,
            "macc_saved_by_fusion": self.saved,
            "weights_bytes": self.weight_bytes,
            "weights_delta_vs_float": self.weight_bytes - self.float_bytes,
            "file_bytes": self.file_bytes,
            "arena_bytes": self.arena_bytes,
            "arena_lower_bound": self.arena_lower_bound,
            "interpreter_bytes": self.state_bytes,
            "ram_bytes": self.ram_bytes,
            "operation_types": self.operation_types,
            "nodes": [_node_json(node) for node in self.nodes],
            "memory": [{"node": n.index, "tensors": n.tensor_bytes, "scratch": n.scratch_bytes} for n in self.live],
            "segments": [_segment_json(segment) for segment in self.segments],
            "advice": [
                {"layer": a.layer, "finding": a.finding, "remedy": a.remedy, "gain": a.gain} for a in self.advice
            ],
            "fallbacks": [] if self.report is None else self.report.to_json()["fallbacks"],
            "target": None if self.fit is None else self.fit.to_json(),
            "bench": None if self.bench is None else self.bench.to_json(),
            "validation": self.validation,
        }


def _node_json(node: NodeAnalysis) -> dict[str, Any]:
    return {
        "id": node.index,
        "layer": node.name,
        "layers": list(node.layers),
        "kernel": node.kernel,
        "inputs": [str(t) for t in node.inputs],
        "output": str(node.output),
        "macc": node.macc,
        "operations": [_operations_json(o) for o in node.operations],
        "saved_by_fusion": [_operations_json(o) for o in node.saved],
        "parameters": node.parameters,
        "weight_bits": node.weight_bits,
        "weight_bytes": node.weight_bytes,
        "unpacked_bytes": node.unpacked_bytes,
        "scratch_bytes": node.scratch_bytes,
    }


def _segment_json(segment: SegmentView) -> dict[str, Any]:
    tensors = [
        {"tensor": t.tensor, "rows": t.rows or t.height, "of": t.height, "bytes": t.bytes} for t in segment.tensors
    ]
    return {"node": segment.begin, "nodes": segment.count, "calls": len(segment.calls), "tensors": tensors}


def _operations_json(operations: Operations) -> dict[str, Any]:
    return {"type": operations.type, "count": operations.count, "part": operations.part}
