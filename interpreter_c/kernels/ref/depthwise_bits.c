/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s1_s1_s1: its thresholds are presets of a counter (SPEC.md 3.4). */
#include "conv.h"

static uint32_t planes_for(uint32_t taps) {
  uint32_t np = 1;
  while ((1u << (np - 1)) < 2 * taps + 1) {
    ++np;
  }
  return np;
}

/* z = 2 * (counted taps with x != w) + (taps that do not count) + preset, modulo 2^np; gives z >= 0, which is acc <
 * threshold. */
static uint32_t below(const ref_conv *c, const uint32_t *planes, int32_t oy, int32_t ox, uint32_t o) {
  const dqnn_conv *v = &c->conv;
  uint32_t np = planes_for(ref_kernel_cells(v)), z = 0, cell;
  for (uint32_t p = 0; p < np; ++p) {
    z |= (planes[o / 32 * np + p] >> o % 32 & 1u) << p;
  }
  for (int32_t ky = 0; ky < v->y.kernel; ++ky) {
    for (int32_t kx = 0; kx < v->x.kernel; ++kx) {
      dqnn_place place = ref_tap(c, oy, ox, ky, kx, &cell);
      if (place == DQNN_OUTSIDE && !c->outside_counts) {
        z += 1;
        continue;
      }
      ref_weight at = {v, c->weights, o, (uint32_t)ky, (uint32_t)kx, 0};
      uint32_t outside = v->params->pad_value < 0.0f ? 1 : 0;
      uint32_t x = place == DQNN_INSIDE ? ref_input_bit(c, cell, o / v->group_out) : outside;
      z += 2 * (x ^ ref_depthwise_bit(&at));
    }
  }
  return ~(z >> (np - 1)) & 1u;
}

static uint32_t all_below(const ref_conv *c, const uint32_t *planes, int32_t py, int32_t px, uint32_t o) {
  int32_t pool_h = c->conv.params->pool_h, pool_w = c->conv.params->pool_w;
  uint32_t result = 1;
  for (int32_t i = 0; i < pool_h; ++i) {
    for (int32_t j = 0; j < pool_w; ++j) {
      result &= below(c, planes, py * pool_h + i, px * pool_w + j, o);
    }
  }
  return result;
}

void dqnn_run_depthwise_s1_s1_s1_ref(const dqnn_call *call) {
  ref_conv c = ref_conv_of(call, 1);
  const uint32_t *planes = (const uint32_t *)call->constants[1];
  const uint32_t *flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
  ref_bit_writer out = {(uint32_t *)call->out, 0, 0};
  for (int32_t py = 0; py < c.conv.pooled_h; ++py) {
    for (int32_t px = 0; px < c.conv.pooled_w; ++px) {
      for (uint32_t o = 0; o < c.conv.out_c; ++o) {
        uint32_t flipped = flip != NULL ? ref_bit(flip, o) : 0;
        ref_put_bit(&out, all_below(&c, planes, py, px, o) ^ flipped);
      }
      ref_end_row(&out);
    }
  }
}
