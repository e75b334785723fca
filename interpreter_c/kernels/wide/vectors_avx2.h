/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What vectors.h lacks, with the instructions of AVX2. */
#ifndef DQNN_WIDE_VECTORS_AVX2_H
#define DQNN_WIDE_VECTORS_AVX2_H

#include <immintrin.h>

enum { REGISTERS = 16 };
#define LANE_BITS ((v_int){1, 2, 4, 8, 16, 32, 64, 128})

/* a < b ? b : a, and a > b ? b : a: a where either is NaN. */
DQNN_INLINE v_float larger_float(v_float a, v_float b) {
  return _mm256_max_ps(b, a);
}
DQNN_INLINE v_float smaller_float(v_float a, v_float b) {
  return _mm256_min_ps(b, a);
}
DQNN_INLINE v_int larger_int(v_int a, v_int b) {
  return (v_int)_mm256_max_epi32((__m256i)a, (__m256i)b);
}
DQNN_INLINE v_int smaller_int(v_int a, v_int b) {
  return (v_int)_mm256_min_epi32((__m256i)a, (__m256i)b);
}
DQNN_INLINE v_bytes larger_bytes(v_bytes a, v_bytes b) {
  return (v_bytes)_mm256_max_epi8((__m256i)a, (__m256i)b);
}
DQNN_INLINE v_int load_s8(const int8_t *from) {
  return (v_int)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
}
/* Low bytes. */
DQNN_INLINE void store_s8(int8_t *to, v_int x) {
  const __m256i low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1,
                                       -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  __m256i bytes = _mm256_shuffle_epi8((__m256i)x, low);
  _mm_storel_epi64((__m128i *)(void *)to,
                   _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}
/* dqnn_high_mul of numerics.h */
DQNN_INLINE v_int high_mul(v_int a, v_int b) {
  const __m256i half = _mm256_set1_epi64x(1 << 30);
  __m256i even = _mm256_add_epi64(_mm256_mul_epi32((__m256i)a, (__m256i)b), half);
  __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64((__m256i)a, 32), _mm256_srli_epi64((__m256i)b, 32));
  odd = _mm256_slli_epi64(_mm256_add_epi64(odd, half), 1);
  return (v_int)_mm256_blend_epi32(_mm256_srli_epi64(even, 31), odd, 0xaa);
}
/* dqnn_fixed_point of numerics.h */
DQNN_INLINE v_int fixed_point(v_int x, v_int multiplier, v_int shift) {
  v_int left = shift & ~(shift >> 31), right = -shift & (shift >> 31);
  x = high_mul((v_int)((v_uint)x << (v_uint)left), multiplier);
  v_int mask = (v_int)((((v_uint){0} + 1) << (v_uint)right) - 1), half_and_sign = (mask >> 1) - (x >> 31);
  return (x >> right) - ((x & mask) > half_and_sign);
}
/* The same where every shift is negative: to the right. The last step, (x + 1) >> 1, is still to be taken. */
DQNN_INLINE v_int fixed_point_twice(v_int x, v_int multiplier, v_int shift) {
  x = high_mul(x, multiplier);
  x += x >> 31; /* ties go away from zero */
  return x >> ~shift;
}
DQNN_INLINE v_int fixed_point_right(v_int x, v_int multiplier, v_int shift) {
  return (fixed_point_twice(x, multiplier, shift) + 1) >> 1;
}
/* The last step for four vectors, a zero point added, into bounds, to four places `step` bytes apart. What does not fit
 * saturates on the way, which the bounds of a byte allow. */
