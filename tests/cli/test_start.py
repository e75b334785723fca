"""Commands start fast: what they load before they have something to do, told by modules, which are the same on every
machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dqnn.exporter.cli import COMMANDS

GROUND = {"dqnn", "dqnn._version", "dqnn.exporter"} | {
    f"dqnn.exporter.{name}" for name in ("cli", "command_line", "errors", "files", "options")
}
CODE = """
import sys
from dqnn.exporter.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""
HEAVY = set("numpy h5py flatbuffers rich jinja2 matplotlib unicorn tensorflow asyncio dask distributed".split())


def loaded(*arguments: str) -> set[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split())


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_loads_the_command_and_no_more(name: str) -> None:
    modules = loaded(*name.split(), "--help")
    own = {module for module in modules if module.startswith("dqnn") and module not in GROUND}
    module, _, _ = COMMANDS.get(name, (".cli", "", ""))
    wing = f"dqnn.exporter{module.rpartition('.')[0]}"
    assert own <= {wing, f"dqnn.exporter{module}"}
    assert not modules & HEAVY


def test_an_export_loads_neither_tensorflow_nor_what_draws(digits: object, tmp_path: object) -> None:
    modules = loaded("export", f"{digits}/digits_larq.h5", "-o", f"{tmp_path}/m.dqnn", "--json")
    assert not modules & {"tensorflow", "keras", "rich", "jinja2", "matplotlib", "unicorn"}
    assert not {name for name in modules if name.startswith(("dqnn.exporter.analyze", "dqnn.exporter.validate"))}
