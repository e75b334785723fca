"""Every tensor of a .dqnn file against the same value elsewhere: where does a model begin to differ?

Two comparisons. *Exact*: the C kernels against the numpy evaluator of the same kernel-ready graph, which must agree bit
for bit; a difference is a fault of ours. *Original*: against the float evaluator of the graph as the front end read it,
where rounding shows, and where a wrong export would. Values that only our passes made have no counterpart there.

The kernel-ready graph is not in the file: the original is compiled again, with the options that the file says it was
exported with, and its nodes and constants must be those of the file. If they are not, nodes are matched by the names of
their layers.

What is found of a few samples at a time (a `LayerSums` per node) can be found anywhere and is added up exactly: counts,
and squares summed sample by sample, whose sum is then rounded once (`math.fsum`), in whatever groups they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, product
from math import fsum, inf, prod, sqrt
from typing import Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dqnn.interpreter import Interpreter
from dqnn.tensors import to_real as to_reals

from ..api import load_graph
from ..blob import ModelView, NodeView, parse
from ..emit.writer import WriteError, write
from ..ir.checks import ValidationError
from ..ir.evaluate import Evaluation, evaluate
from ..ir.graph import Graph
from ..ir.real import to_real
from ..ir.types import F32, S8, TensorType
from ..options import ExportOptions, IoDtype, OptionError, Requant
from ..passes import Part, PassError, run_pipeline
from ..samples.metrics import ratio
from ..targets.linked import LinkRunner, node_infos
from ..targets.target import Target
from .model import LayerReport
from .originals.original import Tick

Array: TypeAlias = NDArray[Any]
Parts: TypeAlias = Mapping[str, Part]
STEP = 16  # samples that are evaluated at once: the same everywhere, as float sums may depend on it
UNMATCHED = (
    "The file was exported from another model, by another version or with passes that this one does not have: layers "
    "are matched by name, and there is no exact comparison."
)


@dataclass(frozen=True)
class LayerSums:
    """One node on some samples. `inexact` and `differing` as in LayerReport; `errors` and `sizes` are, of each sample,
    the sums of (f - F)^2 and F^2, empty without a counterpart."""

    elements: int
    inexact: int | None = None
    differing: int | None = None
    errors: tuple[float, ...] = ()
    sizes: tuple[float, ...] = ()

    @property
    def l2r(self) -> float | None:
        return ratio(_root_of_sum(self.errors), _root_of_sum(self.sizes)) if self.errors else None


def _root_of_sum(squares: Sequence[float]) -> float:
    try:
        return sqrt(fsum(squares))
    except OverflowError:
        return inf


@dataclass(frozen=True)
class Comparison:
    """A file beside its original, ready to be run: the kernel-ready graph (None: not found), the value of it (or of the
    original) that each node makes, and the values that lost channels."""

    blob: bytes
    original: Graph
    program: Graph | None
    names: tuple[str | None, ...]
    parts: Parts

    @property
    def note(self) -> str:
        """A remark on what cannot be compared."""
        return UNMATCHED if self.program is None else ""

    def sums(self, batch: Mapping[str, Array], place: Target, tick: Tick) -> list[LayerSums]:
        """What each node makes of these samples, STEP of them at a time, beginning with the first."""
        count, found = len(next(iter(batch.values()))), []
        for start in range(0, count, STEP):
            some = {name: array[start : start + STEP] for name, array in batch.items()}
            found.append(self._sums(some, place, lambda done, start=start: tick(start + done)))  # type: ignore[misc]
        return added(found)

    def _sums(self, batch: Mapping[str, Array], place: Target, tick: Tick) -> list[LayerSums]:
        view = parse(self.blob)
        original = evaluate(self.original, list(batch.values()))
        traced = _trace(self.blob, batch, place, tick)
        exact = None if self.program is None else evaluate(self.program, _as_typed(self.blob, view, batch))
        return [self._compare(*one, exact, original) for one in zip(self._kinds(view), self.names, traced, strict=True)]

    def _kinds(self, view: ModelView) -> list[tuple[NodeView, TensorType]]:
        return [(node, view.tensors[node.output].type) for node in view.nodes]

    def _compare(
        self,
        of: tuple[NodeView, TensorType],
        name: str | None,
        value: Array,
        exact: Evaluation | None,
        original: Evaluation,
    ) -> LayerSums:
        node, kind = of
        inexact = differing = None
        if exact is not None and name is not None:
            inexact = _unequal(exact.real(name).reshape(value.shape), value)
        part = None if name is None else self.parts.get(name)
        theirs = _of_whole(original, name, node, kind) if part is None else _of_part(original, part, kind)
        if theirs is None:
            return LayerSums(value.size, inexact)
        theirs = theirs.reshape(value.shape)
        differing = None if isinstance(kind.fmt, F32) else _unequal(theirs, value)
        return LayerSums(value.size, inexact, differing, *_squares(theirs, value))

    def reports(self, sums: Sequence[LayerSums]) -> tuple[LayerReport, ...]:
        """A report per node."""
        return tuple(
            LayerReport(i, node.layers, node.row, kind, s.elements, s.inexact, s.differing, s.l2r)
            for i, ((node, kind), s) in enumerate(zip(self._kinds(parse(self.blob)), sums, strict=True))
        )


def find_comparison(blob: bytes, against: Any) -> Comparison:
    """Compiles the original as the file was."""
    view, graph = parse(blob), load_graph(against)
    compiled = find_compiled(view, graph)
    if compiled is None:
        by_layers = [_by_layers(graph, node, view.tensors[node.output].type) for node in view.nodes]
        return Comparison(blob, graph, None, tuple(by_layers), {})
    program, tensor_names, parts = compiled
    return Comparison(blob, graph, program, tuple(tensor_names[node.output] for node in view.nodes), parts)


def added(found: Sequence[Sequence[LayerSums]]) -> list[LayerSums]:
    """The sums of all samples, from those of groups of them, in order."""
    return [_added(sums) for sums in zip(*found, strict=True)]


def _added(sums: Sequence[LayerSums]) -> LayerSums:
    def whole(counts: list[int | None]) -> int | None:
        return None if None in counts else sum(filter(None, counts))

    return LayerSums(
        sum(s.elements for s in sums),
        whole([s.inexact for s in sums]),
        whole([s.differing for s in sums]),
        tuple(chain.from_iterable(s.errors for s in sums)),
        tuple(chain.from_iterable(s.sizes for s in sums)),
    )


def _squares(theirs: Array, value: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each sample the squares of the differences and of the reference, summed."""
    truth, found = (array.reshape(len(array), -1).astype(np.float64) for array in (theirs, value))
    with np.errstate(invalid="ignore", over="ignore"):
        errors, sizes = np.sum((found - truth) ** 2, axis=1), np.sum(truth**2, axis=1)
    return tuple(errors.tolist()), tuple(sizes.tolist())


