"""The graph: nodes in execution order, each with one output value, over named values with types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dqnn.tensors import Rounding

from .ops import Op
from .types import TensorType


@dataclass(frozen=True)
class Node:
    """`output` = op(`inputs`). `layers` are the user's layers or operators that this node computes, by the names they
    have in the model's file (nested: `outer/inner`)."""

    op: Op
    inputs: tuple[str, ...]
    output: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Port:
    """How users see an input or output; the value's type says how it is stored.

    `rounding`: of an s8 input, how real values become codes.
    `samples`: an s8 input of raw uint8 samples u, stored as u - 128, that the model takes for samples[0] * u +
    samples[1].
    `unsigned`: an s8 value whose codes the model's file has as uint8, 128 more than those of the value's type; users
    hand over and get the file's.
    `free`: passes may choose another type or form for the port; one that is not free stays as the file has it."""

    name: str
    rounding: Rounding = Rounding.KERAS
    samples: tuple[float, float] | None = None
    unsigned: bool = False
    free: bool = True


@dataclass(frozen=True)
class Graph:
    """`inputs` and `outputs` are value names in the model's order; `types` has every value, `ports` every input and
    output."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    types: Mapping[str, TensorType]
    ports: Mapping[str, Port]
