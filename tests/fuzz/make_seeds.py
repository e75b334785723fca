"""Writes small .dqnn files for every kernel of kernels.def: `make_seeds.py DIRECTORY`. What the fuzzers start from, and
what the byte sweep changes.

The calls are those of the kernel tests (tests/kernels/cases.py, whose bytes follow schema/SPEC.md apart from exporter
and C sources). Of each kernel's first DRAWS small ones as many are kept as show a feature that none before it showed:
FEATURES says which. Scratch is what the plan functions ask, so that every variant runs; files with several nodes, with
outputs in the place of inputs, with names, signatures and the layers that have code of their own complete them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "c")]
import make_blobs
import numpy as np
from kernels import cases
from kernels.cases import Case, Kernel, make
from kernels.harness import BY_NAME, KERNELS, Seeded, needs, plan
from make_blobs import File, N, T

from dqnn.exporter.format import ConvParams, Params, PoolParams, UnaryParams, ViewParams, camel

X = TypeVar("X")
CONVOLVE = ("conv_bitsliced", "conv", "convz", *cases.DEPTHWISE)
DRAWS = {
    "conv_bitsliced": 40, "conv": 60, "depthwise": 120, "view": 40, "convz": 40, "depthwisez": 60, "lut_channels": 40,
    "binary_fixed": 40, "reduce": 40,
}  # others: 12  # fmt: skip
MOST_BYTES = 2500  # of a file's constants and tensors
MOST_STEPS = 50_000  # as safely.c counts them, which runs no file of more than SAFELY_WORK
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 8, 8, 9, 16, 16, 24, 33)
BEHIND = 64  # bytes of the arena that nothing uses: guards stand there
TYPES = {"s1": make_blobs.S1, "s8": make_blobs.S8, "f32": make_blobs.F32}


class Small(Seeded):
    """Draws small cases: the tests' channel counts reach further than a seed should, and maps may often be tiny."""

    def integer(self, low: int, high: int) -> int:
        return super().integer(low, low if high < 100 and super().integer(0, 2) == 0 else high)

    def choice(self, options: Sequence[X]) -> X:
        return super().choice(CHANNELS if options is cases.CHANNELS else options)  # type: ignore[arg-type]


class Plain(Small):
    """Often takes the first option, which is the usual one: 3x3 windows, strides of 1, no padding, no pool."""

    EQUAL = (cases.CHANNELS, (0, 1, 2, 3))  # the latter: rules of requantization

    def choice(self, options: Sequence[X]) -> X:
        usual = options[0] in (0, 1) and options not in self.EQUAL and self.integer(0, 3) > 0
        return options[0] if usual else super().choice(options)


