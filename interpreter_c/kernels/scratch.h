/* Scratch of the fast variants, in bytes, for their plan functions: what each needs for a call whose shapes and
 * constants are checked. Every target reports the same, so that one file runs anywhere. scratch[] is all 0 before. */
#ifndef DQNN_SCRATCH_H
#define DQNN_SCRATCH_H

#include "kernel.h"

void dqnn_scratch_conv_bitsliced(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]);
void dqnn_scratch_conv(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]);
void dqnn_scratch_depthwise(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]);

/* Bytes of input 0, from its start, that the output may share with any variant, ref included. */
uint32_t dqnn_overlap_conv(const dqnn_call *call);

#endif
