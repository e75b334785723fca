"""What tools/packages.py packs, and metadata that other tools read: complete, of one version, the same every time. What
PyPI's tools check was checked with them once (docs/packages.md); where they are installed the tests here call them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import licence_lines
import packages
import pytest
from env_support.firmware import EXAMPLE

from dqnn.exporter.blob import parse
from dqnn.exporter.inspect.artifacts import c_array, c_header
from dqnn.exporter.inspect.kernel_set import kernel_set, kernels_without_ref

# https://arduino.github.io/arduino-cli/latest/library-specification/
ARDUINO_FIELDS = {
    "name",
    "version",
    "author",
    "maintainer",
    "sentence",
    "paragraph",
    "category",
    "url",
    "architectures",
}
ARDUINO_CATEGORIES = {
    "Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing", "Data Storage",
    "Data Processing", "Other",
}  # fmt: skip


def names_of(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return archive.namelist()


@pytest.mark.parametrize("name", packages.PACKAGES)
def test_the_same_tree_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    first, second = packages.write(name, tmp_path / "a"), packages.write(name, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert licence_lines.version() in first.name
    entries = names_of(first)
    assert len(set(entries)) == len(entries)
    assert not [entry for entry in entries if entry.startswith("/") or ".." in entry or "\\" in entry]


def test_the_program_refuses_unknown_names(repo: Path, tmp_path: Path) -> None:
    words = [sys.executable, repo / "tools" / "packages.py", "conan", "-o", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no package conan; there are c, arduino, cmsis-pack" in done.stderr


def test_the_c_sources_are_a_project(tmp_path: Path, repo: Path) -> None:
    entries = names_of(packages.write("c", tmp_path))
    (top,) = {entry.split("/")[0] for entry in entries}
    assert {f"{top}/{name}" for name in ("LICENSE", "CMakeLists.txt", "CMakePresets.json", "include/dqnn/dqnn.h")} <= {
        *entries
    }
    with zipfile.ZipFile(tmp_path / f"{top}.zip") as archive:
        archive.extractall(tmp_path)
    cmake = shutil.which("cmake")
    assert cmake is not None
    words = [cmake, "-S", tmp_path / top, "-B", tmp_path / "build"]
    subprocess.run(words, check=True, capture_output=True)


def test_arduino_takes_the_library(tmp_path: Path) -> None:
    """Arduino's rules for a library: fields, one folder, src/ with the header that sketches include, example folders
    that bear their sketch's name, no file that an operating system left."""
    path = packages.write("arduino", tmp_path)
    entries = names_of(path)
    assert {entry.split("/")[0] for entry in entries} == {"dqnn"}
    with zipfile.ZipFile(path) as archive:
        text = archive.read("dqnn/library.properties").decode()
    fields = dict(line.split("=", 1) for line in text.splitlines())
    assert fields.keys() >= ARDUINO_FIELDS and all(fields.values())
    assert fields["version"] == licence_lines.version() and fields["category"] in ARDUINO_CATEGORIES
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", fields["name"])
    assert "arduino" not in fields["name"].lower()
    assert f"dqnn/src/{fields['includes']}" in entries
    sketches = [entry for entry in entries if entry.endswith(".ino")]
    assert sketches and all(Path(entry).stem == Path(entry).parent.name for entry in sketches)
    assert not [entry for entry in entries if "/." in entry or entry.endswith((".exe", ".o", ".a"))]


def test_every_include_of_the_arduino_library_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(packages.write("arduino", tmp_path)) as archive:
        archive.extractall(tmp_path)
    source = tmp_path / "dqnn" / "src"
    for path in [*source.rglob("*.c"), *source.rglob("*.h")]:
        for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
            assert (path.parent / name).exists() or (source / name).exists(), f"{path}: {name}"


def test_the_packs_description_names_what_is_there(repo: Path, tmp_path: Path) -> None:
    path = packages.write("cmsis-pack", tmp_path)
    entries = set(names_of(path))
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("dqnn.dqnn.pdsc"))
    assert path.name == f"{root.findtext('vendor')}.{root.findtext('name')}.{licence_lines.version()}.pack"
    files = [str(item.get("name")) for item in root.iter("file")]
    assert len(set(files)) == len(files)
    assert not [name for name in files if not any(entry.startswith(name) for entry in entries)]
    assert root.findtext("license") in entries
    conditions = {item.get("id") for item in root.iter("condition")}
    assert {item.get("condition") for item in root.iter("component")} <= conditions
    assert "@" not in ElementTree.tostring(root, encoding="unicode")
    groups = ("core", "plan", "ref", "portable", "winograd", "packed", "mve", "link", "store")
    listed = {f"interpreter_c/{name}" for group in groups for name in packages.sources(group)}
    assert {name for name in files if name.endswith(".c")} == listed


def test_lists_of_sources_are_complete(repo: Path) -> None:
    """Every source below src, kernels, link and store is in a list of sources.cmake, which the recipes read."""
    c = repo / "interpreter_c"
    text = (c / "kernels" / "sources.cmake").read_text()
    there = {
        path.relative_to(c).as_posix() for top in ("src", "kernels", "link", "store") for path in (c / top).rglob("*.c")
    }
    assert there == set(re.findall(r"^  (\S+\.c)$", text, re.MULTILINE))


def test_all_metadata_have_the_version(repo: Path) -> None:
    version = licence_lines.version()
    assert json.loads((repo / "library.json").read_text())["version"] == version
    assert f'version: "{version}"' in (repo / "idf_component.yml").read_text()
    assert f"\nversion={version}\n" in (repo / "env_support" / "arduino" / "library.properties").read_text()


def test_the_example_is_made_of_a_released_file(repo: Path) -> None:
    blob = (repo / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn").read_bytes()
    view = parse(blob)
    assert (EXAMPLE / "model.c").read_text() == c_array(blob, view, "model"), (
        "write it anew with dqnn inspect --c-array"
    )
    assert (EXAMPLE / "model.h").read_text() == c_header(blob, view, "model")
    kernels = kernel_set([node.kernel for node in view.nodes], "model_kernels", kernels_without_ref([view]))
    count = re.compile(r"\d+ of dqnn's \d+ kernels")
    assert count.sub("", (EXAMPLE / "kernels.c").read_text()) == count.sub("", kernels)


def test_platformio_packs_the_library(repo: Path, tmp_path: Path) -> None:
    """PlatformIO wants SPDX's list of licences from the network."""
    if shutil.which("pio") is None:
        pytest.skip("needs pio (pip install platformio) and a network")
    done = subprocess.run(["pio", "pkg", "pack", repo, "-o", tmp_path], capture_output=True, text=True, check=False)
    if "Could not load SPDX" in done.stdout + done.stderr:
        pytest.skip("pio cannot load SPDX's list of licences")
    assert done.returncode == 0, done.stderr


def test_the_component_manager_packs_the_component(repo: Path, tmp_path: Path) -> None:
    if shutil.which("compote") is None:
        pytest.skip("needs compote (pip install idf-component-manager)")
    copy = tmp_path / "dqnn"
    for path in packages.files_below(repo):
        (copy / path.relative_to(repo)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(repo))
    subprocess.run(["compote", "component", "pack", "--name", "dqnn"], cwd=copy, check=True)
