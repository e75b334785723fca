/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32} by the instruction that counts the bits of bytes, 32 pixels for one turn of the weights. */
#include "../../src/kernel.h"

#if DQNN_HAVE_NEON
#define WIDTH 32
#define NAME(function) function##_neon
#define COUNTING "conv_bitsliced_counts.inc.h"
#include "conv_bitsliced.inc.h"
#endif
