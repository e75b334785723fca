"""Which handler builds which operator, and what each supports: the source of the support table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..handlers import Handlers
from .context import OnnxContext
from .model import MICROSOFT, QONNX, STANDARD, OnnxNode
from .operands import Operand

Handler: TypeAlias = Callable[[OnnxContext], Operand | Sequence[Operand]]


@dataclass(frozen=True)
class OperatorSupport:
    """One row of the support table. `forms` says what is supported, `limits` what is not."""

    domain: str
    operators: tuple[str, ...]
    forms: str
    limits: tuple[str, ...]
    handler: Handler


_HANDLERS: Handlers[tuple[str, str], OperatorSupport] = Handlers(
    lambda key: f"{key[1]} of {key[0] or 'ai.onnx'}", anew=False
)
_REFUSED: dict[tuple[str, str], str] = {}


def register(
    *operators: str, domain: str = STANDARD, forms: str = "", limits: Iterable[str] = ()
) -> Callable[[Handler], Handler]:
    """Decorator: the function builds these operators. ValueError if one has a handler already."""

    def add(handler: Handler) -> Handler:
        row = OperatorSupport(domain, operators, forms, tuple(limits), handler)
        _HANDLERS.add([(domain, name) for name in operators], row)
        return handler

    return add


def refuse(*operators: str, domain: str = STANDARD, advice: str) -> None:
    """Known operators without a handler: what to do instead."""
    for name in operators:
        _REFUSED[domain, name] = advice


def support_table() -> tuple[OperatorSupport, ...]:
    """Every registered row once, in order of registration."""
    return _HANDLERS.table()


def refused_operators() -> Mapping[tuple[str, str], str]:
    """Operators that are known and refused, with the advice given."""
    return dict(_REFUSED)


def find(node: OnnxNode) -> OperatorSupport | None:
    """The handler's row for a node, None if there is none. Exporters differ in which domain they put the operators of
    opset 20 and QONNX in."""
    for domain in (node.domain, STANDARD) if node.domain == MICROSOFT else (node.domain,):
        if (domain, node.op) in _HANDLERS.rows:
            return _HANDLERS.rows[domain, node.op]
    return None


def advice_for(node: OnnxNode) -> str:
    """What to do about an unsupported operator."""
    return _REFUSED.get((node.domain, node.op), "Replace it by supported operators")


DOMAIN_TITLES = {
    STANDARD: "Operators of ONNX",
    MICROSOFT: "Operators of onnxruntime (com.microsoft)",
    QONNX: "Operators of QONNX (qonnx.custom_op.general, onnx.brevitas, finn.custom_op.general)",
}
