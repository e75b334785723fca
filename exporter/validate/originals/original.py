"""The model that was exported, to compare with: Keras itself where it can be loaded, else our float evaluator.

The evaluator runs the front end's graph in float64 (ir/evaluate.py): quantizers as the model has them, batch norms and
activations unfolded, nothing of our passes or kernels. `find` says which of the two it gives, and why.

To load a file, Keras runs code that it finds there (Lambda layers) or that it names (modules). So Keras is asked
unbidden only for files that our own front end accepts and that name no code but the libraries'; `kind="keras"` is
trust."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...api import load_graph
from ...errors import DqnnError, ExportError, Problem
from ...ir.graph import Graph

Array: TypeAlias = NDArray[Any]
Tick: TypeAlias = Callable[[int], None]  # is told how many samples are done
Kind: TypeAlias = Literal["auto", "keras", "evaluator"]

BATCH = 32
LOAD_SECONDS = 180.0
LIBRARIES = ("keras", "tf_keras", "tensorflow", "builtins", "larq", "qkeras")  # whose code a file may name
EVALUATOR = "float evaluator of the unquantized graph"


class OriginalError(DqnnError):
    """The original model cannot be run the way that was asked for."""


@dataclass(frozen=True)
class Ran:
    """Outputs in the model's order, and what computed them."""

    outputs: list[Array]
    by: str


class Original(Protocol):
    """Runs real-valued inputs, in the model's order, batch first."""

    def run(self, inputs: list[Array], tick: Tick) -> Ran: ...


@dataclass(frozen=True)
class Evaluator:
    """The front end's graph; `why` tells why not Keras."""

    graph: Graph
    why: str = ""

    def run(self, inputs: list[Array], tick: Tick) -> Ran:
        from ...ir.evaluate import evaluate

        parts = []
        for start in range(0, len(inputs[0]), BATCH):
            parts.append(evaluate(self.graph, [array[start : start + BATCH] for array in inputs]).outputs)
            tick(min(start + BATCH, len(inputs[0])))
        joined: list[Array] = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        return Ran(joined, f"dqnn's {EVALUATOR}" + (f" ({self.why})" if self.why else ""))


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
            np.savez(source, **{f"in{i}": np.asarray(array, np.float32) for i, array in enumerate(inputs)})
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


def find(model: Any, kind: Kind = "auto") -> Original:
    """The original behind a path, a Keras model in memory or a graph."""
    if isinstance(model, Graph) or kind == "evaluator":
        return Evaluator(load_graph(model))
    if not isinstance(model, str | os.PathLike):
        return KerasObject(model)
    path = Path(model)
    if not path.is_file():
        raise OriginalError(f"{path}: no such file; expected a Keras .h5 or .keras file")
    installed = importlib.util.find_spec("tensorflow") is not None
    if kind == "keras":
        if not installed:
            raise OriginalError("TensorFlow is not installed: pip install 'dqnn[keras]'")
        return KerasFile(path)
    graph, code = _as_data(path)
    if not installed:
        return Evaluator(graph, "no TensorFlow here")
    if code:
        return Evaluator(graph, f"the file names {code}, which Keras would run; --original keras allows it")
    return KerasOrEvaluator(KerasFile(path), graph)


def _as_data(path: Path) -> tuple[Graph, str]:
    """The graph of a file, and the first code that it names."""
    from ...frontends import build_graph, read_model

    saved = read_model(path)
    try:
        root = {"class_name": saved.root.class_name, "module": saved.root.module, "config": saved.root.config}
        return build_graph(saved), foreign_code(root)
    except ExportError as error:
        advice = "--original keras (original='keras') has Keras load it all the same, and run what code it holds"
        refused = Problem("", "Keras is not given a file that dqnn cannot read as data", advice=advice)
        raise ExportError([*error.problems, refused]) from error


def foreign_code(config: Any) -> str:
    """A lambda, or a module outside the libraries, that a configuration names anywhere; empty without."""
    pending = [config]
    while pending:
        value = pending.pop()
        pending += value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        if not isinstance(value, Mapping):
            continue
        name, module = str(value.get("class_name")), str(value.get("module") or "keras")
        if name.rpartition(">")[2] in ("Lambda", "__lambda__"):
            return f"code of a {name.strip('_')}"
        if "class_name" in value and module.split(".", maxsplit=1)[0] not in LIBRARIES:
            return f"code of the module {module}"
    return ""
