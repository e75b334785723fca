"""Kernel-ready graph -> the bytes of a .dqnn file (schema/SPEC.md).

Each node is packed, shown to the C plan function of its kernel (the same checks as on the device) and placed in the
arena; then the FlatBuffer is written from its end to its beginning. The result depends on nothing but the graph and the
arguments."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import flatbuffers

from dqnn.tensors import Rounding, factor_of, reciprocal

from ..format import (
    BITMAP_WORDS,
    BLOCK,
    FORMAT_VERSION,
    IDENTIFIER,
    MAGIC,
    PREFIX,
    PREFIX_BYTES,
    camel,
    schema_module,
)
from ..ir import ops
from ..ir.graph import Graph, Node, Port
from ..ir.types import S1, S8, TensorType
from ..options import Optimize, RowsMode
from .kernel_table import KernelRefusedError, Packed, PlanResult, ids, plan, tensor_def
from .memory import MemoryPlan, Problem, Step, plan_memory
from .packing import PackingError, pack
from .strips import Rows, StripPlan, plan_strips
from .strips import check as check_rows
from .walks import rows_of
from .ways import Choice, Way, choose, fill, vectors, ways

CONSTANT_ALIGNMENT = 8  # SPEC.md 3
MAX_RANK = 4
AUTO_SLACK = 0.03  # of the cycles, that smaller arenas may cost unless asked for


class WriteError(Exception):
    """A node that no kernel takes: the passes produced something the runtime would refuse."""


@dataclass(frozen=True)
class Call:
    """One node of the file: indices into `Program.tensors`."""

    packed: Packed
    plan: PlanResult
    inputs: tuple[int, ...]
    output: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """The graph in terms of the file. `buffer_of` maps tensors to memory: a tensor that only reshapes another shares
    its buffer."""

    tensors: tuple[TensorType, ...]
    names: tuple[str, ...]  # IR values, for messages and tests
    buffer_of: tuple[int, ...]
    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Written:
    """`choices`: of the calls that could go several ways, by their numbers in the program."""

    blob: bytes
    program: Program
    memory: MemoryPlan
    extra: float = 0.0  # estimate of the cycles that strips add, in parts of the whole
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class SelfTest:
    """Stored bytes of every input, and of what every output is then."""

    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]


# --- graph -> program -------------------------------------------------------------------------------------------------


def shares_memory(node: Node, graph: Graph) -> bool:
    """A reshape that leaves the stored bytes as they are."""
    if not isinstance(node.op, ops.Reshape):
        return False
    before, after = graph.types[node.inputs[0]], graph.types[node.output]
    if not isinstance(before.fmt, S1):
        return True
    return before.shape[-1] == after.shape[-1] or (before.shape[-1] % 32 == 0 and after.shape[-1] % 32 == 0)


def assemble(graph: Graph) -> Program:
    """Packs every node and asks its kernel; raises WriteError."""
    calls = [node for node in graph.nodes if not shares_memory(node, graph)]
    source = {node.output: node.inputs[0] for node in graph.nodes if shares_memory(node, graph)}
    used = [*graph.inputs, *graph.outputs, *(name for node in calls for name in (*node.inputs, node.output))]
    names = tuple(dict.fromkeys(used))
    index = {name: number for number, name in enumerate(names)}
    roots: dict[str, int] = {}
    buffer_of = tuple(roots.setdefault(_root(name, source), len(roots)) for name in names)
    return Program(
        tensors=tuple(graph.types[name] for name in names),
        names=names,
        buffer_of=buffer_of,
        calls=tuple(_call(node, graph, index) for node in calls),
        inputs=tuple(index[name] for name in graph.inputs),
        outputs=tuple(index[name] for name in graph.outputs),
    )


def _root(name: str, source: dict[str, str]) -> str:
    while name in source:
        name = source[name]
    return name


def _call(node: Node, graph: Graph, index: dict[str, int]) -> Call:
    inputs = [graph.types[name] for name in node.inputs]
    output = graph.types[node.output]
    try:
        packed = pack(node.op, inputs, output)
        planned = plan(packed, inputs, output)
    except (PackingError, KernelRefusedError) as error:
        layers = ", ".join(node.layers) or node.output
        raise WriteError(f"layer {layers}: {error} ({', '.join(map(str, inputs))} -> {output})") from error
    return Call(packed, planned, tuple(index[name] for name in node.inputs), index[node.output], node.layers)


def place(
    program: Program, rows: RowsMode = "off", arena: int | None = None, feed_rows: bool = False
) -> tuple[MemoryPlan, float]:
    """Plans the arena; offsets are by buffer. Besides, what strips of rows add to the cycles. Raises FeedError."""
    problem = problem_of(program)
    whole = plan_memory(problem)
    if not feed_rows and (rows == "off" or (arena is not None and whole.arena <= arena)):
        return whole, 0.0
    slack = float("inf") if rows == "least" or arena is not None else AUTO_SLACK
    fed = _fed(program) if feed_rows else None
    known = rows_of(program, problem, whole.order, fed)
    found = plan_strips(known, whole, slack=slack, arena=arena)
    if found is None and feed_rows:
        raise _cannot_feed(program, known, whole.order)
    return (whole, 0.0) if found is None else (_in_order(found, whole), found.extra)


class FeedError(WriteError):
    """The input cannot be fed by rows: `layer` that hinders it, `reason`."""

    def __init__(self, layer: str, reason: str) -> None:
        super().__init__(f"layer {layer}: {reason}" if layer else reason)
        self.layer, self.reason = layer, reason


def _fed(program: Program) -> int:
    """The buffer of the input that is to be fed."""
    if len(program.inputs) != 1:
        raise FeedError("", f"the model has {len(program.inputs)} inputs, and rows can be fed to one alone")
    kind = program.tensors[program.inputs[0]]
    if len(kind.shape) not in (2, 3):
        raise FeedError("", f"the input ({kind}) has no rows: maps of rank 2 or 3 have")
    return program.buffer_of[program.inputs[0]]


def _cannot_feed(program: Program, known: Rows, order: Sequence[int]) -> FeedError:
    """Why nothing was found: the first reader that needs the whole input, or that no rows lie where they must."""
    readers = known.readers[program.buffer_of[program.inputs[0]]]
    for position in readers:
        call = program.calls[order[position]]
        if known.walks[position] is None or not all(known.plain[position]):
            return FeedError(", ".join(call.layers), f"{call.packed.kernel} needs its whole input at once")
    if not readers or known.fed in known.problem.outputs:
        return FeedError("", "no layer reads the input, or it is an output, too")
    layers = ", ".join(program.calls[order[readers[-1]]].layers)
    return FeedError(layers, "no plan found in which all layers that read the input run for some rows at a time")


def _in_order(found: StripPlan, whole: MemoryPlan) -> MemoryPlan:
    """Nodes of a plan of strips are numbered in execution order: back to the program's."""
    scratch = [0] * len(whole.order)
    for position, node in enumerate(whole.order):
        scratch[node] = found.memory.scratch[position]
    return replace(found.memory, order=whole.order, scratch=tuple(scratch), greedy_by_size=whole.greedy_by_size)


