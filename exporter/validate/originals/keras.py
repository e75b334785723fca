"""Keras itself: a model in memory, or a saved one in a process of its own (keras_process.py)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .child import LOAD_SECONDS, Child
from .original import BATCH, Array, Ran, Tick


@dataclass(frozen=True)
class KerasObject:
    """A model in memory."""

    model: Any

    def run(self, inputs: list[Array], tick: Tick) -> Ran:
        parts = []
        for start in range(0, len(inputs[0]), BATCH):
            part = [np.asarray(array[start : start + BATCH], np.float32) for array in inputs]
            outputs = self.model(part if len(part) > 1 else part[0], training=False)
            parts.append([np.asarray(y) for y in (outputs if isinstance(outputs, list | tuple) else [outputs])])
            tick(start + len(part[0]))
        return Ran([np.concatenate(pieces) for pieces in zip(*parts, strict=True)], "Keras (the model in memory)")


def keras_file(path: Path, load_seconds: float = LOAD_SECONDS) -> Child:
    """A saved model, run by keras_process."""
    return Child(path, "keras_process", "Keras", load_seconds)
