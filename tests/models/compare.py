"""Exports a Keras model, runs it on the host interpreter and compares with Keras itself.

A model whose output is quantized must agree element for element; a float output to 1e-5 of the largest magnitude. A
quantized output behind a float accumulation can flip where Keras' own value is within rounding of the decision; `ties`
says how many elements may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from levels import LEVELS, top
from numpy.typing import NDArray

import dqnn

Array = NDArray[Any]


@dataclass(frozen=True)
class Comparison:
    """One output: Keras' values, ours, and the export they came from."""

    keras: list[Array]
    ours: list[Array]
    result: Any

    def differing(self, index: int = 0) -> int:
        """Elements that are not equal."""
        return int(np.count_nonzero(self.keras[index] != self.ours[index]))

    def relative_error(self, index: int = 0) -> float:
        """Largest absolute difference over the largest magnitude."""
        scale = max(float(np.abs(self.keras[index]).max(initial=0.0)), 1e-6)
        return float(np.abs(self.keras[index] - self.ours[index]).max(initial=0.0)) / scale


def run_keras(model: Any, inputs: list[Array]) -> list[Array]:
    """The model's outputs in inference mode, as float32 arrays."""
    outputs = model([np.asarray(x, np.float32) for x in inputs] if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(y, np.float32) for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def run_ours(blob: bytes, inputs: list[Array], isas: list[str] | None = None) -> list[Array]:
    """The blob's outputs as real values, in the model's order."""
    interpreter = dqnn.Interpreter(blob, isas=isas)
    named = {port.name: x for port, x in zip(interpreter.inputs, inputs, strict=True)}
    outputs = interpreter.predict(named if len(inputs) > 1 else inputs[0])
    if isinstance(outputs, dict):
        return [np.asarray(outputs[port.name], np.float32) for port in interpreter.outputs]
    return [np.asarray(outputs, np.float32)]


def run_variants(blob: bytes, inputs: list[Array]) -> tuple[list[Array], str]:
    """(our outputs, the lowest level of this machine whose outputs have other bits than ref's)."""
    runs = [run_ours(blob, inputs, isas) for isas in LEVELS]
    for isas, outputs in zip(LEVELS, runs, strict=True):
        if any(a.tobytes() != b.tobytes() for a, b in zip(runs[0], outputs, strict=True)):
            return outputs, top(isas)
    return runs[-1], ""


def compare(model: Any, inputs: Array | list[Array], **options: Any) -> Comparison:
    """Exports `model` (a Keras model or a path) and runs both sides on `inputs` (batch first), ours on each level."""
    arrays = inputs if isinstance(inputs, list) else [inputs]
    result = dqnn.export(model, **options)
    ours, wrong = run_variants(result.blob, arrays)
    assert not wrong, f"{wrong} gives other bits than ref"
    return Comparison(run_keras(model, arrays), ours, result)


def assert_equal(comparison: Comparison, ties: int = 0) -> None:
    """Quantized outputs: equal but for `ties` elements in all."""
    for index, (keras, ours) in enumerate(zip(comparison.keras, comparison.ours, strict=True)):
        assert ours.shape == keras.shape, f"output {index}: {ours.shape}, Keras gives {keras.shape}"
        differing = comparison.differing(index)
        assert differing <= ties, f"output {index}: {differing} of {keras.size} elements differ from Keras"


def assert_close(comparison: Comparison, tolerance: float = 1e-5) -> None:
    """Float outputs: within `tolerance` of the largest magnitude."""
    for index, (keras, ours) in enumerate(zip(comparison.keras, comparison.ours, strict=True)):
        assert ours.shape == keras.shape, f"output {index}: {ours.shape}, Keras gives {keras.shape}"
        error = comparison.relative_error(index)
        assert error <= tolerance, f"output {index}: relative error {error:.3g} against Keras"


class KerasRefuses(Exception):
    """Keras (or Larq, or QKeras) cannot build or run what was drawn."""


@dataclass(frozen=True)
class Outcome:
    """Of a random model: native, f32 between (stored as f32 although a quantizer follows), fallback, refused,
    differs, or unsure (rounding may have decided every element).

    `compared` of the outputs' `elements` were held against Keras' and agreed; `kernels` are those chosen, `packed` of
    them with weights of 4 or 2 bits in the file."""

    kind: str
    detail: str = ""
    compared: int = 0
    elements: int = 0
    kernels: frozenset[str] = frozenset()
    packed: int = 0


AGREE = ("native", "f32 between", "fallback", "unsure")


def agrees(report: Any, compared: int, elements: int) -> Outcome:
    """The outcome of a model whose outputs agree."""
    reasons = [decision.reason for decision in report.decisions if decision.fallback]
    between = any("before it is quantized" in decision.decision for decision in report.decisions)
    kind = "fallback" if reasons else "unsure" if not compared else "f32 between" if between else "native"
    kernels = frozenset(node.kernel for node in report.model.nodes)
    packed = sum(getattr(node.params, "weight_bits", 0) in (2, 4) for node in report.model.nodes)
    return Outcome(kind, "; ".join(dict.fromkeys(reasons)), compared, elements, kernels, packed)


def randomize(model: Any, seed: int) -> Any:
    """Gives every weight a value that exercises folding: batch norms with gammas of either sign (some zero) and
    centred means."""
    rng = np.random.default_rng(seed)
    for layer in model.submodules:
        kind = type(layer).__name__
        if kind in ("BatchNormalization", "QBatchNormalization") and layer.weights:
            layer.set_weights([_batch_norm_weight(w.name, w.shape, rng) for w in layer.weights])
    return model


def _batch_norm_weight(name: str, shape: Any, rng: np.random.Generator) -> Array:
    size = tuple(shape)
    if "gamma" in name:
        gamma = rng.uniform(0.3, 1.5, size) * rng.choice([-1.0, 1.0], size)
        return np.where(rng.random(size) < 0.05, 0.0, gamma).astype(np.float32)
    if "variance" in name:
        return rng.uniform(0.5, 30.0, size).astype(np.float32)
    return rng.normal(0.0, 1.0 if "beta" in name else 3.0, size).astype(np.float32)
