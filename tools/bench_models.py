"""Whole networks on an emulated core: builds them in Keras (random weights), exports, counts; prints Markdown.

python tools/bench_models.py [--target cortex-m4] [--rows]

Needs TensorFlow, Larq and QKeras (pip install dqnn[keras]). --rows prints the table "Rows at a time" of
docs/benchmarks.md: networks that run in strips, of MLPerf Tiny those in the folder DQNN_MLPERF_TINY, if it is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
from networks import LARGE, MODELS

MODES: dict[str, dict[str, Any]] = {
    "off": {"optimize": "size"},
    "auto": {"rows": "auto"},
    "least": {"rows": "least"},
    "auto, fed by rows": {"rows": "auto", "feed_rows": True},
    "least, fed by rows": {"rows": "least", "feed_rows": True},
}
STRIPS = ("SmallCifar", "1-D CNN, 16,000 samples", "QuickNet-like, 64 px")
# File, and a mode of its own: the smallest arena for at most 2.5 % more cycles.
MLPERF: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "MLPerf Tiny ResNet-8": ("pretrainedResnet_quant.tflite", {"--arena 20100": {"rows": "auto", "arena": 20100}}),
    "MLPerf Tiny visual wake words": ("vww_96_int8.tflite", {}),
}


def row_models() -> dict[str, Callable[[], Any]]:
    """What --rows compares."""
    folder = os.environ.get("DQNN_MLPERF_TINY")
    if folder is None:
        click.echo("DQNN_MLPERF_TINY is not set: no networks of MLPerf Tiny", err=True)
    files = {} if folder is None else {name: Path(folder) / file for name, (file, _) in MLPERF.items()}
    return {
        **{name: partial(Path, path) for name, path in files.items()},
        **LARGE,
        **{name: MODELS[name] for name in STRIPS},
    }


def measure(model: Any, folder: Path, target: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON of `dqnn bench` for one model, exported with these options."""
    import dqnn

    path = folder / "model.dqnn"
    dqnn.export(model, path, **(options or {}))
    command = [sys.executable, "-m", "dqnn.exporter", "bench", str(path), "--target", target, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@click.command(help="Measure whole networks on an emulated core.")
@click.option("--target", default="cortex-m4", show_default=True)
@click.option("--only", default="", help="Models whose name contains this.")
@click.option("--rows", is_flag=True, help="Each with rows off, auto, least, and fed by rows: arena, cycles, load.")
def main(target: str, only: str, rows: bool) -> None:
    if rows:
        compare_rows({name: build for name, build in row_models().items() if only.lower() in name.lower()}, target)
        return
    click.echo("| model | MACs | instructions | cycles (est.) | arena | stack | file |\n|---|---|---|---|---|---|---|")
    for name, build in MODELS.items():
        if only.lower() not in name.lower():
            continue
        with tempfile.TemporaryDirectory() as folder:
            result = measure(build(), Path(folder), target)
        cycles = "-" if result.get("cycles") is None else f"{result['cycles']:,}"
        sizes = " | ".join(f"{result[key]:,} B" for key in ("arena_bytes", "stack_bytes", "file_bytes"))
        macs = sum(node["macs"] for node in result["nodes"])
        click.echo(f"| {name} | {macs:,} | {result['instructions']:,} | {cycles} | {sizes} |")


def compare_rows(models: dict[str, Callable[[], Any]], target: str) -> None:
    """Cycles (instructions, where there is no timing model) against those of `off`."""
    click.echo("| | arena | cycles | load, instructions |\n|---|---|---|---|")
    for name, build in models.items():
        model, first = build(), dict[str, Any]()
        for mode, options in {**MODES, **MLPERF.get(name, ("", {}))[1]}.items():
            with tempfile.TemporaryDirectory() as folder:
                result = measure(model, Path(folder), target, options)
            first = first or result
            key = "instructions" if result.get("cycles") is None else "cycles"
            cycles, load = f"{result[key]:,}", f"{result['init_instructions']:,}"
            if result is not first:
                cycles += f", {result[key] / first[key] - 1:+.1%}"
                load = f"{result['init_instructions'] - first['init_instructions']:+,}"
            click.echo(f"| {name}, {mode} | {result['arena_bytes']:,} B | {cycles} | {load} |")


if __name__ == "__main__":
    main()
