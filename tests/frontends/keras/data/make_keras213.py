"""Wrote keras213.keras and keras213.npz with Keras 2.13.1, whose archives have a layout of their own.

In an environment of its own: pip install tensorflow-cpu==2.13.1 h5py; python make_keras213.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
keras, layers = tf.keras, tf.keras.layers

inner = keras.Sequential([layers.Conv2D(3, 2, activation="relu"), layers.ReLU(), layers.Conv2D(4, 1)], name="inner")
x = image = layers.Input((8, 8, 2))
x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x))
x = inner(layers.Conv2D(5, 1)(layers.Dropout(0.2)(x)))
x = layers.Dense(6)(layers.Flatten()(x))
model = keras.Model(image, layers.Dense(3)(layers.Activation("relu")(x)))

draw = np.random.default_rng(0)
values = [draw.normal(0, 0.5, array.shape) for array in model.get_weights()]
names = [variable.name for variable in model.weights]
model.set_weights([np.abs(v) + 0.1 if "variance" in name else v for name, v in zip(names, values, strict=True)])
x = draw.normal(size=(4, 8, 8, 2)).astype(np.float32)
model.save(HERE / "keras213.keras")
np.savez(HERE / "keras213.npz", x=x, y=model.predict(x, verbose=0))
