"""Writes one of the digits of examples/digits as an image file: python digit.py NUMBER FILE.pgm"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(number: str, path: str) -> None:
    digit = np.load(Path(__file__).parents[1] / "digits" / "digits_test.npz")["x"][int(number), :, :, 0]
    samples = np.round(digit * 128 + 128).astype(np.uint8)  # of -1 to 1
    height, width = samples.shape
    Path(path).write_bytes(b"P5\n%d %d\n255\n" % (width, height) + samples.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
