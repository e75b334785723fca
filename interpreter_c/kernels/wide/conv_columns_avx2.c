/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions in columns with the halfword products of AVX2: of two taps, eight channels. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2
#include <immintrin.h>
#include <stdint.h>

#include "../../isa/isa.h"

typedef int16_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) (-(zero_point))
enum { CHANNELS = 8, TAPS = 2 };
typedef uint32_t unit;
typedef __m256i v_sums, v_inputs;
typedef struct {
  int16_t taps[CHANNELS * TAPS];
} weight_column;

DQNN_INLINE v_sums nothing(void) {
  return _mm256_setzero_si256();
}
DQNN_INLINE v_sums load_vector(const int32_t *from) {
  return _mm256_loadu_si256((const __m256i *)(const void *)from);
}
DQNN_INLINE void store_vector(int32_t *to, v_sums x) {
  _mm256_storeu_si256((__m256i *)(void *)to, x);
}
DQNN_INLINE v_sums times(v_sums x, int32_t by) {
  return _mm256_mullo_epi32(x, _mm256_set1_epi32(by));
}
DQNN_INLINE v_sums plus(v_sums x, v_sums y) {
  return _mm256_add_epi32(x, y);
}
DQNN_INLINE v_inputs ones(void) {
  return _mm256_set1_epi16(1);
}
DQNN_INLINE v_inputs load_inputs(const element *from) {
  int32_t two;
  __builtin_memcpy(&two, from, sizeof two);
  return _mm256_set1_epi32(two);
}
DQNN_INLINE v_inputs load_column(const weight_column *from) {
  return _mm256_loadu_si256((const __m256i *)(const void *)from);
}
DQNN_INLINE v_sums add_products(v_sums sums, v_inputs x, v_inputs w) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(x, w));
}
DQNN_INLINE void store_column(weight_column *to, const unit *u) {
  const __m128i apart = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  __m128i all = _mm_setr_epi32((int32_t)u[0], (int32_t)u[1], (int32_t)u[2], (int32_t)u[3]);
  _mm256_storeu_si256((__m256i *)(void *)to, _mm256_cvtepi8_epi16(_mm_shuffle_epi8(all, apart)));
}
/* Sums of neighbouring inputs, in whatever lanes. */
DQNN_INLINE v_sums add_run(v_sums sums, const element *from, uint32_t count) {
  int32_t rest = 0;
  for (; count >= 16; count -= 16, from += 16) {
    sums = add_products(sums, _mm256_loadu_si256((const __m256i *)(const void *)from), ones());
  }
  for (; count; count--) {
    rest += *from++;
  }
  return _mm256_add_epi32(sums, _mm256_setr_epi32(rest, 0, 0, 0, 0, 0, 0, 0));
}
DQNN_INLINE int32_t add_lanes(v_sums sums) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  four = _mm_hadd_epi32(four, four);
  return _mm_cvtsi128_si32(_mm_hadd_epi32(four, four));
}
/* Four taps of each of two fours of channels: two columns. bits is a constant. */
DQNN_INLINE void store_fours(weight_column *to, const uint64_t *fours, uint32_t bits) {
  const __m256i by =
      bits == 4 ? _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12) : _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
  const __m128i first = bits == 4 ? _mm_set1_epi32(0x05040100) : _mm_set1_epi32((int32_t)0x80018000),
                second = bits == 4 ? _mm_set1_epi32(0x07060302) : _mm_set1_epi32((int32_t)0x80038002);
  const __m256i field = _mm256_set1_epi16((int16_t)((1 << bits) - 1)),
                half = _mm256_set1_epi16((int16_t)(1 << (bits - 1)));
  const __m256i all = _mm256_setr_epi64x((int64_t)fours[0], 0, (int64_t)fours[1], 0);
  for (uint32_t i = 0; i < 2; i++) {
    __m256i pairs = _mm256_shuffle_epi8(all, _mm256_broadcastsi128_si256(i ? second : first));
    __m256i codes = _mm256_and_si256(_mm256_srlv_epi32(pairs, by), field);
    _mm256_storeu_si256((__m256i *)(void *)(to + i), _mm256_sub_epi16(codes, half));
  }
}

#include "conv_columns.inc.h"
#include "conv_winograd_avx2.h"

int dqnn_run_columns_avx2(const dqnn_call *call, uint32_t zero_points) {
  block b;
  if (!prepare_columns(call, zero_points, &b)) {
    return 0;
  }
  run_columns(call, &b, takes_winograd(&b) ? run_winograd : run_blocks);
  return 1;
}
#endif
