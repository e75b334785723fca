"""What an export did, as data and as one screen of text.

Everything about the file itself is read back from the file (`blob.parse`), so that the report cannot say what is not
there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqnn.tensors import Rounding

from .blob import ModelView, NodeView, PortView, to_json
from .format import BINARY_KINDS, UNARY_KINDS, BinaryParams, ConvParams, FixedBinaryParams, UnaryParams
from .ir.types import dtype_name
from .show.console import NARROW, as_text, plain_table, size
from .show.plots import Bar, color_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from .passes import Decision


@dataclass(frozen=True)
class Report:
    """`decisions` are the passes' reasons, in order; those that gave up an intended quantized type are `fallbacks`."""

    model: ModelView
    lower_bound: int  # largest set of tensors and scratch that live at once: no memory plan can need less
    greedy_by_size: int  # what the usual greedy plan would need
    strategy: str
    decisions: tuple[Decision, ...] = ()
    path: Path | None = None
    bound_missed: str = ""  # why the arena is larger than its lower bound, empty if it is not
    extra_cycles: float = 0.0  # that rows at a time add, in parts of the whole; an estimate

    @property
    def file_bytes(self) -> int:
        return self.model.file_bytes

    @property
    def arena_bytes(self) -> int:
        return self.model.prefix.arena_bytes

    @property
    def nodes(self) -> tuple[NodeView, ...]:
        """Kernel calls in execution order."""
        return self.model.nodes

    @property
    def kernels(self) -> dict[str, int]:
        """Kernel name -> number of nodes."""
        return dict(Counter(node.kernel for node in self.model.nodes))

    @property
    def fallbacks(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if decision.fallback)

    def to_json(self) -> dict[str, Any]:
        """The report in JSON types."""
        return {
            "schema": "dqnn.export/1",
            **to_json(self.model),
            "path": None if self.path is None else str(self.path),
            "arena_lower_bound": self.lower_bound,
            "arena_greedy_by_size": self.greedy_by_size,
            "memory_strategy": self.strategy,
            "bound_missed": self.bound_missed,
            **({"extra_cycles": round(self.extra_cycles, 4)} if self.model.longest_segment else {}),
            "fallbacks": [_decision_json(decision) for decision in self.fallbacks],
            "decisions": [_decision_json(decision) for decision in self.decisions],
        }

    def __str__(self) -> str:
        return as_text(lambda console: render(self, console))


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "code": decision.code,
        "layers": list(decision.layers),
        "decision": decision.decision,
        "reason": decision.reason,
        "fallback": decision.fallback,
        "remedy": decision.remedy,
    }


# --- text -------------------------------------------------------------------------------------------------------------


def layers_text(name: str, layers: Sequence[str], width: int) -> str:
    """All layers of a node, or on a narrow terminal its name and how many more there are."""
    others = len(layers) - 1
    if width >= NARROW:
        return ", ".join(layers)
    return f"{name} +{others}" if others > 0 else name


def node_table(model: ModelView, width: int) -> Table:
    """One row per kernel call, for a terminal of this width. The kernel's name says how many bits a weight has in the
    file, but where those of s8 are packed."""
    table = plain_table(">#", "layers", "kernel", "=input", "=output", ">weights", ">scratch")

    def kind(tensor: int) -> str:
        text = str(model.tensors[tensor].type)
        return text if width >= NARROW else text.replace("[", "\n[")

    def weights(node: NodeView) -> str:
        packed = f"\n{node.weight_bits} bits" if node.row.weights == "s8" and node.weight_bits < 8 else ""
        return size(model.constant_bytes(node)) + packed if node.constants else ""

    for number, (node, name) in enumerate(zip(model.nodes, model.names, strict=True)):
        table.add_row(
            str(number),
            layers_text(name, node.layers, width),
            kernel_text(node),
            " ".join(kind(index) for index in node.inputs),
            kind(node.output),
            weights(node),
            size(node.scratch_bytes) if node.scratch_bytes else "",
        )
    return table


def kernel_text(node: NodeView) -> str:
    """Kernel name with the few parameters that say what it does."""
    params = node.params
    if isinstance(params, ConvParams):
        pool = f" +pool {params.pool_h}x{params.pool_w}" if (params.pool_h, params.pool_w) != (1, 1) else ""
        return f"{node.kernel} {params.kernel_h}x{params.kernel_w}{pool}"
    if isinstance(params, UnaryParams):
        return f"{node.kernel} {UNARY_KINDS[params.kind]}"
    if isinstance(params, BinaryParams | FixedBinaryParams):
        return f"{node.kernel} {BINARY_KINDS[params.kind]}"
    return node.kernel


