/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Limits and scratch of conv_bitsliced.c. */
#ifndef DQNN_OPT_CONV_BITSLICED_H
#define DQNN_OPT_CONV_BITSLICED_H

#include "../limits.h"
#include "../map.h"

enum {
  DQNN_MOST_PLANES = 16,          /* of a preset */
  DQNN_BITSLICED_COLUMN_BYTES = 8 /* head of a ring column, beside its list */
};
_Static_assert(DQNN_MOST_TAPS + 2 <= 1 << (DQNN_MOST_PLANES - 1), "np of SPEC.md 3.4 has no more planes");

/* Bytes: a list of rows for each input column under a window, and one pooled row of maxima (words for s1, 16-bit
 * numbers for others). Independent of height, and without pool of width and outputs. */
static inline uint64_t dqnn_conv_bitsliced_scratch(const dqnn_conv *v, int binary_output) {
  uint64_t span = (uint64_t)(v->params->kernel_w - 1u) * v->params->dilation_w + 1;
  uint64_t entries = ((uint64_t)v->params->kernel_h * v->group_in + 3) & ~UINT64_C(3);
  uint64_t bytes = span * (DQNN_BITSLICED_COLUMN_BYTES + 2 * entries);
  if (v->params->pool_h == 1 && v->params->pool_w == 1) {
    return bytes;
  }
  return bytes + (uint64_t)v->pooled_w * v->groups * dqnn_words(v->group_out) * (binary_output ? 4 : 64);
}

#endif
