"""Random layers and random networks against Keras, and what such draws have found, by name. DQNN_LAYER_DRAWS sets how
many are drawn of each (default 150); longer searches: random_search.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

import random_layers  # noqa: E402
import random_nets  # noqa: E402
from compare import KerasRefuses  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from random_layers import Config, patch_transposed  # noqa: E402
from random_nets import Network  # noqa: E402

many = settings(
    max_examples=int(os.environ.get("DQNN_LAYER_DRAWS", "150")), deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(autouse=True, scope="module")
def _transposed_works() -> Iterator[None]:
    from tensorflow.python.ops import array_ops

    before: Any = getattr(array_ops, "stack", None)
    patch_transposed()
    yield
    if before is None:
        del array_ops.stack


@many
@given(random_layers.configs())
def test_random_layer_agrees_with_keras(config: Config) -> None:
    try:
        outcome = random_layers.check(config)
    except KerasRefuses:
        return
    assert outcome.kind in ("native", "fallback", "unsure"), outcome.detail


@many
@given(random_nets.networks())
def test_random_network_agrees_with_keras(network: Network) -> None:
    try:
        outcome = random_nets.check(network)
    except KerasRefuses:
        return
    assert outcome.kind in ("native", "fallback", "unsure"), outcome.detail


def test_quantized_scope_left_on_does_not_quantize_twice() -> None:
    """A Larq layer that raises when it is called leaves Larq's quantized scope on, and get_weights() then gives
    quantized numbers; DoReFa changes them once more."""
    import larq as lq
    import tensorflow as tf

    import dqnn

    layer = lq.layers.QuantDense(9, kernel_quantizer=lq.quantizers.DoReFa(k_bit=8, mode="weights"))
    model = tf.keras.Sequential([tf.keras.layers.Input((11,)), layer])
    blob = dqnn.export(model).blob
    with lq.context.quantized_scope(True):
        assert dqnn.export(model).blob == blob
