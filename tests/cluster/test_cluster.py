"""Validation on a cluster of processes: the report of one machine, whatever happens to workers; what is refused, and
how."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from cluster.killed_worker import MODEL, as_bytes, killer, samples
from passes.graph_builder import SIGN, Builder, binary_weights, rng_of

import dqnn
from dqnn.exporter.cli import main
from dqnn.exporter.cluster import cluster as wing
from dqnn.exporter.cluster import plugin
from dqnn.exporter.cluster.cluster import ClusterError
from dqnn.exporter.ir import ops
from dqnn.exporter.samples.arrays import SampleError

distributed = pytest.importorskip("distributed", reason="distributed is not installed")
COUNT = 160


@pytest.fixture(scope="module")
def processes() -> Iterator[Any]:
    """A cluster of two worker processes."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        yield made


@pytest.fixture(scope="module")
def blob() -> bytes:
    return dqnn.export(MODEL).blob


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    return samples(COUNT)


@contextmanager
def lone_scheduler(**workers: dict[str, str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """A scheduler's address, and a worker for each name: a process that is not started again, in the environment given
    (None: this one)."""
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as scheduler:
        started = {name: start_worker(scheduler.scheduler_address, name, given) for name, given in workers.items()}
        try:
            with distributed.Client(scheduler.scheduler_address, set_as_default=False) as client:
                client.wait_for_workers(len(workers) or 0, timeout=60) if workers else None
            yield scheduler.scheduler_address, started
        finally:
            for process in started.values():
                process.kill()
                process.wait()


def start_worker(address: str, name: str, environment: dict[str, str] | None) -> Any:
    # -S: without the finder of the editable install, so without dqnn
    python = [sys.executable, *([] if environment is None else ["-S"])]
    code = "from distributed.cli.dask_worker import main; main()"
    arguments = [address, "--no-nanny", "--nthreads", "1", "--name", name, "--no-dashboard"]
    return subprocess.Popen(
        [*python, "-c", code, *arguments],
        env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["validate", *(str(a) for a in arguments)])


# --- the same report --------------------------------------------------------------------------------------------------


def test_a_killed_worker_does_not_show(
    processes: Any, blob: bytes, data: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = []
    monkeypatch.setattr(plugin.Held, "__getstate__", lambda self: pickled.append(1) or self.__dict__, raising=False)
    x, y = data
    np.save(tmp_path / "x.npy", x)
    given: dict[str, Any] = {"labels": y, "original": "evaluator", "per_layer": True, "layer_samples": 40}
    here = dqnn.validate(blob, MODEL, x, **given)
    killed: list[int] = []
    tell = killer(lambda: [worker.pid for worker in processes.workers.values()], killed)
    there = dqnn.validate(
        blob, MODEL, tmp_path / "x.npy", scheduler=processes.scheduler_address, progress=tell, **given
    )
    assert killed and as_bytes(there) == as_bytes(here)
    assert here.outputs[0].cross == there.outputs[0].cross and sum(map(sum, there.outputs[0].confusion)) == COUNT
    assert len(pickled) == 1  # the file travels once, not with every piece
    with distributed.Client(processes, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        heavy = client.run(lambda: sorted({"tensorflow", "keras", "onnx", "onnxruntime"} & set(sys.modules)))
        assert heavy and not any(heavy.values()), heavy
        assert not any(
            client.run(lambda dask_worker: [n for n in dask_worker.plugins if n.startswith("dqnn")]).values()
        )


def test_every_kind_of_input(processes: Any, blob: bytes, data: tuple[Any, Any], cli: Callable[..., Any]) -> None:
    array, zarr = pytest.importorskip("dask.array"), pytest.importorskip("zarr")
    x, y = (part[:100] for part in data)
    Path("m.dqnn").write_bytes(blob)
    np.savez("x.npz", x=x, y=y)
    np.save("x.npy", x.astype(np.float64))
    np.save("y.npy", y)
    group = zarr.open_group("g.zarr", mode="w")
    for name, values in (("x", x), ("y", y)):
        made = group.create_array if hasattr(group, "create_array") else group.create_dataset
        made(name, shape=values.shape, chunks=(30, *values.shape[1:]), dtype=values.dtype)[...] = values
    arguments = ("m.dqnn", "--against", MODEL, "--original", "evaluator", "--limit", 40, "--json")
    here = cli(*arguments, "--inputs", "x.npz", "--labels", "y").stdout
    for inputs, labels in (("x.npz", "y"), ("x.npy", "y.npy"), ("g.zarr", "y")):
        assert cli(*arguments, "--inputs", inputs, "--labels", labels).stdout == here
        done = cli(*arguments, "--inputs", inputs, "--labels", labels, "--dask", processes.scheduler_address)
        assert done.stdout == here, done.output
    lazy = array.from_array(x, chunks=(37, 14, 28, 1))[:40]
    with distributed.Client(processes, set_as_default=False) as client:
        for scheduler in (client, processes):
            report = dqnn.validate(blob, MODEL, lazy, labels=y[:40], original="evaluator", scheduler=scheduler)
            assert report.to_json() == json.loads(here)
        assert client.status == "running"  # it is the caller's


def test_several_inputs_and_the_signs_of_a_few(processes: Any) -> None:
    """What a part of the samples would have refused, all of them allow: whole numbers for a sign, none negative."""
    rng = rng_of(3)
    graph = Builder((6,), (6,))
    both = graph.add(ops.Binary("add"), "x0", graph.add(SIGN, "x1"))
    scores = graph.add(ops.Dense(binary_weights(rng, 4, 6)), graph.add(SIGN, both))
    model = graph.graph(scores, both)
    blob = dqnn.export(model).blob
    signs = np.ones((70, 6), np.int64)
    signs[:40] = rng.integers(0, 2, (40, 6))
    inputs = {"x0": rng.normal(size=(70, 6)), "x1": signs}
    with pytest.raises(SampleError, match="none is negative") as here:
        dqnn.validate(blob, model, inputs)
    with pytest.raises(SampleError, match="none is negative") as there:
        dqnn.validate(blob, model, inputs, scheduler=processes)
    assert str(here.value) == str(there.value)
    signs[69, 5] = -1
    given: dict[str, Any] = {"labels": [np.arange(70) % 4], "per_layer": True}
    report = dqnn.validate(blob, model, inputs, **given)
    assert as_bytes(dqnn.validate(blob, model, inputs, scheduler=processes, **given)) == as_bytes(report)


def test_samples_of_sensors(processes: Any, data: tuple[Any, Any]) -> None:
    """A warning for values between samples comes here, not to a worker's log."""
    blob = dqnn.export(MODEL, input_u8=(1 / 128, -1.0)).blob
    pixels = np.rint((data[0][:64] + 1) * 127).astype(np.uint8)
    here = dqnn.validate(blob, MODEL, pixels, original="evaluator")
    assert as_bytes(dqnn.validate(blob, MODEL, pixels, original="evaluator", scheduler=processes)) == as_bytes(here)
    with pytest.warns(UserWarning, match="takes raw samples"):
        dqnn.validate(blob, MODEL, data[0][:64] * 0.999, original="evaluator", scheduler=processes)
    with pytest.raises(SampleError, match="got int32 values -1 to"):
        dqnn.validate(blob, MODEL, pixels.astype(np.int32) - 1, original="evaluator", scheduler=processes)


def test_an_original_that_workers_lack_runs_here(processes: Any, data: tuple[Any, Any]) -> None:
    class Model:
        """What a Keras model in memory is to `validate`."""

        def to_json(self) -> str:
            raise AssertionError

        def __call__(self, x: Any, training: bool) -> Any:
            return np.eye(10, dtype=np.float32)[np.abs(x).sum(axis=(1, 2, 3)).astype(int) % 10]

    blob = dqnn.export(MODEL).blob
    here = dqnn.validate(blob, Model(), data[0])
    assert as_bytes(dqnn.validate(blob, Model(), data[0], scheduler=processes)) == as_bytes(here)


def test_a_sweep(processes: Any, blob: bytes, data: tuple[Any, Any], digits: Path, tmp_path: Path) -> None:
    """The same figures and failures; samples that several candidates take travel once."""
    np.save(tmp_path / "x.npy", data[0])
    candidates = {"larq": blob, "qkeras": digits / "digits_qkeras.h5", "none": "none.h5", "cut": blob[:100]}
    x = data[0].copy()
    x[-1, 0, 0] = np.nan
    for inputs in (data[0], tmp_path / "x.npy", {"quant_conv2d_input": x, "input_1": data[0]}):
        here = dqnn.sweep(candidates, inputs, data[1], target=None)
        there = dqnn.sweep(candidates, inputs, data[1], target=None, scheduler=processes)
        assert [entry.quality for entry in here.entries] == [entry.quality for entry in there.entries]
        assert [entry.name for entry in here.failed] == [entry.name for entry in there.failed]
        assert here.front == there.front
    assert "input quant_conv2d_input has NaN in 1 of" in there.entries[0].failure and len(there.failed) == 3


@pytest.mark.qemu
def test_emulated_boards(processes: Any, blob: bytes, data: tuple[Any, Any]) -> None:
    given: dict[str, Any] = {"original": "evaluator", "target": "qemu:mps2-an386"}
    here = dqnn.validate(blob, MODEL, data[0][:40], **given)
    assert as_bytes(dqnn.validate(blob, MODEL, data[0][:40], scheduler=processes, **given)) == as_bytes(here)


def test_pieces_begin_at_multiples() -> None:
    for count, size, threads in ((1, 4, 1), (100_000, 3136, 64), (33, 1 << 30, 2), (1000, 0, 3)):
        cut = wing.pieces(count, 32, size, threads)
        assert [start for start, _ in cut] == [0, *(stop for _, stop in cut[:-1])] and cut[-1][1] == count
        assert all(start % 32 == 0 for start, _ in cut)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wing, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(wing, "WORKERS_SECONDS", 1.0)
    monkeypatch.setattr(wing, "LOST_SECONDS", 1.0)
    monkeypatch.setattr(wing, "PATIENCE", 0.5)


def refused(blob: bytes, inputs: Any, scheduler: Any) -> str:
    with pytest.raises((ClusterError, SampleError)) as error:
        dqnn.validate(blob, MODEL, inputs, original="evaluator", scheduler=scheduler)
    return str(error.value)


def test_no_scheduler(blob: bytes, data: tuple[Any, Any], impatient: None, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # speaks another language
        threading.Thread(target=answer_http, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        text = refused(blob, data[0], f"tcp://127.0.0.1:{port}")
        assert f"no Dask scheduler answers at tcp://127.0.0.1:{port} (" in text and "dask scheduler" in text
    for address in (f"tcp://127.0.0.1:{port}", "tcp://no.such.host.invalid:1", "nonsense://x", "tcp://127.0.0.1"):
        assert f"no Dask scheduler answers at {address} (" in refused(blob, data[0], address)
    assert "no such file" in refused(blob, data[0], str(tmp_path / "scheduler.json"))


def answer_http(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            connection.close()


def test_the_command_refuses(cli: Callable[..., Any], blob: bytes, impatient: None) -> None:
    Path("m.dqnn").write_bytes(blob)
    done = cli("m.dqnn", "--against", MODEL, "--random", 4, "--dask", "tcp://127.0.0.1:1")
    assert done.exit_code == 2 and done.stderr.startswith("error: no Dask scheduler answers at tcp://127.0.0.1:1")
    done = cli("m.dqnn", "--against", MODEL, "--random", 4, "--layer-samples", 4)
    assert done.exit_code == 2 and "--per-layer" in done.stderr


def test_without_distributed(blob: bytes, data: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install 'dqnn[dask]'" in refused(blob, data[0], "tcp://127.0.0.1:1")


def test_no_workers(blob: bytes, data: tuple[Any, Any], impatient: None) -> None:
    with lone_scheduler() as (address, _):
        assert refused(blob, data[0], address) == (
            f"the scheduler at {address} has no workers; start some: dask worker {address}"
        )


def test_workers_without_dqnn_or_with_another(blob: bytes, data: tuple[Any, Any], tmp_path: Path) -> None:
    libraries = sysconfig.get_path("purelib")
    (tmp_path / "dqnn").mkdir()
    for name, text in (("__init__", ""), ("_core", ""), ("_version", '__version__ = "0.0.9"')):
        (tmp_path / "dqnn" / f"{name}.py").write_text(text)
    bare, old = {"PYTHONPATH": libraries}, {"PYTHONPATH": f"{tmp_path}:{libraries}"}
    with lone_scheduler(bare=bare, old=old) as (address, _):
        without, other = refused(blob, data[0], address).splitlines()
    assert without.startswith("1 of 2 workers (tcp://127.0.0.1:") and re.search(r" without dqnn \(\w*Error: ", without)
    assert f"pip install dqnn=={dqnn.__version__} where `dask worker` runs" in without
    assert f"with dqnn 0.0.9, here it is {dqnn.__version__}" in other


def test_files_that_workers_do_not_see(
    processes: Any, blob: bytes, data: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that leads each process to its own directory."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", data[0])
    path, folder = Path("/proc/self/cwd/x.npy"), tmp_path / "there"
    folder.mkdir()
    with distributed.Client(processes, set_as_default=False) as client:
        client.run(os.chdir, str(folder))
    text = refused(blob, path, processes)
    assert text.startswith("2 of 2 workers (") and f"cannot read {path}" in text and "np.load(path)" in text
    np.save(folder / "x.npy", np.zeros(3))
    assert "with another file at /proc/self/cwd/x.npy" in refused(blob, path, processes)


def test_a_refused_sample_is_found(processes: Any, blob: bytes, data: tuple[Any, Any]) -> None:
    x = data[0].copy()
    x[70, 3, 4] = np.nan
    text = refused(blob, x, processes)
    assert text.startswith("samples 64 to 95, on worker tcp://") and "has NaN in 1 of 32 samples" in text
    assert "expected (samples, 28, 28, 1)" in refused(blob, np.zeros((9, 5, 5)), processes)
    assert "not numbers" in refused(blob, np.full((9, 28, 28, 1), "a"), processes)


def test_devices_are_not_shared(processes: Any, blob: bytes, data: tuple[Any, Any]) -> None:
    with pytest.raises(ClusterError, match="a device on a link has one machine"):
        dqnn.validate(blob, MODEL, data[0], target="tcp:127.0.0.1:1", scheduler=processes)


def test_all_workers_lost(blob: bytes, data: tuple[Any, Any], impatient: None) -> None:
    with lone_scheduler(only=None) as (address, workers):

        def tell(*_: Any) -> None:
            workers["only"].kill()

        with pytest.raises(ClusterError, match=r"all workers of .* are gone for 1 s; \d+ of \d+ pieces were done"):
            dqnn.validate(blob, MODEL, data[0], original="evaluator", scheduler=address, progress=tell)


def test_samples_that_end_their_worker(blob: bytes, data: tuple[Any, Any]) -> None:
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        lone_scheduler(only=None) as (address, _),
        wing.connect(address) as cluster,
        pytest.raises(ClusterError, match="samples 0 to 31: 1 workers ended while they had them"),
    ):
        source = wing.InMemory(data[0][:32])
        cluster.run(lambda start, arrays: os._exit(1), [source], 32, 32, lambda *_: None)
