/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The rules of SPEC.md 3.2, one value at a time; isa/affine.h has them for four. */
#ifndef DQNN_ISA_REQUANTIZE_H
#define DQNN_ISA_REQUANTIZE_H

#include "../src/numerics.h"
#include "isa.h"
#include "steps.h"

/* Of a layer's outputs. Assembly reads the fields by their places. */
typedef struct {
  const float *scale, *offset;              /* affine */
  const int32_t *bias, *multiplier, *shift; /* fixed point; power of two without the multiplier */
  const int64_t *offset64;                  /* fixed64, with multiplier and shift */
  float low, high;                          /* bounds before the zero point is added */
  int32_t zero_point, least, most;          /* likewise */
  uint8_t requant, clamps;
} dqnn_epilogue;

/* Half to even for |y| < 2^22: adding 1.5 * 2^23 leaves the integer in the low bits of the mantissa. */
DQNN_INLINE int32_t dqnn_round_small(float y) {
  uint32_t bits;
  y += 12582912.0f;
  memcpy(&bits, &y, sizeof bits);
  return (int32_t)(bits - 0x4b400000u);
}

/* dqnn_fixed_point of numerics.h with fewer steps. Adding the sign makes ties go away from zero. */
DQNN_INLINE int32_t dqnn_scale_fixed(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t left = shift & ~(shift >> 31);
  x = dqnn_scaled((int32_t)((uint32_t)x << left), multiplier);
  if (shift < 0) {
    x += x >> 31;
    x = ((x >> ~shift) + 1) >> 1;
  }
  return x;
}

/* dqnn_fixed64 of numerics.h, clamped. A shift of a word or more, as factors below 1/2 have, takes no 64-bit shifts. */
DQNN_INLINE int32_t dqnn_scale_fixed64(int32_t x, int32_t multiplier, int64_t offset, int32_t shift, int32_t least,
                                       int32_t most) {
  if (shift < 32) {
    return DQNN_SMALL ? dqnn_clamp_int(dqnn_saturated_fixed64(x, multiplier, offset, shift), least, most)
                      : dqnn_clamp_wide(dqnn_fixed64(x, multiplier, offset, shift), least, most);
  }
  int64_t sum = (int64_t)x * multiplier + offset;
  int32_t high = (int32_t)(sum >> 32), floor = high >> (shift - 32);
  uint32_t rest = (uint32_t)sum | (uint32_t)high << 1 << (63 - shift);
  return dqnn_clamp_int(rest == 0 ? floor & ~1 : floor, least, most);
}

/* y rounded half to even, between whole numbers that are given as floats too; y is not NaN. */
#if DQNN_ARM_VFP
DQNN_INLINE int32_t dqnn_round_between(float y, float low, float high, int32_t least, int32_t most) {
  int32_t whole;
  (void)low, (void)high;
  __asm__("vcvtr.s32.f32 %1,%1\n vmov %0,%1" : "=r"(whole), "+t"(y)); /* saturates */
  return dqnn_clamp_int(whole, least, most);
}
#else
DQNN_INLINE int32_t dqnn_round_between(float y, float low, float high, int32_t least, int32_t most) {
  (void)least, (void)most;
  return dqnn_round_small(dqnn_clamp(y, low, high));
}
#endif

/* The fixed-point rule of value i, clamped. SMMLAR takes twice the multiplier as a signed number: where that is negative, x is
 * missing. */
#if DQNN_ARM_DSP
DQNN_ALWAYS_INLINE int32_t dqnn_fixed_between(const int32_t *acc, const int32_t *bias, const int32_t *multiplier, const int32_t *shift,
                                              uint32_t i, int32_t least, int32_t most) {
  int32_t x, t, m, s;
  __asm__ volatile(
      "ldr %[x],[%[acc],%[i],lsl #2]\n ldr %[t],[%[bias],%[i],lsl #2]\n ldr %[m],[%[multiplier],%[i],lsl #2]\n"
      "ldr %[s],[%[shift],%[i],lsl #2]\n add %[x],%[x],%[t]\n"
      "bic %[t],%[s],%[s],asr #31\n lsl %[x],%[x],%[t]\n lsl %[m],%[m],#1\n and %[t],%[x],%[m],asr #31\n"
      "smmlar %[x],%[x],%[m],%[t]\n mvn %[t],%[s]\n cmp %[s],#0\n itttt lt\n addlt %[x],%[x],%[x],asr #31\n"
      "asrlt %[x],%[x],%[t]\n addlt %[x],%[x],#1\n asrlt %[x],%[x],#1\n"
      "cmp %[x],%[least]\n it lt\n movlt %[x],%[least]\n cmp %[x],%[most]\n it gt\n movgt %[x],%[most]"
      : [x] "=&r"(x), [m] "=&r"(m), [t] "=&r"(t), [s] "=&r"(s)
      : [acc] "r"(acc), [bias] "r"(bias), [multiplier] "r"(multiplier), [shift] "r"(shift), [i] "r"(i), [least] "r"(least),
        [most] "r"(most)
      : "cc", "memory");
  return x;
}
#else
DQNN_ALWAYS_INLINE int32_t dqnn_fixed_between(const int32_t *acc, const int32_t *bias, const int32_t *multiplier, const int32_t *shift,
                                              uint32_t i, int32_t least, int32_t most) {
  return dqnn_clamp_int(dqnn_scale_fixed(dqnn_wrap_add(acc[i], bias[i]), multiplier[i], shift[i]), least, most);
}
#endif

#endif
