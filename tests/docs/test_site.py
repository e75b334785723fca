"""The documentation site: built without a warning, every link leads somewhere, pages fit a screen and a phone, search
finds; and the page that runs models: what it draws of a file is what the exporter says of it, and it answers as the
host does."""
# ruff: noqa: F811  (fixtures of js_bindings)

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from examples.test_pad import DIGITS, close, expected, put_strokes
from js_bindings.conftest import browser, package  # noqa: F401
from js_bindings.web import opened

import dqnn
from dqnn.exporter.blob import liveness, parse

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "schema" / "golden" / "0.1.0"


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` makes."""
    folder = tmp_path_factory.mktemp("site") / "site"
    run(sys.executable, ROOT / "docs" / "site" / "stage.py", folder, cwd=ROOT)
    said = run(Path(sys.executable).parent / "zensical", "build", "--strict", "-f", "mkdocs.yml", cwd=folder)
    assert "No issues found" in said, said
    return folder / "html"


class Page(HTMLParser):
    """Links, what is loaded, and what can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name: value or "" for name, value in attrs}
        self.anchors |= {names[name] for name in ("id", "name") if name in names}
        if tag == "a" and "href" in names:
            self.links.append(names["href"])
        for name in ("src", "href"):
            if tag != "a" and name in names and names.get("rel") not in ("next", "prev", "canonical"):
                self.loaded.append(names[name])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


# ---- the pages ----


def test_every_page_of_the_repository_is_there(site: Path, pages: dict[Path, Page]) -> None:
    written = (ROOT / "docs" / "site" / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert site / page.stem / "index.html" in pages, page.name
        assert page.name in written, f"{page.name} is not in the navigation"
    assert len(pages) > 30


def test_links_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    wrong = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if not (parts.scheme in ("http", "https") and re.fullmatch(r"[\w.-]+\.\w+(:\d+)?", parts.netloc)):
                    wrong.append(f"{path.relative_to(site)}: {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors
            ):
                wrong.append(f"{path.relative_to(site)}: {link}")
    assert wrong == []


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert [link for page in pages.values() for link in page.loaded if urlsplit(link).netloc] == []


def test_docstrings_and_the_header_are_there(site: Path) -> None:
    api = (site / "api" / "index.html").read_text()
    for name in ("Interpreter.set_input", "export", "validate", "callbacks.DeployReport"):
        assert f'id="dqnn.{name}"' in api or f"dqnn.{name}" in api, name
    assert "Sets one input, by index or name" in api
    header = (site / "source" / "interpreter_c" / "include" / "dqnn" / "dqnn.h" / "index.html").read_text()
    assert "dqnn_requirements_of" in header


def test_pages_fit_a_screen_and_a_phone(browser: Any, site: Path, pages: dict[Path, Page]) -> None:
    wide = []
    with opened(browser, {"/": site}, viewport={"width": 1280, "height": 1000}) as page:
        shown = [path for path in pages if "source" not in path.relative_to(site).parts or path.parent.name == "dqnn.h"]
        for path in shown:
            page.set_viewport_size({"width": 1280, "height": 1000})
            page.goto(f"http://dqnn.test/{path.relative_to(site).as_posix()}")
            for width in (1280, 400):
                page.set_viewport_size({"width": width, "height": 1000})
                if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                    wide.append(f"{path.relative_to(site)} at {width}")
    assert wide == []


def test_search_finds_and_the_dark_comes(browser: Any, site: Path) -> None:
    with opened(browser, {"/": site}, "/index.html", viewport={"width": 1280, "height": 1000}) as page:
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        for _ in range(2):
            page.locator("form[data-md-component=palette] label:visible").click()
        assert page.evaluate("document.body.getAttribute('data-md-color-scheme')") == "slate"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
        page.keyboard.press("Control+k")
        page.locator("input:visible").first.wait_for()
        page.keyboard.type("thresholds")
        page.get_by_text(re.compile(r"^\d+ results$")).wait_for()
        page.get_by_text("3.2 Epilogues").wait_for()  # of schema/SPEC.md


def test_versions_are_listed(tmp_path: Path) -> None:
    (tmp_path / "0.0.9").mkdir()
    (tmp_path / "versions.json").write_text('[{"version": "0.0.9", "title": "0.0.9", "aliases": ["latest"]}]')
    run(sys.executable, ROOT / "docs" / "site" / "publish.py", tmp_path, cwd=ROOT)
    listed = json.loads((tmp_path / "versions.json").read_text())
    newest = dqnn.__version__
    assert [(row["version"], row["aliases"]) for row in listed] == [(newest, ["latest"]), ("0.0.9", [])]
    for name in (newest, "latest"):
        assert '"provider":"mike"' in (tmp_path / name / "index.html").read_text().replace(" ", "")
    assert "latest/" in (tmp_path / "index.html").read_text()


# ---- the page that runs models ----


@contextmanager
def trying(browser: Any, site: Path, width: int = 1280, **options: Any) -> Iterator[Any]:
    with opened(browser, {"/": site}, "/try/index.html", viewport={"width": width, "height": 1000}, **options) as page:
        page.wait_for_selector("#layers tr", state="attached")
        yield page


def named(page: Any, name: str) -> None:
    """Waits for the model of that name."""
    page.wait_for_function("name => document.getElementById('name').textContent === name", arg=name)


def draw(page: Any, digit: int) -> str:
    put_strokes(page, digit)
    return str(page.inner_text("#digit"))


def shown(page: Any) -> list[str]:
    return re.findall(r"[\d.]+ %", page.inner_text("#answers"))


@pytest.mark.parametrize(("name", "digits"), [("digits_larq", range(10)), ("digits_qkeras", (0, 3, 7))])
def test_drawn_digits_are_recognized_without_a_server(
    browser: Any, site: Path, name: str, digits: Sequence[int]
) -> None:
    with trying(browser, site) as page:
        page.click(f"[data-model={name}]")
        named(page, name)
        answers = {}
        for digit in digits:
            answers[digit] = draw(page, digit)
            assert close(shown(page), expected(page, GOLDEN / f"{name}.dqnn"))
        assert sum(answer != str(digit) for digit, answer in answers.items()) <= 1, answers
        page.click("#clear")
        assert shown(page) == [] and page.inner_text("#digit") == ""


def test_a_file_is_dropped(browser: Any, site: Path) -> None:
    """As a person does it: a drop with a file. It is shown by the name that it has inside."""
    data = list((GOLDEN / "conv.dqnn").read_bytes())
    with trying(browser, site) as page:
        code = """(data) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(data)], "conv.dqnn"));
          return transfer;
        }"""
        transfer = page.evaluate_handle(code, data)
        page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer})
        page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
        view = parse(bytes(data))
        named(page, view.name)
        assert page.locator("#drawing").is_hidden()
        assert page.locator("#layers tr").count() == 1 + len(view.nodes)


def test_what_it_shows_is_what_the_exporter_says(browser: Any, site: Path) -> None:
    with trying(browser, site) as page:
        for path in sorted(GOLDEN.glob("*.dqnn")):
            view = parse(path.read_bytes())
            page.evaluate("document.getElementById('name').textContent = ''")
            page.set_input_files("#file", path)
            named(page, view.name)
            assert page.locator("#error").is_hidden()
            live = max(liveness(view), key=lambda one: one.total)
            text = page.inner_text("#peak")
            assert f"{live.total:,} B at node {live.index}." in text, f"{path.name}: {text}"
            scratch = sum(bool(node.scratch_bytes) for node in view.nodes)
            used = {port.tensor for port in view.inputs} | {node.output for node in view.nodes}
            assert page.locator(".memory rect").count() == len(used) + scratch + 1
            boxes = len(view.nodes) + len(view.inputs) + len(view.outputs)
            assert page.locator("#network .node").count() == boxes, path.name
            tiles = page.inner_text("#tiles")
            assert f"{len(path.read_bytes()):,} B" in tiles and f"{view.memory_bytes:,} B" in tiles
            assert page.locator("#times .label").count() == len(view.nodes)


def test_bad_files_are_told_and_change_nothing(
    browser: Any,
    site: Path,
    tmp_path: Path,
    digits: Path,
) -> None:
    blob = (GOLDEN / "digits_larq.dqnn").read_bytes()
    bad = {
        "cut.dqnn": blob[:-1],
        "empty.dqnn": b"",
        "flipped.dqnn": blob[:900] + b"\0" + blob[901:],
        "text.dqnn": b"hello" * 99,
    }
    with trying(browser, site) as page:
        assert draw(page, 3) == "3"
        for name, data in bad.items():
            (tmp_path / name).write_bytes(data)
            page.set_input_files("#file", tmp_path / name)
            with pytest.raises(dqnn.BlobError) as refused:
                dqnn.Interpreter(data)
            page.get_by_text(f"{name}: {refused.value}").wait_for()
            assert page.inner_text("#name") == "digits_larq" and page.inner_text("#digit") == "3"
        shutil.copy(digits / "digits_larq.h5", tmp_path)
        page.set_input_files("#file", tmp_path / "digits_larq.h5")
        page.get_by_text("dqnn-export digits_larq.h5 -o digits_larq.dqnn").wait_for()
        page.click("[data-model=digits_qkeras]")
        named(page, "digits_qkeras")
        assert page.locator("#error").is_hidden()
        assert len(shown(page)) == 10  # the strokes are there still


@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_and_a_finger_draws(browser: Any, site: Path, width: int) -> None:
    with trying(browser, site, width, has_touch=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator("#pad").scroll_into_view_if_needed()
        before = page.evaluate("window.scrollY")
        box, touch = page.locator("#pad").bounding_box(), page.context.new_cdp_session(page)
        scale = box["width"] / 560
        points = [{"x": box["x"] + x * scale, "y": box["y"] + y * scale} for x, y in DIGITS[0][0]]
        moves = [("touchStart", points[:1]), *(("touchMove", [point]) for point in points), ("touchEnd", [])]
        for kind, where in moves:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})
        assert page.inner_text("#digit") == "0"
        assert page.evaluate("window.scrollY") == before  # the finger drew, the page stayed
        assert page.evaluate("document.documentElement.scrollWidth") == width
