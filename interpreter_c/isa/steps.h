/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The rules of SPEC.md 3.2 for s8 in 32-bit integers, for cores without a float unit or without products of 64 bits:
 * most sums are decided by their upper 16 bits, the others by the rule itself.
 *
 * With q = sum >> shift in 16 bits and factor, the rule's multiplier in 15 bits, q * factor + begin is the output in
 * units of 2^-21, of which begin holds half an output, the zero point, the middle of what was shifted out, and a
 * margin: factor is off by a half (2^14 for all q), the shift by half a factor (2^14), TFLite's first rounding by half
 * of a step (2^14 where it shifts by 6, half as much with each place more), the three float steps by 2^8 while
 * |sum * scale|, |offset| < 512. Who is further than the margin from where outputs change is decided. */
#ifndef DQNN_ISA_STEPS_H
#define DQNN_ISA_STEPS_H

#include <stdint.h>

#include "../src/numerics.h"
#include "plans.h"
#include "target.h"

enum { DQNN_STEP_BITS = 21, DQNN_STEP_MARGIN = 2 * 16384 + 4, DQNN_STEP_FLOATS = 256 };

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

/* Outputs of one channel, `step` bytes apart, and what decides them. Assembly reads the fields by their places; a run
 * moves the first two. */
typedef struct {
  const int32_t *sums;
  int8_t *out;
  const int32_t *end;
  uint32_t step;
  uint32_t shift;
  int32_t factor, begin;
  int32_t least, most; /* with the zero point */
  uint32_t far;        /* 1: all sums of more than 16 bits are decided, as they saturate */
  uint32_t unsure;     /* twice the margin, as high as a word reaches */
  int32_t zero_point;
#if DQNN_SHORT_PRODUCTS
  int32_t low, fine_begin; /* 16 more bits of the factor, and the same for sums with all their bits */
  uint32_t fine_unsure;
#endif
} dqnn_outputs;

/* What does not depend on the channel. */
static inline void dqnn_set_outputs(dqnn_outputs *o, uint32_t step, int32_t zero_point, int32_t least, int32_t most) {
  o->step = step;
  o->zero_point = zero_point;
  o->least = least;
  o->most = most;
}

/* 1 and the output at t units, or 0. */
static inline int dqnn_step_at(const dqnn_outputs *s, int32_t t, int8_t *out) {
  const int32_t y = t >> DQNN_STEP_BITS;
  if (y < s->least || y > s->most) {
    *out = (int8_t)(y < s->least ? s->least : s->most);
    return 1;
  }
  *out = (int8_t)y;
  return (uint32_t)t << (32 - DQNN_STEP_BITS) >= s->unsure;
}

/* Outputs up to the first that is not decided: 1, and it is the one before `sums` and `out`; 0 at the end. At least one
 * sum has to be left. */
#if DQNN_SHORT_PRODUCTS
DQNN_WORD_IS(0, dqnn_outputs, sums);
DQNN_WORD_IS(1, dqnn_outputs, out);
DQNN_WORD_IS(2, dqnn_outputs, end);
DQNN_WORD_IS(3, dqnn_outputs, step);
DQNN_WORD_IS(4, dqnn_outputs, shift);
DQNN_WORD_IS(5, dqnn_outputs, factor);
DQNN_WORD_IS(6, dqnn_outputs, begin);
DQNN_WORD_IS(7, dqnn_outputs, least);
DQNN_WORD_IS(8, dqnn_outputs, most);
DQNN_WORD_IS(9, dqnn_outputs, far);
DQNN_WORD_IS(10, dqnn_outputs, unsure);
DQNN_WORD_IS(12, dqnn_outputs, low);
DQNN_WORD_IS(13, dqnn_outputs, fine_begin);
DQNN_WORD_IS(14, dqnn_outputs, fine_unsure);
_Static_assert(DQNN_STEP_BITS == 21, "assembly shifts by it");

/* Registers: r0 sums, r1 out, r2 shift, r3 factor, r4 a sum, r5 an output, r6 begin, r7 least; r8 most, r9 unsure, r10
 * step, r11 end, r12 far; the steps on the stack. 23 cycles for an output, 40 more for one that takes all bits of its sum. */
