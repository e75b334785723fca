/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of the fast convolutions. What runs for a call is asked of the kernels' own functions (opt/paths.c). */
#include "map.h"
#include "mve/conv_bytes_mve.h"
#include "mve/conv_columns_mve.h"
#include "mve/conv_packed_mve.h"
#include "opt/conv_bitsliced.h"
#include "opt/conv_blocks.h"
#include "opt/conv_first.h"
#include "opt/conv_float.h"
#include "opt/conv_horizontal.h"
#include "opt/conv_nibbles.h"
#include "opt/conv_packed.h"
#include "opt/conv_pairs.h"
#include "opt/conv_single.h"
#include "opt/conv_winograd.h"
#include "opt/depthwise_channels.h"
#include "opt/quads.h"
#include "plan.h"
#include "plan_conv.h"
#include "scratch.h"
#include "wide/conv_packed.h"
#include "wide/scratch.h"

/* Is the instruction set planned for? The formulas of others are left out of a firmware. */
#define PLANNED(isa) (DQNN_PLAN_ALL || DQNN_HAVE_##isa)

static uint32_t capped(uint64_t bytes) {
  return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

/* Outputs of a pooled pixel, whose maxima are kept. */
static uint32_t totals_of(const dqnn_conv *v) {
  return dqnn_pool_cells(v->params) > 1 ? v->group_out : 0;
}

/* The output before a pool. */
static int32_t height_of(const dqnn_conv *v) {
  return v->pooled_h * v->params->pool_h;
}
static int32_t width_of(const dqnn_conv *v) {
  return v->pooled_w * v->params->pool_w;
}

static uint32_t lanes_of(const dqnn_conv *v) {
  return dqnn_lanes_for(dqnn_pool_cells(v->params), (uint32_t)v->pooled_h * (uint32_t)v->pooled_w);
}

/* What the plain walk and the vectors of kernels/mve that are compiled from it need. */
static void set_plain(uint32_t scratch[DQNN_ISA_NUMBER], uint64_t bytes) {
  scratch[DQNN_ISA_portable] = scratch[DQNN_ISA_mve] = capped(bytes);
}

/* Hosts count many windows side by side, without scratch, and leave a single one to the portable code. */
void dqnn_scratch_conv_bitsliced(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  set_plain(scratch, dqnn_conv_bitsliced_scratch(&v, call->out_def->dtype == DQNN_S1));
  if (PLANNED(AVX2) && dqnn_is_single(height_of(&v), width_of(&v))) {
    scratch[DQNN_ISA_avx2] = scratch[DQNN_ISA_portable];
  }
  if (PLANNED(AVX512) && dqnn_is_single(height_of(&v), width_of(&v))) {
    scratch[DQNN_ISA_avx512] = scratch[DQNN_ISA_portable];
  }
  if (PLANNED(NEON) && dqnn_is_single(height_of(&v), width_of(&v))) {
    scratch[DQNN_ISA_neon] = scratch[DQNN_ISA_portable];
  }
}

/* conv_{f32,s8,s1}_f32_*, conv_f32_s8_* */
static void scratch_float(const dqnn_call *call, const dqnn_conv *v, int s8_weights, uint32_t *scratch) {
  uint64_t kernel_h = v->params->kernel_h, row_taps = (uint64_t)v->params->kernel_w * v->group_in;
  uint32_t lanes = lanes_of(v);
  int in_place = dqnn_rows_in_place(call);
  set_plain(scratch, dqnn_conv_float_scratch(kernel_h, row_taps, v->group_out, lanes, in_place, s8_weights));
  if (PLANNED(AVX2) || PLANNED(NEON)) {
    scratch[DQNN_ISA_avx2] = scratch[DQNN_ISA_neon] =
        capped(dqnn_conv_float_wide_scratch(kernel_h * row_taps, totals_of(v), lanes, in_place));
  }
}

/* conv_{s8,s1}_s8_* */
static void scratch_pairs(const dqnn_call *call, const dqnn_conv *v, dqnn_plan *plan) {
  uint32_t *scratch = plan->scratch;
  uint64_t row_taps = (uint64_t)v->params->kernel_w * v->group_in, taps = v->params->kernel_h * row_taps;
  uint32_t lanes = lanes_of(v), totals = totals_of(v);
  uint64_t row = call->in_def[0]->dtype == DQNN_S8 && dqnn_windows_inside(call) ? 0 : row_taps;
  scratch[DQNN_ISA_portable] = capped(dqnn_conv_pairs_scratch(taps, row, totals, lanes));
  if (PLANNED(MVE)) {
    uint32_t pixels = dqnn_bytes_pixels(height_of(v), width_of(v));
    scratch[DQNN_ISA_mve] = capped(dqnn_conv_bytes_scratch(taps, dqnn_bytes_least(v->group_out), pixels));
  }
  if (PLANNED(AVX2) || PLANNED(NEON)) {
    scratch[DQNN_ISA_avx2] = scratch[DQNN_ISA_neon] = scratch[DQNN_ISA_dotprod] =
        capped(dqnn_conv_pairs_wide_scratch(taps, totals, lanes));
  }
  if (PLANNED(VNNI)) {
    scratch[DQNN_ISA_vnni] = capped(dqnn_conv_pairs_vnni_scratch(taps, totals, lanes));
  }
  if (PLANNED(PACKED)) {
    scratch[DQNN_ISA_packed] = UINT32_MAX;
  }
  if (PLANNED(WINOGRAD)) {
    int taken = dqnn_takes_winograd(call, v, plan);
    scratch[DQNN_ISA_winograd] = taken ? capped(dqnn_winograd_least_bytes(v)) : UINT32_MAX;
  }
}

uint32_t dqnn_winograd_bytes(const dqnn_call *call, uint32_t passes) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  uint32_t quads = (v.out_c + 3) / 4, block = 4 * ((quads + passes - 1) / passes);
  uint64_t some = dqnn_winograd_block_bytes(v.in_c, block),
           all = dqnn_winograd_map_bytes(v.in_c, dqnn_winograd_pairs(&v));
  return capped(some < all || passes > 1 ? some : all);
}

