"""What the graph of a file looks like: names, ports, constants that are computed, and what is refused by name."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from frontends.tflite import oracle  # noqa: E402
from frontends.tflite.nets import Net, Value  # noqa: E402
from oracles.tflite_model import options  # noqa: E402

from dqnn import Interpreter  # noqa: E402
from dqnn.exporter.api import export  # noqa: E402
from dqnn.exporter.errors import ExportError, UnreadableModel  # noqa: E402
from dqnn.exporter.frontends import tflite  # noqa: E402
from dqnn.exporter.ir import ops  # noqa: E402


def problems(content: bytes) -> list[str]:
    with pytest.raises(ExportError) as caught:
        tflite.load(content)
    return [str(problem) for problem in caught.value.problems]


def uint8(net: Net, shape: tuple[int, ...], scale: float | None = 0.02, zero_point: int = 100) -> Value:
    index = net.model.tensor(shape, np.uint8, scale, zero_point)
    return Value(index, shape, scale or 0.0, zero_point)


def test_names_are_those_of_the_file() -> None:
    """Ports by the tensors' names, layers by the first of the names that the converter has joined."""
    net = Net(0)
    x = net.input(1, 4, 4, 2)
    y = net.conv(x, 3)
    net.model.graph.tensors[x.index].name = "serving_default_image:0"
    net.model.graph.tensors[y.index].name = "net/relu;net/norm;net/conv"
    graph = tflite.load(net.content(y))
    assert graph.ports[graph.inputs[0]].name == "serving_default_image:0"
    assert graph.ports[graph.outputs[0]].name == "net/relu;net/norm;net/conv"
    assert {layer for node in graph.nodes for layer in node.layers} == {"net/relu"}
    interpreter = Interpreter(export(graph).blob)
    assert interpreter.inputs[0].name == "serving_default_image:0"


def test_uint8_codes_are_the_users() -> None:
    net = Net(1)
    net.inputs.append(uint8(net, (1, 3, 3, 2)))
    x = net.add("QUANTIZE", [net.inputs[0].index], net.tensor((1, 3, 3, 2), 0.02, -28))
    y = net.conv(x, 4)
    out = net.add("QUANTIZE", [y.index], uint8(net, y.shape, y.scale, y.zero_point + 128))
    content = net.content(out)
    oracle.check(content, 8)
    interpreter = Interpreter(export(tflite.load(content)).blob)
    assert interpreter.inputs[0].unsigned and interpreter.outputs[0].unsigned
    kinds = [node.row.name for node in export(tflite.load(content)).report.model.nodes]
    assert [kind.split("_")[0] for kind in kinds] == ["conv"]  # both QUANTIZEs are the same bytes under another name


def test_requantizing_uint8() -> None:
    net = Net(2)
    net.inputs.append(uint8(net, (1, 12), 0.05, 3))
    oracle.check(net.content(net.add("QUANTIZE", [net.inputs[0].index], net.tensor((1, 12), 0.03, -7))), 30)


def test_raw_bytes_cast_to_floats() -> None:
    """An image as uint8 without a scale."""
    net = Net(3, quantized=False)
    net.inputs.append(uint8(net, (1, 4, 4, 1), None))
    net.model.graph.tensors[net.inputs[0].index].quantization = None
    made = options("CastOptions", inDataType=3, outDataType=0)
    x = net.add("CAST", [net.inputs[0].index], net.tensor((1, 4, 4, 1)), made)
    oracle.check(net.content(net.conv(x, 2)), 4)


def test_shapes_that_the_file_computes() -> None:
    """SHAPE, STRIDED_SLICE, PACK: what the converter writes where the batch is open."""
    net = Net(4)
    x = net.input(1, 4, 6)
    shape = Value(net.model.tensor((3,), np.int32), (3,))
    net.add("SHAPE", [x.index], shape, options("ShapeOptions", outType=2))
    batch = Value(net.model.tensor((), np.int32), ())
    bounds = [net.constant([0]), net.constant([1]), net.constant([1])]
    net.add("STRIDED_SLICE", [shape.index, *bounds], batch, options("StridedSliceOptions", shrinkAxisMask=1))
    packed = Value(net.model.tensor((2,), np.int32), (2,))
    net.add("PACK", [batch.index, net.constant(24)], packed, options("PackOptions", valuesCount=2, axis=0))
    y = net.add("RESHAPE", [x.index, packed.index], net.like(x, (1, 24)))
    graph = tflite.load(net.content(net.dense(y, 3)))
    assert not any(isinstance(node.op, ops.Constant) for node in graph.nodes)
    oracle.check(net.content(net.dense(y, 3)), 4)


def test_weights_of_float16() -> None:
    net = Net(5, quantized=False)
    x = net.input(1, 8)
    half = np.random.default_rng(5).normal(size=(3, 8)).astype(np.float16)
    stored = net.model.tensor((3, 8), np.float32, data=np.zeros((3, 8), np.float32))
    tensor = net.model.graph.tensors[stored]
    tensor.type = 1
    net.model.model.buffers[tensor.buffer].data = np.frombuffer(half.tobytes(), np.uint8)
    w = net.tensor((3, 8))
    net.add("DEQUANTIZE", [stored], w, None, 2)
    y = net.tensor((1, 3))
    net.add("FULLY_CONNECTED", [x.index, w.index, -1], y, options("FullyConnectedOptions"), 5)
    oracle.check(net.content(y), 3)


