"""The kernel table and the plan functions of the C sources, as the compiled extension gives them. Nothing about kernels
is typed twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np

from dqnn.tensors import DTYPES

from ..format import Params
from ..ir.types import S8, TensorType, dtype_name

TensorDef: TypeAlias = tuple[tuple[int, ...], int, float, int]


@dataclass(frozen=True)
class KernelRow:
    """A row of kernels.def: what the kernel is, and the formats of its input, weights and output (none, any). The name
    is for people."""

    id: int
    name: str
    family: str
    input: str
    weights: str
    output: str

    @property
    def convolves(self) -> bool:
        """Convolutions, dense layers among them; not depthwise ones."""
        return self.family in ("conv", "conv_bitsliced", "convz")

    @property
    def depthwise(self) -> bool:
        """Depthwise convolutions."""
        return self.family in ("depthwise", "depthwisez")

    @property
    def zero_points(self) -> bool:
        """The weights have zero points, constant 1."""
        return self.family in ("convz", "depthwisez")

    @property
    def multiplies(self) -> bool:
        """Has weights, whatever the connection."""
        return self.convolves or self.depthwise

    @property
    def integer(self) -> bool:
        """The sums of products are integers."""
        return "f32" not in (self.input, self.weights)


@cache
def rows() -> dict[str, KernelRow]:
    """Kernel name -> row."""
    from dqnn import _core

    return {
        row["name"]: KernelRow(row["id"], row["name"], row["family"], row["input"], row["weights"], row["output"])
        for row in _core.kernels()
    }


@cache
def ids() -> dict[str, int]:
    """Kernel name -> id."""
    return {row.name: row.id for row in rows().values()}


@cache
def _by_id() -> dict[int, KernelRow]:
    return {row.id: row for row in rows().values()}


def row_of(number: int) -> KernelRow:
    """The kernel of an id; one that is not in these sources has a number for a name and no family."""
    return _by_id().get(number) or KernelRow(number, f"kernel {number}", "", "none", "none", "none")


# --- calls ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packed:
    """One kernel call without its tensors."""

    kernel: str
    params: Params | None = None
    constants: tuple[bytes, ...] = ()

    @property
    def params_bytes(self) -> bytes:
        return b"" if self.params is None else self.params.to_bytes()


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


def scratch(packed: Packed, inputs: Sequence[TensorType], output: TensorType) -> dict[str, int]:
    """What the variant of each instruction set needs, also of those that this machine lacks; for calls that plan
    accepts."""
    from dqnn import _core

    definitions = [tensor_def(t) for t in inputs]
    needs: dict[str, int] = _core.scratch(
        ids()[packed.kernel], definitions, tensor_def(output), list(packed.constants), packed.params_bytes
    )
    return needs


def vector_scratch(packed: Packed, inputs: Sequence[TensorType], output: TensorType) -> int:
    """With how many bytes of scratch the vectors of a Cortex-M55 are fastest; 0 where they have no use for more than
    they need."""
    from dqnn import _core

    definitions = [tensor_def(t) for t in inputs]
    call = (ids()[packed.kernel], definitions, tensor_def(output), list(packed.constants), packed.params_bytes)
    return int(_core.vector_scratch(*call))


def winograd_choices(packed: Packed, inputs: Sequence[TensorType], output: TensorType) -> tuple[tuple[int, int], ...]:
    """(bytes of scratch, passes over the input) that the variant `winograd` can make something of, most memory and
    fewest passes first; empty for calls that it does not take."""
    from dqnn import _core

    definitions = [tensor_def(t) for t in inputs]
    call = (ids()[packed.kernel], definitions, tensor_def(output), list(packed.constants), packed.params_bytes)
    return tuple(_core.winograd_choices(*call))
