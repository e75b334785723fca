"""Conversions between real and stored values, at their edges."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dqnn import TensorInfo, pack_s1, unpack_s1
from dqnn.tensors import Rounding, dequantize_s8, factor_of, quantize_s8, reciprocal, to_stored

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=70)


@given(SHAPES, st.integers(0, 2**32 - 1))
def test_signs_round_trip(shape: tuple[int, ...], seed: int) -> None:
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), shape)
    packed = pack_s1(signs)
    assert packed.shape == (*shape[:-1], -(-shape[-1] // 32)) and packed.dtype == np.uint32
    np.testing.assert_array_equal(unpack_s1(packed, shape[-1]), signs)
    for i in range(shape[-1]):
        bit = packed[..., i // 32] >> (i % 32) & 1
        np.testing.assert_array_equal(bit, signs[..., i] < 0)
    if shape[-1] % 32:
        assert not (packed[..., -1] >> (shape[-1] % 32)).any()


def test_only_negative_numbers_are_minus_one() -> None:
    assert pack_s1([0.0, -0.0, 1e-30, -1e-30, -np.inf, np.inf, 5, -5])[0] == 0b10011000
    assert pack_s1(np.array([-1e-45, -1.1754942e-38, -1.1754944e-38], np.float32))[0] == 0b100
    info = TensorInfo("x", (2,), "s1", 1.0, 0)
    assert to_stored(info, np.array([-1e-50, -1.0]))[0] == 0b10  # -1e-50 is 0 in float32


def test_ties_go_to_even() -> None:
    real = np.array([0.25, 0.75, -0.25, -0.75, 1.25], np.float32)
    np.testing.assert_array_equal(quantize_s8(real, np.float32(2), 0), [0, 2, 0, -2, 2])


@pytest.mark.parametrize("zero_point", [0, -128, 127, 3])
def test_saturation(zero_point: int) -> None:
    real = np.array([-np.inf, -1e38, 1e38, np.inf], np.float32)
    np.testing.assert_array_equal(quantize_s8(real, np.float32(1e6), zero_point), [-128, -128, 127, 127])


SENSOR = TensorInfo("image", (2, 3), "s8", 1.0, -128, (1.0, 0.0))


def test_reals_that_are_no_samples_are_warned_of() -> None:
    """A model behind a Rescaling takes 0 to 255: values of 0 to 1 would all become 0 and 1."""
    with pytest.warns(UserWarning, match="input 'image' takes raw samples u of 0 to 255, which stand for u") as caught:
        codes = to_stored(SENSOR, np.float32([[0.25, 0.5, 0.75], [0, 1, 2]]))
    assert Path(caught[0].filename) == Path(__file__), "the warning is the caller's"
    np.testing.assert_array_equal(codes, np.int8([[-128, -128, -127], [-128, -127, -126]]))
    halves = TensorInfo("x", (2,), "s8", 1 / 128, 0, (1 / 128, -1.0))
    with pytest.warns(UserWarning, match=r"stand for 0\.0078125 \* u - 1"):
        to_stored(halves, np.float32([0.1, 0.2]))


def test_samples_and_their_values_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_stored(SENSOR, np.uint8([[0, 1, 2], [3, 254, 255]]))
        to_stored(SENSOR, [[0, 1, 2], [3, 254, 255]])
        for scale, offset in ((1 / 255, 0.0), (1 / 127.5, -1.0), (0.017, -3.1), (255.0, 7.0)):
            info = TensorInfo("x", (256,), "s8", scale, 0, (scale, offset))
            to_stored(info, (np.arange(256) * scale + offset).astype(np.float32))


@given(st.sampled_from([1.0, 1 / 128, 1 / 255, 0.1, 3.7]), st.integers(-128, 127))
def test_codes_round_trip(scale: float, zero_point: int) -> None:
    codes = np.arange(-128, 128).astype(np.int8)
    real = dequantize_s8(codes, scale, zero_point)
    assert real.dtype == np.float32
    np.testing.assert_array_equal(quantize_s8(real, reciprocal(scale), zero_point), codes)


def test_product_is_float32() -> None:
    """The reciprocal is rounded to float32, then the product: what a microcontroller would do."""
    real = np.random.default_rng(0).normal(0, 1, 10000).astype(np.float32)
    inverse = np.float32(1) / np.float32(0.1)
    expected = np.clip(np.rint(real * inverse), -128, 127).astype(np.int8)
    np.testing.assert_array_equal(quantize_s8(real, reciprocal(0.1), 0), expected)


def test_a_scale_of_one_over_n_multiplies_by_n() -> None:
    """Keras' 8-bit quantizers round x * 255; ties between two codes must fall as theirs."""
    ties = ((np.arange(255) + 0.5) / 255).astype(np.float32)
    codes = quantize_s8(ties, reciprocal(float(np.float32(1 / 255))), -128)
    np.testing.assert_array_equal(codes, np.rint(ties * np.float32(255)) - 128)


TIES = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, -0.49999997], np.float32)


@pytest.mark.parametrize(
    ("rounding", "codes"),
    [
        (Rounding.KERAS, [0, 2, 2, 0, -2, -2, 0, 0]),
        (Rounding.DIVIDE_EVEN, [0, 2, 2, 0, -2, -2, 0, 0]),
        (Rounding.DIVIDE_AWAY, [1, 2, 3, -1, -2, -3, 0, 0]),
    ],
)
def test_roundings_differ_at_ties(rounding: Rounding, codes: list[int]) -> None:
    np.testing.assert_array_equal(quantize_s8(TIES, np.float32(1), 0, rounding), codes)


def test_a_division_is_no_multiplication_with_the_inverse() -> None:
    """f32(1/255) as every .tflite holds it: at ties the product and the division fall on other sides."""
    scale = float(np.float32(1 / 255))
    ties = ((np.arange(-128, 127) + 0.5) * scale).astype(np.float32)
    x = np.concatenate([ties, np.nextafter(ties, np.float32(-9)), np.nextafter(ties, np.float32(9))])
    by_product = quantize_s8(x, factor_of(scale, Rounding.KERAS), 0)
    by_division = quantize_s8(x, factor_of(scale, Rounding.DIVIDE_EVEN), 0, Rounding.DIVIDE_EVEN)
    np.testing.assert_array_equal(by_division, np.clip(np.rint(x / np.float32(scale)), -128, 127))
    assert 0 < np.count_nonzero(by_product != by_division) < 400


@pytest.mark.parametrize("rounding", Rounding)
def test_what_is_no_number_or_too_large_saturates(rounding: Rounding) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38], np.float32)
    np.testing.assert_array_equal(quantize_s8(x, np.float32(1), 5, rounding), [-128, 127, -128, 127, -128])
    np.testing.assert_array_equal(quantize_s8(x, np.float32(1), 5, rounding, -9, 9), [-9, 9, -9, 9, -9])


@pytest.mark.parametrize(
    "call",
    [
        lambda: pack_s1("text"),
        lambda: pack_s1(1.0),
        lambda: unpack_s1(np.zeros(1), 3),
        lambda: unpack_s1(np.zeros(1, np.uint32), 40),
        lambda: unpack_s1(np.uint32(1), 1),
    ],
)
def test_packing_says_what_it_takes(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"takes .*, got"):
        call()
