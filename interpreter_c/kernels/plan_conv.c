/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Plans of conv (horizontal s1 among them) and depthwise, and what conv_bitsliced shares with them. SPEC.md 3.1 to 3.4
 * is what they check. */
#include "plan_conv.h"
#include "../src/numerics.h"
#include "map.h"
#include "scratch.h"

/* --- parameters --- */

static dqnn_check check_windows(const dqnn_conv_params *p) {
  DQNN_REQUIRE(p->kernel_h > 0 && p->kernel_w > 0, kernel_size);
  DQNN_REQUIRE(p->stride_h > 0 && p->stride_w > 0, stride);
  DQNN_REQUIRE(p->dilation_h > 0 && p->dilation_w > 0, dilation);
  DQNN_REQUIRE(p->up_h > 0 && p->up_w > 0, up);
  DQNN_REQUIRE(p->pool_h > 0 && p->pool_w > 0 && dqnn_pool_cells(p) <= INT32_MAX, pool);
  DQNN_REQUIRE(p->groups > 0, groups);
  DQNN_REQUIRE(p->multiplier > 0, multiplier);
  DQNN_REQUIRE(p->reserved == 0, reserved);
  return DQNN_CHECK_none;
}

static int is_integer(dqnn_kernel_types types) {
  return types.input != DQNN_F32 && types.weights != DQNN_F32;
}

/* s8 weights of 4 or 2 bits, without zero points. */
static int has_packed_weights(const dqnn_conv_params *p) {
  return DQNN_PACKED_WEIGHTS && p->weight_bits != 0;
}

static int may_be_packed(const dqnn_conv_params *p, dqnn_kernel_types types) {
  return DQNN_PACKED_WEIGHTS && (p->weight_bits == 4 || p->weight_bits == 2) && types.weights == DQNN_S8;
}

static dqnn_check check_formats(const dqnn_conv_params *p, dqnn_kernel_types types) {
  DQNN_REQUIRE(p->weight_bits == 0 || may_be_packed(p, types), weight_bits);
  DQNN_REQUIRE(p->half_weights == 0 || (p->half_weights == 1 && types.weights == DQNN_S8), half_weights);
  DQNN_REQUIRE((types.input == DQNN_S1 && p->pad_value == 0.0f) || dqnn_storable(p->pad_value, types.input), pad_value);
  DQNN_TRY(dqnn_check_requant(p->requant, types.output, is_integer(types)));
  return dqnn_check_activation(p->act_min, p->act_max, types.output);
}

/* --- shapes --- */

/* Merged rows of rank 4 must stay apart: the height axis may only be walked one row at a time. */
static int rows_stay_apart(const dqnn_conv_params *p, uint32_t in_h, uint32_t out_h) {
  return p->kernel_h == 1 && p->stride_h == 1 && p->pad_top == 0 && p->up_h == 1 && p->pool_h == 1 && in_h == out_h;
}

static dqnn_check check_shapes(const dqnn_call *call, const dqnn_conv_params *p) {
  dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  if (call->in_def[0]->rank == 4 || call->out_def->rank == 4) {
    DQNN_REQUIRE(rows_stay_apart(p, in.h, out.h), merged_rows);
  }
  DQNN_REQUIRE(dqnn_axis_fits(in.h, out.h, p->pool_h, p->kernel_h, p->stride_h, p->dilation_h, p->pad_top, p->up_h),
               output_height);
  DQNN_REQUIRE(dqnn_axis_fits(in.w, out.w, p->pool_w, p->kernel_w, p->stride_w, p->dilation_w, p->pad_left, p->up_w),
               output_width);
  return DQNN_CHECK_none;
}

uint32_t dqnn_taps_of(const dqnn_conv *v) {
  return dqnn_size_mul(dqnn_size_mul(v->params->kernel_h, v->params->kernel_w), v->group_in);
}

