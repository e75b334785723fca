/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32} on 64-bit Arm: integer sums over windows of bytes as the input
 * stores them.
 *
 * 32 bytes of weights hold 16 taps of two channels in turn, which a load takes apart (SPEC.md 3.3). The zero point z of
 * the inputs is taken off at the end: the sum of (x - z) * w is that of x * w less z times that of w, which is counted
 * once for four windows. Windows that lie in one run of whole vectors are read where they are.
 *
 * A template. In: NAME(function), NARROW and three functions over vectors of 16 bytes:
 *   add_products(sum, x, w), a vector of four sums of four products each;
 *   add_products_narrow(sum, x, w), the same quicker where no weight is -128, if NARROW;
 *   add_weights(sum, w), the same with inputs of 1.
 * Out: NAME(dqnn_run_conv_s8_s8_s1) and the others. */
#include <stdint.h>

typedef int8_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) 0
#define DQNN_PAIRS 1
#define DQNN_STORED 1
#include "conv.inc.h"

enum { STEP = 16 /* taps */, CHANNELS = 4, PAIRS = CHANNELS / 2, FEW = STEP };

typedef struct {
  int32x4_t products[PIXELS][CHANNELS], weights[CHANNELS];
} counters;

static void finish_copy(const layer *l, element *copy) {
  /* An odd tap has a weight behind it, which may be anything. */
  for (uint32_t i = l->window_taps; i < l->copy_elements; i++) {
    copy[i] = l->hole;
  }
}

/* 16 taps of two channels; of fewer than 8 words, zeros behind them. */
DQNN_INLINE int8x16x2_t load_pair(const int8_t *from, uint32_t words) {
  int8_t some[2 * STEP] = {0}, *to = some;
  if (words >= STEP / 2) {
    return vld2q_s8(from);
  }
  if (words & 4u) {
    memcpy(to, from, 16);
    from += 16;
    to += 16;
  }
  if (words & 2u) {
    memcpy(to, from, 8);
    from += 8;
    to += 8;
  }
  if (words & 1u) {
    memcpy(to, from, 4);
  }
  return vld2q_s8(some);
}

/* No loops: with them gcc 12 keeps the counters in memory. */
DQNN_INLINE void add_window(int32x4_t *sums, int8x16_t x, const int8x16_t *w, int narrow) {
  sums[0] = narrow ? add_products_narrow(sums[0], x, w[0]) : add_products(sums[0], x, w[0]);
  sums[1] = narrow ? add_products_narrow(sums[1], x, w[1]) : add_products(sums[1], x, w[1]);
  sums[2] = narrow ? add_products_narrow(sums[2], x, w[2]) : add_products(sums[2], x, w[2]);
  sums[3] = narrow ? add_products_narrow(sums[3], x, w[3]) : add_products(sums[3], x, w[3]);
}

/* pixels and narrow are constants. */
DQNN_INLINE void add_step(const int8_t *const *weights, const int8_t *const *inputs, uint32_t tap, uint32_t words,
                          uint32_t pixels, int narrow, counters *z) {
  int8x16x2_t first = load_pair(weights[0] + 2 * tap, words), second = load_pair(weights[1] + 2 * tap, words);
  const int8x16_t w[CHANNELS] = {first.val[0], first.val[1], second.val[0], second.val[1]};
  z->weights[0] = add_weights(z->weights[0], w[0]);
  z->weights[1] = add_weights(z->weights[1], w[1]);
  z->weights[2] = add_weights(z->weights[2], w[2]);
  z->weights[3] = add_weights(z->weights[3], w[3]);
  add_window(z->products[0], vld1q_s8(inputs[0] + tap), w, narrow);
  if (pixels > 1) {
    add_window(z->products[1], vld1q_s8(inputs[1] + tap), w, narrow);
    add_window(z->products[2], vld1q_s8(inputs[2] + tap), w, narrow);
    add_window(z->products[3], vld1q_s8(inputs[3] + tap), w, narrow);
  }
}

DQNN_INLINE int32x4_t add_up(const int32x4_t z[CHANNELS]) {
  return vpaddq_s32(vpaddq_s32(z[0], z[1]), vpaddq_s32(z[2], z[3]));
}

