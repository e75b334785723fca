"""The HTML report in a real browser: it renders at desktop and phone width, without console errors or side scroll."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dqnn.exporter.analyze import analyze
from dqnn.exporter.html_report import Extras, report_html

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"),
    "--virtual-time-budget=2000",
)
PROBE = """<script>window.addEventListener("load", () => { const e = document.documentElement;
const svgs = [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect().height);
const pre = document.createElement("pre"); pre.id = "probe";
pre.textContent = JSON.stringify({scroll: e.scrollWidth, client: e.clientWidth, svgs});
document.body.append(pre); });</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    extras = Extras(
        cycles=(5.0, 4.0, 3.0, 2.0, 1.0, 0.5), validation_header=("row", "ACC"), validation_rows=(("C", "99 %"),)
    )
    html = report_html(analyze(DIGITS / "digits_larq.h5"), extras)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html.replace("</body>", PROBE + "</body>"))
    return path


@pytest.mark.parametrize("width", [1280, 500])
def test_report_renders(page: Path, width: int, tmp_path: Path) -> None:
    if BROWSER is None:
        if os.environ.get("CI") or os.environ.get("DQNN_REQUIRE_TOOLS") == "1":
            pytest.fail("chromium is missing (apt-get install chromium)")
        pytest.skip("chromium is not installed")
    size = f"--window-size={width},2000"
    command = [BROWSER, *FLAGS, size, f"--user-data-dir={tmp_path}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert 'id="probe"' in done.stdout, done.stderr[-500:]
    probe = json.loads(done.stdout.split('<pre id="probe">')[1].split("</pre>")[0])
    assert probe["scroll"] <= probe["client"], "the page scrolls sideways"
    assert len(probe["svgs"]) == 5 and min(probe["svgs"]) > 10
    assert "CONSOLE" not in done.stderr, done.stderr
