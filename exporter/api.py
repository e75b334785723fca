"""`dqnn.export`: the whole way from a Keras model to a .dqnn file.

    frontends.load -> passes.lower -> writer.write -> C verifier -> file

The file appears under its name only when everything has succeeded; until then an older file of that name stays as it
was."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import DqnnError, ExportError, Problem
from .report import Report

if TYPE_CHECKING:
    from .ir.graph import Graph
    from .passes import Decision, Options
    from .targets.boards import Board

MOST_MODEL_ID = 2**32 - 1
MOST_MODEL_VERSION = 2**16 - 1
SMALLEST_SCALE = 1e-30  # of samples: far from where float32 ends


class OutputError(DqnnError):
    """The output file cannot be written."""


@dataclass(frozen=True)
class ExportResult:
    """`blob` is the file's content; `path` is where it was written, None if nowhere; `fits` says what is left of the
    target's memory, empty without a target."""

    blob: bytes
    report: Report
    fits: str = ""

    @property
    def path(self) -> Path | None:
        return self.report.path

    def __str__(self) -> str:
        return str(self.report)


def export(
    model_or_path: Any,
    output: str | os.PathLike[str] | None = None,
    *,
    io_dtype: Literal["auto", "f32"] = "auto",
    strict: bool = False,
    name: str | None = None,
    model_id: int | None = None,
    model_version: int = 0,
    constant_time: bool = False,
    requant: Literal["auto", "tflite"] = "auto",
    input_u8: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    target: str | None = None,
) -> ExportResult:
    """Export a Keras model (`.h5`, `.keras` or in memory) and, if `output` is given, write it there.

    io_dtype: "auto" gives an input the type the model quantizes it to first; "f32" keeps floats.
    strict: refuse a model of which a part would fall back to f32.
    name, model_id, model_version: stored in the file; the id defaults to the checksum of its content.
    constant_time: binary convolutions take kernels whose time does not depend on the data.
    requant: "tflite" rounds s8 convolutions as TFLite does.
    input_u8: (scale, offset): the inputs take raw uint8 samples u, which stand for the real values scale * u + offset
        that the model was trained on; a mapping gives a pair by input name. A model that begins with a Rescaling needs
        no option: "auto" recognizes it.
    target: a described board (a name of `dqnn targets` or a .toml file): a model that does not fit is refused.

    Raises ExportError with every unsupported layer, UnreadableModel, OutputError, BoardError (all DqnnErrors), and
    ValueError for an option; no file is left behind then."""
    from .passes import Options

    _check_options(io_dtype, requant, name, model_id, model_version)
    _check_samples(input_u8)
    if output is not None:
        check_writable(Path(output), model_or_path)
    board = None if target is None else _board(target)
    graph = load_graph(model_or_path)
    if name is not None:
        graph = replace(graph, name=name)
    lowered, decisions = _lower(graph, Options(io_dtype, requant, constant_time, input_u8))
    if strict:
        _refuse_fallbacks(decisions)
    result = _write(lowered, decisions, model_id, model_version, None if output is None else Path(output))
    if board is not None:
        result = replace(result, fits=_check_fits(board, result, graph))
    if output is not None:
        write_atomically(Path(output), result.blob)
    return result


def _check_options(io_dtype: Any, requant: Any, name: Any, model_id: Any, model_version: Any) -> None:
    for option, value, accepted in (("io_dtype", io_dtype, ("auto", "f32")), ("requant", requant, ("auto", "tflite"))):
        if value not in accepted:
            raise ValueError(f"{option} is {value!r}; accepted: {', '.join(accepted)}")
    if name is not None and (not isinstance(name, str) or "\0" in name):
        raise ValueError(f"name is {name!r}; accepted: text without zero characters")
    for option, number, most in (
        ("model_id", model_id, MOST_MODEL_ID),
        ("model_version", model_version, MOST_MODEL_VERSION),
    ):
        if number is not None and not (isinstance(number, Integral) and 0 <= int(number) <= most):
            raise ValueError(f"{option} is {number!r}; accepted: 0 to {most}")


