"""Which way each convolution goes where memory buys time: 8-bit 3x3 convolutions with stride 1 by direct sums, or by
Winograd's F(4x4, 3x3) with more scratch (interpreter_c/kernels/opt/conv_winograd.c), the more the faster.

Besides, the vectors of a Cortex-M55 sum up all outputs of an 8-bit convolution together where the scratch has room for
them, and some of them at a time where it has not (interpreter_c/kernels/mve/conv_bytes_mve.c).

A node's scratch lives while the node runs, so the arena's peak elsewhere leaves room that costs nothing: `balanced`
takes it and no more, `speed` takes what the budget has, `size` leaves it. What a way costs is estimated from
costs.json, which `dqnn bench --costs` measures; the results are the same bytes whatever is chosen, and whatever a core
has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..format import ConvParams
from ..ir.types import TensorType
from ..options import Optimize
from .kernel_table import Packed, ids, row_of, scratch, vector_scratch, winograd_choices
from .memory import MemoryPlan, Problem, align, largest_gap, live_bytes, plan_memory, with_scratch

TABLE = Path(__file__).with_name("costs.json")


@dataclass(frozen=True)
class Way:
    """`passes`: how often the input is transformed; 0: direct sums. `cycles` are estimated, for a Cortex-M4."""

    scratch: int
    passes: int
    cycles: int

    def __str__(self) -> str:
        if self.passes == 0:
            return "direct sums"
        times = {1: "once", 2: "twice"}.get(self.passes, f"{self.passes} times")
        return f"Winograd F(4x4), input transformed {times}"


@dataclass(frozen=True)
class Choice:
    """A node that had one. `growth`: bytes that the arena would need more for `better`, the next faster way."""

    node: int
    taken: Way
    direct: Way
    better: Way | None
    growth: int


# --- what a way costs -------------------------------------------------------------------------------------------------


def kind_of(output: TensorType, params: ConvParams) -> str:
    """What decides how sums become outputs."""
    pooled = "" if (params.pool_h, params.pool_w) == (1, 1) else " pooled"
    return f"{type(output.fmt).__name__.lower()}{pooled}"


def counts(source: TensorType, output: TensorType, params: ConvParams, passes: int) -> list[float]:
    """How often a way does what it consists of. Direct sums: products, cells of windows gathered, outputs, pixels.
    Winograd: quads of channels of tiles transformed, tiles, products of tiles, outputs of tiles, weights transformed;
    tiles and outputs go in twos and fours."""
    height, width, outputs = output.shape
    height, width, channels = height * params.pool_h, width * params.pool_w, source.shape[-1]
    if passes == 0:
        pixels = height * width
        return [9 * pixels * channels * outputs, 9 * pixels * channels, pixels * outputs, pixels]
    tiles, quads = -(-height // 4) * -(-width // 8), channels // 4
    fours = tiles * -(-outputs // 4)
    return [tiles * passes * quads, tiles * passes, fours * quads, fours, quads * outputs]


@cache
def table() -> dict[str, Any]:
    """Cycles for each of `counts` by kind, as `dqnn bench --costs` wrote them."""
    found: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def estimate(source: TensorType, output: TensorType, params: ConvParams, passes: int) -> int:
    """Cycles on a Cortex-M4."""
    weights: list[float] = table()["kinds"][kind_of(output, params)]["winograd" if passes else "direct"]
    return round(sum(w * n for w, n in zip(weights, counts(source, output, params, passes), strict=True)))


def ways(packed: Packed, inputs: Sequence[TensorType], output: TensorType, scratch: int) -> tuple[Way, ...]:
    """Direct sums with the `scratch` that every variant is content with, then what is faster, each with more scratch
    than the one before it; empty for calls that can go one way only."""
    row, params = row_of(ids()[packed.kernel]), packed.params
    if (row.family, row.input, row.weights) != ("conv", "s8", "s8") or not isinstance(params, ConvParams):
        return ()
    source = inputs[0]
    if (params.kernel_h, params.kernel_w) != (3, 3) or len(source.shape) != 3 or len(output.shape) != 3:
        return ()
    found = [Way(scratch, 0, estimate(source, output, params, 0))]
    for size, passes in reversed(winograd_choices(packed, inputs, output)):
        way = Way(max(size, scratch), passes, estimate(source, output, params, passes))
        if way.cycles < found[-1].cycles:
            found.append(way)
    return tuple(found) if len(found) > 1 else ()


# --- choosing ---------------------------------------------------------------------------------------------------------


def choose(
    problem: Problem, plan: MemoryPlan, options: dict[int, tuple[Way, ...]], optimize: Optimize, arena: int | None
) -> tuple[Problem, MemoryPlan, tuple[Choice, ...]]:
    """`options`: the ways of each node that has several. `arena`: most bytes for `speed`, None: any. The plan for what
    was chosen is never larger than the given one or the budget, whichever is more.

    A node's scratch is in nobody's way but its own tensors', so each takes the fastest way that finds room. If some do
    not, though there are enough bytes, everything is placed anew, the wanted scratch with it."""
    limit = {"size": 0, "balanced": plan.arena}.get(optimize, max(plan.arena, 2**31 if arena is None else arena))
    wanted = {n: _fastest(ways, limit - live_bytes(problem, plan, n)) for n, ways in options.items()}
    found = {n: _fastest(ways, largest_gap(problem, plan, n, limit)[1]) for n, ways in options.items()}
    chosen = with_scratch(problem, plan, {n: way.scratch for n, way in found.items() if way.passes}, limit)
    if optimize == "speed" or found != wanted:
        again = _with(problem, wanted)
        anew = plan_memory(again)
        if anew.arena <= limit and (found != wanted or anew.arena < chosen[1].arena):
            found, chosen = wanted, (again, anew)
    return (*chosen, tuple(_choice(*chosen, n, ways, found[n]) for n, ways in options.items()))


def vectors(packed: Packed, inputs: Sequence[TensorType], output: TensorType) -> int:
    """Bytes of scratch of which the call can make something on a Cortex-M55; 0 where more than it needs is of no use,
    or would send it another way."""
    row = row_of(ids()[packed.kernel])
    if row.family not in ("conv", "convz") or row.weights != "s8" or "winograd" in scratch(packed, inputs, output):
        return 0
    return vector_scratch(packed, inputs, output)


def fill(problem: Problem, plan: MemoryPlan, wanted: Mapping[int, int]) -> tuple[Problem, MemoryPlan]:
    """Scratch of nodes grows up to what is `wanted`, as far as nothing else lies there; the arena stays."""
    rooms = {n: min(size, largest_gap(problem, plan, n, plan.arena)[1]) for n, size in wanted.items()}
    grown = {n: room for n, room in rooms.items() if room > problem.steps[n].scratch}
    return with_scratch(problem, plan, grown, plan.arena)


def _fastest(ways: Sequence[Way], room: int) -> Way:
    """The last of those that fit; the first fits always."""
    return [way for way in ways if way.passes == 0 or align(way.scratch) <= room][-1]


def _with(problem: Problem, found: dict[int, Way]) -> Problem:
    steps = tuple(
        replace(step, scratch=found[n].scratch) if n in found and found[n].passes else step
        for n, step in enumerate(problem.steps)
    )
    return replace(problem, steps=steps)


def _choice(problem: Problem, plan: MemoryPlan, node: int, ways: Sequence[Way], taken: Way) -> Choice:
    better = next((way for way in ways if way.cycles < taken.cycles), None)
    needed = 0 if better is None else live_bytes(problem, plan, node) + align(better.scratch)
    return Choice(node, taken, ways[0], better, max(0, needed - plan.arena))
