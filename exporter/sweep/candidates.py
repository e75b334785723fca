"""Candidates of a sweep, one at a time: .dqnn files as they are, models exported, functions of the user asked. One that
fails is a failure with its reason, and the next is taken."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..api import ExportResult, export
from ..blob import NotAModelError, read_bytes
from ..errors import DqnnError, debugging


class SweepError(DqnnError):
    """A sweep that cannot be made."""


@dataclass(frozen=True)
class Candidate:
    """`blob` is the file, None with a failure."""

    name: str
    source: str
    blob: bytes | None = None
    remark: str = ""
    failure: str = ""


def collect(candidates: Any, options: Mapping[str, Any]) -> Iterator[Candidate]:
    """What `sweep` takes, as files."""
    taken: set[str] = set()
    for name, source, thing in _named(candidates):
        found = _exported(name or f"candidate {len(taken) + 1}", source, thing, options)
        if found.name in taken:  # a.h5 and other/a.h5
            found = _renamed(found, taken)
        taken.add(found.name)
        yield found


def _renamed(found: Candidate, taken: set[str]) -> Candidate:
    names = (found.source, *(f"{found.name} ({n})" for n in range(2, len(taken) + 3)))
    name = next(name for name in names if name and name not in taken)
    return Candidate(name, found.source, found.blob, found.remark, found.failure)


# --- what there is ----------------------------------------------------------------------------------------------------


def _named(candidates: Any, source: str = "") -> Iterator[tuple[str, str, Any]]:
    """Name (empty: none yet), where it comes from, and what it is."""
    if isinstance(candidates, str | os.PathLike):
        yield from _of_text(os.fspath(candidates))
    elif _is_function(candidates):
        where = source or getattr(candidates, "__name__", "a function")
        yield from _of_function(candidates, where)
    elif isinstance(candidates, Mapping):
        for name, thing in candidates.items():
            yield str(name), source or _source_of(thing), thing
    elif isinstance(candidates, bytes | ExportResult) or not isinstance(candidates, Iterable):
        yield "", source, candidates
    else:
        for item in candidates:
            yield from _of_item(item, source)


def _of_item(item: Any, source: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        yield item[0], source or _source_of(item[1]), item[1]
    else:
        yield from _named(item, source)


def _source_of(thing: Any) -> str:
    return os.fspath(thing) if isinstance(thing, str | os.PathLike) else ""


def _is_function(thing: Any) -> bool:
    """Functions of the user; a Keras model can be called, too."""
    return inspect.isroutine(thing) or isinstance(thing, partial)


def _of_text(text: str) -> Iterator[tuple[str, str, Any]]:
    """A file of a model, or FILE.py:FUNCTION."""
    file, colon, function = text.rpartition(":")
    if colon and file.endswith(".py"):
        yield from _of_function(partial(_function_of, Path(file), function), text)
    else:
        yield Path(text).stem, text, Path(text)


def _function_of(file: Path, name: str) -> Any:
    """What a function of a Python file gives; the file's folder is where it imports from, as for a script."""
    if not file.is_file():
        raise SweepError(f"{file}: no such file")
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec = importlib.util.spec_from_file_location(f"_dqnn_candidates_{file.stem}", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        function = getattr(module, name, None)
        if not callable(function):
            raise SweepError(f"{file} has no function {name!r}")
        return function()
    finally:
        sys.path.remove(str(file.parent.resolve()))


def _of_function(function: Callable[[], Any], source: str) -> Iterator[tuple[str, str, Any]]:
    """The models that a function gives or yields; where it fails, what came until then, and the failure."""
    try:
        yield from _named(function(), source)
    except Exception as error:
        yield source, source, error


# --- to files ---------------------------------------------------------------------------------------------------------


def _exported(name: str, source: str, thing: Any, options: Mapping[str, Any]) -> Candidate:
    if isinstance(thing, Exception):
        return Candidate(name, source, failure=_reason(thing))
    try:
        while _is_function(thing):
            thing = thing()
    except Exception as error:  # whatever the user's code raises
        return Candidate(name, source, failure=_reason(error))
    try:
        blob, remark = _file_of(thing, options)
    except Exception as error:
        if debugging() and not isinstance(error, DqnnError):
            raise
        return Candidate(name, source, failure=_reason(error))
    return Candidate(name, source, blob, remark)


def _file_of(thing: Any, options: Mapping[str, Any]) -> tuple[bytes, str]:
    """Content and remark."""
    path = Path(thing) if isinstance(thing, str | os.PathLike) else None
    if isinstance(thing, bytes) or (path is not None and path.suffix == ".dqnn"):
        if options:
            raise SweepError(f"{', '.join(options)}: options of the export; this file is exported already")
        return thing if isinstance(thing, bytes) else read_bytes(Path(thing)), ""
    if path is not None and not path.exists():
        raise NotAModelError(f"{path}: no such file")
    result = thing if isinstance(thing, ExportResult) else export(thing, **options)
    count = len(result.report.fallbacks)
    return result.blob, f"{count} fallback{'s' if count > 1 else ''}" if count else ""


def _reason(error: Exception) -> str:
    """All problems of a model, in one line; kinds of errors that are not ours are named."""
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return text if isinstance(error, DqnnError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
