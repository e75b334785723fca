"""Shared by all tests: what the markers need, and that CI never passes by skipping.

`tf` marks tests that need TensorFlow, Larq and QKeras; `qemu` those that need arm-none-eabi-gcc and qemu-system-arm. On
a machine without them the tests are skipped. Where CI or DQNN_REQUIRE_TOOLS is set, what is missing is a failure."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
STRICT = bool(os.environ.get("CI") or os.environ.get("DQNN_REQUIRE_TOOLS"))
MODULES = {"tf": ("tensorflow", "larq", "qkeras")}
TOOLS = {"qemu": ("arm-none-eabi-gcc", "qemu-system-arm")}

# Larq and QKeras know only Keras 2, which later TensorFlows have from tf-keras.
if importlib.util.find_spec("tf_keras") is not None:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"

# Examples take as long as the machine is busy: no deadlines. CI draws the same examples every time.
settings.register_profile("dqnn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dqnn"), derandomize=True, print_blob=True)
settings.load_profile("ci" if STRICT else "dqnn")


def missing(marker: str) -> list[str]:
    """What a marker needs and this machine lacks."""
    modules = [name for name in MODULES.get(marker, ()) if importlib.util.find_spec(name) is None]
    return modules + [name for name in TOOLS.get(marker, ()) if shutil.which(name) is None]


def skip_or_fail(names: list[str]) -> None:
    reason = f"needs {', '.join(names)}"
    if STRICT:
        pytest.fail(reason + " (required here: `make test` installs it)", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in (*MODULES, *TOOLS):
        if item.get_closest_marker(marker) is not None and (names := missing(marker)):
            skip_or_fail(names)


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
def require_tool() -> Callable[[str], str]:
    """`require_tool("flatc")` gives the tool's path, or skips the test (fails it in CI)."""

    def require(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            skip_or_fail([name])
            raise AssertionError("unreachable")
        return path

    return require


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def digits() -> Path:
    """examples/digits: the trained models and their test set."""
    return ROOT / "examples" / "digits"
