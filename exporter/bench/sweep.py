"""No cliffs: convolutions of a grid of shapes on an emulated core, each beside its neighbours of the same K.

K is what one output sums: kernel cells times input channels, or kernel cells of a depthwise layer. Neighbours differ in
one step of the map's size, in the stride or, depthwise, in one step of the channels; a shape that takes far more per
multiply-accumulate than the best of them has a way of its own that it should not have, or a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from .build import Target
from .call import run_on_machine
from .cases import Kind, Layer, make_layer_call
from .kernel import function_of, machine_of, planned, reference

KERNELS, STRIDES = (1, 3, 5, 7), (1, 2)
CHANNELS, SIZES = (1, 3, 8, 10, 16, 32, 64, 128), (3, 6, 12, 24, 48, 96)
FORMATS: tuple[tuple[Kind, Kind, Kind], ...] = (
    ("s8", "s8", "s8"), ("s1", "s1", "s1"), ("s8", "s1", "s8"), ("s1", "s8", "s8"), ("f32", "s1", "s1"),
    ("f32", "f32", "f32"),
)  # fmt: skip
MOST_MACS, MOST_BYTES = 1_000_000, 200_000  # of a shape that is measured; of its maps


@dataclass(frozen=True)
class Shape:
    """A layer of the grid by its place in it: `at` are indices into KERNELS, STRIDES, CHANNELS and SIZES."""

    formats: tuple[Kind, Kind, Kind]
    depthwise: bool
    at: tuple[int, int, int, int]

    def layer(self) -> Layer:
        kernel, stride, channels, size = (
            t[i] for t, i in zip((KERNELS, STRIDES, CHANNELS, SIZES), self.at, strict=True)
        )
        around = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads = (around // 2, around - around // 2)
        source = self.formats[0]
        pad_value = 5.0 if source == "s8" else 1.0 if source == "s1" else 0.0
        layer = Layer(*self.formats, size, size, channels, channels, (kernel, kernel), (stride, stride))
        return replace(
            layer,
            padding=(pads, pads),
            pad_value=pad_value,
            zero_point=5 if source == "s8" else 0,
            depthwise=self.depthwise,
        )

    def neighbours(self) -> Iterator[Shape]:
        kernel, stride, channels, size = self.at
        yield replace(self, at=(kernel, 1 - stride, channels, size))
        for step in (-1, 1):
            yield replace(self, at=(kernel, stride, channels, size + step))
            if self.depthwise:
                yield replace(self, at=(kernel, stride, channels + step, size))

    def __str__(self) -> str:
        layer = self.layer()
        kind = "depthwise" if self.depthwise else "conv"
        formats = " x ".join(self.formats[:2]) + f" -> {self.formats[2]}"
        text = f"{formats} {kind} {layer.kernel[0]}x{layer.kernel[1]} {layer.height}x{layer.width}x{layer.channels}"
        return text + (", stride 2" if layer.stride[0] == 2 else "")


@dataclass(frozen=True)
class SweepCost:
    shape: Shape
    macs: int
    cycles: int

    @property
    def per_mac(self) -> float:
        return self.cycles / self.macs


@dataclass(frozen=True)
class Cliff:
    """A shape and the best of its neighbours."""

    cost: SweepCost
    best: SweepCost

    @property
    def ratio(self) -> float:
        return self.cost.per_mac / self.best.per_mac


def find_shapes(pattern: str) -> list[Shape]:
    """Shapes of the grid whose text matches a regular expression and whose size can be emulated."""
    places = product(range(len(KERNELS)), range(len(STRIDES)), range(len(CHANNELS)), range(len(SIZES)))
    found = [Shape(f, depthwise, at) for at in places for f in FORMATS for depthwise in (False, True)]
    return [shape for shape in found if re.search(pattern, str(shape)) and _is_small(shape.layer())]


def _is_small(layer: Layer) -> bool:
    return layer.macs <= MOST_MACS and 8 * layer.height * layer.width * layer.channels <= MOST_BYTES


class SweepError(Exception):
    """A shape whose bytes are not the reference kernel's."""


def measure(
    shapes: Sequence[Shape], target: Target, optimize: str = "-O2", tell: Callable[[int], None] = lambda _: None
) -> list[SweepCost]:
    """Each shape once, compared with the reference on this machine; `tell` hears how many are done."""
    machine = machine_of(target, optimize)
    costs = []
    for done, shape in enumerate(shapes):
        tell(done)
        call = planned(make_layer_call(shape.layer()))
        machine.release()
        output, cost = run_on_machine(machine, function_of(call), call)
        if output != reference(call):
            raise SweepError(f"results differ from the reference kernel: {shape}")
        costs.append(SweepCost(shape, shape.layer().macs, cost.cycles or cost.instructions))
    return costs


def cliffs(costs: Iterable[SweepCost]) -> list[Cliff]:
    """Worst first; shapes without a neighbour that was measured are left out."""
    known = {cost.shape: cost for cost in costs}
    found = []
    for cost in known.values():
        around = [known[shape] for shape in cost.shape.neighbours() if shape in known]
        if around:
            found.append(Cliff(cost, min(around, key=lambda other: other.per_mac)))
    return sorted(found, key=lambda cliff: -cliff.ratio)
