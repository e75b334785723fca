"""What a model will cost on a device: operations, parameters, weights, memory, and advice.

The counts follow the vendor tool's conventions, so that reports compare line by line: a convolution counts outputs
times taps (and one per output channel for its bias or folded batch norm where a float is involved), a pool outputs
times window, a conversion two per element, softmax 15 per element. Operation types carry the vendor's names:
`sxor_s1_s1` for binary products, `smul_<in>_<weights>` for others, `conv_<from>_<to>` for conversions, `op_<in>_<out>`
for the rest. Rows and columns that a fused pool drops are not computed here, and not counted.

Everything is derived from the file that will run (`ModelView`); the Keras model, where there is one, adds the parameter
count and what only it can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from .inspect import ModelView, NodeView
from .ir import ops
from .ir.types import S1, TensorType, dtype_name
from .params import ConvParams, PoolParams, ViewParams

if TYPE_CHECKING:
    from .ir.graph import Graph
    from .report import Report

SOFTMAX_OPERATIONS = 15  # per element
CONVERSION_OPERATIONS = 2
WORD = 32


@dataclass(frozen=True)
class Operations:
    """`count` operations of one type in one node. `part` says which: the node's own work, a fused pool, ..."""

    type: str
    count: int
    part: str


@dataclass(frozen=True)
class NodeAnalysis:
    """One kernel call. `parameters` are weights and per-channel pairs; `weight_bytes` what they take in the file."""

    index: int
    layers: tuple[str, ...]
    kernel: str
    inputs: tuple[TensorType, ...]
    output: TensorType
    operations: tuple[Operations, ...]
    parameters: int
    weight_bytes: int
    scratch_bytes: int

    @property
    def macc(self) -> int:
        return sum(operation.count for operation in self.operations)


@dataclass(frozen=True)
class Advice:
    """Something the model could do better: `gain` is an estimate in words."""

    layers: tuple[str, ...]
    finding: str
    remedy: str
    gain: str = ""


@dataclass(frozen=True)
class Live:
    """Bytes of the arena in use while a node runs: its tensors, other live tensors, scratch."""

    index: int
    tensor_bytes: int
    scratch_bytes: int

    @property
    def total(self) -> int:
        return self.tensor_bytes + self.scratch_bytes


@dataclass(frozen=True)
class Analysis:
    """The whole report. `ram_bytes` is what an application sets aside: arena (inputs and outputs included) and
    interpreter state."""

    name: str
    nodes: tuple[NodeAnalysis, ...]
    parameters: int
    weight_bytes: int
    file_bytes: int
    arena_bytes: int
    arena_lower_bound: int | None
    state_bytes: int
    live: tuple[Live, ...]
    advice: tuple[Advice, ...]
    report: Report | None
    model: ModelView

    @property
    def macc(self) -> int:
        return sum(node.macc for node in self.nodes)

    @property
    def ram_bytes(self) -> int:
        return self.arena_bytes + self.state_bytes

    @property
    def float_bytes(self) -> int:
        """The parameters as 32-bit floats."""
        return 4 * self.parameters

    @property
    def operation_types(self) -> dict[str, int]:
        """Operation type -> count over the whole model, largest first."""
        totals: Counter[str] = Counter()
        for node in self.nodes:
            for operation in node.operations:
                totals[operation.type] += operation.count
        return dict(totals.most_common())

    def to_json(self) -> dict[str, Any]:
        """The report in JSON types."""
        return {
            "name": self.name,
            "params": self.parameters,
            "macc": self.macc,
            "weights_bytes": self.weight_bytes,
            "weights_delta_vs_float": self.weight_bytes - self.float_bytes,
            "file_bytes": self.file_bytes,
            "arena_bytes": self.arena_bytes,
            "arena_lower_bound": self.arena_lower_bound,
            "interpreter_bytes": self.state_bytes,
            "ram_bytes": self.ram_bytes,
            "operation_types": self.operation_types,
            "nodes": [_node_json(node) for node in self.nodes],
            "memory": [{"node": n.index, "tensors": n.tensor_bytes, "scratch": n.scratch_bytes} for n in self.live],
            "advice": [
                {"layers": list(a.layers), "finding": a.finding, "remedy": a.remedy, "gain": a.gain}
                for a in self.advice
            ],
            "fallbacks": [] if self.report is None else self.report.to_json()["fallbacks"],
        }

    def __str__(self) -> str:
        from .analyze_view import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from .html_report import notebook_html

        return notebook_html(self)


