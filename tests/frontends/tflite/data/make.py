"""Writes the .tflite files of this folder (needs TensorFlow, for its schema alone):

python tests/frontends/tflite/data/make.py"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
from frontends.tflite.nets import RELU, RELU6, SAME, Net, Value  # noqa: E402


def residual(net: Net) -> Value:
    """A bit of everything that image networks have."""
    x = net.conv(net.input(1, 6, 6, 2), 4, (3, 3), (2, 2), activation=RELU6)
    y = net.depthwise(x, 1, padding=SAME, activation=RELU)
    y = net.binary("ADD", net.conv(y, 4, (1, 1)), x)
    y = net.unary("HARD_SWISH", y)
    y = net.concat([y, net.pool(y, "MAX_POOL_2D", (3, 3), (1, 1), SAME)], 3)
    y = net.reduce(y, (1, 2))
    out: Value = net.unary("SOFTMAX", net.dense(y, 3), beta=1.0)
    return out


def islands(net: Net) -> Value:
    """uint8 in, int8, floats, int8 and a float out."""
    port = Value(net.model.tensor((1, 4, 4, 2), np.uint8, 0.02, 100), (1, 4, 4, 2), 0.02, 100)
    net.inputs.append(port)
    x = net.add("QUANTIZE", [port.index], net.tensor(port.shape, 0.02, -28))
    x = net.conv(x, 3, activation=RELU)
    real = Value(net.model.tensor(x.shape, np.float32), x.shape)
    net.add("DEQUANTIZE", [x.index], real, None, 2)
    out = Value(net.model.tensor(x.shape, np.float32), x.shape)
    net.add("ELU", [real.index], out)
    y = net.dense(net.add("QUANTIZE", [out.index], net.tensor(x.shape, 0.05, 0)), 4)
    last = Value(net.model.tensor(y.shape, np.float32), y.shape)
    made: Value = net.add("DEQUANTIZE", [y.index], last, None, 2)
    return made


def files() -> dict[str, bytes]:
    """Name -> content."""
    int8, real, mixed = Net(1), Net(2, quantized=False), Net(3)
    return {
        "int8.tflite": int8.content(residual(int8)),
        "float.tflite": real.content(residual(real)),
        "mixed.tflite": mixed.content(islands(mixed)),
    }


if __name__ == "__main__":
    for name, content in files().items():
        (HERE / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
