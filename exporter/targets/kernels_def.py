"""The variants of each kernel, read from interpreter_c/include/dqnn/kernels.def: the extension knows only those of this
machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .firmware import SOURCES

_ROW = re.compile(r"^DQNN_KERNEL\((?P<args>[^()]*)\)", re.MULTILINE)


@dataclass(frozen=True)
class Variant:
    """A run function: `dqnn_run_<kernel>_<isa>`."""

    kernel: str
    isa: str

    @property
    def guard(self) -> str | None:
        """The macro that says whether a build has it; None: every build has."""
        return None if self.isa == "ref" else f"DQNN_HAVE_{self.isa.upper()}"


def parse_variants(text: str) -> Iterator[Variant]:
    """All variants of the rows of kernels.def, best first for each kernel."""
    for row in _ROW.finditer(text):
        cells = [cell.strip() for cell in row["args"].split(",")]
        if len(cells) != 7:
            raise ValueError(f"kernels.def: a row has seven columns, not {len(cells)}: {row[0]}")
        yield from (Variant(cells[1], isa) for isa in cells[6].split())


@cache
def variants() -> tuple[Variant, ...]:
    """All variants, best first for each kernel."""
    return tuple(parse_variants((SOURCES / "include" / "dqnn" / "kernels.def").read_text(encoding="utf-8")))
