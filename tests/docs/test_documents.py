"""What the pages show works: models export and run, C code compiles and runs, links lead somewhere, commands and files
exist, tables are complete."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeAlias

import click
import numpy as np
import pytest

import dqnn
from dqnn.exporter.blob import parse
from dqnn.exporter.cli import LazyGroup, main
from dqnn.exporter.inspect.artifacts import c_array, c_header

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "examples", "interpreter_c", "js_bindings", "schema")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for top in FOLDERS for path in (ROOT / top).rglob("*.md")),
    ]
)
Tool: TypeAlias = Callable[[str], str]

MAKE_ENV = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
DECLARED = "void f(const void *model, size_t model_size)"
SIGNATURE = f"{DECLARED};\n{DECLARED} {{\n(void)model;\n(void)model_size;"
CLOSING = "(void)options;\n}\n"
PROGRAM = """
#include <stdio.h>
static _Alignas(16) uint8_t file[1 << 16];
static float image[28 * 28];
int main(void) {
  FILE *in = fopen("image.bin", "rb");
  if (in == NULL || fread(image, sizeof(float), 28 * 28, in) != 28 * 28) return 1;
  fclose(in);
  in = fopen("model.dqnn", "rb");
  if (in == NULL) return 1;
  size_t size = fread(file, 1, sizeof file, in);
  fclose(in);
  printf("%d\\n", classify(file, size, image));
  return 0;
}
"""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def model_blocks() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", ROOT / "docs" / "getting-started.md"]
    found = [(page.name, block) for page in pages for block in blocks(page, "python") if "Sequential" in block]
    assert len(found) == 3  # Larq on both pages, QKeras on the second
    return found


@pytest.mark.tf
@pytest.mark.parametrize(("page", "code"), model_blocks(), ids=["readme", "started-larq", "started-qkeras"])
def test_models_on_the_pages_export_and_agree_with_keras(page: str, code: str) -> None:
    import tensorflow as tf

    from dqnn import Interpreter, export

    names: dict[str, Any] = {"tf": tf}
    exec(re.sub(r"^model\.save.*$", "", code, flags=re.MULTILINE), names)
    model = names["model"]
    x = np.random.default_rng(0).integers(-128, 128, (4, 28, 28, 1)).astype(np.float32) / 128
    ours = Interpreter(export(model).blob).predict(x)
    np.testing.assert_allclose(ours, model.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


COMPILERS = (("gcc", ()), ("clang", ()), ("arm-none-eabi-gcc", ("-mcpu=cortex-m4", "-mthumb")))


@pytest.mark.parametrize(("compiler", "options"), COMPILERS, ids=[name for name, _ in COMPILERS])
@pytest.mark.parametrize("page", ["README.md", "docs/c-api.md", "docs/firmware.md", "docs/inspect.md"])
def test_c_on_the_pages_compiles(
    repo: Path, tmp_path: Path, page: str, compiler: str, options: tuple[str, ...], require_tool: Tool, digits: Path
) -> None:
    assert blocks(repo / page, "c")
    if page == "docs/firmware.md":
        write_model(digits / "digits_larq.h5", tmp_path)
    for block in blocks(repo / page, "c"):
        code = block
        if (
            "int classify" not in block and page != "docs/firmware.md"
        ):  # statements of a function body, but for what stands before a declaration
            lines = block.splitlines()
            includes = [line for line in lines if line.startswith(("#", "static", "extern"))]
            body = [line for line in lines if line not in includes]
            head = ["#include <stddef.h>", '#include "dqnn/dqnn.h"', *includes]
            code = "\n".join([*head, SIGNATURE, *body, CLOSING])
        (tmp_path / "page.c").write_text(code)
        warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-error=unused-variable"]
        command = [require_tool(compiler), *options, "-std=c11", *warnings, "-fsyntax-only"]
        subprocess.run([*command, "-I", repo / "interpreter_c" / "include", tmp_path / "page.c"], check=True)


def write_model(file: Path, folder: Path) -> None:
    """model.h and model.c as `dqnn inspect --c-array model.c` would."""
    blob = dqnn.export(file).blob
    (folder / "model.h").write_text(c_header(blob, parse(blob), "model"))
    (folder / "model.c").write_text(c_array(blob, parse(blob), "model"))


@pytest.fixture(scope="module")
def library(repo: Path, tmp_path_factory: pytest.TempPathFactory, require_tool: Tool) -> list[str | Path]:
    """Arguments for a compiler that link the interpreter and find its headers, and model.h."""
    c, folder = repo / "interpreter_c", tmp_path_factory.mktemp("library")
    sources = [path for top in ("src", "kernels") for path in sorted((c / top).rglob("*.c"))]
    subprocess.run([require_tool("gcc"), "-std=c11", f"-I{c / 'include'}", "-c", *sources], cwd=folder, check=True)
    return [*sorted(folder.glob("*.o")), f"-I{c / 'include'}", "-I."]


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_cpp_on_the_firmware_page_gives_python_s_bytes(
    repo: Path, tmp_path: Path, digits: Path, library: list[str | Path], standard: str, require_tool: Tool
) -> None:
    """With the memory of a 64-bit machine, where pointers are longer."""
    (code,) = blocks(repo / "docs" / "firmware.md", "cpp")
    write_model(digits / "digits_larq.h5", tmp_path)
    assert "[MODEL_MEMORY_BYTES]" in code
    program = """
