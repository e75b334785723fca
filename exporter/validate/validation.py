"""`dqnn.validate`: a .dqnn file against the model it came from, and against labels.

    validation = dqnn.validate("model.dqnn", "model.h5", x, labels=y, per_layer=True)
    validation.outputs[0].cross.l2r              # the C code against the original
    validation.failures(max_l2r=0.01)            # what a CI job prints

The C code runs on this machine or on an emulated board; the original is Keras, TensorFlow Lite or onnxruntime, or our
evaluator where that is not there (originals/). The figures are defined in samples/metrics.py."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn._core import BlobError
from dqnn.interpreter import Interpreter
from dqnn.ranges import SaturationWarning

from ..blob import NotAModelError, read_bytes
from ..samples.arrays import SampleError, fit_inputs, ranges_of
from ..samples.metrics import LabelError, Labels, classes_of, confusion, measure, read_labels
from ..show.console import Progress
from ..targets.host import HOST
from ..targets.linked import LinkRunner
from ..targets.target import Target, find_target
from .layers import compare_layers
from .model import LayerReport, OutputReport, Validation
from .originals.choice import find
from .originals.original import Kind, Ran, Tick
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
    target: str = HOST,
    original: Kind = "auto",
    per_layer: bool = False,
    progress: Progress | None = None,
) -> ValidationReport:
    """Run a .dqnn file (path or bytes) and its original (`.h5`, `.keras`, `.tflite`, `.onnx`, Keras model) on `inputs`.

    inputs: an array (n, *shape), or a dict by name, or a list in the model's order.
    labels: a class number per sample, or an array like the output; a list of these for several outputs.
    target: where the file runs: host, a board or a core (see `dqnn targets`), or a device on a link that holds it
        (serial:PORT[,BAUD], tcp:HOST:PORT).
    original: "keras", "tflite", "onnx" (onnxruntime) or "evaluator" insists on one of them.
    per_layer: also compare every tensor, on the first samples: those of this machine, or of a device on a link.
    progress: is told (stage, samples done, samples in all).

    Raises NotAModelError, OriginalError, SampleError, TargetError and what reading a model raises."""
    place = find_target(target)
    blob = model if isinstance(model, bytes) else read_bytes(Path(model))
    interpreter = _interpreter(blob)
    batch = fit_inputs(inputs, interpreter)
    count = len(next(iter(batch.values())))
    truths = _labels(labels, interpreter, count)
    tell = progress or (lambda stage, done, total: None)
    ours = run_ours(blob, interpreter, batch, place, tell)
    ran = _run_original(against, original, list(batch.values()), lambda done: tell("original", done, count))
    outputs = tuple(_output(*parts) for parts in _matched(interpreter, ours, ran, truths))
    layers, note = _layers(blob, against, batch, place, tell) if per_layer else ((), "")
    ranges = ranges_of(batch, interpreter.inputs)
    return ValidationReport(interpreter.name, str(place), ran.by, count, outputs, layers, note, ranges)


def _interpreter(blob: bytes) -> Interpreter:
    try:
        return Interpreter(blob)
    except BlobError as error:
        raise NotAModelError(f"the interpreter refuses the file: {error}") from error


# --- labels -----------------------------------------------------------------------------------------------------------


def _labels(labels: Any, interpreter: Interpreter, count: int) -> list[Labels | None]:
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
            found.append(read_labels(np.asarray(array), (count, *info.shape)))
        except LabelError as error:
            raise SampleError(f"output {info.name}: {error}") from error
    return found + [None] * (len(infos) - len(found))


# --- running and comparing --------------------------------------------------------------------------------------------


def run_ours(
    blob: bytes, interpreter: Interpreter, batch: Mapping[str, Array], place: Target, tell: Progress
) -> list[Array]:
    """The C code's outputs as real values, in the model's order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SaturationWarning)  # the report has the inputs' ranges
        stored = interpreter.to_stored(batch)
    count, stage = len(stored[0]), f"C model on {place}"
    if isinstance(place.runner, LinkRunner):
        outputs = place.runner.run(blob, stored, lambda done: tell(stage, done, count)).outputs
    else:
        chunk = max(1, -(-count // (HOST_CHUNKS if place.name == HOST else TARGET_CHUNKS)))
        parts = []
        for start in range(0, count, chunk):
            parts.append(place.run(blob, [array[start : start + chunk] for array in stored]).outputs)
            tell(stage, min(start + chunk, count), count)
        outputs = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    real = interpreter.from_stored(outputs)
    return list(real.values()) if isinstance(real, dict) else [real]


def _run_original(against: Any, kind: Kind, arrays: list[Array], tick: Tick) -> Ran:
    try:
        return find(against, kind).run(arrays, tick)
    except ValueError as error:
        raise SampleError(f"the original refuses the inputs: {error}; is it the same model?") from error


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


def _layers(
    blob: bytes, against: Any, batch: Mapping[str, Array], place: Target, tell: Progress
) -> tuple[tuple[LayerReport, ...], str]:
    some = {name: array[:LAYER_SAMPLES] for name, array in batch.items()}
    return compare_layers(blob, against, some, place, lambda done: tell("layers", done, len(next(iter(some.values())))))
