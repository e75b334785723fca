/* Scratch of conv_float.c. */
#ifndef DQNN_OPT_CONV_FLOAT_H
#define DQNN_OPT_CONV_FLOAT_H

#include "kernel.h"

/* Bytes: row pointers of four windows (as wide as the host's), totals of four pixels, and the rows that cannot be read
 * in place (those of four windows). */
static inline uint64_t dqnn_conv_float_scratch(uint64_t kernel_h, uint64_t row_taps, uint64_t outputs) {
  return 4 * kernel_h * 8 + 16 * outputs + 16 * kernel_h * row_taps;
}

#endif
