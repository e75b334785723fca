"""QKeras' quantizers in numpy against QKeras itself, element for element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frontends.keras.quantizer_inputs import edges, kernels, run, same

from dqnn.exporter.frontends.keras.builder import Unsupported
from dqnn.exporter.frontends.keras.quantizers import Quantizer, parse

pytestmark = pytest.mark.tf

ACTIVATIONS = [
    "binary",
    "binary(alpha=1)",
    "binary(alpha=0.5)",
    "stochastic_binary(alpha=1)",
    "ternary(alpha=1)",
    "ternary",
    "ternary(alpha=2.0, threshold=0.5)",
    "stochastic_ternary(alpha=1)",
    "quantized_bits(8,0,alpha=1)",
    "quantized_bits(8,0)",
    "quantized_bits(8,7)",
    "quantized_bits(8,2,1,alpha=1)",
    "quantized_bits(8,0,0,0,1)",
    "quantized_bits(8,3,0,False)",
    "quantized_bits(8,0,alpha=0.25)",
    "quantized_bits(8,0,alpha=0.3)",
    "quantized_bits(1,0)",
    "quantized_bits(2,0,alpha=1)",
    "quantized_bits(4,0,alpha=1)",
    "quantized_bits(6,2,1,alpha=1)",
    "quantized_bits(5,1,0,False)",
    "quantized_bits(4,1,alpha=0.5)",
    "quantized_relu(8)",
    "quantized_relu(1)",
    "quantized_relu(4)",
    "quantized_relu(6,2)",
    "quantized_relu(4,1,0,0.25)",
    "quantized_relu(8,3)",
    "quantized_relu(8,8)",
    "quantized_relu(8,0,0,0.25)",
    "quantized_relu(8,2,negative_slope=0.125)",
    "quantized_sigmoid(8)",
    "quantized_sigmoid(8,1)",
    "quantized_sigmoid(4)",
]
# QKeras computes these through 0.5 x + 0.5, which loses the last bits of a small x.
ROUNDED_TWICE = [
    "quantized_tanh(8)",
    "quantized_tanh(8,symmetric=1)",
    "quantized_relu(8,0,1)",
    "quantized_relu(8,2,use_sigmoid=1)",
    "quantized_tanh(4)",
    "quantized_tanh(2,symmetric=1)",
    "quantized_relu(4,1,use_sigmoid=1)",
]
KERNELS = [
    "binary(alpha=1)",
    "binary(alpha=0.3)",
    "binary(alpha=-0.3)",
    "binary(alpha='auto')",
    "binary(alpha='auto_po2')",
    "stochastic_binary(alpha='auto_po2')",
    "ternary(alpha=1)",
    "ternary(alpha=0.5, threshold=0.2)",
    "ternary(alpha='auto')",
    "ternary(alpha='auto_po2')",
    "stochastic_ternary(alpha='auto_po2')",
    "quantized_bits(8,0,alpha=1)",
    "quantized_bits(8,2,alpha=1)",
    "quantized_bits(8,0,1,alpha=1)",
    "quantized_bits(8,0,alpha=0.7)",
    "quantized_bits(8,0,1,alpha='auto')",
    "quantized_bits(8,2,1,alpha='auto')",
    "quantized_bits(8,0,1,alpha='auto_po2')",
    "quantized_bits(8,1,1,alpha='auto_po2')",
    "quantized_bits(8,0,0,0,1)",
    "quantized_bits(2,0,alpha=1)",
    "quantized_bits(4,0,1,alpha=1)",
    "quantized_bits(6,1,alpha=0.7)",
    "quantized_bits(4,0,1,alpha='auto')",
    "quantized_bits(2,0,1,alpha='auto')",
    "quantized_bits(3,1,1,alpha='auto_po2')",
    "quantized_bits(16,2,alpha=1)",
    "quantized_relu(4,1)",
    "quantized_relu(8,1)",
    "quantized_tanh(8)",
    "quantized_po2(4)",
    "quantized_po2(8)",
    "quantized_relu_po2(4)",
]
PARAMETERS = [
    "quantized_po2(5)",
    "quantized_po2(8, 1.0)",
    "quantized_po2(6, quadratic_approximation=True)",
    "quantized_po2(5, log2_rounding='floor')",
    "quantized_relu_po2(6, 2048)",
    "quantized_relu_po2(6, quadratic_approximation=True)",
    "quantized_relu_po2(8, negative_slope=0.5)",
    "quantized_bits(4,1,alpha=1)",
    "quantized_bits(16,4,alpha=1)",
    "quantized_bits(8,0,1,alpha='auto')",
    "quantized_bits(8,0,1,alpha='auto_po2')",
    "binary(alpha='auto')",
]


def pair(text: str) -> tuple[Quantizer, Any]:
    """Ours, read from the string, and QKeras' own."""
    import qkeras

    theirs = qkeras.get_quantizer(text)
    ours = parse(text)
    assert ours is not None
    return ours, lambda x: np.asarray(theirs(x))


