/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums, differences and products of two s8 maps, by the rule of binary_s8 and by that of binary_s8_fixed, sixteen
 * elements at a time. A vector of bytes is widened to even and odd halves, and these to words, and narrowed the same
 * way back. What is left to the 32-bit code: extremes, inputs that repeat along a row, and numbers at the ends of what
 * files may have. */
#include "../../src/kernel.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../../isa/isa.h"
#include "../opt/sums.h"

enum { STEP = 16 };

typedef struct {
  int16_t zero_a, zero_b, zero_point; /* the first two to be added: minus zero points */
  int8_t least, most;
  float scale_a, scale_b, inverse; /* float rule; scale_b < 0: a difference */
  int32_t multiplier_a, shift_a, multiplier_b, shift_b, left,
      halved; /* fixed rule; halved: of sums where multiplier_a is 1/2 */
  int32_t multiplier, shift, sign;
  int32_t high_a, low_a, high_b, low_b,
      high;            /* sums rounded once: halves of factors, the upper one of half a step ... */
  int32_t mask, right; /* ... and what is shifted out of the high ones, by minus `right` */
} rule;

/* ---- rules ---- */

DQNN_ALWAYS_INLINE int32x4_t float_sum(const rule *r, int32x4_t a, int32x4_t b) {
  const float32x4_t x = vmulq_n_f32(vcvtq_f32_s32(a), r->scale_a), y = vmulq_n_f32(vcvtq_f32_s32(b), r->scale_b);
  return vcvtnq_s32_f32(vmulq_n_f32(vaddq_f32(x, y), r->inverse)); /* ties to even, saturates */
}

/* Ties go away from zero: a negative number is made one less. shift < 0. */
DQNN_ALWAYS_INLINE int32x4_t scaled(int32x4_t x, int32_t multiplier, int32_t shift) {
  x = vqrdmulhq_n_s32(x, multiplier);
  return vrshlq_n_s32(vqaddq_s32(x, vshrq_n_s32(x, 31)), shift);
}

DQNN_ALWAYS_INLINE int32x4_t fixed_sum(const rule *r, int32x4_t a, int32x4_t b, int half) {
  int32x4_t y = scaled(vshlq_r_s32(b, r->left), r->multiplier_b, r->shift_b);
  if (half) {
    y = vmlaq_n_s32(y, a, r->halved);
  } else {
    y = vmlaq_n_s32(scaled(vshlq_r_s32(a, r->left), r->multiplier_a, r->shift_a), y, r->sign);
  }
  return scaled(y, r->multiplier, r->shift);
}

DQNN_ALWAYS_INLINE int32x4_t float_product(const rule *r, int32x4_t a, int32x4_t b) {
  const float32x4_t x = vmulq_n_f32(vcvtq_f32_s32(a), r->scale_a), y = vmulq_n_f32(vcvtq_f32_s32(b), r->scale_b);
  return vcvtnq_s32_f32(vmulq_n_f32(vmulq_f32(x, y), r->inverse));
}

/* The exact sum of a * factor_a + b * factor_b + half a step, rounded half to even: in words, the lower one of 16 bits.
 */
DQNN_ALWAYS_INLINE int32x4_t single_sum(const rule *r, int32x4_t a, int32x4_t b) {
  const int32x4_t low = vmlaq_n_s32(vmulq_n_s32(a, r->low_a), b, r->low_b);
  int32x4_t high = vaddq_n_s32(vmlaq_n_s32(vmulq_n_s32(a, r->high_a), b, r->high_b), r->high);
  high = vaddq_s32(high, vshrq_n_s32(low, 16));
  const int32x4_t rest = vorrq_s32(vshlq_n_s32(low, 16), vandq_s32(high, vdupq_n_s32(r->mask)));
  const int32x4_t floor = vshlq_r_s32(high, r->right);
  const int32x4_t between = vshrq_n_s32(vorrq_s32(rest, vnegq_s32(rest)), 31); /* all bits where there is a rest */
  return vandq_s32(floor, vorrq_s32(between, vdupq_n_s32(-2)));
}

