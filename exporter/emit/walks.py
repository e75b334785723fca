"""How the calls of a program walk along axis 0, and about what their rows cost: what strips.py plans with.

A node walks if its kernel computes rows from rows (SPEC.md section 5) and its plan accepts one row of them; which
costs it has is an estimate for a Cortex-M4: of convolutions from costs.json, for which `dqnn bench --costs` measures
strips of 1 and of 4 rows, of others from `dqnn bench` on networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..format import ConvParams, PoolParams
from ..ir.types import TensorType, dtype_name
from .kernel_table import KernelRefusedError, Packed, PlanResult, plan, rows
from .memory import Problem
from .strips import MOST_ROWS, Rows, Walk
from .ways import table

FAMILIES = {
    "conv_bitsliced", "conv", "convz", "depthwise", "depthwisez", "maxpool", "avgpool", "avgpool_raw", "affine", "lut",
    "lut_channels", "unary", "prelu", "softmax", "softmax_fixed", "layernorm", "binary", "binary_fixed",
}  # fmt: skip
ROW_RANKS = (2, 3)


class CallLike(Protocol):
    """writer.Call."""

    @property
    def packed(self) -> Packed: ...
    @property
    def plan(self) -> PlanResult: ...
    @property
    def inputs(self) -> tuple[int, ...]: ...
    @property
    def output(self) -> int: ...


class ProgramLike(Protocol):
    """writer.Program."""

    @property
    def tensors(self) -> tuple[TensorType, ...]: ...
    @property
    def buffer_of(self) -> tuple[int, ...]: ...
    @property
    def calls(self) -> Sequence[CallLike]: ...
    @property
    def inputs(self) -> tuple[int, ...]: ...


def rows_of(program: ProgramLike, problem: Problem, order: Sequence[int], fed: int | None = None) -> Rows:
    """The problem in this order, with what is known of its rows; `fed`: the input's buffer that is to be a strip."""
    written = {program.buffer_of[t]: t for t in (*program.inputs, *(call.output for call in program.calls))}
    heights = [1] * len(problem.sizes)
    for buffer, tensor in written.items():
        shape = program.tensors[tensor].shape
        heights[buffer] = shape[0] if len(shape) in ROW_RANKS else 1
    calls = [program.calls[node] for node in order]
    return Rows(
        replace(problem, steps=tuple(problem.steps[node] for node in order)),
        tuple(heights),
        tuple(_walk(call, program.tensors) for call in calls),
        tuple(tuple(written[program.buffer_of[t]] == t for t in call.inputs) for call in calls),
        fed,
    )


@dataclass(frozen=True)
class _Window:
    size: int
    stride: int
    pad: int


def _walk(call: CallLike, tensors: Sequence[TensorType]) -> Walk | None:
    inputs, output = [tensors[t] for t in call.inputs], tensors[call.output]
    rank = len(output.shape)
    if rows()[call.packed.kernel].family not in FAMILIES or rank not in ROW_RANKS or not 1 <= len(inputs) <= 2:
        return None
    if any(len(t.shape) != rank or t.shape[0] > MOST_ROWS for t in (*inputs, output)) or call.plan.parts:
        return None
    window = _window(call.packed, rank)
    if window is None or output.shape[0] < 2 or not _takes_rows(call, window, inputs, output):
        return None
    width = output.shape[1] if rank == 3 else 1
    row, start, quads = _costs(call, inputs, output)
    return Walk(window.size, window.stride, window.pad, row / width, start, width, quads)


