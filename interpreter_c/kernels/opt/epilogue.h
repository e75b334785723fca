/* From integer accumulators to s8 and f32 outputs (SPEC.md 3.2), a run of neighbouring channels of one pixel at a time.
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
  int32_t zero_point, least, most;
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
  e->least = s8 ? (int32_t)p->act_min : 0;
  e->most = s8 ? (int32_t)p->act_max : 0;
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

DQNN_NOINLINE void dqnn_emit_s8(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, int8_t *out) {
  int32_t zero_point = e->zero_point, least = e->least, most = e->most;
  if (e->requant == DQNN_REQUANT_AFFINE) {
    const float *scale = e->scale + channel, *offset = e->offset + channel;
    float low = e->low, high = e->high;
    for (uint32_t i = 0; i < count; i++) {
      float y = (float)acc[i] * scale[i];
      y += offset[i];
      out[i] = (int8_t)(dqnn_round_small(dqnn_clamp(y, low, high)) + zero_point);
    }
    return;
  }
  const int32_t *bias = e->bias + channel, *multiplier = e->multiplier + channel, *shift = e->shift + channel;
  int power_of_two = e->requant == DQNN_REQUANT_POWER_OF_TWO;
  for (uint32_t i = 0; i < count; i++) {
    int32_t x = dqnn_wrap_add(acc[i], bias[i]);
    x = power_of_two ? dqnn_shift_half_even(x, shift[i]) : dqnn_fixed_point(x, multiplier[i], shift[i]);
    x = dqnn_wrap_add(x, zero_point);
    out[i] = (int8_t)dqnn_clamp_int(x, least, most);
  }
}

DQNN_NOINLINE void dqnn_emit_f32(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, float *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  float low = e->low, high = e->high;
  for (uint32_t i = 0; i < count; i++) {
    float y = (float)acc[i] * scale[i];
    y += offset[i];
    if (e->clamps) y = y < low ? low : y > high ? high : y;
    out[i] = y;
  }
}

#endif
