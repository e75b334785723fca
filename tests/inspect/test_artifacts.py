"""What `dqnn inspect` writes for firmware builds and for Netron."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from passes.graph_builder import SIGN, batch_norm, binary_weights, chain_graph, rng_of

import dqnn
from dqnn.exporter.blob import ModelView, parse
from dqnn.exporter.cli import main
from dqnn.exporter.inspect import onnx as onnx_view
from dqnn.exporter.inspect.artifacts import ArtifactError, c_array, c_header, identifier, intel_hex, padded
from dqnn.exporter.inspect.kernel_set import kernel_set, kernels_without_ref
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.passes import run_pipeline
from dqnn.exporter.targets.kernels_def import parse_variants, variants

Cli = Callable[..., Result]
Tool = Callable[[str], str]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["inspect", *(str(a) for a in arguments)])


@pytest.fixture(scope="module")
def larq(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "digits larq.dqnn"
    dqnn.export(digits / "digits_larq.h5", target)
    return target


def call(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# --- Intel HEX, binary, C array ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [0, 0x0804_0000, 0x0800_FFF0, 0xFFFF_0000])
@pytest.mark.parametrize("size", [1, 16, 17, 255, 40_000])
def test_hex_is_what_objcopy_reads_and_writes(tmp_path: Path, require_tool: Tool, address: int, size: int) -> None:
    objcopy = require_tool("objcopy")
    blob = np.random.default_rng(size).bytes(size)
    text = intel_hex(blob, address)
    (tmp_path / "a.hex").write_text(text)
    (tmp_path / "a.bin").write_bytes(blob)
    call(objcopy, "-I", "ihex", "-O", "binary", tmp_path / "a.hex", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == blob
    call(
        objcopy,
        "-I",
        "binary",
        "-O",
        "ihex",
        f"--change-addresses={address:#x}",
        tmp_path / "a.bin",
        tmp_path / "b.hex",
    )
    assert decoded(text) == decoded((tmp_path / "b.hex").read_text()) == dict(enumerate(blob, address))


def decoded(text: str) -> dict[int, int]:
    """Address -> byte, by the definition of the format."""
    memory: dict[int, int] = {}
    upper, ended = 0, False
    for line in text.split():
        record = bytes.fromhex(line.removeprefix(":"))
        assert line.startswith(":") and sum(record) % 256 == 0 and not ended
        count, offset, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert len(data) == count
        if kind == 4:
            upper = int.from_bytes(data, "big") << 16
        elif kind == 2:
            upper = int.from_bytes(data, "big") << 4
        elif kind == 0:
            memory |= {upper + offset + i: byte for i, byte in enumerate(data)}
        ended = kind == 1
    assert ended
    return memory


@pytest.mark.parametrize(("address", "text"), [(8, "no multiple of 16"), (2**32 - 16, "32-bit"), (-16, "32-bit")])
def test_hex_refuses(address: int, text: str) -> None:
    with pytest.raises(ArtifactError, match=text):
        intel_hex(bytes(100), address)


def test_padding() -> None:
    assert padded(b"x" * 16) == b"x" * 16
    assert padded(b"x" * 17) == b"x" * 17 + b"\xff" * 15


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("net", "net"),
        ("net.v2", "net_v2"),
        ("2net", "model_2net"),
        ("int", "model_int"),
        ("...", "model"),
        ("ä-b", "b"),
    ],
)
def test_identifiers(name: str, expected: str) -> None:
    assert identifier(name) == expected


def test_a_padded_file_still_runs(larq: Path, cli: Cli) -> None:
    blob = larq.read_bytes()
    assert cli(larq, "--bin", "m.bin").exit_code == 0
    assert Path("m.bin").read_bytes() == padded(blob)
    x = np.ones((1, 28, 28, 1), np.float32)
    longer = dqnn.Interpreter(blob + b"\xff" * 48).predict(x)
    assert np.array_equal(longer, dqnn.Interpreter(blob).predict(x))


@pytest.mark.parametrize(("compiler", "standard"), [("gcc", "c11"), ("g++", "c++17")])
def test_the_c_array_compiles(larq: Path, tmp_path: Path, require_tool: Tool, compiler: str, standard: str) -> None:
    blob = larq.read_bytes()[:-3]  # any length
    text = c_array(blob, parse(larq.read_bytes()), "net")
    assert "needs 3996 bytes of memory for it on a 32-bit core" in text
    (tmp_path / "m.c").write_text(text)
    (tmp_path / "main.c").write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <stdint.h>\n"
        "extern const uint8_t net[];\nextern const size_t net_size;\n"
        "int main(void) { if ((uintptr_t)net % 16) return 1; fwrite(net, 1, net_size, stdout); return 0; }\n"
    )
    language = "c++" if compiler == "g++" else "c"
    call(
        require_tool(compiler), "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c",
        tmp_path / "m.c", "-o", tmp_path / "m.o",
    )  # fmt: skip
    call(require_tool("gcc"), tmp_path / "main.c", tmp_path / "m.o", "-o", tmp_path / "program")
    assert subprocess.run([tmp_path / "program"], capture_output=True, check=True).stdout == blob


def test_a_name_cannot_break_the_comment(larq: Path) -> None:
    from dataclasses import replace

    text = c_array(b"x", replace(parse(larq.read_bytes()), name="a */ int evil; /*"), "net")
    assert "*/ int evil" not in text


PORTS = """
#include <stdio.h>
#include <string.h>
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "net.h"
#include "net.h"
static _Alignas(16) uint8_t memory[NET_MEMORY_BYTES + 4096]; /* pointers are longer here than on a 32-bit core */
static int differs(const dqnn_tensor *t, const char *name, int dtype, int rank, const uint32_t *dims, size_t count,
                   uint32_t elements, uint32_t bytes, float scale, int zero) {
  uint32_t product = 1;
  if (strcmp(t->name, name) || t->dtype != dtype || t->rank != rank || count != (size_t)rank) return 1;
  for (int i = 0; i < rank; i++) product *= dims[i];
  return memcmp(t->dims, dims, count * 4) || product != elements || t->bytes != bytes || t->scale != scale ||
         t->zero_point != zero;
}
#define DIFFERS(t, P) differs(t, P##_NAME, P##_DTYPE, P##_RANK, (const uint32_t[])P##_DIMS, \
    sizeof((const uint32_t[])P##_DIMS) / 4, P##_ELEMENTS, P##_BYTES, P##_SCALE, P##_ZERO_POINT)
int main(void) {
  const dqnn_options options = {.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count};
  dqnn_interpreter *it;
  dqnn_tensor t;
  dqnn_model_info info;
  if (net_size != NET_SIZE || dqnn_init(&it, memory, sizeof memory, net, net_size, &options, NULL)) return 1;
  dqnn_model_of(it, &info);
  if (info.inputs != NET_INPUTS || info.outputs != NET_OUTPUTS || info.model_id != NET_ID) return 2;
  if (info.model_version != NET_VERSION || info.arena_bytes != NET_ARENA_BYTES) return 3;
  if (NET_ARENA_BYTES + NET_STATE_BYTES != NET_MEMORY_BYTES) return 3;
  dqnn_input(it, 0, &t);
  if (DIFFERS(&t, NET_INPUT0)) return 4;
#ifdef NET_INPUT0_ROUNDING
  if (t.rounding != NET_INPUT0_ROUNDING || t.u8 != NET_INPUT0_U8) return 5;
#endif
#ifdef NET_INPUT0_SAMPLE_SCALE
  if (t.sample_scale != NET_INPUT0_SAMPLE_SCALE || t.sample_offset != NET_INPUT0_SAMPLE_OFFSET) return 6;
  puts("samples");
#endif
  dqnn_output(it, 0, &t);
  return DIFFERS(&t, NET_OUTPUT0) ? 7 : 0;
}
"""


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("digits_larq", {}, "DQNN_F32"),
        ("digits_qkeras", {}, "_ROUNDING DQNN_ROUNDING_MULTIPLY"),
        ("digits_qkeras", {"input_u8": (1 / 255, -0.5)}, "_SAMPLE_OFFSET (-0.5f)"),
    ],
)
def test_the_header_says_what_the_interpreter_says(
    library: Path,
    repo: Path,
    digits: Path,
    cli: Cli,
    model: str,
    options: dict[str, Any],
    said: str,
    require_tool: Tool,
) -> None:
    dqnn.export(digits / f"{model}.h5", "net.dqnn", **options)
    assert cli("net.dqnn", "--c-array", "net.c").exit_code == 0
    assert said in Path("net.h").read_text()
    Path("main.c").write_text(PORTS)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{repo / 'interpreter_c/include'}"]
    call(require_tool("gcc"), *flags, "main.c", "net.c", library, "-o", "program")
    printed = call("./program")
    assert ("samples" in printed) == bool(options)


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_the_header_is_cpp_too(larq: Path, tmp_path: Path, require_tool: Tool, standard: str) -> None:
    """Linked with the array that a C compiler made."""
    view, blob = parse(larq.read_bytes()), larq.read_bytes()
    (tmp_path / "net.c").write_text(c_array(blob, view, "net"))
    (tmp_path / "net.h").write_text(c_header(blob, view, "net"))
    (tmp_path / "main.cpp").write_text(
        '#include "net.h"\nalignas(16) static uint8_t memory[NET_MEMORY_BYTES];\n'
        "int main() { return net[0] == 'D' && net_size == NET_SIZE && memory[0] == 0 ? 0 : 1; }\n"
    )
    call(require_tool("gcc"), "-std=c11", "-c", "net.c", cwd=tmp_path)
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    call(require_tool("g++"), f"-std={standard}", *warnings, "main.cpp", "net.o", "-o", "program", cwd=tmp_path)
    call(tmp_path / "program")


LABELS = """
#include <stdio.h>
#include "net.h"
#include "net.h"
int main(void) {
  const char *const names[NET_OUTPUT0_LABELS] = NET_OUTPUT0_LABEL_NAMES;
  printf("%d %d %s", NET_OUTPUT0_LABEL_T_SHIRT_TOP, NET_OUTPUT0_LABEL_9, names[NET_OUTPUT0_LABEL_ANKLE_BOOT]);
  return 0;
}
"""
CLASSES = ["zero", "T-shirt/top", "two", "ankle boot", "é 4", "five", "six", "7", "eight", "9"]


def test_labels_become_enumerators(larq: Path, cli: Cli, require_tool: Tool) -> None:
    Path("labels.txt").write_text("\n".join([*CLASSES, ""]), encoding="utf-8")
    Path("main.c").write_text(LABELS)
    for given in ("labels.txt", ",".join(CLASSES)):
        assert cli(larq, "--c-array", "net.c", "--name", "net", "--labels", given).exit_code == 0
        for compiler, language in (("gcc", "-std=c11"), ("g++", "-xc++")):
            call(
                require_tool(compiler), language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.c", "-o", "program"
            )
            assert call("./program") == "1 9 ankle boot"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a,b"], "output 0 ('activation') has 10 classes, but 2 labels are given"),
        ([",".join(CLASSES)] * 2, "labels for 2 outputs; the model has 1"),
        (["a,A,c,d,e,f,g,h,i,+"], "empty or alike as C names: 'a', 'A', '+'"),
        (["nowhere.txt"], "labels 'nowhere.txt' are no text file with a name on each line"),
    ],
)
def test_labels_that_do_not_fit_are_refused(larq: Path, cli: Cli, labels: list[str], said: str) -> None:
    result = cli(larq, "--c-array", "net.c", *(word for given in labels for word in ("--labels", given)))
    assert result.exit_code != 0 and said in " ".join(result.stderr.split())
    assert not Path("net.c").exists() and not Path("net.h").exists()
    assert "--labels are for the header" in cli(larq, "--labels", "a,b").stderr


def test_names_of_ports_become_literals(larq: Path, tmp_path: Path, require_tool: Tool) -> None:
    from dataclasses import replace

    view = parse(larq.read_bytes())
    name = 'a"b\\c\n??/*/é1%d'
    text = c_header(b"x", replace(view, inputs=(replace(view.inputs[0], name=name),)), "net")
    program = text + "#include <stdio.h>\nint main(void) { fputs(NET_INPUT0_NAME, stdout); return 0; }\n"
    (tmp_path / "m.c").write_text(program)
    call(require_tool("gcc"), "-std=c11", "-Wall", "-Werror", tmp_path / "m.c", "-o", tmp_path / "m")
    assert subprocess.run([tmp_path / "m"], capture_output=True, check=True).stdout == name.encode()


def test_the_header_writes_over_nothing_of_yours(larq: Path, cli: Cli) -> None:
    """But over its own of the last time; and none is written beside a pipe."""
    Path("net.h").write_text("mine")
    result = cli(larq, "--c-array", "net.c")
    assert result.exit_code == 2 and "net.h" in result.output and "not made by dqnn" in result.output
    assert Path("net.h").read_text() == "mine" and not Path("net.c").exists()
    assert cli(larq, "--c-array", "other.c").exit_code == 0 == cli(larq, "--c-array", "other.c").exit_code
    for arguments in (("--c-array", "n.h"), ("--c-array", "n.c", "--kernel-set", "./n.h")):
        result = cli(larq, *arguments)
        assert result.exit_code == 2 and "n.h is the header that --c-array writes" in result.output
    Path("m.h").write_bytes(larq.read_bytes())
    assert "m.h is the model or data to be read" in cli("m.h", "--c-array", "m.c").output
    assert Path("m.h").read_bytes() == larq.read_bytes()
    assert cli(larq, "--c-array", "/dev/null").exit_code == 0 and not Path("/dev/null.h").exists()


# --- kernel sets ------------------------------------------------------------------------------------------------------


def test_variants_are_those_that_were_compiled() -> None:
    compiled = {(row["name"], isa) for row in dqnn._core.kernels() for isa in row["variants"]}
    known = {(v.kernel, v.isa) for v in variants()}
    assert compiled <= known
    assert {v.kernel for v in variants() if v.isa == "ref"} == {row["name"] for row in dqnn._core.kernels()}


def test_rows_name_their_variants() -> None:
    text = " *   DQNN_KERNEL(id, name)\nDQNN_KERNEL(7, k, conv, s1, s8, any, mve portable ref)\n#undef DQNN_KERNEL\n"
    assert [(v.isa, v.guard) for v in parse_variants(text)] == [
        ("mve", "DQNN_HAVE_MVE"),
        ("portable", "DQNN_HAVE_PORTABLE"),
        ("ref", None),
    ]
    with pytest.raises(ValueError, match="seven columns, not 6"):
        list(parse_variants("DQNN_KERNEL(7, k, conv, s1, s8, any)"))


def test_unknown_kernels_are_refused() -> None:
    with pytest.raises(ArtifactError, match="no kernel kernel 99"):
        kernel_set(["kernel 99"], "k")


PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include "dqnn/dqnn_kernels.h"
extern const uint8_t net[];
extern const size_t net_size;
extern const dqnn_variant *const net_kernels[];
extern const uint32_t net_kernels_count;
static _Alignas(16) uint8_t memory[1 << 20];
int main(void) {
  const dqnn_options options = {.kernels = net_kernels, .kernel_count = net_kernels_count};
  dqnn_interpreter *it;
  dqnn_tensor tensor;
  dqnn_status status = dqnn_init(&it, memory, sizeof memory, net, net_size, &options, NULL);
  if (status != DQNN_OK) return (int)status;
  dqnn_input(it, 0, &tensor);
  if (fread(tensor.data, 1, tensor.bytes, stdin) != tensor.bytes) return 1;
  dqnn_invoke(it);
  dqnn_output(it, 0, &tensor);
  return fwrite(tensor.data, 1, tensor.bytes, stdout) == tensor.bytes ? 0 : 2;
}
"""


@pytest.fixture(scope="module")
def library(repo: Path, tmp_path_factory: pytest.TempPathFactory, require_tool: Tool) -> Path:
    """The interpreter as a firmware would build it: every kernel, a section for each function."""
    build = tmp_path_factory.mktemp("library")
    call(require_tool("cmake"), "-S", repo / "interpreter_c", "-B", build, "-DDQNN_WERROR=OFF", "-DCMAKE_C_FLAGS=-O1")
    call("cmake", "--build", build, "--parallel", "2")
    return build / "libdqnn.a"


@pytest.mark.parametrize("model", ["digits_larq", "digits_qkeras"])
def test_a_program_with_a_kernel_set_has_no_other_kernel(
    library: Path, repo: Path, digits: Path, cli: Cli, model: str, require_tool: Tool
) -> None:
    result = dqnn.export(digits / f"{model}.h5", "net.dqnn")
    written = cli("net.dqnn", "--kernel-set", "kernels.c", "--c-array", "net.c")
    assert written.exit_code == 0, written.output
    Path("main.c").write_text(PROGRAM)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1"]
    call(
        require_tool("gcc"), *flags, f"-I{repo / 'interpreter_c/include'}", "main.c", "kernels.c", "net.c", library,
        "-Wl,--gc-sections", "-lm", "-o", "program",
    )  # fmt: skip
    known, wanted = {v.kernel for v in variants()}, set(result.report.kernels)
    places: dict[str, set[str]] = {}  # one function may run several kernels, and has all their names
    symbols = call(require_tool("nm"), "program")
    for address, kernel in re.findall(r"^(\w+) [Tt] dqnn_run_(\w+)_[a-z0-9]+$", symbols, re.MULTILINE):
        if kernel in known:
            places.setdefault(address, set()).add(kernel)
    assert wanted <= set().union(*places.values())
    assert all(kernels & wanted for kernels in places.values())
    assert "dqnn_all_kernels" not in call("nm", "program")
    slow = set(re.findall(r" [Tt] dqnn_run_(\w+)_ref$", call("nm", "program"), re.MULTILINE))
    assert not slow & {v.kernel for v in variants() if v.isa == "portable"}

    interpreter = dqnn.Interpreter("net.dqnn")
    with np.load(digits / "digits_test.npz") as file:
        (stored,) = interpreter.to_stored(file["x"][:1])
    done = subprocess.run(["./program"], input=stored.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout == np.asarray(interpreter.predict(stored, raw=True)).tobytes()


def test_ref_is_left_out_only_where_the_interpreter_never_takes_it(repo: Path) -> None:
    """In every golden file; what the interpreter takes is asked of the interpreter."""
    seen: set[bool] = set()
    for file in sorted((repo / "schema" / "golden").glob("*/*.dqnn")):
        blob = file.read_bytes()
        taken = {(node.kernel, node.isa) for node in dqnn.Interpreter(blob, isas=["portable"]).nodes}
        kernels = {kernel for kernel, _ in taken}
        assert kernels_without_ref([parse(blob)]) == kernels - {kernel for kernel, isa in taken if isa == "ref"}
        seen |= {isa == "ref" for _, isa in taken}
    assert seen == {True, False}


def test_winograd_is_left_out_where_no_node_has_scratch_for_it() -> None:
    kernel = "conv_s8_s8_s8"
    assert f"&dqnn_variant_{kernel}_winograd," not in kernel_set([kernel], "k")
    wanted = f"#if DQNN_HAVE_WINOGRAD\n    &dqnn_variant_{kernel}_winograd,\n#endif"
    assert wanted in kernel_set([kernel], "k", special={"winograd": [kernel]})


def test_a_file_with_less_scratch_keeps_ref(digits: Path) -> None:
    """One node is enough: a file of an older exporter, say."""
    from dataclasses import replace

    view = parse(dqnn.export(digits / "digits_larq.h5").blob)
    node = next(node for node in view.nodes if node.scratch_bytes)
    short = replace(view, nodes=tuple(replace(n, scratch_bytes=0) if n is node else n for n in view.nodes))
    assert node.kernel in kernels_without_ref([view])
    assert node.kernel not in kernels_without_ref([short]) | kernels_without_ref([view, short])
    text = kernel_set([node.kernel], "k", kernels_without_ref([view]))
    assert f"#if !DQNN_HAVE_PORTABLE\n    &dqnn_variant_{node.kernel}_ref,\n#endif" in text
    assert f"\n    &dqnn_variant_{node.kernel}_ref,\n}}" in kernel_set([node.kernel], "k")


def test_a_kernel_set_for_several_models(digits: Path, cli: Cli) -> None:
    reports = [dqnn.export(digits / f"{name}.h5", f"{name}.dqnn").report for name in ("digits_larq", "digits_qkeras")]
    result = cli("digits_larq.dqnn", "digits_qkeras.dqnn", "--kernel-set", "k.c")
    assert result.exit_code == 0 and "k.c:" in result.output, result.output
    text = Path("k.c").read_text()
    named = re.findall(r"&dqnn_variant_(\w+)_([a-z0-9]+),", text)
    assert len(named) == len(set(named))
    assert {kernel for kernel, _ in named} == {kernel for report in reports for kernel in report.kernels}
    assert "const uint32_t model_kernels_count" in text
    assert cli("digits_larq.dqnn", "digits_qkeras.dqnn", "--kernel-set", "k.c", "--name", "both").exit_code == 0
    assert "both_kernels[]" in Path("k.c").read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "several files are for --kernel-set alone"),
        (("--json", "--kernel-set", "k.c"), "several files are for --kernel-set alone"),
        (("--c-array", "a.c", "--kernel-set", "k.c"), "several files are for --kernel-set alone"),
        (("--kernel-set", "k.c", "--name", "9x"), "no C identifier"),
        (("--kernel-set", "b.dqnn"), "give the output another name"),
        (("none.dqnn", "--kernel-set", "k.c"), "none.dqnn"),
        (("cut.dqnn", "--kernel-set", "k.c"), "cut.dqnn: truncated"),
    ],
)
@pytest.mark.damaged
def test_several_files_are_refused(larq: Path, cli: Cli, arguments: tuple[str, ...], text: str) -> None:
    for name in ("a.dqnn", "b.dqnn"):
        Path(name).write_bytes(larq.read_bytes())
    Path("cut.dqnn").write_bytes(larq.read_bytes()[:-1])
    result = cli("a.dqnn", "b.dqnn", *arguments)
    assert result.exit_code == 2 and text in " ".join(result.output.split()), result.output
    assert {path.name for path in Path().iterdir()} == {"a.dqnn", "b.dqnn", "cut.dqnn"}


