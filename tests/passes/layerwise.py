"""Two graphs compared value by value, each from what the second one stores: what a pass did to one layer cannot hide
behind, or be blamed on, what it did to another.

Values keep their names through a pass as long as they mean the same. Of every value that both graphs know, the second
computes it from others that both know: a kernel, say, from its inputs. The first computes it from the same stored
values, by all its layers in between. The two must agree:

* codes and bits are equal. Where a sum of floats is rounded by a kernel, a code may be that of a number within float32
  rounding of the true one, and where the pass announced that its arithmetic rounds otherwise, the next code;
* floats are equal within float32 rounding."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from dqnn.exporter.ir import ops, real
from dqnn.exporter.ir.checks import validate
from dqnn.exporter.ir.evaluate import Evaluation, evaluate, run_node
from dqnn.exporter.ir.graph import Graph, Node
from dqnn.exporter.ir.types import F32, TensorType
from dqnn.exporter.options import DEFAULTS, ExportOptions
from dqnn.exporter.passes import PIPELINE, Compiled, Context

ROUNDED = "differs by one code"  # in a decision's reason
SLACK = 1e-5  # float32 rounding of a sum of some hundred terms, of the largest number around
Values = dict[str, Any]


def compare_graphs(before: Graph, after: Graph, inputs: list[Any], announced: frozenset[str] = frozenset()) -> int:
    """AssertionError for the first value of `after` that `before` computes otherwise; returns how many were compared.
    `announced`: values whose rounding may differ by one code."""
    evaluation = evaluate(after, inputs)
    compared = 0
    for node in after.nodes:
        if node.output in before.types:
            _compare_value(before, evaluation, node, announced)
            compared += 1
    renamed = [(old, new) for old, new in zip(before.outputs, after.outputs, strict=True) if new not in before.types]
    assert not renamed, f"outputs changed their names: {renamed}"
    return compared


@dataclass(frozen=True)
class Cluster:
    """The nodes of a graph between some values and one that they compute."""

    sources: tuple[str, ...]
    nodes: tuple[Node, ...]


def cluster_of(graph: Graph, value: str, known: Container[str]) -> Cluster:
    """What computes a value from known ones."""
    makers = {node.output: node for node in graph.nodes}
    wanted, sources, nodes = [value], [], []
    seen = set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in makers or (name != value and name in known):
            sources.append(name)
            continue
        nodes.append(makers[name])
        wanted += makers[name].inputs
    order = {node.output: place for place, node in enumerate(graph.nodes)}
    return Cluster(tuple(sources), tuple(sorted(nodes, key=lambda node: order[node.output])))


def _compare_value(before: Graph, after: Evaluation, node: Node, announced: frozenset[str]) -> None:
    theirs = cluster_of(after.graph, node.output, before.types)
    mine = cluster_of(before, node.output, theirs.sources)  # and from inputs, where two equal values became one
    stored, types = after.stored, after.graph.types
    sources = {name: _restored(stored[name], types[name], before.types[name]) for name in mine.sources}
    _check(node, after, before.types[node.output], theirs, lambda slack: _run(before, mine, sources, slack), announced)


def _restored(stored: Any, kind: TensorType, wanted: TensorType) -> Any:
    """What one format stores, as another one does."""
    if kind.fmt == wanted.fmt:
        return stored
    numbers = real.to_real(stored, kind.fmt)
    return numbers if isinstance(wanted.fmt, F32) else real.to_codes(numbers, ops.Quantize(wanted.fmt))


def _run(graph: Graph, cluster: Cluster, sources: Values, slack: float) -> Any:
    """The cluster's value; every real that is quantized in it is moved by `slack` times the largest number."""
    values = dict(sources)
    for node in cluster.nodes:
        arguments = [values[name] for name in node.inputs]
        if slack and isinstance(node.op, ops.Quantize | ops.Ternary) and isinstance(_fmt(graph, node.inputs[0]), F32):
            arguments = [arguments[0] + slack * max(1.0, _largest(cluster, values))]
        values[node.output] = run_node(node, arguments, graph.types)
    return values[cluster.nodes[-1].output]


def _fmt(graph: Graph, name: str) -> Any:
    return graph.types[name].fmt


def _largest(cluster: Cluster, values: Values) -> float:
    found = [np.abs(values[n.output][np.isfinite(values[n.output])]) for n in cluster.nodes if n.output in values]
    return max((float(array.max(initial=0.0)) for array in found if array.dtype.kind == "f"), default=1.0)


def _check(
    node: Node, after: Evaluation, kind: TensorType, theirs: Cluster, run: Any, announced: frozenset[str]
) -> None:
    out = after.graph.types[node.output]
    got, exact = after.stored[node.output], run(0.0)
    shape = f"{node.output} ({type(node.op).__name__}, layers {', '.join(node.layers)})"
    if isinstance(out.fmt, F32) or isinstance(kind.fmt, F32):
        a, b = real.to_real(exact, kind.fmt), real.to_real(got, out.fmt)
        bound = 1e-4 * max(1.0, float(np.abs(a[np.isfinite(a)]).max(initial=0.0)))
        wrong = ~((np.abs(a - b) <= bound) | (a == b) | (np.isnan(a) & np.isnan(b)))
        assert not wrong.any(), f"{shape}: floats differ by {np.abs(a - b)[wrong].max()}"
        return
    if kind.fmt != out.fmt:
        exact = _restored(exact, kind, out)
    low = high = exact.astype(np.int64)
    if _rounds_floats(after.graph, theirs):
        ends = [run(sign * SLACK).astype(np.int64) for sign in (-1, 1)]
        low, high = np.minimum.reduce([low, *ends]), np.maximum.reduce([high, *ends])
    if announced & {made.output for made in theirs.nodes}:
        low, high = low - 1, high + 1
    wrong = (got < low) | (got > high)
    assert not wrong.any(), (
        f"{shape}: {wrong.sum()} of {got.size} codes differ, first {got[wrong][0]} for {exact[wrong][0]}"
    )


def _rounds_floats(graph: Graph, cluster: Cluster) -> bool:
    """Whether a kernel of the cluster quantizes a float32 that it, or a kernel before it, has rounded."""
    for node in cluster.nodes:
        if not isinstance(node.op, ops.KernelOp):
            continue
        floats = any(isinstance(_fmt(graph, name), F32) for name in node.inputs)
        weights = isinstance(node.op, ops.ConvKernel) and node.op.weights.kind == "f32"
        if floats or weights or isinstance(node.op, ops.BinaryKernel | ops.AvgPoolKernel):
            return True
    return False


def run_and_compare(graph: Graph, inputs: list[Any], options: ExportOptions = DEFAULTS) -> Compiled:
    """`run_pipeline`, with every pass compared with what it was given."""
    context = Context(options)
    for name, function in PIPELINE:
        said = len(context.decisions)
        after = function(graph, context)
        validate(after, stage=name)
        rounded = frozenset(d.value for d in context.decisions[said:] if ROUNDED in d.reason)
        try:
            compare_graphs(graph, after, inputs, rounded)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        graph = after
    validate(graph, kernel_ready=True)
    return Compiled(graph, tuple(context.decisions))
