"""Saved Keras models as data: a tree of layer configurations and the arrays of each layer.

Four sources give the same `SavedModel`: `.h5` files (Keras 2, tf-keras and the legacy form of Keras 3), `.keras`
archives (Keras 2.12 and later, Keras 3), the text of `to_json()` with a file of `save_weights()`, and models in memory,
which are read through `to_json()` and `get_weights()`.
Nothing is evaluated: configurations are JSON, arrays are HDF5. What a file unpacks to is bounded before it is read
(here and in `hdf5`). Whatever cannot be read ends in `UnreadableModel` with a sentence that says what was found and
what is accepted."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import UnreadableModel, debugging
from . import h5_weights
from .hdf5 import Hdf5, most_bytes, opened

ACCEPTED = "a Keras .h5 file or a .keras archive written by model.save(...), a keras.Model, or a .tflite file"
MOST_CONFIGURATION = 1 << 24  # bytes of JSON, which become twenty times as many in memory
HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file begins
Array = NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Weight:
    """An array of a layer. `name` is the variable's last name (`kernel`), empty where the file only numbers them."""

    name: str
    value: Array


@dataclass(frozen=True, eq=False)
class SavedLayer:
    """A layer or nested model as the file describes it. `path` is the name users see, `outer/inner` when nested."""

    name: str
    path: str
    class_name: str
    module: str
    registered_name: str
    config: Mapping[str, Any]
    inbound: tuple[Any, ...]
    layers: tuple[SavedLayer, ...] = ()
    is_model: bool = False
    build_shape: Any = None  # the input shape the layer was built with, where the file says it

    @property
    def keras3_operation(self) -> bool:
        """Whether this is an operation on tensors (`x * 2`) rather than a layer, where the file does not say its
        module."""
        return bool(self.inbound) and isinstance(self.inbound[0], dict) and "trainable" not in self.config

    def leaves(self) -> Iterator[SavedLayer]:
        """The layers that are no models, depth first."""
        for layer in self.layers:
            if layer.is_model:
                yield from layer.leaves()
            else:
                yield layer


@dataclass(frozen=True, eq=False)
class SavedModel:
    """`root` is the outermost model, `weights` the arrays of each layer by path, `keras` the major version of Keras
    that wrote it; `groups` is what the file calls the owners of its arrays."""

    root: SavedLayer
    weights: Mapping[str, tuple[Weight, ...]]
    keras: int
    groups: tuple[str, ...] = ()


# The arrays of each layer by path, and what the file calls their owners.
Arrays: TypeAlias = "tuple[dict[str, tuple[Weight, ...]], tuple[str, ...]]"


def read_model(source: Any, weights: str | os.PathLike[str] | None = None) -> SavedModel:
    """Read a path to a `.h5` or `.keras` file, or a Keras model in memory; or the JSON text of one, with the path to
    its `weights`."""
    if isinstance(source, str | os.PathLike):
        return _read_file(os.fspath(source), None if weights is None else os.fspath(weights))
    if weights is not None:
        raise UnreadableModel(f"{type(source).__name__} has weights of its own; only a .json takes a file of weights")
    if hasattr(source, "to_json") and hasattr(source, "layers"):
        return _read_object(source)
    raise UnreadableModel(f"{type(source).__name__} is no model; accepted: {ACCEPTED}")


# --- files ------------------------------------------------------------------------------------------------------------


def _read_file(path: str, weights: str | None) -> SavedModel:
    start = _first_bytes(path, ACCEPTED)
    if start.lstrip()[:1] in (b"{", b'"'):
        return _guarded(lambda path: _read_json(path, weights), path)
    if weights is not None:
        raise UnreadableModel(f"{path} has weights of its own, or none; only a .json takes a file of weights")
    if start == HDF5:
        return _guarded(_read_h5, path)
    if start[:4] == b"PK\x03\x04":
        return _guarded(_read_keras, path)
    if start[:4] == b"DQNN":
        raise UnreadableModel(f"{path} is a .dqnn file already: run it, or export the model it was made from")
    raise UnreadableModel(
        f"{path} is neither an HDF5 file nor a .keras archive (it begins with {start[:4]!r}); accepted: {ACCEPTED}"
    )


