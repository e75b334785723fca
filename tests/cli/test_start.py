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
EXPORTS = """
import sys
from dqnn.exporter.cli import export_main
try:
    export_main()
except SystemExit:
    pass
"""
STANDARD = set(sys.stdlib_module_names) | {"__main__", "cython_runtime", "_distutils_hack", "sitecustomize"}


def loaded(*arguments: str) -> set[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split())


def packages(modules: set[str]) -> set[str]:
    """Of others: without the standard library, what Cython and an editable install bring, and ours."""
    tops = {name.partition(".")[0] for name in modules} - STANDARD - {"dqnn"}
    return {name for name in tops if not name.startswith(("_cython", "_editable"))}


def after(code: str, *arguments: str) -> set[str]:
    """Modules that a program of its own has loaded at its end."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)", *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()[-1].split())


def test_the_package_loads_nothing_until_a_name_is_used() -> None:
    modules = after("import dqnn")
    assert {name for name in modules if name.startswith("dqnn")} == {"dqnn", "dqnn._version"}
    assert packages(modules) == set()
    assert not modules - after("import typing, importlib") & {
        "asyncio",
        "dataclasses",
        "inspect",
        "json",
        "pathlib",
        "re",
        "subprocess",
    }


def test_an_interpreter_loads_numpy_and_no_exporter() -> None:
    modules = after("import dqnn\ndqnn.Interpreter")
    own = {"_core", "_version", "interpreter", "ranges", "tensors"}
    assert {name for name in modules if name.startswith("dqnn.")} == {f"dqnn.{name}" for name in own}
    assert packages(modules) == {"numpy"}


@pytest.mark.parametrize("model", ["digits_larq.h5", "digits_qkeras.h5"])
def test_an_export_loads_what_it_needs(model: str, digits: object, tmp_path: object) -> None:
    """`rich` draws its report; nothing else comes from outside, and of ours no other command's wing."""
    modules = after(EXPORTS, f"{digits}/{model}", "-o", f"{tmp_path}/m.dqnn")
    assert packages(modules) == {"click", "flatbuffers", "h5py", "numpy", "rich"}
    wings = {name.split(".")[2] for name in modules if name.startswith("dqnn.exporter.")}
    assert not wings & {"analyze", "bench", "device", "inspect", "samples", "signing", "validate"}


@pytest.mark.parametrize(("model", "reader"), [("digits_larq.h5", "keras"), ("digits_brevitas.onnx", "onnx")])
def test_an_export_loads_the_reader_of_its_file(model: str, reader: str, digits: object, tmp_path: object) -> None:
    modules = after(EXPORTS, f"{digits}/{model}", "-o", f"{tmp_path}/m.dqnn")
    readers = [name for name in ("keras", "onnx", "tflite") if f"dqnn.exporter.frontends.{name}" in modules]
    assert readers == [reader]


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