def problem_of(program: Program) -> Problem:
    """What is to be placed."""
    sizes = [0] * (max(program.buffer_of) + 1)
    for tensor, buffer in zip(program.tensors, program.buffer_of, strict=True):
        sizes[buffer] = max(sizes[buffer], tensor.nbytes)

    def buffers(tensors: Iterable[int]) -> tuple[int, ...]:
        return tuple(program.buffer_of[t] for t in tensors)

    def step(call: Call) -> Step:
        ends = accumulate(program.tensors[t].nbytes for t in call.inputs)
        parts = (0, *ends)[:-1] if call.plan.parts else ()
        return Step(buffers(call.inputs), program.buffer_of[call.output], call.plan.scratch, call.plan.overlap, parts)

    steps = tuple(step(call) for call in program.calls)
    unique = tuple(dict.fromkeys(buffers(program.inputs)))
    return Problem(tuple(sizes), steps, unique, tuple(dict.fromkeys(buffers(program.outputs))))


def spend(
    program: Program, plan: MemoryPlan, optimize: Optimize, room: int | None
) -> tuple[Program, MemoryPlan, tuple[Choice, ...]]:
    """The program with the scratch that its calls get, and the plan for it; `room`: most bytes of arena for `speed`."""
    problem, options = problem_of(program), dict[int, tuple[Way, ...]]()
    for number, call in enumerate(program.calls):
        found = ways(call.packed, *_operands(program, call), call.plan.scratch)
        options |= {number: found} if found else {}
    problem, plan, choices = choose(problem, plan, options, optimize, room)
    if optimize != "size":
        problem, plan = fill(problem, plan, _wanted(program))
    return _with_scratch(program, problem), plan, choices


