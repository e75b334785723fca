"""`make demo`: exports the two digits models and runs them on this machine and on an emulated Cortex-M4.

Everything a user would do by hand is done here with the same commands: `dqnn-export` for the files, `dqnn.Interpreter`
for the host, `dqnn.exporter.target` for QEMU. The accuracy of Keras comes from outputs stored beside the test set, so
that no TensorFlow is needed."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqnn import Interpreter
from dqnn.exporter.target import run_on_target

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
OUT = ROOT / "build" / "demo"
MODELS = ("larq", "qkeras")
BOARD = "qemu:mps2-an386"
BOARD_IMAGES = 100
EXPORT = Path(sys.executable).with_name("dqnn-export")


@dataclass(frozen=True)
class Result:
    """One model's figures; accuracies as fractions of the images given."""

    name: str
    path: Path
    file_bytes: int
    arena_bytes: int
    ram_bytes: int
    keras: float
    host: float
    host_worst: float
    board: float
    board_keras: float
    differing_bytes: int


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float(np.mean(outputs.argmax(axis=1) == labels))


def export(name: str) -> Path:
    """Run dqnn-export as a user would and show what it prints."""
    path = OUT / f"digits_{name}.dqnn"
    command = [str(EXPORT), str(DIGITS / f"digits_{name}.h5"), "-o", str(path)]
    print(f"\n$ dqnn-export examples/digits/digits_{name}.h5 -o {path.relative_to(ROOT)}", flush=True)
    start = time.perf_counter()
    subprocess.run(command, check=True)
    print(f"  exported in {time.perf_counter() - start:.2f} s", flush=True)
    return path


def run(name: str) -> Result:
    """Export one model, run it on both machines and compare."""
    path = export(name)
    data = np.load(DIGITS / "digits_test.npz")
    x, labels, keras = data["x"], data["y"], data[f"keras_{name}"]

    interpreter = Interpreter(path)
    print(f"  host: {len(x)} images ...", end=" ", flush=True)
    start = time.perf_counter()
    host = interpreter.predict(x)
    seconds = time.perf_counter() - start
    print(f"{seconds:.2f} s, {seconds / len(x) * 1e3:.2f} ms an image")

    print(f"  Cortex-M4 in QEMU ({BOARD}): {BOARD_IMAGES} images ...", end=" ", flush=True)
    start = time.perf_counter()
    board = run_on_target(path, BOARD, x[:BOARD_IMAGES])
    print(f"{time.perf_counter() - start:.1f} s")
    differing = np.count_nonzero(board.view(np.uint8) != host[:BOARD_IMAGES].view(np.uint8))

    return Result(
        name=f"digits_{name}",
        path=path,
        file_bytes=path.stat().st_size,
        arena_bytes=interpreter.arena_bytes,
        ram_bytes=interpreter.memory_bytes,
        keras=accuracy(keras, labels),
        host=accuracy(host, labels),
        host_worst=float(np.abs(host - keras).max()),
        board=accuracy(board, labels[:BOARD_IMAGES]),
        board_keras=accuracy(keras[:BOARD_IMAGES], labels[:BOARD_IMAGES]),
        differing_bytes=int(differing),
    )
