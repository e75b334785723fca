"""The digit pad in headless Chromium: real strokes, what the network sees of them, uploads; host and emulated board."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dqnn
from dqnn import link
from dqnn.exporter.device import emulated

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("aiohttp")

# Strokes as people draw them, in a square of 560.
DIGITS: dict[int, list[list[tuple[int, int]]]] = {
    0: [[(280, 90), (180, 130), (140, 280), (180, 430), (280, 470), (380, 430), (420, 280), (380, 130), (280, 90)]],
    1: [[(220, 170), (300, 90), (300, 470)]],
    2: [[(160, 180), (200, 110), (280, 90), (360, 120), (390, 190), (350, 280), (250, 370), (150, 460), (410, 460)]],
    3: [[(170, 120), (280, 90), (370, 130), (370, 220), (270, 270), (380, 320), (390, 410), (290, 470), (170, 440)]],
    4: [[(330, 90), (150, 350), (420, 350)], [(330, 220), (330, 480)]],
    5: [[(390, 90), (190, 90), (175, 260), (290, 230), (390, 290), (390, 400), (290, 470), (160, 440)]],
    6: [[(370, 90), (240, 180), (170, 320), (190, 430), (280, 470), (370, 430), (380, 340), (290, 290), (190, 350)]],
    7: [[(150, 100), (410, 100), (310, 280), (250, 470)]],
    8: [
        [
            (280, 270),
            (180, 190),
            (200, 110),
            (280, 90),
            (360, 110),
            (380, 190),
            (200, 350),
            (190, 450),
            (370, 450),
            (280, 270),
        ]
    ],
    9: [[(370, 200), (290, 110), (200, 130), (180, 220), (250, 280), (350, 240), (370, 180), (370, 330), (330, 470)]],
}
SEEN = "Array.from(document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data)"


@pytest.fixture(scope="module")
def models(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    made = {name: folder / f"digits_{name}.dqnn" for name in ("larq", "qkeras")}
    for name, path in made.items():
        dqnn.export(digits / f"digits_{name}.h5", path, name=f"digits_{name}")
    return made


@pytest.fixture(scope="module")
def browser(require_tool: Callable[..., str]) -> Iterator[Any]:
    path = require_tool("chromium", "chromium-browser")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@contextmanager
def served(repo: Path, model: Path, *arguments: str) -> Iterator[str]:
    """The pad's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, repo / "examples" / "digits" / "pad", model, "--port", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(300):
                assert process.poll() is None, process.stdout and process.stdout.read()
                try:
                    urllib.request.urlopen(address + "/api/progress").close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def pad(repo: Path, models: dict[str, Path]) -> Iterator[str]:
    with served(repo, models["larq"]) as address:
        yield address


@contextmanager
def opened(browser: Any, address: str, width: int = 1280, **options: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
    page, said = context.new_page(), []
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#layers tr")
    yield page
    context.close()
    assert not [text for text in said if not re.search("422|502", text)], said  # what the page tells people


def put_strokes(page: Any, digit: int) -> None:
    """On a cleared pad, with the mouse."""
    page.click("#clear")
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    scale = box["width"] / 560
    for stroke in DIGITS[digit]:
        for i, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x * scale, box["y"] + y * scale, steps=1 if i == 0 else 6)
            if i == 0:
                page.mouse.down()
        page.mouse.up()


def draw(page: Any, digit: int) -> str:
    """Gives what the page answers."""
    put_strokes(page, digit)
    return settled(page)


def settled(page: Any) -> str:
    """The answer to the last image."""
    page.wait_for_selector("html:not([data-busy])", timeout=60_000)
    return str(page.inner_text("#digit"))


def expected(page: Any, model: Path) -> list[str]:
    """What the interpreter makes of the image that the page shows, as it prints it."""
    pixels = np.array(page.evaluate(SEEN), np.uint8).reshape(28, 28, 4)[..., :1]
    scores = dqnn.Interpreter(model).predict(pixels[np.newaxis].astype(np.float32) / np.float32(128) - np.float32(1))[0]
    powers = np.exp(scores.astype(np.float64) - scores.max())
    found = scores if abs(scores.sum() - 1) < 1e-3 and scores.min() >= 0 else powers / powers.sum()
    return [f"{100 * value:.1f} %" for value in found]


def shown(page: Any) -> list[str]:
    return re.findall(r"[\d.]+ %", page.inner_text("#bars"))


def close(first: list[str], second: list[str]) -> bool:
    """To the last digit printed, whose halves JavaScript rounds otherwise."""
    pairs = zip(first, second, strict=True)
    return all(abs(float(a.split()[0]) - float(b.split()[0])) < 0.11 for a, b in pairs)


def test_drawn_digits_are_recognized(browser: Any, pad: str, models: dict[str, Path]) -> None:
    with opened(browser, pad) as page:
        answers = {}
        for digit in DIGITS:
            answers[digit] = draw(page, digit)
            assert close(shown(page), expected(page, models["larq"]))
        assert sum(answer == str(digit) for digit, answer in answers.items()) >= 9, answers
        assert page.inner_text("#device") == "on this machine"
        rows = page.locator("#layers tr").all_inner_texts()
        assert len(rows) == 6 and all("µs" in row or "ms" in row for row in rows)
        page.click("#clear")
        assert shown(page) == [] and page.inner_text("#digit") == "" and not any(page.evaluate(SEEN)[::4])


