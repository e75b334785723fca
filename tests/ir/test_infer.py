"""Types that inference gives, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dqnn.exporter.ir import ops
from dqnn.exporter.ir.infer import InferError, as_map, infer_type, stored_value
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType


def weights(*shape: int) -> ops.Weights:
    return ops.Weights("s1", np.ones(shape, np.int8))


def typed(shape: tuple[int, ...], fmt: Format | None = None) -> TensorType:
    return TensorType(shape, fmt or F32())


@pytest.mark.parametrize(
    ("op", "shape", "expected"),
    [
        (ops.Conv2D(weights(32, 3, 3, 1)), (28, 28, 1), (26, 26, 32)),
        (ops.Conv2D(weights(8, 3, 3, 4), stride=(2, 2), padding=((0, 1), (0, 1))), (8, 8, 4), (4, 4, 8)),
        (ops.Conv2D(weights(8, 3, 3, 4), dilation=(2, 3)), (9, 9, 4), (5, 3, 8)),
        (ops.Conv2D(weights(6, 1, 1, 2), groups=2), (5, 5, 4), (5, 5, 6)),
        (ops.Conv2D(weights(5, 3, 3, 2), padding=((2, 2), (2, 2)), up=(2, 2)), (4, 4, 2), (9, 9, 5)),
        (ops.Conv2D(weights(5, 1, 3, 2)), (7, 2), (5, 5)),
        (ops.DepthwiseConv2D(ops.Weights("s8", np.ones((3, 3, 4, 2), np.int8))), (5, 5, 4), (3, 3, 8)),
        (ops.Dense(weights(7, 4)), (2, 3, 4), (2, 3, 7)),
        (ops.MaxPool((2, 2), (2, 2)), (5, 5, 3), (2, 2, 3)),
        (ops.MaxPool((3, 3), (2, 2), ((0, 1), (0, 1))), (6, 6, 3), (3, 3, 3)),
        (ops.AvgPool((2, 2), (1, 1)), (4, 4, 3), (3, 3, 3)),
        (ops.Pad((1, 0, 0), (1, 2, 0)), (4, 4, 3), (6, 6, 3)),
        (ops.Reshape((48,)), (4, 4, 3), (48,)),
        (ops.View((2, 4, 3), (1, 0, 2), (0, 0, 0), (2, 1, 1), (1, 1, 1)), (4, 4, 3), (2, 4, 3)),
    ],
)
def test_shapes(op: ops.Op, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert infer_type(op, [typed(shape)]).shape == expected


def test_movers_keep_the_format() -> None:
    for op in (ops.MaxPool((2, 2), (2, 2)), ops.Reshape((16,)), ops.Pad((1, 0, 0), (0, 0, 0), -1.0)):
        assert infer_type(op, [typed((2, 2, 4), S1())]).fmt == S1()


def test_padding_with_a_value_the_format_lacks_gives_floats() -> None:
    assert infer_type(ops.Pad((1, 0, 0), (0, 0, 0), 0.0), [typed((2, 2, 4), S1())]).fmt == F32()
    assert infer_type(ops.Pad((1, 0, 0), (0, 0, 0), 0.0), [typed((2, 2, 4), S8(0.5, 3))]).fmt == S8(0.5, 3)


def test_concat_keeps_a_common_format_only() -> None:
    same = [typed((2, 3), S8(0.5)), typed((2, 5), S8(0.5))]
    assert infer_type(ops.Concat(1), same) == typed((2, 8), S8(0.5))
    assert infer_type(ops.Concat(1), [same[0], typed((2, 5), S1())]).fmt == F32()


def conv(*, scale: float = 1.0, bias: Any = None, **others: Any) -> ops.Conv2D:
    codes = np.ones((3, 3, 3, 2), np.int8)
    return ops.Conv2D(ops.Weights("s8", codes, np.array(scale)), bias, **others)


def norm(*, gamma: float = 1.0, variance: float = 1.0) -> ops.BatchNorm:
    return ops.BatchNorm(np.full(4, gamma), np.zeros(4), np.zeros(4), np.full(4, variance), 1e-3)


@pytest.mark.parametrize(
    ("op", "shapes", "text"),
    [
        (ops.Conv2D(weights(8, 3, 3, 5)), [(9, 9, 4)], "weights take 5 channels, the input has 4"),
        (ops.Conv2D(weights(8, 3, 3, 4)), [(2, 9, 4)], "does not fit into 2 cells"),
        (ops.Conv2D(weights(7, 3, 3, 2), groups=2), [(9, 9, 4)], "do not divide into 2 groups"),
        (ops.Dense(weights(8, 3)), [(4,)], "weights take 3 features"),
        (ops.Dense(weights(8, 4), np.zeros(3)), [(4,)], "bias must have shape"),
        (ops.PRelu(np.zeros(3, np.float32)), [(2, 4)], "alpha has shape"),
        (ops.Binary("add"), [(2, 4), (3, 4)], "do not broadcast"),
        (ops.Reshape((5,)), [(2, 3)], "has 6 elements"),
        (ops.View((4,), (0,), (2,), (1,), (1,)), [(4,)], "reads element 5"),
        (ops.MaxPool((2, 2), (2, 2), ((2, 0), (0, 0))), [(4, 4, 1)], "must be smaller than the window"),
        (ops.Quantize(S8(-1.0)), [(4,)], "accepted: 8.67e-19 to"),
        (ops.Quantize(S8(2.0**193)), [(4,)], "accepted: 8.67e-19 to"),
        (ops.Quantize(S8(1e-39)), [(4,)], "accepted: 8.67e-19 to"),
        (ops.Quantize(S8(float("nan"))), [(4,)], "accepted: 8.67e-19 to"),
        (ops.Clip(0.0, float("nan")), [(4,)], "nothing lies"),
        (ops.Clip(1.0, 0.0), [(4,)], "nothing lies"),
        (ops.Scale(1e39), [(4,)], "no float32 number"),
        (ops.Unary("elu", float("inf")), [(4,)], "no float32 number"),
        (ops.Ternary(float("nan")), [(4,)], "positive threshold"),
        (ops.Pad((1,), (0,), float("nan")), [(4,)], "not a number"),
        (norm(variance=-0.5), [(4,)], "variance \\+ epsilon is -0.499.* in channel 0; accepted: more"),
        (norm(variance=float("nan")), [(4,)], "accepted: more than 0"),
        (norm(gamma=1e38, variance=-0.0009999), [(4,)], "no float32 number"),
        (ops.MaxPool((70000, 1), (1, 1)), [(1, 1, 1)], "size 70000, accepted: 1 to 65535"),
        (ops.AvgPool((1, 1), (70000, 1)), [(1, 1, 1)], "stride 70000"),
        (conv(stride=(1, 70000)), [(4, 4, 2)], "stride 70000"),
        (conv(dilation=(0, 1)), [(4, 4, 2)], "dilation 0"),
        (conv(padding=((70000, 0), (0, 0))), [(4, 4, 2)], "padding \\(70000, 0\\)"),
        (conv(pad_value=float("nan")), [(4, 4, 2)], "pad value is not a number"),
        (conv(scale=1e39), [(4, 4, 2)], "with a scale of 1e\\+39"),
        (conv(bias=np.full(3, np.inf)), [(4, 4, 2)], "no float32 number"),
        (ops.Quantize(F32()), [(4,)], "gives s1 or s8"),
        (ops.Reshape((1, 1, 1, 1, 4)), [(4,)], "rank 5"),
        (ops.Clip(0, 1), [(4,), (4,)], "takes one input"),
    ],
)
def test_refusals_say_what_was_found(op: ops.Op, shapes: list[tuple[int, ...]], text: str) -> None:
    with pytest.raises(InferError, match=text):
        infer_type(op, [typed(shape) for shape in shapes])


def test_maps_of_any_rank() -> None:
    assert as_map((7,)) == (1, 1, 7)
    assert as_map((5, 7)) == (1, 5, 7)
    assert as_map((2, 3, 5, 7)) == (6, 5, 7)


def test_stored_values() -> None:
    assert stored_value(-1.0, S1()) == -1
    assert stored_value(0.0, S1()) is None
    assert stored_value(0.0, S8(1 / 255, -128)) == -128
    assert stored_value(1.0, S8(1 / 255, -128)) == 127
    assert stored_value(-1.0, S8(1 / 255, -128)) is None
    assert stored_value(0.3, S8(0.25)) is None
