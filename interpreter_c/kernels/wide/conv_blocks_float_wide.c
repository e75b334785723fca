/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_f32_s1_{s1,s8,f32}: float sums. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#define DQNN_FLOAT_SUMS 1
#include "conv_blocks.inc.h"

void WIDE(dqnn_run_conv_f32_s1_s1)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_f32_s1_s8)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_f32_s1_f32)(const dqnn_call *call) {
  run(call);
}
#endif
