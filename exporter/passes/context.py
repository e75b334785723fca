"""What passes share: the options of a run, the decisions they report, the error they raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray

from ..ir.graph import Node
from ..options import DEFAULTS, ExportOptions

# What was decided, for programs: the words of a Decision are for people and may change.
Code: TypeAlias = Literal[
    "fused", "stored-as-f32-first", "horizontal-weights", "zero-weights", "elementwise", "binary", "average-pool",
    "computed-in-f32", "grid-in-f32", "rounding-left-out", "ternary-as-signs", "raw-samples", "input-stays-f32",
    "input-retyped", "integer", "dead-channels", "way", "packed-weights",
    # fallbacks
    "weights-as-f32", "sum-too-large", "pad-not-in-format", "padded-as-f32", "joined-as-f32", "grid-as-f32",
    "not-in-fixed-point",
]  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """One line of the report. `fallback`: an intended quantized type could not be kept, `remedy` is the smallest
    change that keeps it."""

    layers: tuple[str, ...]
    value: str
    decision: str
    reason: str
    fallback: bool = False
    remedy: str = ""
    code: Code = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the `count` channels of a value, by their numbers: all that is left of it."""

    value: str
    channels: NDArray[Any]
    count: int


@dataclass
class Context:
    """Handed from pass to pass. `parts`: the values that are a part of one that had more channels."""

    options: ExportOptions = DEFAULTS
    decisions: list[Decision] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)

    def note(self, node: Node, decision: str, reason: str, *, code: Code) -> None:
        """Record why a node became what it is."""
        self.decisions.append(Decision(node.layers, node.output, decision, reason, code=code))

    def fallback(self, node: Node, decision: str, reason: str, remedy: str, *, code: Code) -> None:
        """Record that an intended type was given up."""
        self.decisions.append(Decision(node.layers, node.output, decision, reason, True, remedy, code=code))


class PassError(ValueError):
    """A pass met a graph that it cannot translate; the text names the layers."""


def describe(node: Node) -> str:
    """How errors name a node."""
    layers = ", ".join(node.layers) or "no layer"
    return f"{type(node.op).__name__} '{node.output}' (layer {layers})"
