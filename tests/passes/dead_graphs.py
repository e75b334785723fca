"""Random graphs of s8 layers with channels planted that can change nothing: zero rows and columns of weights, factors
of zero, in front of all that passes channels on."""

from __future__ import annotations

from typing import Any

import numpy as np

from dqnn.exporter.ir import fixed_point, ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.infer import InferError
from dqnn.exporter.ir.types import F32, S8, S32, TensorType
from dqnn.tensors import Rounding

from .graph_builder import Builder, batch_norm

FORMATS = (S8(0.05, -128), S8(0.031, 3), S8(0.0625, 0))
DOUBLE, SINGLE = ops.FixedRounding.DOUBLE, ops.FixedRounding.SINGLE


class Net:
    """A graph under construction; `value` is its end."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        shape = (self.number(1, 6), self.number(1, 6), self.number(1, 7))
        self.builder = Builder(TensorType(shape, self.pick(FORMATS)))
        self.value = "x0"

    def pick(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    @property
    def kind(self) -> TensorType:
        return self.builder.types[self.value]

    @property
    def fmt(self) -> S8:
        assert isinstance(self.kind.fmt, S8)
        return self.kind.fmt

    def put(self, op: ops.Op, *inputs: str) -> None:
        self.value = self.builder.add(op, *(inputs or (self.value,)))

    # --- layers with weights ------------------------------------------------------------------------------------------

    def conv(self, outputs: int = 0, size: int = 0) -> None:
        """Any convolution, with what makes an s8 of it."""
        channels = self.kind.shape[-1]
        integer = self.chance(0.7)
        window = self.window(size)
        if outputs == 0 and self.chance(0.35):
            multiplier = self.pick((1, 1, 2))
            outputs = channels * multiplier
            codes = self.rng.integers(-90, 91, (*self.size(size), channels, multiplier))
            codes[..., self.rng.random((channels, multiplier)) < 0.4] = 0
            weights = self.with_zeros(codes, outputs, integer, (channels, multiplier))
            op: Any = ops.DepthwiseConv2D(weights, self.bias(outputs, integer), integer=integer, **window)
        else:
            outputs = outputs or self.number(2, 10)
            groups = 2 if self.chance(0.1) and channels % 2 == outputs % 2 == 0 else 1
            codes = self.rng.integers(-90, 91, (outputs, *self.size(size), channels // groups))
            codes[self.rng.random(outputs) < 0.4] = 0
            codes[..., self.rng.random(channels // groups) < 0.4] = 0
            weights = self.with_zeros(codes, outputs, integer, (outputs, 1, 1, 1))
            up = (2, 2) if size == 0 and self.chance(0.15) else (1, 1)
            op = ops.Conv2D(weights, self.bias(outputs, integer), groups=groups, up=up, integer=integer, **window)
        self.put(op)
        self.finish(outputs, integer)

    def size(self, size: int) -> tuple[int, int]:
        return (size, size) if size else (self.number(1, 4), self.number(1, 4))

    def window(self, size: int) -> dict[str, Any]:
        if size == 1:
            return {}
        pad = self.pick((0.0, 0.0, self.fmt.scale * (5 - self.fmt.zero_point)))
        around = self.pick((((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 1), (1, 0))))
        return {"padding": around, "pad_value": pad, "stride": self.pick(((1, 1), (1, 1), (2, 1)))}

    def with_zeros(self, codes: Any, outputs: int, integer: bool, shape: tuple[int, ...]) -> ops.Weights:
        """These numbers; or some that only codes with zero points hold, with zeros where those are."""
        zeros = np.zeros((), np.int64)
        if integer and self.chance(0.3):
            zeros = self.rng.choice([-30, 30], outputs)
            codes = np.where(codes == 0, 0, codes - 2 * zeros.reshape(shape)) + zeros.reshape(shape)
        return ops.Weights("s8", codes.astype(np.int8), np.asarray(0.01), zero_point=zeros.astype(np.int8))

    def bias(self, outputs: int, integer: bool) -> Any:
        whole = self.rng.integers(-4000, 4000, outputs) * (self.rng.random(outputs) < 0.5)
        return whole.astype(np.int32) if integer else whole / 2000

    def finish(self, outputs: int, integer: bool) -> None:
        out = self.pick(FORMATS)
        if integer:
            factors = self.rng.uniform(0.0005, 0.01, outputs) * (self.rng.random(outputs) < 0.95)
            low = out.zero_point if self.chance(0.6) else -128
            self.put(self.rescale(factors, out, self.pick((DOUBLE, SINGLE)), low=low))
            return
        if self.chance(0.5):
            self.put(batch_norm(self.rng, outputs))
        if self.chance(0.6):
            self.put(ops.Clip(0.0, np.inf))
        self.put(ops.Quantize(out, rounding=self.pick((Rounding.KERAS, Rounding.DIVIDE_EVEN))))

    @staticmethod
    def rescale(factor: Any, out: S8 | S32, rounding: Any = DOUBLE, left: int = 0, low: int = -128) -> ops.Rescale:
        multiplier, shift = (np.atleast_1d(n).astype(np.int32) for n in fixed_point.quantize_multiplier(factor))
        return ops.Rescale(multiplier, shift, out, rounding, left, low)

    # --- the rest -----------------------------------------------------------------------------------------------------

    def table(self) -> None:
        channels = self.kind.shape[-1]
        shape = self.pick(((256,), (channels, 256)))
        self.put(ops.Table(self.rng.integers(-128, 128, shape).astype(np.int8), self.pick(FORMATS)))

    def pool(self) -> None:
        around = self.pick((ops.NO_PADDING, ((1, 0), (0, 1))))
        self.put(
            ops.MaxPool((2, 2), (2, 2), around) if self.chance(0.5) else ops.AvgPool((2, 2), (1, 1), around, raw=True)
        )

    def move(self) -> None:
        h, w, c = self.kind.shape
        kind = self.number(0, 4)
        if kind == 0:
            self.put(ops.Pad((1, 0, 0), (0, 1, 0), self.pick((0.0, self.fmt.scale * 7))))
        elif kind == 1:
            self.put(ops.View((w, h, c), (1, 0, 2), (0, 0, 0), (1, 1, 1), (1, 1, 1)))
        elif kind == 2:
            self.put(ops.Gather((np.arange(h)[::-1].copy(), None, None)))
        else:
            self.put(ops.Reshape((h * w, 1, c)))

    def join(self) -> None:
        """With a branch of as many channels."""
        start = self.value
        self.conv(self.kind.shape[-1], 1)
        kind, out = self.pick(("add", "sub", "mul", "maximum", "weighted", "float", "concat")), self.pick(FORMATS)
        values, start_kind = (start, self.value), self.builder.types[start]
        if kind in ("maximum", "concat") and start_kind.fmt != self.kind.fmt:
            kind = "add"
        if kind == "concat":
            self.put(ops.Concat(self.pick((0, 2))), *values)
        elif kind == "weighted":
            self.put(ops.WeightedSum((self.number(-900, 900), self.number(1, 900)), 10, out), *values)
        elif kind == "float":
            self.put(ops.Binary("add"), *values)
            self.put(ops.Quantize(out))
        elif kind == "maximum":
            self.put(ops.Binary("maximum", integer=True), *values)
        elif kind == "mul":
            self.put(ops.Binary("mul", integer=True), *values)
            self.put(self.rescale(0.03, out))
        else:
            halves = [self.rescale(factor, S32(), left=20) for factor in (0.5, 0.3)]
            sides = [self.builder.add(half, value) for half, value in zip(halves, values, strict=True)]
            self.put(ops.Binary(kind, integer=True), *sides)
            self.put(self.rescale(2.0**-20 * 1.7, out))

    def end(self) -> None:
        """A mean or a Flatten, and a dense layer."""
        if self.chance(0.4):
            cells = self.kind.shape[0] * self.kind.shape[1]
            self.put(ops.Reduce("sum", (0, 1)))
            self.put(self.rescale(0.9 / cells, self.pick(FORMATS)))
        else:
            self.put(ops.Reshape((self.kind.elements,)))
        inputs, outputs = self.kind.shape[0], self.number(2, 6)
        codes = self.rng.integers(-90, 91, (outputs, inputs)) * (self.rng.random(inputs) < 0.6)
        integer = self.chance(0.7)
        weights = self.with_zeros(codes, outputs, integer, (outputs, 1))
        self.put(ops.Dense(weights, self.bias(outputs, integer), integer=integer))
        if integer or self.chance(0.5):
            self.finish(outputs, integer)


def draw(seed: int) -> Graph:
    """The graph of a number."""
    net = Net(seed)
    seen = []
    for _ in range(net.number(2, 7)):
        try:
            net.pick((net.conv, net.conv, net.conv, net.table, net.pool, net.move, net.join))()
        except InferError:
            continue  # does not fit this shape: drawn in vain
        seen.append(net.value)
    if net.chance(0.6) and isinstance(net.kind.fmt, S8):
        net.end()
    more = [net.pick(seen)] if seen and net.chance(0.1) else []
    if net.value == "x0":
        net.conv(3, 1)
    assert isinstance(net.kind.fmt, S8 | F32)
    return net.builder.graph(*dict.fromkeys([net.value, *more]))
