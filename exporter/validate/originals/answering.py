"""The other side of child.py: what a process that runs an original does, whoever runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Run: TypeAlias = Callable[[list[Any]], Sequence[Any]]  # arrays of some samples -> outputs of them


def answer(load: Callable[[str], tuple[str, Run]], model: str, inputs: str, outputs: str, batch: str) -> None:
    """Loads a model (`load` gives the versions of who runs it, and how it runs), runs it on the arrays in0, in1, ... of
    a file in batches, and writes out0, out1, ... to another."""
    say = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with what we say
    versions, run = load(model)
    print(f"loaded {versions}", file=say, flush=True)
    with np.load(inputs) as file:
        arrays = [file[f"in{i}"] for i in range(len(file.files))]
    parts: list[Sequence[Any]] = []
    for start in range(0, len(arrays[0]), int(batch)):
        part = [array[start : start + int(batch)] for array in arrays]
        parts.append(run(part))
        print(f"done {start + len(part[0])}", file=say, flush=True)
    joined: dict[str, Any] = {f"out{i}": np.concatenate(pieces) for i, pieces in enumerate(zip(*parts, strict=True))}
    with Path(outputs).open("wb") as target:
        np.savez(target, **joined)
