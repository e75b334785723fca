"""The commands as a user types them: output, exit codes, what is and is not left on disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from frontends.keras.handmade import input_layer, layer, sequential, write_h5

import dqnn
from dqnn.exporter.cli import COMMANDS, export_command, main

TIMES_ITS_LIBRARIES = 6  # measured: 2.5 to 3.2
GOLDEN = Path(__file__).resolve().parents[2] / "schema" / "golden" / "0.1.0"
Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("run", ...)` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="session")
def larq(digits: Path) -> Path:
    return digits / "digits_larq.h5"


def edited(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a .h5 model whose configuration was changed."""
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return target


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def layers_of(config: dict[str, Any], class_name: str) -> list[dict[str, Any]]:
    return [layer for layer in config["config"]["layers"] if layer["class_name"] == class_name]


# --- export -----------------------------------------------------------------------------------------------------------


def test_export_prints_one_screen(cli: Cli, larq: Path, tmp_path: Path) -> None:
    result = cli("export", larq, "-o", "model.dqnn")
    assert result.exit_code == 0, result.output
    size = (tmp_path / "model.dqnn").stat().st_size
    assert len(result.output.splitlines()) <= 40
    for text in ("digits_larq -> model.dqnn", f"{size:,} B", "arena", "lower bound", "f32[28x28x1]", "softmax_f32"):
        assert text in result.output
    for kernel in dqnn.export(larq).report.kernels:
        assert kernel in result.output


def test_default_output_stands_beside_the_model(cli: Cli, larq: Path, tmp_path: Path) -> None:
    shutil.copy(larq, tmp_path / "net.v2.h5")
    assert cli("export", "net.v2.h5").exit_code == 0
    assert (tmp_path / "net.v2.dqnn").exists()


def test_export_json(cli: Cli, larq: Path) -> None:
    report = json.loads(cli("export", larq, "-o", "m.dqnn", "--json").stdout)
    assert report["file_bytes"] == Path("m.dqnn").stat().st_size
    assert report["arena_bytes"] >= report["arena_lower_bound"]
    assert [node["kernel"] for node in report["nodes"]][-1] == "softmax_f32"
    assert report["fallbacks"] == []


def test_explain(cli: Cli, larq: Path) -> None:
    result = cli("export", larq, "-o", "m.dqnn", "--explain")
    assert result.exit_code == 0
    assert "because" in result.output and "outputs per group" in result.output


def test_ids(cli: Cli, larq: Path) -> None:
    arguments = ("--model-id", "0xBEEF", "--model-version", 3, "--name", "net")
    assert cli("export", larq, "-o", "m.dqnn", *arguments).exit_code == 0
    prefix = json.loads(cli("inspect", "m.dqnn", "--json").stdout)
    assert (prefix["prefix"]["model_id"], prefix["prefix"]["model_version"], prefix["name"]) == (0xBEEF, 3, "net")
    for wrong in (("--model-id", "-1"), ("--model-id", "x"), ("--model-id", 2**32), ("--model-version", 65536)):
        assert cli("export", larq, "-o", "m.dqnn", *wrong).exit_code == 2


