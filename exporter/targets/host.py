"""This machine: the compiled extension runs a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..blob import NotAModelError
from .runner import Array, Result, Stats

if TYPE_CHECKING:
    from dqnn.interpreter import Interpreter

HOST = "host"


def open_model(path: Path) -> Interpreter:
    """The interpreter of a file; NotAModelError says what is wrong with it."""
    from dqnn._core import BlobError
    from dqnn.interpreter import Interpreter

    if path.is_dir() or not path.exists():
        raise NotAModelError(f"{path}: {'a directory' if path.is_dir() else 'no such file'}; expected a .dqnn file")
    try:
        return Interpreter(path)
    except BlobError as error:
        raise NotAModelError(str(error)) from error
    except OSError as error:
        raise NotAModelError(f"{path}: {error.strerror}") from error


@dataclass(frozen=True)
class HostRunner:
    """The compiled extension."""

    name: str = HOST
    threads: int = 1

    def run(self, blob: bytes, inputs: Sequence[Array]) -> Result:
        from dqnn.interpreter import Interpreter
        from dqnn.tensors import as_raw, check_stored

        interpreter = Interpreter(blob)
        # A runner takes and gives what tensors hold; `raw` is what users see, which for uint8 ports is another thing.
        given = [as_raw(info, array) for info, array in zip(interpreter.inputs, inputs, strict=True)]
        results = interpreter.predict(given, threads=self.threads, raw=True)
        raw = list(results.values()) if isinstance(results, dict) else [results]
        outputs = [check_stored(info, array) for info, array in zip(interpreter.outputs, raw, strict=True)]
        stats = Stats(
            len(inputs[0]),
            interpreter.arena_bytes,
            interpreter.state_bytes,
            interpreter.memory_bytes,
        )
        return Result(outputs, stats)
