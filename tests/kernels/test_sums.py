"""Sums and differences of two s8 maps: all 65,536 pairs of codes, by the float rule and by TFLite's, on this machine
and on an emulated Cortex-M4, where both have loops of their own, M0+ and M3; and how long those take."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dqnn.exporter.bench.call import Call
from dqnn.exporter.emit.kernel_table import Packed
from dqnn.exporter.format import BinaryParams, FixedBinaryParams
from dqnn.exporter.ir.fixed_point import quantize_multiplier
from dqnn.exporter.ir.types import S8, TensorType

ALL = np.arange(1 << 16)
A, B = ((ALL >> shift & 255).astype(np.uint8) for shift in (0, 8))
CLAMPS = ((-128, 127), (-3, 127), (-128, -128), (-20, 33))
FAST = {"binary_s8": 16.5, "binary_s8_fixed": 15.0}  # cycles per element on the M4
ROUNDS = 12


def multiplier(factor: float) -> tuple[int, int]:
    mantissa, shift = quantize_multiplier(np.array([factor]))
    return int(mantissa[0]), int(shift[0])


def fixed(kind: int, first: S8, second: S8, out: S8, clamp: tuple[int, int]) -> FixedBinaryParams:
    """As TFLite prepares an Add."""
    twice = 2.0 * max(first.scale, second.scale)
    a, b, c = (multiplier(s) for s in (first.scale / twice, second.scale / twice, twice / (2.0**20 * out.scale)))
    return FixedBinaryParams(kind, 0, 20, 0, *a, *b, *c, *clamp)


def call(name: str, seed: int, shape: tuple[int, ...] = (256, 256), second: tuple[int, ...] | None = None) -> Call:
    """Scales as different as a residual's two branches; equal ones, powers of two and clamps among them."""
    rng = np.random.default_rng(seed)
    s1, s2 = rng.uniform(0.01, 0.1, 2)
    if seed % 5 == 0:
        s2 = s1
    if seed % 7 == 0:
        s1, s2 = 0.0625, 0.03125
    scales = (s1, s2, (s1 + s2) * rng.uniform(0.2, 1.1))
    formats = [S8(float(np.float32(s)), int(z)) for s, z in zip(scales, rng.integers(-128, 128, 3), strict=True)]
    clamp, kind = CLAMPS[seed % 4], int(rng.integers(2))
    params: Any
    constants: tuple[bytes, ...] = ()
    if name == "binary_s8_fixed":
        params = fixed(kind, *formats, clamp)
    else:
        params = BinaryParams(kind, 0, act_min=clamp[0], act_max=clamp[1])
        constants = (np.float32(1 / np.float32(formats[2].scale)).tobytes(),)
    types = [TensorType(dims, fmt) for dims, fmt in zip((shape, second or shape, shape), formats, strict=True)]
    data = [np.resize(values, types[i].shape).tobytes() for i, values in enumerate((A, B))]
    return Call(Packed(name, params, constants), types[0], types[2], data[0], others=((types[1], data[1]),))


def on_host(one: Call, isa: str) -> bytes:
    from dqnn import _core
    from dqnn.exporter.emit.kernel_table import ids, tensor_def

    inputs = ((one.input, one.data), *one.others)
    return bytes(
        _core.run_kernel(
            ids()[one.packed.kernel],
            isa,
            [data for _, data in inputs],
            [tensor_def(t) for t, _ in inputs],
            tensor_def(one.output),
            list(one.packed.constants),
            one.packed.params_bytes,
        )
    )


@pytest.mark.parametrize("name", FAST)
def test_all_pairs_on_this_machine(name: str) -> None:
    for seed in range(ROUNDS):
        one = call(name, seed)
        assert on_host(one, "portable") == on_host(one, "ref"), f"{one.packed.params}, {one.input}, {one.others[0][0]}"


