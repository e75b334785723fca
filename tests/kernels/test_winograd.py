"""Convolutions by Winograd's F(4x4, 3x3) equal the reference byte for byte, with every amount of scratch that they can
make something of; and what they do not take: other shapes, and weights whose sums would not stay exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dqnn import _core
from dqnn.exporter.bench.call import Call
from dqnn.exporter.bench.cases import Layer, make_layer_call
from dqnn.exporter.emit import kernel_table

SAME = ((1, 1), (1, 1))
PLAIN = Layer("s8", "s8", "s8", 9, 11, 8, 8, kernel=(3, 3), padding=SAME)


def arguments(call: Call) -> tuple[Any, ...]:
    packed = call.packed
    definitions = [kernel_table.tensor_def(call.input)], kernel_table.tensor_def(call.output)
    return (kernel_table.ids()[packed.kernel], *definitions, list(packed.constants), packed.params_bytes)


def choices(call: Call) -> list[tuple[int, int]]:
    return _core.winograd_choices(*arguments(call))


def run(call: Call, isa: str, scratch: int | None = None) -> bytes:
    number, inputs, output, constants, params = arguments(call)
    return _core.run_kernel(number, isa, [call.data], inputs, output, constants, params, None, (), scratch)


def check(call: Call, described: str) -> None:
    """All amounts of scratch, and one in between."""
    found = choices(call)
    assert found, described
    expected = run(call, "ref")
    for scratch in (*(size for size, _ in found), found[-1][0] + 16, found[0][0] + 160):
        assert run(call, "winograd", scratch) == expected, f"{described}, {scratch} B"


def with_extremes(call: Call, rng: np.random.Generator) -> Call:
    """Weights -128 and 127, inputs at both ends, mostly of one sign."""
    data = rng.choice(np.array([-128, 127], np.int8), len(call.data), p=[0.1, 0.9])
    weights = rng.choice(np.array([-128, 127], np.int8), len(call.packed.constants[0]), p=[0.95, 0.05])
    packed = replace(call.packed, constants=(weights.tobytes(), *call.packed.constants[1:]))
    return replace(call, data=data.tobytes(), packed=packed)


@pytest.mark.parametrize("size", [(h, w) for h in range(1, 14) for w in (h, 14 - h, 17)], ids=str)
def test_every_size(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size)
    for output, requant in (("s8", "affine"), ("s8", "fixed_point"), ("s8", "power_of_two"), ("s1", "affine"),
                            ("f32", "affine")):  # fmt: skip
        layer = replace(
            PLAIN, output=output, height=size[0], width=size[1], channels=int(rng.choice([4, 8, 12, 20])),
            outputs=int(rng.choice([1, 2, 3, 5, 8, 10, 33])), requant=requant,
            zero_point=int(rng.choice([-128, 127, 0, -1, 9])), out_zero_point=int(rng.choice([-128, 0, 127])),
            pad_value=float(rng.choice([-128, 127, 0, -1])),
        )  # fmt: skip
        call = make_layer_call(layer, size[0])
        check(call, str(layer))
        check(with_extremes(call, rng), f"{layer} at extremes")


@pytest.mark.parametrize("channels", [4, 8, 16, 28, 32, 48, 64, 112])
@pytest.mark.parametrize("zero_point", [-128, 127, 0, -1])
def test_channels_and_zero_points(channels: int, zero_point: int) -> None:
    """Up to 112 channels no weights are too large."""
    layer = replace(PLAIN, height=5, width=6, channels=channels, zero_point=zero_point, pad_value=float(zero_point))
    call = make_layer_call(layer)
    check(call, str(layer))
    check(with_extremes(call, np.random.default_rng(channels)), f"{layer} at extremes")


@pytest.mark.parametrize("pool", [(1, 2), (2, 1), (2, 2), (2, 4), (4, 4)], ids=str)
@pytest.mark.parametrize("output", ["s8", "s1", "f32"])
def test_fused_pools(pool: tuple[int, int], output: Any) -> None:
    for seed, size in enumerate(((4, 4), (8, 12), (9, 13))):
        layer = replace(PLAIN, output=output, height=size[0], width=size[1], outputs=6, pool=pool)
        check(make_layer_call(layer, seed), str(layer))


@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((2, 0), (0, 2)), ((0, 1), (1, 0)), ((7, 7), (9, 9))], ids=str)
def test_paddings(padding: Any) -> None:
    layer = replace(PLAIN, padding=padding, zero_point=3, pad_value=-5.0)
    check(make_layer_call(layer), str(layer))


@pytest.mark.parametrize("other", [
    {"stride": (2, 1)}, {"stride": (1, 2)}, {"dilation": (2, 1)}, {"kernel": (3, 1)}, {"kernel": (1, 1)},
    {"kernel": (5, 5)}, {"groups": 2}, {"up": (2, 2)}, {"half": True}, {"channels": 6}, {"pool": (3, 3)},
    {"input": "s1"},
], ids=str)  # fmt: skip
def test_other_layers_are_not_taken(other: dict[str, Any]) -> None:
    call = make_layer_call(replace(PLAIN, **other))
    assert choices(call) == []
    assert "winograd" not in _core.scratch(*arguments(call)) or other == {"input": "s1"}


@pytest.mark.parametrize("bits", [4, 2])
def test_weights_of_few_bits(bits: int) -> None:
    for seed, output in enumerate(("s8", "s1", "f32")):
        for channels, outputs in ((4, 5), (12, 33), (20, 2), (36, 7)):
            layer = replace(PLAIN, output=output, channels=channels, outputs=outputs, weight_bits=bits)
            layer = replace(layer, zero_point=(-128, 127, 9)[seed])
            call = make_layer_call(layer, seed)
            check(call, str(layer))
            for weight in (b"\0", b"\xff"):
                words = weight * len(call.packed.constants[0])
                full = replace(call.packed, constants=(words, *call.packed.constants[1:]))
                check(replace(call, packed=full, data=b"\x7f" * len(call.data)), f"{layer} of {weight!r}")


def test_sums_of_few_bits_are_exact_whatever_they_are() -> None:
    for channels, bits, exact in ((1824, 4, True), (1828, 4, False), (1828, 2, True)):
        layer = replace(PLAIN, height=2, width=2, channels=channels, outputs=1, weight_bits=bits, zero_point=-128)
        call = make_layer_call(layer)
        assert bool(choices(call)) == exact, (channels, bits)
        if exact:
            check(call, str(layer))


def test_an_ordinary_file_never_pays_for_it() -> None:
    """What plan() asks for, and so every export that does not choose it, is what the other variants need."""
    call = make_layer_call(PLAIN)
    needs = _core.scratch(*arguments(call))
    assert kernel_table.plan(call.packed, [call.input], call.output).scratch == max(
        size for isa, size in needs.items() if isa != "winograd"
    )
    assert needs["winograd"] == choices(call)[-1][0] > needs["portable"]


def weights_of(channels: int, value: int) -> Call:
    """Every weight of the last output is `value`, others are 0."""
    call = make_layer_call(replace(PLAIN, height=4, width=4, channels=channels, outputs=3, zero_point=-128))
    words = np.zeros((2, 9 * channels // 2, 2, 2), np.int8)  # [outputs in twos][pair][tap][output]
    words[1, :, :, 0] = value
    packed = replace(call.packed, constants=(words.tobytes(), *call.packed.constants[1:]))
    return replace(call, packed=packed, data=b"\x7f" * len(call.data))


@pytest.mark.parametrize(("channels", "value", "exact"), [
    (112, -128, True), (116, -128, False), (116, -126, True), (116, 126, True), (116, 127, False), (256, 57, True),
    (256, 58, False),
])  # fmt: skip
def test_sums_have_to_stay_exact(channels: int, value: int, exact: bool) -> None:
    """The sum of |weights| of an output times 255 must be below 2^25."""
    assert (9 * channels * abs(value) * 255 < 2**25) == exact
    call = weights_of(channels, value)
    assert bool(choices(call)) == exact
    if exact:
        check(call, f"{channels} channels of {value}")
    else:
        with pytest.raises(ValueError, match="does not take this call"):
            run(call, "winograd")


def test_a_smaller_range_of_inputs_allows_larger_weights() -> None:
    call = weights_of(116, -128)
    assert choices(replace(call, input=replace(call.input, fmt=replace(call.input.fmt, zero_point=0))))


def test_256_channels_of_random_weights() -> None:
    call = make_layer_call(replace(PLAIN, height=6, width=5, channels=256, outputs=5, zero_point=-1))
    bits = np.frombuffer(call.packed.constants[0], np.int8) // 2
    check(replace(call, packed=replace(call.packed, constants=(bits.tobytes(), *call.packed.constants[1:]))), "256")
