/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_pairs.c. */
#ifndef DQNN_OPT_CONV_PAIRS_H
#define DQNN_OPT_CONV_PAIRS_H

#include "../../src/kernel.h"

/* Kernel rows of all windows lie in the map as runs. */
int dqnn_windows_inside(const dqnn_call *call);

/* Bytes for K = taps of a window per group, totals, row_taps, lanes = pixels at a time (4 or 1): interleaved columns of
 * pairs, sums of a pooled pixel (0 without a pool), one kernel row (0 where all are read in place). */
static inline uint64_t dqnn_conv_pairs_scratch(uint64_t taps, uint64_t row_taps, uint64_t totals, uint32_t lanes) {
  return 4 * (lanes * ((taps + 1) / 2) + totals) + 2 * row_taps;
}

#endif
