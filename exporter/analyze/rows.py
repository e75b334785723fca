"""Rows at a time: what a file's segments hold in memory, call by call, and what other plans of rows would give.

The planner's own view (emit/strips.py) is made from the file again, so that all of this is known of any file, whoever
exported it. A file whose kernels refuse their calls has none of it: to say so is the verifier's business."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..blob import ModelView, lifetimes, liveness, owners, together
from ..emit.kernel_table import KernelRefusedError, Packed, plan
from ..emit.strips import Moment, Rows, StripPlan, choose, drafts_of, moments
from ..emit.walks import rows_of
from ..emit.writer import AUTO_SLACK, Call, Program, problem_of, row_counts
from .model import Held, SegmentView

NOTABLE = 0.25  # share of the RAM that is worth a sentence
NOTABLE_BYTES = 4096  # and so much at least: strips want code of their own


# --- a file as the planner sees it ------------------------------------------------------------------------------------


def program_of(model: ModelView) -> Program | None:
    """What was written as this file; None if a kernel refuses its call."""
    owner = owners(model)
    roots = {tensor: number for number, tensor in enumerate(dict.fromkeys(owner[t] for t in range(len(model.tensors))))}
    try:
        return Program(
            tensors=tuple(tensor.type for tensor in model.tensors),
            names=tuple(map(str, range(len(model.tensors)))),
            buffer_of=tuple(roots[owner[t]] for t in range(len(model.tensors))),
            calls=tuple(_calls(model)),
            inputs=tuple(port.tensor for port in model.inputs),
            outputs=tuple(port.tensor for port in model.outputs),
        )
    except KernelRefusedError:
        return None


def _calls(model: ModelView) -> Iterator[Call]:
    for node in model.nodes:
        packed = Packed(node.kernel, node.params, tuple(model.constants[c] for c in node.constants))
        types = [model.tensors[t].type for t in node.inputs]
        planned = plan(packed, types, model.tensors[node.output].type)
        yield Call(packed, planned, node.inputs, node.output, node.layers)


def _fed(model: ModelView, program: Program) -> int | None:
    """The buffer of the input that is fed."""
    ports = [port.tensor for port in model.inputs if model.tensors[port.tensor].rows]
    return program.buffer_of[ports[0]] if ports else None


def _rows(program: Program, fed: int | None) -> Rows:
    return rows_of(program, problem_of(program), range(len(program.calls)), fed)


# --- segments ---------------------------------------------------------------------------------------------------------


def segments_of(model: ModelView) -> tuple[SegmentView, ...]:
    """What the segments do, call by call."""
    if not model.longest_segment:
        return ()
    program = program_of(model)
    if program is None:
        return ()
    rows = _rows(program, _fed(model, program))
    strips = {program.buffer_of[t]: tensor.rows for t, tensor in enumerate(model.tensors) if tensor.rows}
    found = []
    for begin, node in enumerate(model.nodes):
        most = [part.rows for part in model.nodes[begin : begin + node.segment]]
        history = moments(rows, begin, most, strips) if most else []
        if history:
            found.append(_segment(model, program, begin, len(most), history))
    return tuple(found)


def _segment(model: ModelView, program: Program, begin: int, count: int, history: Sequence[Moment]) -> SegmentView:
    """Inputs of its nodes that it does not make itself, then the nodes' outputs. A row is in memory up to the end of
    the call after which nobody reads it; during that call, what it makes is there, too."""
    lives, end, owner = lifetimes(model), begin + count, owners(model)
    kept = {tensor for tensor, (_, last) in lives.items() if last >= end}
    kept |= {owner[port.tensor] for port in model.outputs}
    nodes = model.nodes[begin:end]
    made = {node.output: begin + k for k, node in enumerate(nodes)}
    entering = dict.fromkeys(t for node in nodes for t in node.inputs if t not in made)
    tensors = []
    for tensor in (*entering, *made):
        buffer, view = program.buffer_of[tensor], model.tensors[tensor]
        before = (
            [0] * len(history) if owner[tensor] in kept else [0, *(moment.wanted[buffer] for moment in history[:-1])]
        )
        spans = [(min(first, m.made[buffer]), m.made[buffer]) for first, m in zip(before, history, strict=True)]
        tensors.append(Held(tensor, made.get(tensor), view.type.shape[0], view.rows, view.nbytes, tuple(spans)))
    return SegmentView(begin, count, tuple(moment.node for moment in history), tuple(tensors))


# --- other plans ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alternative:
    """The file as `options` of the export would make it; `extra`: estimate of the cycles that its rows add to those of
    nodes that run once, in parts of the whole."""

    options: str
    model: ModelView
    extra: float

    @property
    def text(self) -> str:
        return f"{self.model.prefix.arena_bytes:,} B for an estimated {self.extra:+.1%} of cycles with {self.options}"


def alternatives(model: ModelView) -> list[Alternative]:
    """Plans of rows with which a model needs notably less RAM, the cheapest first."""
    program = program_of(model)
    if program is None or model.self_tests:
        return []
    fed = _fed(model, program)
    found = list(_modes(model, program, fed))
    if fed is None and len(program.inputs) == 1 and _mostly_input(found[-1].model if found else model):
        found += _modes(model, program, program.buffer_of[program.inputs[0]])
    best = model.memory_bytes
    kept = []
    for one in found:
        if one.model.memory_bytes <= (1 - NOTABLE) * model.memory_bytes and one.model.memory_bytes < 0.95 * best:
            kept.append(one)
            best = one.model.memory_bytes
    return kept if model.memory_bytes - best >= NOTABLE_BYTES else []


def _modes(model: ModelView, program: Program, fed: int | None) -> Iterator[Alternative]:
    rows = _rows(program, fed)
    if all(walk is None for walk in rows.walks):
        return
    drafts = drafts_of(rows)
    for mode, slack in (("auto", AUTO_SLACK), ("least", float("inf"))):
        chosen = choose(rows, drafts, model.prefix.arena_bytes, slack=slack)
        if chosen is not None:
            options = f"--rows {mode}" + (" --feed-rows" if fed is not None else "")
            yield Alternative(options, _planned(model, program, chosen), chosen.extra)


def _planned(model: ModelView, program: Program, chosen: StripPlan) -> ModelView:
    """The file with another plan of its memory."""
    memory = chosen.memory
    strips = {buffer: count for segment in memory.segments for buffer, count in segment.strips.items()}
    tensors = tuple(
        replace(tensor, offset=memory.offsets[buffer], rows=strips.get(buffer, 0))
        for tensor, buffer in zip(model.tensors, program.buffer_of, strict=True)
    )
    nodes = tuple(
        replace(node, scratch_offset=offset, scratch_bytes=call.plan.scratch, rows=rows, segment=segment)
        for node, call, offset, (rows, segment) in zip(
            model.nodes, program.calls, memory.scratch, row_counts(memory), strict=True
        )
    )
    prefix = replace(model.prefix, arena_bytes=memory.arena)
    longest = max((len(segment.rows) for segment in memory.segments), default=0)
    return replace(model, tensors=tensors, nodes=nodes, prefix=prefix, longest_segment=longest)


def _mostly_input(model: ModelView) -> bool:
    """Whether a model's input is a notable part of its arena."""
    return model.tensors[model.inputs[0].tensor].nbytes >= NOTABLE * model.prefix.arena_bytes