enum { FLOAT, FIXED, HALF, FLOAT_PRODUCT, FIXED_PRODUCT, SINGLE };

DQNN_ALWAYS_INLINE int32x4_t sum(const rule *r, int32x4_t a, int32x4_t b, int kind) {
  switch (kind) {
    case FLOAT:
      return float_sum(r, a, b);
    case FLOAT_PRODUCT:
      return float_product(r, a, b);
    case SINGLE:
      return single_sum(r, a, b);
    case FIXED_PRODUCT:
      return scaled(vmulq_s32(a, b), r->multiplier, r->shift);
    default:
      return fixed_sum(r, a, b, kind == HALF);
  }
}

/* Eight elements of both inputs. */
DQNN_ALWAYS_INLINE int16x8_t sum_half(const rule *r, int16x8_t a, int16x8_t b, int kind) {
  a = vaddq_n_s16(a, r->zero_a);
  b = vaddq_n_s16(b, r->zero_b);
  const int32x4_t even = sum(r, vmovlbq_s16(a), vmovlbq_s16(b), kind);
  const int16x8_t x = vqmovnbq_s32(vuninitializedq_s16(), even);
  return vqaddq_n_s16(vqmovntq_s32(x, sum(r, vmovltq_s16(a), vmovltq_s16(b), kind)), r->zero_point);
}

DQNN_ALWAYS_INLINE int8x16_t sum_step(const rule *r, int8x16_t a, int8x16_t b, int kind) {
  const int16x8_t even = sum_half(r, vmovlbq_s8(a), vmovlbq_s8(b), kind);
  const int8x16_t x = vqmovnbq_s16(vuninitializedq_s8(), even);
  const int8x16_t y = vqmovntq_s16(x, sum_half(r, vmovltq_s8(a), vmovltq_s8(b), kind));
  return vminq_s8(vmaxq_s8(y, vdupq_n_s8(r->least)), vdupq_n_s8(r->most));
}

/* All inputs of a step are read before it is written: the output may lie on an input. */
DQNN_ALWAYS_INLINE void run_row(const rule *given, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count,
                                int kind) {
  const rule r = *given; /* stores to out could change it */
  for (uint32_t steps = count / STEP; steps; steps--, a += STEP, b += STEP, out += STEP) {
    vst1q_s8(out, sum_step(&r, vld1q_s8(a), vld1q_s8(b), kind));
  }
  if (count % STEP) {
    const mve_pred16_t lanes = vctp8q(count % STEP);
    vstrbq_p_s8(out, sum_step(&r, vld1q_z_s8(a, lanes), vld1q_z_s8(b, lanes), kind), lanes);
  }
}

DQNN_NOINLINE void float_row(void *r, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  run_row((const rule *)r, a, b, out, count, FLOAT);
}
DQNN_NOINLINE void fixed_row(void *r, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  run_row((const rule *)r, a, b, out, count, FIXED);
}
DQNN_NOINLINE void half_row(void *r, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  run_row((const rule *)r, a, b, out, count, HALF);
}
DQNN_NOINLINE void single_row(void *r, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  run_row((const rule *)r, a, b, out, count, SINGLE);
}
DQNN_NOINLINE void float_product_row(void *r, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  run_row((const rule *)r, a, b, out, count, FLOAT_PRODUCT);
}
DQNN_NOINLINE void fixed_product_row(void *r, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  run_row((const rule *)r, a, b, out, count, FIXED_PRODUCT);
}

/* ---- layers ---- */

static rule rule_of(const dqnn_call *call, uint32_t first, int32_t least, int32_t most) {
  return (rule){.zero_a = (int16_t)-call->in_def[first]->zero_point,
                .zero_b = (int16_t)-call->in_def[1 - first]->zero_point,
                .zero_point = (int16_t)call->out_def->zero_point,
                .least = (int8_t)least,
                .most = (int8_t)most};
}

/* No product or sum is a denormal or no number. */
static int is_usual(float scale) {
  return scale >= 0x1p-100f && scale <= 0x1p100f;
}

