/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums and differences of two s8 maps in loops of their own, on cores that have them (isa/sums.h). */
#ifndef DQNN_OPT_SUMS_H
#define DQNN_OPT_SUMS_H

#include "../../isa/target.h"
#include "../../src/kernel.h"

#define DQNN_HAS_SUMS DQNN_ARM_DSP_FPU

/* All of an s8 output of two s8 inputs, by the rule of binary_s8 or of binary_s8_fixed; 0: this layer is left to
 * others. */
int dqnn_run_float_sums(const dqnn_call *call);
int dqnn_run_fixed_sums(const dqnn_call *call);

#endif
