"""Files that nobody vouches for: cut off anywhere, changed anywhere, with circles, with sizes that no machine holds,
with data outside their folder. Each is exported or refused by name, in a moment, and nothing is left behind."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from frontends.onnx.onnx_models import Model, saved
from onnx import TensorProto, helper, numpy_helper

from dqnn.exporter.api import export
from dqnn.exporter.errors import DqnnError, ExportError, UnreadableModel
from dqnn.exporter.frontends import load

pytestmark = pytest.mark.damaged

SHAPE = (3, 6, 6)


def small() -> Any:
    """A quantized convolution and a dense layer."""
    m = Model(SHAPE)
    x = m.quantized(m.x, 0.02, np.uint8(100))
    w = m.weights(
        m.rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), [0.01, 0.02, 0.03, 0.04], np.zeros(4, np.int8)
    )
    y = m.quantized(m.node("Conv", [x, w]), 0.05, np.uint8(0))
    flat = m.node("Reshape", [y, m.constant(np.array([0, -1], np.int64))])
    return m.proto(m.node("Gemm", [flat, m.floats(64, 3), m.floats(3)]))


def outcome(content: bytes, folder: Path) -> str:
    """What an export of these bytes comes to; nothing but a refusal may go wrong, and then no file may be there."""
    path, output = folder / "changed.onnx", folder / "changed.dqnn"
    path.write_bytes(content)
    output.unlink(missing_ok=True)
    try:
        export(path, output)
    except DqnnError as error:
        assert str(error) and not output.exists()
        return str(error)
    return ""


def test_cut_off_at_any_length(tmp_path: Path) -> None:
    content = small().SerializeToString()
    assert outcome(content, tmp_path) == ""
    for length in range(0, len(content), 3):
        assert outcome(content[:length], tmp_path), f"{length} bytes are a model"


def test_any_byte_changed(tmp_path: Path) -> None:
    content = small().SerializeToString()
    rng = np.random.default_rng(3)
    refused = 0
    for at in rng.permutation(len(content))[:600]:
        changed = bytearray(content)
        changed[at] ^= int(rng.integers(1, 256))
        refused += outcome(bytes(changed), tmp_path) != ""
    assert refused > 100


def test_bytes_put_in_and_taken_out(tmp_path: Path) -> None:
    content = small().SerializeToString()
    rng = np.random.default_rng(4)
    for _ in range(200):
        at, count = int(rng.integers(len(content))), int(rng.integers(1, 9))
        extra = rng.bytes(count) if rng.integers(2) else b""
        outcome(content[:at] + extra + content[at + count * (not extra) :], tmp_path)


def changed(change: Callable[[Any], None]) -> bytes:
    proto = small()
    change(proto)
    return bytes(proto.SerializeToString())


def node_of(proto: Any, op: str) -> Any:
    return next(node for node in proto.graph.node if node.op_type == op)


def tensor_of(proto: Any, node: str, at: int) -> Any:
    name = node_of(proto, node).input[at]
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def replaced(node: str, at: int, array: Any) -> Callable[[Any], None]:
    def change(proto: Any) -> None:
        tensor = tensor_of(proto, node, at)
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(array), tensor.name))

    return change


def circle(proto: Any) -> None:
    node_of(proto, "Conv").input[0] = node_of(proto, "Reshape").output[0]


def itself(proto: Any) -> None:
    node_of(proto, "Conv").input[0] = node_of(proto, "Conv").output[0]


def giant_input(proto: Any) -> None:
    for dim in proto.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_value = 2**62


def open_input(proto: Any) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def giant_tensor(proto: Any) -> None:
    tensor_of(proto, "Gemm", 1).dims[:] = [2**40, 2**40]


def negative_tensor(proto: Any) -> None:
    tensor_of(proto, "Gemm", 1).dims[:] = [-1, 3]


def short_tensor(proto: Any) -> None:
    tensor = tensor_of(proto, "Gemm", 1)
    tensor.raw_data = tensor.raw_data[:-4]


def giant_constant(proto: Any) -> None:
    """A constant of 2**45 numbers, made by a node."""
    size = numpy_helper.from_array(np.array([2**15, 2**15, 2**15], np.int64), "size")
    proto.graph.initializer.append(size)
    proto.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["giant"], name="giant"))
    node_of(proto, "Gemm").input[2] = "giant"


def deep(proto: Any) -> None:
    """A subgraph in a subgraph and so on."""
    inner = helper.make_node("Relu", ["x"], ["y"])
    for _ in range(30):
        graph = helper.make_graph([inner], "g", [], [])
        inner = helper.make_node(
            "If",
            ["x"],
            ["y"],
            name="deep",
            then_branch=graph,
            else_branch=graph if _ < 3 else helper.make_graph([], "e", [], []),
        )
    node_of(proto, "Gemm").input[2] = "y"
    proto.graph.node.append(inner)


def twice(proto: Any) -> None:
    node_of(proto, "Gemm").output[0] = node_of(proto, "Conv").output[0]
    proto.graph.output[0].name = node_of(proto, "Conv").output[0]


def unknown_value(proto: Any) -> None:
    node_of(proto, "Conv").input[1] = "nowhere"


def strange_attribute(proto: Any) -> None:
    node_of(proto, "Conv").attribute.append(helper.make_attribute("strides", [2**40, 1]))


def text_attribute(proto: Any) -> None:
    node_of(proto, "Conv").attribute.append(helper.make_attribute("group", "many"))


def no_groups(proto: Any) -> None:
    node_of(proto, "Conv").attribute.append(helper.make_attribute("group", 0))


def later_opset(proto: Any) -> None:
    proto.opset_import[0].version = 99


def no_opset(proto: Any) -> None:
    del proto.opset_import[:]


def no_outputs(proto: Any) -> None:
    del proto.graph.output[:]


def half_input(proto: Any) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def sequence_input(proto: Any) -> None:
    proto.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [1, 3]))


def sparse(proto: Any) -> None:
    proto.graph.sparse_initializer.add().dims[:] = [3]


def string_tensor(proto: Any) -> None:
    tensor = tensor_of(proto, "Gemm", 2)
    tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.STRING, [1], ["text"]))


TRICKS: dict[str, tuple[Callable[[Any], None], str]] = {
    "circle": (circle, "Conv_3: its inputs depend on its result; accepted: a graph without circles"),
    "itself": (itself, "its inputs depend on its result"),
    "giant input": (giant_input, "x: shape [4611686018427387904, 4611686018427387904"),
    "open input": (open_input, "x: shape ['N', 3, 'height', 6]; accepted: fixed sizes behind the batch axis"),
    "giant tensor": (giant_tensor, "an array of shape (1099511627776, 1099511627776); accepted: at most 67,108,864"),
    "negative tensor": (negative_tensor, "an array of shape (-1, 3)"),
    "short tensor": (short_tensor, "764 bytes of data for shape (64, 3), which takes 768"),
    "giant constant": (giant_constant, "giant: makes too large a constant"),
    "subgraphs": (deep, "deep: If is not supported"),
    "computed twice": (twice, "which another node computes too"),
    "unknown value": (unknown_value, "Conv_3: reads nowhere, which nothing computes"),
    "stride": (strange_attribute, "Conv_3: Conv2D: stride 1099511627776, accepted: 1 to 65535"),
    "text for a number": (text_attribute, "Conv_3: group is 'many'; accepted: a whole number"),
    "no groups": (no_groups, "Conv_3: Conv2D: 0 groups"),
    "later opset": (later_opset, "opset 99; accepted: 7 to 21"),
    "no opset": (no_opset, "the file does not say its opset"),
    "no outputs": (no_outputs, "0 outputs"),
    "half precision": (half_input, "x: is float16; accepted: float, uint8 and int8. Export the model in float32"),
    "sequence": (sequence_input, "x: no tensor"),
    "sparse": (sparse, "sparse initializers"),
    "strings": (string_tensor, "an array of string"),
    "scale 0": (replaced("QuantizeLinear", 1, np.float32(0)), "the scale is 0; accepted"),
    "scale NaN": (replaced("QuantizeLinear", 1, np.float32(np.nan)), "the scale holds NaN or infinity"),
    "scale below 0": (replaced("DequantizeLinear", 1, np.float32(-1)), "the scale is -1; accepted"),
    "weights NaN": (replaced("Gemm", 1, np.full((64, 3), np.nan, np.float32)), "the weights holds NaN or infinity"),
    "other sizes": (replaced("Gemm", 1, np.zeros((5, 3), np.float32)), "Gemm_7: Dense: weights take 5 features"),
    "a shape of floats": (replaced("Reshape", 1, np.zeros(2, np.float32)), "the shape is an array of float32"),
    "a shape too long": (replaced("Reshape", 1, np.ones(10**6, np.int64)), "the shape is an array of int64"),
    "another shape": (replaced("Reshape", 1, np.array([0, 7], np.int64)), "one with as many elements"),
}


@pytest.mark.parametrize("name", TRICKS)
def test_refused_by_name(name: str, tmp_path: Path) -> None:
    change, said = TRICKS[name]
    tracemalloc.start()
    start = time.process_time()
    found = outcome(changed(change), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said in found
    assert peak < 100e6
    assert time.process_time() - start < 5


def test_every_problem_at_once(tmp_path: Path) -> None:
    m = Model(SHAPE)
    x = m.node("LSTM", [m.x])
    y = m.node("Conv", [m.x, m.floats(4, 3, 3, 3)], auto_pad="OTHER")
    z = m.node("Foo", [m.x], "my.domain")
    path = saved(m.proto(m.node("Concat", [x, y, z], axis=1)), tmp_path / "model.onnx")
    with pytest.raises(ExportError) as caught:
        load(path)
    assert [problem.layer for problem in caught.value.problems] == ["LSTM_0", "Conv_1", "Foo_2"]
    assert "my.domain.Foo is not supported" in str(caught.value)


def test_what_no_output_needs_is_not_looked_at(tmp_path: Path) -> None:
    m = Model(SHAPE)
    m.node("LSTM", [m.x])
    load(saved(m.proto(m.node("Relu", [m.x])), tmp_path / "model.onnx"))


def test_no_model_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for content in (b"\x08\x08", b"\x08\x08\x12\x00", b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(UnreadableModel, match=r"damaged or no ONNX model|holds no graph"):
            load(path)
    path.write_bytes(b"")
    with pytest.raises(UnreadableModel, match="empty"):
        load(path)


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    assert load(saved(small(), tmp_path / "model.bin")).name == "small"


def test_a_file_larger_than_any(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UnreadableModel, match="1,073,741,824 bytes; accepted"):
        load(path)


# --- data in other files ----------------------------------------------------------------------------------------------


def external(folder: Path, location: str, offset: int = 0, length: int = 768) -> Path:
    """The model with its dense layer's weights in another file."""
    proto = small()
    tensor = tensor_of(proto, "Gemm", 1)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": str(offset), "length": str(length)}.items():
        tensor.external_data.add(key=key, value=value)
    return saved(proto, folder / "model.onnx")


