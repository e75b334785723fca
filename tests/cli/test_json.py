"""What commands print as JSON: each says its schema, and the keys under it are written down beside this file.

A key that is added goes into json/NAME.json; one that is renamed, removed or means something else also asks for the
next number of its schema. `pytest tests/cli/test_json.py --write-keys` writes the files anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from dqnn.exporter.cli import main

KEYS = Path(__file__).with_name("json")


def keys_of(value: Any) -> Any:
    """The structure of a value: keys of objects, what the elements of a list have, None for the rest."""
    if isinstance(value, dict):
        return {key: keys_of(item) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        merged: dict[str, Any] = {}
        for item in value:
            merged |= keys_of(item)
        return [merged]
    return None


# Objects whose keys are names: of kernels, operations, options.
NAMED = ("operation_types", "kernels", "code_bytes", "by_function", "rows", "sizes")


def without_names(value: Any) -> Any:
    """Objects with names for keys keep what is under their first."""
    if isinstance(value, list):
        return [without_names(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        named = key in NAMED and isinstance(item, dict) and item
        found[key] = {"*": without_names(next(iter(item.values())))} if named else without_names(item)
    return found


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Path) -> Callable[..., dict[str, Any]]:
    """The JSON that a command prints, in a directory with a model and samples."""
    monkeypatch.chdir(tmp_path)
    run(["export", digits / "digits_larq.h5", "-o", "m.dqnn"])
    run(["export", digits / "digits_qkeras.h5", "-o", "n.dqnn"])
    with np.load(digits / "digits_test.npz") as data:
        np.savez("x.npz", x=data["x"][:8], y=data["y"][:8])
    return lambda *arguments: json.loads(run(arguments))  # type: ignore[no-any-return]


def run(arguments: Any) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


COMMANDS = {
    "export": ["export", "LARQ", "-o", "o.dqnn"],
    "inspect": ["inspect", "m.dqnn"],
    "diff": ["diff", "m.dqnn", "n.dqnn"],
    "analyze": ["analyze", "LARQ", "--target", "stm32f411"],
    "validate": ["validate", "m.dqnn", "--against", "LARQ", "--inputs", "x.npz", "--labels", "y", "--per-layer",
                 "--original", "evaluator"],
    "sweep": ["sweep", "m.dqnn", "n.dqnn", "--inputs", "x.npz", "--labels", "y", "--no-cycles"],
    "bench-host": ["bench", "m.dqnn", "--target", "host"],
    "bench-host-kernels": ["bench", "--kernels", "^s8 dense 256", "--target", "host"],
}  # fmt: skip
EMULATED = {"bench": ["bench", "m.dqnn"], "bench-kernels": ["bench", "--kernels", "^s8 dense 256"]}


def check(name: str, content: dict[str, Any], write: bool) -> None:
    assert next(iter(content)) == "schema" and content["schema"].rpartition("/")[0] == f"dqnn.{name}"
    found = {**keys_of(without_names(content)), "schema": content["schema"]}
    path = KEYS / f"{name}.json"
    if write:
        path.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(path.read_text())


@pytest.fixture
def write(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--write-keys"))


@pytest.mark.parametrize("name", list(COMMANDS))
def test_keys(name: str, printed: Callable[..., dict[str, Any]], digits: Path, write: bool) -> None:
    arguments = [str(digits / "digits_larq.h5") if word == "LARQ" else word for word in COMMANDS[name]]
    check(name, printed(*arguments, "--json"), write)


@pytest.mark.parametrize("name", list(EMULATED))
def test_keys_of_emulated_measurements(
    name: str, printed: Callable[..., dict[str, Any]], require_tool: Callable[[str], str], write: bool
) -> None:
    require_tool("arm-none-eabi-gcc")
    pytest.importorskip("unicorn", reason="unicorn is not installed")
    check(name, printed(*EMULATED[name], "--json"), write)


def test_every_schema_is_written_down() -> None:
    assert {path.stem for path in KEYS.glob("*.json")} == {*COMMANDS, *EMULATED}


def test_decisions_have_codes(printed: Callable[..., dict[str, Any]], digits: Path) -> None:
    report = printed("export", digits / "digits_qkeras.h5", "-o", "o.dqnn", "--json")
    assert {decision["code"] for decision in report["decisions"]} >= {"fused", "input-retyped"}
