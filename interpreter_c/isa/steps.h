/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The rules of SPEC.md 3.2 for s8 in 32-bit integers, for cores without a float unit or without products of 64 bits:
 * most sums are decided by their upper 16 bits, the others by the rule itself.
 *
 * With q = sum >> shift in 16 bits and factor, the rule's multiplier in 15 bits, q * factor + begin is the output in
 * units of 2^-21, of which begin holds half an output, the zero point, the middle of what was shifted out, and a
 * margin: factor is off by a half (2^14 for all q), the shift by half a factor (2^14), TFLite's first rounding by half
 * of a step (2^14 where it shifts by 6), the three float steps by 2^8 while |sum * scale|, |offset| < 512. Who is
 * further than the margin from where outputs change is decided. */
#ifndef DQNN_ISA_STEPS_H
#define DQNN_ISA_STEPS_H

#include <stdint.h>

#include "../src/numerics.h"
#include "target.h"

enum { DQNN_STEP_BITS = 21, DQNN_STEP_MARGIN = 3 * 16384 + 260 };

/* dqnn_high_mul of numerics.h where products have 32 bits: of halves, without the 16 bits that carry nothing. */
#if DQNN_SHORT_PRODUCTS
static inline int32_t dqnn_scaled(int32_t a, int32_t b) {
  const uint32_t al = (uint32_t)a & 0xffffu, bl = (uint32_t)b & 0xffffu, bh = (uint32_t)b >> 16;
  const int32_t ah = a >> 16, middle = ah * (int32_t)bl;
  const uint32_t other = al * bh;
  const uint32_t rest = (al * bl >> 16) + ((uint32_t)middle & 0xffffu) + (other & 0xffffu) + (1u << 14);
  const uint32_t high = (uint32_t)(ah * (int32_t)bh) + (uint32_t)(middle >> 16) + (other >> 16) + (rest >> 16);
  return (int32_t)(high << 1 | (rest >> 15 & 1u));
}
#else
static inline int32_t dqnn_scaled(int32_t a, int32_t b) {
  return dqnn_high_mul(a, b);
}
#endif

typedef struct {
  int32_t factor, begin;
  uint32_t shift;
  uint8_t valid, far; /* 0: no sum is decided; 1: all sums of more than 16 bits are, as they saturate */
} dqnn_steps;

static inline int32_t dqnn_step_ends(int32_t sign) {
  return sign < 0 ? -128 : 127;
}

/* 1 and the output at t units, or 0. */
static inline int dqnn_step_at(int32_t t, int32_t *out) {
  const int32_t y = t >> DQNN_STEP_BITS;
  if (y != (int8_t)y) {
    *out = dqnn_step_ends(y);
    return 1;
  }
  *out = y;
  return (uint32_t)t << (32 - DQNN_STEP_BITS) >= (uint32_t)(2 * DQNN_STEP_MARGIN) << (32 - DQNN_STEP_BITS);
}

/* The same for a sum. */
static inline int dqnn_step(const dqnn_steps *s, int32_t sum, int32_t *out) {
  const int32_t q = sum >> s->shift;
  if (q != (int16_t)q) {
    *out = dqnn_step_ends(q);
    return s->far;
  }
  return dqnn_step_at(q * s->factor + s->begin, out);
}

static inline int32_t dqnn_steps_begin(int32_t factor, int32_t offset) {
  return offset + (1 << (DQNN_STEP_BITS - 1)) + DQNN_STEP_MARGIN + (factor >> 1);
}

/* Fixed point; the bias is in the sums. */
static inline dqnn_steps dqnn_steps_of_fixed(int32_t multiplier, int32_t shift, int32_t zero_point) {
  dqnn_steps s = {0, 0, 0, 0, 1};
  if (shift <= -6 && multiplier >= 1 << 30) {
    s.shift = (uint32_t)(-6 - shift);
    s.factor = (int32_t)(((uint32_t)multiplier + 0x8000u) >> 16);
    s.begin = dqnn_steps_begin(s.factor, zero_point * (1 << DQNN_STEP_BITS));
    s.valid = 1;
  }
  return s;
}

/* |x| * 2^21 of a float's bits, cut; below 2^30, or 2^30. */
static inline int32_t dqnn_step_units(uint32_t bits) {
  const int32_t mantissa = (int32_t)((bits & 0x7fffffu) | 0x800000u),
                up = (int32_t)(bits >> 23 & 255u) - (150 - DQNN_STEP_BITS);
  return up > 6 ? 1 << 30 : up >= 0 ? mantissa << up : up > -24 ? mantissa >> -up : 0;
}

static inline dqnn_steps dqnn_steps_of_affine(float scale, float offset, int32_t zero_point) {
  dqnn_steps s = {0, 0, 0, 0, 0};
  const uint32_t bits = dqnn_float_bits(scale), more = dqnn_float_bits(offset), shift = 120 - (bits >> 23 & 255u);
  int32_t at = dqnn_step_units(more);
  at = ((more >> 31) != 0 ? -at : at) + zero_point * (1 << DQNN_STEP_BITS);
  if (shift > 24 || dqnn_step_units(more) >= 1 << 30 || at > 510 << DQNN_STEP_BITS || at < -(510 << DQNN_STEP_BITS)) {
    return s;
  }
  s.shift = shift;
  s.factor = (int32_t)(((bits & 0x7fffffu) | 0x800000u) + 0x100u) >> 9;
  s.factor = (bits >> 31) != 0 ? -s.factor : s.factor;
  s.begin = dqnn_steps_begin(s.factor, at);
  s.valid = 1;
  return s;
}

#endif
