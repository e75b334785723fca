"""Samples in a model's shape: adapted where no value can end up elsewhere, refused with what to write otherwise."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dqnn.exporter.samples.arrays import SampleError, adapted
from dqnn.tensors import TensorInfo

N = 4


def port(*shape: int) -> TensorInfo:
    return TensorInfo("x", shape, "f32", 1.0, 0)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ((8, 8, 3), (8, 8, 3)),
        ((28, 28), (28, 28, 1)),
        ((28, 28, 1), (28, 28)),
        ((1, 28, 28), (28, 28, 1)),
        ((192,), (8, 8, 3)),
        ((1, 192), (8, 8, 3)),
        ((1, 7), (7,)),
        ((), (1,)),
    ],
)
def test_adapted(given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    array = np.arange(N * int(np.prod(given))).reshape(N, *given)
    found = adapted(array, port(*shape))
    assert found.shape == (N, *shape)
    assert np.array_equal(found.ravel(), array.ravel())


@pytest.mark.parametrize(
    ("given", "shape", "hint"),
    [
        ((3, 8, 8), (8, 8, 3), "it looks channel-first: x.transpose(0, 2, 3, 1)"),
        ((3, 64), (8, 8, 3), "bring its axes into the model's order: x.transpose(...)"),
        ((8, 3, 8), (8, 8, 3), "bring its axes into the model's order: x.transpose(...)"),
        ((3, 8, 8), (192,), "flatten it as in training: x.reshape(len(x), -1) puts rows behind each other"),
        ((8, 8), (8, 8, 3), "expected (samples, 8, 8, 3)"),
    ],
)
def test_refused(given: tuple[int, ...], shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(SampleError, match=re.escape(hint)):
        adapted(np.zeros((N, *given)), port(*shape))
