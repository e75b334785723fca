/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Plain C forms of the 8-bit primitives: products of pairs of halfwords (columns) with pairs of bytes (weights,
 * SPEC.md 3.3). */
#ifndef DQNN_ISA_PORTABLE_PAIRS_H
#define DQNN_ISA_PORTABLE_PAIRS_H

#include <stdint.h>

static inline int32_t dqnn_half(uint32_t pair, unsigned which) {
  return (int16_t)(pair >> (16 * which));
}
static inline int32_t dqnn_byte(uint32_t word, unsigned which) {
  return (int8_t)(word >> (8 * which));
}

static inline uint32_t dqnn_pair(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* Four s8 of x, in memory order, plus the halfword in `add` (both halves equal): two pairs. */
#ifndef DQNN_OWN_WIDEN_S8
static inline void dqnn_widen_s8(uint32_t x, uint32_t add, uint32_t pairs[2]) {
  int32_t offset = dqnn_half(add, 0);
  pairs[0] = dqnn_pair(dqnn_byte(x, 0) + offset, dqnn_byte(x, 1) + offset);
  pairs[1] = dqnn_pair(dqnn_byte(x, 2) + offset, dqnn_byte(x, 3) + offset);
}
#endif

/* One pixel, four channels: acc = {w0.a, w0.b, w1.a, w1.b} . x */
#ifndef DQNN_OWN_DOT_1X4
static inline void dqnn_dot_1x4(const uint32_t *w0, const uint32_t *w1, const uint32_t *x, uint32_t pairs,
                                int32_t acc[4]) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  for (; pairs; pairs--) {
    int32_t low = dqnn_half(*x, 0), high = dqnn_half(*x, 1);
    uint32_t u = *w0++, v = *w1++;
    x++;
    a += dqnn_byte(u, 0) * low + dqnn_byte(u, 2) * high;
    b += dqnn_byte(u, 1) * low + dqnn_byte(u, 3) * high;
    c += dqnn_byte(v, 0) * low + dqnn_byte(v, 2) * high;
    d += dqnn_byte(v, 1) * low + dqnn_byte(v, 3) * high;
  }
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
}
#endif

/* Four pixels (columns interleaved: [pair][pixel]), two channels: acc = {a of pixels 0..3, b of pixels 0..3}. pairs
 * >= 1. The columns are turned before, once for all channels, as some cores want them. */
#ifndef DQNN_OWN_DOT_4X2
static inline void dqnn_turn_columns(uint32_t *columns, uint32_t pairs) {
  (void)columns;
  (void)pairs;
}

static inline void dqnn_dot_4x2(const uint32_t *w, const uint32_t *x, uint32_t pairs, int32_t acc[8]) {
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

/* acc[i] += (byte i of x + half of add) * byte i of w */
#ifndef DQNN_OWN_MULTIPLY_BYTES
static inline void dqnn_multiply_bytes(uint32_t x, uint32_t add, uint32_t w, int32_t acc[4]) {
  int32_t offset = dqnn_half(add, 0);
  for (unsigned i = 0; i < 4; i++) {
    acc[i] += (dqnn_byte(x, i) + offset) * dqnn_byte(w, i);
  }
}
#endif

#endif