DQNN_INLINE void store_halves(int8_t *to, size_t step, const v_int x[4], int32_t zero_point, int32_t least,
                              int32_t most) {
  const __m256i one = _mm256_set1_epi16(1), zero = _mm256_set1_epi16((int16_t)zero_point);
  __m256i a = _mm256_packs_epi32((__m256i)x[0], (__m256i)x[1]), b = _mm256_packs_epi32((__m256i)x[2], (__m256i)x[3]);
  a = _mm256_adds_epi16(_mm256_srai_epi16(_mm256_adds_epi16(a, one), 1), zero);
  b = _mm256_adds_epi16(_mm256_srai_epi16(_mm256_adds_epi16(b, one), 1), zero);
  a = _mm256_max_epi8(_mm256_packs_epi16(a, b), _mm256_set1_epi8((int8_t)least));
  a = _mm256_min_epi8(a, _mm256_set1_epi8((int8_t)most));
  a = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  __m128i low = _mm256_castsi256_si128(a), high = _mm256_extracti128_si256(a, 1);
  _mm_storel_epi64((__m128i *)(void *)to, low);
  _mm_storeh_pi((__m64 *)(void *)(to + step), _mm_castsi128_ps(low));
  _mm_storel_epi64((__m128i *)(void *)(to + 2 * step), high);
  _mm_storeh_pi((__m64 *)(void *)(to + 3 * step), _mm_castsi128_ps(high));
}
/* a * b + c in 64 bits, as its low and high words. */
DQNN_INLINE void wide_product(v_int a, v_int b, const int64_t *c, v_int *lows, v_int *highs) {
  __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)c),
          high = _mm256_loadu_si256((const __m256i *)(const void *)(c + LANES / 2));
  /* Lanes 0 1 4 5 and 2 3 6 7 stand side by side in the results of unpacking. */
  __m256i i = _mm256_unpacklo_epi32((__m256i)a, (__m256i)a), j = _mm256_unpackhi_epi32((__m256i)a, (__m256i)a),
          m = _mm256_unpacklo_epi32((__m256i)b, (__m256i)b), n = _mm256_unpackhi_epi32((__m256i)b, (__m256i)b);
  __m256i even = _mm256_add_epi64(_mm256_mul_epi32(i, m), _mm256_permute2x128_si256(low, high, 0x20)),
          odd = _mm256_add_epi64(_mm256_mul_epi32(j, n), _mm256_permute2x128_si256(low, high, 0x31));
  *lows = (v_int)_mm256_shuffle_ps((__m256)even, (__m256)odd, 0x88);
  *highs = (v_int)_mm256_shuffle_ps((__m256)even, (__m256)odd, 0xdd);
}
/* The way back: 64-bit numbers of their words. */
DQNN_INLINE void join_words(v_int lows, v_int highs, int64_t *to) {
  __m256i a = _mm256_unpacklo_epi32((__m256i)lows, (__m256i)highs),
          b = _mm256_unpackhi_epi32((__m256i)lows, (__m256i)highs);
  _mm256_storeu_si256((__m256i *)(void *)to, _mm256_permute2x128_si256(a, b, 0x20));
  _mm256_storeu_si256((__m256i *)(void *)(to + LANES / 2), _mm256_permute2x128_si256(a, b, 0x31));
}
/* Shifts by 0 to 32; by 32 nothing but signs is left. */
DQNN_INLINE v_int shift_left(v_int x, v_int by) {
  return (v_int)_mm256_sllv_epi32((__m256i)x, (__m256i)by);
}
DQNN_INLINE v_int shift_right(v_int x, v_int by) {
  return (v_int)_mm256_srav_epi32((__m256i)x, (__m256i)by);
}
/* To the nearest integer, ties to even. */
DQNN_INLINE v_int round_float(v_float x) {
  return (v_int)_mm256_cvtps_epi32(x);
}
/* Bit i: a < b in lane i. */
DQNN_INLINE uint32_t less_float(v_float a, v_float b) {
  return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
DQNN_INLINE uint32_t less_int(v_int a, v_int b) {
  return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32((__m256i)b, (__m256i)a)));
}
/* b in the lanes whose mask is all ones, a where it is 0. */
DQNN_INLINE v_float blend_float(v_int mask, v_float a, v_float b) {
  return _mm256_blendv_ps(a, b, (v_float)mask);
}
/* The floats at these indices. */
DQNN_INLINE v_float gather_float(const float *from, v_int at) {
  return _mm256_i32gather_ps(from, (__m256i)at, 4);
}
/* Weights of LANES channels for one input: four of each of `from`. */
DQNN_INLINE v_float load_quads(const float *const *from, uint32_t at) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from[0] + at)), _mm_loadu_ps(from[1] + at), 1);
}
/* LANES vectors to columns. */
DQNN_INLINE void transpose_float(v_float in[LANES]) {
  __m256 x[8], y[8];
  for (unsigned i = 0; i < 8; i += 2) {
    x[i] = _mm256_unpacklo_ps(in[i], in[i + 1]);
    x[i + 1] = _mm256_unpackhi_ps(in[i], in[i + 1]);
  }
  for (unsigned i = 0; i < 8; i += 4) {
    y[i] = _mm256_shuffle_ps(x[i], x[i + 2], 0x44);
    y[i + 1] = _mm256_shuffle_ps(x[i], x[i + 2], 0xee);
    y[i + 2] = _mm256_shuffle_ps(x[i + 1], x[i + 3], 0x44);
    y[i + 3] = _mm256_shuffle_ps(x[i + 1], x[i + 3], 0xee);
  }
  for (unsigned i = 0; i < 4; i++) {
    in[i] = _mm256_permute2f128_ps(y[i], y[i + 4], 0x20);
    in[i + 4] = _mm256_permute2f128_ps(y[i], y[i + 4], 0x31);
  }
}
#endif
