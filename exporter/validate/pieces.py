"""A validation in pieces that can run anywhere: `Work` holds what all pieces need and nothing of TensorFlow or onnx, a
`Part` is what was found of some samples, `joined` puts the parts together.

Nothing depends on how samples are cut: the C code gives the same bits for each, outputs are put behind each other, and
what is summed is summed exactly (layers.py, ranges.py). Only the float evaluator sums in an order of numpy's, so it is
given the same samples at once everywhere: pieces begin at multiples of its batch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.interpreter import Interpreter
from dqnn.ranges import InputRange, SaturationWarning, can_be_unmeant, input_range, merged, refuse_unmeant
from dqnn.tensors import TensorInfo, are_between, warn_between

from ..ir.graph import Graph
from ..samples.arrays import SampleError, as_reals, ranges_of
from ..targets.target import Target, find_target
from .layers import Comparison, LayerSums, added
from .originals.evaluator import Evaluator
from .originals.original import BATCH

Array: TypeAlias = NDArray[Any]
ALIGNED = BATCH  # a multiple of layers.STEP, too


@dataclass(frozen=True)
class Part:
    """What was found of some samples. `given`: the ranges of the values as they were given, where they may be meant
    otherwise; `between`: inputs with values that are no samples."""

    outputs: list[Array]
    original: list[Array]
    ranges: tuple[InputRange, ...]
    given: tuple[InputRange | None, ...]
    between: tuple[bool, ...]
    layers: list[LayerSums] | None


@dataclass(frozen=True)
class Work:
    """original: the graph of the float evaluator, None if somebody else runs the original. layers: to compare, of the
    first `layer_samples` samples."""

    blob: bytes
    target: str
    original: Graph | None = None
    layers: Comparison | None = None
    layer_samples: int = 0

    def __call__(self, start: int, arrays: Sequence[Array]) -> Part:
        interpreter, place = Interpreter(self.blob), find_target(self.target)
        infos = interpreter.inputs
        given = tuple(
            input_range(info, array) if can_be_unmeant(info, array.dtype) else None
            for info, array in zip(infos, arrays, strict=True)
        )
        batch = {info.name: as_reals(array, info) for info, array in zip(infos, arrays, strict=True)}
        layers, compared = None, self.layer_samples - start
        if self.layers is not None and compared > 0:
            some = {name: array[:compared] for name, array in batch.items()}
            layers = self.layers.sums(some, place, lambda _: None)
        return Part(
            run_stored(self.blob, interpreter, as_stored(interpreter, batch), place),
            [] if self.original is None else Evaluator(self.original).run(list(batch.values()), lambda _: None).outputs,
            ranges_of(batch, infos),
            given,
            tuple(info.sample is not None and are_between(batch[info.name], *info.sample) for info in infos),
            layers,
        )


def as_stored(interpreter: Interpreter, batch: Mapping[str, Array]) -> list[Array]:
    """The inputs as tensors hold them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SaturationWarning)  # the report has the inputs' ranges
        return interpreter.to_stored(batch)


def run_stored(blob: bytes, interpreter: Interpreter, stored: Sequence[Array], place: Target) -> list[Array]:
    """The C code's outputs as real values, in the model's order."""
    return as_listed(interpreter, place.run(blob, stored).outputs)


def as_listed(interpreter: Interpreter, outputs: Sequence[Array]) -> list[Array]:
    real = interpreter.from_stored(outputs)
    return list(real.values()) if isinstance(real, dict) else [real]


def joined(parts: Sequence[Part], infos: Sequence[TensorInfo], dtypes: Sequence[np.dtype[Any]]) -> Part:
    """The parts of all samples, in order, as one; SampleError for values that cannot be meant, a warning for those that
    are no samples."""
    given = tuple(_merged(ranges) for ranges in zip(*(part.given for part in parts), strict=True))
    for info, found, dtype in zip(infos, given, dtypes, strict=True):
        check_given(info, found, dtype)
    between = tuple(any(flags) for flags in zip(*(part.between for part in parts), strict=True))
    for info, told in zip(infos, between, strict=True):
        if told and info.sample is not None:
            warn_between(info.name, *info.sample)
    layers = [part.layers for part in parts if part.layers is not None]
    return Part(
        _concatenated([part.outputs for part in parts]),
        _concatenated([part.original for part in parts]),
        tuple(merged(ranges) for ranges in zip(*(part.ranges for part in parts), strict=True)),
        given,
        between,
        added(layers) if layers else None,
    )


def check_given(info: TensorInfo, found: InputRange | None, dtype: np.dtype[Any]) -> None:
    """SampleError for a range of values of this type that cannot be meant."""
    try:
        if found is not None:
            refuse_unmeant(info, found, dtype)
    except ValueError as error:
        raise SampleError(str(error)) from error


def _merged(ranges: Sequence[InputRange | None]) -> InputRange | None:
    known = [found for found in ranges if found is not None]
    return merged(known) if known else None


def _concatenated(pieces: Sequence[list[Array]]) -> list[Array]:
    return [np.concatenate(arrays) for arrays in zip(*pieces, strict=True)]
