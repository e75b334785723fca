"""Every network style of the zoo exports without fallback and agrees with Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from compare import assert_close, compare, randomize  # noqa: E402
from networks import MODELS  # noqa: E402
from zoo import IMAGE, ZOO  # noqa: E402

import dqnn  # noqa: E402

BY_NAME = {build.__name__: build for build in ZOO}


@pytest.mark.parametrize("build", ZOO, ids=lambda build: build.__name__)
def test_zoo_agrees_with_keras(build: Callable[[], Any]) -> None:
    rng = np.random.default_rng(7)
    model = randomize(build(), seed=3)
    x = rng.uniform(-1.0, 1.0, (8, *IMAGE)).astype(np.float32)
    comparison = compare(model, x, strict=True)
    assert_close(comparison)


@pytest.mark.parametrize("name", [*BY_NAME, *MODELS])
def test_the_arena_is_its_lower_bound(name: str) -> None:
    """What keeps a model from it would be a `bound_missed` in its report; none of these has one."""
    report = dqnn.export((BY_NAME | MODELS)[name]()).report
    assert report.arena_bytes == report.lower_bound <= report.greedy_by_size
    assert report.bound_missed == ""
