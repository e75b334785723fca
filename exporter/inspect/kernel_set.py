"""The C array of exactly the kernels that a model needs: with it, the linker drops all others.

Variants and their guards are read from interpreter_c/src/kernels.def, as the compiler would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from ..targets.firmware import SOURCES
from .artifacts import ArtifactError

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


def kernel_set(kernels: Iterable[str], name: str) -> str:
    """A C file with `const dqnn_variant *const name[]` and `name_count`: every variant of these kernels, guarded as in
    kernels.def."""
    wanted = sorted(set(kernels))
    known = {variant.kernel for variant in variants()}
    unknown = [kernel for kernel in wanted if kernel not in known]
    if unknown:
        raise ArtifactError(f"these sources have no kernel {', '.join(unknown)}")
    lines = [line for kernel in wanted for v in variants() if v.kernel == kernel for line in _lines(v)]
    return "\n".join(
        [
            f"/* {len(wanted)} of dqnn's {len(known)} kernels: all that one model needs. Made by `dqnn inspect",
            " * --kernel-set`. Pass it to dqnn_init, link with --gc-sections: no other kernel stays in the firmware.",
            " *",
            f" *   extern const dqnn_variant *const {name}[];",
            f" *   extern const uint32_t {name}_count;",
            f" *   dqnn_options options = {{.kernels = {name}, .kernel_count = {name}_count}};",
            " */",
            '#include "dqnn/dqnn_kernels.h"',
            "",
            f"extern const dqnn_variant *const {name}[];",
            f"extern const uint32_t {name}_count;",
            "",
            f"const dqnn_variant *const {name}[] = {{",
            *lines,
            "};",
            f"const uint32_t {name}_count = sizeof {name} / sizeof {name}[0];",
            "",
        ]
    )


def _lines(variant: Variant) -> list[str]:
    opening = [f"#if {guard}" for guard in variant.guards]
    return [*opening, f"    &dqnn_variant_{variant.kernel}_{variant.isa},", *("#endif" for _ in variant.guards)]
