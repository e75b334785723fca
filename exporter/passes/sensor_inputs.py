"""Inputs of raw 8-bit sensor samples.

A camera or microphone gives a uint8 u; the network was trained on s * u + o. The input then stores u - 128, and s and o
go into the first layer: exactly, by the algebra of `absorb_scale.py`, and without a float on the device.

Two ways lead here. The option `input_u8` says that an input's real values are s * u + o. Or the model begins with a
Rescaling that spreads 256 steps over a range as normalizations do: its input then is u itself, if all that reads it can
take bytes.

Where o / s is whole and in range, the tensor is s8(s, -128 - o / s) and nothing is left to fold: a padded zero has a
code. Otherwise it is s8(1, -128) with a Scale behind it. What cannot fold that (a padded zero between two codes) reads
floats, which one kernel makes from the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir import ops
from ..ir.graph import Graph
from ..ir.types import F32, S8, TensorType
from . import absorb_scale
from .context import Context, Decision, PassError
from .editor import Editor

SAMPLES = S8(1.0, -128)
RANGES = (0.5, 16.0)  # of what a Rescaling makes of 0..255, to be taken for the normalization of samples
MOVERS = (ops.Reshape, ops.View, ops.MaxPool)


def run(graph: Graph, context: Context) -> Graph:
    """Retype the inputs that take samples."""
    asked = _asked(graph, context)
    for name in graph.inputs:
        if name in asked:
            graph = _with_samples(graph, name, *asked[name], context)
        elif context.options.io_dtype == "auto" and graph.ports[name].free:
            graph = _recognized(graph, name, context)
    return graph


def _asked(graph: Graph, context: Context) -> dict[str, tuple[float, float]]:
    """The option by input; one pair stands for every input."""
    option = context.options.input_u8
    if option is None:
        return {}
    if not isinstance(option, Mapping):
        return dict.fromkeys(graph.inputs, option)
    by_port = {graph.ports[name].name: name for name in graph.inputs}
    unknown = sorted(set(option) - set(by_port))
    if unknown:
        raise PassError(f"input_u8 names the inputs {unknown}; the model has {sorted(by_port)}")
    return {by_port[port]: pair for port, pair in option.items()}


def _with_samples(graph: Graph, name: str, scale: float, offset: float, context: Context) -> Graph:
    """The option: whatever reads the input, it takes samples."""
    port = graph.ports[name].name
    if name in graph.outputs:
        raise PassError(f"input {port} is an output too and stays f32; leave it out of input_u8")
    if not isinstance(graph.types[name].fmt, F32):
        raise PassError(f"input {port} is {graph.types[name].fmt} and takes no samples")
    fmt = sample_format(scale, offset)
    if fmt is not None:
        typed = _retyped(graph, name, fmt, None, (scale, offset))
    else:
        typed = _retyped(graph, name, SAMPLES, ops.Scale(scale, offset), (scale, offset))
    typed = absorb_scale.run(typed, context)
    reason = _obstacle(Editor(typed), name)
    where = "floats are made from them on the device: " + reason if reason else "folded into what reads it"
    why = f"asked for; {where}"
    context.decisions.append(Decision((), name, "input takes raw uint8 samples", why, code="raw-samples"))
    return typed


def _recognized(graph: Graph, name: str, context: Context) -> Graph:
    """A Rescaling at the very beginning."""
    editor = Editor(graph)
    reader = editor.only_consumer(name)
    if reader is None or not isinstance(reader.op, ops.Scale) or not isinstance(graph.types[name].fmt, F32):
        return graph
    if not RANGES[0] <= 255 * abs(reader.op.factor) <= RANGES[1]:
        return graph
    typed = absorb_scale.run(_retyped(graph, name, SAMPLES, None, (1.0, 0.0)), context)
    reason = _obstacle(Editor(typed), name)
    if reason:
        why = f"{reason}; --input-u8 1 0 takes bytes and makes the floats on the device"
        context.decisions.append(Decision(reader.layers, name, "input stays f32", why, code="input-stays-f32"))
        return graph
    what = f"a Rescaling by {reader.op.factor:g} and {reader.op.offset:g} stands first"
    context.decisions.append(Decision(reader.layers, name, "input takes raw uint8 samples", what, code="raw-samples"))
    return typed


def sample_format(scale: float, offset: float) -> S8 | None:
    """The format whose real values are scale * u + offset for the code u - 128, None if it has no such zero point."""
    zero = -offset / scale
    whole = round(zero)
    if scale < 0 or abs(zero - whole) > 1e-9 * max(1.0, abs(zero)) or not 0 <= whole <= 255:
        return None
    return S8(scale, whole - 128)


def _retyped(graph: Graph, name: str, fmt: S8, pair: ops.Scale | None, sample: tuple[float, float]) -> Graph:
    editor = Editor(graph)
    editor.retype_input(name, TensorType(graph.types[name].shape, fmt))
    if pair is not None:
        value = editor.fresh(name)
        editor.redirect(name, value)
        editor.put(pair, (name,), value, ())
    editor.ports[name] = replace(graph.ports[name], samples=sample)
    return editor.finish()


def _obstacle(editor: Editor, value: str) -> str:
    """Why what reads a value needs floats, empty if all of it takes bytes."""
    for reader in editor.consumers(value):
        if isinstance(reader.op, ops.Conv2D | ops.DepthwiseConv2D | ops.Quantize | ops.Ternary):
            reason = ""
        elif isinstance(reader.op, MOVERS):
            reason = _obstacle(editor, reader.output)
        elif not isinstance(reader.op, ops.Elementwise):
            reason = f"{', '.join(reader.layers) or reader.output} reads it"
        else:
            reason = "" if _ends_quantized(editor, reader.output) else _reason(editor, reader.output)
        if reason:
            return reason
    return ""


def _ends_quantized(editor: Editor, value: str) -> bool:
    """Whether the element-by-element chain behind a value ends in a quantizer to bits or bytes."""
    while (reader := editor.only_consumer(value)) is not None and isinstance(reader.op, ops.Elementwise):
        if isinstance(reader.op, ops.Quantize | ops.Ternary):
            return True
        value = reader.output
    return False


def _reason(editor: Editor, value: str) -> str:
    reader = editor.only_consumer(value)
    if reader is None:
        return "the normalized value has several readers, or is an output"
    layer = ", ".join(reader.layers) or reader.output
    if isinstance(reader.op, ops.Conv2D | ops.DepthwiseConv2D) and reader.op.padding != ops.NO_PADDING:
        return f"the zeros that {layer} pads lie between two samples"
    return f"{layer} works on the normalized value"
