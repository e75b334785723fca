"""Every operator and option of the front end against TensorFlow Lite's reference kernels: int8 values equal, bit for
bit, in the evaluator and in the C interpreter; floats within their rounding."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from frontends.tflite import oracle  # noqa: E402
from frontends.tflite.cases import CASES, names  # noqa: E402
from frontends.tflite.nets import Net, Value  # noqa: E402

from dqnn.exporter.frontends import tflite  # noqa: E402
from dqnn.exporter.frontends.tflite.registry import support_table  # noqa: E402
from dqnn.exporter.ir.fixed_point import quantize_multiplier, rescale  # noqa: E402


def content(name: str, quantized: bool, seed: int) -> bytes:
    net = Net(seed, quantized)
    made = CASES[name](net)
    return net.content(*([made] if isinstance(made, Value) else made))


@pytest.mark.parametrize(("name", "quantized"), list(names()))
def test_equals_the_reference_kernels(name: str, quantized: bool) -> None:
    seed = zlib.crc32(name.encode())
    oracle.check(content(name, quantized, seed), 3, seed)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("sum_")])
def test_int8_sum_is_a_rescaled_sum(name: str) -> None:
    """The reference kernel of int8 SUM gives a constant: the oracle is its rule."""
    data = content(name, True, 5)
    graph, inputs = tflite.load(data), oracle.draw(data, 6, 5)
    model = tflite.read_model(data)
    x, out = (model.tensors[index] for index in (model.inputs[0], model.outputs[0]))
    axes = tuple(int(axis) for axis in model.tensors[model.operators[0].inputs[1]].values())
    total = (inputs[0].astype(np.int64) - int(x.zero_point[0])).sum(axis=tuple(a + 1 if a > 0 else a for a in axes))
    multiplier, shift = quantize_multiplier(float(x.scale[0]) / float(out.scale[0]))
    wanted = rescale(total, multiplier, shift, left=0, single=False) + int(out.zero_point[0])
    found = oracle.evaluated(graph, inputs)[0]
    oracle.same(found.reshape(wanted.shape), np.clip(wanted, -128, 127).astype(np.int8), 0, name)


def test_every_registered_operator_has_a_case() -> None:
    """A handler without a network here would be a claim that nothing checks."""
    seen: set[str] = set()
    for name in CASES:
        for quantized in (True, False):
            seen.update(op.kind for op in tflite.read_model(content(name, quantized, 0)).operators)
    elsewhere = {"DEQUANTIZE", "CAST", "LceQuantize", "LceBconv2d", "LceBMaxPool2d", "LceDequantize"}
    registered = {name for row in support_table() for name in row.operators}
    assert registered - seen - elsewhere == set()
