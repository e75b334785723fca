"""The vendor's published type combinations (documents of 2022), and all 27 that exist here.

A row is (name, input, weights, output, bias) with formats s1, s8, f32; `bias` s32 marks the TFLite int8 rows, which
test_tflite_rows.py holds against TFLite itself. docs/support.md is made from this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One published combination; `dorefa` rows use Larq's 8-bit DoReFa for input and kernel."""

    name: str
    input: str
    weights: str
    output: str
    bias: str
    dorefa: bool = False


DENSE = tuple(
    Row(f"D{i}", *formats)
    for i, formats in enumerate(
        (
            ("s1", "s1", "s1", "s1"),
            ("s1", "s1", "s1", "f32"),
            ("s1", "s8", "s1", "s1"),
            ("s1", "s1", "s8", "s8"),
            ("s1", "s8", "s8", "s8"),
            ("s1", "s1", "f32", "s1"),
            ("s1", "s1", "f32", "f32"),
            ("s1", "s8", "f32", "s8"),
            ("s1", "f32", "f32", "f32"),
            ("s8", "s1", "s1", "s1"),
            ("s8", "s1", "s8", "s1"),
            ("s8", "s1", "f32", "s1"),
            ("s8", "s8", "s8", "s8"),
            ("s8", "s8", "s8", "s32"),
            ("s8", "s1", "f32", "f32"),
            ("f32", "s1", "s1", "s1"),
            ("f32", "s1", "s1", "f32"),
            ("f32", "s1", "f32", "s1"),
            ("f32", "s1", "f32", "f32"),
        ),
        start=1,
    )
)
CONV = (
    Row("C1", "s1", "s1", "s1", "s1"),
    Row("C2", "s1", "s1", "s8", "s8"),
    Row("C3", "s1", "s1", "s8", "f32"),
    Row("C4", "s1", "s1", "f32", "f32"),
    Row("C5", "s8", "s8", "s1", "s8"),
    Row("C6", "s8", "s8", "s1", "none", dorefa=True),
    Row("C7", "s8", "s8", "s8", "s8"),
    Row("C8", "s8", "s8", "s8", "s32"),
)
FORMATS = ("s1", "s8", "f32")
ALL_27 = tuple(Row(f"{a}x{w}_{o}", a, w, o, "f32") for a in FORMATS for w in FORMATS for o in FORMATS)