def _node_json(node: NodeAnalysis) -> dict[str, Any]:
    return {
        "id": node.index,
        "layers": list(node.layers),
        "kernel": node.kernel,
        "inputs": [str(t) for t in node.inputs],
        "output": str(node.output),
        "macc": node.macc,
        "operations": [{"type": o.type, "count": o.count, "part": o.part} for o in node.operations],
        "params": node.parameters,
        "weight_bytes": node.weight_bytes,
        "scratch_bytes": node.scratch_bytes,
    }


# --- operations -------------------------------------------------------------------------------------------------------


def _map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    from .ir.infer import as_map

    return as_map(shape)


def product_type(source: str, weights: str) -> str:
    """The vendor's name of a multiply-accumulate."""
    return "sxor_s1_s1" if source == weights == "s1" else f"smul_{source}_{weights}"


def _own_offsets(node: NodeView, graph: Graph | None, integer: bool) -> bool:
    """Does the vendor count an addition per output: for floats a bias or batch norm, for integers a bias that no batch
    norm absorbs. Without the Keras model a float convolution is taken to have one, an integer one not."""
    if graph is None:
        return not integer
    convs = [n for n in graph.nodes if isinstance(n.op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense)]
    own = next((n for layer in node.layers for n in convs if layer in n.layers), None)
    biased = own is not None and not isinstance(own.op, ops.BatchNorm) and getattr(own.op, "bias", None) is not None
    normed = any(isinstance(n.op, ops.BatchNorm) and set(n.layers) & set(node.layers) for n in graph.nodes)
    return biased and not normed if integer else biased or normed


def _conv_operations(
    node: NodeView, source: TensorType, output: TensorType, graph: Graph | None
) -> Iterator[Operations]:
    params = node.params
    assert isinstance(params, ConvParams)
    _, x_type, w_type, _ = node.kernel.split("_")
    height, width, outputs = _map(output.shape)
    full = height * params.pool_h * width * params.pool_w * outputs
    depthwise = node.kernel.startswith("depthwise")
    taps = params.kernel_h * params.kernel_w * (1 if depthwise else _map(source.shape)[2] // params.groups)
    integer = "f32" not in (x_type, w_type)
    offsets = _own_offsets(node, graph, integer)
    additions = (full if integer else outputs) if offsets else 0
    yield Operations(product_type(x_type, w_type), full * taps + additions, "products")
    window = params.pool_h * params.pool_w
    if window > 1:
        kind = dtype_name(output.fmt)
        yield Operations(f"op_{kind}_{kind}", height * width * outputs * window, "fused max pool")


def operations_of(
    node: NodeView, inputs: tuple[TensorType, ...], output: TensorType, graph: Graph | None = None
) -> tuple[Operations, ...]:
    """What one kernel call computes, in the vendor's units."""
    family = node.kernel.split("_")[0]
    source, sink = dtype_name(inputs[0].fmt), dtype_name(output.fmt)
    if family in ("conv", "convh", "depthwise"):
        return tuple(_conv_operations(node, inputs[0], output, graph))
    if family == "softmax":
        return (Operations("op_f32_f32", SOFTMAX_OPERATIONS * output.elements, "softmax"),)
    if family == "affine":
        return (Operations(f"conv_{source}_{sink}", CONVERSION_OPERATIONS * output.elements, "conversion"),)
    if family in ("maxpool", "avgpool"):
        assert isinstance(node.params, PoolParams)
        window = node.params.kernel_h * node.params.kernel_w
        return (Operations(f"op_{source}_{sink}", output.elements * window, "pool"),)
    if family in ("concat", "pad", "view", "reshape"):
        return (Operations(f"op_{source}_{sink}", 0, "moves data"),)
    return (Operations(f"op_{source}_{sink}", output.elements, family),)


# --- parameters -------------------------------------------------------------------------------------------------------


def _conv_weights(node: NodeView, source: TensorType, output: TensorType) -> int:
    params = node.params
    assert isinstance(params, ConvParams)
    outputs = _map(output.shape)[2]
    depthwise = node.kernel.startswith("depthwise")
    inputs = 1 if depthwise else _map(source.shape)[2] // params.groups
    return outputs * params.kernel_h * params.kernel_w * inputs


def parameters_of(node: NodeView, inputs: tuple[TensorType, ...], output: TensorType) -> int:
    """Weights, and a pair (scale, offset) per channel where an epilogue holds one."""
    family = node.kernel.split("_")[0]
    if family in ("conv", "convh", "depthwise"):
        return _conv_weights(node, inputs[0], output) + 2 * _map(output.shape)[2]
    if family in ("affine", "prelu"):
        return 2 * output.shape[-1]
    return 0


def keras_parameters(graph: Graph) -> int:
    """Parameters as the vendor counts them: a batch norm is a pair (scale, offset) per channel."""
    total = 0
    seen: set[int] = set()
    for node in graph.nodes:
        op = node.op
        if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense) and id(op.weights.codes) not in seen:
            seen.add(id(op.weights.codes))
            total += op.weights.codes.size + (0 if op.bias is None else op.bias.size)
        elif isinstance(op, ops.BatchNorm):
            total += 2 * op.gamma.size
        elif isinstance(op, ops.PRelu):
            total += op.alpha.size
    return total


