"""Wrote keras3.keras, keras3.h5 and keras3.npz with Keras 3.15.1 (TensorFlow backend).

Keras 3 cannot be installed beside the Keras 2 that Larq and QKeras need, so its files are kept. To write them again, in
an environment of its own: pip install keras tensorflow-cpu; python make_keras3.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)


def randomize(model: Any) -> Any:
    for variable in model.weights:
        if "seed" not in variable.name:
            values = RNG.normal(0, 0.5, variable.shape)
            variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)
    return model


def build() -> Any:
    image, extra = layers.Input((8, 8, 3), name="image"), layers.Input((4,), name="extra")
    y = layers.Rescaling(0.5)(image)
    y = layers.Conv2D(6, 3, padding="same", strides=2, activation="relu")(y)
    y = layers.BatchNormalization()(y)
    depthwise = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1)(y)
    separable = layers.SeparableConv2D(6, 3, padding="same")(y)
    y = layers.PReLU(shared_axes=[1, 2])(layers.Add()([depthwise, separable]))
    y = layers.LeakyReLU(negative_slope=0.1)(y)
    y = layers.ReLU(max_value=6.0, negative_slope=0.1)(y)
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(y)
    y = layers.Activation("hard_sigmoid")(layers.MaxPooling2D(2)(y))
    y = layers.Dropout(0.3)(y)
    parts = [layers.Conv2D(4, 1), layers.Activation("leaky_relu"), layers.UpSampling2D(2), layers.AveragePooling2D(2)]
    block = keras.Sequential(parts, name="block")
    y = block(block(y))
    inside = layers.Input((4, 4, 4))
    flat = layers.Flatten()(layers.ZeroPadding2D(1)(layers.Cropping2D(1)(inside)))
    inner = keras.Model(inside, [layers.GlobalAveragePooling2D()(inside), flat], name="func")
    g, f = inner(y)
    g2, _ = inner(layers.Permute((2, 1, 3))(y))
    shared = layers.Dense(4, activation="silu", name="shared")
    t = ops.concatenate([g, shared(extra), shared(g2)], axis=-1)
    t = t * 2.0 - 1.0
    t = 1.0 - ops.clip(t, -2, 3) / 2
    u = layers.Conv1D(3, 2, padding="causal")(layers.Reshape((4, -1))(f))
    u = layers.GlobalMaxPooling1D()(u[:, 1:])
    out = layers.Dense(5, activation="softmax", name="head")(layers.Concatenate()([t, u]))
    return randomize(keras.Model([image, extra], [out, ops.relu(t)]))


def main() -> None:
    model = build()
    inputs = [RNG.normal(size=(4, 8, 8, 3)).astype("float32"), RNG.normal(size=(4, 4)).astype("float32")]
    outputs = model.predict(inputs, verbose=0)
    model.save(HERE / "keras3.keras")
    model.save(HERE / "keras3.h5")
    np.savez(HERE / "keras3.npz", x0=inputs[0], x1=inputs[1], y0=outputs[0], y1=outputs[1])


if __name__ == "__main__":
    main()
