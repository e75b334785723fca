"""Every operator of the front end with its options, each as one small network, quantized and in floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from frontends.tflite.nets import RELU, RELU1, RELU6, SAME, VALID, Net, Value
from oracles.tflite_model import options

Build = Callable[[Net], Any]
CASES: dict[str, Build] = {}
FLOAT_ONLY = ("div", "square", "neg", "elu")


def case(name: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        CASES[name] = build
        return build

    return add


def _many(prefix: str, variants: dict[str, Build]) -> None:
    CASES.update({f"{prefix}_{name}": build for name, build in variants.items()})


_many(
    "conv",
    {
        "same": lambda n: n.conv(n.input(1, 7, 6, 3), 5),
        "valid": lambda n: n.conv(n.input(1, 7, 6, 3), 5, padding=VALID),
        "strides": lambda n: n.conv(n.input(1, 8, 9, 4), 6, (3, 5), (2, 3)),
        "dilated": lambda n: n.conv(n.input(1, 9, 9, 2), 3, (3, 3), dilation=(2, 3)),
        "grouped": lambda n: n.conv(n.input(1, 5, 5, 6), 9, groups=3),
        "pointwise": lambda n: n.conv(n.input(1, 5, 5, 16), 24, (1, 1), activation=RELU6),
        "per_tensor": lambda n: n.conv(n.input(1, 5, 5, 4), 4, per_channel=False),
        "relu": lambda n: n.conv(n.input(1, 5, 5, 4), 4, activation=RELU),
        "relu1": lambda n: n.conv(n.input(1, 5, 5, 4), 4, activation=RELU1),
        "one_row": lambda n: n.conv(n.input(1, 1, 20, 4), 4, (1, 5), (1, 2)),
        "then_max_pool": lambda n: n.pool(n.conv(n.input(1, 8, 8, 3), 4), "MAX_POOL_2D"),
    },
)
_many(
    "depthwise",
    {
        "plain": lambda n: n.depthwise(n.input(1, 7, 6, 5)),
        "multiplier": lambda n: n.depthwise(n.input(1, 7, 6, 3), 4),
        "one_channel": lambda n: n.depthwise(n.input(1, 9, 6, 1), 8, (5, 3), (2, 2)),
        "strides": lambda n: n.depthwise(n.input(1, 8, 8, 8), 1, (3, 3), (2, 2), activation=RELU6),
        "dilated": lambda n: n.depthwise(n.input(1, 9, 9, 4), 1, dilation=(2, 2)),
        "per_tensor": lambda n: n.depthwise(n.input(1, 5, 5, 4), per_channel=False),
        "valid": lambda n: n.depthwise(n.input(1, 5, 5, 4), padding=VALID, activation=RELU),
    },
)
_many(
    "transposed",
    {
        "same": lambda n: n.transposed(n.input(1, 4, 5, 3), 4),
        "valid": lambda n: n.transposed(n.input(1, 4, 5, 3), 4, (4, 4), padding=VALID),
        "no_bias": lambda n: n.transposed(n.input(1, 4, 5, 3), 4, (2, 3), bias=False),
        "stride_1": lambda n: n.transposed(n.input(1, 4, 5, 3), 4, (3, 3), (1, 1)),
        "small_kernel": lambda n: n.transposed(n.input(1, 4, 5, 3), 4, (1, 1), (2, 2)),
        "per_tensor": lambda n: n.transposed(n.input(1, 4, 5, 3), 4, per_channel=False),
    },
)
_many(
    "dense",
    {
        "plain": lambda n: n.dense(n.input(1, 40), 12),
        "relu": lambda n: n.dense(n.input(1, 40), 12, RELU),
        "no_bias": lambda n: n.dense(n.input(1, 40), 12, bias=False),
        "map": lambda n: n.dense(n.input(1, 3, 4, 5), 7),
        "keeps": lambda n: n.dense(n.input(1, 3, 5), 7, keep=True),
        "keeps_4": lambda n: n.dense(n.input(1, 2, 3, 5), 7, keep=True),
        "rows": lambda n: n.dense(n.input(1, 6, 8), 5, rows=6),
        "per_channel": lambda n: n.dense(n.input(1, 24), 9, per_channel=True),
    },
)
_many(
    "matmul",
    {"plain": lambda n: n.matmul(n.input(1, 6, 8), 5), "adj_y": lambda n: n.matmul(n.input(1, 6, 8), 5, True)},
)
for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
    _many(
        kind.lower(),
        {
            "valid": lambda n, kind=kind: n.pool(n.input(1, 7, 8, 3), kind),
            "same": lambda n, kind=kind: n.pool(n.input(1, 7, 8, 3), kind, (3, 3), (2, 2), SAME),
            "wide": lambda n, kind=kind: n.pool(n.input(1, 6, 6, 5), kind, (6, 6)),
            "relu": lambda n, kind=kind: n.pool(n.input(1, 7, 8, 3), kind, (2, 3), (1, 2), VALID, RELU6),
        },
    )
for kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
    _many(
        kind.lower(),
        {
            "spatial": lambda n, kind=kind: n.reduce(n.input(1, 5, 6, 7), (1, 2), kind),
            "keep": lambda n, kind=kind: n.reduce(n.input(1, 7, 7, 8), (1, 2), kind, True),
            "height": lambda n, kind=kind: n.reduce(n.input(1, 5, 6, 7), (1,), kind),
            "channels": lambda n, kind=kind: n.reduce(n.input(1, 5, 6, 7), (-1,), kind, True),
            "rows": lambda n, kind=kind: n.reduce(n.input(1, 9, 4), (1,), kind),
        },
    )


def _pair(kind: str, other: str) -> Build:
    def build(n: Net) -> Value:
        a = n.input(1, 5, 4, 6)
        like = a if kind in ("MAXIMUM", "MINIMUM") and n.quantized else None
        if other == "activation":
            b = n.input(1, 5, 4, 6) if like is None else n.like(a)
            if like is not None:
                n.inputs.append(b)
        elif other == "broadcast":
            b = n.tensor((1, 1, 1, 6)) if like is None else n.like(a, (1, 1, 1, 6))
            n.inputs.append(b)
        else:
            shapes = {"scalar": (), "channel": (6,), "channel4": (1, 1, 1, 6), "map": (1, 5, 4, 6), "column": (5, 1, 1)}
            b = n.activation_constant(shapes[other.removesuffix("_first")], like)
        first, second = (b, a) if other.endswith("_first") else (a, b)
        return n.binary(kind, first, second)

    return build


for kind in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"):
    for other in "activation broadcast scalar channel channel4 map column scalar_first channel_first".split():
        CASES[f"{kind.lower()}_{other}"] = _pair(kind, other)
for other in ("scalar", "channel"):
    CASES[f"div_{other}"] = _pair("DIV", other)
_many(
    "fused",
    {
        "add_relu": lambda n: n.binary("ADD", n.input(1, 4, 4, 3), n.input(1, 4, 4, 3), RELU),
        "sub_relu6": lambda n: n.binary("SUB", n.input(1, 4, 4, 3), n.input(1, 4, 4, 3), RELU6),
        "mul_relu1": lambda n: n.binary("MUL", n.input(1, 4, 4, 3), n.input(1, 4, 4, 3), RELU1),
        "add_itself": lambda n: n.binary("ADD", *[n.input(1, 4, 4, 3)] * 2),
        "ranks": lambda n: n.binary("ADD", n.input(1, 4, 4, 3), n.input(4, 3)),
    },
)
for kind in "LOGISTIC TANH EXP HARD_SWISH RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 ABS ELU SQUARE NEG".split():
    CASES[kind.lower()] = lambda n, kind=kind: n.unary(kind, n.input(1, 4, 5, 6))
_many(
    "leaky_relu",
    {
        f"{alpha:g}": lambda n, alpha=alpha: n.unary("LEAKY_RELU", n.input(1, 4, 5, 6), alpha=alpha)
        for alpha in (0.1, 0.3, 1.5, -0.2)
    },
)
CASES["gelu"] = lambda n: n.unary("GELU", n.input(1, 4, 5, 6), approximate=False)
CASES["prelu_channel"] = lambda n: n.prelu(n.input(1, 4, 5, 6), (1, 1, 6))
CASES["prelu_one"] = lambda n: n.prelu(n.input(1, 4, 5, 6), (1, 1, 1))
for classes, beta in ((2, 1.0), (10, 1.0), (12, 0.5), (100, 2.0)):
    CASES[f"softmax_{classes}"] = lambda n, c=classes, beta=beta: n.unary("SOFTMAX", n.input(1, c), beta=beta)
CASES["softmax_rows"] = lambda n: n.unary("SOFTMAX", n.input(1, 3, 4, 10), beta=1.0)


@case("requantize")
def requantize(n: Net) -> Value:
    return n.requantize(n.input(1, 5, 6)) if n.quantized else n.unary("RELU", n.input(1, 5, 6))


def _moved(shape: tuple[int, ...], kind: str, result: tuple[int, ...], constants: Any = (), made: Any = None) -> Build:
    return lambda n: n.moved(kind, n.input(*shape), result, list(constants), made() if callable(made) else made)


def _strided(shape: tuple[int, ...], result: tuple[int, ...], bounds: Any, **masks: int) -> Build:
    names = {"begin": "beginMask", "end": "endMask", "ellipsis": "ellipsisMask", "new": "newAxisMask"}
    names["shrink"] = "shrinkAxisMask"
    fields = {names[key]: value for key, value in masks.items()}
    return _moved(shape, "STRIDED_SLICE", result, bounds, lambda: options("StridedSliceOptions", **fields))


_many(
    "reshape",
    {
        "flatten": _moved((1, 3, 4, 5), "RESHAPE", (1, 60), [[1, 60]]),
        "minus_one": _moved((1, 3, 4, 5), "RESHAPE", (1, 12, 5), [[1, -1, 5]]),
        "rows": _moved((1, 3, 4, 5), "RESHAPE", (12, 5), [[-1, 5]]),
        "squeeze": _moved((1, 1, 4, 5), "SQUEEZE", (1, 4, 5), [], lambda: options("SqueezeOptions", squeezeDims=[1])),
        "expand": _moved((1, 4, 5), "EXPAND_DIMS", (1, 1, 4, 5), [1]),
        "transpose": _moved((1, 3, 4, 5), "TRANSPOSE", (1, 5, 3, 4), [[0, 3, 1, 2]]),
        "transpose_rows": _moved((3, 4), "TRANSPOSE", (4, 3), [[1, 0]]),
        "transpose_batch": _moved((1, 3, 4), "TRANSPOSE", (3, 1, 4), [[1, 0, 2]]),
        "to_depth": _moved(
            (1, 4, 6, 3), "SPACE_TO_DEPTH", (1, 2, 3, 12), [], lambda: options("SpaceToDepthOptions", blockSize=2)
        ),
        "to_space": _moved(
            (1, 2, 3, 12), "DEPTH_TO_SPACE", (1, 4, 6, 3), [], lambda: options("DepthToSpaceOptions", blockSize=2)
        ),
    },
)
_many(
    "slice",
    {
        "plain": _moved((1, 5, 6, 4), "SLICE", (1, 3, 2, 4), [[0, 1, 3, 0], [1, 3, 2, -1]]),
        "strided": _strided((1, 7, 6, 4), (1, 3, 2, 4), [[0, 1, 0, 0], [1, 7, 6, 4], [1, 2, 3, 1]]),
        "reverse": _strided((1, 7, 6, 4), (1, 7, 3, 4), [[0, 6, 4, 0], [1, -8, -7, 4], [1, -1, -2, 1]]),
        "masks": _strided((1, 7, 6, 4), (1, 6, 5, 4), [[0, 1, 9, 0], [9, 9, -1, 9], [1, 1, 1, 1]], begin=12, end=11),
        "shrink": _strided((1, 7, 6, 4), (1, 6, 4), [[0, 2, 0, 0], [1, 3, 6, 4], [1, 1, 1, 1]], shrink=2),
        "shrink_batch": _strided((1, 7, 6), (7, 6), [[0, 0, 0], [1, 7, 6], [1, 1, 1]], shrink=1),
        "reverse_v2": _moved((1, 5, 6, 4), "REVERSE_V2", (1, 5, 6, 4), [[2]]),
        "tile": _moved((1, 3, 2, 4), "TILE", (1, 3, 4, 12), [[1, 1, 2, 3]]),
        "gather": _moved((1, 5, 6, 4), "GATHER", (1, 5, 3, 4), [[5, 0, 2]], lambda: options("GatherOptions", axis=2)),
        "gather_one": _moved((1, 5, 6, 4), "GATHER", (1, 6, 4), [3], lambda: options("GatherOptions", axis=1)),
    },
)
_many(
    "pad",
    {
        "map": _moved((1, 4, 5, 3), "PAD", (1, 7, 7, 3), [[[0, 0], [1, 2], [2, 0], [0, 0]]]),
        "channels": _moved((1, 4, 5, 3), "PAD", (1, 4, 5, 6), [[[0, 0], [0, 0], [0, 0], [1, 2]]]),
        "rows": _moved((1, 6), "PAD", (1, 9), [[[0, 0], [1, 2]]]),
        "reflect": _moved(
            (1, 4, 5, 3),
            "MIRROR_PAD",
            (1, 7, 7, 3),
            [[[0, 0], [1, 2], [2, 0], [0, 0]]],
            lambda: options("MirrorPadOptions", mode=0),
        ),
        "symmetric": _moved(
            (1, 4, 5, 3),
            "MIRROR_PAD",
            (1, 7, 7, 3),
            [[[0, 0], [1, 2], [2, 0], [0, 0]]],
            lambda: options("MirrorPadOptions", mode=1),
        ),
    },
)


@case("pad_value")
def pad_value(n: Net) -> Value:
    x = n.input(1, 4, 5, 3)
    if n.quantized:
        value = n.model.tensor((), np.int8, x.scale, x.zero_point, np.array(-77, np.int8))
    else:
        value = n.constant(-1.5, np.float32)
    cells = n.constant([[0, 0], [1, 0], [0, 2], [0, 0]])
    return n.add("PADV2", [x.index, cells, value], n.like(x, (1, 5, 7, 3)), None, 2)


@case("pad_then_conv")
def pad_then_conv(n: Net) -> Value:
    x = n.moved("PAD", n.input(1, 6, 6, 3), (1, 8, 8, 3), [[[0, 0], [1, 1], [1, 1], [0, 0]]])
    return n.conv(x, 4, (3, 3), (2, 2), VALID)


@case("concat_channels")
def concat_channels(n: Net) -> Value:
    a = n.input(1, 4, 4, 3)
    return n.concat(
        [a, n.moved("REVERSE_V2", a, a.shape, [[1]]), n.activation_constant((1, 4, 4, 2), a if n.quantized else None)],
        3,
    )


@case("concat_rows")
def concat_rows(n: Net) -> Value:
    a = n.input(1, 4, 3)
    return n.concat([a, n.moved("REVERSE_V2", a, a.shape, [[1]])], -2)


@case("concat_batch")
def concat_batch(n: Net) -> Value:
    a = n.input(1, 4, 3)
    return n.concat([a, a], 0)


@case("pack")
def pack(n: Net) -> Value:
    a = n.input(1, 4, 3)
    return n.concat([a, n.moved("REVERSE_V2", a, a.shape, [[1]])], 1, "PACK")


def _split(kind: str, sizes: tuple[int, ...]) -> Build:
    def build(n: Net) -> list[Value]:
        x = n.input(1, 4, 6, 5)
        shapes = [(1, 4, size, 5) for size in sizes] if kind != "UNPACK" else [(1, 4, 5)] * 6
        outputs = [n.like(x, shape) for shape in shapes]
        inputs = {
            "SPLIT": lambda: [n.constant(2), x.index],
            "SPLIT_V": lambda: [x.index, n.constant(sizes), n.constant(2)],
            "UNPACK": lambda: [x.index],
        }[kind]()
        made = {
            "SPLIT": lambda: options("SplitOptions", numSplits=len(sizes)),
            "SPLIT_V": lambda: options("SplitVOptions", numSplits=len(sizes)),
            "UNPACK": lambda: options("UnpackOptions", num=6, axis=2),
        }[kind]()
        made_outputs: list[Value] = n.add(kind, inputs, outputs, made, 2)
        return made_outputs

    return build


CASES["split"] = _split("SPLIT", (2, 2, 2))
CASES["split_v"] = _split("SPLIT_V", (1, 3, 2))
CASES["unpack"] = _split("UNPACK", ())
for corners, middle in ((False, False), (True, False), (False, True)):
    for h, w in ((10, 12), (7, 3), (3, 11)):
        name = f"{h}x{w}{'_corners' * corners}{'_middle' * middle}"
        for kind, made in (
            ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
            ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
        ):
            CASES[f"{kind.lower()}_{name}"] = _moved(
                (1, 5, 6, 3), kind, (1, h, w, 3), [[h, w]],
                lambda made=made, c=corners, m=middle: options(made, alignCorners=c, halfPixelCenters=m),
            )  # fmt: skip


def names() -> Iterator[Any]:
    """(name, quantized) of every case that the reference kernels know. They lack ELU; their int8 SUM is wrong."""
    for name in CASES:
        if not name.startswith((*FLOAT_ONLY, "sum_")):
            yield name, True
        if name not in ("requantize", "elu"):
            yield name, False
