"""dqnn bench --sweep: neighbours of the same K, and what stands out."""

from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner

from dqnn.exporter.bench import cases
from dqnn.exporter.cli import main


def test_neighbours_have_the_same_k() -> None:
    pytest.importorskip("unicorn")
    from dqnn.exporter.bench import sweep

    for shape in sweep.find_shapes("s8 x s8 -> s8 (conv|depthwise) 3x3 12x12x16"):
        layer = shape.layer()
        near = [other for other in shape.neighbours() if all(i >= 0 for i in other.at)]
        assert near
        for other in near:
            found = other.layer()
            assert found.kernel == layer.kernel
            assert shape.depthwise or found.channels == layer.channels
            assert isinstance(found, cases.Layer) and min(found.out_size()) >= 1


def test_a_cliff_is_measured_against_the_best_neighbour() -> None:
    pytest.importorskip("unicorn")
    from dqnn.exporter.bench import sweep

    shapes = [shape for shape in sweep.find_shapes("^s8 x s8 -> s8 conv 1x1") if shape.at[2] == 3]
    costs = [sweep.SweepCost(shape, 100, 100 * (1 + 9 * (i == 2))) for i, shape in enumerate(shapes)]
    worst = sweep.cliffs(costs)[0]
    assert worst.cost.shape == shapes[2] and worst.ratio == 10


def test_the_command_lists_the_worst() -> None:
    for module in ("unicorn", "capstone", "elftools"):
        pytest.importorskip(module)
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    run = CliRunner().invoke(main, ["bench", "--sweep", "^s8 x s8 -> s8 conv 1x1 [36]x", "--markdown"])
    assert run.exit_code == 0, run.output
    assert "| shape | cycles/MAC | best neighbour | cycles/MAC | times |" in run.output


@pytest.mark.parametrize(
    "arguments", [["--sweep", "no such shape"], ["--sweep", ".", "--json"], ["--sweep", ".", "--kernels", "."], []]
)
def test_what_makes_no_sense_is_refused(arguments: list[str]) -> None:
    run = CliRunner().invoke(main, ["bench", *arguments])
    assert run.exit_code != 0
