"""The C array of exactly the kernels that models need: with it, the linker drops all others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from ..blob import ModelView, NodeView
from ..emit.kernel_table import Packed, scratch
from ..targets.kernels_def import Variant, variants
from .artifacts import ArtifactError

SPECIAL = ("winograd", "packed")  # variants that few files use: with scratch, with weights of few bits


def kernel_set(
    kernels: Iterable[str],
    name: str,
    without_ref: Collection[str] = (),
    segments: str = "",
    special: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> str:
    """A C file with `const dqnn_variant *const name[]` and `name_count`: every variant of these kernels, guarded as in
    kernels.def; of those in `without_ref` the variant `ref` only where a build has not the portable one, and a
    variant of SPECIAL only of the kernels that `special` has for it. `segments`: what runs nodes for some rows at a
    time, if there are such."""
    strips = f", .segments = &{segments}" if segments else ""
    wanted = sorted(set(kernels))
    known = {variant.kernel for variant in variants()}
    unknown = [kernel for kernel in wanted if kernel not in known]
    if unknown:
        raise ArtifactError(f"these sources have no kernel {', '.join(unknown)}")
    lines = [
        line
        for kernel in wanted
        for v in variants()
        if v.kernel == kernel and (v.isa not in SPECIAL or kernel in special.get(v.isa, ()))
        for line in _lines(v, "!DQNN_HAVE_PORTABLE" if v.isa == "ref" and kernel in without_ref else v.guard)
    ]
    return "\n".join(
        [
            f"/* {len(wanted)} of dqnn's {len(known)} kernels: all that the models need. Made by `dqnn inspect",
            " * --kernel-set`. Pass it to dqnn_init, link with --gc-sections: no other kernel stays in the firmware.",
            " *",
            f" *   extern const dqnn_variant *const {name}[];",
            f" *   extern const uint32_t {name}_count;",
            f" *   dqnn_options options = {{.kernels = {name}, .kernel_count = {name}_count{strips}}};",
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


def kernels_without_ref(models: Iterable[ModelView]) -> set[str]:
    """Kernels whose portable variant the interpreter takes in every node of these models: plan() asks for no more
    scratch than the file gives."""
    portable = {v.kernel for v in variants() if v.isa == "portable"}
    nodes = [(model, node) for model in models for node in model.nodes]
    slow = {node.kernel for model, node in nodes if node.kernel in portable and not _always_fast(model, node)}
    return {node.kernel for _, node in nodes} & portable - slow


def special_kernels(models: Sequence[ModelView]) -> dict[str, set[str]]:
    """Kernels of these models by the variants of SPECIAL that some node can run: it has the scratch, or the weights."""
    found: dict[str, set[str]] = {}
    for isa in SPECIAL:
        having = {v.kernel for v in variants() if v.isa == isa}
        nodes = [(model, node) for model in models for node in model.nodes if node.kernel in having]
        found[isa] = {node.kernel for model, node in nodes if _runs(model, node, isa)}
    return found


def _always_fast(model: ModelView, node: NodeView) -> bool:
    return _runs(model, node, "portable")


def _runs(model: ModelView, node: NodeView, isa: str) -> bool:
    """The variant takes the node with the scratch that the file gives."""
    packed = Packed(node.kernel, node.params, tuple(model.constants[c] for c in node.constants))
    inputs = [model.tensors[t].type for t in node.inputs]
    needs = scratch(packed, inputs, model.tensors[node.output].type)
    return isa in needs and needs[isa] <= node.scratch_bytes


def _lines(variant: Variant, guard: str | None) -> list[str]:
    line = f"    &dqnn_variant_{variant.kernel}_{variant.isa},"
    return [line] if guard is None else [f"#if {guard}", line, "#endif"]
