"""schema/generated against the flatc of this machine, whatever its version: the same text if it is the version that
made them, and in any case the same bytes written and the same content read, in both directions.

The modules are imported lazily, one by one; so a process that sees another folder as dqnn.schema works with those."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dqnn.exporter.blob import ModelView, parse
from dqnn.exporter.emit.kernel_table import ids
from dqnn.exporter.emit.writer import _prefix
from dqnn.exporter.format import PREFIX_BYTES
from schema import reflection

Require = Callable[[str], str]
MODELS = ("elementwise", "moves", "samples", "in_place")  # golden files: all structs and fields
WRITE = """
import hashlib, sys
from importlib.machinery import PathFinder
import dqnn.schema
assert not [name for name in sys.modules if name.startswith("dqnn.schema.")]
class Modules:  # before the finder of an editable install
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, [sys.argv[1]]) if name.startswith("dqnn.schema.") else None
sys.meta_path.insert(0, Modules())
sys.path.insert(0, sys.argv[2])
import make
from dqnn.exporter.blob import parse
from dqnn.exporter.emit.writer import write
for name in sys.argv[3:]:
    blob = write(make.MODELS[name](), producer="test").blob
    print(name, hashlib.sha256(blob).hexdigest(), hashlib.sha256(repr(parse(blob)).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def generator(require_tool: Require, repo: Path) -> ModuleType:
    """schema/generate.py."""
    require_tool("flatc")
    spec = importlib.util.spec_from_file_location("generate", repo / "schema" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written_with(modules: Path, repo: Path) -> str:
    """Hashes of files and of what is read from them, with generated modules of that folder."""
    command = [sys.executable, "-c", WRITE, str(modules), str(repo / "schema" / "golden"), *MODELS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr


def freshly_made(generator: ModuleType, folder: Path, schema: Path) -> Path:
    for name, text in generator.generate(schema).items():
        (folder / name).write_text(text)
    return folder


def test_the_text_is_fresh(generator: ModuleType) -> None:
    """Where flatc has another version, the tests below say more than the text would."""
    if generator.flatc_version() == generator.FLATC_VERSION:
        assert generator.stale() == []
    else:
        assert {path.name for path in generator.GENERATED.glob("*.py")} == set(generator.generate())


def test_the_binary_schema_is_fresh(generator: ModuleType) -> None:
    """In content: versions of flatc lay it out differently."""
    assert reflection.read(generator.BINARY.read_bytes()) == reflection.read(generator.binary())


def test_fresh_modules_write_and_read_the_same(generator: ModuleType, repo: Path, tmp_path: Path) -> None:
    fresh = freshly_made(generator, tmp_path, repo / "schema" / "dqnn.fbs")
    assert len(written_with(generator.GENERATED, repo).splitlines()) == len(MODELS)
    assert written_with(fresh, repo) == written_with(generator.GENERATED, repo)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  scratch_offset:uint;", "  scratch_bytes:uint;\n  scratch_offset:uint;"),  # two slots change places
        ("  kernel_h:ushort;", "  kernel_h:uint;"),
        ("  sample_offset:float", "  sample_offset:float = 1.0"),
    ],
    ids=["slots", "struct", "default"],
)
def test_another_schema_is_noticed(before: str, after: str, generator: ModuleType, repo: Path, tmp_path: Path) -> None:
    text = (repo / "schema" / "dqnn.fbs").read_text()
    assert before in text
    if "scratch_bytes" in after:
        text = text.replace("  scratch_bytes:uint;\n", "")
    (tmp_path / "dqnn.fbs").write_text(text.replace(before, after))
    other = freshly_made(generator, tmp_path, tmp_path / "dqnn.fbs")
    assert written_with(other, repo) != written_with(generator.GENERATED, repo)


# --- flatc as the other reader and writer -----------------------------------------------------------------------------


def flatc(repo: Path, folder: Path, options: list[str], *files: str) -> None:
    command = ["flatc", *options, "-o", str(folder), str(repo / "schema" / "dqnn.fbs"), *files]
    subprocess.run(command, check=True, capture_output=True)


def rounded(value: Any) -> Any:
    """Nested plain values, floats as flatc prints them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"class": type(value).__name__, **rounded(asdict(value))}
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [rounded(item) for item in value]
    return f"{value:.5f}" if isinstance(value, float) else value


def content(view: ModelView) -> Any:
    """All but the prefix, whose checksums differ."""
    return rounded({key: value for key, value in vars(view).items() if key != "prefix"})


@pytest.mark.parametrize("name", MODELS)
def test_flatc_reads_and_writes_our_files(name: str, generator: ModuleType, repo: Path, tmp_path: Path) -> None:
    ours = (repo / "schema" / "golden" / "0.1.0" / f"{name}.dqnn").read_bytes()
    (tmp_path / "model.bin").write_bytes(ours[PREFIX_BYTES:])
    flatc(repo, tmp_path, ["--json", "--strict-json", "--raw-binary"], "--", str(tmp_path / "model.bin"))
    read = json.loads((tmp_path / "model.json").read_text().replace("-inf", "-1e999").replace(": inf", ": 1e999"))
    view = parse(ours)
    assert [node["kernel"] for node in read["nodes"]] == [ids()[node.kernel] for node in view.nodes]
    assert [node.get("output", 0) for node in read["nodes"]] == [node.output for node in view.nodes]
    assert [t["offset"] for t in read["tensors"]] == [tensor.offset for tensor in view.tensors]
    assert [tuple(t["dims"][: t["rank"]]) for t in read["tensors"]] == [tensor.type.shape for tensor in view.tensors]
    assert [port["name"] for port in read["inputs"]] == [port.name for port in view.inputs]
    (tmp_path / "model.bin").unlink()
    flatc(repo, tmp_path, ["--binary"], str(tmp_path / "model.json"))
    (written,) = tmp_path.glob("model.[!j]*")  # the extension is the schema's
    payload = written.read_bytes()
    assert payload != ours[PREFIX_BYTES:], "flatc lays the same content out in its own way"
    prefix = view.prefix
    kernels = [ids()[node.kernel] for node in view.nodes]
    theirs = (
        _prefix(
            payload, prefix.runtime_version, prefix.arena_bytes, set(kernels), prefix.model_id, prefix.model_version
        )
        + payload
    )
    assert content(parse(theirs)) == content(view)