def by_configuration(text: str) -> Quantizer:
    """Ours, read from the configuration that QKeras saves."""
    import qkeras
    import tensorflow as tf

    found = parse(tf.keras.utils.legacy.serialize_keras_object(qkeras.get_quantizer(text)))
    assert found is not None
    return found


@pytest.mark.parametrize("text", [*ACTIVATIONS, *ROUNDED_TWICE])
def test_values(text: str) -> None:
    ours, theirs = pair(text)
    x = edges()
    same(ours.values(x), theirs(x))
    same(by_configuration(text).values(x), theirs(x))


@pytest.mark.parametrize("text", ACTIVATIONS)
def test_activation(text: str) -> None:
    ours, theirs = pair(text)
    x = edges()
    x = x[(x == 0) | (np.abs(x) >= 1.1754944e-38)]  # denormals: TensorFlow flushes them, C does not
    found, wanted = run(ours.activation(), x), theirs(x)
    if "alpha=0.3" in text:  # not exact in binary: QKeras' sum x + (xq - x) rounds
        assert np.all(np.abs(found - wanted) <= 2.0**-23 * np.maximum(np.abs(x), 1))
    else:
        same(found, wanted)


@pytest.mark.parametrize("text", ROUNDED_TWICE)
def test_hard_functions_differ_only_within_rounding_of_a_tie(text: str) -> None:
    ours, theirs = pair(text)
    x = edges()
    x = x[(x == 0) | (np.abs(x) >= 1.1754944e-38)]
    differs = run(ours.activation(), x) != theirs(x)
    distance = np.abs(np.abs(x[differs].astype(np.float64) * 128 % 1) - 0.5)
    assert np.all(distance <= 2.0**-16)
    assert np.mean(differs) < 0.1
    assert not np.any(differs[-20000:]), "random numbers"


@pytest.mark.parametrize("text", ["quantized_tanh(8,use_real_tanh=1)", "quantized_sigmoid(8,use_real_sigmoid=1)"])
def test_real_functions(text: str) -> None:
    """The functions' last bits differ between libraries: a level may differ by one, rarely."""
    ours, theirs = pair(text)
    x = np.random.default_rng(0).normal(0, 2, 10000).astype(np.float32)
    for found in (ours.values(x), run(ours.activation(), x)):
        assert np.mean(found != theirs(x)) < 1e-3
        np.testing.assert_allclose(found, theirs(x), atol=1.01 / 128)


def test_quantized_linear() -> None:
    """Newer than the library installed here: without a scale it has the grid of quantized_bits. Its scales are compared
    with qkeras-v3's in test_qkeras_today.py."""
    grid = parse("quantized_bits(8,1,1,alpha=1)")
    linear = parse("quantized_linear(8,1)")
    same(linear.values(edges()), grid.values(edges()))
    same(run(linear.activation(), edges()), run(grid.activation(), edges()))


STOCHASTIC = [
    *("quantized_bits(4,0,1,alpha=1{})", "quantized_bits(4,1,1,alpha='auto'{})", "quantized_relu(4,1{})"),
    *("quantized_tanh(4{})", "quantized_sigmoid(4{})", "quantized_po2(4{})", "quantized_relu_po2(4{})"),
    *("ternary(alpha='auto'{})", "ternary(alpha='auto_po2'{})"),
]


@pytest.mark.parametrize("text", STOCHASTIC)
def test_stochastic_rounding_is_none_at_inference(text: str) -> None:
    ours, theirs = pair(text.format(", use_stochastic_rounding=True"))
    plain = parse(text.format(""))
    assert plain is not None and ours.text == plain.text
    for w in kernels()[:2]:
        same(ours.values(w), plain.values(w))
        np.testing.assert_allclose(ours.values(w), theirs(w), rtol=1e-6, atol=1e-12)


