/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Outputs four channels at a time; the rules are those of kernels/opt/epilogue.c.
 *
 * Vectors take denormals for zero (isa/mve_float.h). An s8 output cannot tell: such a term, even as the scale of the
 * largest accumulator, is too small to move a sum across half a step. Others are computed again with scalars. */
#include "epilogue_mve.h"

#if DQNN_HAVE_MVE
#include "../../isa/mve_float.h"
#include "../map.h"

/* lanes: those to load; `whole` (a constant): all. */
DQNN_INLINE float32x4_t dqnn_load_floats(const float *from, mve_pred16_t lanes, int whole) {
  return whole ? vld1q_f32(from) : vld1q_z_f32(from, lanes);
}

DQNN_INLINE int32x4_t dqnn_load_words(const int32_t *from, mve_pred16_t lanes, int whole) {
  return whole ? vld1q_s32(from) : vld1q_z_s32(from, lanes);
}

DQNN_INLINE float32x4_t dqnn_affine_4(const dqnn_epilogue *e, float32x4_t acc, uint32_t channel, mve_pred16_t lanes,
                                      int whole) {
  float32x4_t y = vmulq_f32(acc, dqnn_load_floats(e->scale + channel, lanes, whole));
  return vaddq_f32(y, dqnn_load_floats(e->offset + channel, lanes, whole));
}

DQNN_INLINE int32x4_t dqnn_round_4(const dqnn_epilogue *e, int32x4_t acc, uint32_t channel, mve_pred16_t lanes,
                                   int whole) {
  return vcvtnq_s32_f32(dqnn_affine_4(e, vcvtq_f32_s32(acc), channel, lanes, whole)); /* ties to even, saturates */
}

DQNN_INLINE int32x4_t dqnn_scale_fixed_4(const dqnn_epilogue *e, int32x4_t acc, uint32_t channel, mve_pred16_t lanes,
                                         int whole) {
  int32x4_t zero = vdupq_n_s32(0), shift = dqnn_load_words(e->shift + channel, lanes, whole),
            right = vminq_s32(shift, zero);
  acc = vaddq_s32(acc, dqnn_load_words(e->bias + channel, lanes, whole));
  acc = vshlq_s32(acc, vmaxq_s32(shift, zero));
  /* The multiplier is never negative: nothing saturates. */
  acc = vqrdmulhq_s32(acc, dqnn_load_words(e->multiplier + channel, lanes, whole));
  /* Ties go away from zero: a negative number that is shifted is made one less. */
  acc = vqaddq_s32(acc, vshrq_n_s32(vandq_s32(acc, right), 31));
  return vrshlq_s32(acc, right);
}

DQNN_INLINE int32x4_t dqnn_shift_4(const dqnn_epilogue *e, int32x4_t acc, uint32_t channel, mve_pred16_t lanes,
                                   int whole) {
  int32x4_t shift = dqnn_load_words(e->shift + channel, lanes, whole), one = vshlq_s32(vdupq_n_s32(1), shift);
  acc = vaddq_s32(acc, dqnn_load_words(e->bias + channel, lanes, whole));
  int32x4_t floor = vshlq_s32(acc, vnegq_s32(shift)), rest = vsubq_s32(acc, vshlq_s32(floor, shift));
  int32x4_t twice = vaddq_s32(vaddq_s32(rest, rest), vandq_s32(floor, vdupq_n_s32(1))); /* ties to even */
  return vaddq_m_n_s32(floor, floor, 1, vcmpgtq_s32(twice, one));
}

/* Into the range of the output, zero point added. */
DQNN_INLINE int32x4_t dqnn_clamp_4(const dqnn_epilogue *e, int32x4_t x) {
  x = vminq_s32(vmaxq_s32(x, vdupq_n_s32(e->least)), vdupq_n_s32(e->most));
  return vaddq_n_s32(x, e->zero_point);
}

