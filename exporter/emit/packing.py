"""Kernel-ready operator -> kernel name, parameter struct and constants, byte for byte as schema/SPEC.md 3.2 to 3.5
says.

`pack` is the only entry. It does no arithmetic beyond moving bits: thresholds, scales and clamps were decided by the
passes; the one exception are the presets of the bit-sliced kernels (SPEC.md 3.4), which state the same thresholds in
the form that the counters start from."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from dqnn.tensors import Rounding, factor_of

from ..format import (
    BINARY_KINDS,
    INF,
    REQUANTS,
    UNARY_KINDS,
    BinaryParams,
    ChannelParams,
    ConcatParams,
    ConvParams,
    FixedBinaryParams,
    GatherParams,
    PadParams,
    PoolParams,
    Quad,
    ReduceParams,
    SoftmaxParams,
    UnaryParams,
    ViewParams,
)
from ..ir import ops
from ..ir.types import F32, S1, S8, Format, TensorType, dtype_name
from .kernel_table import KernelRow, Packed
from .layouts import (
    WORD,
    Array,
    inside_classes,
    minus_counts,
    pack_bitsliced,
    pack_channel_blocks,
    pack_depthwise_bits,
    pack_depthwise_plain,
    pack_horizontal,
    pack_packed_depthwise,
    pack_packed_pairs,
    pack_packed_quads,
    pack_pairs,
    pack_planes,
    pack_quads,
    pack_signs,
    pack_words,
    plane_count,
    unpack_bitsliced,
    unpack_channel_blocks,
    unpack_depthwise_bits,
    unpack_depthwise_plain,
    unpack_horizontal,
    unpack_packed_depthwise,
    unpack_packed_pairs,
    unpack_packed_quads,
    unpack_pairs,
    unpack_quads,
    window_classes,
)

DTYPE_CODES = {"s8": "i1", "f32": "<f4"}
INT32 = np.iinfo(np.int32)


class PackingError(ValueError):
    """An operator that no kernel takes in this form: a fault of the passes, not of the user's model."""


Types: TypeAlias = Sequence[TensorType]


def pack(op: ops.Op, inputs: Types, output: TensorType) -> Packed:
    """The kernel call that computes a kernel-ready operator on tensors of these types."""
    packer = _PACKERS.get(type(op))
    if packer is None:
        raise PackingError(f"{type(op).__name__} is not kernel-ready")
    try:
        packed = packer(op, inputs, output)
        packed.params_bytes  # noqa: B018  fails for what the struct's fields cannot hold
    except (TypeError, OverflowError, struct.error) as error:
        raise PackingError(f"{type(op).__name__} has a number that the file cannot hold ({error})") from error
    return packed


# --- epilogues --------------------------------------------------------------------------------------------------------


def epilogue_constants(epilogue: ops.Epilogue, *, integer: bool) -> tuple[bytes, ...]:
    """Constants of SPEC.md 3.2, in order."""
    if isinstance(epilogue, ops.Threshold):
        t = epilogue.t
        if integer:
            return (_s32(np.clip(t, INT32.min, INT32.max)), *flip_constant(epilogue))
        return (_f32(t), *flip_constant(epilogue))
    if isinstance(epilogue, ops.Affine):
        return (_f32(epilogue.scale), _f32(epilogue.offset))
    if isinstance(epilogue, ops.FixedPoint):
        return (_s32(epilogue.bias), _s32(epilogue.multiplier), _s32(epilogue.shift))
    if isinstance(epilogue, ops.Fixed64):
        return (_bytes(epilogue.offset.astype("<i8")), _s32(epilogue.multiplier), _s32(epilogue.shift))
    if isinstance(epilogue, ops.Divide):
        return (_f32(epilogue.scale),)
    return (_s32(epilogue.bias), _s32(epilogue.shift))


def _requant(epilogue: ops.Epilogue) -> int:
    """The rule of an epilogue by its number in the schema; thresholds have none."""
    names = {
        ops.Affine: "affine", ops.FixedPoint: "fixed_point", ops.PowerOfTwo: "power_of_two", ops.Fixed64: "fixed64",
        ops.Threshold: "affine",
    }  # fmt: skip
    name = epilogue.rounding.name.lower() if isinstance(epilogue, ops.Divide) else names[type(epilogue)]
    return REQUANTS.index(name)


def flip_constant(epilogue: ops.Threshold) -> tuple[bytes, ...]:
    """One bit per channel; left out when no channel flips."""
    return (_bytes(pack_words(epilogue.flip)),) if epilogue.flip.any() else ()


