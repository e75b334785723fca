"""Operations and parameters of kernel calls, by the vendor tool's conventions, so that reports compare line by line.

A convolution counts outputs times taps (and one per output channel for its bias or folded batch norm where a float is
involved), a pool outputs times window, a conversion two per element, softmax 15 per element, a layer normalization 8.
Operation types carry the vendor's names: `sxor_s1_s1` for binary products, `smul_<in>_<weights>` for others,
`conv_<from>_<to>` for conversions, `op_<in>_<out>` for the rest. What a tool that runs layer by layer would count
besides is kept apart as `saved`: results that a fused pool would drop, conversions that an epilogue makes."""

from __future__ import annotations

from collections.abc import Iterator

from ..blob import ModelView, NodeView, taps_of
from ..emit.kernel_table import KernelRow
from ..format import ConvParams, PoolParams
from ..ir import ops
from ..ir.graph import Graph
from ..ir.infer import as_map
from ..ir.types import TensorType, dtype_name
from ..passes.pack_weights import stored_bytes
from .model import Operations

SOFTMAX_OPERATIONS = 15  # per element
NORM_OPERATIONS = 8
CONVERSION_OPERATIONS = 2


# --- operations -------------------------------------------------------------------------------------------------------


def product_type(row: KernelRow) -> str:
    """The vendor's name of a multiply-accumulate."""
    return "sxor_s1_s1" if row.input == row.weights == "s1" else f"smul_{row.input}_{row.weights}"


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
    height, width, outputs = as_map(output.shape)
    full = height * params.pool_h * width * params.pool_w * outputs
    offsets = _own_offsets(node, graph, node.row.integer)
    additions = (full if node.row.integer else outputs) if offsets else 0
    yield Operations(product_type(node.row), full * taps_of(node, source) + additions, "products")
    window = params.pool_h * params.pool_w
    if window > 1:
        kind = dtype_name(output.fmt)
        yield Operations(f"op_{kind}_{kind}", height * width * outputs * window, "fused max pool")


def saved_of(node: NodeView, source: TensorType, output: TensorType) -> Iterator[Operations]:
    """What a kernel spares by pooling and converting its results while it has them."""
    params = node.params
    assert isinstance(params, ConvParams)
    (height, width, outputs), (rows, columns, _) = as_map(output.shape), as_map(source.shape)
    full_h = _before_pool(height * params.pool_h, params.pool_h, rows, params.kernel_h, params.stride_h, params)
    full_w = _before_pool(width * params.pool_w, params.pool_w, columns, params.kernel_w, params.stride_w, params)
    dropped = (full_h * full_w - height * params.pool_h * width * params.pool_w) * outputs
    if dropped:
        yield Operations(product_type(node.row), dropped * taps_of(node, source), "results that the pool drops")
    if not node.row.integer and node.row.output != "f32":
        elements = full_h * full_w * outputs
        yield Operations(f"conv_f32_{node.row.output}", CONVERSION_OPERATIONS * elements, "conversion in the epilogue")


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
    family = node.row.family
    sink = dtype_name(output.fmt)
    source = dtype_name(inputs[0].fmt) if inputs else sink
    if node.row.multiplies:
        return tuple(_conv_operations(node, inputs[0], output, graph))
    if family == "layernorm":
        return (Operations("op_f32_f32", NORM_OPERATIONS * output.elements, "layernorm"),)
    if family in ("softmax", "softmax_fixed"):
        return (Operations(f"op_{source}_{sink}", SOFTMAX_OPERATIONS * output.elements, "softmax"),)
    if family == "affine":
        return (Operations(f"conv_{source}_{sink}", CONVERSION_OPERATIONS * output.elements, "conversion"),)
    if family in ("maxpool", "avgpool", "avgpool_raw"):
        assert isinstance(node.params, PoolParams)
        window = node.params.kernel_h * node.params.kernel_w
        return (Operations(f"op_{source}_{sink}", output.elements * window, "pool"),)
    if family == "reduce":
        return (Operations(f"op_{source}_{sink}", inputs[0].elements, "reduction"),)
    if family in ("concat", "pad", "view", "reshape", "gather", "constant"):
        return (Operations(f"op_{source}_{sink}", 0, "moves data"),)
    return (Operations(f"op_{source}_{sink}", output.elements, family),)


# --- parameters -------------------------------------------------------------------------------------------------------


def parameters_of(node: NodeView, inputs: tuple[TensorType, ...], output: TensorType) -> int:
    """Weights, and a pair (scale, offset) per channel where an epilogue holds one."""
    if node.row.multiplies:
        return as_map(output.shape)[2] * (taps_of(node, inputs[0]) + 2)
    if node.row.family in ("affine", "prelu"):
        return 2 * output.shape[-1]
    return 0


def unpacked_bytes(model: ModelView, node: NodeView) -> int:
    """Of a node's constants, if weights of 4 and 2 bits had 8."""
    whole = model.constant_bytes(node)
    if not isinstance(node.params, ConvParams) or not node.params.weight_bits:
        return whole
    taps = taps_of(node, model.tensors[node.inputs[0]].type)
    outputs, depthwise = model.tensors[node.output].type.shape[-1], node.row.family == "depthwise"
    plain = stored_bytes(outputs, node.params.groups, taps, 8, depthwise)
    return whole - len(model.constants[node.constants[0]]) + plain


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
