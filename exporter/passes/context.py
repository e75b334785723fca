"""What passes share: the options of a run, the decisions they report, the error they raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..ir.graph import Node


@dataclass(frozen=True)
class Options:
    """`io_dtype` auto: inputs that the model quantizes first take that type; f32: inputs stay floats.

    `input_u8`: (scale, offset) of inputs that take raw uint8 samples u for the real scale * u + offset, for all inputs
    or by name.
    `requant` tflite: s8 convolutions requantize in TFLite's fixed point instead of our exact affine.
    `constant_time`: binary convolutions use kernels whose time does not depend on data."""

    io_dtype: Literal["auto", "f32"] = "auto"
    requant: Literal["auto", "tflite"] = "auto"
    constant_time: bool = False
    input_u8: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None


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

    options: Options = field(default_factory=Options)
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
