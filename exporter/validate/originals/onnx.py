"""onnxruntime, with its optimizations off: each operator as ONNX defines it, one after the other. It runs no code of a
file, and is given none that our own reader has not accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dqnn.tensors import factor_of, quantize_s8, sample_codes

from ...ir.graph import Graph
from ...ir.real import to_real
from ...ir.types import S8
from .original import BATCH, Array, OriginalError, Ran, Tick

QUIET = 3  # errors alone


@dataclass(frozen=True)
class OnnxFile:
    """A file and the graph that the front end read from it."""

    path: Path
    graph: Graph

    def run(self, inputs: list[Array], tick: Tick) -> Ran:
        import onnxruntime

        session = self._session(onnxruntime)
        names = [port.name for port in session.get_inputs()]
        batch = _batch(session.get_inputs())
        fed = [self._as_fed(name, array) for name, array in zip(self.graph.inputs, inputs, strict=True)]
        parts = []
        for start in range(0, len(fed[0]), batch or BATCH):
            part = [_filled(array[start : start + (batch or BATCH)], batch) for array in fed]
            found = self._outputs(session, dict(zip(names, part, strict=True)))
            some = min(len(fed[0]) - start, batch or BATCH)
            parts.append([array[:some] for array in found])
            tick(start + some)
        joined = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        reals = [self._as_reals(name, array) for name, array in zip(self.graph.outputs, joined, strict=True)]
        return Ran(reals, f"onnxruntime {onnxruntime.__version__} without optimizations")

    def _session(self, onnxruntime: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = QUIET
        try:
            return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no base of their own
            raise OriginalError(f"onnxruntime cannot load {self.path}: {_first_line(error)}") from error

    def _outputs(self, session: Any, fed: dict[str, Array]) -> list[Array]:
        try:
            return list(session.run(None, fed))
        except Exception as error:
            raise OriginalError(f"onnxruntime cannot run {self.path}: {_first_line(error)}") from error

    def _as_fed(self, name: str, array: Array) -> Array:
        """Reals as the file's input takes them: itself, or their codes."""
        fmt, port = self.graph.types[name].fmt, self.graph.ports[name]
        if not isinstance(fmt, S8):
            return np.asarray(array, np.float32)
        if port.unsigned and array.dtype == np.uint8:
            return array
        factor = factor_of(fmt.scale, port.rounding)
        codes = quantize_s8(np.asarray(array, np.float32), factor, fmt.zero_point, port.rounding)
        return sample_codes(codes.view(np.uint8)).view(np.uint8) if port.unsigned else codes

    def _as_reals(self, name: str, array: Array) -> Array:
        fmt, port = self.graph.types[name].fmt, self.graph.ports[name]
        if not isinstance(fmt, S8):
            return array
        codes = sample_codes(array) if port.unsigned else array
        return np.asarray(to_real(codes, fmt), np.float32)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _batch(ports: Sequence[Any]) -> int:
    """How many samples the file takes at once, 0 where that is open."""
    sizes = [port.shape[0] for port in ports if port.shape and isinstance(port.shape[0], int)]
    return max(sizes, default=0)


def _filled(array: Array, batch: int) -> Array:
    """As many samples as the file takes: the last once more."""
    missing = batch - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing > 0 else array
