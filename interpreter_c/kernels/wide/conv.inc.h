/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The convolutions of conv_layer.inc.h whose windows are gathered, in the order of the weights; float windows inside an
 * f32 map are read where they lie.
 *
 * A template. In, before: what conv_layer.inc.h takes, DQNN_PAIRS (1: weights lie in pairs, SPEC.md 3.3) and, with
 * DQNN_STORED, sum_elements(); and behind it finish_copy() and tile(). Out: layer, prepare_layer(), run_layer(). */
#include "conv_layer.inc.h"

/* Whatever a gathered window needs before it can be used. */
static void finish_copy(const layer *l, element *copy);

#if DQNN_FLOAT_SUMS
#define sum_inputs(l, lane, run) ((void)0)
#else
#if !DQNN_STORED
DQNN_INLINE int32_t sum_elements(const element *from, uint32_t count) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    sum += from[i];
  }
  return sum;
}
#endif

/* Of a window in one run, where something is made of them: less the zero point. */
DQNN_INLINE void sum_inputs(layer *l, uint32_t lane, const element *run) {
  if (l->by_inputs || l->bits) {
    l->column_sums[lane] = sum_elements(run, l->window_taps) - (int32_t)l->window_taps * l->hole;
  }
}
#endif

DQNN_INLINE int lies_inside(const dqnn_geometry *g, dqnn_origin at) {
  return at.y >= 0 && at.x >= 0 && at.y + (g->kernel_h - 1) * g->dilation_h < g->height &&
         at.x + g->kernel_w <= g->width;
}

static int lies_in_place(const layer *l, dqnn_origin at) {
  if (l->in_place) {
    return 1;
  }
  int stored = DQNN_STORED ? l->stored : DQNN_FLOAT_SUMS && l->type == DQNN_F32;
  return stored && l->runs && l->up_h == 1 && lies_inside(&l->shape, at);
}

/* With DQNN_PAIRS the last elements of odd rows follow all others. */
static void copy_window(const layer *l, dqnn_origin at, element *to) {
  uint32_t rows = (uint32_t)l->shape.kernel_h, odd = DQNN_PAIRS ? l->row_taps & 1u : 0, step = l->row_taps - odd;
  element *last = to + rows * step, first_last = l->hole;
  for (uint32_t ky = 0; ky < rows; ky++, at.y += l->shape.dilation_h, to += step) {
    read_row(l, at.y, at.x, to);
    if (odd) {
      last[ky] = to[step];
      if (ky == 0) {
        first_last = to[step];
      }
    }
  }
  if (odd) {
    last[0] = first_last; /* the last row ran over it */
  }
}

static void gather(layer *l, dqnn_origin at, uint32_t lane) {
  const dqnn_geometry *g = &l->shape;
  if (lies_in_place(l, at)) {
    const element *from = (const element *)(const void *)l->image;
    l->windows[lane].at = from + dqnn_cell_index(g, at.y, at.x) * g->channels;
    l->windows[lane].pitch = dqnn_row_step(g, g->kernel_h) * g->channels;
    sum_inputs(l, lane, l->windows[lane].at);
    return;
  }
  element *copy = l->copies + lane * l->copy_elements;
  copy_window(l, at, copy);
  sum_inputs(l, lane, copy);
  finish_copy(l, copy);
  l->windows[lane].at = copy;
  l->windows[lane].pitch = l->row_taps;
}

static void quad_gather(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  layer *l = (layer *)state;
  for (; n; n--, lane++, at.x += l->shape.stride_w) {
    gather(l, at, lane);
  }
}

static const dqnn_quad_ops quad_ops = {quad_gather, quad_sum, quad_maximum, quad_emit};

DQNN_INLINE void run_quads(layer *l) {
  dqnn_quads_run(&l->shape, &quad_ops, l);
}

DQNN_INLINE void run_layer(const dqnn_call *call, layer *l, uint32_t weight_bytes) {
  run_groups(call, l, weight_bytes, run_quads);
}
