"""What workers keep and do. Imported by them, and by a client that has Dask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from ..errors import DqnnError
from ..samples.sources import Source


@dataclass(frozen=True)
class Refused:
    """An error that a user can repair, as a result: it is not the worker's."""

    error: DqnnError


class Held(WorkerPlugin):  # type: ignore[misc]
    """Holds the work: it travels once to each worker, and to those that come later."""

    def __init__(self, name: str, work: Callable[[int, Sequence[Any]], Any]) -> None:
        self.name, self.work = name, work


def run_piece(name: str, start: int, stop: int, sources: Sequence[Any]) -> tuple[str, Any]:
    """The worker, and what its work on some samples gives. A source is their array, or what they are read from."""
    worker = get_worker()
    try:
        arrays = [array_of(source, start, stop) for source in sources]
        return worker.address, worker.plugins[name].work(start, arrays)
    except DqnnError as error:
        return worker.address, Refused(error)


def array_of(source: Any, start: int, stop: int) -> Any:
    return source if isinstance(source, np.ndarray) else read_rows(source, start, stop)


def read_rows(source: Source, start: int, stop: int) -> Any:
    return source.rows(start, stop)
