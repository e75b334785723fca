/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of the fast variants, in bytes, for their plan functions: what each needs for a call whose shapes and
 * constants are checked. scratch[] is all 0 before; instruction sets that this build neither has nor plans for
 * (DQNN_PLAN_ALL) stay so. */
#ifndef DQNN_SCRATCH_H
#define DQNN_SCRATCH_H

#include "../src/kernel.h"

void dqnn_scratch_conv_bitsliced(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]);
void dqnn_scratch_conv(const dqnn_call *call, dqnn_plan *plan); /* may take steps of plan->work */
void dqnn_scratch_depthwise(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]);

/* For an exporter: what conv_winograd.c needs in a call that it takes, to transform the input `passes`
 * times. */
uint32_t dqnn_winograd_bytes(const dqnn_call *call, uint32_t passes);

/* Likewise: with how much the vectors of a Cortex-M55 sum up all outputs of a call of the families conv and convz
 * together, which is fastest; 0 for weights that they do not have. */
uint32_t dqnn_vector_scratch(const dqnn_call *call);

/* Bytes of input 0, from its start, that the output may share with any variant, ref included. */
uint32_t dqnn_overlap_conv(const dqnn_call *call);

#endif
