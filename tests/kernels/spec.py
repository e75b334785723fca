"""schema/SPEC.md section 3 in numpy, written from its text alone: tensors, accumulators, epilogues, weight layouts.

Nothing here is shared with the exporter or the C sources. Speed does not matter; every function says one sentence of
the specification. s1 arrays hold +1/-1, s8 arrays the stored codes. Weights are (output, ky, kx, channel of the group)
codes, depthwise weights (ky, kx, channel, multiplier)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dqnn.exporter.format import ConvParams

Array: TypeAlias = NDArray[Any]
F = np.float32
S1, S8, F32 = 0, 1, 2
DTYPES = {"s1": S1, "s8": S8, "f32": F32}
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


@dataclass(frozen=True)
class Tensor:
    """A shape and a format; `dtype` is s1, s8 or f32."""

    dims: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0

    @property
    def definition(self) -> tuple[tuple[int, ...], int, float, int]:
        return (self.dims, DTYPES[self.dtype], self.scale, self.zero_point)

    @property
    def map(self) -> tuple[int, int, int]:
        """Height, width, channels: missing leading dimensions are 1, rank 4 merges the first two."""
        if len(self.dims) == 4:
            return (self.dims[0] * self.dims[1], self.dims[2], self.dims[3])
        h, w, c = (1, 1, 1, *self.dims)[-3:]
        return (h, w, c)

    def store(self, values: Array) -> bytes:
        values = values.reshape(self.dims)
        if self.dtype == "s1":
            return words(values < 0).tobytes()
        return values.astype("<i1" if self.dtype == "s8" else "<f4").tobytes()

    def integers(self, values: Array) -> NDArray[np.int64]:
        """What integer accumulators multiply: +1/-1, or stored - zero_point."""
        return values.astype(np.int64) - (self.zero_point if self.dtype == "s8" else 0)

    def reals(self, values: Array) -> NDArray[np.float32]:
        if self.dtype == "f32":
            return values.astype(F)
        return self.integers(values).astype(F) * F(self.scale)


def words(bits: Array) -> NDArray[np.uint32]:
    """Element i of the last axis is bit i%32 of word i/32; tail bits are 0."""
    count = bits.shape[-1]
    result = np.zeros((*bits.shape[:-1], -(-count // 32)), "<u4")
    for i in range(count):
        result[..., i // 32] |= bits[..., i].astype(np.uint32) << np.uint32(i % 32)
    return result


# --- windows ----------------------------------------------------------------------------------------------------------

INSIDE, OUTSIDE, HOLE = 0, 1, 2


@dataclass(frozen=True)
class Axis:
    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0
    up: int = 1

    def tap(self, output: int, k: int) -> tuple[int, int]:
        """Place and input index of tap k of an output."""
        position = output * self.stride + k * self.dilation - self.pad
        if not 0 <= position <= (self.size - 1) * self.up:
            return OUTSIDE, 0
        return (INSIDE, position // self.up) if position % self.up == 0 else (HOLE, 0)

    def outputs(self, pad_after: int) -> int:
        """Of a convolution or a pool with `pad_after` cells behind the input; may be 0 or less."""
        dilated = (self.size - 1) * self.up + 1
        return (dilated + self.pad + pad_after - (self.kernel - 1) * self.dilation - 1) // self.stride + 1

    def classes(self, outputs: int) -> list[tuple[int, ...]]:
        """Sets of inside taps of the runs of consecutive outputs."""
        result: list[tuple[int, ...]] = []
        for o in range(outputs):
            inside = tuple(k for k in range(self.kernel) if self.tap(o, k)[0] == INSIDE)
            if not result or result[-1] != inside:
                result.append(inside)
        return result


def axes_of(params: ConvParams, tensor: Tensor) -> tuple[Axis, Axis]:
    h, w, _ = tensor.map
    p = params
    return (
        Axis(h, p.kernel_h, p.stride_h, p.dilation_h, p.pad_top, p.up_h),
        Axis(w, p.kernel_w, p.stride_w, p.dilation_w, p.pad_left, p.up_w),
    )


@dataclass(frozen=True, eq=False)
class Windows:
    """x[oy, ox, ky, kx, c], what each tap reads, and place[oy, ox, ky, kx]."""

    x: Array
    place: Array

    def counted(self, *, outside: bool) -> Array:
        """Taps that contribute: those inside, and those outside if the pad value does."""
        return (self.place == INSIDE) | ((self.place == OUTSIDE) & outside)


def windows(x: Array, pad: Any, y_axis: Axis, x_axis: Axis, outputs: tuple[int, int]) -> Windows:
    """x: (h, w, c) as numbers; `pad` likewise."""
    shape = (*outputs, y_axis.kernel, x_axis.kernel)
    values = np.zeros((*shape, x.shape[2]), x.dtype)
    place = np.zeros(shape, np.int8)
    for oy, ox, ky, kx in np.ndindex(*shape):
        (place_y, iy), (place_x, ix) = y_axis.tap(oy, ky), x_axis.tap(ox, kx)
        if OUTSIDE in (place_y, place_x):
            place[oy, ox, ky, kx] = OUTSIDE
            values[oy, ox, ky, kx] = pad
        elif HOLE in (place_y, place_x):
            place[oy, ox, ky, kx] = HOLE
        else:
            values[oy, ox, ky, kx] = x[iy, ix]
    return Windows(values, place)


# --- accumulators -----------------------------------------------------------------------------------------------------


def weight_values(codes: Array, params: ConvParams) -> Array:
    return 2 * codes.astype(np.int64) + 1 if params.half_weights else codes


def accumulators(
    tensor: Tensor,
    x: Array,
    codes: Array,
    kind: str,
    params: ConvParams,
    outputs: tuple[int, int],
    *,
    depthwise: bool,
    zero_points: Array | None = None,
) -> Array:
    """acc[oy, ox, output]: int64 or float32."""
    integer = tensor.dtype != "f32" and kind != "f32"
    shaped = x.reshape(tensor.map)
    w = weight_values(codes, params)
    if zero_points is not None:
        w = codes.astype(np.int64) - zero_points.reshape(codes.shape[2:] if depthwise else (-1, 1, 1, 1))
    if depthwise:  # (ky, kx, c, m) -> one group per channel: (output, ky, kx, 1)
        w = w.transpose(2, 3, 0, 1).reshape((-1, *codes.shape[:2], 1))
    groups = tensor.map[2] if depthwise else params.groups
    if tensor.dtype == "f32":
        values, pad = shaped.astype(F), F(params.pad_value)
    else:
        values = tensor.integers(shaped)
        pad = int(params.pad_value) - (tensor.zero_point if tensor.dtype == "s8" else 0)
        if not integer:
            values, pad = values.astype(F), F(pad)
    win = windows(values, pad, *axes_of(params, tensor), outputs)
    outside = tensor.dtype != "s1" or params.pad_value != 0
    if integer:
        return integer_sums(win, w, groups, outside=outside)
    if tensor.dtype == "f32" and kind == "s1" and not depthwise:
        return chunked_sums(win, w, groups)
    return ordered_sums(win, w, groups, outside=outside)


def channels_of(groups: int, outputs: int, inputs: int) -> NDArray[np.int64]:
    """Input channel i of the group that output o belongs to, as [o, i]."""
    per_group, width = outputs // groups, inputs // groups
    return (np.arange(outputs) // per_group * width)[:, None] + np.arange(width)[None, :]


def integer_sums(win: Windows, w: Array, groups: int, *, outside: bool) -> NDArray[np.int64]:
    channels = channels_of(groups, len(w), win.x.shape[-1])
    acc = np.zeros((*win.x.shape[:2], len(w)), np.int64)
    for ky, kx in np.ndindex(*win.x.shape[2:4]):
        counted = win.counted(outside=outside)[:, :, ky, kx, None, None]
        acc += (np.where(counted, win.x[:, :, ky, kx, channels], 0) * w[:, ky, kx].astype(np.int64)).sum(axis=-1)
    return acc


def ordered_sums(win: Windows, w: Array, groups: int, *, outside: bool) -> NDArray[np.float32]:
    """acc = +0; for ky, kx, ci ascending: acc = acc + (w * x)."""
    channels = channels_of(groups, len(w), win.x.shape[-1])
    acc = np.zeros((*win.x.shape[:2], len(w)), F)
    for ky, kx, i in np.ndindex(*w.shape[1:]):
        counted = win.counted(outside=outside)[:, :, ky, kx, None]
        acc = np.where(counted, acc + w[:, ky, kx, i].astype(F) * win.x[:, :, ky, kx, channels[:, i]], acc)
    return acc


def chunked_sums(win: Windows, w: Array, groups: int) -> NDArray[np.float32]:
    """Blocks of 8 channels; for each ky the products in order (kx, ci), in chunks of 4."""
    channels = channels_of(groups, len(w), win.x.shape[-1])
    kernel_h, kernel_w, width = w.shape[1:]
    acc: Array | None = None
    for block in range(0, width, 8):
        for ky in range(kernel_h):
            taps = [(kx, i) for kx in range(kernel_w) for i in range(block, min(block + 8, width))]
            products = [
                np.where(w[:, ky, kx, i] < 0, -win.x[:, :, ky, kx, channels[:, i]], win.x[:, :, ky, kx, channels[:, i]])
                for kx, i in taps
            ]
            for start in range(0, len(products), 4):
                chunk = products[start]
                for p in products[start + 1 : start + 4]:
                    chunk = chunk + p
                acc = chunk if acc is None else acc + chunk
    assert acc is not None
    return acc


def pooled(acc: Array, pool: tuple[int, int]) -> Array:
    """Maximum (`a < b ? b : a`) of each window, rows first."""
    h, w = acc.shape[0] // pool[0], acc.shape[1] // pool[1]
    best: Array | None = None
    for i, j in np.ndindex(*pool):
        part = acc[i : h * pool[0] : pool[0], j : w * pool[1] : pool[1]]
        best = part if best is None else np.where(best < part, part, best)
    assert best is not None
    return best


# --- epilogues --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Epilogue:
    """Constants of SPEC.md 3.2 for one output type; requant 0 affine, 1 fixed point, 2 power of two, 3 fixed64,
    4 divide_even, 5 divide_away."""

    output: Tensor
    thresholds: Array | None = None
    flip: Array | None = None  # bool per channel; None: constant left out
    scale: Array | None = None
    offset: Array | None = None
    bias: Array | None = None
    multiplier: Array | None = None
    shift: Array | None = None
    offset64: Array | None = None
    requant: int = 0
    act_min: float = -np.inf
    act_max: float = np.inf

    def constants(self) -> list[bytes]:
        result: list[bytes] = []
        if self.thresholds is not None:
            result.append(self.thresholds.astype("<f4" if self.thresholds.dtype == F else "<i4").tobytes())
            if self.flip is not None:
                result.append(words(self.flip).tobytes())
        result += [a.astype("<f4").tobytes() for a in (self.scale, self.offset) if a is not None]
        result += [a.astype("<i8").tobytes() for a in (self.offset64,) if a is not None]
        result += [a.astype("<i4").tobytes() for a in (self.bias, self.multiplier, self.shift) if a is not None]
        return result

    def apply(self, acc: Array) -> Array:
        """acc[..., channel] -> values as the output tensor's array holds them."""
        if self.thresholds is not None:
            below = acc < self.thresholds
            return np.where(below ^ (False if self.flip is None else self.flip), -1, 1)
        if self.requant > 3:
            return self._divided(acc)
        if self.requant:
            return self._rescaled(acc)
        assert self.scale is not None and self.offset is not None
        with np.errstate(all="ignore"):
            y = acc.astype(F) * self.scale.astype(F) + self.offset.astype(F)
        if self.output.dtype == "f32":
            return np.where(y < F(self.act_min), F(self.act_min), np.where(y > F(self.act_max), F(self.act_max), y))
        return quantized(y, self.output.zero_point, self.act_min, self.act_max)

    def _divided(self, acc: Array) -> Array:
        assert self.scale is not None
        with np.errstate(all="ignore"):
            y = acc.astype(F) / self.scale.astype(F)
        low, high = (F(bound - self.output.zero_point) for bound in (self.act_min, self.act_max))
        clamped = np.clip(np.where(np.isnan(y), low, y), low, high).astype(np.float64)
        whole = np.rint(clamped) if self.requant == 4 else np.trunc(clamped + np.copysign(0.5, clamped))
        return whole.astype(np.int64) + self.output.zero_point

    def _fixed64(self, acc: Array) -> Array:
        """In Python's integers, whose shifts round down."""
        assert self.offset64 is not None and self.multiplier is not None and self.shift is not None
        total = acc.astype(object) * self.multiplier.astype(object) + self.offset64.astype(object)
        shift = np.broadcast_to(self.shift.astype(object), total.shape)
        codes = [_floor_or_even(t, s) + self.output.zero_point for t, s in zip(total.flat, shift.flat, strict=True)]
        bounded = [min(max(code, int(self.act_min)), int(self.act_max)) for code in codes]
        return np.array(bounded, np.int64).reshape(acc.shape)

    def _rescaled(self, acc: Array) -> Array:
        if self.requant == 3:
            return self._fixed64(acc)
        assert self.bias is not None and self.shift is not None
        x = wrap(acc + self.bias)
        if self.requant == 1:
            assert self.multiplier is not None
            rounded = fixed_point(x, self.multiplier.astype(np.int64), self.shift.astype(np.int64))
        else:
            rounded = half_even(x, self.shift.astype(np.int64))
        return np.clip(rounded + self.output.zero_point, int(self.act_min), int(self.act_max))


