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
  float low, high;                          /* bounds before the zero point is added */
  int32_t zero_point, least, most;          /* likewise */
  uint8_t requant, clamps;
} dqnn_epilogue;

/* first: index of the first epilogue constant. */
DQNN_INLINE void dqnn_read_epilogue(const dqnn_call *call, uint32_t first, dqnn_epilogue *e) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const void *const *constant = call->constants + first;
  int s8 = call->out_def->dtype == DQNN_S8;
  e->requant = p->requant;
  e->zero_point = s8 ? call->out_def->zero_point : 0;
  e->low = p->act_min - (float)e->zero_point;
  e->high = p->act_max - (float)e->zero_point;
  e->least = s8 ? (int32_t)p->act_min - e->zero_point : 0;
  e->most = s8 ? (int32_t)p->act_max - e->zero_point : 0;
  e->clamps = !(p->act_min < -3.4028235e38f && p->act_max > 3.4028235e38f);
  e->scale = (const float *)constant[0];
  e->bias = (const int32_t *)constant[0];
  e->offset = (const float *)constant[1];
  e->multiplier = (const int32_t *)constant[1];
  e->shift = (const int32_t *)constant[p->requant == DQNN_REQUANT_FIXED_POINT ? 2 : 1];
}

/* Half to even for |y| < 2^22: adding 1.5 * 2^23 leaves the integer in the low bits of the mantissa. */
DQNN_INLINE int32_t dqnn_round_small(float y) {
  uint32_t bits;
  y += 12582912.0f;
  memcpy(&bits, &y, sizeof bits);
  return (int32_t)(bits - 0x4b400000u);
}

/* dqnn_fixed_point of numerics.h without a division or 64-bit shifts by a variable: round(a * b / 2^31) is the same as
 * an arithmetic shift of a * b + 2^30. */
DQNN_INLINE int32_t dqnn_scale_fixed(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t left = shift & ~(shift >> 31), right = -shift & (shift >> 31);
  x = (int32_t)((uint32_t)x << left);
  x = (int32_t)(((int64_t)x * multiplier + (1 << 30)) >> 31);
  uint32_t mask = (1u << right) - 1u, half_and_sign = (mask >> 1) + ((uint32_t)x >> 31);
  return (x >> right) + (((uint32_t)x & mask) > half_and_sign);
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

static void dqnn_emit_s8_affine(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                                int8_t *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  const dqnn_epilogue local = *e; /* stores to out could change *e */
  for (uint32_t i = 0; i < count; i++) {
    float y = (float)acc[i] * scale[i];
    y += offset[i];
    out[i] = (int8_t)(dqnn_round_and_clamp(&local, y) + local.zero_point);
  }
}

static void dqnn_emit_s8_fixed(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                               int8_t *out) {
  const int32_t *bias = e->bias + channel, *multiplier = e->multiplier + channel, *shift = e->shift + channel;
  int32_t zero_point = e->zero_point, least = e->least, most = e->most;
  for (uint32_t i = 0; i < count; i++) {
    int32_t x = dqnn_scale_fixed(dqnn_wrap_add(acc[i], bias[i]), multiplier[i], shift[i]);
    out[i] = (int8_t)(dqnn_clamp_int(x, least, most) + zero_point);
  }
}

static void dqnn_emit_s8_shift(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                               int8_t *out) {
  const int32_t *bias = e->bias + channel, *shift = e->shift + channel;
  int32_t zero_point = e->zero_point, least = e->least, most = e->most;
  for (uint32_t i = 0; i < count; i++) {
    int32_t x = dqnn_shift_half_even(dqnn_wrap_add(acc[i], bias[i]), shift[i]);
    out[i] = (int8_t)(dqnn_clamp_int(x, least, most) + zero_point);
  }
}

DQNN_NOINLINE void dqnn_emit_s8(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                                int8_t *out) {
  if (e->requant == DQNN_REQUANT_AFFINE) {
    dqnn_emit_s8_affine(e, acc, channel, count, out);
  } else if (e->requant == DQNN_REQUANT_FIXED_POINT) {
    dqnn_emit_s8_fixed(e, acc, channel, count, out);
  } else {
    dqnn_emit_s8_shift(e, acc, channel, count, out);
  }
}

/* row: the output pixel; flip may be NULL. Channels come in ascending order. */
DQNN_NOINLINE void dqnn_emit_s1(const int32_t *thresholds, const uint32_t *flip, const int32_t *acc, uint32_t channel,
                                uint32_t count, uint32_t *row) {
  for (const int32_t *t = thresholds + channel; count > 0;) {
    uint32_t n = count < 32 ? count : 32, bits = 0;
    for (const int32_t *end = acc + n; acc < end;)
      bits = dqnn_push_less(bits, *acc++, *t++);
    bits >>= (32 - n) & 31u;
    if (flip)
      bits ^= dqnn_read_bits(flip, channel, n);
    dqnn_append_bits(row, channel, n, bits);
    channel += n;
    count -= n;
  }
}

DQNN_NOINLINE void dqnn_emit_f32(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                                 float *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  float low = e->low, high = e->high;
  for (uint32_t i = 0; i < count; i++) {
    float y = (float)acc[i] * scale[i];
    y += offset[i];
    if (e->clamps)
      y = y < low ? low : y > high ? high : y;
    out[i] = y;
  }
}

#endif
