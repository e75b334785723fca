"""Fills exporter/emit/costs.json, from which the exporter estimates what a way costs, and what rows at a time: runs
3x3 convolutions on the emulated Cortex-M4 by direct sums and by Winograd, and fits the cycles of each of
emit.ways.counts to them; runs convolutions of every kind for 1 and for 4 rows, and fits those of emit.walks.counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emit import walks, ways
from ..emit.kernel_table import winograd_choices
from ..format import ConvParams
from .build import TARGETS
from .call import Call, run_on_machine
from .cases import Kind, Layer, make_layer_call
from .kernel import function_of, machine_of, planned
from .machine import Machine

CORE, OPTIMIZE = "cortex-m4", "-O2"
KINDS: dict[str, dict[str, Any]] = {
    "s8": {"output": "s8"},
    "s8 pooled": {"output": "s8", "pool": (2, 2)},
    "s1": {"output": "s1"},
    "s1 pooled": {"output": "s1", "pool": (2, 2)},
    "f32": {"output": "f32"},
    "f32 pooled": {"output": "f32", "pool": (2, 2)},
}
# Height, width, channels, outputs.
SHAPES = (
    (8, 8, 16, 16), (16, 16, 4, 8), (12, 12, 8, 24), (8, 8, 32, 32), (6, 10, 48, 20), (4, 4, 64, 48), (8, 12, 64, 12),
    (2, 4, 112, 16), (10, 6, 24, 40), (16, 8, 16, 8),
)  # fmt: skip
MOST_PASSES = 4
# Width (whole quads of pixels), channels, outputs, kernel of strips.
STRIPS = ((16, 16, 24, 3), (8, 32, 32, 3), (24, 8, 16, 1), (12, 64, 48, 1), (12, 64, 32, 3), (32, 24, 8, 3))
STRIP_ROWS = (1, 4)
TYPES: tuple[Kind, ...] = ("s1", "s8", "f32")


def measured(machine: Machine, kind: str) -> Iterator[tuple[Call, int, int]]:
    """(call, passes, cycles) of every shape and way."""
    for height, width, channels, outputs in SHAPES:
        layer = Layer(
            "s8", "s8", "s8", height, width, channels, outputs, kernel=(3, 3), padding=((1, 1), (1, 1)),
            pad_value=-128.0, zero_point=-128,
        )  # fmt: skip
        call = planned(make_layer_call(replace(layer, **KINDS[kind])))
        sizes = [(call.scratch_bytes, 0), *winograd_choices(call.packed, [call.input], call.output)]
        for scratch, passes in sizes:
            if passes <= MOST_PASSES:
                isa = "winograd" if passes else "portable"
                machine.release()
                given = replace(call, scratch_bytes=scratch)
                _, cost = run_on_machine(machine, f"dqnn_run_{call.packed.kernel}_{isa}", given)
                assert cost.cycles is not None
                yield call, passes, cost.cycles


def measured_strips(
    machine: Machine, source: Kind, weights: Kind, depthwise: bool
) -> Iterator[tuple[list[float], list[float]]]:
    """(walks.counts of a row, cycles of STRIP_ROWS) in the middle of a map, with outputs of bits and others; depthwise
    ones 3x3 alone, which are those that set up channels."""
    for number, (width, channels, outputs, kernel) in enumerate(STRIPS):
        cycles, row = [], list[float]()
        for rows in STRIP_ROWS if kernel > 1 or not depthwise else ():
            layer = Layer(
                source, weights, ("s1", source if source != "s1" else "f32")[number % 2], rows - 1 + kernel, width,
                channels, channels if depthwise else outputs, kernel=(kernel, kernel), depthwise=depthwise,
                padding=((0, 0), (kernel // 2, kernel // 2)), pad_value=1.0,
            )  # fmt: skip
            call = planned(make_layer_call(layer))
            machine.release()
            _, cost = run_on_machine(machine, function_of(call), call)
            assert cost.cycles is not None and isinstance(call.packed.params, ConvParams)
            cycles.append(float(cost.cycles))
            row = row or walks.counts(call.input, call.output, call.packed.params, depthwise)
        if cycles:
            yield row, cycles


def strip_costs(machine: Machine) -> dict[str, list[float]]:
    """Cycles of each of walks.counts, by kind: the first three from what a row takes, the others from what a call takes
    besides."""
    kinds: dict[str, list[float]] = {}
    one, many = STRIP_ROWS
    for depthwise, source, weights in product((False, True), TYPES, TYPES):
        found: NDArray[Any] = np.array(
            [(*row, *cycles) for row, cycles in measured_strips(machine, source, weights, depthwise)]
        )
        counts, few, more = found[:, :-2], found[:, -2], found[:, -1]
        each = (more - few) / (many - one)
        rate = _positive(counts[:, :3] / each[:, None], np.ones(len(each)))
        start = _positive(counts[:, 3:], few - one * each)
        kinds[walks.kind_of(source, weights, depthwise)] = [round(float(x), 3) for x in (*rate, *start)]
    return kinds


def _positive(counts: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Least squares without negative costs: what would have one has none."""
    used = np.ones(counts.shape[1], bool)
    while True:
        found = np.zeros(counts.shape[1])
        found[used], *_ = np.linalg.lstsq(counts[:, used], values, rcond=None)
        if (found >= 0).all():
            return found
        used &= found >= 0


def fitted(rows: list[tuple[list[float], int]]) -> tuple[list[float], float]:
    """Cycles of each count by least squares of the relative errors, and the largest of those."""
    counts: NDArray[Any] = np.array([row for row, _ in rows], float)
    cycles: NDArray[Any] = np.array([c for _, c in rows], float)
    found, *_ = np.linalg.lstsq(counts / cycles[:, None], np.ones(len(rows)), rcond=None)
    return [round(float(x), 3) for x in found], float(np.abs(counts @ found / cycles - 1).max())


def measure_costs() -> dict[str, Any]:
    """What costs.json holds."""
    machine = machine_of(TARGETS[CORE], OPTIMIZE)
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        rows: dict[bool, list[tuple[list[float], int]]] = {False: [], True: []}
        for call, passes, cycles in measured(machine, kind):
            params = call.packed.params
            assert isinstance(params, ConvParams)
            rows[passes > 0].append((ways.counts(call.input, call.output, params, passes), cycles))
        (direct, direct_error), (winograd, winograd_error) = fitted(rows[False]), fitted(rows[True])
        kinds[kind] = {
            "direct": direct, "winograd": winograd, "largest_error": round(max(direct_error, winograd_error), 3),
        }  # fmt: skip
    return {"core": CORE, "optimize": OPTIMIZE, "kinds": kinds, "rows": strip_costs(machine)}
