"""TensorFlow's FakeQuant: 8 bits over a range [min, max], moved so that 0 has a code (`nudged`). In float32 it is

    floor((clip(x, low, high) - low) * f32(1 / scale) + 0.5) * scale + low

which differs from our quantizer, half to even of x / scale, in ties and the last bit of float32 alone. Kernels are
computed by that very expression; their ranges are symmetric, so their codes are signed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ir import ops
from ...ir.types import S8
from ..graph import Unsupported
from .quantizers import F32Array, Kernel, float_kernel

BITS = 8
LEVELS = 2**BITS - 1


@dataclass(frozen=True)
class Range:
    """A nudged range: codes lowest .. 255 stand for (code - zero) * scale; arrays have one value per channel."""

    scale: F32Array
    zero: F32Array
    lowest: int

    @property
    def low(self) -> F32Array:
        return np.asarray((np.float32(self.lowest) - self.zero) * self.scale, dtype=np.float32)

    @property
    def high(self) -> F32Array:
        return np.asarray((np.float32(LEVELS) - self.zero) * self.scale, dtype=np.float32)

    def codes(self, x: F32Array) -> F32Array:
        """Codes less the zero point, every step in float32."""
        steps = (np.clip(x, self.low, self.high) - self.low) * (np.float32(1) / self.scale)
        return np.asarray(np.floor(steps + np.float32(0.5)) + np.float32(self.lowest) - self.zero, dtype=np.float32)


def nudged(low: F32Array, high: F32Array, narrow: bool) -> Range:
    """[low, high] moved so that 0 has a code, as FakeQuant does; `narrow` leaves out code 0."""
    lowest = int(narrow)
    scale = ((high - low) / np.float32(LEVELS - lowest)).astype(np.float32)
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        found = f"its quantization range is {np.min(low):g} to {np.max(high):g}"
        raise Unsupported(found, "a range with a width", "Train or calibrate the model before it is saved")
    zero = np.clip(np.float32(lowest) - low / scale, lowest, LEVELS)
    return Range(scale, np.floor(zero + np.float32(0.5)).astype(np.float32), lowest)


def quantize_op(low: F32Array, high: F32Array, source: str) -> ops.Quantize:
    """FakeQuant of an activation: unsigned codes, stored less 128."""
    first, last = (np.asarray(end, dtype=np.float32).reshape(()) for end in (low, high))
    found = nudged(first, last, narrow=False)
    return ops.Quantize(S8(float(found.scale), int(found.zero) - 128), source=source)


def quantized_kernel(w: F32Array, low: F32Array, high: F32Array, axis: int) -> Kernel:
    """FakeQuant of a kernel, per tensor or per channel of `axis`."""
    shape = [1] * w.ndim
    if low.size > 1:
        shape[axis] = low.size
    found = nudged(low.reshape(shape), high.reshape(shape), narrow=True)
    codes = found.codes(w)
    if np.max(np.abs(codes), initial=0) > 127:
        return float_kernel((codes * found.scale).astype(np.float32), "FakeQuant", "its range is not symmetric")
    return Kernel("s8", codes.astype(np.int8), found.scale.astype(np.float64), source="FakeQuant")
