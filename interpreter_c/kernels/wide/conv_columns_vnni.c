/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions in columns with the byte products of AVX-512 VNNI: inputs count as unsigned bytes, stored + 128. */
#include "../../src/kernel.h"

#if DQNN_HAVE_VNNI
#include <stdint.h>

typedef uint8_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) 128
enum { CHANNELS = 16, TAPS = 4 };
typedef uint64_t unit;

#include <immintrin.h>

#include "../../isa/isa.h"

typedef __m512i v_sums, v_inputs;
typedef struct {
  int8_t taps[CHANNELS * TAPS];
} weight_column;

DQNN_INLINE v_sums nothing(void) {
  return _mm512_setzero_si512();
}
DQNN_INLINE v_sums load_vector(const int32_t *from) {
  return _mm512_loadu_si512(from);
}
DQNN_INLINE void store_vector(int32_t *to, v_sums x) {
  _mm512_storeu_si512(to, x);
}
DQNN_INLINE v_sums times(v_sums x, int32_t by) {
  return _mm512_mullo_epi32(x, _mm512_set1_epi32(by));
}
DQNN_INLINE v_sums plus(v_sums x, v_sums y) {
  return _mm512_add_epi32(x, y);
}
DQNN_INLINE v_inputs ones(void) {
  return _mm512_set1_epi8(1);
}
DQNN_INLINE v_inputs load_inputs(const element *from) {
  int32_t four;
  __builtin_memcpy(&four, from, sizeof four);
  return _mm512_set1_epi32(four);
}
DQNN_INLINE v_inputs load_column(const weight_column *from) {
  return _mm512_loadu_si512(from);
}
DQNN_INLINE v_sums add_products(v_sums sums, v_inputs x, v_inputs w) {
  return _mm512_dpbusd_epi32(sums, x, w);
}
DQNN_INLINE void store_column(weight_column *to, const unit *u) {
  const __m512i apart = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
  __m512i all = _mm512_setr_epi64((int64_t)u[0], (int64_t)u[1], (int64_t)u[2], (int64_t)u[3], (int64_t)u[4],
                                  (int64_t)u[5], (int64_t)u[6], (int64_t)u[7]);
  _mm512_storeu_si512(to, _mm512_shuffle_epi8(all, apart));
}
/* Sums of neighbouring inputs, in whatever lanes. */
DQNN_INLINE v_sums add_run(v_sums sums, const element *from, uint32_t count) {
  for (; count > 64; count -= 64, from += 64) {
    sums = _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(from), ones());
  }
  __mmask64 left = ~UINT64_C(0) >> (64 - count);
  return _mm512_dpbusd_epi32(sums, _mm512_maskz_loadu_epi8(left, from), ones());
}
DQNN_INLINE int32_t add_lanes(v_sums sums) {
  return _mm512_reduce_add_epi32(sums);
}
/* Four taps of each of four fours of channels. bits is a constant. */
DQNN_INLINE void store_fours(weight_column *to, const uint64_t *fours, uint32_t bits) {
  const __m128i taps =
      bits == 4 ? _mm_setr_epi8(0, 4, 2, 6, 0, 4, 2, 6, 1, 5, 3, 7, 1, 5, 3, 7) : _mm_set1_epi32(0x03020100);
  const __m128i by = bits == 4 ? _mm_setr_epi32(0, 4, 0, 4) : _mm_setr_epi32(0, 2, 4, 6);
  const __m512i field = _mm512_set1_epi8((int8_t)((1 << bits) - 1)), half = _mm512_set1_epi8((int8_t)(1 << (bits - 1)));
  __m512i all =
      _mm512_setr_epi64((int64_t)fours[0], 0, (int64_t)fours[1], 0, (int64_t)fours[2], 0, (int64_t)fours[3], 0);
  all = _mm512_srlv_epi32(_mm512_shuffle_epi8(all, _mm512_broadcast_i32x4(taps)), _mm512_broadcast_i32x4(by));
  _mm512_storeu_si512(to, _mm512_sub_epi8(_mm512_and_si512(all, field), half));
}

#include "conv_columns.inc.h"

int dqnn_run_columns_vnni(const dqnn_call *call, uint32_t zero_points) {
  block b;
  if (!prepare_columns(call, zero_points, &b)) {
    return 0;
  }
  run_columns(call, &b, run_blocks);
  return 1;
}
#endif
