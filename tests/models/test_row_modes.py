"""Layers that run for some rows at a time change no byte: the networks of the golden files (examples among them), the
zoo and MLPerf Tiny's models give the same with `rows` off, auto and least, and fed by rows; on this machine and on
emulated boards."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emit.random_plans import compare as compare_random_plans
from emit.test_strips import random_network

import dqnn
from dqnn.exporter.errors import ExportError
from dqnn.exporter.targets.target import find_target

REPO = Path(__file__).resolve().parents[2]
sys.path.append(str(REPO / "schema" / "golden"))
from make import MODELS as GOLDEN  # noqa: E402

MLPERF = os.environ.get("DQNN_MLPERF_TINY", "")
MLPERF_MODELS = ("kws_ref_model.tflite", "ad01_int8.tflite", "pretrainedResnet_quant.tflite", "vww_96_int8.tflite")
BOARDS = ("qemu:mps2-an386", "qemu:mps3-an547")
SAMPLES = 2


def mlperf(name: str) -> Path:
    found = sorted(Path(MLPERF).rglob(name)) if MLPERF else []
    if not found:
        pytest.skip(f"{name} is not in DQNN_MLPERF_TINY={MLPERF}")
    return found[0]


def exports(model: Any) -> dict[str, bytes]:
    """The file in every mode; fed by rows only if it can be."""
    files = {mode: dqnn.export(model, rows=mode).blob for mode in ("off", "auto", "least")}
    for mode in ("auto", "least"):
        try:
            files[f"{mode}, fed"] = dqnn.export(model, rows=mode, feed_rows=True).blob
        except ExportError as error:
            assert "feed_rows" in str(error)
    return files


def stored_inputs(blob: bytes) -> list[Any]:
    rng, it = np.random.default_rng(5), dqnn.Interpreter(blob)
    reals = [rng.uniform(-1, 1, (SAMPLES, *info.shape)).astype(np.float32) for info in it.inputs]
    return it.to_stored(reals if len(reals) > 1 else reals[0])


def same_bytes(files: dict[str, bytes], run: Callable[[bytes, list[Any]], list[bytes]]) -> None:
    inputs = stored_inputs(files["off"])
    expected = run(files["off"], inputs)
    for mode, blob in files.items():
        assert run(blob, inputs) == expected, mode


def on_host(blob: bytes, inputs: list[Any]) -> list[bytes]:
    it = dqnn.Interpreter(blob)
    result = it.predict(inputs if len(inputs) > 1 else inputs[0], raw=True)
    return [array.tobytes() for array in (result.values() if isinstance(result, dict) else [result])]


def on_board(board: str) -> Callable[[bytes, list[Any]], list[bytes]]:
    return lambda blob, inputs: [array.tobytes() for array in find_target(board).run(blob, inputs).outputs]


@pytest.mark.parametrize("name", GOLDEN)
def test_networks_of_the_golden_files(name: str) -> None:
    same_bytes(exports(GOLDEN[name]()), on_host)


@pytest.mark.parametrize("name", MLPERF_MODELS)
def test_mlperf_tiny(name: str) -> None:
    files = exports(mlperf(name))
    assert len(files) == (3 if name.startswith("ad01") else 5)
    same_bytes(files, on_host)


@pytest.mark.tf
@pytest.mark.parametrize("name", ["quicknet", "birealnet", "meliusnet", "qkeras_cnn", "mixed"])
def test_zoo(name: str) -> None:
    pytest.importorskip("tensorflow")
    import zoo
    from compare import randomize

    same_bytes(exports(randomize(getattr(zoo, name)(), seed=3)), on_host)


@cache
def random_files(seed: int) -> dict[str, bytes]:
    return exports(random_network(seed))


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("seed", [2, 5, 8])
def test_boards(seed: int, board: str) -> None:
    files = random_files(seed)
    same_bytes(files, on_board(board))
    inputs = stored_inputs(files["off"])
    assert on_board(board)(files["least"], inputs) == on_host(files["off"], inputs)


@pytest.mark.qemu
@pytest.mark.parametrize("name", ["pretrainedResnet_quant.tflite", "vww_96_int8.tflite"])
def test_mlperf_tiny_on_a_board(name: str) -> None:
    same_bytes(exports(mlperf(name)), on_board(BOARDS[0]))


@pytest.mark.parametrize("seed", range(20))
def test_random_plans_of_random_networks(seed: int) -> None:
    """400 of them; `python tests/emit/random_plans.py` draws more."""
    assert compare_random_plans(random_network(seed), seed) > 0
