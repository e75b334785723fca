"""The analysis of the digits models, against the vendor's published table for them and against the interpreter."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import dqnn
from dqnn.exporter.analyze.analysis import AnalysisError, analyze
from dqnn.exporter.analyze.model import Analysis, Bench
from dqnn.exporter.blob import NotAModelError, node_names
from dqnn.exporter.cli import main
from dqnn.exporter.emit.kernel_table import rows

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
VENDOR_TOTAL = 2_865_718
DROPPED_BY_POOL = (11 * 11 - 10 * 10) * 64 * 9 * 32  # an 11x11 map pooled 2x2: the last row and column are not computed


Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


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


def test_fusion_explains_the_difference_to_the_vendors_total(larq: Analysis) -> None:
    saved = {o.type: o.count for node in larq.nodes for o in node.saved}
    assert saved == {"sxor_s1_s1": DROPPED_BY_POOL, "conv_f32_s1": 2 * 26 * 26 * 32}
    assert larq.macc + larq.saved == VENDOR_TOTAL


def test_nodes_are_named_after_the_layer_they_are_about(larq: Analysis) -> None:
    names = ["quant_conv2d", "quant_conv2d_1", "quant_conv2d_2", "quant_dense", "quant_dense_1", "activation"]
    assert [node.name for node in larq.nodes] == names


def test_names_where_layers_do_not_say_what_they_are() -> None:
    nodes = [
        ("conv_f32_f32_f32", ("zero_padding2d", "stem", "bn")),
        ("maxpool_f32", ("stem", "bn", "max_pooling2d")),
        ("conv_f32_f32_f32", ("flatten", "head")),
        ("softmax_f32", ("head",)),
        ("reshape_s1", ()),
    ]
    named = node_names((rows()[kernel], layers) for kernel, layers in nodes)
    assert named == ["stem", "max_pooling2d", "head", "head", "reshape_s1"]


@pytest.mark.parametrize("model", ["larq", "qkeras"])
def test_figures_are_those_of_the_interpreter(model: str) -> None:
    """The arena is painted and looked at after a run of the kernels that boards have (the host's vectors need less
    scratch): what the report calls the peak is what is touched, and the arena is that in whole 16-byte blocks.
    tests/qemu does the same on a Cortex-M4, where the interpreter's state is as the report says, too."""
    result = dqnn.export(DIGITS / f"digits_{model}.h5")
    analysis, interpreter = analyze(result.blob), dqnn.Interpreter(result.blob, isas=["portable"])
    interpreter.set_input(0, np.load(DIGITS / "digits_test.npz")["x"][0])
    touched = interpreter.high_water()
    assert touched == max(live.total for live in analysis.live)
    assert analysis.arena_bytes == interpreter.arena_bytes == -(-touched // 16) * 16
    assert analysis.file_bytes == len(result.blob)


def test_a_dqnn_file_gives_the_same_nodes(larq: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "digits.dqnn"
    dqnn.export(DIGITS / "digits_larq.h5", path)
    from_file = analyze(path)
    assert [node.operations for node in from_file.nodes] == [node.operations for node in larq.nodes]
    assert from_file.parameters == larq.parameters


def test_json_is_json(larq: Analysis) -> None:
    content = json.loads(json.dumps(larq.to_json()))
    assert content["parameters"] == 93_556
    assert sum(content["operation_types"].values()) == content["macc"]


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.dqnn"
    path.write_bytes(b"DQNN" + bytes(100))
    with pytest.raises(NotAModelError):
        analyze(path)


# --- the command and figures of others --------------------------------------------------------------------------------


def test_command_prints_and_writes_html(cli: Cli) -> None:
    result = cli("analyze", DIGITS / "digits_qkeras.h5", "--html", "report.html", "--target", "stm32f746")
    assert result.exit_code == 0, result.output
    assert "STM32F746 (cortex-m7, 216 MHz): fits" in result.stdout
    assert Path("report.html").read_text().count("<svg") == 2


def test_a_report_is_written_even_if_the_board_is_too_small(cli: Cli) -> None:
    Path("tiny.toml").write_text('name = "T"\ncore = "z80"\nclock_hz = 1\nflash_bytes = 9\nram_bytes = 9\n')
    result = cli("analyze", DIGITS / "digits_larq.h5", "--html", "report.html", "--target", "tiny.toml")
    assert result.exit_code == 2 and "digits_larq does not fit T: flash: " in result.stderr
    assert "does not fit" in Path("report.html").read_text()


def test_narrow_terminals_lose_no_figure(larq: Analysis) -> None:
    from rich.console import Console

    from dqnn.exporter.analyze.text import render

    text = StringIO()
    render(
        replace(larq, bench=Bench("cortex-m4", "estimated cycles", (272_781,) * 6, 1_636_686)),
        Console(file=text, width=80),
    )
    for figure in ("1,843,200 sxor_s1_s1", "4,808 B", "272,781", "2,212,480", "3,904", "quant_conv2d_1 +3"):
        assert figure in text.getvalue(), figure


def test_a_model_that_nobody_named_has_its_files_name(cli: Cli) -> None:
    dqnn.export(DIGITS / "digits_larq.h5", "mine.dqnn", name="sequential_1")
    assert json.loads(cli("analyze", "mine.dqnn", "--json").stdout)["name"] == "mine"
    dqnn.export(DIGITS / "digits_larq.h5", "mine.dqnn", name="sequence")
    assert json.loads(cli("analyze", "mine.dqnn", "--json").stdout)["name"] == "sequence"


def test_shares_add_up(larq: Analysis) -> None:
    """What lies between the layers has a row, and every share is of the same total."""
    values = (300_000, 100_000, 100_000, 200_000, 200_000, 50_000)
    text = str(replace(larq, bench=Bench("cortex-m4", "estimated cycles", values, 1_000_000)))
    row = text[text.index("between layers") :]
    assert "50,000" in row.splitlines()[0] and "5.0%" in row.splitlines()[1]
    whole = replace(larq, bench=Bench("cortex-m4", "estimated cycles", values, sum(values)))
    assert "between layers" not in str(whole)


@pytest.mark.parametrize("command", ["inspect", "analyze", "diff"])
def test_names_are_no_markup(cli: Cli, command: str) -> None:
    dqnn.export(DIGITS / "digits_larq.h5", "m.dqnn", name="[/a][red]x")
    dqnn.export(DIGITS / "digits_qkeras.h5", "n.dqnn")
    result = cli(command, "m.dqnn", *(["n.dqnn"] if command == "diff" else []))
    assert result.exit_code == 0 and "[/a][red]x" in result.stdout


@pytest.mark.parametrize(
    ("option", "content", "text"),
    [
        ("--bench", None, "bad.json: No such file"),
        ("--bench", "{", "bad.json is no JSON"),
        ("--bench", "[]", "is not what `dqnn bench --json` prints"),
        ("--bench", '{"schema": "dqnn.bench-host/1"}', "schema 'dqnn.bench-host/1' instead of 'dqnn.bench/1'"),
        ("--bench", '{"schema": "dqnn.bench/1", "nodes": [1]}', "no nodes with kernel, instructions, cycles"),
        (
            "--bench",
            '{"schema": "dqnn.bench/1", "nodes": [{"kernel": "softmax_f32", "instructions": 1, "cycles": 1}]}',
            "the bench is of another model: its 1 nodes are not the 6 here",
        ),
        ("--validation", "{}", "bad.json is not what `dqnn validate --json` prints: schema None"),
        ("--validation", '{"schema": "dqnn.validate/1"}', "this is not what `dqnn validate --json` prints"),
    ],
)
def test_figures_of_something_else_are_refused(cli: Cli, option: str, content: str | None, text: str) -> None:
    if content is not None:
        Path("bad.json").write_text(content)
    result = cli("analyze", DIGITS / "digits_larq.h5", option, "bad.json")
    assert result.exit_code == 2 and text in result.stderr


@pytest.mark.parametrize(
    ("core", "text"), [("host", "not measured by node; accepted: cortex-m0plus"), ("z80", "no target is named 'z80'")]
)
def test_a_core_that_is_none(cli: Cli, core: str, text: str) -> None:
    result = cli("analyze", DIGITS / "digits_larq.h5", "--bench", core)
    assert result.exit_code == 2 and text in result.stderr


def test_bench_measures_a_core(cli: Cli, require_tool: Callable[[str], str]) -> None:
    """Cycles of the board's core, at the board's clock; the advice is then about what was measured."""
    require_tool("arm-none-eabi-gcc")
    pytest.importorskip("unicorn", reason="unicorn is not installed")
    result = cli("analyze", DIGITS / "digits_larq.h5", "--bench", "cortex-m4", "--target", "stm32f411", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["bench"]["unit"] == "estimated cycles" and len(found["bench"]["nodes"]) == 6
    assert 0 <= found["bench"]["total"] - sum(found["bench"]["nodes"]) < 5000  # the interpreter's own
    assert "of the estimated cycles (cortex-m4)" in found["advice"][0]["finding"]
    assert found["target"]["fits"] and found["target"]["code_measured"]


def test_bench_on_samples_of_the_user(cli: Cli, require_tool: Callable[[str], str]) -> None:
    """Binary kernels take longer on the digits than on random inputs: behind the first layer those are one-sided."""
    require_tool("arm-none-eabi-gcc")
    pytest.importorskip("unicorn", reason="unicorn is not installed")
    dqnn.export(DIGITS / "digits_larq.h5", "m.dqnn")
    images = ("--inputs", DIGITS / "digits_test.npz", "--limit", "3")
    real = json.loads(cli("bench", "m.dqnn", *images, "--json").stdout)
    assert real["samples"] == 3 and real["inputs"] == "digits_test.npz" and real["equal_to_host"]
    assert real["least"] < real["cycles"] < real["most"]
    assert sum(node["cycles"] for node in real["nodes"]) <= real["cycles"]
    random = json.loads(cli("bench", "m.dqnn", "--json").stdout)
    assert random["inputs"] == "random inputs" and random["samples"] == 1
    assert random["cycles"] < 0.9 * real["cycles"] < random["balanced"] == real["balanced"]
    assert real["data"].startswith("mean of 3 samples of digits_test.npz, ")
    assert "as many +1 as -1 in all 1-bit maps (+28 %)" in random["data"]
    analysis = cli("analyze", "m.dqnn", "--bench", "cortex-m4", *images)
    assert "mean of 3 samples of digits_test.npz" in " ".join(analysis.stdout.split())


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("bench", "m.dqnn", "--limit", "3"), "--limit says how many samples of --inputs"),
        (("bench", "--kernels", ".", "--inputs", "x.npz"), "--inputs are those of a model"),
        (("bench", "m.dqnn", "--inputs", "x.npz"), "x.npz: no such file"),
        (("analyze", "m.dqnn", "--inputs", "x.npz"), "inputs are what a core is measured on"),
        (("analyze", "m.dqnn", "--bench", "cortex-m4", "--limit", "3"), "give inputs too"),
    ],
)
def test_samples_that_nothing_is_measured_on(cli: Cli, command: tuple[str, ...], text: str) -> None:
    dqnn.export(DIGITS / "digits_larq.h5", "m.dqnn")
    result = cli(*command)
    assert result.exit_code == 2 and text in result.stderr


def test_options_of_the_export_need_a_model(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="io_dtype"):
        analyze(dqnn.export(DIGITS / "digits_larq.h5").blob, io_dtype="f32")
