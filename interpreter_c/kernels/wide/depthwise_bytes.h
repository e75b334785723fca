/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums of depthwise windows of bytes, eight neighbouring outputs at a time. What a layer multiplies by is made once,
 * for a chunk of outputs: halfwords in the order of the loop, and the sums of nothing, which make up for the inputs'
 * zero point. Taps outside the map read a cell of the value that pads it, so that all windows are alike.
 *
 * A part of depthwise.inc.h, for integer sums. AVX2 multiplies two taps at a time, which lie in turn; 64-bit Arm one.
 */
#ifndef DQNN_WIDE_DEPTHWISE_BYTES_H
#define DQNN_WIDE_DEPTHWISE_BYTES_H

enum { EIGHT = 8, MOST_TAPS = 32 };

typedef struct {
  int16_t weights[CHUNK * MOST_TAPS];
  int32_t nothing[CHUNK];
  int8_t outside[CHUNK];
} factors;

/* How the weights of a layer are stored. */
typedef struct {
  const int8_t *weights, *zero_points; /* zero_points: NULL for 0 */
  uint32_t taps, outputs;
  uint32_t columns;   /* the order: taps of so many columns, one after the other; 1: as they are stored */
  int32_t zero_point; /* of the inputs */
  uint8_t half_weights;
} stored_weights;

#if DQNN_HAVE_NEON
enum { TAPS_AT_ONCE = 1 };
typedef int16x8_t halfwords;
DQNN_INLINE halfwords load_taps(const int8_t *const *at, uint32_t o) {
  return vmovl_s8(vld1_s8(at[0] + o));
}
DQNN_INLINE halfwords last_taps(const int8_t *const *at, uint32_t o) {
  return load_taps(at, o);
}
DQNN_INLINE halfwords difference(halfwords a, halfwords b) {
  return vsubq_s16(a, b);
}
DQNN_INLINE halfwords in_halves(halfwords w) {
  return vaddq_s16(vaddq_s16(w, w), vdupq_n_s16(1));
}
typedef struct {
  int32x4_t low, high;
} sums_of_eight;
DQNN_INLINE sums_of_eight no_sums(void) {
  return (sums_of_eight){vdupq_n_s32(0), vdupq_n_s32(0)};
}
DQNN_INLINE sums_of_eight load_sums(const int32_t *from) {
  return (sums_of_eight){vld1q_s32(from), vld1q_s32(from + 4)};
}
DQNN_INLINE void store_sums(int32_t *to, sums_of_eight z) {
  vst1q_s32(to, z.low);
  vst1q_s32(to + 4, z.high);
}
DQNN_INLINE halfwords load_halfwords(const int16_t *from) {
  return vld1q_s16(from);
}
DQNN_INLINE void store_halfwords(int16_t *to, halfwords x) {
  vst1q_s16(to, x);
}
DQNN_INLINE halfwords ones(int last) {
  (void)last;
  return vdupq_n_s16(1);
}
DQNN_INLINE sums_of_eight add_products(sums_of_eight z, halfwords x, halfwords w) {
  z.low = vmlal_s16(z.low, vget_low_s16(x), vget_low_s16(w));
  z.high = vmlal_high_s16(z.high, x, w);
  return z;
}
DQNN_INLINE sums_of_eight times(sums_of_eight z, int32_t by) {
  return (sums_of_eight){vmulq_n_s32(z.low, by), vmulq_n_s32(z.high, by)};
}
#else
enum { TAPS_AT_ONCE = 2 };
typedef __m256i halfwords;
DQNN_INLINE __m128i load_eight(const int8_t *from) {
  return _mm_loadl_epi64((const __m128i *)(const void *)from);
}
DQNN_INLINE halfwords load_taps(const int8_t *const *at, uint32_t o) {
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(load_eight(at[0] + o), load_eight(at[1] + o)));
}
/* One, beside nothing. */
DQNN_INLINE halfwords last_taps(const int8_t *const *at, uint32_t o) {
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(load_eight(at[0] + o), _mm_setzero_si128()));
}
DQNN_INLINE halfwords difference(halfwords a, halfwords b) {
  return _mm256_sub_epi16(a, b);
}
DQNN_INLINE halfwords in_halves(halfwords w) {
  return _mm256_add_epi16(_mm256_add_epi16(w, w), _mm256_set1_epi16(1));
}
typedef __m256i sums_of_eight;
DQNN_INLINE sums_of_eight no_sums(void) {
  return _mm256_setzero_si256();
}
DQNN_INLINE sums_of_eight load_sums(const int32_t *from) {
  return _mm256_loadu_si256((const __m256i *)(const void *)from);
}
DQNN_INLINE void store_sums(int32_t *to, sums_of_eight z) {
  _mm256_storeu_si256((__m256i *)(void *)to, z);
}
DQNN_INLINE halfwords load_halfwords(const int16_t *from) {
  return _mm256_loadu_si256((const __m256i *)(const void *)from);
}
DQNN_INLINE void store_halfwords(int16_t *to, halfwords x) {
  _mm256_storeu_si256((__m256i *)(void *)to, x);
}
DQNN_INLINE halfwords ones(int last) {
  return last ? _mm256_set1_epi32(1) : _mm256_set1_epi16(1);
}
DQNN_INLINE sums_of_eight add_products(sums_of_eight z, halfwords x, halfwords w) {
  return _mm256_add_epi32(z, _mm256_madd_epi16(x, w));
}
DQNN_INLINE sums_of_eight times(sums_of_eight z, int32_t by) {
  return _mm256_mullo_epi32(z, _mm256_set1_epi32(by));
}
#endif

