"""The bounds that passes keep are those of the plan functions: at each, the kernel is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqnn.exporter import limits
from dqnn.exporter.emit.kernel_table import KernelRefusedError, plan
from dqnn.exporter.emit.packing import pack
from dqnn.exporter.format import ConvParams
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType
from dqnn.exporter.passes.legalize import largest_sum


def accepted(op: ops.Op, inputs: list[TensorType], output: TensorType) -> bool:
    try:
        plan(pack(op, inputs, output), inputs, output)
    except KernelRefusedError:
        return False
    return True


def dense(weights: ops.Weights, source: Format, epilogue: ops.Epilogue, out: Format) -> bool:
    """Whether the kernel takes a convolution over all channels of one cell."""
    outputs, _, _, channels = weights.codes.shape
    op = ops.ConvKernel(weights, epilogue, out)
    return accepted(op, [TensorType((1, 1, channels), source)], TensorType((1, 1, outputs), out))


def affine(outputs: int) -> ops.Affine:
    return ops.Affine(np.ones(outputs, np.float32), np.zeros(outputs, np.float32), -np.inf, np.inf)


def test_inputs() -> None:
    for count, fine in ((limits.MOST_INPUTS, True), (limits.MOST_INPUTS + 1, False)):
        parts, whole = [TensorType((2,), F32())] * count, TensorType((2 * count,), F32())
        if fine:
            assert accepted(ops.Concat(0), parts, whole)
        else:
            with pytest.raises(ValueError, match="at most 16 inputs"):
                accepted(ops.Concat(0), parts, whole)


def test_bitsliced_taps() -> None:
    for taps, fine in ((limits.MOST_BITSLICED_TAPS, True), (limits.MOST_BITSLICED_TAPS + 1, False)):
        weights = ops.Weights("s1", np.ones((32, 1, 1, taps), np.int8))
        assert dense(weights, S1(), affine(32), F32()) == fine


def test_shift() -> None:
    weights = ops.Weights("s8", np.ones((2, 1, 1, 4), np.int8))
    for shift, fine in ((limits.MOST_SHIFT, True), (limits.MOST_SHIFT + 1, False)):
        one = np.ones(2, np.int32)
        assert dense(weights, S8(1.0), ops.FixedPoint(0 * one, one << 30, shift * one, -128, 127), S8(1.0)) == fine


def test_kernel_size_is_what_the_struct_holds() -> None:
    ConvParams(limits.MOST_KERNEL_SIZE, 1).to_bytes()
    with pytest.raises(TypeError, match="uint16"):
        ConvParams(limits.MOST_KERNEL_SIZE + 1, 1).to_bytes()


SUMS: list[tuple[Format, Any, bool]] = [(S1(), "s8", False), (S8(1.0, 100), "s8", False), (S8(1.0, -128), "s8", True)]


@pytest.mark.parametrize(("fmt", "kind", "half"), SUMS, ids=str)
def test_the_largest_sum_is_the_planners(fmt: Format, kind: Any, half: bool) -> None:
    """Windows of one channel more than 32 bits hold are refused by both, the largest that they hold by neither."""

    def weights(channels: int) -> ops.Weights:
        return ops.Weights(kind, np.ones((1, 1, 1, channels), np.int8), half=half)

    def bound(channels: int) -> int:
        return largest_sum(ops.Conv2D(weights(channels)), fmt)

    most = (2**31 - 2) // bound(1)
    assert dense(weights(most), fmt, affine(1), F32()) and bound(most) < 2**31 - 1
    assert not dense(weights(most + 1), fmt, affine(1), F32()) and bound(most + 1) >= 2**31 - 1


def test_the_numbers_are_the_headers(repo: Path) -> None:
    text = (repo / "interpreter_c" / "kernels" / "limits.h").read_text()
    assert f"DQNN_MOST_TAPS = {limits.MOST_BITSLICED_TAPS}," in text
    assert f"DQNN_MOST_SHIFT = {limits.MOST_SHIFT}," in text
