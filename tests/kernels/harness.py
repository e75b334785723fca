"""Running a case on the C kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import strategies as st

from dqnn import _core

from .cases import Case, Kernel

T = TypeVar("T")
KERNELS = [Kernel(**{**row, "variants": tuple(row["variants"])}) for row in _core.kernels()]
BY_NAME = {k.name: k for k in KERNELS}
HOST_ISAS = _core.host_isas()


def runs_here(isa: str) -> pytest.MarkDecorator:
    """Skips, by name, what the processor of this machine cannot run."""
    return pytest.mark.skipif(isa not in HOST_ISAS, reason=f"this machine's processor has no {isa}")


def usable(kernel: Kernel) -> Kernel:
    """Without the variants that this machine's processor lacks; test_variants.py names those."""
    return Kernel(**{**kernel.__dict__, "variants": tuple(v for v in kernel.variants if v in HOST_ISAS)})


class Seeded:
    """A draw from a seed."""

    def __init__(self, *seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high + 1))

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self._rng.integers(len(options)))]


class Drawn:
    """A draw that hypothesis makes and shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def choice(self, options: Sequence[T]) -> T:
        return self._data.draw(st.sampled_from(options))


def plan(case: Case) -> tuple[int, int, bool]:
    """(scratch bytes, overlap bytes, inputs may be parts of the output); raises PlanError."""
    definitions = [t.definition for t in case.inputs]
    return _core.plan(case.kernel.id, definitions, case.output.definition, list(case.constants), case.params_bytes)


def needs(case: Case) -> dict[str, int]:
    """Bytes of scratch of the variants that take the case."""
    definitions = [t.definition for t in case.inputs]
    call = (case.kernel.id, definitions, case.output.definition, list(case.constants), case.params_bytes)
    return _core.scratch(*call)


def scratch(case: Case, isa: str) -> int:
    """Bytes that the variant of an instruction set needs."""
    return needs(case)[isa]


def variants(case: Case) -> list[str]:
    """Those of the kernel that take the case."""
    return [isa for isa in case.kernel.variants if isa in needs(case)]


def run(case: Case, isa: str, output_at: int | None = None, parts: Sequence[int] = ()) -> bytes:
    definitions = [t.definition for t in case.inputs]
    return _core.run_kernel(
        case.kernel.id, isa, list(case.data), definitions, case.output.definition, list(case.constants),
        case.params_bytes, output_at, parts,
    )  # fmt: skip


def check(case: Case) -> None:
    """Every variant gives the expected bytes, in place too where the plan allows it, or with every other input already
    in the output."""
    _, overlap, parts = plan(case)
    first_bytes = len(case.data[0]) if case.data else 0
    places = (None, 0) if 0 < min(first_bytes, len(case.expected)) <= overlap else (None,)
    for isa in variants(case):
        for place in places:
            got = run(case, isa, place)
            assert got == case.expected, describe(case, isa, place, got)
        for first in (0, 1) if parts else ():
            got = run(case, isa, None, range(first, len(case.inputs), 2))
            assert got == case.expected, describe(case, isa, 0, got)


def describe(case: Case, isa: str, place: int | None, got: bytes) -> str:
    differing = [i for i, (a, b) in enumerate(zip(got, case.expected, strict=True)) if a != b]
    where = "" if place is None else " in place"
    return (
        f"{case.kernel.name} {isa}{where}: {len(differing)} of {len(got)} bytes differ, first at {differing[0]}; "
        f"{case.params}, inputs {case.inputs}, output {case.output}"
    )
