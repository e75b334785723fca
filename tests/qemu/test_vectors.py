"""The Cortex-M55 with and without its vectors (MVE) gives the reference's bytes: random layers of the kernels that have
variants for it, larger and odder than those of test_boards.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from kernels import test_sums as sums
from kernels.cases import Case, make
from kernels.harness import Seeded, run
from kernels.spec import Tensor

from dqnn.exporter.bench import cases, kernel
from dqnn.exporter.format import FixedBinaryParams, PoolParams, ReduceParams
from dqnn.exporter.ir import fixed_point
from dqnn.exporter.ir.types import S8, TensorType, dtype_name
from dqnn.exporter.targets.emulated import QemuRunner
from dqnn.exporter.targets.kernels_def import variants
from dqnn.exporter.targets.target import find_target

from .kernel_files import blob, bundles, inputs, kernel_named

pytestmark = pytest.mark.qemu
VECTORS = {variant.kernel for variant in variants() if variant.isa == "mve"}
LAYERS = {name for name in VECTORS if name.startswith(("conv_", "depthwise_"))}
OTHERS = VECTORS - LAYERS  # which no layer of `dqnn bench` is
LIMITS = (1_500_000, 8_000_000)
ROUNDS = 25


def spec_tensor(tensor: TensorType) -> Tensor:
    scale, zero_point = (tensor.fmt.scale, tensor.fmt.zero_point) if isinstance(tensor.fmt, S8) else (1.0, 0)
    return Tensor(tuple(tensor.shape), dtype_name(tensor.fmt), scale, zero_point)


def layer_case(layer: cases.Layer, seed: int, data: bytes | None = None) -> Case:
    call = kernel.planned(cases.make_layer_call(layer, seed))
    if data is not None:
        call = dataclasses.replace(call, data=data)
    return Case(
        kernel_named(call.packed.kernel), (spec_tensor(call.input),), spec_tensor(call.output),
        tuple(call.packed.constants), call.packed.params, (call.data,), kernel.reference(call),
    )  # fmt: skip


def random_layer(name: str, rng: np.random.Generator) -> cases.Layer | None:
    """A layer of a kernel by name; None if the drawn shape has no output."""

    def pick(*values: int) -> int:
        return int(rng.choice(values))

    kind, source, weights, output = name.split("_")
    assert kind in ("conv", "convh", "depthwise"), name
    groups = pick(1, 1, 2, 3)
    channels = groups * pick(1, 2, 3, 5, 8, 16, 17, 24, 33, 40, 64, 100)
    layer = cases.Layer(
        source, weights, output,  # type: ignore[arg-type]
        height=pick(1, 2, 4, 5, 7), width=pick(1, 2, 4, 6, 9, 12), channels=channels,
        outputs=groups * pick(1, 2, 3, 7, 16, 31, 32, 40, 64, 100, 130),
        kernel=(pick(1, 1, 2, 3), pick(1, 1, 3, 4)), stride=(pick(1, 1, 2), pick(1, 1, 3)),
        dilation=(pick(1, 1, 2), pick(1, 1, 2)),
        padding=((pick(0, 1, 2), pick(0, 1, 2)), (pick(0, 1, 2), pick(0, 1, 2))),
        pool=(pick(1, 1, 2, 3), pick(1, 1, 2, 3)), groups=groups,
        zero_point=pick(-128, -3, 0, 127), out_zero_point=pick(-128, 0, 5),
        density=float(rng.choice([0.0, 0.2, 0.5, 0.8, 1.0])), horizontal=kind == "convh",
    )  # fmt: skip
    if source == "s1":
        layer = dataclasses.replace(layer, pad_value=float(pick(-1, 0, 1) if weights == "s1" else pick(-1, 1)))
    elif source == "s8":
        layer = dataclasses.replace(layer, pad_value=float(pick(-128, 3, layer.zero_point)))
    if "f32" not in (source, weights):
        layer = dataclasses.replace(layer, requant=("affine", "fixed_point", "power_of_two")[pick(0, 1, 2)])
    if weights == "s8":
        layer = dataclasses.replace(layer, half=bool(pick(0, 0, 1)))
    if not (source == "s1" and weights == "s1") and kind == "conv" and pick(0, 0, 0, 1):
        layer = dataclasses.replace(layer, up=(pick(1, 2), pick(1, 2)))
    if kind == "depthwise":
        layer = dataclasses.replace(layer, depthwise=True, groups=1, outputs=channels * pick(1, 1, 2), up=(1, 1))
    height, width = layer.out_size()
    return layer if height >= layer.pool[0] and width >= layer.pool[1] else None


def layer_cases(name: str) -> Iterator[tuple[cases.Layer, Case]]:
    for seed in range(ROUNDS):
        layer = random_layer(name, np.random.default_rng(seed))
        if layer is not None:
            yield layer, layer_case(layer, seed)


def vectors(isas: tuple[str, ...] = ()) -> QemuRunner:
    """The emulated M55."""
    board = find_target("qemu:mps3-an547").runner
    assert isinstance(board, QemuRunner)
    return dataclasses.replace(board, timeout=240, isas=isas)


def compare(found: Iterator[tuple[cases.Layer, Case]], isas: tuple[str, ...] = (), more: int = 0) -> None:
    board = vectors(isas)
    layers = {id(case): (layer, case) for layer, case in found}
    for bundle in bundles([case for _, case in layers.values()], *LIMITS):
        outputs = board.run(blob(bundle, "mve", more), inputs(bundle)).outputs
        for case, output in zip(bundle.cases, outputs, strict=True):
            assert output.tobytes() == case.expected, f"{isas}: {layers[id(case)][0]}"


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_random_layers(name: str) -> None:
    compare(layer_cases(name))


def few_bits(name: str, bits: int) -> Iterator[tuple[cases.Layer, Case]]:
    """Packed weights: channels in fours and not, steps that end within a word, weights that end within a step."""
    for seed in range(2 * ROUNDS):
        rng = np.random.default_rng((bits, seed))
        layer = random_layer(name, rng)
        if layer is None:
            continue
        channels, outputs = (int(rng.choice([1, 2, 3, 4, 8, 12, 16, 20, 36, 64])) * layer.groups for _ in range(2))
        layer = dataclasses.replace(layer, channels=channels, outputs=outputs, weight_bits=bits)
        if seed % 4 == 0:  # one window in all, whose zero point goes another way
            layer = dataclasses.replace(layer, height=1, width=1, kernel=(1, 1), padding=((0, 0), (0, 0)), pool=(1, 1))
        if min(layer.out_size()) >= max(layer.pool):
            yield layer, layer_case(layer, seed)


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("name", sorted(name for name in VECTORS if name.startswith(("conv_s8_s8", "conv_s1_s8"))))
def test_weights_of_few_bits(name: str, bits: int) -> None:
    found = list(few_bits(name, bits))
    assert len(found) >= ROUNDS
    compare(iter(found))


def compare_cases(found: list[Case]) -> None:
    for bundle in bundles(found, *LIMITS):
        outputs = vectors().run(blob(bundle, "mve"), inputs(bundle)).outputs
        for case, output in zip(bundle.cases, outputs, strict=True):
            assert output.tobytes() == case.expected, f"{case.params} of {case.inputs[0].dims}"


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_random_calls(name: str) -> None:
    rounds = ROUNDS if name.startswith("convz") else 4 * ROUNDS
    compare_cases([make(kernel_named(name), Seeded(55, number)) for number in range(rounds)])


@pytest.mark.parametrize("name", ["affine_f32_s1", "affine_f32_s8", "affine_f32_f32"])
def test_odd_floats(name: str) -> None:
    """Inputs that are no numbers, infinite, or denormal: scalars step in. (Of infinities come NaN, whose sign hosts see
    otherwise.)"""
    found = []
    special = [np.nan, 1e-44, -1e-39, 1e-38, -3e38] + ([] if name.endswith("f32") else [np.inf, -np.inf])
    for number in range(40):
        case, rng = make(kernel_named(name), Seeded(77, number)), np.random.default_rng(number)
        values = np.frombuffer(case.data[0], "<f4").copy()
        odd = rng.random(values.shape) < rng.choice([0.02, 0.3])
        values[odd] = rng.choice(np.array(special, "<f4"), int(odd.sum()))
        case = dataclasses.replace(case, data=(values.tobytes(),))
        found.append(dataclasses.replace(case, expected=run(case, "ref")))
    compare_cases(found)


@pytest.mark.parametrize("name", ["avgpool_s8_s8", "avgpool_s8_f32", "avgpool_s8_raw"])
def test_averages(name: str) -> None:
    """Of one cell to more than a halfword has room for; sums at their ends and half way between two means."""
    found = []
    for number, (height, width) in enumerate(((1, 1), (2, 2), (3, 1), (3, 5), (25, 5), (8, 8), (16, 16), (17, 16))):
        for kind in range(4):
            rng, channels = np.random.default_rng((number, kind)), (3, 16, 37, 64)[kind]
            tensors = (
                Tensor((height, width, channels), "s8", (0.5, 1e-31, 3.7, 0.01)[kind], (0, -128, 127, -3)[kind]),
                Tensor((1, 1, channels), "s8", (0.5, 1e-31, 1.0, 0.02)[kind], (0, -128, 127, 5)[kind]),
            )
            values = (rng.integers(-128, 128, tensors[0].dims), rng.integers(-1, 2, tensors[0].dims))[kind % 2]
            values[..., 0], values[..., 1] = -128, 127
            target = tensors[1] if name != "avgpool_s8_f32" else Tensor(tensors[1].dims, "f32")
            if name == "avgpool_s8_raw":
                target = dataclasses.replace(tensors[0], dims=target.dims)
            inverse = (np.float32(1 / np.float32(target.scale)).tobytes(),) if name == "avgpool_s8_s8" else ()
            case = Case(
                kernel_named(name), (tensors[0],), target, inverse, PoolParams(height, width, 1, 1, 0, 0),
                (tensors[0].store(values),), b"",
            )  # fmt: skip
            case = dataclasses.replace(case, expected=bytes(len(target.store(np.zeros(target.dims)))))
            found.append(dataclasses.replace(case, expected=run(case, "ref")))
    compare_cases(found)


def reductions() -> Iterator[Case]:
    """More rows than a halfword has room for, columns and rows that are no whole vectors, any axes; sums at their ends,
    shifts to either side, a bias."""
    shapes = ((300, 3), (300, 40), (5, 300, 17), (4, 70, 5, 16), (2, 3, 600), (33, 2, 9, 31), (700,))
    for number, dims in enumerate(shapes):
        for axes in range(1, 2 ** len(dims)):
            rng = np.random.default_rng((number, axes))
            source = Tensor(dims, "s8", 1.0, int(rng.choice([0, -128, 127, -3])))
            target = dataclasses.replace(source, dims=tuple(1 if axes >> k & 1 else n for k, n in enumerate(dims)))
            values = rng.integers(-128, 128, dims) if axes % 3 else np.full(dims, rng.choice([-128, 127]))
            kind, requant = int(rng.choice([0, 0, 0, 3, 4])), int(rng.choice([1, 1, 3]))
            params, constants = ReduceParams(axes, kind), ()
            if kind == 0:
                count = int(np.prod(dims)) // int(np.prod(target.dims))
                bias = rng.choice([0, 999, -12345])
                multiplier, shift = (
                    int(n) for n in fixed_point.quantize_multiplier(rng.choice([1, 2.7, 0.013]) / count)
                )
                params = ReduceParams(axes, kind, requant, act_min=float(rng.choice([-128, -90])), act_max=111.0)
                first = np.array([bias << (31 - shift)], "<i8") if requant == 3 else np.array([bias], "<i4")
                last = 31 - shift if requant == 3 else shift
                constants = (
                    first.tobytes(),
                    np.array([multiplier], "<i4").tobytes(),
                    np.array([last], "<i4").tobytes(),
                )
            case = Case(kernel_named("reduce_s8"), (source,), target, constants, params, (source.store(values),), b"")
            case = dataclasses.replace(case, expected=bytes(int(np.prod(target.dims))))
            yield dataclasses.replace(case, expected=run(case, "ref"))


def test_reductions() -> None:
    compare_cases(list(reductions()))


def sum_case(name: str, seed: int, shape: tuple[int, ...]) -> Case:
    """All pairs of codes (test_sums.py)."""
    call = sums.call(name, seed, shape)
    types, data = zip((call.input, call.data), *call.others, strict=True)
    return Case(
        kernel_named(name), tuple(map(spec_tensor, types)), spec_tensor(call.output), tuple(call.packed.constants),
        call.packed.params, data, kernel.reference(call),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["binary_s8", "binary_s8_fixed"])
def test_sums(name: str) -> None:
    """Scales at the ends of what floats can be go another way."""
    found = [sum_case(name, seed, shape) for seed in range(15) for shape in ((256, 256), (5, 31))]
    for scale in (1e-38, 1e-30, 1e30, 1e38) if name == "binary_s8" else ():
        case = found[1]
        tensors = [dataclasses.replace(t, scale=float(np.float32(scale))) for t in (*case.inputs, case.output)]
        far = dataclasses.replace(
            case, inputs=tuple(tensors[:2]), output=tensors[2], constants=(np.float32(1 / scale).tobytes(),)
        )
        found.append(dataclasses.replace(far, expected=run(far, "ref")))
    compare_cases(found)


def test_sums_rounded_once() -> None:
    """All pairs of codes, ties among them, at every shift that vectors take and at some that they leave."""
    found, rng = [], np.random.default_rng(5)
    for shift in (9, 16, 17, 18, 29, 31, 34, 46, 47, 60):
        for a, b in ((2**30, 2**29), (2**31 - 1, -(2**31) + 1), (65536, -65535), tuple(rng.integers(1, 2**31, 2))):
            case = sum_case("binary_s8_fixed", shift, (256, 256))
            params = FixedBinaryParams(0, 1, 0, 0, int(a), 0, int(b), 0, 0, shift, -128, int(rng.choice([90, 127])))
            case = dataclasses.replace(case, params=params)
            found.append(dataclasses.replace(case, expected=run(case, "ref")))
    compare_cases(found)


@pytest.mark.parametrize("name", ["binary_s8", "binary_s8_fixed"])
def test_products(name: str) -> None:
    """All pairs of codes: powers of two, which make ties, and any scales; results that saturate and that vanish."""
    found = []
    for seed, factor in enumerate((0.25, 0.5, 2.0, 3.7, 100.0, 1e4)):
        case = sum_case(name, seed * 7, (256, 256))
        scale = float(np.float32(case.inputs[0].scale * case.inputs[1].scale * factor))
        case = dataclasses.replace(case, output=dataclasses.replace(case.output, scale=scale))
        if name == "binary_s8":
            params = dataclasses.replace(case.params, kind=2)  # type: ignore[type-var]
            case = dataclasses.replace(case, params=params, constants=(np.float32(1 / np.float32(scale)).tobytes(),))
        else:
            pairs = dataclasses.replace(
                sums.fixed(2, *(S8(1.0, 0),) * 3, (-100, 120)), left=0,
                multiplier_a=0, shift_a=0, multiplier_b=0, shift_b=0,
            )  # fmt: skip
            multiplier, shift = sums.multiplier(1 / factor)
            params = dataclasses.replace(pairs, multiplier=multiplier, shift=shift)
            case = dataclasses.replace(case, params=params)
        found.append(dataclasses.replace(case, expected=run(case, "ref")))
    compare_cases(found)


def binary_windows(nine: bool) -> Iterator[tuple[cases.Layer, Case]]:
    """s1 depthwise of windows of 3x3, or of others: words that share a vector, borders, strides, every kind of padding,
    vectors that lie between the sides of a map and that do not."""
    for number in range(60):
        rng = np.random.default_rng(number)

        def pick(*values: int, rng: np.random.Generator = rng) -> int:
            return int(rng.choice(values))

        channels = pick(1, 31, 32, 33, 64, 72, 96, 128, 161, 200)
        layer = cases.Layer(
            "s1", "s1", "s1", pick(1, 3, 7, 9), pick(1, 5, 9, 14, 23), channels, channels,
            (3, 3) if nine else (pick(1, 2, 5, 7), pick(1, 5, 7, 9)),
            (pick(1, 1, 2), pick(1, 1, 3)), (pick(1, 1, 2), pick(1, 1, 2)),
            ((pick(0, 2, 3), pick(0, 2, 5)), (pick(0, 2, 4), pick(0, 2, 4))), float(pick(-1, 0, 1)), depthwise=True,
            density=float(rng.choice([0.0, 0.5, 1.0])),
        )  # fmt: skip
        if min(layer.out_size()) > 0:
            yield layer, layer_case(layer, number)


@pytest.mark.parametrize("nine", [True, False])
def test_binary_windows(nine: bool) -> None:
    found = list(binary_windows(nine))
    assert len(found) > 30
    compare(iter(found))


def byte_windows(weights: cases.Kind, nine: bool, bits: int) -> Iterator[tuple[cases.Layer, Case]]:
    """s8 depthwise of windows of 3x3, or of others: sixteen channels at a time and what is left of them, borders,
    strides, dilations, pad values that are not the zero point, weights of -128, alone and beside each other."""
    for number in range(60):
        rng = np.random.default_rng(number)

        def pick(*values: int, rng: np.random.Generator = rng) -> int:
            return int(rng.choice(values))

        channels, zero_point = pick(3, 16, 17, 31, 40, 48, 72, 90), pick(-128, -3, 0, 127)
        layer = cases.Layer(
            "s8", weights, "s8", pick(1, 3, 7, 9), pick(1, 5, 9, 14), channels, channels,
            (3, 3) if nine else (pick(1, 2, 3, 5, 7), pick(1, 2, 5, 7)),
            (pick(1, 1, 2), pick(1, 1, 3)), (pick(1, 1, 2), pick(1, 1, 2)),
            ((pick(0, 2, 3), pick(0, 2, 5)), (pick(0, 2, 4), pick(0, 2, 4))), float(pick(zero_point, -128, 127)),
            depthwise=True, zero_point=zero_point, out_zero_point=pick(-128, 0, 5),
            requant=("affine", "fixed_point", "power_of_two")[number % 3], weight_bits=bits,
        )  # fmt: skip
        if min(layer.out_size()) > 0:
            case = layer_case(layer, number)
            if weights == "s8" and bits == 8 and number % 7 == 0:  # where two products do not
                one = bytes(0x80 if rng.random() < 0.05 else b for b in case.constants[0])
                inputs = bytes([0x80]) * len(case.data[0])
                case = dataclasses.replace(case, constants=(one, *case.constants[1:]), data=(inputs,))
                case = dataclasses.replace(case, expected=run(case, "ref"))
            elif weights == "s8" and bits == 8 and number % 2:  # no weight of -128: two products share a halfword
                most = bytes(max(b, 0x81) if b >= 0x80 else b for b in case.constants[0])
                inputs = bytes([0x80]) * len(case.data[0]) if number % 4 == 1 else case.data[0]
                case = dataclasses.replace(case, constants=(most, *case.constants[1:]), data=(inputs,))
                case = dataclasses.replace(case, expected=run(case, "ref"))
            yield layer, case


@pytest.mark.parametrize("nine", [True, False])
@pytest.mark.parametrize(("weights", "bits"), [("s8", 8), ("s1", 8), ("s8", 4), ("s8", 2)])
def test_byte_windows(weights: cases.Kind, bits: int, nine: bool) -> None:
    found = list(byte_windows(weights, nine, bits))
    assert len(found) > 30
    compare(iter(found))


def small_floats(layer: cases.Layer, seed: int) -> bytes:
    """Input values whose products are denormal, or are so themselves; some NaN."""
    rng = np.random.default_rng(seed)
    shape = (layer.height, layer.width, layer.channels)
    values = rng.standard_normal(shape) * 10.0 ** rng.choice([0, -37, -38, -41, -44], shape)
    values[rng.random(shape) < 0.01] = np.nan
    return values.astype("<f4").tobytes()


@pytest.mark.parametrize("name", sorted(name for name in VECTORS if "_f32_f32_" in name))
def test_denormals(name: str) -> None:
    """Vectors take them for zero; scalars step in."""
    found = ((random_layer(name, np.random.default_rng(seed)), seed) for seed in range(ROUNDS))
    compare((layer, layer_case(layer, seed, small_floats(layer, seed))) for layer, seed in found if layer is not None)


PADDINGS = (((1, 1), (1, 1)), ((0, 1), (0, 1)), ((1, 0), (0, 0)), ((0, 0), (0, 0)), ((2, 1), (1, 2)))


def depthwise_layers(weights: cases.Kind, bits: int = 8) -> Iterator[tuple[cases.Layer, Case]]:
    """3x3 windows at every border of maps of all kinds: one line or column, odd numbers of lines, longer than the
    scratch has room for, channels that are no words."""
    sizes = ((1, 1), (1, 9), (2, 3), (3, 3), (5, 25), (25, 5), (6, 6), (7, 12), (12, 13), (3, 75), (70, 2), (17, 16))
    for number, (height, width) in enumerate(sizes):
        for kind, padding in enumerate(PADDINGS):
            rng = np.random.default_rng((number, kind))
            step, channels = int(rng.choice([1, 2])), int(rng.choice([3, 4, 6, 8, 13, 16, 20, 35, 36]))
            layer = cases.Layer(
                "s8", weights, "s8", height, width, channels, channels, (3, 3), (step, step), padding=padding,
                pad_value=float(rng.choice([-128, 7, 127])), depthwise=True, zero_point=int(rng.choice([-128, 0, 9])),
                out_zero_point=int(rng.choice([-128, -3, 127])),
                requant=("affine", "fixed_point", "fixed_point")[int(rng.integers(3))], weight_bits=bits,
            )  # fmt: skip
            if min(layer.out_size()) > 0:
                yield layer, layer_case(layer, 100 * number + kind)


@pytest.mark.parametrize("more", [0, 600])
@pytest.mark.parametrize("weights", ["s8", "s1"])
def test_depthwise_borders(weights: cases.Kind, more: int) -> None:
    compare(depthwise_layers(weights), more=more)


@pytest.mark.parametrize("more", [0, 600])
@pytest.mark.parametrize("bits", [4, 2])
def test_depthwise_of_few_bits(bits: int, more: int) -> None:
    compare(depthwise_layers("s8", bits), more=more)


def column_layers() -> Iterator[tuple[cases.Layer, Case]]:
    """At most 64 taps, and a few more: in place or copied, whole vectors or not, pixels that are no multiple of 8."""
    windows = ((1, 1), (3, 3), (10, 4), (2, 5), (1, 7), (7, 1))
    for number in range(60):
        rng = np.random.default_rng(number)
        window = windows[number % len(windows)] if number % 2 else (1, 1)
        most = 66 // (window[0] * window[1])
        channels = int(rng.choice([c for c in (1, 2, 3, 7, 8, 16, 17, 24, 32, 40, 48, 63, 64, 65) if c <= most]))
        if number % 8 == 0:  # pointwise, of whole vectors or of halves
            channels = (8, 16, 32, 48, 64)[number // 8 % 5]
        pads = [(int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2))] if number % 4 else [(0, 0), (0, 0)]
        layer = cases.Layer(
            "s8", "s8", "s8", int(rng.choice([1, 2, 3, 9, 12])), int(rng.choice([1, 3, 8, 11, 16, 21])), channels,
            int(rng.choice([1, 2, 5, 8, 16, 21])), window, (int(rng.choice([1, 1, 2])), int(rng.choice([1, 1, 2]))),
            padding=(pads[0], pads[1]), pad_value=float(rng.choice([-128, 7, 127])),
            zero_point=int(rng.choice([-128, 0, 9])), out_zero_point=int(rng.choice([-128, -3, 127])),
            requant=("affine", "fixed_point")[int(rng.integers(2))],
        )  # fmt: skip
        if min(layer.out_size()) > 0:
            yield layer, layer_case(layer, number)


def long_layers() -> Iterator[tuple[cases.Layer, Case]]:
    """More than 64 taps of maps with room for many columns."""
    shapes = (
        (24, 20, 8, 24, (3, 3), 1), (20, 23, 16, 19, (3, 3), 1), (33, 30, 66, 20, (1, 1), 1),
        (40, 21, 12, 17, (3, 4), 1), (41, 40, 16, 33, (3, 3), 2), (24, 25, 64, 21, (1, 3), 1),
        (23, 23, 7, 24, (5, 3), 1), (22, 24, 22, 23, (3, 3), 1),
    )  # fmt: skip
    for number, (height, width, channels, outputs, window, step) in enumerate(shapes):
        for requant in ("affine", "fixed_point"):
            layer = cases.Layer(
                "s8", "s8", "s8", height, width, channels, outputs, window, (step, step), padding=((1, 1), (0, 1)),
                pad_value=-7.0, zero_point=(-128, 9)[number % 2], out_zero_point=(-128, 4)[number % 2],
                requant=requant,  # type: ignore[arg-type]
            )  # fmt: skip
            yield layer, layer_case(layer, number)


@pytest.mark.parametrize("more", [0, 300, 4000])
def test_few_taps(more: int) -> None:
    compare(column_layers(), more=more)
    compare(long_layers(), more=more)


def dense_layers() -> Iterator[tuple[cases.Layer, Case]]:
    """One window: every kind of zero point, taps and channels that are no whole vectors, groups, windows of s1 maps."""
    for number in range(90):
        rng = np.random.default_rng(number)
        size, groups = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 1, 2]))
        layer = cases.Layer(
            ("s8", "s8", "s1")[number % 3], "s8", ("s8", "s1", "f32")[number % 7 % 3], size, size,
            groups * int(rng.choice([1, 2, 3, 8, 15, 16, 17, 31, 32, 48, 77, 160])),
            groups * int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 10, 33])), (size, size), groups=groups,
            zero_point=(-128, -127, -1, 0, 1, 126, 127)[number % 7], out_zero_point=int(rng.choice([-128, -3, 127])),
            pad_value=1.0, half=number % 11 == 0, requant=("affine", "fixed_point", "power_of_two")[number % 4 % 3],
        )  # fmt: skip
        yield layer, layer_case(layer, number)


def test_dense() -> None:
    compare(dense_layers())


def wide_layers() -> Iterator[tuple[cases.Layer, Case]]:
    """More outputs than the least scratch has room for: whole blocks and not, odd numbers, groups, pools, one pixel."""
    for number in range(60):
        rng = np.random.default_rng(number)

        def pick(*values: int, rng: np.random.Generator = rng) -> int:
            return int(rng.choice(values))

        groups, size, pool = pick(1, 1, 2), pick(1, 2, 5), pick(1, 1, 2)
        bits = (8, 8, 4, 2)[number % 4]
        layer = cases.Layer(
            ("s8", "s8", "s1")[pick(0, 1, 2)], "s8", ("s8", "s1", "f32")[number % 3], size, size + 1 if size > 1 else 1,
            groups * pick(1, 3, 12, 40, 112), groups * pick(65, 127, 128, 129, 130, 192, 200, 301),
            (2, 2) if size > 2 and pick(0, 1) else (1, 1), pool=(pool, pool) if size > 1 else (1, 1),
            groups=groups, zero_point=pick(-128, 0, 9), out_zero_point=pick(-128, 5), pad_value=1.0, weight_bits=bits,
            requant=("affine", "fixed_point", "power_of_two")[pick(0, 1, 2)], half=bool(pick(0, 0, 0, 1)),
        )  # fmt: skip
        if min(layer.out_size()) >= layer.pool[0]:
            yield layer, layer_case(layer, number)


@pytest.mark.parametrize("more", [0, 16, 500, 6000])
def test_outputs_in_blocks(more: int) -> None:
    found = list(wide_layers())
    assert len(found) > 40
    compare(iter(found), more=more)


@pytest.mark.parametrize("step", [1, 2])
def test_depthwise_ties(step: int) -> None:
    """Scales that make exact ties, and ranges that begin at the zero point, where ties of negative numbers do not
    matter."""
    found = []
    for seed, (requant, zero_point) in enumerate((
        ("affine", 0), ("fixed_point", -128), ("fixed_point", -100), ("fixed_point", 5)
    )):  # fmt: skip
        layer = cases.Layer(
            "s8", "s8", "s8", 9, 14, 12, 12, (3, 3), (step, step), padding=((1, 1), (1, 1)), depthwise=True,
            zero_point=-3, out_zero_point=zero_point, requant=requant,  # type: ignore[arg-type]
        )  # fmt: skip
        case, rng = layer_case(layer, seed), np.random.default_rng(seed)
        power = rng.integers(5, 12, 12)
        if requant == "affine":
            rules = np.exp2(-power.astype("<f4")), rng.choice([0.5, -0.5, 0.25], 12).astype("<f4")
        else:
            rules = rng.integers(-500, 500, 12).astype("<i4"), np.full(12, 1 << 30, "<i4"), (1 - power).astype("<i4")
        constants = (case.constants[0], *(values.tobytes() for values in rules))
        params = dataclasses.replace(case.params, act_min=float(max(zero_point, -128)), act_max=120.0)  # type: ignore[type-var]
        tied = dataclasses.replace(case, constants=constants, params=params)
        found.append((layer, dataclasses.replace(tied, expected=run(tied, "ref"))))
    compare(iter(found))


S1 = cases.Layer("s1", "s1", "s1", 3, 3, 64, 40, (3, 3))
LARGE = (
    dataclasses.replace(S1, height=1, width=1, channels=4096, kernel=(1, 1)),
    dataclasses.replace(S1, height=1, width=1, channels=4064, kernel=(1, 1), density=1.0),
    dataclasses.replace(S1, height=1, width=1, channels=9000, kernel=(1, 1), output="s8"),
    dataclasses.replace(S1, height=1, width=400, channels=1, kernel=(1, 255)),
    dataclasses.replace(S1, height=1, width=70, channels=1, kernel=(1, 62), density=1.0, output="f32"),
    # as many columns as the vectors' counters take, and more than any counter once took
    dataclasses.replace(S1, height=1, width=512, channels=4, kernel=(1, 511), density=1.0, output="f32"),
    dataclasses.replace(S1, height=1, width=2049, channels=4, kernel=(1, 2048), output="s8"),
    dataclasses.replace(S1, height=1, width=4096, channels=4, kernel=(1, 4096), density=1.0, output="f32"),
    dataclasses.replace(S1, height=1, width=32766, channels=1, kernel=(1, 32766), output="f32"),
)


def test_large_windows() -> None:
    compare((layer, layer_case(layer, 1)) for layer in LARGE)
