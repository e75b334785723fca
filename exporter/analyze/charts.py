"""What the charts of a report show, as data: html.py and show/plots.py draw them.

Colors are names: the format of a node's input (s1, s8, f32), or other."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from ..ir.types import dtype_name
from .analysis import Analysis, lifetimes

FORMATS = ("s1", "s8", "f32", "other")


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    text: str
    color: str


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars. `key` names the chart in file names."""

    key: str
    title: str
    bars: tuple[Bar, ...]

    def share(self, bar: Bar) -> float:
        """Length of a bar, 0 to 1."""
        return bar.value / (max(other.value for other in self.bars) or 1.0)


@dataclass(frozen=True)
class Area:
    """Bytes of the arena in use from node `first` to node `last`."""

    first: int
    last: int
    offset: int
    size: int
    color: str
    title: str


@dataclass(frozen=True)
class MemoryMap:
    """Tensors and scratch by node and address; `peak` is the node with the largest live set."""

    nodes: int
    arena: int
    areas: tuple[Area, ...]
    peak: int
    peak_bytes: int

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Color and meaning of the kinds there are."""
        there = {area.color for area in self.areas}
        return [(kind, "scratch" if kind == "other" else kind) for kind in FORMATS if kind in there]


def labels(analysis: Analysis) -> list[str]:
    return [f"{node.index} {node.name}" for node in analysis.nodes]


def bar_charts(analysis: Analysis) -> list[BarChart]:
    """All that have something to show."""
    charts = [_operations(analysis), _weights(analysis), _cycles(analysis), _errors(analysis)]
    return [chart for chart in charts if chart.bars]


def _operations(analysis: Analysis) -> BarChart:
    whole = analysis.macc or 1
    bars = [
        Bar(kind, float(count), f"{count:,} ({100 * count / whole:.1f}%)", _color_of(kind.split("_")[1]))
        for kind, count in analysis.operation_types.items()
        if count
    ]
    return BarChart("operations", "Operations by type", tuple(bars))


def _by_node(analysis: Analysis, values: list[tuple[float, str]]) -> tuple[Bar, ...]:
    rows = zip(labels(analysis), analysis.nodes, values, strict=True)
    return tuple(
        Bar(label, value, text, _color_of(dtype_name(node.inputs[0].fmt)))
        for label, node, (value, text) in rows
        if text
    )


def _color_of(kind: str) -> str:
    return kind if kind in FORMATS else "other"


def _weights(analysis: Analysis) -> BarChart:
    sizes = [(float(n.weight_bytes), f"{n.weight_bytes:,} B" if n.weight_bytes else "") for n in analysis.nodes]
    return BarChart("weights", "Weights by layer", _by_node(analysis, sizes))


def _cycles(analysis: Analysis) -> BarChart:
    bench = analysis.bench
    if bench is None:
        return BarChart("cycles", "", ())
    values = [(float(v), f"{v:,} ({100 * bench.share(i):.1f}%)") for i, v in enumerate(bench.values)]
    title = f"{bench.unit[:1].upper()}{bench.unit[1:]} by layer, {bench.target}"
    return BarChart("cycles", title, _by_node(analysis, values))


def _errors(analysis: Analysis) -> BarChart:
    """L2R of each tensor against the original's, where a validation compared them."""
    values = [(0.0, "")] * len(analysis.nodes)
    for layer in (analysis.validation or {}).get("layers", ()):
        if layer["l2r"] is not None and 0 <= layer["node"] < len(values):
            error = float(layer["l2r"])
            values[layer["node"]] = (error if isfinite(error) else 0.0, f"{error:.3g}")
    return BarChart("errors", "Relative error by layer (L2R)", _by_node(analysis, values))


def memory_map(analysis: Analysis) -> MemoryMap:
    model = analysis.model
    areas = []
    for index, (first, last) in lifetimes(model).items():
        tensor = model.tensors[index]
        size = tensor.type.nbytes
        title = f"tensor {index}: {tensor.type}, {size:,} B at {tensor.offset:,}, nodes {first} to {last}"
        areas.append(Area(first, last, tensor.offset, size, dtype_name(tensor.type.fmt), title))
    for index, node in enumerate(model.nodes):
        if node.scratch_bytes:
            title = f"scratch of node {index}: {node.scratch_bytes:,} B at {node.scratch_offset:,}"
            areas.append(Area(index, index, node.scratch_offset, node.scratch_bytes, "other", title))
    peak = max(analysis.live, key=lambda live: live.total)
    return MemoryMap(len(model.nodes), max(model.prefix.arena_bytes, 1), tuple(areas), peak.index, peak.total)
