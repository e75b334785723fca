"""The planner on random graphs (valid, never worse than greedy by size, at or above its bound) and the checker on
broken plans."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passes.graph_builder import SIGN, Builder, binary_weights, chain_graph, rng_of

from dqnn.exporter.emit import memory
from dqnn.exporter.emit.memory import (
    MemoryPlan,
    MemoryPlanError,
    Problem,
    Step,
    align,
    check,
    lower_bound,
    plan_memory,
)
from dqnn.exporter.emit.writer import write
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.options import ExportOptions
from dqnn.exporter.passes import run_pipeline

FULL = 2**32 - 1


def chain(sizes: list[int], overlap: int = 0, scratch: int = 0) -> Problem:
    steps = tuple(Step((i,), i + 1, scratch, overlap) for i in range(len(sizes) - 1))
    return Problem(tuple(sizes), steps, (0,), (len(sizes) - 1,))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """A random graph: each node reads one to three earlier buffers."""
    rng = random.Random(draw(st.integers(0, 10**6)))
    inputs = rng.randint(1, 2)
    nodes = rng.randint(1, 12)
    sizes = [rng.choice((rng.randint(1, 400), 16 * rng.randint(1, 25))) for _ in range(inputs + nodes)]
    steps = []
    for node in range(nodes):
        ready = range(max(0, inputs + node - 4), inputs + node)
        reads = tuple(rng.choice(ready) for _ in range(rng.randint(1, min(3, len(ready)))))
        if rng.random() < 0.3:
            sizes[inputs + node] = sum(sizes[b] for b in reads)
            places = tuple(itertools.accumulate((0, *(sizes[b] for b in reads[:-1]))))
            steps.append(Step(reads, inputs + node, parts=places))
            continue
        steps.append(Step(reads, inputs + node, rng.choice([0, 0, 33, 250]), rng.choice([0, 64, FULL])))
    used = {b for step in steps for b in step.inputs}
    outputs = tuple(b for b in range(inputs, inputs + nodes) if b not in used)
    return Problem(tuple(sizes), tuple(steps), tuple(range(inputs)), outputs)


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_random_graphs(problem: Problem) -> None:
    plan = plan_memory(problem)
    check(problem, plan)
    assert plan.arena <= plan.greedy_by_size
    assert plan.arena >= plan.lower_bound == lower_bound(problem, plan.order)
    assert (plan.arena > plan.lower_bound) == bool(plan.reason)
    assert plan == plan_memory(problem), "the plan is deterministic"


def test_a_chain_reaches_its_bound() -> None:
    plan = plan_memory(chain([3136, 676, 200, 36, 8, 40], scratch=100))
    assert plan.arena == plan.lower_bound == 3136 + align(676) + align(100)


def test_in_place() -> None:
    plan = plan_memory(chain([160, 160, 160, 80], overlap=FULL))
    assert plan.arena == plan.lower_bound == 160
    assert plan.offsets == (0, 0, 0, 0)
    apart = plan_memory(chain([160, 160, 160, 80]))
    assert apart.arena == apart.lower_bound == 320


def test_partial_overlap_must_cover_the_shared_bytes() -> None:
    assert plan_memory(chain([160, 64], overlap=64)).arena == 160
    assert plan_memory(chain([160, 64], overlap=63)).arena == 160 + 64


def test_an_input_that_lives_on_is_not_overlaid() -> None:
    steps = (Step((0,), 1, 0, FULL), Step((1, 0), 2, 0, FULL))
    plan = plan_memory(Problem((32, 32, 32), steps, (0,), (2,)))
    assert plan.arena == 64
    doubled = Problem((32, 32), (Step((0, 0), 1, 0, FULL),), (0,), (1,))
    assert plan_memory(doubled).arena == 64, "x + x reads the overlaid input twice"


def test_order_is_chosen() -> None:
    # Two branches that first grow, then shrink: finishing one before starting the other saves a large buffer.
    steps = (Step((0,), 1), Step((0,), 2), Step((1,), 3), Step((2,), 4), Step((3, 4), 5))
    problem = Problem((16, 1600, 1600, 16, 16, 16), steps, (0,), (5,))
    plan = plan_memory(problem)
    assert plan.arena == 16 + 1600 + 16
    assert plan.greedy_by_size > 3200
    assert plan.arena == min(
        lower_bound(problem, order)
        for order in itertools.permutations(range(5))
        if order.index(0) < order.index(2) < order.index(4) and order.index(1) < order.index(3) < order.index(4)
    )


def test_the_checker_refuses_broken_plans() -> None:
    problem = chain([64, 64, 64], scratch=16)
    plan = plan_memory(problem)
    a, b, c = plan.offsets
    broken = [
        replace(plan, offsets=(a, a, c)),
        replace(plan, offsets=(a, b, plan.arena)),
        replace(plan, offsets=(a, b + 8, c)),
        replace(plan, scratch=(a, plan.scratch[1])),
        replace(plan, scratch=(b, plan.scratch[1])),
        replace(plan, order=(1, 0)),
        replace(plan, order=(0, 0)),
        replace(plan, arena=plan.arena - 16),
    ]
    for wrong in broken:
        with pytest.raises(MemoryPlanError):
            check(problem, wrong)


def test_the_checker_follows_long_lived_buffers() -> None:
    steps = (Step((0,), 1), Step((1,), 2), Step((2, 0), 3))
    problem = Problem((16, 16, 16, 16), steps, (0,), (3,))
    plan = plan_memory(problem)
    with pytest.raises(MemoryPlanError, match="overwritten before node 2"):
        check(problem, replace(plan, offsets=(plan.offsets[0], plan.offsets[1], plan.offsets[0], plan.offsets[3])))


def joined(sizes: tuple[int, ...], parts: tuple[int, ...] | None = None) -> Problem:
    """One input, a branch for each size but the last, a concat of the branches, and one more node."""
    count = len(sizes)
    places = tuple(itertools.accumulate((0, *sizes[:-1]))) if parts is None else parts
    steps = [Step((0,), 1 + i) for i in range(count)]
    steps += [Step(tuple(range(1, count + 1)), count + 1, parts=places), Step((count + 1,), count + 2)]
    return Problem((64, *sizes, sum(sizes), 16), tuple(steps), (0,), (count + 2,))


def test_inputs_of_a_concat_lie_in_its_output() -> None:
    problem = joined((160, 32, 40))
    plan = plan_memory(problem)
    assert plan.arena == plan.lower_bound == 64 + align(160 + 32 + 40)
    assert [plan.offsets[b] - plan.offsets[4] for b in (1, 2, 3)] == [0, 160, 192]
    apart = plan_memory(joined((160, 32, 40), parts=()))
    assert apart.arena == apart.lower_bound == 2 * align(160 + 32 + 40)
    assert plan.greedy_by_size == apart.greedy_by_size


def test_a_part_that_is_not_aligned_is_copied() -> None:
    plan = plan_memory(joined((160, 24, 48)))
    assert [plan.offsets[b] - plan.offsets[4] for b in (1, 2)] == [0, 160]
    assert plan.arena == plan.lower_bound == align(160 + 24 + 48) + 64


def test_a_part_that_is_read_later_or_twice_is_copied() -> None:
    again = (Step((0,), 1), Step((0,), 2), Step((1, 2), 3, parts=(0, 32)), Step((3, 2), 4))
    plan = plan_memory(Problem((16, 32, 48, 80, 16), again, (0,), (4,)))
    assert plan.offsets[1] == plan.offsets[3]
    assert plan.lower_bound == 80 + 48 + 16
    twice = plan_memory(Problem((32, 64), (Step((0, 0), 1, parts=(0, 32)),), (0,), (1,)))
    assert twice.arena == 96
    output = (Step((0,), 1), Step((0,), 2), Step((1, 2), 3, parts=(0, 32)))
    plan = plan_memory(Problem((16, 32, 48, 80), output, (0,), (1, 3)))
    assert plan.arena == 32 + 80, "part 1 is an output of the model, part 2 lies in the concat's"


def test_a_concat_of_concats() -> None:
    steps = (
        Step((0,), 1), Step((0,), 2), Step((1, 2), 3, parts=(0, 32)), Step((0,), 4), Step((4, 3), 5, parts=(0, 16)),
    )  # fmt: skip
    plan = plan_memory(Problem((16, 32, 48, 80, 16, 96), steps, (0,), (5,)))
    assert plan.arena == plan.lower_bound == 96 + 16
    assert [plan.offsets[b] - plan.offsets[5] for b in (4, 3, 1, 2)] == [0, 16, 16, 48]


def test_parts_stay_apart_where_that_is_smaller() -> None:
    # The first part is made long before a large one; meanwhile its whole would be in the way of other things.
    steps = (Step((0,), 1), Step((0,), 2), Step((2,), 3), Step((1, 3), 4, parts=(0, 16)))
    problem = Problem((16, 16, 800, 400, 416), steps, (0,), (4,))
    plan = plan_memory(problem)
    assert plan.arena == plan.lower_bound == 16 + 800 + 400


def test_the_checker_refuses_displaced_parts() -> None:
    problem = joined((160, 32, 48))
    plan = plan_memory(problem)
    places = list(plan.offsets)
    for part, place in ((2, places[1]), (2, places[2] + 16), (1, places[1] + 16)):
        wrong = places.copy()
        wrong[part] = place
        with pytest.raises(MemoryPlanError):
            check(problem, replace(plan, offsets=tuple(wrong)))
    without = replace(problem, steps=tuple(replace(step, parts=()) for step in problem.steps))
    with pytest.raises(MemoryPlanError, match="overlaps its input"):
        check(without, plan)


SEARCHED = [  # problems whose bound no plain priority reaches, and what those reach
    (Problem((80, 48, 48, 32, 32, 96), tuple(
        Step(inputs, 1 + n) for n, inputs in enumerate([(0,), (1,), (2,), (0, 3), (2, 4)])
    ), (0,), (5,)), 192, 208),
    (Problem((16, 48, 80, 80, 48, 96, 96), tuple(
        Step(inputs, 1 + n) for n, inputs in enumerate([(0,), (1,), (1, 2), (1, 3), (3, 4), (5,)])
    ), (0,), (6,)), 224, 240),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "bound", "plain"), SEARCHED, ids=["all priorities", "local search"])
def test_a_bound_that_is_missed_has_a_reason(
    problem: Problem, bound: int, plain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_memory(problem)
    assert (plan.arena, plan.lower_bound, plan.reason) == (bound, bound, "")
    monkeypatch.setattr(memory, "SEARCH_WORK", 0)
    monkeypatch.setattr(memory, "SEARCH_ALL", 0)
    plan = plan_memory(problem)
    assert (plan.arena, plan.lower_bound) == (plain, bound)
    assert re.fullmatch(r"none of \d+ placements in 1 execution order reaches it", plan.reason)


def arena_of(graph: Graph) -> MemoryPlan:
    return write(run_pipeline(graph, ExportOptions(io_dtype="f32")).graph, producer="test").memory


def test_pools_views_and_bits_take_their_inputs_place() -> None:
    size = 8 * 8 * 32 * 4
    assert arena_of(chain_graph((8, 8, 32), ops.MaxPool((2, 2), (2, 2)))).arena == size
    assert arena_of(chain_graph((8, 8, 32), ops.MaxPool((3, 3), (2, 2), ((0, 1), (0, 1))))).arena == size
    assert arena_of(chain_graph((8, 8, 32), ops.MaxPool((3, 3), (1, 1), ((1, 1), (1, 1))))).arena == 2 * size
    assert arena_of(chain_graph((8, 8, 32), ops.AvgPool((2, 2), (2, 2)))).arena == size
    crop = ops.View((6, 7, 32), (0, 1, 2), (1, 1, 0), (1, 1, 1), (1, 1, 1))
    assert arena_of(chain_graph((8, 8, 32), crop)).arena == size
    flat = chain_graph((8, 8, 5), SIGN, ops.Reshape((320,)), ops.Dense(binary_weights(rng_of(1), 4, 320)))
    assert arena_of(flat).arena == 8 * 8 * 5 * 4, "signs and flat signs lie on the floats"


@pytest.mark.parametrize("turned", [False, True], ids=["wide first", "wide second"])
@pytest.mark.parametrize("kind", ["add", "mul"])
def test_either_input_of_a_sum_or_product_gives_its_place(kind: Literal["add", "mul"], turned: bool) -> None:
    builder = Builder((8, 8, 16), (1, 1, 16))
    wide = builder.add(ops.Unary("tanh"), "x0")
    small = builder.add(ops.Unary("tanh"), "x1")
    pair = (small, wide) if turned else (wide, small)
    builder.add(ops.Binary(kind), *pair)
    assert arena_of(builder.graph()).arena == 8 * 8 * 16 * 4 + 16 * 4
