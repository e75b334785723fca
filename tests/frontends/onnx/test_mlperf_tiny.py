"""The ONNX QDQ networks of an MLPerf Tiny submission (ResNet-8, MobileNetV1), which are not in the repository:
DQNN_MLPERF_TINY names a directory that has them under onnx_qdq/.

Each layer is compared on onnxruntime's own codes: they differ only where the exact number is a tie but for the noise of
float32 sums, two in a million. Whole networks are compared by their outputs: such a code in an early layer moves others
behind it, and one sample in fourteen comes out otherwise in the end, with the same class."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from frontends.onnx import onnx_models
from frontends.onnx.compare import check_layers

from dqnn import Interpreter
from dqnn.exporter.api import export

WHERE = os.environ.get("DQNN_MLPERF_TINY", "")
RANDOM, PLAUSIBLE = 200, 50
MODELS = {"resnet": (0.0, 255.0), "mobilenet_v1": (-1.0, 1.0)}  # range of the inputs
EQUAL = 1e-6  # of a softmax's floats
MOST_UNEQUAL = 0.2  # of the samples, moved by codes at ties

pytestmark = pytest.mark.skipif(not WHERE, reason="DQNN_MLPERF_TINY is not set: the models of MLPerf Tiny")


def model(name: str) -> Path:
    return Path(WHERE) / "onnx_qdq" / f"{name}.onnx"


def samples(name: str, shape: tuple[int, ...]) -> Any:
    """Noise, and smooth images: noise on a coarse grid, spread."""
    rng = np.random.default_rng(2026)
    low, high = MODELS[name]
    noise = rng.random((RANDOM, *shape))
    axes = [axis for axis, n in enumerate(shape, 1) if n > 3]
    coarse = rng.random((PLAUSIBLE, *(n // 8 if n > 3 else n for n in shape)))
    for axis in axes:
        coarse = np.repeat(coarse, 8, axis=axis)
        coarse = (coarse + np.roll(coarse, 2, axis=axis) + np.roll(coarse, 4, axis=axis)) / 3
    return (np.concatenate([noise, coarse]) * (high - low) + low).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_outputs(name: str) -> None:
    program = Interpreter(export(model(name)).blob)
    x = samples(name, program.inputs[0].shape)
    engine = onnx_models.session(model(name))
    port = engine.get_inputs()[0].name
    wanted = np.concatenate([engine.run(None, {port: sample[None]})[0] for sample in x])
    found = program.predict(x)
    apart = np.abs(found - wanted).max(axis=1)
    other = int((found.argmax(axis=1) != wanted.argmax(axis=1)).sum())
    print(f"{name}: {other} of {len(x)} classified otherwise")
    assert other <= 1
    for kind, part in (("random", apart[:RANDOM]), ("plausible", apart[RANDOM:])):
        print(f"{name}: {int((part <= EQUAL).sum())} of {len(part)} {kind} samples equal, at most {part.max():.3g} off")
        assert (part > EQUAL).mean() <= MOST_UNEQUAL


@pytest.mark.parametrize("name", MODELS)
def test_layers(name: str) -> None:
    proto = onnx.load(model(name))
    shape = tuple(d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim)[1:]
    codes = differing = 0
    for sample in samples(name, shape)[RANDOM - 2 : RANDOM + 4]:
        found = check_layers(model(name), proto, sample[None], most=0.005)
        codes, differing = codes + found.codes, differing + found.differing
    print(f"{name}: {differing} of {codes:,} codes differ, each at a tie")
    assert codes > 100_000
    assert differing <= codes * 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_export_is_quick(name: str) -> None:
    export(model(name))
    start = time.process_time()
    export(model(name))
    assert time.process_time() - start < 1.5
