/* From integer accumulators to outputs (SPEC.md 3.2), a run of neighbouring channels of one pixel at a time.
 * The requantization rule is chosen once per run of channels, never per value. */
#ifndef DQNN_OPT_EPILOGUE_H
#define DQNN_OPT_EPILOGUE_H

#include "isa/isa.h"
#include "kernel.h"
#include "numerics.h"

typedef struct {
  const float *scale, *offset;              /* affine */
  const int32_t *bias, *multiplier, *shift; /* fixed point; power of two without the multiplier */
  const int64_t *offset64;                  /* fixed64, with multiplier and shift */
  float low, high;                          /* bounds before the zero point is added */
  int32_t zero_point, least, most;          /* likewise */
  uint8_t requant, clamps;
} dqnn_epilogue;

/* first: index of the first epilogue constant. */
void dqnn_read_epilogue(const dqnn_call *call, uint32_t first, dqnn_epilogue *e);

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
  x = dqnn_high_mul((int32_t)((uint32_t)x << left), multiplier);
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
    return dqnn_clamp_wide(dqnn_fixed64(x, multiplier, offset, shift), least, most);
  }
  int64_t sum = (int64_t)x * multiplier + offset;
  int32_t high = (int32_t)(sum >> 32), floor = high >> (shift - 32);
  uint32_t rest = (uint32_t)sum | (uint32_t)high << 1 << (63 - shift);
  return dqnn_clamp_int(rest == 0 ? floor & ~1 : floor, least, most);
}

/* y rounded half to even and clamped; y is not NaN, as plan() wants finite scales and offsets. */
#if !defined(DQNN_PORTABLE) && defined(__ARM_FP) && defined(__thumb2__) && defined(__ARM_PCS_VFP)
DQNN_INLINE int32_t dqnn_round_and_clamp(const dqnn_epilogue *e, float y) {
  int32_t whole;
  __asm__("vcvtr.s32.f32 %1,%1\n vmov %0,%1" : "=r"(whole), "+t"(y)); /* saturates */
  return dqnn_clamp_int(whole, e->least, e->most);
}
#else
DQNN_INLINE int32_t dqnn_round_and_clamp(const dqnn_epilogue *e, float y) {
  return dqnn_round_small(dqnn_clamp(y, e->low, e->high));
}
#endif

/* A run of `count` channels from `channel` on: acc[0] belongs to the first of them, out is its place. row: the packed
 * output pixel, filled from its start; flip may be NULL. dqnn_emit and dqnn_emit_float write channels of output pixel
 * `pixel`, whatever the type of the output; its thresholds are constant 1, its flip words constant 2, and e is not
 * looked at for s1. */
#define DQNN_EMITTERS(name)                                                                                           \
  void name(dqnn_emit_s8)(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, int8_t *out); \
  void name(dqnn_emit_f32)(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, float *out); \
  void name(dqnn_emit_float_s8)(const dqnn_epilogue *e, const float *acc, uint32_t channel, uint32_t count,           \
                                int8_t *out);                                                                         \
  void name(dqnn_emit_float_f32)(const dqnn_epilogue *e, const float *acc, uint32_t channel, uint32_t count,          \
                                 float *out);                                                                         \
  void name(dqnn_emit_s1)(const int32_t *thresholds, const uint32_t *flip, const int32_t *acc, uint32_t channel,      \
                          uint32_t count, uint32_t *row);                                                             \
  void name(dqnn_emit_float_s1)(const float *thresholds, const uint32_t *flip, const float *acc, uint32_t channel,    \
                                uint32_t count, uint32_t *row);                                                       \
  void name(dqnn_emit)(const dqnn_call *call, const dqnn_epilogue *e, const int32_t *acc, uint32_t channel,           \
                       uint32_t count, uint32_t pixel);                                                               \
  void name(dqnn_emit_float)(const dqnn_call *call, const dqnn_epilogue *e, const float *acc, uint32_t channel,       \
                             uint32_t count, uint32_t pixel);
#define DQNN_EMIT(function) function
DQNN_EMITTERS(DQNN_EMIT)

#ifdef DQNN_MVE /* kernels/mve/epilogue_mve.c */
#define DQNN_EMIT_MVE(function) function##_mve
DQNN_EMITTERS(DQNN_EMIT_MVE)
#ifndef DQNN_MVE_EPILOGUE
#define dqnn_emit_s8 dqnn_emit_s8_mve
#define dqnn_emit_f32 dqnn_emit_f32_mve
#define dqnn_emit_float_s8 dqnn_emit_float_s8_mve
#define dqnn_emit_float_f32 dqnn_emit_float_f32_mve
#define dqnn_emit_s1 dqnn_emit_s1_mve
#define dqnn_emit_float_s1 dqnn_emit_float_s1_mve
#define dqnn_emit dqnn_emit_mve
#define dqnn_emit_float dqnn_emit_float_mve
#endif
#endif

/* Stored outputs into the range of a fused activation. */
void dqnn_clamp_row(const dqnn_epilogue *e, int8_t *out, uint32_t count);

#endif
