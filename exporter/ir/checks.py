"""Checks that a graph is what the next stage may rely on.

Every value is computed before it is read, once; every type is what inference gives (as a map, where a kernel may give
a shape of lower rank); arrays are finite and of the kinds the operators state. `kernel_ready` also asks that each
node is one kernel call with the formats its kernel takes. A failure names the stage that produced the graph, the node
and its Keras layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..limits import MOST_INPUTS
from . import ops
from .graph import Graph, Node
from .infer import InferError, as_map, check_s8, infer_type, stored_value
from .types import F32, S1, S8, S32, TensorType

FLOAT_ONLY = (ops.UnaryKernel, ops.PReluKernel, ops.SoftmaxKernel, ops.LayerNormKernel)


class ValidationError(ValueError):
    """The graph breaks an invariant; the text names the stage, the node and the layers."""


def validate(graph: Graph, kernel_ready: bool = False, *, stage: str = "", since: Graph | None = None) -> None:
    """Raise `ValidationError` unless the graph is sound. `since`: a sound graph that this one was made from; a node
    that is the same there, on values of the same types, is not looked at again."""
    try:
        _check_ports(graph, stage)
    except InferError as error:
        raise ValidationError(str(error)) from error
    known = set(graph.inputs)
    sound = {} if since is None else {node.output: node for node in since.nodes}
    for node in graph.nodes:
        same = since is not None and sound.get(node.output) is node and _same_types(graph, since, node)
        try:
            _check_order(graph, node, known)
            if not same:
                _check_node(graph, node, kernel_ready)
        except (InferError, ValidationError) as error:
            after = f"after {stage}: " if stage else ""
            layers = ", ".join(node.layers) or "none"
            raise ValidationError(
                f"{after}{type(node.op).__name__} '{node.output}' (layers: {layers}): {error}"
            ) from error
        known.add(node.output)
    for name in graph.outputs:
        _require(name in known, f"output '{name}' is never computed")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValidationError(message)


def _check_ports(graph: Graph, stage: str) -> None:
    after = f"after {stage}: " if stage else ""
    _require(len(graph.inputs) > 0 and len(graph.outputs) > 0, f"{after}a graph needs inputs and outputs")
    _require(len(set(graph.inputs)) == len(graph.inputs), f"{after}an input is listed twice")
    for name in (*graph.inputs, *graph.outputs):
        _require(name in graph.types and name in graph.ports, f"{after}port '{name}' has no type or no name")
    for name in graph.inputs:
        fmt = graph.types[name].fmt
        if isinstance(fmt, S8):
            check_s8(fmt)


def _same_types(graph: Graph, other: Graph, node: Node) -> bool:
    return all(graph.types.get(name) == other.types.get(name) for name in (*node.inputs, node.output))


def _check_order(graph: Graph, node: Node, known: set[str]) -> None:
    for name in node.inputs:
        _require(name in known, f"reads '{name}' before it is computed")
    _require(node.output not in known, "computes a value that exists already")
    _require(node.output in graph.types, "its value has no type")


def _check_node(graph: Graph, node: Node, kernel_ready: bool) -> None:
    inputs = [graph.types[name] for name in node.inputs]
    wanted, found = infer_type(node.op, inputs), graph.types[node.output]
    same = wanted.fmt == found.fmt and (wanted.shape == found.shape or _same_map(node.op, wanted, found))
    if not same:
        raise ValidationError(f"has type {found}, inference gives {wanted}")
    for name, array in _arrays(node.op):
        _check_array(name, array)
    if isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense | ops.ConvKernel):
        _check_weights(node.op.weights)
    if kernel_ready:
        _check_kernel(node.op, inputs, found)


def _same_map(op: ops.Op, a: TensorType, b: TensorType) -> bool:
    return isinstance(op, ops.MAP_KERNELS) and as_map(a.shape) == as_map(b.shape)


def _arrays(op: ops.Op) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for holder in (op, getattr(op, "weights", None), getattr(op, "epilogue", None)):
        for name, value in vars(holder).items() if holder is not None else ():
            if isinstance(value, np.ndarray):
                yield name, value


def _check_array(name: str, array: np.ndarray[Any, Any]) -> None:
    if array.dtype.kind != "f":
        return
    bad = np.isnan(array) if name == "t" else ~np.isfinite(array)
    _require(not bad.any(), f"{name} holds a value that is not finite")


def _check_weights(weights: ops.Weights) -> None:
    kinds = {"s1": np.int8, "s8": np.int8, "f32": np.float32}
    _require(weights.kind in kinds, f"unknown weight kind {weights.kind}")
    _require(weights.codes.dtype == kinds[weights.kind], f"{weights.kind} weights are stored as {weights.codes.dtype}")
    _require(weights.kind != "s1" or bool((np.abs(weights.codes) == 1).all()), "s1 weights must be +1 or -1")
    _require(not weights.half or weights.kind == "s8", "half-integer weights must be s8")
    if weights.bits != 8:
        _require(weights.bits in (4, 2) and weights.kind == "s8", f"no {weights.kind} weights of {weights.bits} bits")
        _require(not weights.zero_point.any(), "weights with zero points have 8 bits")
        half = 1 << (weights.bits - 1)
        fits = bool((weights.codes >= -half).all() and (weights.codes < half).all())
        _require(fits, f"weights do not fit {weights.bits} bits")


def _check_kernel(op: ops.Op, inputs: list[TensorType], out: TensorType) -> None:
    _require(isinstance(op, ops.KernelOp), "is no kernel")
    if isinstance(op, FLOAT_ONLY):
        _require(isinstance(inputs[0].fmt, F32), f"reads f32, got {inputs[0].fmt}")
    if isinstance(op, ops.Concat):
        same = all(kind.fmt == inputs[0].fmt for kind in inputs)
        _require(same and len(inputs) <= MOST_INPUTS, f"joins at most {MOST_INPUTS} tensors of one format")
    if isinstance(op, ops.Pad):
        _require(stored_value(op.value, inputs[0].fmt) is not None, f"{inputs[0].fmt} has no value {op.value}")
    if isinstance(op, ops.ConvKernel):
        _check_conv_kernel(op, inputs[0])
    if isinstance(op, ops.ChannelKernel) and isinstance(op.epilogue, ops.Divide):
        _require(isinstance(inputs[0].fmt, F32), f"divides f32, got {inputs[0].fmt}")
    _require(all(kind.fmt != S32() for kind in (*inputs, out)), "has s32 values, which no kernel stores")
    epilogue = getattr(op, "epilogue", None)
    if epilogue is not None and not isinstance(epilogue, ops.Threshold):
        _require(epilogue.act_min <= epilogue.act_max, f"clamps to {epilogue.act_min}..{epilogue.act_max}")
        if isinstance(out.fmt, S8):
            whole = float(epilogue.act_min).is_integer() and float(epilogue.act_max).is_integer()
            inside = epilogue.act_min >= -128 and epilogue.act_max <= 127
            _require(whole and inside, "an s8 clamp must be whole numbers in -128..127")


def _check_conv_kernel(op: ops.ConvKernel, kind: TensorType) -> None:
    _require(
        op.weights.scale.size == 1 and float(op.weights.scale.reshape(-1)[0]) == 1, "kernel weights carry no scale"
    )
    if isinstance(kind.fmt, S1):
        _require(op.pad_value in (-1, 0, 1), f"pads s1 with {op.pad_value}")
    if isinstance(kind.fmt, S8):
        _require(float(op.pad_value).is_integer() and -128 <= op.pad_value <= 127, f"pads s8 with {op.pad_value}")
    integer = not isinstance(kind.fmt, F32) and op.weights.kind != "f32"
    if isinstance(op.epilogue, ops.Threshold):
        _require((op.epilogue.t.dtype.kind == "i") == integer, f"thresholds of type {op.epilogue.t.dtype}")
    _require(not isinstance(op.epilogue, ops.Divide), "a convolution's epilogue does not divide")
    if isinstance(op.epilogue, ops.FixedPoint | ops.PowerOfTwo | ops.Fixed64):
        _require(integer, "integer requantization needs an integer accumulator")
