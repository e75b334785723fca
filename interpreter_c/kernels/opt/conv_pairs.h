/* Scratch and run functions of conv_pairs.c. */
#ifndef DQNN_OPT_CONV_PAIRS_H
#define DQNN_OPT_CONV_PAIRS_H

#include "kernel.h"

/* Bytes for K = taps of a window per group, row_taps = kernel_w * channels of a group, outputs of a group: four
 * interleaved columns of pairs, totals of four pixels, one kernel row. */
static inline uint64_t dqnn_conv_pairs_scratch(uint64_t taps, uint64_t row_taps, uint64_t outputs) {
  return 16 * ((taps + 1) / 2) + 16 * outputs + 2 * row_taps;
}

#endif
