"""What changed between two .dqnn files: sizes, kernels, layers, and what they compute.

Layers are matched by their names, in order; a node that fuses other layers than before is one that went and one that
came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..blob import ModelView, NodeView, parse
from ..samples.metrics import Metrics, classes_of, measure

Array: TypeAlias = NDArray[Any]
Kind: TypeAlias = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class Number:
    """A size of both files."""

    name: str
    before: int
    after: int

    @property
    def delta(self) -> int:
        return self.after - self.before


@dataclass(frozen=True)
class NodeChange:
    """One node: `details` says what changed in it, or what it is."""

    kind: Kind
    layers: tuple[str, ...]
    details: tuple[str, ...]


@dataclass(frozen=True)
class OutputChange:
    """One output of both files on the same inputs; `metrics` measures the second against the first."""

    name: str
    metrics: Metrics
    equal: int
    elements: int
    differing_classes: int | None


@dataclass(frozen=True)
class Difference:
    """Everything that differs. `numerics_note` says why numerics are missing, where they are."""

    names: tuple[str, str]
    identical: bool
    numbers: tuple[Number, ...]
    kernels: Mapping[str, tuple[int, int]]  # those whose number of nodes changed
    ports: tuple[str, ...]
    nodes: tuple[NodeChange, ...]
    samples: int
    outputs: tuple[OutputChange, ...]
    numerics_note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The difference in JSON types."""
        return {
            "schema": "dqnn.diff/1",
            "names": list(self.names),
            "identical": self.identical,
            "sizes": {n.name: {"before": n.before, "after": n.after, "delta": n.delta} for n in self.numbers},
            "kernels": {name: {"before": a, "after": b} for name, (a, b) in self.kernels.items()},
            "ports": list(self.ports),
            "nodes": [asdict(change) for change in self.nodes],
            "samples": self.samples,
            "outputs": [{**asdict(o), "metrics": o.metrics.to_json()} for o in self.outputs],
            "numerics_note": self.numerics_note,
        }


def diff(before: bytes, after: bytes, inputs: Mapping[str, Array] | None = None) -> Difference:
    """Compare two files; with `inputs` (real values by input name of the first) also what they compute."""
    a, b = parse(before), parse(after)
    outputs: tuple[OutputChange, ...] = ()
    samples, note = 0, "no inputs given"
    if inputs is not None:
        samples, note = len(next(iter(inputs.values()))), _not_comparable(a, b)
        outputs = () if note else tuple(_numerics(before, after, list(inputs.values())))
    return Difference(
        (a.name, b.name), before == after, tuple(_numbers(a, b)), _kernels(a, b), tuple(_ports(a, b)),
        tuple(_nodes(a, b)), samples, outputs, note,
    )  # fmt: skip


# --- the files --------------------------------------------------------------------------------------------------------


def _numbers(a: ModelView, b: ModelView) -> Iterator[Number]:
    yield Number("file", a.file_bytes, b.file_bytes)
    yield Number("constants", a.data_bytes, b.data_bytes)
    yield Number("graph", a.overhead_bytes, b.overhead_bytes)
    yield Number("arena", a.prefix.arena_bytes, b.prefix.arena_bytes)
    yield Number("nodes", len(a.nodes), len(b.nodes))
    yield Number("tensors", len(a.tensors), len(b.tensors))


def _kernels(a: ModelView, b: ModelView) -> dict[str, tuple[int, int]]:
    ours, theirs = (Counter(node.kernel for node in view.nodes) for view in (a, b))
    names = sorted(set(ours) | set(theirs))
    return {name: (ours[name], theirs[name]) for name in names if ours[name] != theirs[name]}


def _ports(a: ModelView, b: ModelView) -> Iterator[str]:
    for kind in ("inputs", "outputs"):
        before, after = (
            [f"{port.name}: {view.tensors[port.tensor].type}" for port in getattr(view, kind)] for view in (a, b)
        )
        if before != after:
            yield f"{kind}: {', '.join(before)} -> {', '.join(after)}"


