"""Shared by all tests: what the markers need, and that CI never passes by skipping.

`tf` marks tests that need TensorFlow, Larq and QKeras; `qemu` those that need arm-none-eabi-gcc and qemu-system-arm. On
a machine without them the tests are skipped. Where CI or DQNN_REQUIRE_TOOLS is set, what is missing is a failure, but
for what does not exist for this machine: tools/setup.sh found that out and wrote it down, and the last lines of a run
name it, as well as instruction sets that the processor lacks.

Errors are not explained away (DQNN_DEBUG=1), so that a fault of ours never passes for a damaged file, but in tests
marked `damaged`, which are about such files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
STRICT = bool(os.environ.get("CI") or os.environ.get("DQNN_REQUIRE_TOOLS"))
MODULES = {"tf": ("tensorflow", "larq", "qkeras")}
TOOLS = {"qemu": ("arm-none-eabi-gcc", "qemu-system-arm")}
# Marker or tool -> why it cannot be had here: lines of `name: reason`.
NOTES = [path.read_text() for path in (ROOT / "build" / "left-out", ROOT / ".venv-test" / "left-out") if path.exists()]
LEFT_OUT = dict(line.split(": ", 1) for line in "".join(NOTES).splitlines())

# A shell's background job starts with interrupts ignored, and so would every command that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Larq and QKeras know only Keras 2, which later TensorFlows have from tf-keras.
if importlib.util.find_spec("tf_keras") is not None:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"

# Examples take as long as the machine is busy: no deadlines. CI draws the same examples every time.
settings.register_profile("dqnn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dqnn"), derandomize=True, print_blob=True)
settings.load_profile("ci" if STRICT else "dqnn")


# Tables are as wide as where nobody says how wide: readline exports COLUMNS to the workers of xdist.
os.environ.pop("COLUMNS", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-keys", action="store_true", help="tests/cli/test_json.py: write json/*.json anew")


def missing(marker: str) -> list[str]:
    """What a marker needs and this machine lacks."""
    modules = [name for name in MODULES.get(marker, ()) if importlib.util.find_spec(name) is None]
    return modules + [name for name in TOOLS.get(marker, ()) if shutil.which(name) is None]


def skip_or_fail(names: list[str], marker: str = "") -> None:
    reason = f"needs {', '.join(names)}"
    absent = [name for name in (marker, *names) if name in LEFT_OUT]
    if absent:
        pytest.skip(f"{reason}; {LEFT_OUT[absent[0]]}")
    if STRICT:
        pytest.fail(reason + " (required here: `make test` installs it)", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    os.environ["DQNN_DEBUG"] = "0" if item.get_closest_marker("damaged") else "1"
    for marker in (*MODULES, *TOOLS):
        if item.get_closest_marker(marker) is not None and (names := missing(marker)):
            skip_or_fail(names, marker)
    if item.get_closest_marker("tf") is not None:
        import tensorflow as tf

        tf.keras.utils.set_random_seed(1)  # the same weights every time: some draws are near a tie of float sums


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Last lines: what this run cannot speak of."""
    yield
    from dqnn import _core

    compiled = {isa for kernel in _core.kernels() for isa in kernel["variants"]}
    lacking = sorted(compiled - set(_core.host_isas()))
    for name, reason in LEFT_OUT.items():
        terminalreporter.write_line(f"left out here: tests that need {name}: {reason}")
    if lacking:
        terminalreporter.write_line(f"left out here: kernels for {', '.join(lacking)}: the processor has none of that")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where nothing may be missing, a test that skips because something `is not installed` has failed."""
    report = yield
    if STRICT and report.skipped and isinstance(report.longrepr, tuple) and "not installed" in report.longrepr[2]:
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]} (required here: `make test` installs it)"
    return report


@pytest.fixture(scope="session")
def require_tool() -> Callable[..., str]:
    """`require_tool("flatc")` gives the path of the tool, or of the first of several, or skips the test (fails it in
    CI)."""

    def require(*names: str) -> str:
        paths = [path for name in names if (path := shutil.which(name)) is not None]
        if not paths:
            skip_or_fail(list(names))
        return paths[0]

    return require


@pytest.fixture(scope="session")
def monocypher(repo: Path) -> Path:
    """Directory of Monocypher's sources, from the package index the first time."""
    script = [repo / "tools" / "monocypher.sh"]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(script, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        skip_or_fail([f"Monocypher from the package index ({done.stderr.strip()[-200:]})"])
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def digits() -> Path:
    """examples/digits: the trained models and their test set."""
    return ROOT / "examples" / "digits"
