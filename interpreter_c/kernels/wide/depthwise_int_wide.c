/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_{s1,s8,f32}, depthwise_s1_s8_{s1,s8,f32}: integer sums. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#define DQNN_FLOAT_SUMS 0
#include "depthwise.inc.h"

DEPTHWISE(s8, s8, DQNN_S8, DQNN_S8)
DEPTHWISE(s8, s1, DQNN_S8, DQNN_S1)
DEPTHWISE(s1, s8, DQNN_S1, DQNN_S8)

static void run_zero_points(const dqnn_call *call) {
  run(call, (types){DQNN_S8, DQNN_S8, 1});
}
void WIDE(dqnn_run_depthwisez_s8_s8_s8)(const dqnn_call *call) {
  run_zero_points(call);
}
void WIDE(dqnn_run_depthwisez_s8_s8_f32)(const dqnn_call *call) {
  run_zero_points(call);
}
#endif
