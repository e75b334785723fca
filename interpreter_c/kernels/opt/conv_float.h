/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_float.c. */
#ifndef DQNN_OPT_CONV_FLOAT_H
#define DQNN_OPT_CONV_FLOAT_H

#include "../map.h"

/* Every kernel row of every window lies in memory as a run of floats; kernels that ask need no copies then. */
int dqnn_rows_in_place(const dqnn_call *call);

/* Bytes: row pointers of four windows (as wide as the host's), totals of `lanes` pixels (4; 1 where the output is one
 * pixel), their windows unless all can be read in place, and s8 weights of four channels as floats. */
static inline uint64_t dqnn_conv_float_scratch(uint64_t kernel_h, uint64_t row_taps, uint64_t outputs, uint32_t lanes,
                                               int in_place, int s8_weights) {
  uint64_t floats = lanes * outputs + ((in_place ? 0 : lanes) + (s8_weights ? 4 : 0)) * kernel_h * row_taps;
  return 4 * kernel_h * 8 + 4 * floats;
}

#endif