def _nodes(a: ModelView, b: ModelView) -> Iterator[NodeChange]:
    matcher = SequenceMatcher(None, [n.layers for n in a.nodes], [n.layers for n in b.nodes], autojunk=False)
    for tag, start, end, other, other_end in matcher.get_opcodes():
        if tag == "equal":
            for ours, theirs in zip(a.nodes[start:end], b.nodes[other:other_end], strict=True):
                details = tuple(_changes(a, ours, b, theirs))
                if details:
                    yield NodeChange("changed", ours.layers, details)
            continue
        for node in a.nodes[start:end]:
            yield NodeChange("removed", node.layers, (_says(a, node),))
        for node in b.nodes[other:other_end]:
            yield NodeChange("added", node.layers, (_says(b, node),))


def _says(view: ModelView, node: NodeView) -> str:
    return f"{node.kernel} -> {view.tensors[node.output].type}, {view.constant_bytes(node):,} B"


def _changes(a: ModelView, ours: NodeView, b: ModelView, theirs: NodeView) -> Iterator[str]:
    facts = [
        ("kernel", ours.kernel, theirs.kernel),
        ("inputs", _types(a, ours.inputs), _types(b, theirs.inputs)),
        ("output", str(a.tensors[ours.output].type), str(b.tensors[theirs.output].type)),
        ("scratch", f"{ours.scratch_bytes:,} B", f"{theirs.scratch_bytes:,} B"),
        ("constants", f"{a.constant_bytes(ours):,} B", f"{b.constant_bytes(theirs):,} B"),
    ]
    yield from (f"{name} {before} -> {after}" for name, before, after in facts if before != after)
    if ours.params != theirs.params:
        yield "parameters: " + ", ".join(_parameter_changes(ours.params, theirs.params))
    before, after = ([view.constants[c] for c in node.constants] for view, node in ((a, ours), (b, theirs)))
    if [len(c) for c in before] == [len(c) for c in after]:
        changed = sum(_differing_bytes(x, y) for x, y in zip(before, after, strict=True))
        if changed:
            yield f"{changed:,} of {sum(map(len, before)):,} constant bytes differ"


def _types(view: ModelView, tensors: tuple[int, ...]) -> str:
    return " ".join(str(view.tensors[t].type) for t in tensors)


def _parameter_changes(before: Any, after: Any) -> Iterator[str]:
    if before is None or after is None or type(before) is not type(after):
        yield f"{type(before).__name__} -> {type(after).__name__}"
        return
    ours, theirs = asdict(before), asdict(after)
    yield from (f"{name} {ours[name]} -> {theirs[name]}" for name in ours if ours[name] != theirs[name])


def _differing_bytes(a: bytes, b: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(a, np.uint8) != np.frombuffer(b, np.uint8)))


# --- what they compute ------------------------------------------------------------------------------------------------


def _not_comparable(a: ModelView, b: ModelView) -> str:
    for kind in ("inputs", "outputs"):
        ours, theirs = ([view.tensors[p.tensor].type.shape for p in getattr(view, kind)] for view in (a, b))
        if ours != theirs:
            return f"the {kind} have other shapes: {ours} and {theirs}"
    return ""


def _numerics(before: bytes, after: bytes, inputs: list[Array]) -> Iterator[OutputChange]:
    from dqnn.interpreter import Interpreter

    first, second = Interpreter(before), Interpreter(after)
    results = []
    for interpreter in (first, second):
        real = interpreter.predict(inputs)
        results.append(list(real.values()) if isinstance(real, dict) else [real])
    for info, ours, theirs in zip(first.outputs, *results, strict=True):
        classes = ours.shape[-1] > 1
        yield OutputChange(
            info.name,
            measure(ours, theirs, classifier=classes),
            int(np.count_nonzero(ours == theirs)),
            ours.size,
            int(np.count_nonzero(classes_of(ours) != classes_of(theirs))) if classes else None,
        )
