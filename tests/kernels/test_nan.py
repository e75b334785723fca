"""Inputs that are not numbers: what SPEC.md says of maxima, thresholds and clamps holds for them too, in every variant
of a host. (The assembly of Cortex-M takes signs of differences; there a NaN gives either bit, as dqnn.h says.)"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from .cases import Case, Kernel, make
from .harness import KERNELS, Seeded, run, usable, variants

SPECIAL = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, -0.0, 1.0, -1.0], np.float32)
CONVOLUTIONS = [k.name for k in KERNELS if k.name.startswith(("conv_f32", "depthwise_f32"))]


def with_special_inputs(case: Case, rng: np.random.Generator) -> Case:
    return replace(case, data=tuple(rng.choice(SPECIAL, len(d) // 4).tobytes() for d in case.data))


def comparable(case: Case, output: bytes) -> bytes:
    """Which NaN a float is, is left open."""
    if case.kernel.output != "f32":
        return output
    values = np.frombuffer(output, "<f4")
    return np.where(np.isnan(values), np.float32(np.nan), values).tobytes()


@pytest.mark.parametrize("kernel", [usable(k) for k in KERNELS if k.name in CONVOLUTIONS], ids=lambda k: k.name)
def test_sums_that_are_no_numbers(kernel: Kernel) -> None:
    rng = np.random.default_rng(kernel.id)
    for number in range(30):
        case = with_special_inputs(make(kernel, Seeded(kernel.id, number)), rng)
        expected = comparable(case, run(case, "ref"))
        for isa in variants(case):
            got = comparable(case, run(case, isa))
            assert got == expected, (isa, case.params, case.inputs, case.output)
