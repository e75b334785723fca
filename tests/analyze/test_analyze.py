"""The analysis of the digits models, against the vendor's published table for them and against the interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import dqnn
from dqnn.exporter import boards
from dqnn.exporter.analyze import Analysis, analyze
from dqnn.exporter.inspect import NotAModelError

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"

# Section 7 of the vendor's documentation of 2022, the same network: operations by its layers.
VENDOR = {
    "quant_conv2d": {"smul_f32_f32": 194_720},  # float kernels there; f32 x s1 here
    "quant_conv2d_1": {"sxor_s1_s1": 2_230_272},
    "quant_conv2d_2": {"sxor_s1_s1": 331_776},
    "quant_dense": {"sxor_s1_s1": 36_864},
    "quant_dense_1": {"sxor_s1_s1": 640},
    "max_pooling2d": {"op_s1_s1": 21_632},
    "max_pooling2d_1": {"op_s1_s1": 6_400},
    "activation": {"op_f32_f32": 150},
}
DROPPED_BY_POOL = (11 * 11 - 10 * 10) * 64 * 9 * 32  # an 11x11 map pooled 2x2: the last row and column are not computed


@pytest.fixture(scope="module")
def larq() -> Analysis:
    return analyze(DIGITS / "digits_larq.h5")


def test_parameters_are_the_vendors(larq: Analysis) -> None:
    assert larq.parameters == 93_556


def test_operations_are_the_vendors(larq: Analysis) -> None:
    counts = [{o.type: o.count for o in node.operations} for node in larq.nodes]
    assert counts[0] == {"smul_f32_s1": VENDOR["quant_conv2d"]["smul_f32_f32"], **VENDOR["max_pooling2d"]}
    fused = {"sxor_s1_s1": VENDOR["quant_conv2d_1"]["sxor_s1_s1"] - DROPPED_BY_POOL, **VENDOR["max_pooling2d_1"]}
    assert counts[1] == fused
    assert counts[2:] == [VENDOR[name] for name in ("quant_conv2d_2", "quant_dense", "quant_dense_1", "activation")]


def test_figures_are_those_of_the_interpreter(larq: Analysis) -> None:
    result = dqnn.export(DIGITS / "digits_larq.h5")
    requirements = dqnn._core.requirements(result.blob)
    assert larq.arena_bytes == requirements["arena_bytes"]
    assert larq.ram_bytes == requirements["memory_bytes"]
    assert larq.file_bytes == len(result.blob)
    assert max(live.total for live in larq.live) <= larq.arena_bytes


def test_a_dqnn_file_gives_the_same_nodes(larq: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "digits.dqnn"
    dqnn.export(DIGITS / "digits_larq.h5", path)
    from_file = analyze(path)
    assert [node.operations for node in from_file.nodes] == [node.operations for node in larq.nodes]
    assert from_file.parameters == larq.parameters


def test_float_input_is_advised_against(larq: Analysis) -> None:
    assert any("f32 input" in advice.finding and "quant_conv2d" in advice.layers for advice in larq.advice)


def test_json_is_json(larq: Analysis) -> None:
    content = json.loads(json.dumps(larq.to_json()))
    assert content["params"] == 93_556
    assert sum(content["operation_types"].values()) == content["macc"]


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.dqnn"
    path.write_bytes(b"DQNN" + bytes(100))
    with pytest.raises(NotAModelError):
        analyze(path)


def test_every_shipped_board_is_described() -> None:
    names = [board.name for board in boards.shipped()]
    assert len(names) == 9
    assert all(boards.load_board(path.stem) for path in boards.SHIPPED.glob("*.toml"))


def test_a_board_that_is_too_small_names_the_heaviest_layers(larq: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text('name = "Tiny"\ncore = "cortex-m0plus"\nclock_hz = 1\nflash_bytes = 30000\nram_bytes = 4000\n')
    with pytest.raises(boards.BoardError) as caught:
        boards.check_fits(boards.load_board(str(path)), larq)
    message = str(caught.value)
    assert "does not fit Tiny" in message
    assert "flash: " in message and "RAM: " in message
    assert "quant_conv2d_2" in message and "too much" in message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = 1", "name is 1, not text"),
        ('name = "x"\ncore = "m"\nclock_hz = -1\nflash_bytes = 1\nram_bytes = 1', "clock_hz is -1"),
        ('name = "x"\nspeed = 3', "speed is unknown"),
        ("name =", "Invalid value"),
    ],
)
def test_a_bad_board_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(boards.BoardError, match=problem):
        boards.load_board(str(path))


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(boards.BoardError, match="STM32F746"):
        boards.load_board("z80")


def test_command_prints_and_writes_html(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    command = [sys.executable, "-m", "dqnn.exporter", "analyze", str(DIGITS / "digits_qkeras.h5"), "--html", str(page)]
    done = subprocess.run([*command, "--target", "stm32f746"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "STM32F746 (cortex-m7, 216 MHz): fits" in done.stdout
    html = page.read_text()
    assert html.count("<svg") == 4
    assert "http" not in html.replace("http://www.w3.org", "")
