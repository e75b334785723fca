"""Layers as large as kernels for hosts want them: maps of many pixels, more channels than a block of sorted weights,
depthwise ones of more than a chunk of channels. The grid's are small."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pytest

from dqnn.exporter.format import ConvParams

from . import cases
from .harness import BY_NAME, Seeded, check
from .spec import Tensor
from .test_grid import usable

Size: TypeAlias = tuple[int, int]
Layer: TypeAlias = tuple[Size, Size, dict[str, Any]]  # of the map and of the kernel; more of ConvParams

# (height, width), channels, outputs, (kernel height, width), more of ConvParams
CONVOLUTIONS: dict[str, tuple[Size, int, int, Size, dict[str, Any]]] = {
    "pointwise, two blocks": ((4, 5), 24, 300, (1, 1), {}),
    "pointwise, in place but for its last taps": ((3, 7), 6, 48, (1, 1), {}),
    "one channel": ((6, 6), 1, 17, (1, 1), {}),
    "first layer": ((9, 11), 3, 8, (3, 3), {"pad_top": 1, "pad_left": 1, "stride_h": 2, "stride_w": 2}),
    "rows of words": ((7, 6), 4, 33, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "blocks of 32 outputs": ((4, 4), 100, 70, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "the longest windows": ((4, 4), 384, 34, (2, 2), {}),
    "longer ones": ((4, 4), 385, 34, (2, 2), {}),
    "groups": ((5, 5), 24, 72, (3, 3), {"groups": 2, "pad_top": 1, "pad_left": 1}),
    "dilated": ((9, 9), 8, 20, (3, 3), {"dilation_h": 2, "dilation_w": 2}),
    "dilated rows": ((9, 9), 8, 20, (3, 3), {"dilation_h": 3}),
    "between inputs": ((5, 5), 8, 20, (3, 3), {"up_h": 2, "up_w": 2, "pad_top": 1, "pad_left": 1}),
    "pooled": ((8, 8), 12, 40, (3, 3), {"pool_h": 2, "pool_w": 2, "pad_top": 1, "pad_left": 1}),
    "halves": ((5, 5), 12, 40, (3, 3), {"half_weights": 1, "pad_top": 1, "pad_left": 1}),
    "a sequence": ((1, 40), 5, 19, (1, 9), {"pad_left": 4}),
    # Inputs are read in patches of 8,192 halfwords, or 16,384 bytes.
    "several patches": ((41, 50), 12, 9, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "several patches, pooled": ((60, 41), 10, 9, (3, 3), {"pool_h": 3, "pool_w": 2, "pad_top": 1, "pad_left": 1}),
    "pieces of rows": ((4, 700), 13, 9, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "pieces of rows, pooled": ((6, 700), 13, 9, (3, 3), {"pool_h": 2, "pool_w": 2, "stride_w": 2, "pad_left": 1}),
    "rows that no window meets": ((60, 40), 9, 6, (2, 2), {"stride_h": 5, "stride_w": 4}),
    "pointwise, every third": ((50, 50), 16, 6, (1, 1), {"stride_h": 3, "stride_w": 3}),
    "between inputs, several patches": ((41, 19), 8, 9, (3, 3), {"up_h": 2, "up_w": 2, "pad_top": 1, "pad_left": 1}),
    "dilated, odd channels": ((9, 9), 5, 20, (3, 3), {"dilation_h": 2, "dilation_w": 2}),
    "dilated, words that are no columns": ((9, 9), 6, 20, (3, 3), {"dilation_w": 2, "pad_left": 2}),
    "dilated beyond a patch": ((402, 4), 48, 9, (2, 1), {"dilation_h": 380}),
    "groups, several patches": ((41, 30), 18, 34, (3, 3), {"groups": 2, "pad_top": 1, "pad_left": 1}),
    "halves, several patches": ((41, 30), 10, 34, (3, 3), {"half_weights": 1, "pad_top": 1, "pad_left": 1}),
    # Without AVX-512: Winograd's tiles, four of 2x2 outputs at a time.
    "tiles": ((8, 8), 16, 16, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "tiles, part of them": ((13, 15), 32, 13, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "tiles, no padding": ((9, 18), 48, 24, (3, 3), {}),
    "tiles, several patches": ((41, 31), 16, 9, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "tiles, two blocks": ((7, 8), 64, 72, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "tiles, most channels": ((8, 6), 96, 40, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "tiles, groups": ((8, 8), 64, 40, (3, 3), {"groups": 2, "pad_top": 1, "pad_left": 1}),
    "tiles, between inputs": ((5, 9), 16, 20, (3, 3), {"up_h": 2, "up_w": 2, "pad_top": 1, "pad_left": 1}),
    "tiles, pooled": ((16, 16), 16, 20, (3, 3), {"pool_h": 2, "pool_w": 2, "pad_top": 1, "pad_left": 1}),
    "tiles, pooled, patches": ((42, 15), 32, 9, (3, 3), {"pool_h": 2, "pool_w": 2, "pad_top": 1, "pad_left": 1}),
}  # fmt: skip
# Weights of few bits are read as the file has them where few windows meet them, or windows are long.
FEW_WINDOWS: dict[str, tuple[Size, int, int, Size, dict[str, Any]]] = {
    "dense": ((1, 1), 200, 70, (1, 1), {}),
    "dense, odd": ((1, 1), 77, 37, (1, 1), {}),
    "dense, no whole words": ((1, 1), 41, 9, (1, 1), {}),
    "dense, long": ((1, 1), 4620, 5, (1, 1), {}),
    "few windows": ((3, 3), 68, 21, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "few windows, odd rows": ((3, 3), 11, 21, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "few windows, halves": ((3, 3), 20, 21, (3, 3), {"half_weights": 1, "pad_top": 1, "pad_left": 1}),
}  # fmt: skip
DEPTHWISE: dict[str, tuple[Size, int, Size, dict[str, Any]]] = {
    "eight": ((6, 7), 8, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "more than a chunk": ((4, 4), 136, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "a last vector that overlaps": ((4, 4), 13, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "a chunk and some": ((4, 4), 133, (3, 3), {}),
    "a chunk and a vector that overlaps": ((4, 4), 139, (3, 3), {"pad_top": 1, "pad_left": 1}),
    # Windows of 3x3 are summed for at most 64 outputs, whose inputs take up to 16,384 bytes.
    "several patches": ((19, 17), 12, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "pieces of rows": ((3, 150), 9, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "pieces of rows, no room": ((5, 90), 120, (3, 3), {"stride_w": 3, "pad_top": 1, "pad_left": 1}),
    "strides beyond the kernel": ((30, 31), 8, (3, 3), {"stride_h": 4, "stride_w": 5, "pad_top": 1, "pad_left": 2}),
    "dilated beyond a patch": ((40, 40), 8, (3, 3), {"dilation_h": 12, "dilation_w": 3, "pad_left": 3}),
    "nothing but padding": ((2, 2), 8, (3, 3), {"pad_top": 3, "pad_left": 4}),
    "one column": ((70, 1), 11, (3, 3), {"pad_top": 1, "pad_left": 1}),
    "halves, several patches": ((17, 9), 19, (3, 3), {"half_weights": 1, "pad_top": 1, "pad_left": 1}),
    "stride": ((9, 9), 16, (3, 3), {"stride_h": 2, "stride_w": 2, "pad_top": 1, "pad_left": 1}),
    "5x5": ((8, 8), 24, (5, 5), {"pad_top": 2, "pad_left": 2}),
    "even taps": ((6, 6), 24, (2, 4), {"pad_left": 1}),
    "as many taps as fit": ((9, 9), 16, (4, 8), {}),
    "one more": ((12, 4), 16, (11, 3), {"pad_left": 1}),
    "dilated": ((9, 9), 16, (3, 3), {"dilation_h": 2, "dilation_w": 3, "pad_top": 2, "pad_left": 3}),
    "pooled": ((8, 8), 16, (3, 3), {"pool_h": 2, "pool_w": 2, "pad_top": 1, "pad_left": 1}),
    "halves": ((5, 5), 16, (3, 3), {"half_weights": 1, "pad_top": 1, "pad_left": 1}),
}  # fmt: skip
KERNELS = ("s8_s8_s1", "s8_s8_s8", "s8_s8_f32")


def outputs_of(size: int, kernel: int, params: ConvParams, axis: str) -> int:
    stride, dilation, up, pool = (getattr(params, f"{name}_{axis}") for name in ("stride", "dilation", "up", "pool"))
    pad = 2 * (params.pad_top if axis == "h" else params.pad_left)
    return int((((size - 1) * up + 1 + pad - (kernel - 1) * dilation - 1) // stride + 1) // pool)


def check_layer(name: str, layer: Layer, weights_shape: tuple[int, ...], channels: int, outputs: int) -> None:
    """Four draws of rule, zero points and contents."""
    size, kernel_size, more = layer
    kernel = usable(BY_NAME[name])
    for seed in range(4):
        draw, rng = Seeded(seed, outputs), np.random.default_rng(seed)
        params = ConvParams(*kernel_size, pad_value=cases.pad_value(kernel.input, draw), **more)
        map_size = (
            outputs_of(size[0], params.kernel_h, params, "h"),
            outputs_of(size[1], params.kernel_w, params, "w"),
        )
        source = cases.tensor((*size, channels), kernel.input, draw)
        target = cases.tensor((*map_size, outputs), kernel.output, draw)
        weights = cases.codes(kernel.weights, weights_shape, rng, params.weight_bits or 8)
        check(cases.finish_conv(kernel, source, target, weights, params, draw, rng))


def each(names: list[str], layers: Iterable[str]) -> list[tuple[str, str]]:
    """Weights with zero points are whole."""
    return [(name, layer) for name in names for layer in layers if "z_" not in name or not layer.startswith("halves")]


@pytest.mark.parametrize(
    ("name", "layer"), each([f"conv_{types}" for types in KERNELS] + ["conv_s1_s8_s8", "convz_s8_s8_s8"], CONVOLUTIONS)
)
def test_convolution(name: str, layer: str) -> None:
    size, channels, outputs, kernel, more = CONVOLUTIONS[layer]
    shape = (outputs, *kernel, channels // more.get("groups", 1))
    check_layer(name, (size, kernel, more), shape, channels, outputs)


def test_tiles_hold_extreme_weights() -> None:
    """Sums of nine weights and sums of inputs have to fit halfwords, and their products 32 bits."""
    kernel, rng = usable(BY_NAME["conv_s8_s8_f32"]), np.random.default_rng(0)
    for zero_point in (-128, 127):
        draw = Seeded(zero_point + 128)
        source = Tensor((8, 8, 96), "s8", 0.5, zero_point)
        target = cases.tensor((8, 8, 8), kernel.output, draw)
        weights = rng.choice(np.array([-128, 127], np.int8), (8, 3, 3, 96))
        weights[:2] = np.array([-128, 127], np.int8)[:, None, None, None]
        params = ConvParams(3, 3, pad_top=1, pad_left=1, pad_value=float(-1 - zero_point))
        check(cases.finish_conv(kernel, source, target, weights, params, draw, rng))


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize(("name", "layer"), each(["conv_s8_s8_s8", "conv_s1_s8_s8"], {**CONVOLUTIONS, **FEW_WINDOWS}))
def test_convolution_with_packed_weights(name: str, layer: str, bits: int) -> None:
    size, channels, outputs, kernel, more = {**CONVOLUTIONS, **FEW_WINDOWS}[layer]
    shape = (outputs, *kernel, channels // more.get("groups", 1))
    check_layer(name, (size, kernel, {**more, "weight_bits": bits}), shape, channels, outputs)


@pytest.mark.parametrize(
    ("name", "layer"), each([f"depthwise_{types}" for types in KERNELS] + ["depthwisez_s8_s8_s8"], DEPTHWISE)
)
def test_depthwise(name: str, layer: str) -> None:
    size, channels, kernel, more = DEPTHWISE[layer]
    check_layer(name, (size, kernel, more), (*kernel, channels, 1), channels, channels)
