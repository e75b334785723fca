"""File sizes with weights of 8 bits in the file and with packed ones: the table of docs/weights.md.

    python tools/packed_sizes.py

MLPerf Tiny's keyword network in QKeras, with random weights of all levels, and the digits of Brevitas in QONNX with
quantizers of other bits put in: sizes do not depend on what was trained, but on how many codes there are."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import networks
import numpy as np

import dqnn

KERAS = {
    "8 bits": networks.EIGHT,
    "4 bits": "quantized_bits(4,0,1,alpha=1)",
    "ternary": "ternary(alpha=1)",
}
BREVITAS = {"8 bits": 8, "4 bits": 4, "2 bits": 2}


def keywords(quantizer: str) -> Any:
    """With weights of all levels, so that no channel is dead."""
    model, rng = networks.ds_cnn(quantizer), np.random.default_rng(1)
    for variable in model.trainable_weights:
        if "kernel" in variable.name:
            variable.assign(rng.uniform(-1, 1, variable.shape))
    return model


def brevitas(bits: int) -> Any:
    """The binary network with weights of so many bits and activations of 8."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(networks.DIGITS / "digits_brevitas.onnx")
    latent = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    def number(value: float) -> str:
        name = f"number_{len(model.graph.initializer)}"
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
        return name

    for node in model.graph.node:
        if node.op_type == "BipolarQuant":
            weights = latent.get(node.input[0])
            step = 2.0**-5 if weights is None else float(np.abs(weights).max()) / 2 ** (bits - 1)
            node.op_type = "Quant"
            node.input[1:] = [number(step), number(0), number(8 if weights is None else bits)]
    return model


def row(name: str, model: Any) -> str:
    plain, packed = (dqnn.export(model, pack_weights=pack) for pack in (False, True))
    layers = [node for node in packed.report.model.nodes if node.row.multiplies]
    few = sum(getattr(node.params, "weight_bits", 0) > 0 for node in layers)
    return f"| {name} | {few} of {len(layers)} | {len(plain.blob):,} B | {len(packed.blob):,} B |"


def main() -> None:
    import onnx

    print("| network, weights | packed layers | file | with `--pack-weights` |\n|---|---|---|---|")
    for name, quantizer in KERAS.items():
        print(row(f"DS-CNN (QKeras), {name}", keywords(quantizer)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.onnx"
        for name, bits in BREVITAS.items():
            onnx.save(brevitas(bits), path)
            print(row(f"digits (QONNX of Brevitas), {name}", path))
    print(row("digits of Brevitas as trained, 1 bit", networks.DIGITS / "digits_brevitas.onnx"))


if __name__ == "__main__":
    main()
