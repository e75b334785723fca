"""Keras models as TensorFlow's converter writes them: int8 with every kind of boundary, floats, float16, islands; and
what is refused, all at once. Test material is made here: networks as small as their kind allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

import tensorflow as tf  # noqa: E402
from frontends.tflite import oracle  # noqa: E402

from dqnn.exporter.api import export  # noqa: E402
from dqnn.exporter.errors import ExportError  # noqa: E402
from dqnn.exporter.frontends import tflite  # noqa: E402
from dqnn.exporter.ir import ops  # noqa: E402
from dqnn.exporter.ir.types import F32, S8  # noqa: E402

layers = tf.keras.layers


def converted(
    model: Any, *, io: Any = tf.int8, weights: str = "int8", ops_set: tuple[Any, ...] = (), seed: int = 0
) -> bytes:
    """`weights`: int8 (with samples), float16, dynamic or float32."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0.05, 0.3, w.shape).astype(np.float32) ** (2 if "var" in v.name else 1)
                       for w, v in zip(model.get_weights(), model.weights, strict=True)])  # fmt: skip
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if weights == "int8":
        shapes = [(1, *tensor.shape[1:]) for tensor in model.inputs]
        converter.representative_dataset = lambda: (
            [rng.uniform(-1.0, 2.0, shape).astype(np.float32) for shape in shapes] for _ in range(30)
        )
        converter.target_spec.supported_ops = list(ops_set or (tf.lite.OpsSet.TFLITE_BUILTINS_INT8,))
        converter.inference_input_type = converter.inference_output_type = io
    return bytes(converter.convert())


def inverted_residuals() -> Any:
    """MobileNetV2: ReLU6, linear bottlenecks, a residual, a mean over the map."""
    x = inputs = layers.Input((12, 12, 3))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, "same", use_bias=False)(x)))
    for width, stride in ((8, 1), (12, 2)):
        y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(24, 1, use_bias=False)(x)))
        if stride == 2:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
        y = layers.DepthwiseConv2D(3, stride, "same" if stride == 1 else "valid", use_bias=False)(y)
        y = layers.BatchNormalization()(layers.Conv2D(width, 1, use_bias=False)(layers.ReLU(6.0)(y)))
        x = layers.Add()([x, y]) if stride == 1 else y
    x = layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def squeeze_and_excite() -> Any:
    """MobileNetV3: hard swish, and a gate for each channel."""
    x = inputs = layers.Input((10, 8, 3))
    x = layers.Conv2D(8, 3, 2, "same")(x)
    x = x * layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(8, 1)(layers.Conv2D(4, 1, activation="relu")(gate))
    x = layers.Multiply()([x, layers.ReLU(6.0)(gate + 3.0) * (1.0 / 6.0)])
    x = layers.Conv2D(4, 1, activation="sigmoid")(x)
    return tf.keras.Model(inputs, layers.Flatten()(x))


def up_and_down() -> Any:
    """A segmentation network: pools, transposed convolutions whose shapes the file computes, a concatenation."""
    inputs = layers.Input((8, 8, 2))
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    b = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(a))
    b = layers.Conv2DTranspose(4, 3, 2, "same")(b)
    c = layers.UpSampling2D(2)(layers.AveragePooling2D(2)(a))
    x = layers.Concatenate()([a, b, c])
    return tf.keras.Model(inputs, layers.Conv2D(3, 1, activation="tanh")(x))


def two_ends() -> Any:
    """Two inputs and two outputs, dense layers with leaky activations in between."""
    a, b = layers.Input((6,), name="first"), layers.Input((6,), name="second")
    x = layers.Concatenate()([layers.Dense(5)(a), layers.LeakyReLU(0.2)(layers.Dense(5)(b))])
    x = layers.Reshape((2, 5, 1))(x)
    x = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(3, 2)(x))
    return tf.keras.Model([a, b], [layers.Flatten()(x), layers.Dense(2)(layers.Flatten()(x))])


def one_dimension() -> Any:
    """A time series: 1D convolutions, which the converter makes two-dimensional."""
    inputs = layers.Input((20, 3))
    x = layers.Conv1D(6, 5, 2, activation="relu")(inputs)
    x = layers.SeparableConv1D(6, 3, padding="same")(layers.MaxPooling1D(2)(x))
    return tf.keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


