"""Plans of segments drawn at random, of a network drawn at random: whatever keeps the rule of SPEC.md section 5 gives
the bytes of nodes that run once. Not the plans that the search would take: any cut into runs, any step, some strips
longer than they need be, calls of fewer rows.

    PYTHONPATH=tests python tests/emit/random_plans.py FIRST COUNT     COUNT networks from seed FIRST on, 20 plans each

On 28 November 2026, seeds 1000 to 1999: 1,000 networks, 19,899 plans, half of them fed by rows, all alike."""

from __future__ import annotations

import sys
from dataclasses import replace
from unittest import mock

import numpy as np

from dqnn import _core
from dqnn.exporter.emit import writer
from dqnn.exporter.emit.memory import MemoryPlan, plan_memory
from dqnn.exporter.emit.strips import Rows, StripPlan, _Candidate, _draft, _Search, check
from dqnn.exporter.emit.walks import rows_of
from dqnn.exporter.ir.graph import Graph

PLANS = 20


def _changed(choice: _Candidate, rng: np.random.Generator) -> _Candidate:
    """Longer strips, calls of fewer rows: slower, but as right."""
    heights = choice.run.rows.heights
    strips = {b: min(heights[b], rows + int(rng.choice([0, 0, 1, 3]))) for b, rows in choice.strips.items()}
    most = {node: max(1, rows - int(rng.choice([0, 0, 1, 2]))) for node, rows in choice.most.items()}
    return replace(choice, strips=strips, most=most)


def drawn(search: _Search, rows: Rows, rng: np.random.Generator) -> StripPlan | None:
    """A plan from any choices that follow each other; None if rows of it would lie where no call can take them."""
    by_start: dict[int, list[object]] = {}
    for choices in search.ending:
        for choice in choices:
            by_start.setdefault(choice.i, []).append(choice)
    at, plan = 0, []
    while at < search.count:
        if at not in by_start:
            return None
        choices = by_start[at]
        choice = choices[int(rng.integers(len(choices)))]
        plan.append(_changed(choice, rng) if isinstance(choice, _Candidate) else choice)
        at = choice.j  # type: ignore[attr-defined]
    return _draft(rows, plan) if any(isinstance(choice, _Candidate) for choice in plan) else None


def outputs(blob: bytes, inputs: bytes) -> list[bytes]:
    it = _core.Interpreter(blob)
    it.set_input(0, inputs)
    it.invoke()
    return [bytes(it.get_output(number)) for number in range(len(it.outputs()))]


def compare(graph: Graph, seed: int, plans: int = PLANS) -> int:
    """How many plans of the network were run; AssertionError for one that gives other bytes, BlobError for one that the
    C verifier refuses."""
    rng = np.random.default_rng(seed)
    program = writer.assemble(graph)
    problem = writer.problem_of(program)
    whole = plan_memory(problem)
    inputs = rng.integers(0, 256, program.tensors[program.inputs[0]].nbytes, dtype=np.uint8).tobytes()
    expected = outputs(writer.write(graph, producer="test").blob, inputs)
    run = 0
    for fed in (None, program.buffer_of[program.inputs[0]]):
        rows = rows_of(program, problem, whole.order, fed)
        search = _Search(rows)
        for _ in range(plans // 2):
            found = drawn(search, rows, rng)
            if found is not None:
                check(rows, found.memory)
                run += 1
                blob = _written(graph, writer._in_order(found, whole))
                assert outputs(blob, inputs) == expected, f"seed {seed}"
    return run


def _written(graph: Graph, memory: MemoryPlan) -> bytes:
    with mock.patch.object(writer, "place", lambda *_: (memory, 0.0)):
        return writer.write(graph, producer="test").blob


def main(first: str, count: str) -> None:
    from emit.test_strips import random_network

    total = 0
    for seed in range(int(first), int(first) + int(count)):
        total += compare(random_network(seed), seed)
        if seed % 25 == 24:
            print(f"seed {seed}: {total} plans, all alike", flush=True)
    print(f"{count} networks, {total} plans, all alike")


if __name__ == "__main__":
    main(*sys.argv[1:])
