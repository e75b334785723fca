/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32} with the byte products of AVX-512 VNNI: each adds four products
 * of an unsigned input and a signed weight to a 32-bit sum.
 *
 * Sixteen words of weights hold 32 taps of two channels; one shuffle turns every eight bytes into four taps of the one
 * and four of the other. Inputs count as unsigned bytes (stored + 128), four at a time twice. What the bias adds is
 * bias * sum of the weights, which is summed up along with the products and subtracted.
 *
 * Gathered windows stand on the stack; longer ones than DQNN_VNNI_TAPS go to conv_pairs_avx2.c. */
#include "../../src/kernel.h"

#if DQNN_HAVE_VNNI
#include <stdint.h>

typedef uint8_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) 128
#define DQNN_PAIRS 1
#include "conv.inc.h"
#include "conv_columns.h"
#include "conv_packed.h"

enum { STEP = 16 /* words */, COPY = 2 * DQNN_VNNI_TAPS, ROWS = 4, COLUMNS = 2 };

/* Four products of two pairs of channels: of four windows with the same weights, or of one window with four times two
 * pairs. */
typedef struct {
  const uint8_t *weights[ROWS][COLUMNS], *inputs[ROWS];
  uint32_t words;
  int32_t bias;
} dot_plan;

/* Inputs four at a time, each four twice, from the end on so that they may stay in place. */
static void finish_copy(const layer *l, element *copy) {
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  if (l->window_taps & 1u) {
    copy[l->window_taps] = l->hole; /* its weight may be anything */
  }
  for (uint32_t at = (l->window_taps + 31) / 32 * 32; at > 0; at -= 32) {
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(copy + at - 32));
    _mm512_storeu_si512(copy + 2 * (at - 32), _mm512_permutexvar_epi32(twice, _mm512_castsi256_si512(x)));
  }
}

DQNN_INLINE __m512i load_weights(const uint8_t *from, __mmask16 mask) {
  const __m512i sort = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
  return _mm512_shuffle_epi8(_mm512_maskz_loadu_epi32(mask, from), sort);
}

typedef struct {
  __m512i sums[ROWS][COLUMNS], weights[ROWS][COLUMNS];
} counters;

/* mask: words that exist. */
DQNN_INLINE void add_step(const dot_plan *plan, uint32_t at, __mmask16 mask, int shared_weights, counters *z) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i w[COLUMNS] = {ones, ones};
  for (unsigned i = 0; i < ROWS; i++) {
    __m512i x = _mm512_loadu_si512(plan->inputs[shared_weights ? i : 0] + 4 * at);
    for (unsigned j = 0; j < COLUMNS; j++) {
      if (i == 0 || !shared_weights) {
        w[j] = load_weights(plan->weights[i][j] + 4 * at, mask);
        z->weights[i][j] = _mm512_dpbusd_epi32(z->weights[i][j], ones, w[j]);
      }
      z->sums[i][j] = _mm512_dpbusd_epi32(z->sums[i][j], x, w[j]);
    }
  }
}

