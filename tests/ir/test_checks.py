"""What the validator refuses, and that it names the stage and the layer; and the printer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.checks import ValidationError, validate
from dqnn.exporter.ir.graph import Graph, Node, Port
from dqnn.exporter.ir.printer import print_graph
from dqnn.exporter.ir.types import F32, S1, S8, TensorType

X = TensorType((4,), F32())


def graph(*nodes: Node, types: dict[str, TensorType] | None = None, outputs: tuple[str, ...] = ("y",)) -> Graph:
    kinds = {"x": X, "y": X, **(types or {})}
    return Graph("g", ("x",), outputs, nodes, kinds, {"x": Port("x"), "y": Port("y")})


def clip(source: str = "x", output: str = "y") -> Node:
    return Node(ops.Clip(0, 1), (source,), output, ("outer/relu",))


def test_a_sound_graph_passes() -> None:
    validate(graph(clip()))


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (graph(clip("z")), "reads 'z' before"),
        (graph(clip(), clip()), "exists already"),
        (graph(clip(), types={"y": TensorType((5,), F32())}), "inference gives"),
        (graph(clip(), types={"y": TensorType((4,), S1())}), "inference gives"),
        (graph(Node(ops.Scale(2), ("x", "x"), "y", ("a",))), "takes one input"),
        (graph(clip(), outputs=("nothing",)), "no type"),
        (graph(outputs=("y",)), "never computed"),
    ],
)
def test_broken_graphs(broken: Graph, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        validate(broken)


def test_a_failure_names_the_stage_and_the_layer() -> None:
    with pytest.raises(ValidationError, match=r"after fuse_conv: Clip 'y' \(layers: outer/relu\)"):
        validate(graph(clip("z")), stage="fuse_conv")


def test_arrays_must_be_finite() -> None:
    norm = ops.BatchNorm(np.full(4, np.nan), np.zeros(4), np.zeros(4), np.ones(4), 1e-3)
    with pytest.raises(ValidationError, match="no float32 number"):
        validate(graph(Node(norm, ("x",), "y", ("bn",))))


def test_weights_must_be_what_their_kind_says() -> None:
    dense = ops.Dense(ops.Weights("s1", np.zeros((4, 4), np.int8)))
    with pytest.raises(ValidationError, match=r"must be \+1 or -1"):
        validate(graph(Node(dense, ("x",), "y", ("dense",))))


@pytest.mark.parametrize(("bits", "codes", "message"), [
    (4, [7, 8], "do not fit 4 bits"), (2, [-3, 1], "do not fit 2 bits"), (3, [0, 1], "no s8 weights of 3 bits"),
])  # fmt: skip
def test_weights_must_fit_their_bits(bits: int, codes: list[int], message: str) -> None:
    dense = ops.Dense(ops.Weights("s8", np.resize(np.array(codes, np.int8), (4, 4)), bits=bits))
    with pytest.raises(ValidationError, match=message):
        validate(graph(Node(dense, ("x",), "y", ("dense",))))


def test_kernel_ready_refuses_real_valued_operators_and_wrong_formats() -> None:
    with pytest.raises(ValidationError, match="is no kernel"):
        validate(graph(clip()), kernel_ready=True)
    s8 = {"x": TensorType((4,), S8(0.5))}
    with pytest.raises(ValidationError, match="reads f32"):
        validate(graph(Node(ops.SoftmaxKernel(), ("x",), "y", ("s",)), types=s8), kernel_ready=True)
    affine = ops.Affine(np.ones(1, np.float32), np.zeros(1, np.float32), -200, 127)
    node = Node(ops.ChannelKernel(affine, S8(0.5)), ("x",), "y", ("q",))
    with pytest.raises(ValidationError, match="whole numbers"):
        validate(replace(graph(node), types={"x": X, "y": TensorType((4,), S8(0.5))}), kernel_ready=True)


def test_the_printer_shows_types_fields_and_layers() -> None:
    text = print_graph(graph(clip()))
    assert "%y: f32[4] = Clip(low=0, high=1) %x  # outer/relu" in text
    assert "input  %x: f32[4]" in text
