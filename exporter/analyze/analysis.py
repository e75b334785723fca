"""What a model will cost on a device: operations, parameters, weights, memory, and advice.

The counts follow the vendor tool's conventions, so that reports compare line by line: a convolution counts outputs
times taps (and one per output channel for its bias or folded batch norm where a float is involved), a pool outputs
times window, a conversion two per element, softmax 15 per element. Operation types carry the vendor's names:
`sxor_s1_s1` for binary products, `smul_<in>_<weights>` for others, `conv_<from>_<to>` for conversions, `op_<in>_<out>`
for the rest. What a tool that runs layer by layer would count besides is kept apart as `saved`: results that a fused
pool would drop, conversions that an epilogue makes.

Everything is derived from the file that will run (`ModelView`); the Keras model, where there is one, adds the parameter
count and what only it can tell. Advice is in advice.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..blob import ModelView, NodeView
from ..errors import DqnnError
from ..format import ConvParams, PoolParams
from ..ir import ops
from ..ir.types import TensorType, dtype_name

if TYPE_CHECKING:
    from ..ir.graph import Graph
    from ..report import Report
    from ..targets.boards import Fit

SOFTMAX_OPERATIONS = 15  # per element
CONVERSION_OPERATIONS = 2
# The interpreter's state on a 32-bit core: sizeof(dqnn_interpreter), and a pointer per node. tests/qemu compares them
# with the boards.
STATE_BYTES, STATE_BYTES_PER_NODE = 68, 4


def memory_bytes(model: ModelView) -> int:
    """What dqnn_init needs on a 32-bit core."""
    return model.prefix.arena_bytes + STATE_BYTES + STATE_BYTES_PER_NODE * len(model.nodes)


class AnalysisError(DqnnError):
    """Figures that belong to another model, or cannot be had."""


@dataclass(frozen=True)
class Operations:
    """`count` operations of one type in one node. `part` says which: the node's own work, a fused pool, ..."""

    type: str
    count: int
    part: str


@dataclass(frozen=True)
class NodeAnalysis:
    """One kernel call. `name` is the layer that it is about, `layers` all that take part; `parameters` are weights and
    per-channel pairs, `weight_bytes` what they take in the file."""

    index: int
    name: str
    layers: tuple[str, ...]
    kernel: str
    inputs: tuple[TensorType, ...]
    output: TensorType
    operations: tuple[Operations, ...]
    saved: tuple[Operations, ...]  # what fusion spares
    parameters: int
    weight_bytes: int
    scratch_bytes: int

    @property
    def macc(self) -> int:
        return sum(operation.count for operation in self.operations)


@dataclass(frozen=True)
class Advice:
    """Something the model could do better: `gain` is an estimate in words."""

    layer: str
    finding: str
    remedy: str
    gain: str


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
class Bench:
    """What `dqnn bench` found: `unit` (estimated cycles, or instructions where there is no timing model) by node."""

    target: str
    unit: str
    values: tuple[int, ...]
    total: int

    def share(self, node: int) -> float:
        return self.values[node] / (self.total or 1)

    def to_json(self) -> dict[str, Any]:
        return {"target": self.target, "unit": self.unit, "nodes": list(self.values), "total": self.total}


@dataclass(frozen=True)
class Analysis:
    """The whole report. `ram_bytes` is what an application on a 32-bit core sets aside: arena (inputs and outputs
    included) and interpreter state. `fit`, `bench` and `validation` (a Validation as JSON) are there if asked for."""

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
    fit: Fit | None = None
    bench: Bench | None = None
    validation: Mapping[str, Any] | None = None

    @property
    def macc(self) -> int:
        return sum(node.macc for node in self.nodes)

    @property
    def saved(self) -> int:
        """Operations that a tool without fusion would count besides."""
        return sum(operation.count for node in self.nodes for operation in node.saved)

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
            "macc_saved_by_fusion": self.saved,
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
                {"layer": a.layer, "finding": a.finding, "remedy": a.remedy, "gain": a.gain} for a in self.advice
            ],
            "fallbacks": [] if self.report is None else self.report.to_json()["fallbacks"],
            "target": None if self.fit is None else self.fit.to_json(),
            "bench": None if self.bench is None else self.bench.to_json(),
            "validation": self.validation,
        }

    def to_html(self, path: str | Path) -> None:
        """Write the report as one self-contained page."""
        from ..api import write_atomically
        from .html import report_html

        write_atomically(Path(path), report_html(self).encode())

    def plot(self, path: str | Path) -> list[Path]:
        """Draw the report's charts with matplotlib: all in one .png, .svg or .pdf, or each into a directory."""
        from ..show.plots import plot

        return plot(self, Path(path))

    def __str__(self) -> str:
        from .text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from .html import notebook_html

        return notebook_html(self)


