"""Larq 0.13's quantizers at inference. Arguments that only shape gradients are ignored."""

from __future__ import annotations

import numpy as np

from ...ir import ops
from ..graph import Unsupported
from .quantizers import (
    TINY,
    F32Array,
    Grid,
    Kernel,
    Quantizer,
    float_kernel,
    quantizer,
    rhe,
    sgn,
    sign_kernel,
    sign_ops,
    tanh,
    ternary_kernel,
)

# What every Keras layer has in its configuration: Larq's quantizers are layers.
_LAYER = ("name", "trainable", "dtype", "metrics", "batch_input_shape", "clip_value", "beta")
_DOREFA_BITS = 8  # at most: a level is stored in 8 bits


@quantizer("SteSign", "ste_sign", parameters=("clip_value",), ignored=_LAYER)
@quantizer("ApproxSign", "approx_sign", parameters=(), ignored=_LAYER)
@quantizer("SwishSign", "swish_sign", parameters=("beta",), ignored=_LAYER)
class Sign(Quantizer):
    """sgn(x), 0 gives +1."""

    def values(self, x: F32Array) -> F32Array:
        return sgn(x)

    def activation(self) -> tuple[ops.Op, ...]:
        return sign_ops(self.text)

    def kernel(self, w: F32Array) -> Kernel:
        return sign_kernel(w, 1.0, self.text)


@quantizer("MagnitudeAwareSign", "magnitude_aware_sign", parameters=("clip_value",), ignored=_LAYER)
class MagnitudeAwareSign(Quantizer):
    """mean(|x|) * sgn(x), the mean over all axes but the last."""

    def _scale(self, x: F32Array) -> F32Array:
        axes = tuple(range(x.ndim - 1))
        return np.asarray(np.mean(np.abs(x), axis=axes, keepdims=True, dtype=np.float64), dtype=np.float32)

    def values(self, x: F32Array) -> F32Array:
        return (self._scale(x) * sgn(x)).astype(np.float32)

    def activation(self) -> tuple[ops.Op, ...]:
        raise Unsupported(
            "MagnitudeAwareSign quantizes an activation: its scale is the mean over the batch, known only at run time",
            "MagnitudeAwareSign on kernels",
            "Use ste_sign for the input",
        )

    def kernel(self, w: F32Array) -> Kernel:
        return sign_kernel(w, self._scale(w), self.text)


@quantizer("SteHeaviside", "ste_heaviside", parameters=("clip_value",), ignored=_LAYER)
class Heaviside(Quantizer):
    """1 if x > 0 else 0; denormals count as 0."""

    def values(self, x: F32Array) -> F32Array:
        return (x >= np.float32(TINY)).astype(np.float32)

    def activation(self) -> tuple[ops.Op, ...]:
        return (ops.Clip(0.0, float("inf")), ops.Ternary(TINY, self.text))

    def kernel(self, w: F32Array) -> Kernel:
        return ternary_kernel(self.values(w), 1.0, self.text)


@quantizer(
    "SteTern", "ste_tern", parameters=("threshold_value", "ternary_weight_networks", "clip_value"), ignored=_LAYER
)
class Tern(Quantizer):
    """sign(sign(x + t) + sign(x - t)): -1 and +1 from |x| >= t on, in float32."""

    def __init__(self, threshold_value: float = 0.05, ternary_weight_networks: bool = False) -> None:
        self.threshold = float(threshold_value)
        self.adaptive = bool(ternary_weight_networks)

    def values(self, x: F32Array) -> F32Array:
        t = np.float32(self.threshold)
        if self.adaptive:
            t = np.float32(np.float32(0.7) * np.float32(np.sum(np.abs(x), dtype=np.float64)) / np.float32(x.size))
        return np.asarray(np.sign(np.sign(x + t) + np.sign(x - t)), dtype=np.float32)

    def activation(self) -> tuple[ops.Op, ...]:
        if self.adaptive:
            raise Unsupported(
                "SteTern(ternary_weight_networks=True) quantizes an activation: its threshold is a mean, "
                "known only at run time",
                "SteTern with threshold_value",
            )
        if self.threshold <= 0:
            raise Unsupported(f"SteTern has threshold_value {self.threshold}", "a positive threshold")
        return (ops.Ternary(float(np.float32(self.threshold)), self.text),)

    def kernel(self, w: F32Array) -> Kernel:
        return ternary_kernel(self.values(w), 1.0, self.text)


@quantizer("DoReFa", "dorefa_quantizer", "DoReFaQuantizer", parameters=("k_bit", "mode"), ignored=_LAYER)
class DoReFa(Quantizer):
    """n = 2^k_bit - 1 steps: k / n of clip(x, 0, 1) for activations, (2k - n) / n of the normed tanh for weights."""

    def __init__(self, k_bit: int = 2, mode: str = "activations") -> None:
        if not 1 <= k_bit <= _DOREFA_BITS:
            raise Unsupported(
                f"DoReFa has k_bit={k_bit}", "k_bit=1 to 8", "Train with DoReFa(k_bit=8, ...) or a binary quantizer"
            )
        if mode not in ("activations", "weights"):
            raise Unsupported(f"DoReFa has mode={mode!r}", "activations, weights")
        self.mode = mode
        self.steps = 2**k_bit - 1
        self.grid = Grid(1 / self.steps, 0, self.steps)

    def _weight_codes(self, w: F32Array) -> F32Array:
        limited = tanh(w)
        largest = np.float32(np.max(np.abs(limited))) if w.size else np.float32(0)
        normed = limited / (np.float32(2) * largest) if largest else np.zeros_like(limited)
        return rhe((normed + np.float32(0.5)).astype(np.float32) * np.float32(self.steps))

    def values(self, x: F32Array) -> F32Array:
        if self.mode == "weights":
            levels = (self._weight_codes(x) / np.float32(self.steps)).astype(np.float32)
            return (np.float32(2) * levels - np.float32(1)).astype(np.float32)
        return (rhe(np.clip(x, 0, 1).astype(np.float32) * np.float32(self.steps)) / np.float32(self.steps)).astype(
            np.float32
        )

    def activation(self) -> tuple[ops.Op, ...]:
        if self.mode == "weights":
            raise Unsupported(
                "DoReFa(mode='weights') quantizes an activation: its scale is a maximum known only at run time",
                "mode='activations'",
            )
        return (self.grid.quantize(self.text),)

    def kernel(self, w: F32Array) -> Kernel:
        if self.mode == "weights":
            codes = (self._weight_codes(w) - (self.steps + 1) // 2).astype(np.int8)
            return Kernel("s8", codes, np.asarray(1 / self.steps), half=True, source=self.text)
        return self.grid.kernel(np.clip(w, 0, 1).astype(np.float32), 1.0, self.text)


@quantizer("NoOp", "NoOpQuantizer", parameters=("precision",), ignored=(*_LAYER, "precision"))
class NoOp(Quantizer):
    """Marks a precision for optimizers and changes nothing."""

    def values(self, x: F32Array) -> F32Array:
        return x

    def activation(self) -> tuple[ops.Op, ...]:
        return ()

    def kernel(self, w: F32Array) -> Kernel:
        return float_kernel(w, self.text)
