"""Budgets of the device's check, those of docs/security.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dqnn.exporter.cli import main

pytest.importorskip("unicorn")
pytest.importorskip("elftools")

from signing.cost import build, measure


@pytest.mark.parametrize("optimize", ["-Os", "-O2"])
def test_cost(optimize: str, repo: Path, monocypher: Path, tmp_path: Path, require_tool: Callable[..., str]) -> None:
    require_tool("arm-none-eabi-gcc")
    golden = next((repo / "schema" / "golden").glob("*/conv.dqnn"))
    key, keys, signed = tmp_path / "key.pem", tmp_path / "keys.h", tmp_path / "signed.dqnn"
    for arguments in (["keygen", key, "--header", keys], ["sign", golden, "--key", key, "-o", signed]):
        assert CliRunner().invoke(main, [str(a) for a in arguments]).exit_code == 0
    blob = signed.read_bytes()
    cost = measure(build(optimize, keys, monocypher, tmp_path), blob)
    assert cost.accepted
    assert cost.code_bytes <= 11_200
    assert cost.stack_bytes <= 2_100
    assert cost.instructions <= 2_200_000 + 130 * len(blob)