def test_an_existing_file_is_replaced_and_keeps_its_permissions(cli: Cli, larq: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.dqnn"
    target.write_bytes(b"old")
    target.chmod(0o600)
    assert cli("export", larq, "-o", target).exit_code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_bytes() == dqnn.export(larq).blob
    assert listing(tmp_path) == ["m.dqnn"]


# --- refusals: exit code 2, every reason, no traceback, nothing written -----------------------------------------------


def refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    for text in texts:
        assert text in result.output, f"{text!r} is not in: {result.output}"


def test_every_problem_is_listed_at_once(cli: Cli, larq: Path, tmp_path: Path) -> None:
    def spoil(config: dict[str, Any]) -> None:
        convs = layers_of(config, "QuantConv2D")
        convs[1]["config"]["pad_values"] = [0.0, 1.0]
        convs[1]["config"]["padding"] = "same"
        convs[2]["class_name"] = "MyConv"
        convs[2]["registered_name"] = "Custom>MyConv"
        convs[2]["module"] = "my_package"
        dense = layers_of(config, "QuantDense")[0]
        dense["class_name"], dense["module"] = "LSTM", "keras.layers"

    model = edited(larq, tmp_path / "bad.h5", spoil)
    (tmp_path / "bad.dqnn").write_bytes(b"older export")
    names = [f"{kind}" for kind in ("MyConv", "LSTM", "pad_values is [0.0, 1.0]")]
    refused(cli("export", model), "3 problems", *names)
    assert (tmp_path / "bad.dqnn").read_bytes() == b"older export"
    assert listing(tmp_path) == ["bad.dqnn", "bad.h5"]


@pytest.mark.damaged
@pytest.mark.parametrize(
    "content,text",
    [
        (b"", "accepted"),
        (b"hello", "accepted"),
        (b"PK\x03\x04broken", "damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), ""),
    ],
)
def test_foreign_files(cli: Cli, tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "foreign.h5").write_bytes(content)
    refused(cli("export", "foreign.h5"), "foreign.h5", text)
    assert listing(tmp_path) == ["foreign.h5"]


@pytest.mark.damaged
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_truncated_files(cli: Cli, digits: Path, tmp_path: Path, suffix: str) -> None:
    whole = (digits / f"digits_larq{suffix}").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / f"cut{suffix}").write_bytes(whole[: int(len(whole) * share)])
        refused(cli("export", f"cut{suffix}"), f"cut{suffix}")
        assert listing(tmp_path) == [f"cut{suffix}"]


def test_missing_and_misplaced_files(cli: Cli, larq: Path, tmp_path: Path) -> None:
    refused(cli("export", "nothing.h5"), "nothing.h5")
    refused(cli("export", tmp_path), "directory")
    refused(cli("export", larq, "-o", tmp_path), "is a directory", "name of a file")
    refused(cli("export", larq, "-o", "no/such/dir.dqnn"), "make it first")
    copy = tmp_path / "copy.h5"
    shutil.copy(larq, copy)
    refused(cli("export", copy, "-o", copy), "is the model or data to be read")
    assert copy.read_bytes() == larq.read_bytes()
    refused(cli("nonsense"), "No such command")
    refused(cli("export"), "Missing argument")


def test_host_kernels(cli: Cli) -> None:
    result = cli("bench", "--kernels", "^s8 dense 256", "--target", "host", "--json")
    costs = json.loads(result.stdout)["rows"]
    assert [cost["isa"] for cost in costs][-1] == "ref"
    assert all(cost["kernel"] == "conv_s8_s8_s8" and cost["macs"] == 256 * 64 and cost["gmacs"] > 0 for cost in costs)
    table = cli("bench", "--kernels", "^s8 dense 256", "--target", "host", "--markdown").stdout
    assert len(table.splitlines()) == 2 + len(costs)
    refused(cli("bench", "--kernels", "nothing", "--target", "host"), "no row")
    refused(cli("bench", "--kernels", "^s8 dense 256", "--target", "cortex-m55", "--optimize", "-O3"), "with -O2")


def test_rows_of_a_variant_that_a_core_lacks_are_named(cli: Cli) -> None:
    for module in ("unicorn", "capstone", "elftools"):
        pytest.importorskip(module)
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    refused(cli("bench", "--kernels", "8x8x64->64 same, winograd$", "--target", "cortex-m0plus"), "has no winograd")
    result = cli("bench", "--kernels", "8x8x64->64 same(, winograd)?$", "--target", "cortex-m0plus", "--json")
    assert [row["name"] for row in json.loads(result.stdout)["rows"]] == ["s8 conv 3x3 8x8x64->64 same"]
    assert "not measured: s8 conv 3x3 8x8x64->64 same, winograd (cortex-m0plus" in result.stderr


def test_unwritable_directory(cli: Cli, larq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.R_OK)  # root may write anywhere
    refused(cli("export", larq, "-o", tmp_path / "m.dqnn"), "no permission to write", str(tmp_path))


def test_nothing_is_left_when_writing_fails(
    cli: Cli, larq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(cli("export", larq, "-o", "m.dqnn"), "No space left")
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [
        ("run", "m.dqnn", "--inputs", "x.npy", "-o", "x.npy"),
        ("run", "m.dqnn", "--inputs", "x.npy", "-o", "./m.dqnn"),
        ("inspect", "m.dqnn", "--c-array", "m.dqnn"),
        ("inspect", "m.dqnn", "--hex", "0", "link.dqnn"),
        ("analyze", "m.h5", "--html", "m.h5"),
        ("validate", "m.dqnn", "--against", "m.h5", "--random", "3", "--html", "m.h5"),
        ("validate", "m.dqnn", "--against", "m.h5", "--inputs", "x.npy", "--labels", "y.npy", "--html", "y.npy"),
        ("bench", "m.dqnn", "--chart", "m.dqnn"),
    ],
    ids=" ".join,
)
def test_no_command_writes_over_what_it_reads(cli: Cli, larq: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    cli("export", larq, "-o", "m.dqnn")
    shutil.copy(larq, "m.h5")
    Path("link.dqnn").symlink_to("m.dqnn")
    np.save("x.npy", np.zeros((3, 28, 28, 1), np.float32))
    np.save("y.npy", np.zeros(3, int))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    refused(cli(*command), "give the output another name")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("target", ["host", "qemu:mps2-an386"])
def test_run_profiles_nodes(
    cli: Cli, larq: Path, digits: Path, require_tool: Callable[[str], str], target: str
) -> None:
    if target != "host":
        require_tool("qemu-system-arm")
        require_tool("arm-none-eabi-gcc")
    cli("export", larq, "-o", "m.dqnn")
    result = cli(
        "run", "m.dqnn", "--inputs", digits / "digits_test.npz", "--limit", "2", "--profile", "--target", target
    )
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if line.endswith("%")]
    assert len(rows) == 6 and "conv_f32_s1_s1" in rows[0]
    assert sum(float(row.split()[-1].rstrip("%")) for row in rows) == pytest.approx(100, abs=0.5)
    assert ("of this machine's time" in result.stdout) == (target != "host")


def test_a_model_of_floats_is_told(cli: Cli, larq: Path, tmp_path: Path) -> None:
    dense = layer("Dense", "dense", units=3, use_bias=False)
    weights = {"dense": [("dense/kernel:0", np.ones((4, 3), np.float32))]}
    source = write_h5(tmp_path / "plain.h5", sequential(input_layer(4), dense), weights)
    assert "nothing in this model is quantized" in cli("export", source, "-o", "p.dqnn").stdout
    assert "nothing in this model is quantized" not in cli("export", larq, "-o", "m.dqnn").stdout


def test_tables_are_as_wide_as_columns_says(cli: Cli, larq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []
    for columns in ("", "90", "160"):
        monkeypatch.setenv("COLUMNS", columns)
        result = cli("export", larq, "-o", "m.dqnn")
        widths.append(max(map(len, result.stdout.splitlines())))
    assert widths[1] <= 90 < widths[0] <= 120 < widths[2] <= 160


def test_files_that_were_swapped(cli: Cli, larq: Path) -> None:
    shutil.copy(larq, "m.h5")
    refused(cli("run", "m.h5", "--inputs", "x.npy"), "it is an HDF5 file, of Keras perhaps: dqnn-export m.h5 -o m.dqnn")
    cli("export", larq, "-o", "m.dqnn")
    refused(cli("export", "m.dqnn"), "m.dqnn is the model or data to be read", "it is a .dqnn file already")
    refused(cli("export", "m.dqnn", "-o", "n.dqnn"), "m.dqnn is a .dqnn file already")
    assert not Path("n.dqnn").exists()


def test_two_outputs_of_one_name(cli: Cli, larq: Path) -> None:
    cli("export", larq, "-o", "m.dqnn")
    refused(cli("inspect", "m.dqnn", "--c-array", "m.c", "--kernel-set", "m.c"), "two outputs")
    assert not Path("m.c").exists()


def test_outputs_that_are_no_files(cli: Cli, larq: Path) -> None:
    """A link keeps leading where it led; a pipe (or /dev/null) is written to, not replaced."""
    Path("real.dqnn").write_bytes(b"older")
    Path("link.dqnn").symlink_to("real.dqnn")
    assert cli("export", larq, "-o", "link.dqnn").exit_code == 0
    assert Path("link.dqnn").is_symlink() and Path("real.dqnn").read_bytes()[:4] == b"DQNN"
    os.mkfifo("pipe")
    reader = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE)
    assert cli("export", larq, "-o", "pipe").exit_code == 0
    assert reader.communicate(timeout=60)[0] == Path("real.dqnn").read_bytes()
    assert Path("pipe").is_fifo()


def test_piped_output_is_plain_and_paths_stay_whole(cli: Cli, larq: Path) -> None:
    place = Path("long name " * 12) / ("directory " * 12)
    place.mkdir(parents=True)
    result = cli("export", larq, "-o", place / "m.dqnn")
    assert f"-> {place / 'm.dqnn'}\n" in result.stdout
    assert "\x1b" not in result.stdout + cli("analyze", larq).stdout + cli("inspect", place / "m.dqnn").stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_output_that_cannot_be_printed(cli: Cli, larq: Path, unbuffered: str) -> None:
    """Also where only writing the buffer shows it: at the end of the interpreter that would be exit code 120."""
    cli("export", larq, "-o", "m.dqnn")
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    for arguments in (["inspect", "m.dqnn"], ["inspect", "m.dqnn", "--json"], ["targets"], ["version"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "dqnn", *arguments]
            done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "error: No space left on device\n"), arguments


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(cli: Cli, command: str) -> None:
    result = cli(*command.split(), "--help")
    assert result.exit_code == 0 and "Usage: " in result.output
    assert max(map(len, result.output.splitlines())) <= 80


# --- inspect ----------------------------------------------------------------------------------------------------------


def test_inspect(cli: Cli, larq: Path) -> None:
    cli("export", larq, "-o", "m.dqnn")
    result = cli("inspect", "m.dqnn")
    assert result.exit_code == 0
    for text in ("digits_larq", "Nodes", "Tensors", "Memory map", "conv_f32_s1_s1", "file format 1"):
        assert text in result.output
    data = json.loads(cli("inspect", "m.dqnn", "--json").stdout)
    assert data["prefix"]["kernels"] and len(data["tensors"]) >= len(data["nodes"])


def test_inspect_refuses_what_is_damaged(cli: Cli, larq: Path, tmp_path: Path) -> None:
    cli("export", larq, "-o", "m.dqnn")
    blob = (tmp_path / "m.dqnn").read_bytes()
    (tmp_path / "cut.dqnn").write_bytes(blob[:1000])
    (tmp_path / "bit.dqnn").write_bytes(blob[:5000] + bytes([blob[5000] ^ 1]) + blob[5001:])
    refused(cli("inspect", "cut.dqnn"), "cut.dqnn", "truncated")
    refused(cli("inspect", "bit.dqnn"), "bit.dqnn", "damaged")
    refused(cli("inspect", larq), "not a .dqnn file")
    refused(cli("inspect", tmp_path), "directory")
    refused(cli("inspect", "none.dqnn"), "none.dqnn")


def test_inspect_shows_what_the_interpreter_refuses(cli: Cli) -> None:
    blob = bytearray((GOLDEN / "moves.dqnn").read_bytes())
    struct.pack_into("<I", blob, 20, 16)  # an arena of 16 bytes
    struct.pack_into("<I", blob, 60, zlib.crc32(blob[:60]))
    Path("small.dqnn").write_bytes(blob)
    refused(cli("inspect", "small.dqnn"), "Tensors", "the interpreter refuses it", "tensor_place")
    assert json.loads(cli("inspect", "small.dqnn", "--json").stdout)["refused"]


# --- run --------------------------------------------------------------------------------------------------------------


def test_run(cli: Cli, larq: Path, digits: Path) -> None:
    cli("export", larq, "-o", "m.dqnn")
    data = digits / "digits_test.npz"
    result = cli("run", "m.dqnn", "--inputs", data, "-o", "y.npz", "--labels", "y", "--limit", 40)
    assert result.exit_code == 0, result.output
    assert "accuracy" in result.output and "40 samples on host" in result.output
    with np.load("y.npz") as outputs, np.load(data) as inputs:
        (array,) = outputs.values()
        assert np.array_equal(array, dqnn.Interpreter("m.dqnn").predict(inputs["x"][:40]))


def test_run_takes_npy_and_the_only_array(cli: Cli, larq: Path) -> None:
    cli("export", larq, "-o", "m.dqnn")
    x = np.random.default_rng(1).normal(size=(3, 28, 28, 1)).astype(np.float32)
    np.save("x.npy", x)
    np.savez("any.npz", whatever=x)
    np.save("labels.npy", np.zeros(3, int))
    assert cli("run", "m.dqnn", "--inputs", "x.npy", "--labels", "labels.npy", "--threads", 2).exit_code == 0
    assert cli("run", "m.dqnn", "--inputs", "any.npz").exit_code == 0


def test_run_writes_npy(cli: Cli, larq: Path) -> None:
    """One array, which np.load and every other reader of the name .npy finds; several do not fit."""
    cli("export", larq, "-o", "m.dqnn")
    x = np.random.default_rng(1).normal(size=(3, 28, 28, 1)).astype(np.float32)
    np.save("x.npy", x)
    assert cli("run", "m.dqnn", "--inputs", "x.npy", "-o", "y.npy").exit_code == 0
    assert np.array_equal(np.load("y.npy"), dqnn.Interpreter("m.dqnn").predict(x))
    path = GOLDEN / "elementwise.dqnn"
    names = [info.name for info in dqnn.Interpreter(path).outputs]
    refused(cli("run", path, "--inputs", "none.npz", "-o", "y2.npy"), "one array", *names, ".npz")
    assert not Path("y2.npy").exists()


def test_data_without_meaning(cli: Cli, larq: Path) -> None:
    cli("export", larq, "-o", "m.dqnn")
    np.savez("nan.npz", x=np.full((2, 28, 28, 1), np.nan), y=np.zeros(2))
    refused(cli("run", "m.dqnn", "--inputs", "nan.npz"), "cannot take NaN")
    refused(cli("validate", "m.dqnn", "--against", larq, "--inputs", "nan.npz"), "has NaN in 2 of 2 samples")
    np.savez("good.npz", x=np.zeros((2, 28, 28, 1)), classes=np.array([0, 10]), three=np.zeros(3))
    for labels, text in (
        ("x", "labels have shape"),
        ("classes", "expected classes 0 to 9"),
        ("three", "3 labels for 2"),
    ):
        refused(cli("run", "m.dqnn", "--inputs", "good.npz", "--labels", labels), text)


@pytest.mark.damaged
def test_run_explains_what_does_not_fit(cli: Cli, larq: Path) -> None:
    cli("export", larq, "-o", "m.dqnn")
    np.savez("names.npz", a=np.zeros((2, 3)), b=np.zeros(4))
    np.savez("shape.npz", x=np.zeros((2, 27, 28, 1)))
    np.save("objects.npy", np.array([{}], dtype=object))
    np.savez("good.npz", x=np.zeros((2, 28, 28, 1), np.float32), y=np.zeros(2, int))
    Path("text.npz").write_text("hello")
    refused(cli("run", "m.dqnn", "--inputs", "names.npz"), "names.npz has no array", "a (2, 3), b (4,)", "(28, 28, 1)")
    refused(cli("run", "m.dqnn", "--inputs", "shape.npz"), "27")
    refused(cli("run", "m.dqnn", "--inputs", "objects.npy"), "objects.npy")
    refused(cli("run", "m.dqnn", "--inputs", "text.npz"), "text.npz")
    refused(cli("run", "m.dqnn", "--inputs", "none.npz"), "no such file")
    refused(cli("run", "none.dqnn", "--inputs", "good.npz"), "no such file")
    refused(cli("run", larq, "--inputs", "good.npz"), "digits_larq.h5")
    refused(cli("run", "m.dqnn", "--inputs", "good.npz", "--labels", "z"), "no array 'z'", "y (2,)")
    refused(cli("run", "m.dqnn", "--inputs", "good.npz", "-o", "no/y.npz"), "make it first")
    assert cli("run", "m.dqnn", "--inputs", "good.npz", "--labels", "y").exit_code == 0


def test_run_with_several_inputs_and_outputs(cli: Cli) -> None:
    path = GOLDEN / "elementwise.dqnn"
    with np.load(path.with_suffix(".npz")) as arrays:
        names = [info.name for info in dqnn.Interpreter(path).inputs]
        np.savez("in.npz", **{name: arrays[f"in{n}"] for n, name in enumerate(names)})
        result = cli("run", path, "--inputs", "in.npz", "-o", "out.npz", "--raw")
        assert result.exit_code == 0, result.output
        with np.load("out.npz") as outputs:
            for n, name in enumerate(info.name for info in dqnn.Interpreter(path).outputs):
                assert outputs[name].tobytes() == arrays[f"out{n}"].tobytes()
    np.savez("less.npz", **{names[0]: np.zeros(3)})
    refused(cli("run", path, "--inputs", "less.npz"), f"no array {names[1]}, {names[2]}")


# --- start ------------------------------------------------------------------------------------------------------------


def test_every_command_has_help() -> None:
    for arguments in ([], *([name] for name in COMMANDS)):
        result = CliRunner().invoke(main, [*arguments, "--help"])
        assert result.exit_code == 0, result.output
        assert "Usage" in result.output
    assert isinstance(export_command, click.Command)


def test_instruction_sets_that_do_not_exist(larq: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dqnn", "export", str(larq), "-o", str(tmp_path / "m.dqnn")]
    environment = {**os.environ, "DQNN_ISAS": "portable,avx3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not (tmp_path / "m.dqnn").exists()
    assert done.stderr.startswith("error: DQNN_ISAS: unknown instruction set 'avx3'; accepted: ref, portable")


def test_version(cli: Cli) -> None:
    assert cli("version").output.startswith(f"dqnn {dqnn.__version__}, file format 1")


def test_export_imports_no_tensorflow(larq: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from dqnn.exporter.cli import export_command\n"
        f"export_command(['{larq}', '-o', '{tmp_path / 'm.dqnn'}'], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'larq', 'qkeras', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)


def processor_seconds(*arguments: str) -> float:
    """Of a Python process, its start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_export_is_fast(larq: Path, tmp_path: Path) -> None:
    """The whole command, against loading numpy and h5py on the same machine, both in processor time: how fast the
    machine is and what else it does are the same for both."""
    libraries = min(processor_seconds("-c", "import numpy, h5py") for _ in range(3))
    export = processor_seconds("-m", "dqnn.exporter", "export", str(larq), "-o", str(tmp_path / "m.dqnn"))
    assert export < TIMES_ITS_LIBRARIES * libraries


# --- raw samples ------------------------------------------------------------------------------------------------------


def test_export_for_raw_samples(cli: Cli, larq: Path, digits: Path, tmp_path: Path) -> None:
    result = cli("export", larq, "-o", "a.dqnn", "--input-u8", "1/128", "-1")
    assert result.exit_code == 0 and "raw uint8 samples u stored as u - 128; real = 0.0078125 * u - 1" in result.output
    x = np.load(digits / "digits_test.npz")["x"][:4]
    interpreter = dqnn.Interpreter(tmp_path / "a.dqnn")
    samples = np.rint((x + 1) * 128).astype(np.uint8)
    assert np.array_equal(interpreter.predict(samples), interpreter.predict(x))
    shown = json.loads(cli("inspect", "a.dqnn", "--json").output)["inputs"][0]
    assert (shown["sample_scale"], shown["sample_offset"]) == (1 / 128, -1)


@pytest.mark.parametrize("scale", ["0", "1/0", "one", "inf", "1/2/3", "1/"])
def test_a_scale_that_is_none(cli: Cli, larq: Path, scale: str) -> None:
    result = cli("export", larq, "--input-u8", scale, "0")
    assert result.exit_code == 2 and "--input-u8" in result.output


# --- faults of ours ---------------------------------------------------------------------------------------------------


@pytest.mark.damaged
def test_what_is_unexpected_is_called_a_bug(cli: Cli, larq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 70 and a place to look at, no traceback; --debug raises, and does not outlast the command."""

    def broken(*_: Any) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("dqnn.exporter.api.load_graph", broken)
    result = cli("export", larq)
    assert result.exit_code == 70 and isinstance(result.exception, SystemExit)
    assert "a bug in dqnn, please report it: KeyError: 'lost' (test_cli.py:" in result.stderr
    assert isinstance(cli("export", larq, "--debug").exception, KeyError)
    assert cli("export", larq).exit_code == 70


def test_debug_raises_what_a_refusal_explains(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04broken")
    result = cli("export", "m.keras", "--debug")
    assert "BadZipFile" in type(result.exception).__name__


def test_no_memory_is_no_bug(cli: Cli, larq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("dqnn.exporter.api.load_graph", full)
    refused(cli("export", larq), "not enough memory")


# --- memory for speed -------------------------------------------------------------------------------------------------


@pytest.fixture
def bytes_net(tmp_path: Path) -> Path:
    """Two 8-bit 3x3 convolutions, behind a float one whose output is the arena's peak."""
    tf = pytest.importorskip("tensorflow")
    qkeras = pytest.importorskip("qkeras")
    layers, quantizer = tf.keras.layers, "quantized_bits(8, 0, alpha=1)"

    def conv(filters: int) -> list[object]:
        kernel = qkeras.QConv2D(filters, 3, padding="same", kernel_quantizer=quantizer, bias_quantizer=quantizer)
        return [kernel, qkeras.QActivation("quantized_bits(8, 2, alpha=1)")]

    net = tf.keras.Sequential([
        layers.Input((12, 12, 8)), qkeras.QActivation("quantized_bits(8, 0, alpha=1)"), *conv(16), *conv(16),
        layers.Flatten(), qkeras.QDense(4, kernel_quantizer=quantizer, bias_quantizer=quantizer),
    ])  # fmt: skip
    net.save(tmp_path / "bytes.h5")
    return tmp_path / "bytes.h5"


@pytest.mark.tf
def test_optimize_spends_what_there_is(cli: Cli, bytes_net: Path) -> None:
    reports = {}
    for how in (("size",), ("balanced",), ("speed",), ("speed", "--ram", "16000")):
        result = cli("export", bytes_net, "-o", "m.dqnn", "--json", "--optimize", *how)
        assert result.exit_code == 0, result.output
        reports[how] = json.loads(result.stdout)
    arenas = {how: report["arena_bytes"] for how, report in reports.items()}
    assert arenas["size",] == arenas["balanced",] < arenas["speed", "--ram", "16000"] <= 16000 < arenas["speed",]
    ways = {how: [d for d in report["decisions"] if d["code"] == "way"] for how, report in reports.items()}
    assert all(len(found) == 2 for found in ways.values())
    assert [d["decision"] for d in ways["size",]] == ["direct sums"] * 2
    assert {d["decision"] for d in ways["speed",]} == {"Winograd F(4x4), input transformed once"}
    assert all(d["remedy"] == "" for d in ways["speed",]) and all("more of arena" in d["remedy"] for d in ways["size",])


@pytest.mark.tf
def test_explain_says_what_the_next_bytes_buy(cli: Cli, bytes_net: Path) -> None:
    result = cli("export", bytes_net, "-o", "m.dqnn", "--optimize", "size", "--explain")
    text = " ".join(result.output.split())
    assert result.exit_code == 0 and "direct sums" in text and "B more of arena" in text


def test_what_exceeds_a_budget_is_refused(cli: Cli, larq: Path) -> None:
    result = cli("export", larq, "-o", "m.dqnn", "--ram", 2000, "--flash", 9000)
    assert result.exit_code == 2 and not Path("m.dqnn").exists()
    assert "flash: 13," in result.stderr and "9,000 B there" in result.stderr
    assert "RAM: " in result.stderr and "2,000 B there" in result.stderr
    assert cli("export", larq, "-o", "m.dqnn", "--ram", 0).exit_code == 2
    assert cli("export", larq, "-o", "m.dqnn", "--ram", 9000, "--flash", 20000, "--optimize", "speed").exit_code == 0


@pytest.mark.parametrize(("option", "value"), [("optimize", "fast"), ("ram", 0), ("flash", -1), ("ram", "64K")])
def test_budgets_that_cannot_be(larq: Path, option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{option} is {value!r}; accepted: "):
        dqnn.export(larq, **{option: value})  # type: ignore[arg-type]
