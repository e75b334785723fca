"""dqnn_tensor_store_f32 and dqnn_tensor_load_f32 give the bits that dqnn.tensors gives: compiled for this machine, and
for a Cortex-M4 and M0+ (which has no floats at all) in emulation."""

from __future__ import annotations

import ctypes
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqnn import TensorInfo
from dqnn.exporter.bench.build import TARGETS, compile_sources
from dqnn.exporter.bench.machine import Machine
from dqnn.tensors import STORED, Rounding, pack_s1, quantize_s8, sample_codes, to_real, to_stored

ARGUMENT = 0x10
DTYPES = {"s1": 0, "s8": 1, "f32": 2}
FORMAT = "I I 4I f i B B x x I f f f B B x x"  # a dqnn_tensor on a 32-bit core
NAN = np.float32(np.nan)


class CTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("bytes", ctypes.c_uint32), ("dims", ctypes.c_uint32 * 4), ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32), ("dtype", ctypes.c_uint8), ("rank", ctypes.c_uint8), ("name", ctypes.c_char_p),
        ("sample_scale", ctypes.c_float), ("sample_offset", ctypes.c_float), ("inverse", ctypes.c_float),
        ("rounding", ctypes.c_uint8), ("u8", ctypes.c_uint8),
    )  # fmt: skip


def dims_of(info: TensorInfo) -> list[int]:
    return [*info.shape, *[1] * (4 - len(info.shape))]


def c_tensor(info: TensorInfo, data: int) -> CTensor:
    sample = info.sample or (0.0, 0.0)
    return CTensor(
        data, info.bytes, (ctypes.c_uint32 * 4)(*dims_of(info)), info.scale, info.zero_point, DTYPES[info.dtype],
        len(info.shape), b"", *sample, info.inverse or 0.0, info.rounding.value, info.unsigned,
    )  # fmt: skip


SCALES = [1.0, 1 / 128, 1 / 255, 1 / 127.5, 0.1, 3.7, 1e-7, 1.3e-7, 1e-38, 1e-42, 3e38, 1 / 16777215, 1 / 9000001]
REALS = [
    TensorInfo("x", (5,), "s8", float(np.float32(scale)), zero, None, rounding, inverse)
    for scale in SCALES
    for zero in (-128, 0, 3, 127)
    for rounding in Rounding
    for inverse in ((None, 254.9) if rounding is Rounding.KERAS and scale == 1 / 255 else (None,))
]
SAMPLES = [
    TensorInfo("x", (5,), "s8", 0.5, 3, (float(np.float32(scale)), float(np.float32(offset))))
    for scale, offset in ((1.0, 0.0), (1 / 255, 0.0), (1 / 127.5, -1.0), (0.017, -3.1), (-0.5, 7.0), (3e38, 1e38))
]
BITS = [TensorInfo("x", shape, "s1", 1.0, 0) for shape in ((1,), (31,), (32,), (3, 33), (2, 3, 64), (1, 2, 3, 5))]
FLOATS = [TensorInfo("x", (7, 3), "f32", 1.0, 0)]
ALL = [*REALS, *SAMPLES, *BITS, *FLOATS, replace(REALS[0], unsigned=True)]


