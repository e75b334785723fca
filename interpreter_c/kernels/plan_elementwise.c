/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Plans of the kernels that work element by element: affine, lut, unary, prelu, softmax, layernorm, binary. Where
 * output elements are not larger than input elements the output may lie on input 0: every variant reads an element (s1:
 * up to 32 of them) before it stores there. */
#include "../src/numerics.h"
#include "limits.h"
#include "map.h"
#include "plan.h"

static dqnn_check check_constants(const dqnn_call *call, uint32_t count) {
  DQNN_REQUIRE(call->constant_count == count, constant_count);
  return DQNN_CHECK_none;
}

/* --- affine --- */

/* For an input with the output's elements, one by one. s8 to s1 stores a word for every 32 bytes or less: rows shorter
 * than a word would overtake the reader. */
static uint32_t overlap(const dqnn_call *call) {
  uint8_t in = call->in_def[0]->dtype, out = call->out_def->dtype;
  int behind = in == out || in == DQNN_F32 || (in == DQNN_S8 && out == DQNN_S1 && dqnn_last(call->in_def[0]) >= 4);
  return behind ? (uint32_t)DQNN_IN_PLACE : 0;
}

dqnn_check dqnn_plan_affine(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_call(call, 1, 1, 1));
  const dqnn_channel_params *p = (const dqnn_channel_params *)call->params;
  int integer = call->in_def[0]->dtype != DQNN_F32;
  DQNN_REQUIRE(p->reserved == 0, reserved);
  DQNN_REQUIRE(p->per_channel <= 1, per_channel);
  int divides = p->requant == DQNN_REQUANT_DIVIDE_EVEN || p->requant == DQNN_REQUANT_DIVIDE_AWAY;
  if (divides) {
    DQNN_REQUIRE(!integer && call->out_def->dtype == DQNN_S8, requant);
  } else {
    DQNN_TRY(dqnn_check_requant(p->requant, call->out_def->dtype, integer));
  }
  DQNN_TRY(dqnn_check_activation(p->act_min, p->act_max, call->out_def->dtype));
  DQNN_TRY(dqnn_check_same_shape(call->in_def[0], call->out_def));
  uint32_t channels = p->per_channel ? dqnn_last(call->out_def) : 1;
  DQNN_TRY(dqnn_check_epilogue(call, 0, channels, p->requant, integer));
  plan->overlap_bytes = overlap(call);
  return DQNN_CHECK_none;
}

/* --- one input, equal shape and element size --- */

static dqnn_check check_same(const dqnn_call *call, dqnn_plan *plan, int has_params) {
  DQNN_TRY(dqnn_check_call(call, 1, 1, has_params));
  plan->overlap_bytes = (uint32_t)DQNN_IN_PLACE;
  return dqnn_check_same_shape(call->in_def[0], call->out_def);
}

dqnn_check dqnn_plan_lut(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_same(call, plan, 0));
  DQNN_TRY(check_constants(call, 1));
  DQNN_REQUIRE(call->constant_bytes[0] == 256, constant_bytes);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_lut_channels(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_same(call, plan, 0));
  DQNN_TRY(check_constants(call, 1));
  DQNN_REQUIRE(call->constant_bytes[0] == dqnn_size_mul(dqnn_last(call->in_def[0]), 256), constant_bytes);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_unary(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_same(call, plan, 1));
  DQNN_TRY(check_constants(call, 0));
  const dqnn_unary_params *p = (const dqnn_unary_params *)call->params;
  DQNN_REQUIRE(p->kind < DQNN_UNARY_KINDS, kind);
  DQNN_REQUIRE(p->reserved0 == 0 && p->reserved1 == 0, reserved);
  int has_alpha = p->kind == DQNN_ELU || p->kind == DQNN_LEAKY_RELU;
  DQNN_REQUIRE(has_alpha ? dqnn_is_finite(p->alpha) : p->alpha == 0.0f, alpha);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_prelu(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_same(call, plan, 0));
  DQNN_TRY(check_constants(call, 1));
  uint32_t channels = dqnn_last(call->in_def[0]), bytes = call->constant_bytes[0];
  uint32_t elements = dqnn_size_mul(dqnn_rows(call->in_def[0]), channels);
  DQNN_REQUIRE(bytes == dqnn_size_mul(channels, 4) || bytes == dqnn_size_mul(elements, 4), constant_bytes);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_softmax(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_same(call, plan, 0));
  return check_constants(call, 0);
}

/* gamma and beta of every channel, and epsilon */
dqnn_check dqnn_plan_layernorm(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_same(call, plan, 0));
  DQNN_TRY(check_constants(call, 3));
  uint32_t bytes = dqnn_size_mul(dqnn_last(call->in_def[0]), 4);
  DQNN_REQUIRE(call->constant_bytes[0] == bytes && call->constant_bytes[1] == bytes, constant_bytes);
  DQNN_REQUIRE(call->constant_bytes[2] == 4, constant_bytes);
  float epsilon = *(const float *)call->constants[2];
  DQNN_REQUIRE(dqnn_is_finite(epsilon) && epsilon >= 0.0f, alpha);
  return DQNN_CHECK_none;
}

/* The sum of exponentials has 12 integer bits. */
enum { MOST_SOFTMAX = 4095 };

dqnn_check dqnn_plan_softmax_fixed(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_same(call, plan, 1));
  DQNN_TRY(check_constants(call, 0));
  const dqnn_softmax_params *p = (const dqnn_softmax_params *)call->params;
  const dqnn_tensor_def *out = call->out_def;
  DQNN_REQUIRE(dqnn_last(out) <= MOST_SOFTMAX, output_shape);
  DQNN_REQUIRE(out->scale == 0.00390625f && out->zero_point == -128, quantization);
  DQNN_REQUIRE(p->multiplier >= 0 && p->left_shift >= 0 && p->left_shift <= 30 && p->diff_min <= 0, fixed_params);
  return DQNN_CHECK_none;
}

