/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums of two rows of s8, eight elements at a time: by the float rule (SPEC.md 3.5) and by TFLite's (3.7).
 *
 * Both end alike. Results less their lower bound stand in pairs of halfwords: USAT16 is the lower clamp, UQADD8 of
 * `room` the upper one, UADD8 of `base` brings back the codes. */
#ifndef DQNN_ISA_SUMS_H
#define DQNN_ISA_SUMS_H

#include <stdint.h>

#include "plans.h"
#include "target.h"

/* Assembly reads the fields of the three structs by their places. */
typedef struct {
  const int8_t *a, *b;
  uint32_t base;     /* most - 255 in each byte */
  uint32_t distance; /* from a to the output, less 4 */
  const int8_t *end; /* of a; at least one step of eight behind its start */
  uint32_t room;     /* 255 - (most - least) in each byte */
} dqnn_sum_rows;

/* ((a - zero) * scale_a + (b - zero) * scale_b) * inverse, each step rounded, plus zero point; within 15 bits. */
typedef struct {
  dqnn_sum_rows rows;
  float scale_a, scale_b, inverse;
  uint32_t lift;           /* zero point - least, in both halves */
  uint32_t zero_a, zero_b; /* minus the zero points, in both halves */
} dqnn_float_sums;

/* TFLite's rule where the operand of the larger scale, a, has the multiplier 1/2. Ties of a shift go away from zero, as
 * what is negative is less one. */
typedef struct {
  dqnn_sum_rows rows;
  uint32_t bias;        /* half a step and zero point - least, 16 bits behind the point */
  uint32_t zero_b;      /* zero point << 21 */
  int32_t multiplier_b; /* negative for a difference */
  uint32_t zero_a;      /* minus zero point << 19 */
  uint32_t factor_b;    /* minus 2^(32 + shift_b) */
  int32_t multiplier;   /* 2 * multiplier - 2^32 */
  uint32_t factor;      /* minus 2^(48 + shift) */
} dqnn_fixed_sums;

#if DQNN_ARM_DSP_FPU

DQNN_WORD_IS(0, dqnn_sum_rows, a);
DQNN_WORD_IS(2, dqnn_sum_rows, base);
DQNN_WORDS_ARE(6, dqnn_sum_rows);
DQNN_WORD_IS(6, dqnn_float_sums, scale_a);
DQNN_WORDS_ARE(12, dqnn_float_sums);
DQNN_WORD_IS(6, dqnn_fixed_sums, bias);
DQNN_WORDS_ARE(13, dqnn_fixed_sums);

/* Registers: r0 a, r1 b; s0 base, s1 distance, s2 end, s3 room. r4 and r5: elements 0 and 2, 1 and 3. */
#define DQNN_SUMS_BEGIN ".syntax unified\n push {r4-r11,lr}\n ldr r2,[r0],#4\n ldr r1,[r0],#4\n"
#define DQNN_SUMS_STORE(room)                                                                              \
  "usat16 r4,#8,r4\n usat16 r5,#8,r5\n orr r4,r4,r5,lsl #8\n vmov r10,r11,s0,s1\n uqadd8 r4,r4," room "\n" \
  "uadd8 r4,r4,r10\n str r4,[r0,r11]\n"
#define DQNN_SUMS_END "vmov r5,s2\n cmp r0,r5\n bne.w 1b\n pop {r4-r11,pc}\n"