def _as_typed(blob: bytes, view: ModelView, batch: Mapping[str, Array]) -> list[Array]:
    """The inputs as the reals that their tensors' types say: those of sensor samples mean something else to users."""
    found = []
    for port, stored, array in zip(view.inputs, Interpreter(blob).to_stored(batch), batch.values(), strict=True):
        kind = view.tensors[port.tensor].type
        found.append(to_real(stored, kind.fmt) if isinstance(kind.fmt, S8) else array)
    return found


def _trace(blob: bytes, batch: Mapping[str, Array], place: Target, tick: Tick) -> list[Array]:
    """Real values of every node's output, samples first."""
    interpreter = Interpreter(blob)
    if isinstance(place.runner, LinkRunner):
        stored = place.runner.trace(blob, interpreter.to_stored(batch), tick)
        return [to_reals(info, array) for info, array in zip(node_infos(blob), stored, strict=True)]
    samples: list[list[Array]] = []
    for index in range(len(next(iter(batch.values())))):
        for name, array in batch.items():
            interpreter.set_input(name, array[index])
        samples.append([node.value for node in interpreter.trace()])
        tick(index + 1)
    return [np.stack(values) for values in zip(*samples, strict=True)]


def find_compiled(view: ModelView, graph: Graph) -> tuple[Graph, Sequence[str], Parts] | None:
    """The kernel-ready graph of a file, the value name of each of its tensors, and those that lost channels."""
    for options in _asked(view):
        try:
            compiled = run_pipeline(graph, options)
            written = write(compiled.graph, producer="", model_id=0, model_version=0)
        except (PassError, ValidationError, WriteError):
            continue
        mine = parse(written.blob)
        if (mine.nodes, mine.constants, mine.tensors) == (view.nodes, view.constants, view.tensors):
            return compiled.graph, written.program.names, compiled.parts
    return None


