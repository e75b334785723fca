"""Every kernel of kernels.def, in every variant, against schema/SPEC.md: seeded cases and hypothesis draws.

DQNN_KERNEL_CASES sets the number of seeded cases for each kernel (default 25)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .cases import FAMILIES, Kernel, make
from .harness import KERNELS, Drawn, Seeded, check, needs, plan, usable

CASES = int(os.environ.get("DQNN_KERNEL_CASES", "25"))


def test_every_kernel_is_covered() -> None:
    assert [k.id for k in KERNELS] == list(range(len(KERNELS)))
    assert {k.family for k in KERNELS} == set(FAMILIES)
    assert all(k.variants[-1] == "ref" for k in KERNELS)


def test_plans_are_for_processors_that_this_is_not() -> None:
    """A file is exported once, for every core: Helium's quads of 8-bit pixels want scratch, which this machine has no
    use for."""
    (kernel,) = (k for k in KERNELS if k.name == "conv_s8_s8_s8")
    cases = [make(kernel, Seeded(kernel.id, number)) for number in range(CASES)]
    assert max(needs(case).get("mve", 0) for case in cases) > 0
    assert all(plan(case)[0] >= needs(case).get("mve", 0) for case in cases)


@pytest.mark.parametrize("kernel", [usable(k) for k in KERNELS], ids=lambda k: k.name)
def test_seeded(kernel: Kernel) -> None:
    for number in range(CASES):
        check(make(kernel, Seeded(kernel.id, number)))


@pytest.mark.parametrize("kernel", [usable(k) for k in KERNELS], ids=lambda k: k.name)
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_drawn(kernel: Kernel, data: st.DataObject) -> None:
    check(make(kernel, Drawn(data)))