def node_bars(model: ModelView, values: Iterable[tuple[float, str]]) -> tuple[Bar, ...]:
    """A bar per kernel call from its value and text, colored by its input's format; none where the text is empty."""
    labels = [f"{number} {name}" for number, name in enumerate(model.names)]
    colors = [color_of(dtype_name(model.tensors[(*node.inputs, node.output)[0]].type.fmt)) for node in model.nodes]
    rows = zip(labels, colors, values, strict=True)
    return tuple(Bar(label, value, text, color) for label, color, (value, text) in rows if text)


_ROUNDINGS = {
    Rounding.KERAS: "",
    Rounding.DIVIDE_EVEN: ", reals divided by the scale, half to even",
    Rounding.DIVIDE_AWAY: ", reals divided by the scale, half away from zero",
}


def port_lines(model: ModelView) -> list[str]:
    """`input  x: f32[28x28x1]` for each port."""
    ports = [("input", port) for port in model.inputs] + [("output", port) for port in model.outputs]
    return [
        f"{kind:<7} {port.name}: {model.tensors[port.tensor].type}{_port_text(port)}{_fed_text(model, port)}"
        for kind, port in ports
    ]


def _fed_text(model: ModelView, port: PortView) -> str:
    rows = model.tensors[port.tensor].rows
    return f", fed by rows: {rows} in memory" if rows else ""


def _port_text(port: PortView) -> str:
    if port.sample is None:
        codes = ", uint8 codes of 128 more" if port.unsigned else ""
        return codes + _ROUNDINGS[port.rounding]
    scale, offset = port.sample
    return f", raw uint8 samples u stored as u - 128; real = {scale:g} * u {'-' if offset < 0 else '+'} {abs(offset):g}"


def _is_float(model: ModelView, node: NodeView) -> bool:
    kinds = [model.tensors[tensor].type for tensor in (*node.inputs, node.output)]
    return node.row.weights in ("none", "f32") and all(dtype_name(kind.fmt) == "f32" for kind in kinds)


def render(report: Report, console: Console) -> None:
    """One screen: what was exported, sizes, every kernel, fallbacks."""
    from rich.text import Text

    model = report.model
    where = f" -> {report.path}" if report.path is not None else ""
    console.print(Text(f"{model.name}{where}", style="bold"))
    for line in port_lines(model):
        console.print(Text(line))
    if all(_is_float(model, node) for node in model.nodes):
        console.print(Text("types   all float32: nothing in this model is quantized"))
    console.print(
        Text(
            f"file    {size(report.file_bytes)} ({size(model.data_bytes)} weights and thresholds, "
            f"{size(model.overhead_bytes)} graph)"
        )
    )
    console.print(Text(f"arena   {size(report.arena_bytes)} ({_against_bound(report)})"))
    if model.longest_segment:
        parts = sum(node.rows > 0 for node in model.nodes)
        console.print(
            Text(
                f"rows    {parts} of {len(model.nodes)} nodes run for some rows at a time, which adds an estimated "
                f"{report.extra_cycles:.1%} to the cycles"
            )
        )
    console.print(node_table(model, console.width))
    for decision in report.fallbacks:
        console.print(Text(f"falls back: {_sentence(decision)}", style="yellow"))


def _against_bound(report: Report) -> str:
    if report.model.longest_segment:
        return f"greedy by size, every node once: {size(report.greedy_by_size)}"
    if report.arena_bytes == report.lower_bound:
        text = "equal to its lower bound, the largest live set"
    else:
        text = f"lower bound, the largest live set: {size(report.lower_bound)}; {report.bound_missed}"
    if report.greedy_by_size > report.arena_bytes:
        text += f"; greedy by size: {size(report.greedy_by_size)}"
    return text


def _sentence(decision: Decision) -> str:
    remedy = f" {decision.remedy}" if decision.remedy else ""
    return f"{', '.join(decision.layers)}: {decision.decision}; {decision.reason}.{remedy}"


def explain(report: Report, console: Console) -> None:
    """Every decision of the passes with what decided it."""
    table = plain_table("layers", "decision", "because")
    for decision in report.decisions:
        remedy = f" ({decision.remedy})" if decision.remedy else ""
        table.add_row(", ".join(decision.layers), decision.decision, decision.reason + remedy)
    console.print(table)
