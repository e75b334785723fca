"""`dqnn.analyze`: what a model will cost on a device: operations, parameters, weights, memory, and advice.

Everything is derived from the file that will run (`ModelView`); the Keras model, where there is one, adds the parameter
count and what only it can tell. What is counted, and how, is in operations.py, advice in advice.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from ..api import export, load_graph
from ..bench.measure import measure_by_node, read_samples
from ..blob import ModelView, liveness, parse, read, read_bytes
from ..errors import DqnnError
from ..files import write_atomically
from ..format import ConvParams
from ..ir.graph import Graph
from ..options import MOST_SAMPLES
from ..report import Report
from ..show.plots import draw
from ..targets.fit import fit_of
from ..targets.target import find_target
from .advice import advise, quantizer_advice
from .charts import all_charts
from .html import notebook_html, report_html
from .model import Analysis, Bench, NodeAnalysis
from .operations import keras_parameters, operations_of, parameters_of, saved_of, unpacked_bytes
from .rows import segments_of
from .text import as_text

UNNAMED = re.compile(r"(sequential|model|functional)(_\d+)?")  # names of models that nobody named


class AnalysisError(DqnnError):
    """Figures that belong to another model, or cannot be had."""


class AnalysisReport(Analysis):
    """An analysis that can be looked at."""

    def to_html(self, path: str | Path) -> None:
        """Write the report as one self-contained page."""
        write_atomically(Path(path), report_html(self).encode())

    def plot(self, path: str | Path) -> list[Path]:
        """Draw the report's charts with matplotlib: all in one .png, .svg or .pdf, or each into a directory."""
        return draw(all_charts(self), Path(path), self.name)

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        sizes = f"{self.macc:,} macc, {self.file_bytes:,} B file, {self.ram_bytes:,} B RAM"
        return f"<dqnn.AnalysisReport {self.name}: {sizes}>"

    def _repr_html_(self) -> str:
        return notebook_html(self)


# --- the report -------------------------------------------------------------------------------------------------------


def analyze_view(
    model: ModelView, report: Report | None = None, graph: Graph | None = None, bench: Bench | None = None
) -> AnalysisReport:
    """The analysis of a file's content; `graph` is the front end's graph, if the Keras model is at hand."""
    nodes = []
    for index, (node, name) in enumerate(zip(model.nodes, model.names, strict=True)):
        inputs = tuple(model.tensors[t].type for t in node.inputs)
        output = model.tensors[node.output].type
        saved = tuple(saved_of(node, inputs[0], output)) if isinstance(node.params, ConvParams) else ()
        nodes.append(
            NodeAnalysis(
                index, name, node.layers, node.row, inputs, output, operations_of(node, inputs, output, graph),
                saved, parameters_of(node, inputs, output), model.constant_bytes(node), node.scratch_bytes,
                node.weight_bits, unpacked_bytes(model, node),
            )
        )  # fmt: skip
    analyses = tuple(nodes)
    advice = advise(model, analyses, bench) + (() if graph is None else tuple(quantizer_advice(graph)))
    parameters = sum(node.parameters for node in analyses) if graph is None else keras_parameters(graph)
    return AnalysisReport(
        model.name, analyses, parameters, sum(map(len, model.constants)), model.file_bytes, model.prefix.arena_bytes,
        None if report is None else report.lower_bound, model.state_bytes,
        liveness(model), advice, report, model, segments_of(model), bench=bench,
    )  # fmt: skip


def analyze(
    model: Any,
    *,
    target: str | None = None,
    bench: Any = None,
    inputs: str | PathLike[str] | None = None,
    limit: int | None = None,
    validation: Any = None,
    weights: str | PathLike[str] | None = None,
    **options: Any,
) -> AnalysisReport:
    """Analyse a model (Keras: in memory, `.h5`, `.keras`; `.tflite`) or a `.dqnn` file (path or bytes).

    target: where it is to run (see `dqnn targets`, or a .toml file); `fit` says whether the model fits.
    bench: a core of `dqnn bench` to measure each node on, or what it printed as JSON (a path or the content).
    inputs, limit: with a core, a .npz, .npy or .csv file of samples to measure on, and how many of them (20); random
        inputs without.
    validation: what `dqnn.validate` returned, or its JSON (a path or the content).
    weights: a file of model.save_weights(), where the model is the text of model.to_json().
    options: ExportOptions by name.

    Raises what `export` raises for a Keras model, NotAModelError for a damaged file, AnalysisError for figures of
    another model, TargetError, BenchError."""
    place = None if target is None else find_target(target)
    blob, report, graph = _file_bytes(model), None, None
    if blob is None:
        graph = load_graph(model, weights)
        result = export(graph, **options)
        blob, report = result.blob, result.report
    elif options:
        raise AnalysisError(f"{', '.join(options)}: options of the export; this file is exported already")
    if report is not None:
        view = report.model
    else:
        view = parse(blob) if isinstance(model, bytes | bytearray) else read(Path(model))
    analysis = analyze_view(view, report, graph, _bench(bench, blob, view, inputs, limit))
    return replace(
        analysis,
        name=_title(model, analysis.name),
        fit=None if place is None else fit_of(place, view),
        validation=None if validation is None else _validation(validation, view),
    )


