"""The layouts of arrays inside HDF5 files: named (`.h5`) and numbered (`model.weights.h5` of a `.keras` archive)."""

from __future__ import annotations

import re
from typing import Any

import h5py

from .hdf5 import Array, Hdf5


def _strings(file: Hdf5, group: h5py.Group, key: str) -> list[str]:
    """A list attribute; Keras cuts long ones into `key0`, `key1`, ... because HDF5 limits the size of an attribute."""
    if key in group.attrs:
        return file.strings(group, key)
    result: list[str] = []
    chunk = 0
    while f"{key}{chunk}" in group.attrs:
        result += file.strings(group, f"{key}{chunk}")
        chunk += 1
    return result


def read_legacy(file: Hdf5, layers: list[str]) -> dict[str, list[tuple[str, Array]]]:
    """Named arrays of each outermost layer of a `.h5` file, in the order the file lists them."""
    group = file.root.get("model_weights", file.root)
    result: dict[str, list[tuple[str, Array]]] = {}
    for name in layers:
        if name in group:
            owner = group[name]
            result[name] = [(key, file.array(owner[key])) for key in _strings(file, owner, "weight_names")]
    return result


def named_groups(file: Hdf5) -> tuple[str, ...]:
    """The groups of a `.h5` file that list arrays."""
    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "weight_names" in item.attrs and item.attrs["weight_names"].size:
            found.append(name)

    file.root.get("model_weights", file.root).visititems(visit)
    return tuple(found)


def snake_case(name: str) -> str:
    """Keras' own conversion: `QConv2D` gives `q_conv2d`, `ReLU` gives `re_lu`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    return "private" + name if name.startswith("_") else name


Groups = dict[str, h5py.Group]  # path of a layer or part -> its group of numbered arrays
# Where a model keeps its layers; the second is that of Keras 2.13 and 2.14.
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


def numbered_groups(file: Hdf5) -> Groups:
    """Every group of numbered arrays in `model.weights.h5`, by the path of its owner. Keras on Windows writes
    backslashes, all of a path in one name."""
    found: Groups = {}

    def visit(name: str, item: Any) -> None:
        owner, _, last = ("/" + name.replace("\\", "/")).rpartition("/")
        if last == "vars" and isinstance(item, h5py.Group):
            found[owner.lstrip("/")] = item

    file.root.visititems(visit)
    return found


def container(groups: Groups, model: str) -> str:
    """The path in which a model's layers are: that of `CONTAINERS` which occurs."""
    paths = [f"{model}/{name}".lstrip("/") for name in CONTAINERS]
    return next((path for path in paths if any(key.startswith(path + "/") for key in groups)), paths[0])


def find_group(file: Hdf5, groups: Groups, holder: str, kind: str, number: int, own_name: str) -> str:
    """Path of the `number`-th layer of a class (`kind`) among a model's layers: by class and counter, else by the
    layer's own name, else by the `name` attribute that Keras 3 writes."""
    counted = kind if number == 0 else f"{kind}_{number}"
    here = {key: path for path in groups if (key := _child(path, holder))}
    if holder.endswith(CONTAINERS[1]):
        # These two versions counted a layer with weights twice, so only the order of the numbers says which is which.
        alike = sorted((key for key in here if re.fullmatch(rf"{kind}(_\d+)?", key)), key=_number)
        return f"{holder}/{alike[number] if number < len(alike) else counted}"
    for key in (counted, own_name):
        if key in here and _named(file, groups[here[key]]) in ("", own_name):
            return here[key]
    return next((path for path in here.values() if _named(file, groups[path]) == own_name), f"{holder}/{counted}")


def _child(path: str, holder: str) -> str:
    """The last name of a path that lies directly in `holder`, else empty."""
    parent, _, name = path.rpartition("/")
    return name if parent == holder else ""


def _number(key: str) -> int:
    found = re.search(r"_(\d+)$", key)
    return int(found.group(1)) if found else 0


def _named(file: Hdf5, variables: h5py.Group) -> str:
    return file.text(variables, "name")


def read_numbered(file: Hdf5, groups: Groups, path: str) -> list[tuple[str, Array]]:
    """The arrays of one layer: its own ones unnamed and in order, those of its parts as `part/N`."""
    result = [("", value) for value in _variables(file, groups.get(path))]
    for other in groups:
        if part := _child(other, path):
            result += [(f"{part}/{number}", value) for number, value in enumerate(_variables(file, groups[other]))]
    return result


def _variables(file: Hdf5, variables: h5py.Group | None) -> list[Array]:
    if variables is None:
        return []
    keys = sorted((key for key in variables if key.isdigit()), key=int)
    return [file.array(variables[key]) for key in keys if isinstance(variables[key], h5py.Dataset)]
