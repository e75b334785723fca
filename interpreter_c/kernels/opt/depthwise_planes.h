/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of depthwise_planes.c, and whether it takes a call of depthwise{,z}_{s8,s1}_*. */
#ifndef DQNN_OPT_DEPTHWISE_PLANES_H
#define DQNN_OPT_DEPTHWISE_PLANES_H

#include "../map.h"

/* Groups of four sums of a walk over `outputs` positions; words of one channel of a pair of lines. */
static inline uint64_t dqnn_planes_blocks(uint64_t outputs, int32_t stride) {
  return stride == 1 ? (outputs + 1) / 2 : (outputs + 3) / 4;
}
static inline uint64_t dqnn_planes_words(uint64_t outputs, int32_t stride) {
  uint64_t blocks = dqnn_planes_blocks(outputs, stride);
  return stride == 1 ? 2 * blocks + 2 : 8 * blocks + 1;
}

/* Bytes: weights of four channels, two pairs of lines and the sums of four channels. Walks go along the longer side. */
static inline uint64_t dqnn_planes_scratch(const dqnn_conv *v) {
  uint64_t outputs = v->pooled_h > v->pooled_w ? (uint64_t)v->pooled_h : (uint64_t)v->pooled_w;
  return 96 + 32 * dqnn_planes_words(outputs, v->y.stride) + 64 * dqnn_planes_blocks(outputs, v->y.stride);
}

int dqnn_takes_planes(const dqnn_call *call);
/* zero_points: 1 if constant 1 are those of the weights. */
void dqnn_run_depthwise_planes(const dqnn_call *call, int binary_weights, uint32_t zero_points);

#endif
