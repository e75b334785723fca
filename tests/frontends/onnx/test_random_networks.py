"""Random networks of quantized operators, as no quantizer would write them: any scales and zero points, uint8 and int8,
weights of 8 and 4 bits per channel and asymmetric. Each kernel computes from onnxruntime's codes and gives
onnxruntime's; with packed weights the whole network does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frontends.onnx.compare import check_layers, check_outputs
from frontends.onnx.onnx_models import MICROSOFT, Model, saved

from dqnn import Interpreter
from dqnn.exporter.api import export

ROUNDS, EACH = 10, 30
SEED = int(os.environ.get("DQNN_RANDOM_NETWORKS", "0"))  # another number draws others


class Drawn:
    """A network as it is drawn: maps of codes with their shape, scale and zero point."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.unsigned = bool(self.rng.integers(2))
        self.shape: tuple[int, ...] = (
            int(self.rng.choice([1, 3, 4, 4, 5, 8])),
            *(int(n) for n in self.rng.integers(5, 12, 2)),
        )
        self.m = Model(self.shape, int(self.rng.choice([11, 13, 17, 21, 21, 21])))
        self.input_shape = self.shape
        self.scale = float(self.rng.uniform(0.01, 0.05))
        self.code = self.quantize(self.m.x, self.scale)

    def zero(self) -> Any:
        """A zero point: often at the end of the range, as behind a ReLU."""
        kind = np.uint8 if self.unsigned else np.int8
        limits = np.iinfo(kind)
        return kind(limits.min if self.rng.random() < 0.4 else self.rng.integers(limits.min, limits.max + 1))

    def quantize(self, x: str, scale: float) -> str:
        self.scale, self.zero_point = scale, self.zero()
        parts = [self.m.constant(np.float32(scale)), self.m.constant(self.zero_point)]
        self.parts = parts
        return self.m.node("QuantizeLinear", [x, *parts])

    def real(self) -> str:
        return self.m.node("DequantizeLinear", [self.code, *self.parts])

    def weights(self, shape: tuple[int, ...], axis: int = 0) -> tuple[str, Any]:
        """Codes behind a DequantizeLinear, and their scales."""
        unsigned, few = bool(self.rng.integers(2)), self.m.opset >= 21 and self.rng.random() < 0.8
        levels, spread = (16, 2) if few else (256, 20)
        middle = levels // 2 if unsigned else 0
        low = middle - levels // 2
        codes = self.rng.integers(low, low + levels, shape)
        many = self.m.opset >= 13 and bool(self.rng.integers(2))
        scale = self.rng.uniform(0.002, 0.02, shape[axis] if many else None) * 256 / levels
        zero = middle + self.rng.integers(-spread, spread + 1, np.shape(scale)) * (self.rng.random() < 0.4)
        if not few:
            kind = np.uint8 if unsigned else np.int8
            return self.m.weights(codes.astype(kind), scale, np.asarray(zero).astype(kind), axis), scale
        step = self.m.constant(np.asarray(scale, np.float32))
        inputs = [self.m.nibbles(codes, not unsigned), step, self.m.nibbles(zero, not unsigned)]
        return self.m.node("DequantizeLinear", inputs, **({"axis": axis} if many else {})), scale

    def bias(self, scale: Any, count: int) -> str:
        codes = self.rng.integers(-3000, 3000, count).astype(np.int32)
        step = np.asarray(scale * self.scale, np.float32)
        return self.m.weights(codes, step, np.zeros(np.shape(step), np.int32))

    def requantize(self, x: str, gain: float = 1.0) -> None:
        if self.rng.random() < 0.3:
            x = self.m.node("Relu", [x])
        self.code = self.quantize(x, float(self.scale * gain * self.rng.uniform(0.3, 2.0)))

    # --- operators ----------------------------------------------------------------------------------------------------

    def conv(self) -> None:
        c, h, w = self.shape
        depthwise = c > 1 and self.rng.random() < 0.4
        out = c * int(self.rng.integers(1, 3)) if depthwise else int(self.rng.choice([1, 3, 4, 4, 6, 8, 8, 8]))
        kernel = [min(int(k), n) for k, n in zip(self.rng.integers(1, 4, 2), (h, w), strict=True)]
        pads = [int(n) for n in self.rng.integers(0, 2, 4)]
        stride = [int(n) for n in self.rng.integers(1, 3, 2)]
        x = self.real()
        weights, scale = self.weights((out, 1 if depthwise else c, *kernel))
        bias = [self.bias(scale, out)] if self.rng.integers(2) else []
        group = c if depthwise else 1
        y = self.m.node("Conv", [x, weights, *bias], pads=pads, strides=stride, group=group, kernel_shape=kernel)
        sizes = [
            (n + a + b - k) // s + 1 for n, a, b, k, s in zip((h, w), pads[:2], pads[2:], kernel, stride, strict=True)
        ]
        self.shape = (out, *sizes)
        self.requantize(y, float(np.mean(scale)) * np.sqrt(kernel[0] * kernel[1]) * 60)

    def add(self) -> None:
        op = str(self.rng.choice(["Add", "Sub", "Max", "Min"] if self.m.opset >= 13 else ["Add", "Sub"]))
        other = self.quantize(self.m.x if self.shape == self.input_shape else self.real(), self.scale * 1.3)
        b = self.m.node("DequantizeLinear", [other, *self.parts])
        self.requantize(self.m.node(op, [self.real_of(self.code), b]))

    def real_of(self, code: str) -> str:
        scale = self.m.constant(np.float32(self.scale * self.rng.uniform(0.5, 2)))
        return self.m.node("DequantizeLinear", [code, scale, self.m.constant(self.zero())])

    def mul(self) -> None:
        x = self.real()
        gate = self.m.node("Sigmoid", [x])
        code = self.quantize(gate, 1 / 256)
        b = self.m.node("DequantizeLinear", [code, *self.parts])
        self.requantize(self.m.node("Mul", [x, b]), 100)

    def pool(self) -> None:
        c, h, w = self.shape
        if min(h, w) < 2:
            return
        k = [int(n) for n in self.rng.integers(1, 3, 2)]
        y = self.m.node("MaxPool", [self.real()], kernel_shape=k, strides=k)
        self.shape = (c, h // k[0], w // k[1])
        self.requantize(y)

    def lut(self) -> None:
        op = str(self.rng.choice(["Tanh", "Sigmoid", "LeakyRelu", "Elu", "Abs", "Neg"]))
        self.requantize(self.m.node(op, [self.real()]))

    def norm(self) -> None:
        c = self.shape[0]
        spread = np.abs(self.rng.standard_normal(c)).astype(np.float32) + np.float32(0.3)
        parts = [self.m.floats(c), self.m.floats(c), self.m.floats(c), self.m.constant(spread)]
        self.requantize(self.m.node("BatchNormalization", [self.real(), *parts]))

    def join(self) -> None:
        x = self.real()
        other = self.m.node("DequantizeLinear", [self.quantize(x, self.scale * 0.7), *self.parts])
        y = self.m.node("Concat", [x, other, x], axis=1)
        self.shape = (3 * self.shape[0], *self.shape[1:])
        self.requantize(y)

    def qlinear(self) -> None:
        """onnxruntime's own addition."""
        s, z = self.parts
        out = [self.m.constant(np.float32(self.scale * 1.7)), self.m.constant(self.zero())]
        self.code = self.m.node("QLinearAdd", [self.code, s, z, self.code, s, z, *out], MICROSOFT)
        self.scale, self.parts = self.scale * 1.7, out

    def tail(self) -> str:
        """A mean and a dense layer, or floats of the map as it is."""
        if self.rng.random() < 0.4:
            return self.real()
        self.requantize(self.m.node("GlobalAveragePool", [self.real()]))
        flat = self.m.node("Flatten", [self.real()])
        weights, scale = self.weights((4, self.shape[0]))
        y = self.m.node("Gemm", [flat, weights, self.bias(scale, 4)], transB=1)
        self.requantize(y, float(np.mean(scale)) * 100)
        return self.real()


STEPS = ("conv", "conv", "conv", "add", "mul", "pool", "lut", "norm", "join", "qlinear")


def draw(seed: int) -> tuple[Drawn, str]:
    net = Drawn(seed)
    for _ in range(int(net.rng.integers(1, 6))):
        getattr(net, str(net.rng.choice(STEPS)))()
    return net, net.tail()


@pytest.mark.parametrize("part", range(ROUNDS))
def test_random_networks(part: int, tmp_path: Path) -> None:
    compared = few = 0
    for number in range(EACH):
        seed = SEED * ROUNDS * EACH + part * EACH + number
        net, out = draw(seed)
        proto = net.m.proto(out)
        path = saved(proto, tmp_path / "model.onnx")
        x = (np.random.default_rng(seed).standard_normal((4, *net.input_shape)) * 3).astype(np.float32)
        try:
            compared += check_layers(path, proto, x, most=0.005).codes
            plain, packed = check_outputs(path, x, slack=0.05), export(path, pack_weights=True)
            np.testing.assert_array_equal(*(Interpreter(result.blob).predict(x) for result in (plain, packed)))
            few += sum(getattr(node.params, "weight_bits", 0) == 4 for node in packed.report.model.nodes)
        except Exception as error:
            raise AssertionError(f"network {seed}: {type(error).__name__}: {error}") from error
    assert compared > EACH * 500
    assert few or SEED, "no layer was packed"
