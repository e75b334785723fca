"""Whole networks on an emulated core: builds them in Keras (random weights), exports, counts; prints Markdown.

python tools/bench_models.py [--target cortex-m4]         needs TensorFlow, Larq and QKeras (pip install dqnn[keras])"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from networks import MODELS


def measure(model: Any, folder: Path, target: str) -> dict[str, Any]:
    """The JSON of `dqnn bench` for one model."""
    import dqnn

    path = folder / "model.dqnn"
    dqnn.export(model, path)
    command = [sys.executable, "-m", "dqnn.exporter", "bench", str(path), "--target", target, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@click.command(help="Measure whole networks on an emulated core.")
@click.option("--target", default="cortex-m4", show_default=True)
@click.option("--only", default="", help="Models whose name contains this.")
def main(target: str, only: str) -> None:
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


if __name__ == "__main__":
    main()
