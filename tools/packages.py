"""Archives of the C interpreter for other build systems: `python tools/packages.py [NAME...] [-o DIRECTORY]`, NAME one
of

    c            the sources with their CMake project (interpreter_c alone)
    arduino      an Arduino library, with a sketch
    cmsis-pack   a CMSIS-Pack with its description

The same tree gives the same bytes. PlatformIO, Zephyr and ESP-IDF take the repository as it is: docs/packages.md."""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from licence_lines import MARK, ROOT, version

C, SUPPORT = ROOT / "interpreter_c", ROOT / "env_support"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest that a .zip can say
EXAMPLE = ("digits.c", "digits.h", "kernels.c", "model.c", "model.h", "picture.h")
# Arduino's builder has no place for -ffp-contract=off, without which gcc gives other bits in its GNU modes.
NO_CONTRACTION = '#if defined(__GNUC__) && !defined(__clang__)\n#pragma GCC optimize("-ffp-contract=off")\n#endif\n'
ARDUINO_FOLDERS = ("src", "kernels", "isa", "link", "store")
FORWARD = """{line}
/* What a sketch includes. */
#ifndef DQNN_ARDUINO_H
#define DQNN_ARDUINO_H
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "dqnn/dqnn_values.h"
#endif
"""
Archive = dict[str, bytes]


def files_below(folder: Path) -> Iterator[Path]:
    """What git knows of it."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return (ROOT / name for name in sorted(listed.stdout.split("\0")) if name)


def sources(group: str) -> list[str]:
    """A list of kernels/sources.cmake."""
    text = (C / "kernels" / "sources.cmake").read_text(encoding="utf-8")
    found = re.search(rf"set\(DQNN_SOURCES_{group}\n([^)]*)\)", text)
    assert found is not None, group
    return found[1].split()


def c_sources() -> tuple[str, Archive]:
    """interpreter_c alone: builds by CMake, make, or with every .c."""
    top = f"dqnn-c-{version()}"
    return f"{top}.zip", {f"{top}/{path.relative_to(C).as_posix()}": path.read_bytes() for path in files_below(C)}


def arduino() -> tuple[str, Archive]:
    """Arduino compiles every source below src/, which is the only include path."""
    content: Archive = {
        "library.properties": (SUPPORT / "arduino" / "library.properties").read_bytes(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "src/dqnn.h": FORWARD.format(line=f"/* {MARK}, dqnn {version()} */").encode(),
        "examples/Digits/Digits.ino": (SUPPORT / "arduino" / "Digits.ino").read_bytes(),
    }
    for name in EXAMPLE:
        content[f"examples/Digits/{name}"] = (SUPPORT / "example" / name).read_bytes()
    for path in files_below(C / "include" / "dqnn"):
        content[f"src/dqnn/{path.name}"] = path.read_bytes()
    for folder in ARDUINO_FOLDERS:
        for path in files_below(C / folder):
            name = path.relative_to(C).as_posix()
            if path.suffix in (".c", ".h", ".def") and not path.match("kernels/wide/*.c"):
                content[f"src/{name}"] = _uncontracted(path.read_text(encoding="utf-8"), path).encode()
    return f"dqnn-arduino-{version()}.zip", {f"dqnn/{name}": data for name, data in content.items()}


def _uncontracted(text: str, path: Path) -> str:
    """A source of its own with the pragma behind its first line."""
    if path.suffix != ".c":
        return text
    first, rest = text.split("\n", 1)
    return f"{first}\n{NO_CONTRACTION}{rest}"


def cmsis_pack() -> tuple[str, Archive]:
    """The sources as they are, with dqnn.dqnn.pdsc at the top."""
    parts = {
        "INTERPRETER": [
            name for group in ("core", "plan", "ref", "portable", "winograd", "packed") for name in sources(group)
        ],
        "HELIUM": sources("mve"),
        "LINK": sources("link"),
        "STORE": sources("store"),
    }
    text = (SUPPORT / "cmsis-pack" / "dqnn.pdsc.in").read_text(encoding="utf-8")
    for part, names in parts.items():
        lines = (f'          <file category="source" name="interpreter_c/{name}"/>' for name in names)
        text = text.replace(f"@{part}@", "\n".join(lines))
    text = text.replace("@VERSION@", version()).replace("@DATE@", _date())
    content = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files_below(C)}
    content["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    content["docs/c-api.md"] = (ROOT / "docs" / "c-api.md").read_bytes()
    content["dqnn.dqnn.pdsc"] = text.encode()
    return f"dqnn.dqnn.{version()}.pack", content


def _date() -> str:
    """Of the last commit: the same tree gives the same pack."""
    stamp = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True)
    return datetime.datetime.fromtimestamp(int(stamp.stdout), datetime.timezone.utc).date().isoformat()


PACKAGES: dict[str, Callable[[], tuple[str, Archive]]] = {
    "c": c_sources,
    "arduino": arduino,
    "cmsis-pack": cmsis_pack,
}


def write(name: str, folder: Path) -> Path:
    """One of PACKAGES; gives the archive's path."""
    file, content = PACKAGES[name]()
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in sorted(content.items()):
            info = zipfile.ZipInfo(entry, EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, data)
    return folder / file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="NAME", nargs="*", help="default: all")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist", help="directory, default: dist")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in PACKAGES]:
        parser.error(f"no package {', '.join(unknown)}; there are {', '.join(PACKAGES)}")
    for name in arguments.names or PACKAGES:
        path = write(name, arguments.output)
        print(f"{path}: {path.stat().st_size:,} B")


if __name__ == "__main__":
    main()
