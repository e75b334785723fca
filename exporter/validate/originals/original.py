"""What runs the model that was exported, to compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from numpy.typing import NDArray

from ...errors import DqnnError

Array: TypeAlias = NDArray[Any]
Tick: TypeAlias = Callable[[int], None]  # is told how many samples are done
Kind: TypeAlias = Literal["auto", "keras", "tflite", "onnx", "evaluator"]

BATCH = 32


class OriginalError(DqnnError):
    """The original model cannot be run the way that was asked for."""


@dataclass(frozen=True)
class Ran:
    """Outputs in the model's order, and what computed them."""

    outputs: list[Array]
    by: str


class Original(Protocol):
    """Runs real-valued inputs, in the model's order, batch first."""

    def run(self, inputs: list[Array], tick: Tick) -> Ran: ...
