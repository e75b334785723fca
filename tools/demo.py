"""`make demo`: exports the two digits models and runs them on this machine and on an emulated Cortex-M4.

Everything a user would do by hand is done here with the same commands: `dqnn-export` for the files, `dqnn.Interpreter`
for the host, `dqnn.exporter.targets` for QEMU. The accuracy of Keras comes from outputs stored beside the test set, so
that no TensorFlow is needed. Exits with 1 if a board's byte differs from the host's, or a decision from Keras'."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dqnn import Interpreter
from dqnn.exporter.targets.emulated import QemuRunner
from dqnn.exporter.targets.runner import Stats
from dqnn.exporter.targets.target import find_target

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
MODELS = ("larq", "qkeras")
BOARD = "qemu:mps2-an386"
BOARD_IMAGES = 100
TABLE_WIDTH = 100
TITLE = "What runs on the microcontroller"
README = ROOT / "README.md"
EXPORT = Path(sys.executable).with_name("dqnn-export")


@dataclass(frozen=True)
class Result:
    """One model: its file, and what Keras, the host and the board made of the test set."""

    path: Path
    interpreter: Interpreter
    labels: NDArray[np.int64]
    keras: NDArray[np.float32]
    host: NDArray[np.float32]
    board: NDArray[np.float32]
    stats: Stats

    @property
    def differing_bytes(self) -> int:
        """Between board and host, on the images that both saw."""
        same = self.host[: len(self.board)]
        return int(np.count_nonzero(same.view(np.uint8) != self.board.view(np.uint8)))

    @property
    def other_decisions(self) -> int:
        """Images that the host puts into another class than Keras."""
        return int(np.count_nonzero(self.host.argmax(axis=1) != self.keras.argmax(axis=1)))


@contextmanager
def timed(label: str) -> Iterator[None]:
    """Says what is going on before, and how long it took after."""
    print(f"  {label} ...", flush=True)
    start = time.perf_counter()
    yield
    print(f"  done in {time.perf_counter() - start:.2f} s", flush=True)


def shown(path: Path) -> str:
    """The path as one would type it in the repository."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def export(source: Path, path: Path) -> None:
    """Run dqnn-export as a user would, showing what it prints."""
    print(f"\n$ dqnn-export {shown(source)} -o {shown(path)}", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    subprocess.run([str(EXPORT), shown(source), "-o", shown(path)], cwd=ROOT, check=True)
    print(f"  exported in {time.perf_counter() - start:.2f} s")


def run(name: str, out: Path, images: int) -> Result:
    """Export one model and run the test set: all of it here, the first images on the board."""
    path = out / f"digits_{name}.dqnn"
    export(DIGITS / f"digits_{name}.h5", path)
    data = np.load(DIGITS / "digits_test.npz")
    x = data["x"]
    interpreter = Interpreter(path)
    with timed(f"host: {len(x)} images"):
        host = np.asarray(interpreter.predict(x))
    with timed(f"{BOARD}, a Cortex-M4: {images} images"):
        result = counting(BOARD).run(path.read_bytes(), interpreter.to_stored(x[:images]))
    board = np.asarray(interpreter.from_stored(result.outputs))
    return Result(path, interpreter, data["y"], data[f"keras_{name}"], host, board, result.stats)


def counting(board: str) -> QemuRunner:
    """An emulated board that counts instructions."""
    runner = find_target(board).runner
    assert isinstance(runner, QemuRunner)
    return replace(runner, count_instructions=True)


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> str:
    right = int(np.count_nonzero(outputs.argmax(axis=1) == labels[: len(outputs)]))
    return f"{right / len(outputs):.1%} ({right} of {len(outputs)})"


def report(results: list[Result]) -> Table:
    """One column per model."""
    table = Table("", *(result.path.stem for result in results), title=TITLE)
    part = len(results[0].board)
    rows = [
        ("file", [f"{r.path.stat().st_size:,} B" for r in results]),
        ("arena (activations, input, output)", [f"{r.interpreter.arena_bytes:,} B" for r in results]),
        ("RAM (arena and interpreter state, on the M4)", [f"{r.stats.memory_bytes:,} B" for r in results]),
        (
            f"instructions for an image on the M4, mean of {part}",
            [f"{r.stats.instructions or 0:,.0f}" for r in results],
        ),
        ("accuracy of Keras (stored outputs)", [accuracy(r.keras, r.labels) for r in results]),
        ("accuracy on the host", [accuracy(r.host, r.labels) for r in results]),
        ("accuracy on the M4", [accuracy(r.board, r.labels) for r in results]),
        (f"the same {part} images in Keras", [accuracy(r.keras[:part], r.labels) for r in results]),
        ("images classified otherwise than by Keras", [str(r.other_decisions) for r in results]),
        ("largest difference from Keras' probabilities", [f"{np.abs(r.host - r.keras).max():.1e}" for r in results]),
        (f"differing bytes, host and M4, of {results[0].board.nbytes:,}", [str(r.differing_bytes) for r in results]),
    ]
    for label, values in rows:
        table.add_row(label, *values)
    return table


def substituted(page: str, pattern: str, replacement: str) -> str:
    """The page with the one place that matches replaced."""
    page, count = re.subn(pattern, lambda _: replacement, page, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{README.name}: {count} places match {pattern!r}, expected one")
    return page


def update_readme(table: Table, larq: Result) -> None:
    """Puts the table, as plain text, between its fences, and the Larq model's figures beside those of other tools."""
    console = Console(file=StringIO(), width=TABLE_WIDTH, highlight=False)
    with console.capture() as capture:
        console.print(table)
    text = "\n".join(line.rstrip() for line in capture.get().splitlines())
    page = README.read_text(encoding="utf-8")
    page = substituted(page, rf"^```\n[^`]*{TITLE}[^`]*^```$", f"```\n{text}\n```")
    for label, figure in (
        ("model in flash", f"{larq.path.stat().st_size:,} B, all of the file"),
        ("activations", f"{larq.interpreter.arena_bytes:,} B"),
        ("RAM with interpreter state", f"{larq.stats.memory_bytes:,} B"),
    ):
        page = substituted(page, rf"^\| {label} \| [^|]* \|", f"| {label} | {figure} |")
    README.write_text(page, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "demo", help="directory for the .dqnn files")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--images", type=int, default=BOARD_IMAGES, help="images that the emulated board runs")
    arguments = parser.parse_args()

    results = [run(name, arguments.out.resolve(), arguments.images) for name in MODELS]
    print()
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)
    table = report(results)
    console.print(table)
    if arguments.update_readme:
        update_readme(table, results[0])
    print("files: " + "  ".join(shown(result.path) for result in results))
    print(f"look inside: .venv/bin/dqnn inspect {shown(results[0].path)}")
    wrong = sum(result.differing_bytes + result.other_decisions for result in results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
