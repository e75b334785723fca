/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Plain C forms of the 8-bit primitives: products of pairs of halfwords (columns) with pairs of bytes (weights,
 * SPEC.md 3.3). */
#ifndef DQNN_ISA_PORTABLE_PAIRS_H
#define DQNN_ISA_PORTABLE_PAIRS_H

#include <stdint.h>
#include <string.h>

#include "target.h"

#if DQNN_SCALARS || DQNN_SHORT_PRODUCTS
typedef int16_t __attribute__((may_alias)) dqnn_a_half; /* of a word that was written as one */
#endif

static inline int32_t dqnn_half(uint32_t pair, unsigned which) {
  return (int16_t)(pair >> (16 * which));
}
static inline int32_t dqnn_byte(uint32_t word, unsigned which) {
  return (int8_t)(word >> (8 * which));
}

static inline uint32_t dqnn_pair(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* Of a cell, zero point removed or not, and a weight. */
#ifndef DQNN_OWN_PRODUCT
static inline int32_t dqnn_product(int32_t a, int32_t b) {
  return a * b;
}
#endif

/* Four s8 of x, in memory order, plus the halfword in `add` (both halves equal): two pairs. */
#ifndef DQNN_OWN_WIDEN_S8
static inline void dqnn_widen_s8(uint32_t x, uint32_t add, uint32_t pairs[2]) {
  int32_t offset = dqnn_half(add, 0);
  pairs[0] = dqnn_pair(dqnn_byte(x, 0) + offset, dqnn_byte(x, 1) + offset);
  pairs[1] = dqnn_pair(dqnn_byte(x, 2) + offset, dqnn_byte(x, 3) + offset);
}
#endif

/* One pixel, four channels: acc = {w0.a, w0.b, w1.a, w1.b} . x. Scalars load one halfword or byte at a time here and
 * below, as their cores want it that cannot take words apart for nothing. */
#ifndef DQNN_OWN_DOT_1X4
static inline void dqnn_dot_1x4(const uint32_t *w0, const uint32_t *w1, const uint32_t *x, uint32_t pairs,
                                int32_t acc[4]) {
  int32_t a = 0, b = 0, c = 0, d = 0;
#if DQNN_SCALARS
  const int8_t *u = (const int8_t *)w0, *v = (const int8_t *)w1;
  for (const dqnn_a_half *cell = (const dqnn_a_half *)x, *end = cell + 2 * pairs; cell < end; u += 4, v += 4) {
    const int32_t low = *cell++, high = *cell++;
    a += u[0] * low + u[2] * high;
    b += u[1] * low + u[3] * high;
    c += v[0] * low + v[2] * high;
    d += v[1] * low + v[3] * high;
  }
#else
  for (; pairs; pairs--) {
    int32_t low = dqnn_half(*x, 0), high = dqnn_half(*x, 1);
    uint32_t u = *w0++, v = *w1++;
    x++;
    a += dqnn_byte(u, 0) * low + dqnn_byte(u, 2) * high;
    b += dqnn_byte(u, 1) * low + dqnn_byte(u, 3) * high;
    c += dqnn_byte(v, 0) * low + dqnn_byte(v, 2) * high;
    d += dqnn_byte(v, 1) * low + dqnn_byte(v, 3) * high;
  }
#endif
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
}
#endif

/* Sums of `channels` channels of one pixel, whose pairs are x, from the first of two on. They come four at a time: up
 * to three more are written, of the last two channels again or of what the file has behind an odd one. */
#ifndef DQNN_OWN_DOTS
static inline void dqnn_dots(const uint32_t *w, const uint32_t *x, uint32_t pairs, int32_t *acc, uint32_t channels) {
  for (uint32_t c = 0; c < channels; c += 4, acc += 4, w += 2 * pairs) {
    dqnn_dot_1x4(w, c + 2 < channels ? w + pairs : w, x, pairs, acc);
  }
}
#endif

/* Four pixels (columns interleaved: [pair][pixel]), two channels: acc = {a of pixels 0..3, b of pixels 0..3}. pairs
 * >= 1. The columns are turned before, once for all channels, as some cores want them. */
#ifndef DQNN_OWN_DOT_4X2
#define DQNN_COLUMNS_TURN 0
static inline void dqnn_turn_columns(uint32_t *columns, uint32_t pairs, int32_t zero_point) {
  (void)columns, (void)pairs, (void)zero_point;
}
#if DQNN_SCALARS
static inline void dqnn_dot_4x2(const uint32_t *w, const uint32_t *x, uint32_t pairs, int32_t zero_point,
                                int32_t acc[8]) {
  (void)zero_point; /* of the columns, without which they stand here */
  const int8_t *weights = (const int8_t *)w;
  const dqnn_a_half *cells = (const dqnn_a_half *)x;
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
  for (const dqnn_a_half *end = cells + 8 * pairs; cells < end; weights += 4) {
    for (unsigned tap = 0; tap < 2; tap++) {
      const int32_t a = weights[2 * tap], b = weights[2 * tap + 1];
      const int32_t x0 = cells[tap], x1 = cells[tap + 2], x2 = cells[tap + 4], x3 = cells[tap + 6];
      a0 += a * x0, b0 += b * x0;
      a1 += a * x1, b1 += b * x1;
      a2 += a * x2, b2 += b * x2;
      a3 += a * x3, b3 += b * x3;
    }
    cells += 8;
  }
  acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
  acc[4] = b0, acc[5] = b1, acc[6] = b2, acc[7] = b3;
}
#else
static inline void dqnn_dot_4x2(const uint32_t *w, const uint32_t *x, uint32_t pairs, int32_t zero_point,
                                int32_t acc[8]) {
  (void)zero_point; /* of the columns, without which they stand here */
  for (unsigned i = 0; i < 8; i++) {
    acc[i] = 0;
  }
  for (; pairs; pairs--, x += 4) {
    uint32_t u = *w++;
    int32_t a0 = dqnn_byte(u, 0), b0 = dqnn_byte(u, 1), a1 = dqnn_byte(u, 2), b1 = dqnn_byte(u, 3);
    for (unsigned p = 0; p < 4; p++) {
      int32_t low = dqnn_half(x[p], 0), high = dqnn_half(x[p], 1);
      acc[p] += a0 * low + a1 * high;
      acc[4 + p] += b0 * low + b1 * high;
    }
  }
}
#endif
#endif

/* acc[i] += (byte i of x + half of add) * byte i of w */
#ifndef DQNN_OWN_MULTIPLY_BYTES
static inline void dqnn_multiply_bytes(uint32_t x, uint32_t add, uint32_t w, int32_t acc[4]) {
  int32_t offset = dqnn_half(add, 0);
  for (unsigned i = 0; i < 4; i++) {
    acc[i] += dqnn_product(dqnn_byte(x, i) + offset, dqnn_byte(w, i));
  }
}
#endif

#endif