__attribute__((naked, noinline, unused)) static uint32_t dqnn_run_steps(__attribute__((unused)) dqnn_outputs *s) {
  __asm__(
      ".syntax unified\n push {r0,r4-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n mov r7,r0\n"
      "ldm r7!,{r0,r1}\n ldm r7!,{r2,r3}\n mov r11,r2\n mov r10,r3\n ldm r7!,{r2,r3,r6}\n ldr r4,[r7,#4]\n mov r8,r4\n"
      "ldr r4,[r7,#8]\n mov r12,r4\n ldr r4,[r7,#12]\n mov r9,r4\n ldr r7,[r7]\n"
      "1: ldm r0!,{r4}\n asrs r4,r2\n sxth r5,r4\n cmp r5,r4\n bne 5f\n muls r4,r3,r4\n adds r4,r4,r6\n asrs r5,r4,#21\n"
      "cmp r5,r7\n blt 3f\n cmp r5,r8\n bgt 4f\n lsls r4,r4,#11\n cmp r4,r9\n blo 6f\n"
      "2: strb r5,[r1]\n add r1,r10\n cmp r0,r11\n bne 1b\n movs r0,#0\n b 8f\n"
      "3: mov r5,r7\n b 2b\n 4: mov r5,r8\n b 2b\n"
      "5: mov r5,r12\n cmp r5,#0\n beq 7f\n cmp r4,#0\n blt 3b\n b 4b\n"
      "6: mov lr,r1\n subs r0,#4\n ldm r0!,{r4}\n movs r5,r4\n asrs r5,r2\n movs r1,r5\n lsls r1,r2\n subs r4,r4,r1\n"
      "muls r4,r3,r4\n asrs r4,r2\n movs r1,r5\n muls r1,r3,r1\n adds r4,r4,r1\n ldr r1,[sp,#16]\n ldr r1,[r1,#48]\n"
      "muls r5,r1,r5\n asrs r5,r5,#16\n adds r4,r4,r5\n ldr r5,[sp,#16]\n ldr r1,[r5,#52]\n adds r4,r4,r1\n ldr r5,[r5,#56]\n"
      "lsls r1,r4,#11\n cmp r1,r5\n mov r1,lr\n blo 7f\n asrs r5,r4,#21\n cmp r5,r7\n blt 3b\n cmp r5,r8\n bgt 4b\n b 2b\n"
      "7: add r1,r10\n ldr r5,[sp,#16]\n stm r5!,{r0,r1}\n movs r0,#1\n"
      "8: pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r3,r4-r7,pc}");
}
#else
static inline uint32_t dqnn_run_steps(dqnn_outputs *s) {
  const int32_t *sums = s->sums, *const end = s->end;
  const dqnn_outputs own = *s; /* stores to out could change *s */
  for (int8_t *out = s->out; sums < end; out += own.step) {
    const int32_t q = *sums++ >> own.shift;
    int decided;
    if (q != (int16_t)q) {
      *out = (int8_t)(q < 0 ? own.least : own.most);
      decided = (int)own.far;
    } else {
      decided = dqnn_step_at(&own, q * own.factor + own.begin, out);
    }
    if (!decided) {
      s->sums = sums;
      s->out = out + own.step;
      return 1;
    }
  }
  return 0;
}
#endif

/* What an offset and a factor begin with. own: the part of the margin that is the rule's. */
static inline void dqnn_begin_steps(dqnn_outputs *s, int32_t offset, int32_t own) {
  const int32_t margin = DQNN_STEP_MARGIN + own;
  offset += 1 << (DQNN_STEP_BITS - 1);
  s->begin = offset + margin + (s->factor >> 1);
  s->unsure = (uint32_t)margin << (33 - DQNN_STEP_BITS);
#if DQNN_SHORT_PRODUCTS /* with all bits three numbers are cut; 15 of the factor and 16 of what is shifted out have a product */
  s->fine_begin = offset + own + 4;
  s->fine_unsure = s->shift <= 16 ? (uint32_t)(own + 4) << (33 - DQNN_STEP_BITS) : UINT32_MAX;
#endif
}
static inline void dqnn_set_low(dqnn_outputs *s, int32_t low) {
#if DQNN_SHORT_PRODUCTS
  s->low = low;
#else
  (void)s, (void)low;
#endif
}