#include <cstdio>
int main() {
  static float image[MODEL_INPUT0_ELEMENTS];
  if (std::fread(image, sizeof(float), MODEL_INPUT0_ELEMENTS, stdin) != MODEL_INPUT0_ELEMENTS) return 1;
  const float *out = infer(image);
  return out != nullptr && std::fwrite(out, 1, MODEL_OUTPUT0_BYTES, stdout) == MODEL_OUTPUT0_BYTES ? 0 : 2;
}
"""
    (tmp_path / "main.cpp").write_text(code.replace("[MODEL_MEMORY_BYTES]", "[MODEL_MEMORY_BYTES + 4096]") + program)
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([require_tool("gcc"), "-c", "model.c"], cwd=tmp_path, check=True)
    words = [require_tool("g++"), f"-std={standard}", *warnings, "main.cpp", "model.o", *library, "-o", "app"]
    subprocess.run(words, cwd=tmp_path, check=True)
    x = np.load(digits / "digits_test.npz")["x"][0].astype("<f4")
    done = subprocess.run([tmp_path / "app"], input=x.tobytes(), capture_output=True, check=True)
    assert done.stdout == dqnn.Interpreter(dqnn.export(digits / "digits_larq.h5").blob).predict(x[None]).tobytes()


PARTITIONS = """
#include <stdio.h>
#include <string.h>
#include "model.h"
#include "other.h"
enum { BYTES = 32 * 1024 };
static _Alignas(16) uint8_t a[BYTES], b[BYTES];
static int file_of(const dqnn_interpreter *it) {
  dqnn_model_info info;
  if (it == NULL) return 0;
  dqnn_model_of(it, &info);
  return info.file == a ? 'a' : 'b';
}
int main(void) {
  const void *const partitions[] = {a, b};
  memset(a, 0xff, BYTES);
  memset(b, 0xff, BYTES);
  if (file_of(first_that_loads(partitions, 2, BYTES)) != 0) return 1; /* both erased */
  memcpy(b, model, model_size);
  if (file_of(first_that_loads(partitions, 2, BYTES)) != 'b') return 2;
  memcpy(a, other, other_size / 2);
  if (file_of(first_that_loads(partitions, 2, BYTES)) != 'b') return 3; /* a half-written */
  memcpy(a, other, other_size);
  dqnn_interpreter *it = first_that_loads(partitions, 2, BYTES);
  if (file_of(it) != 'a') return 4;

  /* the arena is free from one inference to the next */
  uint8_t input_bytes[4096], expected[4096];
  dqnn_tensor input, output;
  dqnn_model_info info;
  dqnn_model_of(it, &info);
  dqnn_input(it, 0, &input);
  dqnn_output(it, 0, &output);
  for (uint32_t i = 0; i < input.bytes; i++) input_bytes[i] = (uint8_t)(i % 61);
  for (int fill = 0; fill < 256; fill += 51) {
    memset(info.arena, fill, info.arena_bytes);
    memcpy(input.data, input_bytes, input.bytes);
    dqnn_invoke(it);
    if (fill == 0) memcpy(expected, output.data, output.bytes);
    if (memcmp(expected, output.data, output.bytes) != 0) return 5;
  }

  /* switching, the file checked before */
  dqnn_interpreter *other_it = NULL;
  if (dqnn_verify(b, BYTES, &(dqnn_options){.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count}, NULL))
    return 6;
  if (switch_to(&other_it, b, BYTES, true) != DQNN_OK || file_of(other_it) != 'b') return 7;
  return switch_to(&other_it, a, BYTES, false) == DQNN_OK && file_of(other_it) == 'a' ? 0 : 8;
}
"""


def test_what_the_firmware_page_says_of_partitions_and_the_arena(
    repo: Path, tmp_path: Path, digits: Path, library: list[str | Path], require_tool: Tool
) -> None:
    write_model(digits / "digits_larq.h5", tmp_path)
    blob = dqnn.export(digits / "digits_qkeras.h5").blob
    (tmp_path / "other.h").write_text(c_header(blob, parse(blob), "other"))
    (tmp_path / "other.c").write_text(c_array(blob, parse(blob), "other"))
    code = blocks(repo / "docs" / "firmware.md", "c")
    (first,) = [block for block in code if "first_that_loads" in block]
    (switch,) = [block for block in code if "switch_to" in block]
    switch = "\n".join(line for line in switch.splitlines() if "memory[" not in line)  # it is the first one's
    (tmp_path / "main.c").write_text(first + switch + PARTITIONS)
    own = ["main.c", "model.c", "other.c"]
    words = [require_tool("gcc"), "-std=c11", "-Wall", "-Wextra", "-Werror", *own, *library, "-o", "app"]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "app"], check=False).returncode == 0


SHARING = """
#include <string.h>
#include "other.h"
static _Alignas(16) uint8_t one[MODEL_MEMORY_BYTES + 4096], two[OTHER_MEMORY_BYTES + 4096];
static uint8_t expected[2][4096];
static void infer(dqnn_interpreter *it, uint8_t *result) {
  dqnn_tensor input, output;
  dqnn_input(it, 0, &input);
  for (uint32_t i = 0; i < input.bytes; i++) ((uint8_t *)input.data)[i] = (uint8_t)(i % 61);
  dqnn_invoke(it);
  dqnn_output(it, 0, &output);
  memcpy(result, output.data, output.bytes);
}
int main(void) {
  const dqnn_options options = {.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count};
  const void *const files[2] = {model, other};
  uint8_t result[4096] = {0};
  dqnn_interpreter *it;
  if (OTHER_ARENA_BYTES > sizeof arena) return 1;
  if (dqnn_init(&it, one, sizeof one, model, model_size, &options, NULL)) return 2;
  infer(it, expected[0]);
  if (dqnn_init(&it, two, sizeof two, other, other_size, &options, NULL)) return 3;
  infer(it, expected[1]);
  if (!load_both(files, model_size + other_size)) return 4;
  for (int i = 0; i < 6; i++) {
    infer(models[i % 2], result);
    if (memcmp(result, expected[i % 2], sizeof result)) return 5;
    memset(result, 0, sizeof result);
  }
  return 0;
}
"""


def test_what_the_firmware_page_says_of_one_arena_for_two_models(
    repo: Path, tmp_path: Path, digits: Path, library: list[str | Path], require_tool: Tool
) -> None:
    blobs = {name: dqnn.export(digits / f"digits_{name}.h5").blob for name in ("larq", "qkeras")}
    most, least = sorted(blobs.values(), key=lambda blob: -parse(blob).prefix.arena_bytes)
    for name, blob in (("model", most), ("other", least)):
        (tmp_path / f"{name}.h").write_text(c_header(blob, parse(blob), name))
        (tmp_path / f"{name}.c").write_text(c_array(blob, parse(blob), name))
    (code,) = [block for block in blocks(repo / "docs" / "firmware.md", "c") if "load_both" in block]
    wider = code.replace("[MODEL_STATE_BYTES]", "[(MODEL_STATE_BYTES + 4096) / 16 * 16]")  # longer pointers
    (tmp_path / "main.c").write_text(wider + SHARING)
    sanitize = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    own = ["-Wall", "-Wextra", "-Werror", "main.c", "model.c", "other.c"]
    words = [require_tool("gcc"), "-std=c11", *sanitize, *own, *library, "-o", "app"]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "app"], check=False).returncode == 0


def test_a_plain_makefile_builds_the_interpreter(repo: Path, tmp_path: Path, digits: Path, require_tool: Tool) -> None:
    """As the Makefiles of vendors' tools do it: all objects in one directory, so no two sources may share a name. The
    program runs two models, the second without being built anew."""
    (recipe,) = blocks(repo / "docs" / "c-api.md", "make")
    (tmp_path / "main.c").write_text(blocks(repo / "docs" / "c-api.md", "c")[0] + PROGRAM)
    (tmp_path / "Makefile").write_text(
        recipe.replace("third_party/dqnn", str(repo))
        + "C_SOURCES += main.c\n"
        + "OBJECTS = $(notdir $(C_SOURCES:.c=.o))\n"
        + "vpath %.c $(sort $(dir $(C_SOURCES)))\n"
        + "app: $(OBJECTS)\n\t$(CC) $(LDFLAGS) $^ -o $@\n"
    )
    require_tool("gcc")
    options = ["CC=gcc -Wall -Wextra -Wpedantic -Werror"]
    subprocess.run([require_tool("make"), "-j2", "-s", *options, "app"], cwd=tmp_path, check=True, env=MAKE_ENV)
    data = np.load(digits / "digits_test.npz")
    (tmp_path / "image.bin").write_bytes(data["x"][0].astype("<f4").tobytes())
    for model, answer in (("digits_larq", str(data["y"][0])), ("digits_qkeras", "-1")):  # the second takes int8
        (tmp_path / "model.dqnn").write_bytes(dqnn.export(digits / f"{model}.h5").blob)
        done = subprocess.run([tmp_path / "app"], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == answer


def test_no_two_sources_share_a_name(repo: Path) -> None:
    names = [path.name for path in (repo / "interpreter_c").rglob("*.c") if "ports" not in path.parts]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file, and to a heading of it where the link names one."""
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name}: {target}#{anchor}"


