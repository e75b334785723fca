/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32} on 64-bit Arm: integer sums over windows of bytes as the input
 * stores them.
 *
 * 32 bytes of weights hold 16 taps of two channels in turn, which a load takes apart (SPEC.md 3.3). The zero point z of
 * the inputs is taken off at the end: the sum of (x - z) * w is that of x * w less z times that of w, which is counted
 * once for all windows, or along with the products if there is one. Windows that lie in one run of whole vectors are
 * read where they are.
 *
 * 32 or 16 bytes of weights of 4 or 2 bits hold 16 taps of four channels, which shifts and masks take apart. They are
 * stored too large by half of their range: so many sums of x - z are taken off as well.
 *
 * A template. In: NAME(function), NARROW and three functions over vectors of 16 bytes:
 *   add_products(sum, x, w), a vector of four sums of four products each;
 *   add_products_narrow(sum, x, w), the same quicker where no weight is -128, if NARROW;
 *   add_weights(sum, w), the same with inputs of 1.
 * Out: NAME(dqnn_run_conv_s8_s8_s1) and the others. */
#include <stdint.h>
#include <string.h>

typedef int8_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) 0
#define DQNN_PAIRS 1
#define DQNN_STORED 1

DQNN_INLINE int32_t sum_elements(const element *from, uint32_t count) {
  int32x4_t sums = vdupq_n_s32(0);
  for (; count >= sizeof(int8x16_t); count -= (uint32_t)sizeof(int8x16_t), from += sizeof(int8x16_t)) {
    sums = add_weights(sums, vld1q_s8(from));
  }
  int32_t sum = vaddvq_s32(sums);
  for (; count; count--) {
    sum += *from++;
  }
  return sum;
}

#include "conv.inc.h"

enum { STEP = 16 /* taps */, CHANNELS = 4, PAIRS = CHANNELS / 2, FEW = STEP, BLOCK = 512 };

/* A block of output channels; begins with the layer. */
typedef struct {
  layer l;
  int32_t begin[BLOCK]; /* what makes up for z, by channel */
} block;

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

/* The words that 16 taps of packed weights take, of which there may be fewer: zeros behind them. */
DQNN_INLINE const int8_t *load_words(const int8_t *from, uint32_t words, uint32_t whole, int8_t *some) {
  if (words >= whole) {
    return from;
  }
  memset(some, 0, 4 * whole);
  memcpy(some, from, 4 * words);
  return some;
}

/* 16 taps of four channels, as stored; order: their places in a vector. words: those that exist. bits is a constant. */
DQNN_INLINE void load_packed(const int8_t *from, uint32_t words, uint8x16_t order, uint32_t bits,
                             int8x16_t w[CHANNELS]) {
  int8_t some[2 * STEP];
  const uint8x16_t field = vdupq_n_u8((uint8_t)((1 << bits) - 1));
  from = load_words(from, words, bits * STEP / 8, some);
  uint8x16_t codes[CHANNELS];
  if (bits == 4) {
    uint8x16x2_t two = vld2q_u8((const uint8_t *)from);
    codes[0] = vqtbl1q_u8(two.val[0], order);
    codes[2] = vqtbl1q_u8(two.val[1], order);
    codes[1] = vshrq_n_u8(codes[0], 4);
    codes[3] = vshrq_n_u8(codes[2], 4);
    codes[0] = vandq_u8(codes[0], field);
    codes[2] = vandq_u8(codes[2], field);
  } else {
    codes[0] = vqtbl1q_u8(vld1q_u8((const uint8_t *)from), order);
    codes[1] = vandq_u8(vshrq_n_u8(codes[0], 2), field);
    codes[2] = vandq_u8(vshrq_n_u8(codes[0], 4), field);
    codes[3] = vshrq_n_u8(codes[0], 6);
    codes[0] = vandq_u8(codes[0], field);
  }
  w[0] = vreinterpretq_s8_u8(codes[0]);
  w[1] = vreinterpretq_s8_u8(codes[1]);
  w[2] = vreinterpretq_s8_u8(codes[2]);
  w[3] = vreinterpretq_s8_u8(codes[3]);
}

/* What makes taps of packed weights neighbours: in each four the inner two change places, or nothing does. */
DQNN_INLINE uint8x16_t order_of(const layer *l) {
  static const uint8_t orders[2][STEP] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                          {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15}};
  const int fours = l->shape.in_group % 4 == 0;
  return vld1q_u8(orders[l->bits == 4 ? fours : !fours]);
}

