/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Plans of the kernels that move elements: concat, pad, view, reshape, gather, constant; and of bilinear, which mixes
 * them. */
#include "../src/numerics.h"
#include "map.h"
#include "parts.h"
#include "plan.h"

static dqnn_check check_move(const dqnn_call *call, uint32_t least, uint32_t most, int has_params) {
  DQNN_TRY(dqnn_check_call(call, least, most, has_params));
  DQNN_REQUIRE(call->constant_count == 0, constant_count);
  for (uint32_t i = 0; i < call->inputs; ++i) {
    DQNN_TRY(dqnn_check_same_quantization(call->in_def[i], call->out_def));
  }
  return DQNN_CHECK_none;
}

/* --- concat --- */

static dqnn_check check_part(const dqnn_tensor_def *in, const dqnn_tensor_def *out, uint32_t axis) {
  DQNN_REQUIRE(in->rank == out->rank, rank);
  for (uint32_t k = 0; k < out->rank; ++k) {
    DQNN_REQUIRE(k == axis || in->dims[k] == out->dims[k], output_shape);
  }
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_concat(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_move(call, 2, DQNN_MAX_INPUTS, 1));
  uint32_t axis = ((const dqnn_concat_params *)call->params)->axis, total = 0;
  DQNN_REQUIRE(axis < call->out_def->rank, axis);
  for (uint32_t i = 0; i < call->inputs; ++i) {
    DQNN_TRY(check_part(call->in_def[i], call->out_def, axis));
    total = dqnn_size_add(total, call->in_def[i]->dims[axis]);
  }
  DQNN_REQUIRE(total == call->out_def->dims[axis], output_shape);
  plan->parts = dqnn_parts_whole(call) && dqnn_parts_outer(call) == 1;
  return DQNN_CHECK_none;
}

/* --- pad --- */

dqnn_check dqnn_plan_pad(const dqnn_call *call, dqnn_plan *plan) {
  (void)plan;
  DQNN_TRY(check_move(call, 1, 1, 1));
  const dqnn_pad_params *p = (const dqnn_pad_params *)call->params;
  DQNN_REQUIRE(call->in_def[0]->rank == call->out_def->rank, rank);
  DQNN_REQUIRE(dqnn_storable(p->value, call->out_def->dtype), pad_value);
  for (uint32_t k = 0; k < 4; ++k) { /* beyond the rank both dimensions are 1 */
    uint32_t in = call->in_def[0]->dims[k], out = call->out_def->dims[k];
    DQNN_REQUIRE(in <= out && p->before[k] <= out - in, padding);
  }
  return DQNN_CHECK_none;
}

/* --- view --- */

dqnn_check dqnn_plan_view(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_move(call, 1, 1, 1));
  const dqnn_view_params *p = (const dqnn_view_params *)call->params;
  uint32_t rank = call->out_def->rank, seen = 0;
  bool forward = true;
  DQNN_REQUIRE(call->in_def[0]->rank == rank, rank);
  for (uint32_t k = 0; k < rank; ++k) {
    DQNN_REQUIRE(p->axis[k] < rank && (seen >> p->axis[k] & 1u) == 0, axis);
    seen |= 1u << p->axis[k];
    DQNN_REQUIRE(p->repeat[k] > 0, repeat);
    uint64_t last = p->start[k] + (uint64_t)((call->out_def->dims[k] - 1) / p->repeat[k]) * p->step[k];
    DQNN_REQUIRE(last < call->in_def[0]->dims[p->axis[k]], view_range);
    forward &= p->axis[k] == k && p->repeat[k] == 1 && (p->step[k] > 0 || call->out_def->dims[k] == 1);
  }
  plan->overlap_bytes = forward ? (uint32_t)DQNN_IN_PLACE : 0; /* no element comes from before its own place */
  return DQNN_CHECK_none;
}

/* --- reshape --- */

static uint64_t elements(const dqnn_tensor_def *def) {
  return (uint64_t)dqnn_rows(def) * dqnn_last(def);
}

