"""Runs .dqnn files on this machine with the very code that runs on a microcontroller.

    interpreter = Interpreter("model.dqnn")
    y = interpreter.predict(x)                       # a batch: (n, *shape) in, (n, *shape) out

    interpreter.set_input(0, x[0])                   # or one sample, step by step
    interpreter.invoke()
    y0 = interpreter.get_output(0)

Values are real numbers unless `raw=True` asks for stored ones, see `dqnn.tensors`. Every wrong argument is a ValueError
that says what was expected. An interpreter may be used from several threads and pickled; `invoke` and `predict` release
the GIL."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from operator import index
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _core
from ._core import BlobError
from .ranges import check_meant, warn_saturated
from .tensors import (
    DTYPES,
    STORED,
    Array,
    Rounding,
    TensorInfo,
    as_array,
    as_raw,
    check_shape,
    check_stored,
    sample_of,
    to_real,
    to_stored,
)

Blob: TypeAlias = "bytes | bytearray | memoryview"
Batch: TypeAlias = "npt.ArrayLike | Mapping[str, npt.ArrayLike] | Sequence[npt.ArrayLike]"

# predict() converts and runs this many bytes of real values at a time.
CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class NodeInfo:
    """One step of a model: the Keras layers it computes, its kernel and the variant chosen on this machine."""

    layer: str
    kernel: str
    isa: str
    inputs: tuple[int, ...]
    output: int
    scratch_bytes: int


@dataclass(frozen=True)
class NodeTime:
    """What `profile` measures for one node."""

    node: NodeInfo
    seconds: float


@dataclass(frozen=True)
class NodeValue:
    """What `trace` sees of one node: its output tensor."""

    node: NodeInfo
    tensor: TensorInfo
    value: Array


class Interpreter:
    """One model, ready to run.

    model: the path of a .dqnn file, or its bytes. isas: instruction sets that may be used, by name; no result depends
    on them.

    inputs, outputs: what the model takes and gives, a TensorInfo each: name, shape, dtype, scale, zero point.
    name, producer, model_id, model_version: as the exporter stored them.
    file_bytes, arena_bytes, state_bytes, memory_bytes: sizes; memory = arena + state, on this machine.

    Raises BlobError (a ValueError) for a file that is refused, OSError for one that cannot be read."""

    def __init__(self, model: str | os.PathLike[str] | Blob, *, isas: Sequence[str] | None = None) -> None:
        self._isas = None if isas is None else _known_isas(isas)
        self._native = _load(model, self._isas)
        self._warned: set[str] = set()  # inputs whose values were warned of
        self.inputs: list[TensorInfo] = _ports("input", self._native.inputs())
        self.outputs: list[TensorInfo] = _ports("output", self._native.outputs())
        facts = self._native.model()
        self.name: str = facts["name"]
        self.producer: str = facts["producer"]
        self.file_bytes: int = facts["file_bytes"]
        self.arena_bytes: int = facts["arena_bytes"]
        self.state_bytes: int = facts["state_bytes"]
        self.memory_bytes: int = facts["memory_bytes"]
        self.model_id: int = facts["model_id"]
        self.model_version: int = facts["model_version"]

    def __repr__(self) -> str:
        ports = "; ".join(map(str, self.inputs)) + " -> " + "; ".join(map(str, self.outputs))
        sizes = f"{self.file_bytes} B file, {self.memory_bytes} B memory"
        return f"<dqnn.Interpreter {self.name or 'unnamed'}: {ports}; {sizes}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._native.blob(), self._isas)

    # ---- one sample ----

    def set_input(self, which: int | str, value: npt.ArrayLike, *, raw: bool = False) -> None:
        """Sets one input, by index or name, to real values of shape `inputs[i].shape`, or (1, *shape) (raw=True: stored
        ones, of `stored_shape` and `stored_dtype`). It keeps its value over invokes.

        An input of sensor samples (`inputs[i].sample` is set) also takes them as they are: an array of dtype uint8.
        ValueError for another shape, NaN, whole numbers beyond what the input represents, or an input that is not
        there; a warning where more than 1 % of the values saturate (once for each input)."""
        at = _find("input", self.inputs, which)
        info = self.inputs[at]
        array = as_array(info, value)
        if array.shape == (1, *(info.stored_shape if raw else info.shape)):
            array = array[0]
        self._native.set_input(at, self._stored(info, array, raw, batch=False))

    def feed_rows(self, rows: npt.ArrayLike, *, raw: bool = False) -> int:
        """Feeds the next rows of an input that is exported with feed_rows, one or several: real values of shape
        (n, *shape[1:]), or one row of shape (*shape[1:],), as for set_input. Layers run as soon as they can. Returns
        how many rows are still missing; once it is 0, invoke() runs the rest.

        ValueError for another shape or more rows than are missing, RuntimeError for a model that is not fed. Models
        that are fed also take whole inputs, by set_input and predict."""
        info = self.inputs[0]
        array = as_array(info, rows)
        shape = info.stored_shape[1:] if raw else info.shape[1:]
        part = array[np.newaxis] if array.shape == shape else array
        if part.shape[1:] != shape or part.ndim != len(info.shape):
            raise ValueError(f"input '{info.name}' takes rows of shape {shape}, or several (n, ...), got {array.shape}")
        return self._native.feed_rows(self._stored(replace(info, shape=part.shape), part, raw, batch=False))

    def feed_anew(self) -> None:
        """Forgets the rows fed since the last invoke: the next ones begin a frame."""
        self._native.feed_anew()

    def invoke(self) -> None:
        """Runs the model once. An input that was never set is all zero bytes, as it is in C. RuntimeError while rows
        are still to be fed."""
        self._native.invoke()

    def get_output(self, which: int | str = 0, *, raw: bool = False) -> Array:
        """One output of the last invoke, by index or name: float32 reals of shape `outputs[i].shape`, or the stored
        array with raw=True. RuntimeError before the first invoke."""
        at = _find("output", self.outputs, which)
        return _fetched(self.outputs[at], self._native.get_output(at), raw, batch=None)

    # ---- many ----

    def predict(self, batch: Batch, *, threads: int = 1, raw: bool = False) -> Array | dict[str, Array]:
        """Runs a batch. One input: an array (n, *shape). Several: a dict by name, or a list in order.

        Returns an array for a model with one output, else a dict by name. raw=True: stored values in and out. An array
        of dtype uint8 for an input of sensor samples holds the samples themselves, not real values. Each thread has an
        interpreter memory of its own; results do not depend on the number of threads."""
        _check_threads(threads)
        arrays, count = self._arrays(batch, raw)
        return self._by_name(self._run_chunks(arrays, count, threads, raw))

    def to_stored(self, batch: Batch, *, raw: bool = False) -> list[Array]:
        """A batch as `predict` takes it, as the stored array of each input: what a microcontroller would be given."""
        arrays, _ = self._arrays(batch, raw)
        return [self._stored(info, array, raw, batch=True) for info, array in zip(self.inputs, arrays, strict=True)]

    def from_stored(self, outputs: Sequence[Array], *, raw: bool = False) -> Array | dict[str, Array]:
        """Stored arrays of a batch, one per output, as `predict` returns them."""
        pairs = zip(self.outputs, outputs, strict=True)
        return self._by_name([as_raw(info, array) if raw else to_real(info, array) for info, array in pairs])

    def _arrays(self, batch: Batch, raw: bool) -> tuple[list[Array], int]:
        pairs = zip(self.inputs, self._in_order(batch), strict=True)
        arrays = [_batch_of(info, value, raw) for info, value in pairs]
        return arrays, _common_length(self.inputs, arrays)

    def _by_name(self, results: list[Array]) -> Array | dict[str, Array]:
        if len(results) == 1:
            return results[0]
        return {info.name: result for info, result in zip(self.outputs, results, strict=True)}

    def _in_order(self, batch: Batch) -> list[Any]:
        names = [info.name for info in self.inputs]
        if isinstance(batch, Mapping):
            missing, unknown = sorted(set(names) - set(batch)), sorted(set(map(str, batch)) - set(names))
            if missing or unknown:
                raise ValueError(f"predict needs the inputs {names}: missing {missing}, unknown {unknown}")
            return [batch[name] for name in names]
        if len(names) == 1:
            # A list with the one batch, rather than a batch of one sample: told apart by the number of dimensions.
            rank = 1 + len(self.inputs[0].shape)
            if isinstance(batch, Sequence) and len(batch) == 1 and np.ndim(batch[0]) == rank:
                return [batch[0]]
            return [batch]
        if not isinstance(batch, Sequence) or len(batch) != len(names):
            raise ValueError(
                f"this model has {len(names)} inputs: give predict a dict with {names}, or a list in this order"
            )
        return list(batch)

    def _run_chunks(self, arrays: list[Array], count: int, threads: int, raw: bool) -> list[Array]:
        sample = sum(4 * math.prod(info.shape) for info in (*self.inputs, *self.outputs))
        step = max(threads, CHUNK_BYTES // sample)
        results = [_empty(info, count, raw) for info in self.outputs]
        for start in range(0, count, step):
            part = slice(start, min(start + step, count))
            stored = [self._stored(info, a[part], raw, batch=True) for info, a in zip(self.inputs, arrays, strict=True)]
            size = part.stop - part.start
            for info, result, data in zip(
                self.outputs, results, self._native.invoke_batch(stored, size, threads), strict=True
            ):
                result[part] = _fetched(info, data, raw, batch=size)
        return results

    def _stored(self, info: TensorInfo, value: npt.ArrayLike, raw: bool, *, batch: bool) -> Array:
        array = as_array(info, value)
        check_shape(info, array, info.stored_shape if raw else info.shape, batch)
        if raw:
            return check_stored(info, array)
        stored = to_stored(info, array)
        found = check_meant(info, array)
        if found is not None and found.is_alarming and info.name not in self._warned:
            self._warned.add(info.name)
            warn_saturated(found)
        return stored

    # ---- looking inside ----

    @property
    def nodes(self) -> list[NodeInfo]:
        """The nodes in execution order."""
        return [
            NodeInfo(n["layer"], n["kernel"], n["isa"], tuple(n["inputs"]), n["output"], n["scratch_bytes"])
            for n in self._native.nodes()
        ]

    def profile(self, repeats: int = 10) -> list[NodeTime]:
        """Runs the inputs that are set `repeats` times and gives each node's mean time in seconds."""
        if repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {repeats}")
        return [NodeTime(*pair) for pair in zip(self.nodes, self._native.profile(repeats), strict=True)]

    def trace(self, *, raw: bool = False) -> list[NodeValue]:
        """Runs the inputs that are set once and gives every node's output, to compare implementations step by step."""
        tensors = self._native.tensors()
        values = []
        for node, data in zip(self.nodes, self._native.trace(), strict=True):
            t = tensors[node.output]
            info = TensorInfo(node.layer, tuple(t["dims"]), DTYPES[t["dtype"]], t["scale"], t["zero_point"])
            values.append(NodeValue(node, info, _fetched(info, bytearray(data), raw, batch=None)))
        return values

    def high_water(self) -> int:
        """Bytes of the arena that a run with the inputs that are set touches, measured by painting it."""
        return self._native.high_water()


