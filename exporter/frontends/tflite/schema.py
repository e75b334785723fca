"""What the reader needs to know of TensorFlow Lite's schema: operators by number, types, and the fields of the options
that handlers ask for. Held equal to TensorFlow's own by a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

VERSION = 3

TYPES = (
    "FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE VARIANT "
    "UINT32 UINT16 INT4"
).split()

DTYPES: Mapping[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "FLOAT64": np.dtype("<f8"),
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "BOOL": np.dtype("?"),
}
"""Types whose constants can be read; those of NIBBLES too."""

NIBBLES = "INT4"

# By number, from 0; newer ones only have a name in messages.
OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG
SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE
MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO
RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE
RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
""".split()
CUSTOM = OPERATORS.index("CUSTOM")

PADDINGS = ("SAME", "VALID")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
MIRRORS = ("REFLECT", "SYMMETRIC")


@dataclass(frozen=True)
class Field:
    """One number (or vector of int32) of an options table."""

    slot: int
    code: str
    default: Any
    names: tuple[str, ...] = ()  # of an enumeration


@dataclass(frozen=True)
class Options:
    """The table `name`, which the union has under `number`."""

    name: str
    number: int
    fields: Mapping[str, Field]


_ENUMS = {"padding": PADDINGS, "fused_activation_function": ACTIVATIONS, "mode": MIRRORS}


def _options(name: str, number: int, fields: str) -> Options:
    """`fields`: name:code, or name@slot:code, with =default if that is not 0; v is a vector of int32."""
    parsed = {}
    slot = -1
    for field in fields.split():
        declared, _, default = field.partition("=")
        place, code = declared.split(":")
        key, _, given = place.partition("@")
        slot = int(given) if given else slot + 1
        parsed[key] = Field(slot, code, float(default or 0) if code == "f" else int(default or 0), _ENUMS.get(key, ()))
    return Options(name, number, parsed)


_POOL = _options(
    "Pool2D", 5, "padding:b stride_w:i stride_h:i filter_width:i filter_height:i fused_activation_function:b"
)
_REDUCE = _options("Reducer", 27, "keep_dims:?")
_MATMUL = _options("BatchMatMul", 101, "adj_x:? adj_y:?")

OPTIONS: Mapping[str, Options] = {
    "CONV_2D": _options(
        "Conv2D",
        1,
        "padding:b stride_w:i stride_h:i fused_activation_function:b dilation_w_factor:i=1 dilation_h_factor:i=1",
    ),
    "DEPTHWISE_CONV_2D": _options(
        "DepthwiseConv2D",
        2,
        "padding:b stride_w:i stride_h:i depth_multiplier:i fused_activation_function:b dilation_w_factor:i=1 "
        "dilation_h_factor:i=1",
    ),
    "TRANSPOSE_CONV": _options("TransposeConv", 49, "padding:b stride_w:i stride_h:i fused_activation_function:b"),
    "FULLY_CONNECTED": _options("FullyConnected", 8, "fused_activation_function:b weights_format:b keep_num_dims:?"),
    "BATCH_MATMUL": _MATMUL,
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "ADD": _options("Add", 11, "fused_activation_function:b"),
    "SUB": _options("Sub", 28, "fused_activation_function:b"),
    "MUL": _options("Mul", 21, "fused_activation_function:b"),
    "DIV": _options("Div", 29, "fused_activation_function:b"),
    "CONCATENATION": _options("Concatenation", 10, "axis:i fused_activation_function:b"),
    "MIRROR_PAD": _options("MirrorPad", 77, "mode:b"),
    "RESHAPE": _options("Reshape", 17, "new_shape:v"),
    "STRIDED_SLICE": _options(
        "StridedSlice", 32, "begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i offset:?"
    ),
    "SPLIT": _options("Split", 35, "num_splits:i"),
    "SPLIT_V": _options("SplitV", 79, "num_splits:i"),
    "PACK": _options("Pack", 59, "values_count:i axis:i"),
    "UNPACK": _options("Unpack", 64, "num:i axis:i"),
    "GATHER": _options("Gather", 23, "axis:i batch_dims:i"),
    "SQUEEZE": _options("Squeeze", 30, "squeeze_dims:v"),
    "MEAN": _REDUCE,
    "SUM": _REDUCE,
    "REDUCE_MAX": _REDUCE,
    "REDUCE_MIN": _REDUCE,
    "REDUCE_PROD": _REDUCE,
    "LEAKY_RELU": _options("LeakyRelu", 75, "alpha:f"),
    "SOFTMAX": _options("Softmax", 9, "beta:f"),
    "GELU": _options("Gelu", 116, "approximate:?"),
    "RESIZE_NEAREST_NEIGHBOR": _options("ResizeNearestNeighbor", 74, "align_corners:? half_pixel_centers:?"),
    "RESIZE_BILINEAR": _options("ResizeBilinear", 15, "align_corners@2:? half_pixel_centers:?"),
    "SPACE_TO_DEPTH": _options("SpaceToDepth", 19, "block_size:i"),
    "DEPTH_TO_SPACE": _options("DepthToSpace", 94, "block_size:i"),
    "CAST": _options("Cast", 37, "in_data_type:b out_data_type:b"),
}
