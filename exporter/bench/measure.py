"""A file measured on a target: under Unicorn where there is a timing model of the core, on an emulated board where
there is none, by the clock on this machine, by its own clock on a device on a link."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dqnn import _core
from dqnn.interpreter import Interpreter

from ..blob import ModelView, parse
from ..errors import DqnnError
from ..ir.types import F32, S1
from ..samples.arrays import fit_inputs, read_inputs
from ..targets.code_size import code_bytes
from ..targets.emulated import QEMU, QemuRunner
from ..targets.host import HOST, HostRunner
from ..targets.linked import LinkRunner
from ..targets.target import Target, cores, find_target
from .cost import ModelCost, NodeCost, Samples, macs_of, random_samples

TIMED = ("cortex-m4", "cortex-m0plus")  # cores with a timing model
HOST_REPEATS = 200
HOST_BATCH = 64
DEVICE_RUNS = 10


class BenchError(DqnnError):
    """A measurement that cannot be made."""


def read_samples(blob: bytes, path: Path, limit: int) -> Samples:
    """The first samples of a .npz, .npy or .csv file as a device is given them."""
    interpreter = Interpreter(blob)
    batch = fit_inputs(read_inputs(interpreter, path), interpreter)
    stored = interpreter.to_stored({name: array[:limit] for name, array in batch.items()})
    return Samples(tuple(tuple(array[at].tobytes() for array in stored) for at in range(len(stored[0]))), path.name)


def measure_by_node(blob: bytes, target: str, samples: Samples | None = None) -> ModelCost:
    """On any target but this machine, whose clock does not see nodes."""
    place = find_target(target)
    if place.name == HOST:
        raise BenchError(f"{HOST} is not measured by node; accepted: {', '.join(cores())}, or a board")
    return measure_model(blob, place, samples=samples)


def measure_model(blob: bytes, target: Target, optimize: str = "-O2", samples: Samples | None = None) -> ModelCost:
    """Under Unicorn where there is a timing model, else instructions on the board that runs files for the target; on
    samples, or on random inputs."""
    if isinstance(target.runner, LinkRunner):
        return _measure_device(blob, target.runner, optimize, samples or random_samples(parse(blob)))
    if target.core in TIMED and not target.name.startswith(QEMU):
        return _measure_core(blob, str(target.core), optimize, samples)
    if not isinstance(target.runner, QemuRunner):
        raise BenchError(f"nothing here measures {target.name}; accepted: {', '.join((HOST, *cores()))}, or a board")
    return _measure_board(blob, target, target.runner, samples or random_samples(parse(blob)))


def _measure_core(blob: bytes, core: str, optimize: str, samples: Samples | None) -> ModelCost:
    require_emulator()
    from .build import TARGETS, BuildError
    from .model import ModelError, bench_model

    try:
        return bench_model(blob, TARGETS[core], optimize, samples)
    except (BuildError, ModelError) as error:
        raise BenchError(str(error)) from error


def _measure_board(blob: bytes, target: Target, runner: QemuRunner, samples: Samples) -> ModelCost:
    """Instructions per node as the board's own counter sees them."""
    view, count = parse(blob), len(samples.stored)
    arrays = [_as_stored(view, i, b"".join(inputs)) for i, inputs in enumerate(zip(*samples.stored, strict=True))]
    found = replace(runner, count_instructions=True, profile=True).run(blob, arrays)
    stats, host = found.stats, HostRunner().run(blob, arrays)
    nodes = tuple(
        NodeCost(", ".join(node.layers), node.kernel, seen.isa, macs_of(view, node), round(seen.instructions), None)
        for node, seen in zip(view.nodes, stats.nodes, strict=True)
    )
    return ModelCost(
        target=target.name if target.name.startswith(QEMU) else str(target.core), timing=None, nodes=nodes,
        instructions=int(stats.instructions or 0), cycles=None, init_instructions=0, arena_bytes=stats.arena_bytes,
        state_bytes=stats.state_bytes, file_bytes=len(blob), stack_bytes=stats.stack_invoke or 0,
        equal_to_host=all(map(np.array_equal, found.outputs, host.outputs)),
        inputs=samples.source, samples=count,
    )  # fmt: skip


