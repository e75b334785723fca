"""Every supported layer, saved in each format, read back and evaluated: the graph computes what Keras computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frontends.keras.keras_models import agrees, readings, single

pytestmark = pytest.mark.tf

Case = tuple[str, Callable[[Any], Any], tuple[int, ...]]

KERAS: list[Case] = [
    ("dense", lambda k: k.Dense(5, activation="relu"), (7,)),
    ("dense without bias", lambda k: k.Dense(5, use_bias=False), (7,)),
    ("dense rank 3", lambda k: k.Dense(5), (4, 7)),
    ("dense rank 4", lambda k: k.Dense(5, activation="softmax"), (2, 4, 7)),
    ("dense rank 5", lambda k: k.Dense(5), (2, 3, 4, 7)),
    ("conv", lambda k: k.Conv2D(4, 3), (6, 5, 3)),
    ("conv same stride", lambda k: k.Conv2D(4, 3, strides=2, padding="same"), (6, 7, 3)),
    ("conv same even kernel", lambda k: k.Conv2D(4, (4, 2), strides=(2, 3), padding="same"), (7, 8, 3)),
    ("conv dilated", lambda k: k.Conv2D(4, 3, dilation_rate=2, padding="same"), (7, 8, 3)),
    ("conv groups", lambda k: k.Conv2D(6, 3, groups=3, padding="same"), (5, 5, 9)),
    ("conv 1D", lambda k: k.Conv1D(4, 3, strides=2, padding="same"), (9, 3)),
    ("conv 1D causal", lambda k: k.Conv1D(4, 3, dilation_rate=2, padding="causal"), (9, 3)),
    ("depthwise", lambda k: k.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (5, 6, 3)),
    ("depthwise strided", lambda k: k.DepthwiseConv2D(3, strides=2, padding="same"), (6, 6, 3)),
    ("depthwise dilated", lambda k: k.DepthwiseConv2D(2, dilation_rate=2), (6, 6, 3)),
    ("depthwise 1D", lambda k: k.DepthwiseConv1D(3, depth_multiplier=2), (8, 3)),
    ("separable", lambda k: k.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", strides=2), (6, 6, 3)),
    ("separable 1D", lambda k: k.SeparableConv1D(5, 3, padding="same", strides=2), (8, 3)),
    ("transposed", lambda k: k.Conv2DTranspose(4, 3), (4, 5, 3)),
    ("transposed stride 2 same", lambda k: k.Conv2DTranspose(4, 3, strides=2, padding="same"), (4, 5, 3)),
    ("transposed stride 2 valid", lambda k: k.Conv2DTranspose(4, 3, strides=2), (4, 5, 3)),
    ("transposed stride 3 of 2", lambda k: k.Conv2DTranspose(4, 2, strides=3), (4, 5, 3)),
    ("transposed stride 3 of 2 same", lambda k: k.Conv2DTranspose(4, 2, strides=3, padding="same"), (4, 5, 3)),
    ("transposed 4 stride 2 same", lambda k: k.Conv2DTranspose(4, 4, strides=2, padding="same"), (4, 5, 3)),
    ("transposed dilated", lambda k: k.Conv2DTranspose(4, 3, dilation_rate=2, padding="same"), (5, 5, 3)),
    (
        "transposed output padding",
        lambda k: k.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1),
        (4, 5, 3),
    ),
    (
        "transposed output padding valid",
        lambda k: k.Conv2DTranspose(4, 3, strides=3, output_padding=(2, 1)),
        (4, 5, 3),
    ),
    ("batch norm", lambda k: k.BatchNormalization(), (4, 5, 3)),
    ("batch norm rank 2", lambda k: k.BatchNormalization(scale=False, epsilon=0.1), (6,)),
    ("batch norm no center", lambda k: k.BatchNormalization(center=False), (4, 6)),
    *(
        (name, lambda k, name=name: k.Activation(name), (4, 5))
        for name in (
            "linear",
            "relu",
            "sigmoid",
            "hard_sigmoid",
            "tanh",
            "elu",
            "selu",
            "softplus",
            "softsign",
            "exponential",
            "gelu",
            "swish",
            "softmax",
            "mish",
        )
    ),
    ("relu", lambda k: k.ReLU(), (6,)),
    ("relu6", lambda k: k.ReLU(6.0), (6,)),
    ("relu leaky", lambda k: k.ReLU(negative_slope=0.2), (6,)),
    ("relu leaky capped", lambda k: k.ReLU(max_value=0.5, negative_slope=0.2), (6,)),
    ("relu threshold", lambda k: k.ReLU(threshold=0.3), (6,)),
    ("relu everything", lambda k: k.ReLU(max_value=1.0, negative_slope=0.25, threshold=0.5), (6,)),
    ("thresholded relu", lambda k: k.ThresholdedReLU(0.4), (6,)),
    ("leaky relu", lambda k: k.LeakyReLU(0.1), (6,)),
    ("prelu", lambda k: k.PReLU(), (4, 5, 3)),
    ("prelu shared", lambda k: k.PReLU(shared_axes=[1, 2]), (4, 5, 3)),
    ("prelu partly shared", lambda k: k.PReLU(shared_axes=[1]), (4, 5, 3)),
    ("prelu vector", lambda k: k.PReLU(), (5,)),
    ("elu", lambda k: k.ELU(0.7), (6,)),
    ("softmax", lambda k: k.Softmax(), (6,)),
    ("softmax axis 1", lambda k: k.Softmax(axis=1), (4, 5, 3)),
    ("max pool", lambda k: k.MaxPooling2D(2), (6, 7, 3)),
    ("max pool same overlapping", lambda k: k.MaxPooling2D(3, strides=2, padding="same"), (6, 7, 3)),
    ("max pool 1D", lambda k: k.MaxPooling1D(3, 2, padding="same"), (8, 3)),
    ("average pool", lambda k: k.AveragePooling2D((2, 3)), (6, 7, 3)),
    ("average pool same", lambda k: k.AveragePooling2D(3, strides=2, padding="same"), (6, 7, 3)),
    ("average pool 1D", lambda k: k.AveragePooling1D(3), (9, 3)),
    ("global average", lambda k: k.GlobalAveragePooling2D(), (4, 5, 3)),
    ("global average kept", lambda k: k.GlobalAveragePooling2D(keepdims=True), (4, 5, 3)),
    ("global max", lambda k: k.GlobalMaxPooling2D(), (4, 5, 3)),
    ("global average 1D", lambda k: k.GlobalAveragePooling1D(), (4, 3)),
    ("global max 1D kept", lambda k: k.GlobalMaxPooling1D(keepdims=True), (4, 3)),
    ("zero padding", lambda k: k.ZeroPadding2D(((1, 2), (0, 3))), (4, 5, 3)),
    ("zero padding pair", lambda k: k.ZeroPadding2D((1, 2)), (4, 5, 3)),
    ("zero padding 1D", lambda k: k.ZeroPadding1D((1, 2)), (4, 3)),
    ("cropping", lambda k: k.Cropping2D(((1, 2), (0, 3))), (5, 6, 3)),
    ("cropping 1D", lambda k: k.Cropping1D(1), (5, 3)),
    ("up-sampling", lambda k: k.UpSampling2D((2, 3)), (4, 5, 3)),
    ("up-sampling 1D", lambda k: k.UpSampling1D(3), (4, 3)),
    ("flatten", lambda k: k.Flatten(), (4, 5, 3)),
    ("reshape", lambda k: k.Reshape((-1, 6)), (4, 3)),
    ("permute", lambda k: k.Permute((3, 1, 2)), (4, 5, 3)),
    ("repeat vector", lambda k: k.RepeatVector(3), (5,)),
    ("rescaling", lambda k: k.Rescaling(1 / 255, -0.5), (4, 5, 3)),
    ("rescaling per channel", lambda k: k.Rescaling([1.0, 2.0, 3.0], [0.0, -1.0, 1.0]), (4, 5, 3)),
    ("normalization", lambda k: k.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 0.5]), (4, 3)),
    ("dropout", lambda k: k.Dropout(0.5), (5,)),
    ("spatial dropout", lambda k: k.SpatialDropout2D(0.5), (4, 5, 3)),
    ("gaussian noise", lambda k: k.GaussianNoise(0.5), (5,)),
    ("activity regularization", lambda k: k.ActivityRegularization(0.1), (5,)),
    ("activation as layer", lambda k: k.Dense(4, activation=k.LeakyReLU(0.2)), (5,)),
]


@pytest.mark.parametrize(("make", "shape"), [case[1:] for case in KERAS], ids=[case[0] for case in KERAS])
def test_keras(make: Callable[[Any], Any], shape: tuple[int, ...], tmp_path: Path) -> None:
    import tensorflow as tf

    model = single(make(tf.keras.layers), shape)
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


SIGN = {"kernel_quantizer": "ste_sign"}
BINARY = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign"}
LARQ: list[Case] = [
    ("dense", lambda q: q.QuantDense(5, **BINARY), (7,)),
    ("dense float input", lambda q: q.QuantDense(5, use_bias=True, **SIGN), (7,)),
    (
        "dense magnitude aware",
        lambda q: q.QuantDense(5, input_quantizer="ste_sign", kernel_quantizer="magnitude_aware_sign"),
        (7,),
    ),
    ("dense ternary", lambda q: q.QuantDense(5, input_quantizer="ste_tern", kernel_quantizer="ste_tern"), (3, 7)),
    ("dense heaviside", lambda q: q.QuantDense(5, input_quantizer="ste_heaviside", kernel_quantizer="ste_sign"), (7,)),
    ("dense activation", lambda q: q.QuantDense(5, activation="relu", **BINARY), (7,)),
    *(
        (
            f"conv same pad {pad}",
            lambda q, pad=pad: q.QuantConv2D(4, 3, padding="same", pad_values=pad, **BINARY),
            (5, 6, 3),
        )
        for pad in (-1, 0, 1, -1.0)
    ),
    ("conv strided pad 1", lambda q: q.QuantConv2D(4, 3, strides=2, padding="same", pad_values=1, **BINARY), (6, 7, 3)),
    (
        "conv pointwise strided pad 1",
        lambda q: q.QuantConv2D(4, 1, strides=2, padding="same", pad_values=1, **BINARY),
        (6, 7, 3),
    ),
    ("conv float input pad 0.5", lambda q: q.QuantConv2D(4, 3, padding="same", pad_values=0.5, **SIGN), (6, 7, 3)),
    ("conv valid pad 0.5", lambda q: q.QuantConv2D(4, 3, pad_values=0.5, **BINARY), (6, 7, 3)),
    ("conv groups", lambda q: q.QuantConv2D(4, 3, groups=2, padding="same", **BINARY), (5, 5, 6)),
    (
        "conv magnitude aware",
        lambda q: q.QuantConv2D(4, 3, input_quantizer="ste_sign", kernel_quantizer="magnitude_aware_sign"),
        (6, 7, 3),
    ),
    ("conv 1D", lambda q: q.QuantConv1D(4, 3, padding="same", pad_values=1, **BINARY), (7, 3)),
    ("transposed", lambda q: q.QuantConv2DTranspose(4, 3, strides=2, **BINARY), (4, 5, 3)),
    (
        "transposed same",
        lambda q: q.QuantConv2DTranspose(4, 3, strides=2, padding="same", use_bias=True, **BINARY),
        (4, 5, 3),
    ),
    (
        "transposed magnitude aware",
        lambda q: q.QuantConv2DTranspose(4, 3, kernel_quantizer="magnitude_aware_sign"),
        (4, 5, 3),
    ),
    (
        "depthwise",
        lambda q: q.QuantDepthwiseConv2D(
            3,
            depth_multiplier=2,
            padding="same",
            pad_values=1,
            input_quantizer="ste_sign",
            depthwise_quantizer="ste_sign",
        ),
        (5, 6, 3),
    ),
    (
        "depthwise magnitude aware",
        lambda q: q.QuantDepthwiseConv2D(
            3, depth_multiplier=2, input_quantizer="ste_sign", depthwise_quantizer="magnitude_aware_sign"
        ),
        (5, 6, 3),
    ),
    (
        "separable",
        lambda q: q.QuantSeparableConv2D(
            4,
            3,
            padding="same",
            input_quantizer="ste_sign",
            depthwise_quantizer="ste_sign",
            pointwise_quantizer="ste_sign",
        ),
        (5, 6, 3),
    ),
    (
        "separable 1D",
        lambda q: q.QuantSeparableConv1D(
            4, 3, input_quantizer="ste_sign", depthwise_quantizer="ste_sign", pointwise_quantizer="magnitude_aware_sign"
        ),
        (7, 3),
    ),
]


@pytest.mark.parametrize(("make", "shape"), [case[1:] for case in LARQ], ids=[case[0] for case in LARQ])
def test_larq(make: Callable[[Any], Any], shape: tuple[int, ...], tmp_path: Path) -> None:
    import larq

    model = single(make(larq.layers), shape)
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


def test_larq_dorefa(tmp_path: Path) -> None:
    import larq

    inside, kernel = larq.quantizers.DoReFa(8, mode="activations"), larq.quantizers.DoReFa(8, mode="weights")
    model = single(
        larq.layers.QuantConv2D(4, 3, input_quantizer=inside, kernel_quantizer=kernel, use_bias=False), (6, 6, 3)
    )
    for graph in readings(model, tmp_path).values():
        agrees(model, graph, 1e-2)  # TensorFlow's tanh may put a weight on the neighbouring level
        assert any(getattr(node.op, "weights", None) and node.op.weights.half for node in graph.nodes)


@pytest.mark.parametrize("name", ["SteSign", "ApproxSign", "SwishSign", "SteTern", "SteHeaviside"])
@pytest.mark.parametrize("how", ["layer", "Activation", "activation"])
def test_larq_quantizers_as_activations(name: str, how: str, tmp_path: Path) -> None:
    import larq
    import tensorflow as tf

    quantizer = getattr(larq.quantizers, name)()
    layers = {
        "layer": quantizer,
        "Activation": tf.keras.layers.Activation(quantizer),
        "activation": tf.keras.layers.Dense(5, activation=quantizer),
    }
    model = single(layers[how], (7,))
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


def q_bits(alpha: Any = 1) -> Any:
    import qkeras

    return qkeras.quantized_bits(8, 0, alpha=alpha)


def q_binary(alpha: Any = 1) -> Any:
    import qkeras

    return qkeras.binary(alpha=alpha)


QKERAS: list[Case] = [
    ("dense binary", lambda q: q.QDense(5, kernel_quantizer=q_binary(), bias_quantizer=q_binary()), (7,)),
    ("dense auto", lambda q: q.QDense(5, kernel_quantizer=q_binary("auto"), bias_quantizer=q_bits()), (7,)),
    ("dense trap", lambda q: q.QDense(5, kernel_quantizer="binary"), (7,)),
    ("dense trap bits", lambda q: q.QDense(5, kernel_quantizer=q.quantized_bits(8, 0)), (7,)),
    ("dense auto bits", lambda q: q.QDense(5, kernel_quantizer=q_bits("auto")), (3, 7)),
    ("dense float", lambda q: q.QDense(5), (7,)),
    ("dense activation", lambda q: q.QDense(5, kernel_quantizer=q_bits(), activation="quantized_relu(8, 2)"), (7,)),
    (
        "dense activation object",
        lambda q: q.QDense(5, kernel_quantizer=q_bits(), activation=q.quantized_relu(8, 2)),
        (7,),
    ),
    ("dense activation relu", lambda q: q.QDense(5, kernel_quantizer=q_bits(), activation="relu"), (7,)),
    ("dense activation hard_tanh", lambda q: q.QDense(5, kernel_quantizer=q_bits(), activation="hard_tanh"), (7,)),
    (
        "conv binary",
        lambda q: q.QConv2D(4, 3, padding="same", kernel_quantizer=q_binary(), bias_quantizer=q_bits()),
        (5, 6, 3),
    ),
    ("conv po2", lambda q: q.QConv2D(4, 3, strides=2, kernel_quantizer=q_bits("auto_po2")), (5, 6, 3)),
    ("conv groups", lambda q: q.QConv2D(4, 3, groups=2, kernel_quantizer=q_binary()), (5, 6, 6)),
    ("conv ternary", lambda q: q.QConv2D(4, 3, kernel_quantizer=q.ternary(alpha="auto_po2")), (5, 6, 3)),
    (
        "conv 16-bit bias",
        lambda q: q.QConv2D(4, 3, kernel_quantizer=q_bits(), bias_quantizer="quantized_bits(16,4,alpha=1)"),
        (5, 6, 3),
    ),
    ("conv 1D", lambda q: q.QConv1D(4, 3, padding="same", kernel_quantizer=q_bits("auto")), (8, 3)),
    (
        "depthwise",
        lambda q: q.QDepthwiseConv2D(3, depthwise_quantizer=q_binary("auto_po2"), bias_quantizer=q_bits()),
        (5, 6, 3),
    ),
    (
        "depthwise multiplier",
        lambda q: q.QDepthwiseConv2D(3, depth_multiplier=2, depthwise_quantizer=q_bits("auto")),
        (5, 6, 3),
    ),
    (
        "separable",
        lambda q: q.QSeparableConv2D(
            4, 3, depthwise_quantizer=q_bits("auto"), pointwise_quantizer=q_binary("auto_po2")
        ),
        (5, 6, 3),
    ),
    (
        "separable 1D",
        lambda q: q.QSeparableConv1D(4, 3, strides=2, depthwise_quantizer=q_bits("auto"), pointwise_quantizer=q_bits()),
        (8, 3),
    ),
    ("batch norm", lambda q: q.QBatchNormalization(), (4, 5, 3)),
    (
        "batch norm float",
        lambda q: q.QBatchNormalization(
            beta_quantizer=None, gamma_quantizer=None, mean_quantizer=None, variance_quantizer=None
        ),
        (4, 5, 3),
    ),
    (
        "batch norm bits",
        lambda q: q.QBatchNormalization(gamma_quantizer="quantized_bits(8,1)", beta_quantizer=q_bits()),
        (6,),
    ),
    ("average pool", lambda q: q.QAveragePooling2D(3, average_quantizer=q_bits(), activation=q_bits()), (6, 6, 3)),
    ("global average", lambda q: q.QGlobalAveragePooling2D(average_quantizer=q_bits()), (5, 6, 3)),
    (
        "conv batch norm",
        lambda q: q.QConv2DBatchnorm(4, 3, kernel_quantizer=q_bits(), bias_quantizer=q_bits()),
        (5, 6, 3),
    ),
    (
        "conv batch norm no bias",
        lambda q: q.QConv2DBatchnorm(4, 3, use_bias=False, kernel_quantizer=q_binary()),
        (5, 6, 3),
    ),
    (
        "depthwise batch norm",
        lambda q: q.QDepthwiseConv2DBatchnorm(3, depthwise_quantizer=q_bits(), bias_quantizer=q_bits()),
        (5, 6, 3),
    ),
]
STRINGS = [
    "binary",
    "binary(alpha=1)",
    "quantized_bits(8,0,1)",
    "quantized_bits( 8, 2, alpha=1 )",
    "quantized_relu(8)",
    "quantized_tanh(8)",
    "quantized_sigmoid(8)",
    "ternary(alpha=1)",
    "relu",
    "hard_sigmoid",
    "hard_tanh",
    "smooth_sigmoid",
    "tanh",
    "stochastic_binary",
]
# Keras saves the Batchnorm layers' variables by name only in .h5; their .keras form nests a layer.
H5_ONLY: tuple[str, ...] = ()


@pytest.mark.parametrize(("make", "shape"), [case[1:] for case in QKERAS], ids=[case[0] for case in QKERAS])
def test_qkeras(make: Callable[[Any], Any], shape: tuple[int, ...], tmp_path: Path) -> None:
    import qkeras

    model = single(make(qkeras), shape)
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


@pytest.mark.parametrize("text", STRINGS)
@pytest.mark.parametrize("how", ["string", "object"])
def test_qactivation(text: str, how: str, tmp_path: Path) -> None:
    import qkeras

    if how == "object" and text in ("relu", "tanh"):
        pytest.skip("Keras functions are strings")
    model = single(qkeras.QActivation(text if how == "string" else qkeras.get_quantizer(text)), (50,))
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


@pytest.mark.parametrize("text", ["hard_tanh", "smooth_sigmoid", "smooth_tanh"])
def test_functions_of_qkeras_in_keras_layers(text: str, tmp_path: Path) -> None:
    import qkeras
    import tensorflow as tf

    model = single(tf.keras.layers.Dense(5, activation=qkeras.get_quantizer(text)), (50,))
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


def test_qconv2d_transpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QKeras' layer crashes on TensorFlow 2.15, and so does loading such a file; reading it does not need the layer."""
    import qkeras
    import tensorflow as tf
    from tensorflow.python.ops import array_ops

    monkeypatch.setattr(array_ops, "stack", tf.stack, raising=False)
    for arguments in ({}, {"strides": 2, "padding": "same"}, {"strides": (2, 3)}):
        model = single(qkeras.QConv2DTranspose(4, 3, kernel_quantizer=q_binary(), **arguments), (4, 5, 3))
        for graph in readings(model, tmp_path).values():
            agrees(model, graph)
