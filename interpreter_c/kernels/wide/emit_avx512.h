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

/* What sixteen channels of a layer share. */
typedef struct {
  __m512 scale, offset;
  __m512i bias, multiplier, shift;
} factors_of_sixteen;

DQNN_INLINE factors_of_sixteen read_sixteen(const dqnn_epilogue *e, uint32_t channel) {
  factors_of_sixteen f = {0};
  if (e->requant == DQNN_REQUANT_AFFINE) {
    f.scale = _mm512_loadu_ps(e->scale + channel);
    f.offset = _mm512_loadu_ps(e->offset + channel);
  } else if (e->requant == DQNN_REQUANT_FIXED_POINT) {
    f.bias = load_sixteen(e->bias + channel);
    f.multiplier = load_sixteen(e->multiplier + channel);
    f.shift = load_sixteen(e->shift + channel);
  }
  return f;
}

/* The affine rule; NaN gives the lower bound. */
DQNN_INLINE __m512i affine_sixteen(const dqnn_epilogue *e, const factors_of_sixteen *f, __m512i x) {
  __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(x), f->scale);
  y = _mm512_add_ps(y, f->offset);
  y = _mm512_min_ps(_mm512_max_ps(y, _mm512_set1_ps(e->low)), _mm512_set1_ps(e->high));
  return _mm512_cvtps_epi32(y);
}

DQNN_INLINE __m512i scaled_sixteen(const dqnn_epilogue *e, const factors_of_sixteen *f, __m512i x, uint32_t channel) {
  if (e->requant == DQNN_REQUANT_AFFINE) {
    return affine_sixteen(e, f, x);
  }
  if (e->requant == DQNN_REQUANT_FIXED_POINT) {
    return fixed_sixteen(_mm512_add_epi32(x, f->bias), f->multiplier, f->shift);
  }
  const int32_t *multiplier = e->multiplier + channel, *shift = e->shift + channel;
  const int64_t *offset = e->offset64 + channel;
  __m256i low = fixed64_eight(_mm512_castsi512_si256(x), multiplier, offset, shift),
          high = fixed64_eight(_mm512_extracti64x4_epi64(x, 1), multiplier + 8, offset + 8, shift + 8);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Returns how many channels it has done. */
DQNN_INLINE uint32_t emit_sixteens(const sink *s, const stretch *r) {
  const dqnn_epilogue e = s->rule; /* stores could change it */
  const __m512i least = _mm512_set1_epi32(e.least), most = _mm512_set1_epi32(e.most),
                zero_point = _mm512_set1_epi32(e.zero_point);
  const uint32_t step = r->step, pixel_bytes = s->pixel_bytes, pixels = r->pixels, count = r->count;
  uint32_t done = 0;
  for (; (s->plain || e.requant == DQNN_REQUANT_AFFINE) && done + SIXTEEN <= count; done += SIXTEEN) {
    factors_of_sixteen f = read_sixteen(&e, r->channel + done);
    const int32_t *sums = r->sums + done;
    int8_t *out = r->out + done;
    for (uint32_t p = pixels; p; p--, sums += step, out += pixel_bytes) {
      __m512i x = scaled_sixteen(&e, &f, load_sixteen(sums), r->channel + done);
      x = _mm512_add_epi32(_mm512_min_epi32(_mm512_max_epi32(x, least), most), zero_point);
      _mm_storeu_si128((__m128i *)(void *)out, _mm512_cvtepi32_epi8(x));
    }
  }
  return done;
}

#endif