def values_for(info: TensorInfo, count: int, seed: int) -> np.ndarray[Any, Any]:
    """Everywhere, around the codes, on their ties and beside them, and what is no number or nearly none."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        scale, offset = info.sample or (info.scale, 0.0)
        codes = rng.integers(-400, 400, count)
        ties = ((codes + rng.choice([0.0, 0.5], count)) * scale + offset).astype(np.float32)
        beside = np.nextafter(ties, rng.choice(np.float32([-np.inf, np.inf]), count))
        spread = (rng.normal(0, 100, count) * scale + offset).astype(np.float32)
    anything = rng.integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32).view(np.float32)
    edges = np.resize(np.float32([0, -0.0, np.inf, -np.inf, NAN, -1e-45, -1.1754942e-38, -1.1754944e-38, 3e38]), count)
    return np.asarray(rng.choice(np.stack([ties, beside, spread, anything, edges]), axis=0), dtype=np.float32)


def expected_codes(info: TensorInfo, real: np.ndarray[Any, Any]) -> bytes:
    """As to_stored, which refuses NaN where C has a rule."""
    if info.dtype == "s8" and info.sample is None:
        return quantize_s8(real, info.factor, info.zero_point, info.rounding).tobytes()
    if info.sample is not None:
        with np.errstate(all="ignore"):
            exact = (real.astype(np.float64) - info.sample[1]) / info.sample[0]
            nearest = np.clip(np.rint(np.where(np.isnan(exact), 0, exact)), 0, 255)
        return sample_codes(nearest.astype(np.uint8)).tobytes()
    return pack_s1(real).tobytes() if info.dtype == "s1" else real.tobytes()


@pytest.fixture(scope="module")
def library(repo: Path, tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., str]) -> ctypes.CDLL:
    c, target = repo / "interpreter_c", tmp_path_factory.mktemp("values") / "values.so"
    sources = [c / "src" / "values.c", c / "src" / "numerics.c"]
    options = ["-std=c11", "-O1", "-g", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    sanitize = ["-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    words = [require_tool("gcc", "cc"), *options, *sanitize, "-shared", "-fPIC", f"-I{c / 'include'}", *sources]
    subprocess.run([*words, "-o", target], check=True)
    return ctypes.CDLL(str(target))


@pytest.mark.parametrize("info", ALL, ids=lambda info: f"{info}{info.rounding.name}{info.inverse or ''}")
def test_values_become_what_python_makes_of_them(info: TensorInfo, library: ctypes.CDLL) -> None:
    shape = info.shape if info.dtype != "s8" else (20000,)
    info = replace(info, shape=shape)
    count = int(np.prod(shape))
    for seed in range(1 if info.dtype == "s8" else 20):
        real = values_for(info, count, seed)
        stored = np.full(info.bytes + 8, 0xA5, np.uint8)
        tensor = c_tensor(info, stored.ctypes.data)
        pointer = real.ctypes.data_as(ctypes.c_void_p)
        assert library.dqnn_tensor_store_f32(ctypes.byref(tensor), pointer, count) == 0
        assert stored[: info.bytes].tobytes() == expected_codes(info, real.reshape(shape))
        assert (stored[info.bytes :] == 0xA5).all()
        if not np.isnan(real).any() and info.sample is None:
            np.testing.assert_array_equal(
                stored[: info.bytes], to_stored(info, real.reshape(shape)).reshape(-1).view(np.uint8)
            )
        back = np.full(count + 1, 12.5, np.float32)
        assert library.dqnn_tensor_load_f32(ctypes.byref(tensor), back.ctypes.data_as(ctypes.c_void_p), count) == 0
        raw = stored[: info.bytes].view(STORED[info.dtype]).reshape(info.stored_shape)
        with np.errstate(over="ignore"):
            assert back[:-1].tobytes() == to_real(info, raw).tobytes()
        assert back[-1] == 12.5


def test_a_wrong_count_stores_nothing(library: ctypes.CDLL) -> None:
    info = TensorInfo("x", (2, 3), "s8", 1.0, 0)
    stored, real = np.full(6, 7, np.int8), np.ones(7, np.float32)
    tensor, pointer = c_tensor(info, stored.ctypes.data), real.ctypes.data_as(ctypes.c_void_p)
    for function in (library.dqnn_tensor_store_f32, library.dqnn_tensor_load_f32):
        for count in (0, 5, 7):
            assert function(ctypes.byref(tensor), pointer, count) == ARGUMENT
        assert function(None, pointer, 6) == ARGUMENT
        assert function(ctypes.byref(tensor), None, 6) == ARGUMENT
    assert (stored == 7).all() and (real == 1).all()


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_microcontrollers_give_the_same_bits(core: str, tmp_path: Path, require_tool: Callable[..., str]) -> None:
    require_tool("arm-none-eabi-gcc")
    names = ("dqnn_tensor_store_f32", "dqnn_tensor_load_f32")
    sources = [Path("src/values.c"), Path("src/numerics.c")]
    elf = compile_sources(TARGETS[core], sources, tmp_path / "values.elf", "-O2", keep=names)
    machine = Machine(elf, TARGETS[core].core)
    for info in ALL:
        shape = (300,) if info.dtype == "s8" else info.shape
        tensor = replace(info, shape=shape)
        count = int(np.prod(shape))
        real = values_for(tensor, count, 5)
        data, source, back = (
            machine.place(bytes(tensor.bytes)),
            machine.place(real.tobytes()),
            machine.place(real.tobytes()),
        )
        sample = tensor.sample or (0.0, 0.0)
        fields = struct.pack(
            f"<{FORMAT}", data, tensor.bytes, *dims_of(tensor), tensor.scale, tensor.zero_point, DTYPES[tensor.dtype],
            len(shape), 0, *sample, tensor.inverse or 0.0, tensor.rounding.value, tensor.unsigned,
        )  # fmt: skip
        where = machine.place(fields)
        machine.call(names[0], where, source, count)
        assert machine.result == 0
        stored = machine.read(data, tensor.bytes)
        assert stored == expected_codes(tensor, real.reshape(shape)), str(tensor)
        machine.call(names[1], where, back, count)
        raw = np.frombuffer(stored, STORED[tensor.dtype]).reshape(tensor.stored_shape)
        with np.errstate(over="ignore"):
            assert machine.read(back, 4 * count) == to_real(tensor, raw).tobytes(), str(tensor)
        machine.release()