/* Four outputs. */
DQNN_INLINE int32x4_t dqnn_s8_of_4(const dqnn_epilogue *e, int32x4_t x, uint32_t channel, mve_pred16_t lanes, int whole,
                                   uint32_t rule) {
  x = rule == DQNN_REQUANT_AFFINE        ? dqnn_round_4(e, x, channel, lanes, whole)
      : rule == DQNN_REQUANT_FIXED_POINT ? dqnn_scale_fixed_4(e, x, channel, lanes, whole)
                                         : dqnn_shift_4(e, x, channel, lanes, whole);
  return dqnn_clamp_4(e, x);
}

DQNN_INLINE void dqnn_emit_s8_by(const dqnn_epilogue *given, const int32_t *acc, uint32_t channel, uint32_t count,
                                 int8_t *out, uint32_t rule) {
  const dqnn_epilogue e = *given; /* stores to out could change it */
  for (; count >= 4; count -= 4, acc += 4, channel += 4, out += 4) {
    vstrbq_s32(out, dqnn_s8_of_4(&e, vld1q_s32(acc), channel, 0, 1, rule));
  }
  if (count > 0) {
    mve_pred16_t lanes = vctp32q(count);
    vstrbq_p_s32(out, dqnn_s8_of_4(&e, vld1q_z_s32(acc, lanes), channel, lanes, 0, rule), lanes);
  }
}

DQNN_NOINLINE void emit_s8_vectors(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                                   int8_t *out) {
  if (e->requant == DQNN_REQUANT_AFFINE) {
    dqnn_emit_s8_by(e, acc, channel, count, out, DQNN_REQUANT_AFFINE);
  } else if (e->requant == DQNN_REQUANT_FIXED_POINT) {
    dqnn_emit_s8_by(e, acc, channel, count, out, DQNN_REQUANT_FIXED_POINT);
  } else {
    dqnn_emit_s8_by(e, acc, channel, count, out, DQNN_REQUANT_POWER_OF_TWO);
  }
}

void dqnn_emit_s8_mve(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, int8_t *out) {
  if (e->requant == DQNN_REQUANT_FIXED64) {
    dqnn_emit_s8(e, acc, channel, count, out); /* vectors add no 64-bit numbers */
  } else {
    emit_s8_vectors(e, acc, channel, count, out);
  }
}

/* Bits of four lanes. */
DQNN_INLINE uint32_t lane_bits(mve_pred16_t lanes) {
  return ((uint32_t)lanes & 0x1111u) * 0x1248u >> 12 & 15u;
}

void dqnn_emit_s1_mve(const int32_t *thresholds, const uint32_t *flip, const int32_t *acc, uint32_t channel,
                      uint32_t count, uint32_t *row) {
  while (count > 0) {
    uint32_t n = count < 32 ? count : 32, bits = 0;
    for (uint32_t i = 0; i < n; i += 4) {
      mve_pred16_t lanes = vctp32q(n - i);
      int32x4_t x = vld1q_z_s32(acc + i, lanes), t = vld1q_z_s32(thresholds + channel + i, lanes);
      bits |= lane_bits(vcmpltq_m_s32(x, t, lanes)) << i;
    }
    if (flip) {
      bits ^= dqnn_read_bits(flip, channel, n);
    }
    dqnn_append_bits(row, channel, n, bits);
    acc += n;
    channel += n;
    count -= n;
  }
}

void dqnn_emit_float_s1_mve(const float *thresholds, const uint32_t *flip, const float *acc, uint32_t channel,
                            uint32_t count, uint32_t *row) {
  for (uint32_t n; count > 0; count -= n, acc += n, channel += n) {
    uint32_t bits = 0, before = dqnn_forget_denormals();
    n = count < 32 ? count : 32;
    for (uint32_t i = 0; i < n; i += 4) {
      mve_pred16_t lanes = vctp32q(n - i);
      float32x4_t x = vld1q_z_f32(acc + i, lanes), t = vld1q_z_f32(thresholds + channel + i, lanes);
      bits |= lane_bits(vcmpgtq_m_f32(t, x, lanes)) << i; /* LT would be true of a NaN */
    }
    if (dqnn_denormals_met(before)) {
      dqnn_emit_float_s1(thresholds, flip, acc, channel, n, row);
      continue;
    }
    if (flip) {
      bits ^= dqnn_read_bits(flip, channel, n);
    }
    dqnn_append_bits(row, channel, n, bits);
  }
}

