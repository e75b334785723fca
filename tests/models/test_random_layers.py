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
from compare import AGREE, KerasRefuses  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from random_layers import Config, patch_transposed  # noqa: E402
from random_nets import Act, Layer, Network, Norm, Quant  # noqa: E402

DRAWS = os.environ.get("DQNN_LAYER_DRAWS")
many = settings(  # the same draws every time, unless more are asked for
    max_examples=int(DRAWS or 150), deadline=None, suppress_health_check=list(HealthCheck), derandomize=DRAWS is None
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
    assert outcome.kind in AGREE, outcome.detail


@many
@given(random_nets.networks())
def test_random_network_agrees_with_keras(network: Network) -> None:
    try:
        outcome = random_nets.check(network)
    except KerasRefuses:
        return
    assert outcome.kind in AGREE, outcome.detail


HEAVISIDE = Quant("larq:layer:ste_heaviside")
FOUND = {
    # A ReLU before the batch norm clips each channel at another value; the two codes of a step function were taken for
    # neighbours that only rounding tells apart.
    "step behind relu and batch norm, float weights": Network(
        ((43,),),
        (Layer("dense", "qkeras", activation="quantized_tanh(5)"), Act("relu"), Norm("bn"), HEAVISIDE),
        exact=False,
        seed=101,
    ),
    "step behind relu and batch norm, 8-bit weights": Network(
        ((3, 9, 1),),
        (Layer("dense", "larq", 87, input="ste_sign", kernel="dorefa"), Act("relu"), Norm("bn"), HEAVISIDE),
        seed=1,
    ),
    "step behind relu and batch norm, binary weights": Network(
        ((2, 1, 5),),
        (HEAVISIDE, Layer("dense", "qkeras", kernel="binary(alpha=1)"), Act("relu"), Norm("bn"), HEAVISIDE),
        seed=119900,
        io_dtype="f32",
        constant_time=True,
    ),
}


@pytest.mark.parametrize("network", FOUND.values(), ids=FOUND)
def test_what_the_search_has_found(network: Network) -> None:
    outcome = random_nets.check(network)
    assert outcome.kind in AGREE, outcome.detail


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
