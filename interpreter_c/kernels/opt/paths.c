/* Which inner kernel runs, where a kernel has several: asked by plan for the scratch and by the kernel itself, so that
 * the two cannot differ. Functions of their own, so that what they look at does not lie on the stack under the kernel
 * that is chosen. */
#include "conv_blocks.h"
#include "conv_first.h"
#include "conv_float.h"
#include "conv_nibbles.h"
#include "depthwise_planes.h"

dqnn_blocks_path dqnn_blocks_path_of(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  if (dqnn_is_first_layer(call, &v)) {
    return DQNN_BLOCKS_FIRST;
  }
  return call->in_def[0]->dtype == DQNN_S8 && dqnn_fits_nibbles(&v) ? DQNN_BLOCKS_NIBBLES : DQNN_BLOCKS_ANY;
}

int dqnn_takes_planes(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 1);
  return dqnn_fits_planes(call, &v);
}

/* Every window along this axis lies in the map. */
static int stays_inside(const dqnn_axis *axis, int32_t outputs) {
  return axis->pad == 0 && axis->up == 1 &&
         (outputs - 1) * axis->stride + (axis->kernel - 1) * axis->dilation < axis->size;
}

int dqnn_rows_in_place(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  return call->in_def[0]->dtype == DQNN_F32 && v.groups == 1 && v.x.dilation == 1 &&
         stays_inside(&v.y, v.pooled_h * v.params->pool_h) && stays_inside(&v.x, v.pooled_w * v.params->pool_w);
}
