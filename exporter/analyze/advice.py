"""Advice of `dqnn analyze`: what a change of the model would save, with an estimate.

Each rule looks at the kernel calls of the file, so that nothing is advised which the passes do by themselves (a max
pool behind batch normalization, for one, is fused all the same). What only the Keras model shows is in
`quantizer_advice`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from ..blob import ModelView, NodeView, taps_of
from ..emit.packing import unpack_weights
from ..format import ConvParams, PoolParams, ViewParams
from ..ir import ops
from ..ir.graph import Graph
from ..ir.types import S1
from ..passes.pack_weights import stored_bytes, takes_packed
from .model import Advice, Bench, NodeAnalysis
from .rows import alternatives, floor_of

WORD = 32
FEW = 4  # bits that kernels unpack in registers; 2 are less
NOTABLE_BYTES = 128  # of weights that are worth a sentence
NOTABLE = 0.25  # share of the cycles, or of a word, that is worth a sentence

# Cortex-M4 cycles per product by input and weights, measured on our kernels (docs/benchmarks.md); good enough to rank
# layers where no bench was run.
_CYCLES = {"s1_s1": 0.2, "s1_s8": 1.5, "s8_s1": 0.7, "s8_s8": 1.4, "f32_s1": 1.4}
_FLOAT_CYCLES = 3.2


def advise(model: ModelView, nodes: Sequence[NodeAnalysis], bench: Bench | None = None) -> tuple[Advice, ...]:
    """Everything that a change of the model could improve."""
    found = [advice for node in nodes for advice in _wasted_lanes(node)]
    found += _float_share(model, nodes, bench)
    found += _full_maps(model, nodes)
    found += _channel_permutation(model, nodes)
    found += _few_bits(model, nodes)
    found += _fewer_rows(model)
    return tuple(found)


def _wasted_lanes(node: NodeAnalysis) -> Iterator[Advice]:
    """Said of the node that makes the bits, not of the pools behind it."""
    if not node.row.multiplies and node.row.family != "affine":
        return
    channels = node.output.shape[-1]
    waste = -channels % WORD
    if not isinstance(node.output.fmt, S1) or channels <= WORD // 2 or waste < NOTABLE * WORD:
        return
    words = -(-channels // WORD)
    yield Advice(
        node.name,
        f"{channels} channels waste {waste} bits of the last word",
        f"use {channels // WORD * WORD or WORD} or {words * WORD} channels"
        if channels > WORD
        else f"use {WORD} channels",
        f"up to {100 * waste // (words * WORD)} % of what this map and the layers around it take",
    )


def relative_cycles(node: NodeAnalysis) -> float:
    """Good enough to rank layers."""
    if node.row.multiplies:
        factor = _per_product(node.row.input, node.row.weights) * (1 if node.row.convolves else 3)
        return factor * sum(o.count for o in node.operations if o.part == "products")
    return 4.0 * prod(node.output.shape)


def _per_product(source: str, weights: str) -> float:
    return _CYCLES.get(f"{source}_{weights}", _FLOAT_CYCLES)


def _float_share(model: ModelView, nodes: Sequence[NodeAnalysis], bench: Bench | None) -> Iterator[Advice]:
    cycles = [relative_cycles(node) for node in nodes] if bench is None else [float(value) for value in bench.values]
    total = (sum(cycles) if bench is None else float(bench.total)) or 1.0
    unit = "estimated cycles" if bench is None else f"{bench.unit} ({bench.target})"
    ports = {port.tensor for port in model.inputs}
    for node, view, value in zip(nodes, model.nodes, cycles, strict=True):
        weights = node.row.weights
        if not node.row.multiplies or node.row.input != "f32" or value / total < NOTABLE:
            continue
        first, floats = view.inputs[0] in ports, weights == "f32"
        faster = _per_product("s8", "s8" if floats else weights) / _per_product("f32", weights)
        gain = f"about {100 * (1 - faster) * value / total:.0f} % of all cycles"
        saved = model.tensors[view.inputs[0]].type.nbytes * 3 // 4
        yield Advice(
            node.name,
            f"{'first layer' if first else 'layer'} is float: {100 * value / total:.0f} % of the {unit}",
            ("give it 8-bit or binary weights, and 8-bit inputs: " if floats else "give it 8-bit inputs: ")
            + ("export with --input-u8, or " if first else "")
            + "quantize in front of it (quantized_bits(8,0,alpha=1), DoReFa(8))",
            f"{gain}, {saved:,} B of its input",
        )


def _full_maps(model: ModelView, nodes: Sequence[NodeAnalysis]) -> Iterator[Advice]:
    """Max pools that did not become a part of the convolution in front of them."""
    maker = {node.output: index for index, node in enumerate(model.nodes)}
    for index, node in enumerate(model.nodes):
        source = maker.get(node.inputs[0]) if node.inputs else None
        if node.row.family != "maxpool" or source is None or not model.nodes[source].row.multiplies:
            continue
        whole = model.tensors[node.inputs[0]].type
        reason, remedy = _why_not_fused(node, model)
        yield Advice(
            nodes[index].name, f"this MaxPool keeps the full map: {reason}", remedy, f"{whole.nbytes:,} B, {whole}"
        )


def _why_not_fused(node: NodeView, model: ModelView) -> tuple[str, str]:
    p = node.params
    assert isinstance(p, PoolParams)
    if (p.stride_h, p.stride_w) != (p.kernel_h, p.kernel_w):
        window, stride = f"{p.kernel_h}x{p.kernel_w}", f"{p.stride_h}x{p.stride_w}"
        return f"windows of {window} with stride {stride} overlap or leave gaps", "pool with stride = window"
    rows, columns = model.tensors[node.output].type.shape[:2]
    height, width = model.tensors[node.inputs[0]].type.shape[:2]
    if p.pad_top or p.pad_left or rows * p.kernel_h > height or columns * p.kernel_w > width:
        return "its border is padded", 'pool with padding="valid"'
    if sum(node.inputs[0] in other.inputs for other in model.nodes) > 1:
        return "another layer reads it, too", "pool in front of the branch"
    return "it does not follow the convolution directly", "pool right behind it, before batch normalization"


def _channel_permutation(model: ModelView, nodes: Sequence[NodeAnalysis]) -> Iterator[Advice]:
    for node, analysis in zip(model.nodes, nodes, strict=True):
        if isinstance(node.params, ViewParams) and node.row.output == "s1" and node.params.axis[:3] != (0, 1, 2):
            yield Advice(
                analysis.name, "moves the channels of a binary map bit by bit", "keep channels last", "this node"
            )


def _few_bits(model: ModelView, nodes: Sequence[NodeAnalysis]) -> Iterator[Advice]:
    """8-bit weights that need fewer: stored in 4 or 2 where they fit, or nearly so."""
    for node, analysis in zip(model.nodes, nodes, strict=True):
        params = node.params
        if not isinstance(params, ConvParams) or not _could_be_packed(node, analysis, params):
            continue
        data = model.constants[node.constants[0]]
        codes = unpack_weights(node.row, params, data, analysis.inputs, analysis.output)
        bits = max(int(codes.max()).bit_length(), int(-1 - codes.min()).bit_length()) + 1
        fit = ops.bits_of(codes) if bits <= FEW else FEW
        taps = taps_of(node, analysis.inputs[0])
        depthwise = node.row.family == "depthwise"
        saved = len(data) - stored_bytes(analysis.output.shape[-1], params.groups, taps, fit, depthwise)
        if bits < 8 and saved >= NOTABLE_BYTES:
            yield Advice(
                analysis.name,
                f"weights of {bits} bits are stored in 8",
                ("" if bits <= FEW else f"quantize them to {FEW} bits and ") + "export with --pack-weights",
                f"{saved:,} of {len(data):,} B of weights",
            )


def _could_be_packed(node: NodeView, analysis: NodeAnalysis, params: ConvParams) -> bool:
    row, channels = node.row, analysis.inputs[0].shape[-1] // params.groups * params.multiplier
    return not params.weight_bits and takes_packed(row.family, row.input, row.weights, channels)


def _fewer_rows(model: ModelView) -> Iterator[Advice]:
    """Notably less RAM by running layers for fewer rows at a time."""
    found = alternatives(model)
    if not found:
        return
    floor, last = floor_of(model), found[-1].model
    yield Advice(
        model.names[floor.node],
        f"the arena takes {model.prefix.arena_bytes:,} B: {floor.text(model)}",
        f"export with {found[0].options}, for firmware with .segments = &{found[0].model.segments} (docs/memory.md)",
        f"an arena of {'; '.join(one.text for one in found)}, where {floor_of(last).text(last)}",
    )


def quantizer_advice(graph: Graph) -> Iterator[Advice]:
    """What only the Keras model shows: kernel quantizers that QKeras rewrote behind the user's back."""
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense) or "auto_po2" not in op.weights.source:
            continue
        quantizer = op.weights.source.partition("(")[0]
        yield Advice(
            next(iter(node.layers), ""),
            f"kernel_quantizer={quantizer}() silently became {quantizer}(alpha='auto_po2'): QKeras does this to kernel "
            "quantizers without an alpha",
            f"write {quantizer}(alpha=1) if no scale is meant, and train again",
            "none on the device, where the scale folds away; training then does what was written",
        )
