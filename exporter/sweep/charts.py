"""What the charts of a sweep show: quality against each size and the cost, with the front of the two."""

from __future__ import annotations

from ..show.plots import Dot, Scatter
from .model import Entry, Sweep, pareto

AXES = (("file_bytes", "file", "bytes of the file"), ("arena_bytes", "arena", "bytes of the arena"))


def charts_of(sweep: Sweep) -> list[Scatter]:
    """A chart for each figure that is known."""
    axes = [*AXES, *([("cost", "cost", f"{sweep.unit} on {sweep.target}")] if sweep.unit else [])]
    charts = [_chart(sweep, *axis) for axis in axes]
    return [chart for chart in charts if chart.dots]


def _chart(sweep: Sweep, field: str, key: str, label: str) -> Scatter:
    some = [entry for entry in sweep.measured if getattr(entry, field) is not None]
    on = pareto([(sweep.badness(entry), float(getattr(entry, field))) for entry in some])
    front = sweep.front
    percent = sweep.measure == "ACC"
    dots = tuple(
        Dot(float(getattr(entry, field)), _shown(entry, percent), entry.name, is_on, entry in front)
        for entry, is_on in zip(some, on, strict=True)
    )
    quality = "accuracy (%)" if percent else "RMSE (smaller is better)"
    title = f"{'Accuracy' if percent else 'RMSE'} against {label}, {sweep.samples:,} samples"
    return Scatter(key, title, label, quality, dots)


def _shown(entry: Entry, percent: bool) -> float:
    return float(entry.quality or 0.0) * (100 if percent else 1)
