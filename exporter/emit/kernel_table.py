"""The kernel table and the plan functions of the C sources, as the compiled extension gives them. Nothing about kernels
is typed twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np

from ..ir.types import S8, TensorType, dtype_name
from .packing import Packed

TensorDef: TypeAlias = tuple[tuple[int, ...], int, float, int]
DTYPES = ("s1", "s8", "f32")  # by DType of schema/dqnn.fbs


@dataclass(frozen=True)
class PlanResult:
    """What a kernel asks for: scratch for its fastest variant, how much of input 0 its output may share, and whether
    its inputs may lie where the output holds them, one behind the other."""

    scratch: int
    overlap: int
    parts: bool


class KernelRefusedError(Exception):
    """A plan function refused a call: `check` names what does not hold."""

    def __init__(self, kernel: str, status: str, check: str) -> None:
        super().__init__(f"kernel {kernel} refuses this call: {status}, {check}")
        self.kernel, self.status, self.check = kernel, status, check


@cache
def ids() -> dict[str, int]:
    """Kernel name -> id."""
    from dqnn import _core

    return {str(row["name"]): int(row["id"]) for row in _core.kernels()}


@cache
def names() -> dict[int, str]:
    """Kernel id -> name."""
    return {number: name for name, number in ids().items()}


def tensor_def(tensor: TensorType) -> TensorDef:
    """Shape, dtype number, scale and zero point as the file holds them."""
    fmt = tensor.fmt
    dtype = DTYPES.index(dtype_name(fmt))
    if isinstance(fmt, S8):
        return tensor.shape, dtype, float(np.float32(fmt.scale)), fmt.zero_point
    return tensor.shape, dtype, 1.0, 0


def plan(packed: Packed, inputs: Sequence[TensorType], output: TensorType) -> PlanResult:
    """Asks the C plan function; raises KernelRefusedError."""
    from dqnn import _core

    try:
        scratch, overlap, parts = _core.plan(
            ids()[packed.kernel],
            [tensor_def(t) for t in inputs],
            tensor_def(output),
            list(packed.constants),
            packed.params_bytes,
        )
    except _core.PlanError as error:
        raise KernelRefusedError(packed.kernel, str(error.status), str(error.check)) from error
    return PlanResult(scratch, overlap, parts)
