"""Every kernel quantizer of 2 to 4 bits, packed: Keras' values on each level of this machine, the bytes that 8 bits
give, and the bits that its codes need."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

import random_nets  # noqa: E402
from compare import run_ours  # noqa: E402
from random_nets import FEW_BITS, FORMATS, Layer, Network, Norm  # noqa: E402

import dqnn  # noqa: E402
from dqnn.exporter.format import ConvParams  # noqa: E402

LAYERS = {
    "conv": ((7, 6, 12), Layer("conv", units=16, size=(3, 3), padding="same")),
    "dense": ((40,), Layer("dense", units=12)),
    "depthwise": ((7, 6, 12), Layer("depthwise", size=(5, 5), padding="same")),
}
KERNELS = [(library, kernel) for library, kernels in FEW_BITS.items() for kernel in kernels]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("library", "kernel"), KERNELS, ids=[kernel for _, kernel in KERNELS])
def test_equals_keras_packed(library: str, kernel: str, kind: str) -> None:
    shape, layer = LAYERS[kind]
    fields = {**vars(layer), "library": library, "kernel": kernel}
    s8 = FORMATS["s8"]
    assert s8 is not None
    network = Network((shape,), (s8, Layer(**fields), Norm("bn"), s8), seed=7, pack_weights=True)
    outcome = random_nets.check(network)
    assert outcome.kind == "native", f"{outcome.kind}: {outcome.detail}"
    assert outcome.compared > 0.9 * outcome.elements
    tape = random_nets.record(network)
    packed, plain = (dqnn.export(tape, pack_weights=pack) for pack in (True, False))
    bits = [node.params.weight_bits for node in packed.report.model.nodes if isinstance(node.params, ConvParams)]
    assert bits == [FEW_BITS[library][kernel]]
    inputs = [value.array for value in tape.inputs]
    assert run_ours(packed.blob, inputs)[0].tobytes() == run_ours(plain.blob, inputs)[0].tobytes()