def _floor_or_even(total: int, shift: int) -> int:
    floor = total >> shift
    return floor - floor % 2 if total % (1 << shift) == 0 else floor


def quantized(y: Array, zero_point: int, act_min: float, act_max: float) -> Array:
    """Clamped to [act_min - zp, act_max - zp], NaN to the lower bound, rounded half to even, + zp."""
    low, high = F(act_min - zero_point), F(act_max - zero_point)
    clamped = np.clip(np.where(np.isnan(y), low, y), low, high)
    return np.rint(clamped).astype(np.int64) + zero_point


def wrap(x: Array) -> NDArray[np.int64]:
    return ((x.astype(np.int64) + 2**31) % 2**32) - 2**31


def half_even(x: Array, shift: Array) -> NDArray[np.int64]:
    below = x >> shift
    twice = 2 * (x - (below << shift))
    up = (twice > (1 << shift)) | ((twice == (1 << shift)) & (below % 2 == 1))
    return below + up


def fixed_point(x: Array, multiplier: Array, shift: Array) -> NDArray[np.int64]:
    """TFLite: shift left, doubling high multiply rounded to nearest, shift right rounding half away from zero."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    product = wrap(x << left) * multiplier
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    total = product + nudge
    high = np.where(total >= 0, total >> 31, -((-total) >> 31))
    mask = (np.int64(1) << right) - 1
    remainder = high & mask
    return (high >> right) + (remainder > (mask >> 1) + (high < 0))


# --- weight layouts ---------------------------------------------------------------------------------------------------


def in_groups(codes: Array, groups: int) -> Iterator[Array]:
    """Each group's (Og, kh, kw, Cg)."""
    yield from np.split(codes, groups)