def spend_free(program: Program, plan: MemoryPlan, fed: bool) -> tuple[Program, MemoryPlan]:
    """What lies free in a plan with strips of rows goes to calls that can make something of it."""
    problem, plan = fill(problem_of(program), plan, _wanted(program))
    rows = rows_of(program, problem, plan.order, _fed(program) if fed else None)
    check_rows(
        rows, replace(plan, order=tuple(range(len(plan.order))), scratch=tuple(plan.scratch[n] for n in plan.order))
    )
    return _with_scratch(program, problem), plan


def _operands(program: Program, call: Call) -> tuple[list[TensorType], TensorType]:
    return [program.tensors[t] for t in call.inputs], program.tensors[call.output]


def _wanted(program: Program) -> dict[int, int]:
    return {number: vectors(call.packed, *_operands(program, call)) for number, call in enumerate(program.calls)}


def _with_scratch(program: Program, problem: Problem) -> Program:
    calls = zip(program.calls, problem.steps, strict=True)
    return replace(
        program, calls=tuple(replace(call, plan=replace(call.plan, scratch=step.scratch)) for call, step in calls)
    )


# --- program -> bytes -------------------------------------------------------------------------------------------------


class _Constants:
    """Deduplicated constants, each on a multiple of 8 bytes; together they fill whole blocks."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int]] = []  # offset, bytes
        self.data = bytearray()
        self._known: dict[bytes, int] = {}

    def add(self, constant: bytes) -> int:
        if constant not in self._known:
            self._known[constant] = len(self.entries)
            self.entries.append((len(self.data), len(constant)))
            self.data += constant + bytes(-len(constant) % CONSTANT_ALIGNMENT)
        return self._known[constant]


def write(
    graph: Graph,
    *,
    producer: str,
    model_id: int | None = None,
    model_version: int = 0,
    options: str = "",
    self_tests: Sequence[SelfTest] = (),
    rows: RowsMode = "off",
    arena: int | None = None,
    feed_rows: bool = False,
    optimize: Optimize = "balanced",
    room: int | None = None,
) -> Written:
    """The whole file. `model_id` defaults to the payload's CRC; `options` are those of the export in short. `rows`,
    `arena` and `feed_rows` as for `dqnn.export`, `optimize` and `room` as for `spend`:
    where layers run for some rows at a time, the arena is as small as it can be, and only what lies free is spent."""
    program = assemble(graph)
    memory, extra = place(program, rows, arena, feed_rows)
    choices: tuple[Choice, ...] = ()
    if not memory.segments:
        program, memory, choices = spend(program, memory, optimize, room)
    elif optimize != "size":
        program, memory = spend_free(program, memory, feed_rows)
    payload = _payload(graph, program, memory, producer, options, self_tests)
    kernels = {ids()[call.packed.kernel] for call in program.calls}
    runtime = max(runtime_version(graph), 2 if memory.segments else 1)
    prefix = _prefix(payload, runtime, memory.arena, kernels, model_id, model_version)
    return Written(prefix + payload, program, memory, extra, choices)


def runtime_version(graph: Graph) -> int:
    """The lowest runtime that reads the file as it is meant. 2 knows ports whose reals are divided by the scale, or
    whose codes are unsigned, the requantization modes fixed64, divide_even and divide_away, and weights of fewer than
    8 bits. A kernel needs none: a runtime without it says so."""
    ports = [graph.ports[value] for value in (*graph.inputs, *graph.outputs)]
    modes = [getattr(node.op, "epilogue", None) for node in graph.nodes]
    ported = any(port.unsigned or port.rounding is not Rounding.KERAS for port in ports)
    packed = any(isinstance(node.op, ops.ConvKernel) and node.op.weights.bits < 8 for node in graph.nodes)
    return 2 if ported or packed or any(isinstance(mode, ops.Fixed64 | ops.Divide) for mode in modes) else 1


def _prefix(
    payload: bytes, runtime: int, arena: int, kernels: Iterable[int], model_id: int | None, model_version: int
) -> bytes:
    crc = zlib.crc32(payload)
    bitmap = [0] * BITMAP_WORDS
    for kernel in kernels:
        bitmap[kernel // 32] |= 1 << (kernel % 32)
    head = PREFIX.pack(
        MAGIC,
        FORMAT_VERSION,
        runtime,
        PREFIX_BYTES + len(payload),
        PREFIX_BYTES,
        crc,
        arena,
        *bitmap,
        crc if model_id is None else model_id,
        model_version,
        0,
        0,
    )
    return head + struct.pack("<I", zlib.crc32(head))


def _payload(
    graph: Graph,
    program: Program,
    memory: MemoryPlan,
    producer: str,
    options: str,
    self_tests: Sequence[SelfTest],
) -> bytes:
    schema = schema_module("Model")
    constants = _Constants()
    numbers = {n: [constants.add(c) for c in program.calls[n].packed.constants] for n in memory.order}
    tested = [([constants.add(c) for c in t.inputs], [constants.add(c) for c in t.outputs]) for t in self_tests]
    builder = flatbuffers.Builder(len(constants.data) + 1024)
    # Written from the end of the file to its beginning: the large data first, so that everything else lies close
    # together.
    data = _blocks(builder, constants.data + bytes(-len(constants.data) % BLOCK))
    nodes = _offsets(
        builder,
        [
            _node(builder, program, memory, n, numbers[n], walk)
            for n, walk in zip(memory.order, row_counts(memory), strict=True)
        ],
    )
    inputs = _ports(builder, graph, program.inputs, graph.inputs)
    outputs = _ports(builder, graph, program.outputs, graph.outputs)
    tensors = _tensors(builder, program, memory)
    entries = _structs(builder, schema.ModelStartConstantsVector, "Constant", constants.entries)
    tests = _offsets(builder, [_self_test(builder, *numbers) for numbers in tested]) if tested else None
    name = builder.CreateSharedString(graph.name)
    made_by = builder.CreateSharedString(producer)
    asked = builder.CreateSharedString(options) if options else None
    schema.ModelStart(builder)
    for field, offset in (
        ("Name", name), ("Producer", made_by), ("Tensors", tensors), ("Constants", entries), ("Nodes", nodes),
        ("Inputs", inputs), ("Outputs", outputs), ("Data", data),
    ):  # fmt: skip
        getattr(schema, f"ModelAdd{field}")(builder, offset)
    if asked is not None:
        schema.ModelAddOptions(builder, asked)
    if tests is not None:
        schema.ModelAddSelfTests(builder, tests)
    if memory.segments:
        schema.ModelAddLongestSegment(builder, max(len(segment.rows) for segment in memory.segments))
    builder.Finish(schema.ModelEnd(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _blocks(builder: Any, data: bytearray) -> int:
    """A [Block16] vector in one copy (the generated code would place byte by byte)."""
    builder.StartVector(BLOCK, len(data) // BLOCK, BLOCK)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _shorts(builder: Any, values: Sequence[int]) -> int:
    builder.StartVector(2, len(values), 2)
    for value in reversed(values):
        builder.PrependUint16(value)
    return int(builder.EndVector())


def _structs(builder: Any, start: Callable[[Any, int], int], name: str, rows: Sequence[tuple[Any, ...]]) -> int:
    create = getattr(schema_module(name), f"Create{name}")
    start(builder, len(rows))
    for row in reversed(rows):
        create(builder, *row)
    return int(builder.EndVector())


def _tensors(builder: Any, program: Program, memory: MemoryPlan) -> int:
    rows = []
    strips = {buffer: count for segment in memory.segments for buffer, count in segment.strips.items()}
    for tensor, buffer in zip(program.tensors, program.buffer_of, strict=True):
        shape, dtype, scale, zero_point = tensor_def(tensor)
        dims = (*shape, *(1,) * (MAX_RANK - len(shape)))
        rows.append((dims, scale, zero_point, memory.offsets[buffer], dtype, len(shape), strips.get(buffer, 0)))
    return _structs(builder, schema_module("Model").ModelStartTensorsVector, "Tensor", rows)


def _ports(builder: Any, graph: Graph, tensors: Sequence[int], values: Sequence[str]) -> int:
    schema = schema_module("Port")
    offsets = []
    for tensor, value in zip(tensors, values, strict=True):
        port = graph.ports[value]
        name = builder.CreateSharedString(port.name)
        schema.PortStart(builder)
        schema.PortAddName(builder, name)
        if port.samples is not None:
            schema.PortAddSampleScale(builder, port.samples[0])
            schema.PortAddSampleOffset(builder, port.samples[1])
        schema.PortAddRounding(builder, port.rounding.value)
        schema.PortAddInverse(builder, stored_inverse(port, graph.types[value]))
        schema.PortAddU8(builder, int(port.unsigned))
        builder.ForceDefaults(True)  # as in _node: a tensor 0 that is written out shares the other ports' vtable
        schema.PortAddTensor(builder, tensor)
        builder.ForceDefaults(False)
        offsets.append(schema.PortEnd(builder))
    return _offsets(builder, offsets)


def stored_inverse(port: Port, kind: TensorType) -> float:
    """What Keras' rounding multiplies by, where a reader of the file would find another number; else 0."""
    if not isinstance(kind.fmt, S8) or port.rounding is not Rounding.KERAS or port.samples is not None:
        return 0.0
    factor = factor_of(kind.fmt.scale, Rounding.KERAS)
    return 0.0 if factor == reciprocal(kind.fmt.scale) else float(factor)


