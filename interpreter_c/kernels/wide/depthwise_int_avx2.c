/* Integer sums. */
#define DQNN_FLOAT_SUMS 0
#include "kernels/wide/depthwise_body.h"

DEPTHWISE(s8, s8, DQNN_S8, DQNN_S8)
DEPTHWISE(s8, s1, DQNN_S8, DQNN_S1)
DEPTHWISE(s1, s8, DQNN_S1, DQNN_S8)
