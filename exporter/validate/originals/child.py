"""Runs an original in a process of its own:

    python -m dqnn.exporter.validate.originals.MODULE MODEL IN.npz OUT.npz BATCH

What runs a model may hang, crash or keep its memory. The process says on stdout `loaded <versions>` and then
`done <samples>`, everything else goes to stderr."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...ir.graph import Graph
from .evaluator import Evaluator
from .original import BATCH, Array, Original, OriginalError, Ran, Tick

LOAD_SECONDS = 180.0
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


@dataclass(frozen=True)
class Child:
    """A saved model, run by `module`; `name` is who runs it."""

    path: Path
    module: str
    name: str
    load_seconds: float = LOAD_SECONDS

    def run(self, inputs: list[Array], tick: Tick) -> Ran:
        with tempfile.TemporaryDirectory(prefix="dqnn-") as directory:
            source, sink = Path(directory) / "in.npz", Path(directory) / "out.npz"
            arrays: dict[str, Any] = {f"in{i}": np.asarray(array, np.float32) for i, array in enumerate(inputs)}
            np.savez(source, **arrays)
            versions = self._process([str(self.path), str(source), str(sink), str(BATCH)], tick)
            with np.load(sink) as file:
                return Ran([file[f"out{i}"] for i in range(len(file.files))], versions)

    def _process(self, arguments: list[str], tick: Tick) -> str:
        with tempfile.TemporaryFile() as log:
            child = subprocess.Popen(
                [sys.executable, "-m", f"{__name__.rpartition('.')[0]}.{self.module}", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, **QUIET},
            )  # fmt: skip
            expired = threading.Event()

            def give_up() -> None:
                expired.set()
                child.kill()

            hung = threading.Timer(self.load_seconds, give_up)
            hung.start()
            try:
                versions = _follow(child, hung, tick)
                code = child.wait()
            finally:
                hung.cancel()
                child.kill()
                child.wait()
            if code:
                raise OriginalError(self._failure(expired.is_set(), log))
        return versions

    def _failure(self, expired: bool, log: Any) -> str:
        if expired:
            return f"{self.name} did not finish loading {self.path} in {self.load_seconds:g} s"
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        return f"{self.name} cannot run {self.path}: {lines[-1] if lines else 'it gave no reason'}"


def _follow(child: subprocess.Popen[str], hung: threading.Timer, tick: Tick) -> str:
    """Reads what the process says to its end; gives the versions."""
    versions = ""
    assert child.stdout is not None
    with child.stdout as lines:
        for line in lines:
            word, _, rest = line.strip().partition(" ")
            if word == "loaded":
                hung.cancel()
                versions = rest
            elif word == "done":
                tick(int(rest))
    return versions


@dataclass(frozen=True)
class OrEvaluator:
    """An original, or the evaluator with what the original said."""

    original: Original
    graph: Graph

    def run(self, inputs: list[Array], tick: Tick) -> Ran:
        try:
            return self.original.run(inputs, tick)
        except OriginalError as error:
            return Evaluator(self.graph, str(error)).run(inputs, tick)
