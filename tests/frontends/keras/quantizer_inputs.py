"""Arrays on which quantizers are compared, and how the IR of an activation quantizer is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph, Node, Port
from dqnn.exporter.ir.infer import infer_type
from dqnn.exporter.ir.types import F32, TensorType

F32Array = NDArray[np.float32]


def edges() -> F32Array:
    """Zeros of both signs, denormals, ties of every 8-bit grid, neighbours of ties, saturation, and a random bulk."""
    tiny = np.float32(1.1754944e-38)
    special = [
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        tiny,
        -tiny,
        1.2e-38,
        -1.2e-38,
        1e-8,
        -1e-8,
        0.05,
        -0.05,
        0.33,
        -0.33,
        1.0,
        -1.0,
    ]
    special += [0.5, -0.5, 2.0, -2.0, 127.0, 128.0, -128.0, -129.0, 255.0, 256.0, 900.0, -900.0]
    ties = [(k + 0.5) / steps for steps in (1, 128, 255, 256) for k in range(-300, 300)]
    exact = np.array(special + ties, dtype=np.float32)
    near = np.concatenate([np.nextafter(exact, np.float32(np.inf)), np.nextafter(exact, np.float32(-np.inf))])
    rng = np.random.default_rng(1)
    bulk = np.concatenate([rng.normal(0, scale, 4000) for scale in (0.01, 0.3, 1, 5, 100)]).astype(np.float32)
    return np.concatenate([exact, near.astype(np.float32), bulk])


def kernels() -> list[F32Array]:
    """Kernels of every rank, one with an output channel of zeros."""
    rng = np.random.default_rng(2)
    shapes = [(40, 7), (5, 3, 4), (3, 3, 4, 8), (3, 3, 6, 1), (1, 1, 16, 5)]
    found = [rng.normal(0, 0.4, shape).astype(np.float32) for shape in shapes]
    zeros = rng.normal(0, 0.4, (3, 3, 2, 4)).astype(np.float32)
    zeros[..., 1] = 0
    return [*found, zeros, np.float32(3) * found[2], np.zeros((2, 2, 1, 2), np.float32)]


def run(operators: Sequence[ops.Op], x: F32Array) -> F32Array:
    """The real values an IR chain computes of a vector."""
    types = {"x": TensorType((x.size,), F32())}
    nodes = []
    before = "x"
    for number, op in enumerate(operators):
        after = f"v{number}"
        types[after] = infer_type(op, [types[before]])
        nodes.append(Node(op, (before,), after, ("layer",)))
        before = after
    graph = Graph("g", ("x",), (before,), tuple(nodes), types, {"x": Port("x"), before: Port("y")})
    return evaluate(graph, [x[None]]).outputs[0][0]


def same(found: Any, wanted: Any) -> None:
    """Equal element for element; 0 and -0 are the same number."""
    np.testing.assert_array_equal(np.asarray(found, np.float64), np.asarray(wanted, np.float64))
