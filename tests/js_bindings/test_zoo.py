"""Whole networks of every style give the host's bytes in Node and in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from compare import randomize  # noqa: E402
from js_bindings.models import Model, differing, in_browser, in_node, write  # noqa: E402
from zoo import IMAGE, ZOO  # noqa: E402

import dqnn  # noqa: E402


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Model], Path]:
    folder, found = tmp_path_factory.mktemp("zoo"), []
    x = np.random.default_rng(7).uniform(-1.0, 1.0, (2, *IMAGE)).astype(np.float32)
    for build in ZOO:
        blob = dqnn.export(randomize(build(), seed=3)).blob
        found.append(Model(build.__name__, blob, dqnn.Interpreter(blob).to_stored(x)))
    write(found, folder)
    return found, folder


def test_node_gives_the_hosts_bytes(models: tuple[list[Model], Path], package: Path, node: str) -> None:
    assert differing(models[0], in_node(node, package, models[1])) == []


def test_chromium_gives_the_hosts_bytes(models: tuple[list[Model], Path], package: Path, browser: Any) -> None:
    assert differing(models[0], in_browser(browser, package, models[1])) == []
