"""The graph: nodes in execution order, each with one output value, over named values with types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .ops import Op
from .types import TensorType


@dataclass(frozen=True)
class Node:
    """`output` = op(`inputs`). `layers` are the Keras layers this node computes, as the user named them (nested:
    `outer/inner`)."""

    op: Op
    inputs: tuple[str, ...]
    output: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """`inputs` and `outputs` are value names in the model's order; `types` has every value. `port_names` gives the
    names users see. `samples`: inputs of raw uint8 samples u, stored as u - 128, that the model takes for
    scale * u + offset."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    types: Mapping[str, TensorType]
    port_names: Mapping[str, str]
    samples: Mapping[str, tuple[float, float]] = field(default_factory=dict)
