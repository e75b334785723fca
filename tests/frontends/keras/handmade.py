"""Model files written by hand, so that tests of readers and errors need no TensorFlow."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Layer = dict[str, Any]


def layer(class_name: str, name: str, module: str | None = "keras.layers", **config: Any) -> Layer:
    entry: Layer = {"class_name": class_name, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}
    if module is not None:
        entry |= {"module": module, "registered_name": None}
    return entry


def input_layer(*shape: int | None, name: str = "x") -> Layer:
    return {
        "class_name": "InputLayer",
        "config": {"batch_input_shape": [None, *shape], "dtype": "float32", "name": name},
    }


def sequential(*layers: Layer, name: str = "model") -> Layer:
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def write_h5(path: Path, config: Any, weights: Mapping[str, Sequence[tuple[str, Any]]] | None = None) -> Path:
    """A Keras 2 file; `weights` are the named arrays of each outermost layer."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, str | bytes) else json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        top = file.create_group("model_weights")
        for layer_name, arrays in (weights or {}).items():
            group = top.create_group(layer_name)
            group.attrs["weight_names"] = [name.encode() for name, _ in arrays]
            for name, value in arrays:
                group.create_dataset(name, data=np.asarray(value))
    return path


def write_keras(
    path: Path, config: Any, weights: Mapping[str, Sequence[Any]] | None = None, version: str = "3.5.0"
) -> Path:
    """A .keras archive; `weights` are the numbered arrays of each group (`layers/dense`)."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("layers")
        for group_name, arrays in (weights or {}).items():
            variables = file.create_group(f"{group_name}/vars")
            for number, value in enumerate(arrays):
                variables.create_dataset(str(number), data=np.asarray(value))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-01-01@00:00:00"}))
        archive.writestr("config.json", config if isinstance(config, str | bytes) else json.dumps(config))
        archive.writestr("model.weights.h5", content.getvalue())
    return path
