/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The rules of emit.inc.h for integer sums and s8 outputs with the registers of AVX-512: sixteen channels at once. A
 * part of that template, where the compiler may use them. */
#ifndef DQNN_WIDE_EMIT_AVX512_H
#define DQNN_WIDE_EMIT_AVX512_H

enum { SIXTEEN = 16 };

DQNN_INLINE __m512i load_sixteen(const void *from) {
  return _mm512_loadu_si512(from);
}

/* fixed_point_right() of vectors_avx2.h */
DQNN_INLINE __m512i fixed_sixteen(__m512i x, __m512i multiplier, __m512i shift) {
  const __m512i half = _mm512_set1_epi64(1 << 30), one = _mm512_set1_epi32(1);
  __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, multiplier), half),
          odd = _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(multiplier, 32));
  odd = _mm512_slli_epi64(_mm512_add_epi64(odd, half), 1);
  x = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), odd);
  x = _mm512_add_epi32(x, _mm512_srai_epi32(x, 31)); /* ties go away from zero */
  x = _mm512_srav_epi32(x, _mm512_andnot_si512(shift, _mm512_set1_epi32(-1)));
  return _mm512_srai_epi32(_mm512_add_epi32(x, one), 1);
}

/* dqnn_fixed64 of numerics.h, eight of them. */
DQNN_INLINE __m256i fixed64_eight(__m256i x, const int32_t *multiplier, const int64_t *offset, const int32_t *shift) {
  const __m512i by = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)shift)),
                factor = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)multiplier));
  __m512i sum = _mm512_add_epi64(_mm512_mul_epi32(_mm512_cvtepi32_epi64(x), factor), load_sixteen(offset)),
          rest = _mm512_sllv_epi64(sum, _mm512_sub_epi64(_mm512_set1_epi64(64), by)),
          floor = _mm512_srav_epi64(sum, by);
  floor = _mm512_mask_andnot_epi64(floor, _mm512_testn_epi64_mask(rest, rest), _mm512_set1_epi64(1), floor);
  return _mm512_cvtepi64_epi32(floor);
}

/* The affine rule; NaN gives the lower bound. */
DQNN_INLINE __m512i affine_sixteen(const dqnn_epilogue *e, __m512i x, uint32_t channel) {
  __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(x), _mm512_loadu_ps(e->scale + channel));
  y = _mm512_add_ps(y, _mm512_loadu_ps(e->offset + channel));
  y = _mm512_min_ps(_mm512_max_ps(y, _mm512_set1_ps(e->low)), _mm512_set1_ps(e->high));
  return _mm512_cvtps_epi32(y);
}

DQNN_INLINE __m512i scaled_sixteen(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel) {
  __m512i x = load_sixteen(acc);
  if (e->requant == DQNN_REQUANT_AFFINE) {
    return affine_sixteen(e, x, channel);
  }
  if (e->requant == DQNN_REQUANT_FIXED_POINT) {
    return fixed_sixteen(_mm512_add_epi32(x, load_sixteen(e->bias + channel)), load_sixteen(e->multiplier + channel),
                         load_sixteen(e->shift + channel));
  }
  const int32_t *multiplier = e->multiplier + channel, *shift = e->shift + channel;
  const int64_t *offset = e->offset64 + channel;
  __m256i low = fixed64_eight(_mm512_castsi512_si256(x), multiplier, offset, shift),
          high = fixed64_eight(_mm512_extracti64x4_epi64(x, 1), multiplier + 8, offset + 8, shift + 8);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* plain: see sink. Returns how many it has done. */
DQNN_INLINE uint32_t emit_sixteens(const dqnn_epilogue *e, int plain, const int32_t *acc, uint32_t channel,
                                   uint32_t count, int8_t *out) {
  const __m512i least = _mm512_set1_epi32(e->least), most = _mm512_set1_epi32(e->most),
                zero_point = _mm512_set1_epi32(e->zero_point);
  uint32_t done = 0;
  for (; (plain || e->requant == DQNN_REQUANT_AFFINE) && done + SIXTEEN <= count; done += SIXTEEN) {
    __m512i x = scaled_sixteen(e, acc + done, channel + done);
    x = _mm512_add_epi32(_mm512_min_epi32(_mm512_max_epi32(x, least), most), zero_point);
    _mm_storeu_si128((__m128i *)(void *)(out + done), _mm512_cvtepi32_epi8(x));
  }
  return done;
}

#endif
