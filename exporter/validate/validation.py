"""`dqnn.validate`: a .dqnn file against the model it came from, and against labels.

    validation = dqnn.validate("model.dqnn", "model.h5", x, labels=y, per_layer=True)
    validation.outputs[0].cross.l2r              # the C code against the original
    validation.failures(max_l2r=0.01)            # what a CI job prints

The C code runs on this machine or on an emulated board; the original is Keras, or our float evaluator where Keras is
not there (originals/). The figures are defined in samples/metrics.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DqnnError
from ..samples.metrics import LabelError, Labels, Metrics, classes_of, confusion, measure, read_labels
from ..targets.run import HOST, RunError
from .originals.original import Kind, Ran, Tick, find

if TYPE_CHECKING:
    from dqnn import Interpreter

    from .layers import LayerReport

Array: TypeAlias = NDArray[Any]
Progress: TypeAlias = Callable[[str, int, int], None]  # stage, samples done, samples in all

HOST_CHUNKS, TARGET_CHUNKS = 50, 8  # how often progress is told; a board starts anew for every chunk
LAYER_SAMPLES = 16


class ValidationInputError(DqnnError):
    """Inputs or labels that do not fit the model."""


@dataclass(frozen=True)
class OutputReport:
    """One output. Without labels there is one row, C code against the original, and the confusion is against the
    original's classes."""

    name: str
    c_labels: Metrics | None
    original_labels: Metrics | None
    cross: Metrics
    confusion: NDArray[np.int64] | None
    confusion_of: str  # what its rows are: "labels" or "original"
    differing_classes: int | None

    def rows(self) -> list[tuple[str, Metrics]]:
        """The vendor's three rows, or the last alone."""
        named = [
            ("C model against labels", self.c_labels),
            ("original against labels", self.original_labels),
            ("C model against original", self.cross),
        ]
        return [(name, metrics) for name, metrics in named if metrics is not None]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": {name: metrics.to_json() for name, metrics in self.rows()},
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "confusion_rows": self.confusion_of,
            "differing_classes": self.differing_classes,
        }


@dataclass(frozen=True)
class Validation:
    """The whole report. `original` says what the C code was compared with."""

    model: str
    target: str
    original: str
    samples: int
    outputs: tuple[OutputReport, ...]
    layers: tuple[LayerReport, ...] = ()
    layers_note: str = ""

    @property
    def first_differing(self) -> LayerReport | None:
        """The first node whose values differ from the original's by more than rounding."""
        return next((layer for layer in self.layers if layer.differs), None)

    def failures(self, *, max_l2r: float | None = None, min_acc: float | None = None) -> list[str]:
        """A sentence for each limit that an output does not keep. `min_acc` is for the C code against the labels, or
        against the original without labels."""
        found = []
        for output in self.outputs:
            row = output.c_labels or output.cross
            if max_l2r is not None and not output.cross.l2r <= max_l2r:
                found.append(f"{output.name}: L2R {output.cross.l2r:.6g} against the original, at most {max_l2r:g}")
            if min_acc is not None and not (row.acc is not None and row.acc >= min_acc):
                value = "not a classifier" if row.acc is None else f"{row.acc:.4f}"
                found.append(f"{output.name}: ACC {value}, at least {min_acc:g}")
        return found

    def to_json(self) -> dict[str, Any]:
        """The report in JSON types."""
        first = self.first_differing
        return {
            "model": self.model,
            "target": self.target,
            "original": self.original,
            "samples": self.samples,
            "outputs": [output.to_json() for output in self.outputs],
            "layers": [layer.to_json() for layer in self.layers],
            "layers_note": self.layers_note,
            "first_differing_layer": None if first is None else first.name,
        }

    def __str__(self) -> str:
        from .text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def validate(
    model: str | os.PathLike[str] | bytes,
    against: Any,
    inputs: Any,
    *,
    labels: Any = None,
    target: str = HOST,
    original: Kind = "auto",
    per_layer: bool = False,
    progress: Progress | None = None,
) -> Validation:
    """Run a .dqnn file (path or bytes) and its original (`.h5`, `.keras`, Keras model in memory) on `inputs`.

    inputs: an array (n, *shape), or a dict by name, or a list in the model's order.
    labels: a class number per sample, or an array like the output; a list of these for several outputs.
    target: host, or qemu:BOARD. original: "keras" or "evaluator" insists on one of the two.
    per_layer: also compare every tensor, on the first samples.
    progress: is told (stage, samples done, samples in all).

    Raises NotAModelError, OriginalError, ValidationInputError, TargetError and what reading a Keras model raises."""
    blob = _blob(model)
    interpreter = _interpreter(blob)
    batch = fit_inputs(inputs, interpreter)
    count = len(next(iter(batch.values())))
    truths = _labels(labels, interpreter, count)
    tell = progress or (lambda stage, done, total: None)
    ours = run_ours(blob, interpreter, batch, target, tell)
    ran = _run_original(against, original, list(batch.values()), lambda done: tell("original", done, count))
    outputs = tuple(_output(*parts) for parts in _matched(interpreter, ours, ran, truths))
    layers, note = _layers(blob, against, batch, tell) if per_layer else ((), "")
    return Validation(interpreter.name, target, ran.by, count, outputs, layers, note)


def _blob(model: str | os.PathLike[str] | bytes) -> bytes:
    from ..blob import NotAModelError

    if isinstance(model, bytes):
        return model
    try:
        return Path(model).read_bytes()
    except OSError as error:
        raise NotAModelError(f"{model}: {error.strerror}") from error


