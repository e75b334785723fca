"""The figures against their definitions and against other people's code."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dqnn.exporter.samples.metrics import (
    LabelError,
    accuracy,
    classes_of,
    confusion,
    measure,
    read_labels,
    relative_error,
)

FINITE = st.floats(-1e3, 1e3, width=32)
PAIRS = st.integers(1, 20).flatmap(
    lambda n: st.tuples(arrays(np.float32, (n, 3), elements=FINITE), arrays(np.float32, (n, 3), elements=FINITE))
)


def test_by_hand() -> None:
    m = measure(np.array([[3.0, 4.0]]), np.array([[3.0, 5.0]]), classifier=True)
    assert m.acc == 1
    assert m.rmse == pytest.approx(math.sqrt(0.5))
    assert m.mae == pytest.approx(0.5)
    assert m.l2r == pytest.approx(1 / 5)
    assert m.mean == pytest.approx(0.5)
    assert m.std == pytest.approx(0.5)
    assert m.nse == pytest.approx(1 - 1 / 0.5)
    assert m.cos == pytest.approx((9 + 20) / (5 * math.sqrt(34)))


@given(PAIRS)
def test_against_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, found = (a.astype(np.float64) for a in pair)
    m = measure(*pair, classifier=True)
    flat = truth.ravel(), found.ravel()
    assert m.rmse == pytest.approx(math.sqrt(metrics.mean_squared_error(*flat)))
    assert m.mae == pytest.approx(metrics.mean_absolute_error(*flat))
    spread = float(np.sum((flat[0] - flat[0].mean()) ** 2))
    if spread > 1e-9:
        assert m.nse == pytest.approx(metrics.r2_score(*flat), rel=1e-6, abs=1e-6)
    assert m.acc == pytest.approx(metrics.accuracy_score(truth.argmax(axis=1), found.argmax(axis=1)))


@given(PAIRS)
def test_identities(pair: tuple[np.ndarray, np.ndarray]) -> None:
    m = measure(*pair)
    assert m.acc is None
    assert m.rmse**2 == pytest.approx(m.mean**2 + m.std**2, rel=1e-6, abs=1e-9)
    assert m.mae <= m.rmse * (1 + 1e-9) + 1e-12
    assert -1 - 1e-9 <= m.cos <= 1 + 1e-9
    same = measure(pair[0], pair[0])
    assert (same.rmse, same.mae, same.l2r, same.mean, same.std, same.nse) == (0, 0, 0, 0, 0, 1)
    assert same.cos == pytest.approx(1)


def test_zero_and_constant_references() -> None:
    zero, one = np.zeros((2, 2)), np.ones((2, 2))
    assert measure(zero, zero).l2r == 0 and measure(zero, zero).cos == 1 and measure(zero, zero).nse == 1
    assert measure(zero, one).l2r == math.inf and measure(zero, one).cos == 0
    assert measure(one, zero).nse == -math.inf
    assert json.dumps(measure(one, zero).to_json())


def test_nan_reaches_every_figure_and_no_limit_accepts_it() -> None:
    m = measure(np.ones((1, 2)), np.array([[1, np.nan]]))
    assert all(math.isnan(v) for v in (m.rmse, m.mae, m.l2r, m.mean, m.std, m.nse, m.cos))
    assert m.to_json()["l2r"] == "nan"
    assert math.isnan(relative_error(np.ones(2), np.array([np.inf, np.nan])))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        measure(np.ones((2, 3)), np.ones((3, 2)))


def test_classes() -> None:
    assert classes_of(np.array([[0, 2, 2], [5, 1, 1]])).tolist() == [1, 0]
    assert classes_of(np.array([[0.5], [0.6]])).tolist() == [0, 1]
    assert accuracy(np.eye(4), np.eye(4)[[0, 1, 2, 2]]) == 0.75
    assert confusion(np.eye(3)[[0, 1, 1]], np.eye(3)[[0, 2, 1]]).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert confusion(np.array([[0.0], [1.0]]), np.array([[0.9], [0.8]])).tolist() == [[0, 1], [0, 1]]


def test_labels() -> None:
    numbers = read_labels(np.array([2, 0]), (2, 3))
    assert numbers.classifier and numbers.values.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert read_labels(np.array([[2.0], [0.0]]), (2, 3)).classifier
    assert read_labels(np.eye(3), (3, 3)).classifier
    assert not read_labels(np.ones((3, 3)) / 2, (3, 3)).classifier
    assert read_labels(np.array([0, 1]), (2, 1)).classifier
    assert not read_labels(np.array([0.2, 1]), (2, 1)).classifier
    pixels = read_labels(np.zeros((2, 4, 4), int), (2, 4, 4, 5))
    assert pixels.classifier and pixels.values.shape == (2, 4, 4, 5)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.array([0, 1, 2]), "3 labels for 2 samples"),
        (np.array([0, 3]), "from 0 to 3; expected classes 0 to 2"),
        (np.array([0.5, 1]), "expected classes"),
        (np.array([-1, 1]), "expected classes"),
        (np.ones((2, 2)), "shape"),
        (np.array(["a", "b"]), "not numbers"),
    ],
)
def test_labels_that_do_not_fit(labels: np.ndarray, text: str) -> None:
    with pytest.raises(LabelError, match=text):
        read_labels(labels, (2, 3))
