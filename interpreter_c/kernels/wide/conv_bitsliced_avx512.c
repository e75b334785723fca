/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32}: sixteen pixels in 512-bit registers. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX512
#define WIDTH 16
#define NAME(function) function##_avx512
#define COUNTING "conv_bitsliced_planes.inc.h"
#include "conv_bitsliced.inc.h"
#endif
