"""Every optimized variant of a convolution gives the reference's bytes, on random shapes, parameters and data.

Calls are made by the exporter's packing from random kernel-ready operators, so that the weight layouts are the real
ones. A variant that this machine's processor cannot run is skipped by name."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from dqnn import _core
from dqnn.exporter.emit import packing
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType

from .harness import runs_here

KERNELS = [
    k for k in _core.kernels() if k["family"] in ("conv", "conv_bitsliced", "depthwise") and len(k["variants"]) > 1
]
ROUNDS = 60


def random_format(name: str, rng: np.random.Generator) -> Format:
    if name == "s8":
        return S8(float(rng.choice([0.5, 0.03, 1.0])), int(rng.choice([0, -128, 127, 5])))
    return S1() if name == "s1" else F32()


def random_data(tensor: TensorType, rng: np.random.Generator) -> bytes:
    """Stored bytes of a random tensor; s1 rows have zero tails and one of several densities."""
    if isinstance(tensor.fmt, F32):
        return rng.normal(0.0, 1.0, tensor.shape).astype("<f4").tobytes()
    if isinstance(tensor.fmt, S8):
        return rng.integers(-128, 128, tensor.shape, dtype=np.int8).tobytes()
    bits = rng.random(tensor.shape) < rng.choice([0.0, 0.1, 0.5, 0.5, 0.9, 1.0])
    padded = np.zeros((*tensor.shape[:-1], -(-tensor.shape[-1] // 32) * 32), np.uint8)
    padded[..., : tensor.shape[-1]] = bits
    return np.packbits(padded, axis=-1, bitorder="little").tobytes()


def random_epilogue(out: Format, channels: int, taps: int, integer: bool, rng: np.random.Generator) -> ops.Epilogue:
    spread = taps**0.5 * 40 + 2
    if isinstance(out, S1):
        t = rng.normal(0.0, spread / 20, channels)
        if integer:
            values = np.round(t * rng.choice([1, 20, 1000])).astype(np.int64)
            values[rng.random(channels) < 0.1] = rng.choice([-(2**31), 2**31 - 1])
            return ops.Threshold(values, rng.random(channels) < rng.choice([0.0, 0.5]))
        return ops.Threshold(t.astype(np.float32), rng.random(channels) < rng.choice([0.0, 0.5]))
    scale, offset = (
        rng.normal(0.0, 60 / spread, channels).astype(np.float32),
        rng.normal(0.0, 20.0, channels).astype(np.float32),
    )
    if isinstance(out, F32):
        low, high = rng.choice([-np.inf, 0.0]), rng.choice([np.inf, 6.0])
        return ops.Affine(scale, offset, float(low), float(high))
    low, high = (-128, 127) if rng.random() < 0.7 else (-20, 90)
    kind = rng.integers(0, 3) if integer else 0
    bias = rng.integers(-500, 500, channels).astype(np.int32)
    if kind == 1:
        shift = rng.integers(-9, 2, channels).astype(np.int32)
        return ops.FixedPoint(bias, rng.integers(2**30, 2**31 - 1, channels).astype(np.int32), shift, low, high)
    if kind == 2:
        return ops.PowerOfTwo(bias, rng.integers(0, 12, channels).astype(np.int32), low, high)
    return ops.Affine(scale, offset, float(low), float(high))


def random_weights(kind: str, shape: tuple[int, ...], integer: bool, rng: np.random.Generator) -> ops.Weights:
    if kind == "s1":
        return ops.Weights("s1", rng.choice([-1, 1], shape).astype(np.int8))
    if kind == "s8":
        bits, half = int(rng.choice([8, 8, 4, 2])), bool(rng.random() < 0.3)
        most = 1 << (bits - 1)
        return ops.Weights("s8", rng.integers(-most, most, shape).astype(np.int8), half=half, bits=bits)
    return ops.Weights("f32", rng.normal(0.0, 1.0, shape).astype(np.float32))


def random_pad_value(fmt: Format, rng: np.random.Generator) -> float:
    if isinstance(fmt, S1):
        return float(rng.choice([-1, 0, 1]))
    return float(fmt.zero_point) if isinstance(fmt, S8) else float(rng.choice([0.0, 1.5]))


def out_size(size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int], up: int) -> int:
    return ((size - 1) * up + 1 + sum(pads) - (kernel - 1) * dilation - 1) // stride + 1


def random_call(
    kernel: dict[str, Any], rng: np.random.Generator
) -> tuple[ops.ConvKernel, TensorType, TensorType] | None:
    """A random operator for this kernel with its input and output types; None if the drawn shape does not exist."""
    depthwise, name = kernel["family"] == "depthwise", kernel["name"]
    groups = 1 if depthwise else int(rng.choice([1, 1, 1, 2, 3]))
    per_group = int(rng.choice([1, 2, 3, 5, 8, 13, 16, 32, 33, 40, 64]))
    channels = per_group * groups
    multiplier = int(rng.choice([1, 1, 2, 3])) if depthwise else 1
    outputs = channels * multiplier if depthwise else groups * int(rng.choice([1, 2, 3, 4, 7, 16, 32, 33, 64, 70]))
    size = (int(rng.integers(1, 10)), int(rng.integers(1, 10)))
    taps = (int(rng.integers(1, 5)), int(rng.integers(1, 5))) if rng.random() < 0.8 else (3, 3)
    stride, dilation = tuple(rng.choice([1, 1, 2, 3], 2).tolist()), tuple(rng.choice([1, 1, 2], 2).tolist())
    up = tuple(rng.choice([1, 1, 1, 2], 2).tolist()) if not name.startswith("conv_s1_s1") and not depthwise else (1, 1)
    padding = tuple(tuple(rng.integers(0, 3, 2).tolist()) for _ in range(2))
    full = tuple(out_size(size[i], taps[i], stride[i], dilation[i], padding[i], up[i]) for i in range(2))
    pool = tuple(rng.choice([1, 1, 2, 3], 2).tolist()) if rng.random() < 0.4 else (1, 1)
    if min(full) < 1 or any(full[i] // pool[i] < 1 for i in range(2)):
        return None
    shape = (outputs, *taps, per_group) if not depthwise else (*taps, channels, multiplier)
    count = taps[0] * taps[1] * (1 if depthwise else per_group)
    fmt, out = random_format(kernel["input"], rng), random_format(kernel["output"], rng)
    integer = "f32" not in (kernel["input"], kernel["weights"])
    op = ops.ConvKernel(
        random_weights(kernel["weights"], shape, integer, rng),
        random_epilogue(out, outputs, count, integer, rng),
        out,
        depthwise=depthwise,
        stride=stride,
        dilation=dilation,
        padding=padding,
        pad_value=random_pad_value(fmt, rng),
        groups=groups,
        up=up,
        pool=pool,
        horizontal=name.startswith("convh"),
    )
    return op, TensorType((*size, channels), fmt), TensorType((full[0] // pool[0], full[1] // pool[1], outputs), out)


def tensor_def(tensor: TensorType) -> tuple[tuple[int, ...], int, float, int]:
    if isinstance(tensor.fmt, S8):
        return tensor.shape, 1, tensor.fmt.scale, tensor.fmt.zero_point
    return tensor.shape, 0 if isinstance(tensor.fmt, S1) else 2, 1.0, 0


@lru_cache(maxsize=1)
def calls(name: str) -> list[tuple[tuple[Any, ...], bytes, str]]:
    """Random calls of a kernel: arguments of `run_kernel`, the reference's bytes, a description."""
    kernel = next(k for k in KERNELS if k["name"] == name)
    made: list[tuple[tuple[Any, ...], bytes, str]] = []
    for seed in range(4 * ROUNDS):
        rng = np.random.default_rng(seed)
        call = random_call(kernel, rng)
        if call is None:
            continue
        op, x_type, y_type = call
        packed = packing.pack(op, (x_type,), y_type)
        assert packed.kernel == name
        arguments = (
            [random_data(x_type, rng)],
            [tensor_def(x_type)],
            tensor_def(y_type),
            list(packed.constants),
            packed.params_bytes,
        )
        reference = _core.run_kernel(kernel["id"], "ref", *arguments)
        made.append((arguments, reference, f"seed {seed}: {x_type} -> {y_type}, {op}"))
        if len(made) == ROUNDS:
            break
    return made


VARIANTS = [
    pytest.param(kernel, isa, id=f"{kernel['name']}-{isa}", marks=runs_here(isa))
    for kernel in KERNELS
    for isa in kernel["variants"]
    if isa != "ref"
]


@pytest.mark.parametrize(("kernel", "isa"), VARIANTS)
def test_variant_equals_reference(kernel: dict[str, Any], isa: str) -> None:
    made = calls(kernel["name"])
    assert len(made) >= ROUNDS // 2
    for arguments, reference, described in made:
        if isa not in _core.scratch(kernel["id"], *arguments[1:]):  # winograd: test_winograd.py has what it takes
            continue
        output = _core.run_kernel(kernel["id"], isa, *arguments)
        assert output == reference, f"{isa} differs from ref, {described}"