def _check_samples(input_u8: tuple[float, float] | Mapping[str, tuple[float, float]] | None) -> None:
    pairs = list(input_u8.values()) if isinstance(input_u8, Mapping) else [input_u8] if input_u8 is not None else []
    for pair in pairs:
        try:
            scale, offset = map(float, pair)
        except (TypeError, ValueError):
            raise ValueError(
                f"input_u8 is {pair!r}; accepted: (scale, offset), or a mapping of such by input"
            ) from None
        if not (math.isfinite(scale) and math.isfinite(offset)) or abs(scale) < SMALLEST_SCALE:
            raise ValueError(f"input_u8 is ({scale:g}, {offset:g}); accepted: finite numbers and a scale that is not 0")


# --- files ------------------------------------------------------------------------------------------------------------


def check_writable(path: Path, *read: Any) -> None:
    """Finds out before the work what would fail after it, or would cost one of the files that are read: OutputError."""
    for source in read:
        if isinstance(source, str | os.PathLike) and path.is_file() and _is_same(path, Path(source)):
            raise OutputError(f"{path} is the model or data to be read; give the output another name")
    if path.is_dir():
        raise OutputError(f"{path} is a directory; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is no directory; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write in {path.parent}")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # there is no such file, or it cannot be the name of one
        return False


def write_atomically(path: Path, content: bytes) -> None:
    """The file is there in full, or not at all; an existing one is replaced in one step and keeps its permissions. What
    a link leads to is replaced, not the link; what is no file (/dev/null, a pipe) is written to."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        path = path.resolve()
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- stages -----------------------------------------------------------------------------------------------------------


def load_graph(model_or_path: Any) -> Graph:
    """The front end's graph of a Keras model; a graph is taken as it is."""
    from .frontends import load
    from .ir.graph import Graph

    if isinstance(model_or_path, Graph):
        return model_or_path
    return load(os.fspath(model_or_path) if isinstance(model_or_path, os.PathLike) else model_or_path)


def _lower(graph: Graph, options: Options) -> tuple[Graph, tuple[Decision, ...]]:
    from .ir.checks import ValidationError
    from .passes import PassError, run_pipeline

    try:
        compiled = run_pipeline(graph, options)
    except (PassError, ValidationError) as error:
        raise ExportError([Problem("", str(error))]) from error
    return compiled.graph, compiled.decisions


def _refuse_fallbacks(decisions: tuple[Decision, ...]) -> None:
    """--strict: every fallback becomes a problem of its own."""
    problems = [
        Problem(", ".join(d.layers), f"falls back to f32: {d.decision}; {d.reason}", "no fallbacks (strict)", d.remedy)
        for d in decisions
        if d.fallback
    ]
    if problems:
        raise ExportError(problems)


def _board(target: str) -> Board:
    from .targets.boards import load_board

    return load_board(target)


def _check_fits(board: Board, result: ExportResult, graph: Graph) -> str:
    from .analyze.analysis import analyze_view
    from .targets.boards import check_fits

    return check_fits(board, analyze_view(result.report.model, result.report, graph))


def _write(
    graph: Graph, decisions: tuple[Decision, ...], model_id: int | None, model_version: int, path: Path | None
) -> ExportResult:
    """Writes, has the C verifier accept the result, and reads it back for the report."""
    from dqnn import __version__, _core

    from .blob import parse
    from .emit.writer import WriteError, write

    try:
        written = write(graph, producer=f"dqnn {__version__}", model_id=model_id, model_version=model_version)
    except WriteError as error:
        raise ExportError([Problem("", str(error))]) from error
    _core.verify(written.blob)
    memory = written.memory
    report = Report(
        parse(written.blob), memory.lower_bound, memory.greedy_by_size, memory.strategy, decisions, path, memory.reason
    )
    return ExportResult(written.blob, report)
