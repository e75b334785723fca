"""`dqnn.sweep`: many candidates on the same samples.

    found = dqnn.sweep(["a.h5", "b.tflite", "c.dqnn"], "test.npz", "y")
    found = dqnn.sweep({f"{n} filters": partial(make, n) for n in (8, 16, 32)}, x, y, scheduler="tcp://10.0.0.5:8786")
    print(found)
    found.front                      # those that no other beats
    found.plot("sweep.png")

Every candidate is exported here and run by the C code, here or by the workers of a cluster, piece by piece: a piece of
the samples goes through all candidates, so the samples travel once. Cycles are measured here, as `dqnn bench` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn._core import BlobError
from dqnn.interpreter import Interpreter
from dqnn.tensors import TensorInfo

from ..bench.cost import Samples, best_figures
from ..bench.measure import BenchError, measure_model, missing_emulator
from ..blob import NotAModelError, parse
from ..cluster.cluster import connect, pieces
from ..errors import DqnnError
from ..samples.arrays import SampleError, adapted_shape, as_reals, check_numbers, common_count, labels_for
from ..samples.metrics import LabelError, measure, read_labels
from ..samples.sources import Inputs, Source
from ..show.console import Progress
from ..show.plots import draw
from ..targets.fit import fit_of
from ..targets.host import HOST
from ..targets.linked import LinkRunner
from ..targets.target import Target, find_target
from ..validate.pieces import Part, Work, as_stored, joined
from .candidates import Candidate, SweepError, collect
from .charts import charts_of
from .model import Entry, Measure, Sweep
from .text import as_text

Array: TypeAlias = NDArray[Any]
COST_SAMPLES = 2  # of the data that cycles are measured on: emulation takes its time
DEFAULT_TARGET = "cortex-m4"


class SweepReport(Sweep):
    """A sweep that can be looked at."""

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        counts = f"{len(self.entries)} candidates, {len(self.front)} on the front, {len(self.failed)} failed"
        return f"<dqnn.SweepReport {counts}; {self.samples} samples>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def plot(self, path: str | PathLike[str]) -> list[Path]:
        """Charts as .png, .svg or .pdf, or each in a directory."""
        return draw(charts_of(self), Path(path), "")


def sweep(
    candidates: Any,
    inputs: Any,
    labels: Any,
    *,
    limit: int | None = None,
    target: str | None = DEFAULT_TARGET,
    scheduler: Any = None,
    progress: Progress | None = None,
    **options: Any,
) -> SweepReport:
    """Accuracy, sizes and cost of candidates on `inputs`, an array or a file as `validate` takes them.

    candidates: paths of .dqnn files and of models, models in memory, results of `export`; a list, a dict by name, pairs
        of name and model, or a function that gives or yields such. What a name stands for may be a function, too, which
        is called when it is needed. "FILE.py:FUNCTION" names a function in a file.
    labels: of the first output, as for `validate`: class numbers (candidates are compared by ACC), or values (RMSE).
    limit: only the first samples.
    target: what an inference costs there, by estimate or measured; None: nothing is measured.
    scheduler: the workers of a Dask cluster run the candidates, see `validate`.
    progress: is told (stage, done, all).
    options: of `export`, for candidates that are models.

    Raises SweepError, SampleError, TargetError, ClusterError. A candidate that fails is an entry with its reason."""
    place = None if target is None else _place(target)
    given = Inputs.of(inputs)
    truth = _read(labels, inputs)[:limit]
    tell = progress or (lambda stage, done, total: None)
    ready: list[_Ready | Candidate] = []
    for found in collect(candidates, options):
        ready.append(_ready(found, given, len(truth)))
        tell("candidates", len(ready), len(ready))
    runs = [item for item in ready if isinstance(item, _Ready)]
    if not ready:
        raise SweepError("there are no candidates")
    parts = _run(runs, len(truth), scheduler, tell) if runs else []
    measured, failures = _measured(runs, parts, truth)
    costs = _Costs(place)
    entries, count = [], 0
    for item in ready:
        if isinstance(item, Candidate):
            entries.append(Entry(item.name, item.source, failure=item.failure))
            continue
        entries.append(costs.entry(item, measured, failures))
        tell(f"cost on {target}", count := count + 1, len(runs))
    what: Measure = "RMSE" if any(not found.classifier for found in measured.values()) else "ACC"
    entries = [replace(e, quality=measured[e.name].of(what)) if e.name in measured else e for e in entries]
    return SweepReport(what, len(truth), target or "", costs.unit, costs.note, tuple(entries))


def _place(target: str) -> Target:
    place = find_target(target)
    if place.name == HOST or isinstance(place.runner, LinkRunner):
        raise SweepError(f"a sweep's costs are those of a core or a board (`dqnn targets`), not of {place.name}")
    return place


def _read(labels: Any, inputs: Any) -> Array:
    if isinstance(labels, str | PathLike):
        return labels_for(fspath(labels), Path(inputs) if isinstance(inputs, str | PathLike) else None)
    return np.asarray(labels)


# --- candidates that are ready to run ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ready:
    candidate: Candidate
    interpreter: Interpreter
    sources: tuple[Source, ...]


def _ready(found: Candidate, given: Inputs, count: int) -> _Ready | Candidate:
    """What is known to fit the samples, or the candidate with its failure."""
    if found.blob is None:
        return found
    try:
        interpreter = Interpreter(found.blob)
        sources = given.of_model(interpreter)
        for info in interpreter.inputs:
            check_numbers(sources[info.name].dtype, info)
            adapted_shape(sources[info.name].shape, info)
        there = common_count(sources.values())
        if there < count:
            raise SampleError(f"{count} labels for {there} samples")
        return _Ready(found, interpreter, tuple(sources.values()))
    except BlobError as error:
        return replace(found, failure=str(NotAModelError(f"the interpreter refuses the file: {error}")))
    except DqnnError as error:
        return replace(found, failure=str(error))


# --- running ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Works:
    """All candidates on some samples: a part for each, or why there is none. `takes`: which of the arrays."""

    works: tuple[Work, ...]
    takes: tuple[tuple[int, ...], ...]

    def __call__(self, start: int, arrays: Sequence[Array]) -> list[Part | str]:
        found: list[Part | str] = []
        for work, takes in zip(self.works, self.takes, strict=True):
            try:
                found.append(work(start, [arrays[i] for i in takes]))
            except DqnnError as error:
                found.append(f"samples {start:,} to {start + len(arrays[0]) - 1:,}: {error}")
        return found


def _run(runs: Sequence[_Ready], count: int, scheduler: Any, tell: Progress) -> list[list[Part | str]]:
    """What each candidate gave, piece by piece."""
    sources = list(dict.fromkeys(source for run in runs for source in run.sources))
    works = Works(
        tuple(Work(run.candidate.blob or b"", HOST) for run in runs),
        tuple(tuple(sources.index(source) for source in run.sources) for run in runs),
    )
    if scheduler is None:
        found = list(_run_here(works, sources, count, tell))
    else:
        with connect(scheduler) as cluster:
            found = cluster.run(works, sources, count, 1, lambda done, _: tell(f"C model, {cluster.name}", done, count))
    return [list(parts) for parts in zip(*found, strict=True)]


def _run_here(
    works: Works, sources: Sequence[Source], count: int, tell: Callable[[str, int, int], None]
) -> Iterator[list[Part | str]]:
    size = sum(4 * int(np.prod(source.shape[1:])) for source in sources)
    for start, stop in pieces(count, 1, size, 1):
        yield works(start, [source.rows(start, stop) for source in sources])
        tell("C model", stop, count)


# --- figures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Quality:
    acc: float | None
    rmse: float
    classifier: bool

    def of(self, what: Measure) -> float | None:
        return self.acc if what == "ACC" else self.rmse


def _measured(
    runs: Sequence[_Ready], parts: Sequence[Sequence[Part | str]], truth: Array
) -> tuple[dict[str, _Quality], dict[str, str]]:
    """The quality of candidates, and why others have none, by name."""
    found: dict[str, _Quality] = {}
    failures: dict[str, str] = {}
    for run, parts_of_it in zip(runs, parts, strict=True):
        name, infos = run.candidate.name, run.interpreter.inputs
        try:
            found[name] = _quality(_whole(parts_of_it, infos, [source.dtype for source in run.sources]), truth)
        except (DqnnError, LabelError) as error:
            failures[name] = str(error)
    return found, failures


def _whole(parts: Sequence[Part | str], infos: Sequence[TensorInfo], dtypes: Sequence[np.dtype[Any]]) -> Array:
    """The first output of all samples."""
    there = [part for part in parts if isinstance(part, Part)]
    if len(there) < len(parts):
        raise SampleError(next(part for part in parts if isinstance(part, str)))
    return joined(there, infos, dtypes).outputs[0]


def _quality(scores: Array, truth: Array) -> _Quality:
    labels = read_labels(truth, scores.shape)
    figures = measure(labels.values, scores, classifier=labels.classifier)
    return _Quality(figures.acc, figures.rmse, labels.classifier)


class _Costs:
    """What inferences cost on a target; the first reason why that cannot be known is kept."""

    def __init__(self, place: Target | None) -> None:
        self.place, self.unit, self.note = place, "", ""
        missing = missing_emulator() if place is not None else []
        if missing:
            self.note = (
                f"no cycles: needs {', '.join(missing)} (pip install 'dqnn[bench]', apt install gcc-arm-none-eabi)"
            )

    def entry(self, run: _Ready, measured: dict[str, _Quality], failures: dict[str, str]) -> Entry:
        found = run.candidate
        if found.name not in measured:
            return Entry(found.name, found.source, failure=failures[found.name])
        view = parse(found.blob or b"")
        fit = None if self.place is None else fit_of(self.place, view)
        remarks = [found.remark, "" if fit is None else fit.problem]
        cost = None
        if self.place is not None and not self.note:
            try:
                cost = self._measure(self.place, run)
            except BenchError as error:
                remarks.append(f"cost unknown: {error}")
        return Entry(
            found.name, found.source, None, view.file_bytes, view.prefix.arena_bytes, cost,
            "; ".join(remark for remark in remarks if remark),
        )  # fmt: skip

    def _measure(self, place: Target, run: _Ready) -> int:
        infos = run.interpreter.inputs
        few = {
            info.name: as_reals(source.rows(0, COST_SAMPLES), info)
            for info, source in zip(infos, run.sources, strict=True)
        }
        stored = as_stored(run.interpreter, few)
        samples = tuple(tuple(array[at].tobytes() for array in stored) for at in range(len(stored[0])))
        self.unit, _, total = best_figures(measure_model(run.candidate.blob or b"", place, samples=Samples(samples)))
        return total
