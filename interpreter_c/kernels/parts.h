/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What a concat's inputs are in the bytes of its output; shared by its plan function and its fast variant. */
#ifndef DQNN_PARTS_H
#define DQNN_PARTS_H

#include "map.h"

/* Times that the inputs alternate in the output: the dimensions before the joined axis. */
static inline uint32_t dqnn_parts_outer(const dqnn_call *call) {
  uint32_t axis = ((const dqnn_concat_params *)call->params)->axis, outer = 1;
  for (uint32_t k = 0; k < axis; ++k) {
    outer *= call->out_def->dims[k];
  }
  return outer;
}

/* Does every input begin at a byte (s1: a word) of the output? Only bits joined along their rows need not. */
static inline int dqnn_parts_whole(const dqnn_call *call) {
  const dqnn_tensor_def *out = call->out_def;
  if (out->dtype != DQNN_S1 || ((const dqnn_concat_params *)call->params)->axis + 1u != out->rank) {
    return 1;
  }
  uint32_t bits = 0;
  for (uint32_t i = 0; i + 1u < call->inputs; ++i) {
    bits |= dqnn_last(call->in_def[i]);
  }
  return bits % 32 == 0;
}

#endif