def test_every_page_is_reached_from_the_readme(repo: Path) -> None:
    readme = (repo / "README.md").read_text(encoding="utf-8")
    for page in (repo / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme, page.name


def test_the_specification_has_every_number_of_the_float_functions(repo: Path) -> None:
    """A reader written from SPEC.md must give the same bits."""
    code = re.sub(r"/\*.*?\*/", "", (repo / "interpreter_c" / "src" / "numerics.c").read_text(), flags=re.DOTALL)
    spec = (repo / "schema" / "SPEC.md").read_text(encoding="utf-8").split("### 3.6")[1].split("## 4")[0]
    written = {np.float32(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", spec)}
    used = {np.float32(number) for number in re.findall(r"([\d.]+(?:e-?\d+)?)f\b", code)}
    assert len(used) > 30 and used <= written
    kinds = re.search(r"enum UnaryKind : ubyte \{(.*?)\}", (repo / "schema" / "dqnn.fbs").read_text(), re.DOTALL)
    assert kinds is not None
    missing = [kind for kind in re.findall(r"(\w+) = \d+", kinds[1]) if not re.search(rf"\b{kind}\b", spec)]
    assert not missing


def text_of(repo: Path, page: str) -> str:
    return (repo / "docs" / page).read_text(encoding="utf-8")


def test_the_python_page_names_everything(repo: Path) -> None:
    """Public names, members of what they give, and every argument of the functions."""
    page = text_of(repo, "python.md")
    names = {name for name in dqnn.__all__ if not name.startswith("_")}
    for kind in (dqnn.Interpreter, dqnn.TensorInfo, dqnn.ExportResult):
        names |= {name for name in dir(kind) if not name.startswith("_")}
        names |= {field.name for field in fields(kind)} if is_dataclass(kind) else set()
    for function in (dqnn.export, dqnn.analyze, dqnn.validate, dqnn.sweep, dqnn.callbacks.DeployReport):
        names |= set(inspect.signature(function).parameters) - {"model_or_path"}
    assert not [name for name in sorted(names) if not re.search(rf"\b{name}\b", page)]


def test_the_fuzzing_page_names_every_regression(repo: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, repo / "tests" / "c" / "make_regressions.py", tmp_path], check=True)
    page = (repo / "docs" / "fuzzing.md").read_text()
    names = re.findall(r"`([\w*]+)`", page[page.index("## Files that once broke it") : page.index("## More of it")])
    made = {path.stem for path in tmp_path.glob("*.dqnn")}
    assert len(made) > 20
    assert not {name for name in made if not any(fnmatch(name, pattern) for pattern in names)}


def test_the_c_page_names_every_function_and_option(repo: Path) -> None:
    header = (repo / "interpreter_c" / "include" / "dqnn" / "dqnn.h").read_text()
    names = set(re.findall(r"^(?:dqnn_status|uint32_t|const char \*)\s*(dqnn_\w+)\(", header, re.MULTILINE))
    assert len(names) == 24
    options = re.search(r"take their default.*?typedef struct \{(.*?)\} dqnn_options;", header, re.DOTALL)
    assert options is not None
    names |= set(re.findall(r"(\w+);", options[1]))
    assert not [name for name in names if not re.search(rf"\b{name}\b", text_of(repo, "c-api.md"))]


def test_the_errors_page_has_every_status(repo: Path) -> None:
    header = (repo / "interpreter_c" / "include" / "dqnn" / "dqnn.h").read_text()
    codes = re.findall(r"DQNN_ERROR_(\w+) = (0x\w+)", header)
    assert len(codes) > 15
    page = text_of(repo, "errors.md")
    assert not [name for name, code in codes if f"| {code} | `{name}` |" not in page]


def tree(repo: Path) -> list[Path]:
    """What CONTRIBUTING's annotated tree names: on the left below the top-level folder, on the right below what stands
    on the left."""
    text = (repo / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = text.split("## Where things are")[1].split("Follow a model")[0]
    found, top = [], repo
    for line in text.splitlines():
        left, _, right = re.sub(r" {3,}", "\n", line.strip()).partition("\n")
        outermost = line.startswith("    ") and not line.startswith("     ")
        names = [name for name in re.split(r"[ ,]+", left) if re.fullmatch(r"[\w/*]+(?:/|\.\w+)", name)]
        if not names:
            continue
        places = [(repo if outermost else top) / name for name in names]
        found += places
        found += [places[0] / name for name in re.findall(r"[\w/]+(?:\.py\b|/(?=[ ,;:]|$))", right)]
        if outermost:
            top = places[0]
    return found


def test_the_fuzzing_page_has_every_fast_kernel(repo: Path) -> None:
    """Of those that an x86 host can run; the figures are those of `make fuzz-coverage`."""
    page = (repo / "docs" / "fuzzing.md").read_text(encoding="utf-8")
    files = {path.relative_to(repo / "interpreter_c").as_posix() for path in repo.glob("interpreter_c/kernels/*/*.c")}
    rows = re.findall(r"^\| `(kernels/\w+/\w+\.c)` \|", page, re.MULTILINE)
    arm = ("_neon.c", "_dotprod.c")
    assert set(rows) == {name for name in files if name.split("/")[1] in ("opt", "wide") and not name.endswith(arm)}


def test_the_annotated_tree_is_the_tree(repo: Path) -> None:
    """Nothing is named that is not there, and no directory or module of the exporter is left out."""
    named = tree(repo)
    assert len(named) > 60
    assert not [path for path in named if not list(repo.glob(str(path.relative_to(repo))))]
    listed = subprocess.run(["git", "ls-files"], cwd=repo, capture_output=True, text=True, check=True).stdout.split()
    folders = {Path(*Path(name).parts[:depth]) for name in listed for depth in (1, 2) if len(Path(name).parts) > depth}
    tops = ("exporter", "interpreter_c", "schema", "js_bindings", "python_bindings", "examples", "docs", "tools")
    expected = {repo / folder for folder in folders if folder.parts[0] in tops} | {repo / "tests"}
    expected |= {path for path in (repo / "exporter").glob("*.py") if not path.name.startswith("__")}
    text = " ".join(str(path.relative_to(repo)) for path in named)
    missing = [name for path in sorted(expected) if (name := str(path.relative_to(repo))) not in text]
    assert missing == []


def command_lines(page: Path) -> Iterator[str]:
    """Commands in code blocks and in backticks, without their comments."""
    text = page.read_text(encoding="utf-8")
    fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    for line in [
        *fenced.splitlines(),
        *re.findall(r"^ {4}(.*)", text, re.MULTILINE),
        *re.findall(r"`([^`\n]+)`", text),
    ]:
        for part in line.split("#")[0].split("&&"):
            if re.match(r"(dqnn|dqnn-export|make) +\w", part.strip()):
                yield part.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_the_pages_exist(repo: Path, page: Path) -> None:
    """Subcommands, options and make targets."""
    targets = re.findall(r"^([\w-]+):", (repo / "Makefile").read_text(), re.MULTILINE)
    for line in command_lines(page):
        program, *words = line.split()
        if program == "make":
            assert {word for word in words if "=" not in word} <= set(targets), line
            continue
        name = "export" if program == "dqnn-export" else words[0]
        command = LazyGroup().get_command(click.Context(main), name)
        if isinstance(command, click.Group) and words[1:]:
            command = command.commands.get(words[1])
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert not set(re.findall(r"(?<=\s)--[a-z0-9-]+", line)) - known, line