def _check_threads(threads: Any) -> None:
    if not isinstance(threads, Integral) or int(threads) < 1:
        raise ValueError(f"threads must be a whole number from 1 on, got {threads!r}")


def _known_isas(isas: Sequence[str]) -> list[str]:
    known = _core.host_isas()
    names = [isas] if isinstance(isas, str) else list(isas)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"no instruction set of this machine is named {', '.join(unknown)}; accepted: {', '.join(known)}"
        )
    return names


def _restore(blob: bytes, isas: list[str] | None) -> Interpreter:
    return Interpreter(blob, isas=isas)


def _load(model: str | os.PathLike[str] | Blob, isas: list[str] | None) -> _core.Interpreter:
    if isinstance(model, (bytes, bytearray, memoryview)):
        return _core.Interpreter(model, isas)
    if not isinstance(model, (str, os.PathLike)):
        raise ValueError(f"Interpreter takes the path of a .dqnn file or its bytes, got {type(model).__name__}")
    path = Path(model)
    try:
        return _core.Interpreter(path.read_bytes(), isas)
    except BlobError as error:
        error.args = (f"{path}: {error}{_what_else(path)}",)
        raise


def _what_else(path: Path) -> str:
    """What a file of a training framework is, and how it becomes a model of ours."""
    with path.open("rb") as file:
        start = file.read(8)
    kinds = {b"\x89HDF": "an HDF5 file, of Keras perhaps", b"PK\x03\x04": "a zip archive, a .keras file perhaps"}
    kind = "a .tflite file" if start[4:] == b"TFL3" else kinds.get(start[:4])
    return "" if kind is None else f"; it is {kind}: dqnn-export {path} -o {path.with_suffix('.dqnn')}"


