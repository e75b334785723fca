/* Scratch of the fast convolutions, compiled into every runtime: each target plans the same. */
#include "dqnn/dqnn_config.h"
#include "map.h"
#include "opt/conv_bitsliced.h"
#include "opt/conv_blocks.h"
#include "opt/conv_first.h"
#include "opt/conv_float.h"
#include "opt/conv_horizontal.h"
#include "opt/conv_nibbles.h"
#include "opt/conv_pairs.h"
#include "opt/depthwise_planes.h"
#include "plan.h"
#include "scratch.h"

static uint32_t capped(uint64_t bytes) {
  return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

uint32_t dqnn_scratch_conv_bitsliced(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  return capped(dqnn_conv_bitsliced_scratch(&v, call->out_def->dtype == DQNN_S1));
}

/* Pixels that the fast convolutions take at a time: dqnn_quad_lanes, but for outputs of two or three pixels. */
static uint32_t lanes_of(const dqnn_conv *v) {
  return dqnn_pool_cells(v->params) == 1 && v->pooled_h == 1 && v->pooled_w == 1 ? 1 : 4;
}

/* Every window along this axis lies in the map. */
static int stays_inside(const dqnn_axis *axis, int32_t outputs) {
  return axis->pad == 0 && axis->up == 1 &&
         (outputs - 1) * axis->stride + (axis->kernel - 1) * axis->dilation < axis->size;
}

/* Kernel rows of floats that lie in memory as they are needed. */
static int rows_in_place(const dqnn_call *call, const dqnn_conv *v) {
  return call->in_def[0]->dtype == DQNN_F32 && v->groups == 1 && v->x.dilation == 1 &&
         stays_inside(&v->y, v->pooled_h * v->params->pool_h) && stays_inside(&v->x, v->pooled_w * v->params->pool_w);
}

uint32_t dqnn_scratch_conv(const dqnn_call *call) {
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 0);
  uint64_t kernel_h = v.params->kernel_h, row_taps = (uint64_t)v.params->kernel_w * v.group_in;
  if (types.weights == DQNN_F32 || (types.weights == DQNN_S8 && types.input == DQNN_F32)) {
    return capped(dqnn_conv_float_scratch(kernel_h, row_taps, v.group_out, lanes_of(&v), rows_in_place(call, &v),
                                          types.weights == DQNN_S8));
  }
  if (types.weights == DQNN_S8) {
    return capped(dqnn_conv_pairs_scratch(kernel_h * row_taps, row_taps, v.group_out, lanes_of(&v)));
  }
  if (types.input == DQNN_S1 && types.weights == DQNN_S1) {
    return capped(dqnn_conv_horizontal_scratch(&v));
  }
  if (types.weights == DQNN_S1) {
    int s8 = types.input == DQNN_S8;
    if (dqnn_is_first_layer(call, &v)) {
      return capped(dqnn_first_scratch(&v, s8));
    }
    return capped(s8 && dqnn_fits_nibbles(&v) ? dqnn_nibbles_scratch(&v) : dqnn_conv_blocks_scratch(&v));
  }
  return 0;
}

uint32_t dqnn_overlap_conv(const dqnn_call *call) {
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 0);
  if (types.weights != DQNN_S1 || types.input == DQNN_S1 || !dqnn_is_first_layer(call, &v)) {
    return 0;
  }
  return dqnn_first_overlap(&v, types.input == DQNN_F32 ? 4 : 1);
}

uint32_t dqnn_scratch_depthwise(const dqnn_call *call) {
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 1);
  return types.weights != DQNN_F32 && dqnn_fits_planes(call, &v) ? capped(dqnn_planes_scratch(&v)) : 0;
}
