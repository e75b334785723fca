"""D14 and C8, the TFLite int8 rows: our fixed-point kernels give TFLite's bytes, from TFLite's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

import tensorflow as tf  # noqa: E402
from tflite_oracle import Int8Layer, convert  # noqa: E402

from dqnn import _core  # noqa: E402
from dqnn.exporter.emit import packing  # noqa: E402
from dqnn.exporter.ir import ops  # noqa: E402
from dqnn.exporter.ir.types import S8, TensorType  # noqa: E402

layers = tf.keras.layers


def _run(layer: Int8Layer, op: ops.ConvKernel) -> np.ndarray[Any, Any]:
    """Each input through the kernel that packing chooses, reference variant."""
    x_type = TensorType(layer.x.shape[1:], S8(layer.input_scale, layer.input_zero))
    y_type = TensorType(layer.y.shape[1:], S8(layer.output_scale, layer.output_zero))
    packed = packing.pack(op, (x_type,), y_type)
    kernel = next(k for k in _core.kernels() if k["name"] == packed.kernel)
    x_def = (x_type.shape, 1, layer.input_scale, layer.input_zero)
    y_def = (y_type.shape, 1, layer.output_scale, layer.output_zero)
    outputs = [
        _core.run_kernel(
            kernel["id"], "ref", [sample.tobytes()], [x_def], y_def, list(packed.constants), packed.params_bytes
        )
        for sample in layer.x
    ]
    return np.stack([np.frombuffer(y, np.int8).reshape(layer.y.shape[1:]) for y in outputs])


def _fixed_point(layer: Int8Layer) -> ops.FixedPoint:
    return ops.FixedPoint(layer.bias, layer.multiplier, layer.shift, -128, 127)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("seed", range(4))
def test_d14_dense_is_bit_exact_with_tflite(seed: int) -> None:
    layer = convert(layers.Dense(13), (45,), seed)
    weights = ops.Weights("s8", layer.weights[:, None, None, :])
    np.testing.assert_array_equal(
        _run(layer, ops.ConvKernel(weights, _fixed_point(layer), S8(layer.output_scale, layer.output_zero))), layer.y
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_c8_convolution_is_bit_exact_with_tflite(padding: str, stride: int) -> None:
    layer = convert(layers.Conv2D(7, 3, strides=stride, padding=padding), (9, 8, 5), stride)
    pads = (_same_padding(9, 3, stride), _same_padding(8, 3, stride)) if padding == "same" else ((0, 0), (0, 0))
    op = ops.ConvKernel(
        ops.Weights("s8", layer.weights), _fixed_point(layer), S8(layer.output_scale, layer.output_zero),
        stride=(stride, stride), padding=pads, pad_value=float(layer.input_zero),
    )  # fmt: skip
    np.testing.assert_array_equal(_run(layer, op), layer.y)


def test_c8_depthwise_is_bit_exact_with_tflite() -> None:
    layer = convert(layers.DepthwiseConv2D(3, padding="same"), (6, 7, 10), 3)
    weights = ops.Weights("s8", layer.weights[0][..., None])
    op = ops.ConvKernel(
        weights, _fixed_point(layer), S8(layer.output_scale, layer.output_zero), depthwise=True,
        padding=((1, 1), (1, 1)), pad_value=float(layer.input_zero),
    )  # fmt: skip
    np.testing.assert_array_equal(_run(layer, op), layer.y)
