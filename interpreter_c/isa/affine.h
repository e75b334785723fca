/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The rules of SPEC.md 3.2 for s8, four values at a time.
 *
 * Affine: (float)acc * scale + offset, each step rounded, to the nearest integer, ties to even. The FPU of Cortex-M4F and later rounds and saturates in one instruction; plan() refuses scales and offsets that are not finite, so no
 * NaN can reach it and the result after clamping to int8 is the same as in plain C. */
#ifndef DQNN_ISA_AFFINE_H
#define DQNN_ISA_AFFINE_H

#include <stdint.h>

#include "isa_pairs.h"
#include "plans.h"
#include "requantize.h"
#include "../src/numerics.h"

#if DQNN_ARM_DSP_FPU

/* x[p] = acc[p] * scale + offset, rounded, plus zero_point, saturated. The four go side by side, so that no result is used by the next
 * instruction: 8 cycles per value. */
static inline __attribute__((always_inline)) void dqnn_affine_4(const int32_t acc[4], float scale, float offset, int32_t zero_point,
                                                                int32_t x[4]) {
  int32_t a, b, c, d;
  __asm__(
      "  vldmia %[acc], {s4-s7}\n"
      "  vcvt.f32.s32 s4, s4\n vcvt.f32.s32 s5, s5\n vcvt.f32.s32 s6, s6\n vcvt.f32.s32 s7, s7\n"
      "  vmul.f32 s4, s4, %[scale]\n vmul.f32 s5, s5, %[scale]\n vmul.f32 s6, s6, %[scale]\n vmul.f32 s7, s7, %[scale]\n"
      "  vadd.f32 s4, s4, %[offset]\n vadd.f32 s5, s5, %[offset]\n vadd.f32 s6, s6, %[offset]\n vadd.f32 s7, s7, %[offset]\n"
      "  vcvtr.s32.f32 s4, s4\n vcvtr.s32.f32 s5, s5\n vcvtr.s32.f32 s6, s6\n vcvtr.s32.f32 s7, s7\n"
      "  vmov %[a], %[b], s4, s5\n vmov %[c], %[d], s6, s7\n"
      "  qadd %[a], %[a], %[zero]\n qadd %[b], %[b], %[zero]\n qadd %[c], %[c], %[zero]\n qadd %[d], %[d], %[zero]\n"
      "  ssat %[a], #8, %[a]\n ssat %[b], #8, %[b]\n ssat %[c], #8, %[c]\n ssat %[d], #8, %[d]\n"
      : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
      : [acc] "r"(acc), [scale] "t"(scale), [offset] "t"(offset), [zero] "r"(zero_point), "m"(*(const dqnn_four_words *)(const void *)acc)
      : "s4", "s5", "s6", "s7");
  x[0] = a;
  x[1] = b;
  x[2] = c;
  x[3] = d;
}

/* The same in place, for sums that are in registers. */
static inline __attribute__((always_inline)) void dqnn_affine_values(int32_t x[4], float scale, float offset, int32_t zero_point) {
  int32_t a = x[0], b = x[1], c = x[2], d = x[3];
  __asm__(
      "  vmov s4, s5, %[a], %[b]\n vmov s6, s7, %[c], %[d]\n"
      "  vcvt.f32.s32 s4, s4\n vcvt.f32.s32 s5, s5\n vcvt.f32.s32 s6, s6\n vcvt.f32.s32 s7, s7\n"
      "  vmul.f32 s4, s4, %[scale]\n vmul.f32 s5, s5, %[scale]\n vmul.f32 s6, s6, %[scale]\n vmul.f32 s7, s7, %[scale]\n"
      "  vadd.f32 s4, s4, %[offset]\n vadd.f32 s5, s5, %[offset]\n vadd.f32 s6, s6, %[offset]\n vadd.f32 s7, s7, %[offset]\n"
      "  vcvtr.s32.f32 s4, s4\n vcvtr.s32.f32 s5, s5\n vcvtr.s32.f32 s6, s6\n vcvtr.s32.f32 s7, s7\n"
      "  vmov %[a], %[b], s4, s5\n vmov %[c], %[d], s6, s7\n"
      "  qadd %[a], %[a], %[zero]\n qadd %[b], %[b], %[zero]\n qadd %[c], %[c], %[zero]\n qadd %[d], %[d], %[zero]\n"
      "  ssat %[a], #8, %[a]\n ssat %[b], #8, %[b]\n ssat %[c], #8, %[c]\n ssat %[d], #8, %[d]\n"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d)
      : [scale] "t"(scale), [offset] "t"(offset), [zero] "r"(zero_point)
      : "s4", "s5", "s6", "s7");
  x[0] = a;
  x[1] = b;
  x[2] = c;
  x[3] = d;
}