def _interpreter(blob: bytes) -> Interpreter:
    from dqnn import BlobError, Interpreter

    from ..blob import NotAModelError

    try:
        return Interpreter(blob)
    except BlobError as error:
        raise NotAModelError(f"the interpreter refuses the file: {error}") from error


# --- inputs and labels ------------------------------------------------------------------------------------------------


def fit_inputs(inputs: Any, interpreter: Interpreter) -> dict[str, Array]:
    """Arrays by input name in the model's order, of the model's shapes: whatever has the right number of elements per
    sample is reshaped."""
    infos = interpreter.inputs
    if isinstance(inputs, Mapping):
        missing = [info.name for info in infos if info.name not in inputs]
        if missing:
            raise ValidationInputError(f"no array for input {', '.join(missing)}; there are {', '.join(inputs)}")
        arrays = [np.asarray(inputs[info.name]) for info in infos]
    else:
        listed = list(inputs) if len(infos) > 1 else [inputs]
        if len(listed) != len(infos):
            raise ValidationInputError(f"{len(listed)} arrays for {len(infos)} inputs")
        arrays = [np.asarray(array) for array in listed]
    counts = {len(array) if array.ndim else 0 for array in arrays}
    if len(counts) != 1 or counts == {0}:
        raise ValidationInputError(f"every input needs the same number of samples, at least one; got {sorted(counts)}")
    return {info.name: _shaped(array, info) for info, array in zip(infos, arrays, strict=True)}


def _shaped(array: Array, info: Any) -> Array:
    if array.dtype.kind not in "biuf":
        raise ValidationInputError(f"input {info.name} is {array.dtype}, not numbers")
    if array.size != len(array) * int(np.prod(info.shape)):
        expected = ", ".join(map(str, info.shape))
        raise ValidationInputError(f"input {info.name} has shape {array.shape}; expected (samples, {expected})")
    if array.dtype.kind == "f" and (bad := np.isnan(array.reshape(len(array), -1)).any(axis=1)).any():
        raise ValidationInputError(f"input {info.name} has NaN in {bad.sum()} of {len(array)} samples")
    if info.sample is not None and array.dtype == np.uint8:  # what they stand for, which the original is given, too
        scale, offset = info.sample
        array = array * scale + offset
    return np.asarray(array.reshape((len(array), *info.shape)), np.float32)


def _labels(labels: Any, interpreter: Interpreter, count: int) -> list[Labels | None]:
    infos = interpreter.outputs
    if labels is None:
        return [None] * len(infos)
    several = isinstance(labels, list | tuple) and len(labels) > 0 and np.ndim(labels[0]) > 0
    listed = list(labels) if several else [labels]
    if len(listed) > len(infos):
        raise ValidationInputError(f"{len(listed)} arrays of labels for {len(infos)} outputs")
    found: list[Labels | None] = []
    for info, array in zip(infos, listed, strict=False):
        try:
            found.append(read_labels(np.asarray(array), (count, *info.shape)))
        except LabelError as error:
            raise ValidationInputError(f"output {info.name}: {error}") from error
    return found + [None] * (len(infos) - len(found))


# --- running and comparing --------------------------------------------------------------------------------------------


def run_ours(
    blob: bytes, interpreter: Interpreter, batch: Mapping[str, Array], target: str, tell: Progress
) -> list[Array]:
    """The C code's outputs as real values, in the model's order."""
    from ..targets.emulated import find_target

    place = find_target(target)
    stored = interpreter.to_stored(batch)
    count = len(stored[0])
    chunk = max(1, -(-count // (HOST_CHUNKS if target == HOST else TARGET_CHUNKS)))
    parts = []
    for start in range(0, count, chunk):
        parts.append(place.run(blob, [array[start : start + chunk] for array in stored]).outputs)
        tell(f"C model on {target}", min(start + chunk, count), count)
    real = interpreter.from_stored([np.concatenate(pieces) for pieces in zip(*parts, strict=True)])
    return list(real.values()) if isinstance(real, dict) else [real]


def _run_original(against: Any, kind: Kind, arrays: list[Array], tick: Tick) -> Ran:
    try:
        return find(against, kind).run(arrays, tick)
    except ValueError as error:
        raise ValidationInputError(f"the original refuses the inputs: {error}; is it the same model?") from error


def _matched(
    interpreter: Interpreter, ours: Sequence[Array], ran: Ran, truths: Sequence[Labels | None]
) -> Iterator[tuple[str, Array, Array, Labels | None]]:
    infos = interpreter.outputs
    if len(ran.outputs) != len(infos):
        raise ValidationInputError(f"the original has {len(ran.outputs)} outputs, the file has {len(infos)}")
    for info, mine, theirs, truth in zip(infos, ours, ran.outputs, truths, strict=True):
        if theirs.size != mine.size:
            raise ValidationInputError(
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
    blob: bytes, against: Any, batch: Mapping[str, Array], tell: Progress
) -> tuple[tuple[LayerReport, ...], str]:
    from .layers import compare_layers

    some = {name: array[:LAYER_SAMPLES] for name, array in batch.items()}
    return compare_layers(blob, against, some, lambda done: tell("layers", done, len(next(iter(some.values())))))


__all__ = ["OutputReport", "RunError", "Validation", "ValidationInputError", "fit_inputs", "run_ours", "validate"]
