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

/* What rules that clamp keep to, with the zero point, as fields of a plan; others saturate to int8 and have no place for it. */
#if DQNN_ARM_DSP_FPU
#define DQNN_BOUNDS
#define DQNN_SET_BOUNDS(plan, low, high) ((void)(plan))
#else
#define DQNN_BOUNDS int32_t least, most;
#define DQNN_SET_BOUNDS(plan, low, high) ((void)((plan)->least = (low), (plan)->most = (high)))
#endif

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
enum { DQNN_RULES_CLAMP = 0 /* to less than all codes */ };

/* Compiled for size, dqnn_emit_words has that rule, too. */
enum { DQNN_AFFINE_WORDS = !DQNN_SMALL, DQNN_QUICK_WORDS = 1 };

DQNN_WORD_IS(0, dqnn_epilogue, scale);
DQNN_WORD_IS(1, dqnn_epilogue, offset);
DQNN_WORD_IS(2, dqnn_epilogue, bias);
DQNN_WORD_IS(3, dqnn_epilogue, multiplier);
DQNN_WORD_IS(4, dqnn_epilogue, shift);
DQNN_WORD_IS(8, dqnn_epilogue, zero_point);
DQNN_WORD_IS(9, dqnn_epilogue, least);
DQNN_WORD_IS(10, dqnn_epilogue, most);
DQNN_WORD_IS(11, dqnn_epilogue, requant);

/* dqnn_emit_s8 by the affine (requant 0) or the fixed-point rule (1) for four channels at a time; returns how many it has done. Any
 * multipliers and sums; it ends where one of four shifts does not go to the right. How fixed point goes is told below.
 *
 * Registers: r0 sums, r1 scales or biases, r2 offsets or multipliers, r3 shifts or 0, lr out, r4 to r7 values; r8 to r12 free; s12
 * end of out, s13 zero point, s14, s15 least and most in every byte. */
#define DQNN_WORDS_EACH(op) op("r4", "r8") op("r5", "r9") op("r6", "r10") op("r7", "r11")
#define DQNN_WORDS_ADD(x, y) "add " x "," y "\n"
#define DQNN_WORDS_SCALE(x, y) \
  "add " y "," y "\n and r12," x "," y ",asr #31\n smmlar " x "," x "," y ",r12\n add " x "," x "," x ",asr #31\n"
#define DQNN_WORDS_POWER(x, y) "asr " y ",r12," y "\n"
#define DQNN_WORDS_SHIFT(x, y) "smmlsr " x "," x "," y ",r12\n"
#define DQNN_WORDS_ZERO(x, y) "qadd " x "," x ",r12\n"
#define DQNN_WORDS_SATURATE(x, y) "ssat " x ",#8," x "\n"
#define DQNN_WORDS_AFFINE \
  "vldmia r0!,{s0-s3}\n vldmia r1!,{s4-s7}\n vldmia r2!,{s8-s11}\n" \
  "vcvt.f32.s32 s0,s0\n vcvt.f32.s32 s1,s1\n vcvt.f32.s32 s2,s2\n vcvt.f32.s32 s3,s3\n" \
  "vmul.f32 s0,s0,s4\n vmul.f32 s1,s1,s5\n vmul.f32 s2,s2,s6\n vmul.f32 s3,s3,s7\n" \
  "vadd.f32 s0,s0,s8\n vadd.f32 s1,s1,s9\n vadd.f32 s2,s2,s10\n vadd.f32 s3,s3,s11\n" \
  "vcvtr.s32.f32 s0,s0\n vcvtr.s32.f32 s1,s1\n vcvtr.s32.f32 s2,s2\n vcvtr.s32.f32 s3,s3\n" \
  "vmov r4,r5,s0,s1\n vmov r6,r7,s2,s3\n vmov r12,s13\n" DQNN_WORDS_EACH(DQNN_WORDS_ZERO)
/* An `exit` is where it ends. */
#define DQNN_WORDS_FIXED(exit) \
  "ldm r0!,{r4-r7}\n ldm r1!,{r8-r11}\n" DQNN_WORDS_EACH(DQNN_WORDS_ADD) \
  "ldm r2!,{r8-r11}\n" DQNN_WORDS_EACH(DQNN_WORDS_SCALE) \
  "ldm r3!,{r8-r11}\n mvn r8,r8\n mvn r9,r9\n mvn r10,r10\n mvn r11,r11\n" \
  "orr r12,r8,r9\n orr r12,r12,r10\n orrs r12,r12,r11\n bmi " exit "\n mov r12,#0x80000000\n" DQNN_WORDS_EACH(DQNN_WORDS_POWER) \
  "vmov r12,s13\n" DQNN_WORDS_EACH(DQNN_WORDS_SHIFT)
