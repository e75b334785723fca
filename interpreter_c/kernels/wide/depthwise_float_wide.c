/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_f32_{f32,s8,s1}_{s1,s8,f32}, depthwise_{s8,s1}_f32_{s1,s8,f32}: float sums. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#define DQNN_FLOAT_SUMS 1
#include "depthwise.inc.h"

DEPTHWISE(f32, f32, DQNN_F32, DQNN_F32)
DEPTHWISE(f32, s8, DQNN_F32, DQNN_S8)
DEPTHWISE(f32, s1, DQNN_F32, DQNN_S1)
DEPTHWISE(s8, f32, DQNN_S8, DQNN_F32)
DEPTHWISE(s1, f32, DQNN_S1, DQNN_F32)
#endif
