"""How weights lie in a file: schema/SPEC.md 3.3 and 3.4, each layout with the function that reads it back.

Weights come as codes in OHWI order (output, kernel height, kernel width, channels of the group), depthwise ones as
(kernel height, kernel width, channels, multiplier). s1 codes are +1/-1; a set bit stands for -1. Results are
little-endian numpy arrays whose bytes are the constant. `unpack_*` invert `pack_*` given the original shape, for tests
and for `dqnn inspect`."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Bits: TypeAlias = NDArray[np.bool_]
Words: TypeAlias = NDArray[np.uint32]
Shape: TypeAlias = tuple[int, ...]

WORD = 32
BLOCK = 8  # channels that conv_s8_s1 and conv_f32_s1 keep together


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


# --- bits and words ---------------------------------------------------------------------------------------------------


def pack_words(bits: Bits) -> Words:
    """Bits of the last axis -> 32-bit words, LSB first, tail bits 0."""
    tail = -bits.shape[-1] % WORD
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, tail)])
    packed = np.packbits(padded, axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u4")


def unpack_words(words: Words, count: int) -> Bits:
    """The first `count` bits of the words of the last axis."""
    octets = np.ascontiguousarray(words, dtype="<u4").view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=count, bitorder="little").astype(np.bool_)


def pack_signs(codes: Array) -> Words:
    """+1/-1 -> words along the last axis."""
    return pack_words(codes < 0)


def signs(bits: Bits) -> NDArray[np.int8]:
    """Bit -> +1 (clear) or -1 (set)."""
    return np.where(bits, np.int8(-1), np.int8(1))


def pack_planes(values: NDArray[np.int64], count: int) -> Words:
    """Two's complement numbers, 32 to a block on the last axis -> `count` words, word p holding bit p of each."""
    shifts = np.arange(count).reshape((count, 1))
    return pack_words(((values[..., None, :] >> shifts) & 1).astype(np.bool_))[..., 0]


def unpack_planes(planes: Words) -> NDArray[np.int64]:
    """Inverse of `pack_planes`: (..., count) words -> (..., 32) numbers."""
    count = planes.shape[-1]
    bits = unpack_words(planes[..., None], WORD).astype(np.int64)  # (..., count, 32)
    weight = np.left_shift(1, np.arange(count, dtype=np.int64))
    weight[-1] = -weight[-1]
    return np.asarray(np.sum(bits * weight[:, None], axis=-2))