def test_one_bit_with_the_default_alpha() -> None:
    """An activation keeps its sign; a layer makes its kernel alpha='auto_po2', which has no level but 0."""
    import qkeras

    x = edges()
    same(parse("quantized_bits(1,0,1)").values(x), np.asarray(qkeras.quantized_bits(1, 0, 1)(x)))
    layer = qkeras.QDense(7, kernel_quantizer=qkeras.quantized_bits(1, 0, 1))
    layer.build((None, 40))
    w = kernels()[0]
    kernel = parse("quantized_bits(1,0,1)").trained().kernel(w)
    assert kernel.kind == "s8"
    np.testing.assert_array_equal(kernel.real(), np.asarray(layer.kernel_quantizer_internal(w)))


WIDE = [
    *(
        "quantized_bits(20,5)",
        "quantized_bits(16,0,alpha=1)",
        "quantized_bits(12,2,1,alpha=0.5)",
        "quantized_relu(10,2)",
    ),
    *("quantized_relu(16,6)", "quantized_relu(12,1,0,0.25)", "quantized_tanh(12)", "quantized_sigmoid(10)"),
    *("quantized_relu(12,0,1)", "quantized_bits(22,0)", "quantized_bits(9,0,0,False)"),
]


@pytest.mark.parametrize("text", WIDE)
def test_activations_of_more_than_8_bits(text: str) -> None:
    """Stay f32, on the very grid."""
    ours, theirs = pair(text)
    draw = np.random.default_rng(6)
    # Ties are where rounding shows. QKeras' x + (xq - x) loses bits of a large x, its hard functions of a small x.
    x = np.concatenate([draw.integers(-(2**17), 2**17, 20000) / 2.0**16, draw.integers(-64, 64, 5000) / 2.0**13])
    if "tanh" in text or ",0,1)" in text:
        x = draw.uniform(-1.5, 1.5, 20000)
    found, wanted = run(ours.activation(), x.astype(np.float32)), theirs(x.astype(np.float32))
    assert np.mean(found != wanted) < (1e-3 if "tanh" in text or ",0,1)" in text else 1e-9)


def test_hard_swish() -> None:
    import qkeras

    theirs = qkeras.quantized_hswish(8, 2, alpha=1)
    ours = parse({"class_name": "quantized_hswish", "config": {"bits": 8, "integer": 2, "alpha": 1, "relu_shift": 3}})
    x = np.random.default_rng(0).normal(0, 2, 10000).astype(np.float32)
    same(ours.values(x), np.asarray(theirs(x)))
    assert np.mean(run(ours.activation(), x) != np.asarray(theirs(x))) < 1e-3


