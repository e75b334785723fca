"""Concat without copies: which inputs lie in the output, that every tensor is right, that the loader takes just these
places."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from emit.kernel_calls import stored_bytes
from levels import LEVELS
from passes.graph_builder import BYTE, SIGN, Builder, binary_weights, grid_input, rng_of

import dqnn
from dqnn import _core
from dqnn.exporter.blob import parse
from dqnn.exporter.emit.writer import Written, write
from dqnn.exporter.format import PREFIX_BYTES, schema_module
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.graph import Graph
from dqnn.exporter.passes import run_pipeline

RNG = rng_of(5)


def places(written: Written) -> list[list[int]]:
    """Offsets of each concat's inputs from the start of its output, in file order."""
    view = parse(written.blob)
    at = [tensor.offset for tensor in view.tensors]
    nodes = [node for node in view.nodes if node.kernel.startswith("concat")]
    return [[at[i] - at[node.output] for i in node.inputs] for node in nodes]


def fill(interpreter: dqnn.Interpreter, inputs: list[Any]) -> None:
    for number, x in enumerate(inputs):
        interpreter.set_input(number, x[0])


def written_and_right(graph: Graph) -> Written:
    """The file of a graph, after every tensor was compared with the evaluator's, on each instruction set."""
    ready = run_pipeline(graph).graph
    written = write(ready, producer="test")
    inputs = [grid_input(RNG, graph.types[name].shape, 1) for name in graph.inputs]
    expected = evaluate(ready, inputs)
    names = [written.program.names[written.program.calls[n].output] for n in written.memory.order]
    for isas in LEVELS:
        interpreter = dqnn.Interpreter(written.blob, isas=isas)
        fill(interpreter, inputs)
        for name, data in zip(names, interpreter._native.trace(), strict=True):
            assert bytes(data) == stored_bytes(expected.stored[name][0], ready.types[name]), name
        fill(interpreter, inputs)
        interpreter.invoke()
        for number, name in enumerate(ready.outputs):
            assert np.array_equal(interpreter.get_output(number), expected.real(name)[0])
    return written


def branches(quantizer: ops.Op | None, *units: int) -> Builder:
    """Dense branches of one input, joined: values v2, v4 and so on, then the concat."""
    builder = Builder((32,))
    builder.add(SIGN)
    parts = []
    for count in units:
        builder.add(ops.Dense(binary_weights(RNG, count, 32, scale=0.25)), "v0")
        parts.append(builder.add(quantizer or ops.Unary("tanh")))
    builder.add(ops.Concat(0), *parts)
    return builder


@pytest.mark.parametrize(
    ("quantizer", "units", "inside"),
    [
        (SIGN, (128, 256, 100), (0, 1, 2)),
        (SIGN, (128, 32, 128), (0, 1)),  # the third begins at word 5 of its output, off the 16 bytes
        (SIGN, (100, 128), ()),  # the second begins within a word
        (BYTE, (16, 48, 5), (0, 1, 2)),
        (BYTE, (16, 20, 16), (0, 1)),
        (None, (4, 8, 3), (0, 1, 2)),
        (None, (5, 8), (0,)),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_features(quantizer: ops.Op | None, units: tuple[int, ...], inside: tuple[int, ...]) -> None:
    builder = branches(quantizer, *units)
    builder.add(ops.Dense(binary_weights(RNG, 8, sum(units))))
    written = written_and_right(builder.graph())
    (found,) = places(written)
    size = {SIGN: 1 / 8, BYTE: 1}.get(quantizer, 4)
    starts = [int(sum(units[:k]) * size) for k in range(len(units))]
    assert [k for k, place in enumerate(found) if place == starts[k]] == list(inside)
    assert written.memory.arena == written.memory.lower_bound


def test_rows_of_maps_lie_in_the_output() -> None:
    builder = Builder((4, 4, 32), (2, 4, 32))
    for value in ("x0", "x1"):
        builder.add(SIGN, value)
    builder.add(ops.Concat(0), "v0", "v1")
    builder.add(ops.Conv2D(binary_weights(RNG, 8, 3, 3, 32)))
    written = written_and_right(builder.graph())
    assert places(written) == [[0, 64]], "model inputs, bits, one behind the other"


def test_channels_of_maps_are_copied() -> None:
    builder = Builder((4, 4, 32), (4, 4, 64))
    for value in ("x0", "x1"):
        builder.add(BYTE, value)
    builder.add(ops.Concat(2), "v0", "v1")
    builder.add(ops.Conv2D(binary_weights(RNG, 8, 3, 3, 96)))
    written = written_and_right(builder.graph())
    ((first, second),) = places(written)
    assert first >= 16 * 96 or first <= -16 * 32
    assert second >= 16 * 96 or second <= -16 * 64


def test_an_input_with_other_readers() -> None:
    builder = branches(BYTE, 16, 32)
    joined, part = list(builder.types)[-1], "v2"
    ends = [builder.add(ops.Dense(binary_weights(RNG, 4, 48)), joined)]
    ends.append(builder.add(ops.Dense(binary_weights(RNG, 4, 16)), part))
    written_and_right(builder.graph(*ends))


def test_an_input_that_the_model_returns() -> None:
    builder = branches(BYTE, 16, 32)
    written = written_and_right(builder.graph("v2", list(builder.types)[-1]))
    assert [place == start for place, start in zip(places(written)[0], (0, 16), strict=True)] == [False, True]


def test_an_input_that_appears_twice() -> None:
    builder = branches(BYTE, 16, 32)
    builder.add(ops.Concat(0), "v2", "v4", "v2")
    written_and_right(builder.graph())


def test_a_concat_in_a_concat() -> None:
    builder = branches(BYTE, 16, 32)
    builder.add(ops.Dense(binary_weights(RNG, 16, 32, scale=0.25)), "v0")
    builder.add(BYTE)
    builder.add(ops.Concat(0), list(builder.types)[-1], "v5")
    written = written_and_right(builder.graph())
    assert sorted(places(written)) == [[0, 16], [0, 16]]


def test_the_loader_refuses_other_places() -> None:
    builder = branches(BYTE, 16, 32, 16)
    written = written_and_right(builder.graph())
    view = parse(written.blob)
    node = next(node for node in view.nodes if node.kernel.startswith("concat"))
    start = view.tensors[node.output].offset
    assert _core.verify(moved(written.blob, node.inputs[1], start + 16)) is None
    for number, place in ((1, 0), (1, 32), (2, 16), (2, 32), (0, 16)):
        with pytest.raises(_core.BlobError) as caught:
            _core.verify(moved(written.blob, node.inputs[number], start + place))
        assert caught.value.check in ("output_overlap", "overwritten_before_use")
    crowd = moved(written.blob, node.inputs[1], start)
    with pytest.raises(_core.BlobError):
        _core.verify(moved(crowd, node.inputs[0], start + 32))


def moved(blob: bytes, tensor: int, offset: int) -> bytes:
    """The file with a tensor elsewhere in the arena."""
    file = bytearray(blob)
    root = schema_module("Model").Model.GetRootAs(file, PREFIX_BYTES)
    struct.pack_into("<I", file, root.Tensors(tensor)._tab.Pos + 24, offset)
    struct.pack_into("<I", file, 16, zlib.crc32(file[PREFIX_BYTES:]))
    struct.pack_into("<I", file, 60, zlib.crc32(file[:60]))
    return bytes(file)
