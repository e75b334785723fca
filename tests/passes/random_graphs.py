"""Random small graphs: every operator, format, weight kind and order of layers that the passes may meet.

Inputs are multiples of 1/16, so that sums of few floats are exact. What follows them need not be: graphs in which a
float accumulation that is not exact decides a quantized value are marked, their quantized outputs may differ by a
tie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from passes.graph_builder import (
    SIGN,
    Builder,
    batch_norm,
    binary_weights,
    byte_weights,
    float_weights,
    grid_input,
)

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.infer import InferError
from dqnn.exporter.ir.types import F32, S8

T = TypeVar("T")
QUANTIZERS = (
    SIGN,
    SIGN,
    ops.Quantize(S8(1 / 16)),
    ops.Quantize(S8(1 / 128), -127, 127),
    ops.Quantize(S8(1 / 255, -128)),
    ops.Quantize(S8(2.0, -128)),
    ops.Quantize(S8(0.05, 3)),
)
PADDINGS: tuple[ops.Padding, ...] = (((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 1), (1, 0)), ((2, 2), (0, 1)))
POOLS: tuple[tuple[ops.Pair, ops.Pair, ops.Padding], ...] = (
    ((2, 2), (2, 2), PADDINGS[0]),
    ((2, 2), (2, 2), PADDINGS[0]),
    ((3, 3), (2, 2), PADDINGS[0]),
    ((3, 3), (2, 2), PADDINGS[2]),
    ((1, 2), (1, 2), PADDINGS[0]),
)
CLIPS = ((0.0, np.inf), (0.0, 6.0), (-1.0, 1.0), (-3.0, 0.5), (0.0, 1.0))
UNARY: tuple[ops.UnaryKind, ...] = ("relu", "sigmoid", "tanh", "leaky_relu", "abs", "swish", "elu")


@dataclass(frozen=True)
class Drawn:
    """A graph, an input for it, and whether all its quantized values follow from exact sums."""

    graph: Graph
    x: np.ndarray[Any, Any]
    exact: bool


class _Source:
    """Draws parts of a graph."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def weights(self, outputs: int, *shape: int) -> ops.Weights:
        kind = self.pick(("s1", "s1", "s8", "s8", "f32"))
        scale = self.pick(
            [np.array(1.0), np.array(0.5), np.array(0.037), self.rng.choice([0.25, 0.5, 1.0, 0.3], outputs)]
        )
        if kind == "s1":
            return binary_weights(self.rng, *shape, scale=scale)
        if kind == "s8":
            return byte_weights(self.rng, *shape, scale=scale, half=self.chance(0.3), low=self.pick((-128, -127)))
        return float_weights(self.rng, *shape)

    def bias(self, outputs: int) -> Any:
        return self.rng.normal(size=outputs).round(self.number(0, 4)) if self.chance(0.5) else None

    def convolution(self, channels: int) -> ops.Op:
        kind = self.pick(("conv", "conv", "depthwise", "dense"))
        if kind == "dense":
            outputs = self.number(1, 40)
            return ops.Dense(self.weights(outputs, outputs, channels), self.bias(outputs))
        size = (self.number(1, 4), self.number(1, 4))
        common: dict[str, Any] = {
            "stride": (self.number(1, 3), self.number(1, 3)),
            "dilation": self.pick(((1, 1), (1, 1), (2, 1), (1, 2))),
            "padding": self.pick(PADDINGS),
            "pad_value": self.pick((0.0, 0.0, 1.0, -1.0)),
        }
        if kind == "depthwise":
            outputs = channels * self.number(1, 3)
            shape = (*size, channels, outputs // channels)
            return ops.DepthwiseConv2D(self.weights(outputs, *shape), self.bias(outputs), **common)
        groups = self.pick([g for g in (1, 1, 2, 3) if channels % g == 0])
        outputs = groups * self.number(1, 40 if groups == 1 else 12)
        weights = self.weights(outputs, outputs, *size, channels // groups)
        up = self.pick(((1, 1),) * 5 + ((2, 2),))
        return ops.Conv2D(weights, self.bias(outputs), groups=groups, up=up, **common)

    def view(self, shape: tuple[int, ...]) -> ops.Op:
        """A permutation, a crop or an upsampling."""
        rank = len(shape)
        axes = tuple(range(rank))
        zeros, ones = (0,) * rank, (1,) * rank
        kind = self.number(0, 3)
        if kind == 0:
            axis = tuple(int(k) for k in self.rng.permutation(rank))
            return ops.View(tuple(shape[k] for k in axis), axis, zeros, ones, ones)
        if kind == 1:
            start = tuple(self.number(0, n) for n in shape)
            return ops.View(tuple(n - s for n, s in zip(shape, start, strict=True)), axes, start, ones, ones)
        repeat = tuple(2 if k < rank - 1 else 1 for k in axes)
        return ops.View(tuple(n * r for n, r in zip(shape, repeat, strict=True)), axes, zeros, ones, repeat)

    def step(self, shape: tuple[int, ...]) -> ops.Op:
        channels, r = shape[-1], self.rng.random()
        if r < 0.3:
            return batch_norm(self.rng, channels, spread=self.pick((2.0, 10.0, 300.0)))
        if r < 0.4:
            return ops.Clip(*self.pick(CLIPS))
        if r < 0.45:
            return ops.Scale(self.pick((0.5, -1.0, 0.3)), self.pick((0.0, 1.0, -0.25)))
        if r < 0.5:
            slopes = (0, 0.25, 1, -0.5) if self.chance(0.5) else (0, 0.25, 1)
            return ops.PRelu(self.rng.choice(slopes, channels).astype(np.float32))
        if r < 0.55:
            return ops.Unary(self.pick(UNARY), 0.25)
        if r < 0.7:
            return ops.MaxPool(*self.pick(POOLS))
        if r < 0.75:
            return ops.AvgPool(*self.pick(POOLS))
        if r < 0.78:
            return ops.Ternary(self.pick((0.05, 0.5, 2.0)))
        return ops.Dequantize() if r < 0.8 else self.pick(QUANTIZERS)


def draw(seed: int) -> Drawn:
    """The graph of a number."""
    source = _Source(seed)
    shape: tuple[int, ...] = (source.number(1, 9), source.number(1, 9), source.number(1, 20))
    if source.chance(0.15):
        shape = source.pick((shape[2:], shape[1:], (2, *shape)))
    builder = Builder(shape)
    value = "x0"

    def put(op: ops.Op, *more: str) -> None:
        nonlocal value
        try:
            value = builder.add(op, value, *more)
        except InferError:
            return  # does not fit this shape: drawn in vain

    if source.chance(0.7):
        put(source.pick(QUANTIZERS))
    if source.chance(0.1):
        put(ops.Ternary(0.5))
    kept = [value]
    for _ in range(source.number(1, 4)):
        put(source.convolution(builder.types[value].shape[-1]))
        for _ in range(source.number(0, 4)):
            put(source.step(builder.types[value].shape))
        _move_or_join(source, builder, value, kept, put)
        if source.chance(0.5):
            put(source.pick(QUANTIZERS))
        kept.append(value)
    if source.chance(0.1):
        put(ops.Softmax())
    outputs = list(dict.fromkeys([value, *([source.pick(kept[1:])] if source.chance(0.2) else [])]))
    graph = builder.graph(*outputs)
    return Drawn(graph, grid_input(source.rng, shape, 2), _is_exact(graph))


def _move_or_join(source: _Source, builder: Builder, value: str, kept: list[str], put: Any) -> None:
    shape = builder.types[value].shape
    if source.chance(0.15):
        put(ops.Reshape((int(np.prod(shape)),)))
    elif source.chance(0.1):
        put(ops.Pad((1, 0, 0), (0, 1, 0), source.pick((0.0, 1.0, -1.0))))
    elif source.chance(0.1):
        put(source.view(shape))
    elif source.chance(0.1):
        same = [v for v in kept if builder.types[v].shape == shape]
        if same:
            put(ops.Binary(source.pick(("add", "mul", "maximum", "sub"))), source.pick(same))
    elif source.chance(0.1):
        same = [v for v in kept if builder.types[v].shape[:-1] == shape[:-1]]
        if same:
            put(ops.Concat(len(shape) - 1), source.pick(same))
            if source.chance(0.5):
                put(source.pick(QUANTIZERS))


def _is_exact(graph: Graph) -> bool:
    """Whether floats come from the input alone: a float that was computed may be rounded before it is quantized."""
    convolutions = [n for n in graph.nodes if isinstance(n.op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense)]
    exact = all(not isinstance(graph.types[n.inputs[0]].fmt, F32) and n.op.weights.kind != "f32" for n in convolutions)
    joins = any(isinstance(n.op, ops.Binary | ops.AvgPool | ops.PRelu | ops.Unary) for n in graph.nodes)
    return exact and not joins