/* Four neighbouring channels of one pixel, saturated to int8, as the bytes of a word. */
static inline __attribute__((always_inline)) uint32_t dqnn_affine_word(const int32_t acc[4], const float *scale, const float *offset,
                                                                       int32_t zero_point) {
  uint32_t a, b, c, d;
  __asm__ volatile(
      "  vldmia %[acc], {s0-s3}\n vldmia %[scale], {s4-s7}\n vldmia %[offset], {s8-s11}\n"
      "  vcvt.f32.s32 s0, s0\n vcvt.f32.s32 s1, s1\n vcvt.f32.s32 s2, s2\n vcvt.f32.s32 s3, s3\n"
      "  vmul.f32 s0, s0, s4\n vmul.f32 s1, s1, s5\n vmul.f32 s2, s2, s6\n vmul.f32 s3, s3, s7\n"
      "  vadd.f32 s0, s0, s8\n vadd.f32 s1, s1, s9\n vadd.f32 s2, s2, s10\n vadd.f32 s3, s3, s11\n"
      "  vcvtr.s32.f32 s0, s0\n vcvtr.s32.f32 s1, s1\n vcvtr.s32.f32 s2, s2\n vcvtr.s32.f32 s3, s3\n"
      "  vmov %[a], %[b], s0, s1\n vmov %[c], %[d], s2, s3\n"
      "  qadd %[a], %[a], %[zero]\n qadd %[b], %[b], %[zero]\n qadd %[c], %[c], %[zero]\n qadd %[d], %[d], %[zero]\n"
      "  ssat %[a], #8, %[a]\n ssat %[b], #8, %[b]\n ssat %[c], #8, %[c]\n ssat %[d], #8, %[d]\n"
      "  bfi %[a], %[b], #8, #8\n bfi %[c], %[d], #8, #8\n pkhbt %[a], %[a], %[c], lsl #16\n"
      : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
      : [acc] "r"(acc), [scale] "r"(scale), [offset] "r"(offset), [zero] "r"(zero_point)
      : "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11");
  return a;
}
enum { DQNN_AFFINE_WORDS = 1 };

#else

