/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32}: as many pixels as a vector has words. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#define WIDTH LANES
#define NAME(function) WIDE(function)
#include "conv_bitsliced.inc.h"
#endif
