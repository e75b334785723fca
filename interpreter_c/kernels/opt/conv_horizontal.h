/* Scratch of conv_horizontal.c. */
#ifndef DQNN_OPT_CONV_HORIZONTAL_H
#define DQNN_OPT_CONV_HORIZONTAL_H

#include "kernels/map.h"

/* Bytes: the words of a window, the numbers of those that do not count, accumulators of a group (twice with a pool). */
static inline uint64_t dqnn_conv_horizontal_scratch(const dqnn_conv *v) {
  uint64_t words = (uint64_t)dqnn_words(v->group_in) * v->params->kernel_h * v->params->kernel_w;
  int pooled = v->params->pool_h > 1 || v->params->pool_w > 1;
  return 8 * words + (uint64_t)(pooled ? 8 : 4) * v->group_out;
}

#endif
