"""What `optimize` chooses: the same bytes whatever it is, within the memory that there is, and by costs that were
measured."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from emit.kernel_calls import random_stored, stored_bytes
from emit.test_memory import problems
from emit.test_writer import Builder
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import LEVELS

import dqnn
from dqnn import _core
from dqnn.exporter.bench import cases, costs
from dqnn.exporter.bench.build import TARGETS
from dqnn.exporter.bench.call import run_on_machine
from dqnn.exporter.bench.kernel import function_of, machine_of, planned
from dqnn.exporter.emit import kernel_table, walks, ways
from dqnn.exporter.emit.memory import MemoryPlan, Problem, Step, align, check, live_bytes, plan_memory
from dqnn.exporter.emit.ways import Way, choose
from dqnn.exporter.emit.writer import Written, write
from dqnn.exporter.format import ConvParams
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType
from dqnn.exporter.options import Optimize

FORMATS: tuple[Format, ...] = (S8(0.5, -3), S8(0.25, -128), S8(1.0, 0))


def conv(builder: Builder, source: str, outputs: int, fmt: Format, pool: int = 1) -> str:
    """8-bit, 3x3, the map's size kept."""
    rng, kind = builder.rng, builder.types[source]
    height, width, channels = kind.shape
    op = ops.ConvKernel(
        ops.Weights("s8", rng.integers(-128, 128, (outputs, 3, 3, channels)).astype(np.int8)),
        builder.epilogue(fmt, outputs, True), fmt, padding=((1, 1), (1, 1)), pad_value=float(kind.fmt.zero_point),  # type: ignore[union-attr]
        pool=(pool, pool),
    )  # fmt: skip
    return builder.add(op, (source,), (height // pool, width // pool, outputs), fmt)


def network(seed: int) -> Graph:
    """Blocks of two convolutions and a sum over them, some behind a pool, and an output of each format."""
    builder = Builder(seed)
    rng = builder.rng
    last = builder.input(
        (int(rng.integers(4, 14)), int(rng.integers(4, 14)), int(rng.choice([4, 8, 6, 16]))), FORMATS[0]
    )
    for _ in range(int(rng.integers(1, 4))):
        last = conv(builder, last, int(rng.choice([4, 8, 16, 24])), FORMATS[int(rng.integers(3))])
        inner = conv(builder, last, int(rng.choice([4, 8, 12])), FORMATS[int(rng.integers(3))])
        again = conv(builder, inner, builder.types[last].shape[-1], FORMATS[int(rng.integers(3))])
        last = builder.binary(last, again, FORMATS[int(rng.integers(3))])
        if min(builder.types[last].shape[:2]) >= 4 and rng.random() < 0.5:
            last = conv(builder, last, 8, FORMATS[0], pool=2)
    outputs = tuple(conv(builder, last, 5, fmt) for fmt in (S8(0.5, 4), S1(), F32()))
    return builder.graph(*outputs)


def run(written: Written, isas: list[str], data: bytes) -> list[bytes]:
    interpreter = _core.Interpreter(written.blob, isas)
    interpreter.set_input(0, data)
    interpreter.invoke()
    return [bytes(interpreter.get_output(i)) for i in range(len(interpreter.outputs()))]


def winograds(written: Written) -> int:
    return sum(node.isa == "winograd" for node in dqnn.Interpreter(written.blob, isas=["portable", "winograd"]).nodes)


@pytest.mark.parametrize("seed", range(10))
def test_every_choice_gives_the_same_bytes(seed: int) -> None:
    graph = network(seed)
    size = write(graph, producer="", optimize="size")
    balanced, speed = write(graph, producer=""), write(graph, producer="", optimize="speed")
    half = (size.memory.arena + speed.memory.arena) // 2
    some = write(graph, producer="", optimize="speed", room=half)
    assert balanced.memory.arena == size.memory.arena and len(balanced.blob) == len(size.blob)
    assert some.memory.arena <= max(half, size.memory.arena)
    for written in (size, balanced, some, speed):
        assert winograds(written) == sum(choice.taken.passes > 0 for choice in written.choices)
    assert winograds(size) == 0 <= winograds(balanced) <= winograds(speed) == len(speed.choices)
    assert all(choice.better is None for choice in speed.choices)
    kind = graph.types[graph.inputs[0]]
    data = stored_bytes(random_stored(np.random.default_rng(seed), kind), kind)
    expected = run(size, ["ref"], data)
    for written in (size, balanced, some, speed):
        for isas in LEVELS:
            assert run(written, isas, data) == expected, isas


def test_the_next_bytes_buy_what_is_said() -> None:
    bought = 0
    for seed in range(10):
        graph = network(seed)
        for choice in write(graph, producer="").choices:
            if choice.better is None:
                continue
            assert choice.growth >= 0
            arena = write(graph, producer="").memory.arena + choice.growth
            more = write(graph, producer="", optimize="speed", room=align(arena))
            (same,) = [c for c in more.choices if c.node == choice.node]
            assert same.taken.cycles <= choice.better.cycles, (seed, choice)
            bought += 1
    assert bought > 10


@settings(max_examples=80, deadline=None)
@given(problem=problems(), seed=st.integers(0, 10**6), optimize=st.sampled_from(["size", "balanced", "speed"]))
def test_random_graphs(problem: Problem, seed: int, optimize: Optimize) -> None:
    """Whatever is chosen is a plan that keeps every tensor whole, and no larger than it may be."""
    rng = np.random.default_rng(seed)
    plan = plan_memory(problem)
    options = {
        n: (Way(step.scratch, 0, 100), *(Way(step.scratch + int(rng.integers(1, 900)) * i, i, 100 - i) for i in (1, 2)))
        for n, step in enumerate(problem.steps) if rng.random() < 0.5
    }  # fmt: skip
    budget = None if rng.random() < 0.3 else plan.arena + int(rng.integers(0, 600))
    chosen, result, found = choose(problem, plan, options, optimize, budget)
    check(chosen, result)
    allowed = plan.arena if optimize != "speed" else max(plan.arena, 2**31 if budget is None else budget)
    assert result.arena <= allowed
    for choice in found:
        assert chosen.steps[choice.node].scratch == choice.taken.scratch
        assert optimize != "size" or choice.taken == choice.direct
        assert optimize != "speed" or budget is not None or choice.better is None


# --- vectors that sum up many outputs together ------------------------------------------------------------------------


def pointwise(outputs: int, bits: int = 8) -> tuple[kernel_table.Packed, list[TensorType], TensorType]:
    call = cases.make_layer_call(cases.Layer("s8", "s8", "s8", 3, 3, 112, outputs, weight_bits=bits))
    return call.packed, [call.input], call.output


def test_wide_layers_need_scratch_for_some_outputs() -> None:
    """MobileNetV2's last pointwise layer; what vectors of hosts need is what the portable code does."""
    needs = kernel_table.scratch(*pointwise(1280))
    assert (needs["mve"], needs["avx2"], needs["portable"]) == (1360, 896, 896)
    assert ways.vectors(*pointwise(1280)) == 20_816
    assert ways.vectors(*pointwise(64)) == kernel_table.scratch(*pointwise(64))["mve"] == 1360
    few = pointwise(1280, bits=4)
    assert ways.vectors(*few) > kernel_table.scratch(*few)["packed"] == kernel_table.plan(*few).scratch == 1824


def test_winograd_is_not_called_by_room_for_vectors() -> None:
    call = cases.make_layer_call(cases.Layer("s8", "s8", "s8", 8, 8, 4, 512, kernel=(3, 3), padding=((1, 1), (1, 1))))
    given = call.packed, [call.input], call.output
    assert "winograd" in kernel_table.scratch(*given) and ways.vectors(*given) == 0


def wide(first: int) -> Graph:
    """A layer of 200 outputs on a map of 2x2, behind one that reads every cell `first` of a map."""
    builder = Builder(first)
    last = builder.input((2 * first, 2 * first, 64), FORMATS[0])
    for outputs, step in ((64, first), (200, 1)):
        weights = ops.Weights("s8", builder.rng.integers(-128, 128, (outputs, 1, 1, 64)).astype(np.int8))
        op = ops.ConvKernel(weights, builder.epilogue(FORMATS[0], outputs, True), FORMATS[0], stride=(step, step))
        last = builder.add(op, (last,), (2, 2, outputs), FORMATS[0])
    return builder.graph(last)


@pytest.mark.parametrize("optimize", ["balanced", "speed"])
def test_room_that_is_free_goes_to_vectors(optimize: Optimize) -> None:
    for first, all_there in ((1, False), (12, True)):
        graph = wide(first)
        least, filled = write(graph, producer="", optimize="size"), write(graph, producer="", optimize=optimize)
        call, needed = filled.program.calls[1], least.program.calls[1].plan.scratch
        wanted = ways.vectors(call.packed, [graph.types[graph.nodes[1].inputs[0]]], graph.types[graph.outputs[0]])
        assert filled.memory.arena == least.memory.arena
        assert needed < wanted and (call.plan.scratch == wanted if all_there else call.plan.scratch < wanted)
        kind = graph.types[graph.inputs[0]]
        data = stored_bytes(random_stored(np.random.default_rng(first), kind), kind)
        for isas in LEVELS:
            assert run(filled, isas, data) == run(least, ["ref"], data)


def test_live_bytes_count_what_is_shared_once() -> None:
    problem = Problem((64, 64), (Step((0,), 1, 0, 64),), (0,), (1,))
    plan = MemoryPlan((0,), (0, 0), (0,), 64, 64, 64, "", "")
    assert live_bytes(problem, plan, 0) == 64


# --- costs ------------------------------------------------------------------------------------------------------------


def test_the_table_has_every_kind_and_count() -> None:
    call = cases.make_layer_call(cases.Layer("s8", "s8", "s8", 4, 4, 4, 4, kernel=(3, 3)))
    assert isinstance(call.packed.params, ConvParams)
    for kind in costs.KINDS:
        found = ways.table()["kinds"][kind]
        assert found["largest_error"] < 0.1
        for name, passes in (("direct", 0), ("winograd", 1)):
            counted = ways.counts(call.input, call.output, call.packed.params, passes)
            assert len(found[name]) == len(counted) and min(found[name]) > 0
    assert set(ways.table()["kinds"]) == set(costs.KINDS)


def test_estimates_are_near_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a shape that the table was not made from."""
    pytest.importorskip("unicorn")
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    monkeypatch.setattr(costs, "SHAPES", ((9, 14, 20, 28),))
    monkeypatch.setattr(costs, "KINDS", {"s8": {"output": "s8"}})
    machine = machine_of(TARGETS[costs.CORE], costs.OPTIMIZE)
    for call, passes, cycles in costs.measured(machine, "s8"):
        assert isinstance(call.packed.params, ConvParams)
        estimated = ways.estimate(call.input, call.output, call.packed.params, passes)
        assert abs(estimated / cycles - 1) < 0.06, (passes, estimated, cycles)


def test_strips_are_estimated_near_what_is_measured() -> None:
    """Rows at a time of 1-bit and 8-bit layers and of depthwise ones, on shapes that the table was not made from: what
    one more call costs, and what a row does."""
    pytest.importorskip("unicorn")
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    assert all(min(cycles) >= 0 and len(cycles) == 5 for cycles in ways.table()["rows"].values())
    assert len(ways.table()["rows"]) == 2 * 3 * 3
    machine = machine_of(TARGETS[costs.CORE], costs.OPTIMIZE)
    for source, weights, depthwise, most in (
        ("s8", "s8", False, 900),
        ("s1", "s1", False, 2500),
        ("f32", "f32", True, 700),
    ):
        cycles = []
        for rows in (1, 3):
            layer = cases.Layer(source, weights, "s8", rows + 2, 20, 32, 32, kernel=(3, 3), depthwise=depthwise,
                                padding=((0, 0), (1, 1)), pad_value=1.0)  # type: ignore[arg-type]  # fmt: skip
            call = planned(cases.make_layer_call(layer))
            machine.release()
            cost = run_on_machine(machine, function_of(call), call)[1].cycles
            assert cost is not None
            cycles.append(cost)
        found = ways.table()["rows"][walks.kind_of(source, weights, depthwise)]
        counted = walks.counts(call.input, call.output, call.packed.params, depthwise)  # type: ignore[arg-type]
        row, start = (cycles[1] - cycles[0]) / 2, cycles[0] - (cycles[1] - cycles[0]) / 2
        assert abs(sum(c * n for c, n in zip(found[:3], counted[:3], strict=True)) / 3 / row - 1) < 0.25, (source, row)
        assert abs(found[4] - start) < most and found[3] == 0, (source, start)


def test_ways_are_faster_one_by_one() -> None:
    call = cases.make_layer_call(cases.Layer("s8", "s8", "s8", 16, 16, 16, 32, kernel=(3, 3), padding=((1, 1), (1, 1))))
    needed = kernel_table.plan(call.packed, [call.input], call.output).scratch
    found = ways.ways(call.packed, [call.input], call.output, needed)
    assert found[0].passes == 0 and found[0].scratch == needed and found[-1].passes == 1
    assert [way.scratch for way in found] == sorted(way.scratch for way in found)
    assert [way.cycles for way in found] == sorted((way.cycles for way in found), reverse=True)
