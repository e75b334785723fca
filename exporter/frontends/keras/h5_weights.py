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


def read_legacy(file: Hdf5, layers: list[tuple[str, bool]]) -> dict[str, list[tuple[str, Array]]]:
    """Named arrays of each outermost layer of a `.h5` file, in the order the file lists them."""
    group = file.root.get("model_weights", file.root)
    result: dict[str, list[tuple[str, Array]]] = {}
    for name, _ in layers:
        if name in group:
            owner = group[name]
            result[name] = [(key, file.array(owner[key])) for key in _strings(file, owner, "weight_names")]
    return result


def snake_case(name: str) -> str:
    """Keras' own conversion: `QConv2D` gives `q_conv2d`, `ReLU` gives `re_lu`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    return "private" + name if name.startswith("_") else name


def find_group(file: Hdf5, parent: str, counted: str, own_name: str) -> str:
    """Path of a layer's group: by class counter, else by the layer's own name, else by the `name` attribute that Keras
    3 writes."""
    holder = file.root.get(parent)
    if not isinstance(holder, h5py.Group):
        return f"{parent}/{counted}"
    for key in (counted, own_name):
        if key in holder and _named(file, holder[key]) in ("", own_name):
            return f"{parent}/{key}"
    for key in holder:
        if _named(file, holder[key]) == own_name:
            return f"{parent}/{key}"
    return f"{parent}/{counted}"


def _named(file: Hdf5, group: Any) -> str:
    variables = group.get("vars") if isinstance(group, h5py.Group) else None
    return "" if variables is None else file.text(variables, "name")


def read_numbered(file: Hdf5, path: str) -> list[tuple[str, Array]]:
    """The arrays of one layer: its own ones unnamed and in order, those of its parts as `part/N`."""
    group = file.root.get(path)
    if not isinstance(group, h5py.Group):
        return []
    result = [("", value) for value in _variables(file, group)]
    for part in group:
        if part != "vars" and isinstance(group[part], h5py.Group):
            result += [(f"{part}/{number}", value) for number, value in enumerate(_variables(file, group[part]))]
    return result


def _variables(file: Hdf5, group: h5py.Group) -> list[Array]:
    variables = group.get("vars")
    if not isinstance(variables, h5py.Group):
        return []
    keys = sorted((key for key in variables if key.isdigit()), key=int)
    return [file.array(variables[key]) for key in keys if isinstance(variables[key], h5py.Dataset)]
