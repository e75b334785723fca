"""A .tflite model built tensor by tensor, with any scales and zero points, and run by TFLite's reference kernels
(BUILTIN_REF): the oracle of QUANTIZED arithmetic. The converter would choose scales of its own and fuse operators."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

Builtin = schema.BuiltinOperator
TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.uint8): schema.TensorType.UINT8,
}


class TfliteModel:
    """`tensor` and `operator` add parts; `run` gives the outputs of the last operator's tensors."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.subgraphs = [self.graph]
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: Any = np.int8,
        scale: Any = None,
        zero_point: Any = 0,
        data: Any = None,
        axis: int = 0,
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = list(shape), TYPES[np.dtype(dtype)], f"t{len(self.graph.tensors)}"
        if scale is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            quantization.zeroPoint = np.broadcast_to(np.asarray(zero_point, np.int64), quantization.scale.shape).copy()
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        buffer = 0
        if data is not None:
            holder = schema.BufferT()
            holder.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self.model.buffers.append(holder)
            buffer = len(self.model.buffers) - 1
        tensor.buffer = buffer
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def halve(self, index: int) -> None:
        """An int8 constant as INT4: two codes in each byte, the low one first."""
        tensor = self.graph.tensors[index]
        holder = self.model.buffers[tensor.buffer]
        codes = np.append(holder.data & 15, np.zeros(len(holder.data) % 2, np.uint8))
        holder.data, tensor.type = codes[::2] | codes[1::2] << 4, schema.TensorType.INT4

    def operator(
        self, builtin: int, inputs: list[int], outputs: list[int], options: Any = None, version: int = 1
    ) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(operator)

    def content(self, inputs: list[int], outputs: list[int]) -> bytes:
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def run(self, inputs: dict[int, Any], outputs: list[int]) -> list[Any]:
        """Arrays for the input tensors; every tensor has a batch of 1 in its shape."""
        interpreter = tf.lite.Interpreter(
            model_content=self.content(list(inputs), outputs),
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
        for detail, value in zip(interpreter.get_input_details(), inputs.values(), strict=True):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def options(name: str, **fields: Any) -> Any:
    """`Conv2DOptions(...)`; fields in the schema's camelCase."""
    made = getattr(schema, f"{name}T")()
    for field, value in fields.items():
        assert hasattr(made, field), field
        setattr(made, field, value)
    return made
