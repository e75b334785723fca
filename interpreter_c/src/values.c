/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* See dqnn_values.h; python_bindings/dqnn/tensors.py says the same in numpy, and tests/bindings/test_values.py compares
 * the two bit for bit. */
#include "dqnn/dqnn_values.h"

#include <string.h>

#include "numerics.h"

/* Beyond what any zero point can bring back into a code. */
static const float FAR = 512.0f;

/* To the nearest integer, ties to even; for numbers of 0 to 2^24. */
static int32_t nearest(double x) {
  int32_t whole = (int32_t)x;
  double rest = x - whole;
  return whole + (rest > 0.5 || (rest == 0.5 && (whole & 1) != 0) ? 1 : 0);
}

/* 1 / scale in binary32; for a scale that is the binary32 of 1/n, n. */
static float reciprocal(float scale) {
  double exact = 1.0 / (double)scale;
  if (exact < 16777216.0) {
    int32_t whole = nearest(exact);
    if (whole != 0 && (float)(1.0 / whole) == scale) {
      return (float)whole;
    }
  }
  return (float)exact;
}

static int8_t code_of(const dqnn_tensor *tensor, float factor, float x) {
  float steps = tensor->rounding == DQNN_ROUNDING_MULTIPLY ? x * factor : x / factor;
  steps = dqnn_clamp(steps, -FAR, FAR);
  int32_t whole =
      tensor->rounding == DQNN_ROUNDING_DIVIDE_AWAY ? dqnn_round_half_away(steps) : dqnn_round_half_even(steps);
  return (int8_t)dqnn_clamp_int(whole + tensor->zero_point, -128, 127);
}

static int8_t sample_of(const dqnn_tensor *tensor, float x) {
  double exact = ((double)x - (double)tensor->sample_offset) / (double)tensor->sample_scale;
  exact = exact > 0.0 ? (exact < 255.0 ? exact : 255.0) : 0.0;
  return (int8_t)(nearest(exact) - 128);
}

static void store_s8(const dqnn_tensor *tensor, const float *values, uint32_t count) {
  int8_t *codes = tensor->data;
  float factor = tensor->rounding != DQNN_ROUNDING_MULTIPLY ? tensor->scale
                 : tensor->inverse != 0.0f                  ? tensor->inverse
                                                            : reciprocal(tensor->scale);
  for (uint32_t i = 0; i < count; ++i) {
    if (tensor->sample_scale != 0.0f) {
      codes[i] = sample_of(tensor, values[i]);
    } else {
      codes[i] = code_of(tensor, factor, values[i]);
    }
  }
}

/* Where element i of a tensor of bits lies: its word, and the bit there. */
static uint32_t *word_of(const dqnn_tensor *tensor, uint32_t i, uint32_t *bit) {
  uint32_t length = tensor->dims[tensor->rank - 1], at = i % length;
  *bit = 1u << at % 32;
  return (uint32_t *)tensor->data + (size_t)(i / length) * (length / 32 + (length % 32 != 0)) + at / 32;
}

static void store_s1(const dqnn_tensor *tensor, const float *values, uint32_t count) {
  uint32_t bit;
  memset(tensor->data, 0, tensor->bytes);
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t *word = word_of(tensor, i, &bit);
    *word |= values[i] <= -FLT_MIN ? bit : 0;
  }
}

static float real_of(const dqnn_tensor *tensor, uint32_t i) {
  uint32_t bit;
  if (tensor->dtype == DQNN_S1) {
    const uint32_t *word = word_of(tensor, i, &bit);
    return (*word & bit) != 0 ? -1.0f : 1.0f;
  }
  return tensor->scale * (float)(((const int8_t *)tensor->data)[i] - tensor->zero_point);
}

static bool fits(const dqnn_tensor *tensor, const void *values, uint32_t count) {
  return tensor != NULL && values != NULL &&
         count == tensor->dims[0] * tensor->dims[1] * tensor->dims[2] * tensor->dims[3];
}

dqnn_status dqnn_tensor_store_f32(const dqnn_tensor *tensor, const float *values, uint32_t count) {
  if (!fits(tensor, values, count)) {
    return DQNN_ERROR_ARGUMENT;
  }
  if (tensor->dtype == DQNN_F32) {
    memcpy(tensor->data, values, tensor->bytes);
  } else if (tensor->dtype == DQNN_S8) {
    store_s8(tensor, values, count);
  } else {
    store_s1(tensor, values, count);
  }
  return DQNN_OK;
}

dqnn_status dqnn_tensor_load_f32(const dqnn_tensor *tensor, float *values, uint32_t count) {
  if (!fits(tensor, values, count)) {
    return DQNN_ERROR_ARGUMENT;
  }
  if (tensor->dtype == DQNN_F32) {
    memcpy(values, tensor->data, tensor->bytes);
    return DQNN_OK;
  }
  for (uint32_t i = 0; i < count; ++i) {
    values[i] = real_of(tensor, i);
  }
  return DQNN_OK;
}