def _clamp(epilogue: ops.Epilogue) -> tuple[float, float]:
    if isinstance(epilogue, ops.Threshold):
        return -INF, INF
    return float(epilogue.act_min), float(epilogue.act_max)


def _bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def _s32(array: Array) -> bytes:
    return _bytes(array.astype("<i4"))


def _f32(values: Array | np.float32) -> bytes:
    return _bytes(np.asarray(values, "<f4"))


# --- convolutions -----------------------------------------------------------------------------------------------------


def _is_integer(fmt: Format, weights: ops.Weights) -> bool:
    return not isinstance(fmt, F32) and weights.kind != "f32"


def _pack_conv(op: ops.ConvKernel, inputs: Types, output: TensorType) -> Packed:
    x = inputs[0]
    kinds = f"{dtype_name(x.fmt)}_{op.weights.kind}_{dtype_name(op.out)}"
    params = _conv_params(op)
    integer = _is_integer(x.fmt, op.weights)
    zeros = _zero_points(op, output.shape[-1])
    z = "z" if zeros else ""
    if op.depthwise:
        weights = (_bytes(_depthwise_weights(op.weights)), *zeros)
        if kinds == "s1_s1_s1":
            return Packed(f"depthwise_{kinds}", params, (*weights, *_depthwise_presets(op)))
        return Packed(f"depthwise{z}_{kinds}", params, (*weights, *epilogue_constants(op.epilogue, integer=integer)))
    if kinds.startswith("s1_s1") and not op.horizontal:
        return Packed(f"conv_{kinds}", params, _bitsliced_constants(op, x, output))
    name = f"convh_{kinds}" if op.horizontal else f"conv{z}_{kinds}"
    weights = (_bytes(_conv_weights(op, x.fmt)), *zeros)
    return Packed(name, params, (*weights, *epilogue_constants(op.epilogue, integer=integer)))


def _zero_points(op: ops.ConvKernel, outputs: int) -> tuple[bytes, ...]:
    """A value per output, nothing if all are 0."""
    zeros = op.weights.zero_point
    return (_bytes(np.broadcast_to(zeros, (outputs,)).astype(np.int8)),) if zeros.any() else ()


def _conv_params(op: ops.ConvKernel) -> ConvParams:
    shape = op.weights.codes.shape
    kernel = shape[:2] if op.depthwise else shape[1:3]
    act_min, act_max = _clamp(op.epilogue)
    return ConvParams(
        kernel_h=kernel[0],
        kernel_w=kernel[1],
        stride_h=op.stride[0],
        stride_w=op.stride[1],
        dilation_h=op.dilation[0],
        dilation_w=op.dilation[1],
        pad_top=op.padding[0][0],
        pad_left=op.padding[1][0],
        up_h=op.up[0],
        up_w=op.up[1],
        groups=1 if op.depthwise else op.groups,
        multiplier=shape[3] if op.depthwise else 1,
        pool_h=op.pool[0],
        pool_w=op.pool[1],
        requant=_requant(op.epilogue),
        half_weights=int(op.weights.half),
        weight_bits=op.weights.bits % 8,
        pad_value=float(op.pad_value),
        act_min=act_min,
        act_max=act_max,
    )


def _conv_weights(op: ops.ConvKernel, fmt: Format) -> Array:
    codes, groups = op.weights.codes, op.groups
    if op.weights.kind == "f32":
        return pack_quads(codes.astype("<f4"), groups)
    if op.weights.bits < 8:
        packer = pack_packed_quads if isinstance(fmt, F32) else pack_packed_pairs
        return packer(codes, groups, op.weights.bits)
    if op.weights.kind == "s8":
        return pack_quads(codes, groups) if isinstance(fmt, F32) else pack_pairs(codes, groups)
    return pack_horizontal(codes) if isinstance(fmt, S1) else pack_channel_blocks(codes, groups)


def _depthwise_weights(weights: ops.Weights) -> Array:
    if weights.kind == "s1":
        return pack_depthwise_bits(weights.codes)
    if weights.bits < 8:
        return pack_packed_depthwise(weights.codes, weights.bits)
    return pack_depthwise_plain(weights.codes.astype("<f4") if weights.kind == "f32" else weights.codes)


