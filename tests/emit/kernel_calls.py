"""Runs one kernel-ready operator twice: as the evaluator computes it, and packed, through the C kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from dqnn import _core
from dqnn.exporter.emit.kernel_table import ids, scratch, tensor_def
from dqnn.exporter.emit.layouts import pack_signs, signs, unpack_words
from dqnn.exporter.emit.packing import pack
from dqnn.exporter.ir import ops, semantics
from dqnn.exporter.ir.types import S1, S8, TensorType

VARIANTS = {row["id"]: row["variants"] for row in _core.kernels()}


def stored_bytes(array: Any, kind: TensorType) -> bytes:
    """One sample (no batch axis) as it lies in the arena."""
    if isinstance(kind.fmt, S1):
        return bytes(pack_signs(array).tobytes())
    return bytes(np.ascontiguousarray(array.astype("i1" if isinstance(kind.fmt, S8) else "<f4")).tobytes())


def from_stored(data: bytes, kind: TensorType) -> Any:
    if isinstance(kind.fmt, S1):
        words = np.frombuffer(data, "<u4").reshape((*kind.shape[:-1], -1))
        return signs(unpack_words(words, kind.shape[-1]))
    return np.frombuffer(data, "i1" if isinstance(kind.fmt, S8) else "<f4").reshape(kind.shape)


def random_stored(rng: np.random.Generator, kind: TensorType) -> Any:
    if isinstance(kind.fmt, S1):
        return rng.choice(np.array([-1, 1], np.int8), kind.shape)
    if isinstance(kind.fmt, S8):
        return rng.integers(-128, 128, kind.shape).astype(np.int8)
    return rng.normal(size=kind.shape).astype(np.float32)


def run_all(op: ops.Op, arrays: list[Any], inputs: list[TensorType], output: TensorType) -> dict[str, Any]:
    """Stored output of each variant on this machine."""
    packed = pack(op, inputs, output)
    kernel = ids()[packed.kernel]
    taking = scratch(packed, inputs, output)
    usable = set(_core.host_isas()) & set(taking)
    results = {}
    for isa in VARIANTS[kernel]:
        if isa in usable:
            data = _core.run_kernel(
                kernel,
                isa,
                [stored_bytes(a, t) for a, t in zip(arrays, inputs, strict=True)],
                [tensor_def(t) for t in inputs],
                tensor_def(output),
                list(packed.constants),
                packed.params_bytes,
            )
            results[isa] = from_stored(data, output)
    return results


def expected(op: ops.Op, arrays: list[Any], inputs: list[TensorType], output: TensorType) -> Any:
    return semantics.run(op, [a[None] for a in arrays], inputs)[0].reshape(output.shape)


def agree(op: ops.Op, inputs: list[TensorType], output: TensorType, rng: np.random.Generator) -> None:
    """Asserts that every variant stores what the evaluator stores, bit for bit."""
    arrays = [random_stored(rng, kind) for kind in inputs]
    want = expected(op, arrays, inputs, output)
    for isa, got in run_all(op, arrays, inputs, output).items():
        same = bits(got) == bits(want)
        assert same.all(), f"{isa}: {np.count_nonzero(~same)} of {same.size} elements differ"


def bits(array: Any) -> Any:
    """Floats as integers, so that NaN equals NaN and -0 is not +0."""
    return np.ascontiguousarray(array).view(np.uint32) if array.dtype == np.float32 else array
