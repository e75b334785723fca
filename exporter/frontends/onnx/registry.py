"""Which handler builds which operator, and what each supports: the source of the support table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

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


_HANDLERS: dict[tuple[str, str], OperatorSupport] = {}
_REFUSED: dict[tuple[str, str], str] = {}


def register(
    *operators: str, domain: str = STANDARD, forms: str = "", limits: Iterable[str] = ()
) -> Callable[[Handler], Handler]:
    """Decorator: the function builds these operators. ValueError if one has a handler already."""

    def add(handler: Handler) -> Handler:
        support = OperatorSupport(domain, operators, forms, tuple(limits), handler)
        for name in operators:
            if (domain, name) in _HANDLERS:
                raise ValueError(f"{name} of {domain or 'ai.onnx'} has a handler already")
            _HANDLERS[domain, name] = support
        return handler

    return add


def refuse(*operators: str, domain: str = STANDARD, advice: str) -> None:
    """Known operators without a handler: what to do instead."""
    for name in operators:
        _REFUSED[domain, name] = advice


def support_table() -> tuple[OperatorSupport, ...]:
    """Every registered row once, in order of registration."""
    return tuple(dict.fromkeys(_HANDLERS.values()))


def refused_operators() -> Mapping[tuple[str, str], str]:
    """Operators that are known and refused, with the advice given."""
    return dict(_REFUSED)


def find(node: OnnxNode) -> OperatorSupport | None:
    """The handler's row for a node, None if there is none. Exporters differ in which domain they put the operators of
    opset 20 and QONNX in."""
    for domain in (node.domain, STANDARD) if node.domain == MICROSOFT else (node.domain,):
        if (domain, node.op) in _HANDLERS:
            return _HANDLERS[domain, node.op]
    return None


def advice_for(node: OnnxNode) -> str:
    """What to do about an unsupported operator."""
    return _REFUSED.get((node.domain, node.op), "Replace it by supported operators")


DOMAIN_TITLES = {
    STANDARD: "Operators of ONNX",
    MICROSOFT: "Operators of onnxruntime (com.microsoft)",
    QONNX: "Operators of QONNX (qonnx.custom_op.general, onnx.brevitas, finn.custom_op.general)",
}
