"""Reads .onnx files. They come from anywhere, so what they claim is checked before it is used: sizes of files and
arrays are bounded, arrays have as many bytes as their shape says, data outside the file lies in the model's folder, and
each value is computed once. What is wrong with a file's parts is told all at once, by their names; a file that cannot
be taken apart at all is an UnreadableModel.

protobuf itself is the `onnx` package's, the extra dqnn[onnx]; nothing else of that package is used."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...errors import ExportError, Problem, UnreadableModel
from ...ir.types import MOST_ELEMENTS
from ..graph import from_nibbles
from .model import STANDARD, Array, Nibbles, OnnxModel, OnnxNode, OnnxPort, domain_of

ACCEPTED = "an ONNX model (.onnx)"
MOST_BYTES = 1 << 29  # of a file: hundreds of times what a microcontroller holds
MOST_NODES = 20_000
OLDEST_OPSET, NEWEST_OPSET = 7, 21
SAVE_AGAIN = "Save the model again"

# TensorProto.DataType: name here, numpy type (of the bytes), field for values that are not raw.
F32, U8, S8 = "f32", "u8", "s8"
_PORT_NAMES = {1: F32, 2: U8, 3: S8}
_TYPES: dict[int, tuple[Any, str]] = {
    1: (np.float32, "float_data"),
    2: (np.uint8, "int32_data"),
    3: (np.int8, "int32_data"),
    4: (np.uint16, "int32_data"),
    5: (np.int16, "int32_data"),
    6: (np.int32, "int32_data"),
    7: (np.int64, "int64_data"),
    9: (np.bool_, "int32_data"),
    10: (np.float16, "int32_data"),
    11: (np.float64, "double_data"),
    12: (np.uint32, "uint64_data"),
    13: (np.uint64, "uint64_data"),
}
_UINT4, _INT4 = 21, 22
Proto: TypeAlias = Any


class OnnxMissing(UnreadableModel):
    """The onnx package is not installed."""


@dataclass
class _Reading:
    """A file being read: its folder, and what was wrong so far."""

    folder: Path
    problems: list[Problem] = field(default_factory=list)
    room: int = MOST_BYTES  # bytes that arrays may still take

    def problem(self, where: str, found: str, accepted: str = "", advice: str = "") -> None:
        self.problems.append(Problem(where, found, accepted, advice))


class _Bad(Exception):
    """What is wrong with one part."""

    def __init__(self, found: str, accepted: str = "", advice: str = SAVE_AGAIN) -> None:
        super().__init__(found)
        self.found, self.accepted, self.advice = found, accepted, advice


def read_model(path: Path) -> OnnxModel:
    """The model in a file. UnreadableModel if it is none, ExportError with everything that is wrong in it."""
    proto = _parsed(path)
    reading = _Reading(path.parent)
    graph = proto.graph
    initializers = dict(_named_arrays(graph.initializer, reading))
    if len(graph.sparse_initializer):
        reading.problem("", "sparse initializers", "dense ones", SAVE_AGAIN)
    inputs = tuple(_port(info, reading) for info in graph.input if _text(info.name) not in initializers)
    outputs = tuple(_port(info, reading) for info in graph.output)
    nodes = _nodes(graph.node, reading)
    given = {port.name for port in inputs} | initializers.keys()
    ordered = _ordered(nodes, given, {port.name for port in outputs}, reading)
    opsets = _opsets(proto, {node.domain for node in ordered}, reading)
    if not outputs or not inputs:
        reading.problem("", f"the graph has {len(inputs)} inputs and {len(outputs)} outputs", "at least one of each")
    if reading.problems:
        raise ExportError(list(dict.fromkeys(reading.problems)))
    name = _text(graph.name) or path.stem
    return OnnxModel(name.replace("\0", ""), opsets, inputs, outputs, initializers, tuple(ordered))


def _parsed(path: Path) -> Proto:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise OnnxMissing("reading ONNX models needs the onnx package: pip install 'dqnn[onnx]'") from error
    size = path.stat().st_size
    if not size:
        raise UnreadableModel(f"{path} is empty; accepted: {ACCEPTED}")
    if size > MOST_BYTES:
        raise UnreadableModel(f"{path} has {size:,} bytes; accepted: {ACCEPTED} of at most {MOST_BYTES:,}")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except (DecodeError, RecursionError) as error:
        raise UnreadableModel(f"{path} is damaged or no ONNX model; accepted: {ACCEPTED}") from error
    if not len(proto.graph.node) and not len(proto.graph.output):
        raise UnreadableModel(f"{path} holds no graph: it is cut off or no ONNX model; accepted: {ACCEPTED}")
    if len(proto.graph.node) > MOST_NODES:
        raise UnreadableModel(f"{path} has {len(proto.graph.node):,} nodes; at most {MOST_NODES:,}")
    return proto


def _opsets(proto: Proto, used: set[str], reading: _Reading) -> dict[str, int]:
    """Version by domain; those that no node is from do not matter (onnxruntime lists many)."""
    opsets = {domain_of(_text(entry.domain)): int(entry.version) for entry in proto.opset_import}
    version = opsets.get(STANDARD)
    if STANDARD in used and version is None:
        reading.problem("", "the file does not say its opset", f"{OLDEST_OPSET} to {NEWEST_OPSET}", SAVE_AGAIN)
    elif version is not None and not OLDEST_OPSET <= version <= NEWEST_OPSET:
        advice = "Convert it: onnx.version_converter.convert_version(model, 13)"
        reading.problem("", f"opset {version}", f"{OLDEST_OPSET} to {NEWEST_OPSET}", advice)
    return opsets


# --- names ------------------------------------------------------------------------------------------------------------


def _text(name: str | bytes) -> str:
    """A name of the file. protobuf gives bytes for what is no UTF-8."""
    return name if isinstance(name, str) else name.decode(errors="replace")


def _port(info: Proto, reading: _Reading) -> OnnxPort:
    kind, name = info.type.tensor_type, _text(info.name)
    if not info.type.HasField("tensor_type"):
        reading.problem(name, "no tensor", "tensors as inputs and outputs")
        return OnnxPort(name, "", None)
    shape: tuple[int | str, ...] | None = None
    if kind.HasField("shape"):
        shape = tuple(
            int(dim.dim_value) if dim.HasField("dim_value") else _text(dim.dim_param) or "?" for dim in kind.shape.dim
        )
    return OnnxPort(name, _PORT_NAMES.get(kind.elem_type, _type_name(kind.elem_type)), shape)


def _type_name(number: int) -> str:
    import onnx

    names: Mapping[int, str] = {v: k for k, v in onnx.TensorProto.DataType.items()}
    return names.get(number, f"type {number}").lower()


def _nodes(protos: Any, reading: _Reading) -> list[OnnxNode]:
    nodes, taken = [], set[str]()
    for proto in protos:
        inputs, outputs = (tuple(map(_text, names)) for names in (proto.input, proto.output))
        op = _text(proto.op_type)
        path = _text(proto.name) or next((name for name in outputs if name), "") or f"a {op} without a name"
        for name in outputs:
            if name in taken:
                reading.problem(path, f"computes {name}, which another node computes too", "one node for each value")
            if name:
                taken.add(name)
        try:
            attributes = {_text(a.name): _attribute(a, reading) for a in proto.attribute}
        except _Bad as bad:
            reading.problem(path, bad.found, bad.accepted, bad.advice)
            attributes = {}
        nodes.append(OnnxNode(path, op, domain_of(_text(proto.domain)), inputs, outputs, attributes))
    return nodes


def _attribute(proto: Proto, reading: _Reading) -> Any:
    """A graph (of an If, say) is None: its operator is refused anyway."""
    kind = proto.type
    if kind == proto.TENSOR:
        return _array(proto.t, reading)
    simple: dict[int, Callable[[], Any]] = {
        proto.FLOAT: lambda: float(proto.f),
        proto.INT: lambda: int(proto.i),
        proto.STRING: lambda: proto.s.decode(errors="replace"),
        proto.FLOATS: lambda: [float(x) for x in proto.floats],
        proto.INTS: lambda: [int(x) for x in proto.ints],
        proto.STRINGS: lambda: [x.decode(errors="replace") for x in proto.strings],
    }
    return simple[kind]() if kind in simple else None


def _ordered(nodes: list[OnnxNode], given: set[str], wanted: set[str], reading: _Reading) -> list[OnnxNode]:
    """The nodes that the outputs need, each behind those that it reads, else as in the file. Tells of values that
    nothing computes and of circles."""
    needed = _needed(nodes, wanted)
    made = {name for node in needed for name in node.outputs if name}
    _tell_missing(needed, given | made, wanted, reading)
    lacking = [{n for n in node.inputs if n in made and n not in given} for node in needed]
    readers: dict[str, list[int]] = {}
    for place, names in enumerate(lacking):
        for name in names:
            readers.setdefault(name, []).append(place)
    ready = [place for place, names in enumerate(lacking) if not names]
    order: list[OnnxNode] = []
    while ready:
        node = needed[heapq.heappop(ready)]
        order.append(node)
        for name in node.outputs:
            for place in readers.pop(name, ()):
                lacking[place].discard(name)
                if not lacking[place]:
                    heapq.heappush(ready, place)
    for place, names in enumerate(lacking):
        if names:
            reading.problem(
                needed[place].path, "its inputs depend on its result", "a graph without circles", SAVE_AGAIN
            )
    return order


def _needed(nodes: list[OnnxNode], wanted: set[str]) -> list[OnnxNode]:
    makers = {name: node for node in nodes for name in node.outputs if name}
    pending, found = list(wanted), set[int]()
    while pending:
        node = makers.get(pending.pop())
        if node is not None and id(node) not in found:
            found.add(id(node))
            pending += node.inputs
    return [node for node in nodes if id(node) in found]


def _tell_missing(nodes: list[OnnxNode], known: set[str], wanted: set[str], reading: _Reading) -> None:
    for node in nodes:
        for name in node.inputs:
            if name and name not in known:
                reading.problem(node.path, f"reads {name}, which nothing computes", "", SAVE_AGAIN)
    for name in sorted(wanted - known):
        reading.problem(name, "is an output that nothing computes", "", SAVE_AGAIN)


# --- arrays -----------------------------------------------------------------------------------------------------------


def _named_arrays(protos: Any, reading: _Reading) -> Iterator[tuple[str, Array | Nibbles]]:
    for proto in protos:
        try:
            yield _text(proto.name), _array(proto, reading)
        except _Bad as bad:
            reading.problem(_text(proto.name), bad.found, bad.accepted, bad.advice)
            yield _text(proto.name), np.zeros((), np.float32)


def _array(proto: Proto, reading: _Reading) -> Array | Nibbles:
    """The numbers of a tensor, as many as its shape says."""
    shape = tuple(int(n) for n in proto.dims)
    kind = int(proto.data_type)
    if any(n < 0 for n in shape) or math.prod(shape) > MOST_ELEMENTS or len(shape) > 8:
        raise _Bad(f"an array of shape {shape}", f"at most {MOST_ELEMENTS:,} numbers")
    count = math.prod(shape)
    packed = kind in (_UINT4, _INT4)
    if kind not in _TYPES and not packed:
        raise _Bad(
            f"an array of {_type_name(kind)}", "floats of 16 to 64 bits, integers", "Export the model in float32"
        )
    dtype, data_field = (np.uint8, "int32_data") if packed else _TYPES[kind]
    stored = (count + 1) // 2 if packed else count
    nbytes = stored * np.dtype(dtype).itemsize
    reading.room -= nbytes
    if reading.room < 0:
        raise _Bad(f"arrays of more than {MOST_BYTES:,} bytes", "", "")
    raw = _raw(proto, nbytes, reading)
    if raw is not None:
        if len(raw) != nbytes:
            raise _Bad(f"{len(raw):,} bytes of data for shape {shape}, which takes {nbytes:,}")
        values = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    else:
        values = _listed(getattr(proto, data_field), dtype, stored, shape)
    return Nibbles(from_nibbles(values, count, kind == _INT4).reshape(shape)) if packed else values.reshape(shape)


def _listed(values: Any, dtype: Any, stored: int, shape: tuple[int, ...]) -> Array:
    if len(values) != stored:
        raise _Bad(f"{len(values):,} numbers for shape {shape}, which takes {stored:,}")
    if dtype is np.float16:  # their bits
        return np.asarray(values, np.int64).astype(np.uint16).view(np.float16)
    wide = np.asarray(values, np.float64 if np.issubdtype(dtype, np.floating) else None)
    with np.errstate(all="ignore"):
        return wide.astype(dtype)


def _raw(proto: Proto, nbytes: int, reading: _Reading) -> bytes | None:
    """The bytes of a tensor that has them as they are, here or in another file."""
    if proto.data_location == 1:
        return _external({_text(e.key): _text(e.value) for e in proto.external_data}, nbytes, reading.folder)
    return bytes(proto.raw_data) if proto.HasField("raw_data") else None


def _external(entries: Mapping[str, str], nbytes: int, folder: Path) -> bytes:
    """Data in a file of the model's folder. Nothing outside is opened, also not through a link."""
    location = entries.get("location", "")
    accepted = "a file in the model's folder, by its relative name"
    if not location or "\0" in location or Path(location).is_absolute():
        raise _Bad(f"its data is in {location!r}", accepted, "Save the model with its data inside")
    path, base = (folder / location).resolve(), folder.resolve()
    if base not in path.parents:
        raise _Bad(f"its data is in {location!r}, outside the model's folder", accepted, "Save it with its data inside")
    if not path.is_file():
        raise _Bad(f"its data is in {location!r}, which is not there", "", "Put that file beside the model")
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(nbytes)))
    except ValueError:
        raise _Bad("where its data lies is no number") from None
    if offset < 0 or length != nbytes or offset + length > path.stat().st_size:
        found = f"bytes {offset} to {offset + length} of {location!r} hold its data"
        raise _Bad(found, f"{nbytes:,} bytes within the file's {path.stat().st_size:,}")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