/* The magic number, 1.5 * 2^23, leaves the integer in the low bits of the mantissa. */
#if DQNN_SOFT_FLOATS
static __attribute__((noinline, unused)) int32_t dqnn_affine_1(int32_t acc, float scale, float offset, int32_t zero_point) {
#else
static inline int32_t dqnn_affine_1(int32_t acc, float scale, float offset, int32_t zero_point) {
#endif
  float y = (float)acc * scale;
  y += offset;
  y = dqnn_clamp(y, -1048576.0f, 1048576.0f) + 12582912.0f;
  return dqnn_clamp_int((int32_t)(dqnn_float_bits(y) - 0x4b400000u) + zero_point, -128, 127);
}

#if DQNN_SOFT_FLOATS
/* Scales from 2^-6 on, as weights of few bits have them: steps of a scale 2^up times smaller, which shift nothing out, for
 * sums that many times larger. */
enum { DQNN_STEP_EXPONENT = 120, DQNN_STEP_MOST_UP = 8 };

static inline uint32_t dqnn_affine_exponent(float scale) {
  return dqnn_float_bits(scale) >> 23 & 255u;
}

static __attribute__((noinline, unused)) void dqnn_affine_up(const int32_t *acc, uint32_t count, float scale, float offset,
                                                             int32_t zero_point, int8_t *out, uint32_t step) {
  const uint32_t up = dqnn_affine_exponent(scale) - DQNN_STEP_EXPONENT;
  const dqnn_steps steps = dqnn_steps_of_affine(dqnn_bits_float(dqnn_float_bits(scale) - (up << 23)), offset, zero_point);
  const int valid = steps.valid && up <= DQNN_STEP_MOST_UP;
  const int32_t factor = valid ? steps.factor * (1 << up) : 0, begin = valid ? steps.begin : 0; /* none is decided */
  const uint32_t most = valid ? (uint32_t)INT16_MAX >> up : 0;
  for (; count; count--, acc++, out += step) {
    int32_t x;
    if ((uint32_t)*acc + most > 2 * most || !dqnn_step_at(*acc * factor + begin, &x)) {
      x = dqnn_affine_1(*acc, scale, offset, zero_point);
    }
    *out = (int8_t)x;
  }
}
#endif

/* Outputs of one channel, `step` bytes apart. */
static inline void dqnn_affine_run(const int32_t *acc, uint32_t count, float scale, float offset, int32_t zero_point, int8_t *out,
                                   uint32_t step) {
#if DQNN_SOFT_FLOATS
  if (dqnn_affine_exponent(scale) > DQNN_STEP_EXPONENT) {
    dqnn_affine_up(acc, count, scale, offset, zero_point, out, step);
    return;
  }
  const dqnn_steps steps = dqnn_steps_of_affine(scale, offset, zero_point);
  if (steps.valid) {
    for (; count; count--, acc++, out += step) {
      int32_t x;
      if (!dqnn_step(&steps, *acc, &x)) {
        x = dqnn_affine_1(*acc, scale, offset, zero_point);
      }
      *out = (int8_t)x;
    }
    return;
  }
#endif
  for (; count; count--, acc++, out += step) {
    *out = (int8_t)dqnn_affine_1(*acc, scale, offset, zero_point);
  }
}

static inline void dqnn_affine_4(const int32_t acc[4], float scale, float offset, int32_t zero_point, int32_t x[4]) {
  int8_t y[4];
  dqnn_affine_run(acc, 4, scale, offset, zero_point, y, 1);
  for (unsigned p = 0; p < 4; p++) {
    x[p] = (int32_t)y[p];
  }
}

static inline void dqnn_affine_values(int32_t x[4], float scale, float offset, int32_t zero_point) {
  dqnn_affine_4(x, scale, offset, zero_point, x);
}

static inline uint32_t dqnn_affine_word(const int32_t acc[4], const float *scale, const float *offset, int32_t zero_point) {
  uint32_t word = 0;
  for (unsigned i = 0; i < 4; i++) {
    word |= ((uint32_t)dqnn_affine_1(acc[i], scale[i], offset[i], zero_point) & 0xffu) << 8 * i;
  }
  return word;
}
enum { DQNN_AFFINE_WORDS = 0 }; /* nothing is gained by it */

#endif

/* Fixed point where shifts go to the right, multipliers have 31 bits and sums plus bias 30. On cores with the DSP extension: h is
 * the high word of sum * multiplier * 2, rounded, less 1 where it is negative; the high word of h * 2^(32 - shift), rounded, is
 * h / 2^shift with ties away from zero. The power is subtracted negated, so that a shift by 1 has one too. */
#if DQNN_ARM_DSP
/* The values of one channel, saturated. */
static inline __attribute__((always_inline)) void dqnn_fixed_4(int32_t x[4], int32_t bias, int32_t multiplier, int32_t shift, int32_t zero_point) {
  int32_t a = x[0], b = x[1], c = x[2], d = x[3], power = (int32_t)(0u - (1u << (32 + shift)));
  __asm__(
      "  add %[a], %[bias], %[a], lsl #1\n add %[b], %[bias], %[b], lsl #1\n add %[c], %[bias], %[c], lsl #1\n add %[d], %[bias], %[d], lsl #1\n"
      "  smmulr %[a], %[a], %[m]\n smmulr %[b], %[b], %[m]\n smmulr %[c], %[c], %[m]\n smmulr %[d], %[d], %[m]\n"
      "  add %[a], %[a], %[a], asr #31\n add %[b], %[b], %[b], asr #31\n add %[c], %[c], %[c], asr #31\n add %[d], %[d], %[d], asr #31\n"
      "  smmlsr %[a], %[a], %[power], %[zero]\n smmlsr %[b], %[b], %[power], %[zero]\n smmlsr %[c], %[c], %[power], %[zero]\n smmlsr %[d], %[d], %[power], %[zero]\n"
      "  ssat %[a], #8, %[a]\n ssat %[b], #8, %[b]\n ssat %[c], #8, %[c]\n ssat %[d], #8, %[d]\n"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d)
      : [bias] "r"(2 * bias), [m] "r"(multiplier), [power] "r"(power), [zero] "r"(zero_point));
  x[0] = a;
  x[1] = b;
  x[2] = c;
  x[3] = d;
}

