/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions of few taps (conv_columns_mve.c), which conv_bytes_mve.c and conv_packed_mve.c ask
 * first. */
#ifndef DQNN_MVE_CONV_COLUMNS_H
#define DQNN_MVE_CONV_COLUMNS_H

#include "../../src/kernel.h"

/* Pixels at a time, bytes of a vector, vectors of the longest of short windows. */
enum { DQNN_COLUMNS_BLOCK = 8, DQNN_COLUMNS_STEP = 16, DQNN_COLUMNS_VECTORS = 4 };

/* Bytes of scratch with which short windows go that way, if they are not read in place; 0: they are long. No variant
 * needs it, files should give it. */
static inline uint64_t dqnn_columns_bytes(uint64_t taps) {
  uint64_t vectors = (taps + DQNN_COLUMNS_STEP - 1) / DQNN_COLUMNS_STEP;
  return vectors > DQNN_COLUMNS_VECTORS ? 0 : DQNN_COLUMNS_BLOCK * DQNN_COLUMNS_STEP * vectors;
}

/* Returns 0 for a call of conv_s8_s8_s8 that it does not take. */
int dqnn_run_columns(const dqnn_call *call);

#endif
