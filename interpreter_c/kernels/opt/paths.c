/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Which inner kernel runs, where a kernel has several: decided here alone, asked by plan for the scratch and by every
 * variant for the way it goes, so that the two cannot differ. Functions of their own, so that what they look at does
 * not lie on the stack under the kernel that is chosen. */
#include "../../isa/depthwise_rows.h"
#include "conv_blocks.h"
#include "conv_first.h"
#include "conv_float.h"
#include "conv_nibbles.h"
#include "conv_pairs.h"
#include "conv_winograd.h"
#include "depthwise_channels.h"

/* One channel, 3x3, stride 1, pool 2x2, s1 output, f32 or s8 input. */
static int is_first_layer(const dqnn_call *call, const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  int window = p->kernel_h == 3 && p->kernel_w == 3 && p->stride_h == 1 && p->stride_w == 1 && p->dilation_h == 1 &&
               p->dilation_w == 1;
  int plain = p->up_h == 1 && p->up_w == 1 && p->pool_h == 2 && p->pool_w == 2;
  return window && plain && v->in_c == 1 && call->out_def->dtype == DQNN_S1;
}

/* One output that reads one cell of the map. */
static int is_dense(const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  return p->kernel_h == 1 && p->kernel_w == 1 && v->y.pad == 0 && v->x.pad == 0 && p->pool_h == 1 && p->pool_w == 1 &&
         v->pooled_h == 1 && v->pooled_w == 1 && v->groups == 1;
}

/* Neighbouring columns, no pool, whole blocks of channels. */
static int fits_nibbles(const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  uint32_t taps = (uint32_t)p->kernel_h * p->kernel_w;
  int plain =
      p->stride_w == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1 && p->pool_h == 1 && p->pool_w == 1;
  return plain && v->group_in % 8 == 0 && p->kernel_w <= DQNN_NIBBLE_WIDTH && taps <= DQNN_NIBBLE_TAPS;
}

dqnn_blocks_path dqnn_blocks_path_of(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  if (is_first_layer(call, &v)) {
    return DQNN_BLOCKS_FIRST;
  }
  if (call->in_def[0]->dtype != DQNN_S8) {
    return DQNN_BLOCKS_ANY;
  }
  return is_dense(&v) ? DQNN_BLOCKS_SINGLE : fits_nibbles(&v) ? DQNN_BLOCKS_NIBBLES : DQNN_BLOCKS_ANY;
}

/* Dense windows of s8 cells with integer weights, an output per channel. */
static int has_single_channels(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  int strides = p->stride_h == p->stride_w && p->stride_h <= 2;
  return call->in_def[0]->dtype == DQNN_S8 && strides && p->dilation_h == 1 && p->dilation_w == 1 && p->pool_h == 1 &&
         p->pool_w == 1 && p->multiplier == 1;
}

int dqnn_has_channels(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  return has_single_channels(call) && p->kernel_h == 3 && p->kernel_w == 3;
}

/* Windows reach so many cells beyond the map at most. */
static int reaches(const dqnn_axis *axis, int32_t outputs, int32_t cells) {
  return axis->pad <= cells && (outputs - 1) * axis->stride - axis->pad + axis->kernel <= axis->size + cells;
}

/* Five cells at most; each window has one in the map, the first one its last. */
static int is_five(const dqnn_axis *axis, int32_t outputs) {
  return axis->kernel <= 5 && axis->pad + axis->size >= axis->kernel && reaches(axis, outputs, axis->kernel - 1);
}

/* Lines that the other side of the map has to have. */
static int32_t lines_of(const dqnn_axis *axis, int fives) {
  return !fives ? 3 : axis->kernel > 1 ? 5 : 1;
}

uint32_t dqnn_channels_of(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 1);
  const int fives = !(dqnn_has_channels(call) && reaches(&v.y, v.pooled_h, 1) && reaches(&v.x, v.pooled_w, 1));
  const int32_t rows = lines_of(&v.y, fives), columns = lines_of(&v.x, fives);
  const int by_columns = v.y.size > v.x.size && v.x.size >= columns;
  const int taken = has_single_channels(call) && (by_columns || v.y.size >= rows) &&
                    (!fives || ((v.y.stride == 1 || v.in_c < 4 || !DQNN_DEPTHWISE_FOURS) && is_five(&v.y, v.pooled_h) &&
                                is_five(&v.x, v.pooled_w)));
  return !taken ? 0 : (fives ? DQNN_CHANNELS_FIVES : DQNN_CHANNELS_THREES) | (by_columns ? DQNN_CHANNELS_COLUMNS : 0u);
}

/* Every window along this axis lies in the map. */
static int stays_inside(const dqnn_axis *axis, int32_t outputs) {
  return axis->pad == 0 && axis->up == 1 &&
         (outputs - 1) * axis->stride + (axis->kernel - 1) * axis->dilation < axis->size;
}

int dqnn_windows_inside(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  return v.groups == 1 && v.x.dilation == 1 && stays_inside(&v.y, v.pooled_h * v.params->pool_h) &&
         stays_inside(&v.x, v.pooled_w * v.params->pool_w);
}

int dqnn_rows_in_place(const dqnn_call *call) {
  return call->in_def[0]->dtype == DQNN_F32 && dqnn_windows_inside(call);
}

/* 64 times a sum fits 32 bits: for every output, the sum of |weights| times the largest |input| is below 2^25. With few
 * channels no weights can break that. Their bytes lie as SPEC.md 3.3 has them: of two outputs, in turn. */
static int sums_fit(const dqnn_call *call, const dqnn_conv *v, dqnn_plan *plan) {
  uint32_t taps = 9 * v->in_c, largest = dqnn_largest_integer(call->in_def[0]), most = ((1u << 25) - 1) / largest;
  const int8_t *weights = (const int8_t *)call->constants[0];
  const uint32_t bits = DQNN_PACKED_WEIGHTS ? v->params->weight_bits : 0;
  if (bits != 0) {
    return taps << (bits - 1) <= most; /* whatever they are */
  }
  if (taps * 128 <= most) {
    return 1;
  }
  if (dqnn_spend(plan, call->constant_bytes[0]) != DQNN_CHECK_none) {
    return 0;
  }
  for (uint32_t pair = 0; pair < (v->out_c + 1) / 2; ++pair, weights += 2 * taps) {
    uint32_t sums[2] = {0, 0};
    for (uint32_t i = 0; i < 2 * taps; ++i) {
      const int32_t weight = (int32_t)weights[i];
      sums[i & 1u] += (uint32_t)(weight < 0 ? -weight : weight);
    }
    if (sums[0] > most || sums[1] > most) {
      return 0;
    }
  }
  return 1;
}

static int is_small_pool(uint32_t size) {
  return size == 1 || size == 2 || size == 4;
}

static int is_plain(const dqnn_axis *axis) {
  return axis->kernel == 3 && axis->stride == 1 && axis->dilation == 1 && axis->up == 1;
}

int dqnn_takes_winograd(const dqnn_call *call, const dqnn_conv *v, dqnn_plan *plan) {
  const dqnn_conv_params *p = v->params;
  return call->in_def[0]->dtype == DQNN_S8 && call->constant_count > 1 && p->groups == 1 && p->half_weights == 0 &&
         is_plain(&v->y) && is_plain(&v->x) && v->in_c % 4 == 0 && is_small_pool(p->pool_h) &&
         is_small_pool(p->pool_w) && sums_fit(call, v, plan);
}