def _first_bytes(path: str, accepted: str) -> bytes:
    if Path(path).is_dir():
        what = "a TensorFlow SavedModel" if (Path(path) / "saved_model.pb").exists() else "a directory"
        raise UnreadableModel(f"{path} is {what}; accepted: {accepted}")
    try:
        with Path(path).open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UnreadableModel(f"{path} cannot be opened: {error.strerror}") from error
    if not start:
        raise UnreadableModel(f"{path} is empty; accepted: {accepted}")
    return start


def _guarded(read: Callable[[str], T], path: str) -> T:
    """Call a reader; a damaged file makes h5py, zipfile, zlib or json fail in many ways, all of which mean the same to
    the user."""
    try:
        result = read(path)
    except UnreadableModel:
        raise
    except Exception as error:
        if debugging():
            raise
        raise UnreadableModel(f"{path} is damaged or incomplete: {_damage(error)}; save it again") from error
    return result


def _damage(error: Exception) -> str:
    """What a failed reader has found, in words."""
    if isinstance(error, json.JSONDecodeError):
        return f"its configuration is no JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeError):
        return "its configuration is no UTF-8"
    if isinstance(error, RecursionError):
        return "its configuration is nested too deeply"
    if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError):
        return "the archive is broken"
    if isinstance(error, OSError):
        return "HDF5 cannot read it"
    return "it is not built as Keras builds such files"


def _read_h5(path: str) -> SavedModel:
    with opened(path, path, Path(path).stat().st_size) as file:
        attributes = file.root.attrs
        if "model_config" not in attributes:
            weights_only = "layer_names" in attributes or "layers" in file.root or "model_weights" in file.root
            if weights_only:
                advice = f"Write model.to_json() to a file: dqnn-export model.json --weights {path}"
                raise UnreadableModel(f"{path} holds weights only, without the description of the model. {advice}")
            raise UnreadableModel(f"{path} is an HDF5 file but no Keras model; accepted: {ACCEPTED}")
        root = _tree(_json(file.text(file.root, "model_config"), path), path)
        version = file.text(file.root, "keras_version", default="2")
        weights, groups = _named(root, file)
    return SavedModel(root, weights, _major(version), groups)


def _read_json(path: str, weights_path: str | None) -> SavedModel:
    """What model.to_json() wrote, with the arrays of model.save_weights(), in either of its forms."""
    size = Path(path).stat().st_size
    if size > MOST_CONFIGURATION:
        raise UnreadableModel(f"{path} has {size:,} bytes; accepted: at most {MOST_CONFIGURATION:,}")
    config = json.loads(Path(path).read_bytes())
    if isinstance(config, str):  # to_json() gives text; who stores that with json.dump wraps it once more
        config = json.loads(config)
    root = _tree(config, path)
    if weights_path is None:
        advice = f"Give them too: dqnn-export {path} --weights FILE, a file of model.save_weights()"
        raise UnreadableModel(f"{path} describes a model without its weights. {advice}")
    accepted = "an HDF5 file of model.save_weights(), or a model's own .h5 or .keras file"
    start = _first_bytes(weights_path, accepted)
    if start[:4] == b"PK\x03\x04":
        saved = _guarded(_read_keras, weights_path)
        return SavedModel(root, saved.weights, _version_of(config), saved.groups)
    if start != HDF5:
        found = f"it begins with {start[:4]!r}"
        raise UnreadableModel(f"{weights_path} is no file of weights ({found}); accepted: {accepted}")
    weights, groups = _guarded(lambda path: _read_weights(root, path), weights_path)
    return SavedModel(root, weights, _version_of(config), groups)


def _read_weights(root: SavedLayer, path: str) -> Arrays:
    with opened(path, path, Path(path).stat().st_size) as file:
        named = "layer_names" in file.root.attrs or "model_weights" in file.root
        return _named(root, file) if named else _numbered(root, file)


def _read_keras(path: str) -> SavedModel:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if any(info.flag_bits & 1 for info in archive.infolist()):
            raise UnreadableModel(f"{path} is an encrypted archive; accepted: {ACCEPTED}")
        if "config.json" not in names:
            raise UnreadableModel(f"{path} is a zip archive without config.json; accepted: {ACCEPTED}")
        config = _json(_member(archive, "config.json", MOST_CONFIGURATION, path), path)
        metadata = {}
        if "metadata.json" in names:
            metadata = json.loads(_member(archive, "metadata.json", MOST_CONFIGURATION, path))
        if "model.weights.h5" not in names:
            raise UnreadableModel(f"{path} has no model.weights.h5; accepted: {ACCEPTED}")
        root = _tree(config, path)
        size = Path(path).stat().st_size
        arrays = io.BytesIO(_member(archive, "model.weights.h5", most_bytes(size), path))
        with opened(arrays, f"{path}: model.weights.h5", size) as file:
            weights, groups = _numbered(root, file)
    return SavedModel(root, weights, _major(str(metadata.get("keras_version", "2"))), groups)


