"""The PyTorch example: a network of Brevitas, exported as QONNX, is binary through and through and computes what
PyTorch computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dqnn import Interpreter, export


def test_it_computes_what_pytorch_computed(digits: Path) -> None:
    data = np.load(digits / "digits_test.npz")
    wanted = np.load(digits / "digits_brevitas.npz")["outputs"]
    found = Interpreter(export(digits / "digits_brevitas.onnx").blob).predict(data["x"].transpose((0, 3, 1, 2)))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))
    assert np.mean(found.argmax(axis=1) == data["y"]) >= 0.95


def test_every_layer_is_binary(digits: Path) -> None:
    report = export(digits / "digits_brevitas.onnx").report
    kernels = [node.row.name for node in report.model.nodes]
    assert kernels == ["conv_f32_s1_s1", *["conv_s1_s1_s1"] * 3, "convh_s1_s1_f32", "softmax_f32"]
    assert not report.fallbacks
