"""The two mirrors of interpreter_c/src/numerics.c agree, and both are close to the functions they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from dqnn.exporter.ir import numerics, real
from dqnn.exporter.ir.ops import UnaryKind

KINDS: tuple[UnaryKind, ...] = (
    "relu", "sigmoid", "hard_sigmoid", "tanh", "elu", "swish", "exp", "selu", "softplus", "softsign", "gelu",
    "leaky_relu", "abs", "square", "hard_swish", "mish",
)  # fmt: skip
GRID = np.concatenate(
    [np.linspace(-30, 30, 20001), np.geomspace(1e-30, 80, 500), -np.geomspace(1e-30, 80, 500), [0.0, -0.0]]
)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_steps_are_close_to_the_real_function(kind: UnaryKind) -> None:
    alpha = 0.3 if kind in ("elu", "leaky_relu") else 0.0
    x = GRID.astype(np.float32)
    expected = real.UNARY[kind](x.astype(np.float64), alpha)
    got = numerics.unary(kind, alpha, x)
    assert np.abs(got - expected).max() <= 2e-6 * max(1.0, np.abs(expected[np.isfinite(expected)]).max())


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_nan(kind: UnaryKind) -> None:
    assert np.isnan(numerics.unary(kind, 0.5, np.array([np.nan], np.float32)))[0]


def test_exp_saturates() -> None:
    x = np.array([-np.inf, -200, 89.1, 1000, np.inf], np.float32)
    assert numerics.exp(x).tolist() == [0, 0, np.inf, np.inf, np.inf]