/* No loops: with them gcc 12 keeps the counters in memory. */
DQNN_INLINE void add_window(int32x4_t *sums, int8x16_t x, const int8x16_t *w, int narrow) {
  sums[0] = narrow ? add_products_narrow(sums[0], x, w[0]) : add_products(sums[0], x, w[0]);
  sums[1] = narrow ? add_products_narrow(sums[1], x, w[1]) : add_products(sums[1], x, w[1]);
  sums[2] = narrow ? add_products_narrow(sums[2], x, w[2]) : add_products(sums[2], x, w[2]);
  sums[3] = narrow ? add_products_narrow(sums[3], x, w[3]) : add_products(sums[3], x, w[3]);
}

/* What stands in memory for four channels, and for windows. */
typedef struct {
  const int8_t *weights[PAIRS], *inputs[PIXELS]; /* weights: of both pairs, or of all four channels */
  uint8x16_t order;
} dot_plan;

/* words: of pairs of channels. Weights are summed up with one window or none. pixels, narrow and bits are constants. */
DQNN_INLINE void add_step(const dot_plan *plan, uint32_t tap, uint32_t words, uint32_t pixels, int narrow,
                          uint32_t bits, counters *z) {
  int8x16_t w[CHANNELS];
  if (bits) {
    load_packed(plan->weights[0] + tap * bits / 2, bits == 4 ? words : (words + 1) / 2, plan->order, bits, w);
  } else {
    int8x16x2_t first = load_pair(plan->weights[0] + 2 * tap, words),
                second = load_pair(plan->weights[1] + 2 * tap, words);
    w[0] = first.val[0];
    w[1] = first.val[1];
    w[2] = second.val[0];
    w[3] = second.val[1];
  }
  if (pixels <= 1) {
    z->weights[0] = add_weights(z->weights[0], w[0]);
    z->weights[1] = add_weights(z->weights[1], w[1]);
    z->weights[2] = add_weights(z->weights[2], w[2]);
    z->weights[3] = add_weights(z->weights[3], w[3]);
  }
  if (pixels) {
    add_window(z->products[0], vld1q_s8(plan->inputs[0] + tap), w, narrow);
  }
  if (pixels > 1) {
    add_window(z->products[1], vld1q_s8(plan->inputs[1] + tap), w, narrow);
    add_window(z->products[2], vld1q_s8(plan->inputs[2] + tap), w, narrow);
    add_window(z->products[3], vld1q_s8(plan->inputs[3] + tap), w, narrow);
  }
}

DQNN_INLINE int32x4_t add_up(const int32x4_t z[CHANNELS]) {
  return vpaddq_s32(vpaddq_s32(z[0], z[1]), vpaddq_s32(z[2], z[3]));
}

/* Of window p. */
DQNN_INLINE void finish(const layer *l, uint32_t p, int32x4_t sums, uint32_t bits, number *to) {
  if (bits) {
    sums = vsubq_s32(sums, vdupq_n_s32(l->column_sums[p] * (1 << (bits - 1))));
  }
  vst1q_s32(to, sums);
}

/* Sums of four channels from `channel` on, or what they begin at without any pixel; those beyond the last pair, or the
 * last four, repeat it. */
DQNN_INLINE void dot(const layer *l, uint32_t channel, uint32_t pixels, int narrow, uint32_t bits,
                     number (*sums)[TILE]) {
  dot_plan plan;
  uint32_t words = (l->window_taps + 1) / 2, together = bits ? CHANNELS : 2, last = (l->shape.out_group - 1) / together,
           tap = 0;
  counters z = {{{{0}}}, {{0}}};
  const uint32_t bytes = 4 * (bits ? dqnn_packed_words(l->window_taps, bits) : words);
  for (uint32_t i = 0; i < (bits ? 1 : PAIRS); i++) {
    uint32_t at = channel / together + i;
    plan.weights[i] = (const int8_t *)l->weights + (at < last ? at : last) * bytes;
  }
  for (uint32_t p = 0; p < pixels; p++) {
    plan.inputs[p] = l->windows[p].at;
  }
  if (bits) {
    plan.order = order_of(l);
  }
  for (; words >= STEP / 2; words -= STEP / 2, tap += STEP) {
    add_step(&plan, tap, STEP / 2, pixels, narrow, bits, &z);
  }
  if (words) {
    add_step(&plan, tap, words, pixels, narrow, bits, &z);
  }
  int32x4_t begin =
      pixels > 1 ? vld1q_s32(((const block *)l)->begin + channel) : vmulq_n_s32(add_up(z.weights), -(int32_t)l->hole);
  if (pixels == 0) {
    vst1q_s32(sums[0], begin);
    return;
  }
  finish(l, 0, vaddq_s32(begin, add_up(z.products[0])), bits, sums[0]);
  if (pixels > 1) {
    finish(l, 1, vaddq_s32(begin, add_up(z.products[1])), bits, sums[1]);
    finish(l, 2, vaddq_s32(begin, add_up(z.products[2])), bits, sums[2]);
    finish(l, 3, vaddq_s32(begin, add_up(z.products[3])), bits, sums[3]);
  }
}