# --- ONNX -------------------------------------------------------------------------------------------------------------


def constants(view: ModelView, index: int) -> dict[str, Any]:
    return dict(onnx_view.constants_of(view, view.nodes[index]))


def binary_layers(groups: int = 1, padding: ops.Padding = ops.NO_PADDING) -> Graph:
    """A binary convolution with thresholds of every kind."""
    rng = rng_of(5)
    conv = ops.Conv2D(binary_weights(rng, 40, 3, 3, 32 // groups), groups=groups, padding=padding)
    return chain_graph((7, 6, 32), SIGN, conv, batch_norm(rng, 40, 20.0), SIGN)


@pytest.mark.parametrize(("groups", "padding"), [(1, ops.NO_PADDING), (2, ops.NO_PADDING), (1, ((1, 1), (1, 1)))])
def test_bit_sliced_thresholds_and_weights(groups: int, padding: ops.Padding) -> None:
    graph = binary_layers(groups, padding)
    view = parse(dqnn.export(graph).blob)
    (op,) = [n.op for n in run_pipeline(graph).graph.nodes if isinstance(n.op, ops.ConvKernel)]
    index = next(i for i, node in enumerate(view.nodes) if node.kernel == "conv_s1_s1_s1")
    shown = constants(view, index)
    assert np.array_equal(shown["weights"], op.weights.codes)
    assert isinstance(op.epilogue, ops.Threshold)
    taps = int(np.prod(op.weights.codes.shape[1:]))
    reachable = np.arange(-taps, taps + 1, 2)[:, None]
    assert np.array_equal(reachable < shown["thresholds"], reachable < op.epilogue.t)
    assert np.array_equal(shown.get("flip", np.zeros(40, bool)), op.epilogue.flip)


def test_every_constant_of_the_golden_files_is_shown(repo: Path) -> None:
    files = sorted((repo / "schema" / "golden").glob("*/*.dqnn"))
    assert files
    for file in files:
        view = parse(file.read_bytes())
        for index, node in enumerate(view.nodes):
            shown = constants(view, index)
            assert bool(shown) == bool(node.constants), node.kernel
            if node.kernel.startswith(("conv", "depthwise")):
                assert set(np.unique(shown["weights"])) <= {-1, 1} or node.kernel.split("_")[2] != "s1"
                assert len(shown) >= 2


def test_onnx_is_valid_and_complete(repo: Path, larq: Path) -> None:
    onnx = pytest.importorskip("onnx")
    for file in [larq, *sorted((repo / "schema" / "golden").glob("*/*.dqnn"))]:
        view = parse(file.read_bytes())
        proto = onnx.load_from_string(onnx_view.onnx_bytes(view))
        onnx.checker.check_model(proto)
        assert [node.op_type for node in proto.graph.node] == [node.kernel for node in view.nodes]
        assert {node.domain for node in proto.graph.node} == {"dqnn"}
        named = {v.name for v in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)}
        assert len(named) == len(view.tensors)
        assert all("of the arena" in v.doc_string for v in proto.graph.value_info)
    first = onnx.load_from_string(onnx_view.onnx_bytes(parse(larq.read_bytes()))).graph
    shapes = {i.name: tuple(i.dims) for i in first.initializer}
    assert shapes["0.weights"] == (32, 3, 3, 1) and shapes["0.thresholds"] == (32,)
    attributes = {a.name for a in first.node[0].attribute}
    assert {"layers", "kernel_h", "pool_h"} <= attributes and not any(a.startswith("reserved") for a in attributes)


def test_without_onnx(larq: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    result = cli(larq, "--onnx", "m.onnx")
    assert result.exit_code == 2 and "dqnn[onnx]" in result.stderr and not Path("m.onnx").exists()


# --- the command ------------------------------------------------------------------------------------------------------


def test_command_writes_instead_of_showing(larq: Path, cli: Cli) -> None:
    result = cli(larq, "--c-array", "a.c", "--hex", "0x08040000", "a.hex", "--kernel-set", "k.c", "--name", "net")
    assert result.exit_code == 0 and "Memory map" not in result.output
    assert "net_size" in Path("a.c").read_text() and "net_kernels_count" in Path("k.c").read_text()
    assert cli(larq, "--c-array", "b.c").exit_code == 0 and "digits_larq[" in Path("b.c").read_text()
    assert "Memory map" in cli(larq).output
    assert '"refused": ""' in cli(larq, "--json", "--bin", "a.bin").stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--c-array", "a.c", "--name", "9x"), "no C identifier"),
        (("--hex", "0x08040004", "a.hex"), "no multiple of 16"),
        (("--hex", "-16", "a.hex"), "not between"),
        (("--hex", "zero", "a.hex"), "no number"),
        (("--bin", "nowhere/a.bin"), "make it first"),
        (("--c-array", "ok.c", "--hex", "0x4", "a.hex"), "no multiple of 16"),
    ],
)
def test_refusals(larq: Path, cli: Cli, tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    result = cli(larq, *arguments)
    assert result.exit_code == 2 and text in result.output
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_not_converted(larq: Path, cli: Cli) -> None:
    Path("bad.dqnn").write_bytes(larq.read_bytes()[:-1])
    assert cli("bad.dqnn", "--bin", "a.bin").exit_code == 2 and not Path("a.bin").exists()
