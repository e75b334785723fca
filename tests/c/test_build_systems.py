"""The ways into someone's firmware that docs/c-api.md names, each by a project of its own with one model built in: it
must give the bytes that Python's interpreter gives."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dqnn
from dqnn.exporter.blob import parse
from dqnn.exporter.inspect.artifacts import c_array
from dqnn.exporter.inspect.kernel_set import kernel_set, kernels_without_ref

Tool = Callable[..., str]

# Input from stdin, output to stdout. The kernel set is compiled by the user's project: DQNN_HAVE_* must come along.
PROGRAM = """
#include <stdio.h>
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
extern const uint8_t net[];
extern const size_t net_size;
extern const dqnn_variant *const net_kernels[];
extern const uint32_t net_kernels_count;
static _Alignas(16) uint8_t memory[1 << 16];
int main(void) {
  const dqnn_options options = {.kernels = net_kernels, .kernel_count = net_kernels_count};
  dqnn_interpreter *it;
  dqnn_tensor tensor;
  if (dqnn_init(&it, memory, sizeof memory, net, net_size, &options, NULL) != DQNN_OK) return 1;
  dqnn_input(it, 0, &tensor);
  if (fread(tensor.data, 1, tensor.bytes, stdin) != tensor.bytes) return 2;
  dqnn_invoke(it);
  dqnn_output(it, 0, &tensor);
  return fwrite(tensor.data, 1, tensor.bytes, stdout) == tensor.bytes ? 0 : 3;
}
"""
PROJECT = """cmake_minimum_required(VERSION 3.18)
project(firmware LANGUAGES C)
{library}
add_executable(app main.c net.c kernels.c)
target_link_libraries(app PRIVATE dqnn::dqnn)
"""
LIBRARY = {
    "add_subdirectory": "add_subdirectory({repo}/interpreter_c dqnn)",
    "FetchContent": """include(FetchContent)
FetchContent_Declare(dqnn SOURCE_DIR {repo})
FetchContent_MakeAvailable(dqnn)""",
}
PACKAGE = """find_package(dqnn 0.1 REQUIRED)
foreach(part dqnn link store)
  if(NOT TARGET dqnn::${part})
    message(FATAL_ERROR "no dqnn::${part}")
  endif()
endforeach()"""
QUICK = "-DCMAKE_BUILD_TYPE=Debug"  # not optimized: compiled in a third of the time


def call(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def model(digits: Path) -> bytes:
    return dqnn.export(digits / "digits_larq.h5").blob


@pytest.fixture
def project(tmp_path: Path, model: bytes) -> Path:
    """A user's directory, but for what builds it."""
    view = parse(model)
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "net.c").write_text(c_array(model, view, "net"))
    (tmp_path / "kernels.c").write_text(
        kernel_set([node.kernel for node in view.nodes], "net_kernels", kernels_without_ref([view]))
    )
    return tmp_path


@pytest.fixture(scope="module")
def agrees(digits: Path, model: bytes) -> Callable[[Path], bool]:
    """Whether a program gives Python's bytes."""
    interpreter = dqnn.Interpreter(model)
    with np.load(digits / "digits_test.npz") as file:
        (stored,) = interpreter.to_stored(file["x"][:1])
    expected = np.asarray(interpreter.predict(stored, raw=True)).tobytes()

    def run(program: Path) -> bool:
        done = subprocess.run([program], input=stored.tobytes(), capture_output=True, check=False)
        assert done.returncode == 0
        return done.stdout == expected

    return run


def build(project: Path, cmake: str, library: str, *options: str) -> Path:
    (project / "CMakeLists.txt").write_text(PROJECT.format(library=library))
    call(cmake, "-S", project, "-B", project / "build", *options)
    call(cmake, "--build", project / "build", "--parallel", "2", "--target", "app")
    return project / "build" / "app"


@pytest.mark.parametrize("way", LIBRARY)
def test_a_project_builds_the_library_with_its_own(
    way: str, repo: Path, project: Path, agrees: Callable[[Path], bool], require_tool: Tool
) -> None:
    require_tool("gcc", "cc")
    app = build(project, require_tool("cmake"), LIBRARY[way].format(repo=repo), QUICK)
    assert agrees(app)
    call(require_tool("cmake"), "--install", project / "build", "--prefix", project / "installed")
    assert not (project / "installed").exists()  # what the project installs is its own affair


