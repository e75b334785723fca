"""Files whose nodes run for some rows at a time: on random networks every plan gives the bytes of nodes that run once,
and takes no more memory; the planner on networks of known arenas; its checker on broken plans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from passes.graph_builder import BYTE, SIGN, Builder, binary_weights, byte_weights, rng_of

from dqnn import _core
from dqnn.exporter.blob import parse
from dqnn.exporter.emit import strips
from dqnn.exporter.emit.memory import MemoryPlan, MemoryPlanError, plan_memory
from dqnn.exporter.emit.strips import Rows, check, plan_strips
from dqnn.exporter.emit.walks import rows_of
from dqnn.exporter.emit.writer import Written, assemble, problem_of, write
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import S8, TensorType
from dqnn.exporter.options import DEFAULTS
from dqnn.exporter.passes import run_pipeline

SAME = ((1, 1), (1, 1))


def byte_conv(rng: np.random.Generator, co: int, ci: int, size: int = 3, stride: int = 1) -> ops.Conv2D:
    padding = ((size // 2, size // 2),) * 2
    weights = byte_weights(rng, co, size, size, ci, scale=2.0**-7)
    return ops.Conv2D(weights, stride=(stride, stride), padding=padding)


def bit_conv(rng: np.random.Generator, co: int, ci: int, stride: int = 1) -> ops.Conv2D:
    return ops.Conv2D(binary_weights(rng, co, 3, 3, ci), stride=(stride, stride), padding=SAME, pad_value=1.0)


def random_network(seed: int) -> Graph:
    """A chain of convolutions, depthwise ones and pools of 8 bits, 1 bit and floats, with sums over some of them."""
    rng = rng_of(seed)
    height, channels = int(rng.choice([12, 17, 24, 32])), 16
    builder = Builder((height, int(rng.choice([4, 8])), channels))
    value = builder.add(BYTE)
    for _ in range(int(rng.integers(2, 8))):
        kind = rng.choice(["conv", "point", "strided", "depthwise", "pool", "sum", "bits", "relu"])
        shape = builder.types[value].shape
        if kind in ("strided", "pool") and min(shape[:2]) < 6:
            kind = "conv"
        if kind in ("conv", "point", "strided"):
            size = 1 if kind == "point" else int(rng.choice([3, 5]))
            out = int(rng.choice([16, 32]))
            value = builder.add(byte_conv(rng, out, shape[-1], size, 2 if kind == "strided" else 1), value)
            value = builder.add(BYTE, value)
        elif kind == "depthwise":
            weights = byte_weights(rng, 3, 3, shape[-1], 1, scale=2.0**-6)
            value = builder.add(ops.DepthwiseConv2D(weights, padding=SAME), value)
            value = builder.add(BYTE, value)
        elif kind == "pool":
            value = builder.add(ops.MaxPool((2, 2), (2, 2)), value)
        elif kind == "relu":
            value = builder.add(ops.Clip(0.0, 6.0), value)
            value = builder.add(BYTE, value)
        elif kind == "bits":
            bits = builder.add(SIGN, value)
            value = builder.add(bit_conv(rng, 32, shape[-1]), bits)
            value = builder.add(ops.Scale(1 / 64), value)
            value = builder.add(BYTE, value)
        else:
            branch = builder.add(byte_conv(rng, shape[-1], shape[-1]), value)
            branch = builder.add(BYTE, branch)
            value = builder.add(ops.Binary("add"), value, branch)
            value = builder.add(BYTE, value)
    return run_pipeline(builder.graph(), DEFAULTS).graph


def outputs_of(written: Written, seed: int) -> list[bytes]:
    model = parse(written.blob)
    it = _core.Interpreter(written.blob)
    rng = rng_of(seed)
    for number, port in enumerate(model.inputs):
        it.set_input(number, rng.integers(-128, 128, model.tensors[port.tensor].type.nbytes).astype(np.int8).tobytes())
    it.invoke()
    return [bytes(it.get_output(number)) for number in range(len(model.outputs))]


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_give_the_same_bytes(seed: int) -> None:
    """The C verifier takes every plan, and what runs by rows is what runs once."""
    graph = random_network(seed)
    whole = write(graph, producer="test")
    expected = outputs_of(whole, seed)
    for mode in ("auto", "least"):
        written = write(graph, producer="test", rows=mode)
        _core.verify(written.blob)
        assert outputs_of(written, seed) == expected
        assert written.memory.arena <= whole.memory.arena
        segments = bool(written.memory.segments)
        assert segments == (written.memory.arena < whole.memory.arena)
        assert parse(written.blob).prefix.runtime_version == 1 + segments
        assert written.extra <= 0.03 or mode == "least"


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_fed_by_rows_give_the_same_bytes(seed: int) -> None:
    graph = random_network(seed)
    expected = outputs_of(write(graph, producer="test"), seed)
    for mode in ("auto", "least"):
        written = write(graph, producer="test", rows=mode, feed_rows=True)
        model = parse(written.blob)
        assert model.tensors[model.inputs[0].tensor].rows
        assert outputs_of(written, seed) == expected


def test_most_random_networks_become_smaller() -> None:
    """Or the test above would not say much."""
    smaller = [bool(write(random_network(seed), producer="test", rows="least").memory.segments) for seed in range(20)]
    assert sum(smaller) >= 12


# --- networks of known arenas -----------------------------------------------------------------------------------------


def chain(*operators: ops.Op, shape: tuple[int, int, int] = (32, 8, 16)) -> Graph:
    builder = Builder(shape)
    builder.add(BYTE)
    for op in operators:
        builder.add(op)
    return run_pipeline(builder.graph(), DEFAULTS).graph


def problem(graph: Graph) -> tuple[Rows, MemoryPlan]:
    program = assemble(graph)
    memory = problem_of(program)
    whole = plan_memory(memory)
    return rows_of(program, memory, whole.order), whole


def three() -> Graph:
    rng = rng_of(1)
    convs = [op for _ in range(3) for op in (byte_conv(rng, 16, 16), BYTE)]
    return chain(*convs, ops.MaxPool((2, 2), (2, 2)))


def test_an_output_grows_into_rows_that_are_read() -> None:
    """Two maps of 4,096 B and the strips between them in little more than one map."""
    rows, whole = problem(three())
    found = plan_strips(rows, whole, slack=float("inf"))
    assert found is not None
    scratch = max(step.scratch for step in rows.problem.steps)
    assert found.memory.arena < 4096 + 16 * 128 + scratch + 16 < whole.arena
    assert found.memory.segments[0].pairs


def test_fewest_cycles_that_reach_an_arena() -> None:
    rows, whole = problem(three())
    least = plan_strips(rows, whole, slack=float("inf"))
    assert least is not None
    middle = (least.memory.arena + whole.arena) // 2
    found = plan_strips(rows, whole, slack=float("inf"), arena=middle)
    assert found is not None
    assert found.memory.arena <= middle
    assert found.extra <= least.extra
    missed = plan_strips(rows, whole, slack=float("inf"), arena=16)
    assert missed is not None
    assert missed.memory.arena == least.memory.arena


@pytest.mark.parametrize("seed", range(8))
def test_work_at_a_plan_never_makes_it_worse(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within its bounds: for three per cent of cycles, for any, and for an arena."""
    rows, whole = problem(random_network(seed))
    asked = [{"slack": 0.03}, {"slack": float("inf")}, {"slack": float("inf"), "arena": whole.arena * 3 // 4}]
    worked = [plan_strips(rows, whole, **bounds) for bounds in asked]  # type: ignore[arg-type]
    monkeypatch.setattr(strips, "TRIES", 0)
    for bounds, found in zip(asked, worked, strict=True):
        before = plan_strips(rows, whole, **bounds)  # type: ignore[arg-type]
        if before is None:
            continue
        assert found is not None and found.extra <= max(bounds["slack"], before.extra)
        if bounds.get("arena", 0) >= before.memory.arena:
            assert found.memory.arena <= bounds["arena"] and found.extra <= before.extra
        else:
            assert found.memory.arena <= before.memory.arena


def test_work_at_a_plan_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """On some network at least."""

    def arenas() -> list[int]:
        found = [plan_strips(*problem(random_network(seed)), slack=0.03) for seed in range(8)]
        return [0 if plan is None else plan.memory.arena for plan in found]

    worked = arenas()
    monkeypatch.setattr(strips, "TRIES", 0)
    assert any(after < before for after, before in zip(worked, arenas(), strict=True))


def test_what_lies_free_goes_to_vectors() -> None:
    """Few taps on a Cortex-M55, in a plan of strips: more scratch than the first layer needs, in the same arena."""
    rng = rng_of(2)
    layers = [byte_conv(rng, 8, 4, stride=2), byte_conv(rng, 16, 8), byte_conv(rng, 16, 16)]
    graph = chain(*(op for layer in layers for op in (layer, BYTE)), shape=(32, 32, 4))
    needed, filled = (write(graph, producer="", rows="least", optimize=how) for how in ("size", "balanced"))
    assert needed.memory.segments and filled.memory.segments
    assert needed.memory.arena == filled.memory.arena
    scratch = [[call.plan.scratch for call in written.program.calls] for written in (needed, filled)]
    assert all(a <= b for a, b in zip(*scratch, strict=True)) and scratch[0] != scratch[1]
    assert outputs_of(filled, 2) == outputs_of(needed, 2) == outputs_of(write(graph, producer=""), 2)


def test_long_steps_where_rows_are_many() -> None:
    """Samples of sound: thousands of rows, of which a few hundred at a time cost little."""
    rng, builder = rng_of(4), Builder(TensorType((4000, 1, 16), S8(1 / 64)))
    for stride in (1, 2, 4):
        builder.add(ops.Conv2D(byte_weights(rng, 16, 5, 1, 16, scale=2.0**-9), stride=(stride, 1)))
        builder.add(BYTE)
    rows, whole = problem(run_pipeline(builder.graph(), DEFAULTS).graph)
    found = plan_strips(rows, whole, slack=0.03)
    assert found is not None and found.memory.arena < 0.6 * whole.arena


def test_no_slack_no_strips() -> None:
    rows, whole = problem(three())
    assert plan_strips(rows, whole, slack=-1.0) is None


def test_plans_are_deterministic() -> None:
    one, two = (write(three(), producer="test", rows="auto").blob for _ in range(2))
    assert one == two


def test_files_that_run_once_are_what_they_were() -> None:
    graph = three()
    assert write(graph, producer="test").blob == write(graph, producer="test", rows="off").blob
    assert parse(write(graph, producer="test").blob).longest_segment == 0


# --- the checker ------------------------------------------------------------------------------------------------------


def plan_of_strips() -> tuple[Rows, MemoryPlan]:
    """Of a segment whose first output grows into the input, with strips inside."""
    rng = rng_of(2)
    convs = [op for _ in range(4) for op in (byte_conv(rng, 32, 32), BYTE)]
    rows, whole = problem(chain(byte_conv(rng, 32, 16), BYTE, *convs, byte_conv(rng, 16, 32, 3, 2), BYTE))
    found = plan_strips(rows, whole, slack=float("inf"))
    assert found is not None
    check(rows, found.memory)
    return rows, found.memory


def test_checker_refuses_maps_that_meet_too_early() -> None:
    rows, plan = plan_of_strips()
    (entering, leaving), distance = next(iter(plan.segments[0].pairs.items()))
    offsets = list(plan.offsets)
    offsets[leaving] = offsets[entering] - distance + 1024
    with pytest.raises(MemoryPlanError, match="does not find rows"):
        check(rows, replace(plan, offsets=tuple(offsets), arena=plan.arena + 4096))


def test_checker_refuses_short_strips() -> None:
    rows, plan = plan_of_strips()
    segment = next(s for s in plan.segments if s.strips)
    short = replace(segment, strips=dict.fromkeys(segment.strips, 1))
    with pytest.raises(MemoryPlanError, match="stops before"):
        check(rows, replace(plan, segments=(short,)))


def test_checker_refuses_strips_and_scratch_on_one_another() -> None:
    rows, plan = plan_of_strips()
    strip = next(b for s in plan.segments for b in s.strips)
    scratch = tuple(plan.offsets[strip] for _ in plan.scratch)
    with pytest.raises(MemoryPlanError, match=r"with its scratch|does not find rows"):
        check(rows, replace(plan, scratch=scratch))


def test_checker_refuses_a_fed_strip_that_is_too_short() -> None:
    program = assemble(three())
    memory = problem_of(program)
    whole = plan_memory(memory)
    rows = rows_of(program, memory, whole.order, program.buffer_of[program.inputs[0]])
    found = plan_strips(rows, whole, slack=float("inf"))
    assert found is not None
    check(rows, found.memory)
    segment = found.memory.segments[0]
    short = replace(segment, strips={**segment.strips, rows.fed: 1})
    with pytest.raises(MemoryPlanError, match="stops before"):
        check(rows, replace(found.memory, segments=(short,)))


def test_checker_refuses_what_leaves_the_arena() -> None:
    rows, plan = plan_of_strips()
    with pytest.raises(MemoryPlanError, match=r"outside of its place|inside the arena"):
        check(rows, replace(plan, arena=plan.arena - 16))
