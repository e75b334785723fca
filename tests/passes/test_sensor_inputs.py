"""Raw uint8 inputs: what folds computes the same from samples as before from normalized floats, the rest says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passes.graph_builder import (
    BYTE,
    SIGN,
    batch_norm,
    binary_weights,
    byte_weights,
    chain_graph,
    compile_and_compare,
    float_weights,
    kernels_of,
    rng_of,
)

import dqnn
from dqnn.exporter.emit.writer import write
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate
from dqnn.exporter.ir.types import F32, S8
from dqnn.exporter.options import ExportOptions
from dqnn.exporter.passes import PassError, run_pipeline
from dqnn.exporter.passes.sensor_inputs import SAMPLES, sample_format

RNG = rng_of(0)
SHAPE = (6, 7, 3)
SAME = ((1, 1), (1, 1))
HALF_CODE = ops.Scale(1 / 127.5, -1.0)  # real 0 is sample 127.5


def samples(shape: tuple[int, ...] = SHAPE, seed: int = 1) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return rng_of(seed).integers(0, 256, (5, *shape)).astype(np.uint8)


def conv(padding: ops.Padding = ops.NO_PADDING, weights: ops.Weights | None = None) -> ops.Conv2D:
    return ops.Conv2D(weights or binary_weights(RNG, 4, 3, 3, 3), padding=padding)


@pytest.mark.parametrize("padding", [ops.NO_PADDING, SAME])
@pytest.mark.parametrize("pair", [(1 / 255, 0.0), (1 / 128, -1.0), (1 / 64, -2.0), (-1 / 255, 1.0)])
def test_a_rescaling_is_recognized(pair: tuple[float, float], padding: ops.Padding) -> None:
    graph = chain_graph(SHAPE, ops.Scale(*pair), conv(padding), ops.MaxPool((2, 2), (2, 2)), batch_norm(RNG, 4), SIGN)
    compiled = compile_and_compare(graph, [samples().astype(np.float32)])
    assert kernels_of(compiled.graph) == ["ConvKernel"]
    assert compiled.graph.types["x0"].fmt == SAMPLES and compiled.graph.ports["x0"].samples == (1.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.003, 0.03), offset=st.floats(-3, 3), half=st.booleans())
def test_any_pair_folds_without_padding(seed: int, scale: float, offset: float, half: bool) -> None:
    rng = rng_of(seed)
    weights = byte_weights(rng, 4, 2, 2, 3, scale=rng.random(4) + 0.1, half=half)
    graph = chain_graph(SHAPE, ops.Scale(scale, offset), conv(weights=weights), batch_norm(rng, 4), SIGN)
    compiled = compile_and_compare(graph, [samples(seed=seed).astype(np.float32)])
    assert kernels_of(compiled.graph) == ["ConvKernel"]


@pytest.mark.parametrize(
    "layer",
    [
        ops.DepthwiseConv2D(byte_weights(RNG, 2, 2, 3, 2), np.arange(6.0)),
        conv(weights=float_weights(RNG, 4, 2, 2, 3)),
        ops.Dense(byte_weights(RNG, 4, 3, scale=0.01)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_layers_take_samples(layer: ops.Op) -> None:
    compiled = compile_and_compare(chain_graph(SHAPE, HALF_CODE, layer), [samples().astype(np.float32)])
    assert kernels_of(compiled.graph) == ["ConvKernel"]


def test_the_pair_passes_a_flatten_and_a_pool() -> None:
    dense = ops.Dense(binary_weights(RNG, 4, 27))
    graph = chain_graph(SHAPE, HALF_CODE, ops.MaxPool((2, 2), (2, 2)), ops.Reshape((27,)), dense, SIGN)
    compiled = compile_and_compare(graph, [samples().astype(np.float32)])
    assert kernels_of(compiled.graph) == ["MaxPool", "ConvKernel"]


@pytest.mark.parametrize(("quantizer", "kernel"), [(SIGN, "ChannelKernel"), (BYTE, "Table")])
def test_a_quantizer_becomes_a_table_or_a_threshold(quantizer: ops.Op, kernel: str) -> None:
    graph = chain_graph(SHAPE, HALF_CODE, quantizer, conv(SAME))
    compiled = compile_and_compare(graph, [samples().astype(np.float32)])
    assert kernels_of(compiled.graph) == [kernel, "ConvKernel"]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((HALF_CODE, conv(SAME)), "the zeros that conv2d_1 pads lie between two samples"),
        ((HALF_CODE, ops.Softmax()), "softmax_1"),
        ((HALF_CODE, ops.AvgPool((2, 2), (2, 2))), "avgpool_1"),
    ],
)
def test_what_needs_floats_keeps_them_and_says_why(steps: tuple[ops.Op, ...], reason: str) -> None:
    compiled = compile_and_compare(chain_graph(SHAPE, *steps), [samples().astype(np.float32)])
    assert compiled.graph.types["x0"].fmt == F32() and compiled.graph.ports["x0"].samples is None
    (said,) = [d for d in compiled.decisions if d.decision == "input stays f32"]
    assert reason in said.reason


@pytest.mark.parametrize("scale", [ops.Scale(2.0, -1.0), ops.Scale(255.0), ops.Scale(1e-4)])
def test_other_ranges_are_no_samples(scale: ops.Scale) -> None:
    assert run_pipeline(chain_graph(SHAPE, scale, conv())).graph.types["x0"].fmt == F32()


def test_io_dtype_f32_recognizes_nothing() -> None:
    graph = chain_graph(SHAPE, ops.Scale(1 / 255), conv())
    assert run_pipeline(graph, ExportOptions(io_dtype="f32")).graph.types["x0"].fmt == F32()


@pytest.mark.parametrize("padding", [ops.NO_PADDING, SAME])
@pytest.mark.parametrize("pair", [(1 / 255, 0.0), (1 / 127.5, -1.0), (1 / 128, -1.0), (-1 / 64, 2.0)])
def test_input_u8_takes_samples_or_reals(pair: tuple[float, float], padding: ops.Padding) -> None:
    u = samples()
    scale, offset = pair
    real = (u * scale + offset).astype(np.float32)
    graph = chain_graph(SHAPE, conv(padding), batch_norm(RNG, 4), SIGN, ops.Conv2D(binary_weights(RNG, 4, 1, 1, 4)))
    compiled = run_pipeline(graph, ExportOptions(input_u8=pair))
    interpreter = dqnn.Interpreter(write(compiled.graph, producer="test").blob)
    (info,) = interpreter.inputs
    assert info.dtype == "s8" and info.sample == pytest.approx(pair) and "uint8 samples" in str(info)
    got = interpreter.predict(u)
    assert np.array_equal(got, evaluate(graph, [real]).outputs[0])
    assert np.array_equal(got, interpreter.predict(real))
    interpreter.set_input(0, u[0])
    interpreter.invoke()
    assert np.array_equal(interpreter.get_output(0), got[0])
    converts = pair == (1 / 127.5, -1.0) and padding == SAME
    assert ("ChannelKernel" in kernels_of(compiled.graph)) == converts


def test_a_rescaling_behind_input_u8_is_folded_too() -> None:
    graph = chain_graph(SHAPE, ops.Scale(1 / 2, 3.0), conv(), SIGN)
    compiled = run_pipeline(graph, ExportOptions(input_u8=(0.25, -0.3)))
    assert kernels_of(compiled.graph) == ["ConvKernel"]
    u = samples()
    after = evaluate(compiled.graph, [u.astype(np.float32)])
    before = evaluate(graph, [u * 0.25 - 0.3])
    assert np.array_equal(after.outputs[0], before.outputs[0])


def test_inputs_by_name() -> None:
    graph = chain_graph(SHAPE, conv())
    assert run_pipeline(graph, ExportOptions(input_u8={"x0": (0.5, 0.0)})).graph.types["x0"].fmt == S8(0.5, -128)
    with pytest.raises(PassError, match=r"names the inputs \['image'\]; the model has \['x0'\]"):
        run_pipeline(graph, ExportOptions(input_u8={"image": (0.5, 0.0)}))


def test_sample_formats() -> None:
    assert sample_format(1 / 128, -1.0) == S8(1 / 128, 0)
    assert sample_format(0.5, 0.0) == S8(0.5, -128)
    assert sample_format(1 / 255, -1.0) == S8(1 / 255, 127)
    for pair in ((1 / 127.5, -1.0), (-1.0, 0.0), (1.0, 1.0), (1.0, -256.0)):
        assert sample_format(*pair) is None