def _asked(view: ModelView) -> Iterator[ExportOptions]:
    """How the file was exported. One without a word of it was by the defaults, or is older than the word: then all
    that there were in those days are tried."""
    if view.options:
        with suppress(OptionError):  # of a newer version
            yield ExportOptions.of_short(view.options)
        return
    samples = {port.name: port.sample for port in view.inputs if port.sample is not None}
    for asked, constant_time, requant, io_dtype in product(
        (None, samples) if samples else (None,), (False, True), get_args(Requant), get_args(IoDtype)
    ):
        yield ExportOptions(io_dtype, requant, constant_time, asked)


def _by_layers(graph: Graph, node: NodeView, kind: TensorType) -> str | None:
    """The last value of the original that these layers make, if it has the node's type."""
    return _last_made(graph, node, lambda theirs: theirs == kind)


def _last_made(graph: Graph, node: NodeView, fits: Callable[[TensorType], bool]) -> str | None:
    """The last value of the original that the layers of a node make, among those whose type fits."""
    made = [n.output for n in graph.nodes if n.layers and set(n.layers) <= set(node.layers)]
    fitting = [name for name in made if fits(graph.types[name])]
    return fitting[-1] if fitting else None


def _of_whole(original: Evaluation, name: str | None, node: NodeView, kind: TensorType) -> Array | None:
    """What the original has for a value."""
    meant = name if _same_meaning(original.graph, name, kind) else _behind_reshape(original.graph, node, kind)
    return None if meant is None else original.real(meant)


def _of_part(original: Evaluation, part: Part, kind: TensorType) -> Array | None:
    """What the original has for the channels that a value kept."""
    theirs = original.graph.types.get(part.value)
    if theirs is None or type(theirs.fmt) is not type(kind.fmt) or theirs.shape[-1] != part.count:
        return None
    found = original.real(part.value)[..., part.channels]
    return found if found[0].size == kind.elements else None


def _same_meaning(graph: Graph, name: str | None, kind: TensorType) -> bool:
    """A pass may have put another type behind a name, with a factor elsewhere."""
    theirs = None if name is None else graph.types.get(name)
    return theirs is not None and theirs.shape == kind.shape and type(theirs.fmt) is type(kind.fmt)


def _behind_reshape(graph: Graph, node: NodeView, kind: TensorType) -> str | None:
    """The value of the original that these layers make in another shape: a quantizer behind a Flatten is moved in front
    of it, which changes no bit."""
    if isinstance(kind.fmt, F32):
        return None
    return _last_made(graph, node, lambda theirs: theirs.fmt == kind.fmt and _reshaped(theirs.shape, kind.shape))


def _reshaped(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return shape != other and prod(shape) == prod(other)


def _unequal(a: Array, b: Array) -> int:
    return int(np.count_nonzero((a != b) & ~(np.isnan(a) & np.isnan(b))))
