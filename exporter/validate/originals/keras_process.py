"""Runs a saved Keras model in a process of its own:

    python -m dqnn.exporter.validate.originals.keras_process MODEL IN.npz OUT.npz BATCH

A process, because loading may hang for ever or end in a crash depending on what else was imported (QKeras imports
tf_keras, after which Keras 2.15 never returns from loading some .keras files), and because TensorFlow would not give
its memory back. Says on stdout `loaded <versions>` and then `done <samples>`, everything else goes to stderr."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

import numpy as np

from .answering import Run, answer

TOOLKIT = "tensorflow_model_optimization"


def packages_of(path: str) -> set[str]:
    """Which of larq, qkeras and the optimization toolkit the model's configuration mentions."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            text = archive.read("config.json").decode()
    else:
        import h5py

        with h5py.File(path) as file:
            raw = file.attrs["model_config"]
            text = raw if isinstance(raw, str) else raw.decode()
    config = json.loads(text)
    words = json.dumps(config)
    found = {name for name in ("larq", "qkeras", TOOLKIT) if f'"{name}' in words}
    # Older files, and some .h5 files of today, do not say the module of a layer.
    if any(f'"class_name": "{name}' in words for name in ("PruneLowMagnitude", "QuantizeWrapper", "QuantizeLayer")):
        return found | {TOOLKIT}
    return found | ({"qkeras"} if '"class_name": "Q' in words and not found else set())


def load(path: str) -> Any:
    """The model, with the custom objects that it needs."""
    import tensorflow as tf

    objects: dict[str, Any] = {}
    packages = packages_of(path)
    if TOOLKIT in packages or ("qkeras" in packages and zipfile.is_zipfile(path)):
        _one_keras_only(tf)
    if "larq" in packages:
        import larq  # noqa: F401  (registers its objects)
    if "qkeras" in packages:
        import qkeras

        _restore_stack()
        qkeras.utils._add_supported_quantized_objects(objects)
    with _toolkit(objects) if TOOLKIT in packages else nullcontext():
        return tf.keras.models.load_model(path, custom_objects=objects, compile=False)


def _toolkit(objects: dict[str, Any]) -> Any:
    """Makes the wrappers of pruning and quantization-aware training known; its own scope of the former is none of
    this Keras."""
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import PruneLowMagnitude

    objects["PruneLowMagnitude"] = PruneLowMagnitude
    return tfmot.quantization.keras.quantize_scope()


def _one_keras_only(tf: Any) -> None:
    """Loading a .keras file with Keras 2.15 hangs once tf_keras was imported beside it, as QKeras does; the toolkit
    builds layers of the one that the other refuses."""
    if str(tf.__version__).startswith("2.15."):
        import keras

        sys.modules["tf_keras"] = keras


def _restore_stack() -> None:
    """QConv2DTranspose calls a function that TensorFlow 2.15 has moved."""
    import tensorflow as tf
    from tensorflow.python.ops import array_ops

    if not hasattr(array_ops, "stack"):
        array_ops.stack = tf.stack


def _keras_version() -> str:
    """Of the package behind tf.keras."""
    import tensorflow as tf

    package = tf.keras.Model.__module__.partition(".")[0]
    return version(package)


def main(*arguments: str) -> None:
    if version("keras").startswith("3."):
        os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Larq and QKeras know only Keras 2, which is then called tf_keras
    answer(_start, *arguments)


def _start(path: str) -> tuple[str, Run]:
    model = load(path)
    import tensorflow as tf

    def run(arrays: list[Any]) -> Sequence[Any]:
        part = [tf.constant(array) for array in arrays]
        outputs = model(part if len(part) > 1 else part[0], training=False)
        return [np.asarray(y) for y in (outputs if isinstance(outputs, list | tuple) else [outputs])]

    return f"Keras {_keras_version()} (TensorFlow {tf.__version__})", run


if __name__ == "__main__":
    main(*sys.argv[1:])
