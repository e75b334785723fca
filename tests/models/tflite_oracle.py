"""TFLite int8 layers: converts a float Keras layer with post-training quantization, runs TFLite's reference kernels
on random int8 inputs,
and gives the layer's numbers (weights, bias, scales) so that the same integers can go through our fixed-point
kernels."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@dataclass(frozen=True)
class Int8Layer:
    """One quantized layer with inputs and TFLite's outputs, all as stored."""

    input_scale: float
    input_zero: int
    output_scale: float
    output_zero: int
    weights: NDArray[np.int8]  # OHWI, dense (O, I), depthwise (1, kh, kw, C)
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    x: NDArray[np.int8]
    y: NDArray[np.int8]


def quantize_multiplier(real: float) -> tuple[int, int]:
    """TFLite's QuantizeMultiplier: real = multiplier * 2**(shift - 31), multiplier in [2**30, 2**31)."""
    mantissa, shift = math.frexp(real)
    fixed = round(mantissa * 2**31)
    if fixed == 2**31:
        fixed, shift = fixed // 2, shift + 1
    return (0, 0) if shift < -31 else (fixed, shift)


def convert(layer: Any, shape: tuple[int, ...], seed: int) -> Int8Layer:
    """Quantizes a model of just `layer` and runs it on 4 random int8 inputs of `shape`."""
    rng = np.random.default_rng(seed)
    model = tf.keras.Sequential([tf.keras.layers.Input(shape), layer])
    layer.set_weights([rng.normal(0.0, 0.5, w.shape).astype(np.float32) for w in layer.get_weights()])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [rng.uniform(-1.0, 3.0, (1, *shape)).astype(np.float32)] for _ in range(20)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    interpreter = _reference_interpreter(converter.convert())
    interpreter.allocate_tensors()
    return _collect(interpreter, shape, rng)


def _reference_interpreter(model: bytes) -> Any:
    """LiteRT's where it is installed: TensorFlow is about to give its own up."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    else:
        Interpreter, OpResolverType = tf.lite.Interpreter, tf.lite.experimental.OpResolverType
    return Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)


def _collect(interpreter: Any, shape: tuple[int, ...], rng: np.random.Generator) -> Int8Layer:
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    constants = [d for d in interpreter.get_tensor_details() if d["index"] not in (source["index"], sink["index"])]
    bias = next(
        d
        for d in constants
        if d["dtype"] == np.int32 and len(d["shape"]) == 1 and len(d["quantization_parameters"]["scales"])
    )
    weights = next(
        d
        for d in constants
        if d["dtype"] == np.int8 and len(d["shape"]) >= 2 and len(d["quantization_parameters"]["scales"])
    )
    (in_scale, in_zero), (out_scale, out_zero) = source["quantization"], sink["quantization"]
    count = len(interpreter.get_tensor(bias["index"]))
    scales = np.broadcast_to(weights["quantization_parameters"]["scales"].astype(np.float64), (count,))
    pairs = [quantize_multiplier(float(in_scale) * s / float(out_scale)) for s in scales]
    x = rng.integers(-128, 128, (4, *shape), dtype=np.int8)
    y = []
    for sample in x:
        interpreter.set_tensor(source["index"], sample[None])
        interpreter.invoke()
        y.append(interpreter.get_tensor(sink["index"])[0].copy())
    return Int8Layer(
        float(in_scale), int(in_zero), float(out_scale), int(out_zero),
        interpreter.get_tensor(weights["index"]).copy(), interpreter.get_tensor(bias["index"]).copy(),
        np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.int32), x, np.stack(y),
    )  # fmt: skip
