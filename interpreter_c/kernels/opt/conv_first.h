/* First layers: 3x3 binary convolution of one channel, threshold and 2x2 maximum in one pass. */
#ifndef DQNN_OPT_CONV_FIRST_H
#define DQNN_OPT_CONV_FIRST_H

#include "../map.h"

/* Bytes: tables of four input rows for a strip of the output; for s8 input also eight per channel. */
static inline uint64_t dqnn_first_scratch(const dqnn_conv *v, int s8) {
  return s8 ? 512 + (uint64_t)8 * v->out_c : 768;
}

/* One channel, 3x3, stride 1, pool 2x2, s1 output, f32 or s8 input. */
static inline int dqnn_is_first_layer(const dqnn_call *call, const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  int window = p->kernel_h == 3 && p->kernel_w == 3 && p->stride_h == 1 && p->stride_w == 1 && p->dilation_h == 1 &&
               p->dilation_w == 1;
  int plain = p->up_h == 1 && p->up_w == 1 && p->pool_h == 2 && p->pool_w == 2;
  return window && plain && v->in_c == 1 && call->out_def->dtype == DQNN_S1;
}

/* Bytes of the input that the output of a first layer may share; cells of `cell` bytes. */
uint32_t dqnn_first_overlap(const dqnn_conv *v, uint32_t cell);

void dqnn_run_first_f32(const dqnn_call *call);
void dqnn_run_first_s8(const dqnn_call *call);

#endif