/* To the output, and on. */
#define DQNN_WORDS_STORE \
  DQNN_WORDS_EACH(DQNN_WORDS_SATURATE) "bfi r4,r5,#8,#8\n bfi r6,r7,#8,#8\n pkhbt r4,r4,r6,lsl #16\n" \
  "vmov r8,r9,s14,s15\n ssub8 r5,r4,r8\n sel r4,r4,r8\n ssub8 r5,r4,r9\n sel r4,r9,r4\n str r4,[lr],#4\n" \
  "vmov r4,s12\n cmp lr,r4\n bne 1b\n 4: ldr r0,[sp,#36]\n sub r0,lr,r0\n pop {r4-r11,pc}\n"
#if DQNN_SMALL
#define DQNN_WORDS_BODY \
  "1: cmp r3,#0\n bne 3f\n" DQNN_WORDS_AFFINE "2: " DQNN_WORDS_STORE "3: " DQNN_WORDS_FIXED("4b") "b 2b"
#else
#define DQNN_WORDS_BODY "1: " DQNN_WORDS_FIXED("4f") DQNN_WORDS_STORE
#endif
__attribute__((naked, noinline, unused)) static uint32_t dqnn_emit_words(__attribute__((unused)) const dqnn_epilogue *e,
                                                                         __attribute__((unused)) const int32_t *acc,
                                                                         __attribute__((unused)) uint32_t channel,
                                                                         __attribute__((unused)) uint32_t count,
                                                                         __attribute__((unused)) int8_t *out) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n ldr lr,[sp,#36]\n bic r3,r3,#3\n add r3,lr\n vmov s12,r3\n"
      "ldm r0,{r4-r8}\n ldrb r3,[r0,#44]\n cmp r3,#1\n itt eq\n moveq r4,r6\n moveq r5,r7\n"
      "ldr r6,[r0,#32]\n ldr r7,[r0,#36]\n ldr r9,[r0,#40]\n vmov s13,r6\n add r7,r6\n add r9,r6\n uxtb r7,r7\n uxtb r9,r9\n"
      "mov r12,#0x01010101\n mul r7,r7,r12\n mul r9,r9,r12\n vmov s14,s15,r7,r9\n"
      "mov r0,r1\n add r1,r4,r2,lsl #2\n ite eq\n addeq r3,r8,r2,lsl #2\n movne r3,#0\n add r2,r5,r2,lsl #2\n"
      DQNN_WORDS_BODY);
}
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

static inline int8_t dqnn_within(const dqnn_outputs *o, int32_t x) {
  return (int8_t)dqnn_clamp_int(x, o->least, o->most);
}

static inline int8_t dqnn_affine_within(const dqnn_outputs *o, int32_t acc, float scale, float offset) {
  return dqnn_within(o, dqnn_affine_1(acc, scale, offset, o->zero_point));
}

#if DQNN_SOFT_FLOATS
static inline uint32_t dqnn_affine_exponent(float scale) {
  return dqnn_float_bits(scale) >> 23 & 255u;
}

static __attribute__((noinline, unused)) void dqnn_affine_up(dqnn_outputs *o, float scale, float offset) {
  const uint32_t up = dqnn_affine_exponent(scale) - DQNN_STEP_EXPONENT;
  const int valid = up <= DQNN_STEP_MOST_UP &&
                    dqnn_set_affine_steps(o, dqnn_bits_float(dqnn_float_bits(scale) - (up << 23)), offset);
  const int32_t factor = valid ? o->factor * (1 << up) : 0, begin = o->begin;
  const uint32_t most = (uint32_t)INT16_MAX >> (up & 15u);
  for (; o->sums < o->end; o->sums++, o->out += o->step) {
    const int32_t sum = *o->sums;
    if (!valid || (uint32_t)sum + most > 2 * most || !dqnn_step_at(o, sum * factor + begin, o->out)) {
      *o->out = dqnn_affine_within(o, sum, scale, offset);
    }
  }
}
#endif

static inline void dqnn_affine_run(dqnn_outputs *o, float scale, float offset) {
#if DQNN_SOFT_FLOATS
  if (dqnn_affine_exponent(scale) > DQNN_STEP_EXPONENT) {
    dqnn_affine_up(o, scale, offset);
    return;
  }
  if (dqnn_set_affine_steps(o, scale, offset)) {
    while (o->sums < o->end && dqnn_run_steps(o)) {
      *(o->out - o->step) = dqnn_affine_within(o, o->sums[-1], scale, offset);
    }
    return;
  }
#endif
  for (const int32_t *acc = o->sums; acc < o->end; acc++, o->out += o->step) {
    *o->out = dqnn_affine_within(o, *acc, scale, offset);
  }
}

