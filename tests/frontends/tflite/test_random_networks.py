"""Networks drawn from a seed: every operator behind every other, with random sizes, scales and options, weights of 8
bits and of 4. Quantized ones equal the reference kernels' bytes, in the evaluator and in C, packed and not.

    DQNN_TFLITE_NETWORKS=10000 pytest tests/frontends/tflite/test_random_networks.py    # more of them"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from frontends.tflite import oracle  # noqa: E402
from frontends.tflite.nets import NONE, RELU, RELU1, RELU6, SAME, VALID, Net, Value  # noqa: E402

from dqnn.exporter.errors import ExportError  # noqa: E402

COUNT = int(os.environ.get("DQNN_TFLITE_NETWORKS", "240"))
AT_ONCE = 20


class Drawn:
    """A network as it grows: `value` is its last map or vector, `others` are earlier ones of the same shape."""

    def __init__(self, seed: int, quantized: bool) -> None:
        self.net = Net(seed, quantized, few=quantized and seed % 3 == 0)
        self.rng = np.random.default_rng(seed + 1)
        h, w, c = (int(self.rng.integers(*bounds)) for bounds in ((3, 10), (3, 10), (1, 9)))
        self.value = self.net.input(1, h, w, c)
        self.values = [self.value]

    def one(self, *choices: int) -> int:
        return int(self.rng.choice(choices))

    def activation(self) -> int:
        return self.one(NONE, NONE, RELU, RELU6, RELU1)

    def window(self) -> tuple[tuple[int, int], tuple[int, int], int]:
        """Size, strides and padding that fit the map."""
        h, w = self.value.shape[1:3]
        size = (min(self.one(1, 2, 3, 5), h), min(self.one(1, 2, 3, 5), w))
        return size, (self.one(1, 1, 2), self.one(1, 1, 2)), self.one(SAME, VALID)

    def fits(self, elements: int) -> bool:
        return int(np.prod(self.value.shape)) * elements <= 4000


def conv(d: Drawn) -> Value:
    size, stride, padding = d.window()
    return d.net.conv(
        d.value, d.one(1, 3, 4, 8, 12), size, stride, padding, d.activation(), per_channel=bool(d.one(0, 1))
    )


def depthwise(d: Drawn) -> Value:
    size, stride, padding = d.window()
    return d.net.depthwise(d.value, d.one(1, 1, 2) if d.fits(2) else 1, size, stride, padding, d.activation())


def transposed(d: Drawn) -> Value:
    stride = (d.one(1, 2), d.one(1, 2)) if d.fits(4) else (1, 1)
    return d.net.transposed(d.value, d.one(1, 2, 4), (d.one(1, 2, 3), d.one(2, 3)), stride, d.one(SAME, VALID))


def pool(d: Drawn) -> Value:
    size, stride, padding = d.window()
    kind = ("AVERAGE_POOL_2D", "MAX_POOL_2D")[d.one(0, 1)]
    return d.net.pool(d.value, kind, size, stride, padding, d.activation())


def pair(d: Drawn) -> Value:
    kind = ("ADD", "SUB", "MUL")[d.one(0, 1, 2)]
    alike = [v for v in d.values if v.shape == d.value.shape]
    others = [
        lambda: alike[d.one(*range(len(alike)))],
        lambda: d.net.activation_constant((1, 1, 1, d.value.shape[3])),
        lambda: d.net.activation_constant(()),
        lambda: d.net.activation_constant(d.value.shape),
    ]
    other = others[d.one(0, 0, 1, 2, 3)]()
    a, b = (d.value, other) if d.one(0, 1) else (other, d.value)
    return d.net.binary(kind, a, b, d.activation())


def unary(d: Drawn) -> Value:
    kinds = ["LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "LEAKY_RELU", "ABS"]
    kind = kinds[d.one(*range(len(kinds)))]
    return d.net.unary(kind, d.value, **({"alpha": 0.2} if kind == "LEAKY_RELU" else {}))


def slopes(d: Drawn) -> Value:
    return d.net.prelu(d.value, (1, 1, d.value.shape[3]))


def requantized(d: Drawn) -> Value:
    return d.net.requantize(d.value) if d.net.quantized else d.net.unary("RELU", d.value)


def padded(d: Drawn) -> Value:
    cells = [[0, 0], [d.one(0, 1, 2), d.one(0, 1)], [d.one(0, 1), d.one(0, 2)], [0, 0]]
    shape = tuple(n + before + after for n, (before, after) in zip(d.value.shape, cells, strict=True))
    return d.net.moved("PAD", d.value, shape, [cells])


def turned(d: Drawn) -> Value:
    _, h, w, c = d.value.shape
    return d.net.moved("TRANSPOSE", d.value, (1, w, h, c), [[0, 2, 1, 3]])


def joined(d: Drawn) -> Value:
    if not d.fits(2):
        return turned(d)
    alike = [v for v in d.values if v.shape == d.value.shape and v.scale == d.value.scale]
    alike = [v for v in alike if v.zero_point == d.value.zero_point]
    return d.net.concat([d.value, alike[d.one(*range(len(alike)))]], d.one(1, 2, 3))


def mean(d: Drawn) -> Value:
    return d.net.reduce(d.value, (1, 2), ("MEAN", "REDUCE_MAX")[d.one(0, 0, 1)], keep=True)


STEPS: tuple[Callable[[Drawn], Value], ...] = (
    conv, conv, conv, depthwise, depthwise, transposed, pool, pair, pair, pair, unary, unary, slopes, requantized,
    padded, turned, joined, mean,
)  # fmt: skip


def network(seed: int, quantized: bool = True) -> bytes:
    """Up to eight steps, for some a classifier behind them; one or two outputs."""
    d = Drawn(seed, quantized)
    for _ in range(d.one(*range(1, 9))):
        d.value = STEPS[d.one(*range(len(STEPS)))](d)
        d.values.append(d.value)
    outputs = [d.value]
    if d.one(0, 1):
        y = d.net.dense(d.value, d.one(2, 5, 10), d.activation())
        outputs = [d.net.unary("SOFTMAX", y, beta=1.0) if d.one(0, 1) else y]
    if d.one(0, 0, 0, 1) and len(d.values) > 2:
        outputs.append(d.values[d.one(*range(1, len(d.values)))])
    return d.net.content(*{value.index: value for value in outputs}.values())


@pytest.mark.parametrize("first", range(0, COUNT, AT_ONCE))
def test_quantized_networks(first: int) -> None:
    for seed in range(first, min(first + AT_ONCE, COUNT)):
        try:
            oracle.check(network(seed), 2, seed, pack_weights=seed % 2 == 0)
        except (AssertionError, ExportError) as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_float_networks() -> None:
    """Every operator rounds once more or less than ours: a looser bound for eight in a row."""
    for seed in range(30):
        try:
            oracle.check(network(seed, quantized=False), 1, seed, tolerance=1e-4)
        except (AssertionError, ExportError) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
