/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions with weights of 4 and 2 bits on hosts: scratch, and conv_packed_avx2.c, where conv_pairs_avx2.c sends
 * what does not go in columns. */
#ifndef DQNN_WIDE_CONV_PACKED_H
#define DQNN_WIDE_CONV_PACKED_H

#include "../../src/kernel.h"
#include "../opt/conv_packed.h"

void dqnn_run_packed_avx2(const dqnn_call *call);

static inline int dqnn_is_packed(const dqnn_call *call) {
  return ((const dqnn_conv_params *)call->params)->weight_bits != 0;
}

/* Bytes: maxima of a pooling window (0 without a pool), gathered windows of halfwords; others need no more. */
static inline uint64_t dqnn_conv_packed_wide_scratch(uint32_t taps, uint32_t totals, uint32_t lanes, uint32_t bits) {
  return 4 * ((uint64_t)totals + (uint64_t)lanes * dqnn_packed_pairs(taps, bits));
}

#endif
