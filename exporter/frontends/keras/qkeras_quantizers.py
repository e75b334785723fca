"""The quantizers of QKeras (0.9, its GitHub repository of 2025 and qkeras-v3) at inference.

Stochastic rounding is for training: at inference the library rounds as without it. All of them return `x +
stop_gradient(xq - x)`, which is xq for every |x| of sane size. `values`, which serves biases and batch-norm parameters,
reproduces the rounding of that sum; activations and kernels are xq itself and saturate for huge x.
`alpha="auto"` scales are means over a kernel: TensorFlow's float32 mean and ours may differ in the last bit, `auto_po2`
rounds the difference away."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ...ir.types import S8
from ..graph import Unsupported
from .quantizers import (
    ACCEPTED,
    F32Array,
    Grid,
    Kernel,
    Quantizer,
    float_kernel,
    integer_kernel,
    quantizer,
    refuse_quantizer,
    rhe,
    sgn,
    sign_kernel,
    sign_ops,
    tanh,
    ternary_kernel,
)

EPSILON = np.float32(1e-7)
_LN2 = np.float32(np.log(2.0))
# Arguments that matter only in training, or that select how variables are held.
_TRAINING = ("var_name", "use_ste", "use_variables", "use_stochastic_rounding", "enable_fast_inference")
# Values that the library's defaults have; others would change the numbers.
_ONLY: dict[str, tuple[Any, ...]] = {"qnoise_factor": (1,), "scale_axis": ()}
_BITS = 8  # stored in 8 bits: so many at most


def _wide_kernel(values: F32Array, bits: int, source: str) -> Kernel:
    return float_kernel(values, source, f"its {bits} bits do not fit 8-bit weights")


def _no_auto(name: str, alpha: Any) -> float:
    """The factor of an activation quantizer."""
    if isinstance(alpha, str):
        raise Unsupported(
            f"{name} quantizes an activation with alpha={alpha!r}: its scale is a mean over the batch, "
            "known only at run time",
            "alpha=1 or a number",
            f"Write {name}(..., alpha=1) for activations; QKeras changes a quantizer object that a kernel shares to "
            "auto_po2",
        )
    if isinstance(alpha, list):
        raise Unsupported(f"{name} quantizes an activation with an array as alpha", "alpha=1 or a number")
    return 1.0 if alpha is None else float(alpha)


def _through(x: F32Array, xq: Any) -> F32Array:
    """QKeras' straight-through sum in float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(x + (xq.astype(np.float32) - x).astype(np.float32), dtype=np.float32)


