"""Writes the small .dqnn files that the C tests load: `make_blobs.py DIRECTORY`.

Deliberately apart from the exporter: files are put together field by field with flatc's generated functions, so that a
mistake the exporter and the loader share does not pass unnoticed."""

from __future__ import annotations

import math
import struct
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "schema" / "generated"))
import BinaryParams  # type: ignore[import-not-found]
import Block16  # type: ignore[import-not-found]
import ChannelParams  # type: ignore[import-not-found]
import Constant  # type: ignore[import-not-found]
import Model  # type: ignore[import-not-found]
import Node  # type: ignore[import-not-found]
import PoolParams  # type: ignore[import-not-found]
import Port  # type: ignore[import-not-found]
import SelfTest  # type: ignore[import-not-found]
import Tensor  # type: ignore[import-not-found]
import UnaryParams  # type: ignore[import-not-found]

S1, S8, F32 = 0, 1, 2
AFFINE_S8_S1, LUT_S8, UNARY_F32, PRELU_F32, SOFTMAX_F32, BINARY_F32, MAXPOOL_S8 = 60, 66, 67, 68, 69, 72, 74
Bytes = bytes | bytearray


@dataclass
class T:
    """A tensor of the file."""

    dtype: int
    dims: tuple[int, ...]
    offset: int
    scale: float = 1.0
    zero_point: int = 0
    rows: int = 0


@dataclass
class N:
    """A node: `params` is (field name, Create function, arguments)."""

    kernel: int
    inputs: tuple[int, ...]
    output: int
    constants: tuple[int, ...] = ()
    scratch: tuple[int, int] = (0, 0)
    layer: str = ""
    params: tuple[str, Any, tuple[Any, ...]] | None = None
    rows: int = 0
    segment: int = 0


@dataclass
class File:
    tensors: list[T]
    nodes: list[N]
    inputs: list[tuple[int, str]]
    outputs: list[tuple[int, str]]
    arena: int
    constants: list[bytes] = field(default_factory=list)
    signature: bytes = b""
    self_tests: list[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)  # constants for the ports
    id: int = 0x1234
    version: int = 7
    longest_segment: int = 0
    runtime: int = 1
    has_data: bool = True


def _vector(builder: Any, items: tuple[Any, ...] | list[Any], size: int, align: int, prepend: Any) -> int:
    builder.StartVector(size, len(items), align)
    for item in reversed(items):
        prepend(item)
    return int(builder.EndVector())


def _node(builder: Any, node: N, by_rows: bool) -> int:
    inputs = _vector(builder, node.inputs, 2, 2, builder.PrependUint16)
    constants = _vector(builder, node.constants, 2, 2, builder.PrependUint16)
    layer = builder.CreateString(node.layer)
    Node.Start(builder)
    Node.AddKernel(builder, node.kernel)
    Node.AddInputs(builder, inputs)
    Node.AddOutput(builder, node.output)
    Node.AddConstants(builder, constants)
    Node.AddScratchOffset(builder, node.scratch[0])
    Node.AddScratchBytes(builder, node.scratch[1])
    Node.AddLayer(builder, layer)
    if by_rows:
        Node.AddRows(builder, node.rows)
        Node.AddSegment(builder, node.segment)
    if node.params is not None:
        name, create, arguments = node.params
        getattr(Node, f"Add{name}")(builder, create(builder, *arguments))
    return int(Node.End(builder))


def _port(builder: Any, tensor: int, name: str) -> int:
    string = builder.CreateString(name)
    Port.Start(builder)
    Port.AddTensor(builder, tensor)
    Port.AddName(builder, string)
    return int(Port.End(builder))


