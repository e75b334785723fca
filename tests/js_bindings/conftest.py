"""The JavaScript package, built, and what runs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def package(repo: Path, require_tool: Callable[..., str]) -> Path:
    """js_bindings with dqnn.wasm as the tree makes it."""
    for tool in ("cmake", "ninja", "clang", "wasm-ld"):
        require_tool(tool)
    subprocess.run([repo / "js_bindings" / "build.sh"], check=True)
    return repo / "js_bindings"


@pytest.fixture(scope="session")
def node(require_tool: Callable[..., str]) -> str:
    return require_tool("node", "nodejs")


@pytest.fixture(scope="module")
def browser(require_tool: Callable[..., str]) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    path = require_tool("chromium", "chromium-browser")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()
