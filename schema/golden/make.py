"""Makes the golden files of a release: models that every later runtime must load and run to the same bytes.

    python schema/golden/make.py 0.1.0 [--add | --replace]

writes schema/golden/0.1.0/NAME.dqnn and NAME.npz, the stored inputs (`in0`, ...) and outputs (`out0`, ...) of a few
samples, batch first. Files of a released version are never made anew; --add (only what is missing) and --replace are
for the time before the release.

Between them the files use every kernel of kernels.def. The recorded outputs are the numpy evaluator's, and are written
only if the C kernels agree."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import dqnn
from dqnn.exporter.emit.layouts import pack_signs
from dqnn.exporter.emit.packing import BINARY_KINDS, UNARY_KINDS
from dqnn.exporter.emit.writer import write
from dqnn.exporter.frontends import load
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import run_node
from dqnn.exporter.ir.graph import Graph, Node, Port
from dqnn.exporter.ir.infer import infer_type
from dqnn.exporter.ir.types import F32, S1, S8, Format, TensorType
from dqnn.exporter.options import ExportOptions
from dqnn.exporter.passes import run_pipeline
from dqnn.tensors import Rounding

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parent.parent / "examples" / "digits"
SAMPLES = 3
INF = float("inf")
FORMATS: dict[str, Format] = {"s1": S1(), "s8": S8(0.05, 3), "f32": F32()}
MAP = (5, 4, 9)  # of the inputs: odd sizes, channels that fill no word


class Maker:
    """A graph in which every node reads a model input and gives a model output."""

    def __init__(self, name: str, shape: tuple[int, ...] = MAP) -> None:
        self.name, self.shape = name, shape
        self.rng = np.random.default_rng(len(name))
        self.types = {key: TensorType(shape, fmt) for key, fmt in FORMATS.items()}
        self.nodes: list[Node] = []

    def add(self, op: ops.Op, inputs: tuple[str, ...], shape: tuple[int, ...], fmt: Format) -> None:
        name = f"v{len(self.nodes)}"
        self.types[name] = TensorType(shape, fmt)
        self.nodes.append(Node(op, inputs, name, (name,)))

    def graph(self) -> Graph:
        inputs = tuple(key for key in FORMATS if any(key in node.inputs for node in self.nodes))
        outputs = tuple(node.output for node in self.nodes)
        types = {key: kind for key, kind in self.types.items() if key in (*inputs, *outputs)}
        return Graph(
            self.name, inputs, outputs, tuple(self.nodes), types, {key: Port(key) for key in (*inputs, *outputs)}
        )

    def weights(self, kind: str, shape: tuple[int, ...]) -> ops.Weights:
        if kind == "s1":
            return ops.Weights("s1", self.rng.choice(np.array([-1, 1], np.int8), shape))
        if kind == "s8":
            return ops.Weights("s8", self.rng.integers(-128, 128, shape).astype(np.int8), half=len(self.nodes) % 2 == 1)
        return ops.Weights("f32", self.rng.normal(size=shape).astype(np.float32))

    def epilogue(self, out: Format, channels: int, integer: bool) -> ops.Epilogue:
        if isinstance(out, S1):
            flip = np.arange(channels) % 3 == 1
            if integer:
                return ops.Threshold(self.rng.integers(-30, 31, channels), flip)
            return ops.Threshold(self.rng.normal(size=channels).astype(np.float32), flip)
        scale, offset = self.rng.normal(size=(2, channels)).astype(np.float32)
        if isinstance(out, F32):
            return ops.Affine(scale, offset, -1000.0, 2000.0)
        bias = self.rng.integers(-50, 50, channels).astype(np.int32)
        shift = self.rng.integers(0, 8, channels).astype(np.int32)
        forms: list[ops.Epilogue] = [
            ops.Affine(scale, offset, -120, 127),
            ops.FixedPoint(bias, self.rng.integers(2**30, 2**31, channels).astype(np.int32), -shift, -128, 100),
            ops.PowerOfTwo(bias, shift, -128, 127),
        ]
        return forms[len(self.nodes) % 3 if integer else 0]


def pad_of(fmt: str, number: int) -> float:
    return {"s1": float(number % 3 - 1), "s8": 3.0, "f32": 0.0}[fmt]


def convolutions() -> Graph:
    """All 27 type combinations, and horizontal weights."""
    make = Maker("conv")
    for fmt in FORMATS:
        for kind in FORMATS:
            for out in FORMATS:
                for horizontal in (False, True) if (fmt, kind) == ("s1", "s1") else (False,):
                    _add_conv(make, fmt, kind, out, horizontal)
    return make.graph()


def _add_conv(make: Maker, fmt: str, kind: str, out: str, horizontal: bool) -> None:
    number = len(make.nodes)
    op = ops.ConvKernel(
        make.weights(kind, (6, 3, 2, 3)),
        make.epilogue(FORMATS[out], 6, "f32" not in (fmt, kind)),
        FORMATS[out],
        stride=(1, 1 + number % 2),
        padding=((1, 1), (1, 0)),
        pad_value=pad_of(fmt, number),
        groups=3,
        pool=(1 + number % 2, 1),
        horizontal=horizontal,
    )
    width = (4 + 1 - 2) // op.stride[1] + 1
    make.add(op, (fmt,), (5 // op.pool[0], width, 6), FORMATS[out])


def depthwise() -> Graph:
    """All 27 type combinations."""
    make = Maker("depthwise")
    for fmt in FORMATS:
        for kind in FORMATS:
            for out in FORMATS.values():
                number = len(make.nodes)
                multiplier = 1 + number % 2
                op = ops.ConvKernel(
                    make.weights(kind, (3, 3, 9, multiplier)),
                    make.epilogue(out, 9 * multiplier, "f32" not in (fmt, kind)),
                    out,
                    depthwise=True,
                    padding=((1, 1), (1, 1)),
                    pad_value=pad_of(fmt, number),
                )
                make.add(op, (fmt,), (5, 4, 9 * multiplier), out)
    return make.graph()


def elementwise() -> Graph:
    """Converters, tables, activations, two-input operators."""
    make = Maker("elementwise")
    for fmt in FORMATS:
        for out in FORMATS.values():
            channels = 9 if len(make.nodes) % 2 else 1
            form = make.epilogue(out, channels, fmt != "f32")
            make.add(ops.ChannelKernel(form, out), (fmt,), MAP, out)
    make.add(
        ops.Table(make.rng.permutation(256).astype(np.uint8).view(np.int8), S8(0.05, 3)), ("s8",), MAP, S8(0.05, 3)
    )
    for kind in UNARY_KINDS:
        alpha = 0.3 if kind in ("elu", "leaky_relu") else 0.0
        make.add(ops.UnaryKernel(kind, alpha), ("f32",), MAP, F32())  # type: ignore[arg-type]  # one of the literals
    make.add(ops.PReluKernel(make.rng.normal(size=9).astype(np.float32)), ("f32",), MAP, F32())
    make.add(ops.SoftmaxKernel(), ("f32",), MAP, F32())
    one = np.ones(1, np.float32)
    forms = {
        "s1": make.epilogue(S1(), 9, False),
        "s8": ops.Affine(one * np.float32(20), one * 0, -128, 127),
        "f32": ops.Affine(one, one * 0, -INF, INF),
    }
    for number, kind in enumerate(BINARY_KINDS):
        for out, form in forms.items():
            pair = (("s1", "s8"), ("s8", "f32"), ("f32", "s1"))[number % 3]
            make.add(ops.BinaryKernel(kind, form, FORMATS[out]), pair, MAP, FORMATS[out])  # type: ignore[arg-type]
    return make.graph()


def pools_and_moves() -> Graph:
    """Pools, concat, pad, view, reshape."""
    make = Maker("moves")
    window = ops.AvgPool((3, 2), (2, 1), ((1, 1), (0, 1)))
    for fmt, kind in FORMATS.items():
        make.add(ops.MaxPool(window.size, window.stride, window.padding), (fmt,), (3, 4, 9), kind)
        for out in ("s8", "f32"):
            make.add(ops.AvgPoolKernel(window, FORMATS[out]), (fmt,), (3, 4, 9), FORMATS[out])
        make.add(ops.Concat(2), (fmt, fmt), (5, 4, 18), kind)
        make.add(ops.Pad((0, 1, 2), (1, 0, 3), -1.0 if fmt == "s1" else 0.5), (fmt,), (6, 5, 14), kind)
        make.add(ops.View((9, 10, 2), (2, 0, 1), (0, 0, 1), (1, 1, 2), (1, 2, 1)), (fmt,), (9, 10, 2), kind)
    make.add(ops.Reshape((6, 30)), ("s1",), (6, 30), S1())
    return make.graph()


def transposed() -> Graph:
    """Input dilation, which the bit-sliced form does not have."""
    make = Maker("transposed")
    for fmt in FORMATS:
        for kind in FORMATS:
            op = ops.ConvKernel(
                make.weights(kind, (4, 3, 3, 9)),
                make.epilogue(F32(), 4, "f32" not in (fmt, kind)),
                F32(),
                padding=((2, 2), (2, 2)),
                pad_value=pad_of(fmt, 1),
                up=(2, 3),
                horizontal=(fmt, kind) == ("s1", "s1"),
            )
            make.add(op, (fmt,), (11, 12, 4), F32())
    return make.graph()


def norms() -> Graph:
    """Layer normalizations of rows."""
    make = Maker("norms")
    for epsilon in (1e-3, 1e-5, 0.0):
        gamma, beta = make.rng.normal(size=(2, 9)).astype(np.float32)
        make.add(ops.LayerNormKernel(gamma, beta, epsilon), ("f32",), MAP, F32())
    return make.graph()


def quantized() -> Graph:
    """The arithmetic of quantized files: weights with zero points, single rounding and division, tables per channel,
    two inputs, reductions, softmax; elements by index, constants."""
    make = Maker("quantized")
    byte = S8(0.05, 3)
    for number, out in enumerate((byte, F32(), byte, F32())):
        _add_zero_points(make, number > 1, out)
    make.add(ops.ChannelKernel(_fixed64(make, 9), byte), ("s8",), MAP, byte)
    for rounding in (Rounding.DIVIDE_EVEN, Rounding.DIVIDE_AWAY):
        scales = (2.0 ** make.rng.integers(-5, 1, 9)).astype(np.float32)
        make.add(ops.ChannelKernel(ops.Divide(scales, rounding, -128, 127), byte), ("f32",), MAP, byte)
    make.add(ops.Table(make.rng.integers(-128, 128, (9, 256)).astype(np.int8), byte), ("s8",), MAP, byte)
    _add_fixed_binaries(make, byte)
    make.add(ops.AvgPoolKernel(ops.AvgPool((3, 2), (2, 1), ((1, 1), (0, 1)), raw=True), byte), ("s8",), (3, 4, 9), byte)
    mean = ops.FixedPoint(*(np.array([n], np.int32) for n in (0, 1717986918, -4)), -128, 127)
    single = ops.Fixed64(np.array([1 << 34]), np.array([2**30], np.int32), np.array([35], np.int32), -100, 127)
    make.add(ops.ReduceKernel(ops.Reduce("sum", (0, 1)), mean, byte), ("s8",), (9,), byte)
    make.add(ops.ReduceKernel(ops.Reduce("sum", (2,), True), single, byte), ("s8",), (5, 4, 1), byte)
    make.add(ops.ReduceKernel(ops.Reduce("maximum", (0,)), None, byte), ("s8",), (4, 9), byte)
    make.add(ops.ReduceKernel(ops.Reduce("minimum", (1, 2), True), None, byte), ("s8",), (5, 1, 1), byte)
    make.add(ops.FixedSoftmax(1717986918, 22, -496), ("s8",), MAP, S8(1 / 256, -128))
    for fmt, kind in FORMATS.items():
        index = (np.array([4, 0, 0, 3]), None, np.arange(10)[::-1] * 8 // 9)
        make.add(ops.Gather(index), (fmt,), (4, 4, 10), kind)
        values = {
            "s1": make.rng.choice(np.array([-1, 1], np.int8), MAP),
            "s8": make.rng.integers(-128, 128, MAP).astype(np.int8),
            "f32": make.rng.normal(size=MAP).astype(np.float32),
        }
        make.add(ops.Constant(values[fmt], kind), (), MAP, kind)
    return make.graph()


def resized() -> Graph:
    """Bilinear resizing of codes."""
    make = Maker("resized")
    larger = (np.arange(13) * 300, np.arange(7) * 512)
    make.add(ops.Bilinear(larger), ("s8",), (13, 7, 9), S8(0.05, 3))
    make.add(ops.Bilinear((np.array([512, 1536]), np.array([1, 1023, 3072]))), ("s8",), (2, 3, 9), S8(0.05, 3))
    return make.graph()


def packed() -> Graph:
    """Weights of 4 and 2 bits: sizes that fill no word, channels in fours and not, groups, half weights."""
    make = Maker("packed")
    for bits in (4, 2):
        for fmt in FORMATS:
            for out in FORMATS.values():
                _add_packed_conv(make, fmt, out, bits)
                _add_packed_depthwise(make, fmt, out, bits)
    return make.graph()


def _few_bits(make: Maker, shape: tuple[int, ...], bits: int) -> ops.Weights:
    half = 1 << (bits - 1)
    codes = make.rng.integers(-half, half, shape).astype(np.int8)
    return ops.Weights("s8", codes, half=len(make.nodes) % 4 > 1, bits=bits)


def _add_packed_conv(make: Maker, fmt: str, out: Format, bits: int) -> None:
    """Over 9 channels, a group of 3 each, or by a dense layer over the whole map."""
    number = len(make.nodes)
    shape = ((6, 3, 2, 3), (7, 5, 4, 9))[number % 4 // 2]
    op = ops.ConvKernel(
        _few_bits(make, shape, bits),
        make.epilogue(out, shape[0], fmt != "f32"),
        out,
        padding=((1, 1), (1, 0)) if shape[0] == 6 else ((0, 0), (0, 0)),
        pad_value=pad_of(fmt, number),
        groups=9 // shape[3],
        pool=(2, 2) if shape[0] == 6 and number % 3 else (1, 1),
    )
    size = (5 // op.pool[0], 4 // op.pool[1]) if shape[0] == 6 else (1, 1)
    make.add(op, (fmt,), (*size, shape[0]), out)


def _add_packed_depthwise(make: Maker, fmt: str, out: Format, bits: int) -> None:
    number = len(make.nodes)
    multiplier = 1 + number % 3 // 2
    op = ops.ConvKernel(
        _few_bits(make, (3, 3, 9, multiplier), bits),
        make.epilogue(out, 9 * multiplier, fmt != "f32"),
        out,
        depthwise=True,
        padding=((1, 1), (1, 1)),
        pad_value=pad_of(fmt, number),
    )
    make.add(op, (fmt,), (5, 4, 9 * multiplier), out)


def fours() -> Graph:
    """Weights of few bits over channels that come in fours, whose taps stand in an order of their own."""
    make = Maker("fours", (6, 5, 12))
    for bits in (4, 2):
        for fmt in ("s1", "s8"):
            for out in FORMATS.values():
                op = ops.ConvKernel(
                    _few_bits(make, (10, 3, 3, 12), bits),
                    make.epilogue(out, 10, True),
                    out,
                    padding=((1, 1), (1, 1)),
                    pad_value=pad_of(fmt, len(make.nodes)),
                )
                make.add(op, (fmt,), (6, 5, 10), out)
    return make.graph()


def _fixed64(make: Maker, channels: int) -> ops.Fixed64:
    multiplier = make.rng.integers(2**30, 2**31, channels).astype(np.int32)
    shift = make.rng.integers(31, 40, channels).astype(np.int32)
    bias = make.rng.integers(-50, 50, channels)
    return ops.Fixed64(bias * multiplier + (np.int64(1) << (shift - 1)), multiplier, shift, -128, 120)


def _add_zero_points(make: Maker, depthwise: bool, out: Format) -> None:
    codes = make.rng.integers(-128, 128, (3, 3, 9, 1) if depthwise else (6, 3, 2, 3)).astype(np.int8)
    channels = 9 if depthwise else 6
    zeros = make.rng.integers(-128, 128, channels).astype(np.int8)
    op = ops.ConvKernel(
        ops.Weights("s8", codes, zero_point=zeros),
        _fixed64(make, channels) if isinstance(out, S8) else make.epilogue(out, channels, True),
        out,
        depthwise=depthwise,
        padding=((1, 1), (1, 1 if depthwise else 0)),
        pad_value=pad_of("s8", 0),
        groups=1 if depthwise else 3,
    )
    make.add(op, ("s8",), (5, 4, channels), out)


def _add_fixed_binaries(make: Maker, byte: S8) -> None:
    """Both operands are the same input: files of a node per model output have but one of a kind."""
    double, single, none = ops.FixedRounding.DOUBLE, ops.FixedRounding.SINGLE, (0, 0)
    rules: list[tuple[ops.BinaryKind, ops.FixedRounding, tuple[tuple[int, int], ...], int]] = [
        ("add", double, ((1073741824, 0), (1518500250, -1), (1288490189, -17)), 20),
        ("sub", double, ((2147483647, -1), (1518500250, 0), (1181116006, -17)), 20),
        ("mul", double, (none, none, (1717986918, -6)), 0),
        ("add", single, ((1518500250, 0), (-1073741825, 0), (0, 30)), 0),
        ("mul", single, (none, none, (1717986918, 37)), 0),
        ("maximum", double, (none, none, none), 0),
        ("minimum", double, (none, none, none), 0),
    ]
    for kind, rounding, (a, b, result), left in rules:
        make.add(ops.FixedBinaryKernel(kind, rounding, (a, b, result), left, byte, -128, 100), ("s8",) * 2, MAP, byte)


class Network:
    """A graph of real operators on float inputs, for the passes; every value gets its type by inference."""

    def __init__(self, seed: int, **inputs: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(seed)
        self.types = {name: TensorType(shape, F32()) for name, shape in inputs.items()}
        self.inputs = tuple(inputs)
        self.nodes: list[Node] = []

    def add(self, op: ops.Op, *values: str) -> str:
        name = f"v{len(self.nodes)}"
        sources = values or (list(self.types)[-1],)
        self.types[name] = infer_type(op, [self.types[value] for value in sources])
        self.nodes.append(Node(op, sources, name, (name,)))
        return name

    def weights(self, *shape: int) -> ops.Weights:
        return ops.Weights("s8", self.rng.integers(-128, 128, shape).astype(np.int8), np.asarray(1 / 256))

    def compiled(self, outputs: tuple[str, ...], options: ExportOptions) -> Graph:
        ports = {name: Port(name) for name in (*self.inputs, *outputs)}
        graph = Graph("network", self.inputs, outputs, tuple(self.nodes), self.types, ports)
        return run_pipeline(graph, options).graph


def samples() -> Graph:
    """Inputs of raw uint8 samples: with a zero point of their own, folded into weights, and behind a Rescaling."""
    network = Network(3, own=(6, 5, 3), folded=(6, 5, 3), rescaled=(6, 5, 3))
    network.add(ops.Scale(1 / 127.5, -1.0), "rescaled")
    outputs = []
    for value in ("own", "folded", "v0"):
        network.add(ops.Conv2D(network.weights(8, 3, 3, 3), network.rng.normal(size=8)), value)
        outputs.append(network.add(ops.Quantize(S8(0.25)) if value == "own" else ops.Quantize(S1())))
    asked = {"own": (1 / 128, -1.0), "folded": (1 / 100, -1 / 3)}
    return network.compiled(tuple(outputs), ExportOptions(input_u8=asked))


def in_place() -> Graph:
    """Outputs on their inputs: crop, activation, pool, narrowing sum; and parts of concats."""
    network = Network(4, map=(9, 8, 12))
    byte, sign = ops.Quantize(S8(1 / 16)), ops.Quantize(S1())
    network.add(ops.View((8, 8, 12), (0, 1, 2), (1, 0, 0), (1, 1, 1), (1, 1, 1)))
    network.add(ops.Unary("tanh"))
    network.add(ops.AvgPool((3, 3), (2, 2), ((0, 1), (0, 1))))
    pooled = network.add(ops.MaxPool((2, 3), (2, 1), ((0, 0), (0, 0))))
    network.add(ops.Binary("add"), pooled, network.add(ops.PRelu(network.rng.normal(size=12)), pooled))
    bits = network.add(ops.Reshape((48,)), network.add(sign))
    parts = []
    for units in (16, 48, 5):
        network.add(ops.Dense(network.weights(units, 48)), bits)
        parts.append(network.add(byte))
    inner = network.add(ops.Concat(0), *parts[1:])
    outputs = [network.add(ops.Dense(network.weights(4, 69)), network.add(ops.Concat(0), parts[0], inner))]
    features = []
    for units in (128, 40):
        network.add(ops.Dense(network.weights(units, 48)), bits)
        features.append(network.add(sign))
    outputs.append(network.add(ops.Concat(0), *features))
    return network.compiled(tuple(outputs), ExportOptions())


def digits(name: str) -> Graph:
    return run_pipeline(load(DIGITS / f"digits_{name}.h5")).graph


MODELS: dict[str, Callable[[], Graph]] = {
    "conv": convolutions,
    "depthwise": depthwise,
    "elementwise": elementwise,
    "moves": pools_and_moves,
    "transposed": transposed,
    "samples": samples,
    "in_place": in_place,
    "norms": norms,
    "quantized": quantized,
    "resized": resized,
    "packed": packed,
    "fours": fours,
    "digits_larq": lambda: digits("larq"),
    "digits_qkeras": lambda: digits("qkeras"),
}


# --- running ----------------------------------------------------------------------------------------------------------


def random_inputs(graph: Graph) -> list[Any]:
    """Stored values as the evaluator holds them, batch first."""
    rng = np.random.default_rng(1)
    arrays = []
    for name in graph.inputs:
        kind = graph.types[name]
        shape = (SAMPLES, *kind.shape)
        if isinstance(kind.fmt, S1):
            arrays.append(rng.choice(np.array([-1, 1], np.int8), shape))
        elif isinstance(kind.fmt, S8):
            arrays.append(rng.integers(-128, 128, shape).astype(np.int8))
        else:
            arrays.append(rng.normal(size=shape).astype(np.float32))
    return arrays


def evaluated(graph: Graph, inputs: list[Any]) -> list[Any]:
    values = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        values[node.output] = run_node(node, [values[name] for name in node.inputs], graph.types)
    return [
        np.broadcast_to(values[n], (SAMPLES, *graph.types[n].shape)) for n in graph.outputs
    ]  # constants have no batch


def as_stored(array: Any, kind: TensorType) -> Any:
    return pack_signs(array) if isinstance(kind.fmt, S1) else array


def make_one(name: str, graph: Graph, folder: Path, version: str) -> None:
    """Writes NAME.dqnn and NAME.npz; raises AssertionError unless evaluator and kernels agree."""
    blob = write(replace(graph, name=name), producer=f"dqnn {version}").blob
    inputs = random_inputs(graph)
    outputs = evaluated(graph, inputs)
    stored = [as_stored(a, graph.types[n]) for a, n in zip(inputs, graph.inputs, strict=True)]
    want = [as_stored(a, graph.types[n]) for a, n in zip(outputs, graph.outputs, strict=True)]
    interpreter = dqnn.Interpreter(blob)
    got = interpreter.predict(stored if len(stored) > 1 else stored[0], raw=True)
    results = list(got.values()) if isinstance(got, dict) else [got]
    for number, (mine, theirs) in enumerate(zip(want, results, strict=True)):
        assert mine.tobytes() == theirs.tobytes(), f"{name}: output {number} ({graph.outputs[number]}) differs"
    arrays = {f"in{n}": a for n, a in enumerate(stored)} | {f"out{n}": a for n, a in enumerate(want)}
    (folder / f"{name}.dqnn").write_bytes(blob)
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    print(f"{name}: {len(blob):,} B, {len(graph.nodes)} nodes")


def main() -> int:
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    folder = HERE / arguments[0]
    if folder.exists() and not {"--add", "--replace"} & set(sys.argv):
        print(f"{folder} exists: released files are never made anew", file=sys.stderr)
        return 2
    folder.mkdir(exist_ok=True)
    for name, build in MODELS.items():
        if "--add" not in sys.argv or not (folder / f"{name}.dqnn").exists():
            make_one(name, build(), folder, arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
