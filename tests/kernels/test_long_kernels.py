"""Kernels of thousands of columns, as dense layers on sequences have them: counters of binary convolutions keep a carry
for every column with a row to add, and once had no room for 2048 of them."""

from __future__ import annotations

import numpy as np
import pytest

from dqnn.exporter.format import ConvParams

from . import cases
from .harness import BY_NAME, Seeded, check
from .test_grid import usable

OUTPUTS = 33  # two blocks


@pytest.mark.parametrize(
    ("length", "positions", "pad_value"),
    [(2047, 1, -1), (2047, 3, 0), (2048, 1, -1), (2048, 3, 0), (4096, 1, 1), (4096, 3, 0), (32766, 1, -1)],
)
@pytest.mark.parametrize("name", ["conv_s1_s1_s1", "conv_s1_s1_s8", "conv_s1_s1_f32"])
def test_long_kernel(name: str, length: int, positions: int, pad_value: int) -> None:
    channels = min(4, 32766 // length)
    draw, rng = Seeded(length, positions), np.random.default_rng(length)
    source = cases.tensor((1, length, channels), "s1", draw)
    target = cases.tensor((1, positions, OUTPUTS), BY_NAME[name].output, draw)
    params = ConvParams(1, length, pad_left=positions // 2, pad_value=float(pad_value))
    weights = cases.codes("s1", (OUTPUTS, 1, length, channels), rng)
    check(cases.finish_conv(usable(BY_NAME[name]), source, target, weights, params, draw, rng))