@pytest.mark.parametrize("text", KERNELS)
def test_kernel(text: str) -> None:
    ours, theirs = pair(text)
    for w in kernels():
        kernel = ours.kernel(w)
        wanted = theirs(w)
        assert kernel.codes.shape == w.shape
        # "auto" scales are float32 means, whose last bit depends on the order of summation.
        np.testing.assert_allclose(kernel.real(), wanted, rtol=3e-7, atol=1e-12, err_msg=f"{text} {w.shape}")
        np.testing.assert_allclose(ours.values(w), wanted, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("text", [text for text in KERNELS if "'auto'" not in text])
def test_kernel_without_a_mean_is_exact(text: str) -> None:
    """`values` reproduces even the rounding of QKeras' straight-through sum; a kernel holds code * scale."""
    ours, theirs = pair(text)
    for w in kernels():
        same(ours.values(w), theirs(w))


@pytest.mark.parametrize("text", PARAMETERS)
def test_vectors(text: str) -> None:
    """Biases and batch-norm parameters: any number of bits, scales per element where QKeras has them so."""
    ours, theirs = pair(text)
    rng = np.random.default_rng(3)
    special = np.float32([0.0, -0.0, 1e-9, 1.3, -0.7, 3, 300, -20, 2.0**-9, 1e6, 0.75, 1.5, 2.0**0.5])
    for x in (special, rng.normal(0, 1, 200).astype(np.float32), rng.normal(0, 20, 200).astype(np.float32)):
        np.testing.assert_allclose(ours.values(x), theirs(x), rtol=3e-7, atol=1e-12)


def test_batch_norm_defaults() -> None:
    """Negative and zero gammas become 2^-32, a zero mean 2^-8: the values the libraries were measured to give."""
    gamma = parse("quantized_relu_po2(6, 2048)")
    same(gamma.values(np.float32([1.3, -0.7, 0, 3])), [1, 2.0**-32, 2.0**-32, 4])
    mean = parse("quantized_po2(5)")
    same(mean.values(np.float32([0, -20, 300])), [2.0**-8, -16, 128])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("binary(alpha='auto')", "s1"),
        ("quantized_bits(8,0,alpha=1)", "s8"),
        ("ternary(alpha=1)", "s8"),
        ("quantized_po2(4)", "s8"),
        ("quantized_po2(8)", "f32"),
        ("quantized_bits(8,0,0,0,1)", "f32"),
        ("quantized_bits(1,0,alpha=1)", "s1"),
        ("quantized_bits(4,0,alpha=1)", "s8"),
        ("quantized_bits(12,0,alpha=1)", "f32"),
        ("quantized_relu(16)", "f32"),
        ("quantized_tanh(9)", "f32"),
        ("quantized_sigmoid(9)", "f32"),
    ],
)
def test_kernels_are_stored_as(text: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    kernel = parse(text).kernel(rng.normal(0, 0.4, (3, 3, 4, 8)).astype(np.float32))
    assert kernel.kind == kind
    assert bool(kernel.note) == (kind == "f32")


@pytest.mark.parametrize(
    "text", ["binary", "stochastic_binary", "quantized_bits(8,0)", "ternary", "quantized_bits(8, 2, 0)"]
)
def test_a_layer_changes_its_kernel_quantizer(text: str) -> None:
    """Without alpha, QDense makes a kernel quantizer alpha='auto_po2': its configuration and ours must agree."""
    import qkeras
    import tensorflow as tf

    layer = qkeras.QDense(7, kernel_quantizer=text)
    layer.build((None, 40))
    saved = parse(tf.keras.utils.legacy.serialize_keras_object(layer.kernel_quantizer_internal))
    w = kernels()[0]
    wanted = np.asarray(layer.kernel_quantizer_internal(w))
    for ours in (parse(text).trained(), saved.trained()):
        np.testing.assert_allclose(ours.kernel(w).real(), wanted, rtol=3e-7)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("binary(use_01=True)", "use_01=True"),
        ("binary(True)", "use_01=True"),
        ("quantized_bits(8,0,qnoise_factor=0.5)", "qnoise_factor=0.5"),
        ("quantized_bits(8,0,1,alpha='auto',scale_axis=0)", "scale_axis=0"),
        ("quantized_bits(8,0,alpha='auto',elements_per_scale=4)", "elements_per_scale=4"),
        ("quantized_bits(8,0,alpha='auto',post_training_scale=0.5)", "post_training_scale"),
        ("quantized_bits(8,0,alpha=1,post_training_scale=0.5)", "post_training_scale"),
        ("quantized_linear(8,0,alpha='auto')", "run time"),
        ("quantized_linear(8,0,alpha=0.3)", "alpha=0.3"),
        ("binary(alpha='auto')", "run time"),
        ("quantized_bits(8,0,1,alpha='auto_po2')", "run time"),
        ("quantized_po2(8)", "quantizes an activation"),
        ("bernoulli", "random"),
        ("quantized_ulaw(8)", "equidistant"),
        ("quantized_relu(8, alpha=1)", "no argument alpha"),
        ("unheard_of(8)", "unknown"),
        ("quantized_relu(8,0,0,0.001953125)", "negative_slope"),
    ],
)
def test_refused_activations(text: str, found: str) -> None:
    with pytest.raises(Unsupported) as caught:
        parse(text).activation()
    assert found in caught.value.found


@pytest.mark.parametrize(
    "text",
    ["binary(use_01=1)", "quantized_bits(1,0,1,alpha='auto')", "quantized_hswish(8)"],
)
def test_refused_kernels(text: str) -> None:
    with pytest.raises(Unsupported):
        parse(text).kernel(kernels()[0])