/* Row i of the result: the sums of a row's four channels. */
DQNN_INLINE __m512i add_up(__m512i z[ROWS][COLUMNS]) {
  __m512i row[ROWS], half[2];
  for (unsigned i = 0; i < ROWS; i++) {
    row[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(z[i][0], z[i][1]), _mm512_unpackhi_epi64(z[i][0], z[i][1]));
  }
  for (unsigned i = 0; i < 2; i++) {
    __m512i a = row[2 * i], b = row[2 * i + 1];
    half[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
  }
  return _mm512_add_epi32(_mm512_shuffle_i32x4(half[0], half[1], 0x88), _mm512_shuffle_i32x4(half[0], half[1], 0xdd));
}

DQNN_INLINE __m512i dot(const dot_plan *plan, int shared_weights) {
  counters z;
  for (unsigned i = 0; i < ROWS * COLUMNS; i++) {
    z.sums[i / COLUMNS][i % COLUMNS] = z.weights[i / COLUMNS][i % COLUMNS] = _mm512_setzero_si512();
  }
  uint32_t at = 0;
  for (; at + STEP <= plan->words; at += STEP) {
    add_step(plan, at, 0xffff, shared_weights, &z);
  }
  if (at < plan->words) {
    add_step(plan, at, (__mmask16)((1u << (plan->words - at)) - 1u), shared_weights, &z);
  }
  for (unsigned i = 1; shared_weights && i < ROWS; i++) {
    z.weights[i][0] = z.weights[0][0];
    z.weights[i][1] = z.weights[0][1];
  }
  __m512i biased = _mm512_mullo_epi32(add_up(z.weights), _mm512_set1_epi32(plan->bias));
  return _mm512_sub_epi32(add_up(z.sums), biased);
}

static const uint8_t *weights_of(const layer *l, uint32_t channel, uint32_t words) {
  uint32_t last = (l->shape.out_group - 1) / 2, pair = channel / 2;
  return l->weights + (pair < last ? pair : last) * words * 4;
}

/* Four windows and four channels at a time. */
DQNN_NOINLINE void sum_windows(const layer *l, uint32_t channel, uint32_t count, number sums[PIXELS][TILE]) {
  dot_plan plan = {.words = (l->window_taps + 1) / 2, .bias = l->hole};
  for (uint32_t p = 0; p < ROWS; p++) {
    plan.inputs[p] = l->windows[p].at;
  }
  for (uint32_t c = 0; c < count; c += 2 * COLUMNS) {
    plan.weights[0][0] = weights_of(l, channel + c, plan.words);
    plan.weights[0][1] = weights_of(l, channel + c + 2, plan.words);
    __m512i four = dot(&plan, 1);
    _mm_storeu_si128((__m128i *)(void *)(sums[0] + c), _mm512_castsi512_si128(four));
    _mm_storeu_si128((__m128i *)(void *)(sums[1] + c), _mm512_extracti32x4_epi32(four, 1));
    _mm_storeu_si128((__m128i *)(void *)(sums[2] + c), _mm512_extracti32x4_epi32(four, 2));
    _mm_storeu_si128((__m128i *)(void *)(sums[3] + c), _mm512_extracti32x4_epi32(four, 3));
  }
}

/* One window, sixteen channels at a time. */
DQNN_NOINLINE void sum_one_window(const layer *l, uint32_t channel, uint32_t count, number *sums) {
  dot_plan plan = {.words = (l->window_taps + 1) / 2, .bias = l->hole};
  plan.inputs[0] = l->windows[0].at;
  for (uint32_t c = 0; c < count; c += STEP) {
    for (uint32_t i = 0; i < ROWS * COLUMNS; i++) {
      plan.weights[i / COLUMNS][i % COLUMNS] = weights_of(l, channel + c + 2 * i, plan.words);
    }
    _mm512_storeu_si512(sums + c, dot(&plan, 0));
  }
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  if (pixels == 1) {
    sum_one_window(l, channel, count, sums[0]);
  } else {
    sum_windows(l, channel, count, sums);
  }
}

DQNN_NOINLINE void run_pairs(const dqnn_call *call, uint32_t zero_points) {
  layer l;
  element copies[PIXELS * COPY];
  prepare_layer(call, zero_points, &l);
  l.copies = copies;
  l.copy_elements = (l.window_taps + 31) / 32 * 64;
  run_layer(call, &l, (l.shape.out_group + 1) / 2 * ((l.window_taps + 1) / 2 * 4));
}

static void run_any(const dqnn_call *call, uint32_t zero_points, dqnn_run_fn otherwise) {
  if (dqnn_takes_columns(call) && dqnn_run_columns_vnni(call, zero_points)) {
    return;
  }
  dqnn_geometry g;
  dqnn_read_geometry(call, &g);
  if (dqnn_takes_vnni(dqnn_kernel_cells(&g) * g.in_group)) {
    run_pairs(call, zero_points);
  } else {
    otherwise(call);
  }
}

static void run(const dqnn_call *call, dqnn_run_fn otherwise) {
  if (dqnn_is_packed(call)) {
    otherwise(call);
  } else {
    run_any(call, 0, otherwise);
  }
}

void dqnn_run_conv_s8_s8_s1_vnni(const dqnn_call *call) {
  run(call, dqnn_run_conv_s8_s8_s1_avx2);
}
void dqnn_run_conv_s8_s8_s8_vnni(const dqnn_call *call) {
  run(call, dqnn_run_conv_s8_s8_s8_avx2);
}
void dqnn_run_conv_s8_s8_f32_vnni(const dqnn_call *call) {
  run(call, dqnn_run_conv_s8_s8_f32_avx2);
}
void dqnn_run_conv_s1_s8_s1_vnni(const dqnn_call *call) {
  run(call, dqnn_run_conv_s1_s8_s1_avx2);
}
void dqnn_run_conv_s1_s8_s8_vnni(const dqnn_call *call) {
  run(call, dqnn_run_conv_s1_s8_s8_avx2);
}
void dqnn_run_conv_s1_s8_f32_vnni(const dqnn_call *call) {
  run(call, dqnn_run_conv_s1_s8_f32_avx2);
}
void dqnn_run_convz_s8_s8_s8_vnni(const dqnn_call *call) {
  run_any(call, 1, dqnn_run_convz_s8_s8_s8_avx2);
}
void dqnn_run_convz_s8_s8_f32_vnni(const dqnn_call *call) {
  run_any(call, 1, dqnn_run_convz_s8_s8_f32_avx2);
}
#endif
