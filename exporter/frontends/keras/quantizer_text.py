"""Names and arguments of a quantizer, from any spelling found in a model: a string such as `"quantized_bits(8, 0,
alpha=1)"`, a dict of any Keras version, or a bare name. Strings are parsed with `ast` and must be one name or one call
with constant arguments; nothing is evaluated."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .archive import plain

_LONGEST = 1000


class BadText(ValueError):
    """The text is no quantizer expression."""


@dataclass(frozen=True)
class Spelled:
    """A quantizer as written: its name, positional and named arguments."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = [repr(value) for value in self.args] + [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.name}({', '.join(inside)})"


def parse_text(text: str) -> Spelled:
    """`"binary"`, `"quantized_relu( 8, 2 )"`, `"ternary(alpha='auto')"` ..."""
    if len(text) > _LONGEST:
        raise BadText("the expression is too long")
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadText(f"{text!r} is no quantizer expression") from error
    if isinstance(body, ast.Call):
        args = tuple(_constant(item, text) for item in body.args)
        kwargs = {item.arg: _constant(item.value, text) for item in body.keywords if item.arg is not None}
        if len(kwargs) != len(body.keywords):
            raise BadText(f"{text!r} uses **")
        return Spelled(_name(body.func, text), args, kwargs)
    return Spelled(_name(body, text))


def _name(node: ast.expr, text: str) -> str:
    """A name, or the last part of a dotted one (`qkeras.binary`, `lq.quantizers.SteSign`)."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    raise BadText(f"{text!r} does not begin with a name")


def _constant(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _constant(node.operand, text)
        if isinstance(value, int | float):
            return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | bool | None):
        return node.value
    raise BadText(f"{text!r} has an argument that is no number, string, True, False or None")


def spelled(identifier: Any) -> Spelled:
    """Name and arguments of a string or of a serialized object (v3 dict, legacy dict, dict with
    `__passive_serialization__`)."""
    if isinstance(identifier, str):
        return parse_text(identifier)
    if not isinstance(identifier, dict) or "class_name" not in identifier:
        raise BadText(f"{identifier!r} is no quantizer")
    class_name = str(identifier["class_name"])
    config = plain(identifier.get("config"))
    if class_name == "function" and isinstance(config, str):
        return Spelled(config.rpartition(">")[2])
    if class_name == "function":
        return Spelled(str(identifier.get("registered_name") or "function").rpartition(">")[2])
    return Spelled(class_name.rpartition(">")[2], (), config if isinstance(config, dict) else {})
