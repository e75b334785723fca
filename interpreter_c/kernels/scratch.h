/* Scratch of the fast variants, in bytes, for their plan functions: what the fastest variant of a family wants for a
 * call whose shapes and constants are checked. 0: none; UINT32_MAX: more than 32 bits can say. Every target reports the
 * same, so that one file runs anywhere. */
#ifndef DQNN_SCRATCH_H
#define DQNN_SCRATCH_H

#include "kernel.h"

uint32_t dqnn_scratch_conv_bitsliced(const dqnn_call *call);
uint32_t dqnn_scratch_conv(const dqnn_call *call);
uint32_t dqnn_scratch_depthwise(const dqnn_call *call);

/* Bytes of input 0, from its start, that the output may share with any variant, ref included. */
uint32_t dqnn_overlap_conv(const dqnn_call *call);

#endif
