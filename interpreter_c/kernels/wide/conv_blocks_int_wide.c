/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s8_s1_{s1,s8,f32}: integer sums. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#define DQNN_FLOAT_SUMS 0
#include "../opt/conv_blocks.h"
#include "conv_blocks.inc.h"

/* A dense layer leaves all lanes but one idle: the portable code, if there is one, is quicker with four of them. */
#if DQNN_HAVE_NEON && DQNN_HAVE_PORTABLE
#define RUN(call, otherwise) (dqnn_blocks_path_of(call) == DQNN_BLOCKS_SINGLE ? (otherwise)(call) : run(call))
#else
#define RUN(call, otherwise) run(call)
#endif

void WIDE(dqnn_run_conv_s8_s1_s1)(const dqnn_call *call) {
  RUN(call, dqnn_run_conv_s8_s1_s1_portable);
}
void WIDE(dqnn_run_conv_s8_s1_s8)(const dqnn_call *call) {
  RUN(call, dqnn_run_conv_s8_s1_s8_portable);
}
void WIDE(dqnn_run_conv_s8_s1_f32)(const dqnn_call *call) {
  RUN(call, dqnn_run_conv_s8_s1_f32_portable);
}
#endif
