"""Random layers: a configuration, the hypothesis strategy that draws it, the functional Keras model it means, and the
comparison with Keras. `random_search.py` draws thousands of them; `random_nets.py` draws whole networks."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import larq as lq
import numpy as np
import qkeras
import tensorflow as tf
from compare import Array, KerasRefuses, Outcome, agrees, randomize, run_keras, run_variants
from hypothesis import strategies as st

import dqnn
from dqnn.exporter.errors import DqnnError

layers = tf.keras.layers


@dataclass(frozen=True)
class Config:
    """One layer with what stands before and after it."""

    library: str  # larq, qkeras
    kind: str  # conv, dense, depthwise, transposed, separable
    shape: tuple[int, ...]
    units: int
    input: str | None
    kernel: str | None
    bias: str | None  # none, float, or a QKeras quantizer
    size: tuple[int, int] = (1, 1)
    strides: int = 1
    dilation: int = 1
    groups: int = 1
    multiplier: int = 1
    padding: str = "valid"
    pad_values: float = 0.0
    pool: str | None = None  # before_bn, after_bn
    batch_norm: bool = False
    activation: str | None = None
    output: str | None = None
    seed: int = 0
    tail: tuple[str, ...] = field(default=())


LARQ_INPUTS = (None, "ste_sign", "ste_sign", "ste_sign", "approx_sign", "dorefa")
LARQ_KERNELS = ("ste_sign", "ste_sign", "ste_sign", "magnitude_aware_sign", "dorefa", "ste_tern", None)
QKERAS_INPUTS = (
    None,
    "binary(alpha=1)",
    "binary(alpha=1)",
    "quantized_bits(8,0,alpha=1)",
    "quantized_bits(8,2,alpha=1)",
    "quantized_relu(8,0)",
    "ternary(alpha=1)",
    "quantized_relu(3,1)",
    "quantized_bits(5,1,alpha=1)",
)
QKERAS_KERNELS = (
    "binary(alpha=1)",
    "binary(alpha=1)",
    "binary(alpha='auto')",
    "binary(alpha='auto_po2')",
    "binary(alpha=0.5)",
    "stochastic_binary(alpha=1)",
    "quantized_bits(8,0,alpha=1)",
    "quantized_bits(8,0,alpha='auto')",
    "quantized_bits(8,0,alpha='auto_po2')",
    "quantized_bits(4,0,alpha='auto_po2')",
    "quantized_bits(6,1,alpha=1)",
    "ternary(alpha=1)",
    None,
)
QKERAS_BIASES = ("none", "float", "binary(alpha=1)", "quantized_bits(8,1,alpha=1)")
OUTPUTS = (
    None,
    "binary(alpha=1)",
    "binary(alpha=1)",
    "quantized_bits(8,2,alpha=1)",
    "quantized_relu(8,2)",
    "quantized_tanh(8)",
    "quantized_relu(4,1)",
)
ACTIVATIONS = (None, None, None, "relu", "leaky_relu", "relu6", "tanh", "prelu")


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any layer that Keras can build: sizes 1-17, channels 1-100, kernels 1-5."""
    library = draw(st.sampled_from(("larq", "qkeras")))
    kind = draw(st.sampled_from(("conv", "conv", "conv", "conv", "dense", "depthwise", "transposed", "separable")))
    size = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    padding = draw(st.sampled_from(("valid", "same")))
    strides = draw(st.sampled_from((1, 1, 2, 3)))
    dilation = draw(st.sampled_from((1, 1, 2, 3))) if strides == 1 and kind in ("conv", "depthwise") else 1
    if kind in ("depthwise", "separable"):
        size = (size[0], size[0])
    least = [(k - 1) * dilation + 1 if padding == "valid" and kind not in ("dense", "transposed") else 1 for k in size]
    height, width = (draw(st.integers(min(n, 17), 17)) for n in least)
    if kind == "depthwise" and strides > 1:
        width = height
    channels = draw(st.one_of(st.integers(1, 100), st.sampled_from((32, 64, 96))))
    units = draw(st.one_of(st.integers(1, 100), st.sampled_from((32, 64))))
    groups = 1
    if kind == "conv" and draw(st.integers(0, 24)) == 0:
        groups = draw(st.sampled_from((2, 3)))
        channels, units = max(1, channels // groups) * groups, max(1, units // groups) * groups
    shape: tuple[int, ...] = (height, width, channels)
    if kind == "dense":
        shape = draw(st.sampled_from(((channels,), (height, channels), (height, width, channels))))
    valid_map = kind != "dense"
    input_quantizer = draw(st.sampled_from(LARQ_INPUTS if library == "larq" else QKERAS_INPUTS))
    return Config(
        library=library, kind=kind, shape=shape, units=units, input=input_quantizer,
        kernel=draw(st.sampled_from(LARQ_KERNELS if library == "larq" else QKERAS_KERNELS)),
        bias=draw(st.sampled_from(("none", "none", "float") if library == "larq" else QKERAS_BIASES)),
        size=size, strides=strides, dilation=dilation, groups=groups,
        multiplier=draw(st.sampled_from((1, 1, 1, 2, 3))) if kind == "depthwise" else 1,
        padding=padding, pad_values=draw(st.sampled_from((0.0, 1.0, -1.0))) if kind != "transposed" else 0.0,
        pool=draw(st.sampled_from((None, None, "before_bn", "after_bn"))) if valid_map else None,
        batch_norm=draw(st.booleans()), activation=draw(st.sampled_from(ACTIVATIONS)),
        output=draw(st.sampled_from(OUTPUTS)),
        seed=draw(st.integers(0, 2**31 - 1)),
    )  # fmt: skip


def build(config: Config) -> tuple[Any, Any]:
    """(the model, the model that stops before the output quantizer)."""
    tf.keras.utils.set_random_seed(config.seed % 2**31)
    x = inputs = layers.Input(config.shape)
    if config.library == "qkeras" and config.input:
        x = qkeras.QActivation(config.input)(x)
    x = _layer(config)(x)
    if config.pool == "before_bn":
        x = layers.MaxPool2D(2, 2, padding="same")(x) if config.seed % 3 == 0 else _valid_pool(x)
    x = layers.BatchNormalization(scale=bool(config.seed % 2))(x) if config.batch_norm else x
    if config.pool == "after_bn":
        x = _valid_pool(x)
    x = _activation(config.activation, x)
    before = x
    if config.output:
        x = qkeras.QActivation(config.output)(x)
    model, shorter = tf.keras.Model(inputs, x), tf.keras.Model(inputs, before)
    randomize(model, config.seed)
    _randomize_biases(model, config.seed)
    return model, shorter


def _valid_pool(x: Any) -> Any:
    return layers.MaxPool2D(2, 2)(x) if min(x.shape[1:3]) >= 2 else x


def _activation(name: str | None, x: Any) -> Any:
    if name == "leaky_relu":
        return layers.LeakyReLU(0.3)(x)
    if name == "relu6":
        return layers.ReLU(6.0)(x)
    if name == "prelu":
        return layers.PReLU(
            alpha_initializer=tf.keras.initializers.RandomUniform(-0.5, 0.5, seed=1),
            shared_axes=list(range(1, len(x.shape) - 1)) or None,
        )(x)
    return layers.Activation(name)(x) if name else x


def _larq_quantizer(name: str | None, mode: str) -> Any:
    return lq.quantizers.DoReFa(k_bit=8, mode=mode) if name == "dorefa" else name


def _layer(config: Config) -> Any:
    common: dict[str, Any] = {"use_bias": config.bias != "none"}
    spatial: dict[str, Any] = {"padding": config.padding, "strides": config.strides}
    if config.library == "larq":
        return _larq_layer(config, common, spatial)
    kernel = config.kernel
    common["bias_quantizer"] = config.bias if config.bias not in ("none", "float") else None
    if config.kind == "dense":
        return qkeras.QDense(config.units, kernel_quantizer=kernel, **common)
    if config.kind == "conv":
        return qkeras.QConv2D(
            config.units,
            config.size,
            kernel_quantizer=kernel,
            dilation_rate=config.dilation,
            groups=config.groups,
            **common,
            **spatial,
        )
    if config.kind == "depthwise":
        return qkeras.QDepthwiseConv2D(
            config.size,
            depthwise_quantizer=kernel,
            depth_multiplier=config.multiplier,
            dilation_rate=config.dilation,
            **common,
            **spatial,
        )
    if config.kind == "separable":
        return qkeras.QSeparableConv2D(
            config.units, config.size, depthwise_quantizer=kernel, pointwise_quantizer=kernel, **common, **spatial
        )
    return qkeras.QConv2DTranspose(config.units, config.size, kernel_quantizer=kernel, **common, **spatial)


def _larq_layer(config: Config, common: dict[str, Any], spatial: dict[str, Any]) -> Any:
    kernel = _larq_quantizer(config.kernel, "weights")
    common = {**common, "input_quantizer": _larq_quantizer(config.input, "activations")}
    if config.kind == "dense":
        return lq.layers.QuantDense(config.units, kernel_quantizer=kernel, **common)
    if config.kind == "transposed":
        return lq.layers.QuantConv2DTranspose(config.units, config.size, kernel_quantizer=kernel, **common, **spatial)
    padded = {**spatial, "pad_values": config.pad_values}
    if config.kind == "conv":
        return lq.layers.QuantConv2D(
            config.units,
            config.size,
            kernel_quantizer=kernel,
            dilation_rate=config.dilation,
            groups=config.groups,
            **common,
            **padded,
        )
    if config.kind == "depthwise":
        return lq.layers.QuantDepthwiseConv2D(
            config.size,
            depthwise_quantizer=kernel,
            depth_multiplier=config.multiplier,
            dilation_rate=config.dilation,
            **common,
            **padded,
        )
    return lq.layers.QuantSeparableConv2D(
        config.units, config.size, depthwise_quantizer=kernel, pointwise_quantizer=kernel, **common, **padded
    )


def _randomize_biases(model: Any, number: int) -> None:
    rng = np.random.default_rng(number + 1)
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            weights = layer.get_weights()
            weights[-1] = rng.uniform(-2.0, 2.0, weights[-1].shape).astype(np.float32)
            layer.set_weights(weights)


STEPS = {
    "quantized_bits(8,2,alpha=1)": 2.0**-5,
    "quantized_relu(8,2)": 2.0**-6,
    "quantized_tanh(8)": 2.0**-7,
    "quantized_relu(4,1)": 2.0**-3,
}


def check(config: Config) -> Outcome:
    """Builds, exports, runs and compares one configuration. Raises KerasRefuses."""
    try:
        model, shorter = build(config)
    except Exception as error:
        raise KerasRefuses(f"{type(error).__name__}: {str(error).splitlines()[0][:80]}") from error
    if 0 in tuple(model.output_shape[1:]):
        raise KerasRefuses("an empty map")
    x = np.random.default_rng(config.seed).uniform(-1.5, 1.5, (3, *config.shape)).astype(np.float32)
    try:
        result = dqnn.export(model)
    except DqnnError as error:
        return Outcome("refused", str(error))
    outputs, wrong = run_variants(result.blob, [x])
    if wrong:
        return Outcome("differs", f"{wrong} gives other bits than ref")
    ours = outputs[0]
    if config.seed % 10 < len(FILES) and not _same_from_file(model, FILES[config.seed % 10], result.blob):
        return Outcome("differs", f"the export of its {FILES[config.seed % 10]} file is another")
    keras, before = run_keras(model, [x])[0], run_keras(shorter, [x])[0]
    if ours.shape != keras.shape:
        return Outcome("differs", f"shape {ours.shape}, Keras {keras.shape}")
    if config.output is None:
        error = float(np.abs(ours - keras).max(initial=0.0))
        allowed = 1e-5 * max(float(np.abs(keras).max(initial=0.0)), 1e-3) + _sum_rounding(config)
        if error > allowed:
            return Outcome("differs", f"error {error:.3g}, allowed {allowed:.3g}")
        return agrees(result.report, keras.size, keras.size)
    flipped = ours != keras
    unexplained = flipped & ~_near_decision(config, before)
    if unexplained.any():
        return Outcome("differs", f"{int(unexplained.sum())} of {flipped.size} elements")
    return agrees(result.report, flipped.size - int(flipped.sum()), flipped.size)


FILES = (".h5", ".keras")


def _same_from_file(model: Any, suffix: str, blob: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        try:
            model.save(path)
        except Exception as error:
            raise KerasRefuses(f"cannot save: {type(error).__name__}") from error
        return dqnn.export(path).blob == blob


def _sum_rounding(config: Config) -> float:
    """What two orders of a float sum of K terms up to 1.5 may differ by, where an activation bounds its output and
    hides how large the sum was: half a unit in the last place of a term, K times."""
    # DoReFa activations are k/255, k >= 0: around a pad value of -1 the layer works on f32
    foreign = config.input == "dorefa" and config.pad_values == -1.0
    floats = config.input is None or config.kernel is None or foreign
    if not floats or config.activation not in ("tanh", "relu6"):
        return 0.0
    taps = 1 if config.kind == "dense" else config.size[0] * config.size[1]
    return 2.0**-24 * 1.5 * taps * config.shape[-1]


def _near_decision(config: Config, before: Array) -> Array:
    """Where Keras' pre-activation lies within float32 rounding of a decision of the output quantizer."""
    slack = 4e-6 * max(float(np.abs(before).max(initial=0.0)), 1e-3)
    if config.output == "binary(alpha=1)":
        return np.abs(before) <= slack
    steps = before / STEPS[config.output or ""]
    return np.abs(steps - np.floor(steps) - 0.5) <= np.maximum(slack / STEPS[config.output or ""], 1e-5 * np.abs(steps))


def patch_transposed() -> None:
    """QConv2DTranspose needs an attribute that TF 2.15 no longer has."""
    from tensorflow.python.ops import array_ops

    array_ops.stack = tf.stack