def _self_test(builder: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
    vectors = [_vector(builder, indices, 2, 2, builder.PrependUint16) for indices in (inputs, outputs)]
    SelfTest.Start(builder)
    SelfTest.AddInputs(builder, vectors[0])
    SelfTest.AddOutputs(builder, vectors[1])
    return int(SelfTest.End(builder))


def _payload(file: File) -> bytes:
    builder = flatbuffers.Builder(4096)
    builder.ForceDefaults(True)  # every field is stored, so that the tests can change it
    data, places = bytearray(), []
    for constant in file.constants:
        places.append((len(data), len(constant)))
        data += constant + bytes(-len(constant) % 16)
    blocks = [list(data[i : i + 16]) for i in range(0, len(data), 16)]
    data_vector = _vector(builder, blocks, 16, 16, lambda b: Block16.CreateBlock16(builder, b))
    nodes = [_node(builder, n, file.longest_segment > 0) for n in file.nodes]
    node_vector = _vector(builder, nodes, 4, 4, builder.PrependUOffsetTRelative)
    ports = []
    for group in (file.inputs, file.outputs):
        tables = [_port(builder, tensor, name) for tensor, name in group]
        if not tables:
            builder.PrependUint32(0x7FFFFFF0)  # who reads behind the empty vector takes this for an offset
        ports.append(_vector(builder, tables, 4, 4, builder.PrependUOffsetTRelative))
    tests = [_self_test(builder, *test) for test in file.self_tests]
    test_vector = _vector(builder, tests, 4, 4, builder.PrependUOffsetTRelative)
    constants = _vector(builder, places, 8, 4, lambda c: Constant.CreateConstant(builder, *c))
    tensors = _vector(builder, file.tensors, 32, 4, lambda t: _tensor(builder, t))
    name, producer = builder.CreateString("test"), builder.CreateString("make_blobs.py")
    Model.Start(builder)
    Model.AddName(builder, name)
    Model.AddProducer(builder, producer)
    Model.AddTensors(builder, tensors)
    Model.AddConstants(builder, constants)
    Model.AddNodes(builder, node_vector)
    Model.AddInputs(builder, ports[0])
    Model.AddOutputs(builder, ports[1])
    if file.has_data:
        Model.AddData(builder, data_vector)
    if file.longest_segment:
        Model.AddLongestSegment(builder, file.longest_segment)
    if tests:
        Model.AddSelfTests(builder, test_vector)
    builder.Finish(Model.End(builder), file_identifier=b"DQN1")
    return bytes(builder.Output())


def _tensor(builder: Any, t: T) -> int:
    dims = [*t.dims, 1, 1, 1][:4]
    return int(Tensor.CreateTensor(builder, dims, t.scale, t.zero_point, t.offset, t.dtype, len(t.dims), t.rows))


def blob(file: File) -> bytes:
    """The whole file with its prefix."""
    payload = _payload(file)
    bitmap = [0] * 6
    for node in file.nodes:
        bitmap[node.kernel // 32] |= 1 << node.kernel % 32
    total = 64 + len(payload) + len(file.signature)
    signature_offset = 64 + len(payload) if file.signature else 0
    prefix = struct.pack(
        "<4sHHIIII6IIHHI",
        b"DQNN", 1, file.runtime, total, 64, zlib.crc32(payload), file.arena, *bitmap, file.id, file.version, 0,
        signature_offset,
    )  # fmt: skip
    return prefix + struct.pack("<I", zlib.crc32(prefix)) + payload + file.signature


def floats() -> File:
    """f32: relu in place, a reshape without a node, softmax with scratch, add, PReLU; two outputs."""
    return File(
        tensors=[
            T(F32, (8,), 0), T(F32, (8,), 0), T(F32, (2, 4), 0),
            T(F32, (2, 4), 32), T(F32, (2, 4), 64), T(F32, (2, 4), 96),
        ],
        nodes=[
            N(UNARY_F32, (0,), 1, layer="relu", params=("Unary", UnaryParams.CreateUnaryParams, (0, 0, 0, 0.0))),
            N(SOFTMAX_F32, (2,), 3, scratch=(96, 32), layer="softmax"),
            N(BINARY_F32, (3, 2), 4, layer="add",
              params=("Binary", BinaryParams.CreateBinaryParams, (0, 0, 0, -math.inf, math.inf))),
            N(PRELU_F32, (4,), 5, constants=(0,), layer="prelu,last"),
        ],
        inputs=[(0, "x")],
        outputs=[(5, "y"), (3, "probabilities")],
        arena=128,
        constants=[struct.pack("<4f", 0.5, -1.0, 2.0, 0.0)],
    )  # fmt: skip


def bits() -> File:
    """s8 to s1: max pool, table, thresholds."""
    return File(
        tensors=[
            T(S8, (5, 5, 35), 0, 0.5, -3), T(S8, (2, 2, 35), 880, 0.5, -3), T(S8, (2, 2, 35), 880, 0.25, 4),
            T(S1, (2, 2, 35), 1024),
        ],
        nodes=[
            N(MAXPOOL_S8, (0,), 1, layer="pool", params=("Pool", PoolParams.CreatePoolParams, (2, 2, 2, 2, 0, 0))),
            N(LUT_S8, (1,), 2, constants=(0,), layer="act"),
            N(AFFINE_S8_S1, (2,), 3, constants=(1, 2), layer="sign",
              params=("Channel", ChannelParams.CreateChannelParams, (0, 1, 0, -math.inf, math.inf))),
        ],
        inputs=[(0, "image")],
        outputs=[(3, "signs")],
        arena=1056,
        constants=[
            bytes((i * 7) & 255 for i in range(256)), struct.pack("<35i", *range(-17, 18)),
            struct.pack("<2I", 0x0F0F0F0F, 5),
        ],
    )  # fmt: skip


def signed() -> File:
    file = floats()
    file.signature = b"a signature of 27 bytes ..."
    return file


def crowded() -> File:
    """One input and one constant more than a node may have."""
    file = floats()
    file.nodes[2].inputs = (3, 2) + (2,) * 15
    return file


def constants() -> File:
    file = floats()
    file.nodes[3].constants = (0,) * 7
    return file


def tested(
    version: int = 1, padding: int = 0, self_tests: list[tuple[tuple[int, ...], tuple[int, ...]]] | None = None
) -> File:
    """s8 through a table that depends on the version. Two self-tests: constants 1 and 2, 3 and 4; then one too short,
    and padding."""
    table = bytes((i * (2 * version + 1) + version) & 255 for i in range(256))
    samples = [bytes((i * step) & 255 for i in range(24)) for step in (1, 37)]
    results = [bytes(table[(u + 128) & 255] for u in sample) for sample in samples]
    constants = [table, samples[0], results[0], samples[1], results[1], bytes(23), bytes(padding)]
    return File(
        tensors=[T(S8, (24,), 0, 0.5, 0), T(S8, (24,), 32, 0.5, 0)],
        nodes=[N(LUT_S8, (0,), 1, constants=(0,), layer="table")],
        inputs=[(0, "x")],
        outputs=[(1, "y")],
        arena=64,
        constants=constants,
        self_tests=[((1,), (2,)), ((3,), (4,))] if self_tests is None else self_tests,
        id=0x1000 + version,
        version=version,
    )


def whole() -> File:
    """s8: table, 3x3 max pool, 2x1 max pool, table; every row has 16 bytes."""
    shapes = [(16, 4, 4)] * 3 + [(8, 4, 4)] * 2
    return File(
        tensors=[T(S8, dims, at, 0.5, 0) for dims, at in zip(shapes, (0, 256, 512, 768, 896), strict=True)],
        nodes=[
            N(LUT_S8, (0,), 1, constants=(0,), layer="table"),
            N(MAXPOOL_S8, (1,), 2, layer="pool", params=("Pool", PoolParams.CreatePoolParams, (3, 3, 1, 1, 1, 1))),
            N(MAXPOOL_S8, (2,), 3, layer="half", params=("Pool", PoolParams.CreatePoolParams, (2, 1, 2, 1, 0, 0))),
            N(LUT_S8, (3,), 4, constants=(0,), layer="last"),
        ],
        inputs=[(0, "image")],
        outputs=[(4, "y")],
        arena=1024,
        constants=[bytes((i * 7 + 3) & 255 for i in range(256))],
    )


def segments() -> File:
    """The same, its first three nodes as one segment: strips of 4 and 2 rows, and what leaves lies on what enters."""
    file = whole()
    for tensor, at, rows in zip(file.tensors, (0, 256, 320, 0, 128), (0, 4, 2, 0, 0), strict=True):
        tensor.offset, tensor.rows = at, rows
    for node, rows in zip(file.nodes, (2, 2, 1, 0), strict=True):
        node.rows = rows
    file.nodes[0].segment = file.longest_segment = 3
    file.arena, file.runtime = 352, 2
    return file


def fed() -> File:
    """The same, and the input is a strip of 2 rows, which the caller feeds."""
    file = segments()
    for tensor, at in zip(file.tensors, (0, 32, 96, 128, 0), strict=True):
        tensor.offset = at
    file.tensors[0].rows, file.arena = 2, 256
    return file


def fed_twice() -> File:
    """A second input."""
    file = fed()
    file.tensors.append(T(S8, (16,), 256, 0.5, 0))
    file.inputs.append((5, "more"))
    file.arena = 272
    return file


def fed_short() -> File:
    """The 3x3 pool reads the input, of which memory holds 2 rows."""
    file = fed()
    file.nodes[0].kernel, file.nodes[0].constants, file.nodes[0].params = MAXPOOL_S8, (), file.nodes[1].params
    return file


def tested_old() -> File:
    return tested(5)


def tested_new() -> File:
    return tested(6, padding=1111)


def tested_lower() -> File:
    return tested(4)


def tested_wrong() -> File:
    """The second test expects what the first one gives."""
    return tested(7, self_tests=[((1,), (2,)), ((3,), (2,))])


def tested_short() -> File:
    return tested(7, self_tests=[((1,), (2,)), ((5,), (2,))])


def tested_index() -> File:
    return tested(7, self_tests=[((1,), (7,))])


def tested_ports() -> File:
    return tested(7, self_tests=[((1,), ())])


def tested_none() -> File:
    return tested(7, self_tests=[])


MADE = (
    floats, bits, signed, crowded, constants, tested_old, tested_new, tested_lower, tested_wrong, tested_short,
    tested_index, tested_ports, tested_none, whole, segments, fed, fed_twice, fed_short,
)  # fmt: skip


def main(directory: str) -> None:
    for make in MADE:
        Path(directory, f"{make.__name__}.dqnn").write_bytes(blob(make()))


if __name__ == "__main__":
    main(sys.argv[1])
