/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* binary_s8_fixed: integers only, LANES elements at once. Inputs that repeat along a row, and shifts that leave more
 * than a word, go to the portable kernel. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#include <string.h>

#include "../opt/sums.h"
#include "vectors.h"

typedef struct {
  const dqnn_fixed_binary_params *params;
  int32_t zero_a, zero_b, zero_point, least, most;
} layer;

/* What a row goes through: constants wherever they are used. */
typedef enum { SUM, PLAIN_SUM, HALF_A, HALF_B, PRODUCT, SINGLE_SUM, SINGLE_PRODUCT, LARGER, SMALLER } rule;

/* TFLite's sum before its last scaling. PLAIN_SUM: all shifts are to the right; HALF_A, HALF_B: so they are, but one
 * input, an even number by then, is multiplied by 1/2, as the one of the larger scale is. */
DQNN_INLINE v_int scaled(rule r, v_int x, int32_t multiplier, int32_t shift) {
  return r == SUM ? fixed_point(x, all_int(multiplier), all_int(shift))
                  : fixed_point_right(x, all_int(multiplier), all_int(shift));
}
DQNN_INLINE v_int sum_of(const dqnn_fixed_binary_params *p, rule r, v_int a, v_int b) {
  const v_int sign = all_int(p->kind == DQNN_SUB ? -1 : 0);
  v_int x = r == HALF_A ? a << p->left >> 1 : scaled(r, a << p->left, p->multiplier_a, p->shift_a),
        y = r == HALF_B ? b << p->left >> 1 : scaled(r, b << p->left, p->multiplier_b, p->shift_b);
  return (v_int)((v_uint)x + (v_uint)((y ^ sign) - sign));
}

DQNN_INLINE v_int result_of(const layer *l, rule r, v_int a, v_int b) {
  const dqnn_fixed_binary_params *p = l->params;
  int64_t offset[LANES];
  if (r <= HALF_B) {
    return scaled(r, sum_of(p, r, a, b), p->multiplier, p->shift);
  }
  if (r == PRODUCT) {
    return fixed_point(a * b, all_int(p->multiplier), all_int(p->shift));
  }
  if (r == LARGER || r == SMALLER) {
    return r == LARGER ? larger_int(a, b) : smaller_int(a, b);
  }
  for (uint32_t i = 0; i < LANES; i++) {
    offset[i] = INT64_C(1) << (p->shift - 1);
  }
  if (r == SINGLE_PRODUCT) {
    return fixed64(a * b, all_int(p->multiplier), offset, all_int(p->shift));
  }
  v_int lows, highs;
  wide_product(b, all_int(p->multiplier_b), offset, &lows, &highs);
  join_words(lows, highs, offset);
  return fixed64(a, all_int(p->multiplier_a), offset, all_int(p->shift));
}

DQNN_INLINE void put(const layer *l, rule r, const int8_t *a, const int8_t *b, int8_t *out) {
  v_int x = result_of(l, r, load_s8(a) - l->zero_a, load_s8(b) - l->zero_b);
  store_s8(out, smaller_int(larger_int(x, all_int(l->least)), all_int(l->most)) + l->zero_point);
}

/* All inputs of a step are read before it is written: the output may lie on an input. */
DQNN_INLINE void run_row(const layer *given, rule r, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  const dqnn_fixed_binary_params params = *given->params; /* stores to out could change it */
  layer l = *given;
  int8_t last[2][LANES] = {{0}};
  l.params = &params;
#if !DQNN_HAVE_NEON
  for (; r > SUM && r <= HALF_B && count >= 4 * LANES; count -= 4 * LANES, a += 4 * LANES, b += 4 * LANES) {
    v_int x[4];
    for (uint32_t i = 0; i < 4; i++) {
      x[i] = sum_of(&params, r, load_s8(a + i * LANES) - l.zero_a, load_s8(b + i * LANES) - l.zero_b);
      x[i] = fixed_point_twice(x[i], all_int(params.multiplier), all_int(params.shift));
    }
    store_halves(out, LANES, x, l.zero_point, l.least + l.zero_point, l.most + l.zero_point);
    out += 4 * LANES;
  }
#endif
  for (; count >= LANES; count -= LANES, a += LANES, b += LANES, out += LANES) {
    put(&l, r, a, b, out);
  }
  if (count) {
    memcpy(last[0], a, count);
    memcpy(last[1], b, count);
    put(&l, r, last[0], last[1], last[0]);
    memcpy(out, last[0], count);
  }
}

#define ROW(function, rule)                                                                      \
  static void function(void *l, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) { \
    run_row((const layer *)l, rule, a, b, out, count);                                           \
  }
ROW(sum_row, SUM)
ROW(plain_sum_row, PLAIN_SUM)
ROW(half_a_row, HALF_A)
ROW(half_b_row, HALF_B)
ROW(product_row, PRODUCT)
ROW(single_sum_row, SINGLE_SUM)
ROW(single_product_row, SINGLE_PRODUCT)
ROW(larger_row, LARGER)
ROW(smaller_row, SMALLER)

DQNN_INLINE int is_half(int32_t multiplier, int32_t shift) {
  return multiplier == 1 << 30 && shift == 0;
}

/* Inputs of nine bits, shifted by 20, leave multipliers of 1/2 their choice. */
static dqnn_sum_row sum_row_of(dqnn_fixed_binary_params *p) {
  const int half_a = p->left > 0 && is_half(p->multiplier_a, p->shift_a),
            half_b = !half_a && p->left > 0 && is_half(p->multiplier_b, p->shift_b);
  if (p->left == 20) {
    dqnn_avoid_half(&p->multiplier_a, &p->shift_a);
    dqnn_avoid_half(&p->multiplier_b, &p->shift_b);
  }
  if (p->shift >= 0 || (!half_a && p->shift_a >= 0) || (!half_b && p->shift_b >= 0)) {
    return sum_row;
  }
  return half_a ? half_a_row : half_b ? half_b_row : plain_sum_row;
}

/* NULL: none here. */
static dqnn_sum_row row_of(dqnn_fixed_binary_params *p) {
  if (p->kind == DQNN_MAXIMUM || p->kind == DQNN_MINIMUM) {
    return p->kind == DQNN_MAXIMUM ? larger_row : smaller_row;
  }
  if (p->single && p->shift < 32) {
    return NULL;
  }
  if (p->kind == DQNN_MUL) {
    return p->single ? single_product_row : product_row;
  }
  return p->single ? single_sum_row : sum_row_of(p);
}

void WIDE(dqnn_run_binary_s8_fixed)(const dqnn_call *call) {
  dqnn_fixed_binary_params p = *(const dqnn_fixed_binary_params *)call->params;
  const int32_t zero_point = call->out_def->zero_point;
  layer l = {&p,         call->in_def[0]->zero_point, call->in_def[1]->zero_point,
             zero_point, p.act_min - zero_point,      p.act_max - zero_point};
  dqnn_sum_row row = row_of(&p);
  if (row == NULL || !dqnn_walk_sums(call, 0, row, &l)) {
    dqnn_run_binary_s8_fixed_portable(call);
  }
}
#endif
