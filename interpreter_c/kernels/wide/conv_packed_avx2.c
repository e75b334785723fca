/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} with weights of 4 and 2 bits (SPEC.md 3.3): eight words of weights hold 16 or 32 taps of
 * four channels, and a shift and a mask leave those of one. Gathered windows stand in the order of the weights; with 2
 * bits the pairs that are first and second in their words part in registers. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2
#include <stdint.h>

typedef int16_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) (-(zero_point))
#define DQNN_PAIRS 1
#include "conv.inc.h"
#include "conv_packed.h"

enum { STEP = 8 /* words */, CHANNELS = 4, TOGETHER = 2 /* windows */ };

/* Where channels come in fours, taps 0, 2, 1, 3 of each; zeros behind the window. */
static void finish_copy(const layer *l, element *copy) {
  const uint32_t taps = l->window_taps;
  for (uint32_t i = 0; i < taps && l->shape.in_group % 4 == 0; i += 4) {
    element second = copy[i + 1];
    copy[i + 1] = copy[i + 2];
    copy[i + 2] = second;
  }
  for (uint32_t i = taps; i < l->copy_elements; i++) {
    copy[i] = 0;
  }
}

/* The first `count` of eight words, and others as 0. */
DQNN_INLINE __m256i load_words(const uint32_t *from, uint32_t count) {
  static const int32_t edge[2 * STEP] = {-1, -1, -1, -1, -1, -1, -1, -1};
  if (count >= STEP) {
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
  }
  __m256i mask = _mm256_loadu_si256((const __m256i *)(const void *)(edge + STEP - count));
  return _mm256_maskload_epi32((const int *)(const void *)from, mask);
}

/* Two products of four channels: of two windows with the same weights, or of one window with two times four. */
typedef struct {
  const uint32_t *weights[TOGETHER], *inputs[TOGETHER];
  uint32_t words;
} dot_plan;

/* Words of weights, and pairs of inputs. */
typedef struct {
  __m256i weights[TOGETHER], inputs[TOGETHER];
} operands;

/* Products with the fields that stand lowest in the weights, channel by channel; behind them stand others then. */
DQNN_INLINE void add_pairs(operands *o, uint32_t bits, int shared_weights, __m256i acc[TOGETHER][CHANNELS]) {
  const __m256i field = _mm256_set1_epi16((int16_t)((1 << bits) - 1));
  for (unsigned c = 0; c < CHANNELS; c++) {
    for (unsigned p = 0; p < TOGETHER; p++) {
      __m256i code = _mm256_and_si256(o->weights[shared_weights ? 0 : p], field);
      acc[p][c] = _mm256_add_epi32(acc[p][c], _mm256_madd_epi16(o->inputs[shared_weights ? p : 0], code));
    }
    o->weights[0] = _mm256_srli_epi16(o->weights[0], (int)bits);
    o->weights[1] = _mm256_srli_epi16(o->weights[1], (int)bits);
  }
}

/* `count` words, at most eight. */
DQNN_INLINE void add_step(const dot_plan *plan, uint32_t at, uint32_t count, uint32_t bits, int shared_weights,
                          __m256i acc[TOGETHER][CHANNELS]) {
  operands o, second;
  for (unsigned p = 0; p < TOGETHER; p++) {
    __m256i w = load_words(plan->weights[shared_weights ? 0 : p] + at, count);
    const uint32_t *x = plan->inputs[shared_weights ? p : 0];
    if (bits == 4) {
      o.weights[p] = w;
      o.inputs[p] = load_words(x + at, count);
      continue;
    }
    o.weights[p] = _mm256_permute4x64_epi64(w, 0xd8); /* words 0, 1, 4, 5, 2, 3, 6, 7, as shuffles leave the pairs */
    __m256 low = _mm256_castsi256_ps(load_words(x + 2 * at, 2 * count)),
           high = _mm256_castsi256_ps(load_words(x + 2 * at + STEP, count > STEP / 2 ? 2 * count - STEP : 0));
    o.inputs[p] = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
    second.inputs[p] = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd));
  }
  add_pairs(&o, bits, shared_weights, acc);
  if (bits == 2) {
    o.inputs[0] = second.inputs[0];
    o.inputs[1] = second.inputs[1];
    add_pairs(&o, bits, shared_weights, acc);
  }
}

