"""Which original a file is compared with: Keras itself where it can be loaded, else our float evaluator. What runs says
which of the two it is, and why.

To load a file, Keras runs code that it finds there (Lambda layers) or that it names (modules). So Keras is asked
unbidden only for files that our own front end accepts and that name no code but the libraries'; `kind="keras"` is
trust."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...api import load_graph
from ...errors import ExportError, Problem
from ...frontends.keras import build_graph, read_model
from ...ir.graph import Graph
from .evaluator import Evaluator
from .keras import KerasFile, KerasObject, KerasOrEvaluator
from .original import Kind, Original, OriginalError

# Whose code a file may name.
LIBRARIES = ("keras", "tf_keras", "tensorflow", "builtins", "larq", "qkeras", "tensorflow_model_optimization")


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
