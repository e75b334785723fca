"""Whole networks on an emulated core: builds them in Keras (random weights), exports, counts; prints Markdown.

python tools/bench_models.py [--target cortex-m4]         needs TensorFlow, Larq and QKeras (pip install dqnn[keras])"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "examples" / "digits"
EIGHT = "quantized_bits(8,0,1,alpha=1)"
sys.path.insert(0, str(ROOT / "tools"))


def small_cifar() -> Any:
    """CBin-NN's SmallCifar: 8-bit input and first layer, binary convolutions with pools, a binary dense layer."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((32, 32, 3))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    x = qkeras.QConv2D(32, 3, padding="same", kernel_quantizer=EIGHT, use_bias=False)(x)
    for filters in (32, 64):
        x = qkeras.QActivation("binary(alpha=1)")(layers.BatchNormalization()(layers.MaxPool2D(2)(x)))
        x = qkeras.QConv2D(filters, 3, padding="same", kernel_quantizer="binary(alpha=1)", use_bias=False)(x)
    x = qkeras.QActivation("binary(alpha=1)")(layers.BatchNormalization()(layers.MaxPool2D(2)(x)))
    x = qkeras.QDense(10, kernel_quantizer="binary(alpha=1)", use_bias=False)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Softmax()(layers.BatchNormalization()(x)), name="small_cifar")


def eight_bits() -> Any:
    """An image network with 8-bit weights and activations."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((32, 32, 3))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    for filters in (32, 64, 64):
        x = qkeras.QConv2D(filters, 3, padding="same", kernel_quantizer=EIGHT, use_bias=False)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
        x = layers.MaxPool2D(2)(x)
    x = qkeras.QDense(10, kernel_quantizer=EIGHT)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Softmax()(x), name="eight_bits")


def ds_cnn() -> Any:
    """MLPerf Tiny's keyword network with 8-bit weights and activations."""
    import qkeras
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((49, 10, 1))
    x = qkeras.QActivation("quantized_bits(8,0,alpha=1)")(x)
    x = qkeras.QConv2D(64, (10, 4), strides=2, padding="same", kernel_quantizer=EIGHT, use_bias=False)(x)
    x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
    for _ in range(4):
        x = qkeras.QDepthwiseConv2D(3, padding="same", depthwise_quantizer=EIGHT, use_bias=False)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
        x = qkeras.QConv2D(64, 1, kernel_quantizer=EIGHT, use_bias=False)(x)
        x = qkeras.QActivation("quantized_relu(8,2)")(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = qkeras.QActivation("quantized_relu(8,2)")(x)
    x = qkeras.QDense(12, kernel_quantizer=EIGHT)(x)
    return tf.keras.Model(inputs, layers.Softmax()(x), name="ds_cnn")


def quicknet_like() -> Any:
    from compare_host import quicknet_like as build

    return build()


MODELS: dict[str, Callable[[], Any]] = {
    "Larq digits": lambda: DIGITS / "digits_larq.h5",
    "QKeras digits": lambda: DIGITS / "digits_qkeras.h5",
    "SmallCifar": small_cifar,
    "DS-CNN, 8 bits": ds_cnn,
    "CNN, 8 bits": eight_bits,
    "QuickNet-like, 64 px": quicknet_like,
}


def measure(model: Any, folder: Path, target: str) -> dict[str, Any]:
    """The JSON of `dqnn bench` for one model."""
    import dqnn

    path = folder / "model.dqnn"
    dqnn.export(model, path)
    command = [sys.executable, "-m", "dqnn.exporter", "bench", str(path), "--target", target, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@click.command(help="Measure whole networks on an emulated core.")
@click.option("--target", default="cortex-m4", show_default=True)
@click.option("--only", default="", help="Models whose name contains this.")
def main(target: str, only: str) -> None:
    click.echo("| model | MACs | instructions | cycles (est.) | arena | stack | file |\n|---|---|---|---|---|---|---|")
    for name, build in MODELS.items():
        if only.lower() not in name.lower():
            continue
        with tempfile.TemporaryDirectory() as folder:
            result = measure(build(), Path(folder), target)
        cycles = "-" if result.get("cycles") is None else f"{result['cycles']:,}"
        sizes = " | ".join(f"{result[key]:,} B" for key in ("arena_bytes", "stack_bytes", "file_bytes"))
        macs = sum(node["macs"] for node in result["nodes"])
        click.echo(f"| {name} | {macs:,} | {result['instructions']:,} | {cycles} | {sizes} |")


if __name__ == "__main__":
    main()