def _po2(x: F32Array) -> F32Array:
    """The nearest power of two in the logarithm."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp2(rhe((np.log(x + EPSILON).astype(np.float32) / _LN2).astype(np.float32))).astype(np.float32)


def _mean(x: F32Array) -> F32Array:
    """Per output channel (last axis); element by element for vectors, as QKeras does."""
    if x.ndim <= 1:
        return x
    return np.asarray(np.mean(x, axis=tuple(range(x.ndim - 1)), keepdims=True, dtype=np.float64), dtype=np.float32)


def _auto_scale(alpha: str, x: F32Array, q: F32Array) -> F32Array:
    """The least-squares scale of codes q."""
    scale = (_mean((x * q).astype(np.float32)) / (_mean((q * q).astype(np.float32)) + EPSILON)).astype(np.float32)
    return _po2(scale) if alpha == "auto_po2" else scale


def _check_alpha(name: str, alpha: Any) -> Any:
    if isinstance(alpha, str) and alpha not in ("auto", "auto_po2"):
        raise Unsupported(f"{name} has alpha={alpha!r}", "a number, 'auto' or 'auto_po2'")
    return alpha


def _scaled(operators: tuple[ops.Op, ...], factor: float) -> tuple[ops.Op, ...]:
    return operators if factor == 1.0 else (*operators, ops.Scale(factor))


@quantizer("binary", parameters=("use_01", "alpha", "use_stochastic_rounding"), ignored=_TRAINING, only=_ONLY)
class Binary(Quantizer):
    """scale * sgn(x), 0 gives +1."""

    def __init__(self, use_01: Any = False, alpha: Any = None) -> None:
        if use_01:
            raise Unsupported(
                "binary has use_01=True", "use_01=False (values -1 and +1)", "Train with binary(use_01=False, alpha=1)"
            )
        self.alpha = _check_alpha("binary", alpha)

    def _scale(self, x: F32Array) -> F32Array:
        if isinstance(self.alpha, str):
            return _auto_scale(self.alpha, x, sgn(x))
        return np.asarray(1.0 if self.alpha is None else self.alpha, dtype=np.float32)

    def values(self, x: F32Array) -> F32Array:
        latent = tanh(x) if self.alpha is None else x
        return _through(latent, self._scale(x) * sgn(x))

    def activation(self) -> tuple[ops.Op, ...]:
        return _scaled(sign_ops(self.text), _no_auto("binary", self.alpha))

    def kernel(self, w: F32Array) -> Kernel:
        return sign_kernel(w, self._scale(w), self.text)

    def trained(self) -> Quantizer:
        if self.alpha is None:
            self.alpha = "auto_po2"
        return self


@quantizer("stochastic_binary", parameters=("alpha", "temperature", "use_real_sigmoid"), ignored=_TRAINING, only=_ONLY)
def stochastic_binary(alpha: Any = None, temperature: Any = 6.0, use_real_sigmoid: Any = True) -> Quantizer:
    """Deterministic at inference: the same as `binary`."""
    return Binary(alpha=alpha)


@quantizer(
    "ternary",
    parameters=("alpha", "threshold", "use_stochastic_rounding", "number_of_unrolls"),
    ignored=_TRAINING,
    only=_ONLY,
)
class Ternary(Quantizer):
    """scale * sign(x) where |x| >= threshold, else 0; with an automatic alpha threshold and scale come from the
    kernel."""

    def __init__(self, alpha: Any = None, threshold: Any = None, number_of_unrolls: Any = 5) -> None:
        self.alpha = _check_alpha("ternary", alpha)
        if isinstance(threshold, str):
            raise Unsupported(f"ternary has threshold={threshold!r}", "a number")
        self.threshold = np.float32(0.33 if threshold is None else threshold)
        self.unrolls = int(number_of_unrolls)

    def _codes(self, x: F32Array) -> tuple[F32Array, F32Array]:
        """(codes, scale)."""
        if not isinstance(self.alpha, str):
            q = (np.abs(x) >= self.threshold).astype(np.float32) * np.sign(x)
            return q.astype(np.float32), np.asarray(1.0 if self.alpha is None else self.alpha, dtype=np.float32)
        axes = None if x.ndim <= 1 else tuple(range(x.ndim - 1))
        largest = np.max(np.abs(x), axis=axes, keepdims=True)
        scale = (np.float32(2) * largest / np.float32(3)).astype(np.float32)
        if self.alpha == "auto_po2":
            scale = _po2(scale)
        q = np.zeros_like(x)
        for _ in range(self.unrolls):
            with np.errstate(divide="ignore", invalid="ignore"):
                v = (scale * rhe((x / scale).astype(np.float32))).astype(np.float32)
            q = ((np.abs(v) >= scale / np.float32(2)).astype(np.float32) * np.sign(x)).astype(np.float32)
            scale = _auto_scale(self.alpha, x, q)
        return q, scale

    def values(self, x: F32Array) -> F32Array:
        q, scale = self._codes(x)
        return _through(tanh(x) if self.alpha is None else x, scale * q)

    def activation(self) -> tuple[ops.Op, ...]:
        factor = _no_auto("ternary", self.alpha)
        if self.threshold <= 0:
            raise Unsupported(f"ternary has threshold={float(self.threshold)}", "a positive threshold")
        return _scaled((ops.Ternary(float(self.threshold), self.text),), factor)

    def kernel(self, w: F32Array) -> Kernel:
        q, scale = self._codes(w)
        if np.any(scale < 0):
            q, scale = q * np.sign(scale), np.abs(scale)
        return ternary_kernel(q, scale, self.text)

    def trained(self) -> Quantizer:
        if self.alpha is None:
            self.alpha = "auto_po2"
        return self


@quantizer(
    "stochastic_ternary",
    parameters=("alpha", "threshold", "temperature", "use_real_sigmoid", "number_of_unrolls"),
    ignored=_TRAINING,
    only=_ONLY,
)
def stochastic_ternary(
    alpha: Any = None,
    threshold: Any = None,
    temperature: Any = 8.0,
    use_real_sigmoid: Any = True,
    number_of_unrolls: Any = 5,
) -> Quantizer:
    """Deterministic at inference: the same as `ternary`."""
    return Ternary(alpha=alpha, threshold=threshold, number_of_unrolls=number_of_unrolls)


@quantizer(
    "quantized_bits",
    parameters=(
        "bits",
        "integer",
        "symmetric",
        "keep_negative",
        "alpha",
        "use_stochastic_rounding",
        "scale_axis",
        "qnoise_factor",
        "var_name",
        "use_ste",
        "use_variables",
        "elements_per_scale",
        "min_po2_exponent",
        "max_po2_exponent",
        "post_training_scale",
    ),
    ignored=_TRAINING,
    only=_ONLY | {"elements_per_scale": (), "min_po2_exponent": (), "max_po2_exponent": ()},
)
class QuantizedBits(Quantizer):
    """Fixed point: 2^integer / m * clip(rhe(x * m / 2^integer), low, m - 1) with m = 2^(bits - keep_negative).

    With an automatic alpha the scale comes from the kernel (or, in units of 1/m, from `post_training_scale`), and codes
    are rounded half away from zero. Up to 8 bits are stored as s8, one as its sign; `values` takes any number of bits
    (biases are numbers)."""

    def __init__(
        self,
        bits: Any = 8,
        integer: Any = 0,
        symmetric: Any = 0,
        keep_negative: Any = True,
        alpha: Any = None,
        post_training_scale: Any = None,
    ) -> None:
        self.bits, self.integer = int(bits), int(integer)
        self.symmetric, self.keep_negative = int(symmetric), int(bool(keep_negative))
        self.alpha = _check_alpha("quantized_bits", alpha)
        self.unsigned_bits = self.bits - self.keep_negative
        if self.unsigned_bits < 0 or self.bits < 1:
            raise Unsupported(f"quantized_bits has bits={bits}", ACCEPTED)
        self.fixed = None if post_training_scale is None else np.asarray(post_training_scale, dtype=np.float32)
        if self.fixed is not None and not isinstance(alpha, str):
            raise Unsupported(
                f"quantized_bits has alpha={alpha!r} and a post_training_scale", "alpha='auto' or 'auto_po2' with it"
            )

    def _grid(self) -> Grid:
        m = 2**self.unsigned_bits
        return Grid(2.0 ** (self.integer - self.unsigned_bits), self.keep_negative * (-m + self.symmetric), m - 1)

    def _factor(self) -> Any:
        return 1.0 if self.alpha is None else self.alpha

    def _auto(self, x: F32Array) -> tuple[F32Array, F32Array]:
        """(codes, scale in units of 2^integer) with an automatic alpha."""
        x = (x / np.float32(2.0**self.integer)).astype(np.float32)
        axes = (0,) if x.ndim <= 1 else tuple(range(x.ndim - 1))
        levels = (2 ** (self.bits - 1) - 1) * 2
        if self.fixed is not None:
            scale = (self.fixed / np.float32(2.0**self.unsigned_bits)).astype(np.float32)
            return self._away(x, scale, levels), scale
        if not levels:
            return np.zeros_like(x), np.ones((1,) * x.ndim, np.float32)
        scale = (np.max(np.abs(x), axis=axes, keepdims=True) * np.float32(2) / np.float32(levels)).astype(np.float32)
        if self.alpha == "auto":
            return self._away(x, scale, levels), scale
        scale = _po2(scale)
        z = np.zeros_like(x)
        for _ in range(5):
            z = self._away(x, scale, levels)
            scale = _auto_scale("auto_po2", x, z)
        return z, scale

    @staticmethod
    def _away(x: F32Array, scale: F32Array, levels: int) -> F32Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            v = np.floor((np.abs(x) / scale).astype(np.float32) + np.float32(0.5))
        return np.asarray(np.sign(x) * np.where(v < levels / 2, v, np.float32(levels / 2)), dtype=np.float32)

    def values(self, x: F32Array) -> F32Array:
        if isinstance(self.alpha, str):
            z, scale = self._auto(x)
            m = np.float32(2.0**self.unsigned_bits)
            return _through(x, (scale * m) * (np.float32(2.0**self.integer) * z / m))
        factor = np.asarray(self._factor(), dtype=np.float32)
        plain = self._grid().values(x) if self.unsigned_bits else sgn(x)
        return _through(x, factor * plain)

    def activation(self) -> tuple[ops.Op, ...]:
        if self.fixed is not None:
            found = "quantized_bits quantizes an activation with a post_training_scale, which rounds half away from 0"
            raise Unsupported(found, "post_training_scale=None", "Choose `integer` so that alpha=1 has that scale")
        factor = _no_auto("quantized_bits", self.alpha)
        if self.unsigned_bits == 0:
            return _scaled(sign_ops(self.text), factor)
        grid = self._grid()
        if factor > 0 and np.log2(factor).is_integer():
            # A power of two scales the grid exactly, so the result stays s8.
            wider = Grid(grid.step * factor, grid.low, grid.high)
            return (*_scaled((), factor), wider.quantize(self.text))
        return _scaled((grid.quantize(self.text),), factor)

    def kernel(self, w: F32Array) -> Kernel:
        if self.unsigned_bits == 0 and not isinstance(self.alpha, str):
            return sign_kernel(w, self._factor(), self.text)
        if self.unsigned_bits == 0 and self.alpha == "auto" and self.fixed is None:
            found = "quantized_bits has bits=1 and alpha='auto', which gives NaN"
            raise Unsupported(found, "2 to 8 bits", "Use binary(alpha='auto')")
        if self.bits > _BITS:
            return _wide_kernel(self.values(w), self.bits, self.text)
        if isinstance(self.alpha, str):
            z, scale = self._auto(w)
            return Kernel("s8", z.astype(np.int8), scale.astype(np.float64) * 2.0**self.integer, source=self.text)
        return self._grid().kernel(w, self._factor(), self.text)

    def trained(self) -> Quantizer:
        if self.alpha is None:
            self.alpha, self.symmetric = "auto_po2", 1
        return self


@quantizer(
    "quantized_linear",
    parameters=(
        "bits",
        "integer",
        "symmetric",
        "keep_negative",
        "alpha",
        "use_stochastic_rounding",
        "scale_axis",
        "qnoise_factor",
    ),
    ignored=_TRAINING,
    only=_ONLY,
)
class QuantizedLinear(Quantizer):
    """Newer than 0.9: scale * rhe(clip(x / scale, low, high)), where scale is alpha steps of 2^(integer - m).

    An automatic alpha finds the scale in the kernel. One bit has the levels -1/2 and +1/2, and a number closer to 0
    than 2^-25 of them is rounded to +1/2."""

    def __init__(
        self, bits: Any = 8, integer: Any = 0, symmetric: Any = 1, keep_negative: Any = True, alpha: Any = None
    ) -> None:
        self.bits, self.symmetric, self.signed = int(bits), int(symmetric), int(bool(keep_negative))
        if self.bits < 1:
            raise Unsupported(f"quantized_linear has bits={bits}", ACCEPTED)
        self.alpha = _check_alpha("quantized_linear", alpha)
        self.step = np.float32(2.0 ** (int(integer) - self.bits + self.signed))
        self.binary = self.bits == 1 and self.signed == 1

    def _bounds(self) -> tuple[float, float]:
        if self.binary:
            return -0.5, 0.5
        m = 2 ** (self.bits - self.signed)
        return self.signed * (self.symmetric - m), m - 1

    def _levels(self, x: F32Array, scale: F32Array) -> F32Array:
        low, high = (np.float32(bound) for bound in self._bounds())
        shift = np.float32(0.5 if self.binary else 0)
        return np.asarray(rhe(np.clip((x / scale).astype(np.float32), low, high) - shift) + shift, dtype=np.float32)

    def _scale(self, x: F32Array) -> F32Array:
        if not isinstance(self.alpha, str):
            alpha = np.asarray(1.0 if self.alpha is None else self.alpha, dtype=np.float32)
            return np.asarray(alpha * self.step, dtype=np.float32)
        low, high = (np.float32(bound) for bound in self._bounds())
        axes = tuple(range(x.ndim - 1))
        largest = np.max(np.abs(x) * np.float32(2) if self.signed else x, axis=axes, keepdims=True)
        scale = np.maximum((largest / (high - low)).astype(np.float32), EPSILON)
        if self.alpha == "auto":
            return np.asarray(scale, dtype=np.float32)
        scale = _po2(scale)
        for _ in range(1 if self.binary else 5):
            scale = _auto_scale("auto_po2", x, self._levels(x, scale))
        return scale

    def values(self, x: F32Array) -> F32Array:
        scale = self._scale(x)
        return _through(x, self._levels(x, scale) * scale)

    def activation(self) -> tuple[ops.Op, ...]:
        factor = _no_auto("quantized_linear", self.alpha)
        step = float(np.float32(factor) * self.step)
        if factor <= 0 or not np.log2(factor).is_integer():
            raise Unsupported(f"quantized_linear quantizes an activation with alpha={factor:g}", "a power of two")
        if self.binary:
            return (ops.Scale(1.0, step * 2.0**-25), *sign_ops(self.text), ops.Scale(step / 2))
        low, high = self._bounds()
        return (Grid(step, int(low), int(high)).quantize(self.text),)

    def kernel(self, w: F32Array) -> Kernel:
        scale = self._scale(w)
        if self.bits > _BITS:
            return _wide_kernel(self.values(w), self.bits, self.text)
        levels = self._levels(w, scale)
        if self.binary:
            return sign_kernel(levels, scale / 2, self.text)
        return integer_kernel(levels, scale.astype(np.float64), self.text)

    def trained(self) -> Quantizer:
        if self.alpha is None:
            self.alpha, self.symmetric = "auto_po2", 1
        return self


def _hard_sigmoid(x: F32Array) -> F32Array:
    return np.asarray(np.clip(np.float32(0.5) * x + np.float32(0.5), 0, 1), np.float32)


@quantizer(
    "quantized_relu",
    parameters=(
        "bits",
        "integer",
        "use_sigmoid",
        "negative_slope",
        "use_stochastic_rounding",
        "relu_upper_bound",
        "is_quantized_clip",
    ),
    ignored=(*_TRAINING, "relu_upper_bound"),
    only=_ONLY,
)
class QuantizedRelu(Quantizer):
    """Unsigned fixed point; a negative slope 2^-j costs one bit for the sign."""

    def __init__(
        self,
        bits: Any = 8,
        integer: Any = 0,
        use_sigmoid: Any = 0,
        negative_slope: Any = 0.0,
        is_quantized_clip: Any = True,
    ) -> None:
        if not is_quantized_clip:
            raise Unsupported(
                "quantized_relu has is_quantized_clip=False", "is_quantized_clip=True, as QKeras itself loads it"
            )
        self.bits, self.integer, self.slope = int(bits), int(integer), float(negative_slope)
        self.use_sigmoid = bool(use_sigmoid)
        self.m = 2 ** (self.bits - (self.slope != 0))
        if self.slope < 0 or (self.slope and not np.log2(self.slope).is_integer()):
            raise Unsupported(f"quantized_relu has negative_slope={negative_slope}", "0 or a power of two")

    def values(self, x: F32Array) -> F32Array:
        one, m, mi, slope = np.float32(1), np.float32(self.m), np.float32(2.0**self.integer), np.float32(self.slope)
        with np.errstate(over="ignore"):
            p = _hard_sigmoid((x / mi).astype(np.float32)) * m if self.use_sigmoid else (x * m / mi).astype(np.float32)
        factor, shift = (np.float32(2), one) if self.use_sigmoid else (one, np.float32(0))
        xq = mi * np.clip(factor * (rhe(p) / m) - shift, np.float32(0), one - one / m)
        if self.slope:
            negative = factor * (rhe(p * slope) * (one / (slope * m))) - shift
            xq = xq + mi * slope * np.clip(negative, -one, np.float32(0))
        return _through(self._clipped(x), xq)

    def _clipped(self, x: F32Array) -> F32Array:
        """The float relu around which the straight-through sum is taken."""
        most = np.float32(2.0**self.integer - 2.0**self.integer / self.m)
        leaky = np.where(x < 0, x * np.float32(self.slope), x)
        return np.where(x <= most, leaky, most).astype(np.float32)

    def activation(self) -> tuple[ops.Op, ...]:
        if self.use_sigmoid:
            return self._sigmoid_ops()
        step = 2.0**self.integer / self.m
        if not self.slope:
            return (Grid(step, 0, self.m - 1).quantize(self.text),)
        lowest = self.slope * self.m
        if lowest < 1 or lowest > self.m:
            raise Unsupported(f"quantized_relu has negative_slope={self.slope}", f"1/{self.m} to 1")
        return (ops.Unary("leaky_relu", self.slope), Grid(step, -int(lowest), self.m - 1).quantize(self.text))

    def _sigmoid_ops(self) -> tuple[ops.Op, ...]:
        """Levels 2k/m for k = 0..m/2 - 1 and one last of (m - 1)/m, times 2^integer."""
        if self.slope:
            raise Unsupported("quantized_relu has use_sigmoid and negative_slope", "one of them")
        mi, half = 2.0**self.integer, self.m // 2
        coarse: ops.Op = ops.Quantize(S8(mi / half, -1), -1, half - 1, self.text)
        if half > 128:
            coarse = ops.Round(mi / half, 0, half, self.text)
        clip = ops.Clip(0.0, mi * (1 - 1 / self.m))
        fine = Grid(mi / self.m, 0, self.m - 1).quantize(self.text)
        return (ops.Scale(0.5 / mi, 0.5), ops.Clip(0.0, 1.0), ops.Scale(2 * mi, -mi), coarse, clip, fine)

    def kernel(self, w: F32Array) -> Kernel:
        if self.bits > _BITS:
            return _wide_kernel(self.values(w), self.bits, self.text)
        if self.use_sigmoid or self.slope:
            return float_kernel(self.values(w), self.text, "its levels are not those of 8-bit weights")
        return Grid(2.0**self.integer / self.m, 0, self.m - 1).kernel(w, 1.0, self.text)


@quantizer(
    "quantized_tanh",
    parameters=("bits", "use_stochastic_rounding", "symmetric", "use_real_tanh"),
    ignored=_TRAINING,
    only=_ONLY,
)
class QuantizedTanh(Quantizer):
    """The hard tanh clip(x, -1, 1) (or the real one) in steps of 2^(1 - bits).

    QKeras computes the hard one as 2 * hard_sigmoid(x) - 1, whose float32 rounding can differ from x in the last bits;
    both give the same level except within 2^-24 of a tie."""

    def __init__(self, bits: Any = 8, symmetric: Any = False, use_real_tanh: Any = False) -> None:
        self.bits, self.symmetric, self.real = int(bits), int(bool(symmetric)), bool(use_real_tanh)

    def _grid(self) -> Grid:
        m = 2 ** (self.bits - 1)
        return Grid(1 / m, -m + self.symmetric, m - 1)

    def values(self, x: F32Array) -> F32Array:
        p = tanh(x) if self.real else np.float32(2) * _hard_sigmoid(x) - np.float32(1)
        return self._grid().values(p.astype(np.float32))

    def activation(self) -> tuple[ops.Op, ...]:
        before: tuple[ops.Op, ...] = (ops.Unary("tanh"),) if self.real else ()
        return (*before, self._grid().quantize(self.text))

    def kernel(self, w: F32Array) -> Kernel:
        if self.bits > _BITS:
            return _wide_kernel(self.values(w), self.bits, self.text)
        return self._grid().kernel(self.values(w), 1.0, self.text)


@quantizer(
    "quantized_sigmoid",
    parameters=("bits", "symmetric", "use_real_sigmoid", "use_stochastic_rounding"),
    ignored=_TRAINING,
    only=_ONLY,
)
class QuantizedSigmoid(Quantizer):
    """clip(0.5 x + 0.5, 0, 1) (or the real sigmoid) in steps of 2^-bits."""

    def __init__(self, bits: Any = 8, symmetric: Any = False, use_real_sigmoid: Any = False) -> None:
        self.bits, self.symmetric, self.real = int(bits), int(bool(symmetric)), bool(use_real_sigmoid)

    def _grid(self) -> Grid:
        return Grid(1 / 2**self.bits, self.symmetric, 2**self.bits - 1)

    def values(self, x: F32Array) -> F32Array:
        p = (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32) if self.real else _hard_sigmoid(x)
        return self._grid().values(p)

    def activation(self) -> tuple[ops.Op, ...]:
        before: ops.Op = ops.Unary("sigmoid") if self.real else ops.Scale(0.5, 0.5)
        return (before, self._grid().quantize(self.text))

    def kernel(self, w: F32Array) -> Kernel:
        if self.bits > _BITS:
            return _wide_kernel(self.values(w), self.bits, self.text)
        return self._grid().kernel(self.values(w), 1.0, self.text)


@quantizer(
    "quantized_hswish",
    parameters=(
        "bits",
        "integer",
        "symmetric",
        "alpha",
        "use_stochastic_rounding",
        "relu_shift",
        "relu_upper_bound",
        "keep_negative",
    ),
    ignored=(*_TRAINING, "keep_negative"),
    only=_ONLY,
)
class QuantizedHardSwish(QuantizedBits):
    """quantized_bits of x * relu6(x + 3) / 6."""

    def __init__(
        self,
        bits: Any = 8,
        integer: Any = 0,
        symmetric: Any = 0,
        alpha: Any = None,
        relu_shift: Any = 3,
        relu_upper_bound: Any = 6,
    ) -> None:
        super().__init__(bits, integer, symmetric, True, alpha)
        if (relu_shift, relu_upper_bound) != (3, 6):
            raise Unsupported(
                f"quantized_hswish has relu_shift={relu_shift}, relu_upper_bound={relu_upper_bound}", "3 and 6"
            )

    def values(self, x: F32Array) -> F32Array:
        gate = np.clip(x + np.float32(3), 0, 6).astype(np.float32)
        return super().values(((x * gate).astype(np.float32) / np.float32(6)).astype(np.float32))

    def activation(self) -> tuple[ops.Op, ...]:
        return (ops.Unary("hard_swish"), *super().activation())

    def kernel(self, w: F32Array) -> Kernel:
        raise Unsupported("quantized_hswish quantizes a kernel", ACCEPTED)


def _exponents(x: F32Array, low: int, high: int, max_value: Any, quadratic: bool, floor: bool) -> F32Array:
    """Exponents of |x| clipped to [low, high]; numbers below 1e-7 take the lowest."""
    filtered = np.where(x < EPSILON, EPSILON, x).astype(np.float32)
    if max_value is not None:
        filtered = np.minimum(filtered, np.float32(max_value))
    root = np.sqrt(filtered) if quadratic else filtered
    logarithm = (np.log(root).astype(np.float32) / _LN2).astype(np.float32)
    rounded = np.floor(logarithm) if floor else rhe(logarithm)
    factor = np.float32(2 if quadratic else 1)
    return np.where(x < EPSILON, np.float32(low), factor * np.clip(rounded, low, high)).astype(np.float32)


class _PowerOfTwo(Quantizer):
    """Common to quantized_po2 and quantized_relu_po2: fit for parameters, not for activations."""

    name = ""
    low = high = 0

    def activation(self) -> tuple[ops.Op, ...]:
        raise Unsupported(
            f"{self.name} quantizes an activation", ACCEPTED, "Use quantized_relu(8, ...) or quantized_bits(8, ...)"
        )

    def kernel(self, w: F32Array) -> Kernel:
        """Powers of two that lie close enough together are multiples of the smallest one."""
        values = self.values(w).astype(np.float64)
        magnitudes = np.abs(values[values != 0])
        step = float(magnitudes.min()) if magnitudes.size else 1.0
        codes = values / step
        if np.max(np.abs(codes), initial=0) > 127:
            return float_kernel(
                values.astype(np.float32), self.text, "its powers of two span more than 8-bit weights hold"
            )
        return Kernel("s8", codes.astype(np.int8), np.asarray(step), source=self.text)


_PO2_PARAMETERS = ("bits", "max_value", "use_stochastic_rounding", "quadratic_approximation", "log2_rounding")


@quantizer("quantized_po2", parameters=_PO2_PARAMETERS, ignored=_TRAINING, only=_ONLY)
class QuantizedPo2(_PowerOfTwo):
    """sign(x) * 2^e; 0 becomes +2^low."""

    name = "quantized_po2"

    def __init__(
        self,
        bits: Any = 8,
        max_value: Any = None,
        quadratic_approximation: Any = False,
        log2_rounding: Any = "rnd",
    ) -> None:
        signed = int(max_value is None or max_value > 1)
        effective = int(bits) - 1 - signed
        self.max_value, self.quadratic, self.floor = max_value, bool(quadratic_approximation), log2_rounding == "floor"
        self.low, self.high = int(-(2**effective)), int(2**effective - 1)
        if self.quadratic:
            self.high = 2 * (self.high // 2)

    def values(self, x: F32Array) -> F32Array:
        exponents = _exponents(np.abs(x), self.low, self.high, self.max_value, self.quadratic, self.floor)
        return _through(x, sgn(x) * np.exp2(exponents))


@quantizer(
    "quantized_relu_po2",
    parameters=("bits", "max_value", "negative_slope", *_PO2_PARAMETERS[2:]),
    ignored=_TRAINING,
    only=_ONLY,
)
class QuantizedReluPo2(_PowerOfTwo):
    """2^e of relu(x): negative numbers and 0 become 2^low (with a slope, negative ones -2^e of slope * |x|)."""

    name = "quantized_relu_po2"

    def __init__(
        self,
        bits: Any = 8,
        max_value: Any = None,
        negative_slope: Any = 0,
        quadratic_approximation: Any = False,
        log2_rounding: Any = "rnd",
    ) -> None:
        effective = int(bits) - int(max_value is None or max_value > 1)
        self.max_value, self.slope = max_value, np.float32(negative_slope)
        self.quadratic, self.floor = bool(quadratic_approximation), log2_rounding == "floor"
        self.low, self.high = int(-(2**effective)), int(2**effective - 1)
        if self.quadratic:
            self.high = 2 * (self.high // 2)

    def _power(self, x: F32Array) -> F32Array:
        return np.exp2(_exponents(x, self.low, self.high, self.max_value, self.quadratic, self.floor)).astype(
            np.float32
        )

    def values(self, x: F32Array) -> F32Array:
        positive = self._power(np.maximum(x, np.float32(0)))
        if self.slope == 0:
            return positive
        negative = self._power((np.maximum(-x, np.float32(0)) * self.slope).astype(np.float32))
        return np.where(x >= 0, positive, -negative).astype(np.float32)


refuse_quantizer("bernoulli", why="draws random numbers at inference", advice="Use binary(alpha=1)")
refuse_quantizer("quantized_ulaw", why="has levels that are not equidistant", advice="Use quantized_bits(8, ...)")