/* conv_{f32,s8}_s1_*: tables of hosts stand on the stack. */
static void scratch_blocks(const dqnn_call *call, const dqnn_conv *v, uint32_t *scratch) {
  switch (dqnn_blocks_path_of(call)) {
    case DQNN_BLOCKS_FIRST:
      set_plain(scratch, dqnn_first_scratch(v, call->in_def[0]->dtype == DQNN_S8));
      break;
    case DQNN_BLOCKS_SINGLE:
      set_plain(scratch, dqnn_single_scratch(v->out_c));
      if (PLANNED(NEON)) { /* which leaves it to the portable code */
        scratch[DQNN_ISA_neon] = scratch[DQNN_ISA_portable];
      }
      break;
    case DQNN_BLOCKS_NIBBLES:
      set_plain(scratch, dqnn_nibbles_scratch(v));
      break;
    default:
      set_plain(scratch, dqnn_conv_blocks_scratch(v));
  }
}

static uint64_t taps_of(const dqnn_conv *v) {
  return (uint64_t)v->params->kernel_h * v->params->kernel_w * v->group_in;
}

/* conv_packed_mve.c, with blocks of so many outputs. */
static uint64_t packed_mve(const dqnn_conv *v, uint32_t outputs) {
  return dqnn_conv_packed_mve_scratch(taps_of(v), outputs, totals_of(v) > 0, dqnn_is_single(height_of(v), width_of(v)),
                                      v->params->weight_bits);
}

uint32_t dqnn_vector_scratch(const dqnn_call *call) {
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 0);
  if (types.weights != DQNN_S8 || types.input == DQNN_F32) {
    return 0;
  }
  uint64_t taps = taps_of(&v), columns = dqnn_columns_bytes(taps);
  uint64_t sums = v.params->weight_bits
                      ? packed_mve(&v, v.group_out)
                      : dqnn_conv_bytes_scratch(taps, v.group_out, dqnn_bytes_pixels(height_of(&v), width_of(&v)));
  return capped(sums > columns ? sums : columns);
}

#if DQNN_PACKED_WEIGHTS
/* Weights of fewer than 8 bits are read by few variants; the others do not take the call. */
static int is_packed(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]) {
  if (((const dqnn_conv_params *)call->params)->weight_bits == 0) {
    return 0;
  }
  for (uint32_t isa = 0; isa < DQNN_ISA_NUMBER; ++isa) {
    scratch[isa] = isa == DQNN_ISA_ref ? 0 : UINT32_MAX;
  }
  return 1;
}

/* conv_{s8,s1}_s8_* with such weights. */
static void scratch_packed(const dqnn_call *call, const dqnn_conv *v, dqnn_plan *plan) {
  uint32_t *scratch = plan->scratch;
  uint32_t taps = dqnn_taps_of(v);
  uint32_t lanes = lanes_of(v), totals = totals_of(v), bits = v->params->weight_bits;
  uint32_t row = dqnn_packed_in_runs(call) ? 0 : v->params->kernel_w * v->group_in;
  if (PLANNED(PACKED)) { /* with Helium's vectors, or without: a file serves both */
    uint64_t vectors = PLANNED(MVE) ? packed_mve(v, dqnn_packed_least(v->group_out)) : 0;
    uint64_t words = DQNN_HAVE_MVE ? 0 : dqnn_conv_packed_scratch(taps, row, totals, lanes, bits);
    scratch[DQNN_ISA_packed] = capped(vectors > words ? vectors : words);
  }
  if (PLANNED(AVX2) || PLANNED(NEON)) {
    scratch[DQNN_ISA_avx2] = scratch[DQNN_ISA_vnni] = scratch[DQNN_ISA_neon] = scratch[DQNN_ISA_dotprod] =
        capped(dqnn_conv_packed_wide_scratch(taps, totals, lanes, bits));
  }
  if (PLANNED(WINOGRAD) && !DQNN_HAVE_MVE && dqnn_takes_winograd(call, v, plan)) { /* vectors are faster */
    scratch[DQNN_ISA_winograd] = capped(dqnn_winograd_least_bytes(v));
  }
}
#else
static int is_packed(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]) {
  (void)call;
  (void)scratch;
  return 0;
}

