"""What fills weights up to whole bytes, words, pairs and quads (SPEC.md 3.3) never counts: every variant gives the same
bytes whatever stands there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from . import cases
from .cases import Array, Kernel, make
from .harness import KERNELS, Seeded, check, usable

# Where it would count, in fast variants that leave out the mask of missing outputs, plan() looks at every bit.
CHECKED = ("conv_s1_s1_", "convh_", "depthwise_s1_s1_s1")
PADDED = [
    kernel
    for kernel in KERNELS
    if (kernel.name.startswith("conv_") or (kernel.family == "depthwise" and kernel.weights != "f32"))
    and not kernel.name.startswith(CHECKED)
]
TYPES = {"s1": np.uint8, "s8": np.int8, "f32": np.float32}
pack = cases.packed_weights


@dataclass
class Filler:
    """cases.packed_weights, but with anything in the padding: wherever two layers without a weight in common agree."""

    rng: np.random.Generator
    filled: int = 0

    def __call__(self, kernel: Kernel, weights: Array, groups: int, bits: int = 0) -> bytes:
        kind: Any = np.uint8 if bits else TYPES[kernel.weights]
        half = 1 << bits - 1 if bits else 1
        signs = (half - 1, -half) if bits else (1, -1)  # that differ in every bit
        plus, minus = (np.full_like(weights, value) for value in signs)
        packed, ones, others = (np.frombuffer(pack(kernel, w, groups, bits), kind) for w in (weights, plus, minus))
        anything = self.rng.integers(-128, 128, len(packed)).astype(kind)
        if kernel.weights == "s1" or bits:
            padding = ~(ones ^ others)
            self.filled += int((anything & padding).any())
            return (packed & ~padding | anything & padding).tobytes()
        padding = ones == others
        self.filled += int(padding.any())
        return np.where(padding, anything, packed).astype(kind).tobytes()


@pytest.mark.parametrize("kernel", [usable(k) for k in PADDED], ids=lambda k: k.name)
def test_padding_is_ignored(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    filler = Filler(np.random.default_rng(kernel.id))
    monkeypatch.setattr(cases, "packed_weights", filler)
    few = kernel.family == "depthwise" and kernel.weights == "s8"  # only those of few bits are padded
    for number in range(100 if few else 40):
        check(make(kernel, Seeded(kernel.id, number)))
    assert filler.filled > 5
