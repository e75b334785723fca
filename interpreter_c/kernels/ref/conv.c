/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The loop over outputs that all reference convolutions run, and how it reads. */
#include "conv.h"

#include "sink.h"

#if DQNN_PACKED_WEIGHTS
/* Weights of fewer than 8 bits stand as numbers from 0 on, in the bytes' order of bits. */
static int32_t packed_weight(const ref_weight *w, ref_layout layout) {
  uint32_t bits = w->conv->params->weight_bits;
  uint32_t at = layout == REF_PAIRS      ? ref_packed_pair_bit(w, bits)
                : layout == REF_QUADS_S8 ? ref_quad_index(w) * bits
                                         : ref_packed_depthwise_bit(w, bits);
  int32_t code = ((const uint8_t *)w->data)[at / 8] >> at % 8 & ((1 << bits) - 1);
  return code - (1 << (bits - 1));
}
#endif

int32_t ref_int_weight(const ref_weight *w, ref_layout layout) {
#if DQNN_PACKED_WEIGHTS
  if (w->conv->params->weight_bits != 0) {
    return packed_weight(w, layout);
  }
#endif
  switch (layout) {
    case REF_HORIZONTAL:
      return ref_sign(ref_horizontal_bit(w));
    case REF_BITSLICED:
      return ref_sign(ref_bitsliced_bit(w));
    case REF_CHANNEL_BLOCKS:
      return ref_sign(ref_channel_block_bit(w));
    case REF_DEPTHWISE_BITS:
      return ref_sign(ref_depthwise_bit(w));
    case REF_PAIRS:
      return ref_pair_weight(w);
    case REF_QUADS_S8:
      return ((const int8_t *)w->data)[ref_quad_index(w)];
    default:
      return ((const int8_t *)w->data)[ref_depthwise_index(w)];
  }
}

dqnn_place ref_tap(const ref_conv *c, int32_t oy, int32_t ox, int32_t ky, int32_t kx, uint32_t *cell) {
  int32_t iy, ix;
  dqnn_place y = dqnn_tap(&c->conv.y, oy, ky, &iy), x = dqnn_tap(&c->conv.x, ox, kx, &ix);
  *cell = (uint32_t)iy * (uint32_t)c->conv.x.size + (uint32_t)ix;
  if (y == DQNN_OUTSIDE || x == DQNN_OUTSIDE) {
    return DQNN_OUTSIDE;
  }
  return y == DQNN_HOLE || x == DQNN_HOLE ? DQNN_HOLE : DQNN_INSIDE;
}

ref_conv ref_conv_of(const dqnn_call *call, int depthwise) {
  ref_conv c;
  c.conv = dqnn_conv_of(call, depthwise);
  c.in = call->in[0];
  c.weights = call->constants[0];
  c.zero_point = call->in_def[0]->zero_point;
  c.weight_zero_points = NULL;
  c.outside_counts = call->in_def[0]->dtype != DQNN_S1 || c.conv.params->pad_value != 0.0f;
  return c;
}

static int32_t pooled_int(const ref_conv *c, ref_int_sum sum, int32_t py, int32_t px, uint32_t o) {
  int32_t pool_h = c->conv.params->pool_h, pool_w = c->conv.params->pool_w;
  int32_t best = INT32_MIN;
  for (int32_t i = 0; i < pool_h; ++i) {
    for (int32_t j = 0; j < pool_w; ++j) {
      int32_t acc = sum(c, py * pool_h + i, px * pool_w + j, o);
      best = best < acc ? acc : best;
    }
  }
  return best;
}

void ref_run_int(const dqnn_call *call, int depthwise, uint32_t zero_points, ref_int_sum sum) {
  ref_conv c = ref_conv_of(call, depthwise);
  c.weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  const dqnn_conv_params *p = c.conv.params;
  ref_sink sink = ref_sink_of(call, 1 + zero_points, p->requant, p->act_min, p->act_max);
  for (int32_t py = 0; py < c.conv.pooled_h; ++py) {
    for (int32_t px = 0; px < c.conv.pooled_w; ++px) {
      for (uint32_t o = 0; o < c.conv.out_c; ++o) {
        ref_put_int(&sink, o, pooled_int(&c, sum, py, px, o));
      }
      ref_end_cell(&sink);
    }
  }
}

static float pooled_float(const ref_conv *c, ref_float_sum sum, int32_t py, int32_t px, uint32_t o) {
  int32_t pool_h = c->conv.params->pool_h, pool_w = c->conv.params->pool_w;
  float best = sum(c, py * pool_h, px * pool_w, o);
  for (int32_t i = 0; i < pool_h; ++i) {
    for (int32_t j = 0; j < pool_w; ++j) {
      if (i + j > 0) {
        float acc = sum(c, py * pool_h + i, px * pool_w + j, o);
        best = best < acc ? acc : best;
      }
    }
  }
  return best;
}

void ref_run_float(const dqnn_call *call, int depthwise, ref_float_sum sum) {
  ref_conv c = ref_conv_of(call, depthwise);
  const dqnn_conv_params *p = c.conv.params;
  ref_sink sink = ref_sink_of(call, 1, p->requant, p->act_min, p->act_max);
  for (int32_t py = 0; py < c.conv.pooled_h; ++py) {
    for (int32_t px = 0; px < c.conv.pooled_w; ++px) {
      for (uint32_t o = 0; o < c.conv.out_c; ++o) {
        ref_put_float(&sink, o, pooled_float(&c, sum, py, px, o));
      }
      ref_end_cell(&sink);
    }
  }
}
