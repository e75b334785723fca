"""dqnn._core: its stub, and what it refuses."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dqnn import _core

SOFTMAX, PRELU = 69, 68
VECTOR = ((4,), 2, 1.0, 0)
DATA = np.arange(4, dtype=np.float32).tobytes()


def stub(repo: Path) -> ast.Module:
    return ast.parse((repo / "python_bindings" / "dqnn" / "_core.pyi").read_text())


def described(docstring: str, name: str) -> list[str]:
    """Parameter names in nanobind's first docstring line."""
    match = re.match(rf"{name}\((.*?)\)(?: -> .*)?$", docstring.splitlines()[0])
    assert match is not None, docstring
    inner = re.sub(r"\[[^\[\]]*\]|\([^()]*\)", "", re.sub(r"\[[^\[\]]*\]", "", match[1]))
    return [part.split(":")[0].strip() for part in inner.split(",") if ":" in part or part.strip() == "self"]


def parameters(function: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in function.args.args]


def test_stub_lists_every_function(repo: Path) -> None:
    functions = {node.name: node for node in stub(repo).body if isinstance(node, ast.FunctionDef)}
    existing = {name for name in dir(_core) if callable(getattr(_core, name)) and name[0].islower()}
    assert set(functions) == existing
    for name, node in functions.items():
        assert parameters(node) == described(getattr(_core, name).__doc__, name)


def test_stub_lists_every_method(repo: Path) -> None:
    classes = {node.name: node for node in stub(repo).body if isinstance(node, ast.ClassDef)}
    methods = {n.name: n for n in classes["Interpreter"].body if isinstance(n, ast.FunctionDef)}
    existing = {name for name in vars(_core.Interpreter) if not name.startswith("_")} | {"__init__"}
    assert set(methods) == existing
    for name, node in methods.items():
        assert parameters(node) == described(getattr(_core.Interpreter, name).__doc__, name)


def test_stub_lists_every_constant(repo: Path) -> None:
    names = {node.target.id for node in stub(repo).body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert {name for name in dir(_core) if name.isupper()} <= names


def test_kernels_are_those_of_the_table(repo: Path) -> None:
    text = (repo / "interpreter_c" / "include" / "dqnn" / "kernels.def").read_text()
    rows = re.findall(r"^DQNN_KERNEL\((\d+), (\w+), (\w+), (\w+), (\w+), (\w+), [\w ]+\)", text, re.MULTILINE)
    fields = ("id", "name", "family", "input", "weights", "output")
    assert [tuple(str(row[field]) for field in fields) for row in _core.kernels()] == rows  # type: ignore[literal-required]
    assert all(row["variants"][-1] == "ref" for row in _core.kernels())
    assert _core.host_isas()[0] == "ref"


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ("ref", "['ref']"),
        ("portable", "['ref', 'portable']"),
        ("avx3", "ValueError: DQNN_ISAS: unknown instruction set 'avx3'; accepted: ref, portable"),
        ("portable, ref", "ValueError: DQNN_ISAS: unknown instruction set ' ref'; accepted: ref, portable"),
        ("mve", "ValueError: DQNN_ISAS: this machine cannot run 'mve'; accepted: ref, portable"),
    ],
)
def test_a_lesser_processor(wanted: str, answer: str) -> None:
    code = "from dqnn import _core; print(_core.host_isas())"
    environment = {**os.environ, "DQNN_ISAS": wanted}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout or done.stderr.splitlines()[-1]).startswith(answer)


def test_plan() -> None:
    assert _core.plan(SOFTMAX, [VECTOR], VECTOR, [], b"") == (0, 2**32 - 1, False)
    with pytest.raises(_core.PlanError, match="softmax_f32 refuses the call") as caught:
        _core.plan(SOFTMAX, [VECTOR], ((5,), 2, 1.0, 0), [], b"")
    assert (caught.value.status, caught.value.check) == ("kernel_shape", "output_shape")
    with pytest.raises(_core.PlanError) as caught:
        _core.plan(PRELU, [VECTOR], VECTOR, [b"123"], b"")
    assert (caught.value.status, caught.value.check) == ("kernel_constant", "constant_bytes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((999, [VECTOR], VECTOR, [], b""), "no kernel has id 999"),
        ((SOFTMAX, [VECTOR] * 17, VECTOR, [], b""), "at most 16 inputs"),
        ((SOFTMAX, [((), 2, 1.0, 0)], VECTOR, [], b""), "1 to 4 dimensions"),
        ((SOFTMAX, [VECTOR], VECTOR, [b""] * 7, b""), "at most 6 constants"),
    ],
)
def test_plan_arguments(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.plan(*arguments)  # type: ignore[arg-type]


def test_run_kernel() -> None:
    output = np.frombuffer(_core.run_kernel(SOFTMAX, "ref", [DATA], [VECTOR], VECTOR, [], b""), np.float32)
    assert abs(output.sum() - 1) < 1e-6
    in_place = _core.run_kernel(SOFTMAX, "ref", [DATA], [VECTOR], VECTOR, [], b"", output_at=0)
    assert in_place == output.tobytes()
    with pytest.raises(ValueError, match="input 0 has 3 bytes, its definition says 16"):
        _core.run_kernel(SOFTMAX, "ref", [b"123"], [VECTOR], VECTOR, [], b"")
    with pytest.raises(ValueError, match="has no variant 'mve' in this build"):
        _core.run_kernel(SOFTMAX, "mve", [DATA], [VECTOR], VECTOR, [], b"")
    with pytest.raises(ValueError, match="multiple of 16"):
        _core.run_kernel(SOFTMAX, "ref", [DATA], [VECTOR], VECTOR, [], b"", output_at=4)


def test_verify_and_requirements() -> None:
    with pytest.raises(_core.BlobError) as caught:
        _core.verify(b"no file")
    assert (caught.value.status, caught.value.code, caught.value.check) == ("truncated", 0x20, "none")
    with pytest.raises(_core.BlobError):
        _core.requirements(b"")
    with pytest.raises(TypeError):
        _core.verify(3)
