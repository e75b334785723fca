/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* From integer accumulators to outputs (SPEC.md 3.2), a run of neighbouring channels of one pixel at a time.
 * The requantization rule is chosen once per run of channels, never per value. */
#ifndef DQNN_OPT_EPILOGUE_H
#define DQNN_OPT_EPILOGUE_H

#include "../../isa/isa.h"
#include "../../isa/requantize.h"
#include "../../src/kernel.h"
#include "../../src/numerics.h"

/* Of an s8 or f32 output; constants: those of the rule, in the order of SPEC.md 3.2. */
DQNN_INLINE void dqnn_set_epilogue(const dqnn_tensor_def *out, uint8_t requant, float act_min, float act_max,
                                   const void *const *constants, dqnn_epilogue *e) {
  const int s8 = out->dtype == DQNN_S8;
  e->requant = requant;
  e->zero_point = s8 ? out->zero_point : 0;
  e->low = act_min - (float)e->zero_point;
  e->high = act_max - (float)e->zero_point;
  e->least = s8 ? (int32_t)act_min - e->zero_point : 0;
  e->most = s8 ? (int32_t)act_max - e->zero_point : 0;
  e->clamps = !(act_min < -3.4028235e38f && act_max > 3.4028235e38f);
  e->scale = (const float *)constants[0];
  e->bias = (const int32_t *)constants[0];
  e->offset = (const float *)constants[1];
  e->multiplier = (const int32_t *)constants[1];
  e->offset64 = (const int64_t *)constants[0];
  const int third = requant == DQNN_REQUANT_FIXED_POINT || requant == DQNN_REQUANT_FIXED64;
  e->shift = (const int32_t *)constants[third ? 2 : 1];
}

/* Of a convolution; first: index of the first epilogue constant. */
void dqnn_read_epilogue(const dqnn_call *call, uint32_t first, dqnn_epilogue *e);

/* y rounded half to even and clamped; y is not NaN, as plan() wants finite scales and offsets. */
DQNN_INLINE int32_t dqnn_round_and_clamp(const dqnn_epilogue *e, float y) {
  return dqnn_round_between(y, e->low, e->high, e->least, e->most);
}

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

/* Stored outputs into the range of a fused activation. */
void dqnn_clamp_row(const dqnn_epilogue *e, int8_t *out, uint32_t count);

#endif
