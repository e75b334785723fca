/* s8 outputs of one channel, four pixels at a time: the rule is chosen once per layer, its numbers are read once per
 * channel. Quick rules saturate to int8 only; a narrower range is left to dqnn_clamp_row. */
#ifndef DQNN_OPT_EMIT_QUAD_H
#define DQNN_OPT_EMIT_QUAD_H

#include "../../isa/affine.h"
#include "epilogue.h"

typedef enum {
  DQNN_QUAD_AFFINE,
  DQNN_QUAD_FIXED, /* fixed point, power of two: no sum leaves 30 bits, and all shifts go right by 1 to 22 */
  DQNN_QUAD_SHIFT,
  DQNN_QUAD_ANY
} dqnn_quad_kind;

/* taps: of a window. An s8 input times an s8 half weight is below 2^16. */
static dqnn_quad_kind dqnn_quad_kind_of(const dqnn_epilogue *e, uint32_t outputs, uint32_t taps) {
  const int32_t most_bias = 1 << 28;
  int fixed = e->requant == DQNN_REQUANT_FIXED_POINT;
  if (e->requant == DQNN_REQUANT_AFFINE) {
    return DQNN_QUAD_AFFINE;
  }
  if (e->requant == DQNN_REQUANT_FIXED64) {
    return DQNN_QUAD_ANY;
  }
  for (uint32_t c = 0; c < outputs; c++) {
    int32_t right = fixed ? -e->shift[c] : e->shift[c];
    if (right < 1 || right > 22 || e->bias[c] > most_bias || e->bias[c] < -most_bias) {
      return DQNN_QUAD_ANY;
    }
  }
  return taps > 4096 ? DQNN_QUAD_ANY : fixed ? DQNN_QUAD_FIXED : DQNN_QUAD_SHIFT;
}

/* Do quick rules leave values that a fused activation forbids? */
DQNN_INLINE int dqnn_quad_narrow(const dqnn_epilogue *e, dqnn_quad_kind kind) {
  return kind != DQNN_QUAD_ANY && (e->least + e->zero_point > -128 || e->most + e->zero_point < 127);
}

/* The numbers of one channel. */
typedef struct {
  float scale, offset;
  int64_t offset64;
  int32_t bias, multiplier, shift, half; /* half: only for quick rules */
  int32_t zero_point, least, most;
} dqnn_quad_rule;

DQNN_INLINE dqnn_quad_rule dqnn_quad_rule_of(const dqnn_epilogue *e, dqnn_quad_kind kind, uint32_t channel) {
  dqnn_quad_rule r = {0.0f, 0.0f, 0, 0, 0, 0, 0, e->zero_point, e->least, e->most};
  if (kind == DQNN_QUAD_AFFINE) {
    r.scale = e->scale[channel];
    r.offset = e->offset[channel];
    return r;
  }
  r.shift = e->shift[channel];
  if (e->requant == DQNN_REQUANT_FIXED64) {
    r.offset64 = e->offset64[channel];
    r.multiplier = e->multiplier[channel];
    return r;
  }
  r.bias = e->bias[channel];
  if (kind == DQNN_QUAD_FIXED || (kind == DQNN_QUAD_ANY && e->requant == DQNN_REQUANT_FIXED_POINT)) {
    r.multiplier = e->multiplier[channel];
  }
  if (kind == DQNN_QUAD_FIXED) {
    r.shift = -r.shift;
  }
  if (kind != DQNN_QUAD_ANY) {
    r.half = (1 << r.shift >> 1) + r.zero_point * (1 << r.shift);
  }
  return r;
}

/* Four sums to values. requant matters to DQNN_QUAD_ANY only. */
DQNN_INLINE void dqnn_quad_values(const dqnn_quad_rule *r, dqnn_quad_kind kind, uint8_t requant, const int32_t acc[4],
                                  int32_t x[4]) {
  if (kind == DQNN_QUAD_AFFINE) {
    dqnn_affine_4(acc, r->scale, r->offset, r->zero_point, x);
    return;
  }
  x[0] = acc[0];
  x[1] = acc[1];
  x[2] = acc[2];
  x[3] = acc[3];
  if (kind == DQNN_QUAD_FIXED) {
    dqnn_fixed_4(x, r->bias, r->multiplier, r->half, r->shift);
  } else if (kind == DQNN_QUAD_SHIFT) {
    dqnn_shift_4(x, r->bias, r->half, r->shift);
  } else if (requant == DQNN_REQUANT_FIXED64) {
    for (uint32_t p = 0; p < 4; p++) {
      x[p] = dqnn_scale_fixed64(x[p], r->multiplier, r->offset64, r->shift, r->least, r->most) + r->zero_point;
    }
  } else {
    for (uint32_t p = 0; p < 4; p++) {
      int32_t y = dqnn_wrap_add(x[p], r->bias);
      y = requant == DQNN_REQUANT_FIXED_POINT ? dqnn_scale_fixed(y, r->multiplier, r->shift)
                                              : dqnn_shift_half_even(y, r->shift);
      x[p] = dqnn_clamp_int(y, r->least, r->most) + r->zero_point;
    }
  }
}

#endif