#if DQNN_SHORT_PRODUCTS
static __attribute__((noinline, unused)) int32_t dqnn_fixed_1(int32_t x, int32_t multiplier, int32_t shift, int32_t zero_point) {
#else
static inline int32_t dqnn_fixed_1(int32_t x, int32_t multiplier, int32_t shift, int32_t zero_point) {
#endif
  return dqnn_clamp_int(dqnn_scale_fixed(x, multiplier, shift) + zero_point, -128, 127);
}

/* Fixed point as below; the bias is in the sums. */
static inline int8_t dqnn_fixed_within(const dqnn_outputs *o, int32_t acc, int32_t multiplier, int32_t shift) {
  return dqnn_within(o, dqnn_fixed_1(acc, multiplier, shift, o->zero_point));
}

#if DQNN_SHORT_PRODUCTS
/* Shifts by less than 6 places, whose first rounding is a larger part of an output, have more bits of a factor for sums of
 * fewer. */
enum { DQNN_STEP_FIXED_UP = 4 };
static __attribute__((noinline, unused)) void dqnn_fixed_up(dqnn_outputs *o, int32_t multiplier, int32_t shift) {
  const uint32_t up = (uint32_t)(6 + shift);
  const int valid = up <= DQNN_STEP_FIXED_UP && multiplier >= 1 << 30;
  const int32_t factor = valid ? ((multiplier >> (15 - up)) + 1) >> 1 : 0, most = INT16_MAX >> (up & 15u),
                margin = valid ? (16384 << up) + (16384 >> up) + 4 : 0,
                begin = o->zero_point * (1 << DQNN_STEP_BITS) + (1 << (DQNN_STEP_BITS - 1)) + margin;
  o->unsure = (uint32_t)margin << (33 - DQNN_STEP_BITS);
  for (; o->sums < o->end; o->sums++, o->out += o->step) {
    const int32_t sum = *o->sums;
    if (valid && (sum > most || sum < -most)) {
      *o->out = (int8_t)(sum < 0 ? o->least : o->most);
    } else if (!valid || !dqnn_step_at(o, sum * factor + begin, o->out)) {
      *o->out = dqnn_fixed_within(o, sum, multiplier, shift);
    }
  }
}
#endif

static inline void dqnn_fixed_run(dqnn_outputs *o, int32_t multiplier, int32_t shift) {
#if DQNN_SHORT_PRODUCTS
  if (shift > -6) {
    dqnn_fixed_up(o, multiplier, shift);
    return;
  }
  if (dqnn_set_fixed_steps(o, multiplier, shift)) {
    while (o->sums < o->end && dqnn_run_steps(o)) {
      *(o->out - o->step) = dqnn_fixed_within(o, o->sums[-1], multiplier, shift);
    }
    return;
  }
#endif
  for (const int32_t *acc = o->sums; acc < o->end; acc++, o->out += o->step) {
    *o->out = dqnn_fixed_within(o, *acc, multiplier, shift);
  }
}

static inline void dqnn_add_bias(int32_t sums[4], int32_t bias) {
  for (unsigned p = 0; p < 4; p++) {
    sums[p] += bias;
  }
}

/* Pixels of four, of which the last ones may be the same. */
static inline uint32_t dqnn_pixels_of(int8_t *const out[4]) {
  return 1u + (out[1] != out[0]) + (out[2] != out[1]) + (out[3] != out[2]);
}

static inline void dqnn_affine_4(const int32_t acc[4], float scale, float offset, int32_t zero_point, int32_t x[4]) {
  int8_t y[4];
  dqnn_outputs o;
  dqnn_set_outputs(&o, 1, zero_point, -128, 127);
  o.sums = acc;
  o.end = acc + 4;
  o.out = y;
  dqnn_affine_run(&o, scale, offset);
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
static inline uint32_t dqnn_emit_words(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, int8_t *out) {
  (void)e, (void)acc, (void)channel, (void)count, (void)out;
  return 0;
}
enum { DQNN_AFFINE_WORDS = 0, DQNN_QUICK_WORDS = 0 /* nothing is gained by it */, DQNN_RULES_CLAMP = 1 };

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

/* The values of one channel, saturated. */
static inline void dqnn_fixed_4(int32_t x[4], int32_t bias, int32_t multiplier, int32_t shift, int32_t zero_point) {
  int8_t y[4];
  dqnn_outputs o;
  dqnn_set_outputs(&o, 1, zero_point, -128, 127);
  dqnn_add_bias(x, bias);
  o.sums = x;
  o.end = x + 4;
  o.out = y;
  dqnn_fixed_run(&o, multiplier, shift);
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
