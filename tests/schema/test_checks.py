"""Numbers of checks (interpreter_c/src/checks.def) are kept forever: devices in the field report them.

FROZEN lists the names in the order of their numbers, from 1 on. A new check is appended and takes the next number; a
name may only change if it means the same."""

from __future__ import annotations

import re
from pathlib import Path

FROZEN = """
    kernel_id input_count constant_count params_missing input_type output_type quantization rank merged_rows
    channels output_height output_width output_shape broadcast window_outside view_range reserved kernel_size
    stride dilation up pool groups multiplier requant half_weights pad_value activation_range accumulator kind
    alpha per_channel axis repeat padding scratch weight_bytes preset_bytes epilogue_bytes flip_bytes
    constant_bytes weight_padding preset_padding flip_padding threshold fixed_point inverse_scale
    epilogue_finite weight_finite preset_value tensor_dtype tensor_rank tensor_size tensor_quantization
    tensor_place constant_place port_tensor port_overlap tensor_index constant_index params_present
    scratch_place scratch_overlap output_overlap defined_before_use overwritten_before_use kernel_bitmap
    no_variant work fixed_params divisor index
    tensor_rows segment_nodes segment_call segment_overlap segment_place segment_stalls
    weight_bits fed_input
""".split()


def declared(repo: Path) -> list[tuple[int, str]]:
    text = (repo / "interpreter_c" / "src" / "checks.def").read_text()
    return [(int(n), name) for n, name in re.findall(r"^DQNN_(?:LOAD_)?CHECK\((\d+), (\w+),", text, re.MULTILINE)]


def test_numbers_are_frozen(repo: Path) -> None:
    assert dict(enumerate(FROZEN, start=1)) == dict(declared(repo))


def test_no_number_is_used_twice(repo: Path) -> None:
    """The table of statuses has an entry for each, and no gaps."""
    assert sorted(number for number, _ in declared(repo)) == list(range(1, len(FROZEN) + 1))


def test_every_line_is_seen(repo: Path) -> None:
    text = (repo / "interpreter_c" / "src" / "checks.def").read_text()
    assert len(re.findall(r"^DQNN_", text, re.MULTILINE)) == len(FROZEN)
