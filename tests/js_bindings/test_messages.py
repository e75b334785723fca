"""Wrong arguments are refused, and odd values warned of, in the sentences of the Python package."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bindings.test_interpreter import product_file
from c import make_blobs

from dqnn import Interpreter

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
NAN = float("nan")


ZEROS = """
const zeros = (n, ...rest) => Array.from({ length: n }, () => (rest.length ? zeros(...rest) : 0));
"""

# Model, JavaScript, the same in Python. Lists of JavaScript are arrays of float64.
CALLS: list[tuple[str, str, Callable[[Interpreter], Any]]] = [
    ("product", "it.setInput('other', [1])", lambda it: it.set_input("other", [1.0])),
    ("product", "it.setInput(2, [1])", lambda it: it.set_input(2, [1.0])),
    ("product", "it.setInput(-1, [1])", lambda it: it.set_input(-1, [1.0])),
    ("product", "it.setInput(1.5, [1])", lambda it: it.set_input(1.5, [1.0])),  # type: ignore[arg-type]
    ("product", "it.getOutput('other')", lambda it: it.get_output("other")),
    ("product", "it.getOutput(0)", lambda it: it.get_output(0)),
    ("product", "it.setInput('values', zeros(2, 34))", lambda it: it.set_input("values", np.zeros((2, 34)))),
    ("product", "it.setInput('values', zeros(3, 2, 35))", lambda it: it.set_input("values", np.zeros((3, 2, 35)))),
    ("product", "it.setInput('values', new Float32Array(69))", lambda it: it.set_input("values", np.zeros(69))),
    ("product", "it.setInput('values', [])", lambda it: it.set_input("values", [])),
    ("product", "it.setInput('values', [[1, 2], [3]])", lambda it: it.set_input("values", [[1.0, 2.0], [3.0]])),
    (
        "product",
        "const x = zeros(2, 35); x[1][3] = NaN; it.setInput('values', x)",
        lambda it: it.set_input("values", holed((2, 35), (1, 3))),
    ),
    (
        "product",
        "it.setInput('signs', new Uint32Array(4).fill(-1), { raw: true })",
        lambda it: it.set_input("signs", np.full((2, 2), 0xFFFFFFFF, np.uint32), raw=True),
    ),
    (
        "product",
        "it.setInput('values', new Float64Array(70), { raw: true })",
        lambda it: it.set_input("values", np.zeros((2, 35)), raw=True),
    ),
    (
        "product",
        "it.setInput('signs', new Uint8Array(70).fill(1, 3))",
        lambda it: it.set_input("signs", ones_after(3, (2, 35))),
    ),
    (
        "product",
        "it.setInput('signs', new Int16Array(70).fill(1, 3))",
        lambda it: it.set_input("signs", ones_after(3, (2, 35)).astype(np.int16)),
    ),
    ("product", "it.predict({ signs: zeros(1, 2, 35) })", lambda it: it.predict({"signs": np.zeros((1, 2, 35))})),
    (
        "product",
        "it.predict({ signs: 0, values: 0, more: 0, again: 0 })",
        lambda it: it.predict({"signs": 0, "values": 0, "more": 0, "again": 0}),
    ),
    (
        "product",
        "it.predict([zeros(1, 2, 35), zeros(2, 2, 35)])",
        lambda it: it.predict([np.zeros((1, 2, 35)), np.zeros((2, 2, 35))]),
    ),
    (
        "product",
        "it.predict([zeros(2, 35), zeros(1, 2, 35)])",
        lambda it: it.predict([np.zeros((2, 35)), np.zeros((1, 2, 35))]),
    ),
    (
        "product",
        "const x = zeros(3, 2, 35); x[2][0][1] = NaN; it.predict([zeros(3, 2, 35), x])",
        lambda it: it.predict([np.zeros((3, 2, 35)), holed((3, 2, 35), (2, 0, 1))]),
    ),
    ("product", "it.profile(0)", lambda it: it.profile(0)),
    ("bits", "it.predict(new Uint8Array(875).fill(200))", lambda it: it.predict(np.full((1, 5, 5, 35), 200, np.uint8))),
    (
        "bits",
        "it.setInput(0, new Int8Array(875).fill(100))",
        lambda it: it.set_input(0, np.full((5, 5, 35), 100, np.int8)),
    ),
    (
        "bits",
        "it.setInput(0, new Int32Array(875).fill(-99))",
        lambda it: it.set_input(0, np.full((5, 5, 35), -99, np.int32)),
    ),
    (
        "bits",
        "it.setInput(0, new Float32Array(875).fill(70))",
        lambda it: it.set_input(0, np.full((5, 5, 35), 70, np.float32)),
    ),
    (
        "bits",
        "it.setInput(0, new Float32Array(875).fill(65.25))",
        lambda it: it.set_input(0, np.full((5, 5, 35), 65.25, np.float32)),
    ),
    ("bits", "it.setInput(0, new Float32Array(875).fill(1e30, 0, 30))", lambda it: it.set_input(0, spiked(30))),
    ("bits", "it.predict(zeros(1, 35, 5, 5))", lambda it: it.predict(np.zeros((1, 35, 5, 5)))),
    (
        "bits",
        "it.setInput(0, new Uint8Array(875), { raw: true })",
        lambda it: it.set_input(0, np.zeros((5, 5, 35), np.uint8), raw=True),
    ),
    ("larq", "it.setInput(0, zeros(28, 28))", lambda it: it.set_input(0, np.zeros((28, 28)))),
    ("larq", "it.predict(zeros(28, 28, 1))", lambda it: it.predict(np.zeros((28, 28, 1)))),
    ("larq", "it.predict(new Float32Array(783))", lambda it: it.predict(np.zeros(783))),
    ("larq", "it.feedRows(new Float32Array(28))", lambda it: it.feed_rows(np.zeros((1, 28, 1)))),
    ("fed", "it.feedRows(zeros(99, 4, 4))", lambda it: it.feed_rows(np.zeros((99, 4, 4)))),
    ("fed", "it.feedRows(new Float32Array(5))", lambda it: it.feed_rows(np.zeros(5))),
    ("fed", "it.feedRows(zeros(4, 4)); it.invoke()", lambda it: (it.feed_rows(np.zeros((4, 4))), it.invoke())),
]


def holed(shape: tuple[int, ...], place: tuple[int, ...]) -> Any:
    array = np.zeros(shape)
    array[place] = NAN
    return array


def ones_after(zeros: int, shape: tuple[int, ...]) -> Any:
    array = np.ones(shape, np.uint8)
    array.ravel()[:zeros] = 0
    return array


def spiked(count: int) -> Any:
    array = np.zeros((5, 5, 35), np.float32)
    array.ravel()[:count] = 1e30
    return array


@pytest.fixture(scope="module")
def blobs() -> dict[str, bytes]:
    larq = (ROOT / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn").read_bytes()
    fed = make_blobs.blob(make_blobs.fed())
    return {
        "fed": fed,
        "product": make_blobs.blob(product_file()),
        "bits": make_blobs.blob(make_blobs.bits()),
        "larq": larq,
    }


@pytest.fixture(scope="module")
def said(
    blobs: dict[str, bytes], package: Path, node: str, tmp_path_factory: pytest.TempPathFactory
) -> list[list[str]]:
    folder = tmp_path_factory.mktemp("messages")
    for name, blob in blobs.items():
        (folder / f"{name}.dqnn").write_bytes(blob)
    (folder / "calls.json").write_text(json.dumps([{"model": m, "code": ZEROS + code} for m, code, _ in CALLS]))
    words = [node, HERE / "messages.mjs", package / "node.js", folder]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def in_python(blob: bytes, call: Callable[[Interpreter], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            call(Interpreter(blob))
        except (ValueError, RuntimeError) as error:
            return [f"{'Error' if isinstance(error, RuntimeError) else 'ValueError'}: {error}"]
    return [str(warning.message) for warning in warned]


# What is written otherwise in the two languages.
TRANSLATED = {
    "raw=True": "raw: true",
    "add a batch dimension: x[None]": "add a batch dimension: [x]",
    "x.transpose(0, 2, 3, 1)": "move the first axis of a sample to the end",
    "give predict a dict with": "give predict an object with",
}


@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda number: CALLS[number][1][-50:])
def test_same_sentence(number: int, blobs: dict[str, bytes], said: list[list[str]]) -> None:
    model, _, call = CALLS[number]
    wanted = in_python(blobs[model], call)
    for python, javascript in TRANSLATED.items():
        wanted = [text.replace(python, javascript) for text in wanted]
    assert said[number] == wanted


def test_most_calls_say_something(said: list[list[str]]) -> None:
    assert sum(bool(one) for one in said) >= len(CALLS) - 1