# --- the floor --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Floor:
    """What an arena cannot fall below without another plan: a node with the largest live set, the nodes that are at
    work together with it, and the largest part of the set."""

    node: int
    first: int
    last: int
    bytes: int
    part: str
    part_bytes: int

    def text(self, model: ModelView) -> str:
        one = f"while {self.first} {model.names[self.first]} runs"
        run = one if self.first == self.last else f"while nodes {self.first} to {self.last} run"
        return f"{self.bytes:,} B are in use {run}, {self.part_bytes:,} B of them {self.part}"


def floor_of(model: ModelView) -> Floor:
    """Of the nodes with the largest live set, the first."""
    worst = max(liveness(model), key=lambda live: live.total)
    first, last = together(model)[worst.index]
    makers = {node.output: index for index, node in enumerate(model.nodes)}
    ports = {port.tensor: port.name for port in model.inputs}
    names = model.names
    parts = []
    for tensor, (begin, end) in lifetimes(model).items():
        if begin <= worst.index <= end:
            whole = "" if model.tensors[tensor].rows else "whole "
            what = f"{whole}input {ports[tensor]}" if tensor in ports else f"{whole}output of {names[makers[tensor]]}"
            parts.append((model.tensors[tensor].nbytes, f"the {what}"))
    parts.append((model.nodes[worst.index].scratch_bytes, f"scratch of {names[worst.index]}"))
    size, part = max(parts, key=lambda pair: pair[0])
    return Floor(worst.index, first, last, worst.total, part, size)
