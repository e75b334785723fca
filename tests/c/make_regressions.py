"""Writes .dqnn files that once broke the interpreter: `make_regressions.py DIRECTORY`. Each is named after what broke;
test_regressions.c says what must become of it. Like make_blobs.py, apart from the exporter."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "schema" / "generated"))
import ConcatParams  # type: ignore[import-not-found]
import ConvParams  # type: ignore[import-not-found]
import make_blobs
import UnaryParams  # type: ignore[import-not-found]
from make_blobs import F32, S1, S8, UNARY_F32, File, N, T

Files = Iterator[tuple[str, File]]

CONV_S1_S1_S1, CONV_S1_S1_S8, CONVH_S1_S1_S8, CONV_S8_S1_S8 = 0, 1, 4, 13
CONV_S8_S8_S8, CONV_F32_S1_F32, CONV_F32_F32_F32 = 16, 23, 29
DEPTHWISE_S1_S1_S1, DEPTHWISE_S8_S8_S8, DEPTHWISE_F32_F32_F32 = 30, 43, 56
CONCAT_S1, CONCAT_F32 = 82, 84

CONV = {
    "kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "pad_top": 0,
    "pad_left": 0, "up_h": 1, "up_w": 1, "groups": 1, "multiplier": 1, "pool_h": 1, "pool_w": 1, "requant": 0,
    "half_weights": 0, "weight_bits": 0, "reserved": 0, "pad_value": 0.0,
}  # fmt: skip


def up(a: int, b: int) -> int:
    return -(-a // b)


def ones(count: int) -> bytes:
    return struct.pack(f"<{count}f", *(1.0,) * count)


def planes(value: int, count: int) -> bytes:
    """A bit-sliced number, the same in all lanes."""
    return struct.pack(f"<{count}I", *(0xFFFFFFFF * (value >> p & 1) for p in range(count)))


def nbytes(t: T) -> int:
    rows, last = math.prod(t.dims[:-1]), t.dims[-1]
    return rows * {S1: up(last, 32) * 4, S8: last, F32: last * 4}[t.dtype]


def layer(
    kernel: int, source: T, target: T, constants: list[bytes], scratch: int = 8192, nodes: int = 1, **params: Any
) -> File:
    """One convolution, or the same one again and again: input, output and scratch one behind the other."""
    target.offset = up(nbytes(source), 16) * 16
    end = target.offset + up(nbytes(target), 16) * 16
    limits = (-128.0, 127.0) if target.dtype == S8 else (-math.inf, math.inf)
    conv = ("Conv", ConvParams.CreateConvParams, (*{**CONV, **params}.values(), *limits))
    node = N(kernel, (0,), 1, tuple(range(len(constants))), (end, scratch), "layer", conv)
    return File([source, target], [node] * nodes, [(0, "in")], [(1, "out")], end + scratch, constants)


def pool_wraps() -> Files:
    """A pooling window of 65535 x 65535 cells: as an int that is -131071, so that no kernel saw a pool, and each wrote
    the whole map where one cell had room."""
    f = ones(1)
    cases: list[tuple[str, int, int, int, list[bytes], float]] = [
        ("conv_s8_s8_s8", CONV_S8_S8_S8, S8, S8, [bytes(4), f, f], 0.0),
        ("conv_f32_f32_f32", CONV_F32_F32_F32, F32, F32, [ones(4), f, f], 0.0),
        ("conv_f32_s1_f32", CONV_F32_S1_F32, F32, F32, [bytes(1), f, f], 0.0),
        ("conv_s8_s1_s8", CONV_S8_S1_S8, S8, S8, [bytes(1), f, f], 0.0),
        ("convh_s1_s1_s8", CONVH_S1_S1_S8, S1, S8, [bytes(4), f, f], 0.0),
        ("conv_s1_s1_s1", CONV_S1_S1_S1, S1, S1, [bytes(8), planes(1, 7), planes(-2, 7)], -1.0),
        ("conv_s1_s1_s8", CONV_S1_S1_S8, S1, S8, [bytes(8), planes(0, 7), f, f], -1.0),
        ("depthwise_s1_s1_s1", DEPTHWISE_S1_S1_S1, S1, S1, [bytes(4), planes(-3, 3)], 0.0),
        ("depthwise_s8_s8_s8", DEPTHWISE_S8_S8_S8, S8, S8, [bytes(1), f, f], 0.0),
    ]
    for name, kernel, source, target, constants, pad in cases:
        image, cell = T(source, (1, 1, 1), 0), T(target, (1, 1, 1), 0)
        yield f"pool_wraps_{name}", layer(kernel, image, cell, constants, pool_h=65535, pool_w=65535, pad_value=pad)


def row_step_wraps() -> Files:
    """Kernel rows 65535 map rows of 32800 cells apart: only one lies inside the map, and the distance to the next is no
    int. It is never gone, but was computed as one."""
    width = 32800
    f, np = ones(4), math.ceil(math.log2(19)) + 1
    cases: list[tuple[str, int, int, int, list[bytes]]] = [
        ("conv_s8_s8_s8", CONV_S8_S8_S8, S8, S8, [bytes(2 * 18 * 4), f, f]),
        ("conv_f32_f32_f32", CONV_F32_F32_F32, F32, F32, [ones(36 * 4), f, f]),
        ("conv_s8_s1_s8", CONV_S8_S1_S8, S8, S8, [bytes(up(36, 8) * 4), f, f]),
        ("convh_s1_s1_s8", CONVH_S1_S1_S8, S1, S8, [bytes(4 * 9 * 4), f, f]),
        ("depthwise_s1_s1_s1", DEPTHWISE_S1_S1_S1, S1, S1, [bytes(9 * 4), planes(-19, np)]),
        ("depthwise_s8_s8_s8", DEPTHWISE_S8_S8_S8, S8, S8, [bytes(36), f, f]),
        ("depthwise_f32_f32_f32", DEPTHWISE_F32_F32_F32, F32, F32, [ones(36), f, f]),
    ]
    for name, kernel, source, target, constants in cases:
        image, result = T(source, (1, width, 4), 0), T(target, (1, width, 4), 0)
        window = {"kernel_h": 3, "kernel_w": 3, "dilation_h": 65535, "pad_top": 65535, "pad_left": 1}
        yield f"row_step_wraps_{name}", layer(kernel, image, result, constants, **window)


def lanes(values: list[int], count: int) -> bytes:
    """Bit-sliced numbers, one per lane."""
    return struct.pack(
        f"<{count}I", *(sum((v >> p & 1) << lane for lane, v in enumerate(values)) for p in range(count))
    )


def many_columns() -> Files:
    """Binary kernels of thousands of columns: each column leaves a carry, and there was room for those of 2047. Weights
    are random or all -1, thresholds in the middle."""
    for kernel_w, channels, blocks, random in ((3000, 4, 4, True), (4096, 4, 4, False), (8191, 4, 4, False)):
        draw, taps = Random(kernel_w), kernel_w * channels
        rows = [[draw.getrandbits(32) if random else 0xFFFFFFFF for _ in range(channels)] for _ in range(kernel_w)]
        minus = [sum(word >> lane & 1 for row in rows for word in row) for lane in range(32)]
        np, middle = math.ceil(math.log2(taps + 2)) + 1, taps // 2
        constants = [
            b"".join(struct.pack(f"<{channels + 1}I", *row, 0) for row in rows) * blocks,
            lanes([middle - s for s in minus], np) * blocks,
            lanes([-(middle + s) - 1 for s in minus], np) * blocks,
        ]
        image, result = T(S1, (1, kernel_w, channels), 0), T(S1, (1, 1, 32 * blocks), 0)
        scratch = kernel_w * (8 + 2 * up(channels, 4) * 4)
        window = {"kernel_w": kernel_w, "pad_value": -1.0}
        yield f"columns_{kernel_w}", layer(CONV_S1_S1_S1, image, result, constants, up(scratch, 16) * 16, **window)


def scratch_short() -> Files:
    """8 bytes less than the portable variant needs; all variants together once went to `ref` for that."""
    taps, np = 9 * 64, 11
    image, result = T(S1, (16, 16, 64), 0), T(S1, (16, 16, 64), 0)
    constants = [bytes(2 * 3 * (3 * 64 + 1) * 4), planes(taps // 2, np) * 2, planes(-(taps // 2) - 1, np) * 2]
    window = {"kernel_h": 3, "kernel_w": 3, "pad_top": 1, "pad_left": 1, "pad_value": -1.0}
    yield "scratch_short", layer(CONV_S1_S1_S1, image, result, constants, 1168, **window)


def border_walk() -> Files:
    """A row of 2^28 outputs: they have three border classes, but every one of them was looked at."""
    pool, np = 65535, 7
    pooled = (1 << 28) // pool
    image, result = T(S1, (1, pooled * pool, 1), 0), T(S1, (1, pooled, 1), 0)
    ones_of_classes = b"".join(planes(inside, np) for inside in (2, 3, 2))
    constants = [bytes(3 * 2 * 4), ones_of_classes, planes(-4, np)]
    yield "border_walk", layer(CONV_S1_S1_S1, image, result, constants, 64, kernel_w=3, pad_left=1, pool_w=pool)


def many_nodes() -> Files:
    """As many nodes as a file may have: in a row; each reading sixteen tensors of long ago, which took minutes to look
    up; and a few hundred with the same weights, checked again for each."""
    count = 4096
    chain = [T(F32, (1,), 0) for _ in range(count + 1)]
    relu = ("Unary", UnaryParams.CreateUnaryParams, (0, 0, 0, 0.0))
    nodes = [N(UNARY_F32, (i,), i + 1, params=relu) for i in range(count)]
    yield "nodes_in_a_row", File(chain, nodes, [(0, "in")], [(count, "out")], 16)
    concat = ("Concat", ConcatParams.CreateConcatParams, (0,))
    tensors = [T(F32, (1,), 16 * i) for i in range(16)] + [T(F32, (16,), 512) for _ in range(count)]
    nodes = [N(CONCAT_F32, tuple(range(16)), 16 + i, params=concat) for i in range(count)]
    inputs = [(i, f"in{i}") for i in range(16)]
    yield "nodes_looking_back", File(tensors, nodes, inputs, [(15 + count, "out")], 1024)
    weights = [bytes(16 * 1024 * 4), ones(1024), ones(1024)]
    image, result = T(F32, (1, 1, 16), 0), T(F32, (1, 1, 1024), 0)
    yield "nodes_sharing", layer(CONV_F32_F32_F32, image, result, weights, 64, nodes=512)


def many_ports() -> Files:
    """As many outputs as a model may have, and one more: each pair of inputs, each port of a tensor is looked at."""
    for count in (256, 257):
        file = make_blobs.floats()
        file.outputs = [(5, f"y{i}") for i in range(count)]
        yield f"ports_{count}", file


def bits_renamed() -> Files:
    """The bytes of six rows of 32 bits, under the name of six rows of 5: what is behind the five was taken for 0, and
    each variant joined rows of its own. Rows of 64 are whole words too, so that two of them may be named so."""
    for name, shape in (("bits_renamed", (6, 5)), ("words_renamed", (3, 64))):
        source, renamed = T(S1, (6, 32), 0), T(S1, shape, 0)
        joined = T(S1, (shape[0], 2 * shape[1]), 32)
        concat = ("Concat", ConcatParams.CreateConcatParams, (1,))
        node = N(CONCAT_S1, (1, 1), 2, (), (0, 0), "joined", concat)
        yield name, File([source, renamed, joined], [node], [(0, "in")], [(2, "out")], 96, [])


def constant_nowhere() -> Files:
    """An empty constant and no data: the place of the constant was counted from no address at all."""
    relu = ("Unary", UnaryParams.CreateUnaryParams, (0, 0, 0, 0.0))
    node = N(UNARY_F32, (0,), 1, (0,), params=relu)
    file = File([T(F32, (1,), 0), T(F32, (1,), 16)], [node], [(0, "in")], [(1, "out")], 32, [b""])
    file.has_data = False
    yield "constant_nowhere", file


def fed_by_nobody() -> Files:
    """A strip enters the first segment, and the model has no inputs: the first was read all the same."""
    file = make_blobs.fed()
    file.inputs = []
    yield "fed_by_nobody", file


def main(directory: str) -> None:
    made = (pool_wraps, row_step_wraps, many_columns, scratch_short, border_walk, many_nodes, many_ports, bits_renamed)
    for make in (*made, constant_nowhere, fed_by_nobody):
        for name, file in make():
            Path(directory, f"{name}.dqnn").write_bytes(make_blobs.blob(file))


if __name__ == "__main__":
    main(sys.argv[1])
