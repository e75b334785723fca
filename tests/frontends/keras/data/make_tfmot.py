"""Wrote tfmot_*.h5, tfmot_*.keras and tfmot.npz with tensorflow-model-optimization 0.8.1 beside TensorFlow 2.15.

The toolkit takes tf_keras for Keras, and mixes it up with the `keras` that tf.keras is there: only a process in which
the two are one can make such models, which is why the files are kept. python make_tfmot.py"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras

sys.modules["tf_keras"] = keras
import numpy as np  # noqa: E402
import tensorflow_model_optimization as tfmot  # noqa: E402

HERE = Path(__file__).parent
layers = keras.layers
DRAW = np.random.default_rng(3)


def chain() -> Any:
    """Fused and lone batch norms, activations as layers and as arguments, a softmax behind logits."""
    return keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(8, 3, padding="same", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(6.0, name="relu6"),
            layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu", name="depthwise"),
            layers.Conv2D(6, 1, name="pointwise"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(7, activation="relu", name="dense"),
            layers.Dense(4, activation="softmax", name="scores"),
        ]
    )


def branches() -> Any:
    """Add, Concatenate, a transposed convolution, an average and a lone activation."""
    x = image = layers.Input((8, 8, 3))
    a = layers.Conv2D(4, 3, padding="same", activation="relu", name="a")(x)
    b = layers.Conv2D(4, 1, name="b")(x)
    both = layers.Add(name="add")([a, b])
    up = layers.Conv2DTranspose(3, 2, strides=2, name="up")(both)
    down = layers.AveragePooling2D(2, name="down")(up)
    joined = layers.Activation("relu", name="act")(layers.Concatenate(name="join")([both, down]))
    return keras.Model(image, layers.Dense(3, name="out")(layers.GlobalAveragePooling2D(name="mean")(joined)))


def train(model: Any) -> Any:
    """Ranges and batch norms away from where they begin."""
    shape = model.output_shape[1:]
    model.compile("adam", "mse")
    model.fit(DRAW.normal(size=(64, 8, 8, 3)), DRAW.normal(size=(64, *shape)), epochs=3, verbose=0)
    return model


def pruned() -> Any:
    prune = tfmot.sparsity.keras.prune_low_magnitude
    inside = [prune(layers.Conv2D(4, 3, activation="relu")), layers.Flatten(), prune(layers.Dense(5)), layers.Dense(3)]
    model = keras.Sequential([layers.Input((8, 8, 3)), *inside])
    model.compile("adam", "mse")
    x, y = DRAW.normal(size=(64, 8, 8, 3)), DRAW.normal(size=(64, 3))
    model.fit(x, y, epochs=2, verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    return model


def main() -> None:
    quantize = tfmot.quantization.keras.quantize_model
    models = {"chain": train(quantize(chain())), "branches": train(quantize(branches())), "pruned": pruned()}
    x = DRAW.normal(size=(32, 8, 8, 3)).astype(np.float32)
    arrays = {"x": x}
    for name, model in models.items():
        model.optimizer = None  # its moments are no part of the network
        for form in ("h5", "keras"):
            path = HERE / f"tfmot_{name}.{form}"
            model.save(path)
        arrays[name] = model.predict(x, verbose=0)
    np.savez_compressed(HERE / "tfmot.npz", **arrays)


main()
