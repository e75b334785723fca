"""How much of each fast kernel the fuzzers' seeds reach, and how much with their corpora: `tools/fuzz_coverage.py BUILD
SEEDS [CORPUS ...]`, which `make fuzz-coverage` calls. BUILD is a build of the C tests with gcc's --coverage.

A table in Markdown: lines of a kernel's file and of the headers it is made of, and the functions that nothing entered.
Fails if the seeds leave out a whole run function of an instruction set that this processor has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parents[1] / "interpreter_c"
FOLDERS = ("kernels/opt/", "kernels/wide/")
RUN = re.compile(r"dqnn_run_\w+")


@dataclass
class Covered:
    """One compiled file: lines by header and number, functions by name, each with how often they ran."""

    lines: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    functions: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def percent(self) -> float:
        return 100 * sum(count > 0 for count in self.lines.values()) / max(1, len(self.lines))

    def never(self) -> list[str]:
        return sorted(name for name, count in self.functions.items() if count == 0)


def replay(build: Path, files: Sequence[Path], *options: str) -> str:
    """Runs files, a portion at a time: one that brings the program down must not hide all others."""
    said = ""
    for first in range(0, len(files), 500):
        command: list[str | Path] = [build / "tests" / "replay", *options, *files[first : first + 500]]
        said += subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return said


def kernel_objects(build: Path) -> list[Path]:
    """gcc's notes on what was compiled; in an old folder also on files that are no more."""
    notes = [note for note in sorted(build.rglob("*.gcno")) if any(folder in note.as_posix() for folder in FOLDERS)]
    return [note for note in notes if (SOURCES / source_of(note)).exists()]


def source_of(note: Path) -> str:
    return note.as_posix().split("dqnn.dir/")[1].removesuffix(".c.gcno") + ".c"


def counts(build: Path) -> dict[str, Covered]:
    """What gcov says of every file under FOLDERS; files that never ran count too."""
    result: dict[str, Covered] = {}
    for note in kernel_objects(build):
        name = source_of(note)
        output = subprocess.run(
            ["gcov", "--json-format", "--stdout", str(note)], capture_output=True, text=True, check=True, cwd=build
        ).stdout
        covered = result.setdefault(name, Covered())
        for line in filter(str.strip, output.splitlines()):
            add(covered, json.loads(line)["files"])
    return result


def add(covered: Covered, files: Sequence[dict[str, Any]]) -> None:
    for entry in files:
        path = entry["file"]
        if not any(part in path for part in (*FOLDERS, "isa/")):
            continue
        for row in entry["lines"]:
            covered.lines[path, row["line_number"]] += row["count"]
        for function in entry["functions"]:
            covered.functions[function["name"]] += function["execution_count"]


def forget(build: Path) -> None:
    for data in build.rglob("*.gcda"):
        data.unlink()


def table(seeds: dict[str, Covered], all_files: dict[str, Covered] | None) -> str:
    head = ["file", "seeds"] + ([] if all_files is None else ["and corpora"]) + ["never entered"]
    rows = [head, ["---"] + ["---:"] * (len(head) - 2) + ["---"]]
    for name, covered in seeds.items():
        last = covered if all_files is None else all_files[name]
        percents = [f"{covered.percent:.0f} %"] + ([] if all_files is None else [f"{last.percent:.0f} %"])
        rows.append([f"`{name}`", *percents, ", ".join(f"`{f}`" for f in last.never()) or "-"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def lacking(said: str) -> set[str]:
    """Instruction sets that replay names as missing."""
    return set(re.findall(r"this processor lacks it: (\w+)", said))


def units(corpus: Path) -> list[Path]:
    """What libFuzzer kept; not what it found."""
    return sorted(f for f in corpus.iterdir() if re.fullmatch(r"[0-9a-f]{40}", f.name))


def main(arguments: Sequence[str]) -> int:
    build, seeds = Path(arguments[0]).resolve(), sorted(Path(arguments[1]).resolve().glob("*.dqnn"))
    corpora = [unit for folder in arguments[2:] for unit in units(Path(folder).resolve())]
    forget(build)
    absent = lacking(replay(build, seeds, "--every-variant"))
    by_seeds = {name: c for name, c in counts(build).items() if not name.endswith(tuple(f"_{isa}.c" for isa in absent))}
    by_all = None
    if corpora:
        replay(build, corpora)
        by_all = counts(build)
    print(f"{len(seeds)} seeds, {len(corpora)} files of corpora\n")
    print(table(by_seeds, by_all))
    print("".join(f"\nskipped, this processor lacks it: {isa}" for isa in sorted(absent)))
    left_out = [f for c in by_seeds.values() for f in c.never() if RUN.fullmatch(f)]
    if left_out:
        print(f"the seeds never enter {', '.join(left_out)}", file=sys.stderr)
    return 1 if left_out or not seeds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
