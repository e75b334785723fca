/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The structs of schema/dqnn.fbs as they lie in the file: little-endian, read in place.
 * tests/schema holds sizes, offsets and slots equal to flatc's reflection of the .fbs. */
#ifndef DQNN_SCHEMA_H
#define DQNN_SCHEMA_H

#include <stdint.h>

#include "dqnn/dqnn.h" /* dqnn_dtype */

enum {
  DQNN_REQUANT_AFFINE = 0,
  DQNN_REQUANT_FIXED_POINT = 1,
  DQNN_REQUANT_POWER_OF_TWO = 2,
  DQNN_REQUANT_FIXED64 = 3,
  DQNN_REQUANT_DIVIDE_EVEN = 4,
  DQNN_REQUANT_DIVIDE_AWAY = 5
};

typedef struct {
  uint32_t dims[4];
  float scale;
  int32_t zero_point;
  uint32_t offset;
  uint8_t dtype;
  uint8_t rank;
  uint16_t rows; /* of axis 0 in memory, 0: all */
} dqnn_tensor_def;

typedef struct {
  uint32_t offset;
  uint32_t bytes;
} dqnn_constant_def;

typedef struct {
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  uint16_t up_h, up_w, groups, multiplier, pool_h, pool_w;
  uint8_t requant, half_weights;
  uint8_t weight_bits, reserved; /* weight_bits: 4, 2, or 0 for 8 */
  float pad_value, act_min, act_max;
} dqnn_conv_params;

typedef struct {
  uint8_t requant, per_channel;
  uint16_t reserved;
  float act_min, act_max;
} dqnn_channel_params;

typedef struct {
  uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
} dqnn_pool_params;

enum {
  DQNN_RELU,
  DQNN_SIGMOID,
  DQNN_HARD_SIGMOID,
  DQNN_TANH,
  DQNN_ELU,
  DQNN_SWISH,
  DQNN_EXP,
  DQNN_SELU,
  DQNN_SOFTPLUS,
  DQNN_SOFTSIGN,
  DQNN_GELU,
  DQNN_LEAKY_RELU,
  DQNN_ABS,
  DQNN_SQUARE,
  DQNN_HARD_SWISH,
  DQNN_MISH,
  DQNN_UNARY_KINDS
};

typedef struct {
  uint8_t kind, reserved0;
  uint16_t reserved1;
  float alpha;
} dqnn_unary_params;

enum { DQNN_ADD, DQNN_SUB, DQNN_MUL, DQNN_MAXIMUM, DQNN_MINIMUM, DQNN_BINARY_KINDS };

typedef struct {
  uint8_t kind, per_channel;
  uint16_t reserved;
  float act_min, act_max;
} dqnn_binary_params;

typedef struct {
  uint32_t axis;
} dqnn_concat_params;

typedef struct {
  uint32_t before[4];
  float value;
} dqnn_pad_params;

typedef struct {
  uint32_t axis[4], start[4], step[4], repeat[4];
} dqnn_view_params;

typedef struct {
  uint8_t kind, single, left, reserved;
  int32_t multiplier_a, shift_a, multiplier_b, shift_b, multiplier, shift, act_min, act_max;
} dqnn_fixed_binary_params;

typedef struct {
  uint32_t axes;
  uint8_t kind, requant;
  uint16_t reserved;
  float act_min, act_max;
} dqnn_reduce_params;

typedef struct {
  int32_t multiplier, left_shift, diff_min;
} dqnn_softmax_params;

typedef struct {
  uint32_t axes;
} dqnn_gather_params;

#endif
