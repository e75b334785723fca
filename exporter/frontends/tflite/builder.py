"""From the plain data of a .tflite file to an IR graph: calls every operator's handler; every problem is found before
giving up.

Constants that are computed from constants (a shape, a dequantized weight) are computed on the way (`folding`)."""

from __future__ import annotations

from collections.abc import Sequence

from dqnn.tensors import Rounding, words

from ...errors import debugging
from ...ir.graph import Graph, Port
from ...ir.types import S1, TensorType
from ..graph import CONFUSED, UNKNOWN, PortOrName, ShapeUnknown, Unsupported, Value
from . import folding, registry
from .context import OpContext, Shape, State, format_of, inside
from .model import Model, Operator, Tensor

CONVERT_AGAIN = "Convert the model again; if TensorFlow wrote it so, this is a bug, and DQNN_DEBUG=1 shows where"


def build_graph(model: Model) -> Graph:
    """The IR graph of a file. Raises `ExportError` with every problem found."""
    return Builder(model).graph()


class Builder:
    """Walks the operators; `state` is what is known so far."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.tensors = model.tensors
        self.state = State(model)
        self.made = self.state.made

    def graph(self) -> Graph:
        if self.model.subgraphs > 1:
            found = f"the file has {self.model.subgraphs} subgraphs"
            self.made.problem("", found, "one", "Convert without control flow (IF, WHILE, CALL_ONCE)")
        inputs = {self._input(tensor): tensor for tensor in map(self.tensors.__getitem__, self.model.inputs)}
        for operator in self.model.operators:
            self._operator(operator)
        outputs = [(self._output(tensor), tensor) for tensor in map(self.tensors.__getitem__, self.model.outputs)]
        self.made.check()
        ports: dict[str, PortOrName] = {value: _port(tensor) for value, tensor in inputs.items()}
        return self.made.finish(self.model.name, ports, [(value, _port(tensor)) for value, tensor in outputs])

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _input(self, tensor: Tensor) -> Value:
        def build() -> str:
            if tensor.free:
                raise Unsupported(f"input of shape {_open(tensor)}", "fixed sizes", "Convert with a fixed input shape")
            shape = inside(tensor.shape)
            if len(shape) > 4 or 0 in shape:
                raise Unsupported(f"input of shape {tensor.shape}", "a batch of 1 and 1 to 4 known axes")
            return self.made.value(tensor.name, TensorType(shape, format_of(tensor)))

        value = Value(self.made.attempt(tensor.name, build)[0])
        self.state.values[tensor.index] = value
        self.state.shapes[value] = tensor.shape
        return value

    def _output(self, tensor: Tensor) -> Value:
        if tensor.index in self.state.constants:
            return Value(self.made.problem(tensor.name, "the output is a constant", "values that are computed"))
        return self.state.values[tensor.index]

    # --- operators ----------------------------------------------------------------------------------------------------

    def _operator(self, operator: Operator) -> None:
        outputs = [self.tensors[index] for index in operator.outputs]
        path = name_of(outputs[0])
        results = [Value(value) for value in self.made.attempt(path, lambda: self._build(operator, path))]
        if len(results) != len(outputs):  # a refusal stands for all of them
            results = [UNKNOWN] * len(outputs)
        for tensor, value in zip(outputs, results, strict=True):
            known = value != UNKNOWN or tensor.index in self.state.constants
            self.state.values[tensor.index] = value if known else self._declared(tensor)

    def _declared(self, tensor: Tensor) -> Value:
        """What the file says of a value that was refused, so that the operators behind it are judged too."""
        try:
            fmt = format_of(tensor)
        except Unsupported:
            return UNKNOWN
        if tensor.free or len(inside(tensor.shape)) > 4 or 0 in tensor.shape:
            return UNKNOWN
        value = self.made.value(tensor.name, TensorType(inside(tensor.shape), fmt))
        self.state.shapes[value] = tensor.shape
        return value

    def _build(self, operator: Operator, path: str) -> Sequence[str]:
        context = OpContext(self.state, operator, path)
        self._check_operands(context)
        folded = folding.fold(context)
        if folded is not None:
            self.state.constants[operator.outputs[0]] = folded
            return [UNKNOWN]
        support = registry.find(operator.kind)
        if support is None:
            raise Unsupported(
                f"{operator.kind} is not supported", advice=registry.advice_for(operator.kind, operator.custom)
            )
        try:
            made = support.handler(context)
        except CONFUSED as error:
            if debugging():
                raise
            found = f"{operator.kind} has operands of kinds or sizes that this operator does not have"
            raise Unsupported(found, advice=CONVERT_AGAIN) from error
        results = [made] if isinstance(made, str) else list(made)
        if len(results) != len(operator.outputs):
            raise Unsupported(f"{operator.kind} with {len(operator.outputs)} outputs", str(len(results)))
        for tensor, value in zip(map(self.tensors.__getitem__, operator.outputs), results, strict=True):
            self._check_result(tensor, Value(value))
        return results

    def _check_operands(self, context: OpContext) -> None:
        """Values that nobody knows stop the operator; what no operator may read is refused."""
        for index in context.operator.inputs:
            if index < 0 or index in self.state.constants:
                continue
            if self.tensors[index].variable:
                raise Unsupported(f"{context.kind} keeps a state ({self.tensors[index]})", "operators without memory")
            if self.state.values[index] == UNKNOWN:
                raise ShapeUnknown

    def _check_result(self, tensor: Tensor, value: Value) -> None:
        if value == UNKNOWN:
            return
        fmt = self.made.type(value).fmt
        if fmt == S1() and tensor.type == "INT32":
            self._check_packed(tensor, value)
            return
        wanted = format_of(tensor)
        if fmt != wanted:
            raise Unsupported(f"{tensor} would hold {fmt}; the file says {wanted}")
        shape = self.state.shapes[value]
        if not _agree(tensor, shape):
            raise Unsupported(f"{tensor} would have shape {shape}; the file says {_open(tensor)}")

    def _check_packed(self, tensor: Tensor, value: Value) -> None:
        """1-bit values, 32 channels to an int32: no type of the file's, so they cannot leave the model."""
        *cells, channels = self.state.shapes[value]
        if not _agree(tensor, (*cells, words(channels))):
            raise Unsupported(f"{tensor} would hold {channels} bits of {cells} cells; the file says {_open(tensor)}")
        if tensor.index in self.model.outputs:
            raise Unsupported(f"{tensor} is an output of packed bits", "float32, int8, uint8", "End with LceDequantize")


def name_of(tensor: Tensor) -> str:
    """A tensor's name as a layer's: the converter joins those of all layers that it fused with semicolons."""
    return next((part for part in tensor.name.split(";") if part), tensor.name)


def _port(tensor: Tensor) -> Port:
    """Reals become codes as QUANTIZE makes them."""
    rounding = Rounding.KERAS if tensor.type == "FLOAT32" else Rounding.DIVIDE_AWAY
    return Port(tensor.name, rounding, unsigned=tensor.type == "UINT8", free=False)


def _open(tensor: Tensor) -> str:
    sizes = ["?" if axis in tensor.free else str(n) for axis, n in enumerate(tensor.shape)]
    return f"({', '.join(sizes)})"


def _agree(tensor: Tensor, shape: Shape) -> bool:
    """Whether a shape is the file's, where that says its sizes. Scalars have one element."""
    if not tensor.shape:
        return shape in ((), (1,))
    return len(shape) == len(tensor.shape) and all(
        axis in tensor.free or n == m for axis, (n, m) in enumerate(zip(shape, tensor.shape, strict=True))
    )
