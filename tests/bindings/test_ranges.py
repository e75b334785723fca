"""Values that cannot be meant: whole numbers beyond an input's range, reals that saturate, other axes."""

from __future__ import annotations

import re
import warnings
from contextlib import AbstractContextManager

import numpy as np
import pytest
from c import make_blobs

from dqnn import Interpreter
from dqnn.ranges import InputRange, SaturationWarning, check_meant, input_range
from dqnn.tensors import TensorInfo

SHAPE = (5, 5, 35)  # of make_blobs.bits(): s8, scale 0.5, zero point -3: -62.5 to 65


def refuses(text: str) -> AbstractContextManager[object]:
    return pytest.raises(ValueError, match=re.escape(text))


@pytest.fixture
def bits() -> Interpreter:
    return Interpreter(make_blobs.blob(make_blobs.bits()))


def pixels(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


# --- whole numbers ----------------------------------------------------------------------------------------------------


def test_pixels_that_were_not_divided(bits: Interpreter) -> None:
    with refuses("got uint8 values 0 to 255, but it represents -62.5 to 65; divide as in training, x / 255"):
        bits.predict(pixels())
    with refuses("export with --input-u8 1/255 0"):
        bits.set_input(0, pixels()[0])
    with refuses("raw=True for stored values (int8)"):
        bits.to_stored(pixels().astype(np.int64))


def test_stored_values_without_raw(bits: Interpreter) -> None:
    codes = np.full(SHAPE, 100, np.int8)
    with refuses("got int8 values 100 to 100, but it represents -62.5 to 65; give reals as in training; raw=True"):
        bits.set_input(0, codes)
    bits.set_input(0, codes, raw=True)


def test_whole_numbers_within_the_range_are_reals(bits: Interpreter) -> None:
    whole = np.arange(-62, 66).repeat(7)[: 5 * 5 * 35].reshape(SHAPE)
    assert np.array_equal(bits.predict(whole[None]), bits.predict(whole[None].astype(np.float32)))


def test_bits_that_are_all_positive() -> None:
    signs = TensorInfo("signs", (2, 3), "s1", 1.0, 0)
    with refuses("none is negative, so all of them are +1"):
        check_meant(signs, np.array([[0, 1, 1], [1, 0, 0]]))
    check_meant(signs, np.array([[-1, 1, 1], [1, -1, 0]]))
    check_meant(signs, np.ones((2, 3), np.int8))


def test_samples_are_taken_as_they_are() -> None:
    image = TensorInfo("image", (2, 2), "s8", 1 / 128, 0, (1 / 255, 0.0))
    samples = np.array([[0, 255], [1, 2]], np.uint8)
    assert check_meant(image, samples) is None
    found = input_range(image, samples)
    assert (found.low, found.high, found.saturated) == (0.0, 1.0, 0)
    with refuses("give samples as dtype uint8, or reals as in training"):
        check_meant(image, np.array([[0, 255], [1, 2]]))


# --- reals ------------------------------------------------------------------------------------------------------------


def test_many_that_saturate_are_warned_of_once(bits: Interpreter) -> None:
    real = np.zeros((2, *SHAPE), np.float32)
    real[:, 0] = 255
    with pytest.warns(SaturationWarning) as caught:
        bits.predict(real)
        bits.predict(real)
        bits.set_input(0, real[0])
    (one,) = caught
    assert "values 0 to 255, but it represents -62.5 to 65: 20 % of them saturate" in str(one.message)
    assert one.filename == __file__
    with pytest.warns(SaturationWarning):  # another interpreter is another model
        Interpreter(make_blobs.blob(make_blobs.bits())).predict(real)


def test_outliers_and_the_last_step_are_not(bits: Interpreter) -> None:
    real = np.full((1, *SHAPE), 65.4, np.float32)
    real[0, 0, 0, :8] = -1000  # 8 of 875
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bits.predict(real)


def test_what_a_range_says() -> None:
    image = TensorInfo("image", (4,), "s8", 0.5, -3)
    found = input_range(image, np.array([0, 10, 70, np.nan]))
    assert found == InputRange("image", 0.0, 70.0, (-62.5, 65.0), 1, 4)
    assert str(found) == "input image: values 0 to 70; it represents -62.5 to 65: 25 % saturate"
    floats = TensorInfo("x", (4,), "f32", 1.0, 0)
    assert str(input_range(floats, np.array([0.0, 255.0]))) == "input x: values 0 to 255"
    assert input_range(image, np.zeros((0, 4))).share == 0


# --- shapes -----------------------------------------------------------------------------------------------------------


def test_channel_first(bits: Interpreter) -> None:
    with refuses("got (7, 35, 5, 5); it looks channel-first: x.transpose(0, 2, 3, 1)"):
        bits.predict(np.zeros((7, 35, 5, 5)))
    with refuses("got (35, 5, 5); it looks channel-first: x.transpose(1, 2, 0)"):
        bits.set_input(0, np.zeros((35, 5, 5)))


def test_a_batch_of_one_is_a_sample(bits: Interpreter) -> None:
    sample = np.random.default_rng(1).uniform(-9, 9, SHAPE)
    bits.set_input(0, sample[None])
    bits.invoke()
    assert np.array_equal(bits.get_output(0), bits.predict(sample[None])[0])
