"""Every published row, D1-D19 and C1-C8, and all 27 combinations: native (strict export), equal to Keras.

D14 and C8, the TFLite int8 rows, run here with QKeras formats and in test_tflite_rows.py against TFLite itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from compare import Comparison, assert_close, compare, randomize  # noqa: E402
from published import ALL_27, CONV, DENSE, Row  # noqa: E402
from rows import build  # noqa: E402

FLAT = (67,)
MAP = (7, 6, 35)


def _check(
    row: Row, kind: str, shape: tuple[int, ...], *, bias: bool, batch_norm: bool, pool: bool = False, **options: Any
) -> Comparison:
    rng = np.random.default_rng(11)
    model = build(row, kind, bias=bias, batch_norm=batch_norm, pool=pool, shape=shape, **options)
    randomize(model, seed=2)
    low = 0.0 if row.dorefa else -1.0
    x = rng.uniform(low, 1.0, (6, *shape)).astype(np.float32)
    comparison = compare(model, x, strict=True)
    _assert_agrees(row, comparison)
    names = {node.kernel for node in comparison.result.report.model.nodes}
    formats = f"_{row.input}_{row.weights}_{row.output}"
    assert any(name.endswith(formats) for name in names), (
        f"{row.name} asked for {formats}, the export chose {sorted(names)}"
    )
    return comparison


def _assert_agrees(row: Row, comparison: Comparison) -> None:
    if row.output == "f32":
        assert_close(comparison)
        return
    float_sum = "f32" in (row.input, row.weights)
    step = 1.0 if row.output == "s1" else 2.0**-5
    difference = np.abs(comparison.keras[0] - comparison.ours[0])
    flips = int(np.count_nonzero(difference))
    if row.output == "s8":
        assert difference.max(initial=0.0) <= step, "an s8 output differs by more than one step"
    # Keras sums floats in another order: an accumulator on a rounding boundary may fall to the other side (counted,
    # at most 1 in 1,000).
    # Integer sums through a float32 batch norm to s8 can meet such a boundary too; s1 outputs of integer sums must
    # all agree.
    allowed = difference.size // 1000 if float_sum or row.output == "s8" else 0
    assert flips <= allowed, f"{flips} of {difference.size} elements differ from Keras"


@pytest.mark.parametrize("bias", [False, True], ids=["nobias", "bias"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "bn"])
@pytest.mark.parametrize("row", DENSE, ids=lambda row: row.name)
def test_dense_row(row: Row, batch_norm: bool, bias: bool) -> None:
    _check(row, "dense", FLAT, bias=bias, batch_norm=batch_norm)


@pytest.mark.parametrize("bias", [False, True], ids=["nobias", "bias"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "bn"])
@pytest.mark.parametrize("row", CONV, ids=lambda row: row.name)
def test_conv_row(row: Row, batch_norm: bool, bias: bool) -> None:
    if row.dorefa and bias:
        pytest.skip("C6 has no bias")
    _check(row, "conv", MAP, bias=bias, batch_norm=batch_norm)


@pytest.mark.parametrize("kind", ["pointwise", "depthwise"])
@pytest.mark.parametrize("row", [row for row in CONV if not row.dorefa], ids=lambda row: row.name)
def test_conv_row_pointwise_and_depthwise(row: Row, kind: str) -> None:
    _check(row, kind, MAP, bias=True, batch_norm=True)


@pytest.mark.parametrize("row", CONV, ids=lambda row: row.name)
def test_conv_row_with_pool_between_convolution_and_batch_norm(row: Row) -> None:
    _check(row, "conv", MAP, bias=not row.dorefa, batch_norm=True, pool=True)


@pytest.mark.parametrize("kind", ["dense", "conv", "pointwise", "depthwise"])
@pytest.mark.parametrize("row", ALL_27, ids=lambda row: row.name)
def test_all_27_combinations(row: Row, kind: str) -> None:
    _check(row, kind, FLAT if kind == "dense" else MAP, bias=True, batch_norm=True)


@pytest.mark.parametrize("row", ALL_27, ids=lambda row: row.name)
def test_all_27_transposed(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stride 2, same padding. QKeras' layer needs an attribute that TF 2.15 no longer has."""
    import tensorflow as tf
    from tensorflow.python.ops import array_ops

    monkeypatch.setattr(array_ops, "stack", tf.stack, raising=False)
    _check(row, "transposed", (4, 5, 9), bias=True, batch_norm=True, units=11, strides=2, padding="same")


@pytest.mark.parametrize(
    "options", [{"strides": 2, "padding": "same"}, {"dilation_rate": 2}, {"padding": "same"}], ids=str
)
@pytest.mark.parametrize("row", ALL_27, ids=lambda row: row.name)
def test_all_27_padding_stride_dilation(row: Row, options: dict[str, Any]) -> None:
    _check(row, "conv", MAP, bias=False, batch_norm=True, **options)
