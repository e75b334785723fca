/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* s8 x s1 convolution of one output pixel that reads one cell, a dense layer: conv_single.c. */
#ifndef DQNN_OPT_CONV_SINGLE_H
#define DQNN_OPT_CONV_SINGLE_H

#include "../map.h"

enum {
  DQNN_SINGLE_TABLE = 16, /* sums of four inputs under all signs; a block of eight has two */
  DQNN_SINGLE_MOST = 16   /* blocks whose tables stand at a time */
};

/* The same for a layer. */
static inline uint32_t dqnn_single_blocks(uint32_t outputs) {
  return outputs < 32 ? 8 : DQNN_SINGLE_MOST;
}

/* Sums of all outputs, which go by fours. */
static inline uint32_t dqnn_single_totals(uint32_t outputs) {
  return (outputs + 3) / 4 * 4;
}

/* Bytes: sums, tables. plan() has made sure that there are not too many. */
static inline uint64_t dqnn_single_scratch(uint32_t outputs) {
  return (uint64_t)4 * dqnn_single_totals(outputs) + (uint64_t)4 * DQNN_SINGLE_TABLE * dqnn_single_blocks(outputs);
}

void dqnn_run_single(const dqnn_call *call);

#endif
