/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32} with the byte products of AVX-512 VNNI: each adds four products
 * of an unsigned input and a signed weight to a 32-bit sum.
 *
 * Sixteen words of weights hold 32 taps of two channels; one shuffle turns every eight bytes into four taps of the one
 * and four of the other. Inputs count as unsigned bytes (stored + 128), four at a time twice. What the bias adds is
 * bias * sum of the weights, which is summed up along with the products and subtracted.
 *
 * Sixteen words of weights of 4 bits, or eight of 2 bits, hold 32 taps of four channels: a shuffle brings taps
 * together, and masks leave those of two channels as above, and of the two others.
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
 * pairs. weights: of both pairs, or of four channels whose weights are packed. */
typedef struct {
  const uint8_t *weights[ROWS][COLUMNS], *inputs[ROWS];
  uint32_t words; /* of a pair of channels with 8 bits */
  int32_t bias;
  __m512i order; /* of the bytes of weights that makes taps neighbours */
} dot_plan;

/* Inputs four at a time, each four twice, from the end on so that they may stay in place. */
static void finish_copy(const layer *l, element *copy) {
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  if (l->window_taps & 1u) {
    copy[l->window_taps] = l->hole; /* its weight may be anything */
  }
  if (l->bits) { /* so are all weights behind it */
    fill(copy + l->window_taps, -l->window_taps % 32, l->hole);
  }
  for (uint32_t at = (l->window_taps + 31) / 32 * 32; at > 0; at -= 32) {
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(copy + at - 32));
    _mm512_storeu_si512(copy + 2 * (at - 32), _mm512_permutexvar_epi32(twice, _mm512_castsi256_si512(x)));
  }
}

