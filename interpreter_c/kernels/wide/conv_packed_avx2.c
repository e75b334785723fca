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

/* Products of the pairs `in` of each window with the fields that stand lowest in w, channel by channel. */
DQNN_INLINE __m256i add_pairs(__m256i w, const __m256i in[TOGETHER], int bits, __m256i acc[TOGETHER][CHANNELS]) {
  const __m256i field = _mm256_set1_epi16((int16_t)((1 << bits) - 1));
  for (unsigned c = 0; c < CHANNELS; c++) {
    __m256i code = _mm256_and_si256(w, field);
    for (unsigned p = 0; p < TOGETHER; p++) {
      acc[p][c] = _mm256_add_epi32(acc[p][c], _mm256_madd_epi16(in[p], code));
    }
    w = _mm256_srli_epi16(w, bits);
  }
  return w;
}

/* One step of four channels of two windows: `count` words, at most eight. */
DQNN_INLINE void add_step(const uint32_t *weights, const uint32_t *const x[TOGETHER], uint32_t at, uint32_t count,
                          int bits, __m256i acc[TOGETHER][CHANNELS]) {
  __m256i w = load_words(weights + at, count), in[TOGETHER], more[TOGETHER];
  if (bits == 4) {
    for (unsigned p = 0; p < TOGETHER; p++) {
      in[p] = load_words(x[p] + at, count);
    }
    (void)add_pairs(w, in, bits, acc);
    return;
  }
  w = _mm256_permute4x64_epi64(w, 0xd8); /* words 0, 1, 4, 5, 2, 3, 6, 7, as the shuffles leave the pairs */
  for (unsigned p = 0; p < TOGETHER; p++) {
    __m256 low = _mm256_castsi256_ps(load_words(x[p] + 2 * at, 2 * count)),
           high = _mm256_castsi256_ps(load_words(x[p] + 2 * at + STEP, count > STEP / 2 ? 2 * count - STEP : 0));
    in[p] = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
    more[p] = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd));
  }
  w = add_pairs(w, in, bits, acc);
  (void)add_pairs(w, more, bits, acc);
}

DQNN_INLINE __m128i add_up(const __m256i acc[CHANNELS]) {
  __m256i both = _mm256_hadd_epi32(_mm256_hadd_epi32(acc[0], acc[1]), _mm256_hadd_epi32(acc[2], acc[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
}

/* Four channels of the windows `first` and the next, or of that one alone. */
DQNN_INLINE void sum_four(const layer *l, const uint32_t *weights, uint32_t words, int bits, uint32_t first,
                          uint32_t windows, uint32_t c, number sums[PIXELS][TILE]) {
  const uint32_t *x[TOGETHER];
  __m256i acc[TOGETHER][CHANNELS];
  for (uint32_t p = 0; p < TOGETHER; p++) {
    x[p] = (const uint32_t *)(const void *)l->windows[first + (p < windows ? p : 0)].at;
    for (unsigned i = 0; i < CHANNELS; i++) {
      acc[p][i] = _mm256_setzero_si256();
    }
  }
  uint32_t at = 0;
  for (; at + STEP <= words; at += STEP) {
    add_step(weights, x, at, STEP, bits, acc);
  }
  if (at < words) {
    add_step(weights, x, at, words - at, bits, acc);
  }
  for (uint32_t p = 0; p < windows; p++) {
    __m128i begin = _mm_set1_epi32(l->column_sums[first + p] * (1 << (bits - 1)));
    _mm_storeu_si128((__m128i *)(void *)(sums[first + p] + c), _mm_sub_epi32(add_up(acc[p]), begin));
  }
}

DQNN_NOINLINE void sum_windows(const layer *l, uint32_t channel, uint32_t count, uint32_t pixels,
                               number sums[PIXELS][TILE]) {
  const uint32_t words = dqnn_packed_words(l->window_taps, l->bits);
  for (uint32_t c = 0; c < count; c += CHANNELS) {
    const uint32_t *weights = (const uint32_t *)(const void *)l->weights + (channel + c) / CHANNELS * words;
    for (uint32_t first = 0; first < pixels; first += TOGETHER) {
      uint32_t windows = pixels - first < TOGETHER ? pixels - first : TOGETHER;
      if (l->bits == 4) {
        sum_four(l, weights, words, 4, first, windows, c, sums);
      } else {
        sum_four(l, weights, words, 2, first, windows, c, sums);
      }
    }
  }
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  sum_windows(l, channel, count, pixels, sums);
}

void dqnn_run_packed_avx2(const dqnn_call *call) {
  layer l;
  prepare_layer(call, 0, &l);
  l.copy_elements = 2 * dqnn_packed_pairs(l.window_taps, l.bits);
  run_layer(call, &l, (l.shape.out_group + CHANNELS - 1) / CHANNELS * l.copy_elements * l.bits / 2);
}
#endif
