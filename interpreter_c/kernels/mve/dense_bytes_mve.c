/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* dense_bytes_mve.h: four channels at a time, each weight read once. A register of products takes the zero point's
 * share along: with z the zero point, x - z is x + (-z), and -(x - z) is ~x + (1 + z), where either the first or the
 * second in brackets is a byte; so a negative zero point inverts the window once, and what comes out is negated. */
#include "dense_bytes_mve.h"

#if DQNN_HAVE_MVE

enum { STEP = DQNN_WINDOW_STEP, GROUP = 4 };

typedef struct {
  const int8_t *x; /* the window or its inverse */
  int8x16_t share; /* of the zero point, in every byte */
  uint32_t steps, rest;
} window;

/* It would tear the assembly apart. */
/* clang-format off */

/* Sixteen taps of two channels. */
#define TWO_CHANNELS(w, a, b)                                                                                    \
  "vld20.8 {q0,q1},[%[" w "]]\n vld21.8 {q0,q1},[%[" w "]]!\n vmladava.s8 %[" a "],q0,q2\n"                         \
  "vmladava.s8 %[" b "],q1,q2\n vmladava.s8 %[" a "],q0,%q[share]\n vmladava.s8 %[" b "],q1,%q[share]\n"

/* Four channels: words of two at `w`, of the other two at `v`. */
DQNN_INLINE void add_steps(const window *n, const int8_t *w, const int8_t *v, int32_t sum[GROUP]) {
  const int8_t *x = n->x;
  int32_t a = 0, b = 0, c = 0, d = 0;
  __asm__ volatile(
      "dls lr,%[steps]\n 1: vldrb.u8 q2,[%[x]],#16\n" TWO_CHANNELS("w", "a", "b") TWO_CHANNELS("v", "c", "d") "le lr,1b\n"
      : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [w] "+r"(w), [v] "+r"(v), [x] "+r"(x)
      : [steps] "r"(n->steps), [share] "w"(n->share)
      : "q0", "q1", "q2", "lr", "memory");
  sum[0] = a;
  sum[1] = b;
  sum[2] = c;
  sum[3] = d;
}

/* clang-format on */

/* The last taps of channels at w and at w + 1. */
DQNN_INLINE void add_rest(const window *n, const int8_t *w, int32_t sum[2]) {
  const mve_pred16_t lanes = vctp8q(n->rest);
  const uint8x16_t places = vidupq_n_u8(0, 2);
  const int8x16_t x = vld1q_z_s8(n->x + STEP * n->steps, lanes);
  for (uint32_t i = 0; i < 2; i++) {
    const int8x16_t weights = vldrbq_gather_offset_z_s8(w + 2 * STEP * n->steps + i, places, lanes);
    sum[i] = vmladavaq_s8(vmladavaq_s8(sum[i], weights, x), weights, n->share);
  }
}

/* Four channels; of the first two alone, v is w. */
static void sum_four(const window *n, const int8_t *w, const int8_t *v, int32_t sum[GROUP]) {
  if (n->steps > 0) {
    add_steps(n, w, v, sum);
  } else {
    vst1q_s32(sum, vdupq_n_s32(0));
  }
  if (n->rest > 0) {
    add_rest(n, w, sum);
    add_rest(n, v, sum + 2);
  }
}

static void invert(const int8_t *x, uint32_t taps, int8_t *to) {
  for (int32_t left = (int32_t)taps; left > 0; left -= STEP, x += STEP, to += STEP) {
    const mve_pred16_t lanes = vctp8q((uint32_t)left);
    vstrbq_p_s8(to, vmvnq_s8(vld1q_z_s8(x, lanes)), lanes);
  }
}

void dqnn_dense_bytes_mve(const dqnn_windows *l, const int8_t *weights, uint32_t pair_bytes, const int8_t *x) {
  const int32_t zero_point = l->zero_point;
  const int negative = zero_point < 0;
  const int8x16_t share = vdupq_n_s8((int8_t)(negative ? 1 + zero_point : -zero_point));
  const window n = {negative ? l->columns : x, share, l->taps / STEP, l->taps % STEP};
  if (negative) {
    invert(x, l->taps, l->columns);
  }
  int32_t *total = l->totals;
  for (int32_t left = (int32_t)l->pitch; left > 0; left -= GROUP, total += GROUP, weights += 2 * pair_bytes) {
    int32_t sum[GROUP];
    const mve_pred16_t lanes = vctp32q((uint32_t)left);
    sum_four(&n, weights, left > 2 ? weights + pair_bytes : weights, sum);
    const int32x4_t sums = vld1q_s32(sum);
    vst1q_p_s32(total, negative ? vnegq_s32(sums) : sums, lanes);
  }
}
#endif
