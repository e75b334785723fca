"""Each piece of advice, from a model that deserves it; and none where the passes do the work."""

from __future__ import annotations

import re
from typing import Any

import pytest

import dqnn
from dqnn.exporter.analyze.analysis import analyze_view
from dqnn.exporter.analyze.model import Advice, Bench
from dqnn.exporter.blob import parse

pytestmark = pytest.mark.tf
BINARY = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "use_bias": False}


def advice(*layers: Any) -> dict[str, list[Advice]]:
    """By layer, for a Sequential on 16x16x3 images."""
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.layers.InputLayer((16, 16, 3)), *layers])
    for weights in model.weights:  # batch norms that fall in some channels
        if "gamma" in weights.name:
            weights.assign(tf.random.normal(weights.shape, seed=1))
    found: dict[str, list[Advice]] = {}
    for item in dqnn.analyze(model).advice:
        found.setdefault(item.layer, []).append(item)
    return found


def conv(filters: int, name: str, *, first: bool = False, **options: Any) -> Any:
    import larq

    quantizer = {} if first else {"input_quantizer": "ste_sign"}
    return larq.layers.QuantConv2D(filters, 3, name=name, **BINARY, **quantizer, **options)


def keras() -> Any:
    import tensorflow as tf

    return tf.keras.layers


def rest() -> tuple[Any, ...]:
    import larq

    layers = keras()
    dense = larq.layers.QuantDense(10, input_quantizer="ste_sign", name="dense", **BINARY)
    return (conv(64, "second"), layers.BatchNormalization(), layers.Flatten(), dense, layers.BatchNormalization())


def test_channels_that_leave_a_word_almost_empty() -> None:
    found = advice(conv(33, "first", first=True), keras().BatchNormalization(), *rest())
    wasted = found["first"][0]
    assert wasted.finding == "33 channels waste 31 bits of the last word"
    assert "use 32 or 64 channels" in wasted.remedy and "48 %" in wasted.gain
    assert "second" not in found


def test_a_first_layer_on_floats() -> None:
    found = advice(conv(32, "first", first=True), keras().BatchNormalization(), *rest())["first"]
    assert len(found) == 1
    assert re.fullmatch(r"first layer is float: \d\d % of the estimated cycles", found[0].finding)
    assert "--input-u8" in found[0].remedy and "2,304 B of its input" in found[0].gain


def test_measured_cycles_replace_the_estimate(digits: Any) -> None:
    view = parse(dqnn.export(digits / "digits_larq.h5").blob)
    finding = analyze_view(view, bench=Bench("cortex-m7", "instructions", (62, 30, 2, 2, 2, 2), 100)).advice[0].finding
    assert finding == "first layer is float: 62 % of the instructions (cortex-m7)"
    assert not analyze_view(view, bench=Bench("cortex-m7", "instructions", (10, 82, 2, 2, 2, 2), 100)).advice


def test_float_weights_are_named() -> None:
    layers = keras()
    found = advice(layers.Conv2D(32, 3, name="first"), layers.BatchNormalization(), *rest())["first"]
    assert found[0].remedy.startswith("give it 8-bit or binary weights, and 8-bit inputs: export with --input-u8")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"pool_size": 3, "strides": 2}, "windows of 3x3 with stride 2x2 overlap or leave gaps"),
        ({"pool_size": 4, "padding": "same"}, "its border is padded"),
    ],
)
def test_a_max_pool_that_keeps_the_full_map(options: dict[str, Any], reason: str) -> None:
    layers = keras()
    pool = layers.MaxPooling2D(name="pool", **options)
    found = advice(conv(32, "first", first=True), layers.BatchNormalization(), pool, *rest())["pool"]
    assert found[0].finding == f"this MaxPool keeps the full map: {reason}"
    assert found[0].gain == "784 B, s1[14x14x32]"


def test_a_max_pool_behind_batch_normalization_is_fused_all_the_same() -> None:
    """Where other tools keep the full map, the pass turns signs; there is nothing to advise."""
    layers = keras()
    pool = layers.MaxPooling2D(2, name="pool")
    found = advice(conv(32, "first", first=True), layers.BatchNormalization(), pool, *rest())
    assert set(found) == {"first"}


def test_a_kernel_quantizer_that_qkeras_rewrote() -> None:
    import qkeras

    layers = keras()
    dense = qkeras.QDense(10, kernel_quantizer=qkeras.binary(), use_bias=False, name="mine")
    meant = qkeras.QDense(10, kernel_quantizer=qkeras.binary(alpha=1), use_bias=False, name="meant")
    found = advice(layers.Flatten(), dense, meant)
    assert "kernel_quantizer=binary() silently became binary(alpha='auto_po2')" in found["mine"][-1].finding
    assert "write binary(alpha=1)" in found["mine"][-1].remedy
    assert not any("auto_po2" in item.finding for item in found.get("meant", []))