def _grouped(codes: Array, groups: int) -> Array:
    """(O, ...) -> (G, Og, ...)."""
    return codes.reshape((groups, codes.shape[0] // groups, *codes.shape[1:]))


def _pad_axis(array: Array, axis: int, multiple: int) -> Array:
    """Zeros after the end of an axis up to the next multiple."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, widths)


# --- conv_s1_s1: bit-sliced -------------------------------------------------------------------------------------------


def pack_bitsliced(codes: Array, groups: int) -> Words:
    """w[G][ceil(Og/32)][kw][kh*Cg + 1]: bit l is the weight of output 32*block + l; the last word of each column is
    0."""
    out, kh, kw, cg = codes.shape
    og = out // groups
    bits = np.moveaxis(_grouped(codes < 0, groups), 1, -1)  # G, kh, kw, Cg, Og
    words = pack_words(bits)  # G, kh, kw, Cg, blocks
    columns = words.transpose(0, 4, 2, 1, 3).reshape((groups, ceil_div(og, WORD), kw, kh * cg))
    return np.pad(columns, [(0, 0)] * 3 + [(0, 1)])


def unpack_bitsliced(data: bytes, shape: Shape, groups: int) -> NDArray[np.int8]:
    out, kh, kw, cg = shape
    og = out // groups
    columns = np.frombuffer(data, "<u4").reshape((groups, ceil_div(og, WORD), kw, kh * cg + 1))[..., :-1]
    words = columns.reshape((groups, -1, kw, kh, cg)).transpose(0, 3, 2, 4, 1)
    bits = unpack_words(words, og)  # G, kh, kw, Cg, Og
    return signs(np.moveaxis(bits, -1, 1).reshape(shape))


def plane_count(taps: int) -> int:
    """np of SPEC.md 3.4 for `taps` = K."""
    return max(7, (taps + 1).bit_length() + 1)  # bit_length(n - 1) = ceil(log2(n))


def inside_classes(size: int, kernel: int, stride: int, dilation: int, before: int, out: int) -> Bits:
    """(classes, kernel): the runs of equal sets of kernel cells inside the map along one axis, in order of
    appearance."""
    taps = np.arange(kernel) * dilation - before
    position = np.arange(out)[:, None] * stride + taps[None, :]
    inside = (position >= 0) & (position < size)
    starts = np.ones(out, dtype=np.bool_)
    starts[1:] = (inside[1:] != inside[:-1]).any(axis=1)
    return np.asarray(inside[starts])


def window_classes(rows: Bits, columns: Bits) -> Bits:
    """(row classes * column classes, kh, kw) masks of inside taps."""
    both = rows[:, None, :, None] & columns[None, :, None, :]
    return both.reshape((-1, rows.shape[1], columns.shape[1]))


def minus_counts(codes: Array, masks: Bits, groups: int) -> NDArray[np.int64]:
    """S(class, o) as (classes, G, blocks * 32): number of -1 weights at inside taps; missing outputs 0."""
    per_tap = np.count_nonzero(codes < 0, axis=3).reshape((codes.shape[0], -1))  # O, kh*kw
    counts = masks.reshape((len(masks), -1)).astype(np.int64) @ per_tap.T.astype(np.int64)
    return _pad_axis(counts.reshape((len(masks), groups, -1)), 2, WORD)


# --- the other layouts ------------------------------------------------------------------------------------------------


def pack_horizontal(codes: Array) -> Words:
    """convh_s1_s1: w[O][kh][kw][ceil(Cg/32)]."""
    return pack_signs(codes)


def unpack_horizontal(data: bytes, shape: Shape) -> NDArray[np.int8]:
    words = np.frombuffer(data, "<u4").reshape((*shape[:-1], ceil_div(shape[-1], WORD)))
    return signs(unpack_words(words, shape[-1]))


def pack_channel_blocks(codes: Array, groups: int) -> NDArray[np.uint8]:
    """conv_s8_s1, conv_f32_s1: w[G][ceil(Cg/8)][Og][ceil(kh*kw*b/8)] bytes, bits in order (ky, kx, channel of the
    block)."""
    bits = _grouped(codes < 0, groups)  # G, Og, kh, kw, Cg
    og, cg = bits.shape[1], bits.shape[4]
    parts = []
    for group in bits:
        for start in range(0, cg, BLOCK):
            flat = group[..., start : start + BLOCK].reshape((og, -1))
            parts.append(np.packbits(flat, axis=1, bitorder="little").reshape(-1))
    return np.concatenate(parts)


def unpack_channel_blocks(data: bytes, shape: Shape, groups: int) -> NDArray[np.int8]:
    out, kh, kw, cg = shape
    og = out // groups
    octets = np.frombuffer(data, np.uint8)
    bits = np.zeros((groups, og, kh, kw, cg), dtype=np.bool_)
    at = 0
    for group in bits:
        for start in range(0, cg, BLOCK):
            b = min(BLOCK, cg - start)
            row = ceil_div(kh * kw * b, 8)
            part = octets[at : at + og * row].reshape((og, row))
            at += og * row
            flat = np.unpackbits(part, axis=1, count=kh * kw * b, bitorder="little")
            group[..., start : start + b] = flat.reshape((og, kh, kw, b))
    return signs(bits.reshape(shape))


def _pair_order(kh: int, kw: int, cg: int) -> NDArray[np.int64]:
    """Order of k for the interleaved layout: even part of each kernel row, then the odd last elements; without the
    final padding."""
    n = kw * cg
    index = np.arange(kh * n).reshape((kh, n))
    even = n - n % 2
    return np.concatenate([index[:, :even].reshape(-1), index[:, even:].reshape(-1)])


def pack_pairs(codes: Array, groups: int) -> NDArray[np.int8]:
    """conv_s8_s8, conv_s1_s8: w[G][ceil(Og/2)][ceil(K/2)][4] = (a.k0, b.k0, a.k1, b.k1)."""
    out, kh, kw, cg = codes.shape
    ordered = codes.reshape((groups, out // groups, -1))[..., _pair_order(kh, kw, cg)]
    padded = _pad_axis(_pad_axis(ordered, 1, 2), 2, 2)
    pairs = padded.reshape((groups, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2))
    return np.ascontiguousarray(pairs.transpose(0, 1, 3, 4, 2).reshape((groups, pairs.shape[1], -1, 4)), dtype=np.int8)


def unpack_pairs(data: bytes, shape: Shape, groups: int) -> NDArray[np.int8]:
    out, kh, kw, cg = shape
    og, taps = out // groups, kh * kw * cg
    pairs = np.frombuffer(data, np.int8).reshape((groups, ceil_div(og, 2), ceil_div(taps, 2), 2, 2))
    ordered = pairs.transpose(0, 1, 4, 2, 3).reshape((groups, -1, ceil_div(taps, 2) * 2))[:, :og, :taps]
    codes = np.empty((groups, og, taps), np.int8)
    codes[..., _pair_order(kh, kw, cg)] = ordered
    return codes.reshape(shape)


def pack_quads(codes: Array, groups: int) -> Array:
    """conv_*_f32, conv_f32_s8: w[G][ceil(Og/4)][kh][kw][Cg][4], missing outputs 0."""
    padded = _pad_axis(_grouped(codes, groups), 1, 4)
    quads = padded.reshape((groups, padded.shape[1] // 4, 4, *padded.shape[2:]))
    return np.ascontiguousarray(np.moveaxis(quads, 2, -1))


def unpack_quads(data: bytes, shape: Shape, groups: int, dtype: str) -> Array:
    out, kh, kw, cg = shape
    og = out // groups
    quads = np.frombuffer(data, dtype).reshape((groups, ceil_div(og, 4), kh, kw, cg, 4))
    return np.moveaxis(quads, -1, 2).reshape((groups, -1, kh, kw, cg))[:, :og].reshape(shape)


def pack_depthwise_bits(codes: Array) -> Words:
    """depthwise_*_s1: w[ceil(Co/32)][kh*kw], bit l the weight of output channel 32*block + l."""
    kh, kw = codes.shape[:2]
    return np.ascontiguousarray(pack_words((codes < 0).reshape((kh * kw, -1))).T)


def unpack_depthwise_bits(data: bytes, shape: Shape) -> NDArray[np.int8]:
    kh, kw, channels, multiplier = shape
    words = np.frombuffer(data, "<u4").reshape((-1, kh * kw)).T
    return signs(unpack_words(words, channels * multiplier).reshape(shape))


def pack_depthwise_plain(codes: Array) -> Array:
    """depthwise_*_s8, depthwise_*_f32: w[kh*kw][Co]."""
    return np.ascontiguousarray(codes)


def unpack_depthwise_plain(data: bytes, shape: Shape, dtype: str) -> Array:
    return np.frombuffer(data, dtype).reshape(shape)


# --- s8 weights of 4 and 2 bits ---------------------------------------------------------------------------------------


def _packed_order(kh: int, kw: int, cg: int) -> NDArray[np.int64]:
    """Order of k for packed pairs: as for 8 bits, but 0, 2, 1, 3 within fours where channels come in fours."""
    order = _pair_order(kh, kw, cg)
    return order.reshape((-1, 4))[:, [0, 2, 1, 3]].reshape(-1) if cg % 4 == 0 else order


def _join_bits(codes: Array, bits: int) -> NDArray[np.uint8]:
    """Codes of the last axis as bytes, the first in the lowest bits; each counts from 0 on."""
    count = 8 // bits
    stored = _pad_axis((codes.astype(np.int16) + (1 << (bits - 1))).astype(np.uint8), -1, count)
    parts = stored.reshape((*stored.shape[:-1], -1, count)) << (bits * np.arange(count, dtype=np.uint8))
    return np.asarray(np.bitwise_or.reduce(parts, axis=-1), np.uint8)


def _split_bits(octets: NDArray[np.uint8], bits: int) -> NDArray[np.int8]:
    """Inverse of `_join_bits`; the last axis is 8 / bits times as long."""
    parts = octets[..., None] >> (bits * np.arange(8 // bits, dtype=np.uint8)) & ((1 << bits) - 1)
    return (parts.astype(np.int8) - (1 << (bits - 1))).reshape((*octets.shape[:-1], -1))


def pack_packed_pairs(codes: Array, groups: int, bits: int) -> NDArray[np.uint8]:
    """conv_s8_s8, conv_s1_s8: u32 w[G][ceil(Og/4)][ceil(P*bits/4)] of P pairs of taps; pair j of a word has tap t of
    output c at bit 16*t + 4*bits*j + bits*c."""
    out, kh, kw, cg = codes.shape
    ordered = codes.reshape((groups, out // groups, -1))[..., _packed_order(kh, kw, cg)]
    per_word = 4 // bits
    padded = _pad_axis(_pad_axis(ordered, 1, 4), 2, 2 * per_word)
    words = padded.reshape((groups, padded.shape[1] // 4, 4, -1, per_word, 2))  # c, word, j, t
    return _join_bits(words.transpose(0, 1, 3, 5, 4, 2).reshape((groups, padded.shape[1] // 4, -1)), bits)


def unpack_packed_pairs(data: bytes, shape: Shape, groups: int, bits: int) -> NDArray[np.int8]:
    out, kh, kw, cg = shape
    og, taps, per_word = out // groups, kh * kw * cg, 4 // bits
    stored = np.frombuffer(data, np.uint8).reshape((groups, ceil_div(og, 4), -1))
    words = _split_bits(stored, bits).reshape((groups, ceil_div(og, 4), -1, 2, per_word, 4))
    ordered = words.transpose(0, 1, 5, 2, 4, 3).reshape((groups, ceil_div(og, 4) * 4, -1))[:, :og, :taps]
    codes = np.empty((groups, og, taps), np.int8)
    codes[..., _packed_order(kh, kw, cg)] = ordered
    return codes.reshape(shape)


def pack_packed_quads(codes: Array, groups: int, bits: int) -> NDArray[np.uint8]:
    """conv_f32_s8: the bits of four outputs side by side, w[G][ceil(Og/4)][kh][kw][Cg]."""
    return _join_bits(pack_quads(codes, groups).reshape(-1), bits)


def unpack_packed_quads(data: bytes, shape: Shape, groups: int, bits: int) -> NDArray[np.int8]:
    plain = _split_bits(np.frombuffer(data, np.uint8), bits)
    return np.asarray(unpack_quads(plain.tobytes(), shape, groups, "i1"), np.int8)


def pack_packed_depthwise(codes: Array, bits: int) -> NDArray[np.uint8]:
    """depthwise_*_s8: bytes w[kh*kw][ceil(Co*bits/8)]."""
    kh, kw = codes.shape[:2]
    return _join_bits(codes.reshape((kh * kw, -1)), bits)


def unpack_packed_depthwise(data: bytes, shape: Shape, bits: int) -> NDArray[np.int8]:
    kh, kw, channels, multiplier = shape
    rows = _split_bits(np.frombuffer(data, np.uint8).reshape((kh * kw, -1)), bits)
    return np.ascontiguousarray(rows[:, : channels * multiplier]).reshape(shape)
