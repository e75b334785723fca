"""Every weight layout reads back as it was written, and agrees with SPEC.md's index formula spelled out element by
element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqnn.exporter.emit import layouts
from dqnn.exporter.emit.layouts import ceil_div

SHAPES = st.tuples(
    st.integers(1, 3), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3), st.integers(1, 40)
)  # groups, outputs of a group, kh, kw, channels of a group


def random_signs(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), shape)


def random_codes(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def random_nibbles(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).integers(-8, 8, shape).astype(np.int8)


def random_twos(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).integers(-2, 2, shape).astype(np.int8)


Case = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]
CASES: dict[str, Case] = {
    "bitsliced": (random_signs, layouts.pack_bitsliced, layouts.unpack_bitsliced),
    "horizontal": (
        random_signs,
        lambda w, g: layouts.pack_horizontal(w),
        lambda data, shape, g: layouts.unpack_horizontal(data, shape),
    ),
    "channel_blocks": (random_signs, layouts.pack_channel_blocks, layouts.unpack_channel_blocks),
    "pairs": (random_codes, layouts.pack_pairs, layouts.unpack_pairs),
    "quads_s8": (random_codes, layouts.pack_quads, lambda d, s, g: layouts.unpack_quads(d, s, g, "i1")),
    **{
        f"packed_{name}_{bits}": (
            make,
            lambda w, g, pack=pack, bits=bits: pack(w, g, bits),
            lambda d, s, g, unpack=unpack, bits=bits: unpack(d, s, g, bits),
        )
        for bits, make in ((4, random_nibbles), (2, random_twos))
        for name, pack, unpack in (
            ("pairs", layouts.pack_packed_pairs, layouts.unpack_packed_pairs),
            ("quads", layouts.pack_packed_quads, layouts.unpack_packed_quads),
        )
    },
    "quads_f32": (
        lambda seed, shape: random_codes(seed, shape).astype("<f4") / 3,
        layouts.pack_quads,
        lambda d, s, g: layouts.unpack_quads(d, s, g, "<f4"),
    ),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 999))
def test_round_trip(name: str, shape: tuple[int, ...], seed: int) -> None:
    make, pack, unpack = CASES[name]
    groups, og, kh, kw, cg = shape
    full = (groups * og, kh, kw, cg)
    codes = make(seed, full)
    assert np.array_equal(unpack(pack(codes, groups).tobytes(), full, groups), codes)


@settings(max_examples=30, deadline=None)
@given(kh=st.integers(1, 4), kw=st.integers(1, 4), channels=st.integers(1, 50), multiplier=st.integers(1, 3))
def test_depthwise_round_trip(kh: int, kw: int, channels: int, multiplier: int) -> None:
    shape = (kh, kw, channels, multiplier)
    codes = random_signs(7, shape)
    assert np.array_equal(layouts.unpack_depthwise_bits(layouts.pack_depthwise_bits(codes).tobytes(), shape), codes)
    plain = random_codes(8, shape)
    data = layouts.pack_depthwise_plain(plain).tobytes()
    assert np.array_equal(layouts.unpack_depthwise_plain(data, shape, "i1"), plain)
    for bits, few in ((4, random_nibbles(9, shape)), (2, random_twos(9, shape))):
        packed = layouts.pack_packed_depthwise(few, bits)
        assert packed.shape == (kh * kw, ceil_div(channels * multiplier * bits, 8))
        assert np.array_equal(layouts.unpack_packed_depthwise(packed.tobytes(), shape, bits), few)


def bit_of(words: Any, index: int) -> int:
    return int(words[index // 32] >> np.uint32(index % 32)) & 1


def test_bitsliced_matches_the_formula() -> None:
    groups, og, kh, kw, cg = 2, 35, 2, 3, 5
    codes = random_signs(1, (groups * og, kh, kw, cg))
    words = layouts.pack_bitsliced(codes, groups)
    assert words.shape == (groups, ceil_div(og, 32), kw, kh * cg + 1)
    assert not words[..., -1].any()
    for group in range(groups):
        for o in range(og):
            for ky, kx, ci in np.ndindex(kh, kw, cg):
                bit = int(words[group, o // 32, kx, ky * cg + ci] >> np.uint32(o % 32)) & 1
                assert bit == (codes[group * og + o, ky, kx, ci] < 0)
    assert not (words[:, 1] >> np.uint32(og - 32)).any(), "missing outputs are 0"


def test_horizontal_matches_the_formula() -> None:
    codes = random_signs(2, (3, 2, 2, 37))
    words = layouts.pack_horizontal(codes)
    assert words.shape == (3, 2, 2, 2)
    for o, ky, kx, ci in np.ndindex(*codes.shape):
        assert bit_of(words[o, ky, kx], ci) == (codes[o, ky, kx, ci] < 0)
    assert not (words[..., 1] >> np.uint32(5)).any()


def test_channel_blocks_match_the_formula() -> None:
    out, kh, kw, cg = 3, 2, 3, 11
    codes = random_signs(3, (out, kh, kw, cg))
    data = layouts.pack_channel_blocks(codes, 1)
    at = 0
    for start in range(0, cg, 8):
        b = min(8, cg - start)
        row = ceil_div(kh * kw * b, 8)
        for o in range(out):
            for n, (ky, kx, ci) in enumerate(np.ndindex(kh, kw, b)):
                assert (data[at + n // 8] >> (n % 8)) & 1 == (codes[o, ky, kx, start + ci] < 0)
            at += row
    assert at == len(data)


@pytest.mark.parametrize("kw,cg", [(3, 3), (2, 3), (1, 1), (3, 2)])
def test_pairs_match_the_formula(kw: int, cg: int) -> None:
    out, kh = 3, 3
    codes = random_codes(4, (out, kh, kw, cg))
    n = kw * cg
    order = [ky * n + i for ky in range(kh) for i in range(n // 2 * 2)]
    order += [ky * n + n - 1 for ky in range(kh) if n % 2]
    flat = codes.reshape(out, -1)
    expected = []
    for a in range(0, out, 2):
        for k in range(0, len(order), 2):
            for tap in (k, k + 1):
                for o in (a, a + 1):
                    expected.append(flat[o, order[tap]] if o < out and tap < len(order) else 0)
    assert layouts.pack_pairs(codes, 1).reshape(-1).tolist() == expected


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("kw,cg", [(3, 3), (1, 4), (3, 8), (1, 1)])
def test_packed_pairs_match_the_formula(kw: int, cg: int, bits: int) -> None:
    out, kh = 6, 3
    codes = (random_nibbles if bits == 4 else random_twos)(4, (out, kh, kw, cg))
    n = kw * cg
    order = [ky * n + i for ky in range(kh) for i in range(n // 2 * 2)]
    order += [ky * n + n - 1 for ky in range(kh) if n % 2]
    if cg % 4 == 0:
        order = [order[k // 4 * 4 + (0, 2, 1, 3)[k % 4]] for k in range(len(order))]
    words = layouts.pack_packed_pairs(codes, 1, bits).reshape(-1).view("<u4")
    per_word = 4 // bits
    row = ceil_div(ceil_div(len(order), 2), per_word)
    assert len(words) == 2 * row
    for quad, word, j, t, c in np.ndindex(2, row, per_word, 2, 4):
        k, o = 2 * (per_word * word + j) + t, 4 * quad + c
        stored = int(words[quad * row + word]) >> (16 * t + 4 * bits * j + bits * c) & ((1 << bits) - 1)
        want = codes.reshape(out, -1)[o, order[k]] if o < out and k < len(order) else 0
        assert stored - (1 << (bits - 1)) == want


def test_planes_are_twos_complement() -> None:
    values = np.random.default_rng(5).integers(-64, 64, (2, 3, 32))
    planes = layouts.pack_planes(values, 7)
    assert planes.shape == (2, 3, 7)
    assert np.array_equal(layouts.unpack_planes(planes), values)


def test_plane_count() -> None:
    for taps in range(1, 5000):
        bits = layouts.plane_count(taps)
        assert bits >= 7
        assert 2 ** (bits - 1) >= taps + 2
        assert bits == 7 or 2 ** (bits - 2) < taps + 2


def test_classes_are_runs_of_equal_sets() -> None:
    masks = layouts.inside_classes(size=5, kernel=3, stride=1, dilation=1, before=1, out=5)
    assert masks.tolist() == [[False, True, True], [True, True, True], [True, True, False]]
    # A map smaller than the filter: every row may have a set of its own, and a set may come back.
    small = layouts.inside_classes(size=2, kernel=5, stride=1, dilation=1, before=2, out=2)
    assert small.tolist() == [[False, False, True, True, False], [False, True, True, False, False]]
    assert len(layouts.inside_classes(size=8, kernel=3, stride=2, dilation=1, before=0, out=4)) == 2
