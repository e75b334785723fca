"""Our float evaluator: the front end's graph in float64 (ir/evaluate.py), quantizers as the model has them, batch norms
and activations unfolded, nothing of our passes or kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ir.evaluate import evaluate
from ...ir.graph import Graph
from .original import BATCH, Array, Ran, Tick

NAME = "dqnn's float evaluator of the unquantized graph"


@dataclass(frozen=True)
class Evaluator:
    """The front end's graph; `why` tells why not what the model was made with."""

    graph: Graph
    why: str = ""

    @property
    def by(self) -> str:
        return NAME + (f" ({self.why})" if self.why else "")

    def run(self, inputs: list[Array], tick: Tick) -> Ran:
        parts = []
        # BATCH of them at once, wherever they run: float sums may depend on it.
        for start in range(0, len(inputs[0]), BATCH):
            parts.append(evaluate(self.graph, [array[start : start + BATCH] for array in inputs]).outputs)
            tick(min(start + BATCH, len(inputs[0])))
        joined: list[Array] = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        return Ran(joined, self.by)
