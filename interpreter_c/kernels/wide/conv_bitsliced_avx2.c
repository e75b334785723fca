/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32}: eight pixels in 256-bit registers. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2
#define WIDTH 8
#define NAME(function) function##_avx2
#define COUNTING "conv_bitsliced_planes.inc.h"
#include "conv_bitsliced.inc.h"
#endif