def horizontal(codes: Array) -> bytes:
    """u32 w[Og][kh][kw][CW]"""
    return words(codes < 0).tobytes()


def bitsliced(codes: Array, groups: int) -> bytes:
    """u32 w[ceil(Og/32)][kw][kh*Cg + 1]"""
    result = b""
    for group in in_groups(codes, groups):
        outputs, kernel_h, kernel_w, width = group.shape
        w = np.zeros((-(-outputs // 32), kernel_w, kernel_h * width + 1), "<u4")
        for o, ky in np.ndindex(outputs, kernel_h):
            w[o // 32, :, ky * width : (ky + 1) * width] |= (group[o, ky] < 0) * np.uint32(1 << o % 32)
        result += w.tobytes()
    return result


def channel_blocks(codes: Array, groups: int) -> bytes:
    """bytes w[ceil(Cg/8)][Og][ceil(kh*kw*b/8)]"""
    result = b""
    for group in in_groups(codes, groups):
        for block in range(0, group.shape[3], 8):
            for output in group[..., block : block + 8] < 0:
                result += np.packbits(output.reshape(-1), bitorder="little").tobytes()
    return result


def pair_order(kernel_h: int, row: int) -> list[tuple[int, int]]:
    """(ky, element of the row) in the order of k."""
    even = row // 2 * 2
    order = [(ky, e) for ky in range(kernel_h) for e in range(even)]
    return order + [(ky, row - 1) for ky in range(kernel_h) if row % 2]


def pairs(codes: Array, groups: int) -> bytes:
    """4 bytes w[ceil(Og/2)][ceil(K/2)] = (a.k0, b.k0, a.k1, b.k1)"""
    result = b""
    for group in in_groups(codes, groups):
        outputs, kernel_h, kernel_w, width = group.shape
        rows = group.reshape((outputs, kernel_h, kernel_w * width))
        order = pair_order(kernel_h, kernel_w * width)
        flat = np.zeros((outputs + outputs % 2, len(order) + len(order) % 2), np.int8)
        for k, (ky, e) in enumerate(order):
            flat[:outputs, k] = rows[:, ky, e]
        for a in range(0, len(flat), 2):
            for k in range(0, flat.shape[1], 2):
                result += flat[[a, a + 1, a, a + 1], [k, k, k + 1, k + 1]].tobytes()
    return result


def quads(codes: Array, groups: int) -> bytes:
    """w[ceil(Og/4)][kh][kw][Cg][4]"""
    result = b""
    for group in in_groups(codes, groups):
        padded = np.zeros((-(-len(group) // 4) * 4, *group.shape[1:]), group.dtype)
        padded[: len(group)] = group
        result += padded.reshape((-1, 4, *group.shape[1:])).transpose(0, 2, 3, 4, 1).tobytes()
    return result


def pairs_of_bits(codes: Array, groups: int, bits: int) -> bytes:
    """u32 w[ceil(Og/4)][ceil(ceil(K/2)*bits/4)]: pair j of a word, tap t, output c at bit 16t + 4*bits*j + bits*c; with
    channels in fours, taps 0, 2, 1, 3 of each four"""
    result = b""
    for group in in_groups(codes, groups):
        outputs, kernel_h, kernel_w, width = group.shape
        rows = group.reshape((outputs, kernel_h, kernel_w * width)).astype(np.int64)
        order = pair_order(kernel_h, kernel_w * width)
        if width % 4 == 0:
            order = [order[k - k % 4 + (0, 2, 1, 3)[k % 4]] for k in range(len(order))]
        pairs = -(-len(order) // 2)
        for a in range(0, outputs, 4):
            words = [0] * -(-pairs * bits // 4)
            for k in range(2 * len(words) * (4 // bits)):
                for c in range(4):
                    code = rows[(a + c, *order[k])] if a + c < outputs and k < len(order) else 0
                    at = 16 * (k % 2) + 4 * bits * (k // 2 % (4 // bits)) + bits * c
                    words[k // 2 // (4 // bits)] |= (int(code) + (1 << (bits - 1))) << at
            result += np.array(words, "<u4").tobytes()
    return result


def quads_of_bits(codes: Array, groups: int, bits: int) -> bytes:
    """w[ceil(Og/4)][kh][kw][Cg], the bits of four outputs each"""
    plain = np.frombuffer(quads(codes.astype(np.int8), groups), np.int8).reshape((-1, 4)).astype(np.int64)
    joined = sum((plain[:, c] + (1 << (bits - 1))) << (bits * c) for c in range(4))
    return np.asarray(joined).astype("<u2" if bits == 4 else np.uint8).tobytes()


def depthwise_of_bits(codes: Array, bits: int) -> bytes:
    """bytes w[kh*kw][ceil(Co*bits/8)]"""
    result = b""
    for cell in codes.reshape((codes.shape[0] * codes.shape[1], -1)):
        row = 0
        for c in range(-(-len(cell) * bits // 8) * 8 // bits):
            row |= (int(cell[c] if c < len(cell) else 0) + (1 << (bits - 1))) << (bits * c)
        result += row.to_bytes(-(-len(cell) * bits // 8), "little")
    return result


def depthwise_bits(codes: Array) -> bytes:
    """u32 w[ceil(Co/32)][kh*kw]"""
    flat = codes.reshape((codes.shape[0] * codes.shape[1], -1)) < 0
    return np.ascontiguousarray(words(flat).T).tobytes()


# --- presets ----------------------------------------------------------------------------------------------------------


def planes(numbers: Array, count: int) -> bytes:
    """Two's complement numbers of 32 lanes each: [...][lane] -> [...][plane]."""
    result = np.zeros((*numbers.shape[:-1], count), "<u4")
    for plane in range(count):
        for lane in range(32):
            result[..., plane] |= (((numbers[..., lane] >> plane) & 1) << lane).astype(np.uint32)
    return result.tobytes()


def preset_planes(taps: int) -> int:
    return max(7, int(np.ceil(np.log2(taps + 2))) + 1)


@dataclass(frozen=True, eq=False)
class Presets:
    """ones, zeros and sums of a bit-sliced convolution; `outputs` before the pool."""

    codes: Array
    params: ConvParams
    tensor: Tensor
    outputs: tuple[int, int]
    thresholds: Array | None = None
    inside: list[Array] = field(init=False)  # mask of counted taps of each class

    def __post_init__(self) -> None:
        kernel = self.codes.shape[1:3]
        masks = [np.ones(kernel, np.bool_)]
        if self.params.pad_value == 0:
            y, x = axes_of(self.params, self.tensor)
            masks = []
            for rows in y.classes(self.outputs[0]):
                for columns in x.classes(self.outputs[1]):
                    mask = np.zeros(kernel, np.bool_)
                    mask[np.ix_(rows, columns)] = True
                    masks.append(mask)
        object.__setattr__(self, "inside", masks)

    def _lanes(self, values: Array, missing: int) -> Array:
        """Per output -> [group][block][lane]."""
        grouped = values.reshape((self.params.groups, -1))
        tail = -grouped.shape[1] % 32
        return np.pad(grouped, [(0, 0), (0, tail)], constant_values=missing).reshape((self.params.groups, -1, 32))

    def _minus(self, mask: Array) -> Array:
        return ((self.codes < 0) & mask[None, :, :, None]).sum(axis=(1, 2, 3))

    def _count(self) -> int:
        return preset_planes(int(np.prod(self.codes.shape[1:])))

    def sums(self) -> bytes:
        return b"".join(planes(self._lanes(-self._minus(m), 0), self._count()) for m in self.inside)

    def _limit(self, inputs: int) -> Array:
        assert self.thresholds is not None
        return np.clip((inputs - self.thresholds.astype(np.int64)) // 2, -1, inputs)

    def ones(self) -> bytes:
        result = b""
        for mask in self.inside:
            inputs = int(mask.sum()) * self.codes.shape[3]
            result += planes(self._lanes(self._limit(inputs) - self._minus(mask), inputs), self._count())
        return result

    def zeros(self) -> bytes:
        taps = int(np.prod(self.codes.shape[1:]))
        full = np.ones(self.codes.shape[1:3], np.bool_)
        return planes(self._lanes(-(self._limit(taps) + self._minus(full)) - 1, -taps - 1), self._count())


def depthwise_presets(thresholds: Array, taps: int) -> bytes:
    numbers = np.clip(thresholds.astype(np.int64), -taps, taps + 1) - taps - 1
    padded = np.pad(numbers, (0, -len(numbers) % 32), constant_values=-2 * taps - 1).reshape((-1, 32))
    return planes(padded, int(np.ceil(np.log2(2 * taps + 1))) + 1)
