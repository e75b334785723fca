/* Scratch of the bit-sliced convolutions, for their plan function. */
#ifndef DQNN_OPT_CONV_BITSLICED_H
#define DQNN_OPT_CONV_BITSLICED_H

#include "kernel.h"

/* Bytes that dqnn_run_conv_s1_s1_<out>_portable wants for a checked call; UINT32_MAX if more than 32 bits can hold. */
uint32_t dqnn_scratch_conv_bitsliced(const dqnn_call *call);

#endif
