"""Keras itself: a model in memory, or a saved one in a process of its own (keras_process.py)."""

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
from .original import BATCH, Array, OriginalError, Ran, Tick

LOAD_SECONDS = 180.0


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


@dataclass(frozen=True)
class KerasFile:
    """A saved model, run by keras_process."""

    path: Path
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
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        with tempfile.TemporaryFile() as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "dqnn.exporter.validate.originals.keras_process", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, **environment},
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
            return f"Keras did not finish loading {self.path} in {self.load_seconds:g} s"
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        return f"Keras cannot run {self.path}: {lines[-1] if lines else 'it gave no reason'}"


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
class KerasOrEvaluator:
    """Keras, or the evaluator with what Keras said."""

    keras: KerasFile
    graph: Graph

    def run(self, inputs: list[Array], tick: Tick) -> Ran:
        try:
            return self.keras.run(inputs, tick)
        except OriginalError as error:
            return Evaluator(self.graph, str(error)).run(inputs, tick)