DQNN_INLINE __m128i add_up(const __m256i acc[CHANNELS]) {
  __m256i both = _mm256_hadd_epi32(_mm256_hadd_epi32(acc[0], acc[1]), _mm256_hadd_epi32(acc[2], acc[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
}

DQNN_INLINE void dot(const dot_plan *plan, uint32_t bits, int shared_weights, __m128i sums[TOGETHER]) {
  __m256i acc[TOGETHER][CHANNELS];
  uint32_t at = 0;
  for (unsigned i = 0; i < TOGETHER * CHANNELS; i++) {
    acc[i / CHANNELS][i % CHANNELS] = _mm256_setzero_si256();
  }
  for (; at + STEP <= plan->words; at += STEP) {
    add_step(plan, at, STEP, bits, shared_weights, acc);
  }
  if (at < plan->words) {
    add_step(plan, at, plan->words - at, bits, shared_weights, acc);
  }
  sums[0] = add_up(acc[0]);
  sums[1] = add_up(acc[1]);
}

/* Those beyond the last four channels repeat them. */
static const uint32_t *weights_of(const layer *l, uint32_t channel) {
  uint32_t last = l->shape.out_group - 1;
  return (const uint32_t *)(const void *)(l->weights + (channel < last ? channel : last) / CHANNELS * bytes_of(l, 4));
}

static const uint32_t *inputs_of(const layer *l, uint32_t p) {
  return (const uint32_t *)(const void *)l->windows[p].at;
}

/* What sums of unsigned weights begin at. */
static __m128i begin_of(const layer *l, uint32_t p) {
  return _mm_set1_epi32(-l->column_sums[p] * (1 << (l->bits - 1)));
}

static void store_four(number *to, __m128i sums, __m128i begin) {
  _mm_storeu_si128((__m128i *)(void *)to, _mm_add_epi32(sums, begin));
}

/* Four windows, two of them and four channels at a time. */
DQNN_INLINE void sum_four_windows(const layer *l, uint32_t channel, uint32_t count, uint32_t bits,
                                  number sums[PIXELS][TILE]) {
  dot_plan plan = {.words = dqnn_packed_words(l->window_taps, l->bits)};
  __m128i two[TOGETHER];
  for (uint32_t p = 0; p < PIXELS; p += TOGETHER) {
    plan.inputs[0] = inputs_of(l, p);
    plan.inputs[1] = inputs_of(l, p + 1);
    for (uint32_t c = 0; c < count; c += CHANNELS) {
      plan.weights[0] = weights_of(l, channel + c);
      dot(&plan, bits, 1, two);
      store_four(sums[p] + c, two[0], begin_of(l, p));
      store_four(sums[p + 1] + c, two[1], begin_of(l, p + 1));
    }
  }
}

/* One window, eight channels at a time. */
DQNN_INLINE void sum_one_window(const layer *l, uint32_t channel, uint32_t count, uint32_t bits, number *sums) {
  dot_plan plan = {.words = dqnn_packed_words(l->window_taps, l->bits), .inputs = {inputs_of(l, 0)}};
  __m128i two[TOGETHER];
  for (uint32_t c = 0; c < count; c += TOGETHER * CHANNELS) {
    plan.weights[0] = weights_of(l, channel + c);
    plan.weights[1] = weights_of(l, channel + c + CHANNELS);
    dot(&plan, bits, 0, two);
    store_four(sums + c, two[0], begin_of(l, 0));
    store_four(sums + c + CHANNELS, two[1], begin_of(l, 0));
  }
}

#define SUM_BYTES 0
#include "conv_bits.inc.h"

void dqnn_run_packed_avx2(const dqnn_call *call) {
  layer l;
  prepare_layer(call, 0, &l);
  l.copy_elements = 2 * dqnn_packed_pairs(l.window_taps, l.bits);
  run_layer(call, &l, bytes_of(&l, l.shape.out_group));
}
#endif