def weights_of_gemm() -> bytes:
    return bytes(tensor_of(small(), "Gemm", 1).raw_data)


def test_data_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "model.data").write_bytes(b"\0" * 16 + weights_of_gemm())
    path = external(tmp_path, "parts/model.data", 16)
    assert export(path).blob == export(saved(small(), tmp_path / "whole.onnx")).blob


def test_data_outside_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(weights_of_gemm())
    (inside / "link.bin").symlink_to(secret)
    for location in ("../secret.bin", str(secret), "link.bin", "parts/../../secret.bin"):
        with pytest.raises(ExportError, match="a file in the model's folder"):
            load(external(inside, location))


@pytest.mark.parametrize(
    ("location", "offset", "length", "said"),
    [
        ("absent.bin", 0, 768, "'absent.bin', which is not there"),
        ("model.data", 1, 768, "768 bytes within the file's 768"),
        ("model.data", 0, 767, "bytes 0 to 767 of 'model.data' hold its data"),
        ("model.data", -5, 768, "bytes -5 to 763"),
        ("model.data", 2**62, 768, "within the file's"),
        ("", 0, 768, "its data is in ''"),
        (".", 0, 768, "outside the model's folder|which is not there"),
    ],
)
def test_data_that_does_not_fit(location: str, offset: int, length: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "model.data").write_bytes(weights_of_gemm())
    with pytest.raises(ExportError, match=said):
        load(external(tmp_path, location, offset, length))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    path = saved(small(), tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UnreadableModel, match=r"pip install 'dqnn\[onnx\]'"):
        load(path)


def test_unsorted_nodes(tmp_path: Path) -> None:
    proto = small()
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    path = saved(proto, tmp_path / "model.onnx")
    assert len(load(path).nodes) == len(load(saved(small(), tmp_path / "sorted.onnx")).nodes)
    assert onnx.load(path).graph.node[0].op_type == "Gemm"
