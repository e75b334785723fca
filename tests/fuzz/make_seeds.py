"""Writes one small .dqnn file per kernel of kernels.def: `make_seeds.py DIRECTORY`. Seeds of the fuzzers, and what the
byte sweep changes.

Sizes of constants are computed from schema/SPEC.md section 3, apart from the exporter and from the plan functions,
which refuse every size but their own. Each kernel gets two files: one with channel counts that fill no word, group or
pair, and one with counts that do."""

from __future__ import annotations

import math
import re
import struct
import sys
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "c"))
sys.path.insert(0, str(ROOT / "schema" / "generated"))
import BinaryParams  # type: ignore[import-not-found]
import ChannelParams  # type: ignore[import-not-found]
import ConcatParams  # type: ignore[import-not-found]
import ConvParams  # type: ignore[import-not-found]
import make_blobs
import PadParams  # type: ignore[import-not-found]
import PoolParams  # type: ignore[import-not-found]
import UnaryParams  # type: ignore[import-not-found]
import ViewParams  # type: ignore[import-not-found]
from make_blobs import File, N, T

DTYPES = {"s1": 0, "s8": 1, "f32": 2, "any": 2}
SIZE = 4  # height and width of every image
TAPS = 9  # 3x3 kernels, same padding
Params = tuple[str, Any, tuple[Any, ...]]


def kernels() -> list[tuple[int, str, str, str, str, str]]:
    """Lines of kernels.def."""
    text = (ROOT / "interpreter_c" / "src" / "kernels.def").read_text()
    lines = re.findall(r"^DQNN_KERNEL\((\d+), (\w+), (\w+), (\w+), (\w+), (\w+)\)", text, re.MULTILINE)
    return [(int(number), *rest) for number, *rest in lines]


