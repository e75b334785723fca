"""Which handler builds which layer class, and what each supports: the source of the support table.

A handler is registered under its library and class names. Files name classes in several ways (`QuantConv2D`,
`larq.layers` + `QuantConv2D`, `Custom>QuantConv2D`, `Larq>QuantConv2D`); `identify` brings them to (library, class).
Users can register handlers for layers of their own the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..handlers import Handlers
from .archive import SavedLayer
from .context import LayerContext

Handler: TypeAlias = Callable[[LayerContext], str | Sequence[str]]
WeightNames: TypeAlias = Callable[[Mapping[str, Any]], Sequence[str]]


@dataclass(frozen=True)
class LayerSupport:
    """One row of the support table. `forms` says what is supported, `limits` what is not."""

    library: str
    classes: tuple[str, ...]
    forms: str
    limits: tuple[str, ...]
    weights: WeightNames
    handler: Handler


_HANDLERS: Handlers[tuple[str, str], LayerSupport] = Handlers(lambda key: f"{key[1]} of {key[0]}")
_REFUSED: dict[str, str] = {}


def no_weights(config: Mapping[str, Any]) -> Sequence[str]:
    return ()


def with_bias(*names: str) -> WeightNames:
    """These variables, and a bias where the layer uses one."""
    return lambda config: (*names, "bias") if config.get("use_bias", True) else names


def register(
    *classes: str,
    library: str = "keras",
    forms: str = "",
    limits: Iterable[str] = (),
    weights: WeightNames = no_weights,
) -> Callable[[Handler], Handler]:
    """Decorator: the function builds layers of these classes. `weights` names the variables in the order the layer
    creates them. ValueError if a class has a handler already, unless it is this one anew (a cell of a notebook)."""

    def add(handler: Handler) -> Handler:
        row = LayerSupport(library, classes, forms, tuple(limits), weights, handler)
        _HANDLERS.add([(library, name) for name in classes], row)
        return handler

    return add


def refuse(*classes: str, advice: str) -> None:
    """Known classes without a handler: what to do instead."""
    for name in classes:
        _REFUSED[name] = advice


def support_table() -> tuple[LayerSupport, ...]:
    """Every registered row once, in order of registration."""
    return _HANDLERS.table()


def refused_classes() -> Mapping[str, str]:
    """Classes that are known and refused, with the advice given."""
    return dict(_REFUSED)


_KERAS_MODULES = ("keras", "tf_keras", "tensorflow", "builtins")
_KNOWN_LIBRARIES = ("keras", "larq", "qkeras", "tensorflow_model_optimization")


def identify(layer: SavedLayer) -> tuple[str, str]:
    """(library, class) of a layer; the library is empty where the file does not say it."""
    package, _, class_name = layer.class_name.rpartition(">")
    if not package:
        package = layer.registered_name.rpartition(">")[0]
    if ".ops." in layer.module and layer.module.split(".")[0] == "keras":
        return ("keras.ops", class_name)
    top = layer.module.split(".")[0]
    if not top and layer.keras3_operation:
        return ("keras.ops", class_name)
    if top in _KERAS_MODULES:
        return ("keras", class_name)
    if top:
        return (top, class_name)
    package = package.lower()
    return ("" if package in ("", "custom") else package.split(".")[0], class_name)


def find(layer: SavedLayer) -> LayerSupport | None:
    """The handler's row for a layer, None if nobody registered one."""
    library, class_name = identify(layer)
    libraries = (library,) if library else (*_KNOWN_LIBRARIES, "custom")
    for candidate in libraries:
        if (candidate, class_name) in _HANDLERS.rows:
            return _HANDLERS.rows[candidate, class_name]
    return None


def advice_for(layer: SavedLayer) -> str:
    """What to write instead of an unsupported layer."""
    library, class_name = identify(layer)
    if class_name in _REFUSED:
        return _REFUSED[class_name]
    if library in ("", *_KNOWN_LIBRARIES):
        return "Replace it by supported layers"
    call = f"dqnn.exporter.frontends.register({class_name!r}, library={library!r})"
    return f"Replace it by supported layers, or register a handler: {call}"
