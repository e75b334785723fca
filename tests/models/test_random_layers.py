"""Random layer configurations against Keras. DQNN_LAYER_DRAWS sets how many (default 150); longer searches:
random_layers.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from hypothesis import HealthCheck, given, settings  # noqa: E402
from random_layers import Config, check, configs, patch_transposed  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _transposed_works() -> Iterator[None]:
    from tensorflow.python.ops import array_ops

    before: Any = getattr(array_ops, "stack", None)
    patch_transposed()
    yield
    if before is None:
        del array_ops.stack


@settings(
    max_examples=int(os.environ.get("DQNN_LAYER_DRAWS", "150")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(configs())
def test_random_layer_agrees_with_keras(config: Config) -> None:
    try:
        verdict = check(config)
    except Exception as error:
        if type(error).__module__.startswith(("tensorflow", "keras", "qkeras", "larq")):
            return  # Keras itself cannot build or run this one
        raise
    assert verdict.problem is None, verdict.problem