/* Fixed point; the bias is in the sums. 0: no sum is decided. */
static inline int dqnn_set_fixed_steps(dqnn_outputs *s, int32_t multiplier, int32_t shift) {
  s->far = 1;
  s->shift = (uint32_t)(-6 - shift);
  s->factor = (int32_t)(((uint32_t)multiplier + 0x8000u) >> 16);
  dqnn_set_low(s, (int32_t)((uint32_t)multiplier - ((uint32_t)s->factor << 16)));
  dqnn_begin_steps(s, s->zero_point * (1 << DQNN_STEP_BITS), 16384 >> (s->shift & 31u));
  return shift <= -6 && multiplier >= 1 << 30;
}

/* One sum by fixed point, of outputs begun with the largest margin that it has and no factor: 1 and the output, or 0. */
enum { DQNN_STEP_FIXED = 16384 };
static inline int dqnn_fixed_step(const dqnn_outputs *s, int32_t sum, int32_t multiplier, int32_t shift, int8_t *out) {
  const int32_t q = sum >> ((-6 - shift) & 31), factor = (int32_t)(((uint32_t)multiplier + 0x8000u) >> 16);
  if (shift > -6 || multiplier < 1 << 30) {
    return 0;
  }
  if (q != (int16_t)q) {
    *out = (int8_t)(q < 0 ? s->least : s->most);
    return 1;
  }
  return dqnn_step_at(s, q * factor + s->begin + (factor >> 1), out);
}

/* |x| * 2^21 of a float's bits, cut; below 2^30, or 2^30. */
static inline int32_t dqnn_step_units(uint32_t bits) {
  const int32_t mantissa = (int32_t)((bits & 0x7fffffu) | 0x800000u),
                up = (int32_t)(bits >> 23 & 255u) - (150 - DQNN_STEP_BITS);
  return up > 6 ? 1 << 30 : up >= 0 ? mantissa << up : up > -24 ? mantissa >> -up : 0;
}

static inline int dqnn_set_affine_steps(dqnn_outputs *s, float scale, float offset) {
  const uint32_t bits = dqnn_float_bits(scale), more = dqnn_float_bits(offset), shift = 120 - (bits >> 23 & 255u);
  const int32_t units = dqnn_step_units(more),
                at = ((more >> 31) != 0 ? -units : units) + s->zero_point * (1 << DQNN_STEP_BITS);
  s->far = 0;
  s->shift = shift;
  const int32_t mantissa = (int32_t)((bits & 0x7fffffu) | 0x800000u), factor = (mantissa + 0x100) >> 9,
                low = (mantissa - factor * 512) * 128;
  s->factor = (bits >> 31) != 0 ? -factor : factor;
  dqnn_set_low(s, (bits >> 31) != 0 ? -low : low);
  dqnn_begin_steps(s, at, DQNN_STEP_FLOATS);
  return shift <= 24 && units < 1 << 30 && at <= 510 << DQNN_STEP_BITS && at >= -(510 << DQNN_STEP_BITS);
}

/* Scales from 2^-6 on, as weights of few bits have them, are steps of a scale 2^up times smaller, which shift nothing
 * out, for sums that many times larger. */
enum { DQNN_STEP_EXPONENT = 120, DQNN_STEP_MOST_UP = 8 };

/* One sum by the affine rule: 1 and the output, or 0. */
static inline int dqnn_affine_step(const dqnn_outputs *s, int32_t sum, float scale, float offset, int8_t *out) {
  const uint32_t up = (dqnn_float_bits(scale) >> 23 & 255u) - DQNN_STEP_EXPONENT;
  if ((int32_t)up > 0) {
    const uint32_t most = (uint32_t)INT16_MAX >> (up & 15u);
    if (up > DQNN_STEP_MOST_UP || (uint32_t)sum + most > 2 * most) {
      return 0;
    }
    sum *= 1 << up;
    scale = dqnn_bits_float(dqnn_float_bits(scale) - (up << 23));
  }
  dqnn_outputs own;
  dqnn_set_outputs(&own, 0, s->zero_point, s->least, s->most);
  const int valid = dqnn_set_affine_steps(&own, scale, offset);
  const int32_t q = sum >> (own.shift & 31u);
  return valid && q == (int16_t)q && dqnn_step_at(&own, q * own.factor + own.begin, out);
}

#endif
