"""Reads a .dqnn file with flatc's own Python classes into plain data, for all that looks at files.

It looks, it does not judge: whether a file is safe to run is for the C verifier to say. Prefix and checksums are
checked here all the same, so that a damaged file is named as such instead of being shown."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dqnn.tensors import DTYPES, Rounding

from .emit.kernel_table import KernelRow, row_of
from .errors import DqnnError, debugging
from .format import (
    FORMAT_VERSION,
    IDENTIFIER,
    MAGIC,
    PREFIX,
    PREFIX_BYTES,
    ConvParams,
    Params,
    from_node,
    schema_module,
)
from .ir.types import F32, S1, S8, Format, TensorType, dtype_name

# The interpreter's state on a 32-bit core: sizeof(dqnn_interpreter), and a pointer per node. tests/qemu compares them
# with the boards.
STATE_BYTES, STATE_BYTES_PER_NODE = 68, 4
SEGMENT_BYTES, SEGMENT_BYTES_PER_NODE = 308, 52  # the table of a segment, if there are any


class NotAModelError(DqnnError):
    """The bytes are no intact .dqnn file; the message says why."""


@dataclass(frozen=True)
class Prefix:
    format_version: int
    runtime_version: int
    file_bytes: int
    payload_offset: int
    payload_crc: int
    arena_bytes: int
    kernels: tuple[int, ...]
    model_id: int
    model_version: int
    flags: int
    signature_offset: int


@dataclass(frozen=True)
class TensorView:
    type: TensorType
    offset: int
    rows: int = 0  # of axis 0 in memory at a time, 0: all

    @property
    def stored(self) -> TensorType:
        """What memory holds of it at a time."""
        return replace(self.type, shape=(self.rows, *self.type.shape[1:])) if self.rows else self.type

    @property
    def nbytes(self) -> int:
        """In memory."""
        return self.stored.nbytes

    @property
    def end(self) -> int:
        return self.offset + self.nbytes


@dataclass(frozen=True)
class NodeView:
    row: KernelRow
    inputs: tuple[int, ...]
    output: int
    constants: tuple[int, ...]
    scratch_offset: int
    scratch_bytes: int
    layers: tuple[str, ...]
    params: Params | None
    rows: int = 0  # most rows of a call, 0: it runs once
    segment: int = 0  # nodes of the segment that begins here

    @property
    def kernel(self) -> str:
        """The kernel's name, to print."""
        return self.row.name

    @property
    def weight_bits(self) -> int:
        """Of a weight in the file, 0 without weights."""
        packed = self.params.weight_bits if isinstance(self.params, ConvParams) else 0
        return packed or _WEIGHT_BITS.get(self.row.weights, 0)


_WEIGHT_BITS = {"s1": 1, "s8": 8, "f32": 32}


@dataclass(frozen=True)
class PortView:
    name: str
    tensor: int
    sample: tuple[float, float] | None = None  # (scale, offset) of raw uint8 samples
    rounding: Rounding = Rounding.KERAS
    inverse: float = 0.0  # not 0: what Rounding.KERAS multiplies by
    unsigned: bool = False  # users know the codes as uint8


@dataclass(frozen=True)
class ModelView:
    prefix: Prefix
    name: str
    producer: str
    tensors: tuple[TensorView, ...]
    constants: tuple[bytes, ...]
    nodes: tuple[NodeView, ...]
    inputs: tuple[PortView, ...]
    outputs: tuple[PortView, ...]
    data_bytes: int
    options: str = ""  # of the export, in short
    self_tests: int = 0
    longest_segment: int = 0

    @property
    def file_bytes(self) -> int:
        return self.prefix.file_bytes

    @property
    def overhead_bytes(self) -> int:
        """Everything but weights, thresholds and other constants."""
        return self.file_bytes - self.data_bytes

    @property
    def state_bytes(self) -> int:
        """Of the interpreter on a 32-bit core."""
        table = SEGMENT_BYTES + SEGMENT_BYTES_PER_NODE * self.longest_segment if self.longest_segment else 0
        return STATE_BYTES + STATE_BYTES_PER_NODE * len(self.nodes) + table

    @property
    def memory_bytes(self) -> int:
        """What dqnn_init needs on a 32-bit core."""
        return self.prefix.arena_bytes + self.state_bytes

    @property
    def segments(self) -> str:
        """What a firmware for the model names as `dqnn_options.segments`, empty for nothing."""
        if any(self.tensors[port.tensor].rows for port in self.inputs):
            return "dqnn_fed_strips"
        return "dqnn_strips" if self.longest_segment else ""

    @property
    def names(self) -> list[str]:
        """Of the layer that each node is about."""
        return node_names((node.row, node.layers) for node in self.nodes)

    def constant_bytes(self, node: NodeView) -> int:
        return sum(len(self.constants[c]) for c in node.constants)


