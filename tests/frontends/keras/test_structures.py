"""Models that are more than a chain: nested, shared, several inputs and outputs, operators on tensors; weights read
back identically."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frontends.keras.keras_models import agrees, randomize, readings, weights_of

from dqnn.exporter.errors import UnreadableModel
from dqnn.exporter.frontends import load
from dqnn.exporter.ir.evaluate import evaluate

needs_tf = pytest.mark.tf


def nested_sequential(keras: Any) -> Any:
    layers = keras.layers
    head = keras.Sequential(
        [layers.Dense(4, name="a"), layers.BatchNormalization(name="b"), layers.Dense(3, name="c")], name="head"
    )
    x = keras.Input((8,), name="x")
    return keras.Model(x, head(layers.Dense(6, name="a")(x)), name="outer")


def nested_functional(keras: Any) -> Any:
    layers = keras.layers
    y = keras.Input((8,))
    inner = keras.Model(y, layers.Dense(3, name="a")(layers.Dense(5, activation="relu", name="d")(y)), name="inner")
    z = keras.Input((8,))
    middle = keras.Model(z, layers.Dense(8, name="e")(inner(layers.Dense(8, name="b")(z))), name="middle")
    x = keras.Input((8,))
    return keras.Model(x, layers.Dense(2, name="a")(middle(x)))


def same_names_at_every_depth(keras: Any) -> Any:
    layers = keras.layers
    y = keras.Input((8,))
    inner = keras.Model(y, layers.Dense(8, name="a")(y), name="inner")
    z = keras.Input((8,))
    middle = keras.Model(z, layers.Dense(8, name="a")(inner(layers.Dense(8, name="b")(z))), name="middle")
    x = keras.Input((8,))
    return keras.Model(x, layers.Dense(8, name="a")(middle(x)))


def nested_in_sequential(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([layers.Conv2D(3, 3), layers.ReLU()], name="inner")
    deeper = keras.Sequential([inner, layers.BatchNormalization(), layers.Flatten()], name="deeper")
    return keras.Sequential([keras.Input((6, 6, 2)), deeper, layers.Dense(3), layers.Dense(2)])


def sequential_without_input(keras: Any) -> Any:
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    model.build((None, 5))
    return model


def shared(keras: Any) -> Any:
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    layer = keras.layers.Dense(4, name="shared")
    return keras.Model([a, b], keras.layers.Subtract()([layer(a), layer(b)]))


def shared_nested(keras: Any) -> Any:
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    tower = keras.Sequential([keras.layers.Dense(4), keras.layers.ReLU(), keras.layers.Dense(3)], name="tower")
    outs = [tower(a), tower(b)]
    return keras.Model([a, b], [keras.layers.Subtract()(outs), outs[1]])


def shared_functional(keras: Any) -> Any:
    y = keras.Input((8,))
    tower = keras.Model(y, keras.layers.Dense(3)(y), name="tower")
    a, b, c = (keras.Input((8,), name=name) for name in "abc")
    outs = [tower(a), tower(b), tower(c)]
    return keras.Model([a, b, c], [outs[2], keras.layers.Concatenate()([outs[1], outs[0]])])


def several_in_and_out_nested(keras: Any) -> Any:
    p, q = keras.Input((4,)), keras.Input((4,))
    inner = keras.Model([p, q], [keras.layers.Add()([p, q]), keras.layers.Dense(2)(p)], name="inner")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    s, d = inner([b, a])
    return keras.Model([a, b], [d, s, keras.layers.Dense(3)(s)])


def merges(keras: Any) -> Any:
    layers = keras.layers
    a, b, c = (keras.Input((4, 5, 3), name=name) for name in "abc")
    v = keras.Input((3,), name="v")
    outs = [
        layers.Add()([a, b, c]),
        layers.Multiply()([a, b]),
        layers.Average()([a, b, c]),
        layers.Maximum()([a, b, c]),
        layers.Minimum()([a, b]),
        layers.Concatenate()([a, b, c]),
        layers.Concatenate(axis=1)([a, b]),
        layers.Concatenate(axis=-2)([a, b]),
        layers.Multiply()([a, v]),
        layers.Multiply()([a, layers.GlobalAveragePooling2D(keepdims=True)(b)]),
    ]
    return keras.Model([a, b, c, v], outs)


def operators(keras: Any) -> Any:
    import tensorflow as tf

    x = keras.Input((4, 6, 3))
    y = keras.Input((4, 6, 3))
    outs = [
        x * 2.0 + y,
        1.0 - x,
        x / 2.0 - y * y,
        -x,
        tf.nn.relu(x),
        tf.nn.relu6(x * 4.0),
        tf.clip_by_value(x, -0.5, 0.5),
        tf.sign(x),
        tf.maximum(x, 0.25),
        tf.minimum(x, y),
        x * tf.constant([1.0, 2.0, 3.0]),
        tf.square(x),
        x**2,
        tf.abs(x),
        tf.sigmoid(x),
        tf.nn.leaky_relu(x, 0.1),
        tf.nn.softmax(x),
        tf.nn.softmax(x, axis=1),
        tf.reduce_mean(x, axis=[1, 2]),
        tf.reduce_mean(x, axis=[1, 2], keepdims=True),
        tf.reduce_max(x, axis=[1, 2]),
        tf.reshape(x, [-1, 24, 3]),
        tf.transpose(x, [0, 2, 1, 3]),
        tf.concat([x, y], axis=-1),
        tf.pad(x, [[0, 0], [1, 0], [2, 1], [0, 0]]),
        x[:, 1:3],
        x[:, :, :, ::2],
        x[:, :, -1],
        tf.expand_dims(x[:, 0], 1),
        tf.squeeze(x[:, :1], 1),
        tf.cast(x, tf.float32),
    ]
    return keras.Model([x, y], outs)


def ellipsis(keras: Any) -> Any:
    x = keras.Input((4, 6, 3))
    return keras.Model(x, [x[..., ::2], x[:, 0, ..., 1:], x[..., 0, :]])


def outputs_of_inputs(keras: Any) -> Any:
    """An input that is an output, and one value that is two outputs."""
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, name="y")(x)
    return keras.Model(x, [x, y, y])


def unused_branch(keras: Any) -> Any:
    x = keras.Input((4,), name="x")
    y, z = keras.Input((3,), name="y"), keras.layers.Dense(3)(x)
    return keras.Model([x, y], z)


MODELS = [
    nested_sequential,
    nested_functional,
    nested_in_sequential,
    sequential_without_input,
    shared,
    shared_nested,
    shared_functional,
    several_in_and_out_nested,
    merges,
    operators,
    outputs_of_inputs,
    unused_branch,
    same_names_at_every_depth,
    ellipsis,
]
# What Keras itself cannot save: .h5 has one namespace per outer layer, .keras has no form for an ellipsis.
UNSAVABLE = {"same_names_at_every_depth": ("h5",), "ellipsis": ("keras",)}


def formats(make: Callable[[Any], Any]) -> tuple[str, ...]:
    return tuple(name for name in ("h5", "keras", "memory") if name not in UNSAVABLE.get(make.__name__, ()))


@needs_tf
@pytest.mark.parametrize("make", MODELS)
def test_structure(make: Callable[[Any], Any], tmp_path: Path) -> None:
    import tensorflow as tf

    model = randomize(make(tf.keras))
    for graph in readings(model, tmp_path, formats(make)).values():
        agrees(model, graph)
        assert len(graph.inputs) == len(model.inputs)
        assert len(set(graph.outputs)) == len(model.outputs)
        assert not set(graph.inputs) & set(graph.outputs)


@needs_tf
@pytest.mark.parametrize("make", MODELS)
def test_weights_are_identical_in_every_form(make: Callable[[Any], Any], tmp_path: Path) -> None:
    import tensorflow as tf

    model = randomize(make(tf.keras))
    wanted = weights_of(model)
    assert sum(array.size for arrays in wanted.values() for array in arrays) == model.count_params()
    for name in formats(make)[:-1]:
        path = tmp_path / f"model.{name}"
        model.save(path)
        found = weights_of(path)
        assert found.keys() == wanted.keys()
        for layer, arrays in wanted.items():
            for ours, theirs in zip(found[layer], arrays, strict=True):
                np.testing.assert_array_equal(ours, theirs)


@needs_tf
def test_names_of_layers_and_ports(tmp_path: Path) -> None:
    import tensorflow as tf

    graph = readings(nested_sequential(tf.keras), tmp_path)["keras"]
    assert [node.layers for node in graph.nodes] == [("a",), ("head/a",), ("head/b",), ("head/c",)]
    assert [graph.ports[name].name for name in (*graph.inputs, *graph.outputs)] == ["x", "head"]
    assert graph.name == "outer"


@needs_tf
def test_frozen_layers_keep_their_weights(tmp_path: Path) -> None:
    """Frozen layers' arrays stand behind all trainable ones in a nested model's .h5 group."""
    import tensorflow as tf

    model = randomize(nested_functional(tf.keras))
    model.get_layer("middle").get_layer("inner").get_layer("d").trainable = False
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


@needs_tf
def test_many_layers_exceed_one_attribute(tmp_path: Path) -> None:
    """Keras cuts the list of names into several attributes where HDF5 limits their size."""
    import tensorflow as tf

    long = "x" * 400
    layers = [tf.keras.layers.BatchNormalization(name=f"{long}{i}") for i in range(45)]
    inner = tf.keras.Sequential([tf.keras.Input((3,)), *layers], name="inner")
    model = randomize(tf.keras.Sequential([tf.keras.Input((3,)), inner]))
    for graph in readings(model, tmp_path, ("h5",)).values():
        agrees(model, graph, 1e-3)


def mixed(keras: Any) -> Any:
    """Larq and QKeras in one model, with every spelling of a quantizer."""
    import larq
    import qkeras

    layers = keras.layers
    x = keras.Input((8, 8, 2))
    y = qkeras.QActivation("quantized_bits(8, 2, alpha=1)")(x)
    y = qkeras.QConv2D(6, 3, padding="same", kernel_quantizer=qkeras.binary(alpha=1), use_bias=False)(y)
    y = layers.BatchNormalization()(y)
    z = larq.layers.QuantConv2D(
        6, 3, padding="same", pad_values=1, input_quantizer="ste_sign", kernel_quantizer=larq.quantizers.SteSign()
    )(y)
    z = layers.BatchNormalization()(layers.MaxPooling2D(2)(z))
    y = larq.layers.QuantDepthwiseConv2D(
        3, strides=2, padding="same", input_quantizer=larq.quantizers.ApproxSign(), depthwise_quantizer="ste_sign"
    )(y)
    y = layers.Add()([y, z])
    y = qkeras.QActivation(qkeras.binary(alpha=1))(y)
    y = layers.Flatten()(y)
    y = qkeras.QDense(
        10,
        kernel_quantizer=qkeras.quantized_bits(8, 0, alpha=1),
        bias_quantizer="quantized_bits(8,0,alpha=1)",
        activation=qkeras.quantized_relu(8, 3),
    )(y)
    return keras.Model(x, layers.Dense(4, activation="softmax")(y))


@needs_tf
def test_mixed_libraries(tmp_path: Path) -> None:
    import tensorflow as tf

    model = randomize(mixed(tf.keras))
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


@needs_tf
def test_files_that_the_libraries_cannot_load(tmp_path: Path) -> None:
    """A Sequential in a Sequential with quantizer objects saves, but Keras cannot load it again."""
    import qkeras
    import tensorflow as tf

    inner = tf.keras.Sequential(
        [qkeras.QActivation(qkeras.binary(alpha=1)), qkeras.QDense(4, kernel_quantizer=qkeras.binary(alpha=1))]
    )
    model = randomize(tf.keras.Sequential([tf.keras.Input((7,)), inner]))
    model.save(tmp_path / "model.h5")
    with pytest.raises(Exception, match=r"."):
        tf.keras.models.load_model(
            tmp_path / "model.h5", custom_objects={"QDense": qkeras.QDense, "QActivation": qkeras.QActivation}
        )
    for graph in readings(model, tmp_path).values():
        agrees(model, graph)


def test_larq_introduction_network(digits: Path) -> None:
    """The committed example: identical weights in both files."""
    h5, archive = weights_of(digits / "digits_larq.h5"), weights_of(digits / "digits_larq.keras")
    assert h5.keys() == archive.keys()
    for layer, arrays in h5.items():
        for ours, theirs in zip(arrays, archive[layer], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    kinds = [type(node.op).__name__ for node in load(digits / "digits_larq.h5").nodes]
    assert kinds.count("Conv2D") == 3
    assert kinds.count("Dense") == 2


@needs_tf
def test_subclassed_models_are_refused() -> None:
    import tensorflow as tf

    class Own(tf.keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UnreadableModel, match="accepted: Sequential and Functional"):
        load(Own())


def test_keras_213_file() -> None:
    """Keras 2.13 counts every layer with weights twice among the groups of an archive, nested ones too."""
    data = Path(__file__).parent / "data"
    arrays = np.load(data / "keras213.npz")
    found = evaluate(load(data / "keras213.keras"), [arrays["x"]]).outputs[0]
    np.testing.assert_allclose(found, arrays["y"], atol=1e-5)


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_keras_3_files(form: str) -> None:
    """Files of Keras 3 hold other node lists, names, dtypes and defaults; outputs were computed by Keras 3."""
    data = Path(__file__).parent / "data"
    arrays = np.load(data / "keras3.npz")
    found = evaluate(load(data / f"keras3.{form}"), [arrays["x0"], arrays["x1"]]).outputs
    for ours, theirs in zip(found, (arrays["y0"], arrays["y1"]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
