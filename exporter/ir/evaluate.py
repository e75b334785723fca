"""Executes a graph in numpy: the oracle for passes, packing and kernels.

Real-valued operators compute in float64 (`real.py`); sums over s1 and s8 codes are exact integers before they are
scaled. The arithmetic of quantized files is integers throughout (`quantized.py`). Kernel-ready operators compute the
integers and float32 steps of schema/SPEC.md section 3 (`semantics.py`), so what they store is what the C kernels store,
bit for bit. All may stand in one graph, as they do between passes: each operator has one meaning, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import ops, quantized, real, semantics
from .fixed_point import wrap
from .graph import Graph, Node
from .infer import stored_value
from .types import F32, S8, TensorType
from .windows import Geometry, inside_counts, taps, with_map

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = Sequence[Array] | Mapping[str, Array]


@dataclass(frozen=True)
class Evaluation:
    """Every value of one run, each with a batch axis: `stored` as a tensor of its format holds it (s1 as int8 +1/-1;
    f32 as float32 behind a kernel, as float64 behind a real-valued operator; s32 as int64)."""

    graph: Graph
    stored: dict[str, Array] = field(default_factory=dict)

    def real(self, value: str) -> NDArray[np.float32]:
        """Real numbers of one value."""
        return real.to_float32(real.to_real(self.stored[value], self.graph.types[value].fmt))

    @property
    def outputs(self) -> list[NDArray[np.float32]]:
        """Real numbers of the model's outputs, in order."""
        return [self.real(name) for name in self.graph.outputs]


def evaluate(graph: Graph, inputs: Inputs) -> Evaluation:
    """Run `graph` on real-valued inputs (with a batch axis), in the model's order or by value or port name.

    Inputs of s1 and s8 type are quantized as their type and port say."""
    result = Evaluation(graph)
    for name, array in zip(graph.inputs, _ordered(graph, inputs), strict=True):
        result.stored[name] = stored_input(graph, name, np.asarray(array))
    for node in graph.nodes:
        arguments = [result.stored[name] for name in node.inputs]
        result.stored[node.output] = run_node(node, arguments, graph.types)
    return result


def run_node(node: Node, arguments: list[Array], types: Mapping[str, TensorType]) -> Array:
    """Stored output of one node from the stored values of its inputs, all with a batch axis. A constant, which has no
    input, gives a batch of one, which broadcasts."""
    in_types = [types[name] for name in node.inputs]
    out = types[node.output]
    batch = max((len(array) for array in arguments), default=1)
    if not isinstance(node.op, ops.Binary | ops.WeightedSum | ops.BinaryKernel | ops.FixedBinaryKernel):
        arguments = [np.broadcast_to(array, (batch, *array.shape[1:])) for array in arguments]
    return _run(node.op, arguments, in_types, out).reshape((-1, *out.shape))


def _run(op: ops.Op, arguments: list[Array], in_types: list[TensorType], out: TensorType) -> Array:
    if isinstance(op, ops.Mover) and all(kind.fmt == out.fmt for kind in in_types):
        return semantics.run(op, arguments, in_types)
    if isinstance(op, ops.KernelOp) and not isinstance(op, ops.Mover):
        floats = [real.to_float32(a) if isinstance(t.fmt, F32) else a for a, t in zip(arguments, in_types, strict=True)]
        return semantics.run(op, floats, in_types)
    if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense):
        return _CONVOLUTIONS[type(op)](op, arguments[0], in_types[0])
    if is_quantized(op):
        return quantized.run(op, arguments, in_types)
    reals = [real.to_real(a, t.fmt) for a, t in zip(arguments, in_types, strict=True)]
    if isinstance(op, ops.Quantize | ops.Ternary):
        return real.to_codes(reals[0], op)
    if isinstance(op, ops.Elementwise):
        return real.elementwise(op, reals[0])
    return _REAL[type(op)](op, reals)


def is_quantized(op: ops.Op) -> bool:
    """Whether an operator is the arithmetic of a quantized file: integers by definition."""
    if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense | ops.Binary):
        return op.integer
    if isinstance(op, ops.AvgPool):
        return op.raw
    return isinstance(op, ops.Rescale | ops.WeightedSum | ops.Reduce | ops.Table | ops.FixedSoftmax | ops.Bilinear)


def _ordered(graph: Graph, inputs: Inputs) -> list[Array]:
    if not isinstance(inputs, Mapping):
        return list(inputs)
    return [inputs[name] if name in inputs else inputs[graph.ports[name].name] for name in graph.inputs]


