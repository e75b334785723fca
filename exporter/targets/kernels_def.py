"""The variants of each kernel and what guards them, read from interpreter_c/src/kernels.def as the compiler would: the
extension knows only those of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .firmware import SOURCES

_LINE = re.compile(r"^\s*(?:#\s*(?P<word>if|ifdef|ifndef|else|elif|endif)\b(?P<rest>.*)|DQNN_VARIANT\((?P<args>.*)\))")


@dataclass(frozen=True)
class Variant:
    """`guards` are the conditions of the #ifs around the line, outermost first."""

    kernel: str
    isa: str
    guards: tuple[str, ...]


def parse_variants(text: str) -> Iterator[Variant]:
    """The DQNN_VARIANT lines of kernels.def with what guards them."""
    guards: list[str] = []
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        word, rest = found["word"], (found["rest"] or "").strip()
        if word in ("else", "elif"):
            raise ValueError(f"kernels.def: #{word} is not understood here")
        if word == "endif":
            guards.pop()
        elif word is not None:
            guards.append({"if": rest, "ifdef": f"defined({rest})", "ifndef": f"!defined({rest})"}[word])
        else:
            kernel, isa = (part.strip() for part in found["args"].split(","))
            if "DQNN_VARIANT" not in " ".join(guards):
                yield Variant(kernel, isa, tuple(guards))


@cache
def variants() -> tuple[Variant, ...]:
    """All variants, best first for each kernel."""
    return tuple(parse_variants((SOURCES / "src" / "kernels.def").read_text(encoding="utf-8")))