NETWORKS: dict[str, Callable[[], Any]] = {
    "inverted_residuals": inverted_residuals,
    "squeeze_and_excite": squeeze_and_excite,
    "up_and_down": up_and_down,
    "two_ends": two_ends,
    "one_dimension": one_dimension,
}


@pytest.mark.parametrize(
    ("name", "io"),
    [*((name, "int8") for name in NETWORKS), ("two_ends", "uint8"), ("one_dimension", "uint8")],
)
def test_int8(name: str, io: str) -> None:
    content = converted(NETWORKS[name](), io=getattr(tf, io))
    graph = oracle.check(content, 12)
    assert all(isinstance(graph.types[end].fmt, S8) for end in (*graph.inputs, *graph.outputs))
    assert all(graph.ports[end].unsigned == (io == "uint8") for end in (*graph.inputs, *graph.outputs))


def test_int8_between_floats() -> None:
    """The file quantizes by division, half away from zero, also in the middle between two codes, where other roundings
    differ; its float outputs are equal too."""
    content = converted(two_ends(), io=tf.float32)
    graph = oracle.load(content)
    assert all(isinstance(graph.types[end].fmt, F32) for end in (*graph.inputs, *graph.outputs))
    steps = {node.inputs[0]: node.op.fmt.scale for node in graph.nodes if isinstance(node.op, ops.Quantize)}
    halves = np.arange(-40, 40, dtype=np.float32) + np.float32(0.5)
    ties = [np.resize(halves * np.float32(steps[x]), (60, 1, *graph.types[x].shape)) for x in graph.inputs]
    for inputs in (oracle.draw(content, 20, 1), ties):
        wanted = oracle.reference(content, inputs)
        for found in (oracle.evaluated(graph, inputs), oracle.interpreted(export(graph).blob, inputs)):
            for y, z in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(np.asarray(y, np.float32).reshape(z.shape), z)


@pytest.mark.parametrize(
    ("name", "weights"), [("inverted_residuals", "float16"), ("up_and_down", "float32"), ("two_ends", "float16")]
)
def test_floats(name: str, weights: str) -> None:
    oracle.check(converted(NETWORKS[name](), weights=weights), 3, tolerance=1e-5)


def island() -> Any:
    """SQUARE has no int8 kernel: the converter leaves it to floats."""
    inputs = layers.Input((6, 6, 2))
    x = tf.square(layers.Conv2D(4, 3)(inputs))
    return tf.keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Conv2D(4, 2)(x))))


def test_islands_of_floats() -> None:
    """A quantizer behind floats may differ where they round: by one step, in one of 200 values."""
    allowed = (tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS)
    content = converted(island(), ops_set=allowed)
    kinds = [operator.kind for operator in tflite.read_model(content).operators]
    assert "SQUARE" in kinds and "DEQUANTIZE" in kinds and "QUANTIZE" in kinds
    inputs = oracle.draw(content, 100, 2)
    wanted = oracle.reference(content, inputs)[0].astype(int)
    found = oracle.interpreted(export(tflite.load(content)).blob, inputs)[0].astype(int).reshape(wanted.shape)
    assert np.abs(found - wanted).max() <= 1 and np.count_nonzero(found != wanted) <= wanted.size / 200


# --- what is refused --------------------------------------------------------------------------------------------------


def problems(content: bytes) -> list[str]:
    with pytest.raises(ExportError) as caught:
        tflite.load(content)
    return [str(problem) for problem in caught.value.problems]


def test_dynamic_range_is_refused() -> None:
    inputs = layers.Input((64,))
    content = converted(tf.keras.Model(inputs, layers.Dense(64)(inputs)), weights="dynamic")
    [text] = problems(content)
    assert "dynamic range" in text and "representative dataset" in text


def test_all_problems_at_once() -> None:
    """Names of the file's own tensors, what was found and what to do."""
    inputs = layers.Input((8, 4), name="samples")
    two = tf.math.sin(layers.Flatten(name="flat")(inputs), name="wave")
    model = tf.keras.Model(inputs, [tf.math.cumsum(inputs, 1, name="running"), two, tf.argmax(inputs, 1, name="best")])
    found = problems(converted(model, weights="float32"))
    for kind in ("SIN", "CUMSUM", "ARG_MAX"):
        assert any(f"{kind} is not supported" in text for text in found), found
