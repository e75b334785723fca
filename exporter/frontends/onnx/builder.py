"""From a read ONNX file to an IR graph: calls every node's handler; every problem is found before giving up.

Nodes of constants alone are computed here (`folding`), as exporters leave the arithmetic of shapes in the graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dqnn.tensors import Rounding

from ...errors import ExportError, debugging
from ...ir.graph import Graph, Port
from ...ir.ops import Dequantize
from ...ir.types import F32, MOST_ELEMENTS, S8, Format, TensorType
from ..graph import CONFUSED, UNKNOWN, GraphBuilder, Unsupported
from . import folding, registry
from .codes import input_format
from .context import Network, OnnxContext
from .model import STANDARD, OnnxModel, OnnxNode, OnnxPort
from .operands import Activation, Constant, Operand, as_in_file, constant_of, value_shape

REFUSED = Activation(UNKNOWN, (), ())
REALS, CODES = "f32", ("u8", "s8")


def build_graph(model: OnnxModel) -> Graph:
    """The IR graph of an ONNX model. Raises `ExportError` with every problem found."""
    return _Builder(model).graph()


class _Builder:
    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.made = GraphBuilder()
        self.network = Network(self.made, model.opsets.get(STANDARD, 1), _batch(model))
        self.operands: dict[str, Operand] = {name: constant_of(t) for name, t in model.initializers.items()}

    def graph(self) -> Graph:
        ports = dict(self._input(port) for port in self.model.inputs)
        for node in self.model.nodes:
            self._node(node)
        outputs = [self._output(port) for port in self.model.outputs]
        self.made.check()
        return self.made.finish(self.model.name, ports, [(value, port) for value, port in outputs])

    # --- ports --------------------------------------------------------------------------------------------------------

    def _input(self, port: OnnxPort) -> tuple[str, Port]:
        self.operands[port.name] = REFUSED
        try:
            shape, fmt = self._shape(port), self._format(port)
        except Unsupported as refusal:
            self.made.problem(port.name, refusal.found, refusal.accepted, refusal.advice)
            return port.name, Port(port.name)
        order = as_in_file(len(shape))
        value = self.made.value(port.name, TensorType(value_shape(shape, order), fmt))
        unsigned = port.dtype == "u8"
        self.operands[port.name] = Activation(value, shape, order, port.dtype != REALS, unsigned)
        rounding = Rounding.KERAS if port.dtype == REALS else Rounding.DIVIDE_EVEN
        return value, Port(port.name, rounding, unsigned=unsigned, free=False)

    def _shape(self, port: OnnxPort) -> tuple[int, ...]:
        advice = "Give the model fixed sizes: onnx.tools.update_model_dims, or export it again without dynamic axes"
        if port.shape is None or len(port.shape) < 2:
            found = "no shape" if port.shape is None else f"shape {list(port.shape)}"
            raise Unsupported(found, "a batch axis and at least one more", advice)
        open_ = [n for n in port.shape[1:] if not isinstance(n, int) or n < 1]
        if open_:
            raise Unsupported(f"shape {list(port.shape)}", "fixed sizes behind the batch axis", advice)
        shape = (self.network.batch, *(int(n) for n in port.shape[1:]))
        if math.prod(shape[1:]) > MOST_ELEMENTS:
            raise Unsupported(f"shape {list(port.shape)}", f"at most {MOST_ELEMENTS:,} elements")
        return shape

    def _format(self, port: OnnxPort) -> Format:
        if port.dtype == REALS:
            return F32()
        if port.dtype not in CODES:
            advice = "Export the model in float32" if "float" in port.dtype else ""
            raise Unsupported(f"is {port.dtype}", "float, uint8 and int8", advice)
        found = input_format(self.model, port)
        if found is None:
            accepted = "integers that go into DequantizeLinear, Cast or an operator with scale and zero point"
            raise Unsupported(f"is {port.dtype}, and nothing says what its integers stand for", accepted)
        return found

    def _output(self, port: OnnxPort) -> tuple[str, Port]:
        found = self.operands.get(port.name, REFUSED)
        if isinstance(found, Constant):
            return self.made.problem(port.name, "is an output that is always the same"), Port(port.name)
        if not found.value:
            return UNKNOWN, Port(port.name)
        node = next(node for node in (*self.model.nodes, _NO_NODE) if port.name in node.outputs or node is _NO_NODE)
        context = OnnxContext(self.network, node, [])
        try:
            laid = context.arranged(found, as_in_file(len(found.shape)))
            value = laid.value
            if not found.coded and isinstance(context.format(laid), S8):
                value = context.emit(Dequantize(), value)
        except Unsupported as refusal:
            return self.made.problem(port.name, refusal.found, refusal.accepted, refusal.advice), Port(port.name)
        return value, Port(port.name, unsigned=found.unsigned, free=False)

    # --- nodes --------------------------------------------------------------------------------------------------------

    def _node(self, node: OnnxNode) -> None:
        inputs = [self.operands.get(name, REFUSED) if name else None for name in node.inputs]
        results: list[Operand] = [REFUSED] * len(node.outputs)
        before = len(self.made.nodes)
        try:
            results[: len(node.outputs)] = self._built(node, inputs)
        except ExportError:
            raise
        except CONFUSED as error:
            if debugging():
                raise
            found = "its attributes or inputs have kinds or sizes that this operator does not have"
            self.made.problem(node.path, found, "", "Save the model again", error)
        if len(results) == 1 and len(self.made.nodes) > before:
            results = [self._named(results[0], node.outputs[0])]
        self.operands.update(zip(node.outputs, results, strict=False))

    def _named(self, result: Operand, name: str) -> Operand:
        """A result under the file's name for it."""
        if isinstance(result, Constant) or not name:
            return result
        value = self.made.rename(result.value, name)
        if result.value in self.network.quantizers:
            self.network.quantizers[value] = self.network.quantizers[result.value]
        return replace(result, value=value)

    def _built(self, node: OnnxNode, inputs: Sequence[Operand | None]) -> list[Operand]:
        results: list[Operand] = []

        def build() -> Sequence[str]:
            results.extend(self._results(node, inputs))
            return []

        self.made.attempt(node.path, build)
        return results + [REFUSED] * (len(node.outputs) - len(results))

    def _results(self, node: OnnxNode, inputs: Sequence[Operand | None]) -> Iterator[Operand]:
        folded = folding.fold(node, inputs, self.network.opset)
        if folded is not None:
            yield from folded
            return
        support = registry.find(node)
        if support is None:
            raise Unsupported(f"{node.operator} is not supported", "", registry.advice_for(node))
        result = support.handler(OnnxContext(self.network, node, inputs))
        yield from [result] if isinstance(result, Constant | Activation) else result


_NO_NODE = OnnxNode("the graph's output", "", "", (), (), {})


def _batch(model: OnnxModel) -> int:
    """How many samples the file's tensors hold: 1 where that is open."""
    sizes = {port.shape[0] for port in model.inputs if port.shape and isinstance(port.shape[0], int)}
    return max((n for n in sizes if n > 0), default=1)