/* Sums of four channels from `channel` on, those beyond the last pair repeat it. */
DQNN_INLINE void dot(const layer *l, uint32_t channel, uint32_t pixels, int narrow, number (*sums)[TILE]) {
  const int8_t *weights[PAIRS], *inputs[PIXELS];
  uint32_t words = (l->window_taps + 1) / 2, last = (l->shape.out_group - 1) / 2, tap = 0;
  counters z = {{{{0}}}, {{0}}};
  for (uint32_t i = 0; i < PAIRS; i++) {
    uint32_t pair = channel / 2 + i;
    weights[i] = (const int8_t *)l->weights + (pair < last ? pair : last) * words * 4;
  }
  for (uint32_t p = 0; p < pixels; p++) {
    inputs[p] = l->windows[p].at;
  }
  for (; words >= STEP / 2; words -= STEP / 2, tap += STEP) {
    add_step(weights, inputs, tap, STEP / 2, pixels, narrow, &z);
  }
  if (words) {
    add_step(weights, inputs, tap, words, pixels, narrow, &z);
  }
  int32x4_t zero_points = vmulq_n_s32(add_up(z.weights), l->hole);
  vst1q_s32(sums[0], vsubq_s32(add_up(z.products[0]), zero_points));
  if (pixels > 1) {
    vst1q_s32(sums[1], vsubq_s32(add_up(z.products[1]), zero_points));
    vst1q_s32(sums[2], vsubq_s32(add_up(z.products[2]), zero_points));
    vst1q_s32(sums[3], vsubq_s32(add_up(z.products[3]), zero_points));
  }
}

DQNN_NOINLINE void dot_windows(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, PIXELS, 0, sums);
}
DQNN_NOINLINE void dot_window(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, 1, 0, sums);
}
#if NARROW
DQNN_NOINLINE void dot_narrow(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, PIXELS, 1, sums);
}

/* To look for a weight of -128 pays where many windows meet it. */
static int is_narrow(const int8_t *weights, uint32_t bytes) {
  int8x16_t least = vdupq_n_s8(0);
  for (; bytes >= sizeof least; bytes -= (uint32_t)sizeof least, weights += sizeof least) {
    least = vminq_s8(least, vld1q_s8(weights));
  }
  int found = vminvq_s8(least) == INT8_MIN;
  for (; bytes; bytes--, weights++) {
    found |= *weights == INT8_MIN;
  }
  return !found;
}
#else
#define dot_narrow dot_windows
#define is_narrow(weights, bytes) 0
#endif

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  for (uint32_t i = 0; i < count; i += CHANNELS) {
    number(*to)[TILE] = (number(*)[TILE])(&sums[0][i]);
    if (pixels == 1) {
      dot_window(l, channel + i, to);
    } else if (l->narrow) {
      dot_narrow(l, channel + i, to);
    } else {
      dot_windows(l, channel + i, to);
    }
  }
}

/* Scratch has room for windows of halfwords, so it has for these if they are not very short. */
static void run_any(const dqnn_call *call, uint32_t zero_points) {
  layer l;
  element few[PIXELS * FEW];
  prepare_layer(call, zero_points, &l);
  l.copies = l.window_taps < FEW ? few : l.copies;
  l.copy_elements = (l.window_taps + STEP - 1) / STEP * STEP;
  l.stored = l.type == DQNN_S8 && l.shape.kernel_h == 1 && l.window_taps % STEP == 0 && !l.by_inputs;
  l.narrow =
      NARROW && dqnn_quad_lanes(&l.shape) > 1 && is_narrow((const int8_t *)call->constants[0], call->constant_bytes[0]);
  run_layer(call, &l, (l.shape.out_group + 1) / 2 * ((l.window_taps + 1) / 2 * 4));
}

static void run(const dqnn_call *call) {
  run_any(call, 0);
}

void NAME(dqnn_run_conv_s8_s8_s1)(const dqnn_call *call) {
  run(call);
}
void NAME(dqnn_run_conv_s8_s8_s8)(const dqnn_call *call) {
  run(call);
}
void NAME(dqnn_run_conv_s8_s8_f32)(const dqnn_call *call) {
  run(call);
}
void NAME(dqnn_run_conv_s1_s8_s1)(const dqnn_call *call) {
  run(call);
}
void NAME(dqnn_run_conv_s1_s8_s8)(const dqnn_call *call) {
  run(call);
}
void NAME(dqnn_run_conv_s1_s8_f32)(const dqnn_call *call) {
  run(call);
}
void NAME(dqnn_run_convz_s8_s8_s8)(const dqnn_call *call) {
  run_any(call, 1);
}
void NAME(dqnn_run_convz_s8_s8_f32)(const dqnn_call *call) {
  run_any(call, 1);
}
