/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_pairs.c. */
#ifndef DQNN_OPT_CONV_PAIRS_H
#define DQNN_OPT_CONV_PAIRS_H

#include "../../src/kernel.h"

/* Bytes for K = taps of a window per group, row_taps = kernel_w * channels of a group, outputs of a group, lanes =
 * pixels at a time (4 or 1): interleaved columns of pairs, totals, one kernel row. */
static inline uint64_t dqnn_conv_pairs_scratch(uint64_t taps, uint64_t row_taps, uint64_t outputs, uint32_t lanes) {
  return 4 * lanes * ((taps + 1) / 2 + outputs) + 2 * row_taps;
}

#endif
