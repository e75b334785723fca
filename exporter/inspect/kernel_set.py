"""The C array of exactly the kernels that a model needs: with it, the linker drops all others."""

from __future__ import annotations

from collections.abc import Iterable

from ..targets.kernels_def import Variant, variants
from .artifacts import ArtifactError


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
    line = f"    &dqnn_variant_{variant.kernel}_{variant.isa},"
    return [line] if variant.guard is None else [f"#if {variant.guard}", line, "#endif"]
