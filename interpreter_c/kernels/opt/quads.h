/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The walk that the 8-bit and float convolutions share: output pixels in groups of four, whose windows are gathered,
 * multiplied with all channels of a group of the convolution, and sent to the output.
 *
 * A group of four is four neighbours of the output in row-major order, or, with a fused pool, four cells of one pooling
 * window, whose maximum is kept. The last group repeats its last pixel. Maps of fewer than four pixels (dense layers)
 * go one pixel at a time. */
#ifndef DQNN_OPT_QUADS_H
#define DQNN_OPT_QUADS_H

#include "geometry.h"

typedef struct {
  int32_t y, x; /* first tap of the window, in the dilated input */
} dqnn_origin;

/* What a kernel does for one group of the convolution; `layer` is its own state. */
typedef struct {
  /* The windows of n pixels from `at` on, neighbours in a row, to lanes from `lane` on. */
  void (*gather)(void *layer, dqnn_origin at, uint32_t lane, uint32_t n);
  /* All channels of the gathered pixels first .. first + n - 1, to the output. lanes: 4 (the lanes from n on repeat the
   * last) or 1. */
  void (*sum)(void *layer, uint32_t first, uint32_t n, uint32_t lanes);
  void (*maximum)(void *layer, int first);   /* largest of the four; `first` starts a pooling window */
  void (*emit)(void *layer, uint32_t pixel); /* epilogue of the maxima */
} dqnn_quad_ops;

DQNN_INLINE dqnn_origin dqnn_window_at(const dqnn_geometry *g, uint32_t y, uint32_t x) {
  dqnn_origin at = {(int32_t)y * g->stride_h - g->pad_top, (int32_t)x * g->stride_w - g->pad_left};
  return at;
}

/* Pixels that the walk takes at a time; `pixels` of the output matter without a pool only. */
DQNN_INLINE uint32_t dqnn_lanes_for(uint32_t pool_cells, uint32_t pixels) {
  return pool_cells == 1 && pixels < 4 ? 1 : 4;
}

DQNN_INLINE uint32_t dqnn_quad_lanes(const dqnn_geometry *g) {
  return dqnn_lanes_for(g->pool_cells, (uint32_t)g->out_height * (uint32_t)g->out_width);
}

void dqnn_quads_run(const dqnn_geometry *g, const dqnn_quad_ops *ops, void *layer);

/* Index of position `at` of an input dilated by `up`: DQNN_AT_OUTSIDE, DQNN_AT_HOLE, or the cell. */
enum { DQNN_AT_OUTSIDE = -1, DQNN_AT_HOLE = -2 };
DQNN_INLINE int32_t dqnn_input_index(int32_t at, int32_t size, int32_t up) {
  if (at < 0 || at > (size - 1) * up) {
    return DQNN_AT_OUTSIDE;
  }
  if (up == 1) {
    return at;
  }
  return at % up ? DQNN_AT_HOLE : at / up;
}

/* The same for both axes, of the map's cells. */
int32_t dqnn_cell_at(const dqnn_geometry *g, int32_t up_h, int32_t up_w, int32_t y, int32_t x);

#endif
