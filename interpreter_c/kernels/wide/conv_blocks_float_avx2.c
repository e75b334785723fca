/* Float sums. */
#define DQNN_FLOAT_SUMS 1
#include "kernels/wide/conv_blocks_body.h"

void dqnn_run_conv_f32_s1_s1_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_f32_s1_s8_avx2(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_f32_s1_f32_avx2(const dqnn_call *call) {
  run(call);
}
