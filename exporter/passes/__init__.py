"""Compiler passes: a graph of real-valued operators becomes a graph of kernel calls.

`PIPELINE` is the whole order. Every pass is a function of a graph and a context in a module of its own, with its
algebra in the docstring; the graph is validated after each, so a fault names the pass that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..ir.checks import validate
from ..ir.graph import Graph
from ..options import DEFAULTS, ExportOptions
from . import (
    absorb_scale,
    canonicalize,
    choose_kernels,
    drop_channels,
    drop_reshapes,
    fold_padding,
    fuse_conv,
    io_types,
    legalize,
    lower_dense,
    lower_elementwise,
    lower_others,
    lower_quantized,
    move_quantizers,
    pack_weights,
    quantized_islands,
    sensor_inputs,
)
from .context import Context, Decision, Part, PassError

Pass: TypeAlias = Callable[[Graph, Context], Graph]

PIPELINE: tuple[tuple[str, Pass], ...] = (
    ("canonicalize", canonicalize.run),
    ("move_quantizers", move_quantizers.run),
    ("absorb_scale", absorb_scale.run),
    ("lower_dense", lower_dense.run),
    ("move_quantizers", move_quantizers.run),  # over the reshapes that lowering a dense layer leaves
    ("canonicalize", canonicalize.run),
    ("fold_padding", fold_padding.run),
    ("sensor_inputs", sensor_inputs.run),
    ("canonicalize", canonicalize.run),
    ("legalize", legalize.run),
    ("io_types", io_types.run),
    ("quantized_islands", quantized_islands.run),
    ("canonicalize", canonicalize.run),  # a quantizer that became two may repeat what its input is
    ("lower_quantized", lower_quantized.run),
    ("fuse_conv", fuse_conv.run),
    ("lower_others", lower_others.run),
    ("lower_elementwise", lower_elementwise.run),
    ("drop_channels", drop_channels.run),
    ("choose_kernels", choose_kernels.run),
    ("pack_weights", pack_weights.run),
    ("drop_reshapes", drop_reshapes.run),
)


@dataclass(frozen=True)
class Compiled:
    """A kernel-ready graph and what was decided on the way; `parts`: values that have fewer channels than the front
    end's."""

    graph: Graph
    decisions: tuple[Decision, ...]
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def fallbacks(self) -> tuple[Decision, ...]:
        """Where an intended quantized type could not be kept."""
        return tuple(decision for decision in self.decisions if decision.fallback)


def run_pipeline(graph: Graph, options: ExportOptions = DEFAULTS) -> Compiled:
    """All passes in order. Raises `PassError` or `ValidationError`, which name the layer, and the pass."""
    context = Context(options)
    validate(graph, stage="the front end")
    for name, function in PIPELINE:
        before, graph = graph, function(graph, context)
        validate(graph, stage=name, since=before)
    validate(graph, kernel_ready=True, stage="the last pass")
    return Compiled(graph, tuple(context.decisions), context.parts)


__all__ = ["PIPELINE", "Compiled", "Context", "Decision", "Part", "PassError", "run_pipeline"]
