"""What kernels take at most, as the C sources say it: nothing is typed twice."""

from __future__ import annotations

from dqnn._core import limits

_LIMITS = limits()
MOST_INPUTS = _LIMITS["inputs"]  # of a call
MOST_BITSLICED_TAPS = _LIMITS["bitsliced_taps"]  # of a window of binary products
MOST_KERNEL_SIZE = _LIMITS["kernel_size"]  # height and width of a convolution's kernel
MOST_SHIFT = _LIMITS["shift"]  # of a fixed-point requantization
MOST_WIDE_SHIFT = _LIMITS["wide_shift"]  # of one in 64 bits
