"""The HTML report in a real browser: it renders at desktop and phone width, without console errors, side scroll or text
that is cut or too small."""

from __future__ import annotations

import html
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dqnn
from dqnn.exporter.analyze.analysis import analyze
from dqnn.exporter.analyze.html import report_html

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"),
    "--virtual-time-budget=2000",
)
# Measures the report inside its frame: a browser's window has a least width of 500 pixels, a frame has none.
PROBE = """<script>window.addEventListener("load", () => { const page = document.documentElement;
const shown = [...document.querySelectorAll("body *")].filter(e => e.getClientRects().length);
const own = shown.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
const box = document.querySelector("main").getBoundingClientRect();
const outside = own.filter(e => !e.closest(".network, .scroll") && e.getBoundingClientRect().right > box.right + 1);
const found = {scroll: page.scrollWidth, client: page.clientWidth,
  sections: document.querySelectorAll("section").length,
  svgs: [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect().height),
  bars: [...document.querySelectorAll(".bar i")].map(b => b.getBoundingClientRect().width),
  outside: outside.map(e => e.textContent.slice(0, 40)),
  font: Math.min(...own.map(e => parseFloat(getComputedStyle(e).fontSize)))};
const pre = parent.document.createElement("pre"); pre.id = "probe"; pre.textContent = JSON.stringify(found);
parent.document.body.append(pre); });</script>"""
BENCH = {
    "schema": "dqnn.bench/1",
    "target": "cortex-m4",
    "cycles": 21,
    "instructions": 20,
    "nodes": [
        {"kernel": kernel, "instructions": 1, "cycles": cycles}
        for kernel, cycles in zip(
            ("conv_f32_s1_s1", *["conv_s1_s1_s1"] * 3, "convh_s1_s1_f32", "softmax_f32"), range(6, 0, -1), strict=True
        )
    ],
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> str:
    """With everything in it."""
    path = tmp_path_factory.mktemp("report") / "digits.dqnn"
    dqnn.export(digits / "digits_larq.h5", path)
    data = np.load(digits / "digits_test.npz")
    validation = dqnn.validate(
        path, digits / "digits_larq.h5", data["x"][:32], labels=data["y"][:32], original="evaluator", per_layer=True
    )
    return report_html(analyze(digits / "digits_larq.h5", target="stm32f411", bench=BENCH, validation=validation))


@pytest.fixture(scope="module")
def browser(require_tool: Callable[..., str]) -> str:
    return require_tool("chromium", "chromium-browser")


def measured(page: str, width: int, browser: str, tmp_path: Path) -> dict[str, Any]:
    """What the probe finds in a frame of this width."""
    inner = html.escape(page.replace("</body>", PROBE + "</body>"), quote=True)
    outer = tmp_path / "frame.html"
    style = f"border: 0; width: {width}px; height: 9000px"
    outer.write_text(f'<body style="margin: 0"><iframe style="{style}" srcdoc="{inner}"></iframe></body>')
    command = [browser, *FLAGS, "--window-size=1400,3000", f"--user-data-dir={tmp_path}", "--dump-dom", outer.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert '<pre id="probe">' in done.stdout, done.stderr[-500:]
    assert "CONSOLE" not in done.stderr, done.stderr
    found: dict[str, Any] = json.loads(html.unescape(done.stdout.split('<pre id="probe">')[1].split("</pre>")[0]))
    return found


@pytest.mark.parametrize("width", [1280, 400])
def test_report_renders(page: str, width: int, browser: str, tmp_path: Path) -> None:
    found = measured(page, width, browser, tmp_path)
    assert found["scroll"] <= found["client"] == width, "the page scrolls sideways"
    assert not found["outside"] and found["font"] >= 12
    assert found["sections"] == 9  # advice, memory, network, operations, weights, cycles, validation, nodes, summary
    assert len(found["svgs"]) == 2 and min(found["svgs"]) > 200
    assert len(found["bars"]) == 4 + 5 + 6 + 6 and min(found["bars"]) >= 2


def test_report_is_self_contained(page: str) -> None:
    assert "http" not in page and "<script" not in page and "url(" not in page


def test_report_says_what_was_found_out(page: str) -> None:
    for text in (
        "fits",
        "Every tensor agrees",
        "Estimated cycles by layer, cortex-m4",
        "float evaluator",
        "C / labels",
    ):
        assert text in page
    assert "430,336 that a tool without fusion would count" in page


def test_names_cannot_break_the_page(digits: Path) -> None:
    blob = dqnn.export(digits / "digits_larq.h5", name="<b>&\"'</b>").blob
    assert "<b>&" not in report_html(analyze(blob))


def test_a_notebook_shows_the_summary_and_the_page(digits: Path) -> None:
    shown = analyze(digits / "digits_larq.h5")._repr_html_()
    assert "93,556 items" in shown and "first layer is float" in shown
    assert html.unescape(shown.split('srcdoc="')[1].split('" style')[0]).startswith("<!doctype html>")


@pytest.mark.tf
def test_a_network_with_branches(browser: str, tmp_path: Path) -> None:
    import zoo

    found = measured(report_html(analyze(zoo.quicknet())), 400, browser, tmp_path)
    assert found["scroll"] <= found["client"] and not found["outside"]
