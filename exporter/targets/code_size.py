"""Code that a firmware needs for a model: the interpreter with its loader, and the kernels of the model's kernel set.

The C sources are compiled for the core (-O2) and linked with --gc-sections as `dqnn inspect --kernel-set` would have
it, but for `ref` variants that it leaves out; what the linker keeps is counted, libgcc's helpers (soft float, 64-bit
arithmetic) included, the C library's memcpy and such not. The compiled library is kept beside the firmwares of
firmware.py."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from .firmware import CORES, SOURCES, build_once, cached_path
from .kernels_def import variants

LIBRARY = "libdqnn.a"
TOOLCHAINS = {core: name for name, core in CORES.items()} | {"cortex-m0": "cortex-m0plus"}  # named otherwise
# Of the C library there are names alone, of functions of no size: it is not counted, and linkers since binutils 2.44
# refuse calls of what is nowhere, whatever they are told to ignore.
PROBE = """
#include "dqnn/dqnn.h"
#ifdef __arm__
#define LABEL ".thumb_func\\n"
#else
#define LABEL
#endif
#define ABSENT(name) __asm__(".text\\n.global " name "\\n" LABEL name ":\\n");
ABSENT("memcpy") ABSENT("memmove") ABSENT("memset") ABSENT("memcmp") ABSENT("sqrtf")
%s
static const dqnn_variant *const kernels[] = {%s};
dqnn_status entry(void *memory, size_t bytes, const void *model, size_t size, dqnn_tensor *input, dqnn_tensor *output) {
  const dqnn_options options = {.kernels = kernels, .kernel_count = sizeof kernels / sizeof kernels[0]%s};
  dqnn_interpreter *it;
  dqnn_requirements need;
  (void)dqnn_requirements_of(model, size, &need);
  (void)dqnn_init(&it, memory, bytes, model, size, &options, NULL);
  (void)dqnn_input(it, 0, input);
  (void)dqnn_output(it, 0, output);
  return dqnn_invoke(it);
}
"""


def code_bytes(core: str, kernels: Iterable[str], segments: str = "") -> int | None:
    """Bytes of flash, with what runs nodes for some rows at a time if `segments` names it; None where the core has no
    toolchain file or its compiler is not installed. Raises TargetError if the sources do not compile."""
    return _code_bytes(core, tuple(sorted(set(kernels))), segments)


@cache
def _code_bytes(core: str, kernels: tuple[str, ...], segments: str) -> int | None:
    toolchain = SOURCES / "cmake" / f"{TOOLCHAINS.get(core, core)}.cmake"
    prefix = "riscv64-unknown-elf-" if core.startswith("rv32") else "arm-none-eabi-"
    if not toolchain.exists() or any(shutil.which(tool) is None for tool in ("cmake", f"{prefix}gcc")):
        return None
    options = ["-DDQNN_WERROR=OFF", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"]
    final = cached_path(f"code-{core}", f"{prefix}gcc", LIBRARY)
    library = build_once(final, SOURCES, options, f"the kernels for {core}")
    with tempfile.TemporaryDirectory(prefix="dqnn-code-") as directory:
        return _linked(Path(directory), library, prefix, _flags(toolchain), kernels, segments)


def _flags(toolchain: Path) -> list[str]:
    """The core's compiler flags, from its toolchain file."""
    found = re.search(r'set\((?:DQNN_CPU|CMAKE_C_FLAGS_INIT) "([^"]*)"', toolchain.read_text(encoding="utf-8"))
    assert found is not None, toolchain
    words = found[1].replace("${CMAKE_CURRENT_LIST_DIR}", str(toolchain.parent)).split()
    return words if "-march=rv32imac" in words else [*words, "-mthumb"]


def _linked(
    directory: Path, library: Path, prefix: str, flags: list[str], kernels: tuple[str, ...], segments: str
) -> int:
    """.text and .rodata of a program that runs a model with these kernels."""
    names = [f"dqnn_variant_{v.kernel}_{v.isa}" for v in variants() if v.kernel in kernels]
    # Weak: the library has only the variants of its core.
    declared = "\n".join(f"extern const dqnn_variant {name} __attribute__((weak));" for name in names)
    source, elf = directory / "probe.c", directory / "probe.elf"
    strips = f", .segments = &{segments}" if segments else ""
    source.write_text(PROBE % (declared, ", ".join(f"&{name}" for name in names), strips), encoding="utf-8")
    command = [
        f"{prefix}gcc", *flags, "-O2", f"-I{SOURCES / 'include'}", str(source), "-nostdlib", "-Wl,-e,entry",
        "-Wl,--gc-sections", "-Wl,--unresolved-symbols=ignore-all", "-Wl,--no-warn-rwx-segments",
        "-Wl,--whole-archive", str(library), "-Wl,--no-whole-archive", "-lgcc", "-o", str(elf),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    sizes = subprocess.run([f"{prefix}size", "-A", str(elf)], check=True, capture_output=True, text=True).stdout
    return sum(int(size) for size in re.findall(r"^\.(?:text|rodata)\S*\s+(\d+)", sizes, re.MULTILINE))