def _ports(kind: str, ports: Sequence[_core.Port]) -> list[TensorInfo]:
    """Infos with unique names, so that each can be addressed by name."""
    infos: list[TensorInfo] = []
    for at, port in enumerate(ports):
        unique = port["name"] or f"{kind}_{at}"
        if any(info.name == unique for info in infos):
            unique = f"{unique}_{at}"
        infos.append(_info(unique, port))
    return infos


def _info(name: str, port: _core.Port) -> TensorInfo:
    dtype = DTYPES[port["dtype"]]
    sample = sample_of(dtype, port["sample_scale"], port["sample_offset"])
    known = {rule.value for rule in Rounding}
    rounding = Rounding(port["rounding"]) if dtype == "s8" and port["rounding"] in known else Rounding.KERAS
    inverse = port["inverse"] if np.isfinite(port["inverse"]) and port["inverse"] > 0 else None
    unsigned = dtype == "s8" and bool(port["u8"])
    return TensorInfo(
        name, tuple(port["shape"]), dtype, port["scale"], port["zero_point"], sample, rounding, inverse, unsigned
    )


def _find(kind: str, infos: list[TensorInfo], which: int | str) -> int:
    listed = ", ".join(f"{info} (index {i})" for i, info in enumerate(infos))
    if isinstance(which, str):
        for at, info in enumerate(infos):
            if info.name == which:
                return at
        raise ValueError(f"no {kind} is named '{which}'; the model has {listed}")
    try:
        at = index(which)
    except TypeError:
        at = -1
    if not 0 <= at < len(infos):
        raise ValueError(f"no {kind} has index {which!r}; the model has {listed}")
    return at


def _fetched(info: TensorInfo, data: bytearray, raw: bool, *, batch: int | None) -> Array:
    shape = info.stored_shape if batch is None else (batch, *info.stored_shape)
    stored: Array = np.frombuffer(data, dtype=STORED[info.dtype]).reshape(shape)
    return as_raw(info, stored) if raw else to_real(info, stored)


def _empty(info: TensorInfo, count: int, raw: bool) -> Array:
    if raw:
        return np.empty((count, *info.stored_shape), info.stored_dtype)
    return np.empty((count, *info.shape), np.float32)


def _batch_of(info: TensorInfo, value: Any, raw: bool) -> Array:
    array = as_array(info, value)
    check_shape(info, array, info.stored_shape if raw else info.shape, batch=True)
    return array


def _common_length(infos: list[TensorInfo], arrays: list[Array]) -> int:
    lengths = {info.name: len(array) for info, array in zip(infos, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"all inputs of a batch need the same number of samples, got {lengths}")
    return next(iter(lengths.values()), 0)