def board(core: str, folder: pytest.TempPathFactory) -> Any:
    for module in ("unicorn", "capstone", "elftools"):
        pytest.importorskip(module)
    from dqnn.exporter.bench import build, machine

    target = build.TARGETS[core]
    if shutil.which(target.compiler) is None:
        pytest.skip(f"{target.compiler} is not installed")
    elf = folder.mktemp("sums") / "kernels.elf"
    sources = [*build.runtime_sources(), *build.kernel_sources()]
    return machine.Machine(build.compile_sources(target, sources, elf, "-O2", keep=("dqnn_all_kernels",)), target.core)


@pytest.fixture(scope="module")
def m4(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return board("cortex-m4", tmp_path_factory)


def emulated(m4: Any, one: Call) -> tuple[bytes, float]:
    """Output bytes, cycles per element."""
    from dqnn.exporter.bench.call import run_on_machine

    m4.release()
    output, cost = run_on_machine(m4, f"dqnn_run_{one.packed.kernel}_portable", one)
    return output, (cost.cycles or 0) / one.output.elements


def is_fast(one: Call) -> bool:
    """TFLite's sums have the fast loop unless the output's scale is below a quarter of the larger input's; differences
    also where the first scale is the larger one and no product is a tie."""
    p = one.packed.params
    if not isinstance(p, FixedBinaryParams):
        return True
    if p.kind == 0 or p.shift > -17:
        return p.shift <= -17
    return (p.multiplier_a, p.shift_a) == (1 << 30, 0) and (p.multiplier_b & 7 != 0 or p.multiplier_b & 2047 == 0)


@pytest.mark.parametrize("name", FAST)
def test_all_pairs_on_the_m4(m4: Any, name: str) -> None:
    took = {}
    for seed in range(3 * ROUNDS):
        one = call(name, seed)
        output, cycles = emulated(m4, one)
        assert output == on_host(one, "ref"), f"seed {seed}: {one.packed.params}, {one.input}, {one.others[0][0]}"
        took[seed] = cycles if is_fast(one) else 0.0
    assert max(took.values()) <= FAST[name], took
    assert sum(map(bool, took.values())) > ROUNDS


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3"])
def test_all_pairs_in_steps(core: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """TFLite's sums where products of 32 bits decide most outputs, unless inputs' scales are far above the output's."""
    machine, took = board(core, tmp_path_factory), []
    for seed in range(3 * ROUNDS):
        one = call("binary_s8_fixed", seed)
        for other in (one, turned(one)):
            output, cycles = emulated(machine, other)
            assert output == on_host(other, "ref"), f"seed {seed}: {other.packed.params}, {other.input}"
            took.append(cycles)
    if core == "cortex-m0plus":
        assert sum(cycles <= 36 for cycles in took) > 4 * ROUNDS, took


@pytest.mark.parametrize("name", FAST)
def test_any_number_of_elements_and_rows_that_repeat(m4: Any, name: str) -> None:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((n,), (n,)) for n in range(1, 20)]
    shapes += [((2, 3, c), dims) for c in (1, 7, 8, 21) for dims in ((2, 3, c), (1, 3, c), (2, 1, c), (1, 1, c))]
    shapes += [((3, 5, 4), (3, 5, 1)), ((2, 2, 3, 9), (2, 1, 1, 9)), ((4, 1), (4, 1)), ((2, 5), (1, 1))]
    for seed, (shape, second) in enumerate(shapes):
        one = call(name, seed, shape, second)
        for other in (one, turned(one)):
            wanted = on_host(other, "ref")
            assert on_host(other, "portable") == wanted, f"{shape}, {second}"
            assert emulated(m4, other)[0] == wanted, f"{shape}, {second}"


def turned(one: Call) -> Call:
    """Inputs in the other order."""
    p = one.packed.params
    if isinstance(p, FixedBinaryParams):
        a, b = (p.multiplier_a, p.shift_a), (p.multiplier_b, p.shift_b)
        p = replace(p, multiplier_a=b[0], shift_a=b[1], multiplier_b=a[0], shift_b=a[1])
    packed = Packed(one.packed.kernel, p, one.packed.constants)
    second, data = one.others[0]
    return Call(packed, second, one.output, data, others=((one.input, one.data),))
