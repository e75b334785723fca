"""Random networks: steps that a hypothesis strategy draws, the Keras layers they mean, and the comparison with Keras.

A step that does not fit what stands before it (a pool over a vector, a sum of unlike shapes) is skipped, so any list of
steps is a network and shrinks well. With `exact`, weights and batch norms are such that Keras' float32 arithmetic does
not round: then every element must be equal, ties included. Otherwise `tape.py` bounds the error and leaves out the
decisions that lie within it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import larq as lq
import numpy as np
import qkeras
import tensorflow as tf
from compare import Array, Outcome, agrees, run_variants
from hypothesis import strategies as st
from tape import Tape, Value, asking_keras, unit

import dqnn
from dqnn.exporter.errors import DqnnError

K = tf.keras.layers
EPSILON = 2.0**-10
ROUNDING = 2.0**-21  # of a float32 sum, relative to the sum of the magnitudes
EXACT_BITS = 2.0**22
MOST_ELEMENTS = 20_000


@dataclass(frozen=True)
class Layer:
    """A layer with weights; the rank of its input decides between the 1D and the 2D class."""

    kind: str = "conv"  # conv, dense, depthwise, transposed, separable
    library: str = "larq"  # larq, qkeras, keras
    units: int = 4
    size: tuple[int, int] = (1, 1)
    strides: int = 1
    dilation: int = 1
    groups: int = 1
    multiplier: int = 1
    padding: str = "valid"
    pad_values: float = 0.0
    input: str | None = None
    kernel: str | None = None
    bias: str = "none"
    activation: str | None = None


@dataclass(frozen=True)
class Norm:
    """bn, plain (no scale, no center), qbn (default quantizers), qbn_none (without quantizers)."""

    kind: str = "bn"


@dataclass(frozen=True)
class Act:
    name: str


@dataclass(frozen=True)
class Quant:
    """A quantizer as a layer of its own, in one of its spellings: `library:how:text`."""

    spelling: str


@dataclass(frozen=True)
class Pool:
    kind: str = "max"  # max, avg, global_max, global_avg, q_avg, q_global_avg
    size: int = 2
    strides: int = 2
    padding: str = "valid"


@dataclass(frozen=True)
class Join:
    """With the `back`-th earlier value of a fitting shape."""

    kind: str = "add"  # add, sub, mul, max, min, average, concat
    back: int = 0


@dataclass(frozen=True)
class Reshape:
    kind: str = "flatten"


@dataclass(frozen=True)
class Back:
    """Goes on from an earlier value."""

    back: int = 1


@dataclass(frozen=True)
class Again:
    """Calls the last layer with weights that had an input of this shape once more."""


@dataclass(frozen=True)
class Output:
    """The value is an output, too."""


Step: TypeAlias = Layer | Norm | Act | Quant | Pool | Join | Reshape | Back | Again | Output


@dataclass(frozen=True)
class Network:
    shapes: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    exact: bool = True
    seed: int = 0
    io_dtype: Any = "auto"
    constant_time: bool = False
    pack_weights: bool = False


# --- quantizers ---------------------------------------------------------------------------------------------------

LARQ_INPUTS = ("ste_sign", "approx_sign", "swish_sign", "ste_tern", "ste_heaviside", "dorefa")
LARQ_KERNELS = (
    "ste_sign", "approx_sign", "magnitude_aware_sign", "dorefa", "ste_tern", "twn", "ste_heaviside",
    "dorefa2", "dorefa3", "dorefa4",
)  # fmt: skip
QKERAS_KERNELS = (
    "binary(alpha=1)", "binary(alpha=0.5)", "binary(alpha='auto')", "binary(alpha='auto_po2')", "binary()", "binary",
    "stochastic_binary(alpha=1)", "stochastic_binary()", "quantized_bits(1,0,alpha=1)", "quantized_bits(8,0,alpha=1)",
    "quantized_bits(8,1,1,alpha=1)", "quantized_bits(8,0)", "quantized_bits(8,0,alpha='auto')",
    "quantized_bits(8,2,alpha='auto_po2')", "quantized_bits(8,0,alpha=0.75)", "quantized_bits(8,0,0,0,alpha=1)",
    "ternary(alpha=1)", "ternary(alpha='auto')", "ternary(alpha='auto_po2')", "ternary()", "stochastic_ternary()",
    "quantized_tanh(8)", "quantized_relu(8)", "quantized_po2(4)", "quantized_po2(8)", "quantized_bits(4,0,alpha=1)",
    "quantized_bits(2,0,alpha=1)", "quantized_bits(5,1,1,alpha='auto_po2')", "quantized_bits(3,0)",
    "quantized_bits(12,2,alpha=1)",
    "quantized_bits(4,1,0,alpha=1)", "quantized_bits(4,0,alpha='auto')", "quantized_bits(4,0,alpha='auto_po2')",
    "quantized_bits(4,0,0,keep_negative=False,alpha=1)", "quantized_bits(3,0,alpha=1)", "quantized_bits(3,2,1,alpha=1)",
    "quantized_bits(2,0,alpha='auto')", "quantized_bits(2,1,1,alpha='auto_po2')", "stochastic_ternary(alpha=1)",
    "stochastic_ternary(alpha='auto')", "quantized_po2(2)", "quantized_po2(3,max_value=1)",
)  # fmt: skip
QKERAS_BIASES = ("binary(alpha=1)", "quantized_bits(8,1,alpha=1)", "quantized_bits(8,0)", "quantized_po2(4)", "ternary")
QKERAS_ACTIVATIONS = (
    "binary(alpha=1)", "binary", "binary()", "binary(alpha=0.5)", "stochastic_binary(alpha=1)", "stochastic_binary()",
    "ternary(alpha=1)", "ternary", "ternary(alpha=1,threshold=0.5)", "quantized_bits(1,0,alpha=1)",
    "quantized_bits(8,0,1)", "quantized_bits(8,0,alpha=1)", "quantized_bits(8, 2, 1, alpha=1.0)", "quantized_bits(8,4)",
    "quantized_bits(8,3,keep_negative=False,alpha=1)", "quantized_bits(8,2,alpha=0.5)", "quantized_bits(8,2,alpha=3.0)",
    "quantized_relu(8,2)", "quantized_relu(8,0)", "quantized_relu(8,4,negative_slope=0.25)",
    "quantized_relu(8,2,use_sigmoid=1)", "quantized_tanh(8)", "quantized_tanh(8,symmetric=1)", "quantized_sigmoid(8)",
    "quantized_sigmoid(8,symmetric=1)", "quantized_bits(4,1,alpha=1)", "quantized_bits(2,1,1,alpha=1)",
    "quantized_hswish(8,3,alpha=1)", "quantized_tanh(8,use_real_tanh=1)",
    "quantized_relu(4,1)", "quantized_relu(6,2,negative_slope=0.25)", "quantized_tanh(5)", "quantized_sigmoid(3)",
)  # fmt: skip
ROUNDED = ("hswish", "real")  # compute something in float32 before they quantize
SPELLINGS = (
    *(f"larq:{how}:{name}" for how in ("layer", "activation") for name in LARQ_INPUTS),
    *(f"qkeras:{how}:{text}" for how in ("string", "object") for text in QKERAS_ACTIVATIONS),
)


def _larq(name: str | None, mode: str = "activations") -> Any:
    if name is not None and name.startswith("dorefa"):
        return lq.quantizers.DoReFa(k_bit=int(name[6:] or 8), mode=mode)
    if name == "twn":
        return lq.quantizers.SteTern(ternary_weight_networks=True)
    return None if name is None else lq.quantizers.get(name)


def quantizer_layer(spelling: str) -> Any:
    """The layer that `library:how:text` means."""
    library, how, text = spelling.split(":", 2)
    if library == "larq":
        return _larq(text) if how == "layer" else K.Activation(_larq(text))
    return qkeras.QActivation(text if how == "string" else qkeras.get_quantizer(text))


def _decide(quantizer: Callable[[Any], Any], text: str, x: Value) -> tuple[float, Array | None]:
    """(error, unsure) of a quantizer's result: decisions within the error of what it reads are unsure."""
    margin = x.error
    if any(word in text for word in ROUNDED):
        margin = max(margin, 4e-6 * max(x.largest, 1.0))
    ours = np.asarray(quantizer(x.tensor))
    error = 0.0 if unit(ours) >= 2.0**-20 and "dorefa" not in text else 2.0**-23 * float(np.abs(ours).max())
    if margin == 0.0:
        return error, None
    ends = [np.asarray(quantizer(x.tensor + sign * margin)) for sign in (-1.0, 1.0)]
    return error, (ends[0] != ours) | (ends[1] != ours)


