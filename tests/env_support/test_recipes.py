"""Every way into a firmware that docs/packages.md names, followed with arm-none-eabi-gcc: the sources, include paths
and options that each build system takes from our metadata, linked with the example of env_support and run in QEMU on a
Cortex-M4. Each must print the host's bytes.

The vendors' tools are stood in for: Zephyr's and ESP-IDF's CMake files run with the functions replaced that these have;
library.json and the pack's description are read here; options are those that the tools add of their own."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from xml.etree import ElementTree

import packages
import pytest
from env_support.firmware import (
    CORE,
    EXAMPLE,
    EXAMPLE_SOURCES,
    LINK,
    MAIN,
    START,
    call,
    compile_all,
    expected,
    link,
    run,
)

pytestmark = pytest.mark.qemu
GCC = "arm-none-eabi-gcc"
SECTIONS = ["-ffunction-sections", "-fdata-sections"]
Tool = Callable[..., str]

OWN = """
add_executable(app main.c start.c {example}/digits.c {example}/model.c {example}/kernels.c)
target_include_directories(app PRIVATE {example})
target_link_libraries(app PRIVATE dqnn::dqnn)
target_link_options(app PRIVATE {link})
"""
WAYS = {
    "add_subdirectory": "add_subdirectory({repo}/interpreter_c dqnn)",
    "FetchContent": """include(FetchContent)
FetchContent_Declare(dqnn SOURCE_DIR {repo})
FetchContent_MakeAvailable(dqnn)""",
    "find_package": "find_package(dqnn 0.1 REQUIRED)",
}
# What Zephyr's functions do to a library of a module; its own options for an application of a Cortex-M4.
ZEPHYR = """
set(CONFIG_DQNN y)
set(CONFIG_DQNN_PORTABLE y)
set(CONFIG_DQNN_PROFILE y)
add_library(zephyr_interface INTERFACE)
target_compile_options(zephyr_interface INTERFACE -Os -std=c17 -fno-strict-aliasing -fno-common -ffunction-sections
  -fdata-sections -Wall -Wformat -Wno-main -fno-asynchronous-unwind-tables -fno-reorder-functions -fno-defer-pop)
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  target_link_libraries(${name} PRIVATE zephyr_interface)
endmacro()
macro(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
macro(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGN})
endmacro()
macro(zephyr_compile_definitions)
  target_compile_definitions(zephyr_interface INTERFACE ${ARGN})
endmacro()
add_subdirectory(@module@ dqnn)
add_library(app STATIC)
target_link_libraries(app PUBLIC zephyr_interface)
macro(find_package)
  if(NOT "${ARGV0}" STREQUAL "Zephyr")
    message(FATAL_ERROR "find_package(${ARGN})")
  endif()
endmacro()
add_executable(final start.c)
target_link_libraries(final PRIVATE -Wl,--whole-archive app -Wl,--no-whole-archive dqnn)
target_link_options(final PRIVATE @link@)
add_subdirectory(@sample@ sample)
"""
IDF = """
set(ESP_PLATFORM 1)
function(idf_component_register)
  cmake_parse_arguments(given "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_BINARY_DIR} NAME)
  add_library(${name} STATIC ${given_SRCS})
  target_include_directories(${name} PUBLIC ${given_INCLUDE_DIRS})
  target_compile_options(${name} PRIVATE -Og -std=gnu17 -ffunction-sections -fdata-sections -fno-jump-tables -Wall
    -Werror=all -Wextra -Wno-unused-parameter -Wno-sign-compare -fstrict-volatile-bitfields)
  set(COMPONENT_LIB ${name} PARENT_SCOPE)
  set(component ${name} PARENT_SCOPE)
endfunction()
add_subdirectory(@repo@ component)
get_directory_property(library DIRECTORY @repo@ DEFINITION component)
add_subdirectory(@sample@ sample)
target_link_libraries(sample PUBLIC ${library})
add_executable(final start.c idf.c)
target_link_libraries(final PRIVATE sample)
target_link_options(final PRIVATE @link@)
"""


@pytest.fixture(scope="module")
def host() -> str:
    return expected()


@pytest.fixture
def emulator(require_tool: Tool) -> str:
    return require_tool("qemu-system-arm")


def configure(folder: Path, text: str, repo: Path, cmake: str, *options: str) -> None:
    """A project of the user's for a Cortex-M4."""
    (folder / "start.c").write_text(START)
    (folder / "main.c").write_text(MAIN)
    (folder / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.18)\nproject(firmware LANGUAGES C)\n{text}"
    )
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={repo / 'interpreter_c' / 'cmake' / 'cortex-m4.cmake'}"
    call([cmake, "-S", folder, "-B", folder / "build", toolchain, *options])


