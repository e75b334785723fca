/* Scratch of families whose variants want none so far. */
#include "scratch.h"

uint32_t dqnn_scratch_conv(const dqnn_call *call) {
  (void)call;
  return 0;
}

uint32_t dqnn_scratch_depthwise(const dqnn_call *call) {
  (void)call;
  return 0;
}
