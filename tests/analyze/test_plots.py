"""Charts by matplotlib: formats, what stands in them, and that a machine without matplotlib is told what to install."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import dqnn
from dqnn.exporter.cli import main
from dqnn.exporter.show.plots import PlotError

from .test_html import BENCH

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def analysis(digits: Path) -> dqnn.exporter.analyze.analysis.Analysis:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    return dqnn.analyze(digits / "digits_larq.h5", bench=BENCH)


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG\r\n"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("A.SVG", b"<?xml")]
)
def test_one_file(analysis: dqnn.exporter.analyze.analysis.Analysis, tmp_path: Path, name: str, start: bytes) -> None:
    assert analysis.plot(tmp_path / name) == [tmp_path / name]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_directory_gets_every_chart(analysis: dqnn.exporter.analyze.analysis.Analysis, tmp_path: Path) -> None:
    written = analysis.plot(tmp_path / "charts")
    names = [f"{key}{suffix}" for key in ("memory", "operations", "weights", "cycles") for suffix in (".png", ".svg")]
    assert [path.name for path in written] == names and all(path.stat().st_size > 1000 for path in written)


def test_figures_are_text_in_svg(analysis: dqnn.exporter.analyze.analysis.Analysis, tmp_path: Path) -> None:
    """As searchable as in the report, and the same file each time."""
    first, second = (analysis.plot(tmp_path / name)[0].read_text() for name in ("1.svg", "2.svg"))
    for text in ("2,212,480 (90.8%)", "1 quant_conv2d_1", "at most 3,904 B live, at node 0", "smul_f32_s1", "scratch"):
        assert text in first
    assert first == second


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jpg", "a.jpg does not end .* accepted: .png, .svg, .pdf, or a directory"), ("no/a.png", "make it first")],
)
def test_refused(analysis: dqnn.exporter.analyze.analysis.Analysis, tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(PlotError, match=text):
        analysis.plot(tmp_path / name)


def test_without_matplotlib(cli: Cli, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = cli("analyze", digits / "digits_larq.h5", "--plot", "a.png")
    assert result.exit_code == 2 and "pip install 'dqnn[plot]'" in result.stderr


def test_bench_draws_its_nodes(cli: Cli, digits: Path, require_tool: Callable[[str], str]) -> None:
    require_tool("arm-none-eabi-gcc")
    for module in ("matplotlib", "unicorn"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    dqnn.export(digits / "digits_larq.h5", "m.dqnn")
    result = cli("bench", "m.dqnn", "--chart", "chart.svg")
    assert "with loader and interpreter; each kernel's own part: conv_" in " ".join(result.stdout.split())
    assert result.exit_code == 0 and "same bytes as the host" in result.stdout, result.output
    chart = Path("chart.svg").read_text()
    assert "1 quant_conv2d_1" in chart and "Estimated cycles by layer, cortex-m4" in chart
    assert cli("bench", "m.dqnn", "--target", "host", "--chart", "a.svg").exit_code == 2


def test_commands(cli: Cli, digits: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    Path("bench.json").write_text(json.dumps(BENCH))
    result = cli("analyze", digits / "digits_larq.h5", "--bench", "bench.json", "--plot", "a.svg", "--html", "a.html")
    assert result.exit_code == 0, result.output
    for page in (Path("a.svg").read_text(), Path("a.html").read_text()):
        assert "Estimated cycles by layer, cortex-m4" in page
    assert "28.6%" in result.stdout and "estimated cycles  21 on cortex-m4" in result.stdout
