"""`dqnn.validate`: a .dqnn file against the model it came from, and against labels.

    validation = dqnn.validate("model.dqnn", "model.h5", x, labels=y, per_layer=True)
    validation.outputs[0].cross.l2r              # the C code against the original
    validation.failures(max_l2r=0.01)            # what a CI job prints

The C code runs on this machine or on an emulated board; the original is Keras, TensorFlow Lite or onnxruntime, or our
evaluator where that is not there (originals/). The figures are defined in samples/metrics.py.

On a cluster (`scheduler`) workers run the C code, the comparison of layers and our evaluator; any other original runs
here. Outputs come back and are measured here, so the report is that of one machine, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn._core import BlobError
from dqnn.interpreter import Interpreter
from dqnn.ranges import InputRange

from ..blob import NotAModelError, read_bytes
from ..cluster.cluster import Cluster, ClusterError, connect
from ..samples.arrays import (
    SampleError,
    adapted_shape,
    check_numbers,
    common_count,
    fit_inputs,
    labels_for,
    ranges_of,
)
from ..samples.metrics import LabelError, Labels, classes_of, confusion, measure, read_labels
from ..samples.sources import Source, find_sources
from ..show.console import Progress
from ..targets.host import HOST
from ..targets.linked import LinkRunner
from ..targets.target import Target, find_target
from .layers import find_comparison
from .model import LayerReport, OutputReport, Validation
from .originals.choice import find
from .originals.evaluator import Evaluator
from .originals.original import Kind, Original, Ran, Tick
from .pieces import ALIGNED, Part, Work, as_listed, as_stored, check_given, joined, run_stored
from .text import as_text

Array: TypeAlias = NDArray[Any]

HOST_CHUNKS, TARGET_CHUNKS = 50, 8  # how often progress is told; a board starts anew for every chunk
LAYER_SAMPLES = 16


class ValidationReport(Validation):
    """A validation that can be looked at."""

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        errors = ", ".join(f"{output.name}: L2R {output.cross.l2r:.3g}" for output in self.outputs)
        return f"<dqnn.ValidationReport {self.model or 'model'}: {self.samples} samples on {self.target}; {errors}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def validate(
    model: str | PathLike[str] | bytes,
    against: Any,
    inputs: Any,
    *,
    labels: Any = None,
    limit: int | None = None,
    target: str = HOST,
    original: Kind = "auto",
    per_layer: bool = False,
    layer_samples: int | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
) -> ValidationReport:
    """Run a .dqnn file (path or bytes) and its original (`.h5`, `.keras`, `.tflite`, `.onnx`, Keras model) on `inputs`.

    inputs: an array (n, *shape), or a dict by name, or a list in the model's order; or the path of a .npz, .npy, .csv
        or Zarr, one for all or one for each.
    labels: a class number per sample, or an array like the output; a list of these for several outputs. Text is the
        name of an array in the inputs' file, or of a .npy, .zarr or .csv file.
    limit: only the first samples.
    target: where the file runs: host, a board or a core (see `dqnn targets`), or a device on a link that holds it
        (serial:PORT[,BAUD], tcp:HOST:PORT).
    original: "keras", "tflite", "onnx" (onnxruntime) or "evaluator" insists on one of them.
    per_layer: also compare every tensor, on the first `layer_samples` samples (16): those of this machine, or of a
        device on a link.
    scheduler: the workers of a Dask cluster share the samples: its address (tcp://HOST:PORT) or file, a
        distributed.Client or cluster. Inputs may then be arrays of Dask; paths are read by the workers.
    progress: is told (stage, samples done, samples in all).

    Raises NotAModelError, OriginalError, SampleError, TargetError, ClusterError and what reading a model raises."""
    place = find_target(target)
    blob = model if isinstance(model, bytes) else read_bytes(Path(model))
    interpreter = _interpreter(blob)
    sources = find_sources(inputs, interpreter)
    count = _checked(limit, layer_samples, common_count(sources.values()))
    truths = _labels(_read_labels(labels, inputs), interpreter, count, limit)
    task = _Task(
        blob,
        interpreter,
        against,
        original,
        place,
        sources,
        count,
        (layer_samples or LAYER_SAMPLES) if per_layer else 0,
    )
    tell = progress or (lambda stage, done, total: None)
    if scheduler is None:
        found = _run_here(task, tell)
    else:
        with connect(scheduler) as cluster:
            found = _run_on(cluster, task, tell)
    outputs = tuple(_output(*parts) for parts in _matched(interpreter, found.ours, found.ran, truths))
    return ValidationReport(
        interpreter.name, str(place), found.ran.by, count, outputs, found.layers, found.note, found.ranges
    )


@dataclass(frozen=True)
class _Task:
    """What is to be run. Layers are compared on the first `layer_samples` samples, 0 for none."""

    blob: bytes
    interpreter: Interpreter
    against: Any
    kind: Kind
    place: Target
    sources: Mapping[str, Source]
    count: int
    layer_samples: int

    def batch(self) -> dict[str, Array]:
        """All samples, in memory."""
        arrays = {name: source.rows(0, self.count) for name, source in self.sources.items()}
        return fit_inputs(arrays, self.interpreter)


@dataclass(frozen=True)
class _Found:
    ours: list[Array]
    ran: Ran
    ranges: tuple[InputRange, ...]
    layers: tuple[LayerReport, ...] = ()
    note: str = ""


def _checked(limit: int | None, layer_samples: int | None, count: int) -> int:
    """The number of samples to run."""
    for name, value in (("limit", limit), ("layer_samples", layer_samples)):
        if value is not None and value < 1:
            raise SampleError(f"{name} is {value}; accepted: 1 or more")
    return count if limit is None else min(limit, count)


def _interpreter(blob: bytes) -> Interpreter:
    try:
        return Interpreter(blob)
    except BlobError as error:
        raise NotAModelError(f"the interpreter refuses the file: {error}") from error


# --- labels -----------------------------------------------------------------------------------------------------------


def _read_labels(labels: Any, inputs: Any) -> Any:
    """Labels with names of arrays and files read."""
    listed = labels if isinstance(labels, list | tuple) else [labels]
    if not any(isinstance(item, str | PathLike) for item in listed):
        return labels
    source = Path(inputs) if isinstance(inputs, str | PathLike) else None
    return [labels_for(fspath(item), source) if isinstance(item, str | PathLike) else item for item in listed]


def _labels(labels: Any, interpreter: Interpreter, count: int, limit: int | None) -> list[Labels | None]:
    infos = interpreter.outputs
    if labels is None:
        return [None] * len(infos)
    several = isinstance(labels, list | tuple) and len(labels) > 0 and np.ndim(labels[0]) > 0
    listed = list(labels) if several else [labels]
    if len(listed) > len(infos):
        raise SampleError(f"{len(listed)} arrays of labels for {len(infos)} outputs")
    found: list[Labels | None] = []
    for info, array in zip(infos, listed, strict=False):
        try:
            found.append(read_labels(np.asarray(array)[:limit], (count, *info.shape)))
        except LabelError as error:
            raise SampleError(f"output {info.name}: {error}") from error
    return found + [None] * (len(infos) - len(found))


# --- running ----------------------------------------------------------------------------------------------------------


def _run_here(task: _Task, tell: Progress) -> _Found:
    batch = task.batch()
    ours = _run_ours(task, batch, tell)
    ran = _run_original(find(task.against, task.kind), list(batch.values()), _tick(tell, "original", task.count))
    layers: tuple[LayerReport, ...] = ()
    note = ""
    if task.layer_samples:
        comparison = find_comparison(task.blob, task.against)
        some = {name: array[: task.layer_samples] for name, array in batch.items()}
        sums = comparison.sums(some, task.place, _tick(tell, "layers", min(task.layer_samples, task.count)))
        layers, note = comparison.reports(sums), comparison.note
    return _Found(ours, ran, ranges_of(batch, task.interpreter.inputs), layers, note)


def _tick(tell: Progress, stage: str, count: int) -> Tick:
    return lambda done: tell(stage, done, count)


def _run_ours(task: _Task, batch: Mapping[str, Array], tell: Progress) -> list[Array]:
    """The C code's outputs as real values, in the model's order."""
    interpreter, place, count = task.interpreter, task.place, task.count
    stored, tick = as_stored(interpreter, batch), _tick(tell, f"C model on {place}", count)
    if isinstance(place.runner, LinkRunner):
        return as_listed(interpreter, place.runner.run(task.blob, stored, tick).outputs)
    chunk = max(1, -(-count // (HOST_CHUNKS if place.name == HOST else TARGET_CHUNKS)))
    parts = []
    for start in range(0, count, chunk):
        parts.append(run_stored(task.blob, interpreter, [array[start : start + chunk] for array in stored], place))
        tick(min(start + chunk, count))
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def _run_on(cluster: Cluster, task: _Task, tell: Progress) -> _Found:
    """The same by the workers of a cluster."""
    infos, sources = task.interpreter.inputs, list(task.sources.values())
    if isinstance(task.place.runner, LinkRunner):
        raise ClusterError(f"{task.place}: a device on a link has one machine that talks to it; leave the cluster out")
    for info, source in zip(infos, sources, strict=True):
        check_numbers(source.dtype, info)
        adapted_shape(source.shape, info)
    original = find(task.against, task.kind)
    graph = original.graph if isinstance(original, Evaluator) else None
    comparison = find_comparison(task.blob, task.against) if task.layer_samples else None
    work = Work(task.blob, task.place.name, graph, comparison, task.layer_samples)

    def tick(done: int, part: Part) -> None:
        for info, given, source in zip(infos, part.given, sources, strict=True):
            if given is not None and given.saturated:  # what needs no other samples to be refused
                check_given(info, given, source.dtype)
        tell(f"{task.place}, {cluster.name}", done, task.count)

    parts = cluster.run(work, sources, task.count, ALIGNED, tick)
    whole = joined(parts, infos, [source.dtype for source in sources])
    if isinstance(original, Evaluator):
        ran = Ran(whole.original, original.by)
    else:
        arrays = list(task.batch().values())
        ran = _run_original(original, arrays, _tick(tell, "original, here", task.count))
    if comparison is None or whole.layers is None:
        return _Found(whole.outputs, ran, whole.ranges)
    return _Found(whole.outputs, ran, whole.ranges, comparison.reports(whole.layers), comparison.note)


def _run_original(original: Original, arrays: list[Array], tick: Tick) -> Ran:
    try:
        return original.run(arrays, tick)
    except ValueError as error:
        raise SampleError(f"the original refuses the inputs: {error}; is it the same model?") from error


# --- comparing --------------------------------------------------------------------------------------------------------


def _matched(
    interpreter: Interpreter, ours: Sequence[Array], ran: Ran, truths: Sequence[Labels | None]
) -> Iterator[tuple[str, Array, Array, Labels | None]]:
    infos = interpreter.outputs
    if len(ran.outputs) != len(infos):
        raise SampleError(f"the original has {len(ran.outputs)} outputs, the file has {len(infos)}")
    for info, mine, theirs, truth in zip(infos, ours, ran.outputs, truths, strict=True):
        if theirs.size != mine.size:
            raise SampleError(
                f"output {info.name}: the original gives {theirs.shape}, the file {mine.shape}; is it the same model?"
            )
        yield info.name, mine, theirs.reshape(mine.shape), truth


def _output(name: str, ours: Array, original: Array, labels: Labels | None) -> OutputReport:
    classifier = labels.classifier if labels is not None else ours.ndim == 2 and ours.shape[-1] > 1
    truth = original if labels is None else labels.values
    return OutputReport(
        name,
        None if labels is None else measure(labels.values, ours, classifier=classifier),
        None if labels is None else measure(labels.values, original, classifier=classifier),
        measure(original, ours, classifier=classifier),
        confusion(truth, ours) if classifier else None,
        "original" if labels is None else "labels",
        int(np.count_nonzero(classes_of(ours) != classes_of(original))) if classifier else None,
    )
