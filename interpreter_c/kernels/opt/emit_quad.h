/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* s8 outputs of four pixels at a time by quick rules. Where those saturate to int8 only (DQNN_RULES_CLAMP is 0), a
 * narrower range is left to dqnn_clamp_row. What they do not take goes pixel by pixel (dqnn_emit_s8). */
#ifndef DQNN_OPT_EMIT_QUAD_H
#define DQNN_OPT_EMIT_QUAD_H

#include "../../isa/affine.h"
#include "epilogue.h"

typedef enum { DQNN_QUAD_AFFINE, DQNN_QUAD_FIXED, DQNN_QUAD_ANY } dqnn_quad_kind;

/* taps: of a window. An s8 input times an s8 half weight is below 2^16. isa/affine.h says what fixed point takes. */
static dqnn_quad_kind dqnn_quad_kind_of(const dqnn_epilogue *e, uint32_t outputs, uint32_t taps) {
  const int32_t most_bias = 1 << 28;
  if (e->requant == DQNN_REQUANT_AFFINE) {
    return DQNN_QUAD_AFFINE;
  }
  if (e->requant != DQNN_REQUANT_FIXED_POINT || taps > 4096) {
    return DQNN_QUAD_ANY;
  }
  for (uint32_t c = 0; c < outputs; c++) {
    if (e->shift[c] >= 0 || e->multiplier[c] < 1 << 30 || e->bias[c] > most_bias || e->bias[c] < -most_bias) {
      return DQNN_QUAD_ANY;
    }
  }
  return DQNN_QUAD_FIXED;
}

/* Do quick rules leave values that a fused activation forbids? */
DQNN_INLINE int dqnn_quad_narrow(const dqnn_epilogue *e, dqnn_quad_kind kind) {
  return kind != DQNN_QUAD_ANY && (e->least + e->zero_point > -128 || e->most + e->zero_point < 127);
}

#endif
