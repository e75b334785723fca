"""What a sweep found, as data, JSON and CSV, and which candidates are worth a look: the Pareto front."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Measure: TypeAlias = Literal["ACC", "RMSE"]


@dataclass(frozen=True)
class Entry:
    """One candidate. `quality` is ACC or RMSE against the labels, `cost` what an inference takes on the target; None
    where it is not known. `remark` is worth knowing, `failure` why there are no figures."""

    name: str
    source: str
    quality: float | None = None
    file_bytes: int | None = None
    arena_bytes: int | None = None
    cost: int | None = None
    remark: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Sweep:
    """measure: what `quality` is; unit: what `cost` is, empty where nothing was measured, and `note` says why."""

    measure: Measure
    samples: int
    target: str
    unit: str
    note: str
    entries: tuple[Entry, ...]

    @property
    def measured(self) -> list[Entry]:
        """Candidates that have figures, the best first."""
        some = [entry for entry in self.entries if not entry.failure]
        return sorted(some, key=self.badness)

    @property
    def failed(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.failure]

    @property
    def front(self) -> list[Entry]:
        """Candidates that no other beats: none is at least as good in all figures and better in one."""
        some = self.measured
        on = pareto([self._figures(entry) for entry in some])
        return [entry for entry, is_on in zip(some, on, strict=True) if is_on]

    def badness(self, entry: Entry) -> float:
        """The quality as a figure that is better the smaller it is; NaN, which is none, last."""
        value = math.inf if entry.quality is None or math.isnan(entry.quality) else entry.quality
        return -value if self.measure == "ACC" and value != math.inf else value

    def _figures(self, entry: Entry) -> tuple[float, ...]:
        sizes = (entry.file_bytes, entry.arena_bytes, entry.cost if self.unit else 0)
        return (self.badness(entry), *(math.inf if size is None else size for size in sizes))

    def to_json(self) -> dict[str, Any]:
        """The sweep in JSON types."""
        front = self.front
        return {
            "schema": "dqnn.sweep/1",
            "measure": self.measure,
            "samples": self.samples,
            "target": self.target,
            "unit": self.unit,
            "note": self.note,
            "candidates": [{**_finite(asdict(entry)), "front": entry in front} for entry in self.entries],
        }

    def to_csv(self) -> str:
        """A row for each candidate, in the order they were given."""
        text, front = io.StringIO(newline=""), self.front
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("name", "source", self.measure.lower(), "file_bytes", "arena_bytes",
                       self.unit.replace(" ", "_") or "cost", "front", "remark", "failure"))  # fmt: skip
        for e in self.entries:
            figures = (e.quality, e.file_bytes, e.arena_bytes, e.cost)
            rows.writerow((e.name, e.source, *figures, int(e in front), e.remark, e.failure))
        return text.getvalue()


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has neither infinities nor NaN: they are text."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def pareto(points: Sequence[tuple[float, ...]]) -> list[bool]:
    """Of each point whether no other is at most as large in all and smaller in one. Equal points are on the front
    together."""

    def beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return a != b and all(x <= y for x, y in zip(a, b, strict=True))

    return [not any(beats(other, point) for other in points) for point in points]