/* --- binary --- */

static dqnn_check check_broadcast(const dqnn_tensor_def *in, const dqnn_tensor_def *out) {
  DQNN_REQUIRE(in->rank == out->rank, rank);
  for (uint32_t i = 0; i < out->rank; ++i) {
    DQNN_REQUIRE(in->dims[i] == out->dims[i] || in->dims[i] == 1, broadcast);
  }
  return DQNN_CHECK_none;
}

static dqnn_check check_binary_constants(const dqnn_call *call, const dqnn_binary_params *p) {
  if (call->out_def->dtype == DQNN_F32) {
    return check_constants(call, 0);
  }
  if (call->out_def->dtype == DQNN_S8) {
    DQNN_TRY(check_constants(call, 1));
    return dqnn_check_inverse(call, 0);
  }
  uint32_t channels = p->per_channel ? dqnn_last(call->out_def) : 1;
  return dqnn_check_epilogue(call, 0, channels, DQNN_REQUANT_AFFINE, 0);
}

dqnn_check dqnn_plan_binary(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_call(call, 2, 2, 1));
  const dqnn_binary_params *p = (const dqnn_binary_params *)call->params;
  DQNN_REQUIRE(p->kind < DQNN_BINARY_KINDS, kind);
  DQNN_REQUIRE(p->reserved == 0, reserved);
  DQNN_REQUIRE(p->per_channel == 0 || (p->per_channel == 1 && call->out_def->dtype == DQNN_S1), per_channel);
  DQNN_TRY(dqnn_check_activation(p->act_min, p->act_max, call->out_def->dtype));
  DQNN_TRY(check_broadcast(call->in_def[0], call->out_def));
  DQNN_TRY(check_broadcast(call->in_def[1], call->out_def));
  DQNN_TRY(check_binary_constants(call, p));
  bool repeated = dqnn_check_same_shape(call->in_def[0], call->out_def) != DQNN_CHECK_none;
  plan->overlap_bytes = repeated ? 0 : overlap(call);
  return DQNN_CHECK_none;
}

/* TFLite's multipliers of both inputs and the result. Unused ones are 0. */
static dqnn_check check_multipliers(const dqnn_fixed_binary_params *p) {
  DQNN_REQUIRE(p->multiplier_a >= 0 && p->multiplier_b >= 0 && p->multiplier >= 0, fixed_params);
  DQNN_REQUIRE(p->shift_a >= -31 && p->shift_a <= 30 && p->shift_b >= -31 && p->shift_b <= 30, fixed_params);
  DQNN_REQUIRE(p->shift >= -31 && p->shift <= 30 && p->left <= 30, fixed_params);
  return DQNN_CHECK_none;
}

static int uses_operands(const dqnn_fixed_binary_params *p) {
  return p->multiplier_a != 0 || p->multiplier_b != 0 || p->shift_a != 0 || p->shift_b != 0 || p->left != 0;
}

/* One rounding: a sum of two products of 9 and 32 bits, or a product of 18 and 31. Signs of add are in the multipliers.
 */
static dqnn_check check_single(const dqnn_fixed_binary_params *p) {
  DQNN_REQUIRE(p->kind == DQNN_ADD || p->kind == DQNN_MUL, kind);
  DQNN_REQUIRE(p->shift >= 1 && p->shift <= DQNN_MOST_WIDE_SHIFT && p->left == 0 && p->shift_a == 0 && p->shift_b == 0,
               fixed_params);
  DQNN_REQUIRE(p->kind == DQNN_ADD ? p->multiplier == 0 : !uses_operands(p) && p->multiplier >= 0, fixed_params);
  return DQNN_CHECK_none;
}

static dqnn_check check_fixed_rule(const dqnn_call *call, const dqnn_fixed_binary_params *p) {
  if (p->kind == DQNN_MAXIMUM || p->kind == DQNN_MINIMUM) {
    DQNN_REQUIRE(p->single == 0 && !uses_operands(p) && p->multiplier == 0 && p->shift == 0, fixed_params);
    DQNN_TRY(dqnn_check_same_quantization(call->in_def[0], call->out_def));
    return dqnn_check_same_quantization(call->in_def[1], call->out_def);
  }
  if (p->single) {
    return check_single(p);
  }
  DQNN_REQUIRE(p->kind != DQNN_MUL || !uses_operands(p), fixed_params);
  return check_multipliers(p);
}

dqnn_check dqnn_plan_binary_fixed(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_call(call, 2, 2, 1));
  DQNN_TRY(check_constants(call, 0));
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  DQNN_REQUIRE(p->kind < DQNN_BINARY_KINDS, kind);
  DQNN_REQUIRE(p->reserved == 0 && p->single <= 1, reserved);
  DQNN_REQUIRE(p->act_min >= -128 && p->act_min <= p->act_max && p->act_max <= 127, activation_range);
  DQNN_TRY(check_fixed_rule(call, p));
  DQNN_TRY(check_broadcast(call->in_def[0], call->out_def));
  DQNN_TRY(check_broadcast(call->in_def[1], call->out_def));
  bool repeated = dqnn_check_same_shape(call->in_def[0], call->out_def) != DQNN_CHECK_none;
  plan->overlap_bytes = repeated ? 0 : overlap(call);
  return DQNN_CHECK_none;
}
