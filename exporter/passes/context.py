"""What passes share: the options of a run, the decisions they report, the error they raise."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ir.graph import Node
from ..options import DEFAULTS, ExportOptions


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


@dataclass
class Context:
    """Handed from pass to pass."""

    options: ExportOptions = DEFAULTS
    decisions: list[Decision] = field(default_factory=list)

    def note(self, node: Node, decision: str, reason: str) -> None:
        """Record why a node became what it is."""
        self.decisions.append(Decision(node.layers, node.output, decision, reason))

    def fallback(self, node: Node, decision: str, reason: str, remedy: str) -> None:
        """Record that an intended type was given up."""
        self.decisions.append(Decision(node.layers, node.output, decision, reason, True, remedy))


class PassError(ValueError):
    """A pass met a graph that it cannot translate; the text names the layers."""


def describe(node: Node) -> str:
    """How errors name a node."""
    layers = ", ".join(node.layers) or "no layer"
    return f"{type(node.op).__name__} '{node.output}' (layer {layers})"
