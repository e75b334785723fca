"""Which handler builds what: the table that every front end keeps, and its support table is made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar


class Row(Protocol):
    """What a support table says of a handler."""

    @property
    def handler(self) -> Callable[..., Any]: ...


K = TypeVar("K", bound=Hashable)
R = TypeVar("R", bound=Row)


class Handlers(Generic[K, R]):
    """Rows by the keys that they build. `title` names a key in messages; with `anew` the same function may come again,
    as from a cell of a notebook."""

    def __init__(self, title: Callable[[K], str], *, anew: bool = True) -> None:
        self.rows: dict[K, R] = {}
        self._title, self._anew = title, anew

    def add(self, keys: Sequence[K], row: R) -> None:
        """ValueError, and nothing is added, if a key has another handler already."""
        for key in keys:
            before = self.rows.get(key)
            if before is not None and not (self._anew and _named(before.handler) == _named(row.handler)):
                raise ValueError(f"{self._title(key)} has a handler already: {_named(before.handler)}")
        self.rows.update(dict.fromkeys(keys, row))

    def table(self) -> tuple[R, ...]:
        """Every row once, in order of registration."""
        return tuple(dict.fromkeys(self.rows.values()))


def _named(handler: Callable[..., Any]) -> str:
    return f"{getattr(handler, '__module__', '')}.{getattr(handler, '__qualname__', handler)}"
