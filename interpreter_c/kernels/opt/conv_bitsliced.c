/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32}, portable. */
#include "../../src/kernel.h"

#if DQNN_HAVE_PORTABLE
#define NAME(function) function##_portable
#define EMIT(function) function
#include "conv_bitsliced.inc.h"
#endif
