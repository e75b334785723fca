"""Which original a file is compared with: Keras, TensorFlow Lite or onnxruntime where they can load it, else our
evaluator. What runs says which it is, and why.

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
from ...frontends import kind_of
from ...ir.graph import Graph
from . import tflite
from .child import OrEvaluator
from .evaluator import Evaluator
from .keras import KerasObject, keras_file
from .onnx import OnnxFile
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
        raise OriginalError(f"{path}: no such file; expected a Keras .h5 or .keras file, a .tflite or an .onnx file")
    what = kind_of(path)
    if what == "tflite":
        return _tflite(path, kind)
    if what == "onnx":
        return _onnx(path, kind)
    if kind == "tflite":
        raise OriginalError(f"{path} is no .tflite file, so TensorFlow Lite cannot run it")
    if kind == "onnx":
        raise OriginalError(f"{path} is no ONNX model, so onnxruntime cannot run it")
    installed = importlib.util.find_spec("tensorflow") is not None
    if kind == "keras":
        if not installed:
            raise OriginalError("TensorFlow is not installed: pip install 'dqnn[keras]'")
        return keras_file(path)
    graph, code = _as_data(path)
    if not installed:
        return Evaluator(graph, "no TensorFlow here")
    if code:
        return Evaluator(graph, f"the file names {code}, which Keras would run; --original keras allows it")
    return OrEvaluator(keras_file(path), graph)


def _tflite(path: Path, kind: Kind) -> Original:
    """A .tflite file: it holds no code, but what runs it verifies little, so our own reader looks at it first."""
    if kind not in ("auto", "tflite", "evaluator"):
        who = "Keras" if kind == "keras" else "onnxruntime"
        raise OriginalError(f"{path} is a .tflite file, which {who} cannot run; accepted: auto, tflite, evaluator")
    graph = load_graph(path)
    if tflite.is_installed():
        made = tflite.tflite_file(path)
        return made if kind == "tflite" else OrEvaluator(made, graph)
    if kind == "tflite":
        raise OriginalError("TensorFlow Lite is not installed: pip install ai-edge-litert")
    return Evaluator(graph, "no TensorFlow Lite here: pip install ai-edge-litert")


def _onnx(path: Path, kind: Kind) -> Original:
    """An ONNX model: it holds no code; our own reader looks at it before onnxruntime does."""
    if kind not in ("auto", "onnx", "evaluator"):
        who = "Keras" if kind == "keras" else "TensorFlow Lite"
        raise OriginalError(f"{path} is an ONNX model, which {who} cannot run; accepted: auto, onnx, evaluator")
    from ...frontends import onnx

    model = onnx.read_model(path)
    graph, missing = onnx.build_graph(model), ""
    if importlib.util.find_spec("onnxruntime") is None:
        missing = "no onnxruntime here: pip install onnxruntime"
    elif model.has_qonnx:
        missing = "onnxruntime does not know QONNX's operators"
    if kind == "onnx" and missing:
        raise OriginalError(missing)
    if missing:
        return Evaluator(graph, missing)
    made = OnnxFile(path, graph)
    return made if kind == "onnx" else OrEvaluator(made, graph)


def _as_data(path: Path) -> tuple[Graph, str]:
    """The graph of a file, and the first code that it names."""
    from ...frontends import keras

    saved = keras.read_model(path)
    try:
        root = {"class_name": saved.root.class_name, "module": saved.root.module, "config": saved.root.config}
        return keras.build_graph(saved), foreign_code(root)
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
