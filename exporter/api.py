"""`dqnn.export`: the whole way from a model to a .dqnn file.

    frontends.load -> passes.run_pipeline -> emit.write -> C verifier -> file

The file appears under its name only when everything has succeeded; until then an older file of that name stays as it
was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from .errors import ExportError, Problem
from .files import check_writable, write_atomically
from .options import ExportOptions, IoDtype, Optimize, OptionError, Pair, Requant, RowsMode
from .report import Report

if TYPE_CHECKING:
    from .blob import ModelView
    from .emit.writer import SelfTest, Written
    from .ir.graph import Graph
    from .passes import Decision

MOST_MODEL_ID = 2**32 - 1
MOST_MODEL_VERSION = 2**16 - 1
MOST_SELF_TESTS = 64


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

    def __repr__(self) -> str:
        report = self.report
        where = "" if self.path is None else f" -> {self.path}"
        fallbacks = f", {len(report.fallbacks)} fallbacks" if report.fallbacks else ""
        sizes = f"{report.file_bytes:,} B file, {report.arena_bytes:,} B arena"
        return f"<dqnn.ExportResult {report.model.name or 'unnamed'}: {sizes}{fallbacks}{where}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def export(
    model_or_path: Any,
    output: str | os.PathLike[str] | None = None,
    *,
    io_dtype: IoDtype = "auto",
    strict: bool = False,
    name: str | None = None,
    model_id: int | None = None,
    model_version: int = 0,
    constant_time: bool = False,
    requant: Requant = "auto",
    input_u8: Pair | Mapping[str, Pair] | None = None,
    pack_weights: bool = False,
    target: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    selftest: Any = None,
    rows: RowsMode = "off",
    arena: int | None = None,
    feed_rows: bool = False,
    optimize: Optimize = "balanced",
    ram: int | None = None,
    flash: int | None = None,
) -> ExportResult:
    """Export a model (`.h5`, `.keras`, `.tflite`, `.onnx`, a Keras model in memory) and write it to `output` if given.

    strict: refuse a model of which a part would fall back to f32.
    name, model_id, model_version: stored in the file; the id defaults to the checksum of its content.
    io_dtype, requant, constant_time, input_u8, pack_weights: see ExportOptions.
    target: where the model is to run (see `dqnn targets`, or a .toml file): one that does not fit is refused.
    optimize: "balanced" takes what is faster in the memory that the model needs anyway; "speed" gives kernels more of
        it, as much as `ram` or the target has, without both as much as makes them faster; "size" the least.
    ram, flash: bytes that the target has for arena, interpreter's state and stack, and for the file: a model that needs
        more is refused.
    weights: a file of model.save_weights(), where the model is the text that model.to_json() gave (`model.json`).
    selftest: a few samples (as `validate` takes them, or a file of them) that the file keeps with their outputs: a
        device runs them and compares, byte for byte, before a new model may stay (interpreter_c/store).
    rows: "auto" runs layers for some rows at a time where that makes the arena smaller for at most 3 % more (estimated)
        cycles, "least" for any number of cycles, "off" runs each once. Firmware needs `dqnn_strips` for such files.
    arena: bytes that the arena may take: the fewest cycles that reach it, else ExportError with the least found.
    feed_rows: memory holds a strip of the input, which the application feeds row by row, as a camera delivers
        (docs/memory.md); `rows` "off" is then as "auto". Firmware needs `dqnn_fed_strips`.

    Raises ExportError with every unsupported layer, UnreadableModel, OutputError, TargetError (all DqnnErrors), and
    ValueError for an option; no file is left behind then."""
    from .targets.boards import TargetError
    from .targets.fit import check_budget, check_fits
    from .targets.target import find_target

    options = ExportOptions(io_dtype, requant, constant_time, input_u8, pack_weights)
    _check_stored(name, model_id, model_version)
    _check_memory(rows, arena, optimize, ram, flash)
    if feed_rows and selftest is not None:
        raise OptionError(
            "selftest: self-tests need the whole input in memory; accepted: one of selftest and feed_rows"
        )
    if output is not None:
        check_writable(Path(output), model_or_path, weights, selftest)
    place = None if target is None else find_target(target)
    graph = load_graph(model_or_path, weights)
    if name is not None:
        graph = replace(graph, name=name)
    lowered, decisions = _lower(graph, options)
    if strict:
        _refuse_fallbacks(decisions)
    rams = [size for size in (ram, None if place is None or place.board is None else place.board.ram_bytes) if size]

    def written(room: int | None, how: Optimize) -> Written:
        return _write(lowered, options, model_id, model_version, selftest, rows, arena, feed_rows, how, room)

    first = written(arena, "balanced" if rams and optimize == "speed" else optimize)
    if rams and optimize == "speed":
        room = min(rams) - _beside_arena(first.blob)
        first = written(room if arena is None else min(room, arena), optimize)
    if arena is not None and first.memory.arena > arena:
        raise ExportError([_too_large(first, arena)])
    result = _result(first, (*decisions, *_of_choices(first, optimize)), None if output is None else Path(output))

    def fits(model: ModelView) -> str:
        check_budget(model, ram, flash)
        return "" if place is None else check_fits(place, model)

    try:
        result = replace(result, fits=fits(result.report.model))
    except TargetError as error:
        if rows != "off" or arena is not None or feed_rows or "RAM" not in str(error):
            raise
        remedy = _fits_by_rows(
            lambda mode: _write(lowered, options, model_id, model_version, selftest, mode, None, False, "size", None),
            fits,
        )
        raise TargetError(f"{error}{remedy}") from error
    if output is not None:
        write_atomically(Path(output), result.blob)
    return result


def _fits_by_rows(written: Callable[[RowsMode], Written], fits: Callable[[ModelView], str]) -> str:
    """Whether the model would fit if layers ran for some rows at a time: a sentence, empty if not."""
    from .blob import parse
    from .targets.boards import TargetError

    for mode in ("auto", "least"):
        found = written(mode)
        try:
            fits(parse(found.blob))
        except TargetError:
            continue
        return (
            f". It fits with --rows {mode}: an arena of {found.memory.arena:,} B for an estimated {found.extra:+.1%} "
            "of cycles, and firmware with .segments = &dqnn_strips (docs/memory.md)"
        )
    return ""


def _check_stored(name: Any, model_id: Any, model_version: Any) -> None:
    if name is not None and (not isinstance(name, str) or "\0" in name):
        raise OptionError(f"name is {name!r}; accepted: text without zero characters")
    for option, number, most in (
        ("model_id", model_id, MOST_MODEL_ID),
        ("model_version", model_version, MOST_MODEL_VERSION),
    ):
        if number is not None and not (isinstance(number, Integral) and 0 <= int(number) <= most):
            raise OptionError(f"{option} is {number!r}; accepted: 0 to {most}")


def _check_memory(rows: Any, arena: Any, optimize: Any, ram: Any, flash: Any) -> None:
    choices = (("rows", rows, get_args(RowsMode)), ("optimize", optimize, get_args(Optimize)))
    for option, value, accepted in choices:
        if value not in accepted:
            raise OptionError(f"{option} is {value!r}; accepted: {', '.join(accepted)}")
    for option, size in (("arena", arena), ("ram", ram), ("flash", flash)):
        if size is not None and not (isinstance(size, Integral) and int(size) > 0):
            raise OptionError(f"{option} is {size!r}; accepted: bytes, a whole number above 0")


# --- stages -----------------------------------------------------------------------------------------------------------


def load_graph(model_or_path: Any, weights: str | os.PathLike[str] | None = None) -> Graph:
    """The front end's graph of a model; a graph is taken as it is."""
    from .frontends import load
    from .ir.graph import Graph

    if isinstance(model_or_path, Graph):
        return model_or_path
    return load(os.fspath(model_or_path) if isinstance(model_or_path, os.PathLike) else model_or_path, weights)


