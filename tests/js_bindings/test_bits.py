"""dqnn.wasm gives the host's bytes, in Node and in Chromium: every golden file and example with all inner tensors,
small files for every kernel; and it refuses with the host's words what the host refuses."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from c import make_blobs
from js_bindings.models import Model, differing, expected, in_browser, in_node, write

import dqnn

ROOT = Path(__file__).resolve().parents[2]
HUGE = {"border_walk"}  # a valid file that wants a gigabyte


def golden() -> Iterator[Model]:
    for path in sorted((ROOT / "schema" / "golden").glob("*/*.dqnn")):
        with np.load(path.with_suffix(".npz")) as arrays:
            inputs = [arrays[f"in{n}"] for n in range(sum(name.startswith("in") for name in arrays))]
        yield Model(f"{path.parent.name}-{path.stem}", path.read_bytes(), inputs, details=True)


def examples(digits: Path) -> Iterator[Model]:
    images = np.load(digits / "digits_test.npz")["x"]
    for name, x in {
        "digits_larq.h5": images, "digits_qkeras.h5": images, "digits_brevitas.onnx": images.transpose((0, 3, 1, 2))
    }.items():  # fmt: skip
        blob = dqnn.export(digits / name).blob
        yield Model(name, blob, dqnn.Interpreter(blob).to_stored(x), details=True)


def drawn(blob: bytes, seed: int, count: int = 2) -> list[Any]:
    """Stored values for every input: any codes, floats of moderate size, bits with clean tails."""
    rng = np.random.default_rng(seed)
    found = []
    for info in dqnn.Interpreter(blob).inputs:
        reals = rng.normal(0, 3, (count, *info.shape)).astype(np.float32)
        if info.dtype == "s8":
            found.append(rng.integers(0, 256, (count, *info.shape)).astype(np.uint8).view(info.stored_dtype))
        else:
            found.append(dqnn.pack_s1(reals) if info.dtype == "s1" else reals)
    return found


def damaged() -> Iterator[Model]:
    """Released files cut short, with bits flipped, and with bits flipped under checksums that hold."""
    paths = sorted((ROOT / "schema" / "golden" / "0.1.0").glob("*.dqnn"))
    for path in paths:
        blob, random = path.read_bytes(), Random(path.stem)
        for length in (0, 3, 63, 64, len(blob) // 2, len(blob) - 1):
            yield Model(f"{path.stem}-{length}", blob[:length])
        for number in range(40):
            changed = bytearray(blob)
            at = random.randrange(0 if number % 4 == 0 else 64, len(blob))
            changed[at] ^= 1 << random.randrange(8)
            yield Model(f"{path.stem}-flip{number}", bytes(changed) if number % 4 == 0 else sealed(changed))


def sealed(blob: bytearray) -> bytes:
    """With the checksums of its bytes: of the payload, then of the prefix (schema/SPEC.md section 1)."""
    struct.pack_into("<I", blob, 16, zlib.crc32(blob[64:]))
    struct.pack_into("<I", blob, 60, zlib.crc32(blob[:60]))
    return bytes(blob)


def made(script: str, folder: Path) -> Iterator[Model]:
    """Files of a script that writes them without the exporter, with inputs for those that load."""
    subprocess.run([sys.executable, ROOT / "tests" / script, folder], check=True)
    for number, path in enumerate(sorted(folder.glob("*.dqnn"))):
        if path.stem not in HUGE:
            yield with_inputs(Model(f"{folder.name}-{path.stem}", path.read_bytes()), number)


def with_inputs(model: Model, seed: int) -> Model:
    try:
        return replace(model, inputs=drawn(model.blob, seed))
    except dqnn.BlobError:
        return model


@pytest.fixture(scope="module")
def models(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Model], Path]:
    """All of them, and the folder where they lie."""
    folders = [tmp_path_factory.mktemp(name) for name in ("models", "seeds", "regressions")]
    flips = [with_inputs(model, number) for number, model in enumerate(damaged())]
    found = [
        *golden(),
        *examples(digits),
        *made("fuzz/make_seeds.py", folders[1]),
        *made("c/make_regressions.py", folders[2]),
        *flips,
    ]
    write(found, folders[0])
    return found, folders[0]


def test_the_cases_are_what_they_should_be(models: tuple[list[Model], Path]) -> None:
    """Many run, many are refused, for many reasons."""
    loaded = [model for model in models[0] if model.inputs]
    assert len(loaded) > 1000
    kernels = {node.kernel for model in loaded for node in dqnn.Interpreter(model.blob).nodes}
    assert kernels == {row["name"] for row in dqnn._core.kernels()}
    answers = [expected(model) for model in models[0] if not model.inputs]
    reasons = [answer["error"] for answer in answers if "error" in answer]
    assert len(reasons) > 200 and len({reason["check"] for reason in reasons}) > 25
    assert len({reason["status"] for reason in reasons}) > 8


def test_node_gives_the_hosts_bytes(models: tuple[list[Model], Path], package: Path, node: str) -> None:
    assert differing(models[0], in_node(node, package, models[1])) == []


def test_rows_are_fed(package: Path, node: str, tmp_path: Path) -> None:
    """However many come at a time; and a frame that was lost is forgotten."""
    blob = make_blobs.blob(make_blobs.fed())
    image = np.random.default_rng(0).normal(0, 20, (16, 4, 4)).astype(np.float32)
    (tmp_path / "fed.dqnn").write_bytes(blob)
    code = """
    const [, entry, file, values] = process.argv;
    const { Interpreter } = await import(entry);
    const it = await Interpreter.open(file, { warn() {} });
    const image = Float32Array.from(JSON.parse(values));
    const fed = [[1, 1, 1, 13], [16], [3, 5, 8]].map((parts) => {
      it.feedRows(image.subarray(0, 32)); // lost
      it.feedAnew();
      let at = 0;
      const missing = parts.map((rows) => it.feedRows(image.subarray(16 * at, 16 * (at += rows))));
      it.invoke();
      return { missing: missing.at(-1), values: Array.from(it.getOutput()) };
    });
    it.setInput(0, image);
    it.invoke();
    fed.push({ missing: 0, values: Array.from(it.getOutput()) }, { missing: 0, values: Array.from(it.predict(image)) });
    console.log(JSON.stringify(fed));
    """
    words = [node, "--input-type=module", "-e", code, "--", package / "node.js", tmp_path / "fed.dqnn"]
    done = subprocess.run([*words, json.dumps(image.ravel().tolist())], capture_output=True, text=True, check=True)
    (wanted,) = dqnn.Interpreter(blob).predict(image[np.newaxis])
    for found in json.loads(done.stdout):
        assert found == {"missing": 0, "values": wanted.ravel().tolist()}


def test_chromium_gives_the_hosts_bytes(models: tuple[list[Model], Path], package: Path, browser: Any) -> None:
    assert differing(models[0], in_browser(browser, package, models[1])) == []
