"""Size and stack of the interpreter on a microcontroller: `python tests/footprint/measure.py [CORE [--kernels]]`, CORE
a file name in interpreter_c/cmake (default cortex-m4); with --kernels also a Markdown table of what each kernel adds.

Code is what the linker keeps of the library (.text and .rodata, with --gc-sections) for a firmware that loads and runs
a model; what libc, libm and libgcc add is not counted. Stack is the deepest chain of calls by GCC's own figures
(-fcallgraph-info=su), an indirect call counting as the deepest plan or run function."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
C = ROOT / "interpreter_c"
CORE = ("checksum", "flatbuffer", "host", "reader", "verify", "interpreter")
PREFIX = {"riscv32": "riscv64-unknown-elf-"}
ISAS = ("portable",)
OPTIONAL = ("winograd", "packed")  # besides, for files with scratch or weights of few bits
PARTS = ("link", "store", "segments", "feed")


def flags(core: str) -> list[str]:
    """The compiler flags of a toolchain file."""
    text = (C / "cmake" / f"{core}.cmake").read_text()
    found = re.search(r'set\((?:DQNN_CPU|CMAKE_C_FLAGS_INIT) "([^"]*)"', text)
    assert found is not None, core
    words = found[1].replace("${CMAKE_CURRENT_LIST_DIR}", str(C / "cmake")).split()
    return [*words, *([] if core in PREFIX else ["-mthumb"])]


def sources(isas: Iterable[str] = ()) -> list[Path]:
    """Everything in the library, as CMake builds it for these instruction sets."""
    text = (C / "kernels" / "sources.cmake").read_text()
    names = [C / "src" / f"{name}.c" for name in (*CORE, "names", "numerics", "registry")]
    for group in ("plan", "ref", *isas):
        found = re.search(rf"set\(DQNN_SOURCES_{group}\n([^)]*)\)", text)
        names += [C / line.strip() for line in (found[1] if found else "").splitlines() if line.strip()]
    return list(dict.fromkeys(names))


@dataclass
class Build:
    """A compiled library for one core."""

    core: str
    optimize: str
    directory: Path
    isas: tuple[str, ...] = ()
    objects: list[Path] = field(default_factory=list)

    def tool(self, name: str) -> str:
        return PREFIX.get(self.core, "arm-none-eabi-") + name

    def run(self, *command: str | Path) -> str:
        return subprocess.run(
            [str(c) for c in command], check=True, capture_output=True, text=True, cwd=self.directory
        ).stdout

    def options(self) -> list[str]:
        have = [f"-DDQNN_HAVE_{isa.upper()}={int(isa in self.isas)}" for isa in ("portable", *OPTIONAL, "mve")]
        return [
            *flags(self.core),
            self.optimize,
            "-std=c11",
            "-ffp-contract=off",
            "-fno-tree-vectorize",
            "-ffunction-sections",
            "-fdata-sections",
            *have,
            f"-DDQNN_PACKED_WEIGHTS={int('packed' in self.isas)}",
            f"-I{C / 'include'}",
        ]

    def compile(self) -> None:
        for source in sources(self.isas):
            target = self.directory / (str(source.relative_to(C)).replace("/", "_") + ".o")
            self.run(self.tool("gcc"), *self.options(), "-fcallgraph-info=su", "-c", source, "-o", target)
            self.objects.append(target)

    def core_bytes(self) -> int:
        """Loader and interpreter in a firmware without any kernel."""
        return self._linked([o for o in self.objects if o.name.split(".")[0] in {f"src_{name}" for name in CORE}])

    def all_bytes(self) -> int:
        return self._linked(self.objects, "-DALL_KERNELS")

    def set_bytes(self, kernels: Iterable[str]) -> int:
        """With a kernel set; names as in `conv_s1_s1_s1_ref`."""
        return self._linked(self.objects, f"-DKERNELS={','.join(f'&dqnn_variant_{k}' for k in kernels)}")

    def part_bytes(self, part: str) -> int:
        """Code and constants of an optional part (`link`, `store`, `segments`, `feed`), every function of it."""
        total = 0
        for source in sorted((C / part).glob("*.c")) or [C / "src" / f"{part}.c"]:
            target = self.directory / f"{part}_{source.stem}.o"
            self.run(self.tool("gcc"), *self.options(), "-c", source, "-o", target)
            sizes = self.run(self.tool("size"), "-A", target)
            total += sum(int(size) for size in re.findall(r"^\.(?:text|rodata)\S*\s+(\d+)", sizes, re.MULTILINE))
        return total

    def _linked(self, objects: list[Path], *defines: str) -> int:
        probe, elf = self.directory / "probe.o", self.directory / "probe.elf"
        self.run(self.tool("gcc"), *self.options(), *defines, "-c", Path(__file__).with_name("probe.c"), "-o", probe)
        self.run(
            self.tool("gcc"),
            *flags(self.core),
            "-nostdlib",
            "-Wl,--gc-sections",
            "-Wl,-e,entry",
            "-Wl,--unresolved-symbols=ignore-all",
            "-Wl,--no-warn-rwx-segments",
            probe,
            self._absent(probe, *objects),
            *objects,
            "-o",
            elf,
        )
        text = self.run(self.tool("size"), "-A", elf)
        total = sum(int(size) for size in re.findall(r"^\.(?:text|rodata)\S*\s+(\d+)", text, re.MULTILINE))
        own = self.run(self.tool("nm"), "-S", "-t", "d", elf)
        found = re.search(r"^\d+ (\d+) T entry$", own, re.MULTILINE)
        assert found is not None
        return total - int(found[1])

    def _absent(self, *objects: Path) -> Path:
        """Functions of no size for what these objects need from outside: linkers since binutils 2.44 refuse calls of
        what is nowhere, whatever they are told to ignore."""
        source, target = self.directory / "absent.s", self.directory / "absent.o"
        thumb = "" if self.core in PREFIX else ".thumb_func\n"
        names = sorted(self._needed(objects) - {"model", "memory"})
        source.write_text(".text\n" + "".join(f".global {name}\n{thumb}{name}:\n" for name in names))
        self.run(self.tool("gcc"), *flags(self.core), "-c", source, "-o", target)
        return target

    def undefined(self) -> set[str]:
        """What the library needs from outside."""
        return self._needed(self.objects)

    def _needed(self, objects: Iterable[Path]) -> set[str]:
        needed = set(re.findall(r" U (\S+)", self.run(self.tool("nm"), "-u", *objects)))
        return needed - set(re.findall(r" [TDRBVW] (\S+)", self.run(self.tool("nm"), "--defined-only", *objects)))

    def stack(self) -> dict[str, int]:
        """Deepest stack below each public function."""
        return _Stack(self.directory.glob("*.ci")).public()


# Where the core calls through a pointer: kernels, or hooks that are the caller's own business.
INDIRECT = {
    "dqnn_invoke": r"dqnn_run_\w+$",
    "dqnn_model_verify": "$^",
    "dqnn_plan_with": r"dqnn_plan_(?!with)\w+$",
    "dqnn_model_open": "$^",
    "notify": "$^",
    "dqnn_quads_run": r"\S*:(quad_(gather|sum|maximum|emit)|(gather|sum|maximum|put)_(int|float))\b",
    "run_channels": r"\S*:dqnn_columns_\w+$",
    "run_long": r"\S*:dqnn_columns_\w+$",
    "sum_windows": r"\S*mve\.c:(gather|sum_columns)$",
    "add_columns": r"\S*:add_(one|two|ones)_\d$",
    "dqnn_run_columns": r"\S*:dqnn_columns_\w+$",
    "run_patches": r"\S*:dqnn_patches_\w+$",
    "run_group": r"\S*:dqnn_patches_\w+$",
    **dict.fromkeys(
        ("run_between", "run_anywhere", "dqnn_depthwise_nine_bytes_mve"), r"\S*:dqnn_nine_(row|cells)_\w+$"
    ),
    "dqnn_walk_sums": r"\S*(opt/sums|mve/binary_mve)\.c:\w+_row$",
    "sum_row": r"\S*:dqnn_sum_(floats|fixed)$",
    **dict.fromkeys(
        ("run_strips", "dqnn_run_depthwise_channels", "run_channel", "run_part", "read_weights"),
        "dqnn_unpack_depthwise$",
    ),
    "run_row": r"\S*conv_bitsliced\w*\.c:finish_\w+$",
    "run_image": r"\S*conv_(bitsliced\w*\.c:finish|horizontal\.c:emit)_\w+$",
}


class _Stack:
    """Call graph with frame sizes. A function's title is its name, with the file in front if it is static."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.frame: dict[str, int] = {}
        self.file: dict[str, str] = {}
        self.calls: dict[str, set[str]] = {}
        for file in files:
            text = file.read_text()
            assert "(dynamic)" not in text, f"{file.name}: a frame without bound"
            for title, size in re.findall(r'node: \{ title: "([^"]*)" label: "[^"]*\\n(\d+) bytes \(', text):
                self.frame[title] = int(size)
                self.file[title] = file.name
            for source, target in re.findall(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', text):
                self.calls.setdefault(source, set()).add(target)

    def targets(self, caller: str) -> list[str]:
        """What an indirect call in `caller` may reach: as INDIRECT says, else any function of its file or of a file
        that calls it."""
        name = caller.rsplit(":", maxsplit=1)[-1].split(".", maxsplit=1)[0]  # without .isra.0 and the like
        if name in INDIRECT:
            return [title for title in self.frame if re.match(INDIRECT[name], title)]
        callers = self.above(caller)
        files = {self.file[title] for title in callers}
        return [title for title in self.frame if self.file[title] in files and title not in callers]

    def above(self, function: str) -> set[str]:
        """The function and all that call it, directly or not."""
        found, fresh = {function}, {function}
        while fresh:
            fresh = {title for title, calls in self.calls.items() if calls & fresh and title in self.file} - found
            found |= fresh
        return found

    def depth(self, function: str, path: tuple[str, ...] = ()) -> int:
        assert function not in path, f"recursion: {' -> '.join((*path, function))}"
        below = self.calls.get(function, set()) - {"__indirect_call"}
        deepest = max((self.depth(f, (*path, function)) for f in below if f in self.frame), default=0)
        if "__indirect_call" in self.calls.get(function, set()):
            reached = (self.depth(f, (*path, function)) for f in self.targets(function) if f not in path)
            deepest = max(deepest, max(reached, default=0))
        return self.frame[function] + deepest

    def public(self) -> dict[str, int]:
        return {name: self.depth(name) for name in ("dqnn_requirements_of", "dqnn_init", "dqnn_invoke")}


def kernel_rows(builds: Iterable[Build]) -> Iterable[str]:
    """What a firmware with one kernel adds to loader and interpreter: plan, reference and fast variants. Kernels that
    differ in their output stand in one row, the largest counts."""
    variants: dict[str, list[str]] = {}
    text = (C / "include" / "dqnn" / "kernels.def").read_text()
    for kernel, isas in re.findall(r"^DQNN_KERNEL\(\d+, (\w+),.*, ([\w ]+)\)", text, re.MULTILINE):
        variants[kernel] = [f"{kernel}_{isa}" for isa in isas.split() if isa in ("ref", *ISAS)]
    groups: dict[str, list[str]] = {}
    for kernel in variants:
        group = re.sub(r"^((?:conv[hz]?|depthwisez?)_\w+_\w+)_\w+$|^(affine_\w+|avgpool_\w+)_\w+$", r"\1\2_*", kernel)
        groups.setdefault(group, []).append(kernel)
    yield "| kernel | fast | -Os | -O2 |"
    yield "|---|---|---|---|"
    for group, kernels in groups.items():
        sizes = [max(b.set_bytes(variants[k]) for k in kernels) - b.core_bytes() for b in builds]
        fast = "yes" if all(len(variants[k]) > 1 for k in kernels) else "no"
        yield f"| `{group}` | {fast} | {sizes[0]:,} | {sizes[1]:,} |"


def example_bytes(build: Build) -> tuple[int, int]:
    """The digits network of env_support/example with its kernel set, and with `ref` beside the fast kernels."""
    text = (ROOT / "env_support" / "example" / "kernels.c").read_text()
    names = set(re.findall(rf"dqnn_variant_(\w+_(?:{'|'.join(('ref', *ISAS))}))\b", text))
    fast = {name.rsplit("_", 1)[0] for name in names if not name.endswith("_ref")}
    needed = {name for name in names if not (name.endswith("_ref") and name[: -len("_ref")] in fast)}
    return build.set_bytes(sorted(needed)), build.set_bytes(sorted(names))


def main(core: str = "cortex-m4", table: str = "") -> None:
    if shutil.which(PREFIX.get(core, "arm-none-eabi-") + "gcc") is None:
        sys.exit(f"no compiler for {core}")
    builds = []
    with tempfile.TemporaryDirectory() as directory:
        for optimize in ("-Os", "-O2"):
            folder = Path(directory) / optimize
            folder.mkdir()
            build = Build(core, optimize, folder, ISAS)
            build.compile()
            builds.append(build)
            sizes = f"loader and interpreter {build.core_bytes()} B, with all kernels {build.all_bytes()} B"
            print(f"{core} {optimize}: {sizes}")
            print("  optional parts: " + ", ".join(f"{part} {build.part_bytes(part)} B" for part in PARTS))
            for isa in OPTIONAL:
                more = Build(core, optimize, Path(directory) / f"{optimize}-{isa}", (*ISAS, isa))
                more.directory.mkdir()
                more.compile()
                print(f"  {isa}: {more.all_bytes() - build.all_bytes()} B")
            lean, both = example_bytes(build)
            print(f"  digits, Larq: {lean} B with its kernel set, {both} B with ref beside the fast kernels")
            print("  stack: " + ", ".join(f"{name} {size} B" for name, size in build.stack().items()))
            print("  from outside: " + ", ".join(sorted(build.undefined())))
        if table == "--kernels":
            print("\n".join(kernel_rows(builds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