DQNN_NOINLINE int run_float_sums(const dqnn_call *call) {
  const dqnn_binary_params *p = (const dqnn_binary_params *)call->params;
  const dqnn_tensor_def *a = call->in_def[0], *b = call->in_def[1];
  rule r = rule_of(call, 0, (int32_t)p->act_min, (int32_t)p->act_max);
  const int product = p->kind == DQNN_MUL;
  if ((p->kind > DQNN_SUB && !product) || a->dtype != DQNN_S8 || b->dtype != DQNN_S8) {
    return 0;
  }
  r.inverse = *(const float *)call->constants[0];
  r.scale_a = a->scale;
  r.scale_b = p->kind == DQNN_SUB ? -b->scale : b->scale;
  return is_usual(a->scale) && is_usual(b->scale) && is_usual(r.inverse) &&
         (!product || is_usual(a->scale * b->scale)) &&
         dqnn_walk_sums(call, 0, product ? float_product_row : float_row, &r);
}

static int run_fixed_products(const dqnn_call *call) {
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  rule r = rule_of(call, 0, p->act_min, p->act_max);
  r.multiplier = p->multiplier;
  r.shift = p->shift;
  return r.shift < 0 && dqnn_walk_sums(call, 0, fixed_product_row, &r);
}

/* Shifts that leave less than 31 bits of half a step to the high words. */
DQNN_NOINLINE int run_single_sums(const dqnn_call *call) {
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  const int32_t right = p->shift - 16;
  rule r = rule_of(call, 0, p->act_min, p->act_max);
  if (p->kind != DQNN_ADD || right < 1 || right > 30) {
    return 0;
  }
  r.high_a = p->multiplier_a >> 16;
  r.low_a = p->multiplier_a & 0xffff;
  r.high_b = p->multiplier_b >> 16;
  r.low_b = p->multiplier_b & 0xffff;
  r.high = 1 << (right - 1);
  r.mask = (1 << right) - 1;
  r.right = -right;
  return dqnn_walk_sums(call, 0, single_row, &r);
}

/* The input of the larger scale, whose multiplier is 1/2, goes first, if it can. */
DQNN_NOINLINE int run_fixed_sums(const dqnn_call *call) {
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  if (p->kind == DQNN_MUL) {
    return run_fixed_products(call);
  }
  const int add = p->kind == DQNN_ADD, usual = p->left == 20; /* nine bits and 20 stay below 30 */
  const int half_a = usual && p->multiplier_a == 1 << 30 && p->shift_a == 0,
            half_b = usual && p->multiplier_b == 1 << 30 && p->shift_b == 0;
  const uint32_t first = add && half_b && !half_a;
  rule r = rule_of(call, first, p->act_min, p->act_max);
  if (p->kind > DQNN_SUB || !usual) {
    return 0;
  }
  r.multiplier_a = first ? p->multiplier_b : p->multiplier_a;
  r.shift_a = first ? p->shift_b : p->shift_a;
  r.multiplier_b = first ? p->multiplier_a : p->multiplier_b;
  r.shift_b = first ? p->shift_a : p->shift_b;
  r.multiplier = p->multiplier;
  r.shift = p->shift;
  r.left = p->left;
  r.halved = 1 << (p->left - 1);
  r.sign = add ? 1 : -1;
  dqnn_avoid_half(&r.multiplier_a, &r.shift_a);
  dqnn_avoid_half(&r.multiplier_b, &r.shift_b);
  return r.shift_a < 0 && r.shift_b < 0 && r.shift < 0 &&
         dqnn_walk_sums(call, first, add && (half_a || half_b) ? half_row : fixed_row, &r);
}

void dqnn_run_binary_s8_mve(const dqnn_call *call) {
  if (!run_float_sums(call)) {
    dqnn_run_binary_s8_portable(call);
  }
}
void dqnn_run_binary_s8_fixed_mve(const dqnn_call *call) {
  const int single = ((const dqnn_fixed_binary_params *)call->params)->single;
  if (!(single ? run_single_sums(call) : run_fixed_sums(call))) {
    dqnn_run_binary_s8_fixed_portable(call);
  }
}
#endif