# --- layers with weights ------------------------------------------------------------------------------------------


def _options(step: Layer) -> dict[str, Any]:
    return {"use_bias": step.bias != "none"}


def make_layer(step: Layer, shape: tuple[int, ...]) -> Any:
    """The Keras layer a step means on an input of this shape; None where there is none."""
    flat = len(shape) == 2
    kind = "dense" if len(shape) == 1 else step.kind
    if flat and kind in ("transposed", "depthwise"):
        kind = "conv"
    quantizers: dict[str, Any] = {}
    module: Any = K
    prefix = ""
    names = {"depthwise": ("depthwise",), "separable": ("depthwise", "pointwise")}.get(kind, ("kernel",))
    if step.library == "larq":
        module, prefix = lq.layers, "Quant"
        quantizers = {f"{name}_quantizer": _larq(step.kernel, "weights") for name in names}
        quantizers["input_quantizer"] = _larq(step.input)
        if kind not in ("dense", "transposed"):
            quantizers["pad_values"] = step.pad_values
    elif step.library == "qkeras":
        module, prefix = qkeras, "Q"
        quantizers = {f"{name}_quantizer": step.kernel for name in names}
        quantizers["bias_quantizer"] = step.bias if step.bias not in ("none", "float") else None
    if step.activation is not None:
        quantizers["activation"] = (
            _larq(step.activation[5:]) if step.activation.startswith("larq:") else step.activation
        )
    options = {**_options(step), **quantizers}
    if kind == "dense":
        return getattr(module, f"{prefix}Dense")(step.units, **options)
    size: Any = step.size[1] if flat else step.size
    options |= {"strides": step.strides, "padding": step.padding}
    if kind == "transposed":
        return getattr(module, f"{prefix}Conv2DTranspose")(step.units, size, **options)
    options["dilation_rate"] = step.dilation
    if kind == "separable":
        name = "SeparableConv1D" if flat else "SeparableConv2D"
        return getattr(module, prefix + name)(step.units, size, depth_multiplier=step.multiplier, **options)
    if kind == "depthwise":
        return getattr(module, f"{prefix}DepthwiseConv2D")(size, depth_multiplier=step.multiplier, **options)
    if step.groups > 1:
        options["groups"] = step.groups
    return getattr(module, prefix + ("Conv1D" if flat else "Conv2D"))(step.units, size, **options)