@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_and_a_finger_draws(browser: Any, pad: str, width: int) -> None:
    with opened(browser, pad, width, has_touch=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        box, touch = page.locator("#pad").bounding_box(), page.context.new_cdp_session(page)
        scale = box["width"] / 560
        points = [{"x": box["x"] + x * scale, "y": box["y"] + y * scale} for x, y in DIGITS[0][0]]
        for kind, where in (
            ("touchStart", points[:1]),
            *(("touchMove", [point]) for point in points),
            ("touchEnd", []),
        ):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})
        assert settled(page) == "0"
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("window.scrollY") == 0  # the finger drew, the page stayed


def test_another_model_while_it_runs(browser: Any, repo: Path, models: dict[str, Path], tmp_path: Path) -> None:
    with served(repo, models["larq"]) as address, opened(browser, address) as page:
        answer = draw(page, 3)
        page.set_input_files("#file", models["qkeras"])
        page.wait_for_selector("#trial:not([hidden])")
        settled(page)
        assert page.inner_text("#model") == "digits_qkeras"
        assert close(shown(page), expected(page, models["qkeras"]))
        wrong = tmp_path / "wrong.dqnn"
        wrong.write_bytes(models["larq"].read_bytes()[:-1])
        page.set_input_files("#file", wrong)
        page.wait_for_selector("#error:not([hidden])")
        assert "truncated" in page.inner_text("#error") and page.inner_text("#model") == "digits_qkeras"
        page.click("#rollback")
        page.wait_for_selector("#trial", state="hidden")
        assert settled(page) == answer and page.inner_text("#model") == "digits_larq"
        assert page.locator("#error").is_hidden()
        page.set_input_files("#file", models["qkeras"])
        page.wait_for_selector("#trial:not([hidden])")
        page.click("#confirm")
        page.wait_for_selector("#trial", state="hidden")
        assert page.inner_text("#model") == "digits_qkeras"


@pytest.mark.qemu
def test_an_emulated_board(browser: Any, repo: Path, models: dict[str, Path], require_tool: Callable[..., str]) -> None:
    """STM32F405 through its USART: it sees the same and says the same, and takes another model."""
    require_tool("arm-none-eabi-gcc")
    board, port = emulated.find_board("qemu:netduinoplus2"), emulated.free_port("127.0.0.1")
    with emulated.running(board, models["larq"].read_bytes(), "127.0.0.1", port):
        wait_for(f"tcp:127.0.0.1:{port}")
        target = ("--target", f"tcp:127.0.0.1:{port}")
        with served(repo, models["larq"], *target) as address, opened(browser, address) as page:
            for digit in (2, 5):
                assert draw(page, digit) == str(digit)
                assert close(shown(page), expected(page, models["larq"]))
            assert page.inner_text("#device").startswith("netduinoplus2 (cortex-m4, 168 MHz) at tcp:")
            page.set_input_files("#file", models["qkeras"])
            page.wait_for_selector("#trial:not([hidden])", timeout=60_000)
            settled(page)
            assert close(shown(page), expected(page, models["qkeras"]))


def test_a_device_that_goes_and_comes_back(browser: Any, repo: Path, models: dict[str, Path]) -> None:
    """A cable that was pulled, say: the page says so, and goes on when it is there again."""
    port = emulated.free_port("127.0.0.1")
    serve = [sys.executable, "-m", "dqnn", "serve", models["larq"], "--tcp", f":{port}"]
    target = ("--target", f"tcp:127.0.0.1:{port}")
    with subprocess.Popen(serve) as first:
        wait_for(f"tcp:127.0.0.1:{port}")
        with served(repo, models["larq"], *target) as address, opened(browser, address) as page:
            assert draw(page, 0) == "0"
            first.terminate()
            first.wait()
            draw(page, 2)
            page.wait_for_selector("#error:not([hidden])")
            with subprocess.Popen(serve) as second:
                wait_for(f"tcp:127.0.0.1:{port}")
                assert draw(page, 3) == "3"
                assert page.locator("#error").is_hidden()
                second.terminate()


def wait_for(address: str) -> None:
    for _ in range(100):
        try:
            link.connect(address).close()
            return
        except link.LinkTimeout:
            raise
        except link.LinkError:
            time.sleep(0.1)


def test_only_its_own_page_is_answered(pad: str) -> None:
    def status(path: str, data: bytes | None = None, **headers: str) -> int:
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            with urllib.request.urlopen(urllib.request.Request(pad + path, data, names)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status("/") == status("/api/state") == 200
    assert status("/api/state", Host="attacker.example") == 403
    assert status("/api/model", b"x", Content_Type="text/plain") == 403  # what a form of another site can send
    assert status("/api/image", b"x", Content_Type="application/octet-stream") == 422
    assert status("/../device.py") == 404 and status("/%2e%2e/device.py") == 404


def test_a_model_for_something_else(repo: Path, tmp_path: Path) -> None:
    golden = next((repo / "schema" / "golden" / "0.1.0").glob("conv.dqnn"))
    command = [sys.executable, repo / "examples" / "digits" / "pad", golden]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1 and "the pad needs a model of 28x28x1 -> 10" in done.stderr