def _title(model: Any, name: str) -> str:
    """The model's name, or its file's where it is one that Keras gave."""
    if isinstance(model, str | Path) and UNNAMED.fullmatch(name):
        return Path(model).stem
    return name


def _file_bytes(model: Any) -> bytes | None:
    """The content of a .dqnn file, None for anything else."""
    if isinstance(model, bytes | bytearray):
        return bytes(model)
    is_file = isinstance(model, str | Path) and Path(model).suffix == ".dqnn"
    return read_bytes(Path(model)) if is_file else None


# --- figures of other commands ----------------------------------------------------------------------------------------


BENCH, VALIDATION = ("dqnn.bench/1", "dqnn bench --json"), ("dqnn.validate/1", "dqnn validate --json")


def _bench(
    source: Any, blob: bytes, view: ModelView, inputs: str | PathLike[str] | None, limit: int | None
) -> Bench | None:
    """Measured now on a core, or what was measured before."""
    now = isinstance(source, str) and not source.endswith(".json")
    if inputs is None and limit is not None:
        raise AnalysisError("limit says how many samples of inputs are measured; give inputs too")
    if inputs is not None and not now:
        raise AnalysisError("inputs are what a core is measured on; accepted: with bench='cortex-m4' or another target")
    if source is None:
        return None
    if now:
        samples = None if inputs is None else read_samples(blob, Path(inputs), limit or MOST_SAMPLES)
        source = measure_by_node(blob, source, samples).to_json()
    content = _json_of(source, *BENCH)
    rows = _rows(content, "nodes", ("kernel", "instructions", "cycles"), BENCH[1])
    _check_same([row["kernel"] for row in rows], view, "the bench")
    units = {"measured": "ticks", "cycles": "estimated cycles", "instructions": "instructions"}
    key = next((key for key in units if content.get(key) is not None), "instructions")
    values, data = tuple(int(row[key]) for row in rows), str(content.get("data") or "")
    return Bench(str(content.get("target")), units[key], values, int(content[key]), data)


def _validation(source: Any, view: ModelView) -> Mapping[str, Any]:
    content = _json_of(source.to_json() if hasattr(source, "to_json") else source, *VALIDATION)
    layers = _rows(content, "layers", ("kernel", "l2r"), VALIDATION[1])
    _rows(content, "outputs", ("name", "rows"), VALIDATION[1])
    if layers:
        _check_same([row["kernel"] for row in layers], view, "the validation")
    return content


def _json_of(source: Any, schema: str, command: str) -> Mapping[str, Any]:
    """A command's output, given as a path or as its content."""
    content, where = source, "this"
    if not isinstance(source, Mapping):
        where = str(source)
        try:
            content = json.loads(Path(source).read_text(encoding="utf-8"))
        except OSError as error:
            raise AnalysisError(f"{source}: {error.strerror}") from error
        except ValueError as error:
            raise AnalysisError(f"{source} is no JSON ({error}); expected what `{command}` prints") from error
    found = content.get("schema") if isinstance(content, Mapping) else None
    if found != schema:
        raise AnalysisError(f"{where} is not what `{command}` prints: schema {found!r} instead of {schema!r}")
    return dict(content)


def _rows(content: Mapping[str, Any], key: str, fields: Sequence[str], command: str) -> list[Mapping[str, Any]]:
    rows = content.get(key)
    if not isinstance(rows, list | tuple) or not all(
        isinstance(row, Mapping) and set(fields) <= set(row) for row in rows
    ):
        raise AnalysisError(f"no {key} with {', '.join(fields)} in it: this is not what `{command}` prints")
    return list(rows)


def _check_same(kernels: list[str], view: ModelView, what: str) -> None:
    if kernels != [node.kernel for node in view.nodes]:
        raise AnalysisError(f"{what} is of another model: its {len(kernels)} nodes are not the {len(view.nodes)} here")
