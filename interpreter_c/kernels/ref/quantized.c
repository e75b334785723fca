/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The arithmetic of quantized files (SPEC.md 3.7): binary_s8_fixed, reduce_s8, softmax_s8, lut_s8_channels,
 * bilinear_s8. Integers only. */
#include "../../src/numerics.h"
#include "elements.h"
#include "sink.h"

/* --- tables --- */

void dqnn_run_lut_s8_channels_ref(const dqnn_call *call) {
  const int8_t *in = (const int8_t *)call->in[0], *table = (const int8_t *)call->constants[0];
  int8_t *out = (int8_t *)call->out;
  uint32_t rows = dqnn_rows(call->in_def[0]), last = dqnn_last(call->in_def[0]);
  for (uint32_t i = 0; i < rows * last; ++i) {
    out[i] = table[i % last * 256 + (uint32_t)(in[i] + 128)];
  }
}

/* --- two inputs --- */

/* The number of input n that output index `at` meets: dimensions of 1 are repeated. */
static int32_t operand(const dqnn_call *call, uint32_t n, const ref_index *at) {
  const dqnn_tensor_def *def = call->in_def[n];
  ref_index from;
  for (uint32_t k = 0; k < def->rank; ++k) {
    from.i[k] = def->dims[k] == 1 ? 0 : at->i[k];
  }
  return ref_integer(def, call->in[n], ref_row_of(def, &from), from.i[def->rank - 1]);
}

static int32_t shifted_left(int32_t x, uint32_t shift) {
  return (int32_t)((uint32_t)x << shift);
}

/* TFLite's rule: each step rounded. */
static int32_t combine_double(const dqnn_fixed_binary_params *p, int32_t a, int32_t b) {
  if (p->kind == DQNN_MUL) {
    return dqnn_fixed_point(a * b, p->multiplier, p->shift);
  }
  a = dqnn_fixed_point(shifted_left(a, p->left), p->multiplier_a, p->shift_a);
  b = dqnn_fixed_point(shifted_left(b, p->left), p->multiplier_b, p->shift_b);
  uint32_t sum = p->kind == DQNN_ADD ? (uint32_t)a + (uint32_t)b : (uint32_t)a - (uint32_t)b;
  return dqnn_fixed_point((int32_t)sum, p->multiplier, p->shift);
}

/* The exact result, rounded once. */
static int32_t combine_single(const dqnn_fixed_binary_params *p, int32_t a, int32_t b) {
  int64_t half = INT64_C(1) << (p->shift - 1);
  if (p->kind == DQNN_MUL) {
    return dqnn_saturated_fixed64(a * b, p->multiplier, half, p->shift);
  }
  return dqnn_saturated_fixed64(a, p->multiplier_a, (int64_t)b * p->multiplier_b + half, p->shift);
}

static int32_t combine(const dqnn_fixed_binary_params *p, int32_t a, int32_t b) {
  if (p->kind == DQNN_MAXIMUM) {
    return a < b ? b : a;
  }
  if (p->kind == DQNN_MINIMUM) {
    return b < a ? b : a;
  }
  return p->single ? combine_single(p, a, b) : combine_double(p, a, b);
}

void dqnn_run_binary_s8_fixed_ref(const dqnn_call *call) {
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  int32_t zero_point = call->out_def->zero_point;
  int8_t *out = (int8_t *)call->out;
  ref_index at = {{0, 0, 0, 0}};
  do {
    int32_t result = combine(p, operand(call, 0, &at), operand(call, 1, &at));
    *out++ = (int8_t)(dqnn_clamp_int(result, p->act_min - zero_point, p->act_max - zero_point) + zero_point);
  } while (ref_next(call->out_def, &at));
}

/* --- reductions --- */

/* Index of the input element that output element `at` of the axes that stay, and `cell` of those that go, stand for. */
static ref_index joined(const dqnn_call *call, uint32_t axes, const ref_index *at, const ref_index *cell) {
  const dqnn_tensor_def *in = call->in_def[0];
  int keeps_rank = call->out_def->rank == in->rank;
  ref_index from = {{0, 0, 0, 0}};
  for (uint32_t k = 0, kept = 0; k < in->rank; ++k) {
    uint32_t gone = axes >> k & 1u;
    from.i[k] = gone ? cell->i[k] : at->i[kept];
    kept += keeps_rank || !gone ? 1 : 0;
  }
  return from;
}

/* Next cell of the axes that go; 0 after the last one. */
static int next_cell(const dqnn_tensor_def *in, uint32_t axes, ref_index *cell) {
  for (uint32_t k = in->rank; k-- > 0;) {
    if ((axes >> k & 1u) != 0) {
      if (++cell->i[k] < in->dims[k]) {
        return 1;
      }
      cell->i[k] = 0;
    }
  }
  return 0;
}

