"""Many kernel calls in one .dqnn file: a node, an input and an output for each, so that a board runs hundreds at once.

The calls are the random cases of tests/kernels, with the bytes that schema/SPEC.md asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
from c import make_blobs
from c.make_blobs import File, N, T
from kernels.cases import Case, Kernel, make
from kernels.harness import KERNELS, Seeded, needs, plan
from kernels.spec import Tensor

from dqnn.exporter.format import camel

DTYPES = ("s1", "s8", "f32")
MOST_PORTS = 256  # inputs or outputs of a file (DQNN_MAX_PORTS)


@dataclass
class Bundle:
    """Cases that fit into a board together."""

    cases: list[Case] = field(default_factory=list)
    arena_bytes: int = 0
    file_bytes: int = 0
    inputs: int = 0

    def takes(self, case: Case, memory: int, file: int) -> bool:
        arena, constants = cost(case)
        fits = self.arena_bytes + arena <= memory and self.file_bytes + constants <= file
        return fits and max(len(self.cases) + 1, self.inputs + len(case.data)) <= MOST_PORTS


def aligned(size: int) -> int:
    return -(-size // 16) * 16


def cost(case: Case) -> tuple[int, int]:
    """Bytes of arena and (about) file."""
    tensors = sum(aligned(len(data)) for data in case.data) + aligned(len(case.expected))
    return aligned(plan(case)[0]) + tensors, sum(aligned(len(c)) for c in case.constants) + 512


def bundles(cases: Iterable[Case], memory: int, file: int) -> Iterator[Bundle]:
    """Fills bundles up to these limits; leaves out what fits into none."""
    bundle = Bundle()
    for case in cases:
        arena, constants = cost(case)
        if arena > memory or constants > file:
            continue
        if not bundle.takes(case, memory, file):
            yield bundle
            bundle = Bundle()
        bundle.cases.append(case)
        bundle.arena_bytes += arena
        bundle.file_bytes += constants
        bundle.inputs += len(case.data)
    if bundle.cases:
        yield bundle


def random_cases(seed: int, each: int) -> Iterator[Case]:
    for kernel in KERNELS:
        for number in range(each):
            yield make(kernel, Seeded(seed, kernel.id, number))


def kernel_named(name: str) -> Kernel:
    return next(kernel for kernel in KERNELS if kernel.name == name)


def blob(bundle: Bundle, isa: str = "portable", more: int = 0) -> bytes:
    """Everything in memory of its own; scratch, no more than the variant of an instruction set needs and `more` bytes,
    right before the input: what is written behind it shows."""
    file = File(tensors=[], nodes=[], inputs=[], outputs=[], arena=0)
    for number, case in enumerate(bundle.cases):
        room = (file.arena, _room(case, isa) + more)
        file.arena += aligned(room[1])
        inputs = tuple(_tensor(file, tensor, len(data)) for tensor, data in zip(case.inputs, case.data, strict=True))
        output = _tensor(file, case.output, len(case.expected))
        first = len(file.constants)
        file.constants += case.constants
        constants = tuple(range(first, first + len(case.constants)))
        file.nodes.append(N(case.kernel.id, inputs, output, constants, room, f"case{number}", _params(case)))
        file.inputs += [(index, f"in{index}") for index in inputs]
        file.outputs.append((output, f"out{output}"))
    return make_blobs.blob(file)


def _room(case: Case, isa: str) -> int:
    """Weights of few bits have a variant of their own, or the reference alone."""
    least = needs(case)
    return least.get(isa, least.get("packed", 0))


def _tensor(file: File, tensor: Tensor, size: int) -> int:
    definition = tensor.definition
    file.tensors.append(T(definition[1], tuple(definition[0]), file.arena, definition[2], definition[3]))
    file.arena += aligned(size)
    return len(file.tensors) - 1


def _params(case: Case) -> tuple[str, Any, tuple[Any, ...]] | None:
    if case.params is None:
        return None
    name = type(case.params).__name__
    module = __import__(name)  # tests/c/make_blobs.py puts schema/generated on the path
    return camel(type(case.params).SLOT), getattr(module, f"Create{name}"), astuple(case.params)


def inputs(bundle: Bundle) -> list[np.ndarray[Any, Any]]:
    """One sample: the bytes of every input."""
    return [np.frombuffer(data, np.uint8)[None] for case in bundle.cases for data in case.data]
