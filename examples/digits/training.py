"""What both training scripts share: the loop over freshly augmented epochs, and saving a model with its reference
outputs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from digits_data import Digits, augment, load, store_reference, to_input

HERE = Path(__file__).resolve().parent
BATCH = 64


class Augmented(tf.keras.utils.Sequence):  # type: ignore[misc]
    """The training set, augmented anew for every epoch."""

    def __init__(self, digits: Digits, seed: int) -> None:
        self.digits = digits
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.order) // BATCH

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        part = self.order[index * BATCH : (index + 1) * BATCH]
        return self.x[part], self.digits.train_labels[part]

    def on_epoch_end(self) -> None:
        self.x = to_input(augment(self.digits.train_pixels, self.rng))
        self.order = self.rng.permutation(len(self.x))


def arguments(epochs: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="directory for the models and digits_test.npz")
    return parser.parse_args()


def train_and_save(build: Callable[[], Any], name: str, args: argparse.Namespace, learning_rate: float) -> None:
    """Train with a learning rate that falls to zero as a cosine; write digits_<name>.h5, .keras and the Keras outputs
    on the test set."""
    tf.keras.utils.set_random_seed(args.seed)
    digits = load()
    model = build()
    model.summary()
    data = Augmented(digits, args.seed)
    schedule = tf.keras.optimizers.schedules.CosineDecay(learning_rate, len(data) * args.epochs)
    model.compile(tf.keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data, epochs=args.epochs, verbose=2)

    outputs = model.predict(to_input(digits.test_pixels), batch_size=100, verbose=0)
    accuracy = float(np.mean(outputs.argmax(axis=1) == digits.test_labels))
    args.out.mkdir(parents=True, exist_ok=True)
    weights = model.get_weights()
    tf.keras.backend.clear_session()  # so that layer names start from the beginning again
    plain = build()  # never compiled: the optimizer's state would triple the files
    plain.set_weights(weights)
    for suffix in ("h5", "keras"):
        plain.save(args.out / f"digits_{name}.{suffix}")
    store_reference(args.out / "digits_test.npz", digits, name, outputs)
    print(f"digits_{name}: accuracy on {len(outputs)} test images {accuracy:.1%}")
