/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32}: integer sums, neighbouring taps side by side.
 *
 * Eight words of weights hold 16 taps of two channels, one channel in the low, one in the high bytes of each half: two
 * shifts separate them. A gathered window is a run of 16-bit inputs (zero point removed) in the same order. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2
#include <stdint.h>

typedef int16_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) (-(zero_point))
#define DQNN_PAIRS 1
#include "conv.inc.h"
#include "conv_columns.h"
#include "conv_packed.h"

enum { PRODUCTS = 4, STEP = 8 /* words */ };

/* A word of weights is four bytes, two taps of two channels; so are two inputs. */
typedef struct {
  const uint8_t *weights[PRODUCTS], *inputs[PRODUCTS];
  uint32_t words;
} dot_plan;

static void finish_copy(const layer *l, element *copy) {
  if (l->window_taps & 1u) {
    copy[l->window_taps] = 0;
  }
}

/* One step of four products, which share weights or inputs; mask: words that exist. */
DQNN_INLINE void add_step(const dot_plan *plan, uint32_t at, __m256i mask, int whole, int shared_weights,
                          __m256i acc[PRODUCTS][2]) {
  __m256i x = mask, low = mask, high = mask;
  for (unsigned i = 0; i < PRODUCTS; i++) {
    if (i == 0 || shared_weights) {
      const int *from = (const int *)(const void *)(plan->inputs[i] + 4 * at);
      x = whole ? _mm256_loadu_si256((const __m256i *)(const void *)from) : _mm256_maskload_epi32(from, mask);
    }
    if (i == 0 || !shared_weights) {
      const int *from = (const int *)(const void *)(plan->weights[i] + 4 * at);
      high = whole ? _mm256_loadu_si256((const __m256i *)(const void *)from) : _mm256_maskload_epi32(from, mask);
      low = _mm256_srai_epi16(_mm256_slli_epi16(high, 8), 8);
      high = _mm256_srai_epi16(high, 8);
    }
    acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(x, low));
    acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(x, high));
  }
}

/* Sums of two channels for each of four products, in order. */
DQNN_INLINE void dot(const dot_plan *plan, int shared_weights, __m128i sums[2]) {
  static const int32_t edge[2 * STEP] = {-1, -1, -1, -1, -1, -1, -1, -1};
  __m256i acc[PRODUCTS][2];
  for (unsigned i = 0; i < PRODUCTS; i++) {
    acc[i][0] = acc[i][1] = _mm256_setzero_si256();
  }
  uint32_t at = 0, words = plan->words;
  for (; at + STEP <= words; at += STEP) {
    add_step(plan, at, _mm256_setzero_si256(), 1, shared_weights, acc);
  }
  if (at < words) {
    __m256i mask = _mm256_loadu_si256((const __m256i *)(const void *)(edge + STEP - (words - at)));
    add_step(plan, at, mask, 0, shared_weights, acc);
  }
  for (unsigned i = 0; i < 2; i++) {
    __m256i a = _mm256_hadd_epi32(acc[2 * i][0], acc[2 * i][1]),
            b = _mm256_hadd_epi32(acc[2 * i + 1][0], acc[2 * i + 1][1]), both = _mm256_hadd_epi32(a, b);
    sums[i] = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  }
}

static const uint8_t *weights_of(const layer *l, uint32_t channel, uint32_t words) {
  uint32_t last = (l->shape.out_group - 1) / 2, pair = channel / 2;
  return l->weights + (pair < last ? pair : last) * words * 4;
}

/* Four windows and two channels at a time. */
DQNN_NOINLINE void sum_windows(const layer *l, uint32_t channel, uint32_t count, number sums[PIXELS][TILE]) {
  dot_plan plan = {.words = (l->window_taps + 1) / 2};
  for (uint32_t p = 0; p < PRODUCTS; p++) {
    plan.inputs[p] = (const uint8_t *)l->windows[p].at;
  }
  for (uint32_t c = 0; c < count; c += 2) {
    __m128i two[2];
    plan.weights[0] = weights_of(l, channel + c, plan.words);
    dot(&plan, 1, two);
    _mm_storel_epi64((__m128i *)(void *)(sums[0] + c), two[0]);
    _mm_storel_epi64((__m128i *)(void *)(sums[1] + c), _mm_unpackhi_epi64(two[0], two[0]));
    _mm_storel_epi64((__m128i *)(void *)(sums[2] + c), two[1]);
    _mm_storel_epi64((__m128i *)(void *)(sums[3] + c), _mm_unpackhi_epi64(two[1], two[1]));
  }
}

/* One window, eight channels at a time. */
DQNN_NOINLINE void sum_one_window(const layer *l, uint32_t channel, uint32_t count, number *sums) {
  dot_plan plan = {.words = (l->window_taps + 1) / 2};
  plan.inputs[0] = (const uint8_t *)l->windows[0].at;
  for (uint32_t c = 0; c < count; c += 2 * PRODUCTS) {
    for (uint32_t i = 0; i < PRODUCTS; i++) {
      plan.weights[i] = weights_of(l, channel + c + 2 * i, plan.words);
      plan.inputs[i] = plan.inputs[0];
    }
    __m128i two[2];
    dot(&plan, 0, two);
    _mm_storeu_si128((__m128i *)(void *)(sums + c), two[0]);
    _mm_storeu_si128((__m128i *)(void *)(sums + c + 4), two[1]);
  }
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  if (pixels == 1) {
    sum_one_window(l, channel, count, sums[0]);
  } else {
    sum_windows(l, channel, count, sums);
  }
}

static void run_any(const dqnn_call *call, uint32_t zero_points) {
  layer l;
  if (dqnn_takes_columns(call) && dqnn_run_columns_avx2(call, zero_points)) {
    return;
  }
  if (dqnn_is_packed(call)) {
    dqnn_run_packed_avx2(call);
    return;
  }
  prepare_layer(call, zero_points, &l);
  l.copy_elements = (uint32_t)dqnn_pairs_copy(l.window_taps);
  run_layer(call, &l, (l.shape.out_group + 1) / 2 * 2 * l.copy_elements);
}

static void run(const dqnn_call *call) {
  run_any(call, 0);
}

void dqnn_run_conv_s8_s8_s1_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s8_s8_s8_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s8_s8_f32_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_s1_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_s8_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_f32_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_convz_s8_s8_s8_avx2(const dqnn_call *call) {
  run_any(call, 1);
}
void dqnn_run_convz_s8_s8_f32_avx2(const dqnn_call *call) {
  run_any(call, 1);
}
#endif
