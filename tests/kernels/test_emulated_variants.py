"""The portable kernels as compiled for Cortex-M (Thumb-2 assembly, DSP and FPU primitives included), run under Unicorn,
give the reference's bytes. The boards of tests/qemu run whole models; this covers odd shapes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

pytest.importorskip("unicorn")
pytest.importorskip("capstone")
pytest.importorskip("elftools")

from dqnn import _core
from dqnn.exporter.bench import build, call, cases, kernel, machine
from dqnn.exporter.emit import kernel_table
from dqnn.exporter.emit.kernel_table import Packed
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType

from .cases import make
from .harness import KERNELS, Seeded
from .spec import Tensor

TARGETS = ("cortex-m0plus", "cortex-m3", "cortex-m4")
ROUNDS = 16
DENSE = {
    "input": "s8",
    "height": 1,
    "width": 1,
    "groups": 1,
    "kernel": (1, 1),
    "padding": ((0, 0), (0, 0)),
    "pool": (1, 1),
}
# Without a float unit these take minutes, for the same C that the M4 runs where it has no assembly.
SOFT_FLOAT, SLOW_KINDS, SLOW_ROUNDS = ("cortex-m0plus", "cortex-m3"), ("float", "blocks_f32"), 5
KINDS = {
    "bitsliced": {},
    "horizontal": {"horizontal": True},
    "depthwise": {"depthwise": True},
    "first_f32": {"input": "f32"},
    "first_s8": {"input": "s8"},
    "blocks_f32": {"input": "f32"},
    "blocks_s8": {"input": "s8"},
    "dense": {**DENSE, "weights": "s8"},
    "dense_s1": DENSE,
    "nibbles": {"input": "s8", "stride": (1, 1), "dilation": (1, 1), "pool": (1, 1)},
    "pairs": {"input": "s8", "weights": "s8"},
    "channels": {"input": "s8", "weights": "s8", "depthwise": True},
    "fives": {"input": "s8", "weights": "s8", "depthwise": True},
    "float": {"input": "f32", "weights": "s8"},
    "depthwise_float": {"input": "f32", "weights": "s8", "depthwise": True},
}
FIRST_LAYER = {
    "output": "s1",
    "channels": 1,
    "groups": 1,
    "kernel": (3, 3),
    "stride": (1, 1),
    "dilation": (1, 1),
    "pool": (2, 2),
}


def random_layer(kind: str, seed: int) -> cases.Layer | None:
    """A small layer with odd sizes; None if the drawn shape has no output."""
    rng = np.random.default_rng(seed)

    def pick(*values: int) -> int:
        return int(rng.choice(values))

    groups = pick(1, 1, 2, 3)
    layer = cases.Layer(
        "s1",
        "s1",
        ("s1", "s8", "f32")[pick(0, 1, 2)],
        height=pick(2, 4, 5, 7),
        width=pick(2, 4, 6, 9),
        channels=groups * pick(1, 3, 8, 33, 40),
        outputs=groups * pick(1, 7, 32, 40),
        kernel=(pick(1, 2, 3), pick(1, 3, 4)),
        stride=(pick(1, 1, 2), pick(1, 1, 3)),
        dilation=(pick(1, 2), pick(1, 2)),
        padding=((pick(0, 1, 2), pick(0, 1, 2)), (pick(0, 1, 2), pick(0, 1, 2))),
        pad_value=float(pick(-1, 0, 1)),
        pool=(pick(1, 1, 2), pick(1, 1, 2)),
        groups=groups,
        zero_point=pick(-128, -3, 0, 127),
        out_zero_point=pick(-128, 0, 5),
        density=float(rng.choice([0.0, 0.2, 0.5, 0.8, 1.0])),
    )
    layer = replace(layer, **KINDS[kind])
    if kind.startswith("first"):
        layer = replace(layer, **FIRST_LAYER)
    elif layer.input == "s1" and not layer.depthwise:
        layer = replace(layer, requant=("affine", "fixed_point", "power_of_two")[pick(0, 1, 2)])
    if kind == "channels":
        step = pick(1, 2)
        dense = replace(layer, kernel=(3, 3), stride=(step, step), dilation=(1, 1), pool=(1, 1))
        layer = replace(dense, requant=("affine", "fixed_point", "power_of_two")[pick(0, 1, 2)], half=pick(0, 1) == 1)
    if kind == "fives":
        step, width = pick(1, 1, 2), pick(1, 5, 7, 45)
        height = 45 if width == 1 else pick(4, 5, 6, 9)
        around = tuple((pick(0, 1, 2, 4), pick(0, 1, 2, 4)) for _ in range(2))
        layer = replace(
            layer, height=height, width=width, channels=pick(1, 2, 3, 5, 33), stride=(step, step), dilation=(1, 1),
            kernel=(pick(1, 2, 3, 5), pick(1, 3, 4, 5)), pool=(1, 1), padding=around,
            weights=("s1", "s8", "s8")[pick(0, 1, 2)],
            requant=("affine", "fixed_point", "power_of_two")[pick(0, 1, 2)],
            pad_value=float(rng.choice([layer.zero_point, -128, 7])),
        )  # fmt: skip
        layer = replace(layer, half=layer.weights == "s8" and pick(0, 0, 1) == 1)
    if kind == "nibbles":
        layer = replace(layer, channels=layer.groups * pick(8, 16, 24), pad_value=float(pick(-128, 3)))
    if layer.depthwise:
        multiplier = 1 if kind in ("channels", "fives") else pick(1, 1, 2)
        layer = replace(layer, groups=1, outputs=layer.channels * multiplier)
    height, width = layer.out_size()
    return layer if height >= layer.pool[0] and width >= layer.pool[1] else None


@pytest.fixture(scope="module", params=TARGETS)
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> machine.Machine:
    target = build.TARGETS[request.param]
    if shutil.which(target.compiler) is None:
        pytest.skip(f"{target.compiler} is not installed")
    elf = tmp_path_factory.mktemp(target.name) / "kernels.elf"
    sources = [*build.runtime_sources(), *build.kernel_sources()]
    return machine.Machine(build.compile_sources(target, sources, elf, "-O2", keep=("dqnn_all_kernels",)), None)


def tight(layer: call.Call, isa: str = "portable") -> call.Call:
    """With no more scratch than the variant needs: guards stand behind it."""
    sources = [kernel_table.tensor_def(t) for t in (layer.input, *(t for t, _ in layer.others))]
    number, packed = kernel_table.ids()[layer.packed.kernel], layer.packed
    target = kernel_table.tensor_def(layer.output)
    needs = _core.scratch(number, sources, target, list(packed.constants), packed.params_bytes)
    return replace(layer, scratch_bytes=needs[isa])


@pytest.mark.parametrize("kind", KINDS)
def test_emulated_variants_equal_reference(board: machine.Machine, kind: str, request: pytest.FixtureRequest) -> None:
    slow = request.node.callspec.params["board"] in SOFT_FLOAT and kind in SLOW_KINDS
    for seed in range(SLOW_ROUNDS if slow else ROUNDS):
        layer = random_layer(kind, seed)
        if layer is None:
            continue
        planned = tight(cases.make_layer_call(layer, seed))
        board.release()
        output, _ = call.run_on_machine(board, f"dqnn_run_{planned.packed.kernel}_portable", planned)
        assert output == kernel.reference(planned), f"{layer}, seed {seed}"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> machine.Machine:
    """A Cortex-M0+ as DQNN_SLOW_MULTIPLY compiles it: products come from a table."""
    target = build.TARGETS["cortex-m0plus"]
    if shutil.which(target.compiler) is None:
        pytest.skip(f"{target.compiler} is not installed")
    elf, extra = tmp_path_factory.mktemp("slow") / "kernels.elf", ("-DDQNN_SLOW_MULTIPLY=1",)
    sources = [*build.runtime_sources(), *build.kernel_sources()]
    compiled = build.compile_sources(target, sources, elf, "-O2", keep=("dqnn_all_kernels",), extra=extra)
    assert "dqnn_quarters" in machine.Machine(compiled, None).symbols
    return machine.Machine(compiled, None)


@pytest.mark.parametrize("kind", ["pairs", "dense", "channels", "fives"])
def test_emulated_products_of_a_table(slow: machine.Machine, kind: str) -> None:
    for seed in range(SLOW_ROUNDS):
        layer = random_layer(kind, seed)
        if layer is not None:
            planned = tight(cases.make_layer_call(layer, seed))
            slow.release()
            output, _ = call.run_on_machine(slow, f"dqnn_run_{planned.packed.kernel}_portable", planned)
            assert output == kernel.reference(planned), f"{layer}, seed {seed}"


def test_emulated_products_of_a_table_at_their_limits(slow: machine.Machine) -> None:
    test_emulated_pairs_at_their_limits(slow)
    test_emulated_depthwise_borders(slow, "s8", "fixed_point", 1, 3)
    test_emulated_depthwise_borders(slow, "s1", "affine", 2, 3)


def test_emulated_windows(board: machine.Machine) -> None:
    """s8 x s1 with strides, pools, zeros between cells, blocks of any size, bytes of weights in one pass and in many;
    with as little scratch as plan asks for and with more, which holds more tables."""
    for seed in range(3 * ROUNDS):
        rng = np.random.default_rng(seed)
        groups, channels, outputs, pool, up = (int(rng.choice(c)) for c in (
            [1, 1, 1, 2], [1, 2, 3, 5, 8, 12, 16, 36, 72], [1, 3, 8, 20], [1, 1, 2, 3], [1, 1, 1, 2],
        ))  # fmt: skip
        kernel_h, kernel_w = (int(k) for k in rng.choice([1, 1, 2, 3, 5], 2))
        layer = cases.Layer(
            "s8", "s1", ("s8", "s1", "f32")[seed % 3], 7 + seed % 3, 6 + seed % 5, groups * channels, groups * outputs,
            (kernel_h, kernel_w), (1 + seed % 2, 1 + seed % 2), dilation=(1, 1 + (seed % 7 == 0)),
            padding=((1, 0), (1, 2)), pad_value=float(rng.choice([-128, 3])), up=(up, up), pool=(pool, pool),
            groups=groups, zero_point=int(rng.choice([-128, -3, 0, 127])), out_zero_point=5,
        )  # fmt: skip
        if min(layer.out_size()) < pool:
            continue
        made = tight(cases.make_layer_call(layer, seed))
        for more in (0, 700, 4000):
            board.release()
            given = replace(made, scratch_bytes=made.scratch_bytes + more)
            result, cost = call.run_on_machine(board, f"dqnn_run_{made.packed.kernel}_portable", given)
            assert result == kernel.reference(made), f"{layer}, {more} B more, seed {seed}"
            assert cost.stack_bytes <= 768


@pytest.mark.parametrize("board", ["cortex-m4"], indirect=True)  # built for cores with the DSP extension
@pytest.mark.parametrize(("output", "requant", "pool", "bits"), [
    ("s8", "affine", 1, 8), ("s8", "fixed_point", 1, 8), ("s8", "power_of_two", 1, 8), ("s8", "affine", 2, 8),
    ("s1", "affine", 1, 8), ("f32", "affine", 1, 8), ("s8", "affine", 1, 4), ("f32", "affine", 1, 2),
])  # fmt: skip
def test_emulated_winograd(
    board: machine.Machine, output: cases.Kind, requant: cases.Requant, pool: int, bits: int
) -> None:
    """With every amount of scratch, on sizes that tiles do not divide; from 9 pairs of channels on blocks repeat."""
    for height, width, channels, outputs in ((7, 9, 4, 5), (4, 13, 20, 6), (6, 17, 36, 4)):
        layer = cases.Layer(
            "s8", "s8", output, height, width, channels, outputs, kernel=(3, 3), padding=((1, 1), (0, 2)),
            zero_point=(-128, 127, 5)[channels // 16], pad_value=-1.0, requant=requant, pool=(pool, pool),
            weight_bits=bits,
        )  # fmt: skip
        made = cases.make_layer_call(layer, height)
        for scratch, _ in kernel_table.winograd_choices(made.packed, [made.input], made.output):
            board.release()
            given = replace(made, scratch_bytes=scratch)
            result, cost = call.run_on_machine(board, f"dqnn_run_{made.packed.kernel}_winograd", given)
            assert result == kernel.reference(made), f"{layer}, {scratch} B of scratch"
            assert cost.stack_bytes <= 768


def of_few_bits(bits: int, seed: int) -> cases.Layer | None:
    """A layer for `packed`: any, or such as its quick ways are made for, among them a single pixel."""
    rng = np.random.default_rng(1000 * bits + seed)
    layer = random_layer("dense" if seed % 4 == 3 else "pairs", seed)
    if layer is None:
        return None
    channels, outputs = (int(rng.choice([1, 3, 4, 8, 12, 20, 36, 64])) * layer.groups for _ in range(2))
    few = replace(layer, input=("s8", "s8", "s1")[seed % 3], weight_bits=bits, half=bool(rng.random() < 0.2))
    few = replace(few, channels=channels, outputs=outputs, pad_value=float(rng.choice([-1, 0, 1])))
    if seed % 2:
        return few
    plain = replace(few, input="s8", groups=1, dilation=(1, 1), pool=(1, 1), output="s8", half=False)
    return plain if min(plain.out_size()) > 0 else None


@pytest.mark.parametrize("bits", [4, 2])
def test_emulated_weights_of_few_bits(board: machine.Machine, bits: int, request: pytest.FixtureRequest) -> None:
    made, slow = 0, request.node.callspec.params["board"] in SOFT_FLOAT
    for seed in range((2 if slow else 5) * ROUNDS):
        layer = of_few_bits(bits, seed)
        if layer is None:
            continue
        wanted = tight(cases.make_layer_call(layer, seed), "packed")
        board.release()
        result, cost = call.run_on_machine(board, f"dqnn_run_{wanted.packed.kernel}_packed", wanted)
        assert result == kernel.reference(wanted), f"{layer}, {bits} bits, seed {seed}"
        assert slow or cost.stack_bytes <= 832
        made += 1
    assert made >= ROUNDS


@pytest.mark.parametrize("bits", [4, 2])
def test_emulated_weights_of_few_bits_at_their_limits(board: machine.Machine, bits: int) -> None:
    """Two products of one multiplication, summed in 16 bits each: the least and the largest of weights and inputs, in
    columns that are whole blocks of it and not."""
    for channels, zero_point, weight, cell in product((4, 16, 20, 36), (-128, 3, 127), (0x00, 0xFF), (-128, 127, None)):
        layer = cases.Layer(
            "s8", "s8", "f32", 2, 4, channels, 5, kernel=(2, 3), padding=((0, 1), (1, 1)), pad_value=float(cell or 0),
            zero_point=zero_point, weight_bits=bits,
        )  # fmt: skip
        made = tight(cases.make_layer_call(layer, channels), "packed")
        weights, *rule = made.packed.constants
        full = replace(made.packed, constants=(bytes([weight]) * len(weights), *rule))
        alternating = bytes([0x80, 0x7F]) * (len(made.data) // 2)
        wanted = replace(made, packed=full, data=alternating if cell is None else bytes([cell & 255]) * len(made.data))
        board.release()
        result, _ = call.run_on_machine(board, f"dqnn_run_{full.kernel}_packed", wanted)
        assert result == kernel.reference(wanted), f"{layer}, weights {weight:02x}, inputs {cell}"


def test_emulated_pairs_at_their_limits(board: machine.Machine) -> None:
    """Where one multiplication makes the products of two pixels, those of two taps are added up in 16 bits: the least
    and the largest of weights and inputs, alike and in turn, odd and even pairs of taps, in the map and not."""
    for channels, zero_point, weight, cell in product(
        (1, 2, 3, 4), (-128, 3, 127), (0x80, 0x7F, None), (-128, 127, None)
    ):
        layer = cases.Layer(
            "s8", "s8", "f32", 3, 9, channels, 5, kernel=(2, 3), padding=((0, 1), (1, 1)),
            pad_value=float(cell or -128), zero_point=zero_point,
        )  # fmt: skip
        made = tight(cases.make_layer_call(layer, channels))
        weights, *rule = made.packed.constants
        alternating = bytes([0x80, 0x80, 0x7F]) * (len(weights) + len(made.data))
        full = alternating[: len(weights)] if weight is None else bytes([weight]) * len(weights)
        data = alternating[: len(made.data)] if cell is None else bytes([cell & 255]) * len(made.data)
        wanted = replace(made, packed=replace(made.packed, constants=(full, *rule)), data=data)
        board.release()
        result, _ = call.run_on_machine(board, f"dqnn_run_{wanted.packed.kernel}_portable", wanted)
        assert result == kernel.reference(wanted), f"{layer}, weights {weight}, inputs {cell}"


@pytest.mark.parametrize("requant", ["affine", "fixed_point"])
def test_emulated_quads(board: machine.Machine, requant: cases.Requant) -> None:
    """Maps that are large enough for a core to keep what it finds out about a layer: in scratch, in the output, or
    nowhere; weights whose products are added up four at a time, some that are not, and the least of all; multipliers
    at their ends and powers of two, which have ties."""
    for seed in range(2 * ROUNDS):
        rng = np.random.default_rng(seed)
        channels, outputs, height, width, step = (int(rng.choice(c)) for c in (
            [1, 2, 3, 4, 5, 8, 20, 33], [2, 3, 7, 16], [1, 3, 4, 7, 9], [2, 9, 12, 15], [1, 1, 2],
        ))  # fmt: skip
        around = tuple((int(rng.integers(0, 2)), int(rng.integers(0, 3))) for _ in range(2))
        layer = cases.Layer(
            "s8", "s8", "s8", height, width, channels, outputs, (1 if height == 1 else 1 + seed % 3, 1 + seed % 4),
            (step, step), padding=around if rng.random() < 0.6 else ((0, 0), (0, 0)), requant=requant,
            pad_value=float(rng.choice([-128, 3])), zero_point=int(rng.choice([-128, -3, 0, 127])),
            out_zero_point=int(rng.choice([-128, 0, 5])),
        )  # fmt: skip
        if min(layer.out_size()) < 1:
            continue
        made = tight(cases.make_layer_call(layer, seed))
        weights, *rule = made.packed.constants
        codes, data = np.frombuffer(weights, np.int8).copy(), made.data
        if seed % 4 == 1:  # of every second pair of channels
            codes.reshape(-1, len(codes) // ((outputs + 1) // 2))[::2] >>= 2
        elif seed % 4 == 2:
            codes >>= 2
        elif seed % 4 == 3:
            codes[rng.random(len(codes)) < 0.9] = -128
            data = rng.choice(np.array([-128, -128, 127], np.int8), len(data)).tobytes()
        if requant == "fixed_point":
            multipliers = np.frombuffer(rule[1], np.int32).copy()
            multipliers[::3], multipliers[1::3] = 1 << 30, (1 << 31) - 1
            rule[1] = multipliers.tobytes()
        full = replace(made, packed=replace(made.packed, constants=(codes.tobytes(), *rule)), data=data)
        wanted = kernel.reference(full)
        for more in (0, 2, 60, 130, 400):
            board.release()
            given = replace(full, scratch_bytes=full.scratch_bytes + more)
            result, _ = call.run_on_machine(board, f"dqnn_run_{full.packed.kernel}_portable", given)
            assert result == wanted, f"{layer}, {more} B more, seed {seed}"


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("kind", ["channels", "fives", "depthwise"])
def test_emulated_depthwise_of_few_bits(
    board: machine.Machine, kind: str, bits: int, request: pytest.FixtureRequest
) -> None:
    """By channels, of which the last four may be fewer, and by windows; with as little scratch as plan asks for, whose
    strips are parts of the outputs in wide layers, and with more."""
    made, slow = 0, request.node.callspec.params["board"] in SOFT_FLOAT
    for seed in range(ROUNDS if slow else 3 * ROUNDS):
        layer = random_layer(kind, seed)
        if layer is None:
            continue
        rng = np.random.default_rng(seed)
        if kind != "depthwise" and seed in (0, 1):  # parts of lines
            taps = (3, 3) if kind == "channels" else (5, 5)
            layer = replace(layer, height=5, width=300, kernel=taps, stride=(1, 1), padding=((1, 1), (1, 1)))
        channels, multiplier = int(rng.choice([1, 4, 6, 8, 33, 40, 70])), layer.outputs // layer.channels
        channels = 6 if layer.width == 300 else channels
        few = replace(
            layer, input="s8", weights="s8", weight_bits=bits, channels=channels, outputs=channels * multiplier,
            pad_value=float(rng.choice([layer.zero_point, -128, 7])),
        )  # fmt: skip
        wanted = tight(cases.make_layer_call(few, seed), "packed")
        for given in (wanted, replace(wanted, scratch_bytes=wanted.scratch_bytes + 500)):
            board.release()
            result, cost = call.run_on_machine(board, f"dqnn_run_{wanted.packed.kernel}_packed", given)
            assert result == kernel.reference(wanted), f"{few}, {given.scratch_bytes} B of scratch, seed {seed}"
            assert slow or cost.stack_bytes <= 832
        made += 1
    assert made >= ROUNDS // 2


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize(("output", "requant"), [("s8", "affine"), ("s8", "fixed_point"), ("s1", "affine")])
@pytest.mark.parametrize("taps", [3, 5])
def test_emulated_depthwise_borders(
    board: machine.Machine, output: cases.Kind, requant: cases.Requant, step: int, taps: int
) -> None:
    """Every way in which 3x3 and 5x5 windows lie at the border of small maps, also with the few sums that fit the
    stack. With a stride 5x5 windows are taken by channel where those are fewer than four."""
    sizes = ((1, 1), (1, 3), (3, 3), (3, 40), (4, 5), (6, 7), (7, 3), (40, 3))
    for seed, (height, width) in enumerate(sizes):
        channels = 1 + seed % (6 if taps == 3 else 3)
        around = ((1, 1), (0, 1), (1, 0), (0, 0)) if taps == 3 else ((2, 2), (1, 2), (0, 0), (4, 0))
        for padding in (*((p, p) for p in around), ((2, 1), (1, 2))):
            layer = cases.Layer(
                "s8", "s8", output, height, width, channels, channels, kernel=(taps, taps), stride=(step, step),
                padding=padding, pad_value=-7.0, depthwise=True, zero_point=5, out_zero_point=-3, requant=requant,
            )  # fmt: skip
            if min(layer.out_size()) < 1:
                continue
            made = tight(cases.make_layer_call(layer, seed))
            for given in (made, replace(made, scratch_bytes=0), replace(made, scratch_bytes=160)):
                board.release()
                result, _ = call.run_on_machine(board, f"dqnn_run_{made.packed.kernel}_portable", given)
                assert result == kernel.reference(made), f"{layer}, {padding}, {given.scratch_bytes} B of scratch"


@pytest.mark.parametrize("pad_value", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("taps", [3, 5])
def test_emulated_binary_depthwise_borders(board: machine.Machine, taps: int, pad_value: float) -> None:
    """Every way in which binary 3x3 and 5x5 windows lie at the border; presets of rows outside are kept for four words
    of channels."""
    sizes = ((1, 1), (1, 6), (2, 3), (4, 4), (6, 7), (9, 12), (12, 2))
    dense, strided = (1, 1), (2, 1)
    for seed, (height, width) in enumerate(sizes):
        channels = (1, 33, 64, 97, 128, 129, 31)[(seed + taps) % 7]
        for padding, stride, dilation in (
            (((taps // 2, taps // 2), (taps // 2, taps // 2)), dense, dense),
            (((taps - 1, 1), (0, taps - 1)), strided, dense),
            (((taps + 1, taps), (1, taps + 2)), (1, 2), dense),
            (((2, 3), (taps, 2)), dense, (2, 1)),
            (((3, 3), (3, 3)), dense, (1, 2)),
        ):
            for pool in ((1, 1), (2, 1)):
                layer = cases.Layer(
                    "s1", "s1", "s1", height, width, channels, channels, kernel=(taps, taps), stride=stride, pool=pool,
                    dilation=dilation, padding=padding, pad_value=pad_value, depthwise=True,
                )  # fmt: skip
                if layer.out_size()[0] < pool[0] or layer.out_size()[1] < 1:
                    continue
                made = tight(cases.make_layer_call(layer, seed))
                board.release()
                result, _ = call.run_on_machine(board, f"dqnn_run_{made.packed.kernel}_portable", made)
                assert result == kernel.reference(made), f"{layer}, {padding}"


def small_groups() -> Iterator[cases.Layer]:
    """Binary convolutions in groups of 8 and 16 inputs and up to as many outputs, whose windows go side by side: maps
    of every width around a word of them, wide ones in parts, borders on both sides."""
    sizes = ((1, 1), (2, 2), (3, 4), (4, 5), (3, 9), (2, 40), (1, 75))
    kernels = ((1, 1), (3, 3), (1, 5), (5, 1), (5, 5), (2, 4), (31, 1))
    for seed, ((height, width), kernel_size) in enumerate(product(sizes, kernels)):
        inputs, outputs = ((8, 8), (16, 16), (8, 3), (16, 9), (8, 7), (16, 1))[seed % 6]
        groups = 2 + seed % 4
        for pad_value, around in ((-1.0, 1), (0.0, 2), (1.0, 0), (0.0, 1)):
            padding = tuple((min(around, k - 1), k // 2) for k in kernel_size)
            layer = cases.Layer(
                "s1", "s1", "s1", height, width, groups * inputs, groups * outputs, kernel=kernel_size, groups=groups,
                stride=(1 + seed % 2, 1), dilation=(1 + seed % 3 // 2, 1), padding=padding, pad_value=pad_value,
                density=(0.5, 0.1, 1.0)[seed % 3],
            )  # fmt: skip
            if min(layer.out_size()) >= 1:
                yield layer


@pytest.fixture(scope="module", params=TARGETS)
def grouped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> machine.Machine:
    """Compiled for networks with small groups."""
    target = build.TARGETS[request.param]
    if shutil.which(target.compiler) is None:
        pytest.skip(f"{target.compiler} is not installed")
    elf, extra = tmp_path_factory.mktemp("grouped") / "kernels.elf", ("-DDQNN_SMALL_GROUPS=1",)
    sources = [*build.runtime_sources(), *build.kernel_sources()]
    compiled = build.compile_sources(target, sources, elf, "-O2", keep=("dqnn_all_kernels",), extra=extra)
    return machine.Machine(compiled, None)


def test_emulated_small_groups(grouped: machine.Machine) -> None:
    for seed, layer in enumerate(small_groups()):
        made = tight(cases.make_layer_call(layer, seed))
        grouped.release()
        result, _ = call.run_on_machine(grouped, f"dqnn_run_{made.packed.kernel}_portable", made)
        assert result == kernel.reference(made), f"{layer}"


def test_small_groups_on_this_machine() -> None:
    for seed, layer in enumerate(small_groups()):
        made = tight(cases.make_layer_call(layer, seed))
        number, output = kernel_table.ids()[made.packed.kernel], kernel_table.tensor_def(made.output)
        defs = [kernel_table.tensor_def(source) for source, _ in made.inputs]
        data, constants = [data for _, data in made.inputs], list(made.packed.constants)
        result = _core.run_kernel(number, "portable", data, defs, output, constants, made.packed.params_bytes)
        assert bytes(result) == kernel.reference(made), f"{layer}"


@pytest.mark.parametrize("requant", ["affine", "fixed_point"])
def test_emulated_output_rules_at_ties(board: machine.Machine, requant: cases.Requant) -> None:
    """Cores without floats or long products decide most outputs by 16 bits of a sum: scales and offsets that make exact
    ties and all but ties, of any size that files may have, negative ones and those beyond what is decided so."""
    channels = 24
    for seed, depthwise in ((1, True), (2, False), (3, False)):
        layer = cases.Layer(
            "s8", "s8", "s8", 6, 7, channels, channels, kernel=(3, 3), padding=((1, 1), (1, 1)), depthwise=depthwise,
            zero_point=5, out_zero_point=(-128, 0, 127)[seed - 1], requant=requant,
        )  # fmt: skip
        made = cases.make_layer_call(layer, seed)
        rng = np.random.default_rng(seed)
        power = rng.integers(4, 14, channels)
        if requant == "affine":
            scale = np.exp2(-power.astype(np.float32)) * rng.choice([1, -1, 1.5, 1 + 2**-23, 1 - 2**-24], channels)
            scale[:4] = (0, 1e-30, 2.0**-34, 3.0)
            offset = rng.choice([0, 0.5, -0.5, 126.5, -300.25, 600, 1e-40, 2.0**-20], channels)
            rules = scale.astype("<f4").tobytes(), offset.astype("<f4").tobytes()
        else:
            multiplier = rng.choice([1 << 30, (1 << 31) - 1, (1 << 30) + 1, 3 << 29], channels)
            bias = rng.integers(-5000, 5000, channels)
            shift = -power + rng.choice([0, 0, 3], channels)
            rules = tuple(x.astype("<i4").tobytes() for x in (bias, multiplier, np.minimum(shift, -1)))
        packed = replace(made.packed, constants=(made.packed.constants[0], *rules))
        planned = tight(replace(made, packed=packed))
        board.release()
        output, _ = call.run_on_machine(board, f"dqnn_run_{packed.kernel}_portable", planned)
        assert output == kernel.reference(planned), f"{layer}, seed {seed}"


@pytest.fixture(scope="module", params=["-O2", "-Os"])
def m4(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> machine.Machine:
    """-Os leaves other parts of a kernel to assembly than -O2."""
    target = build.TARGETS["cortex-m4"]
    if shutil.which(target.compiler) is None:
        pytest.skip(f"{target.compiler} is not installed")
    elf = tmp_path_factory.mktemp("m4") / "kernels.elf"
    sources = [*build.runtime_sources(), *build.kernel_sources()]
    return machine.Machine(build.compile_sources(target, sources, elf, request.param, keep=("dqnn_all_kernels",)), None)


@pytest.mark.parametrize("requant", ["affine", "fixed_point"])
def test_emulated_dense_layers_by_any_rule(m4: machine.Machine, requant: cases.Requant) -> None:
    """Four outputs at a time: shifts to the right and to the left, small multipliers, large sums and narrow ranges, any
    number of taps and outputs."""
    rng = np.random.default_rng(1)
    for taps, outputs in product((1, 2, 3, 16, 35, 258), (1, 2, 3, 4, 5, 7, 12, 47, 51, 98)):
        layer = cases.Layer("s8", "s8", "s8", 1, 1, taps, outputs, zero_point=-128, out_zero_point=3, requant=requant)
        made = cases.make_layer_call(layer, taps)
        rules = made.packed.constants[1:]
        if requant == "fixed_point":
            multiplier = rng.choice([0, 1, 12345, 1 << 29, 1 << 30, (1 << 31) - 1], outputs)
            bias = rng.choice([-(1 << 29), -4001, -1, 0, 1, 999, 1 << 29], outputs)
            shift = rng.choice([-31, -30, -9, -5, -2, -1], outputs)
            shift[rng.random(outputs) < rng.choice([0, 0, 0.1])] = rng.integers(0, 3)
            rules = tuple(x.astype("<i4").tobytes() for x in (bias, multiplier, shift))
        packed = replace(made.packed, constants=(made.packed.constants[0], *rules))
        planned = tight(replace(made, packed=packed))
        m4.release()
        output, _ = call.run_on_machine(m4, f"dqnn_run_{packed.kernel}_portable", planned)
        assert output == kernel.reference(planned), f"{layer}"


@pytest.mark.parametrize("output", ["s1", "s8", "f32"])
@pytest.mark.parametrize("length", [2047, 2048, 4096, 32766])
def test_emulated_long_kernels(board: machine.Machine, length: int, output: cases.Kind) -> None:
    """The assembly that adds rows keeps as many waiting carries as a kernel has columns; see test_long_kernels.py."""
    layer = cases.Layer("s1", "s1", output, 1, length + 1, min(4, 32766 // length), 33, kernel=(1, length))
    planned = tight(cases.make_layer_call(layer, length))
    board.release()
    result, _ = call.run_on_machine(board, f"dqnn_run_{planned.packed.kernel}_portable", planned)
    assert result == kernel.reference(planned)


def tensor_type(tensor: Tensor) -> TensorType:
    formats: dict[str, Format] = {"s1": S1(), "s8": S8(tensor.scale, tensor.zero_point), "f32": F32()}
    return TensorType(tensor.dims, formats[tensor.dtype])


MOVES = ("maxpool", "avgpool", "lut", "pad", "binary")
QUANTIZED = ("convz", "depthwisez", "lut_channels", "binary_fixed", "avgpool_raw", "reduce", "gather")
OTHERS = [k for k in KERNELS if k.family in MOVES + QUANTIZED and "portable" in k.variants]


@pytest.mark.parametrize("name", [k.name for k in OTHERS])
def test_emulated_calls_of_other_kernels(board: machine.Machine, name: str) -> None:
    found = next(k for k in OTHERS if k.name == name)
    for seed in range(2 * ROUNDS):
        case = make(found, Seeded(found.id, seed))
        packed = Packed(name, case.params, case.constants)
        types = [tensor_type(tensor) for tensor in case.inputs]
        others = tuple(zip(types[1:], case.data[1:], strict=True))
        one = call.Call(packed, types[0], tensor_type(case.output), case.data[0], others=others)
        board.release()
        output, _ = call.run_on_machine(board, f"dqnn_run_{name}_portable", tight(one))
        assert output == case.expected, f"{case}, seed {seed}"