def _read_quantized(variable: Any) -> Any:
    scope = lq.context._quantized_scope
    scope.should_quantize = True
    try:
        return tf.convert_to_tensor(variable)
    finally:
        scope.should_quantize = False


def _kernels(layer: Any) -> list[tuple[Array, tuple[int, ...]]]:
    """The quantized kernels, each with the axes that a sum runs over."""
    found = []
    for name in ("depthwise_kernel", "pointwise_kernel", "kernel"):
        latent = layer.__dict__.get(name, None)
        if latent is None:
            continue
        internal = "depthwise_quantizer" if name == "depthwise_kernel" else "pointwise_quantizer"
        keys = ("kernel_quantizer_internal",) if name == "kernel" else (f"{internal}_internal",)
        quantizer = next((q for q in (getattr(layer, key, None) for key in keys) if q is not None), None)
        value = _read_quantized(getattr(layer, name))
        weights = np.asarray(value if quantizer is None else quantizer(value))
        if name == "depthwise_kernel":
            axes: tuple[int, ...] = tuple(range(weights.ndim - 2))
        elif "Transpose" in type(layer).__name__:
            axes = (0, 1, 3)
        else:
            axes = tuple(range(weights.ndim - 1))
        found.append((weights, axes))
    return found


def _fill(layer: Any, step: Layer, exact: bool, rng: np.random.Generator) -> None:
    filled = []
    for variable, old in zip(layer.weights, layer.get_weights(), strict=True):
        if "bias" in variable.name:
            new = rng.integers(-16, 17, old.shape) / 8 if exact else rng.uniform(-2, 2, old.shape)
        elif exact:
            new = (
                rng.integers(-8, 9, old.shape) / 8 if step.kernel is None else rng.integers(-300, 301, old.shape) / 256
            )
        else:
            new = rng.normal(0, 0.5, old.shape)
        filled.append(new.astype(np.float32))
    layer.set_weights(filled)


def _weighted(tape: Tape, step: Layer, x: Value, exact: bool, rng: np.random.Generator) -> Value | None:
    layer = asking_keras(lambda: make_layer(step, x.shape))
    if hasattr(layer, "dilation_rate") and step.padding == "valid" and "Transpose" not in type(layer).__name__:
        windows = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
        if any(window > n for window, n in zip(windows, x.shape, strict=False)):
            return None  # a functional model refuses it; eagerly TensorFlow returns anything
    tape.build(layer, x)
    _fill(layer, step, exact, rng)
    tape.shared.append((layer, step, x.shape))
    return _call_weighted(tape, layer, step, x)