/* |sum| <= taps * largest input * largest weight; a half weight, or one less its zero point, has 9 bits */
static dqnn_check check_accumulator(const dqnn_call *call, const dqnn_conv *v, dqnn_kernel_types types, int wide) {
  uint32_t weight = types.weights == DQNN_S1 ? 1 : wide || v->params->half_weights ? 255 : 128;
  uint64_t most = (uint64_t)dqnn_taps_of(v) * (dqnn_largest_integer(call->in_def[0]) * weight);
  DQNN_REQUIRE(!is_integer(types) || most < INT32_MAX, accumulator);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_conv(const dqnn_call *call) {
  DQNN_TRY(dqnn_check_call(call, 1, 1, 1));
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  DQNN_TRY(check_windows(p));
  DQNN_TRY(check_formats(p, dqnn_types_of(call->kernel)));
  return check_shapes(call, p);
}

dqnn_check dqnn_check_groups(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  DQNN_REQUIRE(p->multiplier == 1, multiplier);
  DQNN_REQUIRE(dqnn_last(call->in_def[0]) % p->groups == 0 && dqnn_last(call->out_def) % p->groups == 0, groups);
  return DQNN_CHECK_none;
}

/* --- weight layouts (SPEC.md 3.3) --- */

static uint32_t bytes_of_channel_blocks(const dqnn_conv *v) {
  uint32_t area = dqnn_size_mul(v->params->kernel_h, v->params->kernel_w);
  uint32_t whole = dqnn_size_mul(dqnn_size_mul(v->group_in / 8, v->group_out), area);
  uint32_t rest = dqnn_size_mul(dqnn_size_div(dqnn_size_mul(area, v->group_in % 8), 8), v->group_out);
  return dqnn_size_add(whole, rest);
}

static uint32_t group_weight_bytes(const dqnn_conv *v, dqnn_kernel_types types) {
  uint32_t taps = dqnn_taps_of(v), bits = v->params->weight_bits;
  if (types.weights == DQNN_S1) {
    uint32_t area = dqnn_size_mul(v->params->kernel_h, v->params->kernel_w);
    uint32_t row = dqnn_size_mul(dqnn_size_mul(area, dqnn_words(v->group_in)), 4);
    return types.input == DQNN_S1 ? dqnn_size_mul(row, v->group_out) : bytes_of_channel_blocks(v);
  }
  if (has_packed_weights(v->params)) {
    uint32_t bytes = /* of four outputs */
        types.input == DQNN_F32 ? dqnn_size_mul(taps, bits / 2) : dqnn_size_mul(dqnn_size_div(taps, 8 / bits), 4);
    return dqnn_size_mul(dqnn_size_div(v->group_out, 4), bytes);
  }
  if (types.weights == DQNN_S8 && types.input != DQNN_F32) {
    return dqnn_size_mul(dqnn_size_mul(dqnn_size_div(v->group_out, 2), dqnn_size_div(taps, 2)), 4);
  }
  uint32_t element = types.weights == DQNN_S8 ? 4 : 16; /* of four outputs */
  return dqnn_size_mul(dqnn_size_mul(dqnn_size_div(v->group_out, 4), taps), element);
}

static uint32_t depthwise_weight_bytes(const dqnn_conv *v, dqnn_kernel_types types) {
  uint32_t area = dqnn_size_mul(v->params->kernel_h, v->params->kernel_w);
  uint32_t row = types.weights == DQNN_S1 ? dqnn_words(v->out_c) : v->out_c;
  if (has_packed_weights(v->params)) {
    row = dqnn_size_div(row, 8 / v->params->weight_bits);
  }
  return dqnn_size_mul(dqnn_size_mul(area, row), types.weights == DQNN_S8 ? 1 : 4);
}

/* A product with 0 must be 0: fast kernels multiply where the rule leaves a hole out. */
static dqnn_check check_float_weights(const dqnn_call *call) {
  const float *weights = (const float *)call->constants[0];
  for (uint32_t i = 0; i < call->constant_bytes[0] / 4; ++i) {
    DQNN_REQUIRE(dqnn_is_finite(weights[i]), weight_finite);
  }
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_weights(const dqnn_call *call, uint32_t bytes) {
  DQNN_REQUIRE(call->constant_count >= 1, constant_count);
  DQNN_REQUIRE(bytes != UINT32_MAX && call->constant_bytes[0] == bytes, weight_bytes);
  return dqnn_types_of(call->kernel).weights == DQNN_F32 ? check_float_weights(call) : DQNN_CHECK_none;
}

/* Horizontal binary weights: fast kernels count whole words, so the bits behind the last channel must be 0. */
static dqnn_check check_horizontal_tails(const dqnn_call *call, const dqnn_conv *v) {
  const uint32_t *words = (const uint32_t *)call->constants[0];
  uint32_t tail = v->group_in % 32, row = dqnn_words(v->group_in);
  for (uint32_t i = row - 1; tail != 0 && i < call->constant_bytes[0] / 4; i += row) {
    DQNN_REQUIRE(words[i] >> tail == 0, weight_padding);
  }
  return DQNN_CHECK_none;
}

/* Constant 1: the zero point of each output's weights. */
static dqnn_check check_zero_points(const dqnn_call *call, const dqnn_conv *v) {
  DQNN_REQUIRE(call->constant_count >= 2, constant_count);
  DQNN_REQUIRE(call->constant_bytes[1] == v->out_c, constant_bytes);
  DQNN_REQUIRE(v->params->half_weights == 0, half_weights);
  DQNN_REQUIRE(v->params->weight_bits == 0, weight_bits);
  return DQNN_CHECK_none;
}

static dqnn_check plan_any(const dqnn_call *call, dqnn_plan *plan, int zero_points) {
  DQNN_TRY(dqnn_check_conv(call));
  DQNN_TRY(dqnn_check_groups(call));
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 0);
  DQNN_TRY(check_accumulator(call, &v, types, zero_points));
  if (zero_points) {
    DQNN_TRY(check_zero_points(call, &v));
  }
  DQNN_TRY(dqnn_check_weights(call, dqnn_size_mul(group_weight_bytes(&v, types), v.groups)));
  if (types.input == DQNN_S1 && types.weights == DQNN_S1) {
    DQNN_TRY(check_horizontal_tails(call, &v));
  }
  DQNN_TRY(dqnn_check_epilogue(call, zero_points ? 2 : 1, v.out_c, v.params->requant, is_integer(types)));
  dqnn_scratch_conv(call, plan);
  plan->overlap_bytes = dqnn_overlap_conv(call);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_conv(const dqnn_call *call, dqnn_plan *plan) {
  return plan_any(call, plan, 0);
}

dqnn_check dqnn_plan_convz(const dqnn_call *call, dqnn_plan *plan) {
  return plan_any(call, plan, 1);
}

/* --- depthwise --- */

/* Presets of depthwise_s1_s1_s1: a counter from -2N-1 to 2N. */
static uint32_t depthwise_planes(uint32_t taps) {
  uint32_t planes = 1;
  while ((UINT32_C(1) << (planes - 1)) < 2 * taps + 1) {
    ++planes;
  }
  return planes;
}

/* Lanes of missing outputs (mask) hold the number `value`. */
int dqnn_lanes_hold(const uint32_t *planes, uint32_t count, uint32_t mask, uint32_t value) {
  for (uint32_t p = 0; p < count; ++p) {
    if ((planes[p] & mask) != (value >> p & 1 ? mask : 0)) {
      return 0;
    }
  }
  return 1;
}

uint32_t dqnn_missing_lanes(uint32_t outputs) {
  return outputs % 32 == 0 ? 0 : ~UINT32_C(0) << outputs % 32;
}

static dqnn_check check_depthwise_presets(const dqnn_call *call, const dqnn_conv *v) {
  DQNN_REQUIRE(call->constant_count == 2 || call->constant_count == 3, constant_count);
  uint32_t taps = (uint32_t)v->params->kernel_h * v->params->kernel_w; /* fits: the weights have a word for each */
  uint32_t np = depthwise_planes(taps), words = dqnn_words(v->out_c), mask = dqnn_missing_lanes(v->out_c);
  DQNN_REQUIRE(call->constant_bytes[1] == dqnn_size_mul(dqnn_size_mul(words, np), 4), preset_bytes);
  const uint32_t *last = (const uint32_t *)call->constants[1] + (words - 1) * np;
  DQNN_REQUIRE(dqnn_lanes_hold(last, np, mask, ~(2 * taps)), preset_padding); /* -2N-1 */
  const uint32_t *weights = (const uint32_t *)call->constants[0] + (words - 1) * taps;
  for (uint32_t t = 0; t < taps; ++t) {
    DQNN_REQUIRE((weights[t] & mask) == 0, weight_padding);
  }
  return call->constant_count == 3 ? dqnn_check_flip(call, 2, v->out_c) : DQNN_CHECK_none;
}

static dqnn_check plan_any_depthwise(const dqnn_call *call, dqnn_plan *plan, int zero_points) {
  DQNN_TRY(dqnn_check_conv(call));
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  DQNN_REQUIRE(p->groups == 1, groups);
  DQNN_REQUIRE(p->up_h == 1 && p->up_w == 1, up); /* no layer asks for it */
  DQNN_REQUIRE(dqnn_last(call->out_def) == dqnn_size_mul(dqnn_last(call->in_def[0]), p->multiplier), channels);
  dqnn_conv v = dqnn_conv_of(call, 1);
  DQNN_TRY(check_accumulator(call, &v, types, zero_points));
  if (zero_points) {
    DQNN_TRY(check_zero_points(call, &v));
  }
  DQNN_TRY(dqnn_check_weights(call, depthwise_weight_bytes(&v, types)));
  if (types.input == DQNN_S1 && types.weights == DQNN_S1 && types.output == DQNN_S1) {
    DQNN_TRY(check_depthwise_presets(call, &v));
  } else {
    DQNN_TRY(dqnn_check_epilogue(call, zero_points ? 2 : 1, v.out_c, p->requant, is_integer(types)));
  }
  dqnn_scratch_depthwise(call, plan->scratch);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_depthwise(const dqnn_call *call, dqnn_plan *plan) {
  return plan_any_depthwise(call, plan, 0);
}

dqnn_check dqnn_plan_depthwisez(const dqnn_call *call, dqnn_plan *plan) {
  return plan_any_depthwise(call, plan, 1);
}
