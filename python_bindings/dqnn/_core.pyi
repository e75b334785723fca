"""The compiled extension: the C interpreter on raw bytes. tests/bindings holds this file equal to the extension."""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict

Buffer: TypeAlias = Any  # anything with a contiguous buffer: bytes, bytearray, memoryview, numpy array
TensorDef: TypeAlias = tuple[tuple[int, ...], int, float, int]  # dims, dtype (0 s1, 1 s8, 2 f32), scale, zero point

FORMAT_VERSION: int
RUNTIME_VERSION: int
ALIGNMENT: int
LINK_PROTOCOL: int
STORE_JOURNAL_BYTES: int

class Port(TypedDict):
    name: str
    shape: tuple[int, ...]
    dtype: int
    scale: float
    zero_point: int
    bytes: int
    sample_scale: float
    sample_offset: float
    rounding: int
    inverse: float
    u8: bool

class KernelRow(TypedDict):
    id: int
    name: str
    family: str
    input: str
    weights: str
    output: str
    variants: list[str]

class Limits(TypedDict):
    inputs: int
    bitsliced_taps: int
    kernel_size: int
    shift: int
    wide_shift: int

class Requirements(TypedDict):
    memory_bytes: int
    arena_bytes: int
    state_bytes: int
    nodes: int
    tensors: int
    inputs: int
    outputs: int

class NodeRow(TypedDict):
    layer: str
    kernel: str
    kernel_id: int
    isa: str
    inputs: list[int]
    output: int
    scratch_offset: int
    scratch_bytes: int

class TensorRow(TypedDict):
    dims: tuple[int, ...]
    dtype: int
    scale: float
    zero_point: int
    bytes: int
    offset: int

class ModelRow(TypedDict):
    name: str
    producer: str
    file_bytes: int
    arena_bytes: int
    state_bytes: int
    memory_bytes: int
    model_id: int
    model_version: int

class PlanError(ValueError):
    """A kernel's plan function refused a call."""

    status: str
    check: str

class BlobError(ValueError):
    """A file was refused. None where a field does not apply."""

    status: str
    code: int
    node: int | None
    kernel: str | None
    tensor: int | None
    check: str
    detail: str

def kernels() -> list[KernelRow]: ...
def host_isas() -> list[str]: ...
def limits() -> Limits: ...
def tensor_def_bytes(tensor: TensorDef) -> bytes: ...
def plan(
    kernel_id: int, inputs: Sequence[TensorDef], output: TensorDef, constants: Sequence[bytes], params: bytes
) -> tuple[int, int, bool]: ...
def scratch(
    kernel_id: int, inputs: Sequence[TensorDef], output: TensorDef, constants: Sequence[bytes], params: bytes
) -> dict[str, int]: ...
def run_kernel(
    kernel_id: int,
    isa: str,
    inputs: Sequence[bytes],
    input_defs: Sequence[TensorDef],
    output_def: TensorDef,
    constants: Sequence[bytes],
    params: bytes,
    output_at: int | None = None,
    parts: Sequence[int] = (),
    scratch_bytes: int | None = None,
) -> bytes: ...
def winograd_choices(
    kernel_id: int, inputs: Sequence[TensorDef], output: TensorDef, constants: Sequence[bytes], params: bytes
) -> list[tuple[int, int]]: ...
def vector_scratch(
    kernel_id: int, inputs: Sequence[TensorDef], output: TensorDef, constants: Sequence[bytes], params: bytes
) -> int: ...
def status(code: int) -> tuple[str, str]: ...
def check(code: int) -> tuple[str, str]: ...
def isas(mask: int) -> list[str]: ...
def verify(blob: Buffer) -> None: ...
def requirements(blob: Buffer) -> Requirements: ...

class Interpreter:
    def __init__(self, blob: Buffer, isas: Sequence[str] | None = None) -> None: ...
    def inputs(self) -> list[Port]: ...
    def outputs(self) -> list[Port]: ...
    def set_input(self, index: int, data: Buffer) -> None: ...
    def get_output(self, index: int) -> bytearray: ...
    def feed_rows(self, rows: Buffer) -> int: ...
    def feed_anew(self) -> None: ...
    def invoke(self) -> None: ...
    def invoke_batch(self, inputs: Sequence[Buffer], count: int, threads: int) -> list[bytearray]: ...
    def profile(self, repeats: int) -> list[float]: ...
    def trace(self) -> list[bytes]: ...
    def high_water(self) -> int: ...
    def nodes(self) -> list[NodeRow]: ...
    def tensors(self) -> list[TensorRow]: ...
    def model(self) -> ModelRow: ...
    def blob(self) -> bytes: ...

class Device:
    def __init__(
        self,
        factory: Buffer | None,
        slot_bytes: int,
        erase_bytes: int,
        program_bytes: int,
        memory_bytes: int,
        frame_bytes: int,
        core: str,
        board: str,
    ) -> None: ...
    def feed(self, data: Buffer) -> bytes: ...
    def restart(self) -> None: ...
    def flash(self) -> bytes: ...
    def set_flash(self, data: Buffer) -> None: ...
