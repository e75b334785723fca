/* From float accumulators to s1, s8 and f32 outputs (SPEC.md 3.2), a run of neighbouring channels of one pixel at a
 * time. */
#ifndef DQNN_OPT_EPILOGUE_FLOAT_H
#define DQNN_OPT_EPILOGUE_FLOAT_H

#include "kernels/opt/epilogue.h"

DQNN_INLINE void dqnn_emit_float_f32(const dqnn_epilogue *e, const float *acc, uint32_t channel, uint32_t count,
                                     float *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  float low = e->low, high = e->high;
  for (uint32_t i = 0; i < count; i++) {
    float y = acc[i] * scale[i];
    y += offset[i];
    if (e->clamps)
      y = y < low ? low : y > high ? high : y;
    out[i] = y;
  }
}

DQNN_INLINE void dqnn_emit_float_s8(const dqnn_epilogue *e, const float *acc, uint32_t channel, uint32_t count,
                                    int8_t *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  float low = e->low, high = e->high;
  int32_t zero_point = e->zero_point;
  for (uint32_t i = 0; i < count; i++) {
    float y = acc[i] * scale[i];
    y += offset[i];
    out[i] = (int8_t)(dqnn_round_small(dqnn_clamp(y, low, high)) + zero_point);
  }
}

/* flip: NULL or the flip words. out: the packed row of the pixel, filled from its start. */
DQNN_INLINE void dqnn_emit_float_s1(const float *threshold, const uint32_t *flip, const float *acc, uint32_t channel,
                                    uint32_t count, uint32_t *out) {
  while (count) {
    uint32_t n = count < 32 ? count : 32, bits = 0;
    for (uint32_t i = 0; i < n; i++)
      bits |= (uint32_t)(acc[i] < threshold[channel + i]) << i;
    if (flip)
      bits ^= dqnn_read_bits(flip, channel, n);
    dqnn_append_bits(out, channel, n, bits);
    acc += n;
    channel += n;
    count -= n;
  }
}

#endif
