"""Train a binary network in PyTorch with Brevitas on the digits of digits_data.py, and export it as QONNX.

    pip install torch brevitas onnx onnxscript onnxoptimizer scipy scikit-learn
    python examples/digits/train_brevitas.py        # a few minutes on two cores

The same network as train_larq.py: the first convolution sees float pixels, weights are +1 and -1 everywhere,
activations behind the first layer too. Exporting and running the result needs no PyTorch."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from brevitas.core.quant import QuantType
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.export import export_qonnx
from digits_data import augment, load, to_input
from torch import nn

HERE = Path(__file__).resolve().parent
BATCH = 64
SIGNS = {"quant_type": QuantType.BINARY, "scaling_impl_type": ScalingImplType.CONST, "scaling_const": 1.0}
WEIGHTS = {
    "bias": False,
    "weight_bit_width": 1,
    "weight_quant_type": QuantType.BINARY,
    "weight_scaling_impl_type": ScalingImplType.CONST,
    "weight_scaling_const": 1.0,
    "weight_restrict_scaling_type": RestrictValueType.FP,
}


def sign() -> Any:
    return qnn.QuantIdentity(bit_width=1, min_val=-1.0, max_val=1.0, **SIGNS)


def build() -> Any:
    """1x28x28 to 10 classes."""
    return nn.Sequential(
        qnn.QuantConv2d(1, 32, 3, **WEIGHTS),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(32),
        sign(),
        qnn.QuantConv2d(32, 64, 3, **WEIGHTS),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(64),
        sign(),
        qnn.QuantConv2d(64, 64, 3, **WEIGHTS),
        nn.BatchNorm2d(64),
        sign(),
        nn.Flatten(),
        qnn.QuantLinear(576, 64, **WEIGHTS),
        nn.BatchNorm1d(64),
        sign(),
        qnn.QuantLinear(64, 10, **WEIGHTS),
        nn.BatchNorm1d(10),
        nn.Softmax(dim=1),
    )


def batches(pixels: Any, labels: Any, rng: np.random.Generator) -> Any:
    """The training set, augmented anew, as channels first."""
    x = to_input(augment(pixels, rng)).transpose((0, 3, 1, 2))
    order = rng.permutation(len(x))
    for start in range(0, len(x) - BATCH + 1, BATCH):
        part = order[start : start + BATCH]
        yield torch.from_numpy(np.ascontiguousarray(x[part])), torch.from_numpy(labels[part])


def train(model: Any, digits: Any, epochs: int, seed: int) -> None:
    """With a learning rate that falls to zero as a cosine."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        losses = []
        for x, y in batches(digits.train_pixels, digits.train_labels, rng):
            optimizer.zero_grad()
            loss = nn.functional.nll_loss(torch.log(model(x) + 1e-9), y)
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
            with torch.no_grad():
                for weight in (p for p in model.parameters() if p.ndim > 1):
                    weight.clamp_(-1, 1)
        schedule.step()
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}", flush=True)


def without_traces(proto: Any) -> None:
    """Leaves out where in whose files each node came from."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="directory for the model and digits_brevitas.npz")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    digits = load()
    model = build()
    train(model, digits, args.epochs, args.seed)
    model.eval()
    x = torch.from_numpy(np.ascontiguousarray(to_input(digits.test_pixels).transpose((0, 3, 1, 2))))
    with torch.no_grad():
        outputs = model(x).numpy()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:  # the exporter leaves a file beside the model that nobody reads
        export_qonnx(model, args=x[:1], export_path=str(Path(folder) / "model.onnx"))
        proto = onnx.load(Path(folder) / "model.onnx")
    without_traces(proto)
    onnx.save(proto, args.out / "digits_brevitas.onnx")
    np.savez_compressed(args.out / "digits_brevitas.npz", outputs=outputs)
    accuracy = float(np.mean(outputs.argmax(axis=1) == digits.test_labels))
    print(f"digits_brevitas: accuracy on {len(outputs)} test images {accuracy:.1%}")


if __name__ == "__main__":
    main()