static int32_t reduced(const dqnn_call *call, const ref_index *at) {
  const dqnn_reduce_params *p = (const dqnn_reduce_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  ref_index cell = {{0, 0, 0, 0}};
  int32_t result = p->kind == DQNN_ADD ? 0 : p->kind == DQNN_MAXIMUM ? INT32_MIN : INT32_MAX;
  do {
    ref_index from = joined(call, p->axes, at, &cell);
    int32_t x = ref_integer(in, call->in[0], ref_row_of(in, &from), from.i[in->rank - 1]);
    if (p->kind == DQNN_ADD) {
      result += x;
    } else if (p->kind == DQNN_MAXIMUM ? result < x : x < result) {
      result = x;
    }
  } while (next_cell(in, p->axes, &cell));
  return result;
}

void dqnn_run_reduce_s8_ref(const dqnn_call *call) {
  const dqnn_reduce_params *p = (const dqnn_reduce_params *)call->params;
  ref_sink sink = ref_sink_of(call, 0, p->requant, p->act_min, p->act_max);
  int8_t *out = (int8_t *)call->out;
  ref_index at = {{0, 0, 0, 0}};
  do {
    int32_t result = reduced(call, &at);
    if (p->kind == DQNN_ADD) {
      ref_put_int(&sink, 0, result);
    } else {
      *out++ = (int8_t)(result + call->out_def->zero_point);
    }
  } while (ref_next(call->out_def, &at));
}

/* --- softmax --- */

/* exp of a difference to the largest, Q0.31; 0 where it is too small. */
static int32_t term(const dqnn_softmax_params *p, int32_t difference) {
  if (difference < p->diff_min) {
    return 0;
  }
  return dqnn_exp_fixed(dqnn_high_mul(shifted_left(difference, (uint32_t)p->left_shift), p->multiplier));
}

static void softmax_row(const dqnn_softmax_params *p, const int8_t *in, int8_t *out, uint32_t count) {
  int32_t most = INT8_MIN, sum = 0;
  for (uint32_t i = 0; i < count; ++i) {
    most = most < in[i] ? in[i] : most;
  }
  for (uint32_t i = 0; i < count; ++i) {
    sum += dqnn_shift_half_away(term(p, in[i] - most), 12);
  }
  dqnn_reciprocal inverse = dqnn_reciprocal_fixed(sum);
  for (uint32_t i = 0; i < count; ++i) {
    int32_t share = dqnn_high_mul(inverse.mantissa, term(p, in[i] - most));
    int32_t code = inverse.shift > 31 ? 0 : dqnn_shift_half_away(share, inverse.shift);
    out[i] = (int8_t)dqnn_clamp_int(code - 128, -128, 127);
  }
}

void dqnn_run_softmax_s8_ref(const dqnn_call *call) {
  uint32_t rows = dqnn_rows(call->in_def[0]), last = dqnn_last(call->in_def[0]);
  for (uint32_t row = 0; row < rows; ++row) {
    softmax_row((const dqnn_softmax_params *)call->params, (const int8_t *)call->in[0] + row * last,
                (int8_t *)call->out + row * last, last);
  }
}

/* --- bilinear resizing --- */

/* Twice the cells around a place are mixed: along x, and what that gives along y; 2^20 parts in all, rounded once. */
static int8_t mixed(const int8_t *upper, const int8_t *lower, uint32_t step, int32_t share_y, int32_t share_x) {
  int32_t top = upper[0] * (DQNN_PLACES - share_x) + upper[step] * share_x;
  int32_t bottom = lower[0] * (DQNN_PLACES - share_x) + lower[step] * share_x;
  return (int8_t)dqnn_shift_half_away(top * (DQNN_PLACES - share_y) + bottom * share_y, 20);
}

void dqnn_run_bilinear_s8_ref(const dqnn_call *call) {
  const uint32_t *places_y = (const uint32_t *)call->constants[0], *places_x = (const uint32_t *)call->constants[1];
  const int8_t *in = (const int8_t *)call->in[0];
  int8_t *out = (int8_t *)call->out;
  uint32_t channels = dqnn_last(call->out_def), pitch = call->in_def[0]->dims[1] * channels;
  for (uint32_t y = 0; y < call->out_def->dims[0]; ++y) {
    uint32_t place_y = places_y[y], top = place_y / DQNN_PLACES * pitch, bottom = dqnn_place_upper(place_y) * pitch;
    for (uint32_t x = 0; x < call->out_def->dims[1]; ++x) {
      uint32_t place_x = places_x[x], left = place_x / DQNN_PLACES * channels;
      uint32_t step = dqnn_place_upper(place_x) * channels - left;
      for (uint32_t c = left; c < left + channels; ++c) {
        *out++ = mixed(in + top + c, in + bottom + c, step, (int32_t)(place_y % DQNN_PLACES),
                       (int32_t)(place_x % DQNN_PLACES));
      }
    }
  }
}
