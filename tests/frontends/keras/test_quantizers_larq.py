"""Larq's quantizers in numpy against Larq itself, element for element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frontends.keras.quantizer_inputs import edges, kernels, run, same

from dqnn.exporter.frontends.keras.builder import Unsupported
from dqnn.exporter.frontends.keras.quantizers import Quantizer, parse, tanh

pytestmark = pytest.mark.tf

SIGNS = ["SteSign", "ApproxSign", "SwishSign"]
ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SIGNS),
    ("SteHeaviside", {}),
    ("SteTern", {}),
    ("SteTern", {"threshold_value": 0.3}),
    ("SteTern", {"ternary_weight_networks": True}),
    ("DoReFa", {"k_bit": 8}),
    ("DoReFa", {"k_bit": 8, "mode": "weights"}),
    *(("DoReFa", {"k_bit": bits, "mode": mode}) for bits in (1, 2, 5) for mode in ("activations", "weights")),
    ("NoOp", {"precision": 1}),
]


def pair(name: str, arguments: dict[str, Any]) -> tuple[Quantizer, Any]:
    """Ours, read from the configuration that Larq saves, and Larq's."""
    import larq

    theirs = getattr(larq.quantizers, name)(**arguments)
    ours = parse(larq.quantizers.serialize(theirs))
    assert ours is not None
    return ours, lambda x: np.asarray(theirs(x))


@pytest.mark.parametrize(("name", "arguments"), ARGUMENTS, ids=str)
def test_values(name: str, arguments: dict[str, Any]) -> None:
    ours, theirs = pair(name, arguments)
    if arguments.get("mode") == "weights" or "ternary_weight_networks" in arguments:
        x = np.random.default_rng(0).normal(0, 0.5, 5000).astype(np.float32)
    else:
        x = edges()
    same(ours.values(x), theirs(x))


def test_tanh_is_tensorflows() -> None:
    """That of TensorFlow 2.15 and 2.19, bit for bit. 2.21 has another quotient of polynomials, as far from the true
    values as this one: docs/numerics.md counts the weights that it rounds otherwise."""
    import tensorflow as tf

    x = np.concatenate(
        [np.random.default_rng(0).normal(0, 2, 200_000), np.geomspace(1e-30, 100, 2001), [0.0, -0.0, np.inf]]
    )
    x = np.concatenate([x, -x]).astype(np.float32)
    ours, theirs = tanh(x), np.asarray(tf.tanh(x))
    if tuple(map(int, tf.__version__.split(".")[:2])) < (2, 20):
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_array_max_ulp(ours, theirs, maxulp=6)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [case for case in ARGUMENTS if case[1].get("mode") != "weights" and "ternary_weight_networks" not in case[1]],
    ids=str,
)
def test_activation(name: str, arguments: dict[str, Any]) -> None:
    ours, theirs = pair(name, arguments)
    x = edges()
    x = x[(x == 0) | (np.abs(x) >= 1.1754944e-38)]  # denormals: TensorFlow flushes them, C does not
    found = run(ours.activation(), x) if ours.activation() else x
    if name == "DoReFa":
        np.testing.assert_allclose(found, theirs(x), rtol=1e-6)
    else:
        same(found, theirs(x))


@pytest.mark.parametrize(("name", "arguments"), [*ARGUMENTS, ("MagnitudeAwareSign", {})], ids=str)
def test_kernel(name: str, arguments: dict[str, Any]) -> None:
    ours, theirs = pair(name, arguments)
    for w in kernels():
        kernel = ours.kernel(w)
        assert kernel.codes.shape == w.shape
        np.testing.assert_allclose(kernel.real(), theirs(w), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", SIGNS)
def test_sign_of_not_a_number_is_documented(name: str) -> None:
    """Larq gives NaN for NaN; a bit has no NaN, ours is +1. Infinities have signs."""
    ours, theirs = pair(name, {})
    assert np.isnan(theirs(np.float32([np.nan]))).all()
    same(ours.values(np.float32([np.nan, np.inf, -np.inf])), [1, 1, -1])


def test_dorefa_decides_ties_in_float32() -> None:
    """At (k + 0.5) / 255 the float32 product decides, not the real number."""
    ours, theirs = pair("DoReFa", {"k_bit": 8})
    ties = ((np.arange(255) + 0.5) / 255).astype(np.float32)
    same(ours.values(ties), theirs(ties))
    assert np.any(np.rint(ties.astype(np.float64) * 255) != np.rint(theirs(ties) * 255))


def test_zero_dorefa_kernel_is_one_255th() -> None:
    ours, theirs = pair("DoReFa", {"k_bit": 8, "mode": "weights"})
    w = np.zeros((3, 3, 1, 2), np.float32)
    kernel = ours.kernel(w)
    assert kernel.kind == "s8"
    assert kernel.half
    np.testing.assert_allclose(kernel.real(), theirs(w), atol=1e-7)
    np.testing.assert_allclose(kernel.real(), 1 / 255, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["ste_sign", "approx_sign", "swish_sign", "ste_heaviside", "magnitude_aware_sign", "ste_tern"]
)
def test_aliases(name: str) -> None:
    import larq

    theirs = larq.quantizers.get(name)
    ours = parse(name)
    assert ours is not None
    x = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
    np.testing.assert_allclose(ours.values(x), np.asarray(theirs(x)), rtol=1e-6)


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ({"class_name": "MagnitudeAwareSign", "config": {}}, "mean over the batch"),
        ({"class_name": "SteTern", "config": {"ternary_weight_networks": True}}, "run time"),
        ({"class_name": "DoReFa", "config": {"k_bit": 8, "mode": "weights"}}, "run time"),
    ],
    ids=str,
)
def test_activations_that_need_the_batch_are_refused(identifier: Any, text: str) -> None:
    quantizer = parse(identifier)
    assert quantizer is not None
    with pytest.raises(Unsupported, match=text):
        quantizer.activation()


def test_more_than_8_bits_are_refused() -> None:
    with pytest.raises(Unsupported, match="k_bit=9"):
        parse({"class_name": "DoReFa", "config": {"k_bit": 9}})


def test_dorefa_alone_has_2_bits() -> None:
    """Larq's default: 0, 1/3, 2/3 and 1."""
    same(
        parse("dorefa_quantizer").values(np.float32([-1, 0.2, 0.5, 0.6, 3])),
        np.float32([0, 1, 2, 2, 3]) / np.float32(3),
    )