def build(folder: Path, cmake: str, target: str) -> None:
    call([cmake, "--build", folder / "build", "--parallel", "2", "--target", target])


@pytest.mark.parametrize("way", WAYS)
def test_cmake(way: str, repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    cmake, options = require_tool("cmake"), []
    if way == "find_package":
        made, prefix = tmp_path / "made", tmp_path / "prefix"
        toolchain = f"-DCMAKE_TOOLCHAIN_FILE={repo / 'interpreter_c' / 'cmake' / 'cortex-m4.cmake'}"
        call([cmake, "-S", repo / "interpreter_c", "-B", made, toolchain, "-DDQNN_INSTALL=ON"])
        call([cmake, "--build", made, "--parallel", "2"])
        call([cmake, "--install", made, "--prefix", prefix])
        options = [f"-Ddqnn_DIR={next(prefix.rglob('dqnnConfig.cmake')).parent}"]
    own = OWN.format(example=EXAMPLE, link=" ".join(LINK))
    configure(tmp_path, WAYS[way].format(repo=repo) + own, repo, cmake, *options)
    build(tmp_path, cmake, "app")
    assert run(tmp_path / "build" / "app", emulator) == host


def test_make(repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    """The lines of docs/c-api.md behind CubeMX's own, all objects in one directory."""
    page = (repo / "docs" / "c-api.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```make\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    recipe = recipe.replace("third_party/dqnn", str(repo))
    before = f"""
all: firmware.a
C_SOURCES = {" ".join(map(str, EXAMPLE_SOURCES))}
C_INCLUDES = -I{EXAMPLE}
CFLAGS = {" ".join(CORE)} $(C_DEFS) $(C_INCLUDES) -Og -Wall -fdata-sections -ffunction-sections
"""
    after = f"""
OBJECTS = $(notdir $(C_SOURCES:.c=.o))
vpath %.c $(sort $(dir $(C_SOURCES)))
%.o: %.c
	{require_tool(GCC)} -c $(CFLAGS) $< -o $@
firmware.a: $(OBJECTS)
	arm-none-eabi-ar rcs $@ $^
"""
    (tmp_path / "Makefile").write_text(before + recipe + after)
    call(["make", "-s", "-j2", "-C", tmp_path])
    assert run(link(tmp_path, [tmp_path / "firmware.a"], GCC), emulator) == host


def compiled(folder: Path, sources: Sequence[Path], options: Sequence[str], compiler: str) -> Path:
    """A firmware of a library's sources and the example's, with the same options."""
    objects = compile_all(folder / "objects", [*sources, *EXAMPLE_SOURCES], [*CORE, *options, f"-I{EXAMPLE}"], compiler)
    return link(folder, objects, compiler)


def test_every_source(repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    c = repo / "interpreter_c"
    sources = [path for folder in ("src", "kernels") for path in sorted((c / folder).rglob("*.c"))]
    options = ["-O2", "-std=gnu11", "-ffp-contract=off", *SECTIONS, f"-I{c / 'include'}"]
    assert run(compiled(tmp_path, sources, options, require_tool(GCC)), emulator) == host


def filtered(root: Path, filters: Sequence[str]) -> list[Path]:
    """PlatformIO's srcFilter: each rule in turn takes in or out what lies at or below a pattern."""
    taken: set[Path] = set()
    for rule in filters:
        sign, pattern = rule[0], rule[2:-1]
        wanted = f"{pattern}*" if pattern.endswith(("/", "*")) or not pattern else pattern
        hit = {path for path in root.rglob("*.c") if fnmatch(path.relative_to(root).as_posix(), wanted)}
        taken = taken | hit if sign == "+" else taken - hit
    return sorted(taken)


def test_platformio(repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    """library.json, beside the options that PlatformIO's stm32cube builds have."""
    manifest = json.loads((repo / "library.json").read_text())
    how = manifest["build"]
    sources = filtered(repo / how["srcDir"], how["srcFilter"])
    assert {path.parent.name for path in sources} >= {"src", "opt", "ref", "link", "store"}
    own = ["-Os", "-Wall", "-nostdlib", *SECTIONS, *how["flags"]]
    options = [*own, f"-I{repo / how['includeDir']}"]
    for header in manifest["headers"]:
        assert (repo / how["includeDir"] / header).exists()
    exported = [repo / name for name in manifest["export"]["include"]]
    needed = [*sources, repo / how["includeDir"], EXAMPLE, *(repo / "env_support" / "platformio").rglob("*.*")]
    assert all(any(path.is_relative_to(name) for name in exported) for path in needed)
    assert run(compiled(tmp_path, sources, options, require_tool(GCC)), emulator) == host


ARDUINO_H = """
#ifndef ARDUINO_H
#define ARDUINO_H
#include <stdio.h>
#include <stdlib.h>
struct SerialPort {
  void begin(long) {}
  void print(const char *text) { printf("%s", text); }
  void print(int number) { printf("%d", number); }
  void println(unsigned long number) { printf("%lu\\n", number); exit(0); }
};
static SerialPort Serial;
static inline unsigned long micros() { return 0; }
static inline void delay(int) {}
void setup();
void loop();
#endif
"""


def test_arduino(repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    """The archive's sources with src/ as the only include path and no option of ours; then the sketch, as C++."""
    gcc, gxx = require_tool(GCC), require_tool("arm-none-eabi-g++")
    with zipfile.ZipFile(packages.write("arduino", tmp_path)) as archive:
        archive.extractall(tmp_path)
    library = tmp_path / "dqnn"
    sketch = library / "examples" / "Digits"
    sources = [*sorted((library / "src").rglob("*.c")), *sorted(sketch.glob("*.c"))]
    options = [
        *CORE,
        "-g",
        "-Os",
        "-w",
        "-std=gnu11",
        *SECTIONS,
        "-MMD",
        "-DARDUINO=10607",
        f"-I{library / 'src'}",
        f"-I{sketch}",
    ]
    objects = compile_all(tmp_path / "objects", sources, options, gcc)
    elf = link(tmp_path, objects, gcc)
    assert run(elf, emulator) == host
    assert not re.search(r"\bv?fn?m[as](l?s)?\.f32|\bvfn?m[as]", call(["arm-none-eabi-objdump", "-d", elf]))

    (tmp_path / "Arduino.h").write_text(ARDUINO_H)
    cpp = ["-Os", "-w", "-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-xc++", "-include", "Arduino.h", "-I."]
    call(
        [gxx, *CORE, *cpp, f"-I{library / 'src'}", f"-I{sketch}", "-c", sketch / "Digits.ino", "-o", "ino.o"],
        cwd=tmp_path,
    )
    main = "extern void _Z5setupv(void), _Z4loopv(void);\nint main(void) { _Z5setupv(); for (;;) _Z4loopv(); }\n"
    elf = link(tmp_path, [tmp_path / "ino.o", *objects], gcc, main)
    assert run(elf, emulator) == f"It is a {host.split()[1]}, microseconds: 0\n"


def test_zephyr(repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    """The module's CMake file, and the sample's around Zephyr's printk."""
    module = re.search(r"cmake: (\S+)", (repo / "zephyr" / "module.yml").read_text())
    assert module is not None
    sample = repo / "env_support" / "zephyr" / "samples" / "digits"
    text = ZEPHYR.replace("@module@", str(repo / module[1])).replace("@sample@", str(sample))
    (tmp_path / "zephyr").mkdir()
    (tmp_path / "zephyr" / "kernel.h").write_text("#include <stdio.h>\n#define printk printf\n")
    text = text.replace("@link@", " ".join(LINK)) + f"target_include_directories(app PRIVATE {tmp_path})\n"
    cmake = require_tool("cmake")
    configure(tmp_path, text, repo, cmake)
    build(tmp_path, cmake, "final")
    assert run(tmp_path / "build" / "final", emulator) == f"It is a {host.split()[1]}\n"
    library = tmp_path / "build" / "dqnn" / "libdqnn.a"
    own = [f"-I{repo / 'interpreter_c' / 'include'}", "-ffp-contract=off"]
    objects = compile_all(tmp_path / "own", EXAMPLE_SOURCES, [*CORE, "-Os", f"-I{EXAMPLE}", *own], require_tool(GCC))
    assert run(link(tmp_path, [*objects, library], GCC), emulator) == host


def test_zephyr_options_are_those_of_kconfig(repo: Path) -> None:
    folder = repo / "env_support" / "zephyr"
    declared = set(re.findall(r"^(?:menu)?config (\w+)", (folder / "Kconfig").read_text(), re.MULTILINE))
    read = set(re.findall(r"CONFIG_(DQNN\w*)", (folder / "CMakeLists.txt").read_text()))
    assert declared == read
    assert set(re.findall(r"CONFIG_(DQNN\w*)", (folder / "samples" / "digits" / "prj.conf").read_text())) <= declared


def test_esp_idf(repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    """The component by way of the repository's CMakeLists.txt, and the example's."""
    sample = repo / "env_support" / "esp-idf" / "digits" / "main"
    text = IDF.replace("@repo@", str(repo)).replace("@sample@", str(sample)).replace("@link@", " ".join(LINK))
    (tmp_path / "idf.c").write_text("void app_main(void);\nint main(void) { app_main(); return 0; }\n")
    cmake = require_tool("cmake")
    configure(tmp_path, text, repo, cmake)
    build(tmp_path, cmake, "final")
    assert run(tmp_path / "build" / "final", emulator) == f"It is a {host.split()[1]}\n"
    archives = [next((tmp_path / "build" / folder).glob("*.a")) for folder in ("sample", "component")]
    include = f"-I{repo / 'interpreter_c' / 'include'}"
    assert run(link(tmp_path, [include, *archives], GCC), emulator) == host


def test_cmsis_pack(repo: Path, tmp_path: Path, host: str, emulator: str, require_tool: Tool) -> None:
    """The sources of the component Interpreter, as the description lists them."""
    with zipfile.ZipFile(packages.write("cmsis-pack", tmp_path)) as archive:
        archive.extractall(tmp_path / "pack")
    root = ElementTree.parse(tmp_path / "pack" / "dqnn.dqnn.pdsc").getroot()
    (component,) = [item for item in root.iter("component") if item.get("Csub") == "Interpreter"]
    files = [(item.get("category"), tmp_path / "pack" / str(item.get("name"))) for item in component.iter("file")]
    include = [f"-I{path}" for category, path in files if category == "include"]
    sources = [path for category, path in files if category == "source"]
    options = ["-O2", "-std=gnu11", "-ffp-contract=off", *SECTIONS, *include]
    assert run(compiled(tmp_path, sources, options, require_tool(GCC)), emulator) == host
