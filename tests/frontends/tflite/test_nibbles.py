"""INT4 weights of .tflite files: the reference kernels' values, bit for bit, with weights packed and not. Constants of
4 bits that they have no kernel for are refused by name."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from frontends.tflite import oracle  # noqa: E402
from frontends.tflite.nets import RELU6, VALID, Net, Value  # noqa: E402
from oracles.tflite_model import options, schema  # noqa: E402

from dqnn.exporter.api import export  # noqa: E402
from dqnn.exporter.errors import ExportError  # noqa: E402
from dqnn.exporter.frontends import tflite  # noqa: E402

LAYERS: dict[str, tuple[Callable[[Net], Value], int]] = {
    "conv": (lambda n: n.conv(n.input(1, 7, 6, 4), 5), 4),
    "conv-odd": (lambda n: n.conv(n.input(1, 5, 5, 3), 5, activation=RELU6), 8),
    "conv-tensor": (lambda n: n.conv(n.input(1, 8, 9, 8), 6, (3, 5), (2, 3), VALID, per_channel=False), 4),
    "conv-dilated": (lambda n: n.conv(n.input(1, 9, 9, 4), 4, dilation=(2, 3)), 4),
    "pointwise": (lambda n: n.conv(n.input(1, 5, 5, 16), 24, (1, 1)), 4),
    "pooled": (lambda n: n.pool(n.conv(n.input(1, 8, 8, 4), 4), "MAX_POOL_2D"), 4),
    "depthwise": (lambda n: n.depthwise(n.input(1, 6, 6, 8)), 4),
    "depthwise-twice": (lambda n: n.depthwise(n.input(1, 6, 6, 3), 2, stride=(2, 2), per_channel=False), 8),
    "dense": (lambda n: n.dense(n.input(1, 36), 6), 4),
    "dense-map": (lambda n: n.dense(n.input(1, 3, 4, 4), 7, activation=RELU6, bias=False), 4),
    "dense-rows": (lambda n: n.dense(n.input(1, 5, 8), 3, keep=True), 4),
}


def content(build: Callable[[Net], Value], seed: int, few: bool = True) -> bytes:
    net = Net(seed, few=few)
    return net.content(build(net))


def bits(blob_report: Any) -> list[int]:
    nodes = [node for node in blob_report.report.model.nodes if hasattr(node.params, "weight_bits")]
    return [node.params.weight_bits or 8 for node in nodes]


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    build, packed = LAYERS[name]
    seed = zlib.crc32(name.encode())
    data = content(build, seed)
    assert any(tensor.type == "INT4" for tensor in tflite.read_model(data).tensors)
    for pack_weights in (False, True):
        graph = oracle.check(data, 5, seed, pack_weights=pack_weights)
        assert bits(export(graph, pack_weights=pack_weights)) == [packed if pack_weights else 8]


def as_bytes(data: bytes) -> bytes:
    """The same model with its INT4 constants as int8."""
    model = schema.ModelT.InitFromPackedBuf(data)
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.INT4:
            holder = model.buffers[tensor.buffer]
            nibbles = [n for byte in holder.data for n in (byte & 15, byte >> 4)][: np.prod(tensor.shape)]
            holder.data = np.array([n - 16 if n > 7 else n for n in map(int, nibbles)], np.int8).view(np.uint8)
            tensor.type = schema.TensorType.INT8
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("name", ["channels", "zero-point"])
def test_dense_layers_that_the_reference_kernel_lacks(name: str) -> None:
    """Scales per channel (newer kernels know them): the file of the same int8 weights, which it knows."""

    def build(n: Net) -> Value:
        return n.dense(n.input(1, 20), 6, per_channel=name == "channels", zero_point=0 if name == "channels" else 3)

    data = content(build, 11)
    wide = as_bytes(data)
    oracle.check(wide, 5, 11)
    assert export(tflite.load(data)).blob == export(tflite.load(wide)).blob


def test_weights_kept_as_a_float_layers_constant() -> None:
    """A DEQUANTIZE of INT4 (newer kernels know it) in front of a float layer is computed at export."""
    net = Net(4, quantized=False)
    x, real, y = net.input(1, 12), net.tensor((5, 12)), net.tensor((1, 5))
    w = int(net.model.tensor((5, 12), np.int8, 0.03, 0, oracle.codes((5, 12), 4) >> 4))
    net.model.halve(w)
    net.add("DEQUANTIZE", [w], real, None, 2)
    net.add("FULLY_CONNECTED", [x.index, real.index, -1], y, options("FullyConnectedOptions"), 5)
    data = net.content(y)
    wide = as_bytes(data)
    oracle.check(wide, 4, 4)
    assert export(tflite.load(data)).blob == export(tflite.load(wide)).blob


def test_codes_of_every_value() -> None:
    """All sixteen codes, the lowest too, which the converter leaves out."""
    data = content(lambda n: n.conv(n.input(1, 6, 6, 16), 16, (1, 1)), 2)
    weights = next(tensor for tensor in tflite.read_model(data).tensors if tensor.type == "INT4").values()
    assert set(weights.reshape(-1).tolist()) == set(range(-8, 8))


# --- refused by name --------------------------------------------------------------------------------------------------


def halved(net: Net, operand: int) -> None:
    net.model.halve(net.model.graph.operators[0].inputs[operand])


def transposed() -> bytes:
    net = Net(5)
    y = net.transposed(net.input(1, 4, 4, 3), 2)
    halved(net, 1)
    return net.content(y)


def matmul() -> bytes:
    net = Net(5)
    y = net.matmul(net.input(1, 4, 6), 3)
    halved(net, 1)
    return net.content(y)


def added() -> bytes:
    net = Net(5)
    x = net.input(1, 4, 4, 3)
    y = net.binary("ADD", x, net.activation_constant((1, 1, 1, 3)))
    halved(net, 1)
    return net.content(y)


def on_floats() -> bytes:
    net = Net(5, quantized=False)
    x = net.input(1, 12)
    y = net.dense(x, 5)
    w = net.model.graph.tensors[net.model.graph.operators[0].inputs[1]]
    net.model.model.buffers[w.buffer].data = np.zeros(60, np.uint8)
    halved(net, 1)
    return net.content(y)


def activation() -> bytes:
    net = Net(5)
    x = net.input(1, 12)
    net.model.graph.tensors[x.index].type = schema.TensorType.INT4
    return net.content(net.dense(x, 5))


def short() -> bytes:
    net = Net(5, few=True)
    y = net.dense(net.input(1, 12), 5)
    w = net.model.graph.tensors[net.model.graph.operators[0].inputs[1]]
    holder = net.model.model.buffers[w.buffer]
    holder.data = holder.data[:-1]
    return net.content(y)


def newer_type() -> bytes:
    net = Net(5)
    y = net.dense(net.input(1, 12), 5)
    net.model.graph.tensors[net.model.graph.operators[0].inputs[1]].type = 19
    return net.content(y)


REFUSED = {
    "transposed": (transposed, "t2: TRANSPOSE_CONV with weights of type INT4 (tensor 1 't1'); accepted: INT4 as"),
    "matmul": (matmul, "t2: BATCH_MATMUL with second operand of type INT4"),
    "added": (added, "of type INT4; accepted: INT8, UINT8, FLOAT32"),
    "on floats": (on_floats, "FULLY_CONNECTED of floats with INT4 weights (dynamic range)"),
    "activation": (activation, "of type INT4; accepted: INT8, UINT8, FLOAT32. Convert with int8 activations; weights"),
    "short": (short, "holds 29 bytes; its shape (5, 12) needs 30"),
    "newer type": (newer_type, "is a constant of type 19 of a newer schema"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what: str) -> None:
    build, said = REFUSED[what]
    with pytest.raises(ExportError) as caught:
        tflite.load(build())
    assert said in str(caught.value)