def _member(archive: zipfile.ZipFile, name: str, most: int, path: str) -> bytes:
    """A part of an archive, no larger than it says itself. (Python unpacks a part in steps of what is asked for, but
    only where it is deflated.)"""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableModel(f"{path}: {name} is packed by method {info.compress_type}; accepted: stored, deflated")
    if info.file_size > most:
        raise UnreadableModel(f"{path}: {name} unpacks to {info.file_size:,} bytes; accepted: at most {most:,}")
    with archive.open(info) as stream:
        return stream.read(info.file_size)


def _json(text: str | bytes, path: str) -> Any:
    if len(text) > MOST_CONFIGURATION:
        found = f"the configuration has {len(text):,} bytes"
        raise UnreadableModel(f"{path}: {found}; accepted: at most {MOST_CONFIGURATION:,}")
    return json.loads(text)


def _version_of(config: Any) -> int:
    """Of the text of to_json(), into which Keras 3 does not write its version."""
    return _major(str(config.get("keras_version") or ("3" if config.get("module") else "2")))


def _major(version: str) -> int:
    head = version.split(".", maxsplit=1)[0]
    return int(head) if head.isdigit() else 2


# --- configuration ----------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """`value` with Keras' wrappers of numpy scalars, tensors and tuples taken off."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__numpy__", "__tensor__"):
            return plain(value["config"]["value"])
        if value.get("class_name") == "__tuple__":
            items: list[Any] = value.get("items") or value.get("config") or []
            return [plain(item) for item in items]
        if value.get("type") == "ndarray":
            return plain(value["value"])
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _tree(config: Any, where: str) -> SavedLayer:
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict | list):
        raise UnreadableModel(f"{where}: the model configuration has no class_name and config; accepted: {ACCEPTED}")
    root = _saved_layer(plain(config), "", 0)
    if not root.is_model:
        raise UnreadableModel(
            f"{where}: {root.class_name} describes no layers (a subclassed model?); "
            "accepted: Sequential and Functional models"
        )
    return root


_MODEL_CLASSES = ("Sequential", "Functional", "Model")
_DEEPEST = 50


def _saved_layer(entry: Any, prefix: str, depth: int) -> SavedLayer:
    if not isinstance(entry, dict) or "class_name" not in entry or depth > _DEEPEST:
        raise UnreadableModel("the model configuration holds a layer without class_name, or is nested too deeply")
    config = entry.get("config") or {}
    if isinstance(config, list):  # Keras before 2.2.3 wrote a Sequential as a bare list
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict):
        config = {"name": str(entry.get("name", entry["class_name"]))}
    name = str(entry.get("name") or config.get("name") or entry["class_name"])
    class_name = str(entry["class_name"])
    inside = config.get("layers")
    layers: list[Any] = inside if isinstance(inside, list) else []
    path = prefix + name
    inner = "" if depth == 0 else path + "/"
    return SavedLayer(
        name=name,
        path=path,
        class_name=class_name,
        module=str(entry.get("module") or ""),
        registered_name=str(entry.get("registered_name") or ""),
        config=config,
        inbound=tuple(entry.get("inbound_nodes") or ()),
        layers=tuple(_saved_layer(item, inner, depth + 1) for item in layers),
        is_model=isinstance(inside, list) or class_name in _MODEL_CLASSES,
        build_shape=(entry.get("build_config") or {}).get("input_shape"),
    )


def inner_layer(wrapper: SavedLayer) -> SavedLayer:
    """The layer that a wrapper's configuration holds, in the wrapper's place."""
    inside = _saved_layer(wrapper.config.get("layer"), "", 0)
    return replace(inside, name=wrapper.name, path=wrapper.path, inbound=wrapper.inbound)


# --- weights ----------------------------------------------------------------------------------------------------------


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1].split(":", maxsplit=1)[0]


