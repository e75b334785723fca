"""ONNX models through the commands: what users see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from frontends.onnx import onnx_models
from frontends.onnx.onnx_models import MICROSOFT, Model, saved
from frontends.onnx.test_qonnx import bipolar

from dqnn import Interpreter
from dqnn.exporter.api import export
from dqnn.exporter.cli import main
from dqnn.exporter.validate.originals.original import OriginalError
from dqnn.exporter.validate.validation import validate

SHAPE = (3, 8, 6)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def network(m: Model) -> str:
    x = m.quantized(m.x, 0.020113, np.uint8(100))
    w = m.weights(m.rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), 0.0113, np.int8(0))
    y = m.quantized(m.node("Relu", [m.node("Conv", [x, w])]), 0.050071, np.uint8(0))
    return m.node("Softmax", [m.node("Flatten", [y])])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    m = Model(SHAPE)
    return saved(m.proto(network(m)), tmp_path / "model.onnx")


def test_export_tells_the_file_s_names(model: Path) -> None:
    found = run("export", model, "-o", model.with_suffix(".dqnn"), "--explain")
    assert found.exit_code == 0, found.output
    assert "input   x: f32[3x8x6]" in found.output and "QuantizeLinear_0" in found.output
    assert "rounded once, half to even" in " ".join(found.output.split())


def test_inspect_and_analyze(model: Path) -> None:
    run("export", model, "-o", model.with_suffix(".dqnn"))
    assert "Conv_3" in run("inspect", model.with_suffix(".dqnn")).output
    analysis = run("analyze", model, "--json")
    assert analysis.exit_code == 0
    assert json.loads(analysis.output)["schema"] == "dqnn.analyze/1"


def test_validate_asks_onnxruntime(model: Path) -> None:
    run("export", model, "-o", model.with_suffix(".dqnn"))
    arguments = ["validate", model.with_suffix(".dqnn"), "--against", model, "--random", 40, "--max-l2r", 1e-5]
    found = run(*arguments, "--per-layer", "--json")
    assert found.exit_code == 0, found.output
    report = json.loads(found.output)
    assert report["original"].startswith("onnxruntime ") and "without optimizations" in report["original"]
    assert all(layer["inexact"] == 0 for layer in report["layers"])
    assert json.loads(run(*arguments, "--original", "evaluator", "--json").output)["original"].startswith("dqnn's")


def test_validate_refuses_what_cannot_run_it(model: Path, tmp_path: Path) -> None:
    blob = export(model).blob
    x = np.zeros((1, *SHAPE), np.float32)
    with pytest.raises(OriginalError, match="an ONNX model, which Keras cannot run"):
        validate(blob, model, x, original="keras")
    m = Model(SHAPE)
    path = saved(m.proto(bipolar(m, m.x)), tmp_path / "bipolar.onnx")
    found = validate(export(path).blob, path, x)
    assert "onnxruntime does not know QONNX's operators" in found.original
    with pytest.raises(OriginalError, match="QONNX"):
        validate(export(path).blob, path, x, original="onnx")


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_ports_of_integers(dtype: Any, tmp_path: Path) -> None:
    """Codes in, codes out, in the file's own types and order."""
    m = Model(SHAPE, dtype=dtype)
    s, z = m.constant(np.float32(0.02)), m.constant(dtype(7))
    codes = m.rng.integers(-90, 90, (4, 3, 3, 3)).astype(np.int8)
    w, ws, wz = m.constant(codes), m.constant(np.float32(0.011317)), m.constant(np.int8(0))
    out = m.node("QLinearConv", [m.x, s, z, w, ws, wz, m.constant(np.float32(0.07)), m.constant(dtype(3))])
    path = saved(m.proto(out, types=[dtype]), tmp_path / "model.onnx")
    limits = np.iinfo(dtype)
    x = np.random.default_rng(2).integers(limits.min, limits.max + 1, (6, *SHAPE)).astype(dtype)
    program = Interpreter(export(path).blob)
    assert program.inputs[0].shape == SHAPE and program.inputs[0].stored_dtype == dtype
    found = program.predict(x, raw=True)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, onnx_models.run(path, x)[0])
    reals = np.random.default_rng(3).standard_normal((20, *SHAPE)).astype(np.float32)
    assert validate(export(path).blob, path, reals).outputs[0].cross.l2r == 0


def test_several_ports_keep_their_order(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    m = Model(SHAPE)
    m.inputs.insert(0, helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", 4]))
    dense = m.node("Gemm", ["a", m.floats(4, 2)])
    pooled = m.node("GlobalAveragePool", [m.x])
    path = saved(m.proto(pooled, dense, m.x), tmp_path / "model.onnx")
    program = Interpreter(export(path).blob)
    assert [info.name for info in program.inputs] == ["a", "x"]
    assert [info.shape for info in program.outputs] == [(3, 1, 1), (2,), SHAPE]


# --- layout -----------------------------------------------------------------------------------------------------------


def kernels(path: Path) -> list[str]:
    return [node.row.name for node in export(path).report.model.nodes]


def flat_then_dense(m: Model) -> str:
    x = m.quantized(m.node("Conv", [m.quantized(m.x, 0.02, np.int8(0)), m.floats(4, 3, 3, 3)]), 0.05, np.int8(0))
    w = m.weights(m.rng.integers(-127, 128, (5, 96)).astype(np.int8), 0.01, np.int8(0))
    return m.node("Gemm", [m.node("Flatten", [x]), w], transB=1)


def mobile_block(m: Model) -> str:
    y = m.node("Conv", [m.x, m.floats(8, 3, 1, 1)])
    y = m.node("Conv", [y, m.floats(8, 1, 3, 3)], group=8, pads=[1, 1, 1, 1])
    y = m.node("Conv", [y, m.floats(3, 8, 1, 1)])
    y = m.node("Add", [y, m.x])
    return m.node("Reshape", [m.node("GlobalAveragePool", [y]), m.constant(np.array([0, -1], np.int64))])


def around_every_layer(m: Model) -> str:
    """As tf2onnx writes channels last."""
    y = m.x
    for _ in range(3):
        y = m.node("Transpose", [y], perm=[0, 3, 1, 2])
        y = m.node("Conv", [y, m.floats(6, 6, 3, 3)], pads=[1, 1, 1, 1])
        y = m.node("Transpose", [y], perm=[0, 2, 3, 1])
        y = m.node("Relu", [y])
    return y


@pytest.mark.parametrize(
    ("build", "views"),
    [(flat_then_dense, 1), (mobile_block, 1), (around_every_layer, 0)],
    ids=["flatten", "mobile-block", "tf2onnx"],
)
def test_maps_are_turned_once_at_most(build: Callable[[Model], str], views: int, tmp_path: Path) -> None:
    m = Model(SHAPE)
    path = saved(m.proto(build(m)), tmp_path / "model.onnx")
    assert sum("view" in name for name in kernels(path)) == views


def test_a_domain_that_is_only_listed_does_not_matter(tmp_path: Path) -> None:
    from onnx import helper

    m = Model(SHAPE)
    proto = m.proto(network(m))
    proto.opset_import.extend(helper.make_opsetid(name, 1) for name in ("ai.onnx.ml", "com.microsoft.nchwc", MICROSOFT))
    export(saved(proto, tmp_path / "model.onnx"))