def stored_input(graph: Graph, name: str, array: Array) -> Array:
    """Real values of an input as its tensor stores them."""
    kind = graph.types[name]
    if array.shape[1:] != kind.shape:
        raise ValueError(f"input {name} has shape {array.shape}, expected a batch of {kind.shape}")
    if isinstance(kind.fmt, F32):
        return real.to_float32(array)
    return real.to_codes(array, ops.Quantize(kind.fmt, rounding=graph.ports[name].rounding))


# --- convolutions -----------------------------------------------------------------------------------------------------


def geometry_of(op: ops.Conv2D | ops.DepthwiseConv2D | ops.ConvKernel) -> Geometry:
    """The window of a convolution."""
    shape = op.weights.codes.shape
    depthwise = isinstance(op, ops.DepthwiseConv2D) or (isinstance(op, ops.ConvKernel) and op.depthwise)
    size = (shape[0], shape[1]) if depthwise else (shape[1], shape[2])
    up = (1, 1) if isinstance(op, ops.DepthwiseConv2D) else op.up
    return Geometry(size, op.stride, op.dilation, op.padding, up)


def _in_units(stored: Array, kind: TensorType, pad_value: float) -> tuple[Array, float, Array]:
    """Input in accumulator units, the pad value in the same units, real value of one unit."""
    if isinstance(kind.fmt, S8):
        units = stored.astype(np.float64) - kind.fmt.zero_point
        pad = stored_value(pad_value, kind.fmt)
        pad = pad_value / kind.fmt.scale if pad is None else pad - kind.fmt.zero_point
        return units, pad, np.array(kind.fmt.scale)
    return stored.astype(np.float64), pad_value, np.array(1.0)


def _conv2d(op: ops.Conv2D, stored: Array, kind: TensorType) -> Array:
    x, pad, _ = _in_units(stored, kind, op.pad_value)
    acc = semantics.exact_conv(with_map(x), real.real_weights(op.weights), geometry_of(op), pad, op.groups)
    return _sums(op, acc, kind)


def _depthwise(op: ops.DepthwiseConv2D, stored: Array, kind: TensorType) -> Array:
    x, pad, _ = _in_units(stored, kind, op.pad_value)
    acc = semantics.exact_depthwise(with_map(x), real.real_weights(op.weights, True), geometry_of(op), pad)
    return _sums(op, acc, kind)


def _dense(op: ops.Dense, stored: Array, kind: TensorType) -> Array:
    x, _, _ = _in_units(stored, kind, 0.0)
    return _sums(op, x @ real.real_weights(op.weights).T, kind)


def _sums(op: ops.Conv2D | ops.DepthwiseConv2D | ops.Dense, acc: Array, kind: TensorType) -> Array:
    """What the accumulators stand for: real numbers, or themselves."""
    bias = 0 if op.bias is None else op.bias
    if op.integer:
        return wrap(np.rint(acc).astype(np.int64) + bias)
    return np.asarray(acc * real.accumulator_scale(kind.fmt, op.weights) + bias)


_CONVOLUTIONS: dict[type, Callable[[Any, Array, TensorType], Array]] = {
    ops.Conv2D: _conv2d,
    ops.DepthwiseConv2D: _depthwise,
    ops.Dense: _dense,
}

# --- everything else --------------------------------------------------------------------------------------------------


def _softmax(op: ops.Softmax, inputs: list[Array]) -> Array:
    e = np.exp(inputs[0] - inputs[0].max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _layer_norm(op: ops.LayerNorm, inputs: list[Array]) -> Array:
    apart = inputs[0] - inputs[0].mean(axis=-1, keepdims=True)
    variance = (apart * apart).mean(axis=-1, keepdims=True)
    return np.asarray(apart / np.sqrt(variance + op.epsilon) * op.gamma + op.beta)


def _avg_pool(op: ops.AvgPool, inputs: list[Array]) -> Array:
    x = with_map(inputs[0])
    geometry = Geometry(op.size, op.stride, padding=op.padding)
    total = sum(taps(x, geometry, 0.0))
    return np.asarray(total / inside_counts(x.shape[1], x.shape[2], geometry)[:, :, None])


BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def _binary(op: ops.Binary, inputs: list[Array]) -> Array:
    return BINARY[op.kind](inputs[0], inputs[1])


def _concat(op: ops.Concat, inputs: list[Array]) -> Array:
    """Of different formats; of equal ones it moves codes (semantics.py)."""
    return np.concatenate(inputs, axis=op.axis + 1)


def _pad(op: ops.Pad, inputs: list[Array]) -> Array:
    """With a value that the input's format does not have."""
    return semantics.pad(op, inputs[0], op.value)


_REAL: dict[type, Callable[[Any, list[Array]], Array]] = {
    ops.Softmax: _softmax,
    ops.LayerNorm: _layer_norm,
    ops.AvgPool: _avg_pool,
    ops.Binary: _binary,
    ops.Concat: _concat,
    ops.Pad: _pad,
}