def up(a: int, b: int) -> int:
    return -(-a // b)


def floats(random: Random, count: int) -> bytes:
    return struct.pack(f"<{count}f", *(random.choice((0.5, -1.5, 3.0, 0.01)) for _ in range(count)))


def planes(value: int, bits: int) -> bytes:
    """A bit-sliced number, the same for all 32 outputs."""
    return struct.pack(f"<{bits}I", *(0xFFFFFFFF if value >> p & 1 else 0 for p in range(bits)))


def epilogue(random: Random, output: str, channels: int, integer: bool) -> list[bytes]:
    if output != "s1":
        return [floats(random, channels), floats(random, channels)]
    if integer:
        return [struct.pack(f"<{channels}i", *(random.randrange(-9, 9) for _ in range(channels)))]
    return [floats(random, channels)]


def conv_weights(family: str, name: str, cin: int, cout: int, random: Random) -> bytes:
    """Neutral padding in every layout, so zero where a layout has any."""
    _, source, weights, _ = name.split("_")
    taps = TAPS * cin
    full = cin % 8 == 0 and cout % 4 == 0
    if family == "conv_bitsliced":
        return bytes(up(cout, 32) * 3 * (3 * cin + 1) * 4)
    if family == "depthwise":
        return {
            "s1": bytes(up(cout, 32) * TAPS * 4),
            "s8": random.randbytes(TAPS * cout),
            "f32": floats(random, TAPS * cout),
        }[weights]
    if name.startswith("convh"):
        return bytes(cout * TAPS * up(cin, 32) * 4)
    if weights == "s1":
        size = sum(cout * up(TAPS * min(8, cin - first), 8) for first in range(0, cin, 8))
    elif weights == "f32":
        return floats(random, up(cout, 4) * taps * 4) if full else bytes(up(cout, 4) * taps * 16)
    else:
        size = up(cout, 4) * taps * 4 if source == "f32" else up(cout, 2) * up(taps, 2) * 4
    return random.randbytes(size) if full else bytes(size)


def conv_constants(family: str, name: str, cin: int, cout: int, random: Random) -> list[bytes]:
    _, source, weights, output = name.split("_")
    constants = [conv_weights(family, name, cin, cout, random)]
    integer = "f32" not in (source, weights)
    if family == "conv_bitsliced":
        window = TAPS * cin  # pad value -1: one class; no -1 among the weights, so S = 0
        bits = max(7, math.ceil(math.log2(window + 2)) + 1)
        if output == "s1":
            return [*constants, planes(window, bits) * up(cout, 32), planes(-window - 1, bits) * up(cout, 32)]
        constants.append(planes(0, bits) * up(cout, 32))
    elif name == "depthwise_s1_s1_s1":
        return [*constants, planes(-2 * TAPS - 1, math.ceil(math.log2(2 * TAPS + 1)) + 1) * up(cout, 32)]
    return constants + epilogue(random, output, cout, integer)


def limits(output: str) -> tuple[float, float]:
    return (-128.0, 127.0) if output == "s8" else (-math.inf, math.inf)


def conv_params(source: str, output: str) -> Params:
    pad = -1.0 if source == "s1" else 0.0
    return (
        "Conv",
        ConvParams.CreateConvParams,
        (3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, pad, *limits(output)),
    )


def other(family: str, output: str, channels: int, random: Random) -> tuple[Params | None, list[bytes]]:
    """Parameters and constants of everything but conv and depthwise."""
    low, high = limits(output)
    pool = ("Pool", PoolParams.CreatePoolParams, (2, 2, 2, 2, 0, 0))
    inverse = [struct.pack("<f", 2.0)] if output == "s8" else []
    four = ([0, 1, 2, 0], [0] * 4, [1] * 4, [1] * 4)
    table: dict[str, tuple[Params | None, list[bytes]]] = {
        "affine": (
            ("Channel", ChannelParams.CreateChannelParams, (0, 1, 0, low, high)),
            epilogue(random, output, channels, True),
        ),
        "lut": (None, [random.randbytes(256)]),
        "unary": (("Unary", UnaryParams.CreateUnaryParams, (3, 0, 0, 0.0)), []),
        "prelu": (None, [floats(random, channels)]),
        "softmax": (None, []),
        "layernorm": (None, [floats(random, channels), floats(random, channels), struct.pack("<f", 1e-3)]),
        "binary": (
            ("Binary", BinaryParams.CreateBinaryParams, (2, 0, 0, low, high)),
            [floats(random, 1)] if output == "s1" else inverse,
        ),
        "maxpool": (pool, []),
        "avgpool": (pool, inverse),
        "concat": (("Concat", ConcatParams.CreateConcatParams, (2,)), []),
        "pad": (("Pad", PadParams.CreatePadParams, ([1, 0, 0, 0], 1.0)), []),
        "view": (("View", ViewParams.CreateViewParams, four), []),
        "reshape": (None, []),
    }
    return table[family]


def output_dims(family: str, channels: int) -> tuple[int, ...]:
    dims = {
        "maxpool": (SIZE // 2, SIZE // 2, channels),
        "avgpool": (SIZE // 2, SIZE // 2, channels),
        "concat": (SIZE, SIZE, 2 * channels),
        "pad": (SIZE + 2, SIZE, channels),
        "reshape": (SIZE * SIZE * channels,),
    }
    return dims.get(family, (SIZE, SIZE, channels))


def tensor(dtype: str, dims: tuple[int, ...], offset: int) -> T:
    return T(DTYPES[dtype], dims, offset, 0.5 if dtype == "s8" else 1.0, -3 if dtype == "s8" else 0)


def nbytes(t: T) -> int:
    rows, last = math.prod(t.dims[:-1]), t.dims[-1]
    return rows * {0: up(last, 32) * 4, 1: last, 2: last * 4}[t.dtype]


def seed(kernel: tuple[int, str, str, str, str, str], channels: int, outputs: int) -> File:
    """One node between its inputs and its output."""
    number, name, family, source, _, result = kernel
    random = Random(name)
    if family in ("conv", "conv_bitsliced", "depthwise"):
        outputs = channels if family == "depthwise" else outputs
        params: Params | None = conv_params(source, result)
        constants = conv_constants(family, name, channels, outputs, random)
    else:
        outputs = channels
        params, constants = other(family, result, channels, random)
        if family == "affine" and source == "f32" and result == "s1":
            constants = [floats(random, channels)]
    tensors, offset = [], 0
    for _ in range(2 if family in ("binary", "concat") else 1):
        tensors.append(tensor(source, (SIZE, SIZE, channels), offset))
        offset += up(nbytes(tensors[-1]), 16) * 16
    tensors.append(tensor(result, output_dims(family, outputs), offset))
    offset += up(nbytes(tensors[-1]), 16) * 16
    count = len(tensors) - 1
    node = N(number, tuple(range(count)), count, tuple(range(len(constants))), (offset, 1024), name, params)
    return File(tensors, [node], [(i, f"in{i}") for i in range(count)], [(count, "out")], offset + 1024, constants)


def joined(kernel: tuple[int, str, str, str, str, str], channels: int) -> File:
    """A concat along the rows whose inputs lie in its output."""
    number, name, _, source, _, result = kernel
    params = ("Concat", ConcatParams.CreateConcatParams, (0,))
    first = tensor(source, (SIZE, SIZE, channels), 0)
    second = tensor(source, first.dims, nbytes(first))
    assert second.offset % 16 == 0
    whole = tensor(result, (2 * SIZE, SIZE, channels), 0)
    node = N(number, (0, 1), 2, (), (2 * nbytes(first), 16), name, params)
    return File([first, second, whole], [node], [(0, "in0"), (1, "in1")], [(2, "out")], 2 * nbytes(first) + 16, [])


def main(directory: str) -> None:
    Path(directory).mkdir(parents=True, exist_ok=True)
    names = []
    for kernel in kernels():
        for label, channels, outputs in (("odd", 5, 3), ("full", 8, 4)):
            names.append(f"{kernel[1]}_{label}.dqnn")
            Path(directory, names[-1]).write_bytes(make_blobs.blob(seed(kernel, channels, outputs)))
        if kernel[2] == "concat":
            names.append(f"{kernel[1]}_joined.dqnn")
            Path(directory, names[-1]).write_bytes(make_blobs.blob(joined(kernel, 16)))
    Path(directory, "list.txt").write_text("\n".join(names))


if __name__ == "__main__":
    main(sys.argv[1])
