/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_horizontal.c. */
#ifndef DQNN_OPT_CONV_HORIZONTAL_H
#define DQNN_OPT_CONV_HORIZONTAL_H

#include "../map.h"

/* Windows whose cells that do not count are remembered: fewer where a number per output weighs. */
enum { DQNN_HORIZONTAL_KEEPS = 3 };

static inline uint32_t dqnn_conv_horizontal_keeps(uint32_t outputs) {
  return outputs <= 32 ? DQNN_HORIZONTAL_KEEPS : 1;
}

/* Bytes: the words of a window, then numbers per output of a group: accumulators (twice with a pool), corrections. */
static inline uint64_t dqnn_conv_horizontal_scratch(const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  uint64_t words = (uint64_t)dqnn_words(v->group_in) * p->kernel_h * p->kernel_w;
  uint32_t pooled = p->pool_h > 1 || p->pool_w > 1, excludes = p->pad_value == 0.0f || p->up_h > 1 || p->up_w > 1;
  uint32_t rows = 1 + pooled + (excludes ? dqnn_conv_horizontal_keeps(v->group_out) : 0);
  return 4 * words + (uint64_t)(4 * rows) * v->group_out;
}

#endif
