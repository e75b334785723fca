"""What a validation found, as data and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqnn.ranges import InputRange

from ..emit.kernel_table import KernelRow
from ..ir.types import F32, TensorType
from ..samples.metrics import FLOAT_TOLERANCE, Metrics


@dataclass(frozen=True)
class OutputReport:
    """One output. Without labels there is one row, C code against the original, and the confusion is against the
    original's classes."""

    name: str
    c_labels: Metrics | None
    original_labels: Metrics | None
    cross: Metrics
    confusion: NDArray[np.int64] | None
    confusion_of: str  # what its rows are: "labels" or "original"
    differing_classes: int | None

    def rows(self) -> list[tuple[str, Metrics]]:
        """The vendor's three rows, or the last alone."""
        named = [
            ("C model against labels", self.c_labels),
            ("original against labels", self.original_labels),
            ("C model against original", self.cross),
        ]
        return [(name, metrics) for name, metrics in named if metrics is not None]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": {name: metrics.to_json() for name, metrics in self.rows()},
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "confusion_rows": self.confusion_of,
            "differing_classes": self.differing_classes,
        }


@dataclass(frozen=True)
class LayerReport:
    """One node. `inexact`: elements that are not bit for bit what the evaluator of kernels computes; `differing`:
    elements unlike the original's (of quantized tensors), `l2r`: relative error against it. None: no counterpart."""

    index: int
    layers: tuple[str, ...]
    row: KernelRow
    type: TensorType
    elements: int
    inexact: int | None
    differing: int | None
    l2r: float | None

    @property
    def kernel(self) -> str:
        """The kernel's name, to print."""
        return self.row.name

    @property
    def name(self) -> str:
        return ", ".join(self.layers) or self.kernel

    @property
    def differs(self) -> bool:
        """By more than rounding."""
        if self.inexact:
            return True
        if self.l2r is None:
            return False
        return not self.l2r <= FLOAT_TOLERANCE if isinstance(self.type.fmt, F32) else bool(self.differing)

    def to_json(self) -> dict[str, Any]:
        l2r = self.l2r if self.l2r is None or np.isfinite(self.l2r) else str(self.l2r)
        return {
            "node": self.index,
            "layers": list(self.layers),
            "kernel": self.kernel,
            "type": str(self.type),
            "elements": self.elements,
            "inexact": self.inexact,
            "differing": self.differing,
            "l2r": l2r,
            "differs": self.differs,
        }


@dataclass(frozen=True)
class Validation:
    """The whole report. `original` says what the C code was compared with."""

    model: str
    target: str
    original: str
    samples: int
    outputs: tuple[OutputReport, ...]
    layers: tuple[LayerReport, ...] = ()
    layers_note: str = ""
    inputs: tuple[InputRange, ...] = ()

    @property
    def first_differing(self) -> LayerReport | None:
        """The first node whose values differ from the original's by more than rounding."""
        return next((layer for layer in self.layers if layer.differs), None)

    def failures(self, *, max_l2r: float | None = None, min_acc: float | None = None) -> list[str]:
        """A sentence for each limit that an output does not keep. `min_acc` is for the C code against the labels, or
        against the original without labels."""
        found = []
        for output in self.outputs:
            row = output.c_labels or output.cross
            if max_l2r is not None and not output.cross.l2r <= max_l2r:
                found.append(f"{output.name}: L2R {output.cross.l2r:.6g} against the original, at most {max_l2r:g}")
            if min_acc is not None and not (row.acc is not None and row.acc >= min_acc):
                value = "not a classifier" if row.acc is None else f"{row.acc:.4f}"
                found.append(f"{output.name}: ACC {value}, at least {min_acc:g}")
        return found

    def to_json(self) -> dict[str, Any]:
        """The report in JSON types."""
        first = self.first_differing
        return {
            "schema": "dqnn.validate/1",
            "model": self.model,
            "target": self.target,
            "original": self.original,
            "samples": self.samples,
            "inputs": [_range_json(found) for found in self.inputs],
            "outputs": [output.to_json() for output in self.outputs],
            "layers": [layer.to_json() for layer in self.layers],
            "layers_note": self.layers_note,
            "first_differing_layer": None if first is None else first.name,
        }


def _range_json(found: InputRange) -> dict[str, Any]:
    return {
        "name": found.name,
        "low": found.low,
        "high": found.high,
        "accepted": None if found.accepted is None else list(found.accepted),
        "saturated": found.saturated,
        "elements": found.elements,
    }
