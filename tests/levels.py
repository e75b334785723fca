"""The processors that this machine can stand for: each of its instruction sets with all below it, from `ref` alone up.

A file must give the same bits on all of them; a run on one machine then says it of the lesser ones too."""

from __future__ import annotations

from dqnn import _core

LEVELS = [_core.host_isas()[: count + 1] for count in range(len(_core.host_isas()))]


def top(isas: list[str]) -> str:
    """The name of a level, for test ids."""
    return isas[-1]
