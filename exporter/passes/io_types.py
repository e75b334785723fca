"""An input that the model quantizes before anything else becomes an input of that type (option `io_dtype` auto), if its
port is free.

Whoever fills the input then stores what the quantizer would have stored. A quantizer with a smaller range than its
type keeps a table behind the input that clamps to it, so the same real input still gives the same code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import ops
from ..ir.graph import Graph, Node
from ..ir.types import F32, S8, TensorType
from .context import Context, Decision
from .editor import Editor


def run(graph: Graph, context: Context) -> Graph:
    """Retype inputs."""
    if context.options.io_dtype == "f32":
        return graph
    editor = Editor(graph)
    for name in graph.inputs:
        _retype(editor, name, context)
    return editor.finish()


def _retype(editor: Editor, name: str, context: Context) -> None:
    readers = editor.consumers(name)
    quantizers = [node for node in readers if isinstance(node.op, ops.Quantize)]
    rules = {(node.op.fmt, node.op.rounding) for node in quantizers if isinstance(node.op, ops.Quantize)}
    kind, port = editor.types[name], editor.ports[name]
    alike = len(quantizers) == len(readers) and len(rules) == 1
    if not alike or not port.free or name in editor.outputs or not isinstance(kind.fmt, F32):
        return
    if any(node.output in editor.outputs for node in quantizers):
        return
    fmt, rounding = rules.pop()
    editor.retype_input(name, TensorType(kind.shape, fmt))
    editor.ports[name] = replace(port, rounding=rounding)
    for node in quantizers:
        _replace_quantizer(editor, name, node)
    source = next(
        (node.op.source for node in quantizers if isinstance(node.op, ops.Quantize) and node.op.source), str(fmt)
    )
    layers = tuple(dict.fromkeys(layer for node in quantizers for layer in node.layers))
    why = f"the model quantizes it first ({source})"
    context.decisions.append(Decision(layers, name, f"input takes {fmt}", why, code="input-retyped"))


def _replace_quantizer(editor: Editor, name: str, node: Node) -> None:
    assert isinstance(node.op, ops.Quantize)
    if isinstance(node.op.fmt, S8) and (node.op.qmin, node.op.qmax) != (-128, 127):
        table = np.clip(np.arange(-128, 128), node.op.qmin, node.op.qmax).astype(np.int8)
        editor.put(ops.Table(table, node.op.fmt), (name,), node.output, node.layers)
        return
    editor.redirect(node.output, name)
    editor.drop([node])
    for reader in editor.consumers(name):
        editor.put_layers(reader, [*node.layers, *reader.layers])
