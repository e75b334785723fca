"""An exported ONNX model against onnxruntime without optimizations.

Whole models are compared by their outputs. Layer by layer, each kernel computes from what onnxruntime stored in front
of it, so that a difference is the kernel's own: codes are equal, except where the exact number lies so close to the
middle between two codes that onnxruntime's own floats decide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from frontends.onnx import onnx_models
from passes.layerwise import cluster_of

from dqnn import Interpreter
from dqnn.exporter.api import export
from dqnn.exporter.frontends import load
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.evaluate import evaluate, run_node
from dqnn.exporter.ir.real import to_real
from dqnn.exporter.ir.types import S8
from dqnn.exporter.passes import run_pipeline

FLOATS = 1e-5  # relative error of the float kernels of two programs
TIE = 1e-3  # of a step: what onnxruntime's float sums may be off


@dataclass(frozen=True)
class Compared:
    """Codes that were compared with onnxruntime's, and how many of them differ by one."""

    codes: int
    differing: int
    kernels: tuple[str, ...]


def check_outputs(path: Path, *inputs: Any, slack: float = FLOATS, raw: bool = False) -> Any:
    """Interpreter and front end's graph against onnxruntime; the export's result."""
    expected = onnx_models.run(path, *inputs)
    graph = load(path)
    result = export(path)
    program = Interpreter(result.blob)
    given = dict(zip((info.name for info in program.inputs), inputs, strict=True))
    found = program.predict(given, raw=raw) if raw else program.predict(given)
    outputs = list(found.values()) if isinstance(found, dict) else [found]
    for info, mine, theirs in zip(program.outputs, outputs, expected, strict=True):
        assert mine.shape == theirs.shape or (theirs.ndim == 1 and mine.shape == (len(theirs), 1)), info.name
        compare(info.name, mine.reshape(theirs.shape), theirs, slack)
    if not raw:
        for name, mine, theirs in zip(graph.outputs, evaluate(graph, list(inputs)).outputs, expected, strict=True):
            compare(f"{name} (evaluator)", mine.reshape(theirs.shape), theirs, slack)
    return result


def compare(name: str, mine: Any, theirs: Any, slack: float) -> None:
    """AssertionError if numbers differ by more than float rounding of the largest."""
    bound = slack * max(1.0, float(np.abs(theirs.astype(np.float64)).max()))
    worst = float(np.abs(mine.astype(np.float64) - theirs.astype(np.float64)).max())
    assert worst <= bound, f"{name}: {worst} off, accepted {bound}"


def check_layers(path: Path, proto: Any, *inputs: Any, most: float = 1e-4) -> Compared:
    """Every kernel whose inputs and output are tensors of the file. AssertionError for a code that differs by more than
    one, or elsewhere than at a tie, or where more than this share of a tensor does."""
    tensors = dict(zip((i.name for i in proto.graph.input), inputs, strict=False))
    engine = onnx_models.session(onnx_models.with_all_outputs(proto))
    tensors |= dict(zip((o.name for o in engine.get_outputs()), engine.run(None, tensors), strict=True))
    graph = load(path)
    compiled = run_pipeline(graph)
    program, parts = compiled.graph, compiled.parts
    codes = differing = 0
    kernels = []
    for node in program.nodes:
        out = program.types[node.output]
        stored = [stored_part(tensors, name, program.types[name], parts) for name in node.inputs]
        wanted = stored_part(tensors, node.output, out, parts)
        if wanted is None or any(x is None for x in stored) or not isinstance(out.fmt, S8):
            continue
        got = run_node(node, [x for x in stored if x is not None], program.types).astype(np.int64)
        wrong = got != wanted
        codes, differing = codes + wrong.size, differing + int(wrong.sum())
        kernels.append(type(node.op).__name__)
        if wrong.any():
            assert (np.abs(got - wanted) <= 1).all(), f"{node.output}: off by {np.abs(got - wanted).max()} codes"
            assert not parts.keys() & {*node.inputs, node.output}, f"{node.output}: differs where channels were dropped"
            apart = from_ties(graph, node.output, dict(zip(node.inputs, stored, strict=True)))[wrong].max()
            assert apart <= TIE, f"{node.output}: a number {apart} of a step from a tie has another code"
            share = f"{node.output}: {wrong.sum()} of {wrong.size} codes differ"
            assert wrong.mean() <= most or wrong.sum() <= 1, share
    return Compared(codes, differing, tuple(kernels))


def from_ties(graph: Any, value: str, stored: dict[str, Any]) -> Any:
    """How far each number that becomes a code lies from the middle between two codes, in steps: from the front end's
    graph, in float64."""
    cluster = cluster_of(graph, value, stored)
    values = dict(stored)
    quantizer = cluster.nodes[-1]
    assert isinstance(quantizer.op, ops.Quantize) and isinstance(quantizer.op.fmt, S8)
    for node in cluster.nodes[:-1]:
        values[node.output] = run_node(node, [values[name] for name in node.inputs], graph.types)
    source = quantizer.inputs[0]
    steps = to_real(values[source], graph.types[source].fmt) / quantizer.op.fmt.scale
    return np.abs(np.abs(steps - np.floor(steps)) - 0.5)


def stored_part(tensors: dict[str, Any], name: str, kind: Any, parts: Any) -> Any:
    """`stored_as` of a value that may have lost channels."""
    if name not in parts:
        return stored_as(tensors, name, kind)
    part = parts[name]
    whole = stored_as(tensors, part.value, replace(kind, shape=(*kind.shape[:-1], part.count)))
    return None if whole is None else whole[..., part.channels]


def stored_as(tensors: dict[str, Any], name: str, kind: Any) -> Any:
    """A tensor of onnxruntime as the value of that name holds it, None if there is none."""
    found = tensors.get(name)
    if found is None:
        return None
    if isinstance(kind.fmt, S8):
        if found.dtype == np.uint8:
            found = found.astype(np.int64) - 128
        elif found.dtype != np.int8:
            return None
    batch, shape = len(found), found.shape[1:]
    if tuple(shape) != kind.shape:
        if len(shape) > 1 and (*shape[1:], shape[0]) == kind.shape:
            found = np.moveaxis(found, 1, -1)
        elif np.prod(shape) != np.prod(kind.shape) or sum(n > 1 for n in kind.shape) > 1:
            return None
    elif len(shape) > 1 and len(set(shape)) < len(shape):
        return None  # which way it lies cannot be told
    return found.reshape((batch, *kind.shape))