def _window(packed: Packed, rank: int) -> _Window | None:
    """Along axis 0. None for what no row of the input gives alone."""
    params, tall = packed.params, rank == 3
    if isinstance(params, PoolParams):
        kernel, stride = (params.kernel_h, params.stride_h) if tall else (params.kernel_w, params.stride_w)
        return _Window(kernel, stride, params.pad_top if tall else params.pad_left)
    if not isinstance(params, ConvParams):
        return _Window(1, 1, 0)
    if (params.up_h if tall else params.up_w) != 1:
        return None
    kernel, stride, dilation, pool, pad = (
        (params.kernel_h, params.stride_h, params.dilation_h, params.pool_h, params.pad_top)
        if tall
        else (params.kernel_w, params.stride_w, params.dilation_w, params.pool_w, params.pad_left)
    )
    return _Window((pool - 1) * stride + (kernel - 1) * dilation + 1, stride * pool, pad)


def _takes_rows(call: CallLike, window: _Window, inputs: Sequence[TensorType], output: TensorType) -> bool:
    """Whether the kernel makes single rows: of the middle, of the top and of the bottom, with the node's scratch."""
    heights = {t.shape[0] for t in inputs}
    if isinstance(call.packed.params, ConvParams | PoolParams):
        tops = {0, output.shape[0] // 2, output.shape[0] - 1}
    elif heights == {output.shape[0]}:
        tops = {0}
    else:
        return False
    for y in tops:
        top = y * window.stride - window.pad
        count = min(top + window.size, *heights) - max(0, top)
        if count < 1 or (count == min(heights) and window.size > 1):
            return False
        params = call.packed.params
        if isinstance(params, ConvParams | PoolParams):
            pad = max(0, -top)
            params = replace(params, pad_top=pad) if len(output.shape) == 3 else replace(params, pad_left=pad)
        try:
            part = plan(replace(call.packed, params=params), [_rows(t, count) for t in inputs], _rows(output, 1))
        except KernelRefusedError:
            return False
        if part.scratch > call.plan.scratch:
            return False
    return True


def _rows(tensor: TensorType, count: int) -> TensorType:
    return replace(tensor, shape=(count, *tensor.shape[1:]))


# --- costs ------------------------------------------------------------------------------------------------------------

EACH = {"binary": 45, "binary_fixed": 17, "affine": 28}  # cycles for an element, of other families 10
TAP = 8  # of a pool
CALL = 250  # what a call of these kernels takes besides


def kind_of(source: str, weights: str, depthwise: bool) -> str:
    """Convolutions that cost alike."""
    return f"{source} {weights}{' depthwise' if depthwise else ''}"


def counts(source: TensorType, output: TensorType, params: ConvParams, depthwise: bool) -> list[float]:
    """How often a call of a convolution does what it consists of: products, outputs of bits, others; channels that a
    depthwise one sets up, and once whatever it makes."""
    sums = output.elements * params.pool_h * params.pool_w * params.kernel_h * params.kernel_w
    products = sums if depthwise else sums * (source.shape[-1] // params.groups)
    bits = dtype_name(output.fmt) == "s1"
    channels = source.shape[-1] if depthwise else 0
    return [products, output.elements * bits, output.elements * (not bits), channels, 1]


def _costs(call: CallLike, inputs: Sequence[TensorType], output: TensorType) -> tuple[float, float, bool]:
    """Cycles of a row, those of a call besides, and whether pixels go in quads."""
    kernel, params, height = rows()[call.packed.kernel], call.packed.params, output.shape[0]
    if not isinstance(params, ConvParams):
        taps = params.kernel_h * params.kernel_w if isinstance(params, PoolParams) else 0
        return (TAP * taps or EACH.get(kernel.family, 10)) * output.elements / height, CALL, False
    depthwise = bool(kernel.depthwise)
    cycles: list[float] = table()["rows"][kind_of(dtype_name(inputs[0].fmt), kernel.weights, depthwise)]
    found = counts(inputs[0], output, params, depthwise)
    each, besides = (sum(c * n for c, n in zip(cycles[s], found[s], strict=True)) for s in (slice(3), slice(3, 5)))
    pooled = (params.pool_h, params.pool_w) != (1, 1)
    return each / height, besides, not (depthwise or pooled or kernel.weights == "s1")
