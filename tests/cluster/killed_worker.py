"""A validation on a cluster of processes, one of which is killed, beside the same on this machine:

    python tests/cluster/killed_worker.py 100000

Prints both times, and fails unless the reports are equal, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dqnn

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
MODEL = DIGITS / "digits_larq.h5"


def samples(count: int) -> tuple[Any, Any]:
    """As many digits as asked for, none like another: those of the test set with noise of their own."""
    with np.load(DIGITS / "digits_test.npz") as file:
        x, y = file["x"], file["y"]
    rng = np.random.default_rng(1)
    noisy = np.resize(x, (count, *x.shape[1:])) + rng.normal(0, 0.1, (count, *x.shape[1:])).astype(np.float32)
    return np.clip(noisy, -1, 1).astype(np.float32), np.resize(y, count)


def killer(processes: Callable[[], list[int]], said: list[int]) -> Any:
    """Progress that kills the first worker after a quarter of the samples; `said` gets its process."""

    def tell(_: str, done: int, total: int) -> None:
        if not said and 4 * done >= total:
            said.append(processes()[0])
            os.kill(said[0], signal.SIGKILL)

    return tell


def as_bytes(report: Any) -> bytes:
    return json.dumps(report.to_json()).encode()


def main(count: int) -> None:
    from distributed import LocalCluster

    blob, (x, y) = dqnn.export(MODEL).blob, samples(count)
    with tempfile.TemporaryDirectory() as folder:
        path, given, killed = Path(folder) / "x.npy", {"labels": y, "original": "evaluator", "per_layer": True}, []
        np.save(path, x)
        start = time.perf_counter()
        here = dqnn.validate(blob, MODEL, path, **given)
        print(f"{count:,} images on one machine: {time.perf_counter() - start:.1f} s", flush=True)
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
            tell = killer(lambda: [worker.pid for worker in cluster.workers.values()], killed)
            start = time.perf_counter()
            there = dqnn.validate(blob, MODEL, path, scheduler=cluster.scheduler_address, progress=tell, **given)
            print(f"two worker processes, one killed ({killed}): {time.perf_counter() - start:.1f} s")
    assert killed and as_bytes(here) == as_bytes(there)
    print(f"equal reports of {len(as_bytes(here)):,} bytes")


if __name__ == "__main__":
    main(int(sys.argv[1]))