def _map_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width as the kernels read a tensor of any rank (SPEC.md 3)."""
    if len(shape) == 4:
        return shape[0] * shape[1], shape[2]
    padded = (1,) * (3 - len(shape)) + shape
    return padded[0], padded[1]


def _class_masks(op: ops.ConvKernel, x: TensorType, output: TensorType) -> Array:
    """Masks of inside taps per border class; pad values -1 and +1 count every tap."""
    kernel = op.weights.codes.shape[1:3]
    if op.pad_value != 0:
        return np.ones((1, *kernel), np.bool_)
    size, pooled = _map_size(x.shape), _map_size(output.shape)
    # Rows that the fused pool drops are never computed, so they have no class.
    rows, columns = (
        inside_classes(size[i], kernel[i], op.stride[i], op.dilation[i], op.padding[i][0], pooled[i] * op.pool[i])
        for i in (0, 1)
    )
    return window_classes(rows, columns)


def _bitsliced_constants(op: ops.ConvKernel, x: TensorType, output: TensorType) -> tuple[bytes, ...]:
    codes = op.weights.codes
    weights = _bytes(pack_bitsliced(codes, op.groups))
    masks = _class_masks(op, x, output)
    taps = int(np.prod(codes.shape[1:]))
    sums = minus_counts(codes, masks, op.groups)
    planes = plane_count(taps)
    if not isinstance(op.epilogue, ops.Threshold):
        return (weights, _planes(-sums, planes), *epilogue_constants(op.epilogue, integer=True))
    inside = masks.reshape((len(masks), -1)).sum(axis=1) * codes.shape[3]
    ones = _limits(op, inside) - sums
    full = minus_counts(codes, np.ones((1, *codes.shape[1:3]), np.bool_), op.groups)
    zeros = -(_limits(op, np.array([taps])) + full) - 1
    return (weights, _planes(ones, planes), _planes(zeros[0], planes), *flip_constant(op.epilogue))


def _limits(op: ops.ConvKernel, inside: Array) -> Array:
    """T of SPEC.md 3.4 as (classes, G, blocks * 32): the output is -1 where more than T of the counted taps
    disagree."""
    threshold = op.epilogue
    assert isinstance(threshold, ops.Threshold)
    t = np.clip(threshold.t.astype(np.int64), INT32.min, INT32.max)
    limit = np.clip((inside[:, None] - t[None, :]) // 2, -1, inside[:, None])
    grouped = limit.reshape((len(inside), op.groups, -1))
    missing = np.broadcast_to(inside[:, None, None], (len(inside), op.groups, -grouped.shape[2] % WORD))
    return np.concatenate([grouped, missing], axis=2)


def _planes(values: Array, count: int) -> bytes:
    """(..., blocks * 32) -> [...][blocks][count] words."""
    return _bytes(pack_planes(values.reshape((*values.shape[:-1], -1, WORD)), count))


def _depthwise_presets(op: ops.ConvKernel) -> tuple[bytes, ...]:
    """planes[ceil(Co/32)][np] of t - N - 1, then the flip."""
    threshold = op.epilogue
    assert isinstance(threshold, ops.Threshold)
    kh, kw = op.weights.codes.shape[:2]
    taps = kh * kw
    presets = np.clip(threshold.t.astype(np.int64), -taps, taps + 1) - taps - 1
    padded = np.pad(presets, (0, -len(presets) % WORD), constant_values=-2 * taps - 1)
    count = int(2 * taps).bit_length() + 1  # ceil(log2(2N + 1)) + 1
    return (_planes(padded, count), *flip_constant(threshold))


def unpack_weights(row: KernelRow, params: ConvParams, data: bytes, inputs: Types, output: TensorType) -> Array:
    """The codes that `pack` was given, from the first constant of a convolution's call: OHWI, depthwise (kh, kw, C,
    M)."""
    kind = row.weights
    channels, outputs = inputs[0].shape[-1], output.shape[-1]
    size, groups, bits = (params.kernel_h, params.kernel_w), params.groups, params.weight_bits
    if row.depthwise:
        shape = (*size, channels, params.multiplier)
        if kind == "s1":
            return unpack_depthwise_bits(data, shape)
        if bits:
            return unpack_packed_depthwise(data, shape, bits)
        return unpack_depthwise_plain(data, shape, DTYPE_CODES[kind])
    shape = (outputs, *size, channels // groups)
    if row.family == "conv_bitsliced":
        return unpack_bitsliced(data, shape, groups)
    if kind == "s1" and row.input == "s1":
        return unpack_horizontal(data, shape)
    if kind == "s1":
        return unpack_channel_blocks(data, shape, groups)
    if bits:
        unpack = unpack_packed_quads if row.input == "f32" else unpack_packed_pairs
        return unpack(data, shape, groups, bits)
    if kind == "s8" and row.input != "f32":
        return unpack_pairs(data, shape, groups)
    return unpack_quads(data, shape, groups, DTYPE_CODES[kind])


# --- everything else --------------------------------------------------------------------------------------------------


def _pack_channel(op: ops.ChannelKernel, inputs: Types, output: TensorType) -> Packed:
    fmt = inputs[0].fmt
    channels = _epilogue_length(op.epilogue)
    act_min, act_max = _clamp(op.epilogue)
    params = ChannelParams(_requant(op.epilogue), int(channels > 1), act_min=act_min, act_max=act_max)
    constants = epilogue_constants(op.epilogue, integer=not isinstance(fmt, F32))
    return Packed(f"affine_{dtype_name(fmt)}_{dtype_name(op.out)}", params, constants)


def _epilogue_length(epilogue: ops.Epilogue) -> int:
    return max(len(values) for values in vars(epilogue).values() if isinstance(values, np.ndarray))


def _pack_table(op: ops.Table, inputs: Types, output: TensorType) -> Packed:
    return Packed("lut_s8" if op.codes.ndim == 1 else "lut_s8_channels", None, (_bytes(op.codes.astype(np.int8)),))


def _pack_fixed_binary(op: ops.FixedBinaryKernel, inputs: Types, output: TensorType) -> Packed:
    (ma, ea), (mb, eb), (m, e) = op.pairs
    single = op.rounding is ops.FixedRounding.SINGLE
    kind = BINARY_KINDS.index(op.kind)
    params = FixedBinaryParams(kind, int(single), op.left, 0, ma, ea, mb, eb, m, e, op.act_min, op.act_max)
    return Packed("binary_s8_fixed", params)


def _pack_reduce(op: ops.ReduceKernel, inputs: Types, output: TensorType) -> Packed:
    axes = sum(1 << axis for axis in op.reduce.axes)
    kind = BINARY_KINDS.index("add" if op.reduce.kind == "sum" else op.reduce.kind)
    if op.epilogue is None:
        return Packed("reduce_s8", ReduceParams(axes, kind))
    act_min, act_max = _clamp(op.epilogue)
    params = ReduceParams(axes, kind, _requant(op.epilogue), act_min=act_min, act_max=act_max)
    return Packed("reduce_s8", params, epilogue_constants(op.epilogue, integer=True))


def _pack_fixed_softmax(op: ops.FixedSoftmax, inputs: Types, output: TensorType) -> Packed:
    return Packed("softmax_s8", SoftmaxParams(op.multiplier, op.left_shift, op.diff_min))


def _pack_gather(op: ops.Gather, inputs: Types, output: TensorType) -> Packed:
    chosen = [(axis, index) for axis, index in enumerate(op.indices) if index is not None]
    constants = tuple(_bytes(index.astype("<u4")) for _, index in chosen)
    return Packed(f"gather_{dtype_name(output.fmt)}", GatherParams(sum(1 << axis for axis, _ in chosen)), constants)


def _pack_bilinear(op: ops.Bilinear, inputs: Types, output: TensorType) -> Packed:
    return Packed("bilinear_s8", None, tuple(_bytes(places.astype("<u4")) for places in op.places))


def _pack_constant(op: ops.Constant, inputs: Types, output: TensorType) -> Packed:
    stored = pack_signs(op.values) if isinstance(op.fmt, S1) else op.values
    return Packed(f"constant_{dtype_name(op.fmt)}", None, (_bytes(stored),))


def _pack_binary(op: ops.BinaryKernel, inputs: Types, output: TensorType) -> Packed:
    epilogue = op.epilogue
    constants: tuple[bytes, ...] = ()
    per_channel = False
    if isinstance(epilogue, ops.Threshold):
        constants = epilogue_constants(epilogue, integer=False)
        per_channel = len(epilogue.t) > 1
    elif isinstance(op.out, S8):
        assert isinstance(epilogue, ops.Affine)
        constants = (_f32(epilogue.scale.reshape(-1)[:1]),)
    act_min, act_max = _clamp(epilogue)
    params = BinaryParams(BINARY_KINDS.index(op.kind), int(per_channel), act_min=act_min, act_max=act_max)
    return Packed(f"binary_{dtype_name(op.out)}", params, constants)


def _pool_params(pool: ops.MaxPool | ops.AvgPool) -> PoolParams:
    (top, _), (left, _) = pool.padding
    return PoolParams(*pool.size, *pool.stride, top, left)


def _pack_maxpool(op: ops.MaxPool, inputs: Types, output: TensorType) -> Packed:
    return Packed(f"maxpool_{dtype_name(inputs[0].fmt)}", _pool_params(op))


def _pack_avgpool(op: ops.AvgPoolKernel, inputs: Types, output: TensorType) -> Packed:
    if op.pool.raw:
        return Packed("avgpool_s8_raw", _pool_params(op.pool))
    constants = (_f32(factor_of(op.out.scale, Rounding.KERAS)),) if isinstance(op.out, S8) else ()
    return Packed(f"avgpool_{dtype_name(inputs[0].fmt)}_{dtype_name(op.out)}", _pool_params(op.pool), constants)


def _pack_unary(op: ops.UnaryKernel, inputs: Types, output: TensorType) -> Packed:
    return Packed("unary_f32", UnaryParams(kind=UNARY_KINDS.index(op.kind), alpha=float(op.alpha)))


def _pack_prelu(op: ops.PReluKernel, inputs: Types, output: TensorType) -> Packed:
    return Packed("prelu_f32", None, (_f32(op.alpha),))


def _pack_layer_norm(op: ops.LayerNormKernel, inputs: Types, output: TensorType) -> Packed:
    return Packed("layernorm_f32", None, (_f32(op.gamma), _f32(op.beta), _f32(np.asarray([op.epsilon]))))


def _pack_softmax(op: ops.SoftmaxKernel, inputs: Types, output: TensorType) -> Packed:
    return Packed("softmax_f32")


def _pack_concat(op: ops.Concat, inputs: Types, output: TensorType) -> Packed:
    return Packed(f"concat_{dtype_name(output.fmt)}", ConcatParams(axis=op.axis))


def _pack_pad(op: ops.Pad, inputs: Types, output: TensorType) -> Packed:
    return Packed(
        f"pad_{dtype_name(output.fmt)}", PadParams(before=_quad(op.before, 0), value=_stored(op.value, output.fmt))
    )


def _stored(value: float, fmt: Format) -> float:
    """A real value as the format stores it; s1 and s8 must hold it exactly."""
    if isinstance(fmt, F32):
        return float(np.float32(value))
    if isinstance(fmt, S1):
        if value not in (-1, 1):
            raise PackingError(f"s1 cannot hold a pad value of {value:g}")
        return value
    assert isinstance(fmt, S8)
    code = round(value / fmt.scale) + fmt.zero_point
    if not -128 <= code <= 127:
        raise PackingError(f"{fmt} cannot hold a pad value of {value:g}")
    return float(code)


def _quad(values: Sequence[int], fill: int) -> Quad:
    a, b, c, d = (*values, *(fill,) * (4 - len(values)))
    return a, b, c, d


def _pack_view(op: ops.View, inputs: Types, output: TensorType) -> Packed:
    axis = (*op.axis, *range(len(op.axis), 4))
    params = ViewParams(_quad(axis, 0), _quad(op.start, 0), _quad(op.step, 1), _quad(op.repeat, 1))
    return Packed(f"view_{dtype_name(output.fmt)}", params)


def _pack_reshape(op: ops.Reshape, inputs: Types, output: TensorType) -> Packed:
    if not isinstance(output.fmt, S1):
        raise PackingError("an s8 or f32 reshape shares memory and has no kernel")
    return Packed("reshape_s1")


_PACKERS: dict[type, Callable[[Any, Types, TensorType], Packed]] = {
    ops.ConvKernel: _pack_conv,
    ops.ChannelKernel: _pack_channel,
    ops.Table: _pack_table,
    ops.FixedBinaryKernel: _pack_fixed_binary,
    ops.ReduceKernel: _pack_reduce,
    ops.FixedSoftmax: _pack_fixed_softmax,
    ops.Gather: _pack_gather,
    ops.Bilinear: _pack_bilinear,
    ops.Constant: _pack_constant,
    ops.BinaryKernel: _pack_binary,
    ops.AvgPoolKernel: _pack_avgpool,
    ops.MaxPool: _pack_maxpool,
    ops.UnaryKernel: _pack_unary,
    ops.PReluKernel: _pack_prelu,
    ops.SoftmaxKernel: _pack_softmax,
    ops.LayerNormKernel: _pack_layer_norm,
    ops.Concat: _pack_concat,
    ops.Pad: _pack_pad,
    ops.View: _pack_view,
    ops.Reshape: _pack_reshape,
}