/* ---- floats ---- */

DQNN_INLINE float32x4_t dqnn_load_acc(const void *acc, uint32_t i, int integer, mve_pred16_t lanes) {
  return integer ? vcvtq_f32_s32(vld1q_z_s32((const int32_t *)acc + i, lanes))
                 : vld1q_z_f32((const float *)acc + i, lanes);
}

/* Returns 0 if scalars have to do it. */
DQNN_INLINE int dqnn_emit_f32_by(const dqnn_epilogue *given, const void *acc, uint32_t channel, uint32_t count,
                                 float *out, int integer) {
  const dqnn_epilogue e = *given; /* stores to out could change it */
  float32x4_t low = vdupq_n_f32(e.low), high = vdupq_n_f32(e.high);
  mve_pred16_t bad = 0;
  uint32_t before = dqnn_forget_denormals();
  for (uint32_t i = 0; i < count; i += 4) {
    mve_pred16_t lanes = vctp32q(count - i);
    float32x4_t y = dqnn_affine_4(&e, dqnn_load_acc(acc, i, integer, lanes), channel + i, lanes, 0);
    bad |= vcmpneq_f32(y, y);
    if (e.clamps) {
      y = vpselq_f32(low, y, vcmpltq_f32(y, low));
      y = vpselq_f32(high, y, vcmpgtq_f32(y, high));
    }
    vst1q_p_f32(out + i, y, lanes);
  }
  return !dqnn_denormals_met(before) && !bad;
}

void dqnn_emit_f32_mve(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, float *out) {
  if (!dqnn_emit_f32_by(e, acc, channel, count, out, 1)) {
    dqnn_emit_f32(e, acc, channel, count, out);
  }
}

void dqnn_emit_float_f32_mve(const dqnn_epilogue *e, const float *acc, uint32_t channel, uint32_t count, float *out) {
  if (!dqnn_emit_f32_by(e, acc, channel, count, out, 0)) {
    dqnn_emit_float_f32(e, acc, channel, count, out);
  }
}

void dqnn_emit_float_s8_mve(const dqnn_epilogue *given, const float *acc, uint32_t channel, uint32_t count,
                            int8_t *out) {
  const dqnn_epilogue e = *given;
  mve_pred16_t bad = 0;
  for (uint32_t i = 0; i < count; i += 4) {
    mve_pred16_t lanes = vctp32q(count - i);
    float32x4_t y = dqnn_affine_4(&e, vld1q_z_f32(acc + i, lanes), channel + i, lanes, 0);
    bad |= vcmpneq_f32(y, y);
    vstrbq_p_s32(out + i, dqnn_clamp_4(&e, vcvtnq_s32_f32(y)), lanes);
  }
  if (bad) {
    dqnn_emit_float_s8(given, acc, channel, count, out);
  }
}

void dqnn_clamp_mve(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  if (p->act_min <= -128.0f && p->act_max >= 127.0f) {
    return;
  }
  const int8x16_t least = vdupq_n_s8((int8_t)p->act_min), most = vdupq_n_s8((int8_t)p->act_max);
  const uint32_t count = dqnn_rows(call->out_def) * dqnn_last(call->out_def);
  int8_t *out = (int8_t *)call->out;
  for (uint32_t steps = count / 16; steps; steps--, out += 16) {
    vst1q_s8(out, vminq_s8(vmaxq_s8(vld1q_s8(out), least), most));
  }
  const mve_pred16_t lanes = vctp8q(count % 16);
  vst1q_p_s8(out, vminq_s8(vmaxq_s8(vld1q_z_s8(out, lanes), least), most), lanes);
}

#define EMIT(function) function##_mve
#include "../opt/epilogue_any.inc.h"
#endif
