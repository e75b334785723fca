/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The shape of a convolution as the fast kernels want it: plain numbers read once from the call, and which taps of a
 * window lie inside the map. plan() has checked everything, so nothing is checked here. */
#ifndef DQNN_OPT_GEOMETRY_H
#define DQNN_OPT_GEOMETRY_H

#include "../../isa/isa.h"
#include "../../src/kernel.h"
#include "../map.h"

typedef struct {
  int32_t height, width;         /* of the input */
  int32_t out_height, out_width; /* before pooling */
  int32_t pooled_width;
  int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, pool_h, pool_w;
  uint32_t pool_cells;                  /* of a pooling window; 1: no pool */
  uint32_t channels, outputs;           /* in all */
  uint32_t groups, in_group, out_group; /* channels and outputs of one group */
} dqnn_geometry;

void dqnn_read_geometry(const dqnn_call *call, dqnn_geometry *g);

/* Two parameters of 16 bits have a product of 32, and a map may be 2^30 cells wide: products are unsigned. */

/* Index of a cell that lies inside the map. */
DQNN_INLINE uint32_t dqnn_cell_index(const dqnn_geometry *g, int32_t y, int32_t x) {
  return (uint32_t)y * (uint32_t)g->width + (uint32_t)x;
}

/* Cells of the map from one kernel row to the next. rows: how many lie inside; 0 if that is not two, as then they may
 * be further apart than the map is large. */
DQNN_INLINE uint32_t dqnn_row_step(const dqnn_geometry *g, int32_t rows) {
  return rows > 1 ? (uint32_t)g->dilation_h * (uint32_t)g->width : 0;
}

DQNN_INLINE uint32_t dqnn_kernel_cells(const dqnn_geometry *g) {
  return (uint32_t)g->kernel_h * (uint32_t)g->kernel_w;
}

/* Of `left` outputs those that go at once, at most `most`: what is left behind is none or at least four. */
DQNN_INLINE uint32_t dqnn_chunk(uint32_t left, uint32_t most) {
  return left <= most ? left : left < most + 4 ? most - 4 : most;
}

/* The taps of a window that begins at `at` which lie inside 0..size-1. */
dqnn_taps dqnn_taps_cut(int32_t at, int32_t taps, int32_t dilation, int32_t size);

DQNN_INLINE dqnn_taps dqnn_taps_inside(int32_t at, int32_t taps, int32_t dilation, int32_t size) {
  if (at >= 0 && at + (taps - 1) * dilation < size) {
    return (dqnn_taps){0, taps};
  }
  return dqnn_taps_cut(at, taps, dilation, size);
}

DQNN_INLINE int dqnn_same_taps(dqnn_taps a, dqnn_taps b) {
  return a.first == b.first && a.end == b.end;
}

#endif
