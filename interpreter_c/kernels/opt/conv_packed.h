/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_packed.c. */
#ifndef DQNN_OPT_CONV_PACKED_H
#define DQNN_OPT_CONV_PACKED_H

#include "../map.h"

/* Kernel rows of windows are runs of an s8 map whose channels come in fours, and go to the columns as they are. */
static inline int dqnn_packed_in_runs(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  return call->in_def[0]->dtype == DQNN_S8 && p->groups == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1 &&
         dqnn_last(call->in_def[0]) % 4 == 0;
}

/* Words of weights of four outputs (bits: 4 or 2), and the pairs of a column, which fills them. Sums fit 32 bits, so
 * that taps are fewer than 2^24. */
static inline uint32_t dqnn_packed_words(uint32_t taps, uint32_t bits) {
  return bits == 4 ? (taps + 1) / 2 : (taps + 3) / 4;
}

static inline uint32_t dqnn_packed_pairs(uint32_t taps, uint32_t bits) {
  return bits == 4 ? (taps + 1) / 2 : (taps + 3) / 4 * 2;
}

/* Bytes for K = taps of a window per group, totals, row_taps, lanes = pixels at a time (4 or 1): interleaved columns of
 * pairs, sums of a pooled pixel (0 without a pool), one kernel row of halfwords (0 where rows go to the columns as they
 * are). */
static inline uint64_t dqnn_conv_packed_scratch(uint32_t taps, uint32_t row_taps, uint32_t totals, uint32_t lanes,
                                                uint32_t bits) {
  return 4 * ((uint64_t)dqnn_packed_pairs(taps, bits) * lanes + totals) + 2 * (uint64_t)row_taps;
}

#endif