/* The three ways of a layout: four windows, one, none. Packed weights are narrow. */
typedef void dot_function(const layer *l, uint32_t channel, number (*sums)[TILE]);
#define DOT(name, narrow, bits)                                                              \
  DQNN_NOINLINE void name##_windows(const layer *l, uint32_t channel, number(*sums)[TILE]) { \
    dot(l, channel, PIXELS, narrow, bits, sums);                                             \
  }                                                                                          \
  DQNN_NOINLINE void name##_window(const layer *l, uint32_t channel, number(*sums)[TILE]) {  \
    dot(l, channel, 1, narrow, bits, sums);                                                  \
  }                                                                                          \
  DQNN_NOINLINE void name##_begin(const layer *l, uint32_t channel, number(*sums)[TILE]) {   \
    dot(l, channel, 0, narrow, bits, sums);                                                  \
  }

DOT(dot_bytes, 0, 0)
DOT(dot_fours, NARROW, 4)
DOT(dot_twos, NARROW, 2)

#if NARROW
DQNN_NOINLINE void dot_narrow_windows(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, PIXELS, 1, 0, sums);
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
#define dot_narrow_windows dot_bytes_windows
#define is_narrow(weights, bytes) 0
#endif

static dot_function *function_of(const layer *l, uint32_t pixels) {
  static dot_function *const functions[3][3] = {{dot_bytes_windows, dot_bytes_window, dot_bytes_begin},
                                                {dot_fours_windows, dot_fours_window, dot_fours_begin},
                                                {dot_twos_windows, dot_twos_window, dot_twos_begin}};
  if (l->narrow && pixels > 1) {
    return dot_narrow_windows;
  }
  return functions[l->bits == 4 ? 1 : l->bits][pixels > 1 ? 0 : 2 - pixels];
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  dot_function *function = function_of(l, pixels);
  for (uint32_t i = 0; i < count; i += CHANNELS) {
    function(l, channel + i, (number(*)[TILE])(&sums[0][i]));
  }
}

static void set_begin(block *b) {
  dot_function *function = function_of(&b->l, 0);
  const uint32_t count = b->l.shape.out_group;
  if (b->l.hole == 0) {
    memset(b->begin, 0, sizeof b->begin);
    return;
  }
  for (uint32_t c = 0; c < count; c += CHANNELS) {
    function(&b->l, c, (number(*)[TILE])(b->begin + c));
  }
}

/* A block of outputs takes the place of a group. */
static void run_blocks(layer *l) {
  block *b = (block *)l;
  const uint8_t *weights = l->weights;
  const uint32_t outputs = l->shape.out_group, first = l->first_output;
  for (uint32_t done = 0; done < outputs; done += BLOCK) {
    l->shape.out_group = outputs - done < BLOCK ? outputs - done : BLOCK;
    l->weights = weights + bytes_of(l, done);
    l->first_output = first + done;
    if (dqnn_quad_lanes(&l->shape) > 1) {
      set_begin(b);
    }
    run_quads(l);
  }
  l->shape.out_group = outputs;
}

/* Scratch has room for windows of halfwords, so it has for these if they are not very short. */
static void run_any(const dqnn_call *call, uint32_t zero_points) {
  block b;
  layer *l = &b.l;
  element few[PIXELS * FEW];
  prepare_layer(call, zero_points, l);
  l->copies = l->window_taps < FEW ? few : l->copies;
  l->copy_elements = (l->window_taps + STEP - 1) / STEP * STEP;
  l->stored = l->type == DQNN_S8 && l->shape.kernel_h == 1 && l->window_taps % STEP == 0;
  l->narrow = NARROW && !l->bits && dqnn_quad_lanes(&l->shape) > 1 &&
              is_narrow((const int8_t *)call->constants[0], call->constant_bytes[0]);
  run_groups(call, l, bytes_of(l, l->shape.out_group), run_blocks);
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