class Square(Small):
    """3x3 windows, strides of 1 and few channels in fours: what `winograd` takes."""

    def choice(self, options: Sequence[X]) -> X:
        if options is cases.CHANNELS:
            return super(Small, self).choice((4, 8))  # type: ignore[arg-type]
        if options[0] is True:  # of three it is the one that is not usual
            return options[len(options) // 3 * 2]
        return options[0] if options[:2] == (1, 1) else super().choice(options)


class Cell(Small):
    """The least of everything but channels: a dense layer."""

    def integer(self, low: int, high: int) -> int:
        return low

    def choice(self, options: Sequence[X]) -> X:
        equal = options in Plain.EQUAL
        return super().choice(options) if equal else min(options)  # type: ignore[type-var]


# --- what a case shows ------------------------------------------------------------------------------------------------

Map = tuple[int, int, int]  # height, width, channels


def is_first_layer(p: ConvParams, source: Map) -> bool:
    plain = (p.stride_h, p.stride_w, p.dilation_h, p.dilation_w, p.up_h, p.up_w) == (1,) * 6
    return plain and source[2] == 1 and (p.kernel_h, p.kernel_w, p.pool_h, p.pool_w) == (3, 3, 2, 2)


def is_dense_square(p: ConvParams, source: Map) -> bool:
    """What depthwise convolutions have code of their own for."""
    dense = (p.dilation_h, p.dilation_w, p.pool_h, p.pool_w, p.multiplier) == (1,) * 5 and p.stride_h == p.stride_w < 3
    return dense and p.kernel_h == p.kernel_w == 3 and source[2] >= 4


def is_dense_layer(p: ConvParams, target: Map) -> bool:
    """One pixel that reads one cell."""
    one = (p.kernel_h, p.kernel_w, p.pool_h, p.pool_w, p.groups, *target[:2]) == (1,) * 7
    return one and p.pad_top + p.pad_left == 0


CONV_FEATURES: dict[str, Callable[[ConvParams, Map, Map], bool]] = {
    "pool": lambda p, i, o: p.pool_h * p.pool_w > 1,
    "stride": lambda p, i, o: p.stride_h > 1 or p.stride_w > 1,
    "dilation": lambda p, i, o: (p.dilation_h > 1 and p.kernel_h > 1) or (p.dilation_w > 1 and p.kernel_w > 1),
    "groups": lambda p, i, o: p.groups > 1,
    "multiplier": lambda p, i, o: p.multiplier > 1,
    "dilated input": lambda p, i, o: p.up_h > 1 or p.up_w > 1,
    "border": lambda p, i, o: p.pad_value == 0 and p.pad_top + p.pad_left > 0,
    "padded": lambda p, i, o: p.pad_value > 0 and p.pad_top + p.pad_left > 0,
    "padded below": lambda p, i, o: p.pad_value < 0 and p.pad_top + p.pad_left > 0,
    "inside": lambda p, i, o: p.pad_top + p.pad_left == 0 and p.up_h * p.up_w == 1,
    "fixed point": lambda p, i, o: p.requant == 1,
    "power of two": lambda p, i, o: p.requant == 2,
    "fixed64": lambda p, i, o: p.requant == 3,
    "half weights": lambda p, i, o: p.half_weights == 1,
    "weights of 4 bits": lambda p, i, o: p.weight_bits == 4,
    "weights of 2 bits": lambda p, i, o: p.weight_bits == 2,
    "clamped": lambda p, i, o: p.act_min > -128,
    "one channel": lambda p, i, o: i[2] == p.groups,
    "whole blocks": lambda p, i, o: i[2] // p.groups % 8 == 0,
    "more than a word": lambda p, i, o: i[2] // p.groups > 32 or o[2] // p.groups > 32,
    "one pixel": lambda p, i, o: o[0] * o[1] * p.pool_h * p.pool_w == 1,
    "a row": lambda p, i, o: o[1] > 4,
    "one pixel of many channels": lambda p, i, o: o[0] * o[1] * p.pool_h * p.pool_w == 1 and o[2] > 8 * p.groups,
    "square, affine": lambda p, i, o: is_dense_square(p, i) and p.requant == 0,
    "square, stride 2": lambda p, i, o: is_dense_square(p, i) and p.stride_h == 2,
    "plain": lambda p, i, o: p.stride_w * p.dilation_w * p.up_h * p.up_w * p.pool_h * p.pool_w == 1 and i[2] % 8 == 0,
    "first layer": lambda p, i, o: is_first_layer(p, i),
    "dense": lambda p, i, o: is_dense_layer(p, o),
    "dense, several blocks": lambda p, i, o: is_dense_layer(p, o) and i[2] > 8,
}


def features(case: Case) -> set[str]:
    source, target = (*case.inputs, case.output)[0], case.output
    found = {f"rank {len(source.dims)}", f"{len(case.constants)} constants"}  # a flip mask is one
    found |= {"whole words"} if target.dims[-1] % 32 == 0 else set()
    if isinstance(case.params, ConvParams):
        found |= {name for name, shown in CONV_FEATURES.items() if shown(case.params, source.map, target.map)}
    elif isinstance(case.params, PoolParams):
        p = case.params
        found |= {"padded"} if p.pad_top + p.pad_left else {"inside"}
        found |= {"overlapping"} if p.kernel_h > p.stride_h or p.kernel_w > p.stride_w else set()
    elif isinstance(case.params, ViewParams):
        last = len(source.dims) - 1
        p = case.params
        found |= {"neighbours"} if (p.axis[last], p.step[last], p.repeat[last]) == (last, 1, 1) else {"apart"}
    elif case.params is not None:
        numbers = [x for x in astuple(case.params) if isinstance(x, int)]
        found |= {f"kind {numbers[0]}"} if numbers else set()
        found |= {f"rule {getattr(case.params, name)}" for name in ("single", "requant") if hasattr(case.params, name)}
    if needs(case).get("winograd") and isinstance(case.params, ConvParams):
        found |= {f"winograd, rule {case.params.requant}", f"winograd, clamped {case.params.act_min > -128}"}
    return found | quick_rules(case) | ({"in place"} if shares(case) else set())


def quick_rules(case: Case) -> set[str]:
    """Whether all channels shift right by little, as networks do: there is code for that."""
    p = case.params
    if not isinstance(p, ConvParams) or p.requant == 0:
        return set()
    if p.requant == 3:
        return {f"a word or more: {(np.frombuffer(case.constants[-1], '<i4') > 31).all()}"}
    bias, *_, shift = (np.frombuffer(c, "<i4") for c in case.constants[-4 + p.requant :])
    right = -shift if p.requant == 1 else shift
    if right.min() < 1 or right.max() > 22 or abs(bias).max() > 2**28:
        return set()
    square = is_dense_square(p, case.inputs[0].map)
    return {
        f"quick {p.requant}",
        f"quick {p.requant}, clamped {p.act_min > -128}",
        f"quick {p.requant}, square {square}",
    }


def shares(case: Case) -> bool:
    """The output may lie on the first input, or be made of its inputs."""
    _, overlap, parts = plan(case)
    return parts or (bool(case.data) and min(len(case.data[0]), len(case.expected)) <= overlap)


def steps(case: Case) -> int:
    if not isinstance(case.params, ConvParams):
        return 0  # seeds are small
    p, (h, w, c) = case.params, case.output.map
    channels = 1 if case.kernel.family in cases.DEPTHWISE else case.inputs[0].map[2] // p.groups
    return h * w * c * p.pool_h * p.pool_w * p.kernel_h * p.kernel_w * (channels + 7)


def is_small(case: Case) -> bool:
    sizes = [len(case.expected), *map(len, case.data), *map(len, case.constants)]
    return sum(sizes) <= MOST_BYTES and steps(case) <= MOST_STEPS


def chosen(kernel: Kernel) -> list[Case]:
    seen: set[str] = set()
    result = []
    count = DRAWS.get(kernel.family, 12)
    draws: list[type[Small]] = [Plain if number % 2 else Small for number in range(count)]
    draws += [Square] * 12 if "winograd" in kernel.variants else []
    draws += [Cell] * 6 if (kernel.input, kernel.weights, kernel.family) == ("s8", "s1", "conv") else []
    for number, kind in enumerate(draws):
        case = make(kernel, kind(kernel.id, number))
        if is_small(case) and not features(case) <= seen:
            seen |= features(case)
            result.append(case)
    return result


# --- files ------------------------------------------------------------------------------------------------------------


class Draft:
    """A file of cases, one behind the other; each may read what another one made."""

    def __init__(self) -> None:
        self._file = File([], [], [], [], 0)

    def _take(self, size: int) -> int:
        at = self._file.arena
        self._file.arena += -(-size // 16) * 16
        return at

    def _tensor(self, form: Any, at: int) -> int:
        self._file.tensors.append(T(TYPES[form.dtype], form.dims, at, form.scale, form.zero_point))
        return len(self._file.tensors) - 1

    def add(self, case: Case, layer: str, *, reads: int | None = None, in_place: bool = False) -> int:
        """The number of the output. `reads`: a tensor that is there already, instead of the first input."""
        file, (scratch, _, parts) = self._file, plan(case)
        scratch = max(scratch, needs(case).get("winograd", 0))  # of which plan says nothing
        in_place = in_place and shares(case)
        room = max(len(case.expected), len(case.data[0])) if in_place else 0
        whole = self._take(room) if reads is None else file.tensors[reads].offset
        inputs, offset = [] if reads is None else [reads], whole
        for data, form in list(zip(case.data, case.inputs, strict=True))[len(inputs) :]:
            joined = in_place and (parts or not inputs) and offset % 16 == 0
            inputs.append(self._tensor(form, offset if joined else self._take(len(data))))
            file.inputs.append((inputs[-1], f"in{len(file.inputs)}"))
            offset += len(data)
        output = self._tensor(case.output, whole if in_place else self._take(len(case.expected)))
        numbers = tuple(len(file.constants) + i for i in range(len(case.constants)))
        file.constants += case.constants
        params = (camel(case.params.SLOT), case.params.create, ()) if case.params is not None else None
        place = (self._take(scratch), scratch)
        file.nodes.append(N(case.kernel.id, tuple(inputs), output, numbers, place, layer, params))
        return output

    def file(self, *outputs: int) -> File:
        self._file.outputs = [(tensor, f"out{i}") for i, tensor in enumerate(outputs)]
        self._file.arena += BEHIND
        return self._file


def single(case: Case, *, in_place: bool = False) -> File:
    draft = Draft()
    return draft.file(draft.add(case, case.kernel.name, in_place=in_place))


def same(name: str, form: Any, params: Params | None, *constants: bytes) -> Case:
    """A call that leaves shape and format as they are."""
    size = len(form.store(np.zeros(form.dims)))
    return Case(BY_NAME[name], (form,), form, constants, params, (bytes(size),), bytes(size))


def followers(form: Any) -> list[Case]:
    """What can come behind a tensor and be computed in its place."""
    if form.dtype == "s8":
        return [same("lut_s8", form, None, bytes(range(256))), same("maxpool_s8", form, PoolParams(1, 1, 1, 1))]
    if form.dtype == "f32":
        return [same("unary_f32", form, UnaryParams(0)), same("softmax_f32", form, None)]
    return [same("maxpool_s1", form, PoolParams(1, 1, 1, 1)), same("reshape_s1", form, None)]


def chain(case: Case) -> File:
    """Three nodes, the later ones in place where they may, and an output from the middle."""
    draft = Draft()
    first = last = draft.add(case, f"{case.kernel.name}, the first of three: a name of more than a few letters")
    for number, following in enumerate(followers(case.output)):
        last = draft.add(following, "" if number else "second", reads=last, in_place=True)
    file = draft.file(last)
    file.signature = b"a signature" if first % 2 else b""
    return file


def files(kernel: Kernel) -> Iterator[File]:
    cases_of = chosen(kernel)
    yield from map(single, cases_of)
    yield from [single(case, in_place=True) for case in cases_of if shares(case)][:2]
    if kernel.family in CONVOLVE:
        yield chain(min(cases_of, key=steps))


def main(directory: str) -> None:
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for kernel in KERNELS:
        for number, file in enumerate(files(kernel)):
            names.append(f"{kernel.name}_{number}.dqnn")
            (folder / names[-1]).write_bytes(make_blobs.blob(file))
    for build in (make_blobs.whole, make_blobs.segments, make_blobs.fed):  # by rows, fed by rows
        names.append(f"{build.__name__}.dqnn")
        (folder / names[-1]).write_bytes(make_blobs.blob(build()))
    (folder / "list.txt").write_text("\n".join(names))


if __name__ == "__main__":
    main(sys.argv[1])