def read_prefix(blob: bytes) -> Prefix:
    """Raises NotAModelError unless magic, version, length and both checksums hold."""
    if len(blob) < PREFIX_BYTES or blob[:4] != MAGIC:
        raise NotAModelError("not a .dqnn file (it does not begin with DQNN)")
    _, version, runtime, size, payload, crc, arena, *rest = PREFIX.unpack_from(blob)
    bitmap, (model_id, model_version, flags, signature) = rest[:6], rest[6:]
    if zlib.crc32(blob[: PREFIX_BYTES - 4]) != struct.unpack_from("<I", blob, PREFIX_BYTES - 4)[0]:
        raise NotAModelError("damaged: the checksum of the first 64 bytes does not hold")
    if version > FORMAT_VERSION:
        raise NotAModelError(f"file format {version} is newer than this dqnn reads ({FORMAT_VERSION})")
    if len(blob) < size:
        raise NotAModelError(f"truncated: {len(blob)} of {size} bytes")
    if zlib.crc32(blob[payload : signature or size]) != crc:
        raise NotAModelError("damaged: the checksum of the payload does not hold")
    kernels = tuple(k for k in range(32 * len(bitmap)) if bitmap[k // 32] >> (k % 32) & 1)
    return Prefix(version, runtime, size, payload, crc, arena, kernels, model_id, model_version, flags, signature)


def parse(blob: bytes) -> ModelView:
    """The whole file as plain Python objects; raises NotAModelError."""
    model = schema_module("Model").Model
    prefix = read_prefix(blob)
    payload = bytes(blob[prefix.payload_offset : prefix.signature_offset or prefix.file_bytes])
    if not model.ModelBufferHasIdentifier(payload, 0) or IDENTIFIER not in payload[:8]:
        raise NotAModelError("the payload is not a dqnn model")
    try:
        view = _model(prefix, payload, model.GetRootAs(payload, 0))
    except (struct.error, IndexError, TypeError, ValueError, OverflowError) as error:
        if debugging():
            raise
        raise NotAModelError(f"the payload cannot be read: {error}") from error
    _check_indices(view)
    return view


def _check_indices(view: ModelView) -> None:
    """What the views of a file rely on; everything else is for the C verifier."""
    tensors, constants = len(view.tensors), len(view.constants)
    used = [port.tensor for port in (*view.inputs, *view.outputs)]
    used += [tensor for node in view.nodes for tensor in (*node.inputs, node.output)]
    if any(tensor >= tensors for tensor in used):
        raise NotAModelError("a node or port names a tensor that is not there")
    if any(constant >= constants for node in view.nodes for constant in node.constants):
        raise NotAModelError("a node names a constant that is not there")
    if not all(tensor.type.shape for tensor in view.tensors):
        raise NotAModelError("a tensor has no dimensions")


def verdict(blob: bytes) -> str:
    """What the C verifier says, empty if it accepts the file."""
    from dqnn import _core

    try:
        _core.verify(blob)
    except _core.BlobError as error:
        return str(error)
    return ""


def read_bytes(path: Path) -> bytes:
    """The content of a file; the error names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotAModelError(f"{path}: {error.strerror}") from error


def read(path: Path) -> ModelView:
    """`parse` of a file; the error names it."""
    blob = read_bytes(path)
    try:
        return parse(blob)
    except NotAModelError as error:
        raise NotAModelError(f"{path}: {error}") from error


def _model(prefix: Prefix, payload: bytes, model: Any) -> ModelView:
    start = model.Data(0)._tab.Pos if model.DataLength() else 0
    constants = []
    for i in range(model.ConstantsLength()):
        entry = model.Constants(i)
        constants.append(payload[start + entry.Offset() : start + entry.Offset() + entry.Bytes()])
    return ModelView(
        prefix=prefix,
        name=_text(model.Name()),
        producer=_text(model.Producer()),
        tensors=tuple(_tensor(model.Tensors(i)) for i in range(model.TensorsLength())),
        constants=tuple(constants),
        nodes=tuple(_node(model.Nodes(i)) for i in range(model.NodesLength())),
        inputs=tuple(_port(model.Inputs(i)) for i in range(model.InputsLength())),
        outputs=tuple(_port(model.Outputs(i)) for i in range(model.OutputsLength())),
        data_bytes=model.DataLength() * 16,
        options=_text(model.Options()),
        self_tests=model.SelfTestsLength(),
        longest_segment=model.LongestSegment(),
    )


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode()


def _tensor(tensor: Any) -> TensorView:
    kind = DTYPES[tensor.Dtype()]
    fmt: Format = S8(tensor.Scale(), tensor.ZeroPoint()) if kind == "s8" else S1() if kind == "s1" else F32()
    return TensorView(TensorType(tuple(tensor.Dims()[: tensor.Rank()]), fmt), tensor.Offset(), tensor.Rows())


def _node(node: Any) -> NodeView:
    layer = _text(node.Layer())
    return NodeView(
        row=row_of(node.Kernel()),
        inputs=tuple(node.Inputs(i) for i in range(node.InputsLength())),
        output=node.Output(),
        constants=tuple(node.Constants(i) for i in range(node.ConstantsLength())),
        scratch_offset=node.ScratchOffset(),
        scratch_bytes=node.ScratchBytes(),
        layers=tuple(layer.split(",")) if layer else (),
        params=from_node(node),
        rows=node.Rows(),
        segment=node.Segment(),
    )


def _port(port: Any) -> PortView:
    scale, offset = port.SampleScale(), port.SampleOffset()
    samples = (scale, offset) if scale else None
    try:
        rounding = Rounding(port.Rounding())
    except ValueError:
        rounding = Rounding.KERAS
    return PortView(_text(port.Name()), port.Tensor(), samples, rounding, port.Inverse(), bool(port.U8()))


def taps_of(node: NodeView, source: TensorType) -> int:
    """Products per output of a convolution of `source`."""
    params = node.params
    assert isinstance(params, ConvParams)
    inputs = source.shape[-1] // params.groups if node.row.convolves else 1
    return params.kernel_h * params.kernel_w * inputs


# --- memory over time -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Live:
    """Bytes of the arena in use while a node runs: its tensors, other live tensors, scratch."""

    index: int
    tensor_bytes: int
    scratch_bytes: int

    @property
    def total(self) -> int:
        return self.tensor_bytes + self.scratch_bytes


def together(model: ModelView) -> list[tuple[int, int]]:
    """For each node, the first and the last of its segment: what they use is in use while any of them runs."""
    spans = [(index, index) for index in range(len(model.nodes))]
    for index, node in enumerate(model.nodes):
        inside = slice(index, index + node.segment)
        spans[inside] = [(index, index + node.segment - 1)] * len(spans[inside])
    return spans


def owners(model: ModelView) -> dict[int, int]:
    """Tensor -> the one that was written as its bytes: itself, unless it is another name of them (a reshape)."""
    found = {port.tensor: port.tensor for port in model.inputs} | {node.output: node.output for node in model.nodes}
    written: dict[tuple[int, int], int] = {}

    def place(tensor: int) -> tuple[int, int]:
        return model.tensors[tensor].offset, model.tensors[tensor].nbytes

    for port in model.inputs:
        written[place(port.tensor)] = port.tensor
    for node in model.nodes:
        for tensor in node.inputs:
            found.setdefault(tensor, written.get(place(tensor), tensor))
        written[place(node.output)] = node.output
    for tensor in (*(port.tensor for port in model.outputs), *range(len(model.tensors))):
        found.setdefault(tensor, written.get(place(tensor), tensor))
    return found


def lifetimes(model: ModelView) -> dict[int, tuple[int, int]]:
    """Tensor -> first and last node that needs its place in the arena; other names of its bytes count for it."""
    end, owner = len(model.nodes) - 1, owners(model)
    first = {port.tensor: 0 for port in model.inputs}
    last = {owner[port.tensor]: end for port in model.outputs}
    for node, (begins, ends) in zip(model.nodes, together(model), strict=True):
        first.setdefault(node.output, begins)
        last[node.output] = max(last.get(node.output, ends), ends)
        for tensor in (owner[t] for t in node.inputs):
            last[tensor] = max(last.get(tensor, ends), ends)
    return {tensor: (start, last.get(tensor, start)) for tensor, start in first.items()}


def liveness(model: ModelView) -> tuple[Live, ...]:
    """Arena bytes in use at each node. A tensor that takes over the place of another counts once."""
    lives = lifetimes(model)

    def used(index: int) -> int:
        alive = sorted(
            (model.tensors[t].offset, model.tensors[t].end) for t, (a, b) in lives.items() if a <= index <= b
        )
        total = reached = 0
        for start, end in alive:
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        return total

    return tuple(Live(index, used(index), node.scratch_bytes) for index, node in enumerate(model.nodes))


# --- names ------------------------------------------------------------------------------------------------------------

# What names of layers have in them, by kernel family.
FAMILY_WORDS = {
    "maxpool": ("pool",), "avgpool": ("pool",), "avgpool_raw": ("pool",), "conv": ("conv", "dense"),
    "depthwisez": ("depthwise",), "softmax_fixed": ("softmax",), "lut_channels": ("lut",), "binary_fixed": ("binary",),
}  # fmt: skip
PASSIVE_WORDS = ("flatten", "reshape", "permute", "dropout", "padding")


def node_names(nodes: Iterable[tuple[KernelRow, Sequence[str]]]) -> list[str]:
    """For each node, given as kernel and layers, the layer that it is about. Nodes list layers of what they absorbed,
    too: a quantizer stands in an earlier node than its layer, a pool behind a kernel repeats the kernel's layers."""
    names: list[str] = []
    seen: set[str] = set()
    named: set[tuple[str, str]] = set()
    for row, layers in nodes:
        kind = "conv" if row.convolves else row.family or row.name
        words = FAMILY_WORDS.get(kind, (kind,))
        fresh = [layer for layer in layers if (kind, layer) not in named]
        alike = next((layer for layer in fresh if any(word in layer for word in words)), None)
        known = next((layer for layer in fresh if layer in seen), None)
        active = next((layer for layer in layers if not any(word in layer for word in PASSIVE_WORDS)), None)
        names.append(alike or known or active or next(iter(layers), row.name))
        named.add((kind, names[-1]))
        seen.update(layers)
    return names


# --- as JSON ----------------------------------------------------------------------------------------------------------


def to_json(model: ModelView) -> dict[str, Any]:
    """Everything but the contents of constants, in JSON types."""
    return {
        "name": model.name,
        "producer": model.producer,
        "options": model.options,
        "self_tests": model.self_tests,
        "file_bytes": model.file_bytes,
        "data_bytes": model.data_bytes,
        "arena_bytes": model.prefix.arena_bytes,
        "prefix": {**asdict(model.prefix), "kernels": [row_of(k).name for k in model.prefix.kernels]},
        "inputs": [_port_json(model, port) for port in model.inputs],
        "outputs": [_port_json(model, port) for port in model.outputs],
        "tensors": [_tensor_json(tensor) for tensor in model.tensors],
        "nodes": [_node_json(model, node) for node in model.nodes],
        "constants": [len(constant) for constant in model.constants],
    }


def _tensor_json(tensor: TensorView) -> dict[str, Any]:
    fmt = tensor.type.fmt
    quantization = {"scale": fmt.scale, "zero_point": fmt.zero_point} if isinstance(fmt, S8) else {}
    return {
        "dtype": dtype_name(fmt),
        "shape": list(tensor.type.shape),
        **quantization,
        "offset": tensor.offset,
        "bytes": tensor.nbytes,
        **({"rows": tensor.rows} if tensor.rows else {}),
    }


def _port_json(model: ModelView, port: PortView) -> dict[str, Any]:
    pair = port.sample
    sample = {} if pair is None else {"sample_scale": _finite(pair[0]), "sample_offset": _finite(pair[1])}
    rounding = {} if port.rounding is Rounding.KERAS else {"rounding": port.rounding.name.lower()}
    inverse = {"inverse": _finite(port.inverse)} if port.inverse else {}
    codes = {"codes": "uint8"} if port.unsigned else {}
    tensor = _tensor_json(model.tensors[port.tensor])
    return {"name": port.name, "tensor": port.tensor, **tensor, **sample, **rounding, **inverse, **codes}


def _node_json(model: ModelView, node: NodeView) -> dict[str, Any]:
    params = {} if node.params is None else {k: _finite(v) for k, v in asdict(node.params).items()}
    return {
        "kernel": node.kernel,
        "layers": list(node.layers),
        "inputs": list(node.inputs),
        "output": node.output,
        "constants": list(node.constants),
        "constant_bytes": model.constant_bytes(node),
        "weight_bits": node.weight_bits,
        "scratch_offset": node.scratch_offset,
        "scratch_bytes": node.scratch_bytes,
        "params": params,
        **({"rows": node.rows} if node.rows else {}),
        **({"segment": node.segment} if node.segment else {}),
    }


def _finite(value: Any) -> Any:
    """JSON has no infinities."""
    return str(value) if isinstance(value, float) and abs(value) == float("inf") else value