def _node_json(node: NodeAnalysis) -> dict[str, Any]:
    return {
        "id": node.index,
        "layer": node.name,
        "layers": list(node.layers),
        "kernel": node.kernel,
        "inputs": [str(t) for t in node.inputs],
        "output": str(node.output),
        "macc": node.macc,
        "operations": [_operations_json(o) for o in node.operations],
        "saved_by_fusion": [_operations_json(o) for o in node.saved],
        "params": node.parameters,
        "weight_bytes": node.weight_bytes,
        "scratch_bytes": node.scratch_bytes,
    }


def _operations_json(operations: Operations) -> dict[str, Any]:
    return {"type": operations.type, "count": operations.count, "part": operations.part}


# --- operations -------------------------------------------------------------------------------------------------------


def _map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    from ..ir.infer import as_map

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


def _saved(node: NodeView, source: TensorType, output: TensorType) -> Iterator[Operations]:
    """What a kernel spares by pooling and converting its results while it has them."""
    params = node.params
    assert isinstance(params, ConvParams)
    _, x_type, w_type, sink = node.kernel.split("_")
    (height, width, outputs), (rows, columns, channels) = _map(output.shape), _map(source.shape)
    full_h = _before_pool(height * params.pool_h, params.pool_h, rows, params.kernel_h, params.stride_h, params)
    full_w = _before_pool(width * params.pool_w, params.pool_w, columns, params.kernel_w, params.stride_w, params)
    dropped = (full_h * full_w - height * params.pool_h * width * params.pool_w) * outputs
    depthwise = node.kernel.startswith("depthwise")
    taps = params.kernel_h * params.kernel_w * (1 if depthwise else channels // params.groups)
    if dropped:
        yield Operations(product_type(x_type, w_type), dropped * taps, "results that the pool drops")
    if "f32" in (x_type, w_type) and sink != "f32":
        elements = full_h * full_w * outputs
        yield Operations(f"conv_f32_{sink}", CONVERSION_OPERATIONS * elements, "conversion in the epilogue")


def _before_pool(kept: int, pool: int, size: int, kernel: int, stride: int, params: ConvParams) -> int:
    """Rows (or columns) of the map before a pool that keeps `kept` of them. The file says only where padding begins,
    so of valid and same padding that one counts which fits."""
    if pool == 1 or (params.up_h, params.up_w) != (1, 1):
        return kept
    dilation = params.dilation_h if kernel == params.kernel_h else params.dilation_w
    valid, same = (size - (kernel - 1) * dilation - 1) // stride + 1, -(-size // stride)
    return next((full for full in (valid, same) if full // pool * pool == kept), kept)


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


# --- the report -------------------------------------------------------------------------------------------------------


def analyze_view(
    model: ModelView, report: Report | None = None, graph: Graph | None = None, bench: Bench | None = None
) -> Analysis:
    """The analysis of a file's content; `graph` is the front end's graph, if the Keras model is at hand."""
    from ..report import node_names
    from .advice import advise, quantizer_advice

    nodes = []
    names = node_names((node.kernel, node.layers) for node in model.nodes)
    for index, (node, name) in enumerate(zip(model.nodes, names, strict=True)):
        inputs = tuple(model.tensors[t].type for t in node.inputs)
        output = model.tensors[node.output].type
        saved = tuple(_saved(node, inputs[0], output)) if isinstance(node.params, ConvParams) else ()
        nodes.append(
            NodeAnalysis(
                index, name, node.layers, node.kernel, inputs, output, operations_of(node, inputs, output, graph),
                saved, parameters_of(node, inputs, output), model.constant_bytes(node), node.scratch_bytes,
            )
        )  # fmt: skip
    analyses = tuple(nodes)
    advice = advise(model, analyses, bench) + (() if graph is None else tuple(quantizer_advice(graph)))
    parameters = sum(node.parameters for node in analyses) if graph is None else keras_parameters(graph)
    return Analysis(
        model.name, analyses, parameters, sum(map(len, model.constants)), model.file_bytes, model.prefix.arena_bytes,
        None if report is None else report.lower_bound, STATE_BYTES + STATE_BYTES_PER_NODE * len(nodes),
        liveness(model), advice, report, model, bench=bench,
    )  # fmt: skip


def analyze(
    model: Any, *, target: str | None = None, bench: Any = None, validation: Any = None, **options: Any
) -> Analysis:
    """Analyse a Keras model (in memory, `.h5`, `.keras`) or a `.dqnn` file (path or bytes).

    target: a described board (a name of `dqnn targets` or a .toml file); `fit` says whether the model fits.
    bench: a core of `dqnn bench` to measure each node on, or what it printed as JSON (a path or the content).
    validation: what `dqnn.validate` returned, or its JSON (a path or the content).
    options: those of `export`.

    Raises what `export` raises for a Keras model, NotAModelError for a damaged file, AnalysisError for figures of
    another model, BoardError, BenchError."""
    from ..api import export, load_graph
    from ..blob import parse, read
    from ..targets.boards import fit_of, load_board

    board = None if target is None else load_board(target)
    blob, report, graph = _file_bytes(model), None, None
    if blob is None:
        graph = load_graph(model)
        result = export(graph, **options)
        blob, report = result.blob, result.report
    elif options:
        raise AnalysisError(f"{', '.join(options)}: options of the export; this file is exported already")
    view = (
        report.model
        if report is not None
        else parse(blob)
        if isinstance(model, bytes | bytearray)
        else read(Path(model))
    )
    analysis = analyze_view(view, report, graph, None if bench is None else _bench(bench, blob, view))
    return replace(
        analysis,
        fit=None if board is None else fit_of(board, analysis),
        validation=None if validation is None else _validation(validation, view),
    )


def _file_bytes(model: Any) -> bytes | None:
    """The content of a .dqnn file, None for anything else."""
    if isinstance(model, bytes | bytearray):
        return bytes(model)
    if isinstance(model, str | Path) and Path(model).suffix == ".dqnn":
        from ..blob import NotAModelError

        try:
            return Path(model).read_bytes()
        except OSError as error:
            raise NotAModelError(f"{model}: {error.strerror}") from error
    return None


# --- figures of other commands ----------------------------------------------------------------------------------------


def _bench(source: Any, blob: bytes, view: ModelView) -> Bench:
    """Measured now on a core, or what was measured before."""
    if isinstance(source, str) and not source.endswith(".json"):
        from ..bench.command import measure_by_node, model_json

        content: Mapping[str, Any] = model_json(measure_by_node(blob, source))
    else:
        content = _json_of(source, "dqnn bench --json")
    rows = _rows(content, "nodes", ("kernel", "instructions", "cycles"), "dqnn bench --json")
    _check_same([row["kernel"] for row in rows], view, "the bench")
    estimated = content.get("cycles") is not None
    key, unit = ("cycles", "estimated cycles") if estimated else ("instructions", "instructions")
    return Bench(str(content.get("target")), unit, tuple(int(row[key]) for row in rows), int(content[key]))


def _validation(source: Any, view: ModelView) -> Mapping[str, Any]:
    content = _json_of(source.to_json() if hasattr(source, "to_json") else source, "dqnn validate --json")
    layers = _rows(content, "layers", ("kernel", "l2r"), "dqnn validate --json")
    _rows(content, "outputs", ("name", "rows"), "dqnn validate --json")
    if layers:
        _check_same([row["kernel"] for row in layers], view, "the validation")
    return content


def _json_of(source: Any, command: str) -> Mapping[str, Any]:
    import json

    if isinstance(source, Mapping):
        return source
    try:
        content = json.loads(Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise AnalysisError(f"{source}: {error.strerror}") from error
    except ValueError as error:
        raise AnalysisError(f"{source} is no JSON ({error}); expected what `{command}` prints") from error
    if not isinstance(content, dict):
        raise AnalysisError(f"{source} is not what `{command}` prints")
    return content


def _rows(content: Mapping[str, Any], key: str, fields: Sequence[str], command: str) -> list[Mapping[str, Any]]:
    rows = content.get(key)
    if not isinstance(rows, list | tuple) or not all(
        isinstance(row, Mapping) and set(fields) <= set(row) for row in rows
    ):
        raise AnalysisError(f"no {key} with {', '.join(fields)} in it: this is not what `{command}` prints")
    return list(rows)


def _check_same(kernels: list[str], view: ModelView, what: str) -> None:
    if kernels != [node.kernel for node in view.nodes]:
        raise AnalysisError(f"{what} is of another model: its {len(kernels)} nodes are not the {len(view.nodes)} here")