def _call_weighted(tape: Tape, layer: Any, step: Layer, x: Value) -> Value:
    read, unsure = x, x.unsure
    quantizer = getattr(layer, "input_quantizer", None)
    if quantizer is not None:
        error, unsure = _decide(quantizer, str(step.input), x)
        read = Value("", quantizer(x.tensor), error, unsure)
    kernels = asking_keras(lambda: _kernels(layer))
    bias = np.asarray(layer.bias if layer.use_bias else [0.0], np.float64)
    if getattr(layer, "bias_quantizer_internal", None) is not None and layer.use_bias:
        bias = np.asarray(asking_keras(lambda: layer.bias_quantizer_internal(layer.bias)), np.float64)
    most = max(read.largest, abs(step.pad_values))
    sums = math.prod(float(np.abs(w).sum(axis=axes).max()) for w, axes in kernels)
    whole = most * sums + float(np.abs(bias).max())
    grid = unit(read.array, np.array([step.pad_values])) * math.prod(unit(w) for w, _ in kernels)
    # DoReFa's weights are 1/255 times integers here, even where all of them are +1 and -1 in Keras.
    fits = "dorefa" not in str(step.kernel).lower() and whole <= EXACT_BITS * min(grid, unit(bias))
    error = 0.0 if fits and read.error == 0.0 else read.error * sums + ROUNDING * whole
    spoilt = unsure is not None and bool(unsure.any())
    activation, layer.activation = layer.activation, None if step.library == "qkeras" else tf.keras.activations.linear
    before = Value("", asking_keras(lambda: layer(x.tensor)), error, None)
    layer.activation = activation
    after: Array | None = None
    if step.activation is not None:
        error, after = _after(activation, step.activation, before)
    result = tape.call(layer, x, error=error, unsure=after)
    if spoilt:
        return replace(result, unsure=np.ones(result.array.shape, bool))
    return result


def _after(function: Any, name: str, x: Value) -> tuple[float, Array | None]:
    """(error, unsure) of a layer's own activation."""
    return (x.error, None) if name == "relu" else _decide(function, name, x)


# --- the other layers ---------------------------------------------------------------------------------------------


def _norm(tape: Tape, step: Norm, x: Value, exact: bool, rng: np.random.Generator) -> Value:
    channels = x.shape[-1]
    options: dict[str, Any] = {"epsilon": EPSILON if exact else 1e-3}
    if step.kind == "plain":
        options |= {"scale": False, "center": False}
    if step.kind == "qbn_none":
        options |= {f"{part}_quantizer": None for part in ("gamma", "beta", "mean", "variance")}
    layer = qkeras.QBatchNormalization(**options) if step.kind.startswith("qbn") else K.BatchNormalization(**options)
    tape.build(layer, x)
    spread = max(x.largest / 3, 1.0)
    if exact:
        values = {
            "gamma": rng.integers(-8, 9, channels) / 8,
            "beta": rng.integers(-16, 17, channels) / 8,
            "mean": np.rint(rng.normal(0, spread, channels) * 2) / 2,
            "variance": 4.0 ** rng.integers(-1, max(2, int(math.log2(spread))), channels) - EPSILON,
        }
    else:
        gamma = rng.uniform(0.3, 1.5, channels) * rng.choice([-1.0, 1.0], channels)
        values = {
            "gamma": np.where(rng.random(channels) < 0.05, 0.0, gamma),
            "beta": rng.normal(0, 1, channels),
            "mean": rng.normal(0, spread, channels),
            "variance": rng.uniform(0.5, spread**2, channels),
        }
    layer.set_weights(
        [values[weight.name.split(":")[0].removeprefix("moving_")].astype(np.float32) for weight in layer.weights]
    )
    used = {key: value.astype(np.float32).astype(np.float64) for key, value in values.items()}
    if step.kind == "plain":
        used |= {"gamma": np.ones(channels), "beta": np.zeros(channels)}
    if step.kind == "qbn":
        for part in used:
            quantizer = getattr(layer, f"{part}_quantizer_internal")
            latent = getattr(layer, part if part in ("gamma", "beta") else f"moving_{part}")
            used[part] = np.asarray(asking_keras(lambda q=quantizer, w=latent: q(w)), np.float64)
    factor = used["gamma"] / np.sqrt(used["variance"] + layer.epsilon)
    real = x.array.astype(np.float64)
    parts = (real * factor, used["mean"] * factor, used["beta"])
    whole = float(sum(np.abs(part).max() for part in parts))
    y = tape.call(layer, x)
    equal = bool((y.array == (real - used["mean"]) * factor + used["beta"]).all())
    exactly = x.error == 0.0 and equal and whole <= EXACT_BITS * unit(*parts)
    error = 0.0 if exactly else x.error * float(np.abs(factor).max()) + ROUNDING * whole
    return replace(y, error=error)


