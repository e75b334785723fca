"""The float functions of interpreter_c/src/numerics.c: bit-equal to their numpy mirror, close to the true ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dqnn import _core
from dqnn.exporter.format import UnaryParams
from dqnn.exporter.ir import numerics

from .cases import UNARY, plain_f32
from .harness import BY_NAME, run

F = np.float32
KERNEL = BY_NAME["unary_f32"]


def unary(kind: str, alpha: float, x: NDArray[np.float32]) -> NDArray[np.float32]:
    case = plain_f32(KERNEL, x, x, (), UnaryParams(UNARY.index(kind), alpha=alpha))
    return np.frombuffer(run(case, "ref"), F)


def arguments() -> NDArray[np.float32]:
    """Dense around 0 and the limits, every magnitude, infinities, NaN, denormals."""
    rng = np.random.default_rng(3)
    signs = rng.choice(np.array([-1, 1], F), 60000)
    spread = (np.exp(rng.uniform(-100, 88, 60000)) * signs).astype(F)
    special = np.array(
        [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, 89.0, -104.0, 0.34, -0.34, 10.0, 4.0], F
    )
    return np.concatenate(
        [np.linspace(-110, 95, 150001, dtype=F), np.linspace(-6, 6, 150001, dtype=F), spread, special]
    )


X = arguments()


@pytest.mark.parametrize("kind", UNARY)
def test_same_bits_as_the_mirror(kind: str) -> None:
    alpha = 0.3 if kind in ("elu", "leaky_relu") else 0.0
    got, want = unary(kind, alpha, X), numerics.unary(kind, alpha, X)
    numbers = ~np.isnan(want)  # the bits of a NaN are not specified
    assert np.array_equal(np.isnan(got), ~numbers)
    assert np.array_equal(got.view(np.uint32)[numbers], want.view(np.uint32)[numbers])


def softplus(x: Any) -> Any:
    return np.logaddexp(0.0, x)


MATHEMATICS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "exp": (np.exp, 1.0),
    "tanh": (np.tanh, 2.7),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 2.4),
    "softplus": (softplus, 2.7),
    "elu": (lambda x: np.where(x < 0, np.expm1(x), x), 3.3),
}


@pytest.mark.parametrize("kind", MATHEMATICS)
def test_error(kind: str) -> None:
    """In units of the last place, where the result is a normal number."""
    function, limit = MATHEMATICS[kind]
    x = X[np.isfinite(X) & (np.abs(X) < 87)]
    want = function(x.astype(np.float64))
    normal = np.abs(want) > 1.2e-38
    step = np.spacing(np.abs(want).astype(F)).astype(np.float64)
    error = np.abs(unary(kind, 1.0 if kind == "elu" else 0.0, x) - want) / step
    assert error[normal].max() <= limit


def test_roots_are_the_nearest_numbers() -> None:
    """A layer normalization of two numbers apart by d has f = 1 / sqrt(d * d / 4 + epsilon), whatever d."""
    d = np.concatenate([np.logspace(-22, 18, 4000), [0.0, 1.0, 2.0, 3.0, 1e-30]]).astype(F)
    x = np.stack([np.zeros_like(d), d], axis=1)
    for epsilon in (F(0), F(1e-38), F(1e-3), F(1.0)):
        rows = x if epsilon else x[d > 1e-15]
        half = rows - (rows[:, 1:] / F(2))
        squares = (half[:, 0] * half[:, 0] + half[:, 1] * half[:, 1]) / F(2)
        want = half * (F(1) / np.sqrt(squares + epsilon))[:, None]
        ones, zeros = np.ones(2, F), np.zeros(2, F)
        constants = (ones.tobytes(), zeros.tobytes(), epsilon.tobytes())
        case = plain_f32(BY_NAME["layernorm_f32"], rows, want, constants, None)
        np.testing.assert_array_equal(np.frombuffer(run(case, "ref"), F).reshape(rows.shape), want)


def test_softmax_sums_to_one() -> None:
    x = np.random.default_rng(0).normal(0, 5, (50, 40)).astype(F)
    case = plain_f32(BY_NAME["softmax_f32"], x, x, (), None)
    y = np.frombuffer(run(case, "ref"), F).reshape(x.shape)
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    assert np.allclose(y, e / e.sum(axis=1, keepdims=True), rtol=1e-6)


def test_core_and_mirror_name_the_same_kinds() -> None:
    assert len(_core.kernels()) > KERNEL.id
    for kind in UNARY:
        numerics.unary(kind, 0.0, np.ones(1, F))