def test_outputs_that_are_inputs_or_twice_the_same() -> None:
    net = Net(6)
    x = net.input(1, 5)
    y = net.unary("RELU", x)
    graph = tflite.load(net.content(y, x))
    found = oracle.evaluated(graph, oracle.draw(net.content(y, x), 3, 0))
    assert len(found) == 2 and len(set(graph.outputs)) == 2


# --- what is refused --------------------------------------------------------------------------------------------------


def _set(field: str, value: Any) -> Callable[[Net, Value, Value], None]:
    return lambda net, x, y: setattr(net.model.graph.tensors[y.index], field, value)


def _quantization(field: str, value: Any) -> Callable[[Net, Value, Value], None]:
    return lambda net, x, y: setattr(net.model.graph.tensors[y.index].quantization, field, value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_quantization("scale", np.array([0.0], np.float32)), "scale 0"),
        (_quantization("scale", np.array([np.nan], np.float32)), "scale nan"),
        (_quantization("scale", np.array([np.inf], np.float32)), "scale inf"),
        (_quantization("scale", np.array([0.1, 0.2], np.float32)), "scales"),
        (_quantization("zeroPoint", np.array([300])), "zero point"),
        (_set("type", 7), "INT16"),
        (_set("type", 2), "INT32"),
        (_set("shape", [1, 5]), "shape"),
    ],
)
@pytest.mark.damaged
def test_tensors_that_do_not_suit(change: Callable[[Net, Value, Value], None], text: str) -> None:
    net = Net(7)
    x = net.input(1, 4)
    y = net.unary("RELU", x)
    change(net, x, y)
    try:
        tflite.load(net.content(y))
    except (ExportError, UnreadableModel) as error:
        assert text in str(error)
    else:
        pytest.fail("accepted")


def test_full_uint8_models_are_refused() -> None:
    net = Net(8)
    net.inputs.append(uint8(net, (1, 4, 4, 2)))
    out = uint8(net, (1, 2, 2, 2))
    made = options("Pool2DOptions", padding=1, strideH=2, strideW=2, filterHeight=2, filterWidth=2)
    net.add("AVERAGE_POOL_2D", [net.inputs[0].index], out, made)
    [text] = problems(net.content(out))
    assert "uint8" in text and "TFLITE_BUILTINS_INT8" in text


def test_unequal_scales_of_a_concatenation_are_refused() -> None:
    net = Net(9)
    a, b = net.input(1, 4), net.input(1, 4)
    [text] = problems(net.content(net.concat([a, b], 1)))
    assert "equal scales and zero points" in text


def test_what_stands_behind_a_refusal_is_judged_too() -> None:
    """By what the file says of the values in between."""
    net = Net(13)
    x = net.add("SIN", [net.input(1, 4, 4, 2).index], net.tensor((1, 4, 4, 2)))
    y = net.concat([x, net.like(x)], 3)
    net.inputs.append(Value(y.index - 1, x.shape, x.scale, x.zero_point))
    z = net.add("COS", [net.conv(y, 3).index], net.tensor((1, 4, 4, 3)))
    assert [text.split(": ")[1].split()[0] for text in problems(net.content(z))] == ["SIN", "COS"]


def test_two_subgraphs_are_refused() -> None:
    net = Net(10)
    y = net.unary("RELU", net.input(1, 4))
    net.content(y)
    net.model.model.subgraphs = [net.model.graph, net.model.graph]
    texts = problems(net.content(y))
    assert any("2 subgraphs" in text for text in texts)


def test_a_handler_for_a_custom_operator() -> None:
    """Users register their own, as for Keras' layers."""
    from dqnn.exporter.frontends.tflite import registry

    net = Net(11)
    x = net.input(1, 4)
    y = net.like(x)
    net.add("CUSTOM", [x.index], y)
    net.model.model.operatorCodes[-1].customCode = "Mirror"
    content = net.content(y)
    [text] = problems(content)
    assert "Mirror is not supported" in text and "register('Mirror')" in text

    @tflite.register("Mirror")
    def mirror(ctx: Any) -> str:
        return str(ctx.emit(ops.Gather((np.arange(4)[::-1],)), ctx.x()))

    try:
        inputs = oracle.codes((3, 1, 4), 0)
        found = oracle.interpreted(export(tflite.load(content)).blob, [inputs])
        np.testing.assert_array_equal(found[0], inputs[:, 0, ::-1])
    finally:
        del registry._HANDLERS.rows["Mirror"]


def _tiled(net: Net) -> Value:
    return net.moved("TILE", net.input(1, 1 << 10), (1, 1 << 20), [[1, 1 << 30]])


def _resized(net: Net) -> Value:
    made = options("ResizeBilinearOptions")
    return net.moved("RESIZE_BILINEAR", net.input(1, 4000, 1, 1), (1, 4, 4, 1), [[1 << 16, 1]], made)


def _wide(net: Net) -> Value:
    """A table for every channel."""
    net.quantized = True
    return net.binary("ADD", net.input(1, 1 << 20), net.activation_constant((1 << 20,)))


@pytest.mark.parametrize("build", [_tiled, _resized, _wide])
@pytest.mark.damaged
def test_small_files_that_ask_for_much(build: Callable[[Net], Value]) -> None:
    """Refused before anything of that size is made."""
    net = Net(12, quantized=False)
    content = net.content(build(net))
    tracemalloc.start()
    [text] = problems(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "at most" in text or "up to" in text or "channels" in text
    assert peak < 64 << 20, f"{peak:,} bytes"
