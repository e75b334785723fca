/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Vectors of eight floats or 32-bit integers in the registers of AVX2 (on the processors measured, 512-bit registers
 * gained nothing for these kernels). Operators of the compiler's vector types do the arithmetic; the functions below
 * are what they lack. Nothing here multiplies and adds in one rounding, so that sums are those of every other target.
 */
#ifndef DQNN_WIDE_VECTORS_H
#define DQNN_WIDE_VECTORS_H

#include <immintrin.h>

#include "../../isa/isa.h"

enum { LANES = 8, ALL_LANES = 0xff };

typedef float v_float __attribute__((vector_size(4 * LANES)));
typedef int32_t v_int __attribute__((vector_size(4 * LANES)));
typedef uint32_t v_uint __attribute__((vector_size(4 * LANES)));

/* The same as they lie in memory. */
typedef float v_float_at __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t v_int_at __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

DQNN_INLINE v_float load_float(const float *from) {
  return *(const v_float_at *)from;
}
DQNN_INLINE v_int load_int(const int32_t *from) {
  return *(const v_int_at *)from;
}
DQNN_INLINE void store_float(float *to, v_float x) {
  *(v_float_at *)to = x;
}
DQNN_INLINE void store_int(int32_t *to, v_int x) {
  *(v_int_at *)to = x;
}
DQNN_INLINE v_float all_float(float x) {
  return x - (v_float){0};
}
DQNN_INLINE v_int all_int(int32_t x) {
  return x - (v_int){0};
}
DQNN_INLINE v_float to_float(v_int x) {
  return __builtin_convertvector(x, v_float);
}

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
DQNN_INLINE v_int load_s8(const int8_t *from) {
  return (v_int)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
}
/* dqnn_high_mul of numerics.h */
DQNN_INLINE v_int high_mul(v_int a, v_int b) {
  const __m256i half = _mm256_set1_epi64x(1 << 30);
  __m256i even = _mm256_add_epi64(_mm256_mul_epi32((__m256i)a, (__m256i)b), half);
  __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64((__m256i)a, 32), _mm256_srli_epi64((__m256i)b, 32));
  odd = _mm256_slli_epi64(_mm256_add_epi64(odd, half), 1);
  return (v_int)_mm256_blend_epi32(_mm256_srli_epi64(even, 31), odd, 0xaa);
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
/* Low bytes. */
DQNN_INLINE void store_s8(int8_t *to, v_int x) {
  const __m256i low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1,
                                       -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  __m256i bytes = _mm256_shuffle_epi8((__m256i)x, low);
  _mm_storel_epi64((__m128i *)(void *)to,
                   _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}
/* All ones in the lanes whose bit is set. */
DQNN_INLINE v_int mask_of(uint32_t bits) {
  const v_int bit = {1, 2, 4, 8, 16, 32, 64, 128};
  return (v_int)((all_int((int32_t)bits) & bit) == bit);
}
/* b in the lanes whose bit is set, else a. */
DQNN_INLINE v_float choose_float(uint32_t bits, v_float a, v_float b) {
  return _mm256_blendv_ps(a, b, (v_float)mask_of(bits));
}
/* a + b in the lanes whose bit is set. */
DQNN_INLINE v_int add_where(uint32_t bits, v_int a, v_int b) {
  return a + (mask_of(bits) & b);
}
#endif
