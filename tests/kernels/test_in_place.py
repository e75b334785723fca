"""Which kernels let their output take the place of an input: what docs/memory.md says, and no more than is safe. That
the bytes are right in place is part of every kernel test (harness.check)."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqnn import _core
from dqnn.exporter.format import PoolParams

from .cases import Case, Kernel, make
from .harness import KERNELS, Seeded, plan

WIDTH = {"s1": 0, "s8": 1, "f32": 2}
DRAWS, FEW = 120, 15  # of kernels that the page names, of others


@pytest.fixture(scope="module")
def patterns(repo: Path) -> list[str]:
    """The kernels that the table of docs/memory.md names."""
    text = (repo / "docs" / "memory.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([\w*]+)`", row)]


def shares(case: Case) -> tuple[bool, bool]:
    """Whether the output may overlay the first input, and whether inputs may be its parts."""
    _, overlap, parts = plan(case)
    return bool(case.data) and 0 < min(len(case.data[0]), len(case.expected)) <= overlap, parts


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_the_page_names_the_kernels(kernel: Kernel, patterns: list[str]) -> None:
    named = any(fnmatch(kernel.name, pattern) for pattern in patterns)
    draws = DRAWS if named else FEW
    found = [shares(make(kernel, Seeded(kernel.id, number))) for number in range(draws)]
    if kernel.family == "concat":
        assert named and any(parts for _, parts in found) and not all(parts for _, parts in found)
        assert not any(overlaid for overlaid, _ in found)
        return
    assert not any(parts for _, parts in found)
    one_input = kernel.family != "binary"
    widens = one_input and kernel.input in WIDTH and WIDTH[kernel.input] < WIDTH[kernel.output]
    expected = named and not widens
    assert any(overlaid for overlaid, _ in found) == expected
    always = kernel.family in ("lut", "lut_channels", "unary", "prelu", "softmax", "softmax_fixed", "layernorm")
    assert all(overlaid for overlaid, _ in found) or not always


def safe(params: PoolParams, size: tuple[int, int], out: tuple[int, int]) -> bool:
    """No window begins before its own output cell."""
    rows = np.maximum(np.arange(out[0]) * params.stride_h - params.pad_top, 0)
    columns = np.maximum(np.arange(out[1]) * params.stride_w - params.pad_left, 0)
    first = rows[:, None] * size[1] + columns
    return bool((first.reshape(-1) >= np.arange(first.size)).all())


def test_pools_overlay_exactly_where_no_window_reaches_back() -> None:
    rng = np.random.default_rng(2)
    kernel = next(k for k in KERNELS if k.name == "maxpool_s8")
    verdicts = []
    while len(verdicts) < 2000:
        window, stride, size = (tuple(map(int, rng.integers(1, high, 2))) for high in (6, 5, 12))
        pad = tuple(int(rng.integers(0, k)) for k in window)
        most = [(size[i] + pad[i] - 1) // stride[i] + 1 for i in range(2)]
        out = tuple(int(rng.integers(max(1, m - 1), m + 1)) for m in most)
        params = PoolParams(*window, *stride, *pad)
        definitions: list[Any] = [((*shape, 3), 1, 1.0, 0) for shape in (size, out)]
        try:
            _, overlap, _ = _core.plan(kernel.id, definitions[:1], definitions[1], [], params.to_bytes())
        except _core.PlanError:
            continue
        assert (overlap > 0) == safe(params, size, out), (params, size, out)
        verdicts.append(overlap > 0)
    assert 200 < sum(verdicts) < 1800


def test_a_broadcast_input_is_not_overlaid() -> None:
    kernel = next(k for k in KERNELS if k.name == "binary_f32")
    cases = [make(kernel, Seeded(kernel.id, number)) for number in range(DRAWS)]
    first = [case for case in cases if case.inputs[0].dims != case.output.dims]
    assert first and not any(shares(case)[0] for case in first)
    whole = [case for case in cases if case.inputs[0].dims == case.output.dims and case.inputs[0].dtype == "f32"]
    assert whole and all(shares(case)[0] for case in whole)
