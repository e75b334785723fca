"""The rows that `dqnn bench --kernels` measures."""

from __future__ import annotations

import dataclasses

import pytest

from dqnn import _core
from dqnn.exporter.bench import cases, grid, host, kernel
from dqnn.exporter.targets.target import find_target

FIRST_QUANTIZED = 93  # kernels that only .tflite and .onnx files use


@pytest.mark.parametrize("row", grid.GRID, ids=lambda row: row.name)
def test_a_row_is_a_call_that_is_accepted_and_a_file_that_runs(row: grid.Row) -> None:
    call = kernel.planned(cases.make_row_call(row.layer))
    assert len(kernel.reference(call)) == call.output.nbytes
    blob, data = host.blob_of(row.layer)
    interpreter = _core.Interpreter(blob)
    assert interpreter.nodes()[0]["kernel"] == call.packed.kernel
    assert [len(stored) for stored in data] == [len(stored) for _, stored in call.inputs]


def test_rows_have_names_of_their_own() -> None:
    for rows in (grid.GRID, grid.HOST_GRID):
        assert len({row.name for row in rows}) == len(rows)


def test_constants_are_left_out_where_a_run_has_a_sample() -> None:
    left_out = {row.name for row in grid.find_rows(".")} - {row.name for row in grid.find_rows(".", board=True)}
    assert left_out == {row.name for row in grid.GRID if " constant " in row.name} != set()


def test_every_kernel_of_quantized_files_is_measured() -> None:
    measured = {cases.make_row_call(row.layer).packed.kernel for row in grid.GRID}
    quantized = {row["name"] for row in _core.kernels() if row["id"] >= FIRST_QUANTIZED}
    assert quantized - measured <= {"convz_s8_s8_f32", "depthwisez_s8_s8_f32"}  # the same sums, another output


@pytest.mark.qemu
def test_a_row_runs_on_a_board_with_the_best_variant_there() -> None:
    dense = next(row for row in grid.GRID if row.name == "s8 dense 64->10")
    few = dataclasses.replace(dense, layer=dataclasses.replace(dense.layer, weight_bits=4))  # type: ignore[type-var]
    for row, isa in ((dense, "mve"), (few, "packed")):
        cost = kernel.bench_board_row(row, find_target("qemu:mps3-an547"))
        assert cost.equal_to_reference and cost.cycles is None and cost.instructions > 0
        assert cost.target == f"qemu:mps3-an547 ({isa})"
