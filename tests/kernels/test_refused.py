"""What plan functions refuse, by the name of the check (interpreter_c/src/checks.def).

Every entry changes one thing of a call that is accepted. `test_every_check_is_tested` holds the list complete."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqnn import _core
from dqnn.exporter.format import ConvParams, PoolParams

from . import cases
from .cases import INF, Case, finish_conv
from .harness import BY_NAME, Seeded, plan, run
from .spec import Tensor

NAN = float("nan")
Change = Callable[[Case], Case]


class First:
    """A draw that always takes the first option and the smallest number."""

    def integer(self, low: int, high: int) -> int:
        return low

    def choice(self, options: Any) -> Any:
        return options[0]


def conv(name: str, source: tuple[int, ...] = (6, 7, 4), target: tuple[int, ...] = (3, 3, 6), **params: Any) -> Case:
    """3x3, stride 2, padded by 1: an accepted call."""
    kernel = BY_NAME[name]
    depthwise = kernel.family in cases.DEPTHWISE
    p = ConvParams(
        **{"kernel_h": 3, "kernel_w": 3, "stride_h": 2, "stride_w": 2, "pad_top": 1, "pad_left": 0, **params}
    )
    rng = np.random.default_rng(5)
    channels = source[-1] // p.groups
    shape = (p.kernel_h, p.kernel_w, channels, 1) if depthwise else (target[-1], p.kernel_h, p.kernel_w, channels)
    weights = cases.codes(kernel.weights, shape, rng, p.weight_bits or 8)
    x, y = cases.tensor(source, kernel.input, First()), cases.tensor(target, kernel.output, First())
    return finish_conv(kernel, x, y, weights, p, First(), rng)


def depthwise(name: str, **params: Any) -> Case:
    return conv(name, (6, 7, 6), **params)


def accepted(name: str, choose: Callable[[Case], bool] = lambda case: True) -> Case:
    """The first seeded call of a kernel with a property."""
    for number in range(1000):
        case = cases.make(BY_NAME[name], Seeded(1, number))
        if choose(case):
            return case
    raise AssertionError(f"no call of {name} has this property")


def params(**changes: Any) -> Change:
    return lambda case: replace(case, params=replace(case.params, **changes))  # type: ignore[type-var]


def output(**changes: Any) -> Change:
    return lambda case: replace(case, output=replace(case.output, **changes))


def source(index: int = 0, **changes: Any) -> Change:
    def change(case: Case) -> Case:
        inputs = list(case.inputs)
        inputs[index] = replace(inputs[index], **changes)
        return replace(case, inputs=tuple(inputs))

    return change


def constant(index: int, edit: Callable[[bytes], bytes]) -> Change:
    def change(case: Case) -> Case:
        constants = list(case.constants)
        constants[index] = edit(constants[index])
        return replace(case, constants=tuple(constants))

    return change


def first_value(index: int, kind: str, value: Any) -> Change:
    """Overwrites the first number of a constant."""
    return constant(index, lambda b: np.array(value, kind).tobytes() + b[np.dtype(kind).itemsize :])


def toggle(word: bytes, mask: int) -> bytes:
    return (int.from_bytes(word, "little") ^ mask).to_bytes(4, "little")


def toggled(index: int, mask: int) -> Change:
    """Other bits in the first word of a constant."""
    return constant(index, lambda b: toggle(b[:4], mask) + b[4:])


def last_value(index: int, kind: str, value: Any) -> Change:
    return constant(index, lambda b: b[: -np.dtype(kind).itemsize] + np.array(value, kind).tobytes())


def longer(index: int) -> Change:
    return constant(index, lambda b: b + bytes(4))


def shorter(index: int) -> Change:
    return constant(index, lambda b: b[:-1])


def more_constants(case: Case) -> Case:
    return replace(case, constants=(*case.constants, bytes(4)))


def fewer_constants(case: Case) -> Case:
    return replace(case, constants=case.constants[:-1])


def no_constants(case: Case) -> Case:
    return replace(case, constants=())


def no_params(case: Case) -> Case:
    return replace(case, params=None)


def one_input(case: Case) -> Case:
    return replace(case, inputs=case.inputs[:1])


def two_inputs(case: Case) -> Case:
    return replace(case, inputs=case.inputs * 2)


def both(first: Change, second: Change) -> Change:
    return lambda case: second(first(case))


def fixed(case: Case) -> bool:
    return getattr(case.params, "requant", 0) == 1


def power(case: Case) -> bool:
    return getattr(case.params, "requant", 0) == 2


def fixed64(case: Case) -> bool:
    return getattr(case.params, "requant", 0) == 3


def divided(case: Case) -> bool:
    return getattr(case.params, "requant", 0) == 4


def kind_of(kind: int, single: int = 0) -> Callable[[Case], bool]:
    return lambda c: (c.params.kind, c.params.single) == (kind, single)  # type: ignore[union-attr]


def flipped(case: Case) -> bool:
    return len(case.constants) == 2


def per_channel(case: Case) -> bool:
    return bool(getattr(case.params, "per_channel", 0))


def image(case: Case) -> bool:
    p = case.params
    assert isinstance(p, PoolParams)
    plain = p.stride_h == p.stride_w == 1 and p.pad_top == p.pad_left == 0
    return plain and len(case.inputs[0].dims) == len(case.output.dims) == 3


S8 = conv("conv_s8_s8_s8")
S8_OF_4, S8_OF_2 = (conv("conv_s8_s8_s8", weight_bits=bits) for bits in (4, 2))
DEPTHWISE_OF_4, F32_OF_2 = depthwise("depthwise_s8_s8_s8", weight_bits=4), conv("conv_f32_s8_s8", weight_bits=2)
S8_S1 = conv("conv_s8_s1_s1")
F32 = conv("conv_f32_f32_f32")
F32_S1 = conv("conv_f32_f32_s1")
SLICED = conv("conv_s1_s1_s1")
SLICED_F32 = conv("conv_s1_s1_f32")
HORIZONTAL = conv("convh_s1_s1_f32")
ZEROS = conv("conv_s1_s1_s1", pad_value=0.0)
DEPTHWISE = depthwise("depthwise_s1_s1_s1")
MERGED = conv("conv_s8_s8_s8", (2, 3, 7, 4), (2, 3, 3, 6), kernel_h=1, stride_h=1, pad_top=0)
FIXED = accepted("conv_s8_s8_s8", fixed)
POWER = accepted("conv_s8_s8_s8", power)
WIDE = accepted("conv_s8_s8_s8", fixed64)
DIVIDED = accepted("affine_f32_s8", divided)
CONVZ, DEPTHWISEZ = conv("convz_s8_s8_s8"), depthwise("depthwisez_s8_s8_s8")
LUTS = accepted("lut_s8_channels")
ADD_FIXED = accepted("binary_s8_fixed", lambda c: kind_of(0)(c) and len(c.output.dims) == 3 and min(c.output.dims) > 1)
MUL_FIXED, MAX_FIXED = (accepted("binary_s8_fixed", kind_of(kind)) for kind in (2, 3))
ADD_SINGLE, MUL_SINGLE = (accepted("binary_s8_fixed", kind_of(kind, 1)) for kind in (0, 2))
AVGPOOL_RAW = accepted("avgpool_s8_raw", image)
SUM = accepted("reduce_s8", lambda c: c.params.kind == 0 and c.params.requant == 1)  # type: ignore[union-attr]
SUM_SINGLE = accepted("reduce_s8", lambda c: c.params.kind == 0 and c.params.requant == 3)  # type: ignore[union-attr]
LARGEST = accepted("reduce_s8", lambda c: c.params.kind == 3 and len(c.inputs[0].dims) < 4)  # type: ignore[union-attr]
DROPPED = accepted("reduce_s8", lambda c: 1 < len(c.output.dims) < len(c.inputs[0].dims) and c.params.axes & 1 == 1)  # type: ignore[union-attr]
SOFTMAX_FIXED = accepted("softmax_s8")
GATHER = accepted("gather_s8", lambda c: len(c.output.dims) == 3 and c.params.axes == 2)  # type: ignore[union-attr]
BILINEAR = accepted("bilinear_s8", lambda c: c.inputs[0].dims[0] == 3)
CONSTANT_S1 = accepted("constant_s1", lambda c: c.output.dims[-1] % 32 != 0)
AFFINE = accepted("affine_s8_s1", lambda c: flipped(c) and per_channel(c) and c.output.dims[-1] == 33)
AFFINE_ONE = accepted("affine_s8_s1", lambda c: flipped(c) and not per_channel(c))
LUT, UNARY, PRELU, SOFTMAX = (accepted(n) for n in ("lut_s8", "unary_f32", "prelu_f32", "softmax_f32"))
NORM = accepted("layernorm_f32")
BINARY = accepted("binary_s8", lambda c: len(c.output.dims) == 3 and min(c.output.dims) > 1)
BINARY_F32 = accepted("binary_f32")
MAXPOOL = accepted("maxpool_s8", image)
AVGPOOL = accepted("avgpool_s8_s8", image)
CONCAT = accepted("concat_s8", lambda c: len(c.output.dims) == 3 and c.params.axis == 1)  # type: ignore[union-attr]
PAD = accepted("pad_s8", lambda c: len(c.output.dims) == 2)
VIEW = accepted("view_s8", lambda c: len(c.output.dims) == 3)
RESHAPE = accepted("reshape_s1")

WITH_PARAMS = (
    S8, SLICED, DEPTHWISE, AFFINE, UNARY, BINARY, MAXPOOL, AVGPOOL, CONCAT, PAD, VIEW, CONVZ, DEPTHWISEZ, ADD_FIXED,
    AVGPOOL_RAW, SUM, SOFTMAX_FIXED, GATHER,
)  # fmt: skip

# The arithmetic of quantized files.
QUANTIZED: list[tuple[str, Case, Change]] = [
    ("input_count", ADD_FIXED, one_input),
    ("input_count", GATHER, two_inputs),
    ("input_count", CONSTANT_S1, lambda c: replace(c, inputs=(c.output,))),
    ("constant_count", CONVZ, both(fewer_constants, both(fewer_constants, fewer_constants))),
    ("constant_count", CONVZ, more_constants),
    ("constant_count", DEPTHWISEZ, fewer_constants),
    ("constant_count", WIDE, fewer_constants),
    ("constant_count", DIVIDED, more_constants),
    ("constant_count", LUTS, no_constants),
    ("constant_count", ADD_FIXED, more_constants),
    ("constant_count", AVGPOOL_RAW, more_constants),
    ("constant_count", SUM, more_constants),
    ("constant_count", LARGEST, more_constants),
    ("constant_count", SOFTMAX_FIXED, more_constants),
    ("constant_count", GATHER, no_constants),
    ("constant_count", GATHER, more_constants),
    ("constant_count", CONSTANT_S1, no_constants),
    ("input_count", BILINEAR, two_inputs),
    ("constant_count", BILINEAR, no_constants),
    ("constant_count", BILINEAR, more_constants),
    ("constant_bytes", BILINEAR, longer(0)),
    ("constant_bytes", BILINEAR, shorter(1)),
    ("quantization", BILINEAR, output(scale=0.123)),
    ("rank", BILINEAR, lambda c: output(dims=(1, *c.output.dims))(c)),
    ("output_shape", BILINEAR, lambda c: output(dims=(*c.output.dims[:2], c.output.dims[2] + 1))(c)),
    ("index", BILINEAR, first_value(0, "<u4", 2049)),
    ("index", BILINEAR, last_value(1, "<u4", 2**32 - 1)),
    ("constant_bytes", CONVZ, longer(1)),
    ("constant_bytes", DEPTHWISEZ, shorter(1)),
    ("constant_bytes", LUTS, shorter(0)),
    ("constant_bytes", GATHER, longer(0)),
    ("constant_bytes", CONSTANT_S1, longer(0)),
    ("constant_bytes", accepted("constant_s8"), shorter(0)),
    ("weight_padding", CONSTANT_S1, last_value(0, "<u4", 1 << 31)),
    ("half_weights", CONVZ, params(half_weights=1)),
    ("half_weights", DEPTHWISEZ, params(half_weights=1)),
    ("epilogue_bytes", WIDE, shorter(1)),
    ("epilogue_bytes", DIVIDED, longer(0)),
    ("epilogue_bytes", SUM, longer(0)),
    ("fixed_point", WIDE, first_value(1, "<i8", 2**62)),
    ("fixed_point", WIDE, last_value(1, "<i8", -(2**62))),
    ("fixed_point", WIDE, first_value(2, "<i4", -1)),
    ("fixed_point", WIDE, last_value(3, "<i4", 0)),
    ("fixed_point", WIDE, last_value(3, "<i4", 63)),
    ("fixed_point", SUM, first_value(1, "<i4", -1)),
    ("fixed_point", SUM_SINGLE, first_value(2, "<i4", 63)),
    *(("divisor", DIVIDED, first_value(0, "<f4", value)) for value in (0.0, -1.0, INF, NAN)),
    ("quantization", MAX_FIXED, output(scale=0.123)),
    ("quantization", MAX_FIXED, source(1, zero_point=99)),
    ("quantization", AVGPOOL_RAW, output(zero_point=99)),
    ("quantization", LARGEST, output(scale=0.123)),
    ("quantization", SOFTMAX_FIXED, output(scale=1 / 128)),
    ("quantization", SOFTMAX_FIXED, output(zero_point=0)),
    ("quantization", GATHER, output(scale=0.123)),
    ("reserved", ADD_FIXED, params(reserved=1)),
    ("reserved", ADD_FIXED, params(single=2)),
    ("reserved", SUM, params(reserved=1)),
    ("reserved", LARGEST, params(requant=1)),
    ("reserved", LARGEST, params(act_max=126.0)),
    ("kind", ADD_FIXED, params(kind=5)),
    ("kind", ADD_SINGLE, params(kind=1)),
    ("kind", SUM, params(kind=1)),
    ("kind", LARGEST, params(kind=2)),
    ("activation_range", ADD_FIXED, params(act_min=5, act_max=4)),
    ("activation_range", ADD_FIXED, params(act_min=-129)),
    ("activation_range", ADD_FIXED, params(act_max=128)),
    ("activation_range", SUM, params(act_min=NAN)),
    *(("fixed_params", ADD_FIXED, params(**{name: -1})) for name in ("multiplier_a", "multiplier_b", "multiplier")),
    *(("fixed_params", ADD_FIXED, params(**{name: -32})) for name in ("shift_a", "shift_b", "shift")),
    *(("fixed_params", ADD_FIXED, params(**{name: 31})) for name in ("shift_a", "shift_b", "shift", "left")),
    ("fixed_params", MUL_FIXED, params(left=1)),
    ("fixed_params", MUL_FIXED, params(multiplier_a=1)),
    ("fixed_params", MAX_FIXED, params(multiplier=1)),
    ("fixed_params", MAX_FIXED, params(single=1)),
    ("fixed_params", ADD_SINGLE, params(shift=0)),
    ("fixed_params", ADD_SINGLE, params(shift=63)),
    ("fixed_params", ADD_SINGLE, params(multiplier=1)),
    ("fixed_params", ADD_SINGLE, params(shift_a=1)),
    ("fixed_params", MUL_SINGLE, params(multiplier=-1)),
    ("fixed_params", MUL_SINGLE, params(multiplier_b=1)),
    ("fixed_params", SOFTMAX_FIXED, params(multiplier=-1)),
    ("fixed_params", SOFTMAX_FIXED, params(left_shift=31)),
    ("fixed_params", SOFTMAX_FIXED, params(left_shift=-1)),
    ("fixed_params", SOFTMAX_FIXED, params(diff_min=1)),
    ("output_shape", SOFTMAX_FIXED, both(source(dims=(4096,)), output(dims=(4096,)))),
    ("broadcast", ADD_FIXED, lambda c: source(1, dims=(c.output.dims[0] + 1, *c.output.dims[1:]))(c)),
    ("output_shape", GATHER, lambda c: output(dims=(c.output.dims[0] + 1, *c.output.dims[1:]))(c)),
    ("output_shape", LARGEST, lambda c: output(dims=(*c.output.dims[:-1], c.output.dims[-1] + 1))(c)),
    ("output_shape", DROPPED, lambda c: output(dims=c.output.dims[:-1])(c)),
    ("rank", DROPPED, lambda c: output(dims=(*c.output.dims, 1))(c)),
    ("rank", GATHER, lambda c: output(dims=(1, *c.output.dims))(c)),
    ("axis", SUM, params(axes=0)),
    ("axis", SUM, params(axes=16)),
    ("axis", GATHER, params(axes=0)),
    ("axis", GATHER, params(axes=8)),
    ("index", GATHER, lambda c: first_value(0, "<u4", c.inputs[0].dims[1])(c)),
    ("index", GATHER, last_value(0, "<u4", 2**32 - 1)),
    (
        "accumulator",
        AVGPOOL_RAW,
        both(
            params(kernel_h=65535, kernel_w=65535, stride_h=1, stride_w=1, pad_top=0, pad_left=0),
            both(source(dims=(5000, 5000, 1)), output(dims=(1, 1, 1))),
        ),
    ),
    ("accumulator", SUM, both(params(axes=1), both(source(dims=(2**24,)), output(dims=(1,))))),
    ("accumulator", CONVZ, both(params(kernel_h=20000, pad_top=20000), output(dims=(10005, 3, 6)))),
]

REFUSED: list[tuple[str, Case, Change]] = [
    ("input_count", S8, two_inputs),
    ("input_count", BINARY, one_input),
    ("input_count", CONCAT, one_input),
    ("constant_count", S8, more_constants),
    ("constant_count", S8, fewer_constants),
    ("constant_count", S8, no_constants),
    ("constant_count", S8_S1, both(more_constants, more_constants)),
    ("constant_count", SLICED, both(fewer_constants, fewer_constants)),
    ("constant_count", SLICED, both(more_constants, more_constants)),
    ("constant_count", SLICED_F32, more_constants),
    ("constant_count", DEPTHWISE, no_constants),
    ("constant_count", DEPTHWISE, both(more_constants, more_constants)),
    ("constant_count", UNARY, more_constants),
    ("constant_count", LUT, no_constants),
    ("constant_count", PRELU, no_constants),
    ("constant_count", SOFTMAX, more_constants),
    ("constant_count", NORM, fewer_constants),
    ("constant_bytes", NORM, longer(0)),
    ("constant_bytes", NORM, shorter(1)),
    ("constant_bytes", NORM, longer(2)),
    ("alpha", NORM, constant(2, lambda b: np.float32(-1).tobytes())),
    ("alpha", NORM, constant(2, lambda b: np.float32(np.inf).tobytes())),
    ("constant_count", BINARY, no_constants),
    ("constant_count", BINARY_F32, more_constants),
    ("constant_count", MAXPOOL, more_constants),
    ("constant_count", AVGPOOL, no_constants),
    ("constant_count", CONCAT, more_constants),
    ("constant_count", RESHAPE, more_constants),
    *(("params_missing", case, no_params) for case in WITH_PARAMS),
    ("input_type", S8, source(dtype="s1", scale=1.0, zero_point=0)),
    ("input_type", CONCAT, source(1, dtype="f32", scale=1.0, zero_point=0)),
    ("output_type", S8, output(dtype="f32", scale=1.0, zero_point=0)),
    ("output_type", UNARY, output(dtype="s8")),
    ("quantization", MAXPOOL, output(scale=0.123)),
    ("quantization", CONCAT, source(1, zero_point=99)),
    ("quantization", PAD, output(zero_point=99)),
    ("quantization", VIEW, output(scale=0.123)),
    ("rank", AFFINE, lambda c: output(dims=(1, *c.output.dims))(c)),
    ("rank", BINARY, lambda c: source(1, dims=c.inputs[1].dims[1:])(c)),
    ("rank", CONCAT, lambda c: source(1, dims=(1, *c.inputs[1].dims))(c)),
    ("rank", PAD, lambda c: output(dims=(1, *c.output.dims))(c)),
    ("rank", VIEW, lambda c: output(dims=(1, *c.output.dims))(c)),
    ("merged_rows", MERGED, params(kernel_h=2)),
    ("merged_rows", MERGED, params(stride_h=2)),
    ("merged_rows", MERGED, params(pad_top=1)),
    ("merged_rows", MERGED, params(up_h=2)),
    ("merged_rows", MERGED, params(pool_h=2)),
    ("merged_rows", MERGED, output(dims=(2, 4, 3, 6))),
    ("merged_rows", MAXPOOL, lambda c: source(dims=(1, *c.inputs[0].dims))(params(kernel_h=2)(c))),
    ("channels", depthwise("depthwise_s8_s8_s8"), output(dims=(3, 3, 5))),
    ("channels", MAXPOOL, lambda c: output(dims=(*c.output.dims[:2], c.output.dims[2] + 1))(c)),
    ("output_height", S8, output(dims=(2, 3, 6))),
    ("output_height", S8, output(dims=(70000, 3, 6))),
    ("output_height", S8, source(dims=(2**20, 7, 4))),
    ("output_height", S8, both(params(up_h=65535), source(dims=(2**15, 7, 4)))),
    ("output_height", MAXPOOL, lambda c: output(dims=(70000, *c.output.dims[1:]))(c)),
    ("output_width", S8, output(dims=(3, 2, 6))),
    ("output_width", S8, params(kernel_w=1)),
    ("output_width", AVGPOOL, lambda c: output(dims=(c.output.dims[0], 70000, c.output.dims[2]))(c)),
    ("output_shape", AFFINE, lambda c: output(dims=(*c.output.dims[:-1], 34))(c)),
    ("output_shape", SOFTMAX, lambda c: output(dims=(*c.output.dims[:-1], c.output.dims[-1] + 1))(c)),
    ("output_shape", CONCAT, lambda c: output(dims=(c.output.dims[0], c.output.dims[1] + 1, c.output.dims[2]))(c)),
    ("output_shape", CONCAT, lambda c: output(dims=(c.output.dims[0] + 1, *c.output.dims[1:]))(c)),
    ("output_shape", RESHAPE, lambda c: output(dims=(*c.output.dims[:-1], c.output.dims[-1] + 1))(c)),
    ("broadcast", BINARY, lambda c: source(1, dims=(c.output.dims[0] + 1, *c.output.dims[1:]))(c)),
    (
        "window_outside",
        MAXPOOL,
        lambda c: both(params(pad_top=9), output(dims=(c.output.dims[0] + 9, *c.output.dims[1:])))(c),
    ),
    ("window_outside", MAXPOOL, lambda c: output(dims=(c.inputs[0].dims[0] + 1, *c.output.dims[1:]))(c)),
    (
        "window_outside",
        AVGPOOL,
        lambda c: output(dims=(c.output.dims[0], c.inputs[0].dims[1] + 1, c.output.dims[2]))(c),
    ),
    ("view_range", VIEW, lambda c: params(start=(c.inputs[0].dims[c.params.axis[0]], 0, 0, 0))(c)),  # type: ignore[union-attr]
    (
        "view_range",
        VIEW,
        lambda c: both(params(step=(2**32 - 1, 1, 1, 1), repeat=(1, 1, 1, 1)), output(dims=(2, *c.output.dims[1:])))(c),
    ),
    ("reserved", S8, params(reserved=1)),
    ("reserved", AFFINE, params(reserved=1)),
    ("reserved", UNARY, params(reserved0=1)),
    ("reserved", UNARY, params(reserved1=1)),
    ("reserved", BINARY, params(reserved=1)),
    ("kernel_size", S8, params(kernel_h=0)),
    ("kernel_size", S8, params(kernel_w=0)),
    ("kernel_size", MAXPOOL, params(kernel_w=0)),
    ("stride", S8, params(stride_h=0)),
    ("stride", AVGPOOL, params(stride_w=0)),
    ("dilation", S8, params(dilation_w=0)),
    ("up", S8, params(up_h=0)),
    ("up", ZEROS, both(params(up_w=2), output(dims=(3, 6, 6)))),
    ("up", DEPTHWISE, both(params(up_w=2), output(dims=(3, 6, 6)))),
    ("pool", S8, params(pool_w=0)),
    ("pool", S8, params(pool_h=65535, pool_w=65535)),
    ("pool", DEPTHWISE, params(pool_h=32769, pool_w=65535)),
    ("groups", S8, params(groups=0)),
    ("groups", S8, params(groups=3)),
    ("groups", DEPTHWISE, params(groups=2)),
    ("multiplier", S8, params(multiplier=2)),
    ("multiplier", DEPTHWISE, params(multiplier=0)),
    ("requant", S8, params(requant=4)),
    ("requant", S8, params(requant=6)),
    ("requant", CONVZ, params(requant=5)),
    ("requant", conv("conv_f32_s8_s8"), params(requant=3)),
    ("requant", DIVIDED, params(requant=6)),
    ("requant", accepted("affine_s8_s8"), params(requant=4)),
    ("requant", accepted("affine_f32_f32"), params(requant=5)),
    ("requant", SUM, params(requant=2)),
    ("requant", SUM, params(requant=0)),
    ("requant", S8_S1, params(requant=1)),
    ("requant", conv("conv_f32_s8_s8"), params(requant=2)),
    ("requant", AFFINE, params(requant=2)),
    *(("weight_bits", S8, params(weight_bits=bits)) for bits in (1, 3, 5, 6, 7, 8, 128, 255)),
    *(("weight_bits", case, params(weight_bits=4)) for case in (S8_S1, SLICED, F32, CONVZ, DEPTHWISEZ)),
    *(("weight_bytes", case, params(weight_bits=0)) for case in (S8_OF_4, S8_OF_2, DEPTHWISE_OF_4, F32_OF_2)),
    *(("weight_bytes", case, shorter(0)) for case in (S8_OF_4, S8_OF_2, DEPTHWISE_OF_4, F32_OF_2)),
    *(("weight_bytes", case, longer(0)) for case in (S8_OF_4, S8_OF_2, DEPTHWISE_OF_4, F32_OF_2)),
    ("weight_bytes", S8, params(weight_bits=2)),
    ("weight_bytes", S8_OF_4, params(weight_bits=2)),
    ("half_weights", S8, params(half_weights=2)),
    ("half_weights", S8_S1, params(half_weights=1)),
    ("pad_value", SLICED, params(pad_value=0.5)),
    ("pad_value", SLICED, params(pad_value=NAN)),
    ("pad_value", S8, params(pad_value=128.0)),
    ("pad_value", S8, params(pad_value=0.5)),
    ("pad_value", S8, params(pad_value=INF)),
    ("pad_value", F32, params(pad_value=NAN)),
    ("pad_value", accepted("pad_s1"), params(value=0.0)),
    ("pad_value", PAD, params(value=-129.0)),
    ("activation_range", S8, params(act_min=5.0, act_max=4.0)),
    ("activation_range", S8, params(act_max=128.0)),
    ("activation_range", S8, params(act_min=-127.5)),
    ("activation_range", S8, params(act_min=NAN)),
    ("activation_range", S8_S1, params(act_min=0.0)),
    ("activation_range", S8_S1, params(act_max=0.0)),
    ("activation_range", F32, params(act_max=NAN)),
    ("activation_range", AFFINE, params(act_max=1.0)),
    ("activation_range", BINARY, params(act_min=-INF)),
    ("accumulator", S8, both(params(kernel_h=60000, pad_top=60000), output(dims=(30005, 3, 6)))),
    ("accumulator", SLICED, both(params(kernel_h=4000, pad_top=4000), output(dims=(2005, 3, 6)))),
    (
        "accumulator",
        AVGPOOL,
        both(
            params(kernel_h=65535, kernel_w=65535, stride_h=1, stride_w=1, pad_top=0, pad_left=0),
            both(source(dims=(5000, 5000, 1)), output(dims=(1, 1, 1))),
        ),
    ),
    ("kind", UNARY, params(kind=16)),
    ("kind", BINARY, params(kind=5)),
    ("alpha", UNARY, params(kind=10, alpha=0.5)),
    ("alpha", UNARY, params(kind=4, alpha=INF)),
    ("alpha", UNARY, params(kind=11, alpha=NAN)),
    ("per_channel", AFFINE, params(per_channel=2)),
    ("per_channel", BINARY, params(per_channel=1)),
    ("axis", CONCAT, params(axis=3)),
    ("axis", VIEW, params(axis=(0, 1, 3, 0))),
    ("axis", VIEW, params(axis=(1, 1, 2, 0))),
    ("axis", VIEW, params(axis=(2**32 - 1, 1, 2, 0))),
    ("repeat", VIEW, params(repeat=(0, 1, 1, 1))),
    (
        "padding",
        PAD,
        lambda c: output(dims=(c.inputs[0].dims[0] - 1 or 1, *c.output.dims[1:]))(params(before=(9, 0, 0, 0))(c)),
    ),
    ("padding", PAD, params(before=(2**32 - 1, 0, 0, 0))),
    ("padding", PAD, params(before=(0, 0, 0, 1))),
    ("weight_bytes", S8, longer(0)),
    ("weight_bytes", S8, shorter(0)),
    ("weight_bytes", SLICED, shorter(0)),
    ("weight_bytes", DEPTHWISE, longer(0)),
    (
        "weight_bytes",
        F32,
        both(
            params(kernel_h=65535, pad_top=65535, stride_h=65535),
            both(source(dims=(6, 7, 2**16)), output(dims=(2, 3, 6))),
        ),
    ),
    ("preset_bytes", SLICED, longer(1)),
    ("preset_bytes", ZEROS, shorter(1)),
    ("preset_bytes", ZEROS, params(pad_value=1.0)),
    ("preset_bytes", SLICED, longer(2)),
    ("preset_bytes", SLICED_F32, shorter(1)),
    ("preset_bytes", DEPTHWISE, longer(1)),
    ("epilogue_bytes", S8, longer(1)),
    ("epilogue_bytes", S8, shorter(2)),
    ("epilogue_bytes", FIXED, longer(3)),
    ("epilogue_bytes", S8_S1, shorter(1)),
    ("epilogue_bytes", AFFINE, params(per_channel=0)),
    ("flip_bytes", S8_S1, longer(2)),
    ("flip_bytes", SLICED, shorter(3)),
    ("flip_bytes", AFFINE, longer(1)),
    ("constant_bytes", LUT, shorter(0)),
    ("constant_bytes", PRELU, longer(0)),
    ("constant_bytes", BINARY, longer(0)),
    ("constant_bytes", AVGPOOL, shorter(0)),
    ("weight_padding", SLICED, last_value(0, "<u4", 1)),
    ("weight_padding", SLICED, first_value(0, "<u4", 1 << 6)),
    ("weight_padding", HORIZONTAL, last_value(0, "<u4", 1 << 31)),
    ("weight_padding", DEPTHWISE, first_value(0, "<u4", 1 << 6)),
    ("preset_padding", SLICED, toggled(1, 1 << 31)),
    ("preset_value", SLICED, last_value(1, "<u4", 2**32 - 1)),
    ("preset_value", SLICED, toggled(2, 1)),
    ("preset_value", SLICED, toggled(2, 1 << 31)),
    ("preset_value", ZEROS, toggled(2, 1)),
    ("preset_value", SLICED_F32, toggled(1, 1)),
    ("preset_value", SLICED_F32, toggled(1, 1 << 31)),
    ("preset_value", SLICED_F32, toggled(0, 1)),
    ("preset_padding", DEPTHWISE, last_value(1, "<u4", 0)),
    ("flip_padding", S8_S1, last_value(2, "<u4", 1 << 6)),
    ("flip_padding", SLICED, last_value(3, "<u4", 1 << 31)),
    ("flip_padding", AFFINE, last_value(1, "<u4", 2)),
    ("flip_padding", AFFINE_ONE, last_value(1, "<u4", 2)),
    ("threshold", F32_S1, last_value(1, "<f4", NAN)),
    ("fixed_point", FIXED, first_value(2, "<i4", -1)),
    ("fixed_point", FIXED, first_value(3, "<i4", 31)),
    ("fixed_point", FIXED, first_value(3, "<i4", -32)),
    ("fixed_point", POWER, first_value(2, "<i4", -1)),
    ("fixed_point", POWER, last_value(2, "<i4", 31)),
    ("epilogue_finite", S8, first_value(1, "<f4", NAN)),
    ("epilogue_finite", S8, last_value(2, "<f4", INF)),
    ("weight_finite", F32, first_value(0, "<f4", NAN)),
    ("weight_finite", F32_S1, last_value(0, "<f4", INF)),
    ("inverse_scale", BINARY, first_value(0, "<f4", INF)),
    ("inverse_scale", AVGPOOL, first_value(0, "<f4", NAN)),
    *QUANTIZED,
    ("tensor_quantization", S8, output(scale=0.0)),
    ("tensor_quantization", S8, source(zero_point=128)),
    ("tensor_size", S8, output(dims=(0, 3, 6))),
    ("tensor_size", AFFINE, both(source(dims=(2**16, 2**16)), output(dims=(2**16, 2**16)))),
]

# No call from here can reach these: an unknown id has no plan function; scratch overflows only where weights do not fit
# a file.
UNREACHABLE = {"kernel_id", "scratch"}
BASES = {case.kernel.name: case for _, case, _ in REFUSED}


@pytest.mark.parametrize(
    ("check", "case", "change"), REFUSED, ids=[f"{i}-{check}" for i, (check, _, _) in enumerate(REFUSED)]
)
def test_refused(check: str, case: Case, change: Change) -> None:
    with pytest.raises(_core.PlanError) as caught:
        plan(change(case))
    assert caught.value.check == check


@pytest.mark.parametrize("case", BASES.values(), ids=list(BASES))
def test_accepted_before_the_change(case: Case) -> None:
    assert run(case, "ref") == case.expected


@pytest.mark.parametrize("name", ["conv_s1_s1_s8", "conv_s1_s1_f32"])
def test_every_preset_is_compared(name: str) -> None:
    """Sums of border classes repeat what the weights say: no other bit is accepted in any class, block or plane."""
    tried = 0
    for number in range(60):
        case = cases.make(BY_NAME[name], Seeded(7, number))
        assert isinstance(case.params, ConvParams)
        if case.params.pad_value != 0 or len(case.constants[1]) > 2000:
            continue
        for word in range(len(case.constants[1]) // 4):
            mask = 1 << (word * 7 + number) % 32
            with pytest.raises(_core.PlanError) as caught:
                plan(constant(1, lambda b, at=4 * word, m=mask: b[:at] + toggle(b[at : at + 4], m) + b[at + 4 :])(case))
            assert caught.value.check == "preset_value"
            tried += 1
    assert tried > 300


def test_every_check_is_tested(repo: Path) -> None:
    text = (repo / "interpreter_c" / "src" / "checks.def").read_text()
    names = set(re.findall(r"^DQNN_CHECK\(\d+, (\w+),", text, re.MULTILINE))
    assert names - {check for check, _, _ in REFUSED} == UNREACHABLE


def test_merged_rows_are_accepted() -> None:
    assert run(MERGED, "ref") == MERGED.expected


def test_ranks_may_differ() -> None:
    """A dense layer on a map: the window is the whole map, the output a vector."""
    case = conv("conv_s8_s8_s8", (3, 3, 4), (6,), stride_h=1, stride_w=1, pad_top=0)
    assert run(case, "ref") == case.expected


@pytest.mark.parametrize("name", ["conv_s8_s8_s8", "conv_f32_f32_f32", "conv_f32_s1_s1"])
def test_map_smaller_than_the_kernel(name: str) -> None:
    case = conv(name, (1, 2, 3), (1, 2, 6), kernel_h=5, kernel_w=5, stride_h=1, stride_w=1, pad_top=2, pad_left=2)
    assert run(case, "ref") == case.expected


def test_tensor() -> None:
    assert Tensor((3,), "s1").store(np.array([1, -1, -1])) == bytes([6, 0, 0, 0])