/* Signed bytes of x, at least those of low and at most those of high. */
static inline __attribute__((always_inline)) uint32_t dqnn_clamp_bytes(uint32_t x, uint32_t low, uint32_t high) {
  uint32_t t;
  __asm__("ssub8 %1,%0,%2\n sel %0,%0,%2\n ssub8 %1,%0,%3\n sel %0,%3,%0" : "+r"(x), "=&r"(t) : "r"(low), "r"(high));
  return x;
}

/* The larger of each pair of signed bytes. */
static inline __attribute__((always_inline)) uint32_t dqnn_max_bytes(uint32_t a, uint32_t b) {
  uint32_t t;
  __asm__("ssub8 %1,%0,%2\n sel %0,%0,%2" : "+r"(a), "=&r"(t) : "r"(b));
  return a;
}

#else
static inline uint32_t dqnn_max_bytes(uint32_t a, uint32_t b) {
  uint32_t x = a ^ 0x80808080u, y = b ^ 0x80808080u; /* unsigned order; bit 7 of each byte of `less`: x < y */
  uint32_t less = ((~x & y) | (~(x ^ y) & ~((x | 0x80808080u) - (y & 0x7f7f7f7fu)))) & 0x80808080u;
  uint32_t mask = (less >> 7) * 0xffu;
  return (a & ~mask) | (b & mask);
}

#if DQNN_SHORT_PRODUCTS
static __attribute__((noinline, unused)) int32_t dqnn_fixed_1(int32_t x, int32_t multiplier, int32_t shift, int32_t zero_point) {
#else
static inline int32_t dqnn_fixed_1(int32_t x, int32_t multiplier, int32_t shift, int32_t zero_point) {
#endif
  return dqnn_clamp_int(dqnn_scale_fixed(x, multiplier, shift) + zero_point, -128, 127);
}

/* Outputs of one channel, `step` bytes apart; the bias is in the sums. */
static inline void dqnn_fixed_run(const int32_t *acc, uint32_t count, int32_t multiplier, int32_t shift, int32_t zero_point,
                                  int8_t *out, uint32_t step) {
#if DQNN_SHORT_PRODUCTS
  const dqnn_steps steps = dqnn_steps_of_fixed(multiplier, shift, zero_point);
  if (steps.valid) {
    for (; count; count--, acc++, out += step) {
      int32_t x;
      if (!dqnn_step(&steps, *acc, &x)) {
        x = dqnn_fixed_1(*acc, multiplier, shift, zero_point);
      }
      *out = (int8_t)x;
    }
    return;
  }
#endif
  for (; count; count--, acc++, out += step) {
    *out = (int8_t)dqnn_fixed_1(*acc, multiplier, shift, zero_point);
  }
}

/* The values of one channel, saturated. */
static inline void dqnn_fixed_4(int32_t x[4], int32_t bias, int32_t multiplier, int32_t shift, int32_t zero_point) {
  int8_t y[4];
  for (unsigned p = 0; p < 4; p++) {
    x[p] += bias;
  }
  dqnn_fixed_run(x, 4, multiplier, shift, zero_point, y, 1);
  for (unsigned p = 0; p < 4; p++) {
    x[p] = (int32_t)y[p];
  }
}

static inline uint32_t dqnn_clamp_bytes(uint32_t x, uint32_t low, uint32_t high) {
  uint32_t y = 0;
  for (unsigned i = 0; i < 4; i++) {
    y |= ((uint32_t)dqnn_clamp_int(dqnn_byte(x, i), dqnn_byte(low, i), dqnn_byte(high, i)) & 0xffu) << 8 * i;
  }
  return y;
}
#endif

#endif