/* Outputs of a chunk that stand at eight `i`: the last ones overlap those before them. */
DQNN_INLINE uint32_t eight_at(uint32_t i, uint32_t count) {
  return i + EIGHT <= count ? i : count - EIGHT;
}

/* last: less than TAPS_AT_ONCE are left. */
DQNN_INLINE halfwords load_some(const int8_t *const *at, uint32_t o, int last) {
  return last ? last_taps(at, o) : load_taps(at, o);
}

static void make_factors(const stored_weights *s, uint32_t first, uint32_t count, factors *f) {
  const int8_t *const zero_points[2] = {s->zero_points, s->zero_points};
  const uint32_t rows = s->taps / s->columns, down = s->columns * s->outputs;
  int16_t *to = f->weights;
  for (uint32_t i = 0; i < count; i += EIGHT) {
    uint32_t o = first + eight_at(i, count);
    sums_of_eight sum = no_sums();
    for (uint32_t column = 0; column < s->columns; column++) {
      for (uint32_t row = 0; row < rows; row += TAPS_AT_ONCE, to += TAPS_AT_ONCE * EIGHT) {
        const int8_t *from = s->weights + row * down + column * s->outputs, *const at[2] = {from, from + down};
        int last = row + TAPS_AT_ONCE > rows;
        halfwords w = load_some(at, o, last);
        if (s->zero_points) {
          w = difference(w, load_some(zero_points, o, last));
        }
        if (s->half_weights) {
          w = in_halves(w);
        }
        store_halfwords(to, w);
        sum = add_products(sum, w, ones(last));
      }
    }
    store_sums(f->nothing + eight_at(i, count), times(sum, -s->zero_point));
  }
}

/* taps is a constant where it matters. */
DQNN_INLINE void sum_taps(const factors *f, const int8_t *const *at, uint32_t taps, uint32_t count, int32_t *sums) {
  const int16_t *w = f->weights;
  for (uint32_t i = 0; i < count; i += EIGHT) {
    uint32_t o = eight_at(i, count), tap = 0;
    sums_of_eight z = load_sums(f->nothing + o);
    for (; tap + TAPS_AT_ONCE <= taps; tap += TAPS_AT_ONCE, w += TAPS_AT_ONCE * EIGHT) {
      z = add_products(z, load_taps(at + tap, o), load_halfwords(w));
    }
    if (tap < taps) {
      z = add_products(z, last_taps(at + tap, o), load_halfwords(w));
      w += TAPS_AT_ONCE * EIGHT;
    }
    store_sums(sums + o, z);
  }
}

/* ---- windows of 3x3 in a patch ---- */

enum { SIDE = 3, VECTORS_DOWN = (SIDE + TAPS_AT_ONCE - 1) / TAPS_AT_ONCE };

/* Of a patch, in bytes: from a kernel row to the next one, a kernel column, a window. */
typedef struct {
  size_t down, right, next;
} patch_steps;

DQNN_INLINE void load_column(const int8_t *from, size_t down, halfwords column[VECTORS_DOWN]) {
  const int8_t *const at[SIDE] = {from, from + down, from + 2 * down};
  for (uint32_t i = 0; i < VECTORS_DOWN; i++) {
    column[i] = load_some(at + i * TAPS_AT_ONCE, 0, (i + 1) * TAPS_AT_ONCE > SIDE);
  }
}

DQNN_INLINE sums_of_eight add_column(sums_of_eight z, const halfwords x[VECTORS_DOWN], const halfwords *w) {
  for (uint32_t i = 0; i < VECTORS_DOWN; i++) {
    z = add_products(z, x[i], w[i]);
  }
  return z;
}

/* Of the eight `i` of the chunk, which begin at o, the sums of each of `count` windows of a row. */
DQNN_INLINE void sum_row(const factors *f, const int8_t *from, const patch_steps *steps, uint32_t i, uint32_t o,
                         uint32_t count, int32_t (*sums)[EIGHT]) {
  const sums_of_eight nothing = load_sums(f->nothing + o);
  const size_t down = steps->down, right = steps->right, next = steps->next;
  halfwords w[SIDE * VECTORS_DOWN], column[VECTORS_DOWN];
  for (uint32_t k = 0; k < SIDE * VECTORS_DOWN; k++) {
    w[k] = load_halfwords(f->weights + (i * SIDE * VECTORS_DOWN + k * EIGHT) * TAPS_AT_ONCE);
  }
  if (next == right) { /* every column has its part in three windows */
    sums_of_eight first = nothing, second = nothing;
    for (uint32_t k = 0; k < count + 2; k++, from += next) {
      load_column(from, down, column);
      if (k >= 2) {
        store_sums(sums[k - 2], add_column(first, column, w + 2 * VECTORS_DOWN));
      }
      first = add_column(second, column, w + VECTORS_DOWN);
      second = add_column(nothing, column, w);
    }
    return;
  }
  for (uint32_t k = 0; k < count; k++, from += next) {
    sums_of_eight z = nothing;
    for (uint32_t kx = 0; kx < SIDE; kx++) {
      load_column(from + kx * right, down, column);
      z = add_column(z, column, w + kx * VECTORS_DOWN);
    }
    store_sums(sums[k], z);
  }
}

#endif