def _lower(graph: Graph, options: ExportOptions) -> tuple[Graph, tuple[Decision, ...]]:
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
        Problem(", ".join(d.layers), f"falls back: {d.decision}; {d.reason}", "no fallbacks (strict)", d.remedy)
        for d in decisions
        if d.fallback
    ]
    if problems:
        raise ExportError(problems)


def _too_large(written: Written, arena: int) -> Problem:
    """By how much an arena is missed, and what sets the floor."""
    from .blob import liveness, parse

    view, least = parse(written.blob), written.memory.arena
    worst = max(liveness(view), key=lambda live: live.total)
    node, name = view.nodes[worst.index], view.names[worst.index]
    return Problem(
        name,
        f"the arena takes {least:,} B, {least - arena:,} B more than the {arena:,} B that it may",
        f"{least:,} B is the least found; {worst.total:,} B of it are in use while {node.kernel} runs",
        "fewer channels or rows there, or an 8-bit input instead of floats",
    )


def _write(
    graph: Graph,
    options: ExportOptions,
    model_id: int | None,
    model_version: int,
    selftest: Any,
    rows: RowsMode,
    arena: int | None,
    feed_rows: bool,
    optimize: Optimize,
    room: int | None,
) -> Written:
    """Writes the file and has the C verifier accept it; then once more with tests, whose outputs the file gave."""
    from dqnn import _core
    from dqnn._version import __version__

    from .emit.writer import FeedError, WriteError, write

    def made(self_tests: tuple[SelfTest, ...]) -> Written:
        written = write(
            graph,
            producer=f"dqnn {__version__}",
            model_id=model_id,
            model_version=model_version,
            options=options.in_short(),
            self_tests=self_tests,
            rows="least" if rows == "off" and arena is not None else rows,
            arena=arena,
            feed_rows=feed_rows,
            optimize=optimize,
            room=room,
        )
        _core.verify(written.blob)
        return written

    try:
        written = made(())
        return written if selftest is None else made(_self_tests(written.blob, selftest))
    except FeedError as error:
        accepted = (
            "one input, of maps of 2 or 3 dimensions, whose readers are convolutions, pools or element by element"
        )
        raise ExportError([Problem(error.layer, error.reason, accepted, "Export without feed_rows.")]) from error
    except WriteError as error:
        raise ExportError([Problem("", str(error))]) from error


