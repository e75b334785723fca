"""Which handler builds which operator, and what each supports: the source of the support table.

Operators go by the names of TensorFlow Lite's schema, custom ones by their own. Users can register handlers for custom
operators the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..handlers import Handlers

if TYPE_CHECKING:
    from .context import OpContext

Handler: TypeAlias = "Callable[[OpContext], str | Sequence[str]]"


@dataclass(frozen=True)
class OperatorSupport:
    """One row of the support table. `forms` says what is supported, `limits` what is not."""

    operators: tuple[str, ...]
    forms: str
    limits: tuple[str, ...]
    handler: Handler


_HANDLERS: Handlers[str, OperatorSupport] = Handlers(str)
_REFUSED: dict[str, str] = {}


def register(*operators: str, forms: str = "", limits: Iterable[str] = ()) -> Callable[[Handler], Handler]:
    """Decorator: the function builds these operators. ValueError if one has a handler already, unless it is this one
    anew (a cell of a notebook)."""

    def add(handler: Handler) -> Handler:
        _HANDLERS.add(operators, OperatorSupport(operators, forms, tuple(limits), handler))
        return handler

    return add


def refuse(*operators: str, advice: str) -> None:
    """Known operators without a handler: what to do instead."""
    _REFUSED.update(dict.fromkeys(operators, advice))


def support_table() -> tuple[OperatorSupport, ...]:
    """Every registered row once, in order of registration."""
    return _HANDLERS.table()


def refused_operators() -> Mapping[str, str]:
    """Operators that are known and refused, with the advice given."""
    return dict(_REFUSED)


def find(kind: str) -> OperatorSupport | None:
    return _HANDLERS.rows.get(kind)


def advice_for(kind: str, custom: bool) -> str:
    """What to do about an operator without a handler."""
    if custom:
        return f"Register a handler: dqnn.exporter.frontends.tflite.register({kind!r})"
    return _REFUSED.get(kind, "Replace it by supported operators")
