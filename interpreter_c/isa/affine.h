/* The affine rule of SPEC.md 3.2 for s8: (float)acc * scale + offset, each step rounded, to the nearest integer, ties to even.
 * The FPU of Cortex-M4F and later rounds and saturates in one instruction; plan() refuses scales and offsets that are not finite, so no
 * NaN can reach it and the result after clamping to int8 is the same as in plain C. */
#ifndef DQNN_ISA_AFFINE_H
#define DQNN_ISA_AFFINE_H

#include <stdint.h>

#include "numerics.h"

#if !defined(DQNN_PORTABLE) && defined(__ARM_FP) && (__ARM_FP & 4) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)

/* Four values of one channel: acc[p] * scale + offset, rounded, plus zero_point, saturated, to out[p][channel]. Loads, conversions and
 * arithmetic of the four go side by side, so that no result is used by the next instruction: 11 cycles per value. */
static inline __attribute__((always_inline)) void dqnn_put_affine_s8(const int32_t acc[4], float scale, float offset, int32_t zero_point,
                                                                     int8_t *const out[4], uint32_t channel) {
  int8_t *out0 = out[0], *out1 = out[1], *out2 = out[2], *out3 = out[3];
  int32_t a, b, c, d;
  __asm__ volatile(
      "  vldmia %[acc], {s4-s7}\n"
      "  vcvt.f32.s32 s4, s4\n vcvt.f32.s32 s5, s5\n vcvt.f32.s32 s6, s6\n vcvt.f32.s32 s7, s7\n"
      "  vmul.f32 s4, s4, %[scale]\n vmul.f32 s5, s5, %[scale]\n vmul.f32 s6, s6, %[scale]\n vmul.f32 s7, s7, %[scale]\n"
      "  vadd.f32 s4, s4, %[offset]\n vadd.f32 s5, s5, %[offset]\n vadd.f32 s6, s6, %[offset]\n vadd.f32 s7, s7, %[offset]\n"
      "  vcvtr.s32.f32 s4, s4\n vcvtr.s32.f32 s5, s5\n vcvtr.s32.f32 s6, s6\n vcvtr.s32.f32 s7, s7\n"
      "  vmov %[a], %[b], s4, s5\n vmov %[c], %[d], s6, s7\n"
      "  qadd %[a], %[a], %[zero]\n qadd %[b], %[b], %[zero]\n qadd %[c], %[c], %[zero]\n qadd %[d], %[d], %[zero]\n"
      "  ssat %[a], #8, %[a]\n ssat %[b], #8, %[b]\n ssat %[c], #8, %[c]\n ssat %[d], #8, %[d]\n"
      "  strb %[a], [%[out0], %[channel]]\n strb %[b], [%[out1], %[channel]]\n"
      "  strb %[c], [%[out2], %[channel]]\n strb %[d], [%[out3], %[channel]]\n"
      : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
      : [acc] "r"(acc), [scale] "t"(scale), [offset] "t"(offset), [zero] "r"(zero_point), [out0] "r"(out0), [out1] "r"(out1), [out2] "r"(out2),
        [out3] "r"(out3), [channel] "r"(channel)
      : "memory", "s4", "s5", "s6", "s7");
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
#define DQNN_HAVE_AFFINE_WORD

#else

static inline void dqnn_put_affine_s8(const int32_t acc[4], float scale, float offset, int32_t zero_point, int8_t *const out[4],
                                      uint32_t channel) {
  for (unsigned p = 0; p < 4; p++) {
    float y = (float)acc[p] * scale;
    y += offset;
    y = dqnn_clamp(y, -1048576.0f, 1048576.0f) + 12582912.0f; /* 1.5 * 2^23 leaves the integer in the low bits of the mantissa */
    int32_t r = (int32_t)(dqnn_float_bits(y) - 0x4b400000u);
    out[p][channel] = (int8_t)dqnn_clamp_int(r + zero_point, -128, 127);
  }
}

#endif

#endif
