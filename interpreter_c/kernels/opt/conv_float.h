/* Scratch of conv_float.c. */
#ifndef DQNN_OPT_CONV_FLOAT_H
#define DQNN_OPT_CONV_FLOAT_H

#include "kernel.h"

/* Bytes: row pointers of four windows (as wide as the host's), totals of four pixels, the rows that cannot be read in
 * place (those of four windows), and s8 weights of four channels as floats. */
static inline uint64_t dqnn_conv_float_scratch(uint64_t kernel_h, uint64_t row_taps, uint64_t outputs, int s8_weights) {
  return 4 * kernel_h * 8 + 16 * outputs + (s8_weights ? 32 : 16) * kernel_h * row_taps;
}

#endif
