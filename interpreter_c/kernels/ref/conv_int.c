/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions with integer accumulators, horizontal s1 x s1 among them: inputs and weights of s1 or s8. */
#include "conv.h"

/* One tap over all channels of the group; outside the map the pad value stands for each of them. */
static inline int32_t tap_sum(const ref_conv *c, ref_weight at, int inside, uint32_t cell, uint8_t input,
                              ref_layout layout) {
  const dqnn_conv *v = &c->conv;
  uint32_t first = at.o / v->group_out * v->group_in;
  int half = v->params->half_weights;
  int32_t zero = c->weight_zero_points != NULL ? c->weight_zero_points[at.o] : 0;
  int32_t pad = ref_int_pad(c, input), acc = 0;
  for (; at.i < v->group_in; ++at.i) {
    int32_t w = ref_int_weight(&at, layout);
    int32_t x = inside ? ref_int_input(c, input, cell, first + at.i) : pad;
    acc += x * (half ? 2 * w + 1 : w - zero);
  }
  return acc;
}

REF_SUM int32_t sum(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o, uint8_t input, ref_layout layout) {
  const dqnn_conv *v = &c->conv;
  uint32_t cell;
  int32_t acc = 0;
  for (int32_t ky = 0; ky < v->y.kernel; ++ky) {
    for (int32_t kx = 0; kx < v->x.kernel; ++kx) {
      dqnn_place place = ref_tap(c, oy, ox, ky, kx, &cell);
      if (place == DQNN_INSIDE || (place == DQNN_OUTSIDE && c->outside_counts)) {
        ref_weight at = {v, c->weights, o, (uint32_t)ky, (uint32_t)kx, 0};
        acc += tap_sum(c, at, place == DQNN_INSIDE, cell, input, layout);
      }
    }
  }
  return acc;
}

#define INT_CONV(name, depthwise, input, layout)                                     \
  static int32_t sum_##name(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o) { \
    return sum(c, oy, ox, o, input, layout);                                         \
  }                                                                                  \
  REF_RUN_3(name, ref_run_int(call, depthwise, 0, sum_##name))

INT_CONV(convh_s1_s1, 0, DQNN_S1, REF_HORIZONTAL)
INT_CONV(conv_s1_s8, 0, DQNN_S1, REF_PAIRS)
INT_CONV(conv_s8_s1, 0, DQNN_S8, REF_CHANNEL_BLOCKS)
INT_CONV(conv_s8_s8, 0, DQNN_S8, REF_PAIRS)
INT_CONV(depthwise_s1_s8, 1, DQNN_S1, REF_DEPTHWISE_S8)
INT_CONV(depthwise_s8_s1, 1, DQNN_S8, REF_DEPTHWISE_BITS)
INT_CONV(depthwise_s8_s8, 1, DQNN_S8, REF_DEPTHWISE_S8)

void dqnn_run_convz_s8_s8_s8_ref(const dqnn_call *call) {
  ref_run_int(call, 0, 1, sum_conv_s8_s8);
}
DQNN_SAME_RUN(dqnn_run_convz_s8_s8_f32_ref, dqnn_run_convz_s8_s8_s8_ref)
void dqnn_run_depthwisez_s8_s8_s8_ref(const dqnn_call *call) {
  ref_run_int(call, 1, 1, sum_depthwise_s8_s8);
}
DQNN_SAME_RUN(dqnn_run_depthwisez_s8_s8_f32_ref, dqnn_run_depthwisez_s8_s8_s8_ref)

/* depthwise_s1_s1: the s1 output has presets instead of thresholds and stands in depthwise_bits.c. */
static int32_t sum_depthwise_s1_s1(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o) {
  return sum(c, oy, ox, o, DQNN_S1, REF_DEPTHWISE_BITS);
}

void dqnn_run_depthwise_s1_s1_s8_ref(const dqnn_call *call) {
  ref_run_int(call, 1, 0, sum_depthwise_s1_s1);
}
DQNN_SAME_RUN(dqnn_run_depthwise_s1_s1_f32_ref, dqnn_run_depthwise_s1_s1_s8_ref)
