"""Fuzzes the readers of models that nobody vouches for, guided by the coverage of our own Python.

    pip install atheris
    python tests/fuzz/readers.py tflite CORPUS -max_total_time=600
    python tests/fuzz/readers.py onnx CORPUS -max_total_time=600

One execution: a file is read as a model or refused by a `DqnnError`; what is read is exported or refused; what is
exported, the interpreter loads and runs. Anything else, more than ten seconds or more than 1 GB is a finding, which
libFuzzer writes to CORPUS and reports. CORPUS is a folder that keeps what was new; an empty one gets seeds first: every
operator's network of the tests, the examples."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import atheris

from dqnn import Interpreter
from dqnn.exporter.api import export
from dqnn.exporter.errors import DqnnError
from dqnn.exporter.frontends import load

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # what seeds are made by


def tflite_seeds() -> Iterator[bytes]:
    from frontends.tflite.cases import CASES
    from frontends.tflite.nets import Net, Value

    yield from (path.read_bytes() for path in (ROOT / "tests/frontends/tflite/data").glob("*.tflite"))
    for build in CASES.values():
        for quantized in (True, False):
            net = Net(1, quantized)
            made = build(net)
            yield net.content(*([made] if isinstance(made, Value) else made))


def onnx_seeds() -> Iterator[bytes]:
    from frontends.onnx.onnx_models import Model
    from frontends.onnx.test_operators import CASES
    from frontends.onnx.test_untrusted import small

    yield from (path.read_bytes() for path in (ROOT / "examples").rglob("*.onnx"))
    yield small().SerializeToString()
    for shape, build, opset in CASES.values():
        model = Model(shape, opset)
        yield model.proto(build(model)).SerializeToString()


SEEDS = {"tflite": tflite_seeds, "onnx": onnx_seeds}


def instrument() -> None:
    """All functions of ours that exist by now, where they are: an editable installation finds them by hooks of its own,
    which those of atheris do not see."""
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and (thing.__module__ or "").startswith("dqnn."):
            atheris.instrument_func(thing)


def fill(corpus: Path, kind: str) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, seed in enumerate(SEEDS[kind]()):
            (corpus / f"seed-{number}").write_bytes(seed)


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in SEEDS:
        sys.exit(__doc__)
    kind, corpus = sys.argv[1], Path(sys.argv[2])
    fill(corpus, kind)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{kind}"

        path.write_bytes(next(corpus.iterdir()).read_bytes())
        load(path)  # imports what this front end is made of
        instrument()

        def execute(data: bytes) -> None:
            path.write_bytes(data)
            try:
                blob = export(path).blob
            except DqnnError as error:
                assert str(error)
                return
            Interpreter(blob).invoke()

        limits = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536", f"-artifact_prefix={corpus}{os.sep}"]
        atheris.Setup([sys.argv[0], *limits, *sys.argv[3:], str(corpus)], execute)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
