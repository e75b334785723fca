/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums and differences of two s8 maps in loops of their own, on cores that have them (isa/sums.h), and the walk of
 * every kernel for them. */
#ifndef DQNN_OPT_SUMS_H
#define DQNN_OPT_SUMS_H

#include "../../isa/target.h"
#include "../../src/kernel.h"

#define DQNN_HAS_SUMS DQNN_ARM_DSP_FPU
#define DQNN_STEP_SUMS (DQNN_SHORT_PRODUCTS || DQNN_SCALARS) /* TFLite's, in 32 bits */
#define DQNN_WALKS_SUMS (DQNN_HAS_SUMS || DQNN_STEP_SUMS || DQNN_HAVE_AVX2 || DQNN_HAVE_NEON)

/* All of an s8 output of two s8 inputs, by the rule of binary_s8 or of binary_s8_fixed; 0: this layer is left to
 * others. */
int dqnn_run_float_sums(const dqnn_call *call);
int dqnn_run_fixed_sums(const dqnn_call *call);

/* What those do with elements of input a and of b that lie side by side. */
typedef void (*dqnn_sum_row)(void *rule, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count);

/* A row of the output at a time, or all of it where nothing is repeated; a is input `first`. 0: elements repeat along a
 * row. */
int dqnn_walk_sums(const dqnn_call *call, uint32_t first, dqnn_sum_row row, void *rule);

/* A multiplier of 1/2 is 1 - 2^-31 with a shift of one more: the same for nine bits. */
static inline void dqnn_avoid_half(int32_t *multiplier, int32_t *shift) {
  if (*shift == 0 && *multiplier == 1 << 30) {
    *multiplier = INT32_MAX;
    *shift = -1;
  }
}

#endif
