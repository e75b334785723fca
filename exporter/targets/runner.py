"""Something that runs .dqnn files, and what it says about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy.typing as npt

from .boards import TargetError

Array: TypeAlias = npt.NDArray[Any]


class RefusedError(TargetError):
    """The target refused the file: the fields are those of dqnn_status and dqnn_fault, None where nothing applies."""

    def __init__(self, target: str, fields: Mapping[str, str]) -> None:
        self.status, self.code = fields["status"], int(fields["code"])
        self.node, self.tensor = _optional(fields["node"]), _optional(fields["tensor"])
        self.kernel = None if fields["kernel"] == "none" else fields["kernel"]
        self.check = fields["check"]
        super().__init__(f"{target} refused the file: {self._reason(fields)}")

    def _reason(self, fields: Mapping[str, str]) -> str:
        if self.status == "memory":
            return f"it needs {fields['memory']} bytes of RAM, the board has {fields['available']} for it"
        parts = [f"status {self.status}", f"check {self.check}" if self.check != "none" else ""]
        parts += [f"node {self.node}" if self.node is not None else "", f"kernel {self.kernel}" if self.kernel else ""]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class NodeStats:
    """Instructions that one node took, mean over the samples."""

    layer: str
    kernel: str
    isa: str
    instructions: float


@dataclass(frozen=True)
class Stats:
    """What the target says about a run. Bytes; None where it cannot be measured there."""

    samples: int
    arena_bytes: int
    state_bytes: int
    memory_bytes: int
    arena_touched: int | None = None
    stack_init: int | None = None
    stack_invoke: int | None = None
    instructions: float | None = None  # of one invoke, mean over the samples
    nodes: tuple[NodeStats, ...] = ()


@dataclass(frozen=True)
class Result:
    """Stored arrays, one per output, batch first."""

    outputs: list[Array]
    stats: Stats


def _optional(text: str) -> int | None:
    return None if text == "none" else int(text)


class Runner(Protocol):
    """`run` takes and gives stored arrays (see dqnn.tensors), batch first."""

    @property
    def name(self) -> str: ...

    def run(self, blob: bytes, inputs: Sequence[Array]) -> Result: ...