# --- memory over time -------------------------------------------------------------------------------------------------


def lifetimes(model: ModelView) -> dict[int, tuple[int, int]]:
    """Tensor -> first and last node that needs its place in the arena."""
    end = len(model.nodes) - 1
    first = {port.tensor: 0 for port in model.inputs}
    last = {port.tensor: end for port in model.outputs}
    for index, node in enumerate(model.nodes):
        first.setdefault(node.output, index)
        last.setdefault(node.output, index)
        for tensor in node.inputs:
            last[tensor] = max(last.get(tensor, index), index)
    return {tensor: (start, last.get(tensor, start)) for tensor, start in first.items()}


def liveness(model: ModelView) -> tuple[Live, ...]:
    """Arena bytes in use at each node. A tensor that takes over the place of another counts once."""
    lives = lifetimes(model)

    def used(index: int) -> int:
        alive = sorted(
            (model.tensors[t].offset, model.tensors[t].end) for t, (a, b) in lives.items() if a <= index <= b
        )
        total = reached = 0
        for start, end in alive:
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        return total

    return tuple(Live(index, used(index), node.scratch_bytes) for index, node in enumerate(model.nodes))


# --- advice -----------------------------------------------------------------------------------------------------------


def _wasted_lanes(node: NodeAnalysis) -> Iterator[Advice]:
    channels = node.output.shape[-1]
    if not (isinstance(node.output.fmt, S1) and channels > WORD // 2 and channels % WORD):
        return
    waste = WORD - channels % WORD
    if waste >= WORD // 4:
        words = -(-channels // WORD)
        yield Advice(
            node.layers,
            f"{channels} binary channels waste {waste} bits of the last word",
            f"use {channels // WORD * WORD or WORD} or {words * WORD} channels",
            f"up to {100 * waste // (words * WORD)} % of this layer's weights, memory and time",
        )


def _float_share(nodes: tuple[NodeAnalysis, ...]) -> Iterator[Advice]:
    weights = {node.index: _relative_cycles(node) for node in nodes}
    total = sum(weights.values()) or 1.0
    for node in nodes:
        share = weights[node.index] / total
        if "f32" in node.kernel.split("_")[1:2] and node.kernel.startswith(("conv", "depthwise")) and share > 0.25:
            yield Advice(
                node.layers,
                f"{node.inputs[0].fmt} input: about {100 * share:.0f} % of the estimated cycles",
                "quantize the input to 8 bits (quantized_bits(8,0,alpha=1), DoReFa(8))",
                "roughly half of this layer's time, a quarter of its input buffer",
            )


# Cortex-M4 cycles per product by input and weights, measured on our kernels (docs/benchmarks.md); good enough to rank
# layers.
_CYCLES = {"s1_s1": 0.2, "s1_s8": 1.5, "s8_s1": 0.7, "s8_s8": 1.4, "f32_s1": 1.5}
_FLOAT_CYCLES = 3.2


def _relative_cycles(node: NodeAnalysis) -> float:
    parts = node.kernel.split("_")
    if parts[0] in ("conv", "convh", "depthwise"):
        factor = _CYCLES.get("_".join(parts[1:3]), _FLOAT_CYCLES) * (3 if parts[0] == "depthwise" else 1)
        return factor * sum(o.count for o in node.operations if o.part == "products")
    return 4.0 * prod(node.output.shape)


def _unfused_pool(model: ModelView, nodes: tuple[NodeAnalysis, ...]) -> Iterator[Advice]:
    for index, node in enumerate(model.nodes):
        if not node.kernel.startswith("maxpool") or index == 0:
            continue
        makers = [i for i in range(index) if model.nodes[i].output == node.inputs[0]]
        if makers and model.nodes[makers[-1]].kernel.startswith(("conv", "depthwise")):
            size = model.tensors[node.inputs[0]].type.nbytes
            yield Advice(
                nodes[index].layers,
                "this pool is not fused into the convolution before it",
                "pool with stride = window and valid padding, directly after the convolution",
                f"{size:,} B: the full map is never stored",
            )


def _channel_permutation(model: ModelView, nodes: tuple[NodeAnalysis, ...]) -> Iterator[Advice]:
    for node, analysis in zip(model.nodes, nodes, strict=True):
        if (
            isinstance(node.params, ViewParams)
            and node.kernel == "view_s1"
            and node.params.axis[:3] not in ((0, 1, 2),)
        ):
            yield Advice(
                analysis.layers, "moves the channels of a binary map bit by bit", "keep channels last", "this node"
            )


def advise(model: ModelView, nodes: tuple[NodeAnalysis, ...]) -> tuple[Advice, ...]:
    """Everything that a change of the model could improve."""
    found = [advice for node in nodes for advice in _wasted_lanes(node)]
    found += _float_share(nodes)
    found += _unfused_pool(model, nodes)
    found += _channel_permutation(model, nodes)
    return tuple(found)


def quantizer_advice(graph: Graph) -> Iterator[Advice]:
    """What only the Keras model shows: kernel quantizers that QKeras rewrote behind the user's back."""
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.Dense):
            continue
        if "auto_po2" in op.weights.source and op.weights.kind == "s1":
            yield Advice(
                node.layers,
                f"kernel quantizer {op.weights.source}: QKeras gives binary() this scale on kernels",
                "write binary(alpha=1) if no scale is meant",
                "nothing on the device: the scale folds into the thresholds",
            )


# --- the report -------------------------------------------------------------------------------------------------------


def analyze_view(
    model: ModelView, state_bytes: int, report: Report | None = None, graph: Graph | None = None
) -> Analysis:
    """The analysis of a file's content; `graph` is the front end's graph, if the Keras model is at hand."""
    nodes = []
    for index, node in enumerate(model.nodes):
        inputs = tuple(model.tensors[t].type for t in node.inputs)
        output = model.tensors[node.output].type
        nodes.append(
            NodeAnalysis(
                index, node.layers, node.kernel, inputs, output, operations_of(node, inputs, output, graph),
                parameters_of(node, inputs, output), model.constant_bytes(node), node.scratch_bytes,
            )
        )  # fmt: skip
    analyses = tuple(nodes)
    advice = advise(model, analyses) + (() if graph is None else tuple(quantizer_advice(graph)))
    parameters = sum(node.parameters for node in analyses) if graph is None else keras_parameters(graph)
    return Analysis(
        model.name, analyses, parameters, sum(map(len, model.constants)), model.file_bytes, model.prefix.arena_bytes,
        None if report is None else report.lower_bound, state_bytes, liveness(model), advice, report, model,
    )  # fmt: skip


def analyze(model: Any, **options: Any) -> Analysis:
    """Analyse a Keras model (in memory, `.h5`, `.keras`) or a `.dqnn` file (path or bytes). `options` are those of
    `export`.

    Raises what `export` raises for a Keras model, NotAModelError for a damaged file."""
    from dqnn import _core

    from .api import export, load_graph
    from .inspect import parse

    blob = _file_bytes(model)
    if blob is not None:
        return analyze_view(parse(blob), _state_bytes(_core.requirements(blob)))
    graph = load_graph(model)
    result = export(graph, **options)
    return analyze_view(result.report.model, _state_bytes(_core.requirements(result.blob)), result.report, graph)


def _state_bytes(requirements: Any) -> int:
    return int(requirements["state_bytes"])


def _file_bytes(model: Any) -> bytes | None:
    """The content of a .dqnn file, None for anything else."""
    from pathlib import Path

    if isinstance(model, bytes | bytearray):
        return bytes(model)
    if isinstance(model, str | Path) and Path(model).suffix == ".dqnn":
        from .inspect import NotAModelError

        try:
            return Path(model).read_bytes()
        except OSError as error:
            raise NotAModelError(f"{model}: {error.strerror}") from error
    return None
