"""Small ONNX models for the tests, and onnxruntime without optimizations to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
MICROSOFT = "com.microsoft"
TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int8): TensorProto.INT8,
}


class Model:
    """A graph as it grows: `x` is its input, `node` appends one and gives its result's name."""

    def __init__(self, shape: Sequence[int], opset: int = 13, dtype: Any = np.float32, batch: Any = "N") -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs = [helper.make_tensor_value_info("x", TYPES[np.dtype(dtype)], [batch, *shape])]
        self.outputs: list[str] = []
        self.x = "x"
        self.rng = np.random.default_rng(len(shape) * 1000 + sum(shape))

    def constant(self, array: Any, name: str = "") -> str:
        """An initializer."""
        name = name or f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def floats(self, *shape: int, scale: float = 0.5) -> str:
        """Random float constants."""
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def nibbles(self, codes: Any, signed: bool, raw: bool = True) -> str:
        """An initializer of int4 or uint4: two numbers in each byte, the low one first."""
        codes = np.asarray(codes, np.int64)
        kind = TensorProto.INT4 if signed else TensorProto.UINT4
        tensor = helper.make_tensor(f"c{len(self.initializers)}", kind, codes.shape, codes.reshape(-1).tolist())
        if raw:
            data = bytes(number & 255 for number in tensor.int32_data)
            tensor.ClearField("int32_data")
            tensor.raw_data = data
        self.initializers.append(tensor)
        return str(tensor.name)

    def node(self, op: str, inputs: Sequence[str], domain: str = "", results: int = 1, **attributes: Any) -> str:
        """Append a node; the name of its first result."""
        number = len(self.nodes)
        outputs = [f"t{number}" + (f"_{i}" if i else "") for i in range(results)]
        self.nodes.append(
            helper.make_node(op, list(inputs), outputs, name=f"{op}_{number}", domain=domain, **attributes)
        )
        return outputs[0]

    def quantized(self, x: str, scale: float, zero: Any) -> str:
        """QuantizeLinear and DequantizeLinear."""
        s, z = self.constant(np.float32(scale)), self.constant(zero)
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [x, s, z]), s, z])

    def weights(self, codes: Any, scale: Any, zero: Any = None, axis: int = 0) -> str:
        """Codes behind a DequantizeLinear."""
        inputs = [self.constant(codes), self.constant(np.asarray(scale, np.float32))]
        inputs += [] if zero is None else [self.constant(zero)]
        extra = {"axis": axis} if np.ndim(scale) else {}
        return self.node("DequantizeLinear", inputs, **extra)

    def proto(self, *outputs: str, types: Sequence[Any] = ()) -> Any:
        """The ModelProto with these outputs."""
        kinds = [TYPES[np.dtype(t)] for t in types] or [TensorProto.FLOAT] * len(outputs)
        infos = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(outputs, kinds, strict=True)]
        graph = helper.make_graph(self.nodes, "small", self.inputs, infos, self.initializers)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=min(10, 8 if self.opset < 19 else 10))


def saved(proto: Any, path: Path) -> Path:
    """Written to a file."""
    path.write_bytes(proto.SerializeToString())
    return path


def session(source: Any) -> Any:
    """onnxruntime on a file or a ModelProto."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    content = str(source) if isinstance(source, Path) else source.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(source: Any, *inputs: Any) -> list[Any]:
    """What onnxruntime computes."""
    engine = session(source)
    return list(engine.run(None, {port.name: x for port, x in zip(engine.get_inputs(), inputs, strict=True)}))


def with_all_outputs(proto: Any) -> Any:
    """A copy whose every tensor of a node is an output."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    known = {info.name for info in copy.graph.output}
    for node in copy.graph.node:
        for name in node.output:
            if name and name not in known:
                copy.graph.output.append(helper.make_empty_tensor_value_info(name))
    return copy
