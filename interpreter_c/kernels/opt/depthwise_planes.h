/* When depthwise_planes.c takes a call, and its scratch. */
#ifndef DQNN_OPT_DEPTHWISE_PLANES_H
#define DQNN_OPT_DEPTHWISE_PLANES_H

#include "../map.h"

/* 3x3 windows of s8 cells with integer weights, all dense, an output per channel, and at least four of them. */
static inline int dqnn_fits_planes(const dqnn_call *call, const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  int strides = p->stride_h == p->stride_w && (p->stride_h == 1 || p->stride_h == 2);
  return call->in_def[0]->dtype == DQNN_S8 && p->kernel_h == 3 && p->kernel_w == 3 && strides && p->dilation_h == 1 &&
         p->dilation_w == 1 && p->pool_h == 1 && p->pool_w == 1 && p->multiplier == 1 && v->in_c >= 4;
}

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