def _self_test(builder: Any, inputs: Sequence[int], outputs: Sequence[int]) -> int:
    schema = schema_module("SelfTest")
    given, expected = _shorts(builder, inputs), _shorts(builder, outputs)
    schema.SelfTestStart(builder)
    schema.SelfTestAddInputs(builder, given)
    schema.SelfTestAddOutputs(builder, expected)
    return int(schema.SelfTestEnd(builder))


def row_counts(memory: MemoryPlan) -> list[tuple[int, int]]:
    """By position: most rows of a call, and the nodes of the segment that begins there; zeros for what runs once."""
    walks = [(0, 0)] * len(memory.order)
    for segment in memory.segments:
        for k, rows in enumerate(segment.rows):
            walks[segment.begin + k] = (rows, 0 if k else len(segment.rows))
    return walks


def _node(
    builder: Any, program: Program, memory: MemoryPlan, number: int, constants: Sequence[int], walk: tuple[int, int]
) -> int:
    schema = schema_module("Node")
    call = program.calls[number]
    layer = builder.CreateSharedString(",".join(call.layers))
    inputs = _shorts(builder, call.inputs)
    constant_list = _shorts(builder, constants) if constants else None
    schema.NodeStart(builder)
    params = call.packed.params
    if params is not None:
        getattr(schema, f"NodeAdd{camel(params.SLOT)}")(builder, params.create(builder))
    schema.NodeAddLayer(builder, layer)
    if constant_list is not None:
        schema.NodeAddConstants(builder, constant_list)
    schema.NodeAddInputs(builder, inputs)
    # Zeros are written out: nodes that have the same fields share one vtable, which is larger than the zeros.
    builder.ForceDefaults(True)
    if call.plan.scratch:
        schema.NodeAddScratchOffset(builder, memory.scratch[number])
        schema.NodeAddScratchBytes(builder, call.plan.scratch)
    schema.NodeAddOutput(builder, call.output)
    schema.NodeAddKernel(builder, ids()[call.packed.kernel])
    rows, segment = walk
    if rows:
        schema.NodeAddRows(builder, rows)
        schema.NodeAddSegment(builder, segment)
    builder.ForceDefaults(False)
    return int(schema.NodeEnd(builder))