/* The rows of a dqnn_float_sums. r2, r3 zero points, r12 lift, lr room; s4, s5 scales, s6 inverse. VCVT takes the low halves as they are. */
__attribute__((naked, noinline, unused)) static void dqnn_sum_floats(__attribute__((unused)) const dqnn_sum_rows *s) {
  __asm__(DQNN_SUMS_BEGIN
          "vldmia r0!,{s0-s6}\n ldr r12,[r0],#4\n mov r4,r2\n ldm r0,{r2,r3}\n mov r0,r4\n vmov lr,s3\n"
          "1: .rept 2\n"
          "ldr r8,[r0],#4\n ldr r9,[r1],#4\n"
          "sxtab16 r4,r2,r8\n sxtab16 r5,r2,r8,ror #8\n sxtab16 r8,r3,r9\n sxtab16 r9,r3,r9,ror #8\n"
          "asr r6,r4,#16\n asr r7,r5,#16\n asr r10,r8,#16\n asr r11,r9,#16\n"
          "vmov s8,s9,r4,r5\n vmov s10,s11,r6,r7\n vmov s12,s13,r8,r9\n vmov s14,s15,r10,r11\n"
          "vcvt.f32.s16 s8,s8,#0\n vcvt.f32.s16 s9,s9,#0\n vcvt.f32.s32 s10,s10\n vcvt.f32.s32 s11,s11\n"
          "vcvt.f32.s16 s12,s12,#0\n vcvt.f32.s16 s13,s13,#0\n vcvt.f32.s32 s14,s14\n vcvt.f32.s32 s15,s15\n"
          "vmul.f32 s8,s8,s4\n vmul.f32 s9,s9,s4\n vmul.f32 s10,s10,s4\n vmul.f32 s11,s11,s4\n"
          "vmul.f32 s12,s12,s5\n vmul.f32 s13,s13,s5\n vmul.f32 s14,s14,s5\n vmul.f32 s15,s15,s5\n"
          "vadd.f32 s8,s8,s12\n vadd.f32 s9,s9,s13\n vadd.f32 s10,s10,s14\n vadd.f32 s11,s11,s15\n"
          "vmul.f32 s8,s8,s6\n vmul.f32 s9,s9,s6\n vmul.f32 s10,s10,s6\n vmul.f32 s11,s11,s6\n"
          "vcvtr.s32.f32 s8,s8\n vcvtr.s32.f32 s9,s9\n vcvtr.s32.f32 s10,s10\n vcvtr.s32.f32 s11,s11\n"
          "vmov r4,r5,s8,s9\n vmov r6,r7,s10,s11\n pkhbt r4,r4,r6,lsl #16\n pkhbt r5,r5,r7,lsl #16\n"
          "qadd16 r4,r4,r12\n qadd16 r5,r5,r12\n" DQNN_SUMS_STORE("lr")
          ".endr\n" DQNN_SUMS_END);
}

/* The rows of a dqnn_fixed_sums. s4 bias; s5, s6 zero point and multiplier of b; s7 that of a, s8 the factor; r12 and lr multiplier and factor. */
__attribute__((naked, noinline, unused)) static void dqnn_sum_fixed(__attribute__((unused)) const dqnn_sum_rows *s) {
  __asm__(DQNN_SUMS_BEGIN
          "vldmia r0!,{s0-s8}\n ldm r0,{r12,lr}\n mov r0,r2\n"
          "1: .rept 2\n"
          "ldrsb r4,[r1],#4\n ldrsb r5,[r1,#-3]\n ldrsb r6,[r1,#-2]\n ldrsb r7,[r1,#-1]\n"
          "ldrsb r8,[r0],#4\n ldrsb r9,[r0,#-3]\n ldrsb r10,[r0,#-2]\n ldrsb r11,[r0,#-1]\n vmov r2,r3,s5,s6\n"
          "rsb r4,r2,r4,lsl #21\n rsb r5,r2,r5,lsl #21\n rsb r6,r2,r6,lsl #21\n rsb r7,r2,r7,lsl #21\n"
          "smmulr r4,r4,r3\n smmulr r5,r5,r3\n smmulr r6,r6,r3\n smmulr r7,r7,r3\n vmov r2,r3,s7,s8\n"
          "add r4,r4,r4,asr #31\n add r5,r5,r5,asr #31\n add r6,r6,r6,asr #31\n add r7,r7,r7,asr #31\n"
          "smmlsr r4,r4,r3,r2\n smmlsr r5,r5,r3,r2\n smmlsr r6,r6,r3,r2\n smmlsr r7,r7,r3,r2\n"
          "add r4,r4,r8,lsl #19\n add r5,r5,r9,lsl #19\n add r6,r6,r10,lsl #19\n add r7,r7,r11,lsl #19\n"
          "smmlar r4,r4,r12,r4\n smmlar r5,r5,r12,r5\n smmlar r6,r6,r12,r6\n smmlar r7,r7,r12,r7\n vmov r9,r8,s3,s4\n"
          "add r4,r4,r4,asr #31\n add r5,r5,r5,asr #31\n add r6,r6,r6,asr #31\n add r7,r7,r7,asr #31\n"
          "smmls r4,r4,lr,r8\n smmls r5,r5,lr,r8\n smmls r6,r6,lr,r8\n smmls r7,r7,lr,r8\n"
          "pkhtb r4,r6,r4,asr #16\n pkhtb r5,r7,r5,asr #16\n" DQNN_SUMS_STORE("r9")
          ".endr\n" DQNN_SUMS_END);
}

#else

static inline void dqnn_sum_floats(const dqnn_sum_rows *s) {
  (void)s;
}
static inline void dqnn_sum_fixed(const dqnn_sum_rows *s) {
  (void)s;
}

#endif

#endif
