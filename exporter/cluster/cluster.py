"""A Dask cluster that works on samples, some at a time:

    with connect("tcp://10.0.0.5:8786") as cluster:
        results = cluster.run(work, sources, count, tick)     # in the samples' order

Workers need dqnn of this version and distributed, nothing else. The work (a model's bytes and what belongs to them)
travels once to each; samples are read by the workers where they can be, else sent in pieces. What a lost worker had is
done again by others: a piece's result depends on the piece alone, so nothing shows it.

What can be wrong with a cluster is found before the work: no scheduler, no workers, workers without dqnn or with
another version, files that some of them do not see."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dqnn._version import __version__

from ..errors import DqnnError
from ..samples.sources import InMemory, Source

if TYPE_CHECKING:
    from .plugin import Refused

T = TypeVar("T")

SCHEDULER_FILE = "expected what `dask scheduler --scheduler-file` writes"
CONNECT_SECONDS = 10.0
WORKERS_SECONDS = 30.0  # that the first worker may take to come; batch systems start them late
LOST_SECONDS = 60.0  # without any worker
PATIENCE = 2.0  # between looks at a silent cluster
PIECE_BYTES = 4 << 20  # of samples; as 32-bit floats, as others may be larger
PER_THREAD = 8  # pieces, so that all end together
WINDOW = 64  # pieces under way, or three for each thread


class ClusterError(DqnnError):
    """A cluster that cannot do the work."""


@contextmanager
def connect(scheduler: Any) -> Iterator[Cluster]:
    """scheduler: an address (tcp://HOST:PORT), a scheduler's file (.json), a distributed.Client or one of Dask's
    clusters."""
    client, ours = _client(scheduler)
    try:
        yield Cluster(client, _told(scheduler, client))
    finally:
        if ours:
            with suppress(Exception):  # it may be gone
                client.close(timeout=CONNECT_SECONDS)


def _client(scheduler: Any) -> tuple[Any, bool]:
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("a cluster needs Dask's distributed: pip install 'dqnn[dask]'") from None
    if isinstance(scheduler, Client):
        return scheduler, False
    address = _address(scheduler)
    try:
        if isinstance(address, str):
            _knock(address)
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False), True
    except Exception as error:  # of many kinds: refused, no such host, another protocol, no address
        raise ClusterError(
            f"no Dask scheduler answers at {scheduler} ({_first_line(error)}); start one with `dask scheduler`, whose "
            "first lines give its address, tcp://HOST:PORT"
        ) from error


def _address(scheduler: Any) -> Any:
    """Of a scheduler's file; anything else is for Dask."""
    if not isinstance(scheduler, Path) and not (isinstance(scheduler, str) and scheduler.endswith(".json")):
        return scheduler
    try:
        return json.loads(Path(scheduler).read_text())["address"]
    except OSError as error:
        raise ClusterError(f"{scheduler}: {(error.strerror or str(error)).lower()}; {SCHEDULER_FILE}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{scheduler} names no scheduler; {SCHEDULER_FILE}") from error


def _knock(address: str) -> None:
    """Whether a scheduler answers; a Client that cannot connect would try for long after it was given up."""
    from concurrent.futures import ThreadPoolExecutor

    from distributed import Security
    from distributed.comm import connect as connect_comm

    async def knock() -> None:
        how = Security().get_connection_args("client")
        comm = await connect_comm(address, timeout=CONNECT_SECONDS, **how)
        try:
            await comm.write({"op": "identity", "reply": True})
            if "workers" not in await asyncio.wait_for(comm.read(), CONNECT_SECONDS):
                raise ValueError("what answers is a part of Dask, but no scheduler")
        finally:
            comm.abort()

    with ThreadPoolExecutor(1) as thread:  # a notebook has an event loop of its own in this one
        thread.submit(asyncio.run, knock()).result()


def _told(scheduler: Any, client: Any) -> str:
    return scheduler if isinstance(scheduler, str) else str(client.scheduler.address)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def pieces(count: int, aligned: int, bytes_of_sample: int, threads: int) -> list[tuple[int, int]]:
    """First and last + 1 of the samples of each piece; all but the last are multiples of `aligned` long."""
    size = min(-(-count // (threads * PER_THREAD)), PIECE_BYTES // max(1, bytes_of_sample))
    size = max(1, -(-size // aligned)) * aligned
    return [(start, min(start + size, count)) for start in range(0, count, size)]


@dataclass(frozen=True)
class Cluster:
    """`name` is how the user calls it."""

    client: Any
    name: str

    def run(
        self,
        work: Callable[[int, Sequence[Any]], T],
        sources: Sequence[Source],
        count: int,
        aligned: int,
        tick: Callable[[int, T], None],
    ) -> list[T]:
        """work(first, arrays) of the first `count` samples in pieces, in order. `tick` is told how many samples are
        done, and of every result as it comes. work must be sent by pickle, and not depend on the cut."""
        from .plugin import Held

        threads = self.check([str(source.path) for source in sources if source.path is not None])
        size = sum(4 * prod(source.shape[1:]) for source in sources)
        held = Held(f"dqnn-{uuid.uuid4().hex}", work)
        job = _Job(self, held.name, sources, pieces(count, aligned, size, threads), max(WINDOW, 3 * threads))
        try:
            self.client.register_plugin(held)
            with self.client.as_current():
                return job.run(tick)
        except _lost_scheduler() as error:
            raise ClusterError(f"the scheduler at {self.name} went away: {_first_line(error)}") from error
        finally:
            with suppress(Exception):  # of a cluster that is gone
                self.client.unregister_worker_plugin(held.name)

    def check(self, paths: Sequence[str]) -> int:
        """Threads of all workers, which have what the work needs; else ClusterError, with all that is wrong."""
        try:
            self.client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError:
            raise ClusterError(
                f"the scheduler at {self.name} has no workers; start some: dask worker {self.name}"
            ) from None
        found = self._survey(paths)
        problems = [*_without_dqnn(found), *_without_files(found, paths)]
        if problems:
            raise ClusterError("\n".join(problems))
        return sum(self.client.nthreads().values())

    def _survey(self, paths: Sequence[str]) -> dict[str, Any]:
        """What each worker says; what could not be asked of it is an exception."""
        import cloudpickle

        from . import survey

        cloudpickle.register_pickle_by_value(survey)
        try:
            found: dict[str, Any] = self.client.run(survey.survey, list(paths), on_error="return")
            return found
        finally:
            cloudpickle.unregister_pickle_by_value(survey)


def _lost_scheduler() -> tuple[type[BaseException], ...]:
    from concurrent.futures import CancelledError

    from distributed.comm import CommClosedError

    return (CancelledError, CommClosedError)


def _without_dqnn(found: dict[str, Any]) -> Iterator[str]:
    lacking = {at: said for at, said in found.items() if not isinstance(said, dict) or not said["version"]}
    if lacking:
        why = {str(said["lacking"]) if isinstance(said, dict) else repr(said) for said in lacking.values()}
        yield (
            f"{_of(lacking, found)} without dqnn ({'; '.join(sorted(why))}): pip install dqnn=={__version__} where "
            "`dask worker` runs"
        )
    others = {at: said["version"] for at, said in found.items() if at not in lacking and said["version"] != __version__}
    if others:
        yield (
            f"{_of(others, found)} with dqnn {', '.join(sorted(set(others.values())))}, here it is {__version__}: "
            f"pip install dqnn=={__version__} where `dask worker` runs"
        )


def _without_files(found: dict[str, Any], paths: Sequence[str]) -> Iterator[str]:
    answers = {at: said["files"] for at, said in found.items() if isinstance(said, dict)}
    for name in paths:
        here = 0 if Path(name).is_dir() else Path(name).stat().st_size
        blind = [at for at, files in answers.items() if files[name] is None]
        if blind:
            yield (
                f"{_of(blind, found)} cannot read {name}: put it where all machines see it under this path, or load it "
                "here and give the array, which then travels (np.load(path))"
            )
        others = [at for at, files in answers.items() if files[name] not in (None, here)]
        if others:
            yield f"{_of(others, found)} with another file at {name}: it has {here:,} bytes here; give all the same"


def _of(some: Any, found: dict[str, Any]) -> str:
    """How many workers, and the first of them."""
    first = list(some)
    listed = ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")
    return f"{len(first)} of {len(found)} workers ({listed})"


class _Job:
    """Pieces under way, and what came back."""

    def __init__(
        self, cluster: Cluster, name: str, sources: Sequence[Source], cut: list[tuple[int, int]], window: int
    ) -> None:
        self.client, self.cluster, self.name, self.sources = cluster.client, cluster, name, sources
        self.cut, self.window = cut, window
        self.running: dict[Any, tuple[int, int]] = {}
        self.results: dict[int, Any] = {}
        self.silent = 0.0

    def run(self, tick: Callable[[int, Any], None]) -> list[Any]:
        waiting, done = iter(self.cut), 0
        try:
            while len(self.results) < len(self.cut):
                while len(self.running) < self.window and (piece := next(waiting, None)) is not None:
                    self.running[self._submit(*piece)] = piece
                for future in self._finished():
                    start, stop = self.running.pop(future)
                    self.results[start] = self._result(future, start, stop)
                    done += stop - start
                    tick(done, self.results[start])
        finally:
            if self.running:
                with suppress(Exception):  # of a cluster that is gone
                    self.client.cancel(list(self.running), force=True)
        return [self.results[start] for start, _ in self.cut]

    def _submit(self, start: int, stop: int) -> Any:
        from .plugin import run_piece

        sent = [self._sent(source, start, stop) for source in self.sources]
        return self.client.submit(run_piece, self.name, start, stop, sent, key=f"{self.name}-{start}", pure=False)

    def _sent(self, source: Source, start: int, stop: int) -> Any:
        """A path for the worker to read, a slice for the cluster to compute, or the samples."""
        if not isinstance(source, InMemory):
            return source
        return self.client.compute(source.array[start:stop]) if source.is_lazy else source.rows(start, stop)

    def _finished(self) -> list[Any]:
        """Those that ended; none where nothing did for a while, and all is well with that."""
        from distributed import wait

        try:
            done = list(wait(list(self.running), timeout=PATIENCE, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            self._check_alive()
            return []
        self.silent = 0.0
        return done

    def _check_alive(self) -> None:
        self.silent = 0.0 if self.client.nthreads() else self.silent + PATIENCE
        if self.silent >= LOST_SECONDS:
            raise ClusterError(
                f"all workers of {self.cluster.name} are gone for {LOST_SECONDS:g} s; {len(self.results)} of "
                f"{len(self.cut)} pieces were done. Start workers, and begin again: dask worker {self.cluster.name}"
            )

    def _result(self, future: Any, start: int, stop: int) -> Any:
        from distributed import KilledWorker

        from .plugin import Refused

        where = f"samples {start:,} to {stop - 1:,}"
        try:
            worker, result = future.result()
        except KilledWorker as error:
            raise ClusterError(
                f"{where}: {error.allowed_failures + 1} workers ended while they had them, the last at "
                f"{error.last_worker.address}: too little memory, perhaps; their logs say why"
            ) from error
        except ModuleNotFoundError as error:
            raise ClusterError(
                f"{where}: a worker lacks {error.name}; pip install dqnn=={__version__} where `dask worker` runs"
            ) from error
        if isinstance(result, Refused):
            raise _told_where(result, f"{where}, on worker {worker}")
        return result


def _told_where(refused: Refused, where: str) -> DqnnError:
    return type(refused.error)(f"{where}: {refused.error}")