static __m512i order_of(const layer *l) {
  const int fours = l->shape.in_group % 4 == 0;
  if (l->bits == 2) {
    return _mm512_broadcast_i32x4(fours ? _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
                                        : _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
  }
  return _mm512_broadcast_i32x4(l->bits && fours ? _mm_setr_epi8(0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15)
                                                 : _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
}

/* 32 taps of four channels from word `at` of a pair on; mask: words that exist. With packed weights, the first and
 * third of these and then the others. bits is a constant. */
DQNN_INLINE void load_weights(const dot_plan *plan, unsigned row, uint32_t at, __mmask16 mask, uint32_t bits,
                              __m512i w[COLUMNS]) {
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  const uint8_t *const *from = plan->weights[row];
  if (bits == 0) {
    w[0] = _mm512_shuffle_epi8(_mm512_maskz_loadu_epi32(mask, from[0] + 4 * at), plan->order);
    w[1] = _mm512_shuffle_epi8(_mm512_maskz_loadu_epi32(mask, from[1] + 4 * at), plan->order);
    return;
  }
  const __m512i field = _mm512_set1_epi8((int8_t)((1 << bits) - 1)), half = _mm512_set1_epi8((int8_t)(1 << (bits - 1)));
  __m512i all;
  if (bits == 4) {
    all = _mm512_maskz_loadu_epi32(mask, from[0] + 4 * at);
  } else { /* two pairs in a word: the first two channels of its taps, then the others */
    all = _mm512_castsi256_si512(_mm256_maskz_loadu_epi32((__mmask8)_pext_u32(mask, 0x5555), from[0] + 2 * at));
    all = _mm512_srlv_epi32(_mm512_permutexvar_epi32(twice, all), _mm512_set1_epi64(INT64_C(4) << 32));
  }
  all = _mm512_shuffle_epi8(all, plan->order);
  w[0] = _mm512_sub_epi8(_mm512_and_si512(all, field), half);
  w[1] =
      _mm512_sub_epi8(_mm512_and_si512(bits == 4 ? _mm512_srli_epi16(all, 4) : _mm512_srli_epi16(all, 2), field), half);
}

typedef struct {
  __m512i sums[ROWS][COLUMNS], weights[ROWS][COLUMNS];
} counters;

/* mask: words that exist. */
DQNN_INLINE void add_step(const dot_plan *plan, uint32_t at, __mmask16 mask, int shared_weights, uint32_t bits,
                          counters *z) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i w[COLUMNS] = {ones, ones};
  for (unsigned i = 0; i < ROWS; i++) {
    __m512i x = _mm512_loadu_si512(plan->inputs[shared_weights ? i : 0] + 4 * at);
    if (i == 0 || !shared_weights) {
      load_weights(plan, i, at, mask, bits, w);
    }
    for (unsigned j = 0; j < COLUMNS; j++) {
      if (i == 0 || !shared_weights) {
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

DQNN_INLINE __m512i dot(const dot_plan *plan, int shared_weights, uint32_t bits) {
  counters z;
  for (unsigned i = 0; i < ROWS * COLUMNS; i++) {
    z.sums[i / COLUMNS][i % COLUMNS] = z.weights[i / COLUMNS][i % COLUMNS] = _mm512_setzero_si512();
  }
  uint32_t at = 0;
  for (; at + STEP <= plan->words; at += STEP) {
    add_step(plan, at, 0xffff, shared_weights, bits, &z);
  }
  if (at < plan->words) {
    add_step(plan, at, (__mmask16)((1u << (plan->words - at)) - 1u), shared_weights, bits, &z);
  }
  for (unsigned i = 1; shared_weights && i < ROWS; i++) {
    z.weights[i][0] = z.weights[0][0];
    z.weights[i][1] = z.weights[0][1];
  }
  __m512i biased = _mm512_mullo_epi32(add_up(z.weights), _mm512_set1_epi32(plan->bias));
  __m512i sums = _mm512_sub_epi32(add_up(z.sums), biased);
  return bits ? _mm512_shuffle_epi32(sums, _MM_PERM_DBCA) : sums;
}

/* Of four channels; those beyond the last pair, or the last four, repeat it. */
static void find_weights(const layer *l, uint32_t channel, const uint8_t **at) {
  uint32_t last = l->shape.out_group - 1;
  if (l->bits) {
    at[0] = l->weights + (channel < last ? channel : last) / 4 * bytes_of(l, 4);
    return;
  }
  for (uint32_t i = 0; i < COLUMNS; i++, channel += 2) {
    at[i] = l->weights + (channel < last ? channel : last) / 2 * bytes_of(l, 2);
  }
}

static dot_plan plan_of(const layer *l) {
  return (dot_plan){.words = (l->window_taps + 1) / 2, .bias = l->hole, .order = order_of(l)};
}

/* Four windows and four channels at a time. */
DQNN_INLINE void sum_four_windows(const layer *l, uint32_t channel, uint32_t count, uint32_t bits,
                                  number sums[PIXELS][TILE]) {
  dot_plan plan = plan_of(l);
  for (uint32_t p = 0; p < ROWS; p++) {
    plan.inputs[p] = l->windows[p].at;
  }
  for (uint32_t c = 0; c < count; c += 2 * COLUMNS) {
    find_weights(l, channel + c, plan.weights[0]);
    __m512i four = dot(&plan, 1, bits);
    _mm_storeu_si128((__m128i *)(void *)(sums[0] + c), _mm512_castsi512_si128(four));
    _mm_storeu_si128((__m128i *)(void *)(sums[1] + c), _mm512_extracti32x4_epi32(four, 1));
    _mm_storeu_si128((__m128i *)(void *)(sums[2] + c), _mm512_extracti32x4_epi32(four, 2));
    _mm_storeu_si128((__m128i *)(void *)(sums[3] + c), _mm512_extracti32x4_epi32(four, 3));
  }
}

/* One window, sixteen channels at a time. */
DQNN_INLINE void sum_one_window(const layer *l, uint32_t channel, uint32_t count, uint32_t bits, number *sums) {
  dot_plan plan = plan_of(l);
  plan.inputs[0] = l->windows[0].at;
  for (uint32_t c = 0; c < count; c += STEP) {
    for (uint32_t i = 0; i < ROWS; i++) {
      find_weights(l, channel + c + 2 * COLUMNS * i, plan.weights[i]);
    }
    _mm512_storeu_si512(sums + c, dot(&plan, 0, bits));
  }
}

#define SUM_BYTES 1
#include "conv_bits.inc.h"

DQNN_NOINLINE void run_pairs(const dqnn_call *call, uint32_t zero_points) {
  layer l;
  element copies[PIXELS * COPY];
  prepare_layer(call, zero_points, &l);
  l.copies = copies;
  l.copy_elements = (l.window_taps + 31) / 32 * 64;
  run_layer(call, &l, bytes_of(&l, l.shape.out_group));
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
  run_any(call, 0, otherwise);
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
