"""Between reals and integers: QuantizeLinear and DequantizeLinear, Clip between them (QCDQ), and QONNX's Quant and
BipolarQuant.

A quantized tensor of ONNX is a value of an s8 format here, whose reals the next operator reads: DequantizeLinear emits
nothing. uint8 codes are stored as code - 128. An operator between a DequantizeLinear and a QuantizeLinear, and an
operator of onnxruntime that does all at once (QLinearConv), are thus the same: real numbers that are quantized once,
half to even. The passes find the integers that come to the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dqnn.tensors import Rounding

from ...ir import ops
from ...ir.infer import LARGEST_STEP, SMALLEST_STEP
from ...ir.types import S1, S8
from ..graph import Unsupported
from .context import OnnxContext, finite
from .model import MICROSOFT, QONNX, Array, Codes, OnnxModel, OnnxPort
from .operands import Activation, Constant, Operand, constant_of, narrowed
from .registry import register

TO_8_BITS = "Quantize activations to 8 bits; weights may have 4"
ONE_SCALE = "one scale for all of it"
IDENTITY = np.arange(-128, 128).astype(np.int8)


# --- formats ----------------------------------------------------------------------------------------------------------


def format_of(scale: Constant, zero_point: Constant | None, unsigned: bool) -> S8:
    """The format of a tensor of codes with this scale and zero point."""
    step = finite(scale.array, "the scale").reshape(-1)
    if step.size != 1:
        raise Unsupported(f"an activation with {step.size} scales", ONE_SCALE, "Quantize activations per tensor")
    if not SMALLEST_STEP <= step[0] <= LARGEST_STEP:
        raise Unsupported(f"the scale is {step[0]:g}", f"{SMALLEST_STEP:.3g} to {LARGEST_STEP:.3g}")
    zero = 0 if zero_point is None or not zero_point.array.size else int(zero_point.array.reshape(-1)[0])
    return S8(float(step[0]), zero - (128 if unsigned else 0))


def is_unsigned(zero_point: Constant | None, what: str = "quantized") -> bool:
    """Whether codes are uint8, as the type of their zero point says; refused if they are no bytes."""
    kind = "uint8" if zero_point is None else zero_point.type_name
    if kind not in ("uint8", "int8"):
        raise Unsupported(f"an activation {what} to {kind}", "uint8 and int8", TO_8_BITS)
    return kind == "uint8"


# Where an operator that reads codes has their scale and zero point, by the place of the codes.
_SCALES: dict[str, dict[int, tuple[int, int]]] = {
    "DequantizeLinear": {0: (1, 2)},
    "QLinearConv": {0: (1, 2)},
    "QLinearMatMul": {0: (1, 2), 3: (4, 5)},
    "QGemm": {0: (1, 2)},
    "QLinearAdd": {0: (1, 2), 3: (4, 5)},
    "QLinearMul": {0: (1, 2), 3: (4, 5)},
    **{
        f"QLinear{name}": {0: (1, 2)}
        for name in ("Sigmoid", "LeakyRelu", "Softmax", "GlobalAveragePool", "AveragePool", "ReduceMean")
    },
    "QLinearConcat": {at: (at + 1, at + 2) for at in range(2, 98, 3)},
}
_MOVERS = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "Identity", "Slice", "Pad")


def input_format(model: OnnxModel, port: OnnxPort) -> S8 | None:
    """What the integers of an input stand for, by what reads them."""
    unsigned = port.dtype == "u8"
    names, seen = [port.name], set[str]()
    while names:
        name = names.pop()
        seen.add(name)
        for node in model.nodes:
            for at in (at for at, read in enumerate(node.inputs) if read == name):
                places = _SCALES.get(node.op, {}).get(at)
                if places is not None:
                    found = [model.initializers.get(node.inputs[p]) for p in places if p < len(node.inputs)]
                    if found and found[0] is not None:
                        zero = found[1] if len(found) > 1 else None
                        return format_of(constant_of(found[0]), None if zero is None else constant_of(zero), unsigned)
                if node.op == "Cast":
                    return S8(1.0, -128 if unsigned else 0)
                if node.op in _MOVERS and at == 0:
                    names += [output for output in node.outputs[:1] if output not in seen]
    return None


# --- activations ------------------------------------------------------------------------------------------------------


def quantized(ctx: OnnxContext, x: Activation, fmt: S8, unsigned: bool, low: int = -128, high: int = 127) -> Activation:
    """The codes of reals."""
    op = ops.Quantize(fmt, low, high, rounding=Rounding.DIVIDE_EVEN)
    value = ctx.emit(op, x.value)
    ctx.network.quantizers[value] = (x.value, op)
    return Activation(value, x.shape, x.order, True, unsigned)


def dequantized(ctx: OnnxContext, x: Activation, fmt: S8) -> Activation:
    """The reals that codes stand for with this scale and zero point, which may be others than they came with."""
    if not x.coded:
        raise Unsupported("reads reals as codes", "integers behind a QuantizeLinear")
    value = x.value
    if ctx.format(x) != fmt:
        value = ctx.emit(ops.Table(IDENTITY, fmt), value)
    return Activation(value, x.shape, x.order)


def _optional_constant(ctx: OnnxContext, at: int, what: str) -> Constant | None:
    return None if ctx.optional(at) is None else ctx.constant(at, what)


def triple(ctx: OnnxContext, at: int, axis: int = 0) -> Operand:
    """Codes with scale and zero point behind them, as the operators of onnxruntime read them: their reals. `axis` of
    constants with more than one scale."""
    scale, zero_point = ctx.constant(at + 1, "the scale"), _optional_constant(ctx, at + 2, "the zero point")
    return _dequantize(ctx, ctx.operand(at), scale, zero_point, axis)


def result(ctx: OnnxContext, x: Activation, at: int) -> Activation:
    """Reals as codes of the scale and zero point at these inputs."""
    zero_point = _optional_constant(ctx, at + 1, "the zero point")
    unsigned = is_unsigned(zero_point)
    return quantized(ctx, x, format_of(ctx.constant(at, "the scale"), zero_point, unsigned), unsigned)


# --- QuantizeLinear, DequantizeLinear ---------------------------------------------------------------------------------


@register(
    "QuantizeLinear",
    forms="to uint8 and int8, one scale; constants also per axis",
    limits=("16-bit, 4-bit and float8 activations", "activations with a scale per channel", "blocks"),
)
@register("QuantizeLinear", domain=MICROSOFT, forms="as ONNX's")
def quantize_linear(ctx: OnnxContext) -> Operand:
    scale, zero_point = ctx.constant(1, "the scale"), _optional_constant(ctx, 2, "the zero point")
    x = ctx.operand(0)
    if isinstance(x, Constant):
        return _codes_of(ctx, x, scale, zero_point)
    stated = _stated(ctx)
    if zero_point is None and stated not in ("uint8", "int8"):
        raise Unsupported(f"an activation quantized to {stated}", "uint8 and int8", TO_8_BITS)
    unsigned = stated == "uint8" if zero_point is None else is_unsigned(zero_point)
    return quantized(ctx, ctx.real(), format_of(scale, zero_point, unsigned), unsigned)


# TensorProto.DataType of codes, by its number.
_CODE_TYPES = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 21: "uint4", 22: "int4"}
_NIBBLES = {"uint4": (0, 15), "int4": (-8, 7)}


def _stated(ctx: OnnxContext) -> str:
    """The type that QuantizeLinear names for codes without a zero point."""
    number = ctx.whole("output_dtype", 0) or 2
    return _CODE_TYPES.get(number, f"type {number}")


def _codes_of(ctx: OnnxContext, x: Constant, scale: Constant, zero_point: Constant | None) -> Constant:
    kind = _stated(ctx) if zero_point is None else zero_point.type_name
    if kind not in _CODE_TYPES.values() or ctx.whole("block_size", 0):
        raise Unsupported(
            f"a constant quantized to {kind}, in blocks or not", "integers with a scale per tensor or axis"
        )
    step, zero = (_along(ctx, part, x.array, ctx.whole("axis", 1)) for part in (scale, zero_point))
    steps = np.rint(x.array.astype(np.float32) / step.astype(np.float32)).astype(np.float64) + zero
    nibbles = kind in ("int4", "uint4")
    stored = kind.replace("int4", "int8")
    limits = _NIBBLES[kind] if nibbles else (np.iinfo(stored).min, np.iinfo(stored).max)
    return Constant(np.clip(steps, *limits).astype(stored), nibbles=nibbles)


def _along(ctx: OnnxContext, part: Constant | None, x: Array, axis: int) -> Array:
    """A scale or zero point in a shape that broadcasts over x."""
    if part is None:
        return np.zeros(())
    if part.array.size == 1:
        return part.array.reshape(())
    axis = ctx.axis(axis, x.ndim)
    if part.array.ndim == x.ndim and all(n in (1, m) for n, m in zip(part.array.shape, x.shape, strict=True)):
        return part.array
    if part.array.shape != (x.shape[axis],):
        raise Unsupported(
            f"a scale or zero point of shape {part.array.shape}", f"{x.shape[axis]} of axis {axis}, or one"
        )
    shape = [1] * x.ndim
    shape[axis] = -1
    return part.array.reshape(shape)


@register(
    "DequantizeLinear",
    forms="of uint8, int8, int32; constants of 4 bits too, per tensor or axis; in blocks along a sum as floats",
    limits=("activations with a scale per channel",),
)
@register("DequantizeLinear", domain=MICROSOFT, forms="as ONNX's")
def dequantize_linear(ctx: OnnxContext) -> Operand:
    scale, zero_point = ctx.constant(1, "the scale"), _optional_constant(ctx, 2, "the zero point")
    return _dequantize(ctx, ctx.operand(0), scale, zero_point, ctx.whole("axis", 1))


def _dequantize(ctx: OnnxContext, x: Operand, scale: Constant, zero_point: Constant | None, axis: int) -> Operand:
    if isinstance(x, Constant):
        return _reals_of(ctx, x, scale, zero_point, axis)
    return dequantized(ctx, x, format_of(scale, zero_point, x.unsigned))


def _reals_of(ctx: OnnxContext, x: Constant, scale: Constant, zero_point: Constant | None, axis: int) -> Constant:
    if x.array.dtype.kind not in "iu":
        raise Unsupported(f"a constant of {x.array.dtype} as codes", "integers")
    steps = finite(scale.array, "the scale")
    if not (steps > 0).all():
        raise Unsupported(f"the scale is {steps.min():g}", "scales above 0")
    block = ctx.whole("block_size", 0)
    spread = _along_blocks if block else _along
    step, zero = (spread(ctx, part, x.array, axis) for part in (scale, zero_point))
    integers, zero = x.array.astype(np.int64), zero.astype(np.int64)
    reals = (integers - zero).astype(np.float32) * step.astype(np.float32)
    bits = 4 if x.nibbles else 8 * x.array.dtype.itemsize
    source = f"{x.type_name} codes" + (f" in blocks of {block}" if block else "")
    return Constant(reals, Codes(integers, np.asarray(step, np.float64), zero, bits, source=source))


def _along_blocks(ctx: OnnxContext, part: Constant | None, x: Array, axis: int) -> Array:
    """A scale or zero point of each `block_size` numbers along an axis, in a shape that broadcasts over x."""
    if part is None:
        return np.zeros(())
    axis, block = ctx.axis(axis, x.ndim), ctx.whole("block_size", 0)
    blocks = -(-x.shape[axis] // block) if block > 0 else 0
    shape = (*x.shape[:axis], blocks, *x.shape[axis + 1 :])
    if part.array.shape != shape:
        found = f"a scale or zero point of shape {part.array.shape} for blocks of {block} along axis {axis}"
        raise Unsupported(found, f"shape {shape}" if blocks else "blocks of 1 and more")
    many = np.repeat(part.array, min(block, x.shape[axis]), axis=axis)
    return narrowed(many.take(range(x.shape[axis]), axis=axis))


# --- QCDQ -------------------------------------------------------------------------------------------------------------


def clipped(ctx: OnnxContext, x: Operand, low: float, high: float) -> Operand:
    """A Clip of codes: fewer bits (Brevitas' QCDQ)."""
    if isinstance(x, Constant):
        return replace(x, array=np.clip(x.array, low, high).astype(x.array.dtype))
    shift = 128 if x.unsigned else 0
    bottom, top = (int(np.clip(end - shift, -128, 127)) for end in (low, high))
    if bottom > top:
        raise Unsupported(f"a clip to {low:g}..{high:g}, in which nothing lies")
    source = ctx.network.quantizers.get(x.value)
    fmt = ctx.format(x)
    assert isinstance(fmt, S8)
    if source is not None:
        real, op = source
        narrow = Activation(real, x.shape, x.order)  # what was quantized lies as its codes do
        return quantized(ctx, narrow, fmt, x.unsigned, max(op.qmin, bottom), min(op.qmax, top))
    value = ctx.emit(ops.Table(np.clip(IDENTITY, bottom, top), fmt), x.value)
    return Activation(value, x.shape, x.order, True, x.unsigned)


# --- QONNX ------------------------------------------------------------------------------------------------------------

_ROUNDINGS: dict[str, Any] = {
    "ROUND": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "ROUND_TO_ZERO": np.trunc,
    "HALF_EVEN": np.rint,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


@register(
    "Quant",
    domain=QONNX,
    forms="2 to 8 bits, signed, unsigned, narrow; weights per channel and with any rounding; more bits as f32",
    limits=("activations with another rounding than ROUND", "activations with a scale per channel"),
)
@register("IntQuant", domain=QONNX, forms="as Quant")
def quant(ctx: OnnxContext) -> Operand:
    scale, zero = ctx.floats(1, "the scale"), ctx.floats(2, "the zero point")
    bits = float(ctx.scalar(3, "the bit width"))
    signed, narrow = bool(ctx.whole("signed", 1)), bool(ctx.whole("narrow", 0))
    mode = ctx.text("rounding_mode", "ROUND").upper()
    if mode not in _ROUNDINGS:
        raise Unsupported(f"rounding_mode is {mode}", ", ".join(_ROUNDINGS))
    if bits != int(bits) or not 1 <= bits <= 32 or (signed and narrow and bits < 2):
        raise Unsupported(f"{bits:g} bits", "whole bits, 2 to 8; one bit as BipolarQuant")
    if not (scale > 0).all():
        raise Unsupported(f"the scale is {scale.min():g}", "scales above 0")
    low = -(2 ** (int(bits) - 1)) + narrow if signed else 0
    high = 2 ** (int(bits) - 1) - 1 if signed else 2 ** int(bits) - 1 - narrow
    source = f"Quant of {int(bits)} bits"
    x = ctx.operand(0)
    if isinstance(x, Constant):
        return _quant_constant(x, scale, zero, (low, high), mode, int(bits), source)
    if mode not in ("ROUND", "HALF_EVEN"):
        raise Unsupported(f"an activation with rounding_mode {mode}", "ROUND", "Round activations half to even")
    if scale.size != 1 or zero.size != 1:
        raise Unsupported(f"an activation with {scale.size} scales", ONE_SCALE, "Quantize activations per tensor")
    return _quant_activation(
        ctx, ctx.real(), float(scale.reshape(-1)[0]), float(zero.reshape(-1)[0]), low, high, source
    )


def _quant_constant(
    x: Constant, scale: Array, zero: Array, limits: tuple[int, int], mode: str, bits: int, source: str
) -> Constant:
    step, offset = scale.astype(np.float32), zero.astype(np.float32)
    steps = finite(x.array, "the quantized constant").astype(np.float32) / step + offset
    integers = np.clip(_ROUNDINGS[mode](steps), *limits)
    reals = ((integers - offset) * step).astype(np.float32)
    whole = bits <= 8 and bool((np.rint(offset) == offset).all())
    if not whole:
        return Constant(reals, note=f"{source}; 8 and fewer are stored as integers")
    return Constant(reals, Codes(integers.astype(np.int64), scale, np.rint(zero).astype(np.int64), bits, source=source))


def _quant_activation(
    ctx: OnnxContext, x: Activation, scale: float, zero: float, low: int, high: int, source: str
) -> Activation:
    if zero != int(zero):
        raise Unsupported(f"a zero point of {zero:g}", "a whole number")
    if high - low > 255:
        return _grid(ctx, x, scale, int(zero), low, high, source)
    shift = 128 if high > 127 else 0
    fmt = S8(scale, -shift)
    op = ops.Quantize(fmt, low - shift, high - shift, source, Rounding.DIVIDE_EVEN)
    if zero == 0:
        return ctx.apply(x, op)
    # The zero point is added before rounding: a half rounds to the even code, not to the even number of steps.
    moved = ops.Scale(1.0, zero * scale)
    return ctx.apply(x, moved, op, ops.Table(IDENTITY, S8(scale, int(zero) - shift)))


def _grid(ctx: OnnxContext, x: Activation, scale: float, zero: int, low: int, high: int, source: str) -> Activation:
    """More levels than 8 bits hold: floats on a grid of whole numbers, which the report names."""
    back = ops.Scale(scale, -zero * scale)
    return ctx.apply(x, ops.Scale(1 / scale, zero), ops.Round(1.0, low, high, source), back)


@register("BipolarQuant", domain=QONNX, forms="weights per channel; activations with one scale", limits=())
def bipolar_quant(ctx: OnnxContext) -> Operand:
    scale = ctx.floats(1, "the scale")
    x = ctx.operand(0)
    if isinstance(x, Constant):
        signs = np.where(finite(x.array, "the quantized constant") >= 0, 1, -1)
        codes = Codes(signs, scale, np.zeros((), np.int64), 1, True, "BipolarQuant")
        return Constant((signs * scale).astype(np.float32), codes)
    if scale.size != 1:
        raise Unsupported(f"an activation with {scale.size} scales", ONE_SCALE, "Quantize activations per tensor")
    signs_ = ctx.apply(ctx.real(), ops.Quantize(S1(), source="BipolarQuant"))
    factor = float(scale.reshape(-1)[0])
    return signs_ if factor == 1 else ctx.apply(signs_, ops.Scale(factor))


# --- weights ----------------------------------------------------------------------------------------------------------


def weights(x: Constant, outputs: Sequence[int], arrange: Any) -> ops.Weights:
    """IR weights of a constant. `outputs` are its axes that number output channels (in this order), `arrange` brings
    its axes into the IR's order; a scale along another axis cannot leave the sum over it, so such weights stay f32."""
    codes = x.codes
    note = x.note
    if codes is not None:
        found = _integers(codes, outputs)
        if isinstance(found, str):
            note = found
        else:
            integers, scale, zero_point = found
            kind: Any = "s1" if codes.bipolar else "s8"
            return ops.Weights(kind, arrange(integers), scale, source=codes.source, zero_point=zero_point)
    floats = finite(x.array, "the weights").astype(np.float32)
    remedy = "quantize weights to 8 bits or fewer, with one scale or one per output channel" if note else ""
    return ops.Weights("f32", np.ascontiguousarray(arrange(floats)), note=note, remedy=remedy)


def _integers(codes: Codes, outputs: Sequence[int]) -> tuple[Any, Any, Any] | str:
    """int8 codes with scale and zero point per output, or why not."""
    shape = codes.values.shape
    parts = []
    for part in (codes.scale, codes.zero_point):
        wide = part.reshape((1,) * (len(shape) - part.ndim) + part.shape)
        if any(n != 1 for axis, n in enumerate(wide.shape) if axis not in outputs):
            return f"a scale or zero point of its {codes.source} varies along the inputs of a sum"
        vector = np.broadcast_to(wide, [n if axis in outputs else 1 for axis, n in enumerate(shape)])
        vector = vector.transpose([*outputs, *(a for a in range(len(shape)) if a not in outputs)]).reshape(-1)
        parts.append(vector[:1].reshape(()) if vector.size and (vector == vector[0]).all() else vector)
    scale, zero = parts
    low = min(int(codes.values.min(initial=0)), int(zero.min()))
    high = max(int(codes.values.max(initial=0)), int(zero.max()))
    shift = 128 if high > 127 else 0
    if low - shift < -128 or high - shift > 127:
        return f"its codes lie in {low}..{high}, which 8 bits do not hold"
    integers = (codes.values - shift).astype(np.int8)
    return integers, np.asarray(scale, np.float64), (zero - (0 if codes.bipolar else shift)).astype(np.int8)
