"""Small graphs for the tests of the IR and the passes, and the comparison before/after."""

from __future__ import annotations

from typing import Any

import numpy as np

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import Evaluation, evaluate
from dqnn.exporter.ir.graph import Graph, Node, Port
from dqnn.exporter.ir.infer import infer_type
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType
from dqnn.exporter.options import DEFAULTS, ExportOptions
from dqnn.exporter.passes import Compiled, run_pipeline

SIGN = ops.Quantize(S1())
BYTE = ops.Quantize(S8(1 / 16))


class Builder:
    """Appends nodes; every value gets its type by inference."""

    def __init__(self, *inputs: tuple[int, ...] | TensorType) -> None:
        self.types: dict[str, TensorType] = {}
        self.nodes: list[Node] = []
        for i, kind in enumerate(inputs):
            self.types[f"x{i}"] = kind if isinstance(kind, TensorType) else TensorType(kind, F32())
        self.inputs = tuple(self.types)

    def add(self, op: ops.Op, *values: str) -> str:
        """A node on `values` (default: the last value); its layer is named after the operator and a number."""
        name = f"v{len(self.nodes)}"
        sources = values or (list(self.types)[-1],)
        self.types[name] = infer_type(op, [self.types[value] for value in sources])
        self.nodes.append(Node(op, sources, name, (f"{type(op).__name__.lower()}_{len(self.nodes)}",)))
        return name

    def graph(self, *outputs: str) -> Graph:
        """The graph; its output is the last value unless others are named."""
        wanted = outputs or (list(self.types)[-1],)
        ports = {name: Port(name) for name in (*self.inputs, *wanted)}
        return Graph("test", self.inputs, wanted, tuple(self.nodes), dict(self.types), ports)


def chain_graph(shape: tuple[int, ...] | TensorType, *operators: ops.Op) -> Graph:
    """One operator after the other."""
    builder = Builder(shape)
    for op in operators:
        builder.add(op)
    return builder.graph()


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def binary_weights(rng: np.random.Generator, *shape: int, scale: Any = 1.0) -> ops.Weights:
    return ops.Weights("s1", rng.choice([-1, 1], shape).astype(np.int8), np.asarray(scale, np.float64))


def byte_weights(
    rng: np.random.Generator, *shape: int, scale: Any = 1.0, half: bool = False, low: int = -128
) -> ops.Weights:
    return ops.Weights("s8", rng.integers(low, 128, shape).astype(np.int8), np.asarray(scale, np.float64), half)


def float_weights(rng: np.random.Generator, *shape: int) -> ops.Weights:
    """Multiples of 1/8, so that sums of few products are exact in float32."""
    return ops.Weights("f32", (rng.integers(-16, 17, shape) / 8).astype(np.float32))


def batch_norm(rng: np.random.Generator, channels: int, spread: float = 4.0) -> ops.BatchNorm:
    """Both signs of gamma, some zeros, means that meet accumulators exactly."""
    gamma = rng.choice([-1.0, 1.0], channels) * rng.choice([0.0, 0.5, 1.0, 0.37], channels, p=[0.1, 0.3, 0.3, 0.3])
    beta = rng.choice([0.0, 0.0, 1.0, -0.731, 2.5], channels)
    mean = np.where(
        rng.random(channels) < 0.5, np.rint(rng.normal(size=channels) * spread), rng.normal(size=channels) * spread
    )
    variance = rng.choice([0.0, 1.0, 4.0, 0.77], channels)
    singles = [np.asarray(values, np.float32).astype(np.float64) for values in (gamma, beta, mean, variance)]
    return ops.BatchNorm(*singles, 1e-3)


def grid_input(rng: np.random.Generator, shape: tuple[int, ...], batch: int = 3) -> np.ndarray[Any, Any]:
    """Multiples of 1/16 in [-2, 2]: quantizers meet ties and saturation, float sums stay exact."""
    return (rng.integers(-32, 33, (batch, *shape)) / 16).astype(np.float32)


def compile_and_compare(
    graph: Graph, inputs: list[np.ndarray[Any, Any]], options: ExportOptions = DEFAULTS, tolerance: float = 2e-5
) -> Compiled:
    """Run the pipeline and assert that quantized outputs are equal and f32 outputs close."""
    compiled = run_pipeline(graph, options)
    before, after = evaluate(graph, inputs), evaluate(compiled.graph, inputs)
    for old, new in zip(graph.outputs, compiled.graph.outputs, strict=True):
        assert compiled.graph.types[new].shape == graph.types[old].shape
        compare(before, old, after, new, tolerance)
    return compiled


def compare(before: Evaluation, old: str, after: Evaluation, new: str, tolerance: float) -> None:
    a, b = before.real(old), after.real(new)
    if isinstance(after.graph.types[new].fmt, F32):
        scale = max(1.0, float(np.abs(a).max()))
        assert np.abs(a - b).max() <= tolerance * scale, f"f32 output differs by {np.abs(a - b).max()} of {scale}"
    else:
        assert (a == b).all(), f"{(a != b).sum()} of {a.size} quantized values differ"


def kernels_of(graph: Graph) -> list[str]:
    """Operator names, in order."""
    return [type(node.op).__name__ for node in graph.nodes]


def formats_of(graph: Graph) -> list[Format]:
    return [graph.types[node.output].fmt for node in graph.nodes]
