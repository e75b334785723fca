"""Runs a .tflite file in a process of its own, for `child`:

    python -m dqnn.exporter.validate.originals.tflite_process MODEL IN.npz OUT.npz BATCH

Reals become codes as the file's QUANTIZE would make them; codes become reals by scale and zero point. The model's batch
is the file's, that is one sample at a time."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from dqnn.tensors import Rounding, quantize_s8

from .answering import Run, answer


def interpreter_of(path: str) -> tuple[Any, str]:
    """An interpreter with the reference kernels, and which that is."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        name = f"LiteRT {version('ai-edge-litert')}"
    else:
        import tensorflow as tf

        Interpreter, OpResolverType = tf.lite.Interpreter, tf.lite.experimental.OpResolverType
        name = f"TensorFlow Lite {tf.__version__}"
    made = Interpreter(model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    made.allocate_tensors()
    return made, f"{name}, reference kernels"


def to_stored(detail: Any, real: Any) -> Any:
    """Reals as an input stores them."""
    scale, zero_point = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
    if dtype == np.float32:
        return real.astype(np.float32).reshape(detail["shape"])
    shift = 128 if dtype == np.uint8 else 0
    factor = np.float32(scale if scale else 1)
    codes = quantize_s8(real.astype(np.float32), factor, zero_point - shift, Rounding.DIVIDE_AWAY)
    return (codes.astype(np.int16) + shift).astype(dtype).reshape(detail["shape"])


def to_real(detail: Any, stored: Any) -> Any:
    """Reals of what an output stores."""
    scale, zero_point = detail["quantization"]
    if np.dtype(detail["dtype"]) == np.float32:
        return stored.copy()
    return (stored.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale if scale else 1)


def main(*arguments: str) -> None:
    answer(_start, *arguments)


def _start(path: str) -> tuple[str, Run]:
    try:
        interpreter, name = interpreter_of(path)
    except (ValueError, RuntimeError) as error:  # an operator that the reference kernels lack
        sys.exit(" ".join(str(error).split()))
    sources, sinks = interpreter.get_input_details(), interpreter.get_output_details()

    def run(arrays: list[Any]) -> Sequence[Any]:
        rows = []
        for sample in zip(*arrays, strict=True):
            for detail, value in zip(sources, sample, strict=True):
                interpreter.set_tensor(detail["index"], to_stored(detail, value))
            interpreter.invoke()
            rows.append([to_real(detail, interpreter.get_tensor(detail["index"])) for detail in sinks])
        return [np.stack(column) for column in zip(*rows, strict=True)]

    return name, run


if __name__ == "__main__":
    main(*sys.argv[1:])