/* An output whose rows leave no bits unused is as dense as can be: its words never overtake those that are read. */
dqnn_check dqnn_plan_reshape(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(check_move(call, 1, 1, 0));
  DQNN_REQUIRE(elements(call->in_def[0]) == elements(call->out_def), output_shape);
  bool dense = dqnn_rows(call->out_def) == 1 || dqnn_last(call->out_def) % 32 == 0;
  plan->overlap_bytes = dense ? (uint32_t)DQNN_IN_PLACE : 0;
  return DQNN_CHECK_none;
}

/* --- gather --- */

static dqnn_check check_indices(const dqnn_call *call, uint32_t constant, uint32_t axis) {
  const uint32_t *index = (const uint32_t *)call->constants[constant];
  uint32_t count = call->out_def->dims[axis];
  DQNN_REQUIRE(call->constant_bytes[constant] == dqnn_size_mul(count, 4), constant_bytes);
  for (uint32_t i = 0; i < count; ++i) {
    DQNN_REQUIRE(index[i] < call->in_def[0]->dims[axis], index);
  }
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_gather(const dqnn_call *call, dqnn_plan *plan) {
  (void)plan;
  DQNN_TRY(dqnn_check_call(call, 1, 1, 1));
  DQNN_TRY(dqnn_check_same_quantization(call->in_def[0], call->out_def));
  uint32_t axes = ((const dqnn_gather_params *)call->params)->axes, rank = call->out_def->rank, constant = 0;
  DQNN_REQUIRE(call->in_def[0]->rank == rank, rank);
  DQNN_REQUIRE(axes != 0 && axes >> rank == 0, axis);
  for (uint32_t k = 0; k < rank; ++k) {
    if (axes >> k & 1u) {
      DQNN_REQUIRE(constant < call->constant_count, constant_count);
      DQNN_TRY(check_indices(call, constant++, k));
    } else {
      DQNN_REQUIRE(call->in_def[0]->dims[k] == call->out_def->dims[k], output_shape);
    }
  }
  DQNN_REQUIRE(constant == call->constant_count, constant_count);
  return DQNN_CHECK_none;
}

/* --- bilinear --- */

static dqnn_check check_places(const dqnn_call *call, uint32_t axis) {
  const uint32_t *place = (const uint32_t *)call->constants[axis];
  uint32_t count = call->out_def->dims[axis];
  DQNN_REQUIRE(call->constant_bytes[axis] == dqnn_size_mul(count, 4), constant_bytes);
  for (uint32_t i = 0; i < count; ++i) {
    DQNN_REQUIRE(dqnn_place_upper(place[i]) < call->in_def[0]->dims[axis], index);
  }
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_bilinear(const dqnn_call *call, dqnn_plan *plan) {
  (void)plan;
  DQNN_TRY(dqnn_check_call(call, 1, 1, 0));
  DQNN_TRY(dqnn_check_same_quantization(call->in_def[0], call->out_def));
  DQNN_REQUIRE(call->in_def[0]->rank == 3 && call->out_def->rank == 3, rank);
  DQNN_REQUIRE(call->in_def[0]->dims[2] == call->out_def->dims[2], output_shape);
  DQNN_REQUIRE(call->constant_count == 2, constant_count);
  DQNN_TRY(check_places(call, 0));
  return check_places(call, 1);
}

/* --- constant --- */

dqnn_check dqnn_plan_constant(const dqnn_call *call, dqnn_plan *plan) {
  (void)plan;
  DQNN_TRY(dqnn_check_call(call, 0, 0, 0));
  DQNN_REQUIRE(call->constant_count == 1, constant_count);
  uint16_t failed;
  DQNN_REQUIRE(call->constant_bytes[0] == dqnn_tensor_bytes(call->out_def, &failed), constant_bytes);
  uint32_t tail = dqnn_last(call->out_def) % 32, row = dqnn_words(dqnn_last(call->out_def));
  const uint32_t *words = (const uint32_t *)call->constants[0];
  for (uint32_t i = row - 1; call->out_def->dtype == DQNN_S1 && tail != 0 && i < call->constant_bytes[0] / 4;
       i += row) {
    DQNN_REQUIRE(words[i] >> tail == 0, weight_padding);
  }
  return DQNN_CHECK_none;
}
