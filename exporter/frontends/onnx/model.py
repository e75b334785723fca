"""An ONNX file as plain data: what the front end works on, without protobuf in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

# Domains that mean the standard operators, those of onnxruntime and those of Brevitas and its kin.
STANDARD, MICROSOFT, QONNX = "", "com.microsoft", "qonnx"
_DOMAINS = {
    "": STANDARD,
    "ai.onnx": STANDARD,
    "com.microsoft": MICROSOFT,
    "qonnx.custom_op.general": QONNX,
    "onnx.brevitas": QONNX,
    "finn.custom_op.general": QONNX,
}


def domain_of(name: str) -> str:
    """One name for the domains that hold the same operators; others as they are."""
    return _DOMAINS.get(name, name)


@dataclass(frozen=True, eq=False)
class Nibbles:
    """Numbers of ONNX's int4 and uint4, which numpy does not have: as int8 and uint8."""

    array: Array


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """`path` is its name for users: that of the file, or its first output's. An input that is left out is "";
    attributes are numbers, text, lists of those, or tensors."""

    path: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def operator(self) -> str:
        """The operator with its domain, where it is not a standard one."""
        return f"{self.domain}.{self.op}" if self.domain else self.op


@dataclass(frozen=True)
class OnnxPort:
    """An input or output; `dtype` is "f32", "u8" or "s8", else the ONNX name of its type. A dimension that is not fixed
    is its name, or "?"."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """`opsets` by domain; `nodes` are in an order in which they can be computed."""

    name: str
    opsets: Mapping[str, int]
    inputs: tuple[OnnxPort, ...]
    outputs: tuple[OnnxPort, ...]
    initializers: Mapping[str, Array | Nibbles]
    nodes: tuple[OnnxNode, ...]

    @property
    def has_qonnx(self) -> bool:
        """Whether it has operators of QONNX, which onnxruntime does not know."""
        return any(node.domain == QONNX for node in self.nodes)


@dataclass(frozen=True, eq=False)
class Codes:
    """Quantized constants: real = (values - zero_point) * scale. `values` are integers in an int64 array; scale and
    zero point are float64 and int64, of one value or of shapes that broadcast over the values. `bits` of the quantizer,
    `bipolar`: +1 and -1. `source` names what quantizes."""

    values: NDArray[np.int64]
    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    bits: int
    bipolar: bool = False
    source: str = ""
