/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* First layers: 3x3 binary convolution of one channel, threshold and 2x2 maximum in one pass. */
#ifndef DQNN_OPT_CONV_FIRST_H
#define DQNN_OPT_CONV_FIRST_H

#include "../map.h"

/* Bytes: tables of four input rows for a strip of the output; for s8 input also eight per channel. */
static inline uint64_t dqnn_first_scratch(const dqnn_conv *v, int s8) {
  return s8 ? 512 + (uint64_t)8 * v->out_c : 768;
}

/* Bytes of the input that the output of a first layer may share; cells of `cell` bytes. */
uint32_t dqnn_first_overlap(const dqnn_conv *v, uint32_t cell);

void dqnn_run_first_f32(const dqnn_call *call);
void dqnn_run_first_s8(const dqnn_call *call);

#endif