static void scratch_packed(const dqnn_call *call, const dqnn_conv *v, dqnn_plan *plan) {
  (void)call;
  (void)v;
  (void)plan;
}
#endif

DQNN_PLANNING void dqnn_scratch_conv(const dqnn_call *call, dqnn_plan *plan) {
  uint32_t *scratch = plan->scratch;
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 0);
  if (is_packed(call, scratch)) {
    if (types.input != DQNN_F32) {
      scratch_packed(call, &v, plan);
    }
    return;
  }
  if (types.weights == DQNN_F32 || (types.weights == DQNN_S8 && types.input == DQNN_F32)) {
    scratch_float(call, &v, types.weights == DQNN_S8, scratch);
  } else if (types.weights == DQNN_S8) {
    scratch_pairs(call, &v, plan);
  } else if (types.input == DQNN_S1) {
    set_plain(scratch, dqnn_conv_horizontal_scratch(&v));
  } else {
    scratch_blocks(call, &v, scratch);
  }
}

/* The least of max(0, 2 * i - pad) * in - i * out for first <= i <= last: where the windows of pooled position i begin,
 * less where it is written. Convex, so that it lies at an end or beside the corner where the padding ends. */
DQNN_NOINLINE int64_t first_lead(int32_t first, int32_t last, int32_t pad, int64_t in, int64_t out) {
  const int32_t places[4] = {first, pad / 2, pad / 2 + 1, last};
  int64_t least = INT64_MAX;
  for (uint32_t k = 0; k < 4; ++k) {
    int32_t i = places[k] < first ? first : places[k] > last ? last : places[k];
    int64_t begin = 2 * (int64_t)i - pad, lead = (begin > 0 ? begin * in : 0) - i * out;
    least = lead < least ? lead : least;
  }
  return least;
}

/* Every variant computes pixels in row-major order and
 * reads all inputs of a pixel before its output word is written (at most 32 channels); so nothing is lost if the output
 * before a pixel ends where that pixel and later ones begin to read: row 2 * y - pad_top of the map, column
 * 2 * x - pad_left of that for the later ones of its row, column 0 for those of the next rows. */
uint32_t dqnn_first_overlap(const dqnn_conv *v, uint32_t cell) {
  int32_t height = v->pooled_h, width = v->pooled_w;
  int64_t in_row = (int64_t)v->x.size * cell, out_row = 4 * (int64_t)width;
  if (v->out_c > 32) {
    return 0;
  }
  if (height > 1 && first_lead(1, height - 1, v->y.pad, in_row, out_row) < 0) {
    return 0;
  }
  if (width > 1 &&
      first_lead(0, height - 1, v->y.pad, in_row, out_row) + first_lead(1, width - 1, v->x.pad, cell, 4) < 0) {
    return 0;
  }
  return (uint32_t)(out_row * height);
}

uint32_t dqnn_overlap_conv(const dqnn_call *call) {
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 0);
  if (types.weights != DQNN_S1 || types.input == DQNN_S1 || dqnn_blocks_path_of(call) != DQNN_BLOCKS_FIRST) {
    return 0;
  }
  return dqnn_first_overlap(&v, types.input == DQNN_F32 ? 4 : 1);
}

/* depthwise_s8_s8_* with weights of 4 or 2 bits: a strip, or the sums. Vectors of hosts leave what they do not take to
 * `packed`. */
static void scratch_packed_depthwise(const dqnn_conv *v, uint32_t sums, uint32_t scratch[DQNN_ISA_NUMBER]) {
  uint32_t strip = DQNN_STRIP * dqnn_taps_of(v) + DQNN_STRIP_MORE; /* few taps: their sums fit 32 bits */
  scratch[DQNN_ISA_packed] = sums < strip ? strip : sums;
  if (PLANNED(AVX2) || PLANNED(NEON)) {
    scratch[DQNN_ISA_avx2] = scratch[DQNN_ISA_neon] = scratch[DQNN_ISA_packed];
  }
}

void dqnn_scratch_depthwise(const dqnn_call *call, uint32_t scratch[DQNN_ISA_NUMBER]) {
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  dqnn_conv v = dqnn_conv_of(call, 1);
  if (types.weights != DQNN_F32 && dqnn_has_channels(call) && v.in_c >= 4) {
    set_plain(scratch, dqnn_channels_scratch(&v)); /* fewer channels never had any */
  }
  uint32_t sums = scratch[DQNN_ISA_portable];
  if (PLANNED(PACKED)) {
    scratch[DQNN_ISA_packed] = UINT32_MAX;
  }
  if (is_packed(call, scratch) && PLANNED(PACKED) && types.input == DQNN_S8) {
    scratch_packed_depthwise(&v, sums, scratch);
  }
}