def _measure_device(blob: bytes, runner: LinkRunner, optimize: str, samples: Samples) -> ModelCost:
    """Ticks per node by the device's own clock, beside the estimate for its core where there is a timing model."""
    view = parse(blob)
    runs = [runner.ticks(blob, list(inputs), DEVICE_RUNS) for inputs in samples.stored]
    times = [sum(run[0][i] for run in runs) / len(runs) for i in range(len(view.nodes))]
    totals = [run[1] for run in runs]
    model, info, seen = runner.expect(blob), runner.device.info, runner.device.node_times()
    core = info.core if info.core in TIMED and not missing_emulator() else None
    estimate = None if core is None else _measure_core(blob, core, optimize, samples)
    nodes = [NodeCost(", ".join(node.layers), node.kernel, "", macs_of(view, node), None, None) for node in view.nodes]
    nodes = nodes if estimate is None else list(estimate.nodes)
    return ModelCost(
        target=f"{runner.name} ({info.board}, {info.core})", timing=None if estimate is None else estimate.timing,
        nodes=tuple(
            replace(node, isa=there.isa, measured=round(time))
            for node, there, time in zip(nodes, seen, times, strict=True)
        ),
        instructions=None if estimate is None else estimate.instructions,
        cycles=None if estimate is None else estimate.cycles,
        init_instructions=0, arena_bytes=model.arena_bytes, state_bytes=model.state_bytes, file_bytes=len(blob),
        stack_bytes=None,
        equal_to_host=all(run[2] == _outputs_here(blob, data) for run, data in zip(runs, samples.stored, strict=True)),
        measured=round(sum(totals) / len(totals)), clock_hz=info.clock_hz, inputs=samples.source,
        samples=len(runs), least=round(min(totals)), most=round(max(totals)),
    )  # fmt: skip


def _outputs_here(blob: bytes, inputs: Sequence[bytes]) -> list[bytes]:
    interpreter = _core.Interpreter(blob)
    for index, data in enumerate(inputs):
        interpreter.set_input(index, data)
    interpreter.invoke()
    return [bytes(interpreter.get_output(index)) for index in range(len(interpreter.outputs()))]


def _as_stored(view: ModelView, index: int, data: bytes) -> Any:
    """Stored bytes of samples as the array a target takes: s1 as words."""
    tensor = view.tensors[view.inputs[index].tensor].type
    if isinstance(tensor.fmt, S1):
        return np.frombuffer(data, "<u4").reshape((-1, *tensor.shape[:-1], -(-tensor.shape[-1] // 32)))
    return np.frombuffer(data, "<f4" if isinstance(tensor.fmt, F32) else np.int8).reshape((-1, *tensor.shape))


def missing_emulator() -> list[str]:
    """What the timing models need and is not installed."""
    missing = [name for name in ("unicorn", "capstone", "elftools") if importlib.util.find_spec(name) is None]
    return missing + ([] if shutil.which("arm-none-eabi-gcc") else ["arm-none-eabi-gcc"])


def require_emulator() -> None:
    missing = [name for name in missing_emulator() if name != "arm-none-eabi-gcc"]  # whose lack says more later
    if missing:
        raise BenchError(f"bench needs {', '.join(missing)}: pip install 'dqnn[bench]'")


def code_by_kernel(core: str, kernels: Iterable[str]) -> dict[str, int]:
    """Bytes of a firmware's code with these kernels alone ("total", loader and interpreter included), and what each of
    them adds to the others; empty without a compiler for the core."""
    names = list(dict.fromkeys(kernels))
    total = code_bytes(core, names)
    if total is None:
        return {}
    found = {"total": total}
    for name in names:
        rest = code_bytes(core, [other for other in names if other != name]) if len(names) > 1 else 0
        found[name] = total - (rest or 0)
    return found


# --- this machine -----------------------------------------------------------------------------------------------------


def measure_host(blob: bytes, samples: Samples | None = None) -> dict[str, Any]:
    """Seconds of an inference on one thread, one sample after the other, and in batches on all."""
    view = parse(blob)
    given = samples or random_samples(view)
    interpreter, turn = _core.Interpreter(blob), itertools.cycle(given.stored)

    def prepare() -> None:
        for i, data in enumerate(next(turn)):
            interpreter.set_input(i, data)

    single = _median_seconds(interpreter.invoke, max(HOST_REPEATS, len(given.stored)), prepare)
    threads = os.cpu_count() or 1
    rows = list(itertools.islice(itertools.cycle(given.stored), HOST_BATCH))
    batch = [b"".join(data) for data in zip(*rows, strict=True)]
    batched = _median_seconds(lambda: interpreter.invoke_batch(batch, HOST_BATCH, threads), 5) / HOST_BATCH
    macs = sum(macs_of(view, node) for node in view.nodes)
    figures = {"target": HOST, "seconds": single, "seconds_batched": batched, "threads": threads, "macs": macs}
    return {"schema": "dqnn.bench-host/1", **figures, "inputs": given.source, "samples": len(given.stored)}


def _median_seconds(call: Callable[[], Any], repeats: int, prepare: Callable[[], None] = lambda: None) -> float:
    prepare()
    call()
    times = []
    for _ in range(repeats):
        prepare()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