SMOOTH = ("tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "swish", "gelu", "hard_sigmoid")
ACTIVATIONS = (
    *("relu", "relu", "relu6", "relu_layer", "leaky_half", "leaky_half", "leaky", "prelu", "prelu", "prelu_map"),
    *("thresholded", "softmax", *SMOOTH),
)


def _act(tape: Tape, step: Act, x: Value, rng: np.random.Generator) -> Value | None:
    if step.name in ("relu", *SMOOTH):
        layer: Any = K.Activation(step.name)
    elif step.name == "relu6":
        layer = K.ReLU(6.0)
    elif step.name == "relu_layer":
        layer = K.ReLU(max_value=4.0, negative_slope=0.25)
    elif step.name in ("leaky", "leaky_half"):
        layer = K.LeakyReLU(0.3 if step.name == "leaky" else 0.5)
    elif step.name == "softmax":
        layer = K.Softmax()
    elif step.name == "thresholded":
        if x.error > 0.0:
            return None
        layer = K.ThresholdedReLU(0.5)
    else:
        whole = step.name == "prelu_map" or len(x.shape) == 1
        layer = K.PReLU(shared_axes=None if whole else list(range(1, len(x.shape))))
    tape.build(layer, x)
    if layer.weights:
        layer.set_weights([(rng.integers(-4, 5, w.shape) / 4).astype(np.float32) for w in layer.get_weights()])
    y = tape.call(layer, x)
    rough = step.name in SMOOTH or step.name in ("leaky", "softmax")
    extra = 2e-6 * max(x.largest, 1.0) if rough else 0.0
    exactly = y.largest <= EXACT_BITS * unit(y.array)
    return replace(y, error=2 * x.error + extra + (0.0 if exactly else ROUNDING * y.largest))


def _pool(tape: Tape, step: Pool, x: Value) -> Value | None:
    rank = len(x.shape)
    if rank == 1:
        return None
    dims = "1D" if rank == 2 else "2D"
    quantized = step.kind.startswith("q_")
    if quantized and rank == 2:
        return None
    area = math.prod(x.shape[:-1])
    if step.kind.endswith(("global_max", "global_avg")):
        if quantized:
            layer: Any = qkeras.QGlobalAveragePooling2D(average_quantizer="quantized_bits(8,0,1,alpha=1)")
        else:
            kind = "Max" if step.kind == "global_max" else "Average"
            layer = getattr(K, f"Global{kind}Pooling{dims}")()
    else:
        area = step.size ** (rank - 1)
        if step.padding == "valid" and min(x.shape[:-1]) < step.size:
            return None
        if quantized:
            layer = qkeras.QAveragePooling2D(
                step.size, step.strides, padding=step.padding, average_quantizer="quantized_bits(8,0,1,alpha=1)"
            )
        else:
            kind = "Max" if step.kind == "max" else "Average"
            layer = getattr(K, f"{kind}Pooling{dims}")(step.size, step.strides, padding=step.padding)
    tape.build(layer, x)
    y = tape.call(layer, x)
    whole = x.largest * area <= EXACT_BITS * unit(x.array)
    power = area & (area - 1) == 0 and step.padding == "valid" and not quantized and whole
    return replace(y, error=x.error + (0.0 if step.kind.endswith("max") or power else ROUNDING * x.largest))


JOINS = {
    "add": K.Add, "sub": K.Subtract, "mul": K.Multiply, "max": K.Maximum, "min": K.Minimum, "average": K.Average,
}  # fmt: skip


def _join(tape: Tape, step: Join, x: Value, made: Sequence[Value]) -> Value | None:
    concat = step.kind == "concat"
    fitting = [v for v in made if v is not x and (v.shape[:-1] == x.shape[:-1] if concat else v.shape == x.shape)]
    if not fitting:
        return None
    other = fitting[-1 - step.back % len(fitting)]
    layer = K.Concatenate() if concat else JOINS[step.kind]()
    tape.build(layer, x, other)
    y = tape.call(layer, x, other)
    if concat:
        return replace(y, error=max(x.error, other.error))
    error = x.error + other.error
    if step.kind == "mul":
        error = x.error * other.largest + other.error * x.largest
    exactly = step.kind in ("max", "min") or x.largest + other.largest <= EXACT_BITS * unit(x.array, other.array)
    if step.kind == "mul":
        exactly = x.largest * other.largest <= EXACT_BITS * unit(x.array) * unit(other.array)
    return replace(y, error=error + (0.0 if exactly else ROUNDING * max(y.largest, x.largest)))


# By kind and rank of the input; a layer from the input's shape, None where it does not fit.
RESHAPES: dict[tuple[str, int], Callable[..., Any]] = {
    ("flatten", 3): lambda *shape: K.Flatten(),
    ("flatten", 2): lambda *shape: K.Flatten(),
    ("fold", 3): lambda h, w, c: K.Reshape((h * w, c)),
    ("unfold", 1): lambda n: K.Reshape((2, 2, n // 4)) if n % 4 == 0 else None,
    ("permute", 3): lambda *shape: K.Permute((2, 1, 3)),
    ("permute", 2): lambda *shape: K.Permute((2, 1)),
    ("repeat", 1): lambda n: K.RepeatVector(3),
    ("pad", 3): lambda *shape: K.ZeroPadding2D(((1, 0), (0, 2))),
    ("pad", 2): lambda *shape: K.ZeroPadding1D((2, 1)),
    ("upsample", 3): lambda *shape: K.UpSampling2D((2, 1)),
    ("upsample", 2): lambda *shape: K.UpSampling1D(2),
    ("crop", 3): lambda h, w, c: K.Cropping2D(((1, 0), (0, 1))) if min(h, w) > 1 else None,
    ("crop", 2): lambda n, c: K.Cropping1D((1, 0)) if n > 1 else None,
}


def _reshape(tape: Tape, step: Reshape, x: Value) -> Value | None:
    make = RESHAPES.get((step.kind, len(x.shape)))
    layer = None if make is None else make(*x.shape)
    return None if layer is None else tape.call(tape.build(layer, x), x, error=x.error)


# --- a network ----------------------------------------------------------------------------------------------------


def record(network: Network) -> Tape:
    """Builds and runs the network; its outputs are the last value and those that an Output step names."""
    tf.keras.backend.clear_session()
    lq.context._quantized_scope.should_quantize = False  # a Larq layer that raises leaves it on
    rng = np.random.default_rng(network.seed)
    tape = Tape()
    made: list[Value] = []
    for shape in network.shapes:
        data = rng.integers(-16, 17, (2, *shape)) / 8 if network.exact else rng.uniform(-1.5, 1.5, (2, *shape))
        made.append(tape.input(data.astype(np.float32)))
    x = made[0]
    named: list[Value] = []
    for step in network.steps:
        if isinstance(step, Back):
            x = made[-1 - step.back % len(made)]
        elif isinstance(step, Output):
            named.append(x)
        else:
            y = _apply(tape, step, x, made, network.exact, rng)
            if y is not None:
                made.append(y)
                x = y
            if x.array[0].size > MOST_ELEMENTS:
                break
    layers = [value for value in dict.fromkeys([*named, x]) if value not in tape.inputs]
    tape.outputs = layers
    return tape


def _apply(
    tape: Tape, step: Step, x: Value, made: Sequence[Value], exact: bool, rng: np.random.Generator
) -> Value | None:
    if isinstance(step, Layer):
        return _weighted(tape, step, x, exact, rng)
    if isinstance(step, Again):
        shared = [known for known in tape.shared if known[2] == x.shape]
        return _call_weighted(tape, *shared[-1][:2], x) if shared else None
    if isinstance(step, Norm):
        return _norm(tape, step, x, exact, rng)
    if isinstance(step, Act):
        return _act(tape, step, x, rng)
    if isinstance(step, Quant):
        layer = asking_keras(lambda: quantizer_layer(step.spelling))
        error, unsure = asking_keras(lambda: _decide(layer, step.spelling, x))
        return tape.call(layer, x, error=error, unsure=unsure)
    if isinstance(step, Pool):
        return _pool(tape, step, x)
    if isinstance(step, Join):
        return _join(tape, step, x, made)
    assert isinstance(step, Reshape)
    return _reshape(tape, step, x)


def check(network: Network) -> Outcome:
    """Builds, exports, runs and compares one network. Raises KerasRefuses."""
    tape = record(network)
    if not tape.outputs:
        return Outcome("unsure")
    try:
        options = ("io_dtype", "constant_time", "pack_weights")
        result = dqnn.export(tape, **{name: getattr(network, name) for name in options})
    except DqnnError as error:
        return Outcome("refused", str(error))
    ours, wrong = run_variants(result.blob, [value.array for value in tape.inputs])
    if wrong:
        return Outcome("differs", f"{wrong} gives other bits than ref")
    compared = elements = 0
    for i, (value, got) in enumerate(zip(tape.outputs, ours, strict=True)):
        keras = value.array
        if got.shape != keras.shape:
            return Outcome("differs", f"output {i}: shape {got.shape}, Keras {keras.shape}")
        sure = np.ones(keras.shape, bool) if value.unsure is None else ~value.unsure
        allowed = 0.0 if value.error == 0.0 else 2 * value.error + 1e-6 * value.largest
        wrong = sure & (np.abs(got - keras) > allowed)
        compared, elements = compared + int(sure.sum()), elements + sure.size
        if wrong.any():
            at = tuple(int(n) for n in np.argwhere(wrong)[0])
            found = f"{got[at]:.9g}, Keras {keras[at]:.9g}, allowed {allowed:.3g}"
            return Outcome("differs", f"output {i}: {int(wrong.sum())} of {sure.size} elements, at {at} {found}")
    return agrees(result.report, compared, elements)


# --- the strategy -------------------------------------------------------------------------------------------------


@st.composite
def layer_steps(draw: st.DrawFn, most_units: int) -> Layer:
    library = draw(st.sampled_from(("larq", "larq", "qkeras", "qkeras", "keras")))
    kind = draw(st.sampled_from(("conv", "conv", "depthwise", "depthwise", "dense", "transposed", "separable")))
    strides = draw(st.sampled_from((1, 1, 1, 2, 3)))
    kernels = {"larq": LARQ_KERNELS, "qkeras": QKERAS_KERNELS, "keras": (None,)}[library]
    kernel = draw(st.sampled_from((*kernels, *kernels[:1] * 3, None)))
    bias = draw(
        st.sampled_from(("none", "float") if library != "qkeras" else ("none", "none", "float", *QKERAS_BIASES))
    )
    activation: str | None = None
    if draw(st.integers(0, 3)) == 0:
        activation = draw(
            st.sampled_from(
                QKERAS_ACTIVATIONS if library == "qkeras" else ("relu", *(f"larq:{name}" for name in LARQ_INPUTS[:5]))
            )
        )
    size = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    return Layer(
        kind=kind, library=library, units=draw(st.integers(1, most_units)),
        size=(size[0], size[0]) if kind == "separable" else size, strides=strides,
        dilation=draw(st.sampled_from((1, 1, 2, 3))) if strides == 1 and kind != "transposed" else 1,
        groups=1 if kind != "conv" or draw(st.integers(0, 39)) else 2,
        multiplier=draw(st.sampled_from((1, 1, 2, 3))),
        padding=draw(st.sampled_from(("valid", "same"))),
        pad_values=draw(st.sampled_from((0.0, 0.0, 1.0, -1.0))),
        input=draw(st.sampled_from((None, *LARQ_INPUTS, "ste_sign", "ste_sign"))) if library == "larq" else None,
        kernel=kernel, bias=bias, activation=activation,
    )  # fmt: skip


def steps(most_units: int) -> st.SearchStrategy[Step]:
    quants = st.builds(Quant, st.sampled_from(SPELLINGS))
    norms = st.builds(Norm, st.sampled_from(("bn", "bn", "plain", "qbn", "qbn_none")))
    pools = st.builds(
        Pool,
        st.sampled_from(("max", "max", "avg", "avg", "global_max", "global_avg", "q_avg", "q_global_avg")),
        st.integers(1, 3),
        st.integers(1, 3),
        st.sampled_from(("valid", "same")),
    )
    joins = st.builds(Join, st.sampled_from((*JOINS, "add", "concat", "concat")), st.integers(0, 5))
    reshapes = st.builds(Reshape, st.sampled_from(sorted({kind for kind, _ in RESHAPES})))
    return st.one_of(
        layer_steps(most_units), layer_steps(most_units), quants, quants, norms, pools, joins,
        st.builds(Act, st.sampled_from(ACTIVATIONS)), reshapes,
        st.builds(Back, st.integers(1, 4)), st.builds(Again), st.builds(Output),
    )  # fmt: skip


# One quantizer of each format, so that every combination of formats is drawn about as often.
FORMATS = {
    "s1": Quant("qkeras:string:binary(alpha=1)"),
    "s8": Quant("qkeras:string:quantized_bits(8,2,alpha=1)"),
    "f32": None,
}
KERNELS = {
    "larq": {"s1": "ste_sign", "s8": "ste_tern", "f32": None},
    "qkeras": {"s1": "binary(alpha=1)", "s8": "quantized_bits(8,0,alpha=1)", "f32": None},
}


@st.composite
def combinations(draw: st.DrawFn) -> tuple[Step, ...]:
    """One layer with any formats of input, kernel and output."""
    before, weights, after = (draw(st.sampled_from(sorted(FORMATS))) for _ in range(3))
    library = draw(st.sampled_from(sorted(KERNELS)))
    plain = replace(draw(layer_steps(100)), library=library, input=None, activation=None)
    bias = draw(st.sampled_from(("none", "float")))
    middle = draw(st.sampled_from(((), (Norm("bn"),), (Pool("max"), Norm("bn")), (Norm("bn"), Pool("max")))))
    layer = replace(plain, kernel=KERNELS[library][weights], bias=bias)
    steps = (FORMATS[before], layer, *middle, FORMATS[after])
    return tuple(step for step in steps if step is not None)


# Kernel quantizers of 2 to 4 bits, and the bits that their codes have in a packed file (0: 8).
FEW_BITS = {
    "larq": {"ste_tern": 2, "twn": 2, "dorefa2": 2, "dorefa3": 4, "dorefa4": 4},
    "qkeras": {
        **{f"quantized_bits({bits},0,alpha=1)": 2 if bits == 2 else 4 for bits in (2, 3, 4)},
        **{f"quantized_bits({bits},0,alpha='auto')": 2 if bits == 2 else 4 for bits in (2, 3, 4)},
        **{f"quantized_bits({bits},0,alpha='auto_po2')": 2 if bits == 2 else 4 for bits in (2, 3, 4)},
        "quantized_bits(4,1,1,alpha=1)": 4, "quantized_bits(3,0,1,alpha=0.75)": 4, "quantized_bits(4)": 4,
        "quantized_bits(4,0,0,keep_negative=False,alpha=1)": 0, "quantized_bits(3,0,0,keep_negative=False,alpha=1)": 4,
        "ternary(alpha=1)": 2, "ternary(alpha='auto')": 2, "ternary()": 2, "ternary(alpha=1,threshold=0.25)": 2,
        "stochastic_ternary(alpha=1)": 2, "stochastic_ternary(alpha='auto')": 2, "stochastic_ternary()": 2,
        "quantized_po2(2)": 4, "quantized_po2(3)": 4, "quantized_po2(3,max_value=1)": 0,
    },
}  # fmt: skip


@st.composite
def few_bits(draw: st.DrawFn) -> Network:
    """A layer of 8-bit inputs and such a kernel, packed where it can be."""
    library = draw(st.sampled_from(("larq", "qkeras", "qkeras")))
    plain = replace(draw(layer_steps(40)), library=library, input=None, groups=draw(st.sampled_from((1, 1, 1, 2))))
    kernel = draw(st.sampled_from(sorted(FEW_BITS[library])))
    layer = replace(plain, kernel=kernel, bias=draw(st.sampled_from(("none", "float"))), activation=None)
    middle = draw(st.sampled_from(((), (Norm("bn"),), (Pool("max"), Norm("bn")), (Norm("bn"), Pool("max")))))
    after = draw(st.sampled_from((FORMATS["s1"], FORMATS["s8"], None)))
    edges = [draw(st.integers(1, 12)) for _ in range(draw(st.sampled_from((0, 1, 2, 2))))]
    channels = draw(st.sampled_from((3, 4, 8, 12, 20, 32)))
    steps = tuple(step for step in (FORMATS["s8"], layer, *middle, after) if step is not None)
    exact = draw(st.booleans())
    return Network(((*edges, channels),), steps, exact, draw(st.integers(0, 2**31 - 1)), pack_weights=True)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """One layer of any size with what may stand around it, or up to nine steps on small maps."""
    kind = draw(st.sampled_from(("combination", "layer", "network", "network")))
    options: dict[str, Any] = {
        "seed": draw(st.integers(0, 2**31 - 1)),
        "exact": draw(st.sampled_from((True, True, False))),
        "io_dtype": draw(st.sampled_from(("auto", "auto", "f32"))),
        "constant_time": draw(st.integers(0, 7)) == 0,
        "pack_weights": draw(st.booleans()),
    }
    edge, channels = (7, 40) if kind == "network" else (17, 100)
    rank = draw(st.sampled_from((1, 2, 3, 3, 3)))
    shape = (*(draw(st.integers(1, edge)) for _ in range(rank - 1)), draw(st.integers(1, channels)))
    if kind == "combination":
        return Network((shape,), draw(combinations()), **options)
    if kind == "layer":
        middle = draw(st.permutations((Norm("bn"), Pool("max"), Act("relu"))))
        drawn: list[Step] = [
            Quant(draw(st.sampled_from(SPELLINGS))),
            draw(layer_steps(100)),
            *middle[: draw(st.integers(0, 3))],
            *draw(st.lists(steps(8), max_size=1)),
            *(Quant(draw(st.sampled_from(SPELLINGS))) for _ in range(draw(st.integers(0, 1)))),
        ]
        return Network((shape,), tuple(drawn), **options)
    shapes = (shape, shape) if draw(st.integers(0, 3)) == 0 else (shape,)
    return Network(shapes, tuple(draw(st.lists(steps(40), min_size=2, max_size=9))), **options)