def _self_tests(blob: bytes, selftest: Any) -> tuple[SelfTest, ...]:
    """What the file makes of the samples."""
    import numpy as np

    from dqnn.interpreter import Interpreter

    from .emit.writer import SelfTest
    from .samples.arrays import SampleError, fit_inputs, read_inputs
    from .targets.host import HostRunner

    interpreter = Interpreter(blob)
    if isinstance(selftest, str | os.PathLike):
        selftest = read_inputs(interpreter, Path(selftest))
    inputs = interpreter.to_stored(fit_inputs(selftest, interpreter))
    if len(inputs[0]) > MOST_SELF_TESTS:
        raise SampleError(
            f"{len(inputs[0])} samples for self-tests, which a device stores: give {MOST_SELF_TESTS} at most"
        )
    outputs = HostRunner().run(blob, inputs).outputs
    for info, array in zip(interpreter.outputs, outputs, strict=True):
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise SampleError(f"output {info.name} is NaN for a sample of the self-tests, which equals nothing")
    stored = [
        [tuple(array[i].tobytes() for array in side) for side in (inputs, outputs)] for i in range(len(inputs[0]))
    ]
    return tuple(SelfTest(given, expected) for given, expected in stored)


def _beside_arena(blob: bytes) -> int:
    """RAM that a model needs besides its arena: the interpreter's state and stack."""
    from .blob import parse
    from .targets.fit import STACK_BYTES

    return parse(blob).state_bytes + STACK_BYTES


def _of_choices(written: Written, optimize: Optimize) -> list[Decision]:
    """What was chosen for the calls that could go several ways, and what the next bytes would buy."""
    from .passes import Decision

    calls, arena = written.program.calls, written.memory.arena
    decisions = []
    for choice in written.choices:
        taken, direct, call = choice.taken, choice.direct, calls[choice.node]
        reason = f"estimated {taken.cycles:,} cycles on a Cortex-M4"
        if taken.passes:
            reason += f" instead of {direct.cycles:,} by direct sums"
        reason += f"; {taken.scratch:,} B of scratch, {optimize}: the arena has {arena:,} B"
        better, more = choice.better, ""
        if better is not None:
            room = f"{choice.growth:,} B more of arena" if choice.growth else "as much arena, but in one piece"
            more = f"{room}: {better.cycles:,} cycles"
        output = written.program.names[call.output]
        decisions.append(Decision(call.layers, output, str(taken), reason, remedy=more, code="way"))
    return decisions


def _result(written: Written, decisions: tuple[Decision, ...], path: Path | None) -> ExportResult:
    """What is told of the file is read back from it."""
    from .blob import parse

    memory, view = written.memory, parse(written.blob)
    report = Report(
        view, memory.lower_bound, memory.greedy_by_size, memory.strategy, decisions, path, memory.reason, written.extra
    )
    return ExportResult(written.blob, report)