def test_a_project_that_chose_no_optimization_gets_fast_kernels(repo: Path, project: Path, require_tool: Tool) -> None:
    """And one that chose has its choice. Asked of the commands that CMake would run."""
    cmake = require_tool("cmake")
    (project / "CMakeLists.txt").write_text(PROJECT.format(library=LIBRARY["add_subdirectory"].format(repo=repo)))
    for name, choice, expected in (
        ("none", (), "-O2"),
        ("debug", (QUICK,), ""),
        ("own", ("-DCMAKE_C_FLAGS=-Os",), "-Os"),
    ):
        call(cmake, "-S", project, "-B", project / name, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *choice)
        commands = json.loads((project / name / "compile_commands.json").read_text())
        kernels = [c["command"] for c in commands if "/kernels/" in c["file"]]
        assert len(kernels) > 30
        for command in kernels:
            levels = re.findall(r"\s(-O\w?)\b", command)
            assert levels == ([expected] if expected else []), command


def test_an_installation_is_found(
    repo: Path, project: Path, agrees: Callable[[Path], bool], tmp_path: Path, require_tool: Tool
) -> None:
    """Built without the fast kernels, which the user's compiler must hear of: the kernel set names them otherwise, and
    would not link. The prefix is moved: nothing in the package may lead back."""
    require_tool("gcc", "cc")
    cmake, made = require_tool("cmake"), tmp_path / "made"
    call(cmake, "-S", repo, "-B", made, QUICK, "-DDQNN_ISAS=")
    call(cmake, "--build", made, "--parallel", "2")
    call(cmake, "--install", made, "--prefix", tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "moved")
    app = build(project, cmake, PACKAGE, QUICK, f"-DCMAKE_PREFIX_PATH={tmp_path / 'moved'}")
    assert agrees(app)
    config = "".join(path.read_text() for path in (tmp_path / "moved").rglob("*.cmake"))
    assert str(repo) not in config and str(tmp_path) not in config
    headers = {path.name for path in (repo / "interpreter_c" / "include" / "dqnn").iterdir()}
    assert {path.name for path in (tmp_path / "moved" / "include" / "dqnn").iterdir()} == headers


def test_every_source_and_one_include_path_is_the_whole_recipe(
    repo: Path, project: Path, agrees: Callable[[Path], bool], require_tool: Tool
) -> None:
    """No definition, no option, sources of all instruction sets: and the fast kernels are in."""
    c = repo / "interpreter_c"
    sources = [path for folder in ("src", "kernels") for path in sorted((c / folder).rglob("*.c"))]
    assert {path.parent.name for path in sources} >= {"src", "kernels", "ref", "opt", "mve", "wide"}
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    own = [project / name for name in ("main.c", "net.c", "kernels.c")]
    call(require_tool("gcc"), "-std=c11", *warnings, f"-I{c / 'include'}", *sources, *own, "-o", project / "app")
    assert agrees(project / "app")
    assert re.search(r" T dqnn_run_\w+_portable$", call(require_tool("nm"), project / "app"), re.MULTILINE)


def test_the_presets_are_whole(repo: Path, tmp_path: Path, require_tool: Tool) -> None:
    """CMake reads them; every one can be built by its name, has its toolchain file, and the host's builds."""
    require_tool("gcc", "cc")
    cmake, c = require_tool("cmake"), repo / "interpreter_c"
    presets = json.loads((c / "CMakePresets.json").read_text())
    named = {row["name"]: row for row in presets["configurePresets"] if not row.get("hidden")}
    assert set(re.findall(r'^\s*"(\S+)"', call(cmake, "--list-presets", cwd=c), re.MULTILINE)) == set(named)
    assert {row["configurePreset"] for row in presets["buildPresets"]} == set(named)
    cross = {name for name, row in named.items() if row["inherits"] == "cross"}
    toolchains = {path.stem for path in (c / "cmake").glob("*.cmake")} - {"install", "arm-none-eabi"}
    assert cross == toolchains
    call(cmake, "--preset", "host", "-B", tmp_path, "-DCMAKE_BUILD_TYPE=Debug", cwd=c)
    call(cmake, "--build", tmp_path, "--parallel", "2", "--target", "dqnn")
    assert "DQNN_WERROR:BOOL=ON" in (tmp_path / "CMakeCache.txt").read_text()
    assert (tmp_path / "libdqnn.a").stat().st_size > 100_000