def _share_out(model: SavedLayer, named: list[tuple[str, Array]]) -> dict[str, tuple[Weight, ...]]:
    """Give the arrays of a nested model to its layers.

    The file lists them flat (trainable ones of all layers first) under the names the variables had: `layer/kernel:0`,
    perhaps with the names of the models around; a layer's name may hold slashes itself. The best match is the layer
    whose path agrees with most of the trailing names; among equals, the first that has no variable of that name yet,
    because the file keeps the layers' order."""
    leaves = list(model.leaves())
    shared: dict[str, list[Weight]] = {leaf.path: [] for leaf in leaves}
    for full, value in named:
        owners = full.split("/")[:-1]
        base = _base(full)
        ranked = sorted(leaves, key=lambda leaf: -_agreement(leaf, owners))
        best = _agreement(ranked[0], owners) if ranked else 0
        for leaf in ranked:
            taken = any(weight.name == base for weight in shared[leaf.path])
            if best and _agreement(leaf, owners) == best and not taken:
                shared[leaf.path].append(Weight(base, value))
                break
    return {path: tuple(weights) for path, weights in shared.items()}


def _agreement(leaf: SavedLayer, owners: list[str]) -> int:
    """How many trailing names of `owners` agree with the layer's path, up to the last place where the layer's own name
    stands; 0 if it stands nowhere."""
    own = leaf.name.split("/")
    ends = (end for end in range(len(owners), len(own) - 1, -1) if owners[end - len(own) : end] == own)
    tail = owners[: next(ends, 0)]
    count = 0
    for ours, theirs in zip(reversed(leaf.path.split("/")), reversed(tail), strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _named(root: SavedLayer, file: Hdf5) -> Arrays:
    """Arrays of a `.h5` file, listed by each outermost layer; and the groups that hold arrays."""
    raw = h5_weights.read_legacy(file, [layer.name for layer in root.layers])
    weights: dict[str, tuple[Weight, ...]] = {}
    for layer in root.layers:
        named = raw.get(layer.name, [])
        if layer.is_model:
            weights.update(_share_out(layer, named))
        else:
            weights[layer.path] = tuple(Weight(_base(name), value) for name, value in named)
    return weights, h5_weights.named_groups(file)


def _numbered(root: SavedLayer, file: Hdf5) -> Arrays:
    """Arrays of a `.keras` archive, `<group>/vars/N`, where a layer's group is its class name with a counter, not its
    own name; and the groups that hold arrays."""
    weights: dict[str, tuple[Weight, ...]] = {}
    groups = h5_weights.numbered_groups(file)

    def visit(model: SavedLayer, group: str) -> None:
        counters: dict[str, int] = {}
        holder = h5_weights.container(groups, group)
        for layer in model.layers:
            if model.class_name == "Sequential" and layer.class_name == "InputLayer":
                continue
            kind = h5_weights.snake_case(layer.class_name.rsplit(">", 1)[-1])
            number = counters.get(kind, 0)
            counters[kind] = number + 1
            child = h5_weights.find_group(file, groups, holder, kind, number, layer.name)
            if layer.is_model:
                visit(layer, child)
            else:
                arrays = h5_weights.read_numbered(file, groups, child)
                weights[layer.path] = tuple(Weight(name, value) for name, value in arrays)

    visit(root, "")
    return weights, tuple(path for path, group in groups.items() if len(group))


def _read_object(model: Any) -> SavedModel:
    """A model in memory: its own JSON, and the arrays of every layer."""
    try:
        config = json.loads(model.to_json())
    except Exception as error:  # whatever a user's get_config raises
        raise UnreadableModel(
            f"{type(model).__name__}.to_json() failed: {error}; only Sequential and Functional models can be read"
        ) from error
    root = _tree(config, str(getattr(model, "name", "the model")))
    weights: dict[str, tuple[Weight, ...]] = {}

    def visit(saved: SavedLayer, live: Any) -> None:
        by_name = {layer.name: layer for layer in live.layers}
        for layer in saved.layers:
            found = by_name.get(layer.name)
            if found is None:
                continue
            if layer.is_model:
                visit(layer, found)
            else:
                weights[layer.path] = tuple(
                    Weight(_base(str(variable.name)), _latent(variable, value))
                    for variable, value in zip(found.weights, found.get_weights(), strict=False)
                )

    visit(root, model)
    return SavedModel(root, weights, _version_of(config))


def _latent(variable: Any, value: Any) -> Array:
    """What a file would hold: inside Larq's quantized_scope get_weights() gives quantized numbers, and those of DoReFa
    quantized again are others."""
    latent = getattr(variable, "latent_variable", None)
    return np.asarray(value if latent is None else latent.numpy())
