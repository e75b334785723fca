"""The data set of the digits examples: scikit-learn's handwritten digits, enlarged to the 28x28 pixels of MNIST.

It stands in for MNIST because it ships inside scikit-learn: nothing is downloaded and the examples stay small. The 8x8
images are enlarged by cubic splines and kept as 8-bit pixels, as a camera would deliver them; the models see `pixel /
128 - 1`, a float32 in [-1, 1) that an int8 with scale 1/128 holds exactly."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
SIDE = 28
TEST_IMAGES = 500
SPLIT_SEED = 2024


class Digits(NamedTuple):
    """Pixels (n, 28, 28) and labels (n,); `test` is stratified and never seen in training."""

    train_pixels: U8
    train_labels: NDArray[np.int64]
    test_pixels: U8
    test_labels: NDArray[np.int64]


def load() -> Digits:
    """All 1,797 images, 500 of them for testing."""
    images, labels = load_digits(return_X_y=True)
    large = [zoom(image.reshape(8, 8), SIDE / 8, order=3) for image in images]
    pixels = np.clip(np.rint(np.stack(large) * (255 / 16)), 0, 255).astype(np.uint8)
    split = train_test_split(pixels, labels, test_size=TEST_IMAGES, stratify=labels, random_state=SPLIT_SEED)
    train_pixels, test_pixels, train_labels, test_labels = split
    return Digits(train_pixels, train_labels.astype(np.int64), test_pixels, test_labels.astype(np.int64))


def to_input(pixels: U8) -> F32:
    """Pixels as the models take them: (n, 28, 28, 1) float32 in [-1, 1), exact multiples of 1/128."""
    scaled: F32 = pixels[..., np.newaxis].astype(np.float32) / np.float32(128) - np.float32(1)
    return scaled


def augment(pixels: U8, rng: np.random.Generator) -> U8:
    """Each image turned by up to 10 degrees, sheared a little, scaled by up to 10 % and moved by up to 2 pixels."""
    out = np.empty_like(pixels)
    centre = np.full(2, (SIDE - 1) / 2)
    for i, image in enumerate(pixels):
        angle, shear = np.deg2rad(rng.uniform(-10, 10)), rng.uniform(-0.1, 0.1)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1, shear], [0, 1]]) / rng.uniform(0.9, 1.1, size=2)
        offset = centre - matrix @ centre + rng.uniform(-2, 2, size=2)
        out[i] = np.clip(np.rint(affine_transform(image.astype(np.float32), matrix, offset, order=1)), 0, 255)
    return out


def store_reference(path: Path, digits: Digits, name: str, outputs: F32) -> None:
    """Write the test set and add `keras_<name>`, what Keras computed on it, keeping the references of other models."""
    arrays = dict(np.load(path)) if path.exists() else {}
    arrays |= {"x": to_input(digits.test_pixels), "y": digits.test_labels, f"keras_{name}": outputs}
    np.savez_compressed(path, **arrays)
