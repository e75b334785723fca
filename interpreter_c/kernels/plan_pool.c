/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Plans of max and average pooling, and of reductions. */
#include "map.h"
#include "plan.h"

static dqnn_check check_windows(const dqnn_call *call, const dqnn_pool_params *p) {
  dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  DQNN_REQUIRE(p->kernel_h > 0 && p->kernel_w > 0, kernel_size);
  DQNN_REQUIRE(p->stride_h > 0 && p->stride_w > 0, stride);
  DQNN_REQUIRE(in.c == out.c, channels);
  if (call->in_def[0]->rank == 4 || call->out_def->rank == 4) {
    DQNN_REQUIRE(p->kernel_h == 1 && p->stride_h == 1 && p->pad_top == 0 && in.h == out.h, merged_rows);
  }
  DQNN_REQUIRE(dqnn_axis_fits(in.h, out.h, 1, p->kernel_h, p->stride_h, 1, p->pad_top, 1), output_height);
  DQNN_REQUIRE(dqnn_axis_fits(in.w, out.w, 1, p->kernel_w, p->stride_w, 1, p->pad_left, 1), output_width);
  DQNN_REQUIRE(p->pad_top < p->kernel_h && p->pad_left < p->kernel_w, window_outside);
  DQNN_REQUIRE((uint64_t)(out.h - 1) * p->stride_h < (uint64_t)in.h + p->pad_top, window_outside);
  DQNN_REQUIRE((uint64_t)(out.w - 1) * p->stride_w < (uint64_t)in.w + p->pad_left, window_outside);
  return DQNN_CHECK_none;
}

/* Smallest distance of a window's first cell from the output's cell, times `cells`, on one axis; convex, so that it
 * lies beside the corner where the padding ends. */
static int64_t least_lead(uint32_t outputs, uint32_t stride, uint32_t pad, int64_t from_cells, int64_t to_cells) {
  int64_t least = 0;
  for (uint32_t i = pad / stride; i <= pad / stride + 1; ++i) {
    int64_t o = i < outputs ? i : outputs - 1, first = o * stride > pad ? o * stride - pad : 0;
    int64_t lead = first * from_cells - o * to_cells;
    least = lead < least ? lead : least;
  }
  return least;
}

/* Windows are taken in order and written in order. Where no window reaches back behind the output's own cell and cells
 * do not grow, the output may lie on the input. */
static uint32_t pool_overlap(const dqnn_call *call, const dqnn_pool_params *p) {
  dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  int64_t lead =
      least_lead(out.h, p->stride_h, p->pad_top, in.w, out.w) + least_lead(out.w, p->stride_w, p->pad_left, 1, 1);
  return lead >= 0 && call->in_def[0]->dtype >= call->out_def->dtype ? (uint32_t)DQNN_IN_PLACE : 0;
}

dqnn_check dqnn_plan_maxpool(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_call(call, 1, 1, 1));
  DQNN_REQUIRE(call->constant_count == 0, constant_count);
  DQNN_TRY(dqnn_check_same_quantization(call->in_def[0], call->out_def));
  DQNN_TRY(check_windows(call, (const dqnn_pool_params *)call->params));
  plan->overlap_bytes = pool_overlap(call, (const dqnn_pool_params *)call->params);
  return DQNN_CHECK_none;
}

static dqnn_check check_sum(const dqnn_call *call, const dqnn_pool_params *p) {
  dqnn_map in = dqnn_map_of(call->in_def[0]);
  uint32_t rows = p->kernel_h < in.h ? p->kernel_h : in.h, columns = p->kernel_w < in.w ? p->kernel_w : in.w;
  uint32_t most = dqnn_size_mul(dqnn_size_mul(rows, columns), dqnn_largest_integer(call->in_def[0]));
  DQNN_REQUIRE(call->in_def[0]->dtype == DQNN_F32 || most <= INT32_MAX, accumulator);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_avgpool(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_call(call, 1, 1, 1));
  const dqnn_pool_params *p = (const dqnn_pool_params *)call->params;
  DQNN_TRY(check_windows(call, p));
  DQNN_TRY(check_sum(call, p));
  plan->overlap_bytes = pool_overlap(call, p);
  DQNN_REQUIRE(call->constant_count == (call->out_def->dtype == DQNN_S8 ? 1 : 0), constant_count);
  return call->constant_count == 1 ? dqnn_check_inverse(call, 0) : DQNN_CHECK_none;
}

dqnn_check dqnn_plan_avgpool_raw(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_call(call, 1, 1, 1));
  const dqnn_pool_params *p = (const dqnn_pool_params *)call->params;
  DQNN_REQUIRE(call->constant_count == 0, constant_count);
  DQNN_TRY(dqnn_check_same_quantization(call->in_def[0], call->out_def));
  DQNN_TRY(check_windows(call, p));
  DQNN_TRY(check_sum(call, p));
  plan->overlap_bytes = pool_overlap(call, p);
  return DQNN_CHECK_none;
}

/* --- reductions over axes --- */

/* The output has the axes that stay, with or without ones for the others. */
static dqnn_check check_reduced(const dqnn_call *call, uint32_t axes) {
  const dqnn_tensor_def *in = call->in_def[0], *out = call->out_def;
  uint32_t kept = 0, keeps_rank = out->rank == in->rank;
  DQNN_REQUIRE(axes != 0 && axes >> in->rank == 0, axis);
  for (uint32_t k = 0; k < in->rank; ++k) {
    uint32_t gone = axes >> k & 1u, size = gone ? 1 : in->dims[k];
    if (keeps_rank || !gone) {
      DQNN_REQUIRE(kept < out->rank && out->dims[kept] == size, output_shape);
      ++kept;
    }
  }
  DQNN_REQUIRE(kept == out->rank, rank);
  return DQNN_CHECK_none;
}

static dqnn_check check_total(const dqnn_call *call, uint32_t axes) {
  uint32_t count = dqnn_largest_integer(call->in_def[0]);
  for (uint32_t k = 0; k < call->in_def[0]->rank; ++k) {
    count = dqnn_size_mul(count, axes >> k & 1u ? call->in_def[0]->dims[k] : 1);
  }
  DQNN_REQUIRE(count <= INT32_MAX, accumulator);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_plan_reduce(const dqnn_call *call, dqnn_plan *plan) {
  (void)plan;
  DQNN_TRY(dqnn_check_call(call, 1, 1, 1));
  const dqnn_reduce_params *p = (const dqnn_reduce_params *)call->params;
  DQNN_REQUIRE(p->reserved == 0, reserved);
  DQNN_TRY(check_reduced(call, p->axes));
  DQNN_TRY(dqnn_check_activation(p->act_min, p->act_max, call->out_def->dtype));
  if (p->kind == DQNN_ADD) {
    DQNN_REQUIRE(p->requant == DQNN_REQUANT_FIXED_POINT || p->requant == DQNN_REQUANT_FIXED64, requant);
    DQNN_TRY(check_total(call, p->axes));
    return dqnn_check_epilogue(call, 0, 1, p->requant, 1);
  }
  DQNN_REQUIRE(p->kind == DQNN_MAXIMUM || p->kind == DQNN_MINIMUM, kind);
  DQNN_REQUIRE(p->requant == 0 && p->act_min == -128.0f && p->act_max == 127.0f, reserved);
  DQNN_REQUIRE(call->constant_count == 0, constant_count);
  return dqnn_check_same_quantization(call->in_def[0], call->out_def);
}
